/* The table of turns. See chat/hub.h. */
#include "chat/hub.h"

#define N_SHARDS 64

static struct shard {
    uv_mutex_t lock;
    struct map turns, mirrors; /* of this node, and of those on others that are read here */
} shards[N_SHARDS];

bool hub_open(void)
{
    for (size_t i = 0; i < N_SHARDS; i++)
        if (uv_mutex_init(&shards[i].lock) != 0 || !map_init(&shards[i].turns, 64) ||
            !map_init(&shards[i].mirrors, 8))
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
        map_each(&shards[i].turns, drop, &shards[i].turns);
        map_each(&shards[i].mirrors, drop, &shards[i].mirrors);
        map_deinit(&shards[i].turns);
        map_deinit(&shards[i].mirrors);
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

static struct map *map_of(struct shard *s, const struct turn_log *log)
{
    return log->is_mirror ? &s->mirrors : &s->turns;
}

static struct turn_log *find(const struct map *map, struct str key)
{
    struct map_node *node = map_find(map, key);

    return node ? container_of(node, struct turn_log, node) : NULL;
}

struct turn_log *hub_claim(struct turn_log *log)
{
    struct shard *s = shard_of(key_of(log));
    struct map *map = map_of(s, log);
    struct turn_log *there, *ended = NULL;

    uv_mutex_lock(&s->lock);
    there = find(map, key_of(log));
    if (there && turn_log_phase(there) == TURN_LOG_CLOSED) {
        map_remove(map, &there->node);
        ended = there;
        there = NULL;
    }
    if (there)
        turn_log_ref(there);
    else
        map_insert(map, &turn_log_ref(log)->node, key_of(log));
    uv_mutex_unlock(&s->lock);
    if (ended)
        turn_log_unref(ended);
    return there;
}

/* What is running, or is asked for and not refused yet; else what ended last. */
static struct turn_log *choose(struct turn_log *turn, struct turn_log *mirror)
{
    enum turn_log_phase phase;

    if (!turn || !mirror)
        return turn ? turn : mirror;
    phase = turn_log_phase(turn);
    if (phase == TURN_LOG_OPEN)
        return turn;
    if (turn_log_phase(mirror) != TURN_LOG_CLOSED)
        return mirror;
    return phase == TURN_LOG_PENDING || turn->created_us > mirror->created_us ? turn : mirror;
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
    log = choose(find(&s->turns, key_str), find(&s->mirrors, key_str));
    if (log)
        turn_log_ref(log);
    uv_mutex_unlock(&s->lock);
    return log;
}

void hub_remove(struct turn_log *log)
{
    struct shard *s = shard_of(key_of(log));
    struct map *map = map_of(s, log);
    bool was_there;

    uv_mutex_lock(&s->lock);
    was_there = find(map, key_of(log)) == log;
    if (was_there)
        map_remove(map, &log->node);
    uv_mutex_unlock(&s->lock);
    if (was_there)
        turn_log_unref(log);
}

struct removal {
    struct str owner_id;
    struct map *map;
    struct turn_log **out;
    size_t n, max;
};

static void remove_if_of_owner(struct map_node *node, void *state)
{
    struct removal *r = state;
    struct turn_log *log = container_of(node, struct turn_log, node);

    if (r->n == r->max || !str_eq(id_str(&log->owner_id), r->owner_id))
        return;
    map_remove(r->map, node);
    r->out[r->n++] = log;
}

size_t hub_remove_owner(const struct id *owner_id, struct turn_log **out, size_t max)
{
    struct removal r = {.owner_id = id_str(owner_id), .out = out, .max = max};

    for (size_t i = 0; i < N_SHARDS; i++) {
        uv_mutex_lock(&shards[i].lock);
        r.map = &shards[i].turns;
        map_each(r.map, remove_if_of_owner, &r);
        r.map = &shards[i].mirrors;
        map_each(r.map, remove_if_of_owner, &r);
        uv_mutex_unlock(&shards[i].lock);
    }
    return r.n;
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
