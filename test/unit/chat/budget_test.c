/* Accounts of budgets: what fits, what is held, leased and settled, over limits, periods, expired leases and many owners; and
 * the price table. The database is played by the test. */
#include "../cmocka_all.h"
#include "../../../src/chat/budget_account.h"
#include "base/clock.h"
#include "base/log.h"
#include "chat/usage.h"
#include "config/config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DAY_US  (24ll * 3600 * 1000000)
#define HOUR_US (3600ll * 1000000)

static struct config test_config;
static struct clock_source now;
static struct budget_who who;
static struct budget_part *short_part;
static enum budget_unit unit;
static struct budget_amount there; /* spent and leased, as the database has it */

static int set_up(void **state)
{
    (void)state;
    now = (struct clock_source){.mono_ms = 1000, .wall_us = 20000 * DAY_US + 22 * HOUR_US};
    clock_set_source(&now);
    test_config.limits.tokens_per_day = 0;
    test_config.limits.reply_tokens = 100;
    test_config.budgets.lease_seconds = 15;
    config_set(&test_config);
    who = (struct budget_who){.team_id = id_v4(), .owner_id = id_v7(), .agent_id = id_v7(), .user_id = id_v7()};
    there = (struct budget_amount){{0}};
    return budget_rules_open() && budget_accounts_open() ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    budget_accounts_close();
    budget_rules_close();
    clock_set_source(NULL);
    return 0;
}

/* ---- budgets as rows ---- */

struct rule {
    const char *scope;
    const struct id *subject;
    const char *period;
    int64_t limits[N_BUDGET_UNITS]; /* negative: none */
};

static void set_rules(const struct rule *rules, size_t n)
{
    struct db_cell cells[8 * 7] = {{{0}}};
    struct db_result rows = {.n_rows = n, .n_columns = 7, .cells = cells};

    for (size_t i = 0; i < n; i++) {
        struct db_cell *row = &cells[7 * i];

        row[0].text = id_str(&who.team_id);
        row[1].text = str_from(rules[i].scope);
        row[2].text = id_str(rules[i].subject);
        row[3].text = str_from(rules[i].period);
        for (size_t u = 0; u < N_BUDGET_UNITS; u++) {
            row[4 + u].number = rules[i].limits[u];
            row[4 + u].is_null = rules[i].limits[u] < 0;
        }
    }
    assert_true(budget_rules_replace(&rows));
}

static void set_team_tokens(int64_t tokens)
{
    const struct rule rule = {"team", &who.team_id, "day", {-1, tokens, -1}};

    set_rules(&rule, 1);
}

/* ---- a database of one budget ---- */

static void lease(struct budget_claim *c, size_t n, const struct budget_lease *asked)
{
    struct budget_lease got[BUDGET_PARTS];

    for (size_t i = 0; i < n; i++) {
        const struct budget_part *p = &c->parts[asked[i].part];

        got[i] = (struct budget_lease){.part = asked[i].part, .tokens_there = there.of[BUDGET_TOKENS]};
        for (size_t u = 0; u < N_BUDGET_UNITS; u++) {
            int64_t left = p->limit.of[u] == BUDGET_NO_LIMIT ? 0 : p->limit.of[u] - there.of[u];

            if (left >= asked[i].least.of[u])
                got[i].amount.of[u] = asked[i].amount.of[u] < left ? asked[i].amount.of[u] : left > 0 ? left : 0;
            there.of[u] += got[i].amount.of[u];
        }
    }
    budget_claim_take(c, asked, got, n, now.mono_ms);
}

static bool reserve(struct budget_claim *c, int64_t prompt)
{
    struct budget_lease asked[BUDGET_PARTS];
    size_t n = budget_claim_missing(c, prompt, BUDGET_LEAST_REPLY, 100, asked);

    if (n > 0)
        lease(c, n, asked);
    return budget_claim_hold(c, prompt, BUDGET_LEAST_REPLY, 100, &short_part, &unit);
}

static bool grow(struct budget_claim *c, int64_t needed)
{
    struct budget_lease asked[BUDGET_PARTS];
    size_t n = budget_claim_missing_more(c, needed, 100, asked);

    if (n > 0)
        lease(c, n, asked);
    return budget_claim_grow(c, needed, 100, &short_part, &unit);
}

