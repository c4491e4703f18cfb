/* Counts the turns that run, on all loops. Teams are counted only while their limit is on.
 *
 * Among several nodes a team has a row for each in team_streams: how many the node may have. Each
 * statement says how many it has and how many it wants, and carries a number: of several that
 * overtake each other the one that was made last counts. So one that was lost is made good by the
 * next. */
#include "chat/streams.h"

#include "base/clock.h"
#include "base/list.h"
#include "base/log.h"
#include "base/map.h"
#include "cluster/cluster.h"
#include "config/config.h"
#include "db/db.h"
#include "streams_chore.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <uv.h>

/* A full house empties turn by turn. */
#define RETRY_AFTER_S 1
/* As of rates: what lies unused on other nodes stays within 5 % of the limit for three of them. */
#define PORTION_PART 60
#define PERIOD_MS    1000
#define SOON_MS      20
#define REFUSED_MS   250   /* the database is not asked again for so long */
#define ALONE_MS     1000  /* while it does not answer, a node gives its share for so long */
#define IDLE_MS      10000 /* one portion is kept for a team that was here so long ago */
#define AGAIN_MS     10000 /* a row may be lost: with the database, or with our row in nodes */

/* Of a team whose turns run, or that has a lease. */
struct team_count {
    struct map_node node;
    struct id team_id;
    uint64_t n;
    /* Among several nodes. */
    uint64_t n_awaited; /* places that the database is being asked for */
    uint64_t n_held;    /* what it has given, those that run included; by the statement seq */
    uint64_t seq;
    uint64_t entered_ms, told_ms, refused_until_ms, alone_until_ms;
    bool is_being_told; /* by the chore */
    bool is_unsure;     /* a statement's answer was not heard */
};

static atomic_uint_fast64_t n_streams;
static struct {
    uv_mutex_t lock;
    struct map counts;
    uint64_t seq; /* of the last statement */
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

static void drop(struct map_node *node, void *state)
{
    (void)state;
    map_remove(&teams.counts, node);
    free(container_of(node, struct team_count, node));
}

void streams_close(void)
{
    map_each(&teams.counts, drop, NULL);
    map_deinit(&teams.counts);
    uv_mutex_destroy(&teams.lock);
}

/* ---- a team's count; all of it under the lock ---- */

/* NULL: none of its turns runs. */
static struct team_count *find(const struct id *team_id)
{
    struct map_node *node = map_find(&teams.counts, id_str(team_id));

    return node ? container_of(node, struct team_count, node) : NULL;
}

/* NULL: no memory. */
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

static bool is_in_use(const struct team_count *team)
{
    return team->n > 0 || team->n_awaited > 0 || team->is_being_told;
}

static void drop_if_done(struct team_count *team)
{
    if (!is_in_use(team) && team->n_held == 0 && !team->is_unsure)
        drop(&team->node, NULL);
}

static struct error too_many(void)
{
    return ERROR(ERR_RATE_LIMITED, RETRY_AFTER_S,
                 "Too many replies are streaming to your team; wait a moment");
}

static struct error enter_within(struct team_count *team, uint64_t max)
{
    if (team->n + team->n_awaited >= max)
        return too_many();
    team->n++;
    return NO_ERROR;
}

/* Without a word from the database. What it gave before counts all the same. */
static uint64_t share_of(const struct team_count *team, uint64_t max)
{
    uint64_t n_nodes = cluster_sight().n_nodes, share = n_nodes > 0 ? max / n_nodes : max;

    if (share == 0)
        share = 1;
    return team->n_held > share ? team->n_held : share;
}

static struct error enter_among_others(struct stream_place *place, struct team_count *team,
                                       uint64_t max)
{
    uint64_t now_ms = clock_mono_ms();

    team->entered_ms = now_ms;
    if (team->n + team->n_awaited < team->n_held)
        return enter_within(team, team->n_held);
    if (team->alone_until_ms > now_ms)
        return enter_within(team, share_of(team, max));
    if (team->refused_until_ms > now_ms)
        return too_many();
    team->n_awaited++;
    place->is_awaited = true;
    return NO_ERROR;
}

static struct error enter_team(struct stream_place *place, const struct id *team_id, uint64_t max)
{
    struct error err = ERROR(ERR_NO_MEMORY, 0, NULL);
    struct team_count *team;

