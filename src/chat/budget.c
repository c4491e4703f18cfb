/* A turn's hold on its budgets. See chat/budget.h. */
#include "chat/budget.h"

#include "base/clock.h"
#include "base/json.h"
#include "budget_account.h"
#include "chat/metrics.h"
#include "cluster/cluster.h"
#include "config/config.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#define DAY_US    (24ll * 3600 * 1000000)
#define SECOND_US 1000000
/* How often in a row the database is asked, while others take what it gave. */
#define MOST_TRIES 8

const struct str budget_scope_names[N_BUDGET_SCOPES] = {
    [BUDGET_TEAM] = STR("team"),   [BUDGET_USER] = STR("user"),   [BUDGET_KEY] = STR("key"),
    [BUDGET_AGENT] = STR("agent"), [BUDGET_OWNER] = STR("owner"),
};
const struct str budget_period_names[N_BUDGET_PERIODS] = {
    [BUDGET_DAY] = STR("day"),
    [BUDGET_MONTH] = STR("month"),
};
const struct str budget_unit_names[N_BUDGET_UNITS] = {
    [BUDGET_REQUESTS] = STR("requests"),
    [BUDGET_TOKENS] = STR("tokens"),
    [BUDGET_MONEY] = STR("money"),
};
const char *const budget_unit_members[N_BUDGET_UNITS] = {
    [BUDGET_REQUESTS] = "requests",
    [BUDGET_TOKENS] = "tokens",
    [BUDGET_MONEY] = "money_micros",
};

struct budget {
    struct budget_claim claim;
    struct budget_ask ask;
    /* Of what there is too little. */
    struct budget_part *short_part;
    enum budget_unit short_unit;
    struct error refusal;
    /* What is asked of the database. */
    struct budget_lease wanted[BUDGET_PARTS];
    size_t n_wanted;
    unsigned n_tries;
    uint64_t asked_ms;
    struct db_query query;
    struct arena arena; /* of a question */
    struct subflow reserving;
    /* While the reply comes. */
    struct flow growing;
    int64_t needed_tokens;
    struct op waiting;
    void (*on_answer)(void *state);
    void *state;
    bool is_asking, is_starting;
};

static bool find_name(const struct str *names, size_t n, struct str name, size_t *out)
{
    for (*out = 0; *out < n; ++*out)
        if (str_eq(names[*out], name))
            return true;
    return false;
}

bool budget_scope_from(struct str name, enum budget_scope *out)
{
    size_t i;
    bool is_found = find_name(budget_scope_names, N_BUDGET_SCOPES, name, &i);

    *out = (enum budget_scope)i;
    return is_found;
}

bool budget_period_from(struct str name, enum budget_period *out)
{
    size_t i;
    bool is_found = find_name(budget_period_names, N_BUDGET_PERIODS, name, &i);

    *out = (enum budget_period)i;
    return is_found;
}

/* The first of the month that is n months after the one of a moment. */
static int64_t month_start(int64_t wall_us, int n)
{
    time_t seconds = (time_t)(wall_us / SECOND_US);
    struct tm tm;

    gmtime_r(&seconds, &tm);
    tm = (struct tm){.tm_year = tm.tm_year, .tm_mon = tm.tm_mon + n, .tm_mday = 1};
    return (int64_t)timegm(&tm) * SECOND_US;
}

void budget_write_units(struct json *j, const struct db_result *r, size_t row, size_t column)
{
    for (size_t unit = 0; unit < N_BUDGET_UNITS; unit++)
        json_pair_int_or_null(j, budget_unit_members[unit], db_get_int(r, row, column + unit),
                              db_is_null(r, row, column + unit));
}

void budget_pair_units(struct json *j, const char *name, const struct db_result *r, size_t row,
                       size_t column)
{
    json_key(j, name);
    json_begin_object(j);
    budget_write_units(j, r, row, column);
    json_end_object(j);
}

int64_t budget_period_start(enum budget_period period, int64_t wall_us)
{
    return period == BUDGET_MONTH ? month_start(wall_us, 0) : usage_day(wall_us);
}

int64_t budget_period_end(enum budget_period period, int64_t wall_us)
{
    return period == BUDGET_MONTH ? month_start(wall_us, 1) : usage_day(wall_us) + DAY_US;
}

bool budget_is_on(void)
{
    return budget_rules_are_there() || config()->limits.tokens_per_day > 0;
}

struct error budget_new(const struct budget_who *who, struct budget **out)
{
    struct budget *b = calloc(1, sizeof(*b));
    struct error err;

    *out = NULL;
    if (!b)
        return ERROR(ERR_NO_MEMORY, 0, NULL);
    err = budget_claim_open(&b->claim, who);
    if (is_error(err) || b->claim.n_parts == 0)
        free(b);
    else
        *out = b;
    return err;
}

void budget_free(struct budget *b)
{
    if (!b)
        return;
    budget_claim_close(&b->claim);
    arena_free(&b->arena);
    free(b);
}

