/* POST /v1/chat/completions: an agent as a model of OpenAI's protocol. The agent is asked in the
 * request's own flow and nothing is stored, so that a client that leaves ends it all. */
#include "completions.h"

#include "account/rate.h"
#include "answer.h"
#include "base/clock.h"
#include "base/log.h"
#include "chat/follow.h"
#include "chat/streams.h"
#include "chat/turn.h"
#include "chat/usage.h"
#include "config/config.h"
#include "doc.h"
#include "message_json.h"

#define MINUTE_MS   60000
#define CHUNK_BYTES (16 * 1024) /* of text */
#define KEEP_ALIVE  ": keep-alive\n\n"
#define IS_DONE     "data: [DONE]\n\n"

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
static void check_failed(struct completion *s)
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

static const struct schema stream_event_schema = {
    "CompletionEvent",
    .about = "The last event of a stream that went well is `[DONE]`.",
    .one_of = ONE_OF(&chunk_schema, &v1_error_schema),
};

static void begin_stream(struct completion *s)
{
    sse_begin(s->req);
    send_chunk(s, CHUNK_ROLE, STR(""));
}

static void on_heartbeat(struct timer *t);

static void restart_heartbeat(struct completion *s)
{
    timer_start(&s->heartbeat, config()->turn.heartbeat_seconds * 1000, on_heartbeat);
}

/* An agent that thinks for long: from now on the status is 200, whatever comes. */
static void on_heartbeat(struct timer *t)
{
    struct completion *s = container_of(t, struct completion, heartbeat);

    restart_heartbeat(s);
    if (!response_is_started(s->req))
        begin_stream(s);
    else if (!response_stream_is_full(s->req))
        response_stream_write(s->req, KEEP_ALIVE, sizeof(KEEP_ALIVE) - 1);
    check_failed(s);
}

static void on_drained(void *state);

