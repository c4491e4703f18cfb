/* Requests and answers over real sockets: routes, limits, refusals. */
#include "support.h"

#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#define HOST "Host: x\r\n"

static int set_up(void **state)
{
    (void)state;
    server_start(NULL);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    server_stop();
    return 0;
}

static void expect(const char *request, int status, const char *holds)
{
    char *answer = ask(request);

    assert_status(answer, status);
    if (holds && !strstr(answer, holds))
        fail_msg("%s is not in: %s", holds, answer);
    free(answer);
}

static void refuses(const char *request, int status)
{
    char *answer = ask(request);

    assert_status(answer, status);
    if (!strstr(answer, "Connection: close\r\n"))
        fail_msg("the connection is not closed: %s", answer);
    assert_non_null(strstr(answer, "{\"detail\":\""));
    free(answer);
}

static void a_route_is_answered(void **state)
{
    (void)state;
    expect("GET /hello HTTP/1.1\r\n" HOST "\r\n", 200, "Content-Length: 5\r\n\r\nhello");
    expect("GET / HTTP/1.1\r\n" HOST "\r\n", 200, "X-Content-Type-Options: nosniff\r\n");
    expect("GET /hello HTTP/1.1\r\n" HOST "\r\n", 200, "Referrer-Policy: no-referrer\r\n");
    expect("GET /hello HTTP/1.1\r\n" HOST "\r\n", 200, " GMT\r\n");
    expect("GET /hello HTTP/1.0\r\n\r\n", 200, "Connection: close\r\n");
    expect("GET /hello HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", 200,
           "Connection: keep-alive\r\n");
    expect("GET /hello?x=1 HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n", 200,
           "Connection: close\r\n");
}

static void parameters_are_decoded_and_exact_segments_win(void **state)
{
    (void)state;
    expect("GET /items/a%20b%2Fc HTTP/1.1\r\n" HOST "\r\n", 200, "\r\n\r\na b/c|");
    expect("GET /items/special HTTP/1.1\r\n" HOST "\r\n", 200, "\r\n\r\nspecial");
    expect("GET /items/special/parts/2 HTTP/1.1\r\n" HOST "\r\n", 200, "\r\n\r\nspecial|2");
    expect("DELETE /items/special HTTP/1.1\r\n" HOST "\r\n", 204, NULL);
    expect("GET /query?a=1&name=x+%26%C3%A9 HTTP/1.1\r\n" HOST "\r\n", 200, "\r\n\r\nx &\xc3\xa9");
    expect("GET /query?a=1 HTTP/1.1\r\n" HOST "\r\n", 200, "\r\n\r\n(none)");
}

static void unknown_paths_and_methods_are_refused(void **state)
{
    (void)state;
    expect("GET /nothing HTTP/1.1\r\n" HOST "\r\n", 404, "{\"detail\":\"");
    expect("GET /hello/ HTTP/1.1\r\n" HOST "\r\n", 404, NULL);
    expect("GET /items/ HTTP/1.1\r\n" HOST "\r\n", 404, NULL);
    expect("GET //hello HTTP/1.1\r\n" HOST "\r\n", 404, NULL);
    expect("DELETE /hello HTTP/1.1\r\n" HOST "\r\n", 405, "Allow: GET, HEAD, OPTIONS\r\n");
    expect("PROPFIND /echo HTTP/1.1\r\n" HOST "\r\n", 405, "Allow: POST, OPTIONS\r\n");
    expect("GET /items/1?x HTTP/1.1\r\n" HOST "\r\n", 200, NULL);
    expect("POST /items/special HTTP/1.1\r\n" HOST "\r\n", 405,
           "Allow: GET, HEAD, DELETE, OPTIONS\r\n");
}

static void head_is_get_without_a_body(void **state)
{
    char *answer = ask("HEAD /hello HTTP/1.1\r\n" HOST "\r\n");

    (void)state;
    assert_status(answer, 200);
    assert_non_null(strstr(answer, "Content-Length: 5\r\n"));
    assert_string_equal(strstr(answer, "\r\n\r\n"), "\r\n\r\n");
    free(answer);
    answer = ask("HEAD /nothing HTTP/1.1\r\n" HOST "\r\n");
    assert_status(answer, 404);
    assert_string_equal(strstr(answer, "\r\n\r\n"), "\r\n\r\n");
    free(answer);
}

