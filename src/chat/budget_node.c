/* See budget_node.h. */
#include "budget_node.h"

#include "base/clock.h"
#include "base/crypto.h"
#include "base/json.h"
#include "base/log.h"
#include "budget_account.h"
#include "cluster/cluster.h"
#include "config/config.h"
#include "webhook/webhook.h"

#include <stdatomic.h>
#include <stdio.h>

#define PERIOD_MS 1000
#define FIRST_MS  100
#define SOON_MS   20
#define A_PASS    500 /* leases that go back at once */
#define SECOND_US 1000000

static atomic_bool has_spent; /* since the last look at who is to be told */
static bool has_leased;       /* first loop's thread, and after the loops have ended */

void budget_note_spent(void)
{
    atomic_store_explicit(&has_spent, true, memory_order_relaxed);
}

static struct budget_chore *chore_of(struct flow *f)
{
    return container_of(f->state, struct budget_chore, chore);
}

/* ---- which budgets there are ---- */

static void load_rules(struct flow *f)
{
    struct budget_chore *c = chore_of(f);

    c->rules.result = NULL;
    if (c->is_stale)
        db_query(&c->rules, f, &c->chore.arena, SQL_BUDGET_ALL, DB_ARGS(db_int(BUDGET_RULES_MOST)));
    c->is_stale = false; /* a change from now on is loaded again */
}

static void take_rules(struct flow *f)
{
    struct budget_chore *c = chore_of(f);

    if (c->rules.result && !budget_rules_replace(c->rules.result))
        flow_fail(f, ERROR(ERR_NO_MEMORY, 0, NULL));
}

static void on_news(struct news_reader *r, enum news news, const struct id *team_id)
{
    struct budget_chore *c = container_of(r, struct budget_chore, news);

    (void)team_id;
    if (news != NEWS_BUDGETS)
        return;
    c->is_stale = true;
    chore_hasten(&c->chore, SOON_MS);
}

/* ---- leases ---- */

/* At those of nodes that died. */
static bool is_look_due(struct budget_chore *c)
{
    uint64_t now_ms = clock_mono_ms();

    if (!budget_is_on() || now_ms < c->looked_ms + config()->budgets.lease_seconds * 1000 / 3)
        return false;
    c->looked_ms = now_ms;
    return true;
}

static void give_back(struct flow *f)
{
    struct budget_chore *c = chore_of(f);

    if (c->n_returning == 0) {
        buf_clear(&c->returning);
        c->n_returning = budget_accounts_return(
            &c->returning, config()->budgets.idle_seconds * 1000, A_PASS, &c->n_leases);
    }
    has_leased |= c->n_leases > 0 || c->n_returning > 0;
    if (c->n_returning > 0 || is_look_due(c))
        db_query(&c->leases, f, &c->chore.arena, SQL_BUDGET_RETURN,
                 DB_ARGS(c->n_returning > 0 ? db_json(buf_str(&c->returning)) : db_null(),
                         db_null(), db_time(clock_wall_us())));
}

static void renew(struct flow *f)
{
    struct budget_chore *c = chore_of(f);
    uint64_t now_ms = clock_mono_ms(), lease_ms = config()->budgets.lease_seconds * 1000;

    c->has_more = c->n_returning >= A_PASS;
    c->n_returning = 0;
    c->has_renewed = false;
    if (c->n_leases == 0 || now_ms < c->renewed_ms + lease_ms / 3)
        return;
    c->has_renewed = true;
    c->renewed_ms = now_ms;
    db_query(&c->leases, f, &c->chore.arena, SQL_BUDGET_RENEW,
             DB_ARGS(db_uuid(id_str(cluster_node_id())), db_int((int64_t)lease_ms),
                     db_time(clock_wall_us() + (int64_t)lease_ms * 1000)));
}

static void note_renewed(struct flow *f)
{
    struct budget_chore *c = chore_of(f);

    if (c->has_renewed)
        budget_accounts_renew(c->renewed_ms);
}

/* ---- telling ---- */

