/* The queues before the agents: whose turn it is, in numbers; what is refused; and that a slot is given back whoever leaves when. */
#include "../cmocka_all.h"
#include "../sweep.h"
#include "base/clock.h"
#include "chat/slots.h"
#include "config/config.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

static struct config test_config;
static struct loop loop;

/* One call: takes a slot, holds it until told, gives it back. */
struct asker {
    struct flow flow;
    struct slot_wait wait;
    struct slot slot;
    struct op work;
    struct error err;
    unsigned team;
    bool has_ended;
};

static struct id teams[8];
static struct asker askers[2000];
static unsigned n_askers;
static struct asker *served[2000]; /* in the order in which they got a slot */
static unsigned n_served;

static void on_work_canceled(struct op *op)
{
    op_end(op, ERROR(ERR_CANCELED, 0, NULL));
}

static void take(struct flow *f)
{
    struct asker *a = f->state;

    slot_take(&a->slot, &a->wait, f, &teams[a->team]);
}

static void work(struct flow *f)
{
    struct asker *a = f->state;

    if (!a->slot.is_held)
        return;
    served[n_served++] = a;
    op_begin(&a->work, f, on_work_canceled);
}

static void give_back(struct flow *f)
{
    struct asker *a = f->state;

    slot_release(&a->slot);
    slot_release(&a->slot); /* once is enough, and twice does no harm */
}

static const struct step steps[] = {STEP(take), STEP(work), STEP_ALWAYS(give_back), STEP_END};

static void on_end(struct flow *f)
{
    struct asker *a = f->state;

    assert_false(a->slot.is_held || a->has_ended);
    a->err = f->err;
    a->has_ended = true;
}

static struct asker *ask(unsigned team)
{
    struct asker *a = &askers[n_askers++];

    memset(a, 0, sizeof(*a));
    a->team = team;
    flow_start(&a->flow, steps, a, on_end);
    return a;
}

static void turn_loop(void)
{
    for (unsigned i = 0; i < 3; i++)
        sweep_turn(&loop);
}

static void end_work(struct asker *a)
{
    op_end(&a->work, NO_ERROR);
    turn_loop();
}

/* Ends the work of all that is served, one after the other. */
static void serve_all(void)
{
    for (unsigned i = 0; i < n_served; i++)
        if (!served[i]->has_ended)
            end_work(served[i]);
}

static void assert_idle(void)
{
    struct slots_stats stats = slots_stats();

    assert_int_equal(stats.n_taken, 0);
    assert_int_equal(stats.n_waiting, 0);
    assert_int_equal(stats.n_teams_waiting, 0);
    for (unsigned i = 0; i < n_askers; i++)
        assert_true(askers[i].has_ended);
}

static int set_up(void **state)
{
    (void)state;
    test_config.upstream.slots = 1;
    test_config.upstream.slot_queue = 5000;
    test_config.upstream.slot_queue_per_team = 2000;
    test_config.upstream.slot_wait_seconds = 60;
    test_config.upstream.total_seconds = 600;
    config_set(&test_config);
    for (size_t i = 0; i < 8; i++)
        teams[i] = id_v4();
    n_askers = n_served = 0;
    return slots_open() ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    assert_idle();
    slots_close();
    clock_set_source(NULL);
    return 0;
}

static void free_slots_are_taken_at_once(void **state)
{
    (void)state;
    test_config.upstream.slots = 3;
    for (unsigned i = 0; i < 4; i++)
        ask(0);
    assert_int_equal(n_served, 3);
    assert_true(slot_is_waiting(&askers[3].wait));
    end_work(&askers[1]);
    assert_int_equal(n_served, 4);
    assert_ptr_equal(served[3], &askers[3]);
    serve_all();
}

static void without_a_limit_nobody_waits(void **state)
{
    (void)state;
    test_config.upstream.slots = 0;
    for (unsigned i = 0; i < 1000; i++)
        ask(i % 8);
    assert_int_equal(n_served, 1000);
    assert_int_equal(slots_stats().n_taken, 1000);
    serve_all();
}

