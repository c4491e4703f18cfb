/* The reader of n8n in memory: every shape of an answer, whole and cut at every byte. */
#include "reading.h"

#include "upstream/event_stream.h"

#include <string.h>

static void captures_read_alike_however_they_are_cut(void **state)
{
    (void)state;
    for (size_t i = 0; i < n_captures; i++) {
        struct buf answer = {0}, body = {0};
        enum status status_wanted = captures[i].status;
        int status = 0;
        bool is_whole;

        capture_read(captures[i].name, &answer);
        is_whole = http_body(buf_str(&answer), &status, &body);
        if (status_wanted == ERR_INTERRUPTED)
            status_wanted = OK; /* the client's to say */
        if (status == 200)
            reading_check(&n8n_reader_type, buf_str(&body), is_whole, status_wanted,
                          captures[i].text);
        buf_deinit(&answer);
        buf_deinit(&body);
    }
}

static void one_json_value_is_a_reply(void **state)
{
    static const struct reading_row rows[] = {
        {"{\"content\":\"a\"}", OK, "a"},
        {"{\"output\":\"a\"}\n", OK, "a"},
        {"{\"text\":\"a\"}", OK, "a"},
        {"{\"response\":\"a\"}", OK, "a"},
        {"{\"message\":\"a\"}", OK, "a"},
        {"\xEF\xBB\xBF \n{\n  \"output\": \"a\"\n}\n", OK, "a"},
        {"{\"message\":\"b\",\"output\":\"a\"}", OK, "a"},
        {"{\"type\":\"text\",\"content\":\"a\"}", OK, "a"},
        {"{\"output\":{\"text\":\"a\"}}", OK, "a"},
        {"{\"output\":42}", OK, "42"},
        {"[{\"output\":\"a\"},{\"text\":\"b\"},{\"output\":\"\"},\"c\"]", OK, "a\n\nb\n\nc"},
        {"\"just a string\"", OK, "just a string"},
        {"{\"content\":\"{\\\"a\\\":1}\"}", OK, "{\"a\":1}"},
        {"{\"output\":\"x\\u0000y\\ud83d\"}", OK, "x\xEF\xBF\xBDy\xEF\xBF\xBD"},
        {"{\"output\":\"\xff\"}", OK, "\xEF\xBF\xBD"},
        {"{\"output\":\"\"}", ERR_EMPTY_REPLY, ""},
        {"{}", ERR_EMPTY_REPLY, ""},
        {"[]", ERR_EMPTY_REPLY, ""},
        {"null", ERR_EMPTY_REPLY, ""},
        {"", ERR_EMPTY_REPLY, ""},
        {" \n\n", ERR_EMPTY_REPLY, ""},
        {"{\"data\":[]}", ERR_PROVIDER_MALFORMED, ""},
        {"{\"error\":\"boom\"}", ERR_PROVIDER_ERROR, ""},
        {"{\"error\":{\"message\":\"boom\"},\"message\":\"boom\"}", ERR_PROVIDER_ERROR, ""},
        {"{\"code\":0,\"message\":\"boom\"}", ERR_PROVIDER_ERROR, ""},
        {"{\"message\":\"Workflow was started\"}", ERR_PROVIDER_MALFORMED, ""},
        {"{\"message\":\"n8n is starting up. Please wait\"}", ERR_PROVIDER_UNREACHABLE, ""},
        {"{not json", ERR_PROVIDER_MALFORMED, ""},
        {"{\"output\":\"cut", ERR_PROVIDER_MALFORMED, ""},
        {"{\"output\":\"a\"} and more", ERR_PROVIDER_MALFORMED, "a"},
        {"{\"headers\":{\"authorization\":\"Bearer x\"},\"body\":{}}", ERR_PROVIDER_MALFORMED, ""},
        {"[{\"headers\":{},\"query\":{}}]", ERR_PROVIDER_MALFORMED, ""},
        {"{\"messages\":[],\"system_prompt\":\"\"}", ERR_PROVIDER_MALFORMED, ""},
    };

    (void)state;
    CHECK_ROWS(n8n_reader_type, rows);
}

