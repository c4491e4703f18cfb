/* What another node says of its turn becomes a log with the same numbers, or is not believed; and a
 * mirror in the hub stands beside the turns of this node. */
#include "../../../src/chat/mirror_read.h"
#include "../cmocka_all.h"
#include "../sweep.h"
#include "chat/hub.h"
#include "config/config.h"

#include <stdio.h>
#include <string.h>

static struct loop loop;
static struct config test_config;

static struct turn_log *new_log(const struct id *chat_id, const struct id *owner_id)
{
    struct id team_id = id_v4();
    struct turn_log *log = turn_log_new(&team_id, owner_id, chat_id, STR(""), STR(""));

    assert_non_null(log);
    return log;
}

static struct mirror_reading new_reading(void)
{
    struct id chat_id = id_v7(), owner_id = id_v7();
    struct mirror_reading r = {.log = new_log(&chat_id, &owner_id)};

    mirror_reading_begin(&r);
    return r;
}

static void drop(struct mirror_reading *r)
{
    turn_log_unref(r->log);
    mirror_reading_deinit(r);
}

static bool head(struct mirror_reading *r, unsigned last)
{
    char text[200];

    snprintf(text, sizeof(text),
             "{\"reply_id\":\"%s\",\"last\":%u,\"tokens_limit\":9,\"tokens_left\":4}",
             r->log->reply_id.text, last);
    return mirror_read(r, STR(PEER_HEAD), STR_NONE, str_from(text));
}

static bool event(struct mirror_reading *r, unsigned n, const char *json)
{
    char id[80];

    snprintf(id, sizeof(id), "%s:%u", r->log->reply_id.text, n);
    return mirror_read(r, STR(""), str_from(id), str_from(json));
}

#define STATUS        "{\"type\":\"status\",\"data\":{}}"
#define DONE          "{\"type\":\"done\",\"data\":{}}"
#define TEXT(content) "{\"type\":\"message\",\"data\":{\"content\":\"" content "\"}}"

static void the_log_opens_when_it_is_as_long_as_it_was_there(void **state)
{
    struct mirror_reading r = new_reading();

    (void)state;
    assert_true(head(&r, 17));
    assert_true(event(&r, 1, STATUS));
    assert_true(event(&r, 16, TEXT("ab")));
    assert_int_equal(turn_log_phase(r.log), TURN_LOG_PENDING);
    assert_true(event(&r, 17, STATUS));
    assert_int_equal(turn_log_phase(r.log), TURN_LOG_OPEN);
    assert_int_equal(r.log->tokens_left, 4);
    assert_int_equal(turn_log_last(r.log), 17);
    drop(&r);
}

static void a_stream_goes_on_after_a_cut_and_ends_as_the_turn_did(void **state)
{
    struct mirror_reading r = new_reading();

    (void)state;
    assert_true(head(&r, 0));
    assert_true(event(&r, 8, TEXT("a")));
    assert_true(event(&r, 9, DONE)); /* and then the connection broke */
    mirror_reading_begin(&r);
    assert_true(head(&r, 24));
    assert_true(event(&r, 24, TEXT("\\u00e9"))); /* two bytes */
    assert_true(event(&r, 25, DONE));
    assert_false(mirror_read(
        &r, STR(PEER_TAIL), STR_NONE,
        STR("{\"outcome\":\"stopped\",\"code\":3,\"detail\":\"by "
            "hand\",\"reply_outcome\":\"stopped\","
            "\"is_saved\":true,\"is_stopped\":true,\"model\":\"m\",\"usage\":{\"total_tokens\":1},"
            "\"metadata\":null}")));
    assert_false(r.is_wrong);
    assert_int_equal(turn_log_phase(r.log), TURN_LOG_CLOSED);
    assert_int_equal(turn_log_last(r.log), 25);
    assert_int_equal(r.log->outcome.status, ERR_STOPPED);
    assert_string_equal(r.log->outcome.detail, "by hand");
    assert_true(r.log->is_saved && r.log->is_stopped);
    assert_true(str_eq(r.log->usage, STR("{\"total_tokens\":1}")));
    drop(&r);
}

