/* The kernel of flows: order, joins, the first error, cancel, always steps; and two sweeps over a
 * handler with parallel, nested and repeated operations. */
#include "../cmocka_all.h"
#include "../sweep.h"
#include "base/list.h"
#include "loop/flow.h"
#include "loop/loop.h"

#include <stdlib.h>
#include <string.h>

static struct loop loop;
static char trace[512];

static void note(const char *word)
{
    strcat(trace, word);
    strcat(trace, " ");
}

/* An operation that ends some turns of the loop later, with the error it was told; cancel ends it
 * at once, or hurries it. */
struct test_op {
    struct op op;
    struct mail mail;
    unsigned turns_left;
    struct error result;
    bool cancels_at_once, was_canceled;
};

static void post(struct test_op *o);

static void on_turn(struct mail *m)
{
    struct test_op *o = container_of(m, struct test_op, mail);

    if (o->was_canceled)
        return;
    if (--o->turns_left > 0)
        post(o);
    else
        op_end(&o->op, o->result);
}

static void post(struct test_op *o)
{
    o->mail.run = on_turn;
    assert_true(loop_post(&loop, &o->mail));
}

static void on_cancel(struct op *op)
{
    struct test_op *o = container_of(op, struct test_op, op);

    if (o->cancels_at_once) {
        o->was_canceled = true;
        op_end(op, ERROR(ERR_CANCELED, 0, NULL));
    } else {
        o->result = ERROR(ERR_CANCELED, 0, NULL);
        o->turns_left = 1;
    }
}

/* turns 0: ends before op_start() returns. */
static void op_start(struct test_op *o, struct flow *f, unsigned turns)
{
    op_begin(&o->op, f, on_cancel);
    o->turns_left = turns;
    if (turns == 0)
        op_end(&o->op, o->result);
    else
        post(o);
}

/* ---- small cases ---- */

static struct test_op first, second;
static unsigned n_ended;

static void on_end(struct flow *f)
{
    n_ended++;
    note(is_error(f->err) ? "failed" : "ended");
}

static int reset(void **state)
{
    (void)state;
    memset(&first, 0, sizeof(first));
    memset(&second, 0, sizeof(second));
    trace[0] = '\0';
    n_ended = 0;
    return 0;
}

static void run_until_ended(void)
{
    for (unsigned turn = 0; n_ended == 0; turn++) {
        assert_true(turn < SWEEP_MAX_TURNS);
        sweep_turn(&loop);
    }
    assert_int_equal(n_ended, 1);
}

static void plain(struct flow *f)
{
    (void)f;
    note("plain");
}

static void both(struct flow *f)
{
    note("both");
    op_start(&first, f, 2);
    op_start(&second, f, 4);
}

static void at_once(struct flow *f)
{
    note("at_once");
    op_start(&first, f, 0);
}

static void fails(struct flow *f)
{
    note("fails");
    flow_fail(f, ERROR(ERR_CONFLICT, 7, "as asked"));
}

static void cleanup(struct flow *f)
{
    note(is_error(f->err) ? "cleanup-after-error" : "cleanup");
}

static void finishes(struct flow *f)
{
    note("finishes");
    flow_finish(f);
}

static void three_times(struct flow *f)
{
    note("again");
    if (++*(unsigned *)f->state < 3)
        flow_repeat(f);
    op_start(&first, f, 0);
}

static void steps_run_in_order_and_join_their_operations(void **state)
{
    static const struct step steps[] = {STEP(plain), STEP(both), STEP(at_once),
                                        STEP_ALWAYS(cleanup), STEP_END};
    struct flow f;

    (void)state;
    flow_start(&f, steps, NULL, on_end);
    run_until_ended();
    assert_string_equal(trace, "plain both at_once cleanup ended ");
}

static void an_error_skips_to_the_always_steps(void **state)
{
    static const struct step steps[] = {STEP(fails), STEP(plain), STEP_ALWAYS(cleanup), STEP(plain),
                                        STEP_END};
    struct flow f;

    (void)state;
    flow_start(&f, steps, NULL, on_end);
    assert_string_equal(trace, "fails cleanup-after-error failed ");
    assert_int_equal(f.err.status, ERR_CONFLICT);
    assert_int_equal(f.err.code, 7);
}