static void options_come_from_the_table(void **state)
{
    char *answer;

    (void)state;
    expect("OPTIONS /hello HTTP/1.1\r\n" HOST "\r\n", 204, "Allow: GET, HEAD, OPTIONS\r\n");
    expect("OPTIONS /nothing HTTP/1.1\r\n" HOST "\r\n", 404, NULL);
    expect("OPTIONS * HTTP/1.1\r\n" HOST "\r\n", 204, "Allow: GET, HEAD, POST");
    answer = ask("OPTIONS /echo HTTP/1.1\r\n" HOST "Origin: https://good.example\r\n"
                 "Access-Control-Request-Method: POST\r\n"
                 "Access-Control-Request-Headers: content-type, x-evil,AUTHORIZATION\r\n\r\n");
    assert_status(answer, 204);
    assert_non_null(strstr(answer, "Access-Control-Allow-Origin: https://good.example\r\n"));
    assert_non_null(strstr(answer, "Access-Control-Allow-Credentials: true\r\n"));
    assert_non_null(strstr(answer, "Access-Control-Allow-Methods: POST\r\n"));
    assert_non_null(
        strstr(answer, "Access-Control-Allow-Headers: content-type, AUTHORIZATION\r\n"));
    assert_non_null(strstr(answer, "Access-Control-Max-Age: 600\r\n"));
    assert_non_null(strstr(answer, "Vary: Origin\r\n"));
    assert_null(strstr(answer, "Content-Length"));
    free(answer);
    answer = ask("OPTIONS /echo HTTP/1.1\r\n" HOST "Origin: https://evil.example\r\n"
                 "Access-Control-Request-Method: POST\r\n\r\n");
    assert_status(answer, 204);
    assert_null(strstr(answer, "Access-Control"));
    free(answer);
}

static void only_allowed_origins_may_read(void **state)
{
    char *answer = ask("GET /hello HTTP/1.1\r\n" HOST "Origin: https://evil.example\r\n\r\n");

    (void)state;
    assert_status(answer, 200);
    assert_null(strstr(answer, "Access-Control"));
    free(answer);
    expect("GET /nothing HTTP/1.1\r\n" HOST "Origin: https://good.example\r\n\r\n", 404,
           "Access-Control-Allow-Origin: https://good.example\r\n");
    expect("GET /hello HTTP/1.1\r\n" HOST "Origin: https://good.example\r\n\r\n", 200,
           "Access-Control-Expose-Headers: X-Request-Id, X-Total-Count, Retry-After, X-RateLimit-Limit, "
           "X-RateLimit-Remaining, X-RateLimit-Reset, X-RateLimit-Limit-Tokens, "
           "X-RateLimit-Remaining-Tokens\r\n");
}

static void request_ids_come_back_when_they_are_sane(void **state)
{
    char *answer;

    (void)state;
    expect("GET /hello HTTP/1.1\r\n" HOST "X-Request-Id: abc-1.2_3\r\n\r\n", 200,
           "X-Request-Id: abc-1.2_3\r\n");
    answer = ask("GET /hello HTTP/1.1\r\n" HOST "X-Request-Id: a b\r\n\r\n");
    assert_null(strstr(answer, "X-Request-Id: a b"));
    assert_non_null(strstr(answer, "X-Request-Id: "));
    free(answer);
}

static void bodies_arrive_whole(void **state)
{
    (void)state;
    expect("POST /echo HTTP/1.1\r\n" HOST "Content-Type: application/json\r\n"
           "Content-Length: 7\r\n\r\n{\"a\":1}",
           200, "Content-Length: 7\r\n\r\n{\"a\":1}");
    expect("POST /echo HTTP/1.1\r\n" HOST "Content-Type: Application/JSON; charset=utf-8\r\n"
           "Transfer-Encoding: chunked\r\n\r\n3;x=y\r\n{\"a\r\n4\r\n\":1}\r\n0\r\nX-T: 1\r\n\r\n",
           200, "Content-Length: 7\r\n\r\n{\"a\":1}");
    expect("POST /echo HTTP/1.1\r\n" HOST "\r\n", 200, "Content-Length: 0\r\n");
    expect("POST /echo HTTP/1.1\r\n" HOST "Content-Length: 0\r\n\r\n", 200, NULL);
    expect("POST /ignore HTTP/1.1\r\n" HOST "Content-Length: 3\r\n\r\nabc", 200, "hello");
    expect("POST /form HTTP/1.1\r\n" HOST "Content-Type: application/x-www-form-urlencoded\r\n"
           "Content-Length: 13\r\n\r\na=1+2&&b&c=%3",
           200, "[a=1 2][b=][c=%3]");
    expect("POST /upload HTTP/1.1\r\n" HOST "Content-Type: multipart/form-data; boundary=xx\r\n"
           "Content-Length: 71\r\n\r\n--xx\r\n"
           "Content-Disposition: form-data; name=\"file\"\r\n\r\nbytes\r\n--xx--\r\n   ",
           200, "\r\n\r\nbytes");
}

