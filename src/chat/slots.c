/* The queues before the agents. See chat/slots.h for whose turn it is. */
#include "chat/slots.h"

#include "base/clock.h"
#include "base/map.h"
#include "chat/metrics.h"
#include "config/config.h"

#include <assert.h>
#include <stdlib.h>
#include <uv.h>

/* How long a call takes, before the first has ended. */
#define FIRST_GUESS_MS 1000
/* Of the mean of what calls took, the last one's share is one in so many. */
#define MEAN_WEIGHT 8

/* A team whose turns wait. */
struct slot_team {
    struct map_node node;
    struct id team_id;
    struct list link;    /* in the round */
    struct list waiting; /* oldest first */
    uint64_t n_waiting;
};

static struct {
    uv_mutex_t lock;
    struct map teams;
    struct list round; /* the next to be served first; a team that was served goes to the end */
    uint64_t n_taken, n_waiting;
    int64_t mean_ms; /* of how long a slot is held */
} slots;

bool slots_open(void)
{
    slots.n_taken = slots.n_waiting = 0;
    slots.mean_ms = FIRST_GUESS_MS;
    list_init(&slots.round);
    if (!map_init(&slots.teams, 64))
        return false;
    if (uv_mutex_init(&slots.lock) == 0)
        return true;
    map_deinit(&slots.teams);
    return false;
}

void slots_close(void)
{
    assert(slots.n_taken == 0 && slots.n_waiting == 0);
    map_deinit(&slots.teams);
    uv_mutex_destroy(&slots.lock);
}

/* ---- the queues: under the lock ---- */

static struct slot_team *find_team(const struct id *team_id)
{
    struct map_node *node = map_find(&slots.teams, id_str(team_id));

    return node ? container_of(node, struct slot_team, node) : NULL;
}

/* A team that comes waits for one round: it stands behind the others. NULL: no memory. */
static struct slot_team *add_team(const struct id *team_id)
{
    struct slot_team *team = calloc(1, sizeof(*team));

    if (!team)
        return NULL;
    team->team_id = *team_id;
    list_init(&team->waiting);
    list_push(&slots.round, &team->link);
    map_insert(&slots.teams, &team->node, id_str(&team->team_id));
    return team;
}

static void enqueue(struct slot_wait *w, struct slot_team *team)
{
    w->team = team;
    w->phase = SLOT_QUEUED;
    list_push(&team->waiting, &w->link);
    team->n_waiting++;
    slots.n_waiting++;
}

/* A team goes with the last of its turns. */
static void dequeue(struct slot_wait *w)
{
    struct slot_team *team = w->team;

    w->team = NULL;
    w->phase = SLOT_IDLE;
    list_remove(&w->link);
    slots.n_waiting--;
    if (--team->n_waiting > 0)
        return;
    list_remove(&team->link);
    map_remove(&slots.teams, &team->node);
    free(team);
}

/* By letter, even on this loop: whoever lets a slot go may be inside one of the waiting turn's
 * callbacks. A loop closes after its turns have ended, so the letter arrives. */
static void tell(struct slot_wait *w, bool is_granted)
{
    bool is_posted;

    dequeue(w);
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
    struct slot_team *team;

    slots.n_taken--;
    while (!list_is_empty(&slots.round) && is_free()) {
        team = container_of(slots.round.next, struct slot_team, link);
        list_remove(&team->link);
        list_push(&slots.round, &team->link);
        slots.n_taken++;
        tell(container_of(team->waiting.next, struct slot_wait, link), true);
    }
}

/* How long one more turn of a team with n_waiting would wait: until then, each team gets as many
 * slots as it asks for, and no more than this one. */
static int estimate_s(uint64_t n_waiting)
{
    uint64_t n_before = 1, n_slots = config()->upstream.slots, wait_s;

    for (struct list *it = slots.round.next; it != &slots.round; it = it->next) {
        const struct slot_team *team = container_of(it, struct slot_team, link);

        n_before += team->n_waiting < n_waiting + 1 ? team->n_waiting : n_waiting + 1;
    }
    wait_s = n_before * (uint64_t)slots.mean_ms / (n_slots > 0 ? n_slots : 1) / 1000 + 1;
    return wait_s < config()->upstream.total_seconds ? (int)wait_s
                                                     : (int)config()->upstream.total_seconds;
}

/* The queue is full: is one longer than that of a team with n_waiting? Then its newest goes. */
static bool make_room(uint64_t n_waiting)
{
    struct slot_team *longest = NULL;
    struct slot_wait *newest;

    for (struct list *it = slots.round.next; it != &slots.round; it = it->next) {
        struct slot_team *team = container_of(it, struct slot_team, link);

        if (!longest || team->n_waiting > longest->n_waiting)
            longest = team;
    }
    if (!longest || longest->n_waiting <= n_waiting + 1)
        return false;
    newest = container_of(longest->waiting.prev, struct slot_wait, link);
    newest->retry_after_s = estimate_s(longest->n_waiting);
    tell(newest, false);
    return true;
}

static struct error refuse(int retry_after_s)
{
    counter_add(&chat_count()->slots_refused, 1);
    return ERROR(ERR_RATE_LIMITED, retry_after_s,
                 "Too many messages are waiting for an answer; wait a moment");
}

static struct error queue_up(struct slot_wait *w, const struct id *team_id)
{
    const struct config_upstream *limits = &config()->upstream;
    struct slot_team *team = find_team(team_id);
    uint64_t n_waiting = team ? team->n_waiting : 0;

    if (n_waiting >= limits->slot_queue_per_team ||
        (slots.n_waiting >= limits->slot_queue && !make_room(n_waiting)))
        return refuse(estimate_s(n_waiting));
    if (!team)
        team = add_team(team_id);
    if (!team)
        return ERROR(ERR_NO_MEMORY, 0, NULL);
    enqueue(w, team);
    return NO_ERROR;
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
        uint64_t n_left = w->team->n_waiting - 1;

        dequeue(w);
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
    is_taken = list_is_empty(&slots.round) && is_free();
    if (is_taken) {
        slots.n_taken++;
    } else {
        err = queue_up(w, team_id);
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
    stats = (struct slots_stats){slots.n_taken, slots.n_waiting, slots.teams.count};
    uv_mutex_unlock(&slots.lock);
    return stats;
}
