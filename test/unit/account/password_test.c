/* Passwords: hashing and checking as operations, a bounded queue, and a client that leaves. */
#include "account/password.h"
#include "config/config.h"

#include "../cmocka_all.h"

#include <stdlib.h>
#include <string.h>

#define N_JOBS 8

static struct config settings = {
    .security = {.bcrypt_rounds = 4, .bcrypt_threads = 1, .bcrypt_queue = 2}};

struct asker {
    struct flow flow;
    struct password_job jobs[N_JOBS];
    struct str password, hash;
    unsigned n_jobs;
    bool verifies, is_ended;
    struct error err;
};

static struct loop *loop;

static int set_up(void **state)
{
    (void)state;
    config_set(&settings);
    loop = calloc(1, sizeof(*loop));
    return !loop || is_error(loop_init(loop, 0)) || is_error(password_open());
}

static int tear_down(void **state)
{
    (void)state;
    password_close();
    loop_close(loop);
    loop_run(loop);
    loop_deinit(loop);
    free(loop);
    return 0;
}

static void begin(struct flow *f)
{
    struct asker *a = f->state;

    for (unsigned i = 0; i < a->n_jobs; i++) {
        if (a->verifies)
            password_verify(&a->jobs[i], f, a->password, a->hash);
        else
            password_hash(&a->jobs[i], f, a->password);
    }
}

static void on_end(struct flow *f)
{
    struct asker *a = f->state;

    a->is_ended = true;
    a->err = f->err;
}

static const struct step steps[] = {STEP(begin), STEP_END};

static struct error run(struct asker *a)
{
    a->is_ended = false;
    flow_start(&a->flow, steps, a, on_end);
    while (!a->is_ended)
        uv_run(&loop->uv, UV_RUN_ONCE);
    return a->err;
}

static bool matches(struct str password, struct str hash)
{
    struct asker a = {.password = password, .hash = hash, .n_jobs = 1, .verifies = true};

    assert_false(is_error(run(&a)));
    return a.jobs[0].is_match;
}

static void a_hash_matches_its_password_and_no_other(void **state)
{
    struct asker a = {.password = STR("correct horse"), .n_jobs = 1};

    (void)state;
    assert_false(is_error(run(&a)));
    assert_int_equal(strlen(a.jobs[0].hash), 60);
    assert_true(matches(STR("correct horse"), str_from(a.jobs[0].hash)));
    assert_false(matches(STR("correct horsf"), str_from(a.jobs[0].hash)));
    assert_false(matches(STR(""), str_from(a.jobs[0].hash)));
}

static void two_hashes_of_a_password_differ(void **state)
{
    struct asker a = {.password = STR("correct horse"), .n_jobs = 2};

    (void)state;
    assert_false(is_error(run(&a)));
    assert_string_not_equal(a.jobs[0].hash, a.jobs[1].hash);
}

static void what_follows_the_72nd_byte_counts(void **state)
{
    char text[128];
    struct asker a = {.password = {text, sizeof(text)}, .n_jobs = 1};

    (void)state;
    for (size_t len = 70; len <= 75; len++) {
        memset(text, 'a', sizeof(text));
        a.password.len = len;
        assert_false(is_error(run(&a)));
        assert_true(matches(a.password, str_from(a.jobs[0].hash)));
        text[len - 1] = 'b';
        assert_false(matches(a.password, str_from(a.jobs[0].hash)));
        text[len - 1] = 'a';
        assert_false(matches((struct str){text, len + 1}, str_from(a.jobs[0].hash)));
    }
}

static void nobodys_hash_matches_nothing_but_is_computed(void **state)
{
    struct asker a = {.password = STR("x"), .hash = STR_NONE, .n_jobs = 1, .verifies = true};

    (void)state;
    assert_false(is_error(run(&a)));
    assert_false(a.jobs[0].is_match);
    /* crypt gave a hash with the rounds of today: it has worked as long as for somebody */
    assert_memory_equal(a.jobs[0].hash, "$2b$04$", 7);
}

static void past_the_queue_the_answer_is_busy(void **state)
{
    struct asker a = {.password = STR("correct horse"), .n_jobs = N_JOBS};

    (void)state;
    assert_int_equal(run(&a).status, ERR_BUSY);
    assert_true(a.err.code > 0);
}

static void who_leaves_gives_up_a_place_in_the_queue(void **state)
{
    struct asker a = {.password = STR("correct horse"), .n_jobs = 2}, b = a;

    (void)state;
    flow_start(&a.flow, steps, &a, on_end);
    flow_fail(&a.flow, ERROR(ERR_GONE, 0, NULL));
    assert_int_equal(run(&b).status, OK);
    while (!a.is_ended)
        uv_run(&loop->uv, UV_RUN_ONCE);
    assert_int_equal(a.err.status, ERR_GONE);
}

static void the_command_line_hashes_alike(void **state)
{
    char hash[PASSWORD_HASH_BYTES];

    (void)state;
    assert_true(password_hash_blocking(STR("correct horse"), hash));
    assert_true(matches(STR("correct horse"), str_from(hash)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_hash_matches_its_password_and_no_other, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(two_hashes_of_a_password_differ, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_follows_the_72nd_byte_counts, set_up, tear_down),
        cmocka_unit_test_setup_teardown(nobodys_hash_matches_nothing_but_is_computed, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(past_the_queue_the_answer_is_busy, set_up, tear_down),
        cmocka_unit_test_setup_teardown(who_leaves_gives_up_a_place_in_the_queue, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(the_command_line_hashes_alike, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
