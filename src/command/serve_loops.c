/* See serve_loops.h. Each loop opens its own part of every room, and closes it in the opposite
 * order. */
#include "serve_loops.h"

#include "account/account.h"
#include "base/log.h"
#include "chat/turn.h"
#include "cluster/cluster.h"
#include "config/config.h"
#include "db/db.h"
#include "http/http.h"
#include "loop/loop.h"
#include "serve_rooms.h"
#include "trace/span.h"
#include "upstream/upstream.h"
#include "webhook/webhook.h"

#include <stdlib.h>

struct serve_loop {
    struct loop loop;
    struct serve_loops *all;
    uv_thread_t thread;
    struct error err; /* of the start */
    struct mail accept_mail, drain_mail, hurry_mail, drain_peers_mail, close_mail;
    struct timer drain_timer;
    unsigned n_attached; /* parts */
    unsigned n_draining; /* the chats, the clients, the peers */
    bool are_chats_draining, is_loop_there;
};

/* ---- one loop: what opens, in order ---- */

static struct error attach_trace(struct serve_loop *sl)
{
    return trace_attach(&sl->loop) ? NO_ERROR : ERROR(ERR_NO_MEMORY, 0, NULL);
}

static struct error attach_db(struct serve_loop *sl)
{
    return db_attach(sl->all->rooms->db, &sl->loop);
}

static struct error attach_upstream(struct serve_loop *sl)
{
    return upstream_attach(&sl->loop);
}

static struct error attach_cluster(struct serve_loop *sl)
{
    return cluster_attach(&sl->loop);
}

static struct error attach_webhook(struct serve_loop *sl)
{
    return webhook_attach(&sl->loop);
}

static struct error attach_account(struct serve_loop *sl)
{
    return account_attach(&sl->loop);
}

static struct error attach_chat(struct serve_loop *sl)
{
    return chat_attach(&sl->loop);
}

static struct error attach_http(struct serve_loop *sl)
{
    return http_attach(sl->all->rooms->http, &sl->loop);
}

static void close_next(struct loop *l);

/* Chat and http were drained together before the closing began: answers that stream end with their
 * turns. */
static void detach_http(struct serve_loop *sl)
{
    close_next(&sl->loop);
}

static void detach_chat(struct serve_loop *sl)
{
    chat_detach(&sl->loop);
    close_next(&sl->loop);
}

static void detach_account(struct serve_loop *sl)
{
    account_detach(&sl->loop, close_next);
}

static void detach_cluster(struct serve_loop *sl)
{
    cluster_detach(&sl->loop, close_next);
}

static void detach_webhook(struct serve_loop *sl)
{
    webhook_detach(&sl->loop, close_next);
}

static void detach_upstream(struct serve_loop *sl)
{
    upstream_detach(&sl->loop, close_next);
}

static void detach_db(struct serve_loop *sl)
{
    db_detach(&sl->loop, close_next);
}

static void detach_trace(struct serve_loop *sl)
{
    trace_detach(&sl->loop);
    close_next(&sl->loop);
}

/* Closed from the last that was attached to the first. */
static const struct part {
    struct error (*attach)(struct serve_loop *sl);
    void (*detach)(struct serve_loop *sl);
} parts[] = {
    {attach_trace, detach_trace},       {attach_db, detach_db},
    {attach_upstream, detach_upstream}, {attach_cluster, detach_cluster},
    {attach_webhook, detach_webhook},   {attach_account, detach_account},
    {attach_chat, detach_chat},         {attach_http, detach_http},
};
#define N_PARTS (sizeof(parts) / sizeof(parts[0]))

static void on_close_mail(struct mail *m)
{
    struct serve_loop *sl = container_of(m, struct serve_loop, close_mail);

    if (sl->n_attached == 0)
        loop_close(&sl->loop);
    else
        parts[--sl->n_attached].detach(sl);
}

/* By letter: a part tells of its end from within its last callback, and that of a part which is
 * closed later may be below it on the stack. */
static void close_next(struct loop *l)
{
    struct serve_loop *sl = container_of(l, struct serve_loop, loop);

    sl->close_mail.run = on_close_mail;
    (void)loop_post(l, &sl->close_mail);
}

static void on_part_drained(struct loop *l)
{
    struct serve_loop *sl = container_of(l, struct serve_loop, loop);

    if (--sl->n_draining > 0)
        return;
    timer_stop(&sl->drain_timer);
    close_next(l);
}

static void on_drain_peers(struct mail *m)
{
    http_drain_peers(&container_of(m, struct serve_loop, drain_peers_mail)->loop, on_part_drained);
}

/* To each loop that serves. */
static void post_all(struct serve_loops *all, size_t mail_offset, void (*run)(struct mail *m))
{
    for (unsigned i = 0; i < all->n; i++) {
        struct serve_loop *sl = &all->loops[i];
        struct mail *m = (struct mail *)((char *)sl + mail_offset);

        m->run = run;
        if (!is_error(sl->err))
            (void)loop_post(&sl->loop, m);
    }
}
#define POST_ALL(all, mail, run) post_all(all, offsetof(struct serve_loop, mail), run)

/* Peers may ask any loop for any turn: all serve them until the last turn has ended. */
static void on_chats_drained(struct loop *l)
{
    struct serve_loops *all = container_of(l, struct serve_loop, loop)->all;

    if (atomic_fetch_sub(&all->n_with_turns, 1) == 1)
        POST_ALL(all, drain_peers_mail, on_drain_peers);
    on_part_drained(l);
}

