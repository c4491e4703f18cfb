/* The chat completions protocol of OpenAI, which OpenRouter, Groq, Ollama and vLLM speak too. */
#include "model_request.h"
#include "model_stream.h"
#include "provider.h"

/* ---- the answer ---- */

/* An error's code or type, where it is no number. */
static const struct model_word errors[] = {
    {"insufficient_quota", 429},  {"invalid_api_key", 401}, {"overloaded", 503},
    {"rate_limit_exceeded", 429}, {"server_error", 500},    {NULL, 0},
};

/* All others are ends as they should be: stop, tool_calls, function_call. */
static const struct model_word cuts[] = {
    {"content_filter", UPSTREAM_FILTERED},
    {"length", UPSTREAM_LENGTH},
    {NULL, 0},
};

static void take_error(struct model_stream *s, yyjson_val *error)
{
    yyjson_val *code = json_member(error, "code");
    int64_t status = -1;

    if (yyjson_is_int(code))
        status = yyjson_get_sint(code);
    else if (!str_to_i64(json_text(code), &status))
        status = model_word_value(errors, code);
    if (status < 0)
        status = model_word_value(errors, json_member(error, "type"));
    reply_refuse(s->reply, status > 0 && status < 1000 ? (int)status : 0);
}

static void take_usage(struct model_stream *s, yyjson_val *usage)
{
    if (yyjson_is_obj(usage))
        model_stream_set_usage(s, model_tokens(json_member(usage, "prompt_tokens")),
                               model_tokens(json_member(usage, "completion_tokens")),
                               model_tokens(json_member(usage, "total_tokens")));
}

static void take_reason(struct model_stream *s, yyjson_val *reason)
{
    int cut = model_word_value(cuts, reason);

    if (yyjson_equals_str(reason, "error"))
        reply_refuse(s->reply, 0);
    else if (yyjson_is_str(reason))
        model_stream_set_finish(s, cut < 0 ? UPSTREAM_STOPPED : (enum upstream_finish)cut);
}

/* A string, or a list of parts of which those with text count. */
static void take_content(struct model_stream *s, yyjson_val *content)
{
    yyjson_val *part;
    size_t i, n;

    if (yyjson_is_str(content))
        reply_add(s->reply, json_text(content));
    yyjson_arr_foreach(content, i, n, part)
        reply_add(s->reply, json_text(json_member(part, "text")));
}

/* A chunk of a stream, or the whole answer. Calls of tools are none of ours and count for nothing.
 */
static void take_object(struct model_stream *s, yyjson_val *object)
{
    yyjson_val *error = json_member(object, "error");
    yyjson_val *choice = yyjson_arr_get_first(json_member(object, "choices"));
    yyjson_val *delta = json_member(choice, "delta");
    yyjson_val *message = delta ? delta : json_member(choice, "message");

    if (error && !yyjson_is_null(error)) {
        take_error(s, error);
        return;
    }
    model_stream_set_model(s, json_text(json_member(object, "model")));
    take_usage(s, json_member(object, "usage"));
    take_usage(s, json_member(json_member(object, "x_groq"), "usage"));
    take_content(s, json_member(message, "content"));
    take_content(s, json_member(message, "refusal")); /* said instead of content */
    take_reason(s, json_member(choice, "finish_reason"));
}

static void openai_init(void *state, struct reply *reply)
{
    struct model_stream *s = state;

    s->reply = reply;
    s->take = take_object;
}

const struct reader_type openai_reader_type = {
    .state_bytes = sizeof(struct model_stream),
    .init = openai_init,
    .feed = model_stream_feed,
    .end = model_stream_end,
    .deinit = model_stream_deinit,
};

/* ---- the request ---- */

static const struct model_option options[] = {
    {"frequency_penalty", "frequency_penalty", false},
    {"logit_bias", "logit_bias", false},
    {"max_completion_tokens", "max_completion_tokens", false},
    {"max_tokens", "max_tokens", false},
    {"presence_penalty", "presence_penalty", false},
    {"reasoning_effort", "reasoning_effort", false},
    {"response_format", "response_format", false},
    {"seed", "seed", false},
    {"stop", "stop", false},
    {"temperature", "temperature", false},
    {"top_k", "top_k", false},
    {"top_p", "top_p", false},
};

static void write_message(struct json *j, struct str role, struct str content)
{
    json_begin_object(j);
    json_pair_str(j, "role", role);
    json_pair_str(j, "content", content);
    json_end_object(j);
}

static void write_body(const struct model_request *rq, struct buf *body)
{
    const struct upstream_prompt *prompt = rq->prompt;
    struct json j = {.buf = body};

    json_begin_object(&j);
    json_pair_str(&j, "model", rq->model);
    json_key(&j, "messages");
    json_begin_array(&j);
    if (prompt->system_prompt.len > 0)
        write_message(&j, STR("system"), prompt->system_prompt);
    for (size_t i = 0; i < prompt->n_messages; i++)
        write_message(&j, prompt->messages[i].role, prompt->messages[i].content);
    json_end_array(&j);
    json_pair_bool(&j, "stream", true);
    json_pair_raw(&j, "stream_options", STR("{\"include_usage\":true}"));
    model_request_write_options(rq, &j, options, sizeof(options) / sizeof(options[0]));
    json_end_object(&j);
}

struct error openai_write_request(const struct upstream_prompt *prompt, struct str base_url,
                                  struct buf *url, struct buf *body)
{
    struct model_request rq;
    struct error err = model_request_open(&rq, prompt);

    if (!is_error(err)) {
        model_request_url(url, base_url, STR("/chat/completions"));
        write_body(&rq, body);
    }
    model_request_close(&rq);
    return err;
}
