/* Tokens a day: a table of counts, split into shards so that loops seldom wait for each other. */
#include "chat/quota.h"

#include "base/clock.h"
#include "base/list.h"
#include "base/map.h"
#include "chat/usage.h"
#include "config/config.h"

#include <pthread.h>
#include <stdlib.h>

#define N_SHARDS      16
#define SHARD_ENTRIES 4096 /* beside those that turns hold, which limits.streams bounds */
#define DAY_US        (24LL * 3600 * 1000000)
#define SECOND_US     1000000

struct quota_entry {
    struct map_node node;
    struct list link; /* in the shard's idle, while no turn holds it */
    struct id owner_id;
    unsigned n_holds;
    int64_t day_us;
    int64_t used_tokens, held_tokens;
    bool is_loaded; /* used_tokens has what the table had */
};

static struct shard {
    pthread_mutex_t lock;
    struct map map;
    struct list idle; /* longest quiet first */
} shards[N_SHARDS];

static struct shard *shard_of(const struct id *owner_id)
{
    return &shards[map_hash(id_str(owner_id)) >> 60];
}

/* ---- under the shard's lock ---- */

static struct quota_entry *add_entry(struct shard *s, const struct id *owner_id)
{
    struct quota_entry *e = calloc(1, sizeof(*e));

    if (!e)
        return NULL;
    while (s->map.count >= SHARD_ENTRIES && !list_is_empty(&s->idle)) {
        struct quota_entry *oldest = container_of(list_pop(&s->idle), struct quota_entry, link);

        map_remove(&s->map, &oldest->node);
        free(oldest);
    }
    e->owner_id = *owner_id;
    e->day_us = usage_day(clock_wall_us());
    map_insert(&s->map, &e->node, id_str(&e->owner_id));
    return e;
}

static struct quota_entry *hold_entry(struct shard *s, const struct id *owner_id)
{
    struct map_node *found = map_find(&s->map, id_str(owner_id));
    struct quota_entry *e =
        found ? container_of(found, struct quota_entry, node) : add_entry(s, owner_id);

    if (!e)
        return NULL;
    if (found && e->n_holds == 0)
        list_remove(&e->link);
    e->n_holds++;
    return e;
}

/* Of a day that has begun since, this process knows everything. */
static void turn_page(struct quota_entry *e, int64_t now_us)
{
    int64_t today_us = usage_day(now_us);

    if (e->day_us == today_us)
        return;
    e->day_us = today_us;
    e->used_tokens = 0;
    e->is_loaded = true;
}

static bool hold_tokens(struct quota_entry *e, int64_t limit, int64_t tokens, int64_t *left)
{
    int64_t spoken_for = e->used_tokens + e->held_tokens;
    bool fits = tokens <= limit - spoken_for;

    if (fits)
        e->held_tokens += tokens;
    *left = limit - spoken_for - (fits ? tokens : 0);
    if (*left < 0)
        *left = 0;
    return fits;
}

/* ---- from outside ---- */

struct error quota_begin(struct quota *q, const struct id *owner_id, bool *must_load)
{
    struct shard *s = shard_of(owner_id);

    *must_load = false;
    if (config()->limits.tokens_per_day == 0)
        return NO_ERROR;
    pthread_mutex_lock(&s->lock);
    q->entry = hold_entry(s, owner_id);
    if (q->entry) {
        turn_page(q->entry, clock_wall_us());
        *must_load = !q->entry->is_loaded;
    }
    pthread_mutex_unlock(&s->lock);
    return q->entry ? NO_ERROR : ERROR(ERR_NO_MEMORY, 0, NULL);
}

struct error quota_reserve(struct quota *q, int64_t used_tokens, int64_t prompt_tokens,
                           int64_t *limit, int64_t *left)
{
    int64_t tokens = prompt_tokens + (int64_t)config()->limits.reply_tokens;
    int64_t now_us = clock_wall_us();
    struct quota_entry *e = q->entry;
    struct shard *s;
    bool fits;

    *limit = *left = 0;
    if (!e)
        return NO_ERROR;
    *limit = (int64_t)config()->limits.tokens_per_day;
    s = shard_of(&e->owner_id);
    pthread_mutex_lock(&s->lock);
    if (!e->is_loaded && used_tokens >= 0) {
        /* Who read first tells; what others of the same moment read is older than what they count.
         */
        e->used_tokens = used_tokens;
        e->is_loaded = true;
    }
    turn_page(e, now_us);
    fits = hold_tokens(e, *limit, tokens, left);
    if (fits)
        q->held_tokens = tokens;
    pthread_mutex_unlock(&s->lock);
    if (fits)
        return NO_ERROR;
    return ERROR(ERR_RATE_LIMITED,
                 (int)((usage_day(now_us) + DAY_US - now_us + SECOND_US - 1) / SECOND_US),
                 "Your tokens for today are used up; there are new ones after midnight UTC");
}

void quota_settle(struct quota *q, int64_t tokens)
{
    struct quota_entry *e = q->entry;
    struct shard *s;

    if (!e)
        return;
    s = shard_of(&e->owner_id);
    pthread_mutex_lock(&s->lock);
    turn_page(e, clock_wall_us());
    e->held_tokens -= q->held_tokens;
    e->used_tokens += tokens;
    if (--e->n_holds == 0)
        list_push(&s->idle, &e->link);
    pthread_mutex_unlock(&s->lock);
    *q = (struct quota){0};
}

bool quota_open(void)
{
    for (size_t i = 0; i < N_SHARDS; i++) {
        list_init(&shards[i].idle);
        if (pthread_mutex_init(&shards[i].lock, NULL) != 0 || !map_init(&shards[i].map, 64))
            return false;
    }
    return true;
}

void quota_close(void)
{
    for (size_t i = 0; i < N_SHARDS; i++) {
        while (!list_is_empty(&shards[i].idle))
            free(container_of(list_pop(&shards[i].idle), struct quota_entry, link));
        map_deinit(&shards[i].map);
        pthread_mutex_destroy(&shards[i].lock);
    }
}
