/* POST /v1/chat/completions: an agent as a model of OpenAI's protocol. The agent is asked in the
 * request's own flow and nothing is stored, so that a client that leaves ends it all. */
#include "completions.h"

#include "base/clock.h"
#include "base/log.h"
#include "chat/turn.h"
#include "chat/turn_span.h"
#include "completion_output.h"
#include "config/config.h"
#include "doc.h"
#include "session_ask.h"

/* ---- asking the agent ---- */

/* Asked before the body is read, so that a flood is cheap. */
static void take_rate(struct flow *f)
{
    struct request *req = request_of(f);
    const struct completion *s = req->state;

    (void)!session_take_agent_rate(req, &s->v1.auth.caller.agent_id);
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
    s->begun_us = clock_mono_us();
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

/* What follows is told as a part of the turn. */
static void begin_span(struct flow *f)
{
    struct request *req = request_of(f);
    struct completion *s = req->state;

    s->span = span_begin(req->span);
    if (s->span)
        f->span = s->span;
}

static bool take_text(void *state, struct str text)
{
    struct completion *s = state;
    bool goes_on;

    if (is_error(s->req->flow.err)) /* nobody waits for it any more */
        return false;
    s->n_reply_chars += utf8_length(text);
    buf_append_str(&s->text, text);
    s->has_failed = s->text.failed;
    if (s->in.is_stream && !s->has_failed) {
        if (!response_is_started(s->req))
            completion_begin_stream(s);
        completion_restart_heartbeat(s);
        if (!s->is_blocked)
            completion_pump(s);
    }
    goes_on = !s->has_failed;
    completion_check_failed(s); /* last: may end it */
    return goes_on;
}

static void on_text(struct upstream_call *call, struct str text)
{
    struct completion *s = call->state;

    /* Nobody is asked again once an answer comes: what the agent was told does not stay. */
    s->prompt = (struct upstream_prompt){0};
    arena_free(&s->arena);
    if (s->first_text_us == 0)
        s->first_text_us = clock_mono_us();
    if (s->budget)
        budget_gate_text(&s->gate, text);
    else
        (void)take_text(s, text);
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

/* ---- what it may use ---- */

static bool is_ended(void *state)
{
    return !op_is_running(&((struct completion *)state)->ask.op);
}

/* What came is sent before the client is told. */
static void cut(void *state, struct error why)
{
    struct completion *s = state;

    s->cut = why;
    if (!is_ended(s))
        flow_fail(&s->ask.flow, why);
}

static void reserve_for(struct flow *f, bool is_begun)
{
    struct completion *s = request_of(f)->state;
    const struct key_caller *who = &s->v1.auth.caller;
    struct error err = budget_new(&(struct budget_who){.team_id = who->team_id,
                                                       .agent_id = s->agent_id,
                                                       .key_id = who->key_id},
                                  &s->budget);
    const struct budget_ask ask = {
        .prompt_tokens = usage_estimate(usage_prompt_chars(&s->prompt)),
        .provider = str_from(provider_name(s->prompt.provider)),
        .model = s->prompt.model,
        .is_begun = is_begun,
    };

    if (is_error(err)) {
        flow_fail(f, err);
    } else if (s->budget) {
        s->gate = (struct budget_gate){
            .budget = s->budget, .state = s, .take = take_text, .is_ended = is_ended, .cut = cut};
        budget_reserve(s->budget, f, &ask);
    }
}

static void reserve(struct flow *f)
{
    if (budget_is_on())
        reserve_for(f, false);
}

static void reserve_again(struct flow *f)
{
    struct completion *s = request_of(f)->state;

    if (!s->has_fallen_back || !budget_is_on())
        return;
    budget_free(s->budget);
    s->budget = NULL;
    reserve_for(f, true);
}

/* Whether there is more, for what came last. */
static void await_budget(struct flow *f)
{
    struct completion *s = request_of(f)->state;

    budget_await(s->budget, f);
}

static void take_slot(struct flow *f)
{
    struct request *req = request_of(f);
    struct completion *s = req->state;
    const struct id *team_id = &s->v1.auth.caller.team_id;
    struct error err = streams_enter(&s->place, team_id);

    if (is_error(err)) {
        flow_fail(f, err);
        return;
    }
    req->fails_at_eof = true; /* one who waits for the whole may leave as well */
    streams_await(&s->place, f, &req->arena, team_id);
    slot_take(&s->slot, &s->wait, f, team_id);
}

/* How it went is told by the subflow: what came before an error is sent, too. */
static void ask_agent(struct flow *f)
{
    struct request *req = request_of(f);
    struct completion *s = req->state;

    if (s->in.is_stream)
        completion_restart_heartbeat(s);
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
    if (s->budget)
        budget_set_prompt(s->budget, usage_estimate(usage_prompt_chars(&s->prompt)));
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

    slot_release(&s->slot);
    if (s->is_blocked)
        op_begin(&s->drain, f, on_drain_cancel);
}

static struct error outcome_of(const struct completion *s)
{
    if (is_error(s->cut))
        return s->cut;
    if (s->ask.flow.err.status == ERR_PROVIDER_ERROR && s->call.finish == UPSTREAM_FILTERED)
        return NO_ERROR; /* in this protocol it is a way to end */
    return s->ask.flow.err;
}

static void answer(struct flow *f)
{
    struct request *req = request_of(f);
    struct completion *s = req->state;
    struct error err = outcome_of(s);

    if (s->in.is_stream && !is_error(err) && !response_is_started(req))
        completion_begin_stream(s); /* of a filter, which let no text through */
    if (response_is_started(req))
        completion_end_stream(s, err);
    else if (is_error(err))
        flow_fail(f, err);
    else
        completion_answer_whole(s);
    completion_check_failed(s);
}

static void release(struct flow *f)
{
    struct completion *s = request_of(f)->state;

    timer_stop(&s->heartbeat);
    buf_deinit(&s->text);
    s->is_blocked = false;
    slot_release(&s->slot);
    streams_leave(&s->place, &s->v1.auth.caller.team_id);
}

static void add_usage(struct flow *f)
{
    struct request *req = request_of(f);
    struct completion *s = req->state;
    const struct key_caller *who = &s->v1.auth.caller;
    const struct usage_account account = {
        .team_id = who->team_id,
        .owner_id = who->key_id,
        .agent_id = s->agent_id,
        .provider = str_from(provider_name(s->provider)),
        .model = s->call.model,
        .outcome = s->ask.flow.err,
        .begun_us = s->begun_us,
        .first_text_us = s->first_text_us,
    };
    struct db_arg args[USAGE_ARGS];
    struct str rows = s->budget ? budget_settle(s->budget, &req->arena, 1, &s->used) : STR("");
    const struct db_arg settle[] = {db_uuid(id_str(&who->team_id)), db_json(rows), db_null()};
    const struct db_call calls[] = {{SQL_USAGE_ADD, args, USAGE_ARGS},
                                    {SQL_BUDGET_SETTLE, settle, 3}};

    usage_args(&account, &s->used, args);
    db_batch(&s->usage, f, &req->arena, calls, rows.len > 0 ? 2 : 1);
}

static const struct step usage_steps[] = {STEP(add_usage), STEP_END};

/* All that is stored of an answer, or of a failure. The client has it by then, or has left. */
static void save_usage(struct flow *f)
{
    struct request *req = request_of(f);
    struct completion *s = req->state;

    s->used = usage_of(&s->call.usage, s->n_prompt_chars, s->n_reply_chars);
    s->outcome = is_error(f->err) ? f->err.status : outcome_of(s).status;
    if (s->provider)
        flow_try(f, &s->save, usage_steps, req);
}

static void check_usage(struct flow *f)
{
    struct completion *s = request_of(f)->state;

    if (s->budget)
        budget_note_spent();
    budget_free(s->budget);
    budget_gate_deinit(&s->gate);
    if (is_error(s->save.flow.err))
        log_warn("completions: the usage of an answer is not stored: %s",
                 status_row(s->save.flow.err.status)->name);
}

/* Who leaves, stops it. */
static void end_span(struct flow *f)
{
    struct completion *s = request_of(f)->state;
    enum status status = s->outcome;

    if (!s->span)
        return;
    if (status == ERR_GONE || status == ERR_CANCELED)
        status = ERR_STOPPED;
    f->span = request_of(f)->span;
    turn_span_end(s->span,
                  &(struct turn_span_facts){
                      .agent_id = id_str(&s->agent_id),
                      .provider = s->provider ? str_from(provider_name(s->provider)) : STR(""),
                      .model = s->call.model.len > 0 ? s->call.model : STR(""),
                      .outcome = !s->provider            ? MESSAGE_REFUSED
                                 : status == OK          ? MESSAGE_COMPLETE
                                 : status == ERR_STOPPED ? MESSAGE_STOPPED
                                                         : MESSAGE_ERROR,
                      .failure = status,
                      .usage = &s->used,
                      .first_text_us = s->first_text_us});
    s->span = NULL;
}

const struct step completions_steps[] = {
    STEP(v1_check_key), /* 401, 403, 429 */
    STEP(take_rate),    /* 429 */
    STEP(read_body),    /* 400, 404 */
    STEP(build_prompt),
    STEP(begin_span),
    STEP(find_knowledge),
    STEP(take_knowledge),
    STEP(reserve),   /* 429 */
    STEP(take_slot), /* in turn with other teams; 429 */
    STEP(ask_agent), /* ends with the last token, or with the client */
    STEP(load_fallback),
    STEP(fall_back),     /* where it failed before the first */
    STEP(reserve_again), /* 429 */
    STEP(find_knowledge_again),
    STEP(ask_fallback),
    STEP_ALWAYS(await_budget),
    STEP(send_rest), /* to a client that reads slowly */
    STEP(answer),
    STEP_ALWAYS(v1_answer_error),
    STEP_ALWAYS(release),
    STEP_ALWAYS(save_usage),
    STEP_ALWAYS(check_usage),
    STEP_ALWAYS(end_span),
    STEP_END,
};

const struct route_doc completions_doc = {
    TAG_OPENAI,
    ANSWERS({200, &completion_schema},
            {200, &completion_event_schema, .type = "text/event-stream"}),
    DOC_ERRORS(404, 429, 500, 502, 504),
    .schema = &completion_request_schema,
    .example = "{\"model\": \"Parrot\", \"messages\": [{\"role\": \"user\", \"content\": "
               "\"Hello\"}]}",
    .error = &v1_error_schema,
};
