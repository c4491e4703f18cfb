/* Timers, letters between threads, flushing, pauses and worker threads. */
#include "../cmocka_all.h"
#include "../sweep.h"
#include "loop/loop.h"
#include "loop/wait.h"
#include "loop/workers.h"

#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

static struct loop loop;

/* ---- timers ---- */

struct test_timer {
    struct timer timer;
    uint64_t due_ms, fired_ms;
    unsigned n_fired;
};

static unsigned n_left;

static void on_fire(struct timer *t)
{
    struct test_timer *tt = container_of(t, struct test_timer, timer);

    tt->fired_ms = loop_now_ms(&loop);
    tt->n_fired++;
    n_left--;
}

static void timers_fire_once_and_never_early(void **state)
{
    enum { N = 300 };
    struct test_timer *timers = calloc(N, sizeof(*timers));

    (void)state;
    uv_update_time(&loop.uv);
    n_left = N;
    for (unsigned i = 0; i < N; i++) {
        timers[i].due_ms = loop_now_ms(&loop) + i * 3;
        timer_start(&timers[i].timer, i * 3, on_fire);
    }
    while (n_left > 0)
        sweep_turn(&loop);
    for (unsigned i = 0; i < N; i++) {
        assert_int_equal(timers[i].n_fired, 1);
        assert_true(timers[i].fired_ms >= timers[i].due_ms);
        assert_false(timer_is_started(&timers[i].timer));
    }
    free(timers);
}

static void a_far_timer_comes_down_the_wheel(void **state)
{
    struct test_timer far = {0}; /* past the first level: 256 ticks of 8 ms */

    (void)state;
    uv_update_time(&loop.uv);
    n_left = 1;
    far.due_ms = loop_now_ms(&loop) + 2300;
    timer_start(&far.timer, 2300, on_fire);
    while (n_left > 0)
        sweep_turn(&loop);
    assert_true(far.fired_ms >= far.due_ms);
    assert_true(far.fired_ms < far.due_ms + 500);
}

static struct test_timer victim;

static void stop_victim(struct timer *t)
{
    timer_stop(&victim.timer);
    on_fire(t);
}

static void a_timer_may_stop_another_that_is_due_with_it(void **state)
{
    struct test_timer killer = {0};

    (void)state;
    memset(&victim, 0, sizeof(victim));
    uv_update_time(&loop.uv);
    n_left = 1;
    timer_start(&killer.timer, 20, stop_victim);
    timer_start(&victim.timer, 20, on_fire);
    while (n_left > 0)
        sweep_turn(&loop);
    assert_int_equal(victim.n_fired, 0);
    assert_int_equal(loop.timers.count, 0);
}

/* ---- letters ---- */

struct letter {
    struct mail mail;
    unsigned number;
};

static unsigned n_received;
static bool is_in_order;

static void on_letter(struct mail *m)
{
    struct letter *l = container_of(m, struct letter, mail);

    is_in_order = is_in_order && l->number == n_received;
    n_received++;
    free(l);
}

#define N_LETTERS 10000

static void post_many(void *arg)
{
    (void)arg;
    for (unsigned i = 0; i < N_LETTERS; i++) {
        struct letter *l = calloc(1, sizeof(*l));

        l->mail.run = on_letter;
        l->number = i;
        assert_true(loop_post(&loop, &l->mail));
    }
}

static void letters_arrive_once_and_in_order(void **state)
{
    uv_thread_t thread;

    (void)state;
    n_received = 0;
    is_in_order = true;
    assert_int_equal(uv_thread_create(&thread, post_many, NULL), 0);
    while (n_received < N_LETTERS)
        sweep_turn(&loop);
    uv_thread_join(&thread);
    assert_true(is_in_order);
}

/* ---- flushing ---- */

static struct flush flushes[2];
static unsigned n_flushed;

static void on_second_flush(struct flush *f)
{
    (void)f;
    n_flushed++;
    uv_stop(&loop.uv);
}

static void on_first_flush(struct flush *f)
{
    (void)f;
    n_flushed++;
    loop_mark_dirty(&flushes[1], on_second_flush);
}

static void mark(struct timer *t)
{
    (void)t;
    loop_mark_dirty(&flushes[0], on_first_flush);
    loop_mark_dirty(&flushes[0], on_first_flush);
}

/* A list that was only flushed after input would wait for ever here. */
static void what_a_timer_or_a_flush_marks_is_flushed_before_the_loop_waits(void **state)
{
    struct timer t = {0};

    (void)state;
    n_flushed = 0;
    timer_start(&t, 10, mark);
    uv_run(&loop.uv, UV_RUN_DEFAULT); /* until the second flush stops it */
    assert_int_equal(n_flushed, 2);
}

/* ---- workers ---- */

struct job {
    struct work work;
    uv_sem_t *gate;
    bool has_run, is_done;
};

