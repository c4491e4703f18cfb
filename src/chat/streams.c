/* Counts the turns that run, on all loops. Teams are counted only while their limit is on. */
#include "chat/streams.h"

#include "base/list.h"
#include "base/map.h"
#include "config/config.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <uv.h>

/* A full house empties turn by turn. */
#define RETRY_AFTER_S 1

/* Of a team whose turns run. */
struct team_count {
    struct map_node node;
    struct id team_id;
    uint64_t n;
};

static atomic_uint_fast64_t n_streams;
static struct {
    uv_mutex_t lock;
    struct map counts;
} teams;

bool streams_open(void)
{
    atomic_store(&n_streams, 0);
    if (!map_init(&teams.counts, 64))
        return false;
    if (uv_mutex_init(&teams.lock) == 0)
        return true;
    map_deinit(&teams.counts);
    return false;
}

void streams_close(void)
{
    map_deinit(&teams.counts);
    uv_mutex_destroy(&teams.lock);
}

/* Under the lock. NULL: none of its turns runs. */
static struct team_count *find(const struct id *team_id)
{
    struct map_node *node = map_find(&teams.counts, id_str(team_id));

    return node ? container_of(node, struct team_count, node) : NULL;
}

/* Under the lock. NULL: no memory. */
static struct team_count *find_or_add(const struct id *team_id)
{
    struct team_count *team = find(team_id);

    if (team)
        return team;
    team = calloc(1, sizeof(*team));
    if (team) {
        team->team_id = *team_id;
        map_insert(&teams.counts, &team->node, id_str(&team->team_id));
    }
    return team;
}

static struct error enter_team(const struct id *team_id, uint64_t max)
{
    struct error err = NO_ERROR;
    struct team_count *team;

    uv_mutex_lock(&teams.lock);
    team = find_or_add(team_id);
    if (!team)
        err = ERROR(ERR_NO_MEMORY, 0, NULL);
    else if (team->n >= max)
        err = ERROR(ERR_RATE_LIMITED, RETRY_AFTER_S,
                    "Too many replies are streaming to your team; wait a moment");
    else
        team->n++;
    uv_mutex_unlock(&teams.lock);
    return err;
}

static void leave_team(const struct id *team_id)
{
    struct team_count *team;

    uv_mutex_lock(&teams.lock);
    team = find(team_id);
    if (--team->n == 0) {
        map_remove(&teams.counts, &team->node);
        free(team);
    }
    uv_mutex_unlock(&teams.lock);
}

struct error streams_enter(struct stream_place *place, const struct id *team_id)
{
    uint64_t max = config()->limits.streams, max_of_team = config()->limits.streams_per_team;
    struct error err = NO_ERROR;

    if (atomic_fetch_add(&n_streams, 1) >= max && max > 0)
        err = ERROR(ERR_BUSY, RETRY_AFTER_S, "limits.streams turns are running");
    else if (max_of_team > 0)
        err = enter_team(team_id, max_of_team);
    if (is_error(err))
        atomic_fetch_sub(&n_streams, 1);
    *place = (struct stream_place){!is_error(err), !is_error(err) && max_of_team > 0};
    return err;
}

void streams_leave(struct stream_place *place, const struct id *team_id)
{
    if (place->is_counted_for_team)
        leave_team(team_id);
    if (place->is_counted)
        atomic_fetch_sub(&n_streams, 1);
    *place = (struct stream_place){0};
}

uint64_t streams_count(void)
{
    return atomic_load(&n_streams);
}
