/* A node's sign of life, on the first loop: its row, written each second on PostgreSQL, and on SQLite while the successor of a process
 * or the one before it is there; and the end of others that give none. */
#ifndef AERIE_CLUSTER_PULSE_H
#define AERIE_CLUSTER_PULSE_H

#include "db/db.h"
#include "loop/flow.h"
#include "loop/loop.h"

/* The end of the dead: a flow of its own, which no beat waits for. */
struct sweep {
    struct flow flow;
    struct arena arena;
    struct db_query nodes, replies, documents, rest;
    int64_t n_buried, n_marked;
    uint64_t begun_ms; /* the last one; at first, when the pulse was started */
    bool is_running;
    bool is_owed; /* the last one could not do all */
};

/* So many replies are marked interrupted by one statement, in one transaction. */
#define REPLIES_PORTION 100

/* All-zero: not started. */
struct pulse {
    struct timer timer;
    struct flow flow; /* of a beat */
    struct arena arena;
    struct db_query beat, echo;
    struct sweep sweep;
    uint64_t beaten_ms; /* when the last beat went well */
    uint64_t steady_ms; /* since when each has, without a pause; 0: the last one has not */
    bool is_regular, is_running, is_draining, was_failing;
    void (*on_stopped)(struct pulse *p);
};

/* First loop's thread. is_regular: each second; otherwise while others are there, and when draining begins. */
void pulse_start(struct pulse *p, bool is_regular);
/* Writes the row at once, with is_draining. */
void pulse_drain(struct pulse *p);
/* on_stopped: nothing of it runs any more, perhaps before this returns. */
void pulse_stop(struct pulse *p, void (*on_stopped)(struct pulse *p));
/* What a beat writes, and NODE_ADD with it: id, name, address, version, now, is_draining; and for a beat alone: when the
 * node started, and what makes others dead. */
#define PULSE_ARGS 8
void pulse_args(struct db_arg args[PULSE_ARGS], bool is_draining);
/* So many are there, this one included. */
void pulse_note_nodes(unsigned n);

#endif
