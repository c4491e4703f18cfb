/* The signatures of calls between nodes: "<time in µs> <nonce> <HMAC-SHA-256, in hex>". */
#include "cluster/peer.h"

#include "base/cache.h"
#include "base/clock.h"
#include "base/crypto.h"
#include "base/log.h"
#include "config/config.h"

#include <inttypes.h>
#include <stdio.h>

#define NONCE_BYTES 16
/* What was seen: more than nodes call each other while one is valid, unless thousands of mirrors
 * begin at once; then the oldest may come again, which only their own network could send. */
#define SEEN_MAX 16384

static struct cache seen;

bool peer_open(void)
{
    return cache_open(&seen, SEEN_MAX, sizeof(struct cache_entry), NULL);
}

void peer_close(void)
{
    cache_close(&seen);
}

static void make_mac(struct str secret, struct str method, struct str target, struct str stamp,
                     unsigned char out[SHA256_BYTES])
{
    unsigned char key[SHA256_BYTES];
    struct arena arena = {0};
    struct str text =
        arena_printf(&arena, "%.*s\n%.*s\n%.*s", STR_ARG(method), STR_ARG(target), STR_ARG(stamp));

    crypto_derive(secret, "calls between nodes", key);
    /* Without memory for the text it is no call's. */
    crypto_hmac_sha256((struct str){(const char *)key, sizeof(key)}, text, out);
    arena_free(&arena);
}

void peer_sign(struct str method, struct str target, char out[PEER_SIGN_BYTES])
{
    unsigned char nonce[NONCE_BYTES], mac[SHA256_BYTES];
    char nonce_text[2 * NONCE_BYTES], mac_text[2 * SHA256_BYTES];
    int len;

    crypto_random(nonce, sizeof(nonce));
    crypto_write_hex(nonce, sizeof(nonce), nonce_text);
    len = snprintf(out, PEER_SIGN_BYTES, "%" PRId64 " %.*s", clock_wall_us(),
                   (int)sizeof(nonce_text), nonce_text);
    make_mac(config()->security.secret, method, target, (struct str){out, (size_t)len}, mac);
    crypto_write_hex(mac, sizeof(mac), mac_text);
    snprintf(out + len, PEER_SIGN_BYTES - (size_t)len, " %.*s", (int)sizeof(mac_text), mac_text);
}

static bool is_signed(struct str secret, struct str method, struct str target, struct str stamp,
                      struct str told, unsigned char mac[SHA256_BYTES])
{
    char text[2 * SHA256_BYTES];

    if (secret.len == 0)
        return false;
    make_mac(secret, method, target, stamp, mac);
    crypto_write_hex(mac, SHA256_BYTES, text);
    return crypto_equal((struct str){text, sizeof(text)}, told);
}

/* Notes it, too. */
static bool is_new(const unsigned char mac[SHA256_BYTES])
{
    const char *key = (const char *)mac;
    struct cache_shard *s = cache_lock(&seen, key);
    bool is_first = !cache_find(s, key) && cache_find_or_add(&seen, s, key);

    cache_unlock(s);
    return is_first;
}

static bool refuse(const char *why)
{
    log_warn("peer: a call from a node was refused: %s", why);
    return false;
}

bool peer_check(struct str method, struct str target, struct str signature)
{
    const struct config_security *security = &config()->security;
    struct str rest = signature, time_text, nonce, stamp;
    unsigned char mac[SHA256_BYTES];
    int64_t signed_us, apart_us;

    if (!str_next(&rest, ' ', &time_text) || !str_next(&rest, ' ', &nonce) ||
        rest.len != 2 * SHA256_BYTES || !str_to_i64(time_text, &signed_us))
        return refuse("it is not signed");
    stamp = (struct str){signature.ptr, time_text.len + 1 + nonce.len};
    if (!is_signed(security->secret, method, target, stamp, rest, mac) &&
        !is_signed(security->previous_secret, method, target, stamp, rest, mac))
        return refuse("its signature is wrong: is SECRET_KEY the same on all nodes?");
    apart_us = clock_wall_us() - signed_us;
    if (apart_us > PEER_SKEW_S * 1000000ll || apart_us < -PEER_SKEW_S * 1000000ll)
        return refuse("its time is wrong: do the nodes' clocks agree?");
    return is_new(mac) || refuse("it was here before");
}
