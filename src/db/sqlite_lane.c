/* The queue between loops and the threads that run SQLite. */
#include "db/sqlite.h"

bool sqlite_lane_init(struct sqlite_lane *lane, size_t n_threads)
{
    uv_mutex_init(&lane->lock);
    uv_cond_init(&lane->cond);
    lane->n_threads = n_threads;
    lane->is_stopping = false;
    return fair_init(&lane->queue);
}

void sqlite_lane_deinit(struct sqlite_lane *lane)
{
    fair_deinit(&lane->queue);
    uv_cond_destroy(&lane->cond);
    uv_mutex_destroy(&lane->lock);
}

void sqlite_lane_push(struct sqlite_lane *lane, struct list *tasks, struct list *refused)
{
    struct list *link;
    size_t n = 0;

    if (list_is_empty(tasks))
        return;
    uv_mutex_lock(&lane->lock);
    while ((link = list_pop(tasks))) {
        if (db_task_queue(&lane->queue, db_task_of(link)))
            n++;
        else
            list_push(refused, link);
    }
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

/* Under the lock. NULL: nothing waits. */
static struct db_task *next(struct sqlite_lane *lane)
{
    struct fair_item *item;

    while ((item = fair_pop(&lane->queue))) {
        struct db_task *t = container_of(item, struct db_task, item);

        if (claim(t))
            return t;
    }
    return NULL;
}

size_t sqlite_lane_take(struct sqlite_lane *lane, struct db_task **tasks, size_t max,
                        uint64_t idle_ms, bool *is_stopping)
{
    bool is_idle = false;
    size_t n = 0, share;

    uv_mutex_lock(&lane->lock);
    while (n == 0) {
        while (lane->queue.n_waiting == 0 && !lane->is_stopping && !is_idle) {
            if (idle_ms == 0)
                uv_cond_wait(&lane->cond, &lane->lock);
            else
                is_idle = uv_cond_timedwait(&lane->cond, &lane->lock, idle_ms * 1000000) != 0;
        }
        if (lane->queue.n_waiting == 0)
            break;
        share = (lane->queue.n_waiting + lane->n_threads - 1) / lane->n_threads;
        if (share > max)
            share = max;
        while (n < share && (tasks[n] = next(lane)))
            n++;
    }
    *is_stopping = lane->is_stopping && n == 0;
    uv_mutex_unlock(&lane->lock);
    return n;
}
