/* Rates: a bounded table of leaky buckets; and, among several nodes, the portions that this one has
 * leased of buckets in the database. */
#include "account/rate.h"

#include "base/cache.h"
#include "base/clock.h"
#include "base/crypto.h"
#include "cluster/cluster.h"
#include "config/config.h"
#include "db/db.h"

#include <string.h>

#define ENTRIES     65536
#define LONGEST_KEY 512
#define SALT_BYTES  32
#define MOST_LIMIT  1000000 /* more is as good as off, and would overflow */
/* A portion is this part of a limit: what lies unused on other nodes stays within 5 % of it for
 * three of them. */
#define PORTION_PART 60
/* How long this node gives on its own when the database does not answer. */
#define ALONE_MS 1000

struct entry {
    struct cache_entry cached;
    /* When the bucket will be empty again, in milliseconds times the limit, so that a take, which
     * fills it by a window's length, is a whole number. */
    uint64_t empty_at;
    /* Among several nodes: takes that the database has given us, and until when it gives none, or
     * has not answered. */
    uint64_t n_leased, refused_until_ms, alone_until_ms;
};

static struct cache buckets; /* opened once, before the loops run */
/* Nobody outside can tell which keys push which out. Written with it. */
static char seed[SALT_BYTES];

/* Of one length whatever the asker sent, and no e-mail address stays in memory. */
static void make_key(const struct rate *r, struct str salt, char out[CACHE_KEY_BYTES])
{
    char text[SALT_BYTES + 1 + LONGEST_KEY];
    struct str key = r->key;

    if (key.len > LONGEST_KEY)
        key.len = LONGEST_KEY;
    memcpy(text, salt.ptr, SALT_BYTES);
    text[SALT_BYTES] = (char)r->kind;
    if (key.len > 0)
        memcpy(text + SALT_BYTES + 1, key.ptr, key.len);
    crypto_sha256((struct str){text, SALT_BYTES + 1 + key.len}, (unsigned char *)out);
}

static void local_key(const struct rate *r, char out[CACHE_KEY_BYTES])
{
    make_key(r, (struct str){seed, sizeof(seed)}, out);
}

/* 0, or the milliseconds until one more fits. */
static uint64_t wait_of(const struct entry *e, uint64_t limit, uint64_t window_ms, uint64_t now_ms)
{
    uint64_t now = now_ms * limit, empty_at = e->empty_at > now ? e->empty_at : now;
    uint64_t filled = empty_at - now + window_ms, room = window_ms * limit;

    return filled > room ? (filled - room + limit - 1) / limit : 0;
}

static uint64_t take(struct entry *e, uint64_t limit, uint64_t window_ms, uint64_t now_ms)
{
    uint64_t now = now_ms * limit, wait_ms = wait_of(e, limit, window_ms, now_ms);

    if (wait_ms == 0)
        e->empty_at = (e->empty_at > now ? e->empty_at : now) + window_ms;
    return wait_ms;
}

static void tell(const struct entry *e, uint64_t limit, uint64_t window_ms, uint64_t now_ms,
                 struct rate_state *state)
{
    uint64_t now = now_ms * limit, filled = e->empty_at > now ? e->empty_at - now : 0;

    state->remaining = (window_ms * limit - filled) / window_ms;
    state->reset_s = (unsigned)((filled / limit + 999) / 1000);
}

static bool is_off(const struct rate *r)
{
    return r->limit == 0 || r->limit > MOST_LIMIT;
}

static unsigned seconds(uint64_t ms)
{
    return (unsigned)((ms + 999) / 1000);
}

/* Of what the database has given; and it is counted here too, for when this node is alone. */
static uint64_t take_leased(struct entry *e, const struct rate *r, uint64_t now_ms)
{
    uint64_t now = now_ms * r->limit;

    if (e->n_leased == 0)
        return e->refused_until_ms > now_ms ? e->refused_until_ms - now_ms : 1;
    e->n_leased--;
    e->empty_at = (e->empty_at > now ? e->empty_at : now) + r->window_ms;
    return 0;
}

unsigned rate_take(const struct rate *r)
{
    struct rate_state state;

    return rate_take_and_tell(r, &state);
}

static unsigned take_here(const struct rate *r, bool among_others, struct rate_state *state)
{
    uint64_t now_ms = clock_mono_ms(), wait_ms = 0;
    char own[CACHE_KEY_BYTES];
    struct cache_shard *s;
    struct entry *e;

    *state = (struct rate_state){0};
    if (is_off(r))
        return 0;
    state->limit = state->remaining = r->limit;
    local_key(r, own);
    s = cache_lock(&buckets, own);
    e = (struct entry *)cache_find_or_add(&buckets, s, own);
    /* Without memory nobody is refused: the request has its own chance to fail. */
    if (e) {
        wait_ms = among_others && e->alone_until_ms <= now_ms
                      ? take_leased(e, r, now_ms)
                      : take(e, r->limit, r->window_ms, now_ms);
        tell(e, r->limit, r->window_ms, now_ms, state);
        if (wait_ms > 0)
            state->remaining = 0;
    }
    cache_unlock(s);
    return seconds(wait_ms);
}

unsigned rate_take_and_tell(const struct rate *r, struct rate_state *state)
{
    return take_here(r, cluster_shares_limits(), state);
}

void rate_note(const struct rate *r)
{
    struct rate_state state;

    (void)!take_here(r, false, &state);
}

