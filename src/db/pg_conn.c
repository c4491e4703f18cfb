/* The life of one connection: connecting without blocking, being lost, coming back with a growing
 * pause. */
#include "db/pg.h"

#include "base/crypto.h"
#include "base/log.h"
#include "config/config.h"

#include <stdlib.h>

#define BACKOFF_FIRST_MS 50
#define BACKOFF_LAST_MS  2000

struct pg_poll {
    uv_poll_t handle;
    struct pg_conn *conn; /* NULL: closing */
    struct pg_loop *owner;
    int fd;
    int events; /* watched for; 0: stopped */
};

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
    }
    return "";
}

void pg_conn_set_state(struct pg_conn *c, enum pg_state state)
{
    log_trace("pg: %s: %s -> %s", use_name(c->use), state_name(c->state), state_name(state));
    c->state = state;
}

/* ---- the socket ---- */
void pg_loop_leave(struct pg_loop *pl)
{
    struct db_loop *dl = pl->dl;

    if (!pl->is_leaving || pl->n_polls > 0)
        return;
    dl->state = NULL;
    for (size_t i = 0; i < 3; i++)
        fair_deinit(&pl->conns[i].waiting);
    free(pl);
    db_loop_closed(dl);
}

static void on_poll_closed(uv_handle_t *handle)
{
    struct pg_poll *poll = container_of((uv_poll_t *)handle, struct pg_poll, handle);
    struct pg_loop *owner = poll->owner;

    free(poll);
    owner->n_polls--;
    pg_loop_leave(owner);
}

static void poll_close(struct pg_conn *c)
{
    if (!c->poll)
        return;
    c->poll->conn = NULL;
    uv_close((uv_handle_t *)&c->poll->handle, on_poll_closed);
    c->poll = NULL;
}

static void on_poll(uv_poll_t *handle, int status, int events);

static bool poll_set(struct pg_conn *c, int events)
{
    const int fd = PQsocket(c->pg);

    if (fd < 0)
        return false;
    if (c->poll && c->poll->fd != fd)
        poll_close(c);
    if (!c->poll) {
        struct pg_poll *poll = calloc(1, sizeof(*poll));

        if (!poll)
            return false;
        if (uv_poll_init(&c->owner->dl->loop->uv, &poll->handle, fd) != 0) {
            free(poll);
            return false;
        }
        poll->conn = c;
        poll->owner = c->owner;
        poll->fd = fd;
        c->owner->n_polls++;
        c->poll = poll;
    }
    /* Starting it again would take the socket out of the kernel's set and put it back. */
    if (c->poll->events == events)
        return true;
    c->poll->events = events;
    return uv_poll_start(&c->poll->handle, events, on_poll) == 0;
}

void pg_conn_watch(struct pg_conn *c)
{
    const int pending = PQflush(c->pg);

    if (pending < 0 || !poll_set(c, pending > 0 ? UV_READABLE | UV_WRITABLE : UV_READABLE))
        pg_conn_lost(c, PG_LOST_CONNECTION);
}

/* ---- connecting ---- */
static void on_retry(struct timer *timer)
{
    connect_start(container_of(timer, struct pg_conn, timer));
}

static void on_connect_late(struct timer *timer)
{
    pg_conn_lost(container_of(timer, struct pg_conn, timer), PG_LOST_LATE);
}

static void on_notice(void *state, const char *message)
{
    struct str words = str_trim(str_from(message));

    (void)state;
    log_debug("pg: %.*s", STR_ARG(words));
}

/* libpq may close the socket and open another with the same number, so the kernel is asked anew
 * after each step. */
