/* Reads the answer of a model provider as far as all of them are alike. */
#include "model_stream.h"

#include "json_lines.h"

#include <string.h>

#define TOKENS_MAX 1000000000000

static void take_value(struct model_stream *s, struct json_values *values, yyjson_val *val)
{
    yyjson_val *item;
    size_t i, n;

    if (yyjson_is_obj(val)) {
        s->take(s, val);
        return;
    }
    if (!yyjson_is_arr(val)) {
        reply_fail_json(s->reply, values, "The model provider's answer is not valid JSON.");
        return;
    }
    yyjson_arr_foreach(val, i, n, item)
    {
        if (reply_takes_more(s->reply) && yyjson_is_obj(item))
            s->take(s, item);
    }
}

static void take_json(struct model_stream *s, struct str text)
{
    struct json_values values;
    yyjson_val *val = NULL;

    json_values_init(&values, text);
    if (json_values_next(&values, &val) != JSON_VALUE)
        val = NULL;
    take_value(s, &values, val);
    json_values_deinit(&values);
}

/* What stood between the events counts when it is an error; anything else is noise. */
static void take_strays(struct model_stream *s)
{
    struct json_values values;
    yyjson_val *val;

    json_values_init(&values, buf_str(&s->held));
    if (json_values_next(&values, &val) == JSON_VALUE) {
        yyjson_val *first = yyjson_is_arr(val) ? yyjson_arr_get_first(val) : val;

        if (json_member(first, "error"))
            s->take(s, first);
    }
    json_values_deinit(&values);
}

static void fail_too_long(struct model_stream *s)
{
    reply_fail(s->reply, ERR_UPSTREAM_LIMIT, "A part of the answer is too long.");
}

static void on_event(void *state, struct str type, struct str data)
{
    struct model_stream *s = state;

    (void)type; /* where it says something, the data says it too */
    data = str_trim(data);
    if (!reply_takes_more(s->reply) || data.len == 0)
        return;
    if (str_eq(data, STR("[DONE]")))
        reply_done(s->reply);
    else
        take_json(s, data);
}

static void on_stray(void *state, struct str line)
{
    struct model_stream *s = state;

    if (s->held.len == 0 && line.ptr[0] != '{' && line.ptr[0] != '[')
        return;
    buf_append_str(&s->held, line);
    buf_append_char(&s->held, '\n');
    if (s->held.failed && reply_takes_more(s->reply))
        fail_too_long(s);
}

static void tell_shape(struct model_stream *s, char first)
{
    s->held.max_bytes = s->reply->max_event_bytes;
    if (first == '<') {
        reply_fail(s->reply, ERR_PROVIDER_MALFORMED,
                   "The model provider answered with a web page instead of a reply.");
    } else if (first == '{' || first == '[') {
        s->shape = MODEL_JSON;
    } else {
        s->shape = MODEL_EVENTS;
        s->events = (struct event_stream){.on_event = on_event,
                                          .on_stray = on_stray,
                                          .state = s,
                                          .max_bytes = s->reply->max_event_bytes};
    }
}

void model_stream_feed(void *state, struct str bytes)
{
    struct model_stream *s = state;

    if (!reply_takes_more(s->reply))
        return;
    if (s->shape == MODEL_UNTOLD) {
        while (bytes.len > 0 && strchr(" \t\r\n", bytes.ptr[0]) && bytes.ptr[0])
            bytes = str_skip(bytes, 1);
        if (bytes.len == 0)
            return;
        tell_shape(s, bytes.ptr[0]);
    }
    if (s->shape == MODEL_EVENTS && !event_stream_feed(&s->events, bytes))
        fail_too_long(s);
    if (s->shape == MODEL_JSON)
        buf_append_str(&s->held, bytes);
    if (s->held.failed)
        fail_too_long(s);
}

void model_stream_end(void *state, bool is_whole)
{
    struct model_stream *s = state;

    if (!reply_takes_more(s->reply))
        return;
    if (is_whole && s->shape == MODEL_EVENTS && !event_stream_end(&s->events))
        fail_too_long(s);
    if (s->shape == MODEL_EVENTS && s->held.len > 0 && reply_takes_more(s->reply))
        take_strays(s);
    if (!is_whole)
        return;
    if (s->shape == MODEL_JSON)
        take_json(s, buf_str(&s->held));
    s->reply->lacks_end =
        s->shape == MODEL_EVENTS && s->reply->state == REPLY_OPEN && !s->has_finished;
}

void model_stream_deinit(void *state)
{
    struct model_stream *s = state;

    event_stream_deinit(&s->events);
    buf_deinit(&s->held);
}

/* ---- for take() ---- */

int model_word_value(const struct model_word *words, yyjson_val *name)
{
    for (; words->name; words++)
        if (yyjson_equals_str(name, words->name))
            return words->value;
    return -1;
}

void model_stream_set_model(struct model_stream *s, struct str model)
{
    char *to = s->reply->model;

    if (!to || to[0] || model.len == 0 || str_has_control(model))
        return;
    model = utf8_prefix(model, UPSTREAM_MODEL_BYTES - 1);
    memcpy(to, model.ptr, model.len);
    to[model.len] = '\0';
}

int64_t model_tokens(yyjson_val *val)
{
    int64_t n = yyjson_is_int(val) ? yyjson_get_sint(val) : 0;

    return n < 0 || n > TOKENS_MAX ? 0 : n;
}

void model_stream_set_usage(struct model_stream *s, int64_t prompt, int64_t completion,
                            int64_t total)
{
    s->reply->usage =
        (struct upstream_usage){.prompt_tokens = prompt,
                                .completion_tokens = completion,
                                .total_tokens = total > 0 ? total : prompt + completion,
                                .is_known = true};
}

void model_stream_filter(struct model_stream *s, const char *detail)
{
    if (!reply_takes_more(s->reply))
        return;
    s->reply->finish = UPSTREAM_FILTERED;
    reply_fail(s->reply, ERR_PROVIDER_ERROR, detail);
}

void model_stream_set_finish(struct model_stream *s, enum upstream_finish finish)
{
    s->has_finished = true;
    if (finish == UPSTREAM_FILTERED)
        model_stream_filter(s, "The model provider's filter cut the reply.");
    else
        s->reply->finish = finish;
}
