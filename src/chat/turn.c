/* A turn, from the claim of its chat to its terminal event. */
#include "chat/turn.h"

#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"
#include "chat/event.h"
#include "chat/hub.h"
#include "chat/prompt.h"
#include "chat/streams.h"
#include "checkpoint.h"
#include "config/config.h"
#include "db/db.h"
#include "loop/wait.h"
#include "room.h"
#include "upstream/upstream.h"

#include <stdlib.h>

#define KEY_AGE_US    (24ll * 3600 * 1000000)
#define SAVE_RETRY_MS 200

/* What is read before anyone is asked. */
struct turn_load {
    struct db_query chat, messages, spent_key;
};

struct turn {
    struct flow flow;
    struct list link;     /* in its room */
    struct arena arena;   /* of what it takes to ask: empty once an answer comes */
    struct turn_log *log; /* counted */
    enum turn_kind kind;
    struct str content; /* TURN_ANSWER */
    struct id user_message_id;
    struct prompt_policy policy;
    struct upstream_prompt prompt;
    struct timer grace;

    /* What each phase has in flight. */
    struct turn_load *load; /* in the arena */
    struct subflow add, save;
    struct db_query write;
    unsigned n_adds;
    struct upstream_call call;
    struct checkpoint checkpoint;
    struct wait pause;

    struct error outcome; /* of the answer, whatever happens to its storing */
    struct arena save_arena;
    uint64_t save_until_ms; /* 0: not tried yet */
    bool is_stored, is_paused;
};

static struct turn *turn_of(struct flow *f)
{
    return f->state;
}

static struct db_arg team_arg(const struct turn *t)
{
    return db_uuid(id_str(&t->log->team_id));
}

static struct db_arg owner_arg(const struct turn *t)
{
    return db_uuid(id_str(&t->log->owner_id));
}

static struct db_arg chat_arg(const struct turn *t)
{
    return db_uuid(id_str(&t->log->chat_id));
}

static struct db_arg reply_arg(const struct turn *t)
{
    return db_uuid(id_str(&t->log->reply_id));
}

/* ---- before the answer ---- */

static void load(struct flow *f)
{
    struct turn *t = turn_of(f);
    struct turn_load *l = t->load = arena_alloc(&t->arena, sizeof(*l));

    if (!l) {
        flow_fail(f, ERROR(ERR_NO_MEMORY, 0, NULL));
        return;
    }
    db_query(&l->chat, f, &t->arena, SQL_TURN_LOAD_CHAT,
             DB_ARGS(team_arg(t), owner_arg(t), chat_arg(t)));
    db_query(&l->messages, f, &t->arena, SQL_TURN_LOAD_MESSAGES,
             DB_ARGS(team_arg(t), owner_arg(t), chat_arg(t)));
    if (t->log->idempotency_key.len > 0)
        db_query(&l->spent_key, f, &t->arena, SQL_IDEMPOTENCY_GET,
                 DB_ARGS(team_arg(t), owner_arg(t), db_text(t->log->idempotency_key),
                         db_time(clock_wall_us() - KEY_AGE_US)));
}

/* A key that was used before names the reply that it got; nothing is stored or asked again. */
static void check_key(struct flow *f)
{
    struct turn *t = turn_of(f);
    const struct db_result *row = t->load->spent_key.result;

    if (t->log->idempotency_key.len == 0 || row->n_rows == 0)
        return;
    if (!str_eq(db_get_text(row, 0, 0), id_str(&t->log->chat_id)) ||
        !str_eq(db_get_text(row, 0, 1), t->log->body_hash))
        flow_fail(f, ERROR(ERR_INVALID, 0, "This Idempotency-Key was used for another message"));
    else if (!id_parse(db_get_text(row, 0, 2), &t->log->earlier_reply))
        flow_fail(f, ERROR(ERR_INTERNAL, 0, NULL));
    else
        flow_fail(f, ERROR(ERR_CONFLICT, 0, "This message was answered before"));
}

static void build_prompt(struct flow *f)
{
    struct turn *t = turn_of(f);
    struct error err = prompt_build(&t->arena, &t->log->chat_id, t->load->chat.result,
                                    t->load->messages.result, t->content, &t->prompt, &t->policy);

    if (is_error(err))
        flow_fail(f, err);
    else if (t->prompt.model.len > 0)
        t->log->model = arena_copy(t->log->memory, t->prompt.model);
}