/* Sends what there is and the socket takes. A slow client costs no more than one reply. */
static void pump(struct completion *s)
{
    size_t at = 0;

    while (at < s->text.len && !s->has_failed && !response_stream_is_full(s->req)) {
        struct str piece = utf8_prefix(str_skip(buf_str(&s->text), at), CHUNK_BYTES);

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
    pump(s);
    if (s->has_failed)
        check_failed(s);
    else if (!s->is_blocked && op_is_running(&s->drain))
        op_end(&s->drain, NO_ERROR); /* last: may free s */
}

/* ---- asking the agent ---- */

/* Asked before the body is read, so that a flood is cheap. */
static void take_rate(struct flow *f)
{
    const struct completion *s = request_of(f)->state;
    unsigned wait_s = rate_take(RATE_AGENT_MESSAGES, id_str(&s->v1.auth.caller.agent_id),
                                config()->limits.agent_messages_per_minute, MINUTE_MS);

    if (wait_s > 0)
        flow_fail(f, ERROR(ERR_RATE_LIMITED, (int)wait_s,
                           "This agent gets too many messages; wait a moment"));
}

static void free_arena(void *arena)
{
    arena_free(arena);
}

static void read_body(struct flow *f)
{
    struct request *req = request_of(f);
    struct completion *s = req->state;

    s->req = req;
    s->id = id_v7();
    s->created_s = clock_wall_us() / 1000000;
    if (arena_defer(&req->arena, free_arena, &s->arena))
        (void)!completion_read(req, &s->arena, &s->in);
    else
        flow_fail(f, ERROR(ERR_NO_MEMORY, 0, NULL));
}

/* The agent's own words come first, the client's after them. */
static void add_client_words(struct flow *f)
{
    struct completion *s = request_of(f)->state;
    struct str own = s->prompt.system_prompt;

    if (s->in.system.len > 0)
        s->prompt.system_prompt = own.len > 0 ? arena_printf(&s->arena, "%.*s\n\n%.*s",
                                                             STR_ARG(own), STR_ARG(s->in.system))
                                              : s->in.system;
    if (!s->prompt.system_prompt.ptr)
        flow_fail(f, ERROR(ERR_NO_MEMORY, 0, NULL));
}

static void build_prompt(struct flow *f)
{
    struct completion *s = request_of(f)->state;
    const struct key_caller *who = &s->v1.auth.caller;
    struct error err =
        prompt_of_agent(&s->arena, id_str(&who->agent_id), who->row, BY_KEY_AGENT, &s->prompt);

    if (is_error(err)) {
        flow_fail(f, err);
        return;
    }
    s->agent_id = who->agent_id;
    s->prompt.session_id = id_str(&s->id);
    s->prompt.messages = s->in.messages;
    s->prompt.n_messages = s->in.n_messages;
    add_client_words(f);
}

static void find_knowledge(struct flow *f)
{
    struct completion *s = request_of(f)->state;

    s->knowledge = knowledge_find(f, &s->arena, &s->v1.auth.caller.team_id, &s->prompt);
}

/* Their protocol has no place for sources, nor for a word about a search that fell short. */
static void take_knowledge(struct flow *f)
{
    struct completion *s = request_of(f)->state;
    struct str sources;

    (void)knowledge_take(s->knowledge, &sources);
}

static void on_text(struct upstream_call *call, struct str text)
{
    struct completion *s = call->state;

    /* Nobody is asked again once an answer comes: what the agent was told does not stay. */
    s->prompt = (struct upstream_prompt){0};
    arena_free(&s->arena);
    s->n_reply_chars += utf8_length(text);
    buf_append_str(&s->text, text);
    s->has_failed = s->text.failed;
    if (s->in.is_stream && !s->has_failed) {
        if (!response_is_started(s->req))
            begin_stream(s);
        restart_heartbeat(s);
        if (!s->is_blocked)
            pump(s);
    }
    check_failed(s);
}

static void call_provider(struct flow *f)
{
    struct completion *s = request_of(f)->state;

    buf_init(&s->text, config()->upstream.reply_bytes + 1);
    s->provider = s->prompt.provider;
    s->n_prompt_chars = usage_prompt_chars(&s->prompt);
    s->call = (struct upstream_call){.state = s, .on_text = on_text};
    upstream_start(&s->call, f, &s->prompt);
}

static const struct step ask_steps[] = {STEP(call_provider), STEP_END};

/* How it went is told by the subflow: what came before an error is sent, too. */
static void ask_agent(struct flow *f)
{
    struct request *req = request_of(f);
    struct completion *s = req->state;
    struct error err = streams_enter(&s->v1.auth.caller.team_id);

    if (is_error(err)) {
        flow_fail(f, err);
        return;
    }
    s->is_counted = true;
    req->fails_at_eof = true; /* one who waits for the whole may leave as well */
    if (s->in.is_stream)
        restart_heartbeat(s);
    flow_try(f, &s->ask, ask_steps, req);
}

/* ---- another agent instead, as in chats ---- */

static bool wants_fallback(const struct completion *s)
{
    return prompt_may_fall_back(s->ask.flow.err) && s->n_reply_chars == 0 &&
           s->call.finish != UPSTREAM_FILTERED &&
           str_contains(s->prompt.config, STR("fallback_agent_id"));
}

static void query_fallback(struct flow *f)
{
    struct completion *s = request_of(f)->state;
    const struct key_caller *who = &s->v1.auth.caller;

    db_query(&s->fallback, f, &s->arena, SQL_TURN_LOAD_AGENT,
             DB_ARGS(db_uuid(id_str(&who->team_id)), db_uuid(id_str(&who->agent_id))));
}

static const struct step fallback_steps[] = {STEP(query_fallback), STEP_END};

static void load_fallback(struct flow *f)
{
    struct request *req = request_of(f);
    struct completion *s = req->state;

    if (wants_fallback(s))
        flow_try(f, &s->load, fallback_steps, req);
}

static void fall_back(struct flow *f)
{
    struct completion *s = request_of(f)->state;
    const struct db_result *r = s->fallback.result;
    struct str name;

    if (!r || r->n_rows == 0 || !prompt_fall_back(&s->arena, r, &s->prompt, &s->agent_id, &name))
        return;
    log_info("completion %s: %s; asking agent %s instead", s->id.text,
             status_row(s->ask.flow.err.status)->name, s->agent_id.text);
    s->has_fallen_back = true;
    add_client_words(f);
}

static void find_knowledge_again(struct flow *f)
{
    struct completion *s = request_of(f)->state;

    if (s->has_fallen_back)
        find_knowledge(f);
}

static void ask_fallback(struct flow *f)
{
    struct request *req = request_of(f);
    struct completion *s = req->state;

    if (!s->has_fallen_back)
        return;
    take_knowledge(f);
    flow_try(f, &s->ask, ask_steps, req);
}

/* ---- the end ---- */

static void on_drain_cancel(struct op *op)
{
    op_end(op, ERROR(ERR_CANCELED, 0, NULL));
}

static void send_rest(struct flow *f)
{
    struct completion *s = request_of(f)->state;

    if (s->is_blocked)
        op_begin(&s->drain, f, on_drain_cancel);
}

static void send_error(struct completion *s, struct error err)
{
    struct buf *out = chat_scratch();
    struct json j = {.buf = out};

    log_write((enum log_level)status_row(err.status)->log_level, "api: %s (%d): %s request=%s",
              status_row(err.status)->name, err.code, err.detail ? err.detail : "",
              s->req->id.text);
    buf_append_str(out, STR("data: "));
    v1_write_error(&j, err, NULL);
    send_event(s, out);
}

static void end_stream(struct completion *s, struct error err)
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

static const struct schema completion_schema = {
    "Completion",
    .members = MEMBERS({"id", DOC_TEXT}, {"object", DOC_TEXT, .values = "chat.completion"},
                       {"created", DOC_INT}, {"model", DOC_ID},
                       {"choices", DOC_OBJECT | DOC_LIST, &choice_schema},
                       {"usage", DOC_OBJECT, &usage_schema}),
};

static void answer_whole(struct completion *s)
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

static void answer(struct flow *f)
{
    struct request *req = request_of(f);
    struct completion *s = req->state;
    struct error err = s->ask.flow.err;

    if (err.status == ERR_PROVIDER_ERROR && s->call.finish == UPSTREAM_FILTERED)
        err = NO_ERROR; /* in this protocol it is a way to end */
    if (s->in.is_stream && !is_error(err) && !response_is_started(req))
        begin_stream(s); /* of a filter, which let no text through */
    if (response_is_started(req))
        end_stream(s, err);
    else if (is_error(err))
        flow_fail(f, err);
    else
        answer_whole(s);
    check_failed(s);
}

static void release(struct flow *f)
{
    struct completion *s = request_of(f)->state;

    timer_stop(&s->heartbeat);
    buf_deinit(&s->text);
    s->is_blocked = false;
    if (s->is_counted)
        streams_leave(&s->v1.auth.caller.team_id);
}

static void add_usage(struct flow *f)
{
    struct request *req = request_of(f);
    struct completion *s = req->state;
    const struct key_caller *who = &s->v1.auth.caller;
    const struct usage usage = usage_of(&s->call.usage, s->n_prompt_chars, s->n_reply_chars);
    const struct usage_account account = {
        .team_id = who->team_id,
        .owner_id = who->key_id,
        .agent_id = s->agent_id,
        .provider = str_from(provider_name(s->provider)),
        .model = s->call.model,
    };
    struct db_arg args[USAGE_ARGS];

    usage_args(&account, &usage, args);
    db_query(&s->usage, f, &req->arena, SQL_USAGE_ADD, args, USAGE_ARGS);
}

static const struct step usage_steps[] = {STEP(add_usage), STEP_END};

/* All that is stored of an answer. The client has it by then, or has left. */
static void save_usage(struct flow *f)
{
    struct request *req = request_of(f);
    struct completion *s = req->state;

    if (s->n_reply_chars > 0)
        flow_try(f, &s->save, usage_steps, req);
}

static void check_usage(struct flow *f)
{
    const struct completion *s = request_of(f)->state;

    if (is_error(s->save.flow.err))
        log_warn("completions: the usage of an answer is not stored: %s",
                 status_row(s->save.flow.err.status)->name);
}

const struct step completions_steps[] = {
    STEP(v1_check_key), /* 401, 403, 429 */
    STEP(take_rate),    /* 429 */
    STEP(read_body),    /* 400, 404 */
    STEP(build_prompt),
    STEP(find_knowledge),
    STEP(take_knowledge),
    STEP(ask_agent), /* ends with the last token, or with the client */
    STEP(load_fallback),
    STEP(fall_back), /* where it failed before the first */
    STEP(find_knowledge_again),
    STEP(ask_fallback),
    STEP(send_rest), /* to a client that reads slowly */
    STEP(answer),
    STEP_ALWAYS(v1_answer_error),
    STEP_ALWAYS(release),
    STEP_ALWAYS(save_usage),
    STEP_ALWAYS(check_usage),
    STEP_END,
};

const struct route_doc completions_doc = {
    TAG_OPENAI,
    ANSWERS({200, &completion_schema}, {200, &stream_event_schema, .type = "text/event-stream"}),
    DOC_ERRORS(404, 429, 500, 502, 504),
    .schema = &completion_request_schema,
    .example = "{\"model\": \"Parrot\", \"messages\": [{\"role\": \"user\", \"content\": "
               "\"Hello\"}]}",
    .error = &v1_error_schema,
};
