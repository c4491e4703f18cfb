/* Sending a message and following its turn. */
#include "ask.h"

#include "account/rate.h"
#include "answer.h"
#include "base/crypto.h"
#include "config/config.h"
#include "earlier.h"
#include "elsewhere.h"

#define MINUTE_MS 60000

const struct member ask_headers[] = {
    {"Idempotency-Key", DOC_TEXT | DOC_OPTIONAL, .min = 0, .max = ASK_KEY_BYTES,
     .about = "Sent again with the same key, the message is not doubled"},
    {"Last-Event-ID", DOC_TEXT | DOC_OPTIONAL,
     .about = "With a key that is sent again: the stream goes on after this event"},
    {NULL},
};

static struct ask *ask_of(const struct request *req)
{
    return req->state;
}

static void set_number(struct request *req, const char *name, uint64_t number)
{
    struct str text = arena_printf(&req->arena, "%llu", (unsigned long long)number);

    if (text.ptr)
        response_set_header(req, name, text);
}

void ask_take_rate(struct flow *f)
{
    struct request *req = request_of(f);
    const struct rate rate = {RATE_USER_MESSAGES, id_str(&caller_of(req)->user_id),
                              config()->limits.messages_per_minute, MINUTE_MS};
    struct rate_state state;
    unsigned wait_s;

    if (!rate_ready(f, &req->arena, &rate))
        return;
    wait_s = rate_take_and_tell(&rate, &state);
    if (state.limit > 0) {
        set_number(req, "X-RateLimit-Limit", state.limit);
        set_number(req, "X-RateLimit-Remaining", state.remaining);
        set_number(req, "X-RateLimit-Reset", state.reset_s);
    }
    if (wait_s > 0)
        flow_fail(f, ERROR(ERR_RATE_LIMITED, (int)wait_s, "Too many messages; wait a moment"));
}

bool ask_read_key(struct request *req, struct ask *s)
{
    struct str key = request_header(req, "Idempotency-Key");

    s->turn.idempotency_key = key.ptr ? key : STR("");
    if (key.len <= ASK_KEY_BYTES && !str_has_control(key) && utf8_is_valid(key))
        return true;
    request_field_error(req, "Idempotency-Key", "must be at most 255 printable characters");
    flow_fail(&req->flow, ERROR(ERR_INVALID, 0, NULL));
    return false;
}

/* Of all that makes the message, as a key must not stand for another one. False: no memory. */
static bool hash_body(struct arena *a, struct turn_request *r)
{
    unsigned char hash[SHA256_BYTES];
    struct str text = r->content;

    if (r->is_new_chat || r->agent_id.text[0] != '\0' || r->model.len > 0)
        text = arena_printf(a, "%s\n%s\n%.*s\n%.*s", r->is_new_chat ? "new" : "", r->agent_id.text,
                            STR_ARG(r->model), STR_ARG(r->content));
    if (!text.ptr)
        return false;
    crypto_sha256(text, hash);
    r->body_hash = crypto_hex(a, (struct str){(const char *)hash, sizeof(hash)});
    return r->body_hash.ptr != NULL;
}

static void unref_log(void *log)
{
    turn_log_unref(log);
}

bool ask_hold_log(struct request *req, struct turn_log *log)
{
    if (arena_defer(&req->arena, unref_log, log))
        return true;
    flow_fail(&req->flow, ERROR(ERR_NO_MEMORY, 0, NULL));
    return false;
}

/* False: none, or no event's id. */
static bool read_last_event(struct request *req, struct id *reply_id, uint64_t *n)
{
    struct str last = request_header(req, "Last-Event-ID"), turn;
    int64_t number;

    if (!last.ptr)
        last = request_query(req, "last_event_id");
    if (!last.ptr || !str_next(&last, ':', &turn) || !id_parse(turn, reply_id) ||
        !str_to_i64(last, &number) || number < 0)
        return false;
    *n = (uint64_t)number;
    return true;
}

/* The turn's node may have told its reader more than has come here yet. */
static bool may_still_have(const struct turn_log *log)
{
    return log->is_mirror && turn_log_phase(log) != TURN_LOG_CLOSED;
}

uint64_t ask_resume_at(struct request *req, struct turn_log *log)
{
    struct id reply_id;
    uint64_t n;

    if (!read_last_event(req, &reply_id, &n) || !str_eq(id_str(&reply_id), id_str(&log->reply_id)))
        return 0;
    return turn_log_has(log, n) || may_still_have(log) ? n : 0;
}

/* Of a turn whose log is gone: the key says that it is the same message, and the number alone how
 * much of its text the reader has. */
static uint64_t resume_earlier_at(struct request *req)
{
    struct id reply_id;
    uint64_t n;

    return read_last_event(req, &reply_id, &n) ? n : 0;
}

static bool wants_stream(const struct request *req)
{
    switch (ask_of(req)->mode) {
    case ASK_BY_ACCEPT:
        return request_accepts(req, "text/event-stream") ||
               !request_accepts(req, "application/json");
    case ASK_WHOLE:
        return false;
    case ASK_STREAM:
    case ASK_SOCKET:
        return true;
    }
    return false;
}

