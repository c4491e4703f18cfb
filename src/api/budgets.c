/* The team's budgets, with what is spent of them now. */
#include "budgets.h"

#include "answer.h"
#include "base/clock.h"
#include "config/config.h"
#include "doc.h"
#include "team_door.h"

#include <stddef.h>

#define MOST_COUNT INT64_C(1000000000000000) /* of a unit: its fourfold fits into 64 bits */
#define COUNT(a)   (sizeof(a) / sizeof((a)[0]))

void budget_write(struct json *j, const struct db_result *r, size_t row, int64_t now_us)
{
    enum budget_period period = BUDGET_DAY;

    (void)!budget_period_from(db_get_text(r, row, BUDGET_PERIOD), &period);
    json_begin_object(j);
    json_pair_str(j, "id", db_get_text(r, row, BUDGET_ID));
    json_pair_str(j, "scope", db_get_text(r, row, BUDGET_SCOPE));
    json_pair_str(j, "subject_id", db_get_text(r, row, BUDGET_SUBJECT_ID));
    json_pair_str_or_null(j, "subject_name", db_get_text(r, row, BUDGET_SUBJECT_NAME));
    json_pair_str(j, "period", db_get_text(r, row, BUDGET_PERIOD));
    budget_write_units(j, r, row, BUDGET_LIMITS);
    json_pair_str(j, "currency", config()->budgets.currency);
    budget_pair_units(j, "spent", r, row, BUDGET_SPENT);
    budget_pair_units(j, "reserved", r, row, BUDGET_LEASED);
    json_pair_time(j, "period_start", budget_period_start(period, now_us));
    json_pair_time(j, "period_end", budget_period_end(period, now_us));
    json_pair_time_or_null(j, "warned_at", db_get_int(r, row, BUDGET_WARNED_AT),
                           db_is_null(r, row, BUDGET_WARNED_AT));
    json_pair_time_or_null(j, "spent_at", db_get_int(r, row, BUDGET_SPENT_AT),
                           db_is_null(r, row, BUDGET_SPENT_AT));
    json_pair_time(j, "created_at", db_get_int(r, row, BUDGET_CREATED_AT));
    json_pair_time(j, "updated_at", db_get_int(r, row, BUDGET_UPDATED_AT));
    json_end_object(j);
}

#define UNITS(flags)                                                                               \
    {"requests", DOC_INT | (flags)}, {"tokens", DOC_INT | (flags)},                                \
    {                                                                                              \
        "money_micros", DOC_INT | (flags), .about = "In millionths of the currency"                \
    }
static const struct schema used_schema = {"BudgetUse", .members = MEMBERS(UNITS(0))};
static const struct schema budget_schema = {
    "Budget",
    .members = MEMBERS(
        {"id", DOC_ID}, {"scope", DOC_TEXT, .values = "team|user|key|agent"},
        {"subject_id", DOC_ID},
        {"subject_name", DOC_TEXT | DOC_NULL, .about = "Null: it was deleted"},
        {"period", DOC_TEXT, .values = "day|month"}, UNITS(DOC_NULL), {"currency", DOC_TEXT},
        {"spent", DOC_OBJECT, &used_schema, .about = "In this period"},
        {"reserved", DOC_OBJECT, &used_schema,
         .about = "Held by running replies, and by servers for the next ones"},
        {"period_start", DOC_TIME}, {"period_end", DOC_TIME, .about = "When it renews"},
        {"warned_at", DOC_TIME | DOC_NULL, .about = "When four fifths were spent"},
        {"spent_at", DOC_TIME | DOC_NULL}, {"created_at", DOC_TIME}, {"updated_at", DOC_TIME}),
};

/* $1 to $3 of BUDGET_LIST. */
#define LIST_ARGS(req, now_us)                                                                     \
    {                                                                                              \
        team_arg(req), db_time(budget_period_start(BUDGET_DAY, now_us)),                           \
            db_time(budget_period_start(BUDGET_MONTH, now_us))                                     \
    }

/* ---- list ---- */

static void load_list(struct flow *f)
{
    struct request *req = request_of(f);
    struct budgets *s = req->state;

    s->now_us = clock_wall_us();

    const struct db_arg args[] = LIST_ARGS(req, s->now_us);

    db_query(&s->query, f, &req->arena, SQL_BUDGET_LIST, args, COUNT(args));
}