/* Of teams with very different loads, none is more than one ahead of another that still waits. */
static void teams_are_served_in_turn_whatever_their_loads(void **state)
{
    static const unsigned loads[] = {1000, 1, 7, 100, 300, 2, 40, 100};
    unsigned left[8], n_of[8] = {0};

    (void)state;
    ask(0); /* takes the slot */
    for (unsigned team = 0; team < 8; team++)
        for (unsigned i = 0; i < loads[team]; i++)
            ask(team);
    memcpy(left, loads, sizeof(left));
    end_work(&askers[0]);
    for (unsigned i = 1; i < n_served; i++) {
        unsigned team = served[i]->team;

        n_of[team]++;
        left[team]--;
        for (unsigned other = 0; other < 8; other++)
            if (left[other] > 0)
                assert_true(n_of[team] <= n_of[other] + 1);
        end_work(served[i]);
    }
    for (unsigned team = 0; team < 8; team++)
        assert_int_equal(n_of[team], loads[team]);
}

/* Within a team the oldest comes first. */
static void a_team_with_a_thousand_delays_one_with_one_by_one_round(void **state)
{
    struct asker *modest;
    unsigned before;

    (void)state;
    for (unsigned i = 0; i < 1001; i++)
        ask(0);
    for (unsigned i = 0; i < 10; i++)
        end_work(served[i]);
    modest = ask(1);
    before = n_served;
    for (unsigned i = 10; !modest->slot.is_held; i++)
        end_work(served[i]);
    assert_true(n_served - before <= 2); /* one of the other team, and its own */
    serve_all();
    assert_int_equal(n_served, 1002);
    for (unsigned i = 0, next = 0; i < n_served; i++)
        if (served[i] != modest)
            assert_ptr_equal(served[i], &askers[next++]);
        else
            assert_ptr_equal(modest, &askers[1001]);
}

static void assert_refused(const struct asker *a, int retry_after_s)
{
    assert_true(a->has_ended);
    assert_int_equal(a->err.status, ERR_RATE_LIMITED);
    assert_int_equal(a->err.code, retry_after_s);
}

/* Ten calls of 8 s each: the mean goes from the first guess, 1 s, an eighth of the way each time. */
static void a_full_queue_refuses_and_tells_how_long_it_is(void **state)
{
    struct clock_source now = {.mono_ms = 1000000};
    struct asker *refused;
    int64_t mean_ms = 1000;

    (void)state;
    clock_set_source(&now);
    test_config.upstream.slots = 2;
    test_config.upstream.slot_queue_per_team = 20;
    for (unsigned i = 0; i < 10; i++) {
        struct asker *a = ask(0);

        now.mono_ms += 8000;
        end_work(a);
        mean_ms += (8000 - mean_ms) / 8;
    }
    for (unsigned i = 0; i < 22; i++)
        ask(0);
    refused = ask(0);
    assert_refused(refused, (int)(21 * mean_ms / 2 / 1000 + 1));
    for (unsigned i = 0; i < 5; i++)
        ask(1); /* another team's queue is its own, and 5 of it come before a 21st */
    refused = ask(0);
    assert_refused(refused, (int)(26 * mean_ms / 2 / 1000 + 1));
    test_config.upstream.total_seconds = 7;
    assert_refused(ask(0), 7);
    serve_all();
    assert_int_equal(n_served, 10 + 22 + 5);
}

/* Full in all: the newest of the longest goes for one of a team that has fewer, and for no other. */
static void a_flood_does_not_fill_the_queue_for_others(void **state)
{
    struct asker *newest, *modest, *third;

    (void)state;
    test_config.upstream.slot_queue = 10;
    for (unsigned i = 0; i < 10; i++)
        ask(0);
    newest = ask(0);
    assert_int_equal(slots_stats().n_waiting, 10);
    assert_refused(ask(0), 11 + 1);
    modest = ask(1);
    assert_true(slot_is_waiting(&modest->wait));
    assert_int_equal(slots_stats().n_waiting, 10);
    turn_loop();
    assert_refused(newest, 1 + 10 + 1);
    for (unsigned i = 0; i < 4; i++)
        ask(1); /* five and five */
    third = ask(1);
    assert_true(third->has_ended);
    turn_loop();
    assert_int_equal(slots_stats().n_waiting, 10);
    serve_all();
    assert_int_equal(n_served, 1 + 10);
}

