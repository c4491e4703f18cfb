/* Turns on a real SQLite file with the built-in echo agent: stopped, abandoned and cut short after every turn of the loop.
 * Whatever happens: one terminal event, one stored reply with the right status, a chat that is free again. */
#include "../cmocka_all.h"
#include "../sweep.h"
#include "../allocs.h"
#include "../../../src/chat/room.h"
#include "base/clock.h"
#include "base/log.h"
#include "chat/hub.h"
#include "chat/budget.h"
#include "chat/slots.h"
#include "cluster/cluster.h"
#include "chat/turn.h"
#include "chat/usage.h"
#include "config/config.h"
#include "db/db.h"
#include "upstream/upstream.h"

#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct loop loop;
static struct config test_config;
static struct db *db;
static struct id team_id, user_id, agent_id, chat_id;
static char directory[] = "/tmp/aerie-turn-XXXXXX", database_path[64];

static void must(struct error err)
{
    if (is_error(err))
        fail_msg("%s", err.detail ? err.detail : status_row(err.status)->name);
}

static void run(enum sql sql, const struct db_arg *args, size_t n)
{
    struct arena arena = {0};
    struct db_result result;

    must(db_run(db, &arena, sql, args, n, &result));
    arena_free(&arena);
}

static struct db_arg uuid(const struct id *id)
{
    return db_uuid(id_str(id));
}

static void add_rows(void)
{
    int64_t now = clock_wall_us();

    team_id = id_v4();
    user_id = id_v7();
    agent_id = id_v7();
    chat_id = id_v7();
    run(SQL_TEAM_ADD, DB_ARGS(uuid(&team_id), db_text(STR("T")), db_text(STR("t")), db_json(STR("{}")), db_time(now)));
    run(SQL_USER_ADD, DB_ARGS(uuid(&team_id), uuid(&user_id), db_text(STR("u@example.com")),
                              db_text(STR("x")), db_text(STR_NONE), db_text(STR("user")), db_time(now)));
    run(SQL_AGENT_ADD, DB_ARGS(uuid(&team_id), uuid(&agent_id), uuid(&user_id), db_text(STR("Echo")),
                               db_text(STR_NONE), db_text(STR("echo")), db_text(STR_NONE), db_text(STR_NONE),
                               db_text(STR_NONE), db_text(STR_NONE), db_json(STR("{\"delay_ms\":4}")),
                               db_json(STR("[]")), db_bool(true), db_time(now)));
    run(SQL_CHAT_ADD, DB_ARGS(uuid(&team_id), uuid(&user_id), uuid(&chat_id), uuid(&agent_id),
                              db_text(STR("C")), db_json(STR("{}")), db_time(now)));
}

/* ---- one turn, with a reader ---- */

static struct scenario {
    struct turn_request request;
    struct turn_log *log;
    struct log_reader reader;
    bool has_reader;
    bool is_new_chat; /* each turn makes its chat */
    bool waits;             /* another has the only slot when it comes */
    struct slot ahead;
    unsigned n_looks;
    void (*disturb)(struct scenario *s);
} scenario;

static void on_grow(struct log_reader *r)
{
    (void)r;
}

static void take_slot(struct flow *f)
{
    static struct slot_wait wait;

    slot_take(f->state, &wait, f, &team_id);
}

static void on_slot_taken(struct flow *f)
{
    (void)f;
}

/* Another call has the only slot. */
static void start_ahead(struct scenario *s)
{
    static const struct step steps[] = {STEP(take_slot), STEP_END};
    static struct flow flow;

    s->n_looks = 0;
    flow_start(&flow, steps, &s->ahead, on_slot_taken);
    assert_true(s->ahead.is_held);
}

static void scenario_start(void *state)
{
    struct scenario *s = state;

    if (s->waits)
        start_ahead(s);
    s->request = (struct turn_request){.team_id = team_id, .owner_id = user_id, .chat_id = chat_id,
                                       .content = STR("one two three"), .idempotency_key = STR(""),
                                       .body_hash = STR(""), .is_new_chat = s->is_new_chat};
    if (s->is_new_chat)
        s->request.chat_id = id_v7();
    must(turn_start(&s->request, &s->log));
    s->has_reader = turn_log_attach(s->log, &s->reader, on_grow);
    assert_true(s->has_reader);
}

