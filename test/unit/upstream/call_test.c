/* Whole calls over real sockets: what people get from n8n and from model providers, and from
 * faults. */
#include "harness.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

static struct server server;
static char url[64];

static void serve_answers(const struct answer *answers, size_t n)
{
    server_start(&server, answers, n);
    snprintf(url, sizeof(url), "http://127.0.0.1:%u/webhook/chat", server.port);
}

static struct answer answer(const char *bytes, enum finish finish)
{
    return (struct answer){.bytes = str_from(bytes), .finish = finish};
}

static void check_text(const struct outcome *out, enum status status, const char *text, unsigned n)
{
    assert_string_equal(out->text.data, text);
    if (out->err.status != status)
        print_error("%s\n", out->err.detail ? out->err.detail : "no detail");
    assert_int_equal(out->err.status, status);
    assert_int_equal(out->n_ends, n);
}

static void check(const struct outcome *out, enum status status, const char *text)
{
    check_text(out, status, text, 1);
}

/* Asks n8n once and checks. */
static void expect_slowly(const struct answer *a, unsigned turn_us, enum status status,
                          const char *text)
{
    struct outcome out;

    serve_answers(a, 1);
    ask(&(struct ask){.url = url, .turn_us = turn_us}, &out);
    server_stop(&server);
    check(&out, status, text);
    assert_int_equal(server.n_requests, 1);
    outcome_free(&out);
}

static void expect(const struct answer *a, enum status status, const char *text)
{
    expect_slowly(a, 0, status, text);
}

static void every_capture_gives_its_text_or_error(void **state)
{
    (void)state;
    for (size_t i = 0; i < n_captures; i++) {
        for (size_t piece = 0; piece < 2; piece++) {
            struct buf bytes = {0};
            struct answer a = {.piece_bytes = piece};

            capture_read(captures[i].name, &bytes);
            a.bytes = buf_str(&bytes);
            if (strstr(captures[i].name, "timeout"))
                a.finish = FINISH_HANG;
            print_message("%s\n", captures[i].name);
            expect(&a, captures[i].status, captures[i].text);
            buf_deinit(&bytes);
        }
    }
}

#define HEAD "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"

static void the_request_serves_webhooks_and_chat_triggers(void **state)
{
    struct answer a = answer(HEAD "Content-Length: 15\r\n\r\n{\"output\":\"hi\"}", FINISH_NEXT);
    struct outcome out;
    char *body;

    (void)state;
    serve_answers(&a, 1);
    ask(&(struct ask){.url = url, .token = "s3cret", .config = "{\"a\":1}", .content = "Grüße\n"},
        &out);
    server_stop(&server);
    check(&out, OK, "hi");
    assert_non_null(strstr(server.request, "POST /webhook/chat HTTP/1.1\r\n"));
    assert_non_null(strstr(server.request, "\r\nAuthorization: Bearer s3cret\r\n"));
    assert_non_null(strstr(server.request, "\r\nContent-Type: application/json\r\n"));
    assert_null(strcasestr(server.request, "accept-encoding"));
    assert_null(strcasestr(server.request, "expect:"));
    body = strstr(server.request, "\r\n\r\n") + 4;
    assert_string_equal(body,
                        "{\"messages\":[{\"role\":\"user\",\"content\":\"Grüße\\n\",\"timestamp\":"
                        "\"2025-01-01T10:00:00Z\"}],\"system_prompt\":\"You are helpful.\","
                        "\"config\":{\"a\":1},\"sessionId\":\"0198c0de-0000-7000-8000-"
                        "000000000001\",\"chatInput\":\"Grüße\\n\",\"action\":\"sendMessage\"}");
    outcome_free(&out);
}

static void connections_are_used_again(void **state)
{
    struct answer a = answer(HEAD "Content-Length: 15\r\n\r\n{\"output\":\"hi\"}", FINISH_NEXT);
    struct outcome out;

    (void)state;
    serve_answers(&a, 1);
    ask(&(struct ask){.url = url, .n_calls = 5}, &out);
    server_stop(&server);
    assert_int_equal(out.n_ends, 5);
    assert_string_equal(out.text.data, "hihihihihi");
    assert_int_equal(server.n_connections, 1);
    outcome_free(&out);
}

