/* Views, UTF-8, buffers and lists. */
#include "base/buf.h"
#include "base/list.h"
#include "unit.h"

static void comparisons_look_at_all_bytes(void **state)
{
    (void)state;
    assert_true(str_eq(STR("abc"), STR("abc")));
    assert_false(str_eq(STR("abc"), STR("abd")));
    assert_false(str_eq(STR("abc"), STR("ab")));
    assert_true(str_eq(STR_NONE, STR("")));
    assert_true(str_eq_nocase(STR("Content-Type"), STR("cONTENT-tYPE")));
    assert_false(str_eq_nocase(STR("[a"), STR("{A")));
    assert_true(str_starts_with(STR("abc"), STR("ab")));
    assert_false(str_starts_with(STR("a"), STR("ab")));
    assert_true(str_starts_with_nocase(STR("BEARER x"), STR("bearer ")));
    assert_true(str_ends_with(STR("a.pdf"), STR(".pdf")));
    assert_false(str_ends_with(STR("pdf"), STR(".pdf")));
    assert_str(str_from(NULL), "");
}

static void cutting_stays_inside(void **state)
{
    struct str rest = STR("a,,b,"), part;

    (void)state;
    assert_str(str_skip(STR("abc"), 2), "c");
    assert_str(str_skip(STR("abc"), 9), "");
    assert_str(str_skip(STR_NONE, 9), "");
    assert_str(str_trim(STR(" \t a b\r\n")), "a b");
    assert_str(str_trim(STR(" \n ")), "");
    assert_int_equal(str_find(STR("abc"), 'c'), 2);
    assert_int_equal(str_find(STR("abc"), 'x'), 3);
    assert_true(str_contains(STR("hello"), STR("ell")));
    assert_true(str_contains(STR("hello"), STR("")));
    assert_false(str_contains(STR("hell"), STR("hello")));

    assert_true(str_next(&rest, ',', &part));
    assert_str(part, "a");
    assert_true(str_next(&rest, ',', &part));
    assert_str(part, "");
    assert_true(str_next(&rest, ',', &part));
    assert_str(part, "b");
    assert_true(str_next(&rest, ',', &part));
    assert_str(part, "");
    assert_false(str_next(&rest, ',', &part));
}

static void numbers_are_whole_and_fit(void **state)
{
    static const char *const bad[] = {
        "", "-", "+1", " 1", "1 ", "1.0", "0x1", "9223372036854775808", "-9223372036854775809"};
    int64_t n = 7;

    (void)state;
    assert_true(str_to_i64(STR("9223372036854775807"), &n));
    assert_true(n == INT64_MAX);
    assert_true(str_to_i64(STR("-9223372036854775808"), &n));
    assert_true(n == INT64_MIN);
    assert_true(str_to_i64(STR("007"), &n));
    assert_int_equal(n, 7);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_false(str_to_i64(str_from(bad[i]), &n));
    assert_int_equal(n, 7);
}

static void control_bytes_are_found(void **state)
{
    (void)state;
    assert_false(str_has_control(STR("plain \xc3\xa9")));
    assert_true(str_has_control(STR("a\nb")));
    assert_true(str_has_control(STR("a\x7f")));
    assert_true(str_has_control(STR("a\0b")));
}

static const struct str good_texts[] = {
    {"", 0},
    {"plain ascii, longer than eight bytes", 36},
    {"\xc2\x80", 2},
    {"\xdf\xbf", 2},
    {"\xe0\xa0\x80", 3},
    {"\xed\x9f\xbf", 3},
    {"\xee\x80\x80", 3},
    {"\xf0\x90\x80\x80", 4},
    {"\xf4\x8f\xbf\xbf", 4},
    {"a\0b", 3},
};

static const struct str bad_texts[] = {
    {"\x80", 1},         {"\xc0\x80", 2},         {"\xc1\xbf", 2},         {"\xe0\x9f\xbf", 3},
    {"\xed\xa0\x80", 3}, {"\xf0\x8f\xbf\xbf", 4}, {"\xf4\x90\x80\x80", 4}, {"\xf5\x80\x80\x80", 4},
    {"\xff", 1},         {"\xe2\x82", 2},         {"12345678\xe2", 9},     {"\xf0\x9f\x98", 3},
};

static void utf8_follows_rfc_3629(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(good_texts) / sizeof(good_texts[0]); i++)
        assert_true(utf8_is_valid(good_texts[i]));
    for (size_t i = 0; i < sizeof(bad_texts) / sizeof(bad_texts[0]); i++)
        assert_false(utf8_is_valid(bad_texts[i]));
    assert_int_equal(utf8_length(STR("a\xc3\xa9\xf0\x9f\x98\x80")), 3);
    assert_str(utf8_prefix(STR("a\xc3\xa9"), 2), "a");
    assert_str(utf8_prefix(STR("a\xc3\xa9"), 3), "a\xc3\xa9");
    assert_str(utf8_prefix(STR("\xf0\x9f\x98\x80x"), 3), "");
    assert_str(utf8_prefix(STR("\xf0\x9f\x98\x80x"), 4), "\xf0\x9f\x98\x80");
}

