/* The keys that providers are asked with: whose turn it is, and which must rest. One table for the
 * process, because a provider counts what a key asks, not which loop or team it was. Any thread. */
#ifndef AERIE_UPSTREAM_KEYS_H
#define AERIE_UPSTREAM_KEYS_H

#include "base/error.h"

#define KEYS_MAX 32 /* of one ring; further ones are not used */

/* Who may be asked with what. The same key at another URL is another key. */
struct key_ring {
    const char *provider;
    struct str url; /* "" : the provider's own */
    const struct str *keys;
    size_t n_keys; /* 0: it is asked without a key, and may have enough all the same */
};

enum key_fault {
    KEY_LIMITED, /* 429: rests as long as it was told, or a doubling while. Not used before. */
    KEY_REFUSED, /* 401, 403: for five minutes used only when the others are refused too, one a call
                  */
    KEY_FAILED,  /* 5xx, no connection: the others come first for two seconds */
};

bool keys_open(void); /* main thread; false: no memory */
void keys_close(void);

/* The index of the key that was used least lately, of those that do not rest; -1: none. tried: a
 * bit for each that is not wanted again. now_ms: of the loop's clock. */
int keys_choose(const struct key_ring *ring, uint32_t tried, uint64_t now_ms);
/* How long none of the keys may be used, but refused ones; 0: one may, or they are all refused. */
uint64_t keys_rest_ms(const struct key_ring *ring, uint64_t now_ms);
/* retry_after_s: what the provider said, -1: nothing. */
void keys_note(const struct key_ring *ring, int index, enum key_fault fault, int retry_after_s,
               uint64_t now_ms);

#endif