static void open_claim(struct budget_claim *c)
{
    assert_false(is_error(budget_claim_open(c, &who)));
}

static void settle(struct budget_claim *c, int64_t tokens)
{
    const struct budget_amount cost = {{1, tokens, 0}};
    struct buf rows = {0};
    struct json j = {.buf = &rows};

    json_begin_array(&j);
    budget_claim_settle(c, &cost, &j);
    json_end_array(&j);
    assert_false(rows.failed);
    buf_deinit(&rows);
    budget_claim_close(c);
}

static void what_is_held_counts_until_it_is_settled(void **state)
{
    struct budget_claim a, b;

    (void)state;
    set_team_tokens(300);
    open_claim(&a);
    open_claim(&b);
    assert_true(reserve(&a, 50));
    assert_int_equal(a.reply_tokens, 100);
    now.mono_ms += 1000;
    assert_true(reserve(&b, 100)); /* 150 are left: a shorter reply */
    assert_int_equal(b.reply_tokens, 50);
    settle(&a, 60);
    assert_true(grow(&b, 1)); /* the 90 that it did not use are there at once */
    assert_int_equal(b.reply_tokens, 140);
    assert_false(grow(&b, 1));
    assert_int_equal(unit, BUDGET_TOKENS);
    settle(&b, 240);
    assert_int_equal(there.of[BUDGET_TOKENS], 300);
}

static void the_last_tokens_can_be_spent_and_too_few_are_refused(void **state)
{
    struct budget_claim a, b;

    (void)state;
    set_team_tokens(200);
    open_claim(&a);
    open_claim(&b);
    assert_true(reserve(&a, 70));
    assert_false(reserve(&b, 15)); /* 30 are left, of which 15 would be the prompt: 15 for the reply */
    assert_int_equal(unit, BUDGET_TOKENS);
    assert_string_equal(budget_part_sentence(short_part, unit),
                        "The team's budget of tokens for today is spent; it renews at midnight UTC");
    assert_int_equal(budget_part_wait_s(short_part), 2 * 3600);
    assert_true(reserve(&b, 14));
    assert_int_equal(b.reply_tokens, 16);
    budget_claim_close(&a);
    budget_claim_close(&b);
}

static void a_hundred_spenders_hold_no_more_than_there_is(void **state)
{
    struct budget_claim claims[100];
    int64_t tokens = 0;

    (void)state;
    set_team_tokens(1000);
    for (size_t i = 0; i < 100; i++) {
        open_claim(&claims[i]);
        if (reserve(&claims[i], 3))
            tokens += claims[i].prompt_tokens + claims[i].reply_tokens;
    }
    assert_true(tokens <= 1000 && tokens > 980);
    assert_true(there.of[BUDGET_TOKENS] <= 1000);
    for (size_t i = 0; i < 100; i++)
        budget_claim_close(&claims[i]);
}

static void all_budgets_have_room_or_nothing_is_held(void **state)
{
    const struct rule rules[] = {{"agent", &who.agent_id, "day", {-1, 120, -1}}, {"team", &who.team_id, "month", {-1, 1000, -1}},
                                 {"user", &who.user_id, "day", {1, -1, -1}}};
    struct budget_claim a, b;

    (void)state;
    set_rules(rules, 3);
    open_claim(&a);
    assert_int_equal(a.n_parts, 3);
    assert_true(budget_claim_missing(&a, 10, BUDGET_LEAST_REPLY, 100, (struct budget_lease[BUDGET_PARTS]){{0}}) == 3);
    there = (struct budget_amount){{0}};
    assert_true(reserve(&a, 10));
    open_claim(&b);
    there = (struct budget_amount){{1, 110, 0}};
    assert_false(reserve(&b, 10)); /* the agent's ten tokens, and the user's one request */
    for (size_t i = 0; i < b.n_parts; i++)
        assert_int_equal(b.parts[i].held.of[BUDGET_TOKENS], 0);
    budget_claim_close(&b);
    budget_claim_close(&a);
}

