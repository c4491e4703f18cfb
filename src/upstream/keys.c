/* What is known of each key, by a hash of it, under one lock. A key that was never in trouble and
 * stands alone is not kept at all. */
#include "keys.h"

#include "base/crypto.h"
#include "base/list.h"
#include "base/log.h"
#include "base/map.h"
#include "config/config.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define STATES_MAX     4096 /* the least lately used one goes */
#define NAME_MAX_BYTES 8192
#define LIMITED_MAX_MS UINT64_C(3600000)
#define REFUSED_MS     UINT64_C(300000)
#define FAILED_MS      UINT64_C(2000)

struct key_id {
    unsigned char bytes[SHA256_BYTES];
};

struct key_state {
    struct map_node node;
    struct list link; /* least lately used first */
    struct key_id id;
    uint64_t turn; /* when it was used last, in uses of any key; 0: never */
    uint64_t limited_until_ms, refused_until_ms, failed_until_ms;
    uint64_t rest_ms; /* of the last time it was limited without a word for how long */
};

static struct {
    pthread_mutex_t lock;
    struct map states;
    struct list order;
    uint64_t n_uses;
} table = {.lock = PTHREAD_MUTEX_INITIALIZER};

bool keys_open(void)
{
    list_init(&table.order);
    return map_init(&table.states, 64);
}

static void forget(struct key_state *s)
{
    map_remove(&table.states, &s->node);
    list_remove(&s->link);
    free(s);
}

void keys_close(void)
{
    if (!table.states.buckets)
        return;
    while (!list_is_empty(&table.order))
        forget(container_of(table.order.next, struct key_state, link));
    map_deinit(&table.states);
    table.states = (struct map){0};
}

/* Only the hash is kept: of the provider, the URL and the key. */
static struct key_id identify(const struct key_ring *ring, size_t index)
{
    struct str parts[] = {str_from(ring->provider), ring->url,
                          index < ring->n_keys ? ring->keys[index] : STR("")};
    char text[NAME_MAX_BYTES];
    struct key_id id;
    size_t len = 0;

    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        size_t n = parts[i].len < sizeof(text) - len - 1 ? parts[i].len : sizeof(text) - len - 1;

        memcpy(text + len, n > 0 ? parts[i].ptr : "", n);
        len += n;
        if (len + 1 < sizeof(text))
            text[len++] = '\0';
    }
    crypto_sha256((struct str){text, len}, id.bytes);
    explicit_bzero(text, len);
    return id;
}

static struct str id_bytes(const struct key_id *id)
{
    return (struct str){(const char *)id->bytes, sizeof(id->bytes)};
}

static struct key_state *find(const struct key_id *id)
{
    struct map_node *node = map_find(&table.states, id_bytes(id));

    return node ? container_of(node, struct key_state, node) : NULL;
}

/* NULL: no memory, and then nothing is remembered. */
static struct key_state *find_or_make(const struct key_id *id)
{
    struct key_state *s = find(id);

    if (!s) {
        s = calloc(1, sizeof(*s));
        if (!s)
            return NULL;
        if (table.states.count == STATES_MAX)
            forget(container_of(table.order.next, struct key_state, link));
        s->id = *id;
        map_insert(&table.states, &s->node, id_bytes(&s->id));
        list_push(&table.order, &s->link);
    }
    return s;
}

static void touch(struct key_state *s)
{
    s->turn = ++table.n_uses;
    list_remove(&s->link);
    list_push(&table.order, &s->link);
}

static size_t n_choices(const struct key_ring *ring)
{
    return ring->n_keys == 0 ? 1 : ring->n_keys < KEYS_MAX ? ring->n_keys : KEYS_MAX;
}

/* The lower, the better; of one rank, the one whose turn is longest ago. */
enum rank { RANK_WELL, RANK_FAILED, RANK_REFUSED, RANK_LIMITED };

static enum rank rank_of(const struct key_state *s, uint64_t now_ms)
{
    if (!s)
        return RANK_WELL;
    if (s->limited_until_ms > now_ms)
        return RANK_LIMITED;
    if (s->refused_until_ms > now_ms)
        return RANK_REFUSED;
    return s->failed_until_ms > now_ms ? RANK_FAILED : RANK_WELL;
}

static void identify_all(const struct key_ring *ring, struct key_id ids[static KEYS_MAX])
{
    for (size_t i = 0; i < n_choices(ring); i++)
        ids[i] = identify(ring, i);
}

