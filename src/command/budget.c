/* aerie budget: what teams, users, keys and agents may use. */
#include "chat/budget.h"
#include "api/budgets.h"
#include "base/clock.h"
#include "command.h"
#include "config/config.h"
#include "provision.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MOST_COUNT INT64_C(1000000000000000)
#define MICROS     INT64_C(1000000)

/* What the operator said. */
struct wish {
    const char *team, *scope, *subject, *period, *requests, *tokens, *money;
    bool as_json;
};

/* The same, read. */
struct plan {
    struct id team_id, subject_id;
    enum budget_scope scope;
    enum budget_period period;
    int64_t limits[N_BUDGET_UNITS]; /* negative: none */
};

static struct error read_count(const char *text, const char *wrong, int64_t *out)
{
    *out = -1;
    if (text && (!str_to_i64(str_from(text), out) || *out < 0 || *out > MOST_COUNT))
        return ERROR(ERR_INVALID, 0, wrong);
    return NO_ERROR;
}

/* "12.5": at most six digits behind the point. */
static struct error read_money(const char *text, int64_t *out)
{
    struct str rest = str_from(text), whole, part;
    int64_t units = 0, micros = 0;

    *out = -1;
    if (!text)
        return NO_ERROR;
    if (!str_next(&rest, '.', &whole) || !str_to_i64(whole, &units) || units < 0 ||
        units > MOST_COUNT / MICROS)
        return ERROR(ERR_INVALID, 0, "--money must be an amount such as 20 or 12.50");
    if (str_next(&rest, '.', &part)) {
        int64_t digit = MICROS;

        for (size_t i = 0; i < part.len; i++) {
            digit /= 10;
            if (part.ptr[i] < '0' || part.ptr[i] > '9' || digit == 0)
                return ERROR(ERR_INVALID, 0, "--money must be an amount such as 20 or 12.50");
            micros += digit * (part.ptr[i] - '0');
        }
    }
    *out = units * MICROS + micros;
    return NO_ERROR;
}

static struct error read_subject(const struct wish *wish, struct plan *plan)
{
    if (!budget_scope_from(str_from(wish->scope), &plan->scope) || plan->scope == BUDGET_OWNER)
        return ERROR(ERR_INVALID, 0, "--scope must be team, user, key or agent");
    if (!budget_period_from(str_from(wish->period), &plan->period))
        return ERROR(ERR_INVALID, 0, "--period must be day or month");
    if (plan->scope == BUDGET_TEAM)
        plan->subject_id = plan->team_id;
    else if (!wish->subject || !id_parse(str_from(wish->subject), &plan->subject_id))
        return ERROR(ERR_INVALID, 0, "--subject must be the id of the user, key or agent");
    return NO_ERROR;
}

static struct error read_limits(const struct wish *wish, struct plan *plan)
{
    struct error err = read_count(wish->requests, "--requests must be a whole number",
                                  &plan->limits[BUDGET_REQUESTS]);

    if (!is_error(err))
        err = read_count(wish->tokens, "--tokens must be a whole number",
                         &plan->limits[BUDGET_TOKENS]);
    if (!is_error(err))
        err = read_money(wish->money, &plan->limits[BUDGET_MONEY]);
    if (!is_error(err) && !wish->requests && !wish->tokens && !wish->money)
        err = ERROR(ERR_INVALID, 0, "--requests, --tokens or --money must say how much");
    return err;
}

static struct db_arg limit_arg(int64_t limit)
{
    return limit < 0 ? db_null() : db_int(limit);
}

static struct audit *note_limits(struct audit *audit, struct arena *a, const struct plan *plan)
{
    audit_values(audit, "scope", STR_NONE, budget_scope_names[plan->scope]);
    audit_values(audit, "period", STR_NONE, budget_period_names[plan->period]);
    for (size_t unit = 0; unit < N_BUDGET_UNITS; unit++)
        if (plan->limits[unit] >= 0)
            audit_values(audit, budget_unit_members[unit], STR_NONE,
                         arena_printf(a, "%" PRId64, plan->limits[unit]));
    return audit;
}

static struct error set(struct db *db, struct arena *a, const struct plan *plan)
{
    int64_t now_us = clock_wall_us();
    struct id id = id_v7();
    struct audit audit = provision_audit("budget.set", &plan->team_id, &plan->subject_id, now_us);
    struct db_result r;
    struct error err = provision_change(
        db, a, note_limits(&audit, a, plan), SQL_BUDGET_PUT,
        DB_ARGS(db_uuid(id_str(&plan->team_id)), db_uuid(id_str(&id)),
                db_text(budget_scope_names[plan->scope]), db_uuid(id_str(&plan->subject_id)),
                db_text(budget_period_names[plan->period]),
                limit_arg(plan->limits[BUDGET_REQUESTS]), limit_arg(plan->limits[BUDGET_TOKENS]),
                limit_arg(plan->limits[BUDGET_MONEY]), db_time(now_us),
                db_int((int64_t)config()->budgets.per_team)),
        &r);

    if (!is_error(err) && r.n_changed == 0)
        err = ERROR(ERR_NOT_FOUND, 0,
                    "the team has no such user, key or agent, or as many budgets as it may");
    return err;
}

static struct error list(struct db *db, struct arena *a, const struct id *team_id, int64_t now_us,
                         struct db_result *out)
{
    return db_run(db, a, SQL_BUDGET_LIST,
                  DB_ARGS(db_uuid(id_str(team_id)),
                          db_time(budget_period_start(BUDGET_DAY, now_us)),
                          db_time(budget_period_start(BUDGET_MONTH, now_us))),
                  out);
}

