/* Sweeps: the same scenario again and again, disturbed a little later each time, until it completes
 * undisturbed. Every run must end once; under ASan nothing may leak. */
#ifndef AERIE_TEST_SWEEP_H
#define AERIE_TEST_SWEEP_H

#include "loop/flow.h"
#include "loop/loop.h"

#include <unistd.h>

/* A scenario over one flow. start() begins it; disturb() is called after n turns of the loop when
 * it has not ended by then; has_ended() tells; finish() frees and asserts what must hold, told
 * whether it was disturbed. */
struct sweep {
    void (*start)(void *state);
    void (*disturb)(void *state);
    bool (*has_ended)(void *state);
    void (*finish)(void *state, bool was_disturbed);
    void *state;
    unsigned turn_us;
};

#define SWEEP_MAX_TURNS 100000

/* Never waits inside the loop: what ends in a flush, just before the wait, must be seen at once.
 * Scenarios with threads or sockets set turn_us, so that a turn is a step of their time. */
static inline void sweep_turn(struct loop *l)
{
    uv_run(&l->uv, UV_RUN_NOWAIT);
}

/* Returns how many points were disturbed. */
static inline unsigned sweep_run(struct loop *l, const struct sweep *s)
{
    for (unsigned at = 0; at < SWEEP_MAX_TURNS; at++) {
        bool was_disturbed = false;

        s->start(s->state);
        for (unsigned turn = 0; turn < at && !s->has_ended(s->state); turn++) {
            sweep_turn(l);
            usleep(s->turn_us);
        }
        if (!s->has_ended(s->state)) {
            was_disturbed = true;
            s->disturb(s->state);
        }
        for (unsigned turn = 0; !s->has_ended(s->state); turn++) {
            assert_true(turn < SWEEP_MAX_TURNS);
            sweep_turn(l);
            usleep(s->turn_us);
        }
        s->finish(s->state, was_disturbed);
        if (!was_disturbed)
            return at;
    }
    fail_msg("the scenario never completed undisturbed");
    return 0;
}

/* Ends every handle of a loop made for a test, and the loop. */
static inline void sweep_close_loop(struct loop *l)
{
    loop_close(l);
    uv_run(&l->uv, UV_RUN_DEFAULT);
    loop_deinit(l);
}

#endif