/* With the lock. */
static int find_best(const struct key_id *ids, size_t n, uint32_t tried, uint64_t now_ms)
{
    enum rank best_rank = RANK_LIMITED;
    uint64_t best_turn = 0;
    bool has_limited = false;
    int best = -1;

    for (size_t i = 0; i < n; i++) {
        const struct key_state *s = find(&ids[i]);
        enum rank rank = rank_of(s, now_ms);
        uint64_t turn = s ? s->turn : 0;

        if (rank == RANK_LIMITED) {
            has_limited = true;
        } else if (!(tried & UINT32_C(1) << i) &&
                   (rank < best_rank || (rank == best_rank && turn < best_turn))) {
            best = (int)i;
            best_rank = rank;
            best_turn = turn;
        }
    }
    /* A key that will be let in again is worth more than one that was turned away; and of those, a
     * call tries one. */
    return best_rank == RANK_REFUSED && (has_limited || tried) ? -1 : best;
}

int keys_choose(const struct key_ring *ring, uint32_t tried, uint64_t now_ms)
{
    size_t n = n_choices(ring);
    struct key_id ids[KEYS_MAX];
    int best;

    identify_all(ring, ids);
    pthread_mutex_lock(&table.lock);
    best = find_best(ids, n, tried, now_ms);
    if (best >= 0 && n > 1) {
        struct key_state *used = find_or_make(&ids[best]);

        if (used)
            touch(used);
    }
    pthread_mutex_unlock(&table.lock);
    return best;
}

uint64_t keys_rest_ms(const struct key_ring *ring, uint64_t now_ms)
{
    struct key_id ids[KEYS_MAX];
    uint64_t least_ms = 0;

    identify_all(ring, ids);
    pthread_mutex_lock(&table.lock);
    for (size_t i = 0; i < n_choices(ring); i++) {
        const struct key_state *s = find(&ids[i]);
        enum rank rank = rank_of(s, now_ms);

        if (rank == RANK_WELL || rank == RANK_FAILED) {
            least_ms = 0;
            break;
        }
        if (rank == RANK_LIMITED && (least_ms == 0 || s->limited_until_ms - now_ms < least_ms))
            least_ms = s->limited_until_ms - now_ms;
    }
    pthread_mutex_unlock(&table.lock);
    return least_ms;
}

/* As told, or twice as long as the last time when that is not long ago. */
static uint64_t rest_ms(struct key_state *s, int retry_after_s, uint64_t now_ms)
{
    uint64_t ms = config()->upstream.backoff_ms;

    if (retry_after_s > 0)
        return (uint64_t)retry_after_s * 1000 < LIMITED_MAX_MS ? (uint64_t)retry_after_s * 1000
                                                               : LIMITED_MAX_MS;
    if (s->rest_ms > 0 && now_ms < s->limited_until_ms + s->rest_ms)
        ms = now_ms < s->limited_until_ms ? s->rest_ms : 2 * s->rest_ms;
    if (ms > config()->upstream.backoff_max_ms)
        ms = config()->upstream.backoff_max_ms;
    s->rest_ms = ms;
    return ms;
}

/* Once when it begins to rest, not once a call. */
static void log_rest(const struct key_ring *ring, int index, const char *why, uint64_t ms)
{
    log_warn("upstream: key %d of %u for %s %s; it rests for %u s", index + 1,
             (unsigned)ring->n_keys, ring->provider, why, (unsigned)((ms + 999) / 1000));
}

void keys_note(const struct key_ring *ring, int index, enum key_fault fault, int retry_after_s,
               uint64_t now_ms)
{
    struct key_id id = identify(ring, (size_t)index);
    uint64_t ms = 0, until_ms;
    bool is_new = false;
    struct key_state *s;

    pthread_mutex_lock(&table.lock);
    s = find_or_make(&id);
    if (s) {
        switch (fault) {
        case KEY_LIMITED:
            /* Of many that come back at once, the longest rest counts. */
            is_new = s->limited_until_ms <= now_ms;
            ms = rest_ms(s, retry_after_s, now_ms);
            until_ms = now_ms + ms;
            if (until_ms > s->limited_until_ms)
                s->limited_until_ms = until_ms;
            break;
        case KEY_REFUSED:
            is_new = s->refused_until_ms <= now_ms;
            ms = REFUSED_MS;
            s->refused_until_ms = now_ms + ms;
            break;
        case KEY_FAILED:
            s->failed_until_ms = now_ms + FAILED_MS;
            break;
        }
    }
    pthread_mutex_unlock(&table.lock);
    if (is_new)
        log_rest(ring, index, fault == KEY_LIMITED ? "is limited" : "was refused", ms);
}
