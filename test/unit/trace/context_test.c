/* The headers of W3C Trace Context: the cases of its test suite, and what stands between them. */
#include "../cmocka_all.h"
#include "trace/context.h"

#include <stdio.h>
#include <string.h>

#define TRACE "12345678901234567890123456789012"
#define SPAN  "1234567890123456"

static bool reads(const char *value)
{
    struct trace_context c;

    return trace_context_parse(str_from(value), &c);
}

static void what_is_well_formed_is_read(void **state)
{
    static const char *const good[] = {
        "00-" TRACE "-" SPAN "-01",
        "00-" TRACE "-" SPAN "-00",
        "00-" TRACE "-" SPAN "-ff",
        "cc-" TRACE "-" SPAN "-01",
        "cc-" TRACE "-" SPAN "-01-what-the-future-will-be-like",
        "00-00000000000000000000000000000001-" SPAN "-01",
        "00-" TRACE "-0000000000000001-01",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
        if (!reads(good[i]))
            fail_msg("\"%s\" was refused", good[i]);
}

static void what_is_not_begins_no_trace(void **state)
{
    static const char *const bad[] = {
        "",
        "00",
        "00-" TRACE "-" SPAN,
        "00-" TRACE "-" SPAN "-01.",
        "00-" TRACE "-" SPAN "-01-what-the-future-will-be-like",
        "cc-" TRACE "-" SPAN "-01.what-the-future-will-be-like",
        "ff-" TRACE "-" SPAN "-01",
        ".0-" TRACE "-" SPAN "-01",
        "0.-" TRACE "-" SPAN "-01",
        "000-" TRACE "-" SPAN "-01",
        "0000-" TRACE "-" SPAN "-01",
        "0-" TRACE "-" SPAN "-01",
        "00-00000000000000000000000000000000-" SPAN "-01",
        "00-.2345678901234567890123456789012-" SPAN "-01",
        "00-1234567890123456789012345678901.-" SPAN "-01",
        "00-A2345678901234567890123456789012-" SPAN "-01",
        "00-" TRACE "3-" SPAN "-01",
        "00-1234567890123456789012345678901-" SPAN "-01",
        "00-" TRACE "-0000000000000000-01",
        "00-" TRACE "-.234567890123456-01",
        "00-" TRACE "-123456789012345.-01",
        "00-" TRACE "-" SPAN "7-01",
        "00-" TRACE "-123456789012345-01",
        "00-" TRACE "-" SPAN "-.0",
        "00-" TRACE "-" SPAN "-0.",
        "00-" TRACE "-" SPAN "-001",
        "00-" TRACE "-" SPAN "-1",
        "00_" TRACE "-" SPAN "-01",
        "00-" TRACE "_" SPAN "-01",
        "00-" TRACE "-" SPAN "_01",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        if (reads(bad[i]))
            fail_msg("\"%s\" was read", bad[i]);
}

static void it_is_written_as_the_version_we_know(void **state)
{
    char text[TRACEPARENT_BYTES], id[TRACE_ID_TEXT_BYTES];
    struct trace_context c;

    (void)state;
    assert_true(trace_context_parse(STR("cc-" TRACE "-" SPAN "-01-more"), &c));
    assert_string_equal(trace_context_write(&c, text).ptr, "00-" TRACE "-" SPAN "-01");
    assert_string_equal(trace_id_write(&c, id).ptr, TRACE);
    /* Flags that nobody has defined are not passed on. */
    assert_true(trace_context_parse(STR("00-" TRACE "-" SPAN "-fe"), &c));
    assert_string_equal(trace_context_write(&c, text).ptr, "00-" TRACE "-" SPAN "-02");
}

static void repeat(char *out, const char *text, size_t n)
{
    *out = '\0';
    for (size_t i = 0; i < n; i++)
        strcat(out, text);
}

static void a_tracestate_is_a_list_of_keys_and_values(void **state)
{
    static const char *const good[] = {
        "foo=1",
        "foo=1,bar=2",
        "foo=1, bar=2",
        "foo=1 \t , \t bar=2, \t baz=3",
        "foo=1 ",
        ",foo=1,,bar=2,",
        "foo@bar=1",
        "0foo_-*/=1",
        "foo=1,foo=2", /* whose they are is not ours to say */
        "foo= "
        "!\"#$%&'()*+-./"
        "0123456789:;<>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\]^_`abcdefghijklmnopqrstuvwxyz{|}~",
    };
    static const char *const bad[] = {
        "",          ",",          " , ",         "foo",      "=1",
        "foo=",      "foo=,bar=3", "foo =1",      "FOO=1",    "foo.bar=1",
        "@foo=1",    "_foo=1",     "foo=bar=baz", "foo=\x7f", "foo=\xc3\xa9",
        "foo=1,bar", "foo=1\n",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
        if (!trace_state_is_valid(str_from(good[i])))
            fail_msg("\"%s\" was refused", good[i]);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        if (trace_state_is_valid(str_from(bad[i])))
            fail_msg("\"%s\" was taken", bad[i]);
}

static void a_tracestate_has_bounds(void **state)
{
    char text[1024], long_text[512];

    (void)state;
    repeat(text, "a=1,", 32);
    assert_true(trace_state_is_valid(str_from(text)));
    strcat(text, "b=1");
    assert_false(trace_state_is_valid(str_from(text)));
    repeat(long_text, "z", 256);
    snprintf(text, sizeof(text), "%s=1", long_text);
    assert_true(trace_state_is_valid(str_from(text)));
    snprintf(text, sizeof(text), "z%s=1", long_text);
    assert_false(trace_state_is_valid(str_from(text)));
    snprintf(text, sizeof(text), "a=%s", long_text);
    assert_true(trace_state_is_valid(str_from(text)));
    snprintf(text, sizeof(text), "a=z%s", long_text);
    assert_false(trace_state_is_valid(str_from(text)));
    /* 512 characters in all, and one more. */
    snprintf(text, sizeof(text), "a=%.250s,b=%.250s,c=1234", long_text, long_text);
    assert_int_equal(strlen(text), TRACESTATE_BYTES);
    assert_true(trace_state_is_valid(str_from(text)));
    strcat(text, "6");
    assert_false(trace_state_is_valid(str_from(text)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_well_formed_is_read),
        cmocka_unit_test(what_is_not_begins_no_trace),
        cmocka_unit_test(it_is_written_as_the_version_we_know),
        cmocka_unit_test(a_tracestate_is_a_list_of_keys_and_values),
        cmocka_unit_test(a_tracestate_has_bounds),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