/* The loop sees it end, and has nothing to read from it. */
static void an_idle_connection_that_the_other_side_closes_does_not_keep_the_loop_awake(void **state)
{
    struct answer a = answer(HEAD "Content-Length: 15\r\n\r\n{\"output\":\"hi\"}", FINISH_CLOSE);
    struct outcome out;

    (void)state;
    serve_answers(&a, 1);
    ask(&(struct ask){.url = url, .rest_ms = 50}, &out);
    server_stop(&server);
    check_text(&out, OK, "hi", 1);
    assert_in_range(out.n_rest_turns, 0, 20);
    outcome_free(&out);
}

static void a_post_is_never_sent_twice(void **state)
{
    struct answer answers[] = {
        answer(HEAD "Content-Length: 15\r\n\r\n{\"output\":\"hi\"}", FINISH_NEXT),
        answer("", FINISH_CLOSE), /* the connection that is used again dies with the request */
        answer(HEAD "Content-Length: 15\r\n\r\n{\"output\":\"no\"}", FINISH_CLOSE),
    };
    struct outcome out;

    (void)state;
    serve_answers(answers, 3);
    ask(&(struct ask){.url = url, .n_calls = 2}, &out);
    server_stop(&server);
    assert_int_equal(out.err.status, ERR_PROVIDER_UNREACHABLE);
    assert_int_equal(server.n_requests, 2);
    outcome_free(&out);
}

static void statuses_become_codes(void **state)
{
    static const struct {
        const char *answer;
        enum status status;
        int code;
    } rows[] = {
        {"HTTP/1.1 204 No Content\r\n\r\n", ERR_EMPTY_REPLY, 204},
        {"HTTP/1.1 204 No Content\r\nContent-Length: 2\r\n\r\nhi", ERR_EMPTY_REPLY, 204},
        {"HTTP/1.1 202 Accepted\r\nContent-Length: 2\r\n\r\nhi", ERR_EMPTY_REPLY, 202},
        {"HTTP/1.1 206 Partial\r\nContent-Length: 2\r\n\r\nhi", ERR_EMPTY_REPLY, 206},
        {"HTTP/1.1 301 Moved\r\nLocation: http://127.0.0.1/\r\nContent-Length: 0\r\n\r\n",
         ERR_PROVIDER_ERROR, 301},
        {"HTTP/1.1 401 No\r\nContent-Length: 0\r\n\r\n", ERR_PROVIDER_AUTH, 401},
        {"HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n", ERR_PROVIDER_AUTH, 403},
        {"HTTP/1.1 404 No\r\nContent-Length: 900\r\n\r\n<html>", ERR_PROVIDER_ERROR, 404},
        {"HTTP/1.1 429 No\r\nRetry-After: 17\r\nContent-Length: 0\r\n\r\n",
         ERR_PROVIDER_RATE_LIMITED, 17},
        {"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n", ERR_PROVIDER_ERROR, 500},
        {"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 503 No\r\n\r\n", ERR_PROVIDER_ERROR,
         503},
        {"hello", ERR_PROVIDER_MALFORMED, -1},
        {"", ERR_PROVIDER_UNREACHABLE, -1},
        {"HTTP/1.1 2", ERR_PROVIDER_UNREACHABLE, -1},
        {"HTTP/1.1 100 Continue\r\n\r\n", ERR_PROVIDER_UNREACHABLE, -1},
        {"HTTP/1.1 200 OK\r\n", ERR_INTERRUPTED, -1},
        {"HTTP/1.1 200 OK\r\nConten", ERR_INTERRUPTED, -1},
        {HEAD "Content-Length: 50\r\n\r\n{\"output\"", ERR_INTERRUPTED, -1},
        {HEAD "\r\n{\"output\":\"hal", ERR_INTERRUPTED, -1}, /* ends with the connection */
        {HEAD "Content-Length: 14\r\n\r\n{\"output\":\"hal", ERR_PROVIDER_MALFORMED, -1},
        {HEAD "Content-Encoding: gzip\r\nContent-Length: 3\r\n\r\n\x1f\x8b\x08",
         ERR_PROVIDER_MALFORMED, -1},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct answer a = answer(rows[i].answer, FINISH_CLOSE);
        struct outcome out;

        serve_answers(&a, 1);
        ask(&(struct ask){.url = url}, &out);
        server_stop(&server);
        print_message("%.20s\n", rows[i].answer);
        check(&out, rows[i].status, "");
        if (rows[i].code >= 0)
            assert_int_equal(out.err.code, rows[i].code);
        assert_int_equal(server.n_requests, 1);
        outcome_free(&out);
    }
}