static void scenario_disturb(void *state)
{
    struct scenario *s = state;

    s->disturb(s);
}

static bool scenario_has_ended(void *state)
{
    struct scenario *s = state;

    if (s->ahead.is_held && slots_stats().n_waiting > 0 && s->n_looks++ == 3)
        slot_release(&s->ahead);
    return turn_log_phase(s->log) == TURN_LOG_CLOSED && !s->log->turn;
}

static unsigned count_terminal(struct turn_log *log)
{
    struct log_event event;
    uint64_t n = 0;
    unsigned count = 0;

    turn_log_lock(log);
    while (turn_log_next(log, n, 1000, &event)) {
        n = event.n;
        if (str_contains(event.notice, STR("\"type\":\"done\"")) ||
            str_contains(event.notice, STR("\"type\":\"error\"")))
            count++;
    }
    turn_log_unlock(log);
    return count;
}

static void assert_stored(struct scenario *s, bool was_disturbed)
{
    struct arena arena = {0};
    struct db_result row;
    struct str status, content;

    must(db_run(db, &arena, SQL_MESSAGE_GET, DB_ARGS(uuid(&team_id), uuid(&user_id), uuid(&s->log->reply_id)), &row));
    assert_int_equal(row.n_rows, s->log->is_begun ? 1 : 0);
    if (s->log->is_begun) {
        content = db_get_text(&row, 0, 3);
        status = db_get_text(&row, 0, 4);
        assert_true(str_eq(content, turn_log_text(s->log)));
        if (!was_disturbed || s->log->outcome.status == OK) {
            assert_true(str_eq(status, STR("complete")));
            assert_true(str_eq(content, STR("Echo: one two three")));
        } else {
            assert_true(str_eq(status, STR("stopped")) || str_eq(status, STR("interrupted")));
        }
    }
    arena_free(&arena);
}

/* The chat of a new conversation is there when its message is, and not otherwise. */
static void assert_chat(struct scenario *s)
{
    struct arena arena = {0};
    struct db_result row;

    must(db_run(db, &arena, SQL_CHAT_GET, DB_ARGS(uuid(&team_id), uuid(&user_id), uuid(&s->log->chat_id)), &row));
    assert_int_equal(row.n_rows, s->log->is_begun || !s->is_new_chat ? 1 : 0);
    if (s->is_new_chat && s->log->is_begun)
        assert_true(str_eq(db_get_text(&row, 0, 4), STR("one two three")));
    arena_free(&arena);
}

static void scenario_finish(void *state, bool was_disturbed)
{
    struct scenario *s = state;

    slot_release(&s->ahead);
    assert_int_equal(count_terminal(s->log), s->log->is_begun ? 1 : 0);
    assert_stored(s, was_disturbed);
    assert_chat(s);
    assert_false(hub_is_running(&s->log->chat_id, &user_id, id_str(&s->log->reply_id)));
    if (s->has_reader)
        turn_log_detach(s->log, &s->reader);
    turn_log_unref(s->log);
    for (unsigned i = 0; i < 3; i++)
        sweep_turn(&loop); /* letters under way */
}

static void stop(struct scenario *s)
{
    turn_stop(s->log, "asked");
}

static void leave(struct scenario *s)
{
    s->has_reader = false;
    turn_log_detach(s->log, &s->reader);
}

static void shut_down(struct scenario *s)
{
    (void)s;
    chat_abort(&loop);
}

static const struct sweep sweep = {scenario_start, scenario_disturb, scenario_has_ended, scenario_finish, &scenario, 300};

static void a_turn_stopped_at_any_moment_ends_once_and_keeps_what_came(void **state)
{
    (void)state;
    scenario.disturb = stop;
    assert_true(sweep_run(&loop, &sweep) > 5);
}

static void a_turn_that_everyone_left_at_any_moment_goes_on(void **state)
{
    (void)state;
    scenario.disturb = leave;
    assert_true(sweep_run(&loop, &sweep) > 5);
}