static void an_operation_that_fails_cancels_its_sibling(void **state)
{
    static const struct step steps[] = {STEP(both), STEP(plain), STEP_END};
    struct flow f;

    (void)state;
    first.result = ERROR(ERR_DB, 1, NULL);
    second.cancels_at_once = true;
    flow_start(&f, steps, NULL, on_end);
    run_until_ended();
    assert_int_equal(f.err.status, ERR_DB);
    assert_true(second.was_canceled);
}

static void the_first_error_wins(void **state)
{
    static const struct step steps[] = {STEP(both), STEP_END};
    struct flow f;

    (void)state;
    first.result = ERROR(ERR_DB, 1, NULL);
    second.result = ERROR(ERR_BUSY, 2, NULL);
    flow_start(&f, steps, NULL, on_end);
    flow_fail(&f, ERROR(ERR_GONE, 0, NULL));
    run_until_ended();
    assert_int_equal(f.err.status, ERR_GONE);
}

static void an_always_step_is_not_canceled(void **state)
{
    static const struct step steps[] = {STEP_ALWAYS(both), STEP(plain), STEP_ALWAYS(cleanup),
                                        STEP_END};
    struct flow f;

    (void)state;
    first.cancels_at_once = second.cancels_at_once = true;
    flow_start(&f, steps, NULL, on_end);
    flow_fail(&f, ERROR(ERR_GONE, 0, NULL));
    assert_true(op_is_running(&first.op) && op_is_running(&second.op));
    run_until_ended();
    assert_string_equal(trace, "both cleanup-after-error failed ");
}

static void finish_skips_without_an_error(void **state)
{
    static const struct step steps[] = {STEP(finishes), STEP(plain), STEP_ALWAYS(cleanup),
                                        STEP_END};
    struct flow f;

    (void)state;
    flow_start(&f, steps, NULL, on_end);
    assert_string_equal(trace, "finishes cleanup ended ");
}

static void repeat_runs_the_same_step_again(void **state)
{
    static const struct step steps[] = {STEP(three_times), STEP(plain), STEP_END};
    unsigned count = 0;
    struct flow f;

    (void)state;
    flow_start(&f, steps, &count, on_end);
    assert_string_equal(trace, "again again again plain ended ");
}

static const struct step failing_steps[] = {STEP(fails), STEP_END};
static struct subflow sub;

static void call_failing(struct flow *f)
{
    flow_call(f, &sub, failing_steps, NULL);
}

static void try_failing(struct flow *f)
{
    flow_try(f, &sub, failing_steps, NULL);
}

static void a_call_fails_its_parent_and_a_try_does_not(void **state)
{
    static const struct step calls[] = {STEP(call_failing), STEP(plain), STEP_END};
    static const struct step tries[] = {STEP(try_failing), STEP(plain), STEP_END};
    struct flow f;

    (void)state;
    memset(&sub, 0, sizeof(sub));
    flow_start(&f, calls, NULL, on_end);
    assert_string_equal(trace, "fails failed ");
    trace[0] = '\0';
    memset(&sub, 0, sizeof(sub));
    flow_start(&f, tries, NULL, on_end);
    assert_string_equal(trace, "fails plain ended ");
    assert_int_equal(sub.flow.err.status, ERR_CONFLICT);
}

/* Only its address says anything here. */
struct span {
    int nothing;
};
static const struct span *seen;

static void look_at_span(struct flow *f)
{
    seen = f->span;
}

static void call_looking(struct flow *f)
{
    static const struct step steps[] = {STEP(look_at_span), STEP_END};

    flow_call(f, &sub, steps, NULL);
}

static void a_flow_within_is_a_part_of_the_same_span(void **state)
{
    static const struct step steps[] = {STEP(call_looking), STEP_END};
    static const struct span span = {0};
    struct flow f;

    (void)state;
    memset(&sub, 0, sizeof(sub));
    flow_start_traced(&f, &span, steps, NULL, on_end);
    assert_ptr_equal(seen, &span);
    memset(&sub, 0, sizeof(sub));
    flow_start(&f, steps, NULL, on_end);
    assert_null(seen);
}

/* ---- sweeps ---- */

/* A handler as they come: a check, two queries at once, two rounds of a stream as a nested table, a
 * save that always runs. */
struct handler {
    struct flow flow;
    struct test_op ops[6];
    struct subflow stream;
    unsigned rounds;
    bool was_saved, has_ended, is_synchronous;
};