static void a_wait_has_an_end(void **state)
{
    struct asker *late;

    (void)state;
    test_config.upstream.slot_wait_seconds = 0;
    ask(0);
    late = ask(1);
    for (unsigned i = 0; !late->has_ended && i < 1000; i++) {
        usleep(1000);
        sweep_turn(&loop);
    }
    assert_refused(late, 1 * 1000 / 1000 + 1);
    serve_all();
    assert_int_equal(n_served, 1);
}

/* Stopped while it waits: it goes on, and asks nobody. Whoever is behind it moves up, also when its
 * slot had been given to it a moment before. */
static void who_leaves_the_queue_goes_on_without_a_slot(void **state)
{
    struct asker *first = ask(0), *second = ask(0), *third = ask(0), *fourth = ask(0);

    (void)state;
    slot_leave(&second->wait);
    assert_true(second->has_ended);
    op_end(&first->work, NO_ERROR); /* the third's letter is under way */
    assert_false(third->has_ended);
    slot_leave(&third->wait);
    turn_loop();
    assert_true(third->has_ended);
    assert_int_equal(second->err.status, OK);
    assert_int_equal(third->err.status, OK);
    assert_ptr_equal(served[n_served - 1], fourth);
    end_work(fourth);
    assert_int_equal(n_served, 2);
}

/* ---- sweeps: one of three is disturbed at any moment ---- */

static struct scenario {
    struct asker *a, *b, *c;
    void (*disturb)(struct asker *a);
    bool ends_early; /* the first ends in the moment of the disturbance: the letter is under way */
} scenario;

static void scenario_start(void *state)
{
    struct scenario *s = state;

    n_askers = n_served = 0;
    s->a = ask(0);
    s->b = ask(0);
    s->c = ask(1);
}

static void scenario_disturb(void *state)
{
    struct scenario *s = state;

    if (s->ends_early && op_is_running(&s->a->work))
        op_end(&s->a->work, NO_ERROR);
    if (!s->b->has_ended)
        s->disturb(s->b);
}

/* Each look ends the work of one. */
static bool scenario_has_ended(void *state)
{
    struct scenario *s = state;

    for (unsigned i = 0; i < n_served; i++)
        if (!served[i]->has_ended) {
            op_end(&served[i]->work, NO_ERROR);
            return false;
        }
    return s->a->has_ended && s->b->has_ended && s->c->has_ended;
}

static void scenario_finish(void *state, bool was_disturbed)
{
    struct scenario *s = state;

    (void)was_disturbed;
    turn_loop();
    assert_idle();
    assert_int_equal(s->a->err.status, OK);
    assert_int_equal(s->c->err.status, OK);
}

static void fail_gone(struct asker *a)
{
    flow_fail(&a->flow, ERROR(ERR_GONE, 0, NULL));
}

static void leave_queue(struct asker *a)
{
    if (slot_is_waiting(&a->wait))
        slot_leave(&a->wait);
}

static void leave_and_fail(struct asker *a)
{
    leave_queue(a);
    if (!a->has_ended)
        fail_gone(a);
}

static void who_goes_at_any_moment_holds_nothing(void **state)
{
    static void (*const ways[])(struct asker *a) = {fail_gone, leave_queue, leave_and_fail};
    const struct sweep sweep = {scenario_start, scenario_disturb, scenario_has_ended, scenario_finish, &scenario, 0};

    (void)state;
    for (unsigned i = 0; i < 6; i++) {
        scenario = (struct scenario){.disturb = ways[i / 2], .ends_early = i % 2 == 1};
        assert_true(sweep_run(&loop, &sweep) >= 3);
    }
}

/* ---- two loops ---- */

