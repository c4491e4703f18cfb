/* Which keys a prompt is asked with, and how a request carries one. */
#ifndef AERIE_UPSTREAM_AUTH_H
#define AERIE_UPSTREAM_AUTH_H

#include "keys.h"
#include "provider.h"
#include "upstream/fetch.h"

/* The prompt's own keys, else the configuration's. Points into the prompt. */
struct key_ring auth_ring(const struct upstream_prompt *prompt);
/* The prompt's URL, else the provider's; "" : it has none. */
struct str auth_base_url(const struct upstream_prompt *prompt);
/* NO_ERROR, or that the provider needs a key and there is none; the log says what to set. */
struct error auth_check(const struct upstream_prompt *prompt) MUST_CHECK;

/* Of one request, in the caller's memory; all-zero before. */
struct auth_headers {
    struct fetch_header list[PROVIDER_HEADERS_MAX + 1];
    size_t n;
    struct buf bearer;
};
/* ring.keys[index], when the ring has any, the way the provider wants it; and what each of its
 * requests says. ERR_PROVIDER_AUTH or ERR_NO_MEMORY. Wipe h in each case. */
struct error auth_write(struct auth_headers *h, const struct provider *p,
                        const struct key_ring *ring, int index) MUST_CHECK;
void auth_wipe(struct auth_headers *h);

/* What an HTTP status says of a provider; OK: nothing bad. */
enum status auth_status(int http_status);
/* True: the error is one that another key, or a later try, may not meet. */
bool auth_fault(struct error err, enum key_fault *fault);

/* ERR_PROVIDER_RATE_LIMITED, for a wait. */
struct error auth_limited(uint64_t wait_ms);

#endif
