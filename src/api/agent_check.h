/* What the members of an agent's row may be. */
#ifndef AERIE_SRC_API_AGENT_CHECK_H
#define AERIE_SRC_API_AGENT_CHECK_H

#include "http/http.h"

/* Each adds the field errors it finds to the request; texts are JSON that input_read() took. */
/* *fallback: the agent that config names to be asked instead; "" : none. Whether it is there, the
 * database knows. */
void agent_check_config(struct request *req, struct str config, struct id *fallback);
void agent_check_origins(struct request *req, struct str origins);
void agent_check_provider(struct request *req, struct str provider);
void agent_check_token(struct request *req, struct str token);
/* field: the name that the client gives it by */
void agent_check_url(struct request *req, const char *field, struct str url);
/* An agent of this provider cannot go without an address. */
void agent_check_has_url(struct request *req, const char *field, struct str provider,
                         struct str url);

#endif
