/* The hosts' names, looked up again. A cluster that fails over may say so in its name alone: then
 * the addresses that were found at the start lead to a server that is gone, or takes no writes. */
#include "db/pg.h"

#include "base/log.h"

#include <stdlib.h>

#define PAUSE_MS 1000

const struct pg_params *pg_names_now(const struct pg_loop *pl)
{
    return pl->lookup.found ? pl->lookup.found : &pl->pg->params;
}

static void drop(struct pg_params *p)
{
    if (p)
        pg_params_deinit(p);
    free(p);
}

/* On a thread of pg->names. */
static void run(struct work *w)
{
    struct pg_lookup *l = container_of(w, struct pg_lookup, work);

    l->next = calloc(1, sizeof(*l->next));
    if (l->next && is_error(pg_params_init(l->next, l->pg->url))) {
        free(l->next);
        l->next = NULL;
    }
}

static bool is_same(const struct pg_params *a, const struct pg_params *b)
{
    bool is_same = a->n_hosts == b->n_hosts;

    for (size_t i = 0; i < a->n_hosts && is_same; i++)
        is_same = str_eq(a->hosts[i].address, b->hosts[i].address);
    return is_same;
}

static void on_done(struct work *w)
{
    struct pg_lookup *l = container_of(w, struct pg_lookup, work);
    struct pg_loop *pl = container_of(l, struct pg_loop, lookup);

    l->is_running = false;
    if (l->next && !is_same(l->next, pg_names_now(pl))) {
        log_info("pg: the database's names lead to other addresses now: %s",
                 l->next->hosts[0].addresses);
        drop(l->found);
        l->found = l->next;
        l->next = NULL;
    }
    drop(l->next);
    l->next = NULL;
    pl->n_polls--;
    pg_loop_leave(pl); /* may free pl */
}

void pg_names_look(struct pg_loop *pl)
{
    struct pg_lookup *l = &pl->lookup;
    uint64_t now_ms = loop_now_ms(pl->dl->loop);

    if (!pl->pg->names || l->is_running || pl->is_leaving ||
        (l->begun_ms != 0 && now_ms - l->begun_ms < PAUSE_MS))
        return;
    l->begun_ms = now_ms;
    l->pg = pl->pg;
    l->is_running = workers_submit(pl->pg->names, &l->work, run, on_done);
    pl->n_polls += l->is_running;
}

void pg_names_deinit(struct pg_loop *pl)
{
    drop(pl->lookup.found);
}