static void connect_step(struct pg_conn *c)
{
    PostgresPollingStatusType step;

    /* It may go on with another socket, under the same number. */
    if (c->poll) {
        uv_poll_stop(&c->poll->handle);
        c->poll->events = 0;
    }
    step = PQconnectPoll(c->pg);
    switch (step) {
    case PGRES_POLLING_READING:
    case PGRES_POLLING_WRITING:
        if (!poll_set(c, step == PGRES_POLLING_READING ? UV_READABLE : UV_WRITABLE))
            pg_conn_lost(c, PG_LOST_CONNECTION);
        break;
    case PGRES_POLLING_OK:
        pg_conn_set_state(c, PG_PREPARING);
        if (PQsetnonblocking(c->pg, 1) == 0 && PQenterPipelineMode(c->pg) == 1 &&
            pg_pipeline_prepare(c)) {
            if (c->pg)
                pg_conn_watch(c);
        } else {
            pg_conn_lost(c, PG_LOST_CONNECTION);
        }
        break;
    case PGRES_POLLING_FAILED:
    case PGRES_POLLING_ACTIVE:
        pg_conn_lost(c, PG_LOST_CONNECTION);
        break;
    }
}

static void connect_start(struct pg_conn *c)
{
    const struct pg_params *p = &c->owner->pg->params;

    pg_conn_set_state(c, PG_CONNECTING);
    timer_start(&c->timer, config()->database.connect_ms, on_connect_late);
    c->pg = PQconnectStartParams(p->keywords, p->values, 0);
    if (!c->pg || PQstatus(c->pg) == CONNECTION_BAD || !poll_set(c, UV_WRITABLE)) {
        pg_conn_lost(c, PG_LOST_CONNECTION);
        return;
    }
    PQsetNoticeProcessor(c->pg, on_notice, NULL);
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
static void on_poll(uv_poll_t *handle, int status, int events)
{
    struct pg_poll *poll = container_of(handle, struct pg_poll, handle);
    struct pg_conn *c = poll->conn;
    bool is_alive;

    if (!c)
        return;
    if (c->state == PG_CONNECTING) {
        connect_step(c);
        return;
    }
    is_alive = status == 0 && (!(events & UV_READABLE) || PQconsumeInput(c->pg) == 1);
    /* What had come before the end counts. */
    pg_pipeline_receive(c);
    if (poll->conn != c)
        return;
    if (!is_alive || PQstatus(c->pg) == CONNECTION_BAD)
        pg_conn_lost(c, PG_LOST_CONNECTION);
    else
        pg_conn_watch(c);
}

static unsigned next_pause_ms(struct pg_conn *c)
{
    unsigned char random;

    crypto_random(&random, 1);
    c->backoff_ms = c->backoff_ms ? c->backoff_ms * 2 : BACKOFF_FIRST_MS;
    if (c->backoff_ms > BACKOFF_LAST_MS)
        c->backoff_ms = BACKOFF_LAST_MS;
    /* Many loops on many nodes lost it at the same moment. */
    return c->backoff_ms / 2 + c->backoff_ms * random / 512;
}

static void drop(struct pg_conn *c)
{
    poll_close(c);
    PQfinish(c->pg);
    c->pg = NULL;
    timer_stop(&c->timer);
    loop_unmark_dirty(&c->flush);
}

void pg_conn_lost(struct pg_conn *c, enum pg_lost why)
{
    if (c->state == PG_CLOSED || c->state == PG_DOWN)
        return;
    if (!c->was_down) {
        const char *said = c->pg ? PQerrorMessage(c->pg) : "out of memory";
        struct str words = str_trim(str_from(why == PG_LOST_LATE ? "no answer in time" : said));

        log_warn("pg: the connection for %s is lost while %s: %.*s", use_name(c->use),
                 state_name(c->state), STR_ARG(words));
        c->was_down = true;
    }
    drop(c);
    pg_conn_set_state(c, PG_DOWN);
    timer_start(&c->timer, next_pause_ms(c), on_retry);
    pg_pipeline_settle(c, why);
}

void pg_conn_start(struct pg_conn *c, struct pg_loop *owner, enum sql_use use)
{
    c->owner = owner;
    c->use = use;
    list_init(&c->alone);
    connect_start(c);
}

void pg_conn_close(struct pg_conn *c)
{
    drop(c);
    pg_conn_set_state(c, PG_CLOSED);
}