/* The user's message, the place of the reply and the key, in one transaction. Every statement may
 * run twice. */
static void write_messages(struct flow *f)
{
    struct turn *t = turn_of(f);
    int64_t now_us = clock_wall_us();
    bool has_key = t->log->idempotency_key.len > 0;
    struct db_arg key_reply = has_key ? reply_arg(t) : db_uuid(STR_NONE);
    struct db_arg key = db_text(t->log->idempotency_key);
    struct db_arg user_message = db_uuid(id_str(&t->user_message_id));
    struct db_arg claim[] = {team_arg(t),
                             owner_arg(t),
                             key,
                             chat_arg(t),
                             db_text(t->log->body_hash),
                             user_message,
                             reply_arg(t),
                             db_time(now_us),
                             db_time(now_us - KEY_AGE_US)};
    struct db_arg question[] = {team_arg(t),         chat_arg(t),
                                user_message,        db_text(STR("user")),
                                db_text(t->content), db_text(STR("complete")),
                                db_time(now_us),     key_reply,
                                owner_arg(t),        key};
    struct db_arg reply[] = {team_arg(t),      chat_arg(t),
                             reply_arg(t),     db_text(STR("assistant")),
                             db_text(STR("")), db_text(STR("streaming")),
                             db_time(now_us),  key_reply,
                             owner_arg(t),     key};
    struct db_arg touch[] = {team_arg(t), chat_arg(t), db_time(now_us)};
    struct db_arg stored[] = {team_arg(t), reply_arg(t)};
    struct db_call calls[5];
    size_t n = 0;

    if (has_key)
        calls[n++] = (struct db_call){SQL_IDEMPOTENCY_CLAIM, claim, 9};
    if (t->kind == TURN_ANSWER)
        calls[n++] = (struct db_call){SQL_MESSAGE_ADD, question, 10};
    calls[n++] = (struct db_call){SQL_MESSAGE_ADD, reply, 10};
    calls[n++] = (struct db_call){SQL_CHAT_TOUCH, touch, 3};
    calls[n++] = (struct db_call){SQL_MESSAGE_IS_STORED, stored, 2};
    db_batch(&t->write, f, &t->arena, calls, n);
    t->n_adds = (unsigned)n;
}

static const struct step add_steps[] = {STEP(write_messages), STEP_END};

/* By what came back, not by the error: a turn that is stopped while the commit is under way has its
 * message stored. */
static bool was_added(const struct turn *t)
{
    return t->n_adds > 0 && t->write.results[t->n_adds - 1].n_rows == 1;
}

static void add_messages(struct flow *f)
{
    struct turn *t = turn_of(f);

    flow_try(f, &t->add, add_steps, t);
}

/* A lost connection, or no memory for the answer, leaves the outcome unknown: writing once more
 * settles it, since ids make it happen once. */
static void add_again_if_unknown(struct flow *f)
{
    struct turn *t = turn_of(f);
    struct error err = t->add.flow.err;

    if ((err.status == ERR_DB && err.code == DB_CODE_UNKNOWN) || err.status == ERR_NO_MEMORY)
        flow_try(f, &t->add, add_steps, t);
}

static void on_text(struct upstream_call *call, struct str text);
static void on_status(struct upstream_call *call, struct str text);
static void apply_policy(struct turn *t);

static void notify(struct turn *t, const char *level, struct str description)
{
    struct buf *out = chat_scratch();

    event_write_status(out, level, description);
    if (!out->failed)
        turn_log_notice(t->log, buf_str(out));
}

/* Only now may anyone see an event: the message is committed. */
static void open_log(struct flow *f)
{
    struct turn *t = turn_of(f);

    if (is_error(t->add.flow.err)) {
        flow_fail(f, t->add.flow.err);
        return;
    }
    if (!was_added(t)) {
        flow_fail(f,
                  t->log->idempotency_key.len > 0
                      ? ERROR(ERR_INVALID, 0, "This Idempotency-Key was used for another message")
                      : ERROR(ERR_NOT_FOUND, 0, "Chat not found"));
        return;
    }
    turn_log_open(t->log);
    notify(t, "info", str_from(provider_greeting(t->prompt.provider)));
    if (atomic_load(&t->log->n_readers) == 0)
        apply_policy(t);
}

/* ---- the answer ---- */

