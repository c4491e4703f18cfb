/* A turn, from the claim of its chat to its terminal event. */
#include "chat/turn.h"

#include "base/clock.h"
#include "base/log.h"
#include "chat/event.h"
#include "chat/hub.h"
#include "chat/knowledge.h"
#include "chat/metrics.h"
#include "chat/turn_span.h"
#include "config/config.h"
#include "room.h"
#include "turn_state.h"

#include <stdlib.h>

/* ---- before the answer ---- */

static void notify(struct turn *t, const char *level, struct str description, struct str session_id)
{
    struct buf *out = chat_scratch();

    event_write_status(out, level, description, session_id);
    if (!out->failed)
        turn_log_notice(t->log, buf_str(out));
}

static void foresee_slot(struct flow *f)
{
    struct error err = slot_foresee(&turn_of(f)->log->team_id);

    if (is_error(err))
        flow_fail(f, err);
}

/* In one round trip's time: what it takes to ask, and, where other nodes have streams of the team,
 * whether there may be one more. */
static void load(struct flow *f)
{
    struct turn *t = turn_of(f);

    streams_await(&t->place, f, &t->arena, &t->log->team_id);
    turn_load(f);
}

/* Before the message is stored: a client that is told to come again has not sent it. */
static void take_slot(struct flow *f)
{
    struct turn *t = turn_of(f);

    slot_take(&t->slot, &t->load->slot, f, &t->log->team_id);
}

/* Only now may anyone see an event: the message is committed. */
static void open_log(struct flow *f)
{
    struct turn *t = turn_of(f);

    if (is_error(t->part.flow.err)) {
        turn_note_unknown(f);
        flow_fail(f, t->part.flow.err);
        return;
    }
    if (!turn_was_added(t)) {
        flow_fail(f, turn_not_added(t));
        return;
    }
    turn_log_open(t->log);
    notify(t, "info", str_from(provider_greeting(t->provider)),
           t->request->names_session ? id_str(&t->log->chat_id) : STR(""));
    if (!t->slot.is_held)
        flow_fail(f, ERROR(ERR_STOPPED, 0, "stopped before its turn came"));
    else if (atomic_load(&t->log->n_readers) == 0)
        turn_apply_policy(t);
}

/* ---- the team's documents ---- */

static void find_knowledge(struct flow *f)
{
    struct turn *t = turn_of(f);

    t->knowledge = knowledge_find(f, &t->arena, &t->log->team_id, t->prompt);
}

static void take_knowledge(struct flow *f)
{
    struct turn *t = turn_of(f);
    struct str sources;
    const char *warning = knowledge_take(t->knowledge, &sources);

    if (warning)
        notify(t, "warning", str_from(warning), STR(""));
    if (sources.len > 0)
        t->sources = arena_copy(t->log->memory, sources);
    if (t->knowledge)
        turn_count_prompt(t);
}

/* ---- the answer ---- */

void turn_append(struct turn *t, struct str text)
{
    if (!turn_log_append(t->log, text)) {
        flow_fail(&t->flow,
                  ERROR(ERR_UPSTREAM_LIMIT, 0, "The reply is longer than this server allows"));
        return;
    }
    t->has_unstored = true;
    journal_poke(&t->journal, t->log);
}

/* Nobody is asked again once an answer comes: what was loaded for that, the chat's messages among
 * it, does not stay while it streams. */
static void drop_prompt(struct turn *t)
{
    t->prompt = NULL;
    t->request = NULL;
    t->load = NULL;
    arena_free(&t->arena);
}

static void on_text(struct upstream_call *call, struct str text)
{
    struct turn *t = call->state;
    bool is_first = t->request != NULL;

    if (is_first) {
        drop_prompt(t);
        t->first_text_us = clock_mono_us();
        histogram_add(&chat_count()->first_text, t->first_text_us - t->begun_us);
    }
    counter_add(&chat_count()->chunks, 1);
    counter_add(&chat_count()->chunk_bytes, text.len);
    if (t->log->text.len + text.len > t->covered_bytes)
        turn_pass_gate(t, text);
    else
        turn_append(t, text);
    if (is_first)
        room_expect_first_event(t->call.first_byte_us);
}

