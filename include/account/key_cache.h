/* Which API keys were good lately, and what their rows said: a bounded table for the process, so
 * that a busy key asks the database about twice a second. A row is trusted for KEY_TRUST_MS from
 * the moment it was asked for, so what another process revokes or changes counts within a second;
 * what this process changes is forgotten at once. Wrong keys are never remembered. The key itself
 * is not kept: only its SHA-256. Any thread. */
#ifndef AERIE_ACCOUNT_KEY_CACHE_H
#define AERIE_ACCOUNT_KEY_CACHE_H

#include "account/api_key.h"
#include "base/id.h"
#include "db/db.h"

#define KEY_TRUST_MS   900
#define KEY_REFRESH_MS 500 /* from here on one caller asks again, while the others still trust */
#define KEY_GOOD_MS    (10 * 60 * 1000)

/* One row, counted, in one block of memory. Never changed but for the moment of the note. */
struct key_row;
/* Lives as long as the arena that it was handed to. */
const struct db_result *key_row_result(const struct key_row *row);
/* Is it time to note the key's last use? True for one caller a minute. noted_us: the last note that
 * the row tells of; INT64_MIN: none. */
bool key_row_is_use_due(struct key_row *row, int64_t noted_us);

/* What a look found out, for the put that follows it. */
struct key_look {
    uint64_t began_ms;
    uint64_t n_forgotten;
    bool was_good; /* within KEY_GOOD_MS: who brings it guesses no keys */
};

/* The row of a key, handed to the arena; NULL: ask the database, and put what it says. */
struct key_row *key_cache_find(const struct api_key *key, struct arena *a, struct key_look *look);
/* Remembers the first row of result for key, unless something of the team was forgotten since the
 * look. Returns a copy of it, handed to the arena; NULL: no memory. */
struct key_row *key_cache_put(const struct api_key *key, const struct id *team_id,
                              const struct db_result *result, const struct key_look *look,
                              struct arena *a);
/* It is not good any more. */
void key_cache_drop(const struct api_key *key);
/* Something that rows of the team's keys say has changed, and is committed: they are asked for
 * again. */
void key_cache_forget_team(const struct id *team_id);
size_t key_cache_count(void);

struct error key_cache_open(void) MUST_CHECK; /* main thread, before any other call */
void key_cache_close(void);

#endif