static void call_provider(struct flow *f)
{
    struct turn *t = turn_of(f);

    checkpoint_start(&t->checkpoint, t->log);
    t->call.state = t;
    t->call.on_text = on_text;
    t->call.on_status = on_status;
    upstream_start(&t->call, f, &t->prompt);
}

/* Nobody is asked again once an answer comes: what was loaded for that, the chat's messages among
 * it, does not stay while it streams. */
static void drop_prompt(struct turn *t)
{
    t->prompt = (struct upstream_prompt){0};
    t->content = STR_NONE;
    t->load = NULL;
    arena_free(&t->arena);
}

static void on_text(struct upstream_call *call, struct str text)
{
    struct turn *t = call->state;

    drop_prompt(t);
    if (turn_log_append(t->log, text))
        checkpoint_poke(&t->checkpoint);
    else
        flow_fail(&t->flow,
                  ERROR(ERR_UPSTREAM_LIMIT, 0, "The reply is longer than this server allows"));
}

static void on_status(struct upstream_call *call, struct str text)
{
    notify(call->state, "warning", text);
}

/* ---- after the answer, on every path ---- */

/* The model's own name for itself and the usage, for the row and for readers that wait for the
 * whole. */
static void keep_facts(struct turn *t)
{
    struct upstream_usage *u = &t->call.usage;

    if (t->call.model.len > 0)
        t->log->model = arena_copy(t->log->memory, t->call.model);
    if (u->is_known)
        t->log->usage = arena_printf(t->log->memory,
                                     "{\"prompt_tokens\":%lld,\"completion_tokens\":%lld,"
                                     "\"total_tokens\":%lld}",
                                     (long long)u->prompt_tokens, (long long)u->completion_tokens,
                                     (long long)u->total_tokens);
}

static void settle(struct flow *f)
{
    struct turn *t = turn_of(f);

    t->outcome = f->err;
    t->log->reply_outcome = t->outcome.status;
    timer_stop(&t->grace);
    if (!t->log->is_begun &&
        was_added(t)) /* stopped while the commit was under way: it is stored all the same */
        turn_log_open(t->log);
    keep_facts(t);
}

static void await_checkpoint(struct flow *f)
{
    checkpoint_finish(&turn_of(f)->checkpoint, f);
}

static struct str reply_metadata(struct turn *t)
{
    struct buf *out = chat_scratch();
    struct json j = {.buf = out};

    if (!is_error(t->outcome) || t->outcome.status == ERR_STOPPED)
        return STR("{}");
    json_begin_object(&j);
    json_key(&j, "error");
    json_begin_object(&j);
    json_pair_str(&j, "code", str_from(event_code(&t->outcome)));
    json_pair_str(&j, "message", str_from(event_detail(&t->outcome)));
    json_end_object(&j);
    json_end_object(&j);
    return out->failed ? STR("{}") : buf_str(out); /* copied by the query at once */
}

/* A new reply replaces the old one only when it has something to say. */
static void write_reply(struct flow *f)
{
    struct turn *t = turn_of(f);
    struct str text = turn_log_text(t->log);
    struct db_arg save[] = {team_arg(t),
                            reply_arg(t),
                            db_text(text.ptr ? text : STR("")),
                            db_text(turn_log_status(t->log)),
                            db_text(t->log->model),
                            db_json(t->log->usage),
                            db_json(reply_metadata(t))};
    struct db_arg touch[] = {team_arg(t), chat_arg(t), db_time(clock_wall_us())};
    struct db_arg drop[] = {team_arg(t), reply_arg(t)};
    struct db_arg replace[] = {team_arg(t), chat_arg(t), reply_arg(t)};
    struct db_call calls[3];
    size_t n = 0;

    arena_free(&t->save_arena);
    if (t->kind == TURN_REGENERATE && text.len == 0) {
        calls[n++] = (struct db_call){SQL_REPLY_DROP, drop, 2};
    } else {
        calls[n++] = (struct db_call){SQL_REPLY_SAVE, save, 7};
        calls[n++] = (struct db_call){SQL_CHAT_TOUCH, touch, 3};
        if (t->kind == TURN_REGENERATE)
            calls[n++] = (struct db_call){SQL_REPLY_REPLACE, replace, 3};
    }
    db_batch(&t->write, f, &t->save_arena, calls, n);
}

static const struct step save_steps[] = {STEP(write_reply), STEP_END};

