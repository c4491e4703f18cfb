/* Bodies, forms and queries, read by tables of fields. */
#include "api/input.h"

#include "fake_request.h"

struct everything {
    struct input text, line, email, secret, id, flag, number, object, lines, word;
};

#define FIELD(name, kind, nullable, min, max)                                                      \
    {                                                                                              \
#name, kind, false, nullable, min, max, offsetof(struct everything, name), NULL            \
    }
static const struct input_field fields[] = {
    FIELD(text, INPUT_TEXT, true, 1, 10),
    {"line", INPUT_LINE, true, false, 1, 10, offsetof(struct everything, line), "other"},
    FIELD(email, INPUT_EMAIL, false, 0, 0),
    FIELD(secret, INPUT_SECRET, false, 1, 10),
    FIELD(id, INPUT_ID, false, 0, 0),
    FIELD(flag, INPUT_BOOL, false, 0, 0),
    FIELD(number, INPUT_INT, false, -5, 5),
    FIELD(object, INPUT_OBJECT, false, 0, 20),
    FIELD(lines, INPUT_LINES, false, 0, 2),
    {"word", INPUT_LINE, false, false, 1, 10, offsetof(struct everything, word), NULL, "a|bc|d"},
};

static struct fake fake;
static struct everything in;

static int set_up(void **state)
{
    (void)state;
    fake_init(&fake);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    fake_deinit(&fake);
    return 0;
}

static void read_body(struct fake *f)
{
    bool ok;

    memset(&in, 0, sizeof(in));
    ok = input_read(&f->req, fields, sizeof(fields) / sizeof(fields[0]), &in);
    assert_int_equal(ok, !is_error(f->req.flow.err));
}

static enum status read_text(struct str body)
{
    fake.req.body = body;
    return fake_run(&fake, read_body).status;
}

#define READ(literal) read_text(STR(literal))

static void assert_text(struct str got, const char *want)
{
    assert_int_equal(got.len, strlen(want));
    assert_memory_equal(got.ptr, want, got.len);
}

static void every_kind_is_taken_as_it_should_be(void **state)
{
    (void)state;
    assert_int_equal(
        READ("{\"text\":\" a\\nb \",\"line\":\"  x y \",\"email\":\" Ann@Ex-1.Example \","
             "\"secret\":\" s \",\"id\":\"AAAAAAAA-1111-4111-8111-111111111111\","
             "\"flag\":true,\"number\":-5,\"object\":{ \"a\" : [1] },"
             "\"lines\":[\"a\", \"b\"]}"),
        OK);
    assert_text(in.text.text, " a\nb ");
    assert_text(in.line.text, "x y");
    assert_text(in.email.text, "ann@ex-1.example");
    assert_text(in.secret.text, " s ");
    assert_text(in.id.text, "aaaaaaaa-1111-4111-8111-111111111111");
    assert_int_equal(in.flag.number, 1);
    assert_int_equal(in.number.number, -5);
    assert_text(in.object.text, "{\"a\":[1]}");
    assert_text(in.lines.text, "[\"a\",\"b\"]");
}

static void what_is_no_json_object_is_malformed(void **state)
{
    (void)state;
    assert_int_equal(READ("{"), ERR_BAD_REQUEST);
    assert_int_equal(READ("[]"), ERR_BAD_REQUEST);
    assert_int_equal(READ("null"), ERR_BAD_REQUEST);
    assert_int_equal(READ("{\"line\":\"\xff\"}"), ERR_BAD_REQUEST);
    assert_int_equal(READ("{\"line\":\"a\\u0000b\"}"), ERR_BAD_REQUEST);
}

static void every_wrong_field_is_named(void **state)
{
    (void)state;
    assert_int_equal(READ("{\"text\":7,\"line\":\"a\\nb\",\"email\":\"a@\",\"id\":\"1\",\"flag\":1,"
                          "\"number\":1.5,\"object\":[],\"lines\":[1]}"),
                     ERR_INVALID);
    assert_int_equal(fake.n_errors, 8);
    assert_false(fake_has_error(&fake, "secret"));
}

