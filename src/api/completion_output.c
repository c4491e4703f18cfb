/* An answer in OpenAI's shapes: chunks as the text comes, or one object at the end. */
#include "completion_output.h"

#include "answer.h"
#include "chat/follow.h"
#include "chat/turn.h"
#include "chat/usage.h"
#include "config/config.h"
#include "doc.h"
#include "message_json.h"

#define CHUNK_BYTES       (16 * 1024) /* of text */
#define CHUNK_HEAD_BYTES  512         /* what is beside it */
#define CHUNK_LEAST_BYTES 64
#define KEEP_ALIVE        ": keep-alive\n\n"
#define IS_DONE           "data: [DONE]\n\n"

/* ---- what every answer says ---- */

static void write_start(struct json *j, const struct completion *s, const char *object)
{
    struct buf *out = j->buf;

    json_begin_object(j);
    json_key(j, "id");
    buf_printf(out, "\"chatcmpl-%s\"", s->id.text);
    j->needs_comma = true;
    json_pair_str(j, "object", str_from(object));
    json_pair_int(j, "created", s->created_s);
    json_pair_str(j, "model", id_str(&s->v1.auth.caller.agent_id));
}

static void write_usage(struct json *j, const struct completion *s)
{
    const struct usage usage = usage_of(&s->call.usage, s->n_prompt_chars, s->n_reply_chars);

    json_key(j, "usage");
    json_begin_object(j);
    json_pair_int(j, "prompt_tokens", usage.prompt_tokens);
    json_pair_int(j, "completion_tokens", usage.completion_tokens);
    json_pair_int(j, "total_tokens", usage.total_tokens);
    json_end_object(j);
}

static struct str finish_reason(const struct completion *s)
{
    switch (s->call.finish) {
    case UPSTREAM_LENGTH:
        return STR("length");
    case UPSTREAM_FILTERED:
        return STR("content_filter");
    default:
        return STR("stop");
    }
}

/* ---- the stream ---- */

enum chunk { CHUNK_ROLE, CHUNK_TEXT, CHUNK_STOP, CHUNK_USAGE };

static void write_choice(struct json *j, const struct completion *s, enum chunk kind,
                         struct str text)
{
    json_begin_object(j);
    json_pair_int(j, "index", 0);
    json_key(j, "delta");
    json_begin_object(j);
    if (kind == CHUNK_ROLE)
        json_pair_str(j, "role", STR("assistant"));
    if (kind == CHUNK_ROLE || kind == CHUNK_TEXT)
        json_pair_str(j, "content", text);
    json_end_object(j);
    json_pair_raw(j, "logprobs", STR("null"));
    json_pair_str_or_null(j, "finish_reason", kind == CHUNK_STOP ? finish_reason(s) : STR_NONE);
    json_end_object(j);
}

static void send_event(struct completion *s, struct buf *out)
{
    buf_append_str(out, STR("\n\n"));
    if (out->failed)
        s->has_failed = true;
    else
        response_stream_write(s->req, out->data, out->len);
}

/* The last thing that a callback does, as it may free s. */
void completion_check_failed(struct completion *s)
{
    if (s->has_failed)
        flow_fail(&s->req->flow, ERROR(ERR_NO_MEMORY, 0, NULL));
}

static void send_chunk(struct completion *s, enum chunk kind, struct str text)
{
    struct buf *out = chat_scratch();
    struct json j = {.buf = out};

    buf_append_str(out, STR("data: "));
    write_start(&j, s, "chat.completion.chunk");
    json_key(&j, "choices");
    json_begin_array(&j);
    if (kind != CHUNK_USAGE)
        write_choice(&j, s, kind, text);
    json_end_array(&j);
    if (kind == CHUNK_USAGE)
        write_usage(&j, s);
    else if (s->in.wants_usage)
        json_pair_raw(&j, "usage", STR("null"));
    json_end_object(&j);
    send_event(s, out);
}

static const struct schema delta_schema = {
    "CompletionDelta",
    .members = MEMBERS({"role", DOC_TEXT | DOC_OPTIONAL, .values = "assistant"},
                       {"content", DOC_TEXT | DOC_OPTIONAL}),
};

static const struct schema chunk_choice_schema = {
    "CompletionChunkChoice",
    .members =
        MEMBERS({"index", DOC_INT}, {"delta", DOC_OBJECT, &delta_schema},
                {"logprobs", DOC_OBJECT | DOC_NULL},
                {"finish_reason", DOC_TEXT | DOC_NULL, .values = "stop|length|content_filter"}),
};

static const struct schema chunk_schema = {
    "CompletionChunk",
    .members = MEMBERS({"id", DOC_TEXT}, {"object", DOC_TEXT, .values = "chat.completion.chunk"},
                       {"created", DOC_INT}, {"model", DOC_ID},
                       {"choices", DOC_OBJECT | DOC_LIST, &chunk_choice_schema},
                       {"usage", DOC_OBJECT | DOC_NULL | DOC_OPTIONAL, &usage_schema}),
};

