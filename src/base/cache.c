/* Maps with a list of who was asked for when, each under a lock. */
#include "base/cache.h"

#include <stdlib.h>
#include <string.h>

static struct str key_text(const char key[CACHE_KEY_BYTES])
{
    return (struct str){key, CACHE_KEY_BYTES};
}

static struct cache_entry *entry_of(struct list *link)
{
    return container_of(link, struct cache_entry, link);
}

bool cache_open(struct cache *c, size_t entries, size_t entry_bytes,
                void (*drop)(struct cache_entry *e))
{
    *c = (struct cache){
        .shards = calloc(CACHE_SHARDS, sizeof(*c->shards)),
        .entry_bytes = entry_bytes,
        .shard_entries = (entries + CACHE_SHARDS - 1) / CACHE_SHARDS,
        .drop = drop,
    };
    for (size_t i = 0; c->shards && i < CACHE_SHARDS; i++) {
        struct cache_shard *s = &c->shards[i];

        list_init(&s->recent);
        if (!map_init(&s->map, 0)) {
            cache_close(c);
            break;
        }
        pthread_mutex_init(&s->lock, NULL); /* cannot fail on Linux without attributes */
    }
    return c->shards != NULL;
}

static void free_entry(const struct cache *c, struct cache_entry *e)
{
    if (c->drop)
        c->drop(e);
    free(e);
}

void cache_close(struct cache *c)
{
    for (size_t i = 0; c->shards && i < CACHE_SHARDS && c->shards[i].map.buckets; i++) {
        struct cache_shard *s = &c->shards[i];

        while (!list_is_empty(&s->recent))
            free_entry(c, entry_of(list_pop(&s->recent)));
        map_deinit(&s->map);
        pthread_mutex_destroy(&s->lock);
    }
    free(c->shards);
    *c = (struct cache){0};
}

struct cache_shard *cache_lock(struct cache *c, const char key[CACHE_KEY_BYTES])
{
    struct cache_shard *s = &c->shards[(unsigned char)key[0] % CACHE_SHARDS];

    pthread_mutex_lock(&s->lock);
    return s;
}

void cache_unlock(struct cache_shard *s)
{
    pthread_mutex_unlock(&s->lock);
}

struct cache_entry *cache_find(const struct cache_shard *s, const char key[CACHE_KEY_BYTES])
{
    struct map_node *found = map_find(&s->map, key_text(key));

    return found ? container_of(found, struct cache_entry, node) : NULL;
}

void cache_use(struct cache_shard *s, struct cache_entry *e)
{
    list_remove(&e->link);
    list_push(&s->recent, &e->link);
}

void cache_remove(struct cache *c, struct cache_shard *s, struct cache_entry *e)
{
    list_remove(&e->link);
    map_remove(&s->map, &e->node);
    free_entry(c, e);
}

struct cache_entry *cache_find_or_add(struct cache *c, struct cache_shard *s,
                                      const char key[CACHE_KEY_BYTES])
{
    struct cache_entry *e = cache_find(s, key);

    if (e) {
        cache_use(s, e);
        return e;
    }
    e = calloc(1, c->entry_bytes);
    if (!e)
        return NULL;
    if (s->map.count >= c->shard_entries)
        cache_remove(c, s, entry_of(s->recent.next));
    memcpy(e->key, key, CACHE_KEY_BYTES);
    map_insert(&s->map, &e->node, key_text(e->key));
    list_push(&s->recent, &e->link);
    return e;
}

void cache_each(struct cache *c, void (*visit)(struct cache_entry *e, void *state), void *state)
{
    for (size_t i = 0; i < CACHE_SHARDS; i++) {
        struct cache_shard *s = &c->shards[i];

        pthread_mutex_lock(&s->lock);
        for (struct list *link = s->recent.next; link != &s->recent; link = link->next)
            visit(entry_of(link), state);
        pthread_mutex_unlock(&s->lock);
    }
}

static void count(struct cache_entry *e, void *state)
{
    (void)e;
    (*(size_t *)state)++;
}

size_t cache_count(struct cache *c)
{
    size_t n = 0;

    cache_each(c, count, &n);
    return n;
}
