/* Threads for work that blocks (bcrypt, name look-ups, SQLite), behind a bounded queue. */
#ifndef AERIE_LOOP_WORKERS_H
#define AERIE_LOOP_WORKERS_H

#include "loop/loop.h"

struct workers;

/* Inside the asker's state; in place until done() was called. */
struct work {
    struct list link;
    struct loop *loop;
    void (*run)(struct work *w);  /* on a worker thread: touches only what hangs on w */
    void (*done)(struct work *w); /* on the loop that submitted */
    struct mail mail;
};

enum work_kind {
    WORK_WAITS,    /* for others, mostly */
    WORK_COMPUTES, /* long: its threads give way to the loops, without starving */
};

/* NULL: no memory or no thread. name: for debuggers, at most 15 bytes. */
struct workers *workers_new(const char *name, enum work_kind kind, unsigned n_threads,
                            size_t max_queue);
/* Waits for what runs and runs what is queued. No thread may submit any more. */
void workers_free(struct workers *ws);
/* From a loop. False: the queue is full, nothing was taken. */
bool workers_submit(struct workers *ws, struct work *w, void (*run)(struct work *w),
                    void (*done)(struct work *w)) MUST_CHECK;
/* True: it was still queued and will never run, done() is not called. False: it runs or ran. */
bool workers_cancel(struct workers *ws, struct work *w);
size_t workers_queued(struct workers *ws);
/* The calling thread is one that computes for long, from now on: it gives way to the loops. */
void workers_give_way(void);
void workers_metrics(struct buf *out); /* the queues of all pools, for GET /metrics */

#endif
