/* What the routes for OpenAI's clients share: the key, the agent as a model, errors in their shape.
 */
#ifndef AERIE_SRC_API_V1_H
#define AERIE_SRC_API_V1_H

#include "base/json.h"
#include "doc.h"
#include "key_auth.h"

/* The first member of these routes' states. */
struct v1 {
    struct key_auth auth;
    const char *param; /* the field that an error is about; NULL: none */
};

/* The first step: who calls, and may the key chat? 401, 403, 429 */
void v1_check_key(struct flow *f);
/* Is it a name of the key's agent: its id, or its name where no other agent of the team has it? If
 * not, the flow has failed with 404. */
bool v1_check_model(struct request *req, struct str model) MUST_CHECK;
/* The flow fails with 400. param, sentence: static or in the arena. */
void v1_refuse(struct request *req, const char *param, const char *sentence);
extern const struct schema v1_error_schema;
/* {"error":{"message","type","param","code"}} */
void v1_write_error(struct json *j, struct error err, const char *param);
/* An always step: answers a failed flow in that shape, before http would in ours. */
void v1_answer_error(struct flow *f);

#endif