/* ---- asking the database for a portion ---- */

static int64_t limit_of(const struct budget_part *p, size_t unit)
{
    return p->limit.of[unit];
}

static void write_limit(struct json *j, const char *name, int64_t limit)
{
    json_pair_int_or_null(j, name, limit, limit == BUDGET_NO_LIMIT);
}

static void write_wanted(const struct budget *b, struct buf *out)
{
    struct json j = {.buf = out};

    json_begin_array(&j);
    for (size_t i = 0; i < b->n_wanted; i++) {
        const struct budget_lease *w = &b->wanted[i];
        const struct budget_part *p = &b->claim.parts[w->part];

        json_begin_object(&j);
        json_pair_int(&j, "n", (int64_t)i);
        budget_part_write(p, &j);
        json_pair_int(&j, "requests", w->amount.of[BUDGET_REQUESTS]);
        json_pair_int(&j, "tokens", w->amount.of[BUDGET_TOKENS]);
        json_pair_int(&j, "micros", w->amount.of[BUDGET_MONEY]);
        json_pair_int(&j, "least_requests", w->least.of[BUDGET_REQUESTS]);
        json_pair_int(&j, "least_tokens", w->least.of[BUDGET_TOKENS]);
        json_pair_int(&j, "least_micros", w->least.of[BUDGET_MONEY]);
        write_limit(&j, "max_requests", limit_of(p, BUDGET_REQUESTS));
        write_limit(&j, "max_tokens", limit_of(p, BUDGET_TOKENS));
        write_limit(&j, "max_micros", limit_of(p, BUDGET_MONEY));
        json_end_object(&j);
    }
    json_end_array(&j);
}

static void ask_lease(struct flow *f)
{
    struct budget *b = f->state;
    int64_t lease_ms = (int64_t)config()->budgets.lease_seconds * 1000;
    struct db_arg team = db_uuid(id_str(&b->claim.team_id));
    struct buf rows = {0};

    write_wanted(b, &rows);
    arena_free(&b->arena);
    if (rows.failed) {
        flow_fail(f, ERROR(ERR_NO_MEMORY, 0, NULL));
    } else {
        const struct db_arg args[] = {team, db_json(buf_str(&rows)),
                                      db_uuid(id_str(cluster_node_id())), db_int(lease_ms),
                                      db_time(clock_wall_us() + lease_ms * 1000)};
        const struct db_call calls[] = {{SQL_BUDGET_BEGIN, args, 2},
                                        {SQL_BUDGET_PORTION, args, 2},
                                        {SQL_BUDGET_LEASE, args, 5}};

        b->asked_ms = clock_mono_ms();
        db_batch(&b->query, f, &b->arena, calls, 3);
    }
    buf_deinit(&rows);
}

/* What came of it, into the accounts; whatever became of the turn meanwhile. */
static void take_lease(struct flow *f)
{
    struct budget *b = f->state;
    const struct db_result *r = db_result_at(&b->query, 1);
    struct budget_lease got[BUDGET_PARTS];

    if (b->n_wanted > 0 && r->n_rows == b->n_wanted) {
        for (size_t row = 0; row < b->n_wanted; row++)
            got[row] = (struct budget_lease){
                .part = b->wanted[row].part,
                .amount = {{db_get_int(r, row, 1), db_get_int(r, row, 2), db_get_int(r, row, 3)}},
                .tokens_there = db_get_int(r, row, 4)};
        budget_claim_take(&b->claim, b->wanted, got, b->n_wanted, b->asked_ms);
    }
    b->query = (struct db_query){0};
    arena_free(&b->arena);
}

static struct error refuse(struct budget *b, enum status status)
{
    b->short_part->was_cut = status == ERR_BUDGET_SPENT;
    return ERROR(status, budget_part_wait_s(b->short_part),
                 budget_part_sentence(b->short_part, b->short_unit));
}

/* ---- before the answer ---- */

static int64_t whole_reply(void)
{
    return (int64_t)config()->limits.reply_tokens;
}

static bool try_hold(struct budget *b, int64_t least)
{
    return budget_claim_hold(&b->claim, b->ask.prompt_tokens, least, whole_reply(), &b->short_part,
                             &b->short_unit);
}

/* Comes back to itself with what the database gave: another turn may have been quicker to take it.
 * A shorter reply is held only when the database has no more. */
static void hold(struct flow *f)
{
    struct budget *b = f->state;
    int64_t whole = whole_reply(), least = whole < BUDGET_LEAST_REPLY ? whole : BUDGET_LEAST_REPLY;

    take_lease(f);
    if (try_hold(b, whole))
        return;
    b->n_wanted = b->n_tries++ < MOST_TRIES ? budget_claim_missing(&b->claim, b->ask.prompt_tokens,
                                                                   least, whole, b->wanted)
                                            : 0;
    if (b->n_wanted > 0) {
        flow_repeat(f);
        ask_lease(f);
    } else if (!try_hold(b, least)) {
        counter_add(b->ask.is_begun ? &chat_count()->budget_cut : &chat_count()->budget_refused, 1);
        flow_fail(f, refuse(b, b->ask.is_begun ? ERR_BUDGET_SPENT : ERR_RATE_LIMITED));
    }
}

