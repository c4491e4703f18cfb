/* Sending a message and following its turn: what every door for messages does alike. */
#ifndef AERIE_API_ASK_H
#define AERIE_API_ASK_H

#include "chat/follow.h"
#include "chat/turn.h"
#include "db/db.h"
#include "doc.h"
#include "message_json.h"

#define ASK_KEY_BYTES 255 /* of an Idempotency-Key */

/* How the reply is given. */
enum ask_mode {
    ASK_BY_ACCEPT, /* whole for one who accepts application/json and no stream */
    ASK_WHOLE,
    ASK_STREAM,
    ASK_SOCKET, /* as messages of a WebSocket: req has no answer of its own */
};

/* The first member of these routes' states. A door reads its own body and fills turn; the steps
 * look nowhere else, so that a caller without an account may be served, too. */
struct ask {
    struct turn_request turn;
    enum ask_mode mode;
    enum reply_shape shape; /* of a whole reply */
    struct request *socket; /* ASK_SOCKET: who opened it */
    struct turn_log *log;   /* counted by the request's arena */
    struct follow follow;
    struct db_query earlier;
};

/* One more message of this user, as a step, told by headers: 429 when it is one too many. Before the body, so that a
 * flood is cheap. */
void ask_take_rate(struct flow *f);
/* The Idempotency-Key, into turn. False: the flow has failed with 422. */
bool ask_read_key(struct request *req, struct ask *s) MUST_CHECK;
/* Starts or joins the turn; ends with it, or with the client. */
void ask_follow_turn(struct flow *f);
/* When the key was spent: the reply that it got. */
void ask_load_earlier(struct flow *f);
/* Another node still writes it: its turn, followed as one of this node. */
void ask_find_elsewhere(struct flow *f);
void ask_follow_elsewhere(struct flow *f);
/* What was not streamed: the whole reply, an earlier one, or why there is none. */
void ask_answer(struct flow *f);
#define ASK_STEPS                                                                                  \
    STEP(ask_follow_turn), STEP(ask_load_earlier), STEP(ask_find_elsewhere),                       \
        STEP(ask_follow_elsewhere), STEP(ask_answer), STEP_END

/* Where a reader that comes back left off: the number of the last event it has, by Last-Event-ID;
 * 0: none of this turn's. Of a mirror it may be one that is still to come. */
uint64_t ask_resume_at(struct request *req, struct turn_log *log);

/* What these routes' docs say of the Idempotency-Key. */
extern const struct member ask_headers[];

/* Counts the log for the request, to be let go with its arena. False: the flow has failed. */
bool ask_hold_log(struct request *req, struct turn_log *log) MUST_CHECK;

#endif
