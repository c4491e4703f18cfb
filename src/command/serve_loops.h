/* The loops of a server, a thread each. Main thread. */
#ifndef AERIE_COMMAND_SERVE_LOOPS_H
#define AERIE_COMMAND_SERVE_LOOPS_H

#include "base/error.h"

#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>

struct serve_rooms;
struct serve_loop;

/* What is still streaming when the time to drain is over gets this long to tell its readers. */
#define SERVE_CUT_AFTER_MS 6000
/* The last loop's word to the main thread, which has it blocked. */
#define SERVE_LOOPS_ENDED SIGUSR1

/* All-zero: there is none. */
struct serve_loops {
    const struct serve_rooms *rooms;
    struct serve_loop *loops;
    unsigned n;  /* started */
    sem_t ready; /* posted by each loop once it listens or failed */
    atomic_uint n_running;
    atomic_uint n_with_turns; /* loops, once they drain */
    pthread_t main_thread;
    uint64_t drain_s;  /* how long the loops may drain; before they are told to */
    bool keeps_taking; /* turns, while a client's connection is left; likewise */
};

/* They listen, and accept nobody yet. After an error those that started are to be drained. */
struct error serve_loops_start(struct serve_loops *all, const struct serve_rooms *rooms) MUST_CHECK;
void serve_loops_accept(struct serve_loops *all);
/* Once; what streams after that time ends. */
void serve_loops_drain(struct serve_loops *all, uint64_t drain_s, bool keeps_taking);
/* They drain, and have no more than server.drain_seconds from now on. */
void serve_loops_hurry(struct serve_loops *all);
/* Is there one that has not ended? */
bool serve_loops_run(struct serve_loops *all);
/* When none runs. */
void serve_loops_join(struct serve_loops *all);

#endif