static void tell_left(struct flow *f)
{
    struct budget *b = f->state;

    take_lease(f);
    if (b->ask.tokens_limit)
        (void)budget_claim_tokens_left(&b->claim, b->ask.tokens_limit, b->ask.tokens_left);
}

static const struct step reserve_steps[] = {
    STEP(hold), /* 429 */
    STEP_ALWAYS(tell_left),
    STEP_END,
};

void budget_reserve(struct budget *b, struct flow *f, const struct budget_ask *ask)
{
    b->ask = *ask;
    b->n_tries = 0;
    if (budget_claim_has_money(&b->claim))
        b->claim.price = price_find(ask->provider, ask->model);
    flow_call(f, &b->reserving, reserve_steps, b);
}

void budget_drop(struct budget *b)
{
    budget_claim_drop(&b->claim);
}

void budget_set_prompt(struct budget *b, int64_t prompt_tokens)
{
    int64_t more = prompt_tokens - b->claim.prompt_tokens;

    b->claim.prompt_tokens = prompt_tokens;
    b->claim.reply_tokens -= more;
}

/* ---- while it comes ---- */

size_t budget_covers(const struct budget *b)
{
    if (!b)
        return SIZE_MAX;
    return b->claim.reply_tokens > 0 ? (size_t)b->claim.reply_tokens * USAGE_CHARS_PER_TOKEN : 0;
}

static int64_t wanted_more(const struct budget *b)
{
    int64_t wanted = whole_reply();

    return wanted > b->needed_tokens ? wanted : b->needed_tokens;
}

/* As much as there is, though it be a part of what is needed: all of a budget can be used. */
static bool try_grow(struct budget *b)
{
    return budget_claim_grow(&b->claim, 1, wanted_more(b), &b->short_part, &b->short_unit);
}

/* False: the database has no more either. */
static bool look_for_more(struct budget *b)
{
    b->n_wanted = b->n_tries++ < MOST_TRIES
                      ? budget_claim_missing_more(&b->claim, 1, wanted_more(b), b->wanted)
                      : 0;
    return b->n_wanted > 0;
}

static void take_growth(struct flow *f)
{
    struct budget *b = f->state;

    take_lease(f);
    if (try_grow(b))
        return;
    if (look_for_more(b)) {
        flow_repeat(f);
        ask_lease(f);
    } else {
        flow_fail(f, refuse(b, ERR_BUDGET_SPENT));
    }
}

static const struct step grow_steps[] = {
    STEP(ask_lease),
    STEP(take_growth),
    STEP_ALWAYS(take_lease),
    STEP_END,
};

static void on_grown(struct flow *f)
{
    struct budget *b = f->state;
    bool is_awaited = op_is_running(&b->waiting);

    b->refusal = f->err;
    b->is_asking = false;
    if (b->is_starting)
        return;
    b->on_answer(b->state);            /* may free b, where nobody waits */
    if (is_awaited && !b->is_asking)   /* it may have asked for more still */
        op_end(&b->waiting, NO_ERROR); /* last: may free b */
}

bool budget_grow(struct budget *b, size_t reply_chars, void (*on_answer)(void *state), void *state)
{
    b->needed_tokens = usage_estimate(reply_chars) - b->claim.reply_tokens;
    if (try_grow(b))
        return true;
    b->n_tries = 0;
    if (!look_for_more(b)) {
        b->refusal = refuse(b, ERR_BUDGET_SPENT);
        return false;
    }
    b->on_answer = on_answer;
    b->state = state;
    b->is_asking = b->is_starting = true;
    flow_start(&b->growing, grow_steps, b, on_grown);
    b->is_starting = false;
    return !b->is_asking && !is_error(b->refusal);
}

bool budget_is_asking(const struct budget *b)
{
    return b && b->is_asking;
}

void budget_await(struct budget *b, struct flow *f)
{
    if (budget_is_asking(b))
        op_begin(&b->waiting, f, NULL);
}

struct error budget_refusal(const struct budget *b)
{
    return b->refusal;
}

/* ---- the end ---- */

struct str budget_settle(struct budget *b, struct arena *a, unsigned n_requests,
                         const struct usage *usage)
{
    struct budget_amount cost = {
        {n_requests, usage->total_tokens,
         price_cost(&b->claim.price, usage->prompt_tokens, usage->completion_tokens)}};
    struct buf rows = {0};
    struct json j = {.buf = &rows};
    struct str text;

    if (n_requests == 0) {
        budget_claim_drop(&b->claim);
        return STR("");
    }
    json_begin_array(&j);
    budget_claim_settle(&b->claim, &cost, &j);
    json_end_array(&j);
    text = rows.failed ? STR_NONE : arena_copy(a, buf_str(&rows));
    buf_deinit(&rows);
    return text;
}
