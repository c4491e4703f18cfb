/* A few threads behind one bounded queue. */
#include "loop/workers.h"

#include "base/log.h"
#include "base/metrics.h"

#include <assert.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

/* A tenth of a core's share beside one busy loop: a hash of 0.2 s then takes 2 s. At 19, or with
 * SCHED_IDLE, it would take 15 s and more, and whoever logs in would be gone. */
#define COMPUTING_NICE 10

struct workers {
    struct list link; /* in all */
    uv_mutex_t lock;
    uv_cond_t wake;
    struct list queue;
    size_t n_queued, max_queue;
    bool is_closing;
    enum work_kind kind;
    unsigned n_threads;
    char name[16];
    uv_thread_t threads[];
};

/* Opened and closed on the main thread, counted on any. */
static struct list all = {&all, &all};
static pthread_mutex_t all_lock = PTHREAD_MUTEX_INITIALIZER;

static void on_done_mail(struct mail *m)
{
    struct work *w = container_of(m, struct work, mail);

    w->done(w);
}

static void run_one(struct work *w)
{
    w->run(w);
    w->mail.run = on_done_mail;
    if (!loop_post(w->loop, &w->mail))
        log_error("workers: a loop closed before its work was done");
}

/* A thread has a priority of its own on Linux. SCHED_BATCH: it takes no core from whoever runs when
 * it awakes. Where the system refuses, nothing is lost but the courtesy. */
void workers_give_way(void)
{
    (void)pthread_setschedparam(pthread_self(), SCHED_BATCH, &(struct sched_param){0});
    (void)setpriority(PRIO_PROCESS, (id_t)gettid(), COMPUTING_NICE);
}

static void worker_main(void *arg)
{
    struct workers *ws = arg;

    pthread_setname_np(pthread_self(), ws->name);
    if (ws->kind == WORK_COMPUTES)
        workers_give_way();
    uv_mutex_lock(&ws->lock);
    for (;;) {
        struct list *link = list_pop(&ws->queue);

        if (link) {
            ws->n_queued--;
            uv_mutex_unlock(&ws->lock);
            run_one(container_of(link, struct work, link));
            uv_mutex_lock(&ws->lock);
        } else if (ws->is_closing) {
            break;
        } else {
            uv_cond_wait(&ws->wake, &ws->lock);
        }
    }
    uv_mutex_unlock(&ws->lock);
}

struct workers *workers_new(const char *name, enum work_kind kind, unsigned n_threads,
                            size_t max_queue)
{
    struct workers *ws = calloc(1, sizeof(*ws) + n_threads * sizeof(ws->threads[0]));

    if (!ws)
        return NULL;
    list_init(&ws->queue);
    ws->max_queue = max_queue;
    ws->kind = kind;
    for (size_t i = 0; i < sizeof(ws->name) - 1 && name[i]; i++)
        ws->name[i] = name[i];
    if (uv_mutex_init(&ws->lock) != 0) {
        free(ws);
        return NULL;
    }
    if (uv_cond_init(&ws->wake) != 0) {
        uv_mutex_destroy(&ws->lock);
        free(ws);
        return NULL;
    }
    pthread_mutex_lock(&all_lock);
    list_push(&all, &ws->link);
    pthread_mutex_unlock(&all_lock);
    while (ws->n_threads < n_threads) {
        if (uv_thread_create(&ws->threads[ws->n_threads], worker_main, ws) != 0) {
            workers_free(ws);
            return NULL;
        }
        ws->n_threads++;
    }
    return ws;
}

void workers_free(struct workers *ws)
{
    if (!ws)
        return;
    pthread_mutex_lock(&all_lock);
    list_remove(&ws->link);
    pthread_mutex_unlock(&all_lock);
    uv_mutex_lock(&ws->lock);
    ws->is_closing = true;
    uv_cond_broadcast(&ws->wake);
    uv_mutex_unlock(&ws->lock);
    for (unsigned i = 0; i < ws->n_threads; i++)
        uv_thread_join(&ws->threads[i]);
    uv_cond_destroy(&ws->wake);
    uv_mutex_destroy(&ws->lock);
    free(ws);
}

bool workers_submit(struct workers *ws, struct work *w, void (*run)(struct work *w),
                    void (*done)(struct work *w))
{
    bool is_taken;

    w->loop = loop_current();
    w->run = run;
    w->done = done;
    uv_mutex_lock(&ws->lock);
    is_taken = ws->n_queued < ws->max_queue;
    if (is_taken) {
        ws->n_queued++;
        list_push(&ws->queue, &w->link);
        uv_cond_signal(&ws->wake);
    }
    uv_mutex_unlock(&ws->lock);
    return is_taken;
}

bool workers_cancel(struct workers *ws, struct work *w)
{
    bool was_queued;

    uv_mutex_lock(&ws->lock);
    was_queued = list_is_linked(&w->link);
    if (was_queued) {
        list_remove(&w->link);
        ws->n_queued--;
    }
    uv_mutex_unlock(&ws->lock);
    return was_queued;
}

size_t workers_queued(struct workers *ws)
{
    size_t n;

    uv_mutex_lock(&ws->lock);
    n = ws->n_queued;
    uv_mutex_unlock(&ws->lock);
    return n;
}

void workers_metrics(struct buf *out)
{
    metrics_begin(out, "aerie_workers_queued", METRIC_GAUGE,
                  "Work that waits for one of a pool's threads.");
    pthread_mutex_lock(&all_lock);
    for (struct list *it = all.next; it != &all; it = it->next) {
        struct workers *ws = container_of(it, struct workers, link);
        char labels[32];

        snprintf(labels, sizeof(labels), "pool=\"%s\"", ws->name);
        metrics_sample(out, "aerie_workers_queued", labels, METRIC_COUNT, workers_queued(ws));
    }
    pthread_mutex_unlock(&all_lock);
}
