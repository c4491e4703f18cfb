/* How often something may be done. One bounded table for the process. Where several nodes share a
 * database they share each limit too: what a node may give is leased to it in portions from the
 * table rates, so that all of them together give no more than one would. */
#ifndef AERIE_ACCOUNT_RATE_H
#define AERIE_ACCOUNT_RATE_H

#include "base/arena.h"
#include "base/error.h"
#include "loop/flow.h"

enum rate_kind {
    RATE_AGENT_MESSAGES,
    RATE_AGENT_SESSIONS,
    RATE_AGENT_TESTS, /* of a team */
    RATE_HEALTH_STREAM,
    RATE_LOGIN_ACCOUNT,
    RATE_LOGIN_ADDRESS,
    RATE_MAIL_ACCOUNT,
    RATE_MAIL_ADDRESS,
    RATE_REGISTER_ADDRESS,
    RATE_SIGNATURE, /* each signed call is good once */
    RATE_USER_CHATS,
    RATE_USER_MESSAGES,
    RATE_VISITOR_ADDRESS, /* messages of all visitors behind one */
    RATE_VISITOR_MESSAGES,
    RATE_VISITOR_SESSIONS,
    RATE_VISITOR_WIDGETS, /* what a widget looks like */
    RATE_WEBHOOK_TESTS,   /* of a team */
    RATE_WRONG_KEYS,
};

/* Who asks for what, and how often it may be had. */
struct rate {
    enum rate_kind kind;
    struct str key;
    uint64_t limit, window_ms; /* a limit of 0 is off */
};

/* From a step, before it takes: has this node something to give, or an answer to who asks? Where it
 * must ask the database first, that is an operation of f and the step runs again after it: false.
 * arena: lives as long as f. r->key must, too. */
bool rate_ready(struct flow *f, struct arena *arena, const struct rate *r);
/* The same beside what else the step begins: once all of that has ended, there is an answer. */
void rate_ask(struct flow *f, struct arena *arena, const struct rate *r);

/* Any thread, but for what the database has to give, which rate_ready() brings. Counts one take of
 * key: 0, or, counting nothing, the seconds to wait. Whoever stays within limit in every window_ms
 * is never refused; who does not gets limit at once and then one each window_ms / limit. Past its
 * bound the table forgets who has been quiet longest. */
unsigned rate_take(const struct rate *r);

/* The same, and what a client may be told of it. */
struct rate_state {
    uint64_t limit;     /* 0: off, and the rest means nothing */
    uint64_t remaining; /* takes that would fit at once */
    unsigned reset_s;   /* until all of them fit again */
};
unsigned rate_take_and_tell(const struct rate *r, struct rate_state *state);
/* What taking one would answer, as far as this node knows, counting nothing. */
unsigned rate_wait(const struct rate *r);
/* Counts one for this node alone, however many there are, as far as it fits. */
void rate_note(const struct rate *r);

struct error rate_open(void) MUST_CHECK; /* main thread, before any other call */
void rate_close(void);

#endif
