/* The chat completions protocol of OpenAI, which OpenRouter, Groq, Ollama and vLLM speak too. */
#include "base/json.h"
#include "event_stream.h"
#include "json_lines.h"
#include "provider.h"

#include <string.h>

enum shape {
    SHAPE_UNTOLD, /* nothing but white space so far */
    SHAPE_EVENTS,
    SHAPE_JSON, /* an answer that is not streamed, held until the end */
};

struct openai_reader {
    struct reply *reply;
    enum shape shape;
    bool has_finished; /* a finish_reason came */
    struct buf held;
    struct event_stream events;
};

static void take_error(struct openai_reader *r, yyjson_val *error)
{
    yyjson_val *code = json_member(error, "code");
    int64_t number = 0;

    if (yyjson_is_int(code))
        number = yyjson_get_sint(code);
    else
        str_to_i64(json_text(code), &number);
    if (number == 401 || number == 403)
        reply_fail(r->reply, ERR_PROVIDER_AUTH, "The model provider refused the key.");
    else if (number == 429 || yyjson_equals_str(code, "rate_limit_exceeded"))
        reply_fail(r->reply, ERR_PROVIDER_RATE_LIMITED,
                   "The model provider is asked too often. Please try again later.");
    else
        reply_fail(r->reply, ERR_PROVIDER_ERROR, "The model provider reported an error.");
}

static void take_usage(struct openai_reader *r, yyjson_val *usage)
{
    struct upstream_usage *to = &r->reply->usage;

    if (!yyjson_is_obj(usage))
        return;
    to->prompt_tokens = yyjson_get_sint(json_member(usage, "prompt_tokens"));
    to->completion_tokens = yyjson_get_sint(json_member(usage, "completion_tokens"));
    to->total_tokens = yyjson_get_sint(json_member(usage, "total_tokens"));
    if (to->total_tokens == 0)
        to->total_tokens = to->prompt_tokens + to->completion_tokens;
    to->is_known = true;
}

static void take_model(struct openai_reader *r, struct str model)
{
    size_t size = sizeof(r->reply->model);

    if (r->reply->model[0] || model.len == 0 || str_has_control(model))
        return;
    model = utf8_prefix(model, size - 1);
    memcpy(r->reply->model, model.ptr, model.len);
    r->reply->model[model.len] = '\0';
}

/* A string, or a list of parts of which those with text count. */
static void take_content(struct openai_reader *r, yyjson_val *content)
{
    yyjson_arr_iter parts;
    yyjson_val *part;

    if (yyjson_is_str(content))
        reply_add(r->reply, json_text(content));
    if (!yyjson_is_arr(content))
        return;
    yyjson_arr_iter_init(content, &parts);
    while ((part = yyjson_arr_iter_next(&parts)))
        reply_add(r->reply, json_text(json_member(part, "text")));
}

/* A chunk of a stream, or the whole answer. Calls of tools are none of ours and count for nothing.
 */
static void take_object(struct openai_reader *r, yyjson_val *object)
{
    yyjson_val *error = json_member(object, "error");
    yyjson_val *choice = yyjson_arr_get_first(json_member(object, "choices"));
    yyjson_val *delta = json_member(choice, "delta");
    yyjson_val *message = delta ? delta : json_member(choice, "message");
    yyjson_val *reason = json_member(choice, "finish_reason");

    if (error && !yyjson_is_null(error)) {
        take_error(r, error);
        return;
    }
    take_model(r, json_text(json_member(object, "model")));
    take_usage(r, json_member(object, "usage"));
    take_usage(r, json_member(json_member(object, "x_groq"), "usage"));
    take_content(r, json_member(message, "content"));
    take_content(r, json_member(message, "refusal")); /* said instead of content */
    r->has_finished = r->has_finished || yyjson_is_str(reason);
    if (yyjson_equals_str(reason, "error"))
        reply_fail(r->reply, ERR_PROVIDER_ERROR, "The model provider reported an error.");
    else if (yyjson_equals_str(reason, "content_filter"))
        reply_fail(r->reply, ERR_PROVIDER_ERROR, "The model provider's filter cut the reply.");
}

static void take_json(struct openai_reader *r, struct str text)
{
    struct json_values values;
    yyjson_val *val;

    json_values_init(&values, text);
    if (json_values_next(&values, &val) == JSON_VALUE && yyjson_is_obj(val)) {
        take_object(r, val);
    } else {
        reply_fail_json(r->reply, &values, "The model provider's answer is not valid JSON.");
    }
    json_values_deinit(&values);
}

static void on_event(void *state, struct str type, struct str data)
{
    struct openai_reader *r = state;

    (void)type;
    data = str_trim(data);
    if (!reply_takes_more(r->reply) || data.len == 0)
        return;
    if (str_eq(data, STR("[DONE]")))
        reply_done(r->reply);
    else
        take_json(r, data);
}

static void fail_too_long(struct openai_reader *r)
{
    reply_fail(r->reply, ERR_UPSTREAM_LIMIT, "A part of the answer is too long.");
}