static void follow(struct flow *f)
{
    struct request *req = request_of(f);
    struct ask *s = ask_of(req);

    req->fails_at_eof =
        true; /* one who waits for the whole is a reader too: on_disconnect counts */
    if (s->mode == ASK_SOCKET)
        follow_websocket(&s->follow, f, s->socket, s->log, ask_resume_at(req, s->log));
    else if (wants_stream(req))
        follow_sse(&s->follow, f, req, s->log, ask_resume_at(req, s->log));
    else
        follow_wait(&s->follow, f, s->log);
}

void ask_follow_turn(struct flow *f)
{
    struct request *req = request_of(f);
    struct ask *s = ask_of(req);
    struct error err;

    if (s->turn.idempotency_key.len > 0 && !hash_body(&req->arena, &s->turn)) {
        flow_fail(f, ERROR(ERR_NO_MEMORY, 0, NULL));
        return;
    }
    s->turn.span = f->span;
    err = turn_start(&s->turn, &s->log);
    if (is_error(err)) {
        flow_fail(f, err);
        return;
    }
    if (ask_hold_log(req, s->log))
        follow(f);
}

void ask_load_earlier(struct flow *f)
{
    struct request *req = request_of(f);
    struct ask *s = ask_of(req);

    const struct db_arg reply[] = {db_uuid(id_str(&s->turn.team_id)),
                                   db_uuid(id_str(&s->turn.owner_id)),
                                   db_uuid(id_str(&s->log->earlier_reply))};
    const struct db_arg key[] = {reply[0], reply[1], db_text(s->log->idempotency_key), db_time(0)};
    const struct db_call calls[] = {{SQL_MESSAGE_GET, reply, 3}, {SQL_IDEMPOTENCY_GET, key, 4}};

    if (s->log->earlier_reply.text[0] != '\0')
        db_batch(&s->earlier, f, &req->arena, calls, 2);
}

static bool is_still_written(const struct db_result *reply)
{
    return reply && reply->n_rows > 0 &&
           str_eq(db_get_text(reply, 0, MESSAGE_STATUS), STR("streaming"));
}

void ask_find_elsewhere(struct flow *f)
{
    struct ask *s = ask_of(request_of(f));
    struct id chat_id;

    if (!is_still_written(s->earlier.result) ||
        !id_parse(db_get_text(s->earlier.result, 0, MESSAGE_CHAT_ID), &chat_id))
        return;
    elsewhere_find(f, &s->turn.team_id, &s->turn.owner_id, &chat_id, &s->log->earlier_reply,
                   &s->log);
}

void ask_follow_elsewhere(struct flow *f)
{
    struct ask *s = ask_of(request_of(f));

    if (s->log->is_mirror)
        follow(f);
}

static void answer_whole(struct request *req, struct ask *s)
{
    struct buf out = {0};
    struct json j = {.buf = &out};

    reply_write_log(&j, &req->arena, s->shape, s->log);
    answer_json(req, 200, &out);
}

static void answer_earlier(struct request *req, struct ask *s)
{
    struct buf out = {0};
    struct json j = {.buf = &out};

    if (s->earlier.result->n_rows == 0 && db_result_at(&s->earlier, 1)->n_rows == 0) {
        /* A message whose commit nobody knew of was taken back just then: the key is free. */
        flow_fail(&req->flow, ERROR(ERR_BUSY, 1, NULL));
    } else if (s->earlier.result->n_rows == 0) {
        flow_fail(&req->flow, ERROR(ERR_CONFLICT, 0, "The reply to this message was deleted"));
    } else if (is_still_written(s->earlier.result)) {
        /* Of a node that cannot be reached, or the database is just back and has not been told of
         * its end. */
        flow_fail(&req->flow, ERROR(ERR_BUSY, 1, NULL));
    } else if (wants_stream(req)) {
        earlier_stream(req, s->mode == ASK_SOCKET ? s->socket : NULL, s->earlier.result,
                       &s->turn.owner_id, s->turn.names_session, resume_earlier_at(req));
    } else {
        reply_write(&j, &req->arena, s->shape, s->earlier.result, 0, &s->turn.owner_id);
        answer_json(req, 200, &out);
    }
}

static bool was_streamed(const struct request *req, const struct ask *s)
{
    return s->mode == ASK_SOCKET ? s->log->is_begun : response_is_started(req);
}

void ask_answer(struct flow *f)
{
    struct request *req = request_of(f);
    struct ask *s = ask_of(req);

    if (was_streamed(req, s))
        return;
    follow_set_headers(req, s->log);
    if (s->log->earlier_reply.text[0] != '\0')
        answer_earlier(req, s);
    else if (is_error(s->log->outcome) &&
             !(s->log->is_begun && s->log->is_stopped && s->log->is_saved))
        flow_fail(f, s->log->outcome.status == ERR_STOPPED
                         ? ERROR(ERR_CONFLICT, 0, "The turn was stopped before it began")
                         : s->log->outcome);
    else
        answer_whole(req, s);
}
