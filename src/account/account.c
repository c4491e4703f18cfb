/* Opens the room, and keeps the first loop's watch over what other processes revoke. */
#include "account/account.h"

#include "account/key_cache.h"
#include "account/outbox.h"
#include "account/password.h"
#include "account/rate.h"
#include "account/revocation.h"
#include "account/token_cache.h"
#include "base/clock.h"
#include "base/log.h"
#include "chores.h"
#include "cluster/news.h"

#include <stdlib.h>

/* What is revoked elsewhere is asked for this often, and as soon as we are told of it. */
#define POLL_MS      500
#define POLL_TOLD_MS 5000
#define PAUSE_MS     20 /* between two polls, however many are told of */
/* A row's number is given before its commit, so a lower one may show up after a higher one: each
 * poll starts again from the last number that was seen this long ago, longer than any statement may
 * run. */
#define SETTLE_MS 15000
#define PAGE_ROWS 1000

/* The first loop's. */
struct watch {
    struct loop *loop;
    struct timer timer;
    struct flow flow;
    struct arena arena;
    struct db_query query;
    struct chores chores;
    struct outbox *outbox; /* NULL: no mail */
    struct news_reader news;
    int64_t pos; /* of the last row seen */
    int64_t settled,
        candidate; /* before settled nothing new can come; candidate is that in SETTLE_MS */
    uint64_t candidate_ms;
    bool is_running, is_page_full, is_told, is_stopping, was_failing;
    void (*on_detached)(struct loop *l);
};

/* Where the set loaded at start ends. Written before the loops run. */
static int64_t loaded_pos;

static void load_more(struct flow *f)
{
    struct watch *w = f->state;

    arena_free(&w->arena);
    db_query(&w->query, f, &w->arena, SQL_REVOKED_SINCE,
             DB_ARGS(db_int(w->pos), db_time(clock_wall_us())));
}

static void take_rows(struct flow *f)
{
    struct watch *w = f->state;

    w->is_page_full = w->query.result->n_rows == PAGE_ROWS;
    if (!revocation_add_rows(w->query.result, &w->pos))
        flow_fail(f, ERROR(ERR_NO_MEMORY, 0, NULL));
}

/* Nothing else that may wait, since until they end nothing new is read: that is in chores.h. */
static const struct step watch_steps[] = {
    STEP(load_more),
    STEP(take_rows),
    STEP_END,
};

static void watch_start(struct timer *t);

static void on_watch_end(struct flow *f)
{
    struct watch *w = f->state;
    uint64_t now_ms = loop_now_ms(w->loop);

    w->is_running = false;
    if (is_error(f->err) && !w->was_failing)
        log_warn("account: cannot read what is revoked, trying again");
    w->was_failing = is_error(f->err);
    arena_free(&w->arena);
    if (w->is_stopping) {
        void (*on_detached)(struct loop * l) = w->on_detached;
        struct loop *l = w->loop;

        l->rooms[ROOM_ACCOUNT] = NULL;
        free(w);
        on_detached(l);
        return;
    }
    if (!w->was_failing && w->is_page_full) {
        timer_start(&w->timer, 0, watch_start);
        return;
    }
    if (now_ms - w->candidate_ms >= SETTLE_MS) {
        w->settled = w->candidate;
        w->candidate = w->pos;
        w->candidate_ms = now_ms;
    }
    w->pos = w->settled;
    timer_start(&w->timer,
                w->is_told                                              ? PAUSE_MS
                : w->was_failing || !news_are_told(NEWS_REVOKED_TOKENS) ? POLL_MS
                                                                        : POLL_TOLD_MS,
                watch_start);
}

static void watch_start(struct timer *t)
{
    struct watch *w = container_of(t, struct watch, timer);

    w->is_running = true;
    w->is_told = false;
    w->query = (struct db_query){0};
    flow_start(&w->flow, watch_steps, w, on_watch_end);
}

