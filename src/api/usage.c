/* What the team's agents did: messages, failures, tokens and waiting, by agent and day (UTC). */
#include "usage.h"

#include "answer.h"
#include "base/clock.h"
#include "base/rfc3339.h"
#include "chat/usage.h"
#include "doc.h"

#define DAY_US       (24ll * 3600 * 1000000)
#define DEFAULT_DAYS 30
#define MOST_DAYS    366
#define MOST_ROWS    20000
#define DATE_CHARS   10

/* The columns of USAGE_BY_DAY. */
enum usage_column {
    USAGE_DAY,
    USAGE_AGENT_ID,
    USAGE_AGENT_NAME,
    USAGE_MESSAGES,
    USAGE_ERRORS,
    USAGE_PROMPT_TOKENS,
    USAGE_COMPLETION_TOKENS,
    USAGE_FIRST_TOKENS,
    USAGE_FIRST_TOKEN_MS,
    N_USAGE_COLUMNS
};

/* ---- the question ---- */

static bool refuse(struct request *req, const char *field, const char *rule)
{
    input_wrong(req, field, rule);
    flow_fail(&req->flow, ERROR(ERR_INVALID, 0, NULL));
    return false;
}

/* False: the flow has failed with 422. */
static bool read_day(struct request *req, const char *name, int64_t fallback, int64_t *out)
{
    struct str text = request_query(req, name), midnight;

    *out = fallback;
    if (!text.ptr)
        return true;
    midnight = arena_printf(&req->arena, "%.*sT00:00:00Z", STR_ARG(text));
    if (text.len == DATE_CHARS && midnight.ptr && rfc3339_parse(midnight, out) && *out >= 0)
        return true;
    return refuse(req, name, "must be a day such as 2026-01-31");
}

static void read_range(struct flow *f)
{
    struct request *req = request_of(f);
    struct usage_report *s = req->state;

    if (!read_day(req, "to", usage_day(clock_wall_us()), &s->to_us) ||
        !read_day(req, "from", s->to_us - (DEFAULT_DAYS - 1) * DAY_US, &s->from_us))
        return;
    if (s->from_us > s->to_us)
        (void)refuse(req, "from", "must not be after to");
    else if (s->to_us - s->from_us >= MOST_DAYS * DAY_US)
        (void)refuse(req, "from", "must be at most 366 days before to");
    else
        (void)!input_query_id(req, "agent_id", &s->agent_id);
}

static void load_days(struct flow *f)
{
    struct request *req = request_of(f);
    struct usage_report *s = req->state;

    db_query(&s->days, f, &req->arena, SQL_USAGE_BY_DAY,
             DB_ARGS(team_arg(req), db_time(s->from_us), db_time(s->to_us), db_uuid(s->agent_id),
                     db_int(MOST_ROWS + 1)));
}

/* ---- the answer ---- */

static void write_day(struct json *j, const char *name, int64_t day_us)
{
    char text[CLOCK_TEXT_BYTES];

    json_pair_str(j, name, (struct str){clock_format(day_us, text).ptr, DATE_CHARS});
}

/* of: by the column */
static void write_numbers(struct json *j, const int64_t of[N_USAGE_COLUMNS])
{
    json_pair_int(j, "messages", of[USAGE_MESSAGES]);
    json_pair_int(j, "errors", of[USAGE_ERRORS]);
    json_pair_int(j, "prompt_tokens", of[USAGE_PROMPT_TOKENS]);
    json_pair_int(j, "completion_tokens", of[USAGE_COMPLETION_TOKENS]);
    json_key(j, "first_token_ms");
    if (of[USAGE_FIRST_TOKENS] > 0)
        json_int(j, of[USAGE_FIRST_TOKEN_MS] / of[USAGE_FIRST_TOKENS]);
    else
        json_null(j);
}

static void write_row(struct json *j, const struct db_result *days, size_t row,
                      int64_t totals[N_USAGE_COLUMNS])
{
    int64_t numbers[N_USAGE_COLUMNS];

    for (size_t column = USAGE_MESSAGES; column < N_USAGE_COLUMNS; column++) {
        numbers[column] = db_get_int(days, row, column);
        totals[column] += numbers[column];
    }
    json_begin_object(j);
    write_day(j, "day", db_get_int(days, row, USAGE_DAY));
    json_pair_str(j, "agent_id", db_get_text(days, row, USAGE_AGENT_ID));
    json_pair_str_or_null(j, "agent_name", db_get_text(days, row, USAGE_AGENT_NAME));
    write_numbers(j, numbers);
    json_end_object(j);
}

static void answer_days(struct flow *f)
{
    struct request *req = request_of(f);
    struct usage_report *s = req->state;
    const struct db_result *days = s->days.result;
    int64_t totals[N_USAGE_COLUMNS] = {0};
    struct buf body = {0};
    struct json j = {.buf = &body};

    if (days->n_rows > MOST_ROWS) {
        (void)refuse(req, "from", "must be later: so many agents and days are too much at once");
        return;
    }
    json_begin_object(&j);
    write_day(&j, "from", s->from_us);
    write_day(&j, "to", s->to_us);
    json_key(&j, "days");
    json_begin_array(&j);
    for (size_t row = 0; row < days->n_rows; row++)
        write_row(&j, days, row, totals);
    json_end_array(&j);
    json_key(&j, "totals");
    json_begin_object(&j);
    write_numbers(&j, totals);
    json_end_object(&j);
    json_end_object(&j);
    answer_json(req, 200, &body);
}

const struct step usage_report_steps[] = {
    STEP(read_range), /* 422 */
    STEP(load_days),
    STEP(answer_days), /* 422 */
    STEP_END,
};

#define NUMBERS                                                                                    \
    {"messages", DOC_INT, .about = "Answers, the failed ones too"}, {"errors", DOC_INT},           \
        {"prompt_tokens", DOC_INT}, {"completion_tokens", DOC_INT},                                \
    {                                                                                              \
        "first_token_ms", DOC_INT | DOC_NULL,                                                      \
            .about = "From a message to the first words of its answer, on average; null without any" \
    }
static const struct schema day_schema = {
    "UsageDay",
    .members = MEMBERS({"day", DOC_TEXT, .about = "In UTC: `2026-01-31`"}, {"agent_id", DOC_ID},
                       {"agent_name", DOC_TEXT | DOC_NULL, .about = "Null: it was deleted"},
                       NUMBERS),
};
static const struct schema totals_schema = {"UsageTotals", .members = MEMBERS(NUMBERS)};
static const struct schema usage_schema = {
    "UsageReport",
    .members = MEMBERS({"from", DOC_TEXT}, {"to", DOC_TEXT},
                       {"days", DOC_OBJECT | DOC_LIST, &day_schema,
                        .about = "Those on which an agent was asked, by day and agent"},
                       {"totals", DOC_OBJECT, &totals_schema}),
};
const struct route_doc usage_report_doc = {
    TAG_TEAM,
    ANSWERS({200, &usage_schema}),
    .query = MEMBERS({"from", DOC_TEXT | DOC_OPTIONAL, .about = "The first day, 29 before `to` unless told",
                      .example = "2026-01-01"},
                     {"to", DOC_TEXT | DOC_OPTIONAL,
                      .about = "The last day, today unless told; at most 365 after `from`",
                      .example = "2026-01-31"},
                     {"agent_id", DOC_ID | DOC_OPTIONAL, .about = "Of this agent alone"}),
    .about = "Days are those of UTC. They are kept for `usage.keep_days`.",
};
