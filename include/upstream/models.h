/* The models that a provider has, asked from the provider. */
#ifndef AERIE_UPSTREAM_MODELS_H
#define AERIE_UPSTREAM_MODELS_H

#include "upstream/fetch.h"

/* Inside the caller's state, all-zero before, in place until it ends. */
struct models {
    struct str *ids; /* sorted, in the arena; at most 2,000 */
    size_t n_ids;

    struct subflow call; /* the rest is the room's own */
    struct fetch fetch;
    struct arena *arena;
    const struct upstream_prompt *prompt;
    uint32_t tried;
    int key;
    bool was_asked;
};

bool provider_has_models(const struct provider *p);

/* Of the prompt, which stays in place: provider (which has models), url and tokens. Asks with
 * another key at once where the first is refused or limited; does not wait. Ends with NO_ERROR, one
 * of ERR_PROVIDER_… (rate limited: code is the wait), ERR_INTERRUPTED, ERR_UPSTREAM_LIMIT,
 * ERR_BUSY, ERR_NO_MEMORY or ERR_CANCELED. */
void models_load(struct models *m, struct flow *f, struct arena *a,
                 const struct upstream_prompt *prompt);

#endif