static void bounds_count_characters_not_bytes(void **state)
{
    (void)state;
    assert_int_equal(READ("{\"line\":\"\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3"
                          "\xa9\xc3\xa9\xc3\xa9\"}"),
                     OK);
    assert_int_equal(READ("{\"line\":\"aaaaaaaaaaa\"}"), ERR_INVALID);
    assert_int_equal(READ("{\"line\":\"   \"}"), ERR_INVALID);
    assert_int_equal(READ("{\"line\":\"a\",\"number\":6}"), ERR_INVALID);
    assert_int_equal(READ("{\"line\":\"a\",\"number\":18446744073709551615}"), ERR_INVALID);
    assert_int_equal(READ("{\"line\":\"a\",\"object\":{\"a\":\"aaaaaaaaaaaaaaaaaaaa\"}}"),
                     ERR_INVALID);
    assert_int_equal(READ("{\"line\":\"a\",\"lines\":[\"a\",\"b\",\"c\"]}"), ERR_INVALID);
}

static void a_word_is_one_of_the_list(void **state)
{
    static const char *const bad[] = {"", "b", "bcd", "A", "a|bc", "|"};

    (void)state;
    assert_int_equal(READ("{\"line\":\"a\",\"word\":\" bc \"}"), OK);
    assert_text(in.word.text, "bc");
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        char body[64];

        snprintf(body, sizeof(body), "{\"line\":\"a\",\"word\":\"%s\"}", bad[i]);
        assert_int_equal(read_text(str_from(body)), ERR_INVALID);
        assert_true(fake_has_error(&fake, "word"));
    }
    assert_string_equal(fake.errors[0].value, "must be a, bc or d");
}

static void null_is_told_where_it_may_be_and_absent_elsewhere(void **state)
{
    (void)state;
    assert_int_equal(READ("{\"line\":\"a\",\"text\":null,\"secret\":null}"), OK);
    assert_true(in.text.is_given && in.text.is_null);
    assert_false(in.secret.is_given);
    assert_int_equal(READ("{\"line\":null}"), ERR_INVALID);
    assert_true(fake_has_error(&fake, "line"));
}

static void no_body_is_an_object_without_members(void **state)
{
    (void)state;
    assert_int_equal(READ(""), ERR_INVALID);
    assert_int_equal(fake.n_errors, 1);
    assert_true(fake_has_error(&fake, "line"));
}

static void another_name_binds_and_unknown_ones_never_do(void **state)
{
    (void)state;
    assert_int_equal(READ("{\"other\":\"a\",\"role\":\"admin\",\"team_id\":{}}"), OK);
    assert_text(in.line.text, "a");
    assert_int_equal(READ("{\"line\":\"b\",\"other\":\"a\"}"), OK);
    assert_text(in.line.text, "b");
}

static void addresses_are_told_from_what_is_none(void **state)
{
    static const char *const good[] = {"a@b.co", "a.b+c@d-e.example", "\xc3\xa9@b.example"};
    static const char *const bad[] = {"",        "a",         "@b.co",    "a@",        "a@b",
                                      "a@b.",    "a@.b.co",   "a b@c.de", "a@b@c.de",  ".a@b.co",
                                      "a.@b.co", "a..b@c.de", "a@-b.co",  "a@b_c.com", "a\"@b.co"};

    (void)state;
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
        assert_true(input_is_email(str_from(good[i])));
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_false(input_is_email(str_from(bad[i])));
}

static void slugs_are_told_from_what_is_none(void **state)
{
    static const char *const good[] = {"a", "team-1", "7"};
    static const char *const bad[] = {"", "-a", "a-", "a--b", "A", "a b", "a_b", "\xc3\xa9"};

    (void)state;
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
        assert_true(input_is_slug(str_from(good[i])));
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_false(input_is_slug(str_from(bad[i])));
}

static void a_form_is_read_where_the_route_takes_one(void **state)
{
    (void)state;
    fake.headers[0] = (struct fake_row){"Content-Type", "application/x-www-form-urlencoded"};
    assert_int_equal(READ("line=a"), ERR_BAD_REQUEST); /* the route takes JSON alone */
    fake.route.body = BODY_FORM;
    assert_int_equal(READ("other=a+b%21&flag=true&number=3&line=second&x=y"), OK);
    assert_text(in.line.text, "a b!");
    assert_int_equal(in.flag.number, 1);
    assert_int_equal(in.number.number, 3);
    assert_int_equal(READ("line=%ff"), ERR_BAD_REQUEST);
    assert_int_equal(READ("line=%00"), ERR_INVALID);
    assert_int_equal(READ("line=a&object={}"), ERR_INVALID);
}

