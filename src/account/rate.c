/* Rates: a bounded table of leaky buckets. */
#include "account/rate.h"

#include "base/cache.h"
#include "base/clock.h"
#include "base/crypto.h"

#include <string.h>

#define ENTRIES     65536
#define LONGEST_KEY 512
#define MOST_LIMIT  1000000 /* more is as good as off, and would overflow */

struct entry {
    struct cache_entry cached;
    /* When the bucket will be empty again, in milliseconds times the limit, so that a take, which
     * fills it by a window's length, is a whole number. */
    uint64_t empty_at;
};

static struct cache buckets; /* opened once, before the loops run */
/* Nobody outside can tell which keys push which out. Written with it. */
static char seed[16];

/* Of one length whatever the asker sent, and no e-mail address stays in memory. */
static void make_key(enum rate_kind kind, struct str key, char out[CACHE_KEY_BYTES])
{
    char text[sizeof(seed) + 1 + LONGEST_KEY];

    if (key.len > LONGEST_KEY)
        key.len = LONGEST_KEY;
    memcpy(text, seed, sizeof(seed));
    text[sizeof(seed)] = (char)kind;
    if (key.len > 0)
        memcpy(text + sizeof(seed) + 1, key.ptr, key.len);
    crypto_sha256((struct str){text, sizeof(seed) + 1 + key.len}, (unsigned char *)out);
}

/* 0, or the milliseconds until one more fits. */
static uint64_t wait_of(const struct entry *e, uint64_t limit, uint64_t window_ms, uint64_t now_ms)
{
    uint64_t now = now_ms * limit, empty_at = e->empty_at > now ? e->empty_at : now;
    uint64_t filled = empty_at - now + window_ms, room = window_ms * limit;

    return filled > room ? (filled - room + limit - 1) / limit : 0;
}

static uint64_t take(struct entry *e, uint64_t limit, uint64_t window_ms, uint64_t now_ms)
{
    uint64_t now = now_ms * limit, wait_ms = wait_of(e, limit, window_ms, now_ms);

    if (wait_ms == 0)
        e->empty_at = (e->empty_at > now ? e->empty_at : now) + window_ms;
    return wait_ms;
}

static void tell(const struct entry *e, uint64_t limit, uint64_t window_ms, uint64_t now_ms,
                 struct rate_state *state)
{
    uint64_t now = now_ms * limit, filled = e->empty_at > now ? e->empty_at - now : 0;

    state->remaining = (window_ms * limit - filled) / window_ms;
    state->reset_s = (unsigned)((filled / limit + 999) / 1000);
}

unsigned rate_take(enum rate_kind kind, struct str key, uint64_t limit, uint64_t window_ms)
{
    struct rate_state state;

    return rate_take_and_tell(kind, key, limit, window_ms, &state);
}

static bool is_off(uint64_t limit)
{
    return limit == 0 || limit > MOST_LIMIT;
}

static unsigned seconds(uint64_t ms)
{
    return (unsigned)((ms + 999) / 1000);
}

unsigned rate_take_and_tell(enum rate_kind kind, struct str key, uint64_t limit, uint64_t window_ms,
                            struct rate_state *state)
{
    uint64_t now_ms = clock_mono_ms(), wait_ms = 0;
    char own[CACHE_KEY_BYTES];
    struct cache_shard *s;
    struct entry *e;

    *state = (struct rate_state){0};
    if (is_off(limit))
        return 0;
    state->limit = state->remaining = limit;
    make_key(kind, key, own);
    s = cache_lock(&buckets, own);
    e = (struct entry *)cache_find_or_add(&buckets, s, own);
    /* Without memory nobody is refused: the request has its own chance to fail. */
    if (e) {
        wait_ms = take(e, limit, window_ms, now_ms);
        tell(e, limit, window_ms, now_ms, state);
    }
    cache_unlock(s);
    return seconds(wait_ms);
}

unsigned rate_wait(enum rate_kind kind, struct str key, uint64_t limit, uint64_t window_ms)
{
    uint64_t now_ms = clock_mono_ms(), wait_ms = 0;
    char own[CACHE_KEY_BYTES];
    struct cache_shard *s;
    struct entry *e;

    if (is_off(limit))
        return 0;
    make_key(kind, key, own);
    s = cache_lock(&buckets, own);
    e = (struct entry *)cache_find(s, own);
    if (e)
        wait_ms = wait_of(e, limit, window_ms, now_ms);
    cache_unlock(s);
    return seconds(wait_ms);
}

struct error rate_open(void)
{
    crypto_random(seed, sizeof(seed));
    return cache_open(&buckets, ENTRIES, sizeof(struct entry), NULL)
               ? NO_ERROR
               : ERROR(ERR_NO_MEMORY, 0, NULL);
}

void rate_close(void)
{
    cache_close(&buckets);
}
