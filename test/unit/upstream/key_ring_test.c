/* Whose turn it is among a provider's keys, with the clock in hand; and whole calls that need it.
 */
#include "harness.h"
#include "upstream/keys.h"

#include <stdio.h>
#include <string.h>

static const struct str abc[] = {{"a", 1}, {"b", 1}, {"c", 1}};
static const struct key_ring ring = {
    .provider = "openai", .url = {"", 0}, .keys = abc, .n_keys = 3};

/* The next key as a letter, '-' for none. */
static char next(uint64_t now_ms)
{
    int i = keys_choose(&ring, 0, now_ms);

    return i < 0 ? '-' : abc[i].ptr[0];
}

static void expect_turns(const char *turns, uint64_t now_ms)
{
    for (; *turns; turns++)
        assert_int_equal(next(now_ms), *turns);
}

static void keys_take_turns(void **state)
{
    const struct key_ring two = {
        .provider = "openai", .url = {"", 0}, .keys = abc + 1, .n_keys = 2};

    (void)state;
    expect_turns("abcabc", 1);
    assert_int_equal(keys_choose(&two, 0, 1), 0);
    /* Another pool with a key in common: b was just used. */
    expect_turns("acb", 1);
    assert_int_equal(keys_choose(&ring, 1, 1), 2);
    assert_int_equal(keys_choose(&ring, 7, 1), -1);
    assert_int_equal(keys_rest_ms(&ring, 1), 0);
}

static void a_limited_key_rests_as_long_as_told(void **state)
{
    (void)state;
    keys_note(&ring, 0, KEY_LIMITED, 7, 1000);
    keys_note(&ring, 1, KEY_LIMITED, 3, 1000);
    keys_note(&ring, 1, KEY_LIMITED, 1, 1000); /* came later, says less */
    expect_turns("cc", 1000);
    assert_int_equal(keys_rest_ms(&ring, 1000), 0);
    keys_note(&ring, 2, KEY_LIMITED, 5, 1000);
    expect_turns("-", 1001);
    assert_int_equal(keys_rest_ms(&ring, 1001), 2999);
    expect_turns("bb", 4000);
    expect_turns("cb", 6000);
    expect_turns("acb", 8000);
    keys_note(&ring, 0, KEY_LIMITED, 24 * 60 * 60, 8000);
    expect_turns("cbcb", 8000 + 3599999);
    expect_turns("a", 8000 + 3600000);
}

static void a_rest_that_nobody_named_doubles(void **state)
{
    const struct key_ring one = {.provider = "openai", .url = {"", 0}, .keys = abc, .n_keys = 1};
    uint64_t now = 1000, rest;

    (void)state;
    for (rest = 20; rest <= 1280; rest *= 2) {
        keys_note(&one, 0, KEY_LIMITED, -1, now);
        assert_int_equal(keys_rest_ms(&one, now), rest);
        keys_note(&one, 0, KEY_LIMITED, -1, now); /* one of many that were under way */
        assert_int_equal(keys_rest_ms(&one, now), rest);
        now += rest;
        assert_int_equal(keys_choose(&one, 0, now), 0);
    }
    keys_note(&one, 0, KEY_LIMITED, -1, now);
    assert_int_equal(keys_rest_ms(&one, now), 2000); /* upstream.backoff_max_ms */
    keys_note(&one, 0, KEY_LIMITED, -1, now + 4001);
    assert_int_equal(keys_rest_ms(&one, now + 4001), 20);
}

static void a_refused_key_is_the_last_resort(void **state)
{
    (void)state;
    keys_note(&ring, 1, KEY_REFUSED, -1, 1000);
    expect_turns("acac", 2000);
    keys_note(&ring, 0, KEY_FAILED, -1, 2000);
    expect_turns("ccc", 2000);
    assert_int_equal(keys_choose(&ring, 4, 2000), 0); /* rather one that failed */
    expect_turns("cac", 4000);
    keys_note(&ring, 0, KEY_LIMITED, 5, 5000);
    keys_note(&ring, 2, KEY_LIMITED, 6, 5000);
    expect_turns("-", 5000); /* one that comes back is worth the wait */
    assert_int_equal(keys_rest_ms(&ring, 5000), 5000);
    keys_note(&ring, 0, KEY_REFUSED, -1, 20000);
    keys_note(&ring, 2, KEY_REFUSED, -1, 20000);
    assert_int_equal(keys_choose(&ring, 1, 20000), -1);
    expect_turns("bac", 20000); /* all of them: the provider may have changed its mind */
    assert_int_equal(keys_rest_ms(&ring, 20000), 0);
    expect_turns("bbb", 301000);
}

