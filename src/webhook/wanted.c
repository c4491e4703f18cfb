/* A lock that readers share, and a map from teams to the types that their webhooks ask for. */
#include "wanted.h"

#include "base/clock.h"
#include "base/list.h"
#include "base/log.h"
#include "base/map.h"
#include "metrics.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define WARN_EVERY_MS 60000

struct entry {
    struct map_node node;
    char team[ID_LEN];
    unsigned types; /* never 0 */
    bool is_full;   /* so much waits that more is dropped */
    uint64_t warned_ms;
};

static const struct str names[N_WEBHOOK_TYPES] = {
    [WEBHOOK_AGENT_FAILING] = STR("agent.failing"),
    [WEBHOOK_AGENT_RECOVERED] = STR("agent.recovered"),
    [WEBHOOK_BUDGET_SPENT] = STR("budget.spent"),
    [WEBHOOK_BUDGET_WARNING] = STR("budget.warning"),
    [WEBHOOK_CHAT_CREATED] = STR("chat.created"),
    [WEBHOOK_MESSAGE_COMPLETED] = STR("message.completed"),
};

/* Written under the lock only. */
static struct {
    pthread_rwlock_t lock;
    struct map map;
    bool is_open;
} wanted;

atomic_uint webhooks_n_teams;

struct str webhook_type_name(enum webhook_type type)
{
    return names[type];
}

bool webhook_type_find(struct str name, enum webhook_type *out)
{
    for (unsigned type = 0; type < N_WEBHOOK_TYPES; type++) {
        if (str_eq(names[type], name)) {
            *out = (enum webhook_type)type;
            return true;
        }
    }
    return false;
}

struct str webhook_types_text(struct arena *a, unsigned types)
{
    struct buf list = {0};
    struct str text;

    buf_append_char(&list, ',');
    for (unsigned type = 0; type < N_WEBHOOK_TYPES; type++) {
        if ((types & 1u << type) == 0)
            continue;
        buf_append_str(&list, names[type]);
        buf_append_char(&list, ',');
    }
    text = list.failed ? STR_NONE : arena_copy(a, buf_str(&list));
    buf_deinit(&list);
    return text;
}

static struct entry *entry_of(struct map_node *node)
{
    return container_of(node, struct entry, node);
}

static struct entry *find(const struct map *map, struct str team)
{
    struct map_node *node = map_find(map, team);

    return node ? entry_of(node) : NULL;
}

bool webhooks_look(const struct id *team_id, unsigned types)
{
    uint64_t now_ms = clock_mono_ms();
    bool is_wanted, is_full = false, warns = false;
    struct entry *e;

    pthread_rwlock_rdlock(&wanted.lock);
    e = find(&wanted.map, id_str(team_id));
    is_wanted = e && (e->types & types) != 0;
    if (is_wanted && e->is_full) {
        is_full = true;
        warns = e->warned_ms == 0 || now_ms - e->warned_ms >= WARN_EVERY_MS;
    }
    pthread_rwlock_unlock(&wanted.lock);
    if (!is_full)
        return is_wanted;
    counter_add(&webhook_count()->outcomes[DELIVERY_DROPPED], 1);
    if (!warns)
        return false;
    pthread_rwlock_wrlock(&wanted.lock);
    e = find(&wanted.map, id_str(team_id));
    if (e)
        e->warned_ms = now_ms;
    pthread_rwlock_unlock(&wanted.lock);
    log_warn("webhook: too many deliveries of team %s wait (webhooks.pending_per_team); new events "
             "are dropped until some have arrived or were given up",
             team_id->text);
    return false;
}

static unsigned types_of(struct str list)
{
    unsigned types = 0;
    enum webhook_type type;
    struct str name;

    while (str_next(&list, ',', &name))
        if (webhook_type_find(name, &type))
            types |= 1u << type;
    return types;
}

/* False: no memory. */
static bool add(struct map *map, struct str team, unsigned types)
{
    struct entry *e;

    if (team.len != ID_LEN || types == 0)
        return true;
    e = find(map, team);
    if (e) {
        e->types |= types;
        return true;
    }
    e = calloc(1, sizeof(*e));
    if (!e)
        return false;
    e->types = types;
    memcpy(e->team, team.ptr, ID_LEN);
    map_insert(map, &e->node, (struct str){e->team, ID_LEN});
    return true;
}

static void drop(struct map_node *node, void *map)
{
    map_remove(map, node);
    free(entry_of(node));
}

static void drop_all(struct map *map)
{
    map_each(map, drop, map);
    map_deinit(map);
}

static void keep_state(struct map_node *node, void *map)
{
    struct entry *old = entry_of(node), *fresh = find(map, node->key);

    if (!fresh)
        return;
    fresh->is_full = old->is_full;
    fresh->warned_ms = old->warned_ms;
}

static void count_teams(void)
{
    atomic_store_explicit(&webhooks_n_teams, (unsigned)wanted.map.count, memory_order_relaxed);
}

bool wanted_load(const struct db_result *rows)
{
    struct map fresh, old;
    bool is_whole = map_init(&fresh, rows->n_rows + 1);

    if (!is_whole)
        return false;
    for (size_t row = 0; row < rows->n_rows && is_whole; row++)
        is_whole = add(&fresh, db_get_text(rows, row, 0), types_of(db_get_text(rows, row, 1)));
    if (is_whole) {
        pthread_rwlock_wrlock(&wanted.lock);
        map_each(&wanted.map, keep_state, &fresh);
        old = wanted.map;
        wanted.map = fresh;
        count_teams();
        pthread_rwlock_unlock(&wanted.lock);
    } else {
        old = fresh;
    }
    drop_all(&old);
    return is_whole;
}

void webhooks_note(const struct id *team_id, const struct db_result *rows)
{
    unsigned types = 0;
    struct entry *e;

    for (size_t row = 0; row < rows->n_rows; row++)
        types |= types_of(db_get_text(rows, row, 1));
    pthread_rwlock_wrlock(&wanted.lock);
    e = find(&wanted.map, id_str(team_id));
    if (e && types == 0)
        drop(&e->node, &wanted.map);
    else if (e)
        e->types = types;
    else if (!add(&wanted.map, id_str(team_id), types))
        log_warn("webhook: no memory to note what a team wants");
    count_teams();
    pthread_rwlock_unlock(&wanted.lock);
}

static void forget_full(struct map_node *node, void *state)
{
    (void)state;
    entry_of(node)->is_full = false;
}

void wanted_set_full(const struct db_result *rows, uint64_t most)
{
    pthread_rwlock_wrlock(&wanted.lock);
    map_each(&wanted.map, forget_full, NULL);
    for (size_t row = 0; row < rows->n_rows && (uint64_t)db_get_int(rows, row, 1) >= most; row++) {
        struct entry *e = find(&wanted.map, db_get_text(rows, row, 0));

        if (e)
            e->is_full = true;
    }
    pthread_rwlock_unlock(&wanted.lock);
}

struct error wanted_open(void)
{
    if (!map_init(&wanted.map, 16))
        return ERROR(ERR_NO_MEMORY, 0, NULL);
    if (pthread_rwlock_init(&wanted.lock, NULL) != 0) {
        map_deinit(&wanted.map);
        return ERROR(ERR_INTERNAL, 0, "no lock for the webhooks");
    }
    wanted.is_open = true;
    return NO_ERROR;
}

void wanted_close(void)
{
    if (!wanted.is_open)
        return;
    drop_all(&wanted.map);
    pthread_rwlock_destroy(&wanted.lock);
    wanted.is_open = false;
    atomic_store(&webhooks_n_teams, 0);
}
