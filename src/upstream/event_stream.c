/* Server-sent events, read in place: bytes are copied only when a line or an event is split. */
#include "event_stream.h"

#include <string.h>

static void settle(struct event_stream *s)
{
    buf_append_str(&s->data, s->in_place);
    s->in_place = STR_NONE;
}

static void add_data(struct event_stream *s, struct str value, bool stays)
{
    if (!s->has_data && stays) {
        s->in_place = value;
    } else {
        settle(s);
        if (s->has_data)
            buf_append_char(&s->data, '\n');
        buf_append_str(&s->data, value);
    }
    s->has_data = true;
    if (s->data.failed)
        s->is_too_long = true;
}

static void dispatch(struct event_stream *s)
{
    struct str data = s->in_place.ptr ? s->in_place : buf_str(&s->data);

    if (s->has_data)
        s->on_event(s->state, str_from(s->type), data);
    s->in_place = STR_NONE;
    buf_deinit(&s->data);
    s->type[0] = '\0';
    s->has_data = false;
}

/* stays: the line is in bytes being fed, and outlives this call. */
static void take_line(struct event_stream *s, struct str line, bool stays)
{
    size_t colon;
    struct str name, value;

    if (!s->had_first_line && str_starts_with(line, STR("\xEF\xBB\xBF")))
        line = str_skip(line, 3);
    s->had_first_line = true;
    if (line.len == 0) {
        dispatch(s);
        return;
    }
    colon = str_find(line, ':');
    name = (struct str){line.ptr, colon};
    value = str_skip(line, colon + 1);
    if (value.len > 0 && value.ptr[0] == ' ')
        value = str_skip(value, 1);
    if (str_eq(name, STR("data"))) {
        add_data(s, value.len > 0 ? value : STR(""), stays);
    } else if (str_eq(name, STR("event"))) {
        size_t n = value.len < EVENT_TYPE_BYTES - 1 ? value.len : EVENT_TYPE_BYTES - 1;

        if (n > 0)
            memcpy(s->type, value.ptr, n);
        s->type[n] = '\0';
    } else if (s->on_id && str_eq(name, STR("id"))) {
        s->on_id(s->state, value);
    } else if (name.len > 0 && !str_eq(name, STR("id")) && !str_eq(name, STR("retry")) &&
               s->on_stray) {
        s->on_stray(s->state, line);
    } /* id and retry are for clients that come back; a comment has an empty name */
}

static size_t line_length(struct str bytes)
{
    size_t n = str_find(bytes, '\n');

    return str_find((struct str){bytes.ptr, n}, '\r');
}

static void end_line(struct event_stream *s, struct str rest_of_line)
{
    if (rest_of_line.len > s->max_bytes) {
        s->is_too_long = true;
        return;
    }
    if (s->line.len == 0) {
        take_line(s, rest_of_line, true);
        return;
    }
    buf_append_str(&s->line, rest_of_line);
    if (s->line.failed)
        s->is_too_long = true;
    else
        take_line(s, buf_str(&s->line), false);
    buf_deinit(&s->line);
}

bool event_stream_feed(struct event_stream *s, struct str bytes)
{
    s->line.max_bytes = s->data.max_bytes = s->max_bytes;
    if (s->had_cr && bytes.len > 0) {
        if (bytes.ptr[0] == '\n')
            bytes = str_skip(bytes, 1);
        s->had_cr = false;
    }
    while (bytes.len > 0 && !s->is_too_long) {
        size_t n = line_length(bytes);

        if (n == bytes.len) {
            buf_append_str(&s->line, bytes);
            break;
        }
        end_line(s, (struct str){bytes.ptr, n});
        if (bytes.ptr[n] == '\r' && n + 1 == bytes.len)
            s->had_cr = true;
        else if (bytes.ptr[n] == '\r' && bytes.ptr[n + 1] == '\n')
            n++;
        bytes = str_skip(bytes, n + 1);
    }
    settle(s);
    if (s->line.failed || s->data.failed)
        s->is_too_long = true;
    return !s->is_too_long;
}

bool event_stream_end(struct event_stream *s)
{
    if (s->line.len > 0 && !s->is_too_long)
        end_line(s, STR(""));
    if (!s->is_too_long)
        dispatch(s);
    return !s->is_too_long;
}

void event_stream_deinit(struct event_stream *s)
{
    buf_deinit(&s->line);
    buf_deinit(&s->data);
}