static void a_shutdown_at_any_moment_stores_the_part_as_interrupted(void **state)
{
    (void)state;
    scenario.disturb = shut_down;
    assert_true(sweep_run(&loop, &sweep) > 5);
}

static void a_turn_that_makes_its_chat_leaves_none_without_a_message(void **state)
{
    (void)state;
    scenario.is_new_chat = true;
    scenario.disturb = stop;
    assert_true(sweep_run(&loop, &sweep) > 5);
    scenario.disturb = shut_down;
    assert_true(sweep_run(&loop, &sweep) > 5);
    scenario.is_new_chat = false;
}

static void assert_no_slot_taken(void)
{
    struct slots_stats stats = slots_stats();

    assert_int_equal(stats.n_taken, 0);
    assert_int_equal(stats.n_waiting, 0);
}

static void a_turn_that_waits_for_another_can_be_ended_at_any_moment(void **state)
{
    static void (*const ways[])(struct scenario *s) = {stop, shut_down};

    (void)state;
    test_config.upstream.slots = 1;
    scenario.waits = true;
    for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
        scenario.disturb = ways[i];
        assert_true(sweep_run(&loop, &sweep) > 5);
        assert_no_slot_taken();
    }
    scenario.waits = false;
    test_config.upstream.slots = 0;
}

static int64_t tokens_of_today(void)
{
    int64_t today = usage_day(clock_wall_us());
    struct arena arena = {0};
    struct db_result row;
    int64_t tokens;

    must(db_run(db, &arena, SQL_USAGE_BY_DAY,
                DB_ARGS(uuid(&team_id), db_time(today), db_time(today), uuid(&agent_id), db_int(10)), &row));
    tokens = db_get_int(&row, 0, 5) + db_get_int(&row, 0, 6);
    arena_free(&arena);
    return tokens;
}

static struct budget *held;
static int64_t tokens_limit, tokens_left;

static void hold_some(struct flow *f)
{
    budget_reserve(held, f, &(struct budget_ask){.tokens_limit = &tokens_limit, .tokens_left = &tokens_left});
}

static void on_held(struct flow *f)
{
    must(f->err);
    *(bool *)f->state = true;
}

/* What is left beside what nobody holds: nothing that a turn held stays held. */
static void assert_nothing_held(void)
{
    static const struct step steps[] = {STEP(hold_some), STEP_END};
    static struct flow flow;
    bool is_held = false;

    must(budget_new(&(struct budget_who){.team_id = team_id, .owner_id = user_id, .agent_id = agent_id}, &held));
    flow_start(&flow, steps, &is_held, on_held);
    while (!is_held)
        sweep_turn(&loop);
    assert_int_equal(tokens_left, tokens_limit - tokens_of_today() - (int64_t)test_config.limits.reply_tokens);
    budget_free(held);
}

static void what_every_turn_used_is_counted_once_in_memory_and_in_the_table(void **state)
{
    (void)state;
    assert_true(tokens_of_today() > 0);
    assert_nothing_held();
}

static void what_is_stored_twice_is_counted_once(void **state)
{
    struct turn_request r = {.team_id = team_id, .owner_id = user_id, .chat_id = chat_id, .content = STR("hi")};
    const struct usage usage = {.completion_tokens = 7, .total_tokens = 7};
    struct usage_account account = {.team_id = team_id, .owner_id = user_id, .agent_id = agent_id, .provider = STR("echo")};
    struct db_arg args[USAGE_ARGS];
    struct turn_log *log = NULL;
    int64_t before;

    (void)state;
    must(turn_start(&r, &log));
    while (turn_log_phase(log) != TURN_LOG_CLOSED || log->turn)
        sweep_turn(&loop);
    before = tokens_of_today();
    account.reply_id = log->reply_id;
    usage_args(&account, &usage, args);
    run(SQL_USAGE_ADD, args, USAGE_ARGS); /* as after a commit whose outcome was not known */
    assert_int_equal(tokens_of_today(), before);
    account.reply_id = id_v7();
    usage_args(&account, &usage, args);
    run(SQL_USAGE_ADD, args, USAGE_ARGS); /* of a reply that was deleted meanwhile */
    assert_int_equal(tokens_of_today(), before + 7);
    turn_log_unref(log);
}

