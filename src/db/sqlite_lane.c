/* The queue between loops and the threads that run SQLite. */
#include "db/sqlite.h"

void sqlite_lane_init(struct sqlite_lane *lane, size_t n_threads)
{
    uv_mutex_init(&lane->lock);
    uv_cond_init(&lane->cond);
    list_init(&lane->queue);
    lane->n_queued = 0;
    lane->n_threads = n_threads;
    lane->is_stopping = false;
}

void sqlite_lane_deinit(struct sqlite_lane *lane)
{
    uv_cond_destroy(&lane->cond);
    uv_mutex_destroy(&lane->lock);
}

void sqlite_lane_push(struct sqlite_lane *lane, struct list *tasks)
{
    size_t n = 0;

    for (struct list *it = tasks->next; it != tasks; it = it->next)
        n++;
    if (n == 0)
        return;
    uv_mutex_lock(&lane->lock);
    list_splice(&lane->queue, tasks);
    lane->n_queued += n;
    uv_mutex_unlock(&lane->lock);
    /* Not sooner: a thread that wakes must not find the lock taken, and sleep again. */
    if (n == 1)
        uv_cond_signal(&lane->cond);
    else
        uv_cond_broadcast(&lane->cond);
}

void sqlite_lane_stop(struct sqlite_lane *lane)
{
    uv_mutex_lock(&lane->lock);
    lane->is_stopping = true;
    uv_cond_broadcast(&lane->cond);
    uv_mutex_unlock(&lane->lock);
}

/* A task that its loop took back meanwhile only goes home. */
static bool claim(struct db_task *t)
{
    int expected = TASK_WAITING;

    if (atomic_compare_exchange_strong(&t->state, &expected, TASK_TAKEN))
        return true;
    db_task_hand_back(&t, 1);
    return false;
}

size_t sqlite_lane_take(struct sqlite_lane *lane, struct db_task **tasks, size_t max,
                        uint64_t idle_ms, bool *is_stopping)
{
    bool is_idle = false;
    size_t n = 0, share;

    uv_mutex_lock(&lane->lock);
    while (n == 0) {
        struct list *link;

        while (list_is_empty(&lane->queue) && !lane->is_stopping && !is_idle) {
            if (idle_ms == 0)
                uv_cond_wait(&lane->cond, &lane->lock);
            else
                is_idle = uv_cond_timedwait(&lane->cond, &lane->lock, idle_ms * 1000000) != 0;
        }
        if (list_is_empty(&lane->queue))
            break;
        share = (lane->n_queued + lane->n_threads - 1) / lane->n_threads;
        if (share > max)
            share = max;
        while (n < share && (link = list_pop(&lane->queue))) {
            struct db_task *t = container_of(link, struct db_task, link);

            lane->n_queued--;
            if (claim(t))
                tasks[n++] = t;
        }
    }
    *is_stopping = lane->is_stopping && n == 0;
    uv_mutex_unlock(&lane->lock);
    return n;
}