static void refuse(unsigned n, const char *json)
{
    struct mirror_reading r = new_reading();

    assert_true(head(&r, 0));
    assert_true(event(&r, 16, TEXT("ab")));
    assert_false(event(&r, n, json));
    assert_true(r.is_wrong);
    assert_true(str_eq(turn_log_text(r.log), STR("ab")));
    drop(&r);
}

static void what_does_not_fit_is_refused_and_changes_nothing(void **state)
{
    struct mirror_reading r = new_reading();

    (void)state;
    refuse(16, TEXT("c"));
    refuse(32, TEXT("c"));
    refuse(17, TEXT("c"));
    refuse(16, TEXT(""));
    refuse(18, STATUS);
    refuse(16, STATUS);
    refuse(18, DONE);
    refuse(24, "{\"type\":\"message\",\"data\":{\"content\":7}}");
    refuse(24, "{\"type\":\"message\"");
    assert_false(event(&r, 8, TEXT("a"))); /* no head */
    mirror_reading_begin(&r);
    assert_true(head(&r, 0));
    assert_false(head(&r, 0)); /* two */
    mirror_reading_begin(&r);
    assert_true(head(&r, 0));
    assert_false(
        mirror_read(&r, STR(PEER_TAIL), STR_NONE, STR("{\"outcome\":\"ok\"}"))); /* no end */
    assert_true(r.is_wrong);
    assert_int_equal(turn_log_last(r.log), 0);
    drop(&r);
}

static void text_past_the_bound_of_a_reply_is_refused(void **state)
{
    struct mirror_reading r = new_reading();

    (void)state;
    assert_true(head(&r, 0));
    assert_true(event(&r, 64, TEXT("12345678")));
    assert_false(event(&r, 136, TEXT("123456789")));
    drop(&r);
}

static void a_mirror_stands_beside_the_turns_and_claims_nothing(void **state)
{
    struct id chat_id = id_v7(), owner_id = id_v7();
    struct turn_log *mirror = new_log(&chat_id, &owner_id), *turn = new_log(&chat_id, &owner_id),
                    *found;

    (void)state;
    mirror->is_mirror = true;
    assert_null(hub_claim(mirror));
    assert_null(hub_claim(turn)); /* it may be refused yet */
    found = hub_find(&chat_id, &owner_id);
    assert_ptr_equal(found, mirror);
    turn_log_unref(found);
    turn_log_open(turn);
    found = hub_find(&chat_id, &owner_id);
    assert_ptr_equal(found, turn);
    turn_log_unref(found);
    turn->created_us = 1;
    turn_log_close(turn, STR("end"));
    mirror->created_us = 2;
    turn_log_open(mirror);
    turn_log_close(mirror, STR("end"));
    found = hub_find(&chat_id, &owner_id);
    assert_ptr_equal(found, mirror); /* the later one */
    turn_log_unref(found);
    hub_remove(mirror);
    found = hub_find(&chat_id, &owner_id);
    assert_ptr_equal(found, turn);
    turn_log_unref(found);
    hub_remove(turn);
    turn_log_unref(turn);
    turn_log_unref(mirror);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_log_opens_when_it_is_as_long_as_it_was_there),
        cmocka_unit_test(a_stream_goes_on_after_a_cut_and_ends_as_the_turn_did),
        cmocka_unit_test(what_does_not_fit_is_refused_and_changes_nothing),
        cmocka_unit_test(text_past_the_bound_of_a_reply_is_refused),
        cmocka_unit_test(a_mirror_stands_beside_the_turns_and_claims_nothing),
    };
    int failed;

    test_config.upstream.reply_bytes = 16;
    config_set(&test_config);
    if (is_error(loop_init(&loop, 0)) || !hub_open())
        return 1;
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    hub_close();
    sweep_close_loop(&loop);
    return failed;
}
