/* Signed calls: a client that has an API key may prove with each call that it wrote the body, and
 * when. */
#ifndef AERIE_SRC_API_SIGNATURE_H
#define AERIE_SRC_API_SIGNATURE_H

#include "http/http.h"

/* X-EagleChat-Signature: "hmac-sha256=" and, in hex, the HMAC under the API key of
 * X-EagleChat-Timestamp (seconds since 1970), a line feed, and the body. A call that carries one
 * must be right, within 300 s of our clock, and is good once; one without is refused where the
 * agent's config has "require_signature": true. From a step of f: true when it passes; false when f has failed (401 with a
 * sentence), or the step will run again. */
bool signature_check(struct flow *f, struct request *req, struct str api_key,
                     struct str agent_config);

#endif
