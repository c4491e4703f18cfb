/* A WebSocket's frames: what is taken, what is refused and with which code, however it is cut. */
#include "support.h"

#include <stdio.h>

#define FIN   0x80u
#define TEXT  0x1u
#define BIN   0x2u
#define CLOSE 0x8u
#define PING  0x9u
#define PONG  0xau

/* Feeds data in pieces of at most step bytes and writes what happens as text: [message], pong and
 * close frames as they go out, and "!1002" for a failure. The caller frees. */
static char *read_frames(const struct buf *data, size_t step, size_t max_bytes)
{
    struct frames r = {.max_bytes = max_bytes};
    struct buf story = {.data = NULL}, out = {.data = NULL};
    bool has_ended = false;

    for (size_t at = 0; at < data->len && !has_ended;) {
        size_t n = data->len - at < step ? data->len - at : step, used, n_out = out.len;
        enum frames_event event = frames_feed(&r, data->data + at, n, &used, &out);
        struct buf text;

        at += used;
        for (; n_out < out.len; n_out++)
            buf_printf(&story, "%02x", (unsigned char)out.data[n_out]);
        switch (event) {
        case FRAMES_MORE:
            assert_int_equal(used, n);
            break;
        case FRAMES_TEXT:
            text = frames_take_text(&r);
            assert_true(utf8_is_valid(buf_str(&text)));
            buf_printf(&story, "[%.*s]", (int)text.len, text.len > 0 ? text.data : "");
            buf_deinit(&text);
            break;
        case FRAMES_CLOSED:
        case FRAMES_FAILED:
            buf_printf(&story, "%c%u", event == FRAMES_FAILED ? '!' : '=', r.code);
            has_ended = true;
        }
        if (!frames_is_amid(&r) && !has_ended) {
            assert_null(r.wslay); /* nothing is kept between messages */
            assert_null(r.message.data);
        }
    }
    frames_deinit(&r);
    buf_deinit(&out);
    buf_append_char(&story, '\0');
    return story.data;
}

/* At once, byte by byte, and cut in two at every byte. */
static void expect(const struct buf *data, const char *story)
{
    for (size_t step = 1; step <= data->len; step++) {
        char *got = read_frames(data, step, 65536);

        if (strcmp(got, story) != 0)
            fail_msg("in pieces of %zu: %.200s instead of %s", step, got, story);
        free(got);
    }
}

static void frame(struct buf *b, unsigned first, const char *payload)
{
    frame_append(b, first, payload, strlen(payload));
}

static void messages_come_whole(void **state)
{
    struct buf b = {.data = NULL};

    (void)state;
    frame(&b, FIN | TEXT, "hello");
    frame(&b, FIN | TEXT, "");
    frame(&b, FIN | TEXT,
          "Gr\xc3\xbc\xc3\x9f"
          "e \xf0\x9f\xa6\x86");
    expect(&b, "[hello][][Gr\xc3\xbc\xc3\x9f"
               "e \xf0\x9f\xa6\x86]");
    buf_deinit(&b);
}

static void messages_come_in_fragments_with_control_frames_between(void **state)
{
    struct buf b = {.data = NULL};

    (void)state;
    frame(&b, TEXT, "a\xc3"); /* a character cut between two frames */
    frame(&b, FIN | PING, "hi");
    frame(&b, 0, "\xbc");
    frame(&b, FIN | PONG, "");
    frame(&b, 0, "");
    frame(&b, FIN | 0, "b");
    frame(&b, FIN | TEXT, "c");
    expect(&b, "8a026869[a\xc3\xbc"
               "b][c]");
    buf_deinit(&b);
}

static void pings_are_answered(void **state)
{
    struct buf b = {.data = NULL};

    (void)state;
    frame(&b, FIN | PING, "");
    frame(&b, FIN | PING, "abc");
    frame(&b, FIN | PONG, "unasked");
    expect(&b, "8a008a03616263");
    buf_deinit(&b);
}