static void other_media_types_are_refused(void **state)
{
    (void)state;
    refuses("POST /echo HTTP/1.1\r\n" HOST "Content-Type: text/plain\r\n"
            "Content-Length: 2\r\n\r\n{}",
            415);
    refuses("POST /echo HTTP/1.1\r\n" HOST "Content-Length: 2\r\n\r\n{}", 415);
    refuses("POST /form HTTP/1.1\r\n" HOST "Content-Type: text/plain\r\n"
            "Content-Length: 2\r\n\r\n{}",
            415);
    refuses("POST /upload HTTP/1.1\r\n" HOST "Content-Type: application/json\r\n"
            "Content-Length: 2\r\n\r\n{}",
            415);
    refuses("POST /echo HTTP/1.1\r\n" HOST "Content-Type: application/json\r\n"
            "Content-Encoding: gzip\r\nContent-Length: 2\r\n\r\n{}",
            415);
}

static void failed_flows_are_told_in_our_words(void **state)
{
    char *answer;

    (void)state;
    expect("GET /fail HTTP/1.1\r\n" HOST "\r\n", 422,
           "{\"detail\":\"Some fields are wrong\",\"errors\":[{\"field\":\"email\",\"message\":"
           "\"is missing\"},{\"field\":\"password\",\"message\":\"is \\\"short\\\"\"}]}");
    answer = ask("GET /busy HTTP/1.1\r\n" HOST "\r\n");
    assert_status(answer, 503);
    assert_non_null(strstr(answer, "Retry-After: 7\r\n"));
    assert_null(strstr(answer, "table x"));
    free(answer);
    expect("GET /mute HTTP/1.1\r\n" HOST "\r\n", 500, "{\"detail\":\"");
    expect("GET /secret HTTP/1.1\r\n" HOST "\r\n", 401, "WWW-Authenticate: Bearer\r\n");
}

static void the_hook_refuses_before_the_body_is_read(void **state)
{
    int fd = client_connect();
    char *answer;

    (void)state;
    client_send(fd, "POST /secret HTTP/1.1\r\n" HOST "Content-Type: application/json\r\n"
                    "Content-Length: 1000000\r\n\r\n{");
    answer = client_read_to_end(fd);
    assert_status(answer, 401);
    assert_non_null(strstr(answer, "Connection: close\r\n"));
    free(answer);
    /* What is still sent must not become a reset that takes the answer away. */
    assert_int_equal(the_conn()->state, CONN_LINGERING);
    client_send(fd, "more");
    assert_int_equal(the_conn()->state, CONN_LINGERING);
    close(fd);
    turn(3);
}

static void header_lines_of_handlers_are_sent(void **state)
{
    char *answer = ask("GET /cookie HTTP/1.1\r\n" HOST "Cookie: x=1; access_token=tok; y\r\n\r\n");

    (void)state;
    assert_non_null(strstr(answer, "\r\n\r\ntok"));
    assert_non_null(strstr(answer, "Set-Cookie: a=1\r\nSet-Cookie: b=2\r\n"));
    assert_null(strstr(answer, "X-Injected"));
    free(answer);
}