static void a_cut_stream_comes_out_whole(void **state)
{
    const struct str text = STR("h\xc3\xa9llo \xe2\x82\xac \xf0\x9f\x98\x80!");

    (void)state;
    for (size_t piece = 1; piece <= text.len; piece++) {
        struct utf8_stream u = {0};
        struct buf out = {0};

        for (size_t at = 0; at < text.len; at += piece) {
            struct str in = str_skip(text, at);

            if (in.len > piece)
                in.len = piece;
            utf8_stream_feed(&u, in, &out);
            assert_true(utf8_is_valid(buf_str(&out)));
        }
        utf8_stream_end(&u, &out);
        assert_true(str_eq(buf_str(&out), text));
        buf_deinit(&out);
    }
}

static void a_broken_stream_is_mended_alike_however_it_is_cut(void **state)
{
    const struct str text = STR("a\xe2\x82z\xf0\x9f\x98\xc3\xa9\xff\xed\xa0\x80\xe2\x82");
    const char *mended = "a\xef\xbf\xbdz\xef\xbf\xbd\xc3\xa9\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"
                         "\xef\xbf\xbd\xef\xbf\xbd";

    (void)state;
    for (size_t piece = 1; piece <= text.len; piece++) {
        struct utf8_stream u = {0};
        struct buf out = {0};

        for (size_t at = 0; at < text.len; at += piece) {
            struct str in = str_skip(text, at);

            if (in.len > piece)
                in.len = piece;
            utf8_stream_feed(&u, in, &out);
        }
        utf8_stream_end(&u, &out);
        assert_str(buf_str(&out), mended);
        buf_deinit(&out);
    }
}

static void a_buffer_stops_at_its_bound(void **state)
{
    struct buf b;

    (void)state;
    buf_init(&b, 10);
    buf_append_str(&b, STR("0123456789"));
    assert_false(b.failed);
    buf_append_char(&b, 'x');
    assert_true(b.failed);
    assert_str(buf_str(&b), "0123456789");
    buf_clear(&b);
    buf_printf(&b, "%s", "0123456789");
    assert_false(b.failed);
    assert_int_equal(b.len, 10);
    buf_clear(&b);
    buf_printf(&b, "%s", "0123456789x");
    assert_true(b.failed);
    assert_int_equal(b.len, 0);
    buf_append_str(&b, STR("y"));
    assert_int_equal(b.len, 0);
    buf_deinit(&b);
    assert_int_equal(b.max_bytes, 10);
    assert_null(b.data);
}

static void a_buffer_grows_and_is_consumed(void **state)
{
    struct buf b = {0};

    (void)state;
    for (int i = 0; i < 1000; i++)
        buf_printf(&b, "%04d", i);
    assert_int_equal(b.len, 4000);
    buf_consume(&b, 4 * 998);
    assert_str(buf_str(&b), "09980999");
    buf_consume(&b, 100);
    assert_int_equal(b.len, 0);
    assert_false(buf_reserve(&b, SIZE_MAX - 1));
    assert_true(b.failed);
    buf_deinit(&b);
}

struct item {
    int n;
    struct list link;
};

static void a_list_keeps_order_and_links_can_leave(void **state)
{
    struct item items[4] = {{.n = 0}, {.n = 1}, {.n = 2}, {.n = 3}};
    struct list head, other;

    (void)state;
    list_init(&head);
    list_init(&other);
    assert_true(list_is_empty(&head));
    assert_null(list_pop(&head));
    list_push(&head, &items[1].link);
    list_push_front(&head, &items[0].link);
    list_push(&other, &items[2].link);
    list_push(&other, &items[3].link);
    list_splice(&head, &other);
    assert_true(list_is_empty(&other));
    list_remove(&items[2].link);
    list_remove(&items[2].link);
    assert_false(list_is_linked(&items[2].link));
    assert_int_equal(container_of(list_pop(&head), struct item, link)->n, 0);
    assert_int_equal(container_of(list_pop(&head), struct item, link)->n, 1);
    assert_int_equal(container_of(list_pop(&head), struct item, link)->n, 3);
    assert_true(list_is_empty(&head));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(comparisons_look_at_all_bytes),
        cmocka_unit_test(cutting_stays_inside),
        cmocka_unit_test(numbers_are_whole_and_fit),
        cmocka_unit_test(control_bytes_are_found),
        cmocka_unit_test(utf8_follows_rfc_3629),
        cmocka_unit_test(a_cut_stream_comes_out_whole),
        cmocka_unit_test(a_broken_stream_is_mended_alike_however_it_is_cut),
        cmocka_unit_test(a_buffer_stops_at_its_bound),
        cmocka_unit_test(a_buffer_grows_and_is_consumed),
        cmocka_unit_test(a_list_keeps_order_and_links_can_leave),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