const struct schema completion_event_schema = {
    "CompletionEvent",
    .about = "The last event of a stream that went well is `[DONE]`.",
    .one_of = ONE_OF(&chunk_schema, &v1_error_schema),
};

void completion_begin_stream(struct completion *s)
{
    sse_begin(s->req);
    send_chunk(s, CHUNK_ROLE, STR(""));
}

static void on_heartbeat(struct timer *t);

void completion_restart_heartbeat(struct completion *s)
{
    timer_start(&s->heartbeat, config()->turn.heartbeat_seconds * 1000, on_heartbeat);
}

/* An agent that thinks for long: from now on the status is 200, whatever comes. */
static void on_heartbeat(struct timer *t)
{
    struct completion *s = container_of(t, struct completion, heartbeat);

    completion_restart_heartbeat(s);
    if (!response_is_started(s->req))
        completion_begin_stream(s);
    else if (!response_stream_is_full(s->req))
        response_stream_write(s->req, KEEP_ALIVE, sizeof(KEEP_ALIVE) - 1);
    completion_check_failed(s);
}

static void on_drained(void *state);

/* Sends what there is and the socket takes. A slow client costs no more than one reply. */
void completion_pump(struct completion *s)
{
    size_t at = 0;

    while (at < s->text.len && !s->has_failed && !response_stream_is_full(s->req)) {
        size_t room = response_stream_room(s->req);
        struct str piece = utf8_prefix(str_skip(buf_str(&s->text), at), CHUNK_BYTES);

        piece =
            json_prefix(piece, room > CHUNK_HEAD_BYTES + CHUNK_LEAST_BYTES ? room - CHUNK_HEAD_BYTES
                                                                           : CHUNK_LEAST_BYTES);
        send_chunk(s, CHUNK_TEXT, piece);
        at += piece.len;
    }
    buf_consume(&s->text, at);
    s->is_blocked = s->text.len > 0 && !s->has_failed;
    if (s->is_blocked)
        response_stream_on_drained(s->req, on_drained, s);
}

static void on_drained(void *state)
{
    struct completion *s = state;

    if (!s->is_blocked)
        return;
    completion_pump(s);
    if (s->has_failed)
        completion_check_failed(s);
    else if (!s->is_blocked && op_is_running(&s->drain))
        op_end(&s->drain, NO_ERROR); /* last: may free s */
}

/* ---- the end ---- */

static void send_error(struct completion *s, struct error err)
{
    struct buf *out = chat_scratch();
    struct json j = {.buf = out};

    request_log_failure(s->req, "api", err);
    buf_append_str(out, STR("data: "));
    v1_write_error(&j, err, NULL);
    send_event(s, out);
}

void completion_end_stream(struct completion *s, struct error err)
{
    if (is_error(err)) {
        send_error(s, err);
        return;
    }
    send_chunk(s, CHUNK_STOP, STR(""));
    if (s->in.wants_usage)
        send_chunk(s, CHUNK_USAGE, STR(""));
    response_stream_write(s->req, IS_DONE, sizeof(IS_DONE) - 1);
}

static const struct schema completion_message_schema = {
    "CompletionReply",
    .members = MEMBERS({"role", DOC_TEXT, .values = "assistant"}, {"content", DOC_TEXT},
                       {"refusal", DOC_TEXT | DOC_NULL}),
};

static const struct schema choice_schema = {
    "CompletionChoice",
    .members = MEMBERS({"index", DOC_INT}, {"message", DOC_OBJECT, &completion_message_schema},
                       {"logprobs", DOC_OBJECT | DOC_NULL},
                       {"finish_reason", DOC_TEXT, .values = "stop|length|content_filter"}),
};

const struct schema completion_schema = {
    "Completion",
    .members = MEMBERS({"id", DOC_TEXT}, {"object", DOC_TEXT, .values = "chat.completion"},
                       {"created", DOC_INT}, {"model", DOC_ID},
                       {"choices", DOC_OBJECT | DOC_LIST, &choice_schema},
                       {"usage", DOC_OBJECT, &usage_schema}),
};

void completion_answer_whole(struct completion *s)
{
    struct buf body = {0};
    struct json j = {.buf = &body};

    write_start(&j, s, "chat.completion");
    json_key(&j, "choices");
    json_begin_array(&j);
    json_begin_object(&j);
    json_pair_int(&j, "index", 0);
    json_key(&j, "message");
    json_begin_object(&j);
    json_pair_str(&j, "role", STR("assistant"));
    json_pair_str(&j, "content", buf_str(&s->text));
    json_pair_raw(&j, "refusal", STR("null"));
    json_end_object(&j);
    json_pair_raw(&j, "logprobs", STR("null"));
    json_pair_str(&j, "finish_reason", finish_reason(s));
    json_end_object(&j);
    json_end_array(&j);
    write_usage(&j, s);
    json_end_object(&j);
    answer_json(s->req, 200, &body);
}
