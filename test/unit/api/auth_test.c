/* The door: whom it lets in, by which credentials, from which page. */
#include "account/revocation.h"
#include "account/token_cache.h"
#include "api/auth.h"
#include "base/clock.h"

#include "fake_request.h"

static struct fake fake;
static bool is_signed;
static struct caller who;
static struct str token;
static struct arena arena;

static int set_up(void **state)
{
    static struct str allowed[] = {STR("https://shop.example"), STR("http://localhost:3000")};

    (void)state;
    fake_init(&fake);
    fake_config.security.secret = STR("0123456789abcdef0123456789abcdef");
    fake_config.security.access_seconds = 1800;
    fake_config.allowed_origins = (struct config_list){allowed, 2};
    who = (struct caller){.user_id = id_v7(), .team_id = id_v4(), .family = id_v7()};
    token = token_issue(&arena, &who, clock_wall_us());
    fake.route.who = WHO_USER;
    fake.req.method = HTTP_GET;
    fake.headers[0] = (struct fake_row){"Host", "aerie.example:8000"};
    fake_config.limits.remembered_tokens = 16;
    return is_error(revocation_open()) || is_error(token_cache_open());
}

static int tear_down(void **state)
{
    (void)state;
    token_cache_close();
    revocation_close();
    fake_deinit(&fake);
    arena_free(&arena);
    return 0;
}

/* Stands in for api/peer.c. */
bool peer_is_signed(struct request *req);
bool peer_is_signed(struct request *req)
{
    (void)req;
    return is_signed;
}

static enum status ask(void)
{
    fake.req.caller = NULL;
    return api_on_head(&fake.req).status;
}

static void by_header(struct str t)
{
    fake.headers[1] =
        (struct fake_row){"Authorization", arena_printf(&arena, "Bearer %.*s", STR_ARG(t)).ptr};
}

static void by_cookie(struct str t)
{
    fake.cookies[0] = (struct fake_row){"access_token", arena_copy(&arena, t).ptr};
}

static void what_is_another_listeners_is_not_there(void **state)
{
    /* Where it comes in, and what it asks for: clients', metrics' and peers' listeners. */
    static const struct {
        enum who who;
        enum status at[4], with_own_listener[4];
    } all[] = {
        {WHO_USER, {OK, OK, ERR_NOT_FOUND, ERR_NOT_FOUND}, {OK, OK, ERR_NOT_FOUND, ERR_NOT_FOUND}},
        {WHO_MONITOR, {OK, OK, OK, ERR_NOT_FOUND}, {OK, OK, OK, ERR_NOT_FOUND}},
        {WHO_METRICS,
         {OK, OK, OK, ERR_NOT_FOUND},
         {ERR_NOT_FOUND, ERR_NOT_FOUND, OK, ERR_NOT_FOUND}},
        {WHO_PEER,
         {ERR_NOT_FOUND, ERR_NOT_FOUND, ERR_NOT_FOUND, OK},
         {ERR_NOT_FOUND, ERR_NOT_FOUND, ERR_NOT_FOUND, OK}},
    };

    (void)state;
    by_header(token);
    is_signed = true;
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
        for (unsigned at = LISTENER_PLAIN; at <= LISTENER_PEER; at++) {
            fake.route.who = all[i].who;
            fake.req.listener = (enum listener_kind)at;
            fake_config.metrics.listen = STR("");
            assert_int_equal(ask(), all[i].at[at]);
            fake_config.metrics.listen = STR("127.0.0.1:9090");
            assert_int_equal(ask(), all[i].with_own_listener[at]);
        }
    fake_config.metrics.listen = STR("");
    fake.req.listener = LISTENER_PEER;
    is_signed = false;
    assert_int_equal(ask(), ERR_NOT_FOUND);
}

static void a_token_lets_in_by_header_or_cookie(void **state)
{
    (void)state;
    assert_int_equal(ask(), ERR_UNAUTHORIZED);
    by_header(token);
    assert_int_equal(ask(), OK);
    assert_string_equal(((struct caller *)fake.req.caller)->user_id.text, who.user_id.text);
    fake.headers[1] = (struct fake_row){0};
    by_cookie(token);
    assert_int_equal(ask(), OK);
}

static void a_wrong_header_is_not_saved_by_a_cookie(void **state)
{
    (void)state;
    by_cookie(token);
    by_header(STR("nonsense"));
    assert_int_equal(ask(), ERR_UNAUTHORIZED);
    fake.headers[1].value = "Basic dXNlcjpwYXNz";
    assert_int_equal(ask(), ERR_UNAUTHORIZED);
}

static void where_anyone_may_call_a_bad_token_is_passed_over(void **state)
{
    (void)state;
    fake.route.who = WHO_ANYONE;
    by_header(STR("nonsense"));
    assert_int_equal(ask(), OK);
    assert_null(fake.req.caller);
    by_header(token);
    assert_int_equal(ask(), OK);
    assert_non_null(fake.req.caller);
}

static void admins_rooms_are_closed_to_users(void **state)
{
    (void)state;
    fake.route.who = WHO_ADMIN;
    assert_int_equal(ask(), ERR_UNAUTHORIZED);
    by_header(token);
    assert_int_equal(ask(), ERR_FORBIDDEN);
    who.is_admin = true;
    by_header(token_issue(&arena, &who, clock_wall_us()));
    assert_int_equal(ask(), OK);
}

