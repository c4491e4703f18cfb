/* Rates: a table of leaky buckets, split into shards so that loops seldom wait for each other. */
#include "account/rate.h"

#include "base/clock.h"
#include "base/crypto.h"
#include "base/list.h"
#include "base/map.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define N_SHARDS      16
#define SHARD_ENTRIES 4096
#define KEY_LEN       16
#define LONGEST_KEY   512
#define MOST_LIMIT    1000000 /* more is as good as off, and would overflow */

struct entry {
    struct map_node node;
    struct list link; /* in the shard's recent */
    char key[KEY_LEN];
    /* When the bucket will be empty again, in milliseconds times the limit, so that a take, which
     * fills it by a window's length, is a whole number. */
    uint64_t empty_at;
};

struct shard {
    pthread_mutex_t lock;
    struct map map;
    struct list recent; /* longest quiet first */
};

static struct shard *shards; /* set once, before the loops run */

/* Of one length whatever the asker sent, and no e-mail address stays in memory. */
static void make_key(enum rate_kind kind, struct str key, char out[KEY_LEN])
{
    unsigned char sum[SHA256_BYTES];
    char text[LONGEST_KEY + 1];

    if (key.len > LONGEST_KEY)
        key.len = LONGEST_KEY;
    text[0] = (char)kind;
    if (key.len > 0)
        memcpy(text + 1, key.ptr, key.len);
    crypto_sha256((struct str){text, key.len + 1}, sum);
    memcpy(out, sum, KEY_LEN);
}

/* The entry of key; NULL: none. Under the lock. */
static struct entry *find(const struct shard *s, const char key[KEY_LEN])
{
    struct map_node *found = map_find(&s->map, (struct str){key, KEY_LEN});

    return found ? container_of(found, struct entry, node) : NULL;
}

/* The same, made when there is none; NULL: no memory. */
static struct entry *find_or_add(struct shard *s, const char key[KEY_LEN])
{
    struct entry *e = find(s, key);

    if (e) {
        list_remove(&e->link);
        list_push(&s->recent, &e->link);
        return e;
    }
    if (s->map.count >= SHARD_ENTRIES) {
        e = container_of(list_pop(&s->recent), struct entry, link);
        map_remove(&s->map, &e->node);
        memset(e, 0, sizeof(*e));
    } else {
        e = calloc(1, sizeof(*e));
        if (!e)
            return NULL;
    }
    memcpy(e->key, key, KEY_LEN);
    map_insert(&s->map, &e->node, (struct str){e->key, KEY_LEN});
    list_push(&s->recent, &e->link);
    return e;
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

static struct shard *shard_of(const char short_key[KEY_LEN])
{
    return &shards[(unsigned char)short_key[0] % N_SHARDS];
}

static unsigned seconds(uint64_t ms)
{
    return (unsigned)((ms + 999) / 1000);
}

unsigned rate_take_and_tell(enum rate_kind kind, struct str key, uint64_t limit, uint64_t window_ms,
                            struct rate_state *state)
{
    uint64_t now_ms = clock_mono_ms(), wait_ms = 0;
    char short_key[KEY_LEN];
    struct shard *s;
    struct entry *e;

    *state = (struct rate_state){0};
    if (is_off(limit))
        return 0;
    state->limit = state->remaining = limit;
    make_key(kind, key, short_key);
    s = shard_of(short_key);
    pthread_mutex_lock(&s->lock);
    e = find_or_add(s, short_key);
    /* Without memory nobody is refused: the request has its own chance to fail. */
    if (e) {
        wait_ms = take(e, limit, window_ms, now_ms);
        tell(e, limit, window_ms, now_ms, state);
    }
    pthread_mutex_unlock(&s->lock);
    return seconds(wait_ms);
}

unsigned rate_wait(enum rate_kind kind, struct str key, uint64_t limit, uint64_t window_ms)
{
    uint64_t now_ms = clock_mono_ms(), wait_ms = 0;
    char short_key[KEY_LEN];
    struct entry *e;
    struct shard *s;

    if (is_off(limit))
        return 0;
    make_key(kind, key, short_key);
    s = shard_of(short_key);
    pthread_mutex_lock(&s->lock);
    e = find(s, short_key);
    if (e)
        wait_ms = wait_of(e, limit, window_ms, now_ms);
    pthread_mutex_unlock(&s->lock);
    return seconds(wait_ms);
}

struct error rate_open(void)
{
    shards = calloc(N_SHARDS, sizeof(*shards));
    if (!shards)
        return ERROR(ERR_NO_MEMORY, 0, NULL);
    for (size_t i = 0; i < N_SHARDS; i++) {
        list_init(&shards[i].recent);
        if (pthread_mutex_init(&shards[i].lock, NULL) != 0 || !map_init(&shards[i].map, 64))
            return ERROR(ERR_NO_MEMORY, 0, NULL);
    }
    return NO_ERROR;
}

void rate_close(void)
{
    if (!shards)
        return;
    for (size_t i = 0; i < N_SHARDS; i++) {
        struct list *link;

        while (shards[i].recent.next && (link = list_pop(&shards[i].recent)) != NULL)
            free(container_of(link, struct entry, link));
        map_deinit(&shards[i].map);
        pthread_mutex_destroy(&shards[i].lock);
    }
    free(shards);
    shards = NULL;
}
