/* Removes chats that are past their time: those of teams that keep them for so many days (theirs,
 * or retention.days), and sessions that nobody uses (sessions.keep_days). Once an hour, on the
 * first loop, a bounded part at a time while there is more; of several nodes, one at a time. */
#include "base/clock.h"
#include "base/log.h"
#include "chat/metrics.h"
#include "config/config.h"
#include "room.h"

#define PERIOD_MS (3600u * 1000)
#define SOON_MS   100
#define FIRST_MS  1000 /* what grew old while nobody ran */
#define AGAIN_MS  5000 /* the database was not there, or someone held a chat for a moment */
#define DAY_US    (24LL * 3600 * 1000000)

enum { SWEEP_MESSAGES, SWEEP_CHATS };

static void sweep(struct flow *f)
{
    struct retention *r = container_of(f->state, struct retention, chore);
    int64_t now_us = clock_wall_us(), idle_days = (int64_t)config()->sessions.keep_days;
    const struct db_arg past[] = {
        db_time(now_us),
        db_int((int64_t)config()->retention.days),
        db_time(idle_days > 0 ? now_us - idle_days * DAY_US : 0), /* 0: in 1970 */
        db_int((int64_t)config()->retention.rows),
    };
    const struct db_call calls[] = {[SWEEP_MESSAGES] = {SQL_CHATS_FORGET_MESSAGES, past, 4},
                                    [SWEEP_CHATS] = {SQL_CHATS_FORGET, past, 4}};

    db_batch(&r->sweep, f, &r->chore.arena, calls, 2);
}

static const struct step steps[] = {STEP(sweep), STEP_END};

static uint64_t on_pass(struct chore *c)
{
    const struct error err = c->flow.err;
    struct retention *r = container_of(c, struct retention, chore);
    const struct db_query *q = &r->sweep;
    bool was_done = r->is_done;
    int64_t n_chats, n_messages;

    if (is_error(err)) {
        if (err.status != ERR_CANCELED)
            log_warn("chat: chats that are past their time stay for now: %s",
                     status_row(err.status)->name);
        return AGAIN_MS;
    }
    n_messages = db_result_at(q, SWEEP_MESSAGES)->n_changed;
    n_chats = db_result_at(q, SWEEP_CHATS)->n_changed;
    counter_add(&chat_count()->swept_messages, (uint64_t)n_messages);
    counter_add(&chat_count()->swept_chats, (uint64_t)n_chats);
    r->is_done = n_messages + n_chats == 0;
    if (!r->is_done)
        return SOON_MS;
    return was_done ? 0 : AGAIN_MS;
}

void retention_start(struct retention *r)
{
    chore_start(&r->chore, steps, on_pass, FIRST_MS, PERIOD_MS);
}