    uv_mutex_lock(&teams.lock);
    team = find_or_add(team_id);
    if (team)
        err = cluster_shares_limits() ? enter_among_others(place, team, max)
                                      : enter_within(team, max);
    uv_mutex_unlock(&teams.lock);
    return err;
}

static void leave_team(const struct stream_place *place, const struct id *team_id)
{
    struct team_count *team;

    uv_mutex_lock(&teams.lock);
    team = find(team_id);
    if (place->is_awaited) {
        team->n_awaited--;
        team->is_unsure = true;
    } else {
        team->n--;
    }
    drop_if_done(team);
    uv_mutex_unlock(&teams.lock);
}

struct error streams_enter(struct stream_place *place, const struct id *team_id)
{
    uint64_t max = config()->limits.streams, max_of_team = config()->limits.streams_per_team;
    struct error err = NO_ERROR;

    *place = (struct stream_place){0};
    if (atomic_fetch_add(&n_streams, 1) >= max && max > 0)
        err = ERROR(ERR_BUSY, RETRY_AFTER_S, "limits.streams turns are running");
    else if (max_of_team > 0)
        err = enter_team(place, team_id, max_of_team);
    if (is_error(err))
        atomic_fetch_sub(&n_streams, 1);
    place->is_counted = !is_error(err);
    place->is_counted_for_team = !is_error(err) && max_of_team > 0;
    return err;
}

void streams_leave(struct stream_place *place, const struct id *team_id)
{
    if (place->is_counted_for_team)
        leave_team(place, team_id);
    if (place->is_counted)
        atomic_fetch_sub(&n_streams, 1);
    *place = (struct stream_place){0};
}

uint64_t streams_count(void)
{
    return atomic_load(&n_streams);
}

/* ---- what the database is told, and says ---- */

static uint64_t portion_of(uint64_t max)
{
    return max > PORTION_PART ? max / PORTION_PART : 1;
}

/* One after the other: what others hold is read when they have written it. */
static void tell(struct db_query *q, struct flow *f, struct arena *arena,
                 const struct stream_hold *h)
{
    const struct db_arg args[] = {db_uuid(id_str(&h->team_id)),
                                  db_uuid(id_str(cluster_node_id())),
                                  db_int((int64_t)h->wanted),
                                  db_int((int64_t)h->used),
                                  db_int((int64_t)config()->limits.streams_per_team),
                                  db_int((int64_t)h->seq)};
    const struct db_call calls[] = {{SQL_STREAMS_LOCK, args, 1}, {SQL_STREAMS_HOLD, args, 6}};

    db_batch(q, f, arena, calls, 2);
}

enum { HOLD_N, HOLD_SEQ };

/* Under the lock. False: there is no answer. */
static bool take_answer(struct team_count *team, const struct db_query *q)
{
    const struct db_result *row = db_result_at(q, 1);
    uint64_t seq;

    if (row->n_rows == 0)
        return false;
    seq = (uint64_t)db_get_int(row, 0, HOLD_SEQ);
    if (seq >= team->seq) {
        team->seq = seq;
        team->n_held = (uint64_t)db_get_int(row, 0, HOLD_N);
        team->told_ms = clock_mono_ms();
    }
    return true;
}

/* ---- a place that is asked for ---- */

struct asking {
    struct subflow sub, part;
    struct db_query query;
    struct arena *arena;
    struct stream_place *place;
    struct id team_id;
};

static void tell_wanted(struct flow *f)
{
    struct asking *a = f->state;
    struct stream_hold h = {.team_id = a->team_id};
    uint64_t max = config()->limits.streams_per_team;
    struct team_count *team;

    uv_mutex_lock(&teams.lock);
    team = find(&a->team_id);
    h.used = team->n;
    h.wanted = team->n + team->n_awaited + portion_of(max) - 1;
    h.seq = ++teams.seq;
    uv_mutex_unlock(&teams.lock);
    tell(&a->query, f, a->arena, &h);
}

static const struct step tell_steps[] = {STEP(tell_wanted), STEP_END};

static void try_to_tell(struct flow *f)
{
    struct asking *a = f->state;

    flow_try(f, &a->part, tell_steps, a);
}

static void take_place(struct flow *f)
{
    struct asking *a = f->state;
    uint64_t max = config()->limits.streams_per_team, now_ms = clock_mono_ms();
    struct team_count *team;
    struct error err;

    uv_mutex_lock(&teams.lock);
    team = find(&a->team_id);
    team->n_awaited--;
    if (take_answer(team, &a->query)) {
        /* Those who still wait have asked for theirs. */
        err = team->n < team->n_held ? NO_ERROR : too_many();
        if (!is_error(err))
            team->n++;
        else
            team->refused_until_ms = now_ms + REFUSED_MS;
    } else {
        team->is_unsure = true;
        team->alone_until_ms = now_ms + ALONE_MS;
        err = enter_within(team, share_of(team, max));
    }
    a->place->is_awaited = false;
    if (is_error(err)) {
        a->place->is_counted_for_team = false;
        drop_if_done(team);
    }
    uv_mutex_unlock(&teams.lock);
    if (is_error(err))
        flow_fail(f, err);
}

static const struct step ask_steps[] = {STEP(try_to_tell), STEP(take_place), STEP_END};

void streams_ask(struct stream_place *place, struct flow *f, struct arena *arena,
                 const struct id *team_id)
{
    struct asking *a = arena_alloc(arena, sizeof(*a));

    if (!a) {
        flow_fail(f, ERROR(ERR_NO_MEMORY, 0, NULL));
        return;
    }
    *a = (struct asking){.arena = arena, .place = place, .team_id = *team_id};
    flow_call(f, &a->sub, ask_steps, a);
}

/* ---- the chore ---- */

static struct streams_chore *chore_of(struct flow *f)
{
    return container_of(f->state, struct streams_chore, chore);
}

/* What it needs, and one portion while it comes and goes. */
static uint64_t wanted_of(const struct team_count *team, uint64_t max, uint64_t now_ms)
{
    uint64_t spare = team->n_held > team->n ? team->n_held - team->n : 0;
    uint64_t kept = now_ms - team->entered_ms < IDLE_MS ? portion_of(max) : 0;

    return team->n + (spare < kept ? spare : kept);
}

static void find_due(struct map_node *node, void *state)
{
    struct team_count *team = container_of(node, struct team_count, node);
    uint64_t max = config()->limits.streams_per_team, now_ms = clock_mono_ms(), wanted;
    struct streams_chore *c = state;

    /* Alone, it only gives back what it has no use for. */
    if ((!cluster_shares_limits() || max == 0) && is_in_use(team))
        return;
    wanted = wanted_of(team, max, now_ms);
    if (team->n_awaited > 0 || (wanted == team->n_held && !team->is_unsure &&
                                now_ms - team->told_ms < AGAIN_MS))
        return;
    c->has_more = c->n_due == STREAMS_A_PASS;
    if (c->has_more)
        return;
    /* What goes back is not given any more before it is said. */
    if (wanted < team->n_held)
        team->n_held = wanted;
    team->is_unsure = false;
    team->is_being_told = true;
    c->due[c->n_due++] = (struct stream_hold){
        .team_id = team->team_id, .used = team->n, .wanted = wanted, .seq = ++teams.seq};
}

static void look(struct flow *f)
{
    struct streams_chore *c = chore_of(f);

    c->n_due = c->at = 0;
    c->has_more = false;
    c->query = (struct db_query){0};
    uv_mutex_lock(&teams.lock);
    map_each(&teams.counts, find_due, c);
    uv_mutex_unlock(&teams.lock);
}

static void note_told(struct streams_chore *c)
{
    struct team_count *team;

    uv_mutex_lock(&teams.lock);
    team = find(&c->due[c->at++].team_id);
    team->is_being_told = false;
    team->is_unsure |= !take_answer(team, &c->query);
    drop_if_done(team);
    uv_mutex_unlock(&teams.lock);
    c->query = (struct db_query){0};
}

static void tell_next(struct flow *f)
{
    struct streams_chore *c = chore_of(f);

    if (c->query.result)
        note_told(c);
    if (c->at == c->n_due)
        return;
    flow_repeat(f);
    tell(&c->query, f, &c->chore.arena, &c->due[c->at]);
}

static const struct step chore_steps[] = {STEP(look), STEP(tell_next), STEP_END};

static uint64_t on_pass(struct chore *chore)
{
    struct streams_chore *c = container_of(chore, struct streams_chore, chore);
    struct error err = chore->flow.err;

    c->query = (struct db_query){0};
    while (c->at < c->n_due) /* the next pass tells it */
        note_told(c);
    if (is_error(err) && err.status != ERR_CANCELED)
        log_warn("streams: what teams have here could not be told to other nodes: %s",
                 status_row(err.status)->name);
    return !is_error(err) && c->has_more ? SOON_MS : 0;
}

void streams_chore_start(struct streams_chore *c)
{
    chore_start(&c->chore, chore_steps, on_pass, PERIOD_MS, PERIOD_MS);
}