static struct error remove_one(struct db *db, struct arena *a, const struct plan *plan)
{
    struct db_result rows, r;
    struct audit audit;
    struct id id;
    struct error err = list(db, a, &plan->team_id, clock_wall_us(), &rows);
    size_t row = 0;

    if (is_error(err))
        return err;
    while (row < rows.n_rows &&
           (!str_eq(db_get_text(&rows, row, BUDGET_SCOPE), budget_scope_names[plan->scope]) ||
            !str_eq(db_get_text(&rows, row, BUDGET_SUBJECT_ID), id_str(&plan->subject_id)) ||
            !str_eq(db_get_text(&rows, row, BUDGET_PERIOD), budget_period_names[plan->period])))
        row++;
    if (row == rows.n_rows || !id_parse(db_get_text(&rows, row, BUDGET_ID), &id))
        return ERROR(ERR_NOT_FOUND, 0, "there is no such budget");
    audit = provision_audit("budget.delete", &plan->team_id, &id, clock_wall_us());
    return provision_remove(db, a, &audit, SQL_BUDGET_DELETE,
                            DB_ARGS(db_uuid(id_str(&plan->team_id)), db_uuid(id_str(&id))), &r);
}

static void write_money(struct buf *line, int64_t micros)
{
    buf_printf(line, "%" PRId64 ".%02" PRId64, micros / MICROS, micros % MICROS / 10000);
}

/* "team The Shop  day  tokens 120 of 1000" */
static void write_line(struct buf *line, const struct db_result *r, size_t row)
{
    struct str name = db_get_text(r, row, BUDGET_SUBJECT_NAME);

    buf_printf(line, "%-5.*s  %.*s  %-20.*s  %-5.*s", STR_ARG(db_get_text(r, row, BUDGET_SCOPE)),
               STR_ARG(db_get_text(r, row, BUDGET_SUBJECT_ID)), STR_ARG(name),
               STR_ARG(db_get_text(r, row, BUDGET_PERIOD)));
    for (size_t unit = 0; unit < N_BUDGET_UNITS; unit++) {
        int64_t spent = db_get_int(r, row, BUDGET_SPENT + unit);
        int64_t limit = db_get_int(r, row, BUDGET_LIMITS + unit);

        if (db_is_null(r, row, BUDGET_LIMITS + unit))
            continue;
        buf_printf(line, "  %.*s ", STR_ARG(budget_unit_names[unit]));
        if (unit == BUDGET_MONEY) {
            write_money(line, spent);
            buf_append_str(line, STR(" of "));
            write_money(line, limit);
            buf_printf(line, " %.*s", STR_ARG(config()->budgets.currency));
        } else {
            buf_printf(line, "%" PRId64 " of %" PRId64, spent, limit);
        }
    }
}

static int print_all(struct db *db, const struct wish *wish, const struct id *team_id)
{
    int64_t now_us = clock_wall_us();
    struct arena arena = {0};
    struct db_result r;
    struct error err = list(db, &arena, team_id, now_us, &r);
    int exit = is_error(err) ? command_fail(err) : COMMAND_OK;

    for (size_t row = 0; exit == COMMAND_OK && row < r.n_rows; row++) {
        struct buf line = {0};
        struct json j = {.buf = &line};

        if (wish->as_json)
            budget_write(&j, &r, row, now_us);
        else
            write_line(&line, &r, row);
        exit = command_print(&line);
    }
    arena_free(&arena);
    return exit;
}

static int change(struct db *db, const struct wish *wish, struct plan *plan, bool sets)
{
    struct arena arena = {0};
    struct error err = read_subject(wish, plan);

    if (!is_error(err) && sets)
        err = read_limits(wish, plan);
    if (!is_error(err))
        err = sets ? set(db, &arena, plan) : remove_one(db, &arena, plan);
    arena_free(&arena);
    return is_error(err) ? command_fail(err) : COMMAND_OK;
}

int command_budget(int argc, char **argv)
{
    const char *verb = argc > 1 ? argv[1] : "";
    bool lists = strcmp(verb, "list") == 0, sets = strcmp(verb, "set") == 0;
    bool removes = strcmp(verb, "remove") == 0;
    struct wish wish = {0};
    const struct command_option options[] = {
        {"--json", NULL, &wish.as_json},  {"--money", &wish.money, NULL},
        {"--period", &wish.period, NULL}, {"--requests", &wish.requests, NULL},
        {"--scope", &wish.scope, NULL},   {"--subject", &wish.subject, NULL},
        {"--team", &wish.team, NULL},     {"--tokens", &wish.tokens, NULL}};
    struct plan plan = {0};
    struct error err;
    struct db *db;
    int exit;

    if ((!lists && !sets && !removes) ||
        !command_read_options(argc, argv, 2, options, sizeof(options) / sizeof(options[0])) ||
        !command_require("--team", wish.team) ||
        (!lists &&
         (!command_require("--scope", wish.scope) || !command_require("--period", wish.period))))
        return command_usage(argv[0]);
    err = command_open_db(&db);
    if (is_error(err))
        return command_fail(err);
    err = provision_find_team(db, str_from(wish.team), &plan.team_id);
    if (is_error(err))
        exit = command_fail(err);
    else
        exit = lists ? print_all(db, &wish, &plan.team_id) : change(db, &wish, &plan, sets);
    db_close(db);
    return exit;
}