static unsigned delay(const struct handler *h)
{
    return h->is_synchronous ? 0 : 2;
}

static void check_caller(struct flow *f)
{
    struct handler *h = f->state;

    op_start(&h->ops[0], f, delay(h));
}

static void query_two(struct flow *f)
{
    struct handler *h = f->state;

    op_start(&h->ops[1], f, delay(h));
    op_start(&h->ops[2], f, delay(h));
}

static void read_piece(struct flow *f)
{
    struct handler *h = f->state;

    op_start(&h->ops[3], f, delay(h));
}

static void write_piece(struct flow *f)
{
    struct handler *h = f->state;

    op_start(&h->ops[4], f, delay(h));
}

static const struct step stream_steps[] = {STEP(read_piece), STEP(write_piece), STEP_END};

static void stream(struct flow *f)
{
    struct handler *h = f->state;

    if (++h->rounds < 2)
        flow_repeat(f);
    flow_call(f, &h->stream, stream_steps, h);
}

static void save(struct flow *f)
{
    struct handler *h = f->state;

    h->was_saved = true;
    op_start(&h->ops[5], f, delay(h));
}

static const struct step handler_steps[] = {
    STEP(check_caller), STEP(query_two), STEP(stream), STEP_ALWAYS(save), STEP_END,
};

static void handler_ended(struct flow *f)
{
    struct handler *h = f->state;

    assert_false(h->has_ended);
    h->has_ended = true;
}

static struct handler *handler;
static unsigned failing_op; /* 6: none */
static bool cancels_at_once, is_synchronous;

static void handler_start(void *state)
{
    (void)state;
    handler = calloc(1, sizeof(*handler));
    handler->is_synchronous = is_synchronous;
    for (unsigned i = 0; i < 6; i++) {
        handler->ops[i].cancels_at_once = cancels_at_once;
        if (i == failing_op)
            handler->ops[i].result = ERROR(ERR_DB, 1, NULL);
    }
    flow_start(&handler->flow, handler_steps, handler, handler_ended);
}

static void handler_disconnect(void *state)
{
    (void)state;
    flow_fail(&handler->flow, ERROR(ERR_GONE, 0, NULL));
}

static bool handler_has_ended(void *state)
{
    (void)state;
    return handler->has_ended;
}

static void handler_finish(void *state, bool was_disturbed)
{
    (void)state;
    assert_true(handler->was_saved);
    if (!was_disturbed)
        assert_int_equal(handler->flow.err.status, failing_op < 6 ? ERR_DB : OK);
    for (unsigned i = 0; i < 6; i++)
        assert_false(op_is_running(&handler->ops[i].op));
    sweep_turn(&loop); /* a letter of an operation that was canceled may be under way */
    sweep_turn(&loop);
    free(handler);
}

static const struct sweep handler_sweep = {
    handler_start, handler_disconnect, handler_has_ended, handler_finish, NULL, 0};

static void every_disconnect_and_every_failure_ends_once(void **state)
{
    unsigned n_points = 0;

    (void)state;
    for (failing_op = 0; failing_op <= 6; failing_op++)
        for (unsigned mode = 0; mode < 4; mode++) {
            cancels_at_once = mode & 1;
            is_synchronous = mode & 2;
            n_points += sweep_run(&loop, &handler_sweep) + 1;
        }
    assert_true(n_points > 60);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(steps_run_in_order_and_join_their_operations, reset),
        cmocka_unit_test_setup(an_error_skips_to_the_always_steps, reset),
        cmocka_unit_test_setup(an_operation_that_fails_cancels_its_sibling, reset),
        cmocka_unit_test_setup(the_first_error_wins, reset),
        cmocka_unit_test_setup(an_always_step_is_not_canceled, reset),
        cmocka_unit_test_setup(finish_skips_without_an_error, reset),
        cmocka_unit_test_setup(repeat_runs_the_same_step_again, reset),
        cmocka_unit_test_setup(a_call_fails_its_parent_and_a_try_does_not, reset),
        cmocka_unit_test_setup(a_flow_within_is_a_part_of_the_same_span, reset),
        cmocka_unit_test_setup(every_disconnect_and_every_failure_ends_once, reset),
    };
    int failed;

    if (is_error(loop_init(&loop, 0)))
        return 1;
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    sweep_close_loop(&loop);
    return failed;
}
