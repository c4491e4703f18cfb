/* The sockets of connections to PostgreSQL on their loop: made without blocking, watched, given
 * back. */
#include "db/pg.h"

#include "base/crypto.h"
#include "base/log.h"

#include <stdlib.h>

#define BACKOFF_FIRST_MS 50
#define BACKOFF_LAST_MS  2000

struct pg_poll {
    uv_poll_t handle;
    struct pg_watch *watch; /* NULL: closing */
    struct pg_loop *owner;
    int fd;
    int events; /* watched for; 0: stopped */
};

static void on_poll_closed(uv_handle_t *handle)
{
    struct pg_poll *poll = container_of((uv_poll_t *)handle, struct pg_poll, handle);
    struct pg_loop *owner = poll->owner;

    free(poll);
    owner->n_polls--;
    pg_loop_leave(owner);
}

void pg_watch_close(struct pg_watch *w)
{
    if (!w->poll)
        return;
    w->poll->watch = NULL;
    uv_close((uv_handle_t *)&w->poll->handle, on_poll_closed);
    w->poll = NULL;
}

static void on_poll(uv_poll_t *handle, int status, int events)
{
    struct pg_watch *w = container_of(handle, struct pg_poll, handle)->watch;

    if (w)
        w->on_ready(w, status, events);
}

static bool set(struct pg_watch *w, PGconn *pg, int events)
{
    const int fd = PQsocket(pg);

    if (fd < 0)
        return false;
    if (w->poll && w->poll->fd != fd)
        pg_watch_close(w);
    if (!w->poll) {
        struct pg_poll *poll = calloc(1, sizeof(*poll));

        if (!poll)
            return false;
        if (uv_poll_init(&w->owner->dl->loop->uv, &poll->handle, fd) != 0) {
            free(poll);
            return false;
        }
        poll->watch = w;
        poll->owner = w->owner;
        poll->fd = fd;
        w->owner->n_polls++;
        w->poll = poll;
    }
    /* Starting it again would take the socket out of the kernel's set and put it back. */
    if (w->poll->events == events)
        return true;
    w->poll->events = events;
    return uv_poll_start(&w->poll->handle, events, on_poll) == 0;
}

bool pg_watch_flush(struct pg_watch *w, PGconn *pg)
{
    const int pending = PQflush(pg);

    return pending >= 0 && set(w, pg, pending > 0 ? UV_READABLE | UV_WRITABLE : UV_READABLE);
}

static void on_notice(void *state, const char *message)
{
    struct str words = str_trim(str_from(message));

    (void)state;
    log_debug("pg: %.*s", STR_ARG(words));
}

PGconn *pg_watch_dial(struct pg_watch *w)
{
    PGconn *pg = pg_params_dial(pg_names_now(w->owner), w->first_host);

    if (!pg || PQstatus(pg) == CONNECTION_BAD)
        return pg;
    PQsetNoticeProcessor(pg, on_notice, NULL);
    if (set(w, pg, UV_WRITABLE))
        return pg;
    PQfinish(pg);
    return NULL;
}

/* libpq may close the socket and open another with the same number, so the kernel is asked anew
 * after each step. */
enum pg_step pg_watch_connect(struct pg_watch *w, PGconn *pg)
{
    PostgresPollingStatusType step;

    if (w->poll) {
        uv_poll_stop(&w->poll->handle);
        w->poll->events = 0;
    }
    step = PQconnectPoll(pg);
    switch (step) {
    case PGRES_POLLING_READING:
    case PGRES_POLLING_WRITING:
        return set(w, pg, step == PGRES_POLLING_READING ? UV_READABLE : UV_WRITABLE)
                   ? PG_STEP_GOING
                   : PG_STEP_FAILED;
    case PGRES_POLLING_OK:
        return PQsetnonblocking(pg, 1) == 0 ? PG_STEP_DONE : PG_STEP_FAILED;
    case PGRES_POLLING_FAILED:
    case PGRES_POLLING_ACTIVE:
        break;
    }
    return PG_STEP_FAILED;
}

void pg_watch_pass_over(struct pg_watch *w, const PGconn *pg)
{
    w->first_host = pg_params_behind(pg_names_now(w->owner), pg);
}

unsigned pg_pause_ms(unsigned *backoff_ms)
{
    unsigned char random;

    crypto_random(&random, 1);
    *backoff_ms = *backoff_ms ? *backoff_ms * 2 : BACKOFF_FIRST_MS;
    if (*backoff_ms > BACKOFF_LAST_MS)
        *backoff_ms = BACKOFF_LAST_MS;
    /* Many loops on many nodes lost it at the same moment. */
    return *backoff_ms / 2 + *backoff_ms * random / 512;
}