/* Comes back to itself until the reply is stored or the time for it is over. */
static void save_reply(struct flow *f)
{
    struct turn *t = turn_of(f);
    uint64_t now_ms = loop_now_ms(loop_current());
    bool was_tried = t->save_until_ms != 0;

    if (!t->log->is_begun)
        return;
    if (was_tried && !is_error(t->save.flow.err)) {
        t->is_stored = true;
        return;
    }
    if (!was_tried)
        t->save_until_ms = now_ms + config()->turn.save_seconds * 1000;
    else if (now_ms >= t->save_until_ms)
        return;
    flow_repeat(f);
    if (was_tried && !t->is_paused) {
        t->is_paused = true;
        wait_start(&t->pause, f, SAVE_RETRY_MS);
        return;
    }
    t->is_paused = false;
    flow_try(f, &t->save, save_steps, t);
}

static void write_end(struct turn *t, struct buf *out)
{
    const struct error *err = &t->log->outcome;
    struct str reply_id = id_str(&t->log->reply_id);
    bool is_there = t->is_stored && (t->kind == TURN_ANSWER || t->log->text.len > 0);

    if (!is_error(*err) || err->status == ERR_STOPPED)
        event_write_done(out, reply_id, is_error(*err));
    else
        event_write_error(out, str_from(event_code(err)), str_from(event_detail(err)),
                          is_there ? reply_id : STR(""),
                          err->status == ERR_PROVIDER_RATE_LIMITED ? err->code : 0);
}

/* The words of an error may live in the turn's arena, which goes before the log does. */
static struct error keep_words(struct turn_log *log, struct error err)
{
    if (err.detail)
        err.detail = arena_copy(log->memory, str_from(err.detail)).ptr;
    return err;
}

/* After the commit, so that "done" is true. */
static void close_log(struct flow *f)
{
    struct turn *t = turn_of(f);
    struct buf *out = chat_scratch();

    t->log->outcome = keep_words(t->log, t->outcome);
    t->log->is_stopped = t->outcome.status == ERR_STOPPED;
    t->log->is_saved = t->is_stored;
    if (t->log->is_begun) {
        if (!t->is_stored)
            t->log->outcome = ERROR(ERR_NOT_SAVED, 0, NULL);
        write_end(t, out);
    }
    log_debug("turn %s: ended %s, %zu bytes", t->log->turn_id.text,
              status_row(t->log->outcome.status)->name, t->log->text.len);
    turn_log_close(t->log, out->failed ? STR("") : buf_str(out));
}

static const struct step turn_steps[] = {
    STEP(load), /* chat, agent, messages and key in one round trip */
    STEP(check_key),
    STEP(build_prompt),
    STEP(add_messages), /* committed before anyone sees an event, and before anyone is asked */
    STEP(add_again_if_unknown),
    STEP(open_log),
    STEP(call_provider), /* ends with the last token */
    STEP_ALWAYS(settle),
    STEP_ALWAYS(await_checkpoint),
    STEP_ALWAYS(save_reply), /* a reply cut short is kept, and says so */
    STEP_ALWAYS(close_log),  /* after the commit */
    STEP_END,
};

static void on_turn_end(struct flow *f)
{
    struct turn *t = turn_of(f);
    struct turn_log *log = t->log;
    struct chat_room *room = room_here();

    log->turn = NULL;
    list_remove(&t->link);
    streams_leave(&log->team_id);
    arena_free(&t->save_arena);
    arena_free(&t->arena);
    free(t);
    if (log->is_begun) {
        room_keep(log);
    } else {
        hub_remove(log);
        turn_log_unref(log);
    }
    room_check_drained(room);
}

/* ---- from outside ---- */

static struct error join(struct turn_log *running, const struct turn_request *r,
                         struct turn_log **log)
{
    bool is_same_key =
        r->idempotency_key.len > 0 && str_eq(running->idempotency_key, r->idempotency_key);
    bool is_same_body = str_eq(running->body_hash, r->body_hash);

    if (is_same_key && is_same_body) {
        *log = running;
        return NO_ERROR;
    }
    turn_log_unref(running);
    return is_same_key ? ERROR(ERR_INVALID, 0, "This Idempotency-Key was used for another message")
                       : ERROR(ERR_CONFLICT, 0, "A turn is already running in this chat");
}

static struct turn *turn_new(const struct turn_request *r, struct turn_log *log)
{
    struct turn *t = calloc(1, sizeof(*t));

