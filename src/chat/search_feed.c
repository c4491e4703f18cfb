/* Feeds PostgreSQL's index of words, on the first loop: storing a message does not pay for it.
 * SQLite's writer does the same by itself (db/sqlite_search.c). A pass is bounded; while turns run
 * there is one a second. */
#include "room.h"

#define PERIOD_MS 1000
#define SOON_MS   50
#define A_PASS    50

static void feed(struct flow *f)
{
    struct search_feed *s = f->state;

    db_query(&s->pass, f, &s->arena, SQL_SEARCH_KEEP_UP, DB_ARGS(db_null(), db_int(A_PASS)));
}

static const struct step steps[] = {STEP(feed), STEP_END};

static void on_due(struct timer *t);

/* A failure is the database's, and others tell it. */
static void on_end(struct flow *f)
{
    struct search_feed *s = f->state;
    bool has_more = !is_error(f->err) && s->pass.result->n_changed >= A_PASS;

    if (has_more && timer_is_started(&s->timer) && list_is_empty(&room_here()->turns))
        timer_start(&s->timer, SOON_MS, on_due);
    arena_free(&s->arena);
    s->is_running = false;
    room_check_drained(room_here()); /* may free s */
}

static void on_due(struct timer *t)
{
    struct search_feed *s = container_of(t, struct search_feed, timer);

    timer_start(t, PERIOD_MS, on_due);
    if (s->is_running)
        return;
    s->is_running = true;
    flow_start(&s->flow, steps, s, on_end);
}

void search_feed_start(struct search_feed *s)
{
    timer_start(&s->timer, PERIOD_MS, on_due);
}

void search_feed_stop(struct search_feed *s)
{
    timer_stop(&s->timer);
}
