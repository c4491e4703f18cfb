/* The queues before the agents. See chat/slots.h for whose turn it is. */
#include "chat/slots.h"

#include "base/clock.h"
#include "chat/metrics.h"
#include "config/config.h"

#include <assert.h>
#include <uv.h>

/* How long a call takes, before the first has ended. */
#define FIRST_GUESS_MS 1000
/* Of the mean of what calls took, the last one's share is one in so many. */
#define MEAN_WEIGHT 8

static struct {
    uv_mutex_t lock;
    struct fair waiting;
    uint64_t n_taken;
    int64_t mean_ms; /* of how long a slot is held */
} slots;

bool slots_open(void)
{
    slots.n_taken = 0;
    slots.mean_ms = FIRST_GUESS_MS;
    if (!fair_init(&slots.waiting))
        return false;
    if (uv_mutex_init(&slots.lock) == 0)
        return true;
    fair_deinit(&slots.waiting);
    return false;
}

void slots_close(void)
{
    assert(slots.n_taken == 0);
    fair_deinit(&slots.waiting);
    uv_mutex_destroy(&slots.lock);
}

/* ---- the queue: under the lock ---- */

/* w has left the queue. By letter, even on this loop: whoever lets a slot go may be inside one of
 * the waiting turn's callbacks. A loop closes after its turns have ended, so the letter arrives. */
static void tell(struct slot_wait *w, bool is_granted)
{
    bool is_posted;

    w->phase = SLOT_TOLD;
    w->is_granted = is_granted;
    is_posted = loop_post(w->loop, &w->letter);
    assert(is_posted);
    (void)is_posted;
}

static bool is_free(void)
{
    uint64_t max = config()->upstream.slots;

    return max == 0 || slots.n_taken < max;
}

/* One at a time, but when there are more slots than before. */
static void pass_on(void)
{
    slots.n_taken--;
    while (slots.waiting.n_waiting > 0 && is_free()) {
        slots.n_taken++;
        tell(container_of(fair_pop(&slots.waiting), struct slot_wait, item), true);
    }
}

/* How long one more turn of a team with n_waiting would wait. */
static int estimate_s(size_t n_waiting)
{
    uint64_t n_before = 1 + fair_n_before(&slots.waiting, n_waiting);
    uint64_t n_slots = config()->upstream.slots, wait_s;

    wait_s = n_before * (uint64_t)slots.mean_ms / (n_slots > 0 ? n_slots : 1) / 1000 + 1;
    return wait_s < config()->upstream.total_seconds ? (int)wait_s
                                                     : (int)config()->upstream.total_seconds;
}

/* The queue is full: is one longer than that of a team with n_waiting? Then its newest goes. */
static bool make_room(size_t n_waiting)
{
    struct fair_item *newest = fair_newest_of_longest(&slots.waiting);
    struct slot_wait *w;

    if (!newest || newest->owner->n_waiting <= n_waiting + 1)
        return false;
    w = container_of(newest, struct slot_wait, item);
    w->retry_after_s = estimate_s(newest->owner->n_waiting);
    fair_remove(&slots.waiting, newest);
    tell(w, false);
    return true;
}

static struct error refuse(int retry_after_s)
{
    counter_add(&chat_count()->slots_refused, 1);
    return ERROR(ERR_RATE_LIMITED, retry_after_s,
                 "Too many messages are waiting for an answer; wait a moment");
}

static struct error queue_up(struct slot_wait *w, struct str team_id)
{
    const struct config_upstream *limits = &config()->upstream;
    size_t n_waiting = fair_n_of(&slots.waiting, team_id);

    if (n_waiting < limits->slot_queue_per_team &&
        (slots.waiting.n_waiting < limits->slot_queue || make_room(n_waiting)) &&
        fair_push(&slots.waiting, &w->item, team_id, limits->slot_queue_per_team)) {
        w->phase = SLOT_QUEUED;
        return NO_ERROR;
    }
    return refuse(estimate_s(n_waiting));
}

/* ---- waiting ---- */

static void note_wait(const struct slot_wait *w)
{
    histogram_add(&chat_count()->slot_wait, clock_mono_us() - w->began_us);
}

static void hold(struct slot *slot)
{
    slot->is_held = true;
    slot->taken_ms = clock_mono_ms();
}

static void give_back(void)
{
    uv_mutex_lock(&slots.lock);
    pass_on();
    uv_mutex_unlock(&slots.lock);
}

