/* API keys by their hashes, each with its row while that is fresh. */
#include "account/key_cache.h"

#include "base/cache.h"
#include "base/clock.h"
#include "config/config.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define MINUTE_US (60 * INT64_C(1000000))
/* A longer row is asked for each time: of an agent with pages of instructions. */
#define ROW_BYTES (16 * 1024)

struct key_row {
    atomic_uint refs;
    atomic_int_least64_t noted_us; /* when its use was last found due */
    size_t n_bytes;
    struct db_result result;
    struct db_cell cells[]; /* and their text behind them */
};

struct entry {
    struct cache_entry cached;
    struct id team_id;
    struct key_row *row; /* NULL: too long to be kept */
    uint64_t good_ms;    /* when it was asked for and found good */
    bool is_stale;       /* forgotten */
    bool is_asked;       /* someone refreshes it */
};

static struct cache keys; /* opened once, before the loops run */
/* Rises when something is forgotten: what was read before that is not put afterwards. */
static atomic_uint_least64_t n_forgotten;

/* ---- rows ---- */

static void row_unref(void *ptr)
{
    struct key_row *row = ptr;

    if (row && atomic_fetch_sub(&row->refs, 1) == 1)
        free(row);
}

static struct key_row *row_hand_to(struct arena *a, struct key_row *row)
{
    atomic_fetch_add(&row->refs, 1);
    return arena_defer(a, row_unref, row) ? row : NULL;
}

static struct key_row *row_copy(const struct db_result *from)
{
    size_t n_bytes = sizeof(struct key_row) + from->n_columns * sizeof(struct db_cell);
    struct key_row *row;
    char *text;

    for (size_t i = 0; i < from->n_columns; i++)
        n_bytes += from->cells[i].text.len;
    row = malloc(n_bytes);
    if (!row)
        return NULL;
    *row = (struct key_row){.n_bytes = n_bytes, .result = *from};
    atomic_init(&row->refs, 1);
    atomic_init(&row->noted_us, INT64_MIN);
    row->result.n_rows = 1;
    row->result.cells = row->cells;
    text = (char *)(row->cells + from->n_columns);
    for (size_t i = 0; i < from->n_columns; i++) {
        struct str s = from->cells[i].text;

        row->cells[i] = from->cells[i];
        if (s.len > 0)
            row->cells[i].text.ptr = memcpy(text, s.ptr, s.len);
        else if (s.ptr)
            row->cells[i].text = STR("");
        text += s.len;
    }
    return row;
}

const struct db_result *key_row_result(const struct key_row *row)
{
    return &row->result;
}

bool key_row_is_use_due(struct key_row *row, int64_t noted_us)
{
    int64_t now_us = clock_wall_us(), own = atomic_load(&row->noted_us);

    if (now_us - MINUTE_US < (own > noted_us ? own : noted_us))
        return false;
    return atomic_compare_exchange_strong(&row->noted_us, &own, now_us);
}

/* ---- the table ---- */

static void drop_row(struct cache_entry *cached)
{
    row_unref(((struct entry *)cached)->row);
}

/* Another thread may have looked at the clock later. */
static uint64_t age_ms(const struct entry *e, uint64_t now_ms)
{
    return e->good_ms < now_ms ? now_ms - e->good_ms : 0;
}

/* Under the lock. Who is told to ask again is the only one for a while. */
static struct key_row *trusted_row(struct entry *e, uint64_t now_ms)
{
    uint64_t age = age_ms(e, now_ms);

    if (!e->row || e->is_stale || age >= KEY_TRUST_MS)
        return NULL;
    if (age >= KEY_REFRESH_MS && !e->is_asked) {
        e->is_asked = true;
        return NULL;
    }
    return e->row;
}

struct key_row *key_cache_find(const struct api_key *key, struct arena *a, struct key_look *look)
{
    uint64_t now_ms = clock_mono_ms();
    struct key_row *row = NULL;
    struct cache_shard *s;
    struct entry *e;

    *look = (struct key_look){.began_ms = now_ms, .n_forgotten = atomic_load(&n_forgotten)};
    s = cache_lock(&keys, key->sum);
    e = (struct entry *)cache_find(s, key->sum);
    if (e) {
        cache_use(s, &e->cached);
        look->was_good = age_ms(e, now_ms) < KEY_GOOD_MS;
        row = trusted_row(e, now_ms);
        if (row)
            row = row_hand_to(a, row);
    }
    cache_unlock(s);
    return row;
}

/* Under the lock. */
static void store(struct entry *e, const struct id *team_id, struct key_row *row,
                  const struct key_look *look)
{
    if (e->row)
        atomic_store(&row->noted_us, atomic_load(&e->row->noted_us));
    row_unref(e->row);
    e->row = NULL;
    if (row->n_bytes <= ROW_BYTES) {
        atomic_fetch_add(&row->refs, 1);
        e->row = row;
    }
    e->team_id = *team_id;
    e->good_ms = look->began_ms;
    e->is_stale = e->is_asked = false;
}

struct key_row *key_cache_put(const struct api_key *key, const struct id *team_id,
                              const struct db_result *result, const struct key_look *look,
                              struct arena *a)
{
    struct key_row *row = row_copy(result), *out;
    struct cache_shard *s;
    struct entry *e;

    if (!row)
        return NULL;
    s = cache_lock(&keys, key->sum);
    if (atomic_load(&n_forgotten) == look->n_forgotten) {
        e = (struct entry *)cache_find_or_add(&keys, s, key->sum);
        /* Of several answers the one that was asked for last counts. */
        if (e && (!e->row || e->is_stale || look->began_ms >= e->good_ms))
            store(e, team_id, row, look);
    }
    cache_unlock(s);
    out = row_hand_to(a, row);
    row_unref(row);
    /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): it does not see that the arena counts too */
    return out;
}

void key_cache_drop(const struct api_key *key)
{
    struct cache_shard *s = cache_lock(&keys, key->sum);
    struct cache_entry *e = cache_find(s, key->sum);

    if (e)
        cache_remove(&keys, s, e);
    cache_unlock(s);
}

static void forget_if_of(struct cache_entry *cached, void *state)
{
    struct entry *e = (struct entry *)cached;
    const struct id *team_id = state;

    if (str_eq(id_str(&e->team_id), id_str(team_id)))
        e->is_stale = true;
}

void key_cache_forget_team(const struct id *team_id)
{
    struct id id = *team_id;

    atomic_fetch_add(&n_forgotten, 1); /* first: what is put from now on is not older than this */
    cache_each(&keys, forget_if_of, &id);
}

size_t key_cache_count(void)
{
    return cache_count(&keys);
}

struct error key_cache_open(void)
{
    return cache_open(&keys, config()->limits.remembered_keys, sizeof(struct entry), drop_row)
               ? NO_ERROR
               : ERROR(ERR_NO_MEMORY, 0, NULL);
}

void key_cache_close(void)
{
    cache_close(&keys);
}