/* Its bytes must not be taken for the next answer. */
static void what_follows_an_answer_without_a_reply_goes_with_its_connection(void **state)
{
    struct answer answers[] = {
        answer("HTTP/1.1 204 No Content\r\n\r\n" HEAD "Content-Length: 3\r\n\r\nold", FINISH_NEXT),
        answer(HEAD "Content-Length: 3\r\n\r\nnew", FINISH_NEXT),
    };
    struct outcome out;

    (void)state;
    serve_answers(answers, 2);
    ask(&(struct ask){.url = url, .n_calls = 2}, &out);
    server_stop(&server);
    check_text(&out, OK, "new", 2);
    assert_int_equal(server.n_connections, 2);
    outcome_free(&out);
}

static void a_workflow_may_answer_201(void **state)
{
    struct answer a = answer("HTTP/1.1 201 Created\r\nContent-Length: 2\r\n\r\nhi", FINISH_CLOSE);

    (void)state;
    expect(&a, OK, "hi");
}

static void a_cut_keeps_the_text(void **state)
{
    struct answer a = answer(HEAD "Content-Length: 500\r\n\r\nSome plain text", FINISH_CLOSE);

    (void)state;
    expect(&a, ERR_INTERRUPTED, "Some plain text");
}

static void a_reset_is_told_by_how_far_the_answer_was(void **state)
{
    struct answer nothing = answer("", FINISH_RESET);
    struct answer line = answer("HTTP/1.1 200 OK\r\n", FINISH_RESET);
    struct answer head = answer(HEAD "Content-Length: 500\r\n\r\n", FINISH_RESET);

    (void)state;
    expect_slowly(&nothing, 5000, ERR_PROVIDER_UNREACHABLE, "");
    expect_slowly(&line, 5000, ERR_INTERRUPTED, "");
    expect_slowly(&head, 5000, ERR_INTERRUPTED, "");
}

/* The bytes and the reset are seen by one turn of the loop. */
static void a_reset_keeps_the_text_before_it(void **state)
{
    struct buf bytes = {0};
    struct answer a = {.finish = FINISH_RESET};
    char text[10001] = "";

    (void)state;
    memset(text, 'x', sizeof(text) - 1);
    buf_append_str(&bytes, STR(HEAD "Content-Length: 50000\r\n\r\n"));
    buf_append_str(&bytes, str_from(text));
    a.bytes = buf_str(&bytes);
    expect_slowly(&a, 5000, ERR_INTERRUPTED, text);
    buf_deinit(&bytes);
}

static void a_trailer_says_nothing_about_the_answer(void **state)
{
    struct answer a = answer(HEAD "Transfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n"
                                  "Content-Encoding: gzip\r\nHTTP/1.1 500: No\r\n\r\n",
                             FINISH_CLOSE);

    (void)state;
    expect(&a, OK, "hi");
}

#define GZIP                                                                                       \
    "\037\213\010\000\000\000\000\000\002\003\253\126\312\057\055\051\050\055\121\262\122\312\310" \
    "\124\252\005\000\256\223\327\352\017\000\000\000"

