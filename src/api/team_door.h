/* Routes that a person may call, or a program with one of the team's API keys: those of
 * WHO_USER_OR_KEY and WHO_ADMIN_OR_KEY, whose tables begin with one of these steps. */
#ifndef AERIE_SRC_API_TEAM_DOOR_H
#define AERIE_SRC_API_TEAM_DOOR_H

#include "http/http.h"

/* Whom the head named passes. Otherwise an API key with the scope opens, and caller_of(req) is from
 * then on an admin of its team who has no user_id. 401, 403, 429 */
void team_door_admin_read(struct flow *f); /* what an admin sees: scope admin:read */
void team_door_documents(struct flow *f);  /* the team's knowledge: scope documents */

#endif
