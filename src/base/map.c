/* An intrusive hash table with chains, keyed by SipHash-1-3. */
#include "base/map.h"

#include "base/crypto.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { MAP_LEAST_BUCKETS = 8 };

static uint64_t seed[2];

/* Before main(), so that no thread ever sees the seed change. */
__attribute__((constructor)) static void make_seed(void)
{
    crypto_random(seed, sizeof(seed));
}

static uint64_t rotate(uint64_t x, int bits)
{
    return x << bits | x >> (64 - bits);
}

static void sip_round(uint64_t v[4])
{
    v[0] += v[1];
    v[2] += v[3];
    v[1] = rotate(v[1], 13) ^ v[0];
    v[3] = rotate(v[3], 16) ^ v[2];
    v[0] = rotate(v[0], 32);
    v[2] += v[1];
    v[0] += v[3];
    v[1] = rotate(v[1], 17) ^ v[2];
    v[3] = rotate(v[3], 21) ^ v[0];
    v[2] = rotate(v[2], 32);
}

/* SipHash (Aumasson and Bernstein, 2012) with one round a word and three at the end. It need only
 * keep clients from choosing collisions, so the byte order of the machine is good enough. */
uint64_t map_hash(struct str key)
{
    uint64_t v[4] = {seed[0] ^ UINT64_C(0x736f6d6570736575), seed[1] ^ UINT64_C(0x646f72616e646f6d),
                     seed[0] ^ UINT64_C(0x6c7967656e657261),
                     seed[1] ^ UINT64_C(0x7465646279746573)};
    size_t at = 0;
    uint64_t word;

    for (; at + sizeof(word) <= key.len; at += sizeof(word)) {
        memcpy(&word, key.ptr + at, sizeof(word));
        v[3] ^= word;
        sip_round(v);
        v[0] ^= word;
    }
    word = (uint64_t)key.len << 56;
    if (at < key.len)
        memcpy(&word, key.ptr + at,
               key.len - at); /* at most seven bytes: the length stays on top */
    v[3] ^= word;
    sip_round(v);
    v[0] ^= word;
    v[2] ^= 0xff;
    for (int i = 0; i < 3; i++)
        sip_round(v);
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}

bool map_init(struct map *m, size_t n_buckets_hint)
{
    size_t n = MAP_LEAST_BUCKETS;

    while (n < n_buckets_hint && n <= SIZE_MAX / 4)
        n *= 2;
    *m = (struct map){.buckets = calloc(n, sizeof(struct map_node *)), .n_buckets = n};
    if (!m->buckets)
        m->n_buckets = 0;
    return m->buckets != NULL;
}

void map_deinit(struct map *m)
{
    free(m->buckets);
    *m = (struct map){0};
}

static struct map_node **bucket_of(const struct map *m, uint64_t hash)
{
    return &m->buckets[hash & (m->n_buckets - 1)];
}

struct map_node *map_find(const struct map *m, struct str key)
{
    uint64_t hash;

    if (m->count == 0)
        return NULL;
    hash = map_hash(key);
    for (struct map_node *node = *bucket_of(m, hash); node; node = node->next)
        if (node->hash == hash && str_eq(node->key, key))
            return node;
    return NULL;
}

/* Twice the buckets; without memory the chains just get longer. */
static void grow(struct map *m)
{
    struct map larger = {.n_buckets = m->n_buckets * 2, .count = m->count};

    larger.buckets = calloc(larger.n_buckets, sizeof(struct map_node *));
    if (!larger.buckets)
        return;
    for (size_t i = 0; i < m->n_buckets; i++) {
        struct map_node *node = m->buckets[i], *next;

        for (; node; node = next) {
            struct map_node **bucket = bucket_of(&larger, node->hash);

            next = node->next;
            node->next = *bucket;
            *bucket = node;
        }
    }
    free(m->buckets);
    *m = larger;
}

void map_insert(struct map *m, struct map_node *node, struct str key)
{
    struct map_node **bucket;

    assert(m->n_buckets > 0);
    if (m->count >= m->n_buckets)
        grow(m);
    node->key = key;
    node->hash = map_hash(key);
    bucket = bucket_of(m, node->hash);
    node->next = *bucket;
    *bucket = node;
    m->count++;
}

void map_remove(struct map *m, struct map_node *node)
{
    struct map_node **link;

    assert(m->count > 0);
    for (link = bucket_of(m, node->hash); *link; link = &(*link)->next) {
        if (*link == node) {
            *link = node->next;
            node->next = NULL;
            m->count--;
            return;
        }
    }
    assert(!"the node is in this map");
}

void map_each(struct map *m, void (*visit)(struct map_node *node, void *state), void *state)
{
    for (size_t i = 0; i < m->n_buckets; i++) {
        struct map_node *node = m->buckets[i], *next;

        for (; node; node = next) {
            next = node->next;
            visit(node, state);
        }
    }
}
