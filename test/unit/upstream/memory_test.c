/* Every allocation of a call made to fail once: it ends once, says so truly, and leaks nothing. */
#include "../allocs.h"
#include "harness.h"

#include <stdio.h>
#include <string.h>

static struct server server;
static char url[64];

/* What a failed allocation may look like to people: never that the agent's answer was bad. */
static bool is_true(enum status status)
{
    return status == ERR_NO_MEMORY || status == ERR_PROVIDER_UNREACHABLE || status == ERR_BUSY ||
           status == ERR_INTERRUPTED || status == ERR_UPSTREAM_LIMIT;
}

/* Returns how many allocations were made to fail. */
static void sweep(const struct ask *what, const char *text)
{
    for (unsigned long at = 1;; at++) {
        struct outcome out;

        allocs_reset(at);
        ask(what, &out);
        assert_int_equal(out.n_ends, 1);
        if (out.err.status == OK) {
            assert_string_equal(out.text.data, text);
        } else {
            assert_true(allocs_failed());
            if (!is_true(out.err.status))
                print_error("allocation %lu: %d %s\n", at, (int)out.err.status,
                            out.err.detail ? out.err.detail : "");
            assert_true(is_true(out.err.status));
            assert_int_equal(strncmp(out.text.data, text, out.text.len), 0);
        }
        outcome_free(&out);
        if (!allocs_failed())
            return;
    }
}

static void sweep_answer(const struct answer *a, const struct ask *what, const char *text)
{
    struct ask with_url = *what;

    server_start(&server, a, 1);
    snprintf(url, sizeof(url), "http://127.0.0.1:%u/x", server.port);
    with_url.url = with_url.url ? with_url.url : url;
    with_url.watch = allocs_watch;
    sweep(&with_url, text);
    server_stop(&server);
}

#define HEAD              "HTTP/1.1 200 OK\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
#define CHUNK(size, text) size "\r\n" text "\r\n"
#define ITEM              "{\"type\":\"item\",\"content\":\"ab\"}\n"

static void a_stream_of_lines_survives_every_allocation(void **state)
{
    struct answer a = {.bytes = STR(HEAD CHUNK("7", "{\"type\"") CHUNK("9", ":\"begin\"}") CHUNK(
                           "1", "\n") CHUNK("1f", ITEM) CHUNK("1f", ITEM) CHUNK("0", "")),
                       .piece_bytes = 40};

    (void)state;
    sweep_answer(&a, &(struct ask){.token = "t"}, "abab");
}

static void one_value_survives_every_allocation(void **state)
{
    struct answer a = {.bytes = STR("HTTP/1.1 200 OK\r\nContent-Length: 21\r\n\r\n"
                                    "{\"output\":\"\xff\\ud83d\"}\n")};

    (void)state;
    sweep_answer(&a, &(struct ask){0}, "\xEF\xBF\xBD\xEF\xBF\xBD");
}

static void a_model_survives_every_allocation(void **state)
{
    static const struct str keys[] = {{"key-1", 5}, {"key-2", 5}};
    struct answer a = {
        .bytes = STR("HTTP/1.1 200 OK\r\nContent-Length: 91\r\n\r\n"
                     "data: {\"choices\":[{\"delta\":{\"content\":\"Hi\"}}]}\n\n"
                     "data: {\"usage\":{}}\n\ndata: [DONE]\n\n        \n"),
        .piece_bytes = 50,
    };

    (void)state;
    sweep_answer(&a,
                 &(struct ask){.provider = "openai_compatible",
                               .model = "m",
                               .tokens = keys,
                               .n_tokens = 2,
                               .config = "{\"temperature\":0.5,\"stop\":[\"a\"]}"},
                 "Hi");
}

static void a_name_survives_every_allocation(void **state)
{
    struct answer a = {.bytes = STR("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi")};
    char name[64];

    (void)state;
    server_start(&server, &a, 1);
    snprintf(name, sizeof(name), "http://localhost:%u/x", server.port);
    sweep(&(struct ask){.url = name, .watch = allocs_watch}, "hi");
    server_stop(&server);
}

static void a_fetch_survives_every_allocation(void **state)
{
    struct answer a = {.bytes = STR("HTTP/1.1 500 No\r\nContent-Length: 6\r\n\r\nno, no"),
                       .piece_bytes = 40};
    struct fetch_request rq = {.body = STR("{}"),
                               .headers = {{STR("x-api-key"), STR("k")}, {STR("X"), STR("")}},
                               .n_headers = 2,
                               .max_bytes = 100};

    (void)state;
    server_start(&server, &a, 1);
    snprintf(url, sizeof(url), "http://127.0.0.1:%u/x", server.port);
    rq.url = str_from(url);
    sweep(&(struct ask){.fetch = &rq, .watch = allocs_watch}, "no, no");
    server_stop(&server);
}

static void the_echo_survives_every_allocation(void **state)
{
    (void)state;
    sweep(&(struct ask){.provider = "echo",
                        .config = "{\"delay_ms\":0}",
                        .content = "a b",
                        .watch = allocs_watch},
          "Echo: a b");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        UPSTREAM_TEST(a_stream_of_lines_survives_every_allocation),
        UPSTREAM_TEST(one_value_survives_every_allocation),
        UPSTREAM_TEST(a_model_survives_every_allocation),
        UPSTREAM_TEST(a_name_survives_every_allocation),
        UPSTREAM_TEST(a_fetch_survives_every_allocation),
        UPSTREAM_TEST(the_echo_survives_every_allocation),
    };

    allocs_take_over_curl();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
