/* The generateContent protocol of Gemini. */
#include "model_request.h"
#include "model_stream.h"
#include "provider.h"

#include <ctype.h>

/* ---- the answer ---- */

/* Errors mostly come with their number; these are the names that matter without it. */
static const struct model_word errors[] = {
    {"DEADLINE_EXCEEDED", 504},
    {"INTERNAL", 500},
    {"PERMISSION_DENIED", 403},
    {"RESOURCE_EXHAUSTED", 429},
    {"UNAVAILABLE", 503},
    {"UNAUTHENTICATED", 401},
    {NULL, 0},
};

static const struct model_word reasons[] = {
    {"STOP", UPSTREAM_STOPPED},         {"FINISH_REASON_UNSPECIFIED", UPSTREAM_STOPPED},
    {"MAX_TOKENS", UPSTREAM_LENGTH},    {"BLOCKLIST", UPSTREAM_FILTERED},
    {"MODEL_ARMOR", UPSTREAM_FILTERED}, {"PROHIBITED_CONTENT", UPSTREAM_FILTERED},
    {"RECITATION", UPSTREAM_FILTERED},  {"SAFETY", UPSTREAM_FILTERED},
    {"SPII", UPSTREAM_FILTERED},        {NULL, 0},
};

/* A key that is wrong is told as a bad request, with this among the details. */
static bool is_about_key(yyjson_val *error)
{
    yyjson_val *detail;
    size_t i, n;

    yyjson_arr_foreach(json_member(error, "details"), i, n, detail)
    {
        if (yyjson_equals_str(json_member(detail, "reason"), "API_KEY_INVALID"))
            return true;
    }
    return false;
}

static void take_error(struct model_stream *s, yyjson_val *error)
{
    yyjson_val *code = json_member(error, "code");
    int64_t status = yyjson_is_int(code) ? yyjson_get_sint(code)
                                         : model_word_value(errors, json_member(error, "status"));

    if (is_about_key(error))
        status = 401;
    reply_refuse(s->reply, status > 0 && status < 1000 ? (int)status : 0);
}

static void take_usage(struct model_stream *s, yyjson_val *usage)
{
    if (!yyjson_is_obj(usage))
        return;
    model_stream_set_usage(s,
                           model_tokens(json_member(usage, "promptTokenCount")) +
                               model_tokens(json_member(usage, "toolUsePromptTokenCount")),
                           model_tokens(json_member(usage, "candidatesTokenCount")) +
                               model_tokens(json_member(usage, "thoughtsTokenCount")),
                           model_tokens(json_member(usage, "totalTokenCount")));
}

static void take_reason(struct model_stream *s, yyjson_val *reason)
{
    int finish = model_word_value(reasons, reason);

    if (!yyjson_is_str(reason))
        return;
    if (finish >= 0)
        model_stream_set_finish(s, (enum upstream_finish)finish);
    else
        reply_fail(s->reply, ERR_PROVIDER_ERROR, "The model provider broke the reply off.");
}

/* Thoughts are text too, yet none for people; calls of functions have no text. */
static void take_parts(struct model_stream *s, yyjson_val *parts)
{
    yyjson_val *part;
    size_t i, n;

    yyjson_arr_foreach(parts, i, n, part)
    {
        if (!yyjson_is_true(json_member(part, "thought")))
            reply_add(s->reply, json_text(json_member(part, "text")));
    }
}

/* A chunk of a stream and the whole answer are alike. A reason may come in each chunk, and counts
 * once nothing follows. */
static void take_object(struct model_stream *s, yyjson_val *object)
{
    yyjson_val *error = json_member(object, "error");
    yyjson_val *candidate = yyjson_arr_get_first(json_member(object, "candidates"));
    yyjson_val *refused = json_member(json_member(object, "promptFeedback"), "blockReason");

    if (error && !yyjson_is_null(error)) {
        take_error(s, error);
        return;
    }
    model_stream_set_model(s, json_text(json_member(object, "modelVersion")));
    take_usage(s, json_member(object, "usageMetadata"));
    take_parts(s, json_member(json_member(candidate, "content"), "parts"));
    if (yyjson_is_str(refused))
        model_stream_filter(s, "The model provider's filter refused the message.");
    take_reason(s, json_member(candidate, "finishReason"));
}

static void gemini_init(void *state, struct reply *reply)
{
    struct model_stream *s = state;

    s->reply = reply;
    s->take = take_object;
}

const struct reader_type gemini_reader_type = {
    .state_bytes = sizeof(struct model_stream),
    .init = gemini_init,
    .feed = model_stream_feed,
    .end = model_stream_end,
    .deinit = model_stream_deinit,
};

/* ---- the request ---- */

static const struct model_option options[] = {
    {"frequency_penalty", "frequencyPenalty", false},
    {"max_tokens", "maxOutputTokens", false},
    {"max_completion_tokens", "maxOutputTokens", false},
    {"presence_penalty", "presencePenalty", false},
    {"seed", "seed", false},
    {"stop", "stopSequences", true},
    {"temperature", "temperature", false},
    {"thinking", "thinkingConfig", false},
    {"top_k", "topK", false},
    {"top_p", "topP", false},
};

/* "gemini-2.5-flash", or with its collection: "tunedModels/mine". */
static void write_url(const struct model_request *rq, struct str base_url, struct buf *url)
{
    /* Who talks may choose the model, but not another place than models have. */
    bool may_name_collection = !str_contains(rq->model, STR(".."));

    model_request_url(url, base_url, STR("/"));
    if (!may_name_collection || str_find(rq->model, '/') == rq->model.len)
        buf_append_str(url, STR("models/"));
    for (size_t i = 0; i < rq->model.len; i++) {
        unsigned char c = (unsigned char)rq->model.ptr[i];

        if (c < 0x80 && (isalnum(c) || c == '-' || c == '.' || c == '_' || c == '~' ||
                         (c == '/' && may_name_collection)))
            buf_append_char(url, (char)c);
        else
            buf_printf(url, "%%%02X", c);
    }
    buf_append_str(url, STR(":streamGenerateContent?alt=sse"));
}

static void write_body(const struct model_request *rq, struct buf *body)
{
    static const struct model_turns turns = {.assistant = {"model", 5}, .parts = "parts"};
    struct json j = {.buf = body};

    json_begin_object(&j);
    if (rq->prompt->system_prompt.len > 0) {
        json_key(&j, "systemInstruction");
        json_begin_object(&j);
        json_key(&j, "parts");
        json_begin_array(&j);
        json_begin_object(&j);
        json_pair_str(&j, "text", rq->prompt->system_prompt);
        json_end_object(&j);
        json_end_array(&j);
        json_end_object(&j);
    }
    json_key(&j, "contents");
    json_begin_array(&j);
    model_request_write_turns(rq, &j, &turns);
    json_end_array(&j);
    json_key(&j, "generationConfig");
    json_begin_object(&j);
    model_request_write_options(rq, &j, options, sizeof(options) / sizeof(options[0]));
    json_end_object(&j);
    json_end_object(&j);
}

struct error gemini_write_request(const struct upstream_prompt *prompt, struct str base_url,
                                  struct buf *url, struct buf *body)
{
    struct model_request rq;
    struct error err = model_request_open(&rq, prompt);

    if (!is_error(err)) {
        write_url(&rq, base_url, url);
        write_body(&rq, body);
    }
    model_request_close(&rq);
    return err;
}
