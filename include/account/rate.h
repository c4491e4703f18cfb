/* How often something may be done. One bounded table for the process; any thread. */
#ifndef AERIE_ACCOUNT_RATE_H
#define AERIE_ACCOUNT_RATE_H

#include "base/error.h"

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
    RATE_WRONG_KEYS,
};

/* Counts one take of key: 0, or, counting nothing, the seconds to wait. Whoever stays within limit
 * in every window_ms is never refused; who does not gets limit at once and then one each window_ms
 * / limit. A limit of 0 is off. Past its bound the table forgets who has been quiet longest. */
unsigned rate_take(enum rate_kind kind, struct str key, uint64_t limit, uint64_t window_ms);

/* The same, and what a client may be told of it. */
struct rate_state {
    uint64_t limit;     /* 0: off, and the rest means nothing */
    uint64_t remaining; /* takes that would fit at once */
    unsigned reset_s;   /* until all of them fit again */
};
unsigned rate_take_and_tell(enum rate_kind kind, struct str key, uint64_t limit, uint64_t window_ms,
                            struct rate_state *state);
/* What rate_take() would answer, counting nothing. */
unsigned rate_wait(enum rate_kind kind, struct str key, uint64_t limit, uint64_t window_ms);

struct error rate_open(void) MUST_CHECK; /* main thread, before any other call */
void rate_close(void);

#endif