static void plain_text_is_a_reply(void **state)
{
    static const struct reading_row rows[] = {
        {"Hello", OK, "Hello"},
        {"  indented", OK, "  indented"},
        {"Grüße 🎉", OK, "Grüße 🎉"},
        {"cut \xF0\x9F\x8E", OK, "cut \xEF\xBF\xBD"},
        {"[a link](http://x)", OK, "[a link](http://x)"},
        {"[text](http://x)", OK, "[text](http://x)"},
        {"\"Yes,\" she said", OK, "\"Yes,\" she said"},
        {"<b>bold</b>", OK, "<b>bold</b>"},
        {"id: 5 is yours", OK, "id: 5 is yours"},
        {"event: tonight\nsee you", OK, "event: tonight\nsee you"},
        {"data", OK, "data"},
        {":)", OK, ":)"},
        {"n8n is a tool", OK, "n8n is a tool"},
        {"nullable", OK, "nullable"},
        {"Workflow was started by you and it runs", OK, "Workflow was started by you and it runs"},
        {"Workflow was started", ERR_PROVIDER_MALFORMED, ""},
        {"n8n is starting up. Please wait", ERR_PROVIDER_UNREACHABLE, ""},
        {"<!DOCTYPE html>\n<html>", ERR_PROVIDER_MALFORMED, ""},
        {"\n<HTML><body>", ERR_PROVIDER_MALFORMED, ""},
    };

    (void)state;
    CHECK_ROWS(n8n_reader_type, rows);
    reading_check(&n8n_reader_type, (struct str){"a\0b", 3}, true, OK,
                  "a\xEF\xBF\xBD"
                  "b");
}

static void a_cut_before_the_shape_is_told_is_no_text(void **state)
{
    static const char *const cut[] = {"d",        "da",          "data", "event: x\nda", ": hi\nid",
                                      "Workflow", "n8n is star", "nul",  "<!doc",        "\"Yes"};

    (void)state;
    for (size_t i = 0; i < sizeof(cut) / sizeof(cut[0]); i++) {
        print_message("%s\n", cut[i]);
        reading_check(&n8n_reader_type, str_from(cut[i]), false, OK, "");
    }
    reading_check(&n8n_reader_type, STR("day"), false, OK, "day");
}

#define ITEM(text) "{\"type\":\"item\",\"content\":\"" text "\"}\n"
#define BEGIN      "{\"type\":\"begin\",\"metadata\":{}}\n"
#define END        "{\"type\":\"end\"}\n"
#define BAD        "{\"type\":\"error\",\"content\":\"secret\"}\n"

static void json_lines_are_a_stream(void **state)
{
    static const struct reading_row rows[] = {
        {BEGIN ITEM("a") ITEM("b") END, OK, "ab"},
        {ITEM("a"), OK, "a"},
        {"{\"type\":\"item\",\"content\":\"a\"}", OK, "a"},
        {"{\"type\":\"begin\"}{\"type\":\"item\",\"content\":\"a\"}", OK, "a"},
        {"\r\n\r\n" BEGIN "\r\n\r\n" ITEM("a") "\r\n" END, OK, "a"},
        {BEGIN END BEGIN ITEM("a") END BEGIN ITEM("b"), OK, "ab"},
        {"{\"type\":\"hello\"}\n" ITEM("a"), OK, "a"},
        {BEGIN "{\"type\":\"tool\",\"content\":\"no\"}\n" ITEM("a"), OK, "a"},
        {BEGIN ITEM("") ITEM("{\\\"output\\\":\\\"x\\\"}"), OK, "{\"output\":\"x\"}"},
        {BEGIN "{\"type\":\"item\"}\n{\"type\":\"item\",\"content\":null}\n" ITEM("a"), OK, "a"},
        {"{\"content\":\"a\"}\n{\"content\":\"b\"}\n", OK, "ab"},
        {BEGIN ITEM("a") BAD, ERR_PROVIDER_ERROR, "a"},
        {BAD, ERR_PROVIDER_ERROR, ""},
        {BAD ITEM("a"), ERR_PROVIDER_ERROR, "a"},
        {BEGIN "{\"error\":{\"message\":\"secret\"}}\n", ERR_PROVIDER_ERROR, ""},
        {BEGIN END, ERR_EMPTY_REPLY, ""},
        {BEGIN ITEM("a") "oops\n" ITEM("b"), ERR_PROVIDER_MALFORMED, "a"},
        {BEGIN "{\"headers\":{\"a\":\"Bearer x\"},\"body\":{}}\n", ERR_PROVIDER_MALFORMED, ""},
        {BEGIN ITEM("{\\\"headers\\\":{},\\\"body\\\":{}}"), ERR_PROVIDER_MALFORMED, ""},
        {BEGIN "{\"type\":\"item\",\"content\":{\"headers\":{},\"body\":{}}}\n",
         ERR_PROVIDER_MALFORMED, ""},
    };

    (void)state;
    CHECK_ROWS(n8n_reader_type, rows);
    reading_check(&n8n_reader_type, STR(BEGIN ITEM("a") "{\"type\":\"item\",\"con"), false, OK,
                  "a");
}