/* libcurl would unpack the second without being asked. */
static void compressed_answers_are_refused(void **state)
{
    static const struct str rows[] = {
        {HEAD "Content-Encoding: gzip\r\n\r\n" GZIP,
         sizeof(HEAD "Content-Encoding: gzip\r\n\r\n" GZIP) - 1},
        {HEAD "Transfer-Encoding: gzip\r\n\r\n" GZIP,
         sizeof(HEAD "Transfer-Encoding: gzip\r\n\r\n" GZIP) - 1},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct answer a = {.bytes = rows[i], .finish = FINISH_CLOSE};

        expect(&a, ERR_PROVIDER_MALFORMED, "");
    }
}

static void retry_after_may_be_a_date(void **state)
{
    time_t then = time(NULL) + 30;
    char bytes[256], date[64];
    struct answer a = {.finish = FINISH_CLOSE};
    struct outcome out;

    (void)state;
    strftime(date, sizeof(date), "%a, %d %b %Y %H:%M:%S GMT", gmtime(&then));
    snprintf(bytes, sizeof(bytes),
             "HTTP/1.1 429 No\r\nRetry-After: %s\r\nContent-Length: 0\r\n\r\n", date);
    a.bytes = str_from(bytes);
    serve_answers(&a, 1);
    ask(&(struct ask){.url = url}, &out);
    server_stop(&server);
    check(&out, ERR_PROVIDER_RATE_LIMITED, "");
    assert_in_range(out.err.code, 25, 31);
    outcome_free(&out);
}

static void silence_ends_at_the_deadline(void **state)
{
    struct answer none = answer("", FINISH_HANG);
    struct answer head = answer(HEAD "Content-Length: 500\r\n\r\n", FINISH_HANG);
    struct answer part = answer(HEAD "Content-Length: 500\r\n\r\nHello", FINISH_HANG);

    (void)state;
    test_config.upstream.first_byte_seconds = test_config.upstream.idle_seconds = 1;
    expect(&none, ERR_PROVIDER_TIMEOUT, "");
    expect(&head, ERR_PROVIDER_TIMEOUT, "");
    expect(&part, ERR_PROVIDER_TIMEOUT, "Hello");
    test_config.upstream.total_seconds = 1;
    test_config.upstream.idle_seconds = test_config.upstream.first_byte_seconds = 60;
    expect(&part, ERR_PROVIDER_TIMEOUT, "Hello");
}

static void done_does_not_wait_for_the_end(void **state)
{
    struct answer a =
        answer("HTTP/1.1 200 OK\r\nContent-Length: 999\r\n\r\ndata: {\"content\":\"Hi\"}\n\n"
               "data: [DONE]\n\ndata: {\"content\":\"no\"}\n\n",
               FINISH_HANG);

    (void)state;
    expect(&a, OK, "Hi");
}

static void too_much_is_a_limit(void **state)
{
    struct buf bytes = {0};
    struct answer a = {0};
    struct outcome out;

    (void)state;
    buf_append_str(&bytes, STR("HTTP/1.1 200 OK\r\n"));
    for (int i = 0; i < 3000; i++)
        buf_append_str(&bytes, STR("X-Filler: 0123456789012345678901234567890123456789\r\n"));
    a.bytes = buf_str(&bytes);
    a.finish = FINISH_HANG;
    expect(&a, ERR_UPSTREAM_LIMIT, "");

    buf_clear(&bytes);
    buf_append_str(&bytes, STR("HTTP/1.1 200 OK\r\nX: "));
    for (int i = 0; i < 1000 * 1000; i++)
        buf_append_char(&bytes, 'x');
    a.bytes = buf_str(&bytes);
    expect(&a, ERR_UPSTREAM_LIMIT, "");

    buf_clear(&bytes);
    buf_append_str(&bytes, STR(HEAD "Content-Length: 9999999\r\n\r\n"));
    for (int i = 0; i < 300; i++)
        buf_append_str(&bytes, STR("äöü"));
    a.bytes = buf_str(&bytes);
    test_config.upstream.reply_bytes = 1001;
    serve_answers(&a, 1);
    ask(&(struct ask){.url = url}, &out);
    server_stop(&server);
    assert_int_equal(out.err.status, ERR_UPSTREAM_LIMIT);
    assert_int_equal(out.text.len, 1000);
    outcome_free(&out);
    buf_deinit(&bytes);
}

