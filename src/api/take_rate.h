/* A handler's limits: what passes them is counted, what does not is refused. */
#ifndef AERIE_SRC_API_TAKE_RATE_H
#define AERIE_SRC_API_TAKE_RATE_H

#include "account/rate.h"
#include "http/http.h"

/* From a step of the request's flow, as the first thing that it does that may not be done twice: true, and one is taken. False:
 * the flow has failed, with the sentence (static, or NULL), or the step will run again, as another node had to be asked. */
bool take_rate(struct request *req, const struct rate *r, const char *sentence);

#endif
