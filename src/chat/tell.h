/* What webhooks are told of a turn that has ended. */
#ifndef AERIE_SRC_CHAT_TELL_H
#define AERIE_SRC_CHAT_TELL_H

#include "turn_state.h"

/* Arguments of the statements; in place until db_batch() has returned. */
struct tell {
    struct id event_id;
    struct db_arg event[5], failed[3], agent[8];
};

#define TELL_CALLS 3
/* To go before the reply is stored, in one batch: its end, and what it says of the agent. Nothing,
 * where nobody asks. has_reply: it stays in the chat. *n: how many. False: no memory. */
bool tell_turn(struct tell *tell, const struct turn *t, struct arena *a, bool has_reply,
               struct db_call calls[TELL_CALLS], size_t *n) MUST_CHECK;

#endif
