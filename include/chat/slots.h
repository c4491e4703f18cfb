/* Who may ask an agent now: upstream.slots calls run at once on the whole server, and who finds
 * them all taken waits. The teams are served in turn, one call each (base/fair.h).
 *
 * The slots are shared by all loops under one lock rather than dealt out to them: it is taken twice
 * a message, not per piece of text, and so no loop lets a slot lie idle while another's turns wait.
 * A turn whose slot has come hears of it by letter to its loop. */
#ifndef AERIE_CHAT_SLOTS_H
#define AERIE_CHAT_SLOTS_H

#include "base/fair.h"
#include "loop/flow.h"
#include "loop/loop.h"

/* The right to ask. All-zero: none is held. */
struct slot {
    bool is_held;
    uint64_t taken_ms;
};

enum slot_phase {
    SLOT_IDLE,   /* not in a queue */
    SLOT_QUEUED, /* in its team's */
    SLOT_TOLD,   /* taken out of it; the letter that says how it ended is under way */
};

/* What it takes to wait for one: all-zero, and in place until the operation has ended. */
struct slot_wait {
    struct op op;
    struct slot *slot;
    struct loop *loop;
    struct timer deadline;
    struct mail letter;
    /* Under the lock. */
    struct fair_item item;
    enum slot_phase phase;
    bool is_granted;
    int retry_after_s; /* of one who had to give way */
    /* The loop's only. */
    uint64_t began_us;
    struct error left;
    bool has_left; /* while the letter was under way: it ends with left, and holds nothing */
};

bool slots_open(void); /* main thread; false: no memory */
void slots_close(void);

/* From a step. Takes a slot at once, or waits for one as an operation of f, at most
 * upstream.slot_wait_seconds. ERR_RATE_LIMITED (code: the seconds after which trying again should
 * succeed): the queue is full, or the time is over. The queue is upstream.slot_queue
 * turns long, and upstream.slot_queue_per_team for one team; when it is full in all, the newest
 * turn of the longest queue gives way to a team that has fewer waiting. */
void slot_take(struct slot *slot, struct slot_wait *w, struct flow *f, const struct id *team_id);
/* Before any work: would slot_take() refuse this team's, as things stand? A refusal that costs the
 * database nothing is what a flood leaves others their share by. */
struct error slot_foresee(const struct id *team_id) MUST_CHECK;
static inline bool slot_is_waiting(const struct slot_wait *w)
{
    return op_is_running(&w->op);
}
/* While it waits: the operation ends well, perhaps a little later, and no slot is held. */
void slot_leave(struct slot_wait *w);
/* Passes it on to whoever is next. Nothing happens when none is held. On the loop that took it. */
void slot_release(struct slot *slot);

/* Any thread. */
struct slots_stats {
    uint64_t n_taken, n_waiting, n_teams_waiting;
};
struct slots_stats slots_stats(void);

#endif