static void a_close_is_answered_with_its_code(void **state)
{
    static const struct {
        const char *payload;
        size_t len;
        const char *story;
    } rows[] = {
        {"", 0, "8800=1005"},
        {"\x03\xe8", 2, "880203e8=1000"},
        {"\x03\xe9"
         "bye",
         5, "880503e9627965=1001"},
        {"\x03\xe8\xc3\xbc\xc3\xbc", 6, "880603e8c3bcc3bc=1000"},
        {"\x0f\xa0", 2, "88020fa0=4000"},
        {"\x03", 1, "!1002"},             /* half a code */
        {"\x03\xed", 2, "880203ea=1002"}, /* 1005 is never sent */
        {"\x00\x01", 2, "880203ea=1002"},
        {"\x13\x88", 2, "880203ea=1002"}, /* 5000 */
        {"\x03\xe8\xc3", 3, "!1007"},
        {"\x03\xe8"
         "a\xff",
         4, "!1007"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct buf b = {.data = NULL};

        frame_append(&b, FIN | CLOSE, rows[i].payload, rows[i].len);
        frame(&b, FIN | TEXT, "after the end");
        expect(&b, rows[i].story);
        buf_deinit(&b);
    }
}

/* "=1002": wslay saw it, and its Close has gone out; "!1002": ours is to follow. Either way the
 * client gets the code. */
static void what_breaks_the_protocol_is_refused(void **state)
{
    static const struct {
        const char *bytes;
        size_t len;
        unsigned code;
    } rows[] = {
#define ROW(text, code) {text, sizeof(text) - 1, code}
        ROW("\x81\x01x", 1002),         /* not masked */
        ROW("\xc1\x81\0\0\0\0x", 1002), /* RSV1: compression was not agreed */
        ROW("\xa1\x81\0\0\0\0x", 1002), /* RSV2 */
        ROW("\x91\x81\0\0\0\0x", 1002), /* RSV3 */
        ROW("\x83\x81\0\0\0\0x", 1002), /* reserved opcodes */
        ROW("\x87\x81\0\0\0\0x", 1002),
        ROW("\x8b\x81\0\0\0\0x", 1002),
        ROW("\x8f\x81\0\0\0\0x", 1002),
        ROW("\x80\x81\0\0\0\0x", 1002),                  /* goes on with nothing */
        ROW("\x01\x81\0\0\0\0x\x81\x81\0\0\0\0y", 1002), /* begins amid another */
        ROW("\x09\x81\0\0\0\0x", 1002),                  /* a ping in fragments */
        ROW("\x89\xfe\0\x7e\0\0\0\0", 1002),             /* a ping of 126 bytes */
        ROW("\x08\x80\0\0\0\0", 1002),                   /* a Close in fragments */
        ROW("\x81\xfe\0\x05\0\0\0\0hello", 1002),        /* a length longer than it need be */
        ROW("\x81\xff\0\0\0\0\0\0\0\x05\0\0\0\0hello", 1002),
        ROW("\x81\xff\x80\0\0\0\0\0\0\x05\0\0\0\0hello", 1002), /* a negative length */
        ROW("\x82\x81\0\0\0\0x", 1003),                         /* binary */
        ROW("\x02\x80\0\0\0\0", 1003),
        ROW("\x81\x81\0\0\0\0\xff", 1007),
        ROW("\x81\x81\0\0\0\0\xc3", 1007),                  /* a character cut off at the end */
        ROW("\x81\x82\0\0\0\0\xc0\xaf", 1007),              /* overlong */
        ROW("\x81\x83\0\0\0\0\xed\xa0\x80", 1007),          /* a surrogate */
        ROW("\x81\x84\0\0\0\0\xf4\x90\x80\x80", 1007),      /* past U+10FFFF */
        ROW("\x81\xff\0\0\0\0\0\x01\0\x01\0\0\0\0x", 1009), /* announced, not even sent */
        ROW("\x81\xff\x7f\xff\xff\xff\xff\xff\xff\xff\0\0\0\0x", 1009),
#undef ROW
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct buf b = {.data = NULL};
        char ours[16], wslays[32];

        buf_append(&b, rows[i].bytes, rows[i].len);
        frame(&b, FIN | TEXT, "after the end");
        snprintf(ours, sizeof(ours), "!%u", rows[i].code);
        snprintf(wslays, sizeof(wslays), "8802%04x=%u", rows[i].code, rows[i].code);
        for (size_t step = 1; step <= b.len; step++) {
            char *got = read_frames(&b, step, 65536);

            if (strcmp(got, ours) != 0 && strcmp(got, wslays) != 0)
                fail_msg("row %zu in pieces of %zu: %s instead of %u", i, step, got, rows[i].code);
            free(got);
        }
        buf_deinit(&b);
    }
}

static void a_message_may_be_as_long_as_the_limit(void **state)
{
    static char many[200];
    struct buf whole = {.data = NULL}, pieces = {.data = NULL};
    char *got;

    (void)state;
    memset(many, 'x', sizeof(many));
    frame_append(&whole, FIN | TEXT, many, 150);
    got = read_frames(&whole, SIZE_MAX, 150);
    assert_int_equal(strlen(got), 152);
    free(got);
    got = read_frames(&whole, SIZE_MAX, 149);
    assert_string_equal(got, "880203f1=1009");
    free(got);
    /* The sum counts, not the frame. */
    frame_append(&pieces, TEXT, many, 140);
    frame_append(&pieces, 0, many, 10);
    frame_append(&pieces, FIN, many, 1);
    got = read_frames(&pieces, SIZE_MAX, 151);
    assert_int_equal(strlen(got), 153);
    free(got);
    got = read_frames(&pieces, SIZE_MAX, 150);
    assert_string_equal(got, "!1009");
    free(got);
    buf_deinit(&whole);
    buf_deinit(&pieces);
}

static void empty_fragments_cost_nothing(void **state)
{
    struct frames r = {.max_bytes = 1000};
    struct buf b = {.data = NULL}, out = {.data = NULL};
    size_t used;

    (void)state;
    frame(&b, TEXT, "x");
    for (unsigned i = 0; i < 10000; i++)
        frame(&b, 0, "");
    assert_int_equal(frames_feed(&r, b.data, b.len, &used, &out), FRAMES_MORE);
    assert_int_equal(r.message.len, 1);
    assert_true(r.message.cap <= 4096);
    assert_int_equal(out.len, 0);
    frames_deinit(&r);
    buf_deinit(&b);
}

static void lengths_are_written_in_their_shortest_form(void **state)
{
    static const struct {
        size_t len, head;
        const char *bytes;
    } rows[] = {
        {0, 2, "\x81\x00"},
        {125, 2, "\x81\x7d"},
        {126, 4, "\x81\x7e\x00\x7e"},
        {65535, 4, "\x81\x7e\xff\xff"},
        {65536, 10, "\x81\x7f\0\0\0\0\0\x01\0\0"},
    };
    static char many[65536];

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct buf out = {.data = NULL};

        frames_write_text(&out, (struct str){many, rows[i].len});
        assert_int_equal(out.len, rows[i].head + rows[i].len);
        assert_memory_equal(out.data, rows[i].bytes, rows[i].head);
        buf_deinit(&out);
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(messages_come_whole),
    cmocka_unit_test(messages_come_in_fragments_with_control_frames_between),
    cmocka_unit_test(pings_are_answered),
    cmocka_unit_test(a_close_is_answered_with_its_code),
    cmocka_unit_test(what_breaks_the_protocol_is_refused),
    cmocka_unit_test(a_message_may_be_as_long_as_the_limit),
    cmocka_unit_test(empty_fragments_cost_nothing),
    cmocka_unit_test(lengths_are_written_in_their_shortest_form),
};

int main(void)
{
    return cmocka_run_group_tests(tests, NULL, NULL);
}
