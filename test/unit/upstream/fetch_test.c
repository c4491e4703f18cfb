/* Small exchanges over real sockets: every answer is one, every fault has its name, each ends once.
 */
#include "harness.h"

#include <stdio.h>
#include <string.h>

static struct server server;
static char url[64];

static void serve_answers(const struct answer *answers, size_t n)
{
    server_start(&server, answers, n);
    snprintf(url, sizeof(url), "http://127.0.0.1:%u/hook?a=1", server.port);
}

static struct answer answer(const char *bytes, enum finish finish)
{
    return (struct answer){.bytes = str_from(bytes), .finish = finish};
}

static struct fetch_request get(void)
{
    return (struct fetch_request){.url = str_from(url), .max_bytes = 1000};
}

static void expect(const struct fetch_request *rq, struct outcome *out, enum status status,
                   int http_status, const char *body)
{
    ask(&(struct ask){.fetch = rq}, out);
    if (out->err.status != status)
        print_error("%s\n", out->err.detail ? out->err.detail : "no detail");
    assert_int_equal(out->err.status, status);
    assert_int_equal(out->http_status, http_status);
    assert_string_equal(out->text.data, body);
    assert_int_equal(out->n_ends, 1);
    outcome_free(out);
}

#define OK_HEAD "HTTP/1.1 200 OK\r\n"

static void get_has_no_body_and_post_has_one(void **state)
{
    struct answer a = answer(OK_HEAD "Content-Length: 2\r\n\r\nhi", FINISH_NEXT);
    struct fetch_request rq = {.max_bytes = 2,
                               .headers = {{STR("x-api-key"), STR("s3cret")},
                                           {STR("X-Empty"), STR("")},
                                           {STR("Authorization"), STR("Bearer b")},
                                           {STR("Accept-Language"), STR("de")}},
                               .n_headers = 4};
    struct outcome out;

    (void)state;
    serve_answers(&a, 1);
    rq.url = str_from(url);
    expect(&rq, &out, OK, 200, "hi");
    assert_non_null(strstr(server.request, "GET /hook?a=1 HTTP/1.1\r\n"));
    assert_non_null(strstr(server.request, "\r\nx-api-key: s3cret\r\n"));
    assert_non_null(strstr(server.request, "\r\nX-Empty:\r\n"));
    assert_non_null(strstr(server.request, "\r\nAuthorization: Bearer b\r\n"));
    assert_non_null(strstr(server.request, "\r\nAccept-Language: de\r\n"));
    assert_null(strcasestr(server.request, "content-"));
    assert_string_equal(strstr(server.request, "\r\n\r\n") + 4, "");

    rq.body = STR("{\"a\":1}");
    rq.n_headers = 0;
    expect(&rq, &out, OK, 200, "hi");
    assert_non_null(strstr(server.request, "POST /hook?a=1 HTTP/1.1\r\n"));
    assert_non_null(strstr(server.request, "\r\nContent-Type: application/json\r\n"));
    assert_null(strstr(server.request, "s3cret"));
    assert_string_equal(strstr(server.request, "\r\n\r\n") + 4, "{\"a\":1}");

    rq.body = STR("");
    expect(&rq, &out, OK, 200, "hi");
    assert_non_null(strstr(server.request, "\r\nContent-Length: 0\r\n"));
    server_stop(&server);
}

static void every_status_is_an_answer_with_its_body(void **state)
{
    static const struct {
        const char *answer;
        int http_status, retry_after_s;
        const char *body;
    } rows[] = {
        {"HTTP/1.1 204 No\r\n\r\n", 204, -1, ""},
        {"HTTP/1.1 202 Yes\r\nContent-Length: 2\r\n\r\nok", 202, -1, "ok"},
        {"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 5\r\n\r\nthere",
         302, -1, "there"},
        {"HTTP/1.1 429 No\r\nRetry-After: 17\r\nContent-Length: 4\r\n\r\nwait", 429, 17, "wait"},
        {"HTTP/1.1 500 No\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nbad\r\n4\r\nness\r\n0\r\n\r\n",
         500, -1, "badness"},
        {"HTTP/1.1 200 OK\r\n\r\nto the end", 200, -1, "to the end"},
    };
    struct outcome out;

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct answer a = answer(rows[i].answer, FINISH_CLOSE);
        struct fetch_request rq;

        serve_answers(&a, 1);
        rq = get();
        expect(&rq, &out, OK, rows[i].http_status, rows[i].body);
        server_stop(&server);
        assert_int_equal(out.retry_after_s, rows[i].retry_after_s);
        assert_int_equal(server.n_requests, 1);
    }
}

static void faults_have_their_names(void **state)
{
    static const struct {
        const char *answer;
        enum status status;
        int http_status;
    } rows[] = {
        {"", ERR_PROVIDER_UNREACHABLE, 0},
        {"hello", ERR_PROVIDER_MALFORMED, 0},
        {OK_HEAD "Conten", ERR_INTERRUPTED, 0},
        {OK_HEAD "Content-Length: 50\r\n\r\nhalf", ERR_INTERRUPTED, 200},
        {"HTTP/1.1 500 No\r\nContent-Length: 50\r\n\r\nhalf", ERR_INTERRUPTED, 500},
        {OK_HEAD "Content-Encoding: gzip\r\nContent-Length: 3\r\n\r\n\x1f\x8b\x08",
         ERR_PROVIDER_MALFORMED, 200},
    };
    struct outcome out;

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct answer a = answer(rows[i].answer, FINISH_CLOSE);
        struct fetch_request rq;

        print_message("%.20s\n", rows[i].answer);
        serve_answers(&a, 1);
        rq = get();
        expect(&rq, &out, rows[i].status, rows[i].http_status, "");
        server_stop(&server);
        assert_int_equal(server.n_requests, 1);
    }
}