static void nobody_there_is_unreachable(void **state)
{
    static const char *const urls[] = {
        "http://nonexistent.invalid/x",
        "http://127.0.0.1:1/x",
        "http://10.1.2.3/x",
        "http://[::1]:1/x",
        "http://[::ffff:127.0.0.1]:1/x",
        "ftp://127.0.0.1/",
        "http://169.254.169.254/latest",
        "not a url",
    };
    struct outcome out;

    (void)state;
    for (size_t i = 0; i < sizeof(urls) / sizeof(urls[0]); i++) {
        ask(&(struct ask){.url = urls[i]}, &out);
        print_message("%s\n", urls[i]);
        check(&out, ERR_PROVIDER_UNREACHABLE, "");
        outcome_free(&out);
    }
}

static void a_name_is_looked_up_and_guarded(void **state)
{
    struct answer a = answer(HEAD "Content-Length: 2\r\n\r\nhi", FINISH_CLOSE);
    struct outcome out;

    (void)state;
    serve_answers(&a, 1);
    snprintf(url, sizeof(url), "http://localhost:%u/x", server.port);
    ask(&(struct ask){.url = url}, &out);
    check(&out, OK, "hi");
    outcome_free(&out);
    harness_close();
    test_config.egress_networks.n = test_config.egress.allow.n = 0;
    assert_false(is_error(upstream_open()));
    ask(&(struct ask){.url = url}, &out);
    check(&out, ERR_PROVIDER_UNREACHABLE, "");
    outcome_free(&out);
    server_stop(&server);
    assert_int_equal(server.n_connections, 1);
}

static void cancel_ends_once_at_every_turn(void **state)
{
    struct buf bytes = {0};
    struct answer a = {.piece_bytes = 64, .finish = FINISH_HANG};
    unsigned turn = 1;
    bool completed = false;

    (void)state;
    capture_read("c1-stream-agent", &bytes);
    a.bytes = buf_str(&bytes);
    for (; !completed && turn < 500; turn++) {
        struct outcome out;

        serve_answers(&a, 1);
        ask(&(struct ask){.url = url, .cancel_at_turn = turn}, &out);
        server_stop(&server);
        assert_int_equal(out.n_ends, 1);
        completed = out.err.status == OK;
        if (!completed) {
            assert_int_equal(out.err.status, ERR_STOPPED);
            assert_true(out.took_ms < 1000); /* sooner than any deadline */
        }
        outcome_free(&out);
    }
    assert_true(completed);
    buf_deinit(&bytes);
}

static void cancel_from_a_piece_of_text(void **state)
{
    struct buf bytes = {0};
    struct answer a = {.piece_bytes = 170, .finish = FINISH_HANG};
    struct outcome out;

    (void)state;
    capture_read("c1-stream-agent", &bytes);
    a.bytes = buf_str(&bytes);
    serve_answers(&a, 1);
    ask(&(struct ask){.url = url, .cancel_at_piece = 1}, &out);
    server_stop(&server);
    assert_int_equal(out.err.status, ERR_STOPPED);
    assert_int_equal(out.n_pieces, 1);
    assert_int_equal(server.n_closed_by_client, 1);
    outcome_free(&out);
    ask(&(struct ask){.provider = "echo", .content = "a b c", .cancel_at_piece = 2}, &out);
    assert_int_equal(out.err.status, ERR_STOPPED);
    outcome_free(&out);
    for (unsigned turn = 1; turn < 4; turn++) {
        ask(&(struct ask){.url = "http://nonexistent.invalid/", .cancel_at_turn = turn}, &out);
        assert_int_equal(out.n_ends, 1);
        outcome_free(&out);
    }
    buf_deinit(&bytes);
}

