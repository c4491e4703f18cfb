/* The chat room's state on one loop; shared by its files. */
#ifndef AERIE_CHAT_ROOM_H
#define AERIE_CHAT_ROOM_H

#include "base/buf.h"
#include "chat/turn.h"
#include "db/db.h"

/* Removes what is old; on the first loop. */
struct housekeeping {
    struct timer timer;
    struct flow flow;
    struct arena arena;
    struct db_query forget, sessions;
    bool is_running, has_more;
};
void housekeeping_start(struct housekeeping *h);
void housekeeping_stop(struct housekeeping *h);

struct chat_room {
    struct list turns; /* running */
    struct list kept;  /* logs of ended turns, oldest first */
    size_t kept_bytes;
    struct timer sweep;
    struct buf scratch;
    struct housekeeping housekeeping;
    bool is_draining;
    void (*on_drained)(struct loop *l);
};

struct chat_room *room_here(void);
/* Keeps an ended turn's log for late readers; takes the reference. */
void room_keep(struct turn_log *log);
/* A turn or the housekeeping has ended: tells on_drained when nothing runs any more. */
void room_check_drained(struct chat_room *room);

/* turn.c */
void turn_end_now(struct list *turn_link, struct error why);

#endif