#define TIMED(text, rest)                                                                          \
    "{\"type\":\"item\",\"content\":\"" text "\",\"metadata\":{\"n\":\"AI 7\",\"t\":" rest
#define AT(text, time) TIMED(text, time "}}\n")

/* The second line and those after it are told by the first. */
static void lines_that_differ_in_little_are_read_as_well(void **state)
{
    static const struct reading_row rows[] = {
        {AT("a", "1795198971675") AT("bcd", "1795198971793") AT("", "1795198999999"), OK, "abcd"},
        {AT("a", "10") AT("b\\n\\u0041", "11") AT("c", "12"), OK, "ab\nAc"},
        {AT("a", "10") AT("\xff", "11") AT("\xc3\xa9 and a longer text", "12"), OK,
         "a\xEF\xBF\xBD\xC3\xA9 and a longer text"},
        {AT("a", "9") AT("b", "10") AT("c", "11"), OK, "abc"},
        {AT("type", "10") "{\"type\":\"hello\",\"content\":\"b\"}\n" AT("type", "11"), OK,
         "typetype"},
        {AT("a",
            "10") "{\"type\":\"item\",\"content\":\"b\",\"content\":\"c\",\"metadata\":{\"n\":\"AI "
                  "7\",\"t\":10}}\n",
         OK, "ac"},
        {ITEM("a")
             AT("b", "10") "{\"type\":\"item\",\"content\":\"c\"}{\"type\":\"end\"}\n" ITEM("d"),
         OK, "abcd"},
        {AT("a", "10") AT("b", "20") AT("c", "1x"), ERR_PROVIDER_MALFORMED, "ab"},
        {AT("a", "10") AT("b", "00"), ERR_PROVIDER_MALFORMED, "a"},
        {AT("a", "1.5") AT("b", "1x5"), ERR_PROVIDER_MALFORMED, "a"},
        {AT("a", "10") TIMED("b", "10}]\n"), ERR_PROVIDER_MALFORMED, "a"},
        {AT("a", "10") AT("b\tc", "11"), ERR_PROVIDER_MALFORMED, "a"},
        {AT("a", "10") "{\"type\":\"item\",\"content\":\"b\n", ERR_PROVIDER_MALFORMED, "a"},
    };

    (void)state;
    CHECK_ROWS(n8n_reader_type, rows);
}

static void events_are_a_stream(void **state)
{
    static const struct reading_row rows[] = {
        {"data: {\"content\":\"a\"}\n\ndata: {\"content\":\"b\"}\n\ndata: [DONE]\n\n", OK, "ab"},
        {"data:{\"content\":\"a\"}\r\n\r\ndata:{\"content\":\"b\"}\r\n\r\n", OK, "ab"},
        {"data: {\"content\":\"a\"}\r\rdata: [DONE]\r\r", OK, "a"},
        {": ping\n\nevent: message\nid: 1\nretry: 5\ndata: {\"content\":\"a\"}\n\n", OK, "a"},
        {"\xEF\xBB\xBF"
         "data: {\"content\":\"a\"}\n\n",
         OK, "a"},
        {"data: {\"content\":\ndata: \"a\"}\n\n", OK, "a"},
        {"data: {\"content\":\"a\"}", OK, "a"},
        {"data: {\"content\":\"a\"}\n\ndata: [DONE]\n\ndata: {\"content\":\"b\"}\n\n", OK, "a"},
        {"data: {\"type\":\"begin\"}\n\ndata: {\"type\":\"item\",\"content\":\"a\"}\n\n", OK, "a"},
        {"data: Hello\n\ndata:  world\n\n", OK, "Hello world"},
        {"data: \"a\"\n\n", OK, "a"},
        {"data: {\"content\":\"a\"}\n\ndata: {\"error\":\"secret\"}\n\n", ERR_PROVIDER_ERROR, "a"},
        {"event: error\ndata: secret\n\n", ERR_PROVIDER_ERROR, ""},
        {"data: {bad\n\n", ERR_PROVIDER_MALFORMED, ""},
        {"data: [DONE]\n\n", ERR_EMPTY_REPLY, ""},
        {": ping\n\n: ping\n\n", ERR_EMPTY_REPLY, ""},
    };

    (void)state;
    CHECK_ROWS(n8n_reader_type, rows);
    reading_check(&n8n_reader_type, STR("data: {\"content\":\"a\"}\n\ndata: {\"content\":\"b\"}"),
                  false, OK, "a");
}