static void money_is_held_and_cut_by_its_price(void **state)
{
    const struct rule rule = {"team", &who.team_id, "month", {-1, -1, 1000}};
    struct budget_claim c;

    (void)state;
    set_rules(&rule, 1);
    open_claim(&c);
    assert_true(budget_claim_has_money(&c));
    c.price = (struct price){.input = 1000000, .output = 10000000}; /* 1 and 10 millionths a token */
    assert_true(reserve(&c, 100));
    assert_int_equal(c.reply_tokens, 90); /* 100 + 900 */
    assert_false(grow(&c, 1));
    assert_int_equal(unit, BUDGET_MONEY);
    budget_claim_close(&c);
}

static void tokens_a_day_must_fit_whole_and_are_never_cut(void **state)
{
    struct budget_claim c;
    int64_t limit, left;

    (void)state;
    test_config.limits.tokens_per_day = 200;
    open_claim(&c);
    assert_false(budget_claim_hold(&c, 101, BUDGET_LEAST_REPLY, 100, &short_part, &unit));
    assert_false(reserve(&c, 101));
    assert_string_equal(budget_part_sentence(short_part, unit),
                        "Your tokens for today are used up; there are new ones after midnight UTC");
    now.mono_ms += 1000;
    assert_true(reserve(&c, 100));
    assert_true(budget_claim_tokens_left(&c, &limit, &left));
    assert_int_equal(limit, 200);
    assert_int_equal(left, 0);
    assert_true(grow(&c, 100)); /* a reply may be longer than expected */
    settle(&c, 5200);
}

static void midnight_begins_a_new_period(void **state)
{
    struct budget_claim over, c;

    (void)state;
    set_team_tokens(110);
    open_claim(&over);
    assert_true(reserve(&over, 10));
    now.wall_us += 2 * HOUR_US;
    now.mono_ms += 2000;
    there = (struct budget_amount){{0}}; /* another row */
    open_claim(&c);
    assert_true(reserve(&c, 10));
    assert_int_equal(c.reply_tokens, 100);
    budget_claim_close(&c);
    budget_claim_close(&over);
}

static void a_lease_that_was_not_renewed_is_not_used(void **state)
{
    struct budget_claim a, b;

    (void)state;
    set_team_tokens(64000); /* portions of 1,000 */
    open_claim(&a);
    open_claim(&b);
    assert_true(reserve(&a, 10));
    assert_int_equal(there.of[BUDGET_TOKENS], 1000);
    now.mono_ms += 10000;
    budget_accounts_renew(now.mono_ms);
    now.mono_ms += 14000;
    assert_true(budget_claim_hold(&b, 10, BUDGET_LEAST_REPLY, 100, &short_part, &unit));
    budget_claim_drop(&b);
    now.mono_ms += 1000;
    assert_false(budget_claim_hold(&b, 10, BUDGET_LEAST_REPLY, 100, &short_part, &unit));
    budget_claim_close(&a);
    budget_claim_close(&b);
}

static void an_idle_lease_goes_back_and_a_held_one_stays(void **state)
{
    struct budget_claim a;
    struct buf out = {0};
    size_t n_left;

    (void)state;
    set_team_tokens(1000);
    open_claim(&a);
    assert_true(reserve(&a, 10));
    now.mono_ms += 60000;
    assert_int_equal(budget_accounts_return(&out, 5000, 10, &n_left), 0);
    assert_int_equal(n_left, 1);
    settle(&a, 20);
    now.mono_ms += 4999;
    buf_clear(&out);
    assert_int_equal(budget_accounts_return(&out, 5000, 10, &n_left), 0);
    now.mono_ms += 1;
    buf_clear(&out);
    assert_int_equal(budget_accounts_return(&out, 5000, 10, &n_left), 1);
    assert_int_equal(n_left, 0);
    assert_int_equal(budget_accounts_count(), 0);
    assert_int_equal(out.len, 2 + 2 + ID_LEN);
    buf_deinit(&out);
}