#define WIDTH        50
#define CALLS_A_FLOW 60

static atomic_int n_busy, most_busy;

/* A loop's own part: WIDTH flows, each of which asks again and again. */
struct caller {
    struct loop loop;
    struct busy {
        struct flow flow;
        struct slot_wait wait;
        struct slot slot;
        struct caller *caller;
        struct mail letter;
        struct op work;
        unsigned n_done;
    } busy[WIDTH];
    unsigned n_ended, index;
};

static void busy_take(struct flow *f)
{
    struct busy *b = f->state;

    slot_take(&b->slot, &b->wait, f, &teams[b->n_done % 8]);
}

static void on_busy_letter(struct mail *m)
{
    op_end(&container_of(m, struct busy, letter)->work, NO_ERROR);
}

static void busy_work(struct flow *f)
{
    struct busy *b = f->state;
    int n = atomic_fetch_add(&n_busy, 1) + 1, most = atomic_load(&most_busy);

    while (n > most && !atomic_compare_exchange_weak(&most_busy, &most, n))
        continue;
    op_begin(&b->work, f, NULL);
    b->letter.run = on_busy_letter;
    assert_true(loop_post(&b->caller->loop, &b->letter));
}

static void busy_release(struct flow *f)
{
    struct busy *b = f->state;

    if (b->slot.is_held)
        atomic_fetch_sub(&n_busy, 1);
    slot_release(&b->slot);
}

static const struct step busy_steps[] = {STEP(busy_take), STEP(busy_work), STEP_ALWAYS(busy_release), STEP_END};

static void on_busy_end(struct flow *f);

static void busy_start(struct mail *m)
{
    struct busy *b = container_of(m, struct busy, letter);

    flow_start(&b->flow, busy_steps, b, on_busy_end);
}

static void on_busy_end(struct flow *f)
{
    struct busy *b = f->state;
    struct caller *c = b->caller;

    assert_false(is_error(f->err));
    if (++b->n_done < CALLS_A_FLOW) {
        b->letter.run = busy_start;
        assert_true(loop_post(&c->loop, &b->letter));
    } else if (++c->n_ended == WIDTH) {
        loop_close(&c->loop);
    }
}

static void call_from_a_loop(void *state)
{
    struct caller *c = state;

    assert_false(is_error(loop_init(&c->loop, c->index)));
    for (unsigned i = 0; i < WIDTH; i++) {
        c->busy[i].caller = c;
        busy_start(&c->busy[i].letter);
    }
    loop_run(&c->loop);
}

static void loops_share_the_slots_and_none_is_forgotten(void **state)
{
    struct caller *callers = calloc(2, sizeof(*callers));
    uv_thread_t threads[2];

    (void)state;
    assert_non_null(callers);
    test_config.upstream.slots = 5;
    for (unsigned i = 0; i < 2; i++) {
        callers[i].index = 1 + i;
        assert_int_equal(uv_thread_create(&threads[i], call_from_a_loop, &callers[i]), 0);
    }
    for (unsigned i = 0; i < 2; i++)
        uv_thread_join(&threads[i]);
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(callers[i].n_ended, WIDTH);
        loop_deinit(&callers[i].loop);
    }
    assert_int_equal(atomic_load(&most_busy), 5);
    free(callers);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(free_slots_are_taken_at_once),
        TEST(without_a_limit_nobody_waits),
        TEST(teams_are_served_in_turn_whatever_their_loads),
        TEST(a_team_with_a_thousand_delays_one_with_one_by_one_round),
        TEST(a_full_queue_refuses_and_tells_how_long_it_is),
        TEST(a_flood_does_not_fill_the_queue_for_others),
        TEST(a_wait_has_an_end),
        TEST(who_leaves_the_queue_goes_on_without_a_slot),
        TEST(who_goes_at_any_moment_holds_nothing),
        TEST(loops_share_the_slots_and_none_is_forgotten),
    };
    int failed;

    if (is_error(loop_init(&loop, 0)))
        return 1;
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    sweep_close_loop(&loop);
    return failed;
}
