/* A turn: one user message and the reply being made for it. It belongs to its loop, not to a
 * connection: readers follow its log and leave as they like. */
#ifndef AERIE_CHAT_TURN_H
#define AERIE_CHAT_TURN_H

#include "chat/turn_log.h"

struct db;

enum turn_kind {
    TURN_ANSWER,     /* stores content as the user's message, then answers it */
    TURN_REGENERATE, /* answers the last user's message again; the old reply stays until the new one
                        is stored */
};

struct turn_request {
    enum turn_kind kind;
    struct id team_id, chat_id;
    struct id
        owner_id; /* whose chat it is: a user, or the chat itself, where nobody has an account */
    struct id key_id;                      /* the API key that asks, for its budgets; "" : none */
    struct str content;                    /* TURN_ANSWER; copied */
    struct str idempotency_key, body_hash; /* "" : none; copied */
    struct str model;                      /* "" : the agent's own; copied */
    /* "" : the chat's own agent, or for a new chat the team's default one. The chat has another:
     * ERR_CONFLICT. */
    struct id agent_id;
    const struct span
        *span;          /* whose part the turn is; NULL: nobody's. Until turn_start() returns */
    bool is_new_chat;   /* the chat is made together with the message, under chat_id */
    bool names_session; /* the first event tells the chat's id, as session_id */
};

/* Starts a turn on this loop, or joins the running one when the idempotency key and the body are
 * the same. *out is counted for the caller. Whether it begins at all (the chat may be missing, the
 * key spent) is told by the log. ERR_CONFLICT: another turn runs in this chat. ERR_INVALID: the key
 * was used with another body. ERR_RATE_LIMITED: the team's streams are used up. ERR_BUSY: ours are,
 * or this loop is draining. ERR_NO_MEMORY. */
struct error turn_start(const struct turn_request *r, struct turn_log **out) MUST_CHECK;
/* Any loop: the turn ends soon, what came is kept. why: static. Nothing happens when it has ended.
 */
void turn_stop(struct turn_log *log, const char *why);
extern const char turn_stopped_by_owner[], turn_chat_deleted[];
/* All of an owner's, a user or a session, on this node; what ended lately cannot be followed any
 * more. Any loop. */
void turn_end_all_of(const struct id *owner_id);
/* The log's own: the number of its readers changed. Any loop. */
void turn_readers_changed(struct turn_log *log);

/* The room's state on each loop. */
/* Main thread. Stores first what an earlier process left of its replies, and marks them. */
struct error chat_open(struct db *db) MUST_CHECK;
void chat_close(struct db *db); /* main thread, after the loops */
struct error chat_attach(struct loop *l) MUST_CHECK;
/* Refuses new turns from now on; on_drained once none runs. */
void chat_drain(struct loop *l, void (*on_drained)(struct loop *l));
void chat_abort(struct loop *l);  /* ends what runs: interrupted */
void chat_detach(struct loop *l); /* after it drained: frees what was kept */
struct buf *chat_scratch(void);   /* this loop's, empty: for formatting within one callback */

#endif