static void drain_chats(struct serve_loop *sl)
{
    if (sl->are_chats_draining)
        return;
    sl->are_chats_draining = true;
    chat_drain(&sl->loop, on_chats_drained);
}

static void on_clients_left(struct loop *l)
{
    drain_chats(container_of(l, struct serve_loop, loop));
    on_part_drained(l);
}

/* Whoever has not read how it ended by now is cut. */
static void on_cut(struct timer *t)
{
    struct serve_loop *sl = container_of(t, struct serve_loop, drain_timer);

    http_abort(&sl->loop);
}

/* Running turns are stored as interrupted, and their readers are told. */
static void on_drain_over(struct timer *t)
{
    struct serve_loop *sl = container_of(t, struct serve_loop, drain_timer);

    log_warn("serve: loop %u did not drain in time: ending what is left", sl->loop.index);
    timer_start(t, SERVE_CUT_AFTER_MS, on_cut);
    drain_chats(sl);
    chat_abort(&sl->loop);
}

/* Of what a client sent before its connection ended, a message too is taken, when there is time for
 * its reply. */
static void on_drain(struct mail *m)
{
    struct serve_loop *sl = container_of(m, struct serve_loop, drain_mail);

    sl->n_draining = 3;
    timer_start(&sl->drain_timer, sl->all->drain_s * 1000, on_drain_over);
    cluster_drain(&sl->loop);
    if (!sl->all->keeps_taking)
        drain_chats(sl);
    http_drain(&sl->loop, sl->all->keeps_taking ? on_clients_left : on_part_drained);
}

/* There is less time than was thought. */
static void on_hurry(struct mail *m)
{
    struct serve_loop *sl = container_of(m, struct serve_loop, hurry_mail);

    if (sl->n_draining > 0 && sl->drain_timer.run == on_drain_over)
        timer_start(&sl->drain_timer, config()->server.drain_seconds * 1000, on_drain_over);
}

static void on_accept(struct mail *m)
{
    http_accept(&container_of(m, struct serve_loop, accept_mail)->loop);
}

static void attach_parts(struct serve_loop *sl)
{
    while (sl->n_attached < N_PARTS && !is_error(sl->err)) {
        sl->err = parts[sl->n_attached].attach(sl);
        if (!is_error(sl->err))
            sl->n_attached++;
    }
    if (is_error(sl->err))
        close_next(&sl->loop);
}

static void loop_main(void *arg)
{
    struct serve_loop *sl = arg;
    struct serve_loops *all = sl->all;

    sl->err = loop_init(&sl->loop, (unsigned)(sl - all->loops));
    sl->is_loop_there = !is_error(sl->err);
    if (sl->is_loop_there) {
        attach_parts(sl);
        sem_post(&all->ready);
        loop_run(&sl->loop);
    } else {
        sem_post(&all->ready);
    }
    if (atomic_fetch_sub(&all->n_running, 1) == 1)
        pthread_kill(all->main_thread, SERVE_LOOPS_ENDED);
}

/* ---- all of them ---- */

/* One after the other, as the first settles the port. Every loop listens, or the first error of one
 * that could not. */
struct error serve_loops_start(struct serve_loops *all, const struct serve_rooms *rooms)
{
    struct error err = NO_ERROR;

    all->rooms = rooms;
    all->main_thread = pthread_self();
    sem_init(&all->ready, 0, 0);
    all->loops = calloc(rooms->n_loops, sizeof(all->loops[0]));
    if (!all->loops)
        return ERROR(ERR_NO_MEMORY, 0, "no memory for the loops");
    while (all->n < rooms->n_loops && !is_error(err)) {
        struct serve_loop *sl = &all->loops[all->n];

        sl->all = all;
        atomic_fetch_add(&all->n_running, 1);
        if (uv_thread_create(&sl->thread, loop_main, sl) != 0) {
            atomic_fetch_sub(&all->n_running, 1);
            return ERROR(ERR_NO_MEMORY, 0, "a thread could not be started");
        }
        all->n++;
        while (sem_wait(&all->ready) != 0)
            continue;
        err = sl->err;
    }
    return err;
}

void serve_loops_drain(struct serve_loops *all, uint64_t drain_s, bool keeps_taking)
{
    all->keeps_taking = keeps_taking;
    all->drain_s = drain_s;
    for (unsigned i = 0; i < all->n; i++)
        if (!is_error(all->loops[i].err))
            atomic_fetch_add(&all->n_with_turns, 1);
    POST_ALL(all, drain_mail, on_drain);
}

void serve_loops_accept(struct serve_loops *all)
{
    POST_ALL(all, accept_mail, on_accept);
}

void serve_loops_hurry(struct serve_loops *all)
{
    POST_ALL(all, hurry_mail, on_hurry);
}

bool serve_loops_run(struct serve_loops *all)
{
    return atomic_load(&all->n_running) > 0;
}

void serve_loops_join(struct serve_loops *all)
{
    for (unsigned i = 0; i < all->n; i++)
        uv_thread_join(&all->loops[i].thread);
    /* Together: one that runs may still post to one that has ended. */
    for (unsigned i = 0; i < all->n; i++)
        if (all->loops[i].is_loop_there)
            loop_deinit(&all->loops[i].loop);
    free(all->loops);
    if (all->rooms)
        sem_destroy(&all->ready);
}
