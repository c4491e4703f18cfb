/* The life of one connection: connecting without blocking, being lost, coming back with a growing
 * pause. */
#include "db/pg.h"

#include "base/log.h"
#include "config/config.h"

/* A server that only reads lets itself be connected to at once: not again and again. */
#define ROLE_PAUSE_MS 500

static void connect_start(struct pg_conn *c);

static const char *state_name(enum pg_state state)
{
    switch (state) {
    case PG_DOWN:
        return "down";
    case PG_CONNECTING:
        return "connecting";
    case PG_PREPARING:
        return "preparing";
    case PG_READY:
        return "ready";
    case PG_CLOSED:
        return "closed";
    }
    return "";
}

static const char *use_name(enum sql_use use)
{
    switch (use) {
    case SQL_READ:
        return "reads";
    case SQL_WRITE:
        return "writes";
    case SQL_SLOW:
        return "slow reads";
    case SQL_NODE:
        return "the sign of life";
    }
    return "";
}

void pg_conn_set_state(struct pg_conn *c, enum pg_state state)
{
    log_trace("pg: %s: %s -> %s", use_name(c->use), state_name(c->state), state_name(state));
    c->state = state;
}

void pg_conn_watch(struct pg_conn *c)
{
    if (!pg_watch_flush(&c->watch, c->pg))
        pg_conn_lost(c, PG_LOST_CONNECTION);
}

/* ---- connecting ---- */
static void on_retry(struct timer *timer)
{
    connect_start(container_of(timer, struct pg_conn, timer));
}

static void on_connect_late(struct timer *timer)
{
    struct pg_conn *c = container_of(timer, struct pg_conn, timer);

    pg_watch_pass_over(&c->watch, c->pg);
    pg_conn_lost(c, PG_LOST_LATE);
}

static void connect_step(struct pg_conn *c)
{
    switch (pg_watch_connect(&c->watch, c->pg)) {
    case PG_STEP_GOING:
        break;
    case PG_STEP_DONE:
        pg_conn_set_state(c, PG_PREPARING);
        if (PQenterPipelineMode(c->pg) == 1 && pg_pipeline_prepare(c)) {
            if (c->pg)
                pg_conn_watch(c);
        } else {
            pg_conn_lost(c, PG_LOST_CONNECTION);
        }
        break;
    case PG_STEP_FAILED:
        pg_conn_lost(c, PG_LOST_CONNECTION);
        break;
    }
}

static void connect_start(struct pg_conn *c)
{
    pg_conn_set_state(c, PG_CONNECTING);
    timer_start(&c->timer, config()->database.connect_ms, on_connect_late);
    c->pg = pg_watch_dial(&c->watch);
    if (!c->pg || PQstatus(c->pg) == CONNECTION_BAD)
        pg_conn_lost(c, PG_LOST_CONNECTION);
}

void pg_conn_ready(struct pg_conn *c)
{
    pg_conn_set_state(c, PG_READY);
    timer_stop(&c->timer);
    c->backoff_ms = 0;
    if (c->was_down)
        log_info("pg: the connection for %s is back", use_name(c->use));
    c->was_down = false;
    pg_pipeline_send(c);
}

/* ---- running ---- */
static void on_ready(struct pg_watch *w, int status, int events)
{
    struct pg_conn *c = container_of(w, struct pg_conn, watch);
    const struct pg_poll *poll = w->poll;
    bool is_alive;

    if (c->state == PG_CONNECTING) {
        connect_step(c);
        return;
    }
    is_alive = status == 0 && (!(events & UV_READABLE) || PQconsumeInput(c->pg) == 1);
    /* What had come before the end counts. */
    pg_pipeline_receive(c);
    /* cppcheck-suppress knownConditionTrueFalse ; what was received may have ended the connection
     */
    if (w->poll != poll)
        return;
    if (!is_alive || PQstatus(c->pg) == CONNECTION_BAD)
        pg_conn_lost(c, PG_LOST_CONNECTION);
    else
        pg_conn_watch(c);
}

static void drop(struct pg_conn *c)
{
    pg_watch_close(&c->watch);
    PQfinish(c->pg);
    c->pg = NULL;
    timer_stop(&c->timer);
    loop_unmark_dirty(&c->flush);
}

static const char *words_of(const struct pg_conn *c, enum pg_lost why)
{
    switch (why) {
    case PG_LOST_CONNECTION:
        return c->pg ? PQerrorMessage(c->pg) : "out of memory";
    case PG_LOST_LATE:
        return "no answer in time";
    case PG_LOST_ROLE:
        return "its server takes no writes any more";
    }
    return "";
}

void pg_conn_lost(struct pg_conn *c, enum pg_lost why)
{
    const bool was_made = c->state == PG_READY && why != PG_LOST_ROLE;

    if (c->state == PG_CLOSED || c->state == PG_DOWN)
        return;
    if (!c->was_down) {
        struct str words = str_trim(str_from(words_of(c, why)));

        log_warn("pg: the connection for %s is lost while %s: %.*s", use_name(c->use),
                 state_name(c->state), STR_ARG(words));
        c->was_down = true;
    }
    drop(c);
    if (why == PG_LOST_ROLE && c->backoff_ms < ROLE_PAUSE_MS)
        c->backoff_ms = ROLE_PAUSE_MS;
    if (!was_made)
        pg_names_look(c->owner);
    pg_conn_set_state(c, PG_DOWN);
    timer_start(&c->timer, pg_pause_ms(&c->backoff_ms), on_retry);
    pg_pipeline_settle(c, why);
}

void pg_conn_start(struct pg_conn *c, struct pg_loop *owner, enum sql_use use)
{
    c->owner = owner;
    c->use = use;
    c->watch = (struct pg_watch){.owner = owner, .on_ready = on_ready};
    list_init(&c->alone);
    connect_start(c);
}

void pg_conn_close(struct pg_conn *c)
{
    drop(c);
    pg_conn_set_state(c, PG_CLOSED);
}