static unsigned n_done;

static void job_run(struct work *w)
{
    struct job *j = container_of(w, struct job, work);

    if (j->gate)
        uv_sem_wait(j->gate);
    j->has_run = true;
}

static void job_done(struct work *w)
{
    container_of(w, struct job, work)->is_done = true;
    n_done++;
}

static void workers_run_what_they_took_and_refuse_past_their_bound(void **state)
{
    struct workers *ws = workers_new("test", WORK_WAITS, 1, 2);
    struct job blocker = {0}, queued[3] = {0};
    uv_sem_t gate;

    (void)state;
    n_done = 0;
    uv_sem_init(&gate, 0);
    blocker.gate = &gate;
    assert_true(workers_submit(ws, &blocker.work, job_run, job_done));
    while (workers_queued(ws) > 0)
        uv_sleep(1);
    assert_true(workers_submit(ws, &queued[0].work, job_run, job_done));
    assert_true(workers_submit(ws, &queued[1].work, job_run, job_done));
    assert_false(workers_submit(ws, &queued[2].work, job_run, job_done));
    assert_true(workers_cancel(ws, &queued[1].work));
    assert_false(workers_cancel(ws, &blocker.work));
    uv_sem_post(&gate);
    while (n_done < 2)
        sweep_turn(&loop);
    assert_true(blocker.is_done && queued[0].is_done);
    assert_false(queued[1].has_run || queued[2].has_run);
    workers_free(ws);
    uv_sem_destroy(&gate);
}

struct rank {
    struct work work;
    int nice, policy;
};

static void rank_run(struct work *w)
{
    struct rank *r = container_of(w, struct rank, work);

    r->nice = getpriority(PRIO_PROCESS, (id_t)gettid());
    r->policy = sched_getscheduler(0);
}

static void rank_done(struct work *w)
{
    (void)w;
    n_done++;
}

static struct rank rank_of(enum work_kind kind)
{
    struct workers *ws = workers_new("test", kind, 1, 1);
    struct rank r = {0};

    n_done = 0;
    assert_true(workers_submit(ws, &r.work, rank_run, rank_done));
    while (n_done < 1)
        sweep_turn(&loop);
    workers_free(ws);
    return r;
}

static void only_threads_that_compute_give_way_to_the_loops(void **state)
{
    struct rank loops = {.nice = getpriority(PRIO_PROCESS, (id_t)gettid()),
                         .policy = sched_getscheduler(0)};
    struct rank computing = rank_of(WORK_COMPUTES), waiting = rank_of(WORK_WAITS);

    (void)state;
    assert_int_equal(waiting.nice, loops.nice);
    assert_int_equal(waiting.policy, loops.policy);
    assert_true(computing.nice > loops.nice || loops.nice >= 10);
    assert_int_equal(computing.policy, SCHED_BATCH);
}

/* ---- pauses ---- */

static struct wait pause_op;
static bool has_ended;
static uint64_t pause_ms;

static void take_a_pause(struct flow *f)
{
    wait_start(&pause_op, f, pause_ms);
}

static void on_end(struct flow *f)
{
    (void)f;
    has_ended = true;
}

static const struct step pause_steps[] = {STEP(take_a_pause), STEP_END};

static void a_pause_ends_by_itself_by_hand_or_by_failure(void **state)
{
    struct flow f;

    (void)state;
    has_ended = false;
    pause_ms = 10;
    flow_start(&f, pause_steps, NULL, on_end);
    while (!has_ended)
        sweep_turn(&loop);
    assert_int_equal(f.err.status, OK);

    has_ended = false;
    pause_ms = 60000;
    flow_start(&f, pause_steps, NULL, on_end);
    wait_finish(&pause_op);
    assert_true(has_ended);

    has_ended = false;
    flow_start(&f, pause_steps, NULL, on_end);
    flow_fail(&f, ERROR(ERR_GONE, 0, NULL));
    assert_true(has_ended);
    assert_int_equal(f.err.status, ERR_GONE);
    assert_int_equal(loop.timers.count, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(timers_fire_once_and_never_early),
        cmocka_unit_test(a_far_timer_comes_down_the_wheel),
        cmocka_unit_test(a_timer_may_stop_another_that_is_due_with_it),
        cmocka_unit_test(letters_arrive_once_and_in_order),
        cmocka_unit_test(what_a_timer_or_a_flush_marks_is_flushed_before_the_loop_waits),
        cmocka_unit_test(workers_run_what_they_took_and_refuse_past_their_bound),
        cmocka_unit_test(only_threads_that_compute_give_way_to_the_loops),
        cmocka_unit_test(a_pause_ends_by_itself_by_hand_or_by_failure),
    };
    int failed;

    if (is_error(loop_init(&loop, 0)))
        return 1;
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    sweep_close_loop(&loop);
    return failed;
}
