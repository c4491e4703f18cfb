/* Callers by the hashes of their tokens. */
#include "account/token_cache.h"

#include "base/cache.h"
#include "base/crypto.h"
#include "config/config.h"

#include <errno.h>

struct entry {
    struct cache_entry cached;
    struct caller who;
    const struct config *rules; /* in force when it was checked: another may have other secrets */
};

static struct cache tokens; /* opened once, before the loops run */

static bool find(const char key[CACHE_KEY_BYTES], const struct config *rules, struct caller *out)
{
    struct cache_shard *s = cache_lock(&tokens, key);
    struct entry *e = (struct entry *)cache_find(s, key);
    bool is_found = e && e->rules == rules;

    if (is_found) {
        cache_use(s, &e->cached);
        *out = e->who;
    }
    cache_unlock(s);
    return is_found;
}

static void put(const char key[CACHE_KEY_BYTES], const struct config *rules,
                const struct caller *who)
{
    struct cache_shard *s = cache_lock(&tokens, key);
    struct entry *e = (struct entry *)cache_find_or_add(&tokens, s, key);

    if (e) { /* else it is verified again */
        e->who = *who;
        e->rules = rules;
    }
    cache_unlock(s);
}

bool token_check(struct str token, int64_t now_us, struct caller *out)
{
    const struct config *rules = config();
    char key[CACHE_KEY_BYTES];

    errno = 0;
    if (token.len == 0 || token.len > TOKEN_MAX_BYTES)
        return false;
    crypto_sha256(token, (unsigned char *)key);
    /* The clock may have gone back since: then the claims are read again. */
    if (find(key, rules, out) && now_us >= out->issued_at_us)
        return now_us < out->expires_at_us;
    if (!token_verify(token, now_us, out))
        return false;
    put(key, rules, out);
    return true;
}

size_t token_cache_count(void)
{
    return cache_count(&tokens);
}

struct error token_cache_open(void)
{
    return cache_open(&tokens, config()->limits.remembered_tokens, sizeof(struct entry), NULL)
               ? NO_ERROR
               : ERROR(ERR_NO_MEMORY, 0, NULL);
}

void token_cache_close(void)
{
    cache_close(&tokens);
}