static void answer_list(struct flow *f)
{
    struct request *req = request_of(f);
    struct budgets *s = req->state;
    const struct db_result *r = s->query.result;
    struct buf body = {0};
    struct json j = {.buf = &body};

    answer_set_total(req, (int64_t)r->n_rows);
    json_begin_array(&j);
    for (size_t row = 0; row < r->n_rows; row++)
        budget_write(&j, r, row, s->now_us);
    json_end_array(&j);
    answer_json(req, 200, &body);
}

const struct step budgets_list_steps[] = {
    STEP(team_door_admin_read), /* 401, 403 */
    STEP(load_list),
    STEP(answer_list),
    STEP_END,
};
const struct route_doc budgets_list_doc = {
    TAG_TEAM,
    ANSWERS({200, &budget_schema, .is_list = true}),
    DOC_ERRORS(429),
    .takes_key = true,
    .about = "With what is spent and reserved in the period that runs.",
};

/* ---- put ---- */

static const struct input_field put_fields[] = {
    {.name = "scope",
     .kind = INPUT_LINE,
     .is_required = true,
     .max = 10,
     .offset = offsetof(struct budgets, scope),
     .values = "team|user|key|agent"},
    {.name = "subject_id", .kind = INPUT_ID, .offset = offsetof(struct budgets, subject_id)},
    {.name = "period",
     .kind = INPUT_LINE,
     .is_required = true,
     .max = 10,
     .offset = offsetof(struct budgets, period),
     .values = "day|month"},
    {.name = "requests",
     .kind = INPUT_INT,
     .is_nullable = true,
     .max = MOST_COUNT,
     .offset = offsetof(struct budgets, requests)},
    {.name = "tokens",
     .kind = INPUT_INT,
     .is_nullable = true,
     .max = MOST_COUNT,
     .offset = offsetof(struct budgets, tokens)},
    {.name = "money_micros",
     .kind = INPUT_INT,
     .is_nullable = true,
     .max = MOST_COUNT,
     .offset = offsetof(struct budgets, money_micros)},
};

static struct db_arg limit_arg(const struct input *in)
{
    return input_is_set(in) ? db_int(in->number) : db_null();
}

static bool is_of_team(const struct budgets *s)
{
    return str_eq(s->scope.text, budget_scope_names[BUDGET_TEAM]);
}

static void read_put(struct flow *f)
{
    struct request *req = request_of(f);
    struct budgets *s = req->state;

    if (!input_read(req, put_fields, COUNT(put_fields), s))
        return;
    if (!input_is_set(&s->requests) && !input_is_set(&s->tokens) && !input_is_set(&s->money_micros))
        input_wrong(req, "tokens", "must be given, or requests, or money_micros");
    if (!is_of_team(s) && !input_is_set(&s->subject_id))
        input_wrong(req, "subject_id", "must be given: whose budget it is");
    if (request_has_field_errors(req))
        flow_fail(f, ERROR(ERR_INVALID, 0, NULL));
}

static struct str subject_of(const struct request *req, const struct budgets *s)
{
    return is_of_team(s) ? id_str(&caller_of(req)->team_id) : s->subject_id.text;
}

static void audit_limit(struct audit *a, struct request *req, const char *name,
                        const struct input *in)
{
    if (input_is_set(in))
        audit_values(a, name, STR_NONE, arena_printf(&req->arena, "%lld", (long long)in->number));
}

static void write_put(struct flow *f)
{
    struct request *req = request_of(f);
    struct budgets *s = req->state;
    struct audit audit;
    struct id subject = {0};

    s->id = id_v7();
    s->now_us = clock_wall_us();
    (void)id_parse(subject_of(req, s), &subject);
    audit = audit_of(req, "budget.set", &subject, s->now_us);
    audit_values(&audit, "scope", STR_NONE, s->scope.text);
    audit_values(&audit, "period", STR_NONE, s->period.text);
    audit_limit(&audit, req, "requests", &s->requests);
    audit_limit(&audit, req, "tokens", &s->tokens);
    audit_limit(&audit, req, "money_micros", &s->money_micros);

    const struct db_arg put[] = {
        team_arg(req),           db_uuid(id_str(&s->id)),
        db_text(s->scope.text),  db_uuid(id_str(&subject)),
        db_text(s->period.text), limit_arg(&s->requests),
        limit_arg(&s->tokens),   limit_arg(&s->money_micros),
        db_time(s->now_us),      db_int((int64_t)config()->budgets.per_team)};
    const struct db_arg list[] = LIST_ARGS(req, s->now_us);
    const struct db_call calls[] = {{SQL_BUDGET_PUT, put, COUNT(put)},
                                    {SQL_BUDGET_LIST, list, COUNT(list)},
                                    {SQL_BUDGET_RULES, list, 1},
                                    audit_call(&audit, &req->arena)};

    db_batch(&s->query, f, &req->arena, calls, COUNT(calls));
}

