/* Writes the partial reply of a running turn every second or 4 KiB, so that a crash costs no more
 * than that. */
#ifndef AERIE_CHAT_CHECKPOINT_H
#define AERIE_CHAT_CHECKPOINT_H

#include "chat/turn_log.h"
#include "db/db.h"

struct checkpoint_write;

/* Inside the turn, all-zero. A write that is under way is a flow of its own: it neither delays nor
 * fails the turn, and takes memory only for as long. */
struct checkpoint {
    struct turn_log *log; /* the turn's; NULL: not started */
    struct timer timer;
    struct checkpoint_write *write; /* under way; NULL: none */
    struct op awaited;              /* the turn's end waits for the write under way */
    size_t written_bytes;
    bool is_ending;
};

void checkpoint_start(struct checkpoint *c, struct turn_log *log);
void checkpoint_poke(struct checkpoint *c); /* the log has grown */
/* No more writes; an operation of f that ends when the one under way has. */
void checkpoint_finish(struct checkpoint *c, struct flow *f);

#endif