static void what_llhttp_lets_pass_is_refused(void **state)
{
    static const char *const requests[] = {
        "GET /hello HTTP/1.1\r\n\r\n",
        "GET /hello HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n",
        "GET * HTTP/1.1\r\n" HOST "\r\n",
        "GET /hello HTTP/2.0\r\n" HOST "\r\n",
        "GET /hello HTTP/0.9\r\n" HOST "\r\n",
        "OPTIONS /hello RTSP/1.0\r\n" HOST "\r\n",
        "DESCRIBE /hello RTSP/1.0\r\n" HOST "\r\n",
        "SOURCE /hello ICE/1.0\r\n" HOST "\r\n",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "POST /ignore HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "POST /ignore HTTP/1.1\r\n" HOST "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        "POST /ignore HTTP/1.1\r\n" HOST "Transfer-Encoding: identity\r\n\r\n",
        "POST /ignore HTTP/1.1\r\n" HOST
        "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n",
        "POST /ignore HTTP/1.1\r\n" HOST
        "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "POST /ignore HTTP/1.1\r\n" HOST "Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc",
        "POST /ignore HTTP/1.1\r\n" HOST "Content-Length: +3\r\n\r\nabc",
        "POST /ignore HTTP/1.1\r\n" HOST "Content-Length: -3\r\n\r\nabc",
        "POST /ignore HTTP/1.1\r\n" HOST "Content-Length: 99999999999999999999\r\n\r\nabc",
        "POST /ignore HTTP/1.1\r\n" HOST "Content-Length: 3 3\r\n\r\nabc",
        "POST /ignore HTTP/1.1\r\n" HOST
        "Transfer-Encoding: chunked\r\n\r\n0\r\nHost: evil\r\n\r\n",
        "POST /ignore HTTP/1.1\r\n" HOST
        "Transfer-Encoding: chunked\r\n\r\n0\r\ncontent-Length: 3\r\n\r\n",
        "POST /ignore HTTP/1.1\r\n" HOST
        "Transfer-Encoding: chunked\r\n\r\n0\r\nX: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        "POST /ignore HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\nzz\r\nabc",
        "POST /ignore HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n3\r\nabcd\r\n0\r\n\r\n",
        "POST /ignore HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n3\nabc\r\n0\r\n\r\n",
        "GET /hello HTTP/1.1\r\n" HOST "X: a\r\n b\r\n\r\n",
        "GET /hello HTTP/1.1\r\n" HOST "X:\r\n\tb\r\n\r\n",
        "GET /hello HTTP/1.1\r\n" HOST "X: \r\n \r\n\r\n",
        "GET /hello HTTP/1.1\r\n" HOST "X : a\r\n\r\n",
        "GET /hello HTTP/1.1\r\n" HOST "X\r\n\r\n",
        "GET /hello HTTP/1.1\nHost: x\n\n",
        "GET /hello HTTP/1.1\r\n" HOST "X: a\001b\r\n\r\n",
        "GET /hel%zz HTTP/1.1\r\n" HOST "\r\n",
        "GET /hello% HTTP/1.1\r\n" HOST "\r\n",
        "GET /hello%2 HTTP/1.1\r\n" HOST "\r\n",
        "GET /items/a%00b HTTP/1.1\r\n" HOST "\r\n",
        "GET /items/a%0ab HTTP/1.1\r\n" HOST "\r\n",
        "GET /items/a%7f HTTP/1.1\r\n" HOST "\r\n",
        "GET /items/%ff HTTP/1.1\r\n" HOST "\r\n",
        "GET /items/%c0%af HTTP/1.1\r\n" HOST "\r\n",
        "GET /query?name=%00 HTTP/1.1\r\n" HOST "\r\n",
        "GET /query?name=%e HTTP/1.1\r\n" HOST "\r\n",
        "GET /hello#x HTTP/1.1\r\n" HOST "\r\n",
        "GET ftp://x/hello HTTP/1.1\r\n" HOST "\r\n",
        "GET http:///hello HTTP/1.1\r\n" HOST "\r\n",
        "CONNECT x:443 HTTP/1.1\r\n" HOST "\r\n",
        "get /hello HTTP/1.1\r\n" HOST "\r\n",
        "GET  /hello HTTP/1.1\r\n" HOST "\r\n",
        "GET /hello\r\n\r\n",
        "GET /hello\nHost:x\r\n\r\n",
        "GET /hello\nX:123456\r\n\r\n",
        "\026\003\001\002 a TLS hello",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(requests) / sizeof(requests[0]); i++) {
        char *answer = ask(requests[i]);

        if (strncmp(answer, "HTTP/1.1 400 ", 13) != 0 || !strstr(answer, "Connection: close\r\n"))
            fail_msg("request %zu, %s, got: %s", i, requests[i], answer);
        free(answer);
    }
}

static void absolute_targets_are_served_by_their_path(void **state)
{
    (void)state;
    expect("GET http://any:80/hello?x HTTP/1.1\r\n" HOST "\r\n", 200, "hello");
    expect("GET HTTPS://any/hello HTTP/1.1\r\n" HOST "\r\n", 200, "hello");
    expect("GET http://any HTTP/1.1\r\n" HOST "\r\n", 200, "hello");
}

