/* Feeds PostgreSQL's index of words, on the first loop: storing a message does not pay for it.
 * SQLite's writer does the same by itself (db/sqlite_search.c). A pass is bounded; while turns run
 * there is one a second. */
#include "room.h"

#define PERIOD_MS 1000
#define SOON_MS   50
#define A_PASS    50

static void feed(struct flow *f)
{
    struct search_feed *s = container_of(f->state, struct search_feed, chore);

    db_query(&s->pass, f, &s->chore.arena, SQL_SEARCH_KEEP_UP, DB_ARGS(db_null(), db_int(A_PASS)));
}

static const struct step steps[] = {STEP(feed), STEP_END};

/* A failure is the database's, and others tell it. */
static uint64_t on_pass(struct chore *c)
{
    struct search_feed *s = container_of(c, struct search_feed, chore);
    bool has_more = !is_error(c->flow.err) && s->pass.result->n_changed >= A_PASS;

    return has_more && list_is_empty(&room_here()->turns) ? SOON_MS : 0;
}

void search_feed_start(struct search_feed *s)
{
    chore_start(&s->chore, steps, on_pass, PERIOD_MS, PERIOD_MS);
}
