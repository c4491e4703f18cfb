/* A key of its own for each purpose, derived from the secret. */
#include "config/seal.h"

#include "base/crypto.h"
#include "config/config.h"

#include <string.h>

/* These stand in every seal that was ever made. */
static const char *const purposes[] = {
    [SEAL_AGENT_TOKEN] = "agent.webhook_token",
    [SEAL_PROVIDER_KEY] = "team.provider_key",
    [SEAL_WEBHOOK] = "webhook.secret",
};

struct str seal_text(struct arena *a, enum seal_purpose purpose, struct str row_id, struct str text)
{
    unsigned char key[32];
    struct str sealed;

    crypto_derive(config()->security.secret, purposes[purpose], key);
    sealed = crypto_seal(a, key, row_id, text);
    explicit_bzero(key, sizeof(key));
    return sealed;
}

struct str seal_open(struct arena *a, enum seal_purpose purpose, struct str row_id,
                     struct str sealed)
{
    const struct config_security *security = &config()->security;
    struct str secrets[] = {security->secret, security->previous_secret}, text = STR_NONE;
    unsigned char key[32];

    for (size_t i = 0; i < 2 && secrets[i].len > 0 && !text.ptr; i++) {
        crypto_derive(secrets[i], purposes[purpose], key);
        text = crypto_open(a, key, row_id, sealed);
    }
    explicit_bzero(key, sizeof(key));
    return text;
}
