/* A turn's events: text and notices, append-only, numbered. One loop, the turn's, writes; readers
 * on any loop follow at their own offset, so that a slow or absent one costs nothing. Counted:
 * lives as long as someone holds it.
 *
 * Event numbers. Text is an append-only run of bytes, and the number of a text event is 8 times the
 * offset where it ends. A notice (status, done, error) at that offset has one of the seven numbers
 * that follow. So numbers rise, any two readers number alike however their text was cut, and a
 * number alone says which text its reader has.
 *
 * It is shared between loops under a lock of its own rather than mirrored by mailbox: one copy of
 * the text however many loops read it, and readers take the lock only to copy what is new. */
#ifndef AERIE_CHAT_TURN_LOG_H
#define AERIE_CHAT_TURN_LOG_H

#include "base/buf.h"
#include "base/error.h"
#include "base/id.h"
#include "base/map.h"
#include "loop/loop.h"

#include <stdatomic.h>

struct mirror;
struct turn;

enum turn_log_phase {
    TURN_LOG_PENDING, /* the user's message is not stored yet: nothing may be shown */
    TURN_LOG_OPEN,    /* events come */
    TURN_LOG_CLOSED,  /* the terminal event is there, or the turn never began */
};

struct notice {
    uint64_t n;
    struct str json; /* in the log's memory */
};

/* Someone who wants to know when the log has more; a member of a follower; its loop's thread only.
 */
struct log_reader {
    struct list link;
    struct log_watch *watch;
    void (*on_grow)(struct log_reader *r); /* may detach r, and others */
};

struct turn_log {
    /* Set once, before the log is shared. */
    struct map_node node; /* the hub's */
    char key[2 * ID_LEN]; /* chat, then owner */
    struct id team_id, owner_id, chat_id;
    struct id reply_id; /* the turn's name, too: what its events' ids begin with */
    struct str idempotency_key, body_hash; /* "" : none; in the log's memory */
    struct loop *owner;
    bool is_mirror; /* another node runs the turn (chat/mirror.h) */
    /* The owner's loop only. */
    struct turn *turn;     /* NULL when it has ended */
    struct mirror *mirror; /* likewise */
    struct list kept;      /* ended logs that late readers may still want */
    uint64_t expires_ms;
    /* Constant once it is no longer PENDING. */
    int64_t created_us;                /* of the reply */
    int64_t tokens_limit, tokens_left; /* of the owner's day, when the turn began; limit 0: off */

    atomic_uint refs;
    atomic_int phase;
    atomic_uint n_readers;

    uv_mutex_t lock;
    /* Under the lock. */
    struct buf text;
    struct notice *notices; /* in the log's memory; the last place is the terminal event's */
    unsigned n_notices, max_notices;
    uint64_t last_n;
    struct list watches; /* one a loop with readers */
    struct mail letter;  /* to the owner: one at a time is under way */
    bool is_letter_posted;
    const char *stop; /* why the turn is to stop; NULL: nobody asked */
    /* Written before the phase becomes CLOSED, constant afterwards. */
    struct error outcome;      /* why it failed, with words in the log's memory; OK when the reply
                                  is whole */
    bool is_begun;             /* the user's message was stored, so there is a terminal event */
    enum status reply_outcome; /* of the answer, whether it could be stored or not */
    bool is_saved, is_stopped; /* of the reply */
    struct id earlier_reply;   /* not begun because the idempotency key is spent: that reply */
    struct str model, usage,
        metadata;         /* as the provider told; the latter two are JSON; "" : unknown */
    struct arena *memory; /* of the small strings above */
};

struct turn_log *turn_log_new(const struct id *team_id, const struct id *owner_id,
                              const struct id *chat_id, struct str idempotency_key,
                              struct str body_hash); /* NULL: no memory */
struct turn_log *turn_log_ref(struct turn_log *log);
void turn_log_unref(struct turn_log *log);
void turn_log_key(const struct id *chat_id, const struct id *owner_id, char out[2 * ID_LEN]);

/* ---- writing: the owner's loop ---- */
void turn_log_open(struct turn_log *log); /* PENDING to OPEN, before the first event */
bool turn_log_append(
    struct turn_log *log,
    struct str text); /* false: past max_bytes or out of memory, nothing was added */
void turn_log_notice(struct turn_log *log,
                     struct str json); /* dropped when there is no number or room left */
/* json: the terminal event; "" when it could not be written, or the turn never began. Afterwards
 * the chat is free. */
void turn_log_close(struct turn_log *log, struct str json);
/* The text so far; owner's loop, valid until the next append. */
struct str turn_log_text(const struct turn_log *log);

/* The number of the event at this offset: 0: the text that ends there; 1 to 7: the notices after
 * it. */
uint64_t turn_log_number(size_t offset, unsigned notice);
size_t turn_log_offset(uint64_t n); /* the text that who has event n has */

/* What a closed log costs, in bytes. */
size_t turn_log_size(const struct turn_log *log);

/* Of a closed log: the stored reply's status. */
struct str turn_log_status(const struct turn_log *log);

/* ---- reading: any loop ---- */
struct log_event {
    uint64_t n;
    struct str notice; /* JSON, or "" for text */
    struct str text;
};
enum turn_log_phase turn_log_phase(const struct turn_log *log);
/* Between lock and unlock: the first event after *n, text of at most max_text bytes at a time;
 * false when there is none. The views stay valid until unlock. */
void turn_log_lock(struct turn_log *log);
void turn_log_unlock(struct turn_log *log);
bool turn_log_next(struct turn_log *log, uint64_t n, size_t max_text, struct log_event *event);
/* Is n the number of an event, or of a place between two characters of the text? Takes the lock. */
bool turn_log_has(struct turn_log *log, uint64_t n);
uint64_t turn_log_last(struct turn_log *log);

/* Calls on_grow on this loop after each growth, once a turn of the loop. False: no memory. */
bool turn_log_attach(struct turn_log *log, struct log_reader *r,
                     void (*on_grow)(struct log_reader *r));
void turn_log_detach(struct turn_log *log, struct log_reader *r);

#endif