static void too_long_is_a_limit(void **state)
{
    static const char *const heads[] = {"{\"output\":\"", BEGIN "{\"type\":\"item\",\"content\":\"",
                                        "data: {\"content\":\"", "[\"", "data: x\ndata: "};

    (void)state;
    for (size_t i = 0; i < sizeof(heads) / sizeof(heads[0]); i++) {
        struct buf body = {0};

        buf_append_str(&body, str_from(heads[i]));
        while (body.len < 3 * READING_EVENT_BYTES)
            buf_append_char(&body, 'x');
        reading_check_one(&n8n_reader_type, buf_str(&body), 0, 0, true, ERR_UPSTREAM_LIMIT, "");
        reading_check_one(&n8n_reader_type, buf_str(&body), 0, 100, true, ERR_UPSTREAM_LIMIT, "");
        buf_deinit(&body);
    }
}

/* As one piece that ends its line, as a line whose last piece is one too many, and as many lines.
 */
static void an_event_is_bounded_however_it_comes(void **state)
{
    static const struct {
        size_t line_bytes, n_lines, piece;
    } cases[] = {{3 * READING_EVENT_BYTES, 1, 0},
                 {READING_EVENT_BYTES + 50, 1, READING_EVENT_BYTES - 50},
                 {READING_EVENT_BYTES / 4, 5, 0},
                 {READING_EVENT_BYTES / 4, 5, 100}};

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct buf body = {0};

        for (size_t line = 0; line < cases[i].n_lines; line++) {
            buf_append_str(&body, STR("data: "));
            for (size_t n = 6; n < cases[i].line_bytes; n++)
                buf_append_char(&body, 'x');
            buf_append_char(&body, '\n');
        }
        buf_append_str(&body, STR("\ndata: more\n\n"));
        reading_check_one(&n8n_reader_type, buf_str(&body), 0, cases[i].piece, true,
                          ERR_UPSTREAM_LIMIT, "");
        buf_deinit(&body);
    }
}

static void a_reply_is_bounded(void **state)
{
    struct buf body = {0};
    struct reply reply;

    (void)state;
    while (body.len <= READING_REPLY_BYTES)
        buf_append_str(&body, STR("äöü"));
    reading_read(&n8n_reader_type, buf_str(&body), 0, 1000, true, &reply);
    assert_int_equal(reply.err.status, ERR_UPSTREAM_LIMIT);
    assert_int_equal(reply.text_bytes, READING_REPLY_BYTES);
    buf_deinit(&body);
    buf_deinit(&reply.text);
}

static void add_event(void *state, struct str type, struct str data)
{
    buf_printf(state, "%.*s=%.*s;", STR_ARG(type), STR_ARG(data));
}

static void event_streams_begin_with_a_mark_and_have_bounded_lines(void **state)
{
    static const struct {
        const char *first, *second;
        bool is_read;
        const char *events;
    } rows[] = {
        {"\xEF\xBB\xBF"
         "data: a\n\n",
         "\xEF\xBB\xBF"
         "data: b\n\n",
         true, "=a;"},
        {"\xEF\xBB",
         "\xBF"
         "event: x\r\ndata: a\r\n\r\n",
         true, "x=a;"},
        {"data: a\n\n", "data: 0123456789ab\n\n", false, "=a;"},
        {"data: a\n\n", "data: 0123456789a\n\n", false, "=a;"},
        {"data: a\n\n", "data: 0123456789\n\n", true, "=a;=0123456789;"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct buf events = {0};
        struct event_stream s = {.on_event = add_event, .state = &events, .max_bytes = 16};
        bool is_read = event_stream_feed(&s, str_from(rows[i].first)) &&
                       event_stream_feed(&s, str_from(rows[i].second)) && event_stream_end(&s);

        if (is_read != rows[i].is_read || !str_eq(buf_str(&events), str_from(rows[i].events)))
            fail_msg("row %zu: %d, %.*s", i, is_read, STR_ARG(buf_str(&events)));
        event_stream_deinit(&s);
        buf_deinit(&events);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(captures_read_alike_however_they_are_cut),
        cmocka_unit_test(one_json_value_is_a_reply),
        cmocka_unit_test(plain_text_is_a_reply),
        cmocka_unit_test(a_cut_before_the_shape_is_told_is_no_text),
        cmocka_unit_test(json_lines_are_a_stream),
        cmocka_unit_test(lines_that_differ_in_little_are_read_as_well),
        cmocka_unit_test(events_are_a_stream),
        cmocka_unit_test(too_long_is_a_limit),
        cmocka_unit_test(an_event_is_bounded_however_it_comes),
        cmocka_unit_test(a_reply_is_bounded),
        cmocka_unit_test(event_streams_begin_with_a_mark_and_have_bounded_lines),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