static void on_status(struct upstream_call *call, struct str text)
{
    notify(call->state, "warning", text, STR(""));
}

static void call_provider(struct flow *f)
{
    struct turn *t = turn_of(f);

    if (!t->has_fallen_back)
        histogram_add(&chat_count()->until_call, clock_mono_us() - t->begun_us);
    t->call = (struct upstream_call){.state = t, .on_text = on_text, .on_status = on_status};
    upstream_start(&t->call, f, t->prompt);
}

static const struct step call_steps[] = {STEP(call_provider), STEP_END};

static void ask_agent(struct flow *f)
{
    struct turn *t = turn_of(f);

    flow_try(f, &t->part, call_steps, t);
}

/* Turns to the chat's other agent, once. What the first was told it does not count: a workflow that
 * may run all the same is not sent its message again, but another is asked. */
static void fall_back(struct flow *f)
{
    struct turn *t = turn_of(f);
    struct error err = t->part.flow.err;
    struct id failed = t->agent_id;
    struct str name, words;

    if (!is_error(err))
        return;
    if (!t->load /* text came, though it may wait at the gate */ || !prompt_may_fall_back(err) ||
        !prompt_fall_back(&t->arena, t->load->chat, t->prompt, &t->agent_id, &name)) {
        flow_fail(f, err);
        return;
    }
    log_info("turn %s: %s; asking agent %s instead", t->log->reply_id.text,
             status_row(err.status)->name, t->agent_id.text);
    words = arena_printf(&t->arena, "Asking %.*s instead", STR_ARG(name));
    notify(t, "warning", words.ptr ? words : STR("Asking another agent instead"), STR(""));
    t->has_fallen_back = true;
    t->failed_agent_id = arena_copy(t->log->memory, id_str(&failed));
    t->sources = STR(""); /* of what the first was told */
    t->provider = t->prompt->provider;
    turn_count_prompt(t);
    t->log->model = arena_copy(t->log->memory, t->prompt->model);
}

/* It has a config of its own. */
static void find_knowledge_again(struct flow *f)
{
    if (turn_of(f)->has_fallen_back)
        find_knowledge(f);
}

static void take_knowledge_again(struct flow *f)
{
    if (turn_of(f)->has_fallen_back)
        take_knowledge(f);
}

static void ask_fallback(struct flow *f)
{
    struct turn *t = turn_of(f);

    if (t->has_fallen_back)
        flow_try(f, &t->part, call_steps, t);
}

static void require_answer(struct flow *f)
{
    struct error err = turn_of(f)->part.flow.err;

    if (is_error(err))
        flow_fail(f, err);
}

/* ---- after the answer, on every path ---- */

static void settle(struct flow *f)
{
    struct turn *t = turn_of(f);

    slot_release(&t->slot);
    t->outcome = f->err;
    t->log->reply_outcome = t->outcome.status;
    if (!t->log->is_begun &&
        turn_was_added(t)) /* stopped while the commit was under way: it is stored all the same */
        turn_log_open(t->log);
    turn_keep_facts(t);
    turn_settle_budget(t);
}

