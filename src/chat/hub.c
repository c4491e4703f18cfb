/* The table of turns. See chat/hub.h. */
#include "chat/hub.h"

#define N_SHARDS 64

static struct shard {
    uv_mutex_t lock;
    struct map map;
} shards[N_SHARDS];

bool hub_open(void)
{
    for (size_t i = 0; i < N_SHARDS; i++)
        if (uv_mutex_init(&shards[i].lock) != 0 || !map_init(&shards[i].map, 64))
            return false;
    return true;
}

static void drop(struct map_node *node, void *state)
{
    struct turn_log *log = container_of(node, struct turn_log, node);

    map_remove(state, node);
    turn_log_unref(log);
}

void hub_close(void)
{
    for (size_t i = 0; i < N_SHARDS; i++) {
        map_each(&shards[i].map, drop, &shards[i].map);
        map_deinit(&shards[i].map);
        uv_mutex_destroy(&shards[i].lock);
    }
}

static struct str key_of(const struct turn_log *log)
{
    return (struct str){log->key, sizeof(log->key)};
}

/* The map takes the low bits. */
static struct shard *shard_of(struct str key)
{
    return &shards[map_hash(key) >> 58];
}

static struct turn_log *find(const struct shard *s, struct str key)
{
    struct map_node *node = map_find(&s->map, key);

    return node ? container_of(node, struct turn_log, node) : NULL;
}

struct turn_log *hub_claim(struct turn_log *log)
{
    struct shard *s = shard_of(key_of(log));
    struct turn_log *there, *ended = NULL;

    uv_mutex_lock(&s->lock);
    there = find(s, key_of(log));
    if (there && turn_log_phase(there) == TURN_LOG_CLOSED) {
        map_remove(&s->map, &there->node);
        ended = there;
        there = NULL;
    }
    if (there)
        turn_log_ref(there);
    else
        map_insert(&s->map, &turn_log_ref(log)->node, key_of(log));
    uv_mutex_unlock(&s->lock);
    if (ended)
        turn_log_unref(ended);
    return there;
}

struct turn_log *hub_find(const struct id *chat_id, const struct id *owner_id)
{
    char key[2 * ID_LEN];
    struct str key_str = {key, sizeof(key)};
    struct turn_log *log;
    struct shard *s;

    turn_log_key(chat_id, owner_id, key);
    s = shard_of(key_str);
    uv_mutex_lock(&s->lock);
    log = find(s, key_str);
    if (log)
        turn_log_ref(log);
    uv_mutex_unlock(&s->lock);
    return log;
}

void hub_remove(struct turn_log *log)
{
    struct shard *s = shard_of(key_of(log));
    bool was_there;

    uv_mutex_lock(&s->lock);
    was_there = find(s, key_of(log)) == log;
    if (was_there)
        map_remove(&s->map, &log->node);
    uv_mutex_unlock(&s->lock);
    if (was_there)
        turn_log_unref(log);
}

bool hub_is_running(const struct id *chat_id, const struct id *owner_id, struct str reply_id)
{
    struct turn_log *log = hub_find(chat_id, owner_id);
    bool is_running;

    if (!log)
        return false;
    is_running = turn_log_phase(log) != TURN_LOG_CLOSED && str_eq(id_str(&log->reply_id), reply_id);
    turn_log_unref(log);
    return is_running;
}