static void a_revoked_login_is_out_at_once(void **state)
{
    (void)state;
    by_header(token);
    assert_true(revocation_add(REVOKED_FAMILY, id_str(&who.family), INT64_MAX, INT64_MAX));
    assert_int_equal(ask(), ERR_UNAUTHORIZED);
}

/* By cookie, with this Origin and this Referer. */
static enum status change_from(const char *origin, const char *referer)
{
    size_t n = 1;

    memset(fake.headers + 1, 0, sizeof(fake.headers) - sizeof(fake.headers[0]));
    fake.req.method = HTTP_PUT;
    by_cookie(token);
    if (origin)
        fake.headers[n++] = (struct fake_row){"Origin", origin};
    if (referer)
        fake.headers[n] = (struct fake_row){"Referer", referer};
    return ask();
}

static void cookies_change_things_only_from_our_pages(void **state)
{
    (void)state;
    assert_int_equal(change_from(NULL, NULL), OK);
    assert_int_equal(change_from("http://aerie.example:8000", NULL), OK);
    assert_int_equal(change_from("http://AERIE.example:8000", NULL), OK);
    assert_int_equal(change_from("https://shop.example", NULL), OK);
    assert_int_equal(change_from("https://shop.example:443", NULL), OK);
    assert_int_equal(change_from("http://localhost:3000", NULL), OK);
    assert_int_equal(change_from(NULL, "https://shop.example/cart?x=1"), OK);
    assert_int_equal(change_from("http://aerie.example", NULL), ERR_FORBIDDEN);
    assert_int_equal(change_from("http://shop.example", NULL), ERR_FORBIDDEN);
    assert_int_equal(change_from("https://shop.example.evil.example", NULL), ERR_FORBIDDEN);
    assert_int_equal(change_from("https://shop.example@evil.example", NULL), ERR_FORBIDDEN);
    assert_int_equal(change_from("null", NULL), ERR_FORBIDDEN);
    assert_int_equal(change_from("", NULL), ERR_FORBIDDEN);
    assert_int_equal(change_from("https://evil.example", "https://shop.example/"), ERR_FORBIDDEN);
    assert_int_equal(change_from(NULL, "https://evil.example/https://shop.example"), ERR_FORBIDDEN);
    assert_int_equal(change_from(NULL, "nonsense"), ERR_FORBIDDEN);
}

static void a_page_without_tls_does_not_speak_for_a_server_with_it(void **state)
{
    (void)state;
    fake.headers[0].value = "aerie.example";
    assert_int_equal(change_from("https://aerie.example", NULL), OK);
    fake.req.is_secure = true;
    assert_int_equal(change_from("https://aerie.example", NULL), OK);
    assert_int_equal(change_from("http://aerie.example", NULL), ERR_FORBIDDEN);
}

static void reading_and_headers_need_no_origin(void **state)
{
    (void)state;
    assert_int_equal(change_from("https://evil.example", NULL), ERR_FORBIDDEN);
    fake.req.method = HTTP_GET;
    assert_int_equal(ask(), OK);
    fake.req.method = HTTP_PUT;
    fake.headers[2] =
        (struct fake_row){"Authorization", arena_printf(&arena, "Bearer %.*s", STR_ARG(token)).ptr};
    assert_int_equal(ask(), OK);
}

static void a_socket_may_bring_its_token_in_the_query(void **state)
{
    (void)state;
    fake.route.who = WHO_SOCKET;
    assert_int_equal(ask(), ERR_UNAUTHORIZED);
    fake.queries[0] = (struct fake_row){"token", arena_copy(&arena, token).ptr};
    assert_int_equal(ask(), OK);
    by_cookie(STR("nonsense")); /* the query wins over the cookie, and a header over both */
    assert_int_equal(ask(), OK);
    by_header(STR("nonsense"));
    assert_int_equal(ask(), ERR_UNAUTHORIZED);
    fake.headers[1] = (struct fake_row){0};
    fake.route.who = WHO_USER; /* nowhere else */
    assert_int_equal(ask(), ERR_UNAUTHORIZED);
}

static void a_socket_is_for_our_pages_and_allowed_ones(void **state)
{
    static const struct {
        const char *origin;
        enum status status;
    } rows[] = {
        {"http://aerie.example:8000", OK},       {"https://shop.example", OK},
        {"https://evil.example", ERR_FORBIDDEN}, {"null", ERR_FORBIDDEN},
        {"http://aerie.example", ERR_FORBIDDEN},
    };

    (void)state;
    fake.route.who = WHO_SOCKET;
    by_header(token);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        fake.headers[2] = (struct fake_row){"Origin", rows[i].origin};
        assert_int_equal(ask(), rows[i].status);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_is_another_listeners_is_not_there, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_token_lets_in_by_header_or_cookie, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_wrong_header_is_not_saved_by_a_cookie, set_up, tear_down),
        cmocka_unit_test_setup_teardown(where_anyone_may_call_a_bad_token_is_passed_over, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(admins_rooms_are_closed_to_users, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_revoked_login_is_out_at_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(cookies_change_things_only_from_our_pages, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_page_without_tls_does_not_speak_for_a_server_with_it,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(reading_and_headers_need_no_origin, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_socket_may_bring_its_token_in_the_query, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_socket_is_for_our_pages_and_allowed_ones, set_up,
                                        tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
