/* A turn's events on their way to a reader, as a stream of events that a reader of ours reads back:
 * a reader that comes back at any number misses and repeats nothing, however its text was cut. The
 * first byte is how much text a reader takes at once, the second where it comes back; the lines of
 * the rest are text, or a notice when they begin with "!". */
#include "base/json.h"
#include "chat/event.h"
#include "chat/follow.h"
#include "chat/turn_log.h"
#include "config/config.h"
#include "fuzz.h"
#include "upstream/event_stream.h"

#define MAX_TEXT 1024

static struct loop loop;

static void open_loop(void)
{
    static struct config c;
    static bool is_open;

    if (is_open)
        return;
    is_open = true;
    c.upstream.reply_bytes = MAX_TEXT;
    config_set(&c);
    MUST(!is_error(loop_init(&loop, 0)));
}

/* What a reader has made of the stream. */
struct reader {
    struct arena *arena;
    struct buf text, notices;
    unsigned n_ends;
};

static void on_event(void *state, struct str type, struct str data)
{
    struct reader *r = state;
    yyjson_val *root, *inner;
    struct str kind;

    MUST(type.len == 0);
    MUST(r->n_ends == 0); /* nothing comes after the end */
    MUST(!is_error(json_read(r->arena, data, 8, &root)));
    kind = json_text(json_member(root, "type"));
    inner = json_member(root, "data");
    MUST(yyjson_is_obj(inner));
    if (str_eq(kind, STR("message"))) {
        buf_append_str(&r->text, json_text(json_member(inner, "content")));
    } else {
        buf_append_str(&r->notices, json_text(json_member(inner, "description")));
        buf_append_char(&r->notices, '\n');
    }
    r->n_ends += str_eq(kind, STR("done"));
}

/* Everything after event n. */
static void read_from(struct turn_log *log, uint64_t n, size_t max_text, struct reader *r)
{
    struct event_stream stream = {.on_event = on_event, .state = r, .max_bytes = 1 << 20};
    struct log_event event;
    struct buf out = {0};

    turn_log_lock(log);
    while (turn_log_next(log, n, max_text, &event)) {
        MUST(event.n > n && (event.notice.len > 0) != (event.text.len > 0));
        MUST(event.text.len <= max_text && utf8_is_valid(event.text));
        n = event.n;
        sse_format(&out, &log->reply_id, &event);
    }
    turn_log_unlock(log);
    MUST(n == turn_log_last(log) && turn_log_has(log, n));
    MUST(event_stream_feed(&stream, buf_str(&out)) && event_stream_end(&stream));
    MUST(r->n_ends == 1 || out.len == 0);
    event_stream_deinit(&stream);
    buf_deinit(&out);
}

static void reader_free(struct reader *r)
{
    buf_deinit(&r->text);
    buf_deinit(&r->notices);
}

static void write_notice(struct turn_log *log, struct str text)
{
    struct buf json = {0};

    event_write_status(&json, "info", text, STR_NONE);
    turn_log_notice(log, buf_str(&json));
    buf_deinit(&json);
}

static struct turn_log *write_log(struct str script, struct buf *text)
{
    struct id id = id_v7_named(1, (const unsigned char *)"0123456789");
    struct turn_log *log = turn_log_new(&id, &id, &id, STR(""), STR(""));
    struct buf end = {0};
    struct str line;

    MUST(log != NULL);
    turn_log_open(log);
    while (str_next(&script, '\n', &line)) {
        if (str_starts_with(line, STR("!")))
            write_notice(log, str_skip(line, 1));
        else if (line.len > 0 && turn_log_append(log, line))
            buf_append_str(text, line);
    }
    event_write_done(&end, STR("id"), false);
    turn_log_close(log, buf_str(&end));
    buf_deinit(&end);
    MUST(text->len <= MAX_TEXT);
    return log;
}

static void check_reader(struct turn_log *log, struct str text, uint64_t n, size_t max_text,
                         struct arena *arena)
{
    struct reader whole = {.arena = arena}, back = {.arena = arena};

    read_from(log, 0, max_text, &whole);
    MUST(str_eq(buf_str(&whole.text), text));
    if (turn_log_has(log, n)) {
        read_from(log, n, max_text, &back);
        MUST(str_eq(buf_str(&back.text), str_skip(text, turn_log_offset(n))));
        MUST(str_ends_with(buf_str(&whole.notices), buf_str(&back.notices)));
    }
    reader_free(&whole);
    reader_free(&back);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str script = {(const char *)data, size};
    size_t max_text = 4 + take_byte(&script);
    unsigned at = take_byte(&script);
    struct arena arena = {0};
    struct buf text = {0};
    struct turn_log *log;

    if (!utf8_is_valid(script) || str_find(script, '\0') < script.len)
        return 0;
    open_loop();
    log = write_log(script, &text);
    check_reader(log, buf_str(&text), at * (turn_log_last(log) + 2) / 256, max_text, &arena);
    check_reader(log, buf_str(&text), at, SIZE_MAX, &arena);
    turn_log_unref(log);
    buf_deinit(&text);
    arena_free(&arena);
    return 0;
}