static void set_config(const char *agent_config)
{
    run(SQL_AGENT_UPDATE,
        DB_ARGS(uuid(&team_id), uuid(&agent_id), db_int(0), db_null(), db_null(), db_null(), db_null(), db_null(), db_null(),
                db_null(), db_json(str_from(agent_config)), db_null(), db_null(), db_time(clock_wall_us())));
}

static void abandon(const char *agent_config, bool expect_stopped)
{
    set_config(agent_config);
    scenario_start(&scenario);
    while (scenario.log->text.len == 0)
        sweep_turn(&loop);
    leave(&scenario);
    while (!scenario_has_ended(&scenario))
        sweep_turn(&loop);
    assert_int_equal(scenario.log->is_stopped, expect_stopped);
    scenario_finish(&scenario, expect_stopped);
    set_config("{\"delay_ms\":4}");
}

static void on_disconnect_decides_about_a_turn_that_nobody_reads(void **state)
{
    (void)state;
    abandon("{\"delay_ms\":20,\"on_disconnect\":\"abort\"}", true);
    abandon("{\"delay_ms\":20,\"on_disconnect\":\"continue\"}", false);
    abandon("{\"delay_ms\":20,\"on_disconnect\":\"grace\",\"grace_seconds\":60}", false);
}

static void wait_in_queue(void)
{
    scenario_start(&scenario);
    for (unsigned i = 0; slots_stats().n_waiting == 0; i++) {
        assert_true(i < 10000);
        usleep(100);
        sweep_turn(&loop);
    }
    scenario.n_looks = 100; /* the other keeps it */
    assert_int_equal(turn_log_phase(scenario.log), TURN_LOG_PENDING);
}

/* No agent was asked, and the message is there all the same. */
static void assert_stored_and_stopped(void)
{
    while (!scenario_has_ended(&scenario))
        sweep_turn(&loop);
    assert_true(scenario.log->is_begun && scenario.log->is_stopped && scenario.log->is_saved);
    assert_int_equal(scenario.log->text.len, 0);
    assert_true(scenario.ahead.is_held);
    scenario_finish(&scenario, true);
}

static void a_message_whose_wait_is_cut_short_is_stored(void **state)
{
    (void)state;
    test_config.upstream.slots = 1;
    scenario.waits = true;
    wait_in_queue();
    stop(&scenario);
    assert_stored_and_stopped();
    set_config("{\"delay_ms\":4,\"on_disconnect\":\"abort\"}");
    wait_in_queue();
    leave(&scenario);
    assert_stored_and_stopped();
    set_config("{\"delay_ms\":4}");
    scenario.waits = false;
    test_config.upstream.slots = 0;
}

static void a_turn_that_waited_too_long_is_refused_and_stores_nothing(void **state)
{
    (void)state;
    test_config.upstream.slots = 1;
    test_config.upstream.slot_wait_seconds = 0;
    scenario.waits = true;
    wait_in_queue();
    while (!scenario_has_ended(&scenario))
        sweep_turn(&loop);
    assert_false(scenario.log->is_begun);
    assert_int_equal(scenario.log->outcome.status, ERR_RATE_LIMITED);
    assert_true(scenario.log->outcome.code >= 1);
    scenario_finish(&scenario, true);
    assert_no_slot_taken();
    scenario.waits = false;
    test_config.upstream.slots = 0;
    test_config.upstream.slot_wait_seconds = 30;
}

static void a_second_message_is_refused_while_the_first_is_answered(void **state)
{
    struct turn_log *other = NULL;

    (void)state;
    scenario_start(&scenario);
    assert_int_equal(turn_start(&scenario.request, &other).status, ERR_CONFLICT);
    while (!scenario_has_ended(&scenario))
        sweep_turn(&loop);
    scenario_finish(&scenario, false);
}

