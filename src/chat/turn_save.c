/* The end of a turn: the reply is stored, then its last event told. */
#include "base/json.h"
#include "base/log.h"
#include "chat/event.h"
#include "config/config.h"
#include "room.h"
#include "tell.h"
#include "turn_state.h"

#define SAVE_RETRY_MS   200
#define SETTLE_RETRY_MS 500

/* Who answered, where that is not the chat's own agent, why the reply is not whole, and what it was
 * told of the documents; ptr NULL:
 * no memory. */
static struct str make_metadata(const struct turn *t)
{
    struct buf *out = chat_scratch();
    struct json j = {.buf = out};

    json_begin_object(&j);
    if (t->has_fallen_back)
        json_pair_str(&j, "agent_id", id_str(&t->agent_id));
    if (is_error(t->outcome) && t->outcome.status != ERR_STOPPED) {
        json_key(&j, "error");
        json_begin_object(&j);
        json_pair_str(&j, "code", str_from(event_code(&t->outcome)));
        json_pair_str(&j, "message", str_from(event_detail(&t->outcome)));
        json_end_object(&j);
    }
    if (t->sources.len > 0)
        json_pair_raw(&j, "sources", t->sources);
    json_end_object(&j);
    return out->failed ? STR_NONE : arena_copy(t->log->memory, buf_str(out));
}

/* The model's own name for itself, the usage and the rest, for the row and for readers that wait
 * for the whole. */
void turn_keep_facts(struct turn *t)
{
    t->usage = usage_of(&t->call.usage, t->prompt_chars, utf8_length(turn_log_text(t->log)));
    if (t->call.model.len > 0)
        t->log->model = arena_copy(t->log->memory, t->call.model);
    if (t->usage.total_tokens > 0) {
        struct buf *out = chat_scratch();

        usage_write(out, &t->usage);
        t->log->usage = out->failed ? STR_NONE : arena_copy(t->log->memory, buf_str(out));
    }
    t->log->metadata = make_metadata(t);
}

/* A new reply replaces the old one only when it has something to say. */
static void write_reply(struct flow *f)
{
    struct turn *t = turn_of(f);
    struct str text = turn_log_text(t->log);
    struct db_arg save[] = {turn_team_arg(t),
                            turn_reply_arg(t),
                            db_text(text.ptr ? text : STR("")),
                            db_text(turn_log_status(t->log)),
                            db_text(t->log->model),
                            db_json(t->log->usage),
                            db_json(t->log->metadata.ptr ? t->log->metadata : STR("{}"))};
    struct db_arg drop[] = {turn_team_arg(t), turn_reply_arg(t)};
    struct db_arg replace[] = {turn_team_arg(t), turn_chat_arg(t), turn_reply_arg(t)};
    struct db_arg usage[USAGE_ARGS];
    const struct usage_account account = {.team_id = t->log->team_id,
                                          .owner_id = t->log->owner_id,
                                          .agent_id = t->agent_id,
                                          .reply_id = t->log->reply_id,
                                          .provider = str_from(provider_name(t->provider)),
                                          .model = t->log->model,
                                          .outcome = t->outcome,
                                          .begun_us = t->begun_us,
                                          .first_text_us = t->first_text_us};
    const struct db_arg settle[] = {turn_team_arg(t), db_json(t->budget_rows), turn_reply_arg(t)};
    bool has_reply = t->kind != TURN_REGENERATE || text.len > 0;
    struct db_call calls[4 + TELL_CALLS];
    struct tell tell;
    size_t n = 0;

    usage_args(&account, &t->usage, usage);
    arena_free(&t->save_arena);
    if (!tell_turn(&tell, t, &t->save_arena, has_reply, calls, &n)) {
        flow_fail(f, ERROR(ERR_NO_MEMORY, 0, NULL));
        return;
    }
    calls[n++] = (struct db_call){SQL_USAGE_ADD, usage, USAGE_ARGS};
    if (t->budget_rows.len > 0)
        calls[n++] = (struct db_call){SQL_BUDGET_SETTLE, settle, 3};
    if (!has_reply) {
        calls[n++] = (struct db_call){SQL_REPLY_DROP, drop, 2};
    } else {
        calls[n++] = (struct db_call){SQL_REPLY_SAVE, save, 7};
        if (t->kind == TURN_REGENERATE)
            calls[n++] = (struct db_call){SQL_REPLY_REPLACE, replace, 3};
    }
    db_batch(&t->write, f, &t->save_arena, calls, n);
}

static const struct step save_steps[] = {STEP(write_reply), STEP_END};

/* Comes back to itself until the reply is stored or the time for it is over. */
void turn_save_reply(struct flow *f)
{
    struct turn *t = turn_of(f);
    uint64_t now_ms = loop_now_ms(loop_current());
    bool was_tried = t->save_until_ms != 0;

    if (!t->log->is_begun)
        return;
    if (was_tried && !is_error(t->part.flow.err)) {
        t->is_stored = true;
        if (t->budget_rows.len > 0)
            budget_note_spent();
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
    flow_try(f, &t->part, save_steps, t);
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
                          err->status == ERR_PROVIDER_RATE_LIMITED ||
                                  err->status == ERR_BUDGET_SPENT
                              ? err->code
                              : 0);
}

/* The words of an error may live in the turn's arena, which goes before the log does. */
static struct error keep_words(struct turn_log *log, struct error err)
{
    if (err.detail)
        err.detail = arena_copy(log->memory, str_from(err.detail)).ptr;
    return err;
}

/* After the commit, so that "done" is true. */
void turn_close_log(struct flow *f)
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
    log_debug("turn %s: ended %s, %zu bytes", t->log->reply_id.text,
              status_row(t->log->outcome.status)->name, t->log->text.len);
    turn_log_close(t->log, out->failed ? STR("") : buf_str(out));
    timer_stop(&t->grace); /* readers who left while the reply was stored may have started it */
}

static const struct step withdraw_steps[] = {STEP(turn_withdraw_messages), STEP_END};

/* Nobody waits any more: what the database did not take, or took unseen, is settled when it is
 * back, without a restart. A reply that could not be stored is; a message that was refused is not.
 * What is left when the server ends is the next start's. */
void turn_settle_late(struct flow *f)
{
    struct turn *t = turn_of(f);
    uint64_t now_ms = loop_now_ms(loop_current());
    bool may_be_added = t->may_be_added && !t->log->is_begun;
    bool was_tried = t->settle_until_ms != 0 && !t->is_paused;

    if (!may_be_added && (!t->log->is_begun || t->is_stored))
        return;
    if (was_tried && !is_error(t->part.flow.err)) {
        log_info("turn %s: settled, now that the database is back", t->log->reply_id.text);
        t->is_stored = t->log->is_begun;
        return;
    }
    if (t->settle_until_ms == 0)
        t->settle_until_ms = now_ms + config()->turn.settle_seconds * 1000;
    if (now_ms >= t->settle_until_ms || room_here()->is_draining)
        return;
    flow_repeat(f);
    t->is_paused = !t->is_paused;
    if (t->is_paused)
        wait_start(&t->pause, f, SETTLE_RETRY_MS);
    else
        flow_try(f, &t->part, may_be_added ? withdraw_steps : save_steps, t);
}