static void the_same_key_elsewhere_is_another(void **state)
{
    const struct key_ring elsewhere = {
        .provider = "openai", .url = {"http://x", 8}, .keys = abc, .n_keys = 1};
    const struct key_ring keyless = {.provider = "openai_compatible", .url = {"http://x", 8}};

    (void)state;
    keys_note(&elsewhere, 0, KEY_LIMITED, 5, 1000);
    assert_int_equal(keys_choose(&elsewhere, 0, 1000), -1);
    expect_turns("a", 1000);
    assert_int_equal(keys_choose(&keyless, 0, 1000), 0);
    keys_note(&keyless, 0, KEY_LIMITED, 5, 1000);
    assert_int_equal(keys_choose(&keyless, 0, 1000), -1);
    assert_int_equal(keys_rest_ms(&keyless, 1000), 5000);
}

/* The table is bounded: what was known longest ago is forgotten. */
static void the_table_is_bounded(void **state)
{
    char text[32];
    struct str key;
    struct key_ring one = {.provider = "openai", .url = {"", 0}, .keys = &key, .n_keys = 1};

    (void)state;
    for (int i = 0; i <= 4096; i++) {
        snprintf(text, sizeof(text), "key %d", i);
        key = str_from(text);
        keys_note(&one, 0, KEY_LIMITED, 60, 1000);
    }
    assert_int_equal(keys_choose(&one, 0, 1000), -1);
    key = STR("key 1");
    assert_int_equal(keys_choose(&one, 0, 1000), -1);
    key = STR("key 0");
    assert_int_equal(keys_choose(&one, 0, 1000), 0);
}

/* ---- whole calls ---- */

static struct server server;
static char url[64];
static const struct str two_keys[] = {{"key-1", 5}, {"key-2", 5}};

#define NONE "Content-Length: 0\r\n\r\n"
#define GOOD                                                                                       \
    "HTTP/1.1 200 OK\r\nContent-Length: 67\r\n\r\n"                                                \
    "data: {\"choices\":[{\"delta\":{\"content\":\"Hello\"}}]}\n\ndata: [DONE]\n\n  "

static struct answer answer(const char *bytes)
{
    return (struct answer){.bytes = str_from(bytes), .finish = FINISH_CLOSE};
}

/* Two keys unless it says otherwise. */
static void call(const struct answer *answers, size_t n, struct ask *what, struct outcome *out)
{
    server_start(&server, answers, n);
    snprintf(url, sizeof(url), "http://127.0.0.1:%u/v1", server.port);
    what->provider = what->provider ? what->provider : "openai";
    what->url = url;
    what->model = "m";
    what->tokens = two_keys;
    if (what->n_tokens == 0)
        what->n_tokens = 2;
    ask(what, out);
    server_stop(&server);
    assert_int_equal(out->n_ends, what->n_calls ? what->n_calls : 1);
}

static void expect(const struct answer *answers, size_t n, size_t n_keys, unsigned n_requests,
                   enum status status, const char *text)
{
    struct outcome out;

    call(answers, n, &(struct ask){.n_tokens = n_keys}, &out);
    if (out.err.status != status)
        print_error("%d %s\n", out.err.status, out.err.detail);
    assert_int_equal(out.err.status, status);
    assert_string_equal(out.text.data, text);
    assert_int_equal(server.n_requests, n_requests);
    outcome_free(&out);
}