static void a_body_has_a_bound(void **state)
{
    struct answer framed = answer(OK_HEAD "Content-Length: 10\r\n\r\n0123456789", FINISH_CLOSE);
    struct answer endless = answer(
        OK_HEAD "Transfer-Encoding: chunked\r\n\r\n5\r\n01234\r\n5\r\n56789\r\n", FINISH_HANG);
    struct fetch_request rq;
    struct outcome out;

    (void)state;
    serve_answers(&framed, 1);
    rq = get();
    rq.max_bytes = 10;
    expect(&rq, &out, OK, 200, "0123456789");
    rq.max_bytes = 9;
    expect(&rq, &out, ERR_UPSTREAM_LIMIT, 200, "");
    server_stop(&server);
    serve_answers(&endless, 1);
    rq.url = str_from(url);
    expect(&rq, &out, ERR_UPSTREAM_LIMIT, 200, "");
    server_stop(&server);
    assert_int_equal(server.n_closed_by_client, 1);
}

static void it_ends_in_time(void **state)
{
    struct answer rows[] = {
        answer("", FINISH_HANG),
        answer(OK_HEAD "Content-Length: 9\r\n\r\n", FINISH_HANG),
        answer(OK_HEAD "Content-Length: 9\r\n\r\nhalf", FINISH_HANG),
    };
    struct outcome out;

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct fetch_request rq;

        serve_answers(&rows[i], 1);
        rq = get();
        rq.timeout_ms = 100;
        expect(&rq, &out, ERR_PROVIDER_TIMEOUT, i == 0 ? 0 : 200, "");
        server_stop(&server);
        assert_true(out.took_ms >= 99); /* nothing else would end it */
    }
}

static void the_guard_stands(void **state)
{
    static const char *const unreachable[] = {"http://10.1.2.3/", "http://169.254.169.254/",
                                              "http://[::1]:1/", "http://nonexistent.invalid/"};
    static const char *const invalid[] = {"", "ftp://127.0.0.1/", "http://a:b@127.0.0.1/",
                                          "http://127.0.0.1/\r\nX: y"};
    struct answer a = answer(OK_HEAD "Content-Length: 2\r\n\r\nhi", FINISH_CLOSE);
    struct fetch_request rq = {.max_bytes = 10};
    struct outcome out;

    (void)state;
    for (size_t i = 0; i < sizeof(unreachable) / sizeof(unreachable[0]); i++) {
        rq.url = str_from(unreachable[i]);
        expect(&rq, &out, ERR_PROVIDER_UNREACHABLE, 0, "");
    }
    for (size_t i = 0; i < sizeof(invalid) / sizeof(invalid[0]); i++) {
        rq.url = str_from(invalid[i]);
        expect(&rq, &out, ERR_INVALID, 0, "");
    }
    serve_answers(&a, 1);
    rq.url = str_from(url);
    rq.n_headers = 1;
    rq.headers[0] = (struct fetch_header){STR("X-Key"), STR("a\r\nX-Evil: b")};
    expect(&rq, &out, ERR_INVALID, 0, "");
    rq.headers[0] = (struct fetch_header){STR("X-Evil: b\r\nX"), STR("a")};
    expect(&rq, &out, ERR_INVALID, 0, "");
    server_stop(&server);
    assert_int_equal(server.n_connections, 0);
}

static void cancel_ends_once_at_every_turn(void **state)
{
    struct answer a = {.bytes = STR(OK_HEAD "Content-Length: 20\r\n\r\n01234567890123456789"),
                       .piece_bytes = 7,
                       .finish = FINISH_HANG};
    bool completed = false;

    (void)state;
    for (unsigned turn = 1; !completed && turn < 500; turn++) {
        struct fetch_request rq;
        struct outcome out;

        serve_answers(&a, 1);
        rq = get();
        rq.body = STR("{}");
        ask(&(struct ask){.fetch = &rq, .cancel_at_turn = turn}, &out);
        server_stop(&server);
        assert_int_equal(out.n_ends, 1);
        completed = out.err.status == OK;
        if (!completed)
            assert_int_equal(out.err.status, ERR_STOPPED);
        outcome_free(&out);
    }
    assert_true(completed);
    for (unsigned turn = 1; turn < 4; turn++) {
        struct fetch_request rq = {.url = STR("http://nonexistent.invalid/"), .max_bytes = 10};
        struct outcome out;

        ask(&(struct ask){.fetch = &rq, .cancel_at_turn = turn}, &out);
        assert_int_equal(out.n_ends, 1);
        outcome_free(&out);
    }
}

/* The same state, again and again, on connections that are kept. */
static void it_may_be_used_again(void **state)
{
    struct answer a = answer("HTTP/1.1 500 No\r\nContent-Length: 3\r\n\r\nbad", FINISH_NEXT);
    struct fetch_request rq;
    struct outcome out;

    (void)state;
    serve_answers(&a, 1);
    rq = get();
    ask(&(struct ask){.fetch = &rq, .n_calls = 3}, &out);
    server_stop(&server);
    assert_int_equal(out.n_ends, 3);
    assert_string_equal(out.text.data, "badbadbad");
    assert_int_equal(server.n_connections, 1);
    outcome_free(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        UPSTREAM_TEST(get_has_no_body_and_post_has_one),
        UPSTREAM_TEST(every_status_is_an_answer_with_its_body),
        UPSTREAM_TEST(faults_have_their_names),
        UPSTREAM_TEST(a_body_has_a_bound),
        UPSTREAM_TEST(it_ends_in_time),
        UPSTREAM_TEST(the_guard_stands),
        UPSTREAM_TEST(cancel_ends_once_at_every_turn),
        UPSTREAM_TEST(it_may_be_used_again),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
