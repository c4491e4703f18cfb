/* Work that a loop does in the background, a bounded pass at a time: each period, and sooner while
 * a pass leaves some. One on each loop, in its room, which is not drained while a pass runs. */
#ifndef AERIE_CHAT_CHORE_H
#define AERIE_CHAT_CHORE_H

#include "db/db.h"

/* A member of what it works on; all-zero before chore_start(). */
struct chore {
    struct timer timer;
    struct flow flow;   /* of a pass; its state is the chore */
    struct arena arena; /* of a pass */
    const struct step *steps;
    /* A pass has ended, with c->flow.err: in how many ms the next one shall come; 0: in its time.
     */
    uint64_t (*on_pass)(struct chore *c);
    uint64_t period_ms;
    bool is_running;
};

/* The first pass comes in first_ms. */
void chore_start(struct chore *c, const struct step *steps, uint64_t (*on_pass)(struct chore *c),
                 uint64_t first_ms, uint64_t period_ms);
/* The next pass comes in soon_ms, and, while one runs, as it would have. */
void chore_hasten(struct chore *c, uint64_t soon_ms);
void chore_stop(struct chore *c); /* a pass that runs goes on to its end; not started is fine */

#endif