/* Of tokens the rows are read; what is known of the team's keys is forgotten. */
static void on_news(struct news_reader *r, enum news news, const struct id *team_id)
{
    struct watch *w = container_of(r, struct watch, news);

    if (news == NEWS_BUDGETS || news == NEWS_WEBHOOKS)
        return;
    if (news != NEWS_REVOKED_TOKENS) {
        if (team_id)
            key_cache_forget_team(team_id);
        return;
    }
    w->is_told = true;
    if (!w->is_running)
        timer_start(&w->timer, PAUSE_MS, watch_start);
}

struct error account_attach(struct loop *l)
{
    struct watch *w;
    struct error err;

    if (l->index != 0)
        return NO_ERROR;
    w = calloc(1, sizeof(*w));
    if (!w)
        return ERROR(ERR_NO_MEMORY, 0, NULL);
    err = outbox_start(l, &w->outbox);
    if (is_error(err)) {
        free(w);
        return err;
    }
    w->loop = l;
    /* as if this page had been seen just now */
    w->pos = w->settled = loaded_pos > PAGE_ROWS ? loaded_pos - PAGE_ROWS : 0;
    w->candidate = loaded_pos;
    w->candidate_ms = loop_now_ms(l);
    l->rooms[ROOM_ACCOUNT] = w;
    timer_start(&w->timer, POLL_MS, watch_start);
    chores_start(&w->chores, l);
    news_read(&w->news, on_news);
    return NO_ERROR;
}

static void stop_watch(struct loop *l)
{
    struct watch *w = l->rooms[ROOM_ACCOUNT];
    void (*on_detached)(struct loop * l) = w->on_detached;

    w->is_stopping = true;
    if (w->is_running) { /* on_watch_end() goes on */
        flow_fail(&w->flow, ERROR(ERR_CANCELED, 0, NULL));
        return;
    }
    timer_stop(&w->timer);
    l->rooms[ROOM_ACCOUNT] = NULL;
    free(w);
    on_detached(l);
}

static void stop_chores(struct loop *l)
{
    struct watch *w = l->rooms[ROOM_ACCOUNT];

    chores_stop(&w->chores, stop_watch);
}

void account_detach(struct loop *l, void (*on_detached)(struct loop *l))
{
    struct watch *w = l->rooms[ROOM_ACCOUNT];

    if (!w) {
        on_detached(l);
        return;
    }
    w->on_detached = on_detached;
    news_leave(&w->news);
    if (w->outbox)
        outbox_stop(w->outbox, stop_chores);
    else
        stop_chores(l);
}

/* All pages of what is revoked now. */
static struct error load_all(struct db *db)
{
    struct db_result rows = {.n_rows = PAGE_ROWS};
    struct error err = NO_ERROR;

    loaded_pos = 0;
    while (!is_error(err) && rows.n_rows == PAGE_ROWS) {
        struct arena arena = {0};

        err = db_run(db, &arena, SQL_REVOKED_SINCE,
                     DB_ARGS(db_int(loaded_pos), db_time(clock_wall_us())), &rows);
        if (!is_error(err) && !revocation_add_rows(&rows, &loaded_pos))
            err = ERROR(ERR_NO_MEMORY, 0, NULL);
        arena_free(&arena);
    }
    return err;
}

struct error account_open(struct db *db)
{
    struct error err = rate_open();

    if (!is_error(err))
        err = revocation_open();
    if (!is_error(err))
        err = key_cache_open();
    if (!is_error(err))
        err = token_cache_open();
    if (!is_error(err))
        err = password_open();
    if (!is_error(err))
        err = outbox_open();
    if (!is_error(err))
        err = load_all(db);
    if (is_error(err))
        account_close();
    return err;
}

void account_close(void)
{
    outbox_close();
    password_close();
    token_cache_close();
    key_cache_close();
    revocation_close();
    rate_close();
}
