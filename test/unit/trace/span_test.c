/* Spans: who decides whether they are recorded, whose part they are, the queue's bound, and their
 * form on the wire. */
#include "../cmocka_all.h"
#include "base/clock.h"
#include "base/json.h"
#include "config/config.h"
#include "loop/loop.h"
#include "trace/span.h"

#include <string.h>

#define ALL  (UINT64_C(1) << 56)
#define HALF (UINT64_C(1) << 55)

static struct config test_config;
static struct loop loop;
static unsigned n_told;
static const struct clock_source *no_clock;

static const struct trace_context sampled = {{1, 2, 3}, {4, 5, 6}, TRACE_SAMPLED};
static const struct trace_context unsampled = {{1, 2, 3}, {4, 5, 6}, 0};
static const struct span_record nothing = {.kind = SPAN_INTERNAL, .name = {"work", 4}};

static void on_span(struct span_queue *q)
{
    (void)q;
    n_told++;
}

static int set_up(void **state)
{
    (void)state;
    test_config = (struct config){.tracing = {.endpoint = STR("http://collector:4318/v1/traces"),
                                              .service = STR("aerie"),
                                              .queue = 4},
                                  .trace_rules = {.sampled_below = ALL}};
    config_set(&test_config);
    trace_open(STR("0195f0a0-0000-7000-8000-000000000001"));
    assert_true(trace_attach(&loop));
    span_queue_of(&loop)->on_span = on_span;
    n_told = 0;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    clock_set_source(no_clock);
    trace_detach(&loop);
    return 0;
}

static size_t waiting(void)
{
    return span_queue_of(&loop)->n;
}

static void a_caller_decides_and_its_trace_goes_on(void **state)
{
    struct span *s = span_enter(&sampled, STR("foo=1"));

    (void)state;
    assert_true(s->is_recorded);
    assert_memory_equal(s->context.trace_id, sampled.trace_id, TRACE_ID_BYTES);
    assert_memory_equal(s->parent_id, sampled.span_id, SPAN_ID_BYTES);
    assert_memory_not_equal(s->context.span_id, sampled.span_id, SPAN_ID_BYTES);
    assert_true(str_eq((struct str){s->state, s->state_len}, STR("foo=1")));
    span_end(s, &nothing);
    assert_int_equal(waiting(), 1);
    s = span_enter(&unsampled, STR(""));
    assert_false(s->is_recorded);
    assert_memory_equal(&s->context, &unsampled, sizeof(unsampled));
    span_end(s, &nothing);
    assert_int_equal(waiting(), 1);
}

static void without_a_collector_a_trace_is_only_passed_on(void **state)
{
    struct span *s;

    (void)state;
    test_config.tracing.endpoint = STR("");
    assert_null(span_enter(NULL, STR("")));
    s = span_enter(&sampled, STR(""));
    assert_false(s->is_recorded);
    assert_memory_equal(&s->context, &sampled, sizeof(sampled));
    assert_null(span_begin_recorded(s));
    span_end(s, &nothing);
    assert_int_equal(waiting(), 0);
}

static void one_that_is_not_sampled_says_so_to_those_it_asks(void **state)
{
    struct span *s, *part;

    (void)state;
    test_config.trace_rules.sampled_below = 0;
    s = span_enter(NULL, STR(""));
    part = span_begin(s);
    assert_false(s->is_recorded || part->is_recorded);
    assert_int_equal(part->context.flags, TRACE_RANDOM);
    assert_memory_equal(part->context.trace_id, s->context.trace_id, TRACE_ID_BYTES);
    span_end(part, &nothing);
    span_end(s, &nothing);
    assert_int_equal(waiting(), 0);
}

static void parts_know_whose_they_are_and_nobody_s_part_is_nothing(void **state)
{
    struct span *s = span_enter(NULL, STR("")), *part = span_begin(s);

    (void)state;
    assert_true(part->is_recorded);
    assert_memory_equal(part->context.trace_id, s->context.trace_id, TRACE_ID_BYTES);
    assert_memory_equal(part->parent_id, s->context.span_id, SPAN_ID_BYTES);
    assert_int_equal(part->context.flags, TRACE_SAMPLED | TRACE_RANDOM);
    span_end(s, &nothing); /* the part goes on, and ends by itself */
    span_end(part, &nothing);
    assert_int_equal(waiting(), 2);
    assert_null(span_begin(NULL));
    span_end(NULL, &nothing);
}

static void a_share_of_the_ids_is_sampled(void **state)
{
    unsigned char id[TRACE_ID_BYTES] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff};

    (void)state;
    assert_false(span_is_sampled(id, 0));
    assert_true(span_is_sampled(id, 1)); /* the first nine bytes decide nothing */
    memset(id, 0xff, sizeof(id));
    assert_true(span_is_sampled(id, ALL));
    assert_false(span_is_sampled(id, ALL - 1));
    assert_false(span_is_sampled(id, HALF));
    id[TRACE_ID_BYTES - 7] = 0x7f;
    assert_true(span_is_sampled(id, HALF));
}

