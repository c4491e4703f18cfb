/* A connection that only listens: LISTEN, and what comes. It is asked something now and then, since
 * one whose other end is gone without a word looks like one that has nothing to say. */
#include "db/pg.h"

#include "base/log.h"
#include "config/config.h"

#include <stdio.h>
#include <stdlib.h>

#define ASK_MS 5000

enum ear_state {
    EAR_DOWN,       /* the timer will try again */
    EAR_CONNECTING, /* PQconnectPoll() goes on */
    EAR_ASKING,     /* LISTEN is under way: the first word of the server decides */
    EAR_LISTENING,
};

struct pg_ear {
    struct pg_watch watch;
    struct db_ear *who;
    const char *channel;
    enum ear_state state;
    PGconn *pg;
    struct timer timer; /* DOWN: the next try; CONNECTING, ASKING: giving up; LISTENING: asking,
                           then giving up */
    unsigned backoff_ms;
    bool is_asked, was_down;
};

static void dial(struct pg_ear *e);

static void on_retry(struct timer *t)
{
    dial(container_of(t, struct pg_ear, timer));
}

static void drop(struct pg_ear *e)
{
    pg_watch_close(&e->watch);
    PQfinish(e->pg);
    e->pg = NULL;
    timer_stop(&e->timer);
}

static void lose(struct pg_ear *e, const char *why)
{
    bool was_listening = e->state == EAR_LISTENING;

    if (!e->was_down) {
        struct str words = str_trim(str_from(why ? why : PQerrorMessage(e->pg)));

        log_warn("pg: the connection that listens is lost: %.*s", STR_ARG(words));
        e->was_down = true;
    }
    drop(e);
    e->state = EAR_DOWN;
    timer_start(&e->timer, pg_pause_ms(&e->backoff_ms), on_retry);
    if (was_listening)
        e->who->on_change(e->who, false);
}

static void on_late(struct timer *t)
{
    struct pg_ear *e = container_of(t, struct pg_ear, timer);

    if (e->state == EAR_CONNECTING)
        pg_watch_pass_over(&e->watch, e->pg);
    lose(e, "no answer in time");
}

/* ---- asking ---- */

static void ask(struct pg_ear *e, const char *sql)
{
    e->is_asked = true;
    timer_start(&e->timer, config()->database.statement_ms, on_late);
    if (PQsendQuery(e->pg, sql) != 1 || !pg_watch_flush(&e->watch, e->pg))
        lose(e, NULL);
}

static void on_ask(struct timer *t)
{
    ask(container_of(t, struct pg_ear, timer), "SELECT 1");
}

static void listen_to(struct pg_ear *e)
{
    char sql[80];

    e->state = EAR_ASKING;
    snprintf(sql, sizeof(sql), "LISTEN %s", e->channel);
    ask(e, sql);
}

static void on_answer(struct pg_ear *e)
{
    e->is_asked = false;
    timer_start(&e->timer, ASK_MS, on_ask);
    if (e->state == EAR_LISTENING)
        return;
    e->state = EAR_LISTENING;
    e->backoff_ms = 0;
    if (e->was_down)
        log_info("pg: the connection that listens is back");
    e->was_down = false;
    e->who->on_change(e->who, true);
}

/* ---- hearing ---- */

/* False: the connection is of no use. */
static bool take_answers(struct pg_ear *e)
{
    bool is_well = true;

    while (e->is_asked && !PQisBusy(e->pg)) {
        PGresult *res = PQgetResult(e->pg);
        const ExecStatusType status = PQresultStatus(res);

        if (!res) {
            if (is_well)
                on_answer(e);
            break;
        }
        is_well = is_well && (status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK);
        PQclear(res);
    }
    return is_well;
}

/* The ear's owner may close it while it hears: false. */
static bool take_words(struct pg_ear *e, const struct pg_loop *pl)
{
    PGnotify *word;

    while (pl->ear == e && (word = PQnotifies(e->pg))) {
        e->who->on_word(e->who, str_from(word->extra));
        PQfreemem(word);
    }
    return pl->ear == e;
}

static void on_ready(struct pg_watch *w, int status, int events)
{
    struct pg_ear *e = container_of(w, struct pg_ear, watch);
    const struct pg_loop *pl = w->owner;
    bool is_alive;

    if (e->state == EAR_CONNECTING) {
        switch (pg_watch_connect(w, e->pg)) {
        case PG_STEP_GOING:
            return;
        case PG_STEP_DONE:
            listen_to(e);
            return;
        case PG_STEP_FAILED:
            lose(e, NULL);
            return;
        }
    }
    is_alive = status == 0 && (!(events & UV_READABLE) || PQconsumeInput(e->pg) == 1);
    is_alive = take_answers(e) && is_alive;
    if (!take_words(e, pl))
        return;
    if (!is_alive || PQstatus(e->pg) == CONNECTION_BAD || !pg_watch_flush(w, e->pg))
        lose(e, NULL);
}

/* ---- its life ---- */

static void dial(struct pg_ear *e)
{
    e->state = EAR_CONNECTING;
    timer_start(&e->timer, config()->database.connect_ms, on_late);
    e->pg = pg_watch_dial(&e->watch);
    if (!e->pg || PQstatus(e->pg) == CONNECTION_BAD)
        lose(e, e->pg ? NULL : "out of memory");
}

struct error pg_ear_open(struct db_loop *dl, struct db_ear *ear, const char *channel)
{
    struct pg_loop *pl = dl->state;
    struct pg_ear *e = calloc(1, sizeof(*e));

    if (!e)
        return ERROR(ERR_NO_MEMORY, 0, NULL);
    e->who = ear;
    e->channel = channel;
    e->watch = (struct pg_watch){.owner = pl, .on_ready = on_ready};
    pl->ear = e;
    dial(e);
    return NO_ERROR;
}

void pg_ear_move(struct pg_loop *pl)
{
    if (pl->ear && pl->ear->state != EAR_DOWN)
        lose(pl->ear, "its server takes no writes any more");
}

void pg_ear_close(struct pg_loop *pl)
{
    struct pg_ear *e = pl->ear;

    if (!e)
        return;
    pl->ear = NULL;
    drop(e);
    free(e);
}
