/* Who calls with an API key. For routes of WHO_ANYONE: a key is told from its row in the database,
 * not from the head alone, so the hook that settles users lets these calls pass. */
#ifndef AERIE_SRC_API_KEY_AUTH_H
#define AERIE_SRC_API_KEY_AUTH_H

#include "base/id.h"
#include "db/db.h"
#include "http/http.h"

/* The columns of KEY_BY_PREFIX. */
enum key_auth_column {
    BY_KEY_ID,
    BY_KEY_TEAM_ID,
    BY_KEY_AGENT_ID,
    BY_KEY_HASH,
    BY_KEY_SCOPES,
    BY_KEY_EXPIRES_AT,
    BY_KEY_IS_REVOKED,
    BY_KEY_LAST_USED_AT,
    BY_KEY_CREATED_AT,
    BY_KEY_TEAM_ACTIVE,
    BY_KEY_AGENT_ACTIVE,
    BY_KEY_AGENT_NAME,
    BY_KEY_NAME_IS_SHARED,
    BY_KEY_AGENT_CREATED_AT,
    BY_KEY_AGENT, /* the first of those that prompt_of_agent() takes */
    BY_KEY_AGENT_CONFIG = BY_KEY_AGENT + 5,
};

struct key_caller {
    struct id team_id, agent_id, key_id;
    struct str scopes;           /* a JSON array of words */
    const struct db_result *row; /* of KEY_BY_PREFIX: the key's agent is in it */
};

/* The first member of a route's state, all-zero; filled by the two steps, which come first in its
 * table: load_key, then check_key. */
struct key_auth {
    struct key_caller caller;
    struct db_query query;
    struct str text; /* the key as it was sent */
    struct str hash;
};

void load_key(struct flow *f);  /* 401 */
void check_key(struct flow *f); /* 401; 403: the agent is switched off */
/* For a key that comes otherwise than in the head: reads its row. False: no text of that shape can
 * be a key. */
bool key_auth_find(struct flow *f, struct key_auth *a, struct str key) MUST_CHECK;
/* Afterwards: is it one that somebody may use now? */
bool key_auth_is_in_force(const struct key_auth *a);
/* Does the key have this scope? If not, the flow has failed with 403. */
bool key_needs_scope(struct request *req, const char *scope) MUST_CHECK;

#endif