static void the_same_key_joins_the_turn_and_another_body_is_refused(void **state)
{
    struct turn_log *first = NULL, *joined = NULL, *later = NULL;
    struct turn_request r;

    (void)state;
    r = (struct turn_request){.team_id = team_id, .owner_id = user_id, .chat_id = chat_id, .content = STR("hi"),
                              .idempotency_key = STR("k1"), .body_hash = STR("h1")};
    must(turn_start(&r, &first));
    must(turn_start(&r, &joined));
    assert_ptr_equal(first, joined);
    r.body_hash = STR("h2");
    assert_int_equal(turn_start(&r, &later).status, ERR_INVALID);
    while (turn_log_phase(first) != TURN_LOG_CLOSED || first->turn)
        sweep_turn(&loop);

    r.body_hash = STR("h1"); /* afterwards the key names the reply that it got */
    must(turn_start(&r, &later));
    while (turn_log_phase(later) != TURN_LOG_CLOSED || later->turn)
        sweep_turn(&loop);
    assert_false(later->is_begun);
    assert_true(str_eq(id_str(&later->earlier_reply), id_str(&first->reply_id)));
    turn_log_unref(first);
    turn_log_unref(joined);
    turn_log_unref(later);
}

static void a_chat_of_someone_else_is_not_found(void **state)
{
    struct turn_log *log = NULL;
    struct turn_request r = {.team_id = team_id, .owner_id = agent_id, .chat_id = chat_id, .content = STR("hi"),
                             .idempotency_key = STR(""), .body_hash = STR("")};

    (void)state;
    must(turn_start(&r, &log));
    while (turn_log_phase(log) != TURN_LOG_CLOSED || log->turn)
        sweep_turn(&loop);
    assert_false(log->is_begun);
    assert_int_equal(log->outcome.status, ERR_NOT_FOUND);
    turn_log_unref(log);
}

static struct turn_request to_chat(const struct id *chat)
{
    return (struct turn_request){.team_id = team_id, .owner_id = user_id, .chat_id = *chat, .content = STR("hi"),
                                 .idempotency_key = STR(""), .body_hash = STR("")};
}

static void run_to_end(struct turn_log *log)
{
    while (turn_log_phase(log) != TURN_LOG_CLOSED || log->turn)
        sweep_turn(&loop);
}

static void why_a_turn_failed_is_known_after_it_is_gone(void **state)
{
    struct turn_request r = to_chat(&chat_id);
    struct turn_log *log = NULL;

    (void)state;
    set_config("{no JSON"); /* the database says so, in words of its own */
    must(turn_start(&r, &log));
    run_to_end(log);
    set_config("{\"delay_ms\":4}");
    assert_false(log->is_begun);
    assert_int_equal(log->outcome.status, ERR_DB);
    assert_true(str_contains(str_from(log->outcome.detail), STR("JSON")));
    turn_log_unref(log);
}

static void turns_past_a_limit_are_refused_and_claim_nothing(uint64_t *limit, enum status refusal)
{
    struct id other_chat = id_v7();
    struct turn_request r = to_chat(&chat_id), other = to_chat(&other_chat);
    struct turn_log *log = NULL, *refused = NULL;

    *limit = 1;
    must(turn_start(&r, &log));
    assert_int_equal(turn_start(&other, &refused).status, refusal);
    assert_null(hub_find(&other_chat, &user_id));
    assert_int_equal(turn_start(&r, &refused).status, ERR_CONFLICT); /* not counted either */
    run_to_end(log);
    turn_log_unref(log);
    must(turn_start(&r, &log));
    run_to_end(log);
    turn_log_unref(log);
    *limit = 0;
}

static void streams_are_bounded_in_all_and_for_each_team(void **state)
{
    (void)state;
    turns_past_a_limit_are_refused_and_claim_nothing(&test_config.limits.streams, ERR_BUSY);
    turns_past_a_limit_are_refused_and_claim_nothing(&test_config.limits.streams_per_team, ERR_RATE_LIMITED);
}

static void ended_turns_stay_within_the_bytes_that_they_really_take(void **state)
{
    struct turn_request r = to_chat(&chat_id);
    struct turn_log *first = NULL, *log = NULL;
    struct config before = test_config;

    (void)state;
    test_config.turn.keep_ms = 60000;
    test_config.turn.keep_bytes = 8192;
    must(turn_start(&r, &first));
    run_to_end(first);
    for (unsigned i = 0; i < 8; i++) {
        must(turn_start(&r, &log));
        run_to_end(log);
        turn_log_unref(log);
    }
    assert_int_equal(atomic_load(&first->refs), 1); /* ours */
    turn_log_unref(first);
    test_config = before;
}

