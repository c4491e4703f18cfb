/* A bounded table of what was seen lately, shared by all threads: past its bound whoever was asked
 * for longest ago goes. It is split into shards, each under a lock of its own, so that threads
 * seldom wait for each other. Any thread. */
#ifndef AERIE_BASE_CACHE_H
#define AERIE_BASE_CACHE_H

#include "base/list.h"
#include "base/map.h"

#include <pthread.h>

#define CACHE_SHARDS    16
#define CACHE_KEY_BYTES 32 /* a SHA-256: of one length whatever a client sent, and no secret */

/* The first member of every element. */
struct cache_entry {
    struct map_node node;
    struct list link; /* in the shard's recent */
    char key[CACHE_KEY_BYTES];
};

struct cache_shard {
    pthread_mutex_t lock;
    struct map map;
    struct list recent; /* longest unasked first */
};

/* All-zero is a closed one. */
struct cache {
    struct cache_shard *shards;
    size_t entry_bytes, shard_entries;
    void (*drop)(struct cache_entry *e); /* what an element holds, before it goes; NULL: nothing */
};

/* entries: the most, rounded up to a multiple of CACHE_SHARDS. False: no memory; nothing to close.
 */
bool cache_open(struct cache *c, size_t entries, size_t entry_bytes,
                void (*drop)(struct cache_entry *e));
void cache_close(struct cache *c); /* a closed one is fine */

/* Locks the key's shard; what is found or added may be touched until cache_unlock(). */
struct cache_shard *cache_lock(struct cache *c, const char key[CACHE_KEY_BYTES]);
void cache_unlock(struct cache_shard *s);
/* NULL: it is not there. Looking does not make an element recent: cache_use() does. */
struct cache_entry *cache_find(const struct cache_shard *s, const char key[CACHE_KEY_BYTES]);
void cache_use(struct cache_shard *s, struct cache_entry *e);
/* The element of key, which is recent now; made, all-zero behind the entry, where there was none.
 * NULL: no memory. */
struct cache_entry *cache_find_or_add(struct cache *c, struct cache_shard *s,
                                      const char key[CACHE_KEY_BYTES]);
void cache_remove(struct cache *c, struct cache_shard *s, struct cache_entry *e);
/* Each element, under its shard's lock. visit may change it and nothing else. */
void cache_each(struct cache *c, void (*visit)(struct cache_entry *e, void *state), void *state);
size_t cache_count(struct cache *c);

#endif
