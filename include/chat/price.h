/* What models cost: the operator's table (budgets.prices), by provider and model. Any thread. */
#ifndef AERIE_CHAT_PRICE_H
#define AERIE_CHAT_PRICE_H

#include "base/error.h"

#include <stdint.h>

/* Of a million tokens, in millionths of the currency. All-zero: it costs nothing. */
struct price {
    int64_t input, output;
};

/* Reads the file that the configuration names; "" : nothing costs anything. Main thread. On failure
 * the prices stay as they were, and the detail, which lives until the next call, names file, line
 * and entry. */
struct error price_read(void) MUST_CHECK;
void price_close(void); /* after all threads that ask */
/* The first entry that fits. A model without one costs nothing, which the log tells once for each.
 */
struct price price_find(struct str provider, struct str model);
/* The table as it is, in its order. see() may ask nothing of prices. */
void price_each(void (*see)(struct str provider, struct str model, const struct price *price,
                            void *state),
                void *state);
/* In millionths of the currency, rounded up. */
int64_t price_cost(const struct price *p, int64_t prompt_tokens, int64_t reply_tokens);

#endif