static int64_t limit, offset;

static void read_page(struct fake *f)
{
    (void)!input_page(&f->req, &limit, &offset);
}

static void a_page_has_bounds(void **state)
{
    (void)state;
    assert_int_equal(fake_run(&fake, read_page).status, OK);
    assert_int_equal(limit, 50);
    assert_int_equal(offset, 0);
    fake.queries[0] = (struct fake_row){"limit", "200"};
    fake.queries[1] = (struct fake_row){"offset", "7"};
    assert_int_equal(fake_run(&fake, read_page).status, OK);
    assert_int_equal(limit, 200);
    assert_int_equal(offset, 7);
    fake.queries[0].value = "201";
    assert_int_equal(fake_run(&fake, read_page).status, ERR_INVALID);
    fake.queries[0].value = "0";
    assert_int_equal(fake_run(&fake, read_page).status, ERR_INVALID);
    fake.queries[0].value = "";
    assert_int_equal(fake_run(&fake, read_page).status, ERR_INVALID);
    fake.queries[0].value = "1";
    fake.queries[1].value = "-1";
    assert_int_equal(fake_run(&fake, read_page).status, ERR_INVALID);
    assert_true(fake_has_error(&fake, "offset"));
}

static void read_id(struct fake *f)
{
    struct id id;

    (void)!input_path_id(&f->req, 0, "Thing not found", &id);
}

static void a_path_without_a_uuid_leads_nowhere(void **state)
{
    struct error err;

    (void)state;
    fake.req.params[0] = STR("7");
    err = fake_run(&fake, read_id);
    assert_int_equal(err.status, ERR_NOT_FOUND);
    assert_string_equal(err.detail, "Thing not found");
    fake.req.params[0] = STR("aaaaaaaa-1111-4111-8111-111111111111");
    assert_int_equal(fake_run(&fake, read_id).status, OK);
}

static void without_memory_nothing_passes_for_read(void **state)
{
    static const char body[] = "{\"line\":\"x\",\"email\":\"Ann@ex.example\",\"object\":{\"a\":1},"
                               "\"id\":\"AAAAAAAA-1111-4111-8111-111111111111\"}";
    bool was_ok = false;

    (void)state;
    for (size_t bytes = 1; bytes < 8192 && !was_ok; bytes += 8) {
        enum status status;

        arena_free(&fake.req.arena);
        fake.req.arena = (struct arena){.max_bytes = bytes};
        status = read_text(STR(body));
        was_ok = status == OK;
        if (was_ok) {
            assert_text(in.email.text, "ann@ex.example");
            assert_text(in.object.text, "{\"a\":1}");
        } else {
            assert_int_equal(status, ERR_NO_MEMORY);
        }
    }
    assert_true(was_ok);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(every_kind_is_taken_as_it_should_be, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_no_json_object_is_malformed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(every_wrong_field_is_named, set_up, tear_down),
        cmocka_unit_test_setup_teardown(bounds_count_characters_not_bytes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_word_is_one_of_the_list, set_up, tear_down),
        cmocka_unit_test_setup_teardown(null_is_told_where_it_may_be_and_absent_elsewhere, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(no_body_is_an_object_without_members, set_up, tear_down),
        cmocka_unit_test_setup_teardown(another_name_binds_and_unknown_ones_never_do, set_up,
                                        tear_down),
        cmocka_unit_test(addresses_are_told_from_what_is_none),
        cmocka_unit_test(slugs_are_told_from_what_is_none),
        cmocka_unit_test_setup_teardown(a_form_is_read_where_the_route_takes_one, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_page_has_bounds, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_path_without_a_uuid_leads_nowhere, set_up, tear_down),
        cmocka_unit_test_setup_teardown(without_memory_nothing_passes_for_read, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
