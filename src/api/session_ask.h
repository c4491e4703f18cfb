/* Beginning a session, and asking in it: a chat of someone without an account, which owns itself.
 */
#ifndef AERIE_SRC_API_SESSION_ASK_H
#define AERIE_SRC_API_SESSION_ASK_H

#include "ask.h"

/* Aims the turn at the session: whole as {response, message_id} unless a stream is asked for by
 * name. False: the flow has failed with 422 (Idempotency-Key). */
bool session_ask(struct request *req, struct ask *s, const struct id *team_id,
                 const struct id *session_id, struct str content) MUST_CHECK;
/* False: the flow has failed with 429. */
bool session_take_agent_rate(struct request *req, const struct id *agent_id) MUST_CHECK;
/* The same of new sessions. */
bool session_take_begin_rate(struct request *req, const struct id *agent_id) MUST_CHECK;
/* From a step: stores a session. visitor_hash ptr NULL: an API key's; origin ptr NULL: no page's.
 */
void session_add(struct db_query *add, struct request *req, const struct id *team_id,
                 const struct id *session_id, const struct id *agent_id, struct str visitor_hash,
                 struct str origin);

#endif