static void a_full_queue_drops_and_the_oldest_go_out_first(void **state)
{
    struct span_queue *q = span_queue_of(&loop);
    struct buf out = {0}, metrics = {0};
    char name[2] = "a";

    (void)state;
    for (; name[0] < 'g'; name[0]++)
        span_end(span_enter(NULL, STR("")),
                 &(struct span_record){.kind = SPAN_SERVER, .name = str_from(name)});
    assert_int_equal(q->n, 4);
    assert_int_equal(n_told, 4);
    trace_metrics(&metrics);
    assert_true(str_contains(buf_str(&metrics),
                             STR("aerie_spans_dropped_total{reason=\"queue_full\"} 2\n")));
    assert_true(str_contains(buf_str(&metrics), STR("aerie_spans_waiting 4\n")));
    assert_int_equal(span_queue_write(q, 3, &out), 3);
    assert_true(str_contains(buf_str(&out), STR("\"name\":\"a\"")));
    assert_true(str_contains(buf_str(&out), STR("\"name\":\"c\"")));
    assert_false(str_contains(buf_str(&out), STR("\"name\":\"d\"")));
    assert_int_equal(q->n, 1);
    buf_deinit(&out);
    buf_deinit(&metrics);
}

static struct str text_of(yyjson_val *object, const char *name)
{
    return json_text(json_member(object, name));
}

static void a_span_has_the_form_of_otlp(void **state)
{
    static const struct span_fact facts[] = {{"http.request.method", {"GET", 3}, 0},
                                             {"http.route", {"", 0}, 0},
                                             {"http.response.status_code", {NULL, 0}, 200}};
    struct clock_source clock = {.mono_ms = 5000, .wall_us = 1700000000123456};
    struct arena arena = {0};
    struct buf out = {0};
    yyjson_val *root, *group, *span, *attributes;
    struct span *s;

    (void)state;
    clock_set_source(&clock);
    s = span_enter(&sampled, STR("foo=1"));
    clock.mono_ms += 250;
    clock.wall_us = 5; /* somebody sets the clock */
    span_end(s, &(struct span_record){.kind = SPAN_SERVER,
                                      .name = STR("GET /\"x\""),
                                      .facts = facts,
                                      .n_facts = 3,
                                      .event = "first_text",
                                      .event_us = 5100 * 1000,
                                      .has_failed = true});
    assert_int_equal(span_queue_write(span_queue_of(&loop), 10, &out), 1);
    assert_false(is_error(json_read(&arena, buf_str(&out), 20, &root)));
    group = yyjson_arr_get_first(json_member(root, "resourceSpans"));
    assert_int_equal(yyjson_arr_size(json_member(json_member(group, "resource"), "attributes")), 3);
    span = yyjson_arr_get_first(
        json_member(yyjson_arr_get_first(json_member(group, "scopeSpans")), "spans"));
    assert_true(str_eq(text_of(span, "traceId"), STR("01020300000000000000000000000000")));
    assert_true(str_eq(text_of(span, "parentSpanId"), STR("0405060000000000")));
    assert_int_equal(text_of(span, "spanId").len, 16);
    assert_true(str_eq(text_of(span, "traceState"), STR("foo=1")));
    assert_true(str_eq(text_of(span, "name"), STR("GET /\"x\"")));
    assert_int_equal(yyjson_get_int(json_member(span, "kind")), 2);
    assert_int_equal(yyjson_get_int(json_member(span, "flags")), 0x301);
    assert_true(str_eq(text_of(span, "startTimeUnixNano"), STR("1700000000123456000")));
    assert_true(str_eq(text_of(span, "endTimeUnixNano"), STR("1700000000373456000")));
    attributes = json_member(span, "attributes");
    assert_int_equal(yyjson_arr_size(attributes), 2);
    assert_true(str_eq(text_of(json_member(yyjson_arr_get(attributes, 0), "value"), "stringValue"),
                       STR("GET")));
    assert_true(str_eq(text_of(json_member(yyjson_arr_get(attributes, 1), "value"), "intValue"),
                       STR("200")));
    assert_true(str_eq(text_of(yyjson_arr_get_first(json_member(span, "events")), "timeUnixNano"),
                       STR("1700000000223456000")));
    assert_int_equal(yyjson_get_int(json_member(json_member(span, "status"), "code")), 2);
    arena_free(&arena);
    buf_deinit(&out);
}

#define SPAN_TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        SPAN_TEST(a_caller_decides_and_its_trace_goes_on),
        SPAN_TEST(without_a_collector_a_trace_is_only_passed_on),
        SPAN_TEST(one_that_is_not_sampled_says_so_to_those_it_asks),
        SPAN_TEST(parts_know_whose_they_are_and_nobody_s_part_is_nothing),
        SPAN_TEST(a_share_of_the_ids_is_sampled),
        SPAN_TEST(a_full_queue_drops_and_the_oldest_go_out_first),
        SPAN_TEST(a_span_has_the_form_of_otlp),
    };
    struct error err = loop_init(&loop, 0);

    if (is_error(err))
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
