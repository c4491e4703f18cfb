/* The chat room's state on one loop; shared by its files. */
#ifndef AERIE_CHAT_ROOM_H
#define AERIE_CHAT_ROOM_H

#include "base/buf.h"
#include "budget_node.h"
#include "chat/turn.h"
#include "checkpoint.h"
#include "chore.h"
#include "db/db.h"
#include "journal.h"
#include "streams_chore.h"

/* Removes what is old; on the first loop. */
struct housekeeping {
    struct chore chore;
    struct db_query forget, usage, budgets, audit, months;
    struct subflow part;
    bool has_more;
};
void housekeeping_start(struct housekeeping *h);

/* Removes chats that are past their time; on the first loop. */
struct retention {
    struct chore chore;
    struct db_query sweep;
    bool is_done; /* the last look found nothing */
};
void retention_start(struct retention *r);

/* Turns whose first text came during this turn of the loop, until it is written. */
#define FIRST_EVENTS_MAX 64
struct first_events {
    struct flush flush;
    uint64_t since_us[FIRST_EVENTS_MAX]; /* the first byte of each one's answer */
    unsigned n;
    bool is_last_flush;
};

/* Feeds PostgreSQL's index of words; on the first loop. */
struct search_feed {
    struct chore chore;
    struct db_query pass;
};
void search_feed_start(struct search_feed *s);

struct chat_room {
    struct first_events first_events;
    struct list turns; /* running */
    size_t n_turns;
    struct list mirrors; /* of turns elsewhere */
    struct list kept;    /* logs of ended turns, oldest first */
    size_t kept_bytes;
    struct timer sweep;
    struct buf scratch;
    struct housekeeping housekeeping;
    struct retention retention;
    struct search_feed search_feed;
    struct budget_chore budgets;
    struct streams_chore streams;
    struct journal journal;
    struct checkpoint checkpoint;
    bool is_draining;
    void (*on_drained)(struct loop *l);
};

struct chat_room *room_here(void);
/* Keeps an ended turn's log for late readers; takes the reference. */
void room_keep(struct turn_log *log);
/* A turn's answer began then, and its first text is going to be written: how long that took is
 * counted. */
void room_expect_first_event(uint64_t since_us);
/* A turn or what runs in the background has ended: tells on_drained when nothing runs any more. */
void room_check_drained(struct chat_room *room);

/* turn.c */
void turn_end_now(struct list *turn_link, struct error why);

#endif