static void where_the_database_had_no_more_it_is_not_asked_again_at_once(void **state)
{
    struct budget_lease asked[BUDGET_PARTS];
    struct budget_claim a, b;

    (void)state;
    set_team_tokens(110);
    open_claim(&a);
    open_claim(&b);
    assert_true(reserve(&a, 10));
    assert_false(reserve(&b, 10));
    assert_int_equal(budget_claim_missing(&b, 10, BUDGET_LEAST_REPLY, 100, asked), 0);
    now.mono_ms += 200;
    assert_int_equal(budget_claim_missing(&b, 10, BUDGET_LEAST_REPLY, 100, asked), 1);
    budget_claim_close(&a);
    budget_claim_close(&b);
}

static void a_flood_of_owners_is_bounded(void **state)
{
    struct budget_claim c;
    struct error err = NO_ERROR;
    struct buf out = {0};
    size_t n_left;
    unsigned n = 0;

    (void)state;
    test_config.limits.tokens_per_day = 1000;
    while (n < 100000 && !is_error(err)) {
        who.owner_id = id_v7();
        err = budget_claim_open(&c, &who);
        if (!is_error(err))
            budget_claim_close(&c);
        n++;
    }
    assert_int_equal(err.status, ERR_BUSY);
    now.mono_ms += 5000;
    (void)budget_accounts_return(&out, 5000, 10, &n_left);
    assert_int_equal(n_left, 0);
    open_claim(&c);
    budget_claim_close(&c);
    buf_deinit(&out);
}

static void what_no_budget_names_is_free(void **state)
{
    struct id other = id_v7();
    const struct rule rules[] = {{"agent", &other, "day", {0, 0, 0}}, {"user", &other, "day", {0, 0, 0}}};
    struct budget_claim c;

    (void)state;
    assert_false(budget_rules_are_there());
    set_rules(rules, 2);
    assert_true(budget_rules_are_there());
    open_claim(&c);
    assert_int_equal(c.n_parts, 0);
    who.team_id = id_v4();
    who.agent_id = other; /* of another team */
    open_claim(&c);
    assert_int_equal(c.n_parts, 0);
}

static void periods_begin_and_end_at_midnight_utc(void **state)
{
    const int64_t leap_day = 1709164800ll * 1000000; /* 2024-02-29 */

    (void)state;
    assert_int_equal(budget_period_start(BUDGET_DAY, leap_day + HOUR_US), leap_day);
    assert_int_equal(budget_period_end(BUDGET_DAY, leap_day + HOUR_US), leap_day + DAY_US);
    assert_int_equal(budget_period_start(BUDGET_MONTH, leap_day + HOUR_US), leap_day - 28 * DAY_US);
    assert_int_equal(budget_period_end(BUDGET_MONTH, leap_day), leap_day + DAY_US);
    assert_int_equal(budget_period_end(BUDGET_MONTH, leap_day - 60 * DAY_US), leap_day - 59 * DAY_US); /* a year ends */
}

/* ---- prices ---- */

static char price_path[] = "/tmp/aerie-prices-XXXXXX";

static struct error read_prices(const char *text)
{
    FILE *file = fopen(price_path, "w");

    assert_non_null(file);
    fputs(text, file);
    fclose(file);
    test_config.budgets.prices = str_from(price_path);
    test_config.budgets.currency = STR("USD");
    return price_read();
}