static void tell_shape(struct openai_reader *r, char first)
{
    if (first == '<') {
        reply_fail(r->reply, ERR_PROVIDER_MALFORMED,
                   "The model provider answered with a web page instead of a reply.");
    } else if (first == '{' || first == '[') {
        r->shape = SHAPE_JSON;
        r->held.max_bytes = r->reply->max_event_bytes;
    } else {
        r->shape = SHAPE_EVENTS;
        r->events = (struct event_stream){
            .on_event = on_event, .state = r, .max_bytes = r->reply->max_event_bytes};
    }
}

static void openai_feed(void *state, struct str bytes)
{
    struct openai_reader *r = state;

    if (!reply_takes_more(r->reply))
        return;
    if (r->shape == SHAPE_UNTOLD) {
        while (bytes.len > 0 && strchr(" \t\r\n", bytes.ptr[0]) && bytes.ptr[0])
            bytes = str_skip(bytes, 1);
        if (bytes.len == 0)
            return;
        tell_shape(r, bytes.ptr[0]);
    }
    if (r->shape == SHAPE_EVENTS && !event_stream_feed(&r->events, bytes))
        fail_too_long(r);
    if (r->shape == SHAPE_JSON)
        buf_append_str(&r->held, bytes);
    if (r->held.failed)
        fail_too_long(r);
}

static void openai_end(void *state, bool is_whole)
{
    struct openai_reader *r = state;

    if (!reply_takes_more(r->reply) || !is_whole)
        return;
    if (r->shape == SHAPE_EVENTS && !event_stream_end(&r->events))
        fail_too_long(r);
    if (r->shape == SHAPE_JSON)
        take_json(r, buf_str(&r->held));
    r->reply->lacks_end =
        r->shape == SHAPE_EVENTS && r->reply->state == REPLY_OPEN && !r->has_finished;
}

static void openai_init(void *state, struct reply *reply)
{
    struct openai_reader *r = state;

    r->reply = reply;
}

static void openai_deinit(void *state)
{
    struct openai_reader *r = state;

    event_stream_deinit(&r->events);
    buf_deinit(&r->held);
}

const struct reader_type openai_reader_type = {
    .state_bytes = sizeof(struct openai_reader),
    .init = openai_init,
    .feed = openai_feed,
    .end = openai_end,
    .deinit = openai_deinit,
};

/* ---- the request ---- */

static void write_message(struct json *j, struct str role, struct str content)
{
    json_begin_object(j);
    json_pair_str(j, "role", role);
    json_pair_str(j, "content", content);
    json_end_object(j);
}

/* What an agent's config may say about the answer; the rest of it is about the chat. */
static void write_options(struct json *j, yyjson_val *config)
{
    static const char *const keys[] = {
        "frequency_penalty",
        "logit_bias",
        "max_completion_tokens",
        "max_tokens",
        "presence_penalty",
        "reasoning_effort",
        "response_format",
        "seed",
        "stop",
        "temperature",
        "top_k",
        "top_p",
    };

    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        yyjson_val *val = json_member(config, keys[i]);
        struct buf text = {.max_bytes = 64 * 1024};

        if (val && !yyjson_is_null(val)) {
            json_write_value(&text, val);
            json_pair_raw(j, keys[i], buf_str(&text));
        }
        if (text.failed)
            j->buf->failed = true;
        buf_deinit(&text);
    }
}

static void write_url(struct str base_url, struct buf *url)
{
    base_url = str_trim(base_url);
    while (str_ends_with(base_url, STR("/")))
        base_url.len--;
    buf_append_str(url, base_url);
    if (!str_ends_with(base_url, STR("/chat/completions")))
        buf_append_str(url, STR("/chat/completions"));
}

static struct error write_body(const struct upstream_prompt *prompt, yyjson_val *config,
                               struct buf *body)
{
    struct str model =
        prompt->model.len > 0 ? prompt->model : json_text(json_member(config, "model"));
    struct json j = {.buf = body};

    if (model.len == 0)
        return ERROR(ERR_PROVIDER_ERROR, 0, "The agent has no model: an admin needs to set one.");
    json_begin_object(&j);
    json_pair_str(&j, "model", model);
    json_key(&j, "messages");
    json_begin_array(&j);
    if (prompt->system_prompt.len > 0)
        write_message(&j, STR("system"), prompt->system_prompt);
    for (size_t i = 0; i < prompt->n_messages; i++)
        write_message(&j, prompt->messages[i].role, prompt->messages[i].content);
    json_end_array(&j);
    json_pair_bool(&j, "stream", true);
    json_pair_raw(&j, "stream_options", STR("{\"include_usage\":true}"));
    write_options(&j, config);
    json_end_object(&j);
    return NO_ERROR;
}

struct error openai_write_request(const struct upstream_prompt *prompt, struct str base_url,
                                  struct buf *url, struct buf *body)
{
    struct arena a = {0};
    yyjson_val *config = NULL;
    struct error err;

    /* A config that is no JSON says nothing. */
    if (prompt->config.len > 0 && is_error(json_read(&a, prompt->config, 64, &config)))
        config = NULL;
    write_url(base_url, url);
    err = write_body(prompt, config, body);
    arena_free(&a);
    return err;
}