static char *long_request(size_t target_len, size_t n_lines, size_t value_len)
{
    struct buf b = {.data = NULL};

    buf_append_str(&b, STR("GET /"));
    for (size_t i = 1; i < target_len; i++)
        buf_append_char(&b, 'a');
    buf_append_str(&b, STR(" HTTP/1.1\r\n" HOST));
    for (size_t i = 1; i < n_lines; i++) {
        buf_append_str(&b, STR("X: "));
        for (size_t j = 0; j < value_len; j++)
            buf_append_char(&b, 'v');
        buf_append_str(&b, STR("\r\n"));
    }
    buf_append(&b, "\r\n", 3);
    return b.data;
}

static void heads_past_their_limits_are_refused(void **state)
{
    static const struct {
        size_t target_len, n_lines, value_len;
        int status;
    } rows[] = {
        {8192 - 13, 1, 0, 404}, {8192 - 12, 1, 0, 414}, {12000, 1, 0, 414}, {40000, 1, 0, 414},
        {5, 100, 1, 404},       {5, 101, 1, 431},       {5, 3, 8000, 404},  {5, 3, 8190, 431},
        {5, 90, 1000, 431},     {8000, 3, 4200, 431},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char *request = long_request(rows[i].target_len, rows[i].n_lines, rows[i].value_len);
        char *answer = ask(request);

        assert_status(answer, rows[i].status);
        free(answer);
        free(request);
    }
}

static void endless_heads_are_refused_before_they_end(void **state)
{
    char *text = malloc(20001);
    int fd = client_connect();
    char *answer;

    (void)state;
    memset(text, 'a', 20000);
    text[20000] = '\0';
    memcpy(text, "GET /", 5);
    client_send(fd, text);
    answer = client_read_to_end(fd);
    assert_status(answer, 414);
    free(answer);
    close(fd);
    turn(3);
    fd = client_connect();
    client_send(fd, "GET / HTTP/1.1\r\nX: ");
    client_send(fd, text + 5);
    answer = client_read_to_end(fd);
    assert_status(answer, 431);
    free(answer);
    free(text);
    close(fd);
    turn(3);
}

static void bodies_past_their_limit_are_refused(void **state)
{
    (void)state;
    test_config.limits.body_bytes = 10;
    expect("POST /echo HTTP/1.1\r\n" HOST "Content-Type: application/json\r\n"
           "Content-Length: 10\r\n\r\n1234567890",
           200, "1234567890");
    refuses("POST /echo HTTP/1.1\r\n" HOST "Content-Type: application/json\r\n"
            "Content-Length: 11\r\n\r\n12345678901",
            413);
    expect("POST /echo HTTP/1.1\r\n" HOST "Content-Type: application/json\r\n"
           "Transfer-Encoding: chunked\r\n\r\n5\r\n12345\r\n5\r\n67890\r\n0\r\n\r\n",
           200, "1234567890");
    refuses("POST /echo HTTP/1.1\r\n" HOST "Content-Type: application/json\r\n"
            "Transfer-Encoding: chunked\r\n\r\n5\r\n12345\r\n6\r\n678901\r\n0\r\n\r\n",
            413);
    refuses("POST /echo HTTP/1.1\r\n" HOST "Content-Type: application/json\r\n"
            "Transfer-Encoding: chunked\r\n\r\nfffffffffffffff\r\n",
            413);
}

static void chunks_that_are_all_framing_are_refused(void **state)
{
    struct buf b = {.data = NULL};
    char *answer;

    (void)state;
    buf_append_str(&b,
                   STR("POST /ignore HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n1;"));
    for (unsigned i = 0; i < 40000; i++)
        buf_append_char(&b, 'x');
    buf_append(&b, "", 1);
    answer = ask(b.data);
    assert_status(answer, 400);
    free(answer);
    buf_deinit(&b);
}

