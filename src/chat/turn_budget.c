/* What a turn may use. The chunk path asks one thing: does the text pass what is covered? */
#include "turn_state.h"

static bool take(void *state, struct str text)
{
    struct turn *t = state;

    if (is_error(t->flow.err)) /* it ends for another reason, with what was shown */
        return false;
    t->counted_bytes += text.len;
    turn_append(t, text);
    return !is_error(t->flow.err);
}

static bool is_ended(void *state)
{
    return !op_is_running(&((struct turn *)state)->call.op);
}

static void cut(void *state, struct error why)
{
    flow_fail(&((struct turn *)state)->flow, why);
}

static void open_gate(struct turn *t)
{
    t->gate = (struct budget_gate){
        .budget = t->budget, .state = t, .take = take, .is_ended = is_ended, .cut = cut};
    t->covered_bytes = 0; /* with the first text it looks */
}

static struct budget_ask ask_of(struct turn *t, bool is_begun)
{
    return (struct budget_ask){
        .prompt_tokens = usage_estimate(t->prompt_chars),
        .provider = str_from(provider_name(t->provider)),
        .model = t->prompt->model,
        .is_begun = is_begun,
        .tokens_limit = &t->log->tokens_limit,
        .tokens_left = &t->log->tokens_left,
    };
}

/* A chat of someone without an account owns itself. */
static struct error open_budget(struct turn *t)
{
    struct turn_log *log = t->log;
    struct budget_who who = {.team_id = log->team_id,
                             .owner_id = log->owner_id,
                             .agent_id = t->agent_id,
                             .key_id = t->request->key_id};

    if (!str_eq(id_str(&log->owner_id), id_str(&log->chat_id)))
        who.user_id = log->owner_id;
    return budget_new(&who, &t->budget);
}

static void reserve(struct flow *f, bool is_begun)
{
    struct turn *t = turn_of(f);
    struct error err = open_budget(t);
    struct budget_ask ask;

    if (is_error(err)) {
        flow_fail(f, err);
        return;
    }
    if (!t->budget)
        return;
    ask = ask_of(t, is_begun);
    open_gate(t);
    budget_reserve(t->budget, f, &ask);
}

void turn_reserve(struct flow *f)
{
    if (budget_is_on())
        reserve(f, false);
}

/* Another agent has budgets and a price of its own. */
void turn_reserve_again(struct flow *f)
{
    struct turn *t = turn_of(f);

    if (!t->has_fallen_back || !budget_is_on())
        return;
    budget_free(t->budget);
    t->budget = NULL;
    t->covered_bytes = SIZE_MAX;
    reserve(f, true);
}

void turn_count_prompt(struct turn *t)
{
    t->prompt_chars = usage_prompt_chars(t->prompt);
    if (t->budget)
        budget_set_prompt(t->budget, usage_estimate(t->prompt_chars));
}

/* A character is a byte, or more. */
static void set_covered(struct turn *t)
{
    size_t room = budget_gate_room(&t->gate);

    t->covered_bytes = room < SIZE_MAX - t->counted_bytes ? t->counted_bytes + room : SIZE_MAX;
}

void turn_pass_gate(struct turn *t, struct str text)
{
    struct str around = str_skip(turn_log_text(t->log), t->counted_bytes);

    t->gate.chars += utf8_length(around);
    t->counted_bytes += around.len;
    budget_gate_text(&t->gate, text); /* may fail the flow, whose end waits for the database */
    set_covered(t);
}

void turn_await_budget(struct flow *f)
{
    budget_await(turn_of(f)->budget, f);
}

void turn_settle_budget(struct turn *t)
{
    t->budget_rows = STR("");
    if (t->budget)
        t->budget_rows = budget_settle(t->budget, t->log->memory, t->log->is_begun, &t->usage);
}