static void another_key_comes_first_and_at_once(void **state)
{
    static const char *const firsts[] = {
        "HTTP/1.1 429 No\r\nRetry-After: 60\r\n" NONE,
        "HTTP/1.1 401 No\r\n" NONE,
        "HTTP/1.1 403 No\r\n" NONE,
        "HTTP/1.1 500 No\r\n" NONE,
        "HTTP/1.1 503 No\r\nRetry-After: 60\r\n" NONE,
        "HTTP/1.1 529 No\r\n" NONE,
        "",
        "HTTP/1.1 2",
        "HTTP/1.1 200 OK\r\nContent-Length: 67\r\n\r\ndata: {",
    };

    (void)state;
    test_config.upstream.retries = 0;
    for (size_t i = 0; i < sizeof(firsts) / sizeof(firsts[0]); i++) {
        struct answer answers[] = {answer(firsts[i]), answer(GOOD)};
        struct outcome out;

        print_message("%.20s\n", firsts[i]);
        call(answers, 2, &(struct ask){0}, &out);
        assert_int_equal(out.err.status, OK);
        assert_string_equal(out.text.data, "Hello");
        assert_string_equal(out.status.data, "The model provider is busy. Trying another key...");
        assert_int_equal(server.n_requests, 2);
        assert_non_null(strstr(server.request, "\r\nAuthorization: Bearer key-2\r\n"));
        assert_true(out.took_ms < 10000); /* a rest is a minute, and nothing else is waited for */
        outcome_free(&out);
    }
}

static void what_another_key_cannot_help_is_not_asked_again(void **state)
{
    static const struct {
        const char *answer;
        enum status status;
        const char *text;
    } rows[] = {
        {"HTTP/1.1 400 No\r\n" NONE, ERR_PROVIDER_ERROR, ""},
        {"HTTP/1.1 404 No\r\n" NONE, ERR_PROVIDER_ERROR, ""},
        {"HTTP/1.1 302 No\r\n" NONE, ERR_PROVIDER_ERROR, ""},
        {"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n"
         "data: {\"choices\":[{\"delta\":{\"content\":\"Hel\"}}]}\n\n",
         ERR_INTERRUPTED, "Hel"},
        {"nonsense", ERR_PROVIDER_MALFORMED, ""},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct answer a = answer(rows[i].answer);

        expect(&a, 1, 2, 1, rows[i].status, rows[i].text);
    }
}

static void then_it_waits_and_the_error_tells_how_long(void **state)
{
    struct answer limited[] = {answer("HTTP/1.1 429 No\r\nRetry-After: 60\r\n" NONE),
                               answer("HTTP/1.1 429 No\r\nRetry-After: 30\r\n" NONE)};
    struct answer soon[] = {answer("HTTP/1.1 429 No\r\nRetry-After: 2\r\n" NONE),
                            answer("HTTP/1.1 401 No\r\n" NONE), answer(GOOD)};
    struct answer refused[] = {answer("HTTP/1.1 401 No\r\n" NONE),
                               answer("HTTP/1.1 403 No\r\n" NONE)};
    struct answer failing = answer("HTTP/1.1 500 No\r\n" NONE);
    struct answer failing_long[] = {answer("HTTP/1.1 503 No\r\nRetry-After: 60\r\n" NONE),
                                    answer("HTTP/1.1 503 No\r\nRetry-After: 60\r\n" NONE)};
    struct outcome out;

    (void)state;
    call(limited, 2, &(struct ask){.n_calls = 2}, &out);
    assert_int_equal(out.err.status, ERR_PROVIDER_RATE_LIMITED);
    assert_in_range(out.err.code, 10, 30); /* of the key that rests less, less what has passed */
    assert_int_equal(server.n_requests, 2); /* the second call asked nobody */
    outcome_free(&out);

    call(soon, 3, &(struct ask){0}, &out);
    assert_int_equal(out.err.status, OK);
    assert_int_equal(server.n_requests, 3);
    assert_non_null(strstr(server.request, "Bearer key-1\r\n"));
    assert_non_null(strstr(out.status.data, "Trying another key..."));
    assert_non_null(strstr(out.status.data, "Trying again in 2 s..."));
    assert_in_range(out.took_ms, 1990, 20000);
    outcome_free(&out);

    expect(refused, 2, 2, 2, ERR_PROVIDER_AUTH, "");
    expect(&failing, 1, 2, 2 * 3, ERR_PROVIDER_ERROR, "");
    expect(failing_long, 2, 2, 2, ERR_PROVIDER_ERROR, "");
    test_config.upstream.retries = 0;
    expect(&failing, 1, 1, 1, ERR_PROVIDER_ERROR, "");
}