static void echo_says_it_again(void **state)
{
    struct outcome out;

    (void)state;
    ask(&(struct ask){.provider = "echo", .content = "Grüße 🎉  an alle"}, &out);
    check(&out, OK, "Echo: Grüße 🎉  an alle");
    assert_int_equal(out.n_pieces, 5);
    outcome_free(&out);
    ask(&(struct ask){.provider = "echo", .config = "{\"text\":\"one two\",\"delay_ms\":0}"}, &out);
    check(&out, OK, "one two");
    outcome_free(&out);
}

#define CHUNK(text)                                                                                \
    "data: {\"model\":\"m-1\",\"choices\":[{\"delta\":{\"content\":\"" text "\"}}]}\n\n"
#define FINISH "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"length\"}]}\n\n"
#define USAGE                                                                                      \
    "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":2,"                \
    "\"total_tokens\":5}}\n\n"

static void a_model_streams(void **state)
{
    struct answer a = answer("HTTP/1.1 200 OK\r\n\r\n: hello\n\n" CHUNK("Hel") CHUNK("lo") USAGE
                             "data: [DONE]\n\n",
                             FINISH_CLOSE);
    struct outcome out;

    (void)state;
    serve_answers(&a, 1);
    snprintf(url, sizeof(url), "http://127.0.0.1:%u/v1/", server.port);
    ask(&(struct ask){.provider = "openai",
                      .url = url,
                      .token = "key",
                      .model = "gpt",
                      .config = "{\"temperature\":0.5,\"on_disconnect\":\"abort\"}"},
        &out);
    server_stop(&server);
    check(&out, OK, "Hello");
    assert_int_equal(out.usage.total_tokens, 5);
    assert_string_equal(out.model, "m-1");
    assert_non_null(strstr(server.request, "POST /v1/chat/completions HTTP/1.1\r\n"));
    assert_string_equal(strstr(server.request, "\r\n\r\n") + 4,
                        "{\"model\":\"gpt\",\"messages\":[{\"role\":\"system\",\"content\":\"You "
                        "are helpful.\"},{\"role\":\"user\",\"content\":\"Hello\"}],\"stream\":"
                        "true,\"stream_options\":{\"include_usage\":true},\"temperature\":0.5}");
    outcome_free(&out);
}

static void a_model_is_asked_again_before_the_first_token(void **state)
{
    struct answer busy_then_well[] = {
        answer("HTTP/1.1 429 No\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n", FINISH_CLOSE),
        answer("HTTP/1.1 502 No\r\nContent-Length: 0\r\n\r\n", FINISH_CLOSE),
        answer("HTTP/1.1 200 OK\r\n\r\n" CHUNK("Hi") "data: [DONE]\n\n", FINISH_CLOSE),
    };
    struct answer always_busy =
        answer("HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n", FINISH_CLOSE);
    struct answer long_wait =
        answer("HTTP/1.1 429 No\r\nRetry-After: 60\r\nContent-Length: 0\r\n\r\n", FINISH_CLOSE);
    struct outcome out;

    (void)state;
    serve_answers(busy_then_well, 3);
    ask(&(struct ask){.provider = "openai_compatible", .url = url, .model = "m"}, &out);
    server_stop(&server);
    check(&out, OK, "Hi");
    assert_non_null(strstr(out.status.data, "in 1 s"));
    assert_int_equal(server.n_requests, 3);
    outcome_free(&out);

    serve_answers(&always_busy, 1);
    ask(&(struct ask){.provider = "openai_compatible", .url = url, .model = "m"}, &out);
    server_stop(&server);
    check(&out, ERR_PROVIDER_ERROR, "");
    assert_int_equal(server.n_requests, 3);
    outcome_free(&out);

    serve_answers(&long_wait, 1);
    ask(&(struct ask){.provider = "openai_compatible", .url = url, .model = "m"}, &out);
    server_stop(&server);
    check(&out, ERR_PROVIDER_RATE_LIMITED, "");
    assert_int_equal(out.err.code, 60);
    assert_int_equal(server.n_requests, 1);
    outcome_free(&out);
}