static void the_first_price_that_fits_counts_and_a_bad_file_names_line_and_entry(void **state)
{
    static const struct {
        const char *text, *says;
    } bad[] = {
        {"{\"prices\": [\n{\"provider\": \"x\", \"model\": \"[{\", \"input\": 1, \"output\": 1},\n\n{\"model\": \"\"}]}",
         ":4: price 2 needs a provider"},
        {"{\"prices\": [\n{\"provider\": \"x\", \"model\": \"*\", \"input\": -1, \"output\": 1}]}", ":2: price 1 needs input"},
        {"{\"prices\": [{\"provider\": \"x\", \"modle\": \"*\"}]}", ":1: price 1 has a member"},
        {"{\"prices\": [\n3]}", "price 1 must be an object"},
        {"{\"prices\": [\n\n}", ":3: "},
        {"{\"currency\": \"EUR\", \"prices\": []}", "budgets.currency is USD"},
        {"{}", "must be a list"},
    };
    struct price p;
    int fd = mkstemp(price_path);

    (void)state;
    assert_true(fd >= 0);
    close(fd);
    assert_false(is_error(read_prices("{\"currency\": \"USD\", \"prices\": ["
                                      "{\"provider\": \"openai\", \"model\": \"big-mini*\", \"input\": 0.5, \"output\": 2},"
                                      "{\"provider\": \"openai\", \"model\": \"big*\", \"input\": 3, \"output\": 15.25}]}")));
    p = price_find(STR("openai"), STR("big-mini-7"));
    assert_int_equal(p.input, 500000);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct error err = read_prices(bad[i].text);

        assert_true(is_error(err));
        if (!strstr(err.detail, bad[i].says))
            fail_msg("\"%s\" does not say \"%s\"", err.detail, bad[i].says);
    }
    p = price_find(STR("openai"), STR("big")); /* those before are still in force */
    assert_int_equal(p.output, 15250000);
    assert_int_equal(price_cost(&p, 1000000, 0), 3000000);
    assert_int_equal(price_cost(&p, 1, 0), 3);
    assert_int_equal(price_cost(&p, 0, 1), 16); /* rounded up */
    p = price_find(STR("anthropic"), STR("big"));
    assert_int_equal(price_cost(&p, 1000000, 1000000), 0);
    test_config.budgets.prices = STR("");
    assert_false(is_error(price_read()));
    price_close();
    unlink(price_path);
}

static void tokens_are_told_or_estimated(void **state)
{
    const struct upstream_usage told = {.prompt_tokens = 5, .completion_tokens = 2, .total_tokens = 9, .is_known = true};
    const struct upstream_usage nothing = {0};
    struct buf out = {0};
    struct usage u;

    (void)state;
    assert_int_equal(usage_estimate(0), 0);
    assert_int_equal(usage_estimate(1), 1);
    assert_int_equal(usage_estimate(8), 2);
    u = usage_of(&told, 1000, 1000);
    assert_int_equal(u.total_tokens, 9);
    usage_write(&out, &u);
    assert_true(str_eq(buf_str(&out), STR("{\"prompt_tokens\":5,\"completion_tokens\":2,\"total_tokens\":9}")));
    buf_clear(&out);
    u = usage_of(&nothing, 9, 4);
    usage_write(&out, &u);
    assert_true(str_eq(buf_str(&out), STR("{\"prompt_tokens\":3,\"completion_tokens\":1,\"total_tokens\":4,\"estimated\":true}")));
    assert_int_equal(usage_of(&nothing, 9, 0).total_tokens, 0); /* nothing came */
    assert_int_equal(usage_day(20000 * DAY_US + 1), 20000 * DAY_US);
    buf_deinit(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_is_held_counts_until_it_is_settled, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_last_tokens_can_be_spent_and_too_few_are_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_hundred_spenders_hold_no_more_than_there_is, set_up, tear_down),
        cmocka_unit_test_setup_teardown(all_budgets_have_room_or_nothing_is_held, set_up, tear_down),
        cmocka_unit_test_setup_teardown(money_is_held_and_cut_by_its_price, set_up, tear_down),
        cmocka_unit_test_setup_teardown(tokens_a_day_must_fit_whole_and_are_never_cut, set_up, tear_down),
        cmocka_unit_test_setup_teardown(midnight_begins_a_new_period, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_lease_that_was_not_renewed_is_not_used, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_idle_lease_goes_back_and_a_held_one_stays, set_up, tear_down),
        cmocka_unit_test_setup_teardown(where_the_database_had_no_more_it_is_not_asked_again_at_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_flood_of_owners_is_bounded, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_no_budget_names_is_free, set_up, tear_down),
        cmocka_unit_test_setup_teardown(periods_begin_and_end_at_midnight_utc, set_up, tear_down),
        cmocka_unit_test(the_first_price_that_fits_counts_and_a_bad_file_names_line_and_entry),
        cmocka_unit_test(tokens_are_told_or_estimated),
    };

    log_init(LOG_ERROR, 2);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
