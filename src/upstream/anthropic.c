/* The messages protocol of Anthropic. */
#include "model_request.h"
#include "model_stream.h"
#include "provider.h"

#define MAX_TOKENS 4096 /* the protocol wants a bound; this where the agent's config has none */

/* ---- the answer ---- */

/* An error in the stream has the name of one that comes before it as an HTTP status. */
static const struct model_word errors[] = {
    {"api_error", 500},        {"authentication_error", 401}, {"billing_error", 402},
    {"not_found_error", 404},  {"overloaded_error", 529},     {"permission_error", 403},
    {"rate_limit_error", 429}, {"timeout_error", 504},        {NULL, 0},
};

/* All others are ends as they should be: end_turn, stop_sequence, tool_use, pause_turn. */
static const struct model_word cuts[] = {
    {"max_tokens", UPSTREAM_LENGTH},
    {"model_context_window_exceeded", UPSTREAM_LENGTH},
    {"refusal", UPSTREAM_FILTERED},
    {NULL, 0},
};

/* The counts are told in two parts, and each one that comes again is the whole so far. */
static void take_usage(struct model_stream *s, yyjson_val *usage)
{
    const struct upstream_usage *known = &s->reply->usage;
    yyjson_val *input = json_member(usage, "input_tokens");
    yyjson_val *output = json_member(usage, "output_tokens");
    int64_t prompt = known->prompt_tokens, completion = known->completion_tokens;

    if (yyjson_is_int(input))
        prompt = model_tokens(input) +
                 model_tokens(json_member(usage, "cache_creation_input_tokens")) +
                 model_tokens(json_member(usage, "cache_read_input_tokens"));
    if (yyjson_is_int(output))
        completion = model_tokens(output);
    if (yyjson_is_int(input) || yyjson_is_int(output))
        model_stream_set_usage(s, prompt, completion, 0);
}

static void take_reason(struct model_stream *s, yyjson_val *reason)
{
    int cut = model_word_value(cuts, reason);

    if (yyjson_is_str(reason))
        model_stream_set_finish(s, cut < 0 ? UPSTREAM_STOPPED : (enum upstream_finish)cut);
}

/* A block, or what is added to one. Thoughts and calls of tools have other types. */
static void take_text(struct model_stream *s, yyjson_val *part, const char *type)
{
    if (yyjson_equals_str(json_member(part, "type"), type))
        reply_add(s->reply, json_text(json_member(part, "text")));
}

/* The message as it begins in a stream, or the whole of it. */
static void take_message(struct model_stream *s, yyjson_val *message)
{
    yyjson_val *block;
    size_t i, n;

    model_stream_set_model(s, json_text(json_member(message, "model")));
    take_usage(s, json_member(message, "usage"));
    yyjson_arr_foreach(json_member(message, "content"), i, n, block) take_text(s, block, "text");
    take_reason(s, json_member(message, "stop_reason"));
}

static void take_object(struct model_stream *s, yyjson_val *object)
{
    yyjson_val *type = json_member(object, "type");
    yyjson_val *error = json_member(object, "error");

    if (error && !yyjson_is_null(error)) {
        reply_refuse(s->reply, model_word_value(errors, json_member(error, "type")));
    } else if (yyjson_equals_str(type, "content_block_delta")) {
        take_text(s, json_member(object, "delta"), "text_delta");
    } else if (yyjson_equals_str(type, "content_block_start")) {
        take_text(s, json_member(object, "content_block"), "text");
    } else if (yyjson_equals_str(type, "message_start")) {
        take_message(s, json_member(object, "message"));
    } else if (yyjson_equals_str(type, "message")) {
        take_message(s, object);
    } else if (yyjson_equals_str(type, "message_delta")) {
        take_usage(s, json_member(object, "usage"));
        take_reason(s, json_member(json_member(object, "delta"), "stop_reason"));
    } else if (yyjson_equals_str(type, "message_stop")) {
        reply_done(s->reply);
    } /* ping, content_block_stop, and what is to come */
}

static void anthropic_init(void *state, struct reply *reply)
{
    struct model_stream *s = state;

    s->reply = reply;
    s->take = take_object;
}

const struct reader_type anthropic_reader_type = {
    .state_bytes = sizeof(struct model_stream),
    .init = anthropic_init,
    .feed = model_stream_feed,
    .end = model_stream_end,
    .deinit = model_stream_deinit,
};

/* ---- the request ---- */

static const struct model_option options[] = {
    {"max_tokens", "max_tokens", false}, {"max_completion_tokens", "max_tokens", false},
    {"stop", "stop_sequences", true},    {"temperature", "temperature", false},
    {"thinking", "thinking", false},     {"top_k", "top_k", false},
    {"top_p", "top_p", false},
};

static void write_body(const struct model_request *rq, struct buf *body)
{
    static const struct model_turns turns = {
        .assistant = {"assistant", 9}, .parts = "content", .has_types = true};
    struct json j = {.buf = body};

    json_begin_object(&j);
    json_pair_str(&j, "model", rq->model);
    if (rq->prompt->system_prompt.len > 0)
        json_pair_str(&j, "system", rq->prompt->system_prompt);
    json_key(&j, "messages");
    json_begin_array(&j);
    model_request_write_turns(rq, &j, &turns);
    json_end_array(&j);
    json_pair_bool(&j, "stream", true);
    if (!model_request_has(rq, "max_tokens") && !model_request_has(rq, "max_completion_tokens"))
        json_pair_int(&j, "max_tokens", MAX_TOKENS);
    model_request_write_options(rq, &j, options, sizeof(options) / sizeof(options[0]));
    json_end_object(&j);
}

struct error anthropic_write_request(const struct upstream_prompt *prompt, struct str base_url,
                                     struct buf *url, struct buf *body)
{
    struct model_request rq;
    struct error err = model_request_open(&rq, prompt);

    if (!is_error(err)) {
        model_request_url(url, base_url, STR("/messages"));
        write_body(&rq, body);
    }
    model_request_close(&rq);
    return err;
}