/* Without framing, an end of the connection says nothing; the provider's own words do. */
static void a_model_that_stops_without_an_end_is_interrupted(void **state)
{
    static const struct {
        const char *answer;
        enum status status;
    } rows[] = {
        {"HTTP/1.1 200 OK\r\n\r\n" CHUNK("Hi"), ERR_INTERRUPTED},
        {"HTTP/1.1 200 OK\r\n\r\n" CHUNK("Hi") FINISH, OK},
        {"HTTP/1.1 200 OK\r\n\r\n" CHUNK("Hi") "data: [DONE]\n\n", OK},
        {"HTTP/1.1 200 OK\r\nContent-Length: 62\r\n\r\n" CHUNK("Hi"), OK},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct answer a = answer(rows[i].answer, FINISH_CLOSE);
        struct outcome out;

        serve_answers(&a, 1);
        ask(&(struct ask){.provider = "openai_compatible", .url = url, .model = "m"}, &out);
        server_stop(&server);
        check(&out, rows[i].status, "Hi");
        outcome_free(&out);
    }
}

static void a_model_needs_a_key_and_a_model(void **state)
{
    struct outcome out;

    (void)state;
    ask(&(struct ask){.provider = "groq", .model = "m"}, &out);
    check(&out, ERR_PROVIDER_AUTH, "");
    outcome_free(&out);
    ask(&(struct ask){.provider = "openai", .token = "key", .url = "http://127.0.0.1:1"}, &out);
    check(&out, ERR_PROVIDER_ERROR, "");
    outcome_free(&out);
    ask(&(struct ask){.provider = "n8n"}, &out);
    check(&out, ERR_PROVIDER_UNREACHABLE, "");
    outcome_free(&out);
    ask(&(struct ask){.url = "http://127.0.0.1:1/", .token = "a\r\nX: b"}, &out);
    check(&out, ERR_PROVIDER_AUTH, "");
    outcome_free(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        UPSTREAM_TEST(every_capture_gives_its_text_or_error),
        UPSTREAM_TEST(the_request_serves_webhooks_and_chat_triggers),
        UPSTREAM_TEST(connections_are_used_again),
        UPSTREAM_TEST(an_idle_connection_that_the_other_side_closes_does_not_keep_the_loop_awake),
        UPSTREAM_TEST(a_post_is_never_sent_twice),
        UPSTREAM_TEST(statuses_become_codes),
        UPSTREAM_TEST(what_follows_an_answer_without_a_reply_goes_with_its_connection),
        UPSTREAM_TEST(a_workflow_may_answer_201),
        UPSTREAM_TEST(a_cut_keeps_the_text),
        UPSTREAM_TEST(a_reset_is_told_by_how_far_the_answer_was),
        UPSTREAM_TEST(a_reset_keeps_the_text_before_it),
        UPSTREAM_TEST(a_trailer_says_nothing_about_the_answer),
        UPSTREAM_TEST(compressed_answers_are_refused),
        UPSTREAM_TEST(retry_after_may_be_a_date),
        UPSTREAM_TEST(silence_ends_at_the_deadline),
        UPSTREAM_TEST(done_does_not_wait_for_the_end),
        UPSTREAM_TEST(too_much_is_a_limit),
        UPSTREAM_TEST(nobody_there_is_unreachable),
        UPSTREAM_TEST(a_name_is_looked_up_and_guarded),
        UPSTREAM_TEST(cancel_ends_once_at_every_turn),
        UPSTREAM_TEST(cancel_from_a_piece_of_text),
        UPSTREAM_TEST(echo_says_it_again),
        UPSTREAM_TEST(a_model_streams),
        UPSTREAM_TEST(a_model_is_asked_again_before_the_first_token),
        UPSTREAM_TEST(a_model_that_stops_without_an_end_is_interrupted),
        UPSTREAM_TEST(a_model_needs_a_key_and_a_model),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