    if (!t)
        return NULL;
    t->content = arena_copy(&t->arena, r->content);
    if (!t->content.ptr) {
        arena_free(&t->arena);
        free(t);
        return NULL;
    }
    t->kind = r->kind;
    t->user_message_id = id_v7();
    t->log = turn_log_ref(log);
    log->turn = t;
    return t;
}

/* A chat was claimed in vain. Who joined in the meantime is told why. */
static struct error give_up(struct turn_log *log, struct error err)
{
    log->outcome = err;
    turn_log_close(log, STR(""));
    hub_remove(log);
    turn_log_unref(log);
    return err;
}

struct error turn_start(const struct turn_request *r, struct turn_log **out)
{
    struct chat_room *room = room_here();
    struct turn_log *log, *running;
    struct turn *t;
    struct error err;

    if (room->is_draining)
        return ERROR(ERR_BUSY, 1, "The server is shutting down");
    log = turn_log_new(&r->team_id, &r->owner_id, &r->chat_id, r->idempotency_key, r->body_hash);
    if (!log)
        return ERROR(ERR_NO_MEMORY, 0, NULL);
    running = hub_claim(log);
    if (running) {
        turn_log_unref(log);
        return join(running, r, out);
    }
    err = streams_enter(&r->team_id);
    if (is_error(err))
        return give_up(log, err);
    t = turn_new(r, log);
    if (!t) {
        streams_leave(&r->team_id);
        return give_up(log, ERROR(ERR_NO_MEMORY, 0, NULL));
    }
    list_push(&room->turns, &t->link);
    *out = log;
    flow_start(&t->flow, turn_steps, t, on_turn_end);
    return NO_ERROR;
}

void turn_end_now(struct list *turn_link, struct error why)
{
    flow_fail(&container_of(turn_link, struct turn, link)->flow, why);
}

static void on_grace_over(struct timer *timer)
{
    struct turn *t = container_of(timer, struct turn, grace);

    if (atomic_load(&t->log->n_readers) == 0)
        flow_fail(&t->flow, ERROR(ERR_STOPPED, 0, "nobody came back"));
}

/* Nobody reads any more. May end the turn. */
static void apply_policy(struct turn *t)
{
    switch (t->policy.on_disconnect) {
    case ON_DISCONNECT_CONTINUE:
        return;
    case ON_DISCONNECT_GRACE:
        timer_start(&t->grace, t->policy.grace_ms, on_grace_over);
        return;
    case ON_DISCONNECT_ABORT:
        flow_fail(&t->flow, ERROR(ERR_STOPPED, 0, "the reader left"));
        return;
    }
}

static void obey(struct turn_log *log, const char *stop)
{
    struct turn *t = log->turn;

    if (!t || turn_log_phase(log) == TURN_LOG_CLOSED)
        return;
    if (stop)
        flow_fail(&t->flow, ERROR(ERR_STOPPED, 0, stop));
    else if (log->is_begun && atomic_load(&log->n_readers) == 0)
        apply_policy(t);
}

static void on_letter(struct mail *m)
{
    struct turn_log *log = container_of(m, struct turn_log, letter);
    const char *stop;

    turn_log_lock(log);
    log->is_letter_posted = false;
    stop = log->stop;
    turn_log_unlock(log);
    obey(log, stop);
    turn_log_unref(log);
}

/* A word to the loop that runs the turn: it is to stop, or, with NULL, to look whether anyone still
 * reads. By letter even on that loop: whoever asks may be inside one of the turn's callbacks. */
static void send_letter(struct turn_log *log, const char *stop)
{
    bool is_posted = false;

    if (turn_log_phase(log) == TURN_LOG_CLOSED)
        return;
    turn_log_ref(log); /* the letter's */
    turn_log_lock(log);
    if (!log->stop)
        log->stop = stop;
    if (!log->is_letter_posted) {
        log->letter.run = on_letter;
        is_posted = log->is_letter_posted = loop_post(log->owner, &log->letter);
    }
    turn_log_unlock(log);
    if (!is_posted)
        turn_log_unref(log);
}

void turn_stop(struct turn_log *log, const char *why)
{
    send_letter(log, why);
}

void turn_readers_changed(struct turn_log *log)
{
    if (atomic_load(&log->n_readers) == 0)
        send_letter(log, NULL);
}
