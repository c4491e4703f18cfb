/* Sweeps, and goes on with erasures. See chores.h. */
#include "chores.h"

#include "account/revocation.h"
#include "base/clock.h"
#include "base/log.h"

#define START_MS       500
#define SWEEP_EVERY_MS (10 * 60 * 1000)
#define LOOK_MS        (60 * 1000) /* for erasures */
#define PAUSE_MS       20          /* between two transactions of one */
/* Whoever erases touches the erasure's row with each transaction. */
#define QUIET_US (30ll * 1000000)

/* $1 now */
static const enum sql sweeps[] = {SQL_REVOKED_CLEAN, SQL_REFRESH_CLEAN, SQL_MAIL_CLEAN,
                                  SQL_MAIL_TOKEN_CLEAN};
#define N_SWEEPS (sizeof(sweeps) / sizeof(sweeps[0]))

static void begin_sweep(struct flow *f)
{
    struct chores *c = f->state;
    uint64_t now_ms = loop_now_ms(c->loop);

    c->sweep = N_SWEEPS;
    if (now_ms - c->swept_ms < SWEEP_EVERY_MS)
        return;
    c->swept_ms = now_ms;
    c->sweep = 0;
    revocation_drop_expired(clock_wall_us());
    if (!db_is_sqlite_here())
        db_query(&c->query, f, &c->arena, SQL_RATES_FORGET, NULL, 0);
}

/* One after the other, so that a slow one takes one connection and not all. */
static void sweep(struct flow *f)
{
    struct chores *c = f->state;

    if (c->sweep == N_SWEEPS)
        return;
    flow_repeat(f);
    db_query(&c->query, f, &c->arena, sweeps[c->sweep++], DB_ARGS(db_time(clock_wall_us())));
}

static void claim_erasure(struct flow *f)
{
    struct chores *c = f->state;
    int64_t now_us = clock_wall_us();

    if (!c->is_erasing)
        db_query(&c->query, f, &c->arena, SQL_ERASURE_CLAIM,
                 DB_ARGS(db_time(now_us), db_time(now_us - QUIET_US)));
}

static void go_on_erasing(struct flow *f)
{
    struct chores *c = f->state;
    struct db_call calls[DB_BATCH_MAX];
    size_t n;

    if (!c->is_erasing && c->query.result->n_rows > 0) {
        c->erasure = (struct erasure){.is_sqlite = db_is_sqlite_here()};
        c->is_erasing = erasure_take(&c->erasure, c->query.result);
        if (c->is_erasing)
            log_info("account: erasure %s goes on", c->erasure.id.text);
    }
    if (!c->is_erasing) {
        flow_finish(f);
        return;
    }
    n = erasure_next(&c->erasure, &c->arena, calls);
    if (n > 0)
        db_batch(&c->query, f, &c->arena, calls, n);
}

static void note_erasing(struct flow *f)
{
    struct chores *c = f->state;

    erasure_note(&c->erasure, c->query.result);
    if (c->erasure.stage == ERASE_DONE)
        log_info("account: erasure %s has ended", c->erasure.id.text);
}

static const struct step chore_steps[] = {
    STEP(begin_sweep),   STEP(sweep),        STEP(claim_erasure),
    STEP(go_on_erasing), STEP(note_erasing), STEP_END,
};

static void chores_run(struct timer *t);

static void on_chores_end(struct flow *f)
{
    struct chores *c = f->state;
    bool has_more = c->is_erasing && !is_error(f->err); /* of it, or there may be another */

    c->is_running = false;
    arena_free(&c->arena);
    if (c->on_stopped) {
        c->on_stopped(c->loop);
        return;
    }
    if (is_error(f->err))
        log_warn("account: %s waits: %s", c->is_erasing ? "an erasure" : "housekeeping",
                 status_row(f->err.status)->name);
    if (is_error(f->err) || c->erasure.stage == ERASE_DONE)
        c->is_erasing = false; /* after an error it is claimed again */
    timer_start(&c->timer, has_more ? PAUSE_MS : LOOK_MS, chores_run);
}

static void chores_run(struct timer *t)
{
    struct chores *c = container_of(t, struct chores, timer);

    c->is_running = true;
    c->query = (struct db_query){0};
    flow_start(&c->flow, chore_steps, c, on_chores_end);
}

void chores_start(struct chores *c, struct loop *l)
{
    c->loop = l;
    c->swept_ms = loop_now_ms(l);
    timer_start(&c->timer, START_MS, chores_run);
}

void chores_stop(struct chores *c, void (*on_stopped)(struct loop *l))
{
    c->on_stopped = on_stopped;
    if (c->is_running) { /* on_chores_end() goes on */
        flow_fail(&c->flow, ERROR(ERR_CANCELED, 0, NULL));
        return;
    }
    timer_stop(&c->timer);
    on_stopped(c->loop);
}
