/* Events of more than one room: statements for the batch of the fact. */
#ifndef AERIE_WEBHOOK_EVENT_H
#define AERIE_WEBHOOK_EVENT_H

#include "webhook/webhook.h"

/* In place until db_batch() has returned. */
struct webhook_event {
    struct db_arg args[5];
};

/* chat.created: *out goes behind the statement that adds the chat, and tells nothing should that
 * not have come to be. agent_id, user_id: ptr NULL or "" is null. False: nobody wants it. */
bool webhook_chat_created(struct webhook_event *e, struct arena *a, const struct id *team_id,
                          const struct id *chat_id, struct str agent_id, struct str user_id,
                          int64_t now_us, struct db_call *out) MUST_CHECK;

#endif
