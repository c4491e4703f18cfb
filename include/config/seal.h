/* Secrets at rest: sealed under the configured secret, opened under it or the one before it. Any
 * thread. */
#ifndef AERIE_CONFIG_SEAL_H
#define AERIE_CONFIG_SEAL_H

#include "base/arena.h"

enum seal_purpose {
    SEAL_AGENT_TOKEN,  /* agents.webhook_token */
    SEAL_PROVIDER_KEY, /* provider_keys.sealed_key */
    SEAL_WEBHOOK,      /* webhooks.secret, webhooks.previous_secret */
};

/* row_id: the row that the seal is bound to. ptr NULL: no memory. */
struct str seal_text(struct arena *a, enum seal_purpose purpose, struct str row_id,
                     struct str text);
/* ptr NULL: sealed under another secret or for another row, or no memory. */
struct str seal_open(struct arena *a, enum seal_purpose purpose, struct str row_id,
                     struct str sealed);

#endif
