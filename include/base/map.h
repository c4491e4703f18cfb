/* An intrusive hash table from byte strings to elements. Not thread-safe; the element owns its key.
 * The hash is keyed with a random seed made at start, so clients cannot aim at one bucket. */
#ifndef AERIE_BASE_MAP_H
#define AERIE_BASE_MAP_H

#include "base/str.h"

struct map_node {
    struct map_node *next;
    uint64_t hash;
    struct str key; /* must stay in place while the node is in a map */
};

struct map {
    struct map_node **buckets;
    size_t n_buckets; /* a power of two */
    size_t count;
};

bool map_init(struct map *m, size_t n_buckets_hint); /* false: no memory */
void map_deinit(struct map *m);                      /* frees the table, not the elements */
struct map_node *map_find(const struct map *m, struct str key);
/* The key must not be in the map yet. Growing may fail silently: the table then stays as it is. */
void map_insert(struct map *m, struct map_node *node, struct str key);
void map_remove(struct map *m, struct map_node *node);
/* Visits every node; the visitor may remove the node it is given (and nothing else). */
void map_each(struct map *m, void (*visit)(struct map_node *node, void *state), void *state);
uint64_t map_hash(struct str key);

#endif
