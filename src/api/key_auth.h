/* Who calls with an API key. A key is told from its row in the database, not from the head alone,
 * so the hook that settles users lets these calls pass. */
#ifndef AERIE_SRC_API_KEY_AUTH_H
#define AERIE_SRC_API_KEY_AUTH_H

#include "account/key_cache.h"
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
    BY_KEY_ALLOWED_ORIGINS,
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
    const struct db_result
        *row; /* of KEY_BY_PREFIX: the key's agent is in it; the request's arena's */
};

/* In the request's state or arena, all-zero. */
struct key_auth {
    struct subflow sub;
    struct key_caller caller; /* once it has ended well */
    struct request *req;
    struct str sent;
    const char *scope;
    struct db_query query;
    struct api_key *key; /* that was sent; NULL: it was remembered */
    struct key_look look;
    struct key_row *row;
};

/* From a step, one operation: settles whose key it is and whether it has the scope. sent ptr NULL:
 * none was; scope NULL: only whose key it is is asked. Ends with ERR_UNAUTHORIZED; ERR_FORBIDDEN:
 * no such scope, another page than the key's, or its agent is switched off; ERR_RATE_LIMITED: too
 * many wrong keys from this address. */
void key_auth_start(struct key_auth *a, struct flow *f, struct request *req, struct str sent,
                    const char *scope);
/* The same, but the operation ends well and a->sub.flow.err tells how it went. */
void key_auth_try(struct key_auth *a, struct flow *f, struct request *req, struct str sent,
                  const char *scope);

/* A step for every table that writes what rows of the team's keys say: agents, API keys, keys of
 * providers. STEP_ALWAYS, as what was written stays though the client leaves. */
void key_auth_forget(struct flow *f);

#endif