static const struct step turn_steps[] = {
    STEP(foresee_slot), /* 429, at once */
    STEP(load),         /* chat, agent, messages and key in one round trip; 429 */
    STEP(turn_check_key),
    STEP(turn_build_prompt),
    STEP(turn_reserve),      /* 429 */
    STEP(take_slot),         /* in turn with other teams; 429 */
    STEP(turn_add_messages), /* committed before anyone sees an event, and before anyone is asked */
    STEP(turn_add_again_if_needed),
    STEP(turn_look_elsewhere), /* only where nothing was added */
    STEP(open_log),
    STEP(find_knowledge),
    STEP(take_knowledge), /* into the prompt; the turn goes on without if need be */
    STEP(ask_agent),      /* ends with the last token */
    STEP(fall_back),      /* or, where it failed before the first, with another agent's */
    STEP(turn_reserve_again),
    STEP(find_knowledge_again),
    STEP(take_knowledge_again),
    STEP(ask_fallback),
    STEP(require_answer),
    STEP_ALWAYS(turn_await_budget), /* whether there is more of it, for what came last */
    STEP_ALWAYS(settle),
    STEP_ALWAYS(turn_save_reply),  /* a reply cut short is kept, and says so */
    STEP_ALWAYS(turn_close_log),   /* after the commit */
    STEP_ALWAYS(turn_settle_late), /* of what the database was not there for */
    STEP_END,
};

enum message_outcome turn_outcome(const struct turn_log *log)
{
    if (!log->is_begun)
        return MESSAGE_REFUSED;
    switch ((int)log->reply_outcome) {
    case OK:
        return MESSAGE_COMPLETE;
    case ERR_STOPPED:
        return MESSAGE_STOPPED;
    case ERR_INTERRUPTED:
        return MESSAGE_INTERRUPTED;
    default:
        return MESSAGE_ERROR;
    }
}

static void end_span(struct turn *t)
{
    turn_span_end(t->span,
                  &(struct turn_span_facts){
                      .agent_id = id_str(&t->agent_id),
                      .provider = t->provider ? str_from(provider_name(t->provider)) : STR(""),
                      .model = t->call.model.len > 0 ? t->call.model : STR(""),
                      .outcome = turn_outcome(t->log),
                      .failure = t->log->outcome.status,
                      .usage = &t->usage,
                      .first_text_us = t->first_text_us});
    t->span = NULL;
}

static void on_turn_end(struct flow *f)
{
    struct turn *t = turn_of(f);
    struct turn_log *log = t->log;
    struct chat_room *room = room_here();

    log->turn = NULL;
    list_remove(&t->link);
    room->n_turns--;
    journal_leave(&t->journal, t->is_stored);
    counter_add(&chat_count()->messages[turn_outcome(log)], 1);
    if (t->span)
        end_span(t);
    streams_leave(&t->place, &log->team_id);
    budget_free(t->budget);
    budget_gate_deinit(&t->gate);
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

/* Fails when a copy did. */
static bool copy_text(struct arena *a, struct str *text)
{
    *text = arena_copy(a, *text);
    return text->ptr != NULL;
}

static struct turn *turn_new(const struct turn_request *r, struct turn_log *log)
{
    struct turn *t = calloc(1, sizeof(*t));
    struct turn_request *copy;

    if (!t)
        return NULL;
    copy = arena_alloc(&t->arena, sizeof(*copy));
    if (copy)
        *copy = *r;
    if (!copy || !copy_text(&t->arena, &copy->content) || !copy_text(&t->arena, &copy->model)) {
        arena_free(&t->arena);
        free(t);
        return NULL;
    }
    copy->idempotency_key = copy->body_hash = STR_NONE; /* the log has them */
    copy->span = NULL;
    t->request = copy;
    t->kind = r->kind;
    t->begun_us = clock_mono_us();
    t->user_message_id = id_v7();
    t->covered_bytes = SIZE_MAX;
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
    struct stream_place place;
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
    err = streams_enter(&place, &r->team_id);
    if (is_error(err))
        return give_up(log, err);
    t = turn_new(r, log);
    if (!t) {
        streams_leave(&place, &r->team_id);
        return give_up(log, ERROR(ERR_NO_MEMORY, 0, NULL));
    }
    t->place = place;
    list_push(&room->turns, &t->link);
    room->n_turns++;
    *out = log;
    t->span = span_begin(r->span);
    flow_start_traced(&t->flow, t->span, turn_steps, t, on_turn_end);
    return NO_ERROR;
}

void turn_end_now(struct list *turn_link, struct error why)
{
    flow_fail(&container_of(turn_link, struct turn, link)->flow, why);
}