/* At once here; other servers see it within a second. */
static void take_rules(struct request *req, const struct db_result *rules)
{
    if (!budget_rules_take(&caller_of(req)->team_id, rules))
        flow_fail(&req->flow, ERROR(ERR_NO_MEMORY, 0, NULL));
}

static bool is_the_one(const struct request *req, const struct budgets *s,
                       const struct db_result *list, size_t row)
{
    return str_eq(db_get_text(list, row, BUDGET_SCOPE), s->scope.text) &&
           str_eq(db_get_text(list, row, BUDGET_SUBJECT_ID), subject_of(req, s)) &&
           str_eq(db_get_text(list, row, BUDGET_PERIOD), s->period.text);
}

static void answer_put(struct flow *f)
{
    struct request *req = request_of(f);
    struct budgets *s = req->state;
    const struct db_result *list = db_result_at(&s->query, 1);
    struct buf body = {0};
    struct json j = {.buf = &body};
    size_t row = 0;

    if (db_result_at(&s->query, 0)->n_changed == 0) {
        flow_fail(f, list->n_rows >= config()->budgets.per_team
                         ? ERROR(ERR_CONFLICT, 0, "The team has as many budgets as it may")
                         : ERROR(ERR_NOT_FOUND, 0, "There is no such user, key or agent"));
        return;
    }
    take_rules(req, db_result_at(&s->query, 2));
    while (row < list->n_rows && !is_the_one(req, s, list, row))
        row++;
    if (row == list->n_rows) { /* someone deleted it just then */
        flow_fail(f, ERROR(ERR_CONFLICT, 0, NULL));
        return;
    }
    budget_write(&j, list, row, s->now_us);
    answer_json(req, 200, &body);
}

const struct step budgets_put_steps[] = {
    STEP(read_put), /* 422 */
    STEP(write_put),
    STEP(answer_put), /* 404, 409 */
    STEP_END,
};
const struct route_doc budgets_put_doc = {
    TAG_TEAM,
    ANSWERS({200, &budget_schema}),
    DOC_ERRORS(404, 409),
    DOC_BODY(put_fields),
    .example = "{\"scope\": \"team\", \"period\": \"month\", \"tokens\": 1000000, "
               "\"money_micros\": 20000000}",
    .about =
        "There is one for each scope, subject and period: it is made, or gets these limits. What "
        "is null or left out is not limited. For the team, `subject_id` is left out.",
};

/* ---- delete ---- */

static void write_delete(struct flow *f)
{
    struct request *req = request_of(f);
    struct budgets *s = req->state;
    struct audit audit;

    if (!input_path_id(req, 0, "Budget not found", &s->id))
        return;
    audit = audit_of(req, "budget.delete", &s->id, clock_wall_us());

    const struct db_arg args[] = {team_arg(req), db_uuid(id_str(&s->id))};
    const struct db_call calls[] = {
        audit_call(&audit, &req->arena), {SQL_BUDGET_DELETE, args, 2}, {SQL_BUDGET_RULES, args, 1}};

    db_batch(&s->query, f, &req->arena, calls, COUNT(calls));
}

static void answer_delete(struct flow *f)
{
    struct request *req = request_of(f);
    struct budgets *s = req->state;

    if (db_result_at(&s->query, 1)->n_changed == 0) {
        flow_fail(f, ERROR(ERR_NOT_FOUND, 0, "Budget not found"));
        return;
    }
    take_rules(req, db_result_at(&s->query, 2));
    response_empty(req, 204);
}

const struct step budgets_delete_steps[] = {
    STEP(write_delete),
    STEP(answer_delete), /* 404 */
    STEP_END,
};
const struct route_doc budgets_delete_doc = {TAG_TEAM, ANSWERS({204})};
