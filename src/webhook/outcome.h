/* What becomes of a delivery after a try. */
#ifndef AERIE_SRC_WEBHOOK_OUTCOME_H
#define AERIE_SRC_WEBHOOK_OUTCOME_H

#include "base/error.h"
#include "config/config.h"

enum outcome_kind {
    OUTCOME_DELIVERED,
    OUTCOME_LATER, /* in wait_us */
    OUTCOME_DEAD,  /* given up, until somebody replays it */
    OUTCOME_GONE,  /* the same, and the receiver wants no more of any */
};

struct outcome {
    enum outcome_kind kind;
    int64_t wait_us;
};

/* n_tries: with this one. random: any number; it makes a wait up to a fifth longer, so that what
 * failed together does not come together. */
struct outcome outcome_of(const struct config_webhooks *c, struct error err, int http_status,
                          int retry_after_s, int64_t n_tries, uint32_t random);

#endif
