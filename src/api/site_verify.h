/* The call back to a WordPress site, which proves that the plugin there has asked. */
#ifndef AERIE_SRC_API_SITE_VERIFY_H
#define AERIE_SRC_API_SITE_VERIFY_H

#include "loop/wait.h"
#include "upstream/fetch.h"

/* Inside the caller's state, all-zero but for the first two, in place until it ends. */
struct site_verification {
    struct str url;   /* without slashes at its end */
    struct str token; /* what the plugin made */
    struct subflow sub, attempt;
    struct wait wait;
    struct fetch fetch;
    struct arena *arena;
    unsigned n_attempts; /* of config callback.retry_attempts */
    bool is_calling, is_plain;
};

/* From a step. Ends well when the site confirms the token; ERR_BAD_REQUEST with the sentence for
 * the asker when it does not, or cannot be reached; ERR_BUSY, ERR_NO_MEMORY, ERR_CANCELED. */
void site_verify(struct site_verification *v, struct flow *f, struct arena *a);

#endif
