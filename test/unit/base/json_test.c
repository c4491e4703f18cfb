/* JSON in and out. */
#include "base/json.h"
#include "unit.h"

static enum status read_status(struct str text, unsigned max_depth)
{
    struct arena a = {0};
    yyjson_val *root;
    struct error e = json_read(&a, text, max_depth, &root);

    if (is_error(e)) {
        assert_null(root);
        assert_non_null(e.detail);
    } else {
        assert_non_null(root);
    }
    arena_free(&a);
    return e.status;
}

static void what_is_not_json_is_refused_with_a_sentence(void **state)
{
    static const struct str bad[] = {
        {"", 0},
        {"  \n", 3},
        {"{", 1},
        {"{\"a\":1,}", 8},
        {"{\"a\":1} x", 9},
        {"[1 2]", 5},
        {"NaN", 3},
        {"\"a\nb\"", 5},
        {"\"\xff\"", 3},
        {"\"\xed\xa0\x80\"", 5},
        {"\"\\ud800\"", 8},
        {"\"a\0b\"", 5},
        {"\"a\\u0000b\"", 10},
        {"{\"a\\u0000\":1}", 13},
        {"\"\\", 2},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_int_equal(read_status(bad[i], 64), ERR_BAD_REQUEST);
    assert_int_equal(read_status(STR("\"\\\\u0000 is text here\""), 64), OK);
}

static void an_error_names_its_byte(void **state)
{
    struct arena a = {0};
    yyjson_val *root;
    struct error e = json_read(&a, STR("{\"a\": tru}"), 64, &root);

    (void)state;
    assert_int_equal(e.status, ERR_BAD_REQUEST);
    assert_int_equal(e.code, 6);
    assert_string_equal(e.detail, "Malformed JSON at byte 6");
    arena_free(&a);
}

static void depth_is_bounded_without_recursion(void **state)
{
    static char deep[2000000];

    (void)state;
    assert_int_equal(read_status(STR("[[1]]"), 2), OK);
    assert_int_equal(read_status(STR("[[[1]]]"), 2), ERR_BAD_REQUEST);
    assert_int_equal(read_status(STR("{\"a\":{\"b\":[]}}"), 2), ERR_BAD_REQUEST);
    assert_int_equal(read_status(STR("[\"[[[[\\\"[[[[\"]"), 1), OK);
    assert_int_equal(read_status(STR("[[],[],[]]"), 2), OK);
    memset(deep, '[', sizeof(deep));
    assert_int_equal(read_status((struct str){deep, sizeof(deep)}, 64), ERR_BAD_REQUEST);
}

static void members_are_found_and_the_last_of_doubles_counts(void **state)
{
    struct arena a = {0};
    struct buf out = {0};
    yyjson_val *root;

    (void)state;
    assert_false(is_error(json_read(
        &a, STR("{\"a\":\"one\",\"b\":[1,2.5,null,true],\"a\":\"tw\xc3\xb6\",\"n\":1,\"e\":\"\"}"),
        64, &root)));
    assert_str(json_text(json_member(root, "a")), "tw\xc3\xb6");
    assert_null(json_member(root, "z"));
    assert_null(json_member(json_member(root, "b"), "a"));
    assert_null(json_member(NULL, "a"));
    assert_null(json_text(json_member(root, "n")).ptr);
    assert_non_null(json_text(json_member(root, "e")).ptr);
    json_write_value(&out, json_member(root, "b"));
    assert_str(buf_str(&out), "[1,2.5,null,true]");
    json_write_value(&out, NULL);
    assert_str(buf_str(&out), "[1,2.5,null,true]null");
    buf_deinit(&out);
    arena_free(&a);
}

static void each_byte_is_escaped_or_not_wherever_it_stands(void **state)
{
    char text[40];

    (void)state;
    for (unsigned c = 0; c < 256; c++) {
        bool is_plain = c >= 0x20 && c != '"' && c != '\\';

        for (size_t at = 0; at < sizeof(text); at++) {
            memset(text, 'a', sizeof(text));
            text[at] = (char)c;
            assert_int_equal(json_plain_run((struct str){text, sizeof(text)}),
                             is_plain ? sizeof(text) : at);
        }
    }
}

/* Exactly: a character more would be too much, and none is cut. */
static void a_prefix_takes_what_its_escapes_leave_room_for(void **state)
{
    const struct str texts[] = {STR("plain text, and more of it than a block"), STR(""), STR("\x01\x01\x01\x01"),
                                STR("\"\\\n\x01\x02 caf\xC3\xA9 \xF0\x9F\x98\x80\t\x1F")};

    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        for (size_t most = 0; most < 80; most++) {
            struct str prefix = json_prefix(texts[i], most), next;
            struct buf out = {.data = NULL};

            assert_ptr_equal(prefix.ptr, texts[i].ptr);
            assert_int_equal(utf8_prefix(texts[i], prefix.len).len, prefix.len);
            json_escape(&out, prefix);
            assert_true(out.len <= most);
            buf_clear(&out);
            next = prefix;
            do /* the next whole character */
                next.len++;
            while (next.len < texts[i].len && utf8_prefix(texts[i], next.len).len != next.len);
            if (next.len <= texts[i].len) {
                json_escape(&out, next);
                assert_true(out.len > most);
            }
            buf_deinit(&out);
        }
    }
}

