/* Keys of prompts: whose they are, what becomes of them on the wire, and what an answer says of
 * them. */
#include "auth.h"

#include "base/log.h"

#include <string.h>

/* An agent with a URL of its own might be anywhere: the configuration's keys do not go there. */
struct key_ring auth_ring(const struct upstream_prompt *prompt)
{
    struct config_list pool = provider_keys(prompt->provider);
    struct key_ring ring = {.provider = prompt->provider->name, .url = prompt->url};

    if (prompt->n_tokens > 0) {
        ring.keys = prompt->tokens;
        ring.n_keys = prompt->n_tokens;
    } else if (prompt->url.len == 0) {
        ring.keys = pool.items;
        ring.n_keys = pool.n;
    }
    return ring;
}

struct str auth_base_url(const struct upstream_prompt *prompt)
{
    return prompt->url.len > 0 ? prompt->url : provider_base_url(prompt->provider);
}

struct error auth_check(const struct upstream_prompt *prompt)
{
    const struct provider *p = prompt->provider;

    if (!p->needs_token || auth_ring(prompt).n_keys > 0)
        return NO_ERROR;
    log_warn("upstream: no key for %s: give the agent a webhook_token or its team a key "
             "(POST /api/team/provider-keys)%s",
             p->name,
             prompt->url.len > 0 ? "; the configuration's keys are not sent to an agent's own URL"
                                 : ", or configure ai_services.<provider>_api_key");
    return ERROR(ERR_PROVIDER_AUTH, 0, "There is no key for the agent: an admin needs to set one.");
}

struct error auth_write(struct auth_headers *h, const struct provider *p,
                        const struct key_ring *ring, int index)
{
    struct str key = ring->n_keys > 0 ? ring->keys[index] : STR("");

    for (size_t i = 0; i < PROVIDER_HEADERS_MAX && p->headers[i].name; i++)
        h->list[h->n++] =
            (struct fetch_header){str_from(p->headers[i].name), str_from(p->headers[i].value)};
    if (key.len == 0)
        return NO_ERROR;
    if (str_has_control(key))
        return ERROR(ERR_PROVIDER_AUTH, 0, "The agent's token holds control characters.");
    if (p->key_header) {
        h->list[h->n++] = (struct fetch_header){str_from(p->key_header), key};
        return NO_ERROR;
    }
    /* At once: growing would leave a copy. */
    if (!buf_reserve(&h->bearer, sizeof("Bearer ") + key.len))
        return ERROR(ERR_NO_MEMORY, 0, NULL);
    buf_append_str(&h->bearer, STR("Bearer "));
    buf_append_str(&h->bearer, key);
    h->list[h->n++] = (struct fetch_header){STR("Authorization"), buf_str(&h->bearer)};
    return NO_ERROR;
}

void auth_wipe(struct auth_headers *h)
{
    if (h->bearer.data)
        explicit_bzero(h->bearer.data, h->bearer.cap);
    buf_deinit(&h->bearer);
}

enum status auth_status(int http_status)
{
    if (http_status == 401 || http_status == 403)
        return ERR_PROVIDER_AUTH;
    if (http_status == 429)
        return ERR_PROVIDER_RATE_LIMITED;
    return http_status >= 200 && http_status < 300 ? OK : ERR_PROVIDER_ERROR;
}

bool auth_fault(struct error err, enum key_fault *fault)
{
    switch ((int)err.status) {
    case ERR_PROVIDER_RATE_LIMITED:
        *fault = KEY_LIMITED;
        return true;
    case ERR_PROVIDER_AUTH:
        *fault = KEY_REFUSED;
        return true;
    case ERR_PROVIDER_UNREACHABLE:
    case ERR_INTERRUPTED:
        *fault = KEY_FAILED;
        return true;
    case ERR_PROVIDER_ERROR:
        *fault = KEY_FAILED;
        return err.code >= 500 && err.code <= 599;
    default:
        return false;
    }
}

struct error auth_limited(uint64_t wait_ms)
{
    return ERROR(ERR_PROVIDER_RATE_LIMITED, (int)((wait_ms + 999) / 1000),
                 "The agent is asked too often. Please try again later.");
}