static void look_who_is_due(struct flow *f)
{
    struct budget_chore *c = chore_of(f);
    int64_t now_us = clock_wall_us();

    c->due.result = NULL;
    c->at_due = 0;
    if (atomic_exchange(&has_spent, false))
        db_query(&c->due, f, &c->chore.arena, SQL_BUDGET_DUE,
                 DB_ARGS(db_time(budget_period_start(BUDGET_DAY, now_us)),
                         db_time(budget_period_start(BUDGET_MONTH, now_us))));
}

enum due_column {
    DUE_TEAM,
    DUE_ID,
    DUE_SCOPE,
    DUE_SUBJECT,
    DUE_PERIOD,
    DUE_START,
    DUE_LIMITS,
    DUE_SPENT = DUE_LIMITS + N_BUDGET_UNITS,
    DUE_IS_WARNING = DUE_SPENT + N_BUDGET_UNITS,
    DUE_IS_SPENT,
};

/* One a budget, a period and a kind, on whichever node: an event that is there is not added again.
 */
static struct id event_id(const struct db_result *due, size_t row, bool is_spent)
{
    unsigned char name[SHA256_BYTES];
    char text[128];
    int len = snprintf(text, sizeof(text), "%.*s %d %lld", STR_ARG(db_get_text(due, row, DUE_ID)),
                       is_spent, (long long)db_get_int(due, row, DUE_START));

    crypto_sha256((struct str){text, (size_t)len}, name);
    return id_v7_named((uint64_t)(db_get_int(due, row, DUE_START) / 1000), name);
}

static void write_event(struct buf *out, const struct db_result *due, size_t row)
{
    int64_t start_us = db_get_int(due, row, DUE_START);
    enum budget_period period;
    struct json j = {.buf = out};

    (void)!budget_period_from(db_get_text(due, row, DUE_PERIOD), &period);
    json_begin_object(&j);
    json_pair_str(&j, "budget_id", db_get_text(due, row, DUE_ID));
    json_pair_str(&j, "scope", db_get_text(due, row, DUE_SCOPE));
    json_pair_str(&j, "subject_id", db_get_text(due, row, DUE_SUBJECT));
    json_pair_str(&j, "period", db_get_text(due, row, DUE_PERIOD));
    json_pair_time(&j, "period_start", start_us);
    json_pair_time(&j, "period_end", budget_period_end(period, start_us));
    budget_pair_units(&j, "limits", due, row, DUE_LIMITS);
    budget_pair_units(&j, "spent", due, row, DUE_SPENT);
    json_pair_str(&j, "currency", config()->budgets.currency);
    json_end_object(&j);
}

/* Marks the period's row, together with the event that tells it. */
static void budget_tell(struct budget_chore *c, struct flow *f, const struct db_result *due,
                        size_t row, bool is_spent)
{
    enum webhook_type type = is_spent ? WEBHOOK_BUDGET_SPENT : WEBHOOK_BUDGET_WARNING;
    struct id id = event_id(due, row, is_spent), team_id;
    struct str team = db_get_text(due, row, DUE_TEAM);
    int64_t now_us = clock_wall_us();
    struct buf payload = {0};
    const struct db_arg told[] = {db_uuid(team),
                                  db_text(db_get_text(due, row, DUE_SCOPE)),
                                  db_uuid(db_get_text(due, row, DUE_SUBJECT)),
                                  db_text(db_get_text(due, row, DUE_PERIOD)),
                                  db_time(db_get_int(due, row, DUE_START)),
                                  db_time(now_us),
                                  db_bool(is_spent)};
    size_t n = 1;

    write_event(&payload, due, row);

    const struct db_arg event[] = {db_uuid(team), db_uuid(id_str(&id)),
                                   db_text(webhook_type_name(type)), db_json(buf_str(&payload)),
                                   db_time(now_us)};
    const struct db_call calls[] = {{SQL_BUDGET_TOLD, told, 7}, {SQL_WEBHOOK_EVENT_ADD, event, 5}};

    if (id_parse(team, &team_id) && webhooks_want(&team_id, 1u << type))
        n++;
    log_info("budgets: %.*s: team %.*s, %.*s %.*s, %.*s", STR_ARG(webhook_type_name(type)),
             STR_ARG(team), STR_ARG(db_get_text(due, row, DUE_SCOPE)),
             STR_ARG(db_get_text(due, row, DUE_SUBJECT)),
             STR_ARG(db_get_text(due, row, DUE_PERIOD)));
    if (payload.failed)
        flow_fail(f, ERROR(ERR_NO_MEMORY, 0, NULL));
    else
        db_batch(&c->told, f, &c->chore.arena, calls, n);
    buf_deinit(&payload);
}