static void n8n_is_asked_once_whatever_it_says(void **state)
{
    static const char *const rows[] = {"HTTP/1.1 429 No\r\nRetry-After: 1\r\n" NONE,
                                       "HTTP/1.1 500 No\r\n" NONE, "", "HTTP/1.1 401 No\r\n" NONE};

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct answer answers[] = {answer(rows[i]), answer(rows[i])};
        struct outcome out;

        call(answers, 2, &(struct ask){.provider = "n8n", .n_calls = 2}, &out);
        assert_int_equal(server.n_requests, 2); /* one a call: it has no cooldown either */
        assert_int_not_equal(out.err.status, OK);
        outcome_free(&out);
    }
}

static void the_configurations_keys_go_to_the_provider_alone(void **state)
{
    static struct str pool[] = {{"conf-1", 6}, {"conf-2", 6}};
    struct answer a = answer(GOOD);
    struct outcome out;

    (void)state;
    server_start(&server, &a, 1);
    snprintf(url, sizeof(url), "http://127.0.0.1:%u/v1", server.port);
    test_config.ai_services.groq =
        (struct config_service){.api_key = {pool, 2}, .base_url = str_from(url)};
    ask(&(struct ask){.provider = "groq", .model = "m"}, &out);
    assert_int_equal(out.err.status, OK);
    assert_non_null(strstr(server.request, "Bearer conf-1\r\n"));
    outcome_free(&out);
    ask(&(struct ask){.provider = "groq", .model = "m"}, &out);
    assert_int_equal(out.err.status, OK);
    assert_non_null(strstr(server.request, "Bearer conf-2\r\n"));
    outcome_free(&out);
    ask(&(struct ask){.provider = "groq", .model = "m", .token = "own"}, &out);
    assert_non_null(strstr(server.request, "Bearer own\r\n"));
    outcome_free(&out);
    assert_int_equal(server.n_requests, 3);
    ask(&(struct ask){.provider = "groq", .model = "m", .url = url}, &out);
    assert_int_equal(out.err.status, ERR_PROVIDER_AUTH);
    assert_int_equal(server.n_requests, 3);
    outcome_free(&out);
    server_stop(&server);
}

/* While it waits and while it asks with another key, too. */
static void cancel_ends_once_at_every_turn(void **state)
{
    struct answer answers[] = {answer("HTTP/1.1 500 No\r\n" NONE),
                               answer("HTTP/1.1 500 No\r\n" NONE), answer(GOOD)};
    bool completed = false;

    (void)state;
    for (unsigned turn = 1; !completed && turn < 500; turn++) {
        struct outcome out;

        call(answers, 3, &(struct ask){.cancel_at_turn = turn}, &out);
        completed = out.err.status == OK;
        if (!completed)
            assert_int_equal(out.err.status, ERR_STOPPED);
        outcome_free(&out);
    }
    assert_true(completed);
}

static void a_url_tells_whose_keys_fit(void **state)
{
    static const char *const cases[][2] = {
        {"https://api.openai.com/v1", "openai"},
        {"https://generativelanguage.googleapis.com/v1beta/openai", "gemini"},
        {"https://api.openai.com/v1.evil.test", "openai_compatible"},
        {"https://api.openai.com", "openai_compatible"},
        {"http://10.0.0.1/v1", "openai_compatible"},
        {"", "openai_compatible"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        assert_string_equal(provider_name(provider_of_url(str_from(cases[i][0]))), cases[i][1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        UPSTREAM_TEST(keys_take_turns),
        UPSTREAM_TEST(a_limited_key_rests_as_long_as_told),
        UPSTREAM_TEST(a_rest_that_nobody_named_doubles),
        UPSTREAM_TEST(a_refused_key_is_the_last_resort),
        UPSTREAM_TEST(the_same_key_elsewhere_is_another),
        UPSTREAM_TEST(the_table_is_bounded),
        UPSTREAM_TEST(another_key_comes_first_and_at_once),
        UPSTREAM_TEST(what_another_key_cannot_help_is_not_asked_again),
        UPSTREAM_TEST(then_it_waits_and_the_error_tells_how_long),
        UPSTREAM_TEST(n8n_is_asked_once_whatever_it_says),
        UPSTREAM_TEST(the_configurations_keys_go_to_the_provider_alone),
        UPSTREAM_TEST(a_url_tells_whose_keys_fit),
        UPSTREAM_TEST(cancel_ends_once_at_every_turn),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
