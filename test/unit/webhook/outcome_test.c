/* What becomes of a delivery, by every word that a receiver may say. */
#include "../../../src/webhook/outcome.h"
#include "../cmocka_all.h"

static struct str waits[] = {{"10", 2}, {"30", 2}, {"600", 3}};
static const struct config_webhooks config_with = {.waits = {waits, 3}};

static struct outcome of(enum status err, int http_status, int retry_after_s, int64_t n_tries)
{
    return outcome_of(&config_with, ERROR(err, 0, NULL), http_status, retry_after_s, n_tries, 0);
}

static void the_head_of_an_answer_decides(void **state)
{
    (void)state;
    for (int status = 200; status < 300; status++) {
        assert_int_equal(of(OK, status, -1, 1).kind, OUTCOME_DELIVERED);
        assert_int_equal(of(ERR_PROVIDER_TIMEOUT, status, -1, 1).kind, OUTCOME_DELIVERED);
        assert_int_equal(of(ERR_CANCELED, status, -1, 9).kind, OUTCOME_DELIVERED);
    }
    for (int status = 300; status < 600; status++)
        assert_int_equal(of(OK, status, -1, 1).kind, status == 410 ? OUTCOME_GONE : OUTCOME_LATER);
    assert_int_equal(of(ERR_PROVIDER_UNREACHABLE, 0, -1, 1).kind, OUTCOME_LATER);
    assert_int_equal(of(ERR_UNAVAILABLE, 0, -1, 1).kind, OUTCOME_DEAD);
}

static void it_comes_again_by_the_table_and_then_no_more(void **state)
{
    static const int64_t expected[] = {10, 30, 600};

    (void)state;
    for (int64_t n = 1; n <= 3; n++) {
        assert_int_equal(of(OK, 500, -1, n).kind, OUTCOME_LATER);
        assert_int_equal(of(OK, 500, -1, n).wait_us, expected[n - 1] * 1000000);
    }
    assert_int_equal(of(OK, 500, -1, 4).kind, OUTCOME_DEAD);
    assert_int_equal(of(ERR_CANCELED, 0, -1, 4).kind, OUTCOME_LATER); /* nobody's fault */
    assert_int_equal(of(ERR_CANCELED, 0, -1, 4).wait_us, 0);
}

static void retry_after_lengthens_a_wait_within_the_longest(void **state)
{
    (void)state;
    assert_int_equal(of(OK, 503, 5, 1).wait_us, 10000000);
    assert_int_equal(of(OK, 503, 25, 1).wait_us, 25000000);
    assert_int_equal(of(OK, 429, 86400, 1).wait_us, 600000000);
}

static void chance_adds_at_most_a_fifth(void **state)
{
    (void)state;
    for (uint32_t random = 0; random < 5000; random += 7) {
        int64_t wait_us =
            outcome_of(&config_with, NO_ERROR, 500, -1, 1, random * 2654435761u).wait_us;

        assert_true(wait_us >= 10000000 && wait_us <= 12000000);
    }
    assert_true(outcome_of(&config_with, NO_ERROR, 500, -1, 1, 1023).wait_us > 11900000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_head_of_an_answer_decides),
        cmocka_unit_test(it_comes_again_by_the_table_and_then_no_more),
        cmocka_unit_test(retry_after_lengthens_a_wait_within_the_longest),
        cmocka_unit_test(chance_adds_at_most_a_fifth),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