static void expectations_are_met_or_refused(void **state)
{
    int fd = client_connect();
    char *answer;

    (void)state;
    client_send(fd, "POST /echo HTTP/1.1\r\n" HOST "Content-Type: application/json\r\n"
                    "Expect: 100-continue\r\nContent-Length: 2\r\n\r\n");
    answer = client_read_until(fd, "\r\n\r\n");
    assert_string_equal(answer, "HTTP/1.1 100 Continue\r\n\r\n");
    free(answer);
    client_send(fd, "{}");
    answer = client_read_until(fd, "{}");
    assert_status(answer, 200);
    free(answer);
    close(fd);
    turn(3);
    refuses("POST /echo HTTP/1.1\r\n" HOST "Expect: pie\r\nContent-Length: 2\r\n\r\n{}", 417);
    /* Refused before the body: no 100. */
    refuses("POST /secret HTTP/1.1\r\n" HOST "Content-Type: application/json\r\n"
            "Expect: 100-continue\r\nContent-Length: 2\r\n\r\n",
            401);
}

static int set_up_behind_proxy(void **state)
{
    (void)state;
    server_start("127.0.0.0/8");
    return 0;
}

static void trusted_proxies_name_the_client(void **state)
{
    (void)state;
    expect("GET /address HTTP/1.1\r\n" HOST "\r\n", 200, "\r\n\r\n127.0.0.1 127.0.0.1 http");
    expect("GET /address HTTP/1.1\r\n" HOST "X-Forwarded-For: 1.1.1.1, 2.2.2.2\r\n\r\n", 200,
           "\r\n\r\n2.2.2.2 2.2.2.2 http");
    expect("GET /address HTTP/1.1\r\n" HOST "X-Forwarded-For: 1.1.1.1, 2.2.2.2, 127.9.9.9\r\n\r\n",
           200, "\r\n\r\n2.2.2.2 2.2.2.2 http");
    expect("GET /address HTTP/1.1\r\n" HOST "X-Forwarded-For: 1.1.1.1\r\n"
           "X-Forwarded-For: 2.2.2.2:80\r\nX-Forwarded-Proto: https\r\n\r\n",
           200, "\r\n\r\n2.2.2.2 2.2.2.2 https");
    expect("GET /address HTTP/1.1\r\n" HOST "X-Forwarded-For: [2001:db8:1:2:3::4]:99\r\n\r\n", 200,
           "\r\n\r\n2001:db8:1:2:3::4 2001:db8:1:2::/64 http");
    expect("GET /address HTTP/1.1\r\n" HOST "X-Forwarded-For: 3.3.3.3, bogus\r\n\r\n", 200,
           "\r\n\r\n127.0.0.1 127.0.0.1 http");
    expect("GET /address HTTP/1.1\r\n" HOST "X-Forwarded-For: ::ffff:9.9.9.9\r\n\r\n", 200,
           "\r\n\r\n9.9.9.9 9.9.9.9 http");
    expect("GET /hello HTTP/1.1\r\n" HOST "X-Forwarded-Proto: https\r\n\r\n", 200,
           "Strict-Transport-Security: ");
}

static void strangers_cannot_name_the_client(void **state)
{
    char *answer = ask("GET /address HTTP/1.1\r\n" HOST "X-Forwarded-For: 2.2.2.2\r\n"
                       "X-Forwarded-Proto: https\r\n\r\n");

    (void)state;
    assert_non_null(strstr(answer, "\r\n\r\n127.0.0.1 127.0.0.1 http"));
    assert_null(strstr(answer, "Strict-Transport"));
    free(answer);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
static const struct CMUnitTest tests[] = {
    TEST(a_route_is_answered),
    TEST(parameters_are_decoded_and_exact_segments_win),
    TEST(unknown_paths_and_methods_are_refused),
    TEST(head_is_get_without_a_body),
    TEST(options_come_from_the_table),
    TEST(only_allowed_origins_may_read),
    TEST(request_ids_come_back_when_they_are_sane),
    TEST(bodies_arrive_whole),
    TEST(other_media_types_are_refused),
    TEST(failed_flows_are_told_in_our_words),
    TEST(the_hook_refuses_before_the_body_is_read),
    TEST(header_lines_of_handlers_are_sent),
    TEST(what_llhttp_lets_pass_is_refused),
    TEST(absolute_targets_are_served_by_their_path),
    TEST(heads_past_their_limits_are_refused),
    TEST(endless_heads_are_refused_before_they_end),
    TEST(bodies_past_their_limit_are_refused),
    TEST(chunks_that_are_all_framing_are_refused),
    TEST(expectations_are_met_or_refused),
    cmocka_unit_test_setup_teardown(trusted_proxies_name_the_client, set_up_behind_proxy,
                                    tear_down),
    TEST(strangers_cannot_name_the_client),
};

int main(void)
{
    return cmocka_run_group_tests(tests, NULL, NULL);
}