static void on_letter(struct mail *m)
{
    struct slot_wait *w = container_of(m, struct slot_wait, letter);
    struct error err = w->has_left ? w->left : NO_ERROR;

    timer_stop(&w->deadline);
    note_wait(w);
    w->phase = SLOT_IDLE;
    if (w->is_granted && w->has_left)
        give_back();
    else if (w->is_granted)
        hold(w->slot);
    else if (!w->has_left)
        err = refuse(w->retry_after_s);
    op_end(&w->op, err);
}

/* False: it was taken out of its queue before. *retry_after_s: how long it had been to wait. */
static bool take_out(struct slot_wait *w, int *retry_after_s)
{
    bool is_queued;

    uv_mutex_lock(&slots.lock);
    is_queued = w->phase == SLOT_QUEUED;
    if (is_queued) {
        size_t n_left = w->item.owner->n_waiting - 1;

        fair_remove(&slots.waiting, &w->item);
        w->phase = SLOT_IDLE;
        *retry_after_s = estimate_s(n_left);
    }
    uv_mutex_unlock(&slots.lock);
    return is_queued;
}

static void leave(struct slot_wait *w, struct error outcome)
{
    int retry_after_s;

    if (take_out(w, &retry_after_s)) {
        note_wait(w);
        timer_stop(&w->deadline);
        op_end(&w->op, outcome);
    } else {
        w->has_left = true;
        w->left = outcome;
    }
}

static void on_cancel(struct op *op)
{
    leave(container_of(op, struct slot_wait, op), ERROR(ERR_CANCELED, 0, NULL));
}

void slot_leave(struct slot_wait *w)
{
    leave(w, NO_ERROR);
}

static void on_deadline(struct timer *t)
{
    struct slot_wait *w = container_of(t, struct slot_wait, deadline);
    int retry_after_s;

    if (take_out(w, &retry_after_s)) {
        note_wait(w);
        op_end(&w->op, refuse(retry_after_s));
    }
}

void slot_take(struct slot *slot, struct slot_wait *w, struct flow *f, const struct id *team_id)
{
    const struct config_upstream *limits = &config()->upstream;
    struct error err = NO_ERROR;
    bool is_taken;

    assert(!slot->is_held && !slot_is_waiting(w));
    *w = (struct slot_wait){.slot = slot, .loop = loop_current(), .letter.run = on_letter};
    uv_mutex_lock(&slots.lock);
    is_taken = slots.waiting.n_waiting == 0 && is_free();
    if (is_taken) {
        slots.n_taken++;
    } else {
        err = queue_up(w, id_str(team_id));
        if (!is_error(err)) {
            /* Before anyone may tell it: the letter finds the operation begun. */
            w->began_us = clock_mono_us();
            op_begin(&w->op, f, on_cancel);
            timer_start(&w->deadline, limits->slot_wait_seconds * 1000, on_deadline);
        }
    }
    uv_mutex_unlock(&slots.lock);
    if (is_taken)
        hold(slot);
    else if (is_error(err))
        flow_fail(f, err);
}

struct error slot_foresee(const struct id *team_id)
{
    struct error err = NO_ERROR;
    size_t n_waiting;

    uv_mutex_lock(&slots.lock);
    if (slots.waiting.n_waiting > 0 || !is_free()) {
        n_waiting = fair_n_of(&slots.waiting, id_str(team_id));
        if (n_waiting >= config()->upstream.slot_queue_per_team)
            err = refuse(estimate_s(n_waiting));
    }
    uv_mutex_unlock(&slots.lock);
    return err;
}

void slot_release(struct slot *slot)
{
    int64_t held_ms = (int64_t)(clock_mono_ms() - slot->taken_ms);

    if (!slot->is_held)
        return;
    slot->is_held = false;
    uv_mutex_lock(&slots.lock);
    slots.mean_ms += (held_ms - slots.mean_ms) / MEAN_WEIGHT;
    pass_on();
    uv_mutex_unlock(&slots.lock);
}

struct slots_stats slots_stats(void)
{
    struct slots_stats stats;

    uv_mutex_lock(&slots.lock);
    stats = (struct slots_stats){slots.n_taken, slots.waiting.n_waiting, slots.waiting.n_owners};
    uv_mutex_unlock(&slots.lock);
    return stats;
}