static void the_writer_puts_commas_and_escapes(void **state)
{
    struct buf out = {0};
    struct json j = {.buf = &out};

    (void)state;
    json_begin_object(&j);
    json_pair_str(&j, "s", STR("q\" b\\ n\n t\t c\x01 u\xc3\xa9 \xe2\x80\xa8 \x7f/"));
    json_pair_int(&j, "i", INT64_MIN);
    json_key(&j, "list");
    json_begin_array(&j);
    json_int(&j, 1);
    json_begin_object(&j);
    json_end_object(&j);
    json_bool(&j, false);
    json_begin_array(&j);
    json_end_array(&j);
    json_null(&j);
    json_end_array(&j);
    json_pair_str_or_null(&j, "none", STR_NONE);
    json_pair_raw(&j, "raw", STR("{\"x\":1}"));
    json_pair_raw(&j, "empty", STR(""));
    json_pair_time(&j, "at", 0);
    json_pair_bool(&j, "yes", true);
    json_end_object(&j);
    assert_str(buf_str(&out),
               "{\"s\":\"q\\\" b\\\\ n\\n t\\t c\\u0001 u\xc3\xa9 \xe2\x80\xa8 \x7f/\","
               "\"i\":-9223372036854775808,\"list\":[1,{},false,[],null],\"none\":null,"
               "\"raw\":{\"x\":1},\"empty\":null,\"at\":\"1970-01-01T00:00:00Z\",\"yes\":true}");
    buf_deinit(&out);
}

static void every_ascii_character_survives_the_round_trip(void **state)
{
    char text[127];
    struct arena a = {0};
    struct buf out = {0};
    struct json j = {.buf = &out};
    yyjson_val *root;

    (void)state;
    for (int i = 0; i < 127; i++)
        text[i] = (char)(i + 1);
    json_str(&j, (struct str){text, sizeof(text)});
    assert_false(is_error(json_read(&a, buf_str(&out), 64, &root)));
    assert_true(str_eq(json_text(root), ((struct str){text, sizeof(text)})));
    buf_deinit(&out);
    arena_free(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_not_json_is_refused_with_a_sentence),
        cmocka_unit_test(an_error_names_its_byte),
        cmocka_unit_test(depth_is_bounded_without_recursion),
        cmocka_unit_test(members_are_found_and_the_last_of_doubles_counts),
        cmocka_unit_test(each_byte_is_escaped_or_not_wherever_it_stands),
        cmocka_unit_test(a_prefix_takes_what_its_escapes_leave_room_for),
        cmocka_unit_test(the_writer_puts_commas_and_escapes),
        cmocka_unit_test(every_ascii_character_survives_the_round_trip),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
