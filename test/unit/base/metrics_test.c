/* Counting on several threads, and how the numbers are written. */
#include "../cmocka_all.h"
#include "base/metrics.h"

#include <string.h>
#include <uv.h>

struct numbers {
    _Alignas(64) struct counter calls, open;
    struct histogram seconds;
};

static const struct metric table[] = {
    {"t_calls_total", "kind=\"a\"", METRIC_COUNTER, METRIC_COUNT, offsetof(struct numbers, calls), "Calls."},
    {"t_open", NULL, METRIC_GAUGE, METRIC_COUNT, offsetof(struct numbers, open), "Open."},
    {"t_seconds", NULL, METRIC_HISTOGRAM, METRIC_MICROSECONDS, offsetof(struct numbers, seconds), "Time."},
};

static void write_all(struct buf *out, const struct numbers *numbers, size_t n, const char *by)
{
    metrics_write(out, table, 3, numbers, sizeof(*numbers), n, by);
    buf_append_char(out, '\0');
    assert_false(out->failed);
}

static bool has_line(const struct buf *out, const char *line)
{
    const char *at = strstr(out->data, line);

    return at && (at == out->data || at[-1] == '\n') && at[strlen(line)] == '\n';
}

static void what_threads_counted_is_added_up(void **state)
{
    static struct numbers numbers[2];
    struct buf out = {0};

    (void)state;
    counter_add(&numbers[0].calls, 5);
    counter_add(&numbers[1].calls, 7);
    counter_add(&numbers[0].open, 3);
    counter_add(&numbers[1].open, (uint64_t)-2); /* one thread opens, another closes */
    write_all(&out, numbers, 2, NULL);
    assert_true(has_line(&out, "# HELP t_calls_total Calls."));
    assert_true(has_line(&out, "# TYPE t_calls_total counter"));
    assert_true(has_line(&out, "t_calls_total{kind=\"a\"} 12"));
    assert_true(has_line(&out, "t_open 1"));
    buf_deinit(&out);
    counter_add(&numbers[1].open, (uint64_t)-2); /* not seen whole */
    write_all(&out, numbers, 2, "loop");
    assert_true(has_line(&out, "t_calls_total{kind=\"a\",loop=\"0\"} 5"));
    assert_true(has_line(&out, "t_calls_total{kind=\"a\",loop=\"1\"} 7"));
    assert_true(has_line(&out, "t_open{loop=\"1\"} 0"));
    assert_true(has_line(&out, "t_seconds_count{loop=\"1\"} 0"));
    buf_deinit(&out);
}

static void a_histogram_counts_up_to_each_bound(void **state)
{
    static struct numbers numbers;
    struct buf out = {0};

    (void)state;
    histogram_add(&numbers.seconds, 0);
    histogram_add(&numbers.seconds, 100);
    histogram_add(&numbers.seconds, 101);
    histogram_add(&numbers.seconds, 60000000);
    histogram_add(&numbers.seconds, 60000001);
    write_all(&out, &numbers, 1, NULL);
    assert_true(has_line(&out, "t_seconds_bucket{le=\"0.0001\"} 2"));
    assert_true(has_line(&out, "t_seconds_bucket{le=\"0.00025\"} 3"));
    assert_true(has_line(&out, "t_seconds_bucket{le=\"30\"} 3"));
    assert_true(has_line(&out, "t_seconds_bucket{le=\"60\"} 4"));
    assert_true(has_line(&out, "t_seconds_bucket{le=\"+Inf\"} 5"));
    assert_true(has_line(&out, "t_seconds_count 5"));
    assert_true(has_line(&out, "t_seconds_sum 120.000202"));
    buf_deinit(&out);
}

static unsigned places[8];

static void ask_for_a_place(void *place)
{
    *(unsigned *)place = metrics_thread();
    assert_int_equal(metrics_thread(), *(unsigned *)place);
}

static void each_thread_has_a_place_of_its_own(void **state)
{
    uv_thread_t threads[8];

    (void)state;
    for (size_t i = 0; i < 8; i++)
        assert_int_equal(uv_thread_create(&threads[i], ask_for_a_place, &places[i]), 0);
    for (size_t i = 0; i < 8; i++)
        uv_thread_join(&threads[i]);
    for (size_t i = 0; i < 8; i++) {
        assert_true(places[i] > 0 && places[i] < METRICS_THREADS);
        for (size_t k = 0; k < i; k++)
            assert_int_not_equal(places[i], places[k]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_threads_counted_is_added_up),
        cmocka_unit_test(a_histogram_counts_up_to_each_bound),
        cmocka_unit_test(each_thread_has_a_place_of_its_own),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