/* One after the other, the warning of a row first. */
static void tell(struct flow *f)
{
    struct budget_chore *c = chore_of(f);
    const struct db_result *due = c->due.result;
    size_t n = due ? 2 * due->n_rows : 0;

    while (c->at_due < n) {
        size_t row = c->at_due / 2;
        bool is_spent = c->at_due++ % 2 == 1;

        if (!db_get_bool(due, row, is_spent ? DUE_IS_SPENT : DUE_IS_WARNING))
            continue;
        flow_repeat(f);
        budget_tell(c, f, due, row, is_spent);
        return;
    }
}

static const struct step steps[] = {
    STEP(load_rules),   STEP(take_rules),      STEP(give_back), STEP(renew),
    STEP(note_renewed), STEP(look_who_is_due), STEP(tell),      STEP_END,
};

static uint64_t on_pass(struct chore *chore)
{
    struct budget_chore *c = container_of(chore, struct budget_chore, chore);
    struct error err = chore->flow.err;

    if (is_error(err) && err.status != ERR_CANCELED)
        log_warn("budgets: the database was not there to look at them: %s",
                 status_row(err.status)->name);
    if (is_error(err)) {
        c->is_stale = true;
        budget_note_spent();
    }
    return !is_error(err) && (c->has_more || c->is_stale) ? SOON_MS : 0;
}

void budget_chore_start(struct budget_chore *c)
{
    budget_note_spent(); /* what an earlier process had no time for */
    c->is_stale = true; /* since budget_open() they may have changed */
    chore_start(&c->chore, steps, on_pass, FIRST_MS, PERIOD_MS);
    news_read(&c->news, on_news);
}

void budget_chore_stop(struct budget_chore *c)
{
    chore_stop(&c->chore);
    news_leave(&c->news);
}

void budget_chore_free(struct budget_chore *c)
{
    buf_deinit(&c->returning);
}

/* ---- the process ---- */

/* SQLite has one server: what an earlier one had leased is free. */
static struct error free_leases(struct db *db)
{
    struct arena arena = {0};
    struct db_result r;
    struct error err =
        db_run(db, &arena, SQL_BUDGET_RETURN,
               DB_ARGS(db_null(), db_null(), db_time(db_is_sqlite(db) ? INT64_MAX : 0)), &r);

    arena_free(&arena);
    return err;
}

static struct error read_rules(struct db *db)
{
    struct arena arena = {0};
    struct db_result r;
    struct error err = db_run(db, &arena, SQL_BUDGET_ALL, DB_ARGS(db_int(BUDGET_RULES_MOST)), &r);

    if (!is_error(err) && !budget_rules_replace(&r))
        err = ERROR(ERR_NO_MEMORY, 0, "no memory for the budgets");
    arena_free(&arena);
    return err;
}

struct error budget_open(struct db *db)
{
    struct error err = price_read();

    if (is_error(err))
        return err;
    if (!budget_rules_open())
        return ERROR(ERR_NO_MEMORY, 0, "no memory for the budgets");
    if (!budget_accounts_open()) {
        budget_rules_close();
        return ERROR(ERR_NO_MEMORY, 0, "no memory for the budgets' accounts");
    }
    has_leased = false;
    err = free_leases(db);
    if (!is_error(err))
        err = read_rules(db);
    if (is_error(err)) {
        budget_accounts_close();
        budget_rules_close();
    }
    return err;
}

void budget_close(struct db *db)
{
    struct arena arena = {0};
    struct db_result r;
    struct error err = NO_ERROR;

    if (has_leased || budget_accounts_count() > 0)
        err = db_run(
            db, &arena, SQL_BUDGET_RETURN,
            DB_ARGS(db_null(), db_uuid(id_str(cluster_node_id())), db_time(clock_wall_us())), &r);
    if (is_error(err))
        log_warn("budgets: what this process had leased is free again in %llu s",
                 (unsigned long long)config()->budgets.lease_seconds);
    arena_free(&arena);
    budget_accounts_close();
    budget_rules_close();
    price_close();
}
