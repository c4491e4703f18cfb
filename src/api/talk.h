/* /api/chat: one message, in a chat that may be new, and its reply. */
#ifndef AERIE_API_TALK_H
#define AERIE_API_TALK_H

#include "api/input.h"
#include "ask.h"

struct talk {
    struct ask ask; /* first: its steps look here */
    struct input message, session_id, agent_id, model;
};
extern const struct step talk_stream_steps[];
extern const struct route_doc talk_stream_doc;
extern const struct schema talk_schema;
/* Steps of POST /api/chat, where a user calls. */
void talk_answer_whole(struct flow *f);
/* Reads the body into a struct talk that is the state. 422 */
void talk_read(struct flow *f);

/* What was said, to whom: turn for the chat session_id, or when that is not given for a new one.
 * Where the caller and the idempotency key are the same, so is the new chat, for at least the day
 * of the first call. turn: has its team, owner, content and key. */
void talk_aim(struct turn_request *turn, const struct input *session_id,
              const struct input *agent_id, const struct input *model);

#endif