unsigned rate_wait(const struct rate *r)
{
    uint64_t now_ms = clock_mono_ms(), wait_ms = 0;
    char own[CACHE_KEY_BYTES];
    struct cache_shard *s;
    struct entry *e;

    if (is_off(r))
        return 0;
    local_key(r, own);
    s = cache_lock(&buckets, own);
    e = (struct entry *)cache_find(s, own);
    if (e)
        wait_ms = wait_of(e, r->limit, r->window_ms, now_ms);
    if (e && cluster_shares_limits() && e->n_leased == 0 && e->refused_until_ms > now_ms + wait_ms)
        wait_ms = e->refused_until_ms - now_ms;
    cache_unlock(s);
    return seconds(wait_ms);
}

/* ---- among several nodes ---- */

/* In the arena of who asks. */
struct lease {
    struct subflow part;
    struct db_query query;
    struct arena *arena;
    struct rate rate;
    uint64_t filled_us; /* of our own bucket: what was given before there were others */
};

enum { LEASE_GRANTED, LEASE_FILLED_US };

/* One for all nodes: by the secret that they share. */
static struct str shared_key(const struct rate *r, struct arena *arena)
{
    char salt[SALT_BYTES], key[CACHE_KEY_BYTES];

    crypto_derive(config()->security.secret, "limits that nodes share", (unsigned char *)salt);
    make_key(r, (struct str){salt, sizeof(salt)}, key);
    return arena_copy(arena, (struct str){key, sizeof(key)});
}

static int64_t take_us(const struct rate *r)
{
    return (int64_t)(r->window_ms * 1000 / r->limit);
}

static void ask(struct flow *f)
{
    struct lease *l = f->state;
    uint64_t portion = l->rate.limit / PORTION_PART;
    struct str key = shared_key(&l->rate, l->arena);

    if (!key.ptr) {
        flow_fail(f, ERROR(ERR_NO_MEMORY, 0, NULL));
        return;
    }
    db_query(&l->query, f, l->arena, SQL_RATE_LEASE,
             DB_ARGS(db_bytes(key), db_int(take_us(&l->rate)), db_int((int64_t)l->rate.limit),
                     db_int(portion > 1 ? (int64_t)portion : 1), db_int((int64_t)l->filled_us)));
}

static void note(struct entry *e, const struct lease *l, uint64_t now_ms)
{
    int64_t room_us = take_us(&l->rate) * (int64_t)l->rate.limit, over_us;

    /* Whoever has left by now has asked for others. */
    if (!l->query.result || l->query.result->n_rows == 0) {
        if (l->part.flow.err.status != ERR_CANCELED)
            e->alone_until_ms = now_ms + ALONE_MS;
        return;
    }
    e->n_leased += (uint64_t)db_get_int(l->query.result, 0, LEASE_GRANTED);
    over_us = db_get_int(l->query.result, 0, LEASE_FILLED_US) + take_us(&l->rate) - room_us;
    e->refused_until_ms = over_us > 0 ? now_ms + (uint64_t)(over_us + 999) / 1000 : 0;
}

static void keep_lease(struct flow *f)
{
    struct lease *l = f->state;
    char own[CACHE_KEY_BYTES];
    struct cache_shard *s;
    struct entry *e;

    local_key(&l->rate, own);
    s = cache_lock(&buckets, own);
    e = (struct entry *)cache_find_or_add(&buckets, s, own);
    if (e)
        note(e, l, clock_mono_ms());
    cache_unlock(s);
}

static const struct step lease_steps[] = {
    STEP(ask),
    STEP_ALWAYS(keep_lease),
    STEP_END,
};

/* Also true without memory: the take passes then. */
static bool has_answer(const struct rate *r, uint64_t *filled_us)
{
    uint64_t now_ms = clock_mono_ms(), now = now_ms * r->limit;
    char own[CACHE_KEY_BYTES];
    struct cache_shard *s;
    struct entry *e;
    bool has;

    local_key(r, own);
    s = cache_lock(&buckets, own);
    e = (struct entry *)cache_find_or_add(&buckets, s, own);
    has = !e || e->n_leased > 0 || e->refused_until_ms > now_ms || e->alone_until_ms > now_ms;
    *filled_us = e && e->empty_at > now ? (e->empty_at - now) / r->limit * 1000 : 0;
    cache_unlock(s);
    return has;
}

/* False: the database is asked, or the flow has failed. */
static bool ask_if_needed(struct flow *f, struct arena *arena, const struct rate *r)
{
    struct lease *l;
    uint64_t filled_us;

    if (!cluster_shares_limits() || is_off(r) || has_answer(r, &filled_us))
        return true;
    l = arena_alloc(arena, sizeof(*l));
    if (!l) {
        flow_fail(f, ERROR(ERR_NO_MEMORY, 0, NULL));
        return false;
    }
    *l = (struct lease){.arena = arena, .rate = *r, .filled_us = filled_us};
    flow_try(f, &l->part, lease_steps, l);
    return false;
}

bool rate_ready(struct flow *f, struct arena *arena, const struct rate *r)
{
    if (ask_if_needed(f, arena, r))
        return true;
    flow_repeat(f);
    return false;
}

void rate_ask(struct flow *f, struct arena *arena, const struct rate *r)
{
    (void)ask_if_needed(f, arena, r);
}

struct error rate_open(void)
{
    crypto_random(seed, sizeof(seed));
    return cache_open(&buckets, ENTRIES, sizeof(struct entry), NULL)
               ? NO_ERROR
               : ERROR(ERR_NO_MEMORY, 0, NULL);
}

void rate_close(void)
{
    cache_close(&buckets);
}