static void a_turn_that_is_asked_to_stop_while_its_readers_leave_stops(void **state)
{
    (void)state;
    set_config("{\"delay_ms\":20}");
    scenario_start(&scenario);
    while (scenario.log->text.len == 0)
        sweep_turn(&loop);
    leave(&scenario); /* both are told by the one letter that is under way */
    stop(&scenario);
    stop(&scenario);
    run_to_end(scenario.log);
    assert_true(scenario.log->is_stopped);
    scenario_finish(&scenario, true);
    set_config("{\"delay_ms\":4}");
}

/* Somebody else's transaction, which no write gets past. */
static sqlite3 *lock_database(void)
{
    sqlite3 *other = NULL;

    assert_int_equal(sqlite3_open(database_path, &other), SQLITE_OK);
    assert_int_equal(sqlite3_busy_timeout(other, 5000), SQLITE_OK);
    assert_int_equal(sqlite3_exec(other, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
    return other;
}

/* Streams a reply whose end finds the database locked, which lasts for so many turns of the loop. */
static void end_while_locked(unsigned locked_turns)
{
    sqlite3 *other;

    set_config("{\"delay_ms\":20}");
    scenario_start(&scenario);
    while (scenario.log->text.len == 0)
        sweep_turn(&loop);
    other = lock_database();
    for (unsigned turn = 0; turn_log_phase(scenario.log) != TURN_LOG_CLOSED; turn++) {
        if (turn == locked_turns) {
            sqlite3_close(other);
            other = NULL;
        }
        sweep_turn(&loop);
        usleep(1000);
    }
    sqlite3_close(other);
    run_to_end(scenario.log);
}

static void a_reply_waits_a_while_for_a_database_that_is_away_at_its_end(void **state)
{
    (void)state;
    end_while_locked(400);
    assert_int_equal(scenario.log->outcome.status, OK);
    assert_true(scenario.log->is_saved);
    scenario_finish(&scenario, false);
    set_config("{\"delay_ms\":4}");
}

static void a_reply_that_could_not_be_stored_says_so_and_frees_its_chat(void **state)
{
    uint64_t save_seconds = test_config.turn.save_seconds;
    struct log_event event;
    struct turn_log *log;
    uint64_t n = 0;

    (void)state;
    test_config.turn.save_seconds = 0;
    end_while_locked(UINT32_MAX);
    test_config.turn.save_seconds = save_seconds;
    log = scenario.log;
    assert_int_equal(log->outcome.status, ERR_NOT_SAVED);
    assert_int_equal(count_terminal(log), 1);
    turn_log_lock(log);
    while (turn_log_next(log, n, 1000, &event))
        n = event.n;
    turn_log_unlock(log);
    assert_true(str_contains(event.notice, STR("\"code\":\"not_saved\"")));
    assert_false(str_contains(event.notice, STR("message_id")));
    assert_true(str_eq(turn_log_text(log), STR("Echo: one two three"))); /* it was told all the same */
    turn_log_detach(log, &scenario.reader);
    turn_log_unref(log);
    set_config("{\"delay_ms\":4}");
    scenario_start(&scenario);
    run_to_end(scenario.log);
    scenario_finish(&scenario, false);
}

static void a_reader_who_leaves_while_the_reply_is_stored_starts_no_grace(void **state)
{
    sqlite3 *other;

    (void)state;
    set_config("{\"delay_ms\":20,\"on_disconnect\":\"grace\",\"grace_seconds\":1}");
    scenario_start(&scenario);
    while (scenario.log->text.len == 0)
        sweep_turn(&loop);
    other = lock_database();
    while (!str_eq(turn_log_text(scenario.log), STR("Echo: one two three")))
        sweep_turn(&loop);
    for (unsigned i = 0; i < 5; i++)
        sweep_turn(&loop);
    assert_int_equal(turn_log_phase(scenario.log), TURN_LOG_OPEN); /* it is being stored */
    leave(&scenario);
    for (unsigned i = 0; i < 3; i++)
        sweep_turn(&loop); /* its letter */
    sqlite3_close(other);
    run_to_end(scenario.log);
    assert_int_equal(scenario.log->outcome.status, OK);
    scenario_finish(&scenario, false);
    set_config("{\"delay_ms\":4}");
    for (unsigned i = 0; i < 110; i++) {
        sweep_turn(&loop); /* a timer of a turn that is gone would come now */
        usleep(10000);
    }
}

static bool is_chat_free(void)
{
    struct turn_log *there = hub_find(&chat_id, &user_id);
    bool is_free = !there || turn_log_phase(there) == TURN_LOG_CLOSED;

    if (there)
        turn_log_unref(there);
    return is_free;
}

/* One turn whose nth allocation fails. False: there were not that many. */
static bool is_turn_sound_when_allocation_fails(unsigned long n)
{
    struct turn_request r = to_chat(&chat_id);
    struct turn_log *log = NULL;
    struct log_reader reader = {0};
    bool has_failed, has_reader = false;
    struct error err;

    r.content = STR("one two three");
    allocs_reset(n);
    allocs_watch(true);
    err = turn_start(&r, &log);
    if (!is_error(err)) {
        has_reader = turn_log_attach(log, &reader, on_grow);
        while (turn_log_phase(log) != TURN_LOG_CLOSED || log->turn) {
            sweep_turn(&loop);
            usleep(200);
        }
    }
    allocs_watch(false);
    has_failed = allocs_failed();
    if (is_error(err)) {
        assert_int_equal(err.status, ERR_NO_MEMORY);
        assert_true(is_chat_free());
        return has_failed;
    }
    scenario.log = log;
    assert_int_equal(count_terminal(log), log->is_begun ? 1 : 0);
    assert_true(log->is_saved || !log->is_begun); /* memory is there again when it ends */
    if (!is_error(log->outcome))
        assert_true(str_eq(turn_log_text(log), STR("Echo: one two three")));
    if (!log->is_begun || !is_error(log->outcome))
        assert_stored(&scenario, false);
    assert_true(is_chat_free());
    if (has_reader)
        turn_log_detach(log, &reader);
    turn_log_unref(log);
    for (unsigned i = 0; i < 3; i++)
        sweep_turn(&loop); /* letters under way */
    return has_failed;
}

static void a_turn_that_finds_no_memory_at_any_moment_ends_once_and_tells_no_lie(void **state)
{
    unsigned long n = 1;

    (void)state;
    set_config("{\"delay_ms\":0}");
    while (is_turn_sound_when_allocation_fails(n))
        n++;
    assert_true(n > 10);
    set_config("{\"delay_ms\":4}");
}

static void nothing_more(struct loop *l)
{
    (void)l;
}

static int open_rooms(void **state)
{
    static char url[96];

    (void)state;
    assert_non_null(mkdtemp(directory));
    snprintf(database_path, sizeof(database_path), "%s/chat.db", directory);
    snprintf(url, sizeof(url), "sqlite:///%s", database_path);
    test_config.database.url = str_from(url);
    test_config.data_dir = str_from(directory);
    must(db_open(&db, DB_OPEN_SERVER));
    must(db_migrate_up(db, &(int){0}));
    add_rows();
    must(cluster_open(db));
    must(upstream_open());
    must(chat_open(db));
    must(loop_init(&loop, 0));
    must(db_attach(db, &loop));
    must(upstream_attach(&loop));
    must(chat_attach(&loop));
    return 0;
}

static struct turn_log *running[4];
static unsigned n_drained;

static void on_room_drained(struct loop *l)
{
    (void)l;
    n_drained++;
    for (size_t i = 0; i < sizeof(running) / sizeof(running[0]); i++)
        assert_null(running[i]->turn);
}

/* The last thing that the room does. */
static void a_room_is_drained_once_and_when_its_last_turn_has_ended(void **state)
{
    struct chat_room *room = loop.rooms[ROOM_CHAT];

    (void)state;
    for (unsigned at = 0; at < 12; at++) {
        n_drained = 0;
        for (size_t i = 0; i < sizeof(running) / sizeof(running[0]); i++) {
            struct id chat = id_v7();
            struct turn_request r = to_chat(&chat);

            r.is_new_chat = true;
            must(turn_start(&r, &running[i]));
        }
        for (unsigned turn = 0; turn < at; turn++)
            sweep_turn(&loop);
        chat_drain(&loop, on_room_drained);
        chat_abort(&loop);
        for (size_t i = 0; i < sizeof(running) / sizeof(running[0]); i++)
            run_to_end(running[i]);
        for (unsigned i = 0; i < 3 || room->housekeeping.chore.is_running || room->budgets.chore.is_running; i++)
            sweep_turn(&loop);
        assert_int_equal(n_drained, 1);
        for (size_t i = 0; i < sizeof(running) / sizeof(running[0]); i++)
            turn_log_unref(running[i]);
        room->is_draining = false;
    }
}

static void on_db_detached(struct loop *l)
{
    (void)l;
    db = NULL;
}

static int close_rooms(void **state)
{
    struct db *detaching = db;
    char command[128];

    (void)state;
    chat_drain(&loop, nothing_more);
    while (room_here()->journal.is_writing || room_here()->checkpoint.chore.is_running || room_here()->budgets.chore.is_running)
        sweep_turn(&loop);
    chat_detach(&loop);
    upstream_detach(&loop, nothing_more);
    db_detach(&loop, on_db_detached);
    while (db) /* a statement that nobody waits for any more */
        sweep_turn(&loop);
    sweep_close_loop(&loop);
    chat_close(detaching);
    cluster_close();
    upstream_close();
    db_close(detaching);
    snprintf(command, sizeof(command), "rm -rf %s", directory);
    return system(command) == 0 ? 0 : -1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_turn_stopped_at_any_moment_ends_once_and_keeps_what_came),
        cmocka_unit_test(a_turn_that_everyone_left_at_any_moment_goes_on),
        cmocka_unit_test(a_shutdown_at_any_moment_stores_the_part_as_interrupted),
        cmocka_unit_test(a_turn_that_makes_its_chat_leaves_none_without_a_message),
        cmocka_unit_test(a_turn_that_waits_for_another_can_be_ended_at_any_moment),
        cmocka_unit_test(what_every_turn_used_is_counted_once_in_memory_and_in_the_table),
        cmocka_unit_test(what_is_stored_twice_is_counted_once),
        cmocka_unit_test(on_disconnect_decides_about_a_turn_that_nobody_reads),
        cmocka_unit_test(a_message_whose_wait_is_cut_short_is_stored),
        cmocka_unit_test(a_turn_that_waited_too_long_is_refused_and_stores_nothing),
        cmocka_unit_test(a_second_message_is_refused_while_the_first_is_answered),
        cmocka_unit_test(the_same_key_joins_the_turn_and_another_body_is_refused),
        cmocka_unit_test(a_chat_of_someone_else_is_not_found),
        cmocka_unit_test(why_a_turn_failed_is_known_after_it_is_gone),
        cmocka_unit_test(streams_are_bounded_in_all_and_for_each_team),
        cmocka_unit_test(ended_turns_stay_within_the_bytes_that_they_really_take),
        cmocka_unit_test(a_turn_that_is_asked_to_stop_while_its_readers_leave_stops),
        cmocka_unit_test(a_reply_waits_a_while_for_a_database_that_is_away_at_its_end),
        cmocka_unit_test(a_reply_that_could_not_be_stored_says_so_and_frees_its_chat),
        cmocka_unit_test(a_reader_who_leaves_while_the_reply_is_stored_starts_no_grace),
        cmocka_unit_test(a_turn_that_finds_no_memory_at_any_moment_ends_once_and_tells_no_lie),
        cmocka_unit_test(a_room_is_drained_once_and_when_its_last_turn_has_ended),
    };
    int failed;

    if (is_error(config_load(&(struct config_sources){0}, &test_config)))
        return 1;
    test_config.security.secret = STR("0123456789abcdef0123456789abcdef");
    test_config.turn.keep_ms = 1;
    test_config.limits.tokens_per_day = 1000000000;
    config_set(&test_config);
    log_init(LOG_ERROR, 2);
    failed = cmocka_run_group_tests(tests, open_rooms, close_rooms);
    config_free(&test_config);
    return failed;
}
