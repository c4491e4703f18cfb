/* Who changed what in the team, newest first. */
#include "audit.h"

#include "answer.h"
#include "base/clock.h"
#include "base/rfc3339.h"
#include "doc.h"

#define DAY_US     (24ll * 3600 * 1000000)
#define DATE_CHARS 10
#define COUNT(a)   (sizeof(a) / sizeof((a)[0]))

static bool refuse(struct request *req, const char *field, const char *rule)
{
    input_wrong(req, field, rule);
    flow_fail(&req->flow, ERROR(ERR_INVALID, 0, NULL));
    return false;
}

/* A time, or a day, of which as much belongs to the range. False: the flow has failed with 422. */
static bool read_time(struct request *req, const char *name, int64_t of_day_us, int64_t *out)
{
    struct str text = request_query(req, name), midnight;

    if (!text.ptr || (rfc3339_parse(text, out) && *out >= 0))
        return true;
    midnight = arena_printf(&req->arena, "%.*sT00:00:00Z", STR_ARG(text));
    if (text.len != DATE_CHARS || !midnight.ptr || !rfc3339_parse(midnight, out) || *out < 0)
        return refuse(req, name,
                      "must be a day such as 2026-01-31, or a time such as "
                      "2026-01-31T12:00:00Z");
    *out += of_day_us;
    return true;
}

/* A word or an id. The word is for who reads it to judge. */
static bool read_word_or_id(struct request *req, const char *name, struct str *word, struct str *id)
{
    struct str text = request_query(req, name);
    struct id parsed;

    if (!text.ptr || text.len == 0)
        return true;
    if (!id_parse(text, &parsed)) {
        *word = text;
        return true;
    }
    *id = arena_copy(&req->arena, id_str(&parsed));
    if (!id->ptr)
        flow_fail(&req->flow, ERROR(ERR_NO_MEMORY, 0, NULL));
    return id->ptr != NULL;
}

static bool is_kind(struct str word)
{
    bool is_word = word.len > 0 && word.len <= 40;

    for (size_t i = 0; i < word.len; i++)
        is_word = is_word && ((word.ptr[i] >= 'a' && word.ptr[i] <= 'z') || word.ptr[i] == '_');
    return is_word;
}

static void read_question(struct flow *f)
{
    struct request *req = request_of(f);
    struct audit_list *s = req->state;

    s->from_us = 0;
    s->to_us = clock_wall_us() + DAY_US;
    if (!read_time(req, "from", 0, &s->from_us) || !read_time(req, "to", DAY_US, &s->to_us) ||
        !read_word_or_id(req, "actor", &s->actor, &s->actor_id) ||
        !read_word_or_id(req, "subject", &s->subject_kind, &s->subject_id))
        return;
    if (s->actor.ptr && !audit_actor_from(s->actor))
        (void)refuse(req, "actor", "must be a user's id, or anyone, erased, key, operator or user");
    else if (s->subject_kind.ptr && !is_kind(s->subject_kind))
        (void)refuse(req, "subject", "must be an id, or a kind such as agent");
    else
        (void)!input_page(req, &s->limit, &s->offset);
}

static void load_rows(struct flow *f)
{
    struct request *req = request_of(f);
    struct audit_list *s = req->state;
    const struct db_arg args[] = {
        team_arg(req),          db_time(s->from_us),  db_time(s->to_us),
        db_text(s->actor),      db_uuid(s->actor_id), db_text(s->subject_kind),
        db_uuid(s->subject_id), db_int(s->limit),     db_int(s->offset),
    };

    db_query(&s->rows, f, &req->arena, SQL_AUDIT_LIST, args, COUNT(args));
    db_query(&s->count, f, &req->arena, SQL_AUDIT_COUNT, args, COUNT(args) - 2);
}

static void answer_rows(struct flow *f)
{
    struct request *req = request_of(f);
    struct audit_list *s = req->state;
    struct buf body = {0};
    struct json j = {.buf = &body};

    answer_set_total(req, db_get_int(s->count.result, 0, 0));
    json_begin_array(&j);
    for (size_t row = 0; row < s->rows.result->n_rows; row++)
        audit_write(&j, s->rows.result, row);
    json_end_array(&j);
    answer_json(req, 200, &body);
}

const struct step audit_list_steps[] = {
    STEP(read_question), /* 422 */
    STEP(load_rows),
    STEP(answer_rows),
    STEP_END,
};

static const struct schema change_schema = {
    "AuditChange",
    .members = MEMBERS({"field", DOC_TEXT},
                       {"from", DOC_TEXT | DOC_OPTIONAL, .about = "Of harmless fields alone"},
                       {"to", DOC_TEXT | DOC_OPTIONAL}),
};
static const struct schema row_schema = {
    "AuditRow",
    .members = MEMBERS(
        {"id", DOC_ID}, {"created_at", DOC_TIME},
        {"actor", DOC_TEXT, .values = "anyone|erased|key|operator|user"},
        {"actor_id", DOC_ID | DOC_NULL, .about = "Of a user"},
        {"actor_email", DOC_EMAIL | DOC_NULL, .about = "As it is now; null: the user is gone"},
        {"action", DOC_TEXT, .about = "Such as `agent.update`"}, {"subject_kind", DOC_TEXT},
        {"subject_id", DOC_ID | DOC_NULL},
        {"subject_name", DOC_TEXT | DOC_NULL, .about = "As it is now; null: it is gone"},
        {"address", DOC_TEXT | DOC_NULL, .about = "From where; null: the command line"},
        {"changes", DOC_OBJECT | DOC_LIST, &change_schema}),
};
const struct route_doc audit_list_doc = {
    TAG_TEAM,
    ANSWERS({200, &row_schema, .is_list = true}),
    .query =
        MEMBERS({"from", DOC_TEXT | DOC_OPTIONAL,
                 .about = "The first day, or the time from which on", .example = "2026-01-01"},
                {"to", DOC_TEXT | DOC_OPTIONAL, .about = "The last day, or the time until which",
                 .example = "2026-01-31"},
                {"actor", DOC_TEXT | DOC_OPTIONAL,
                 .about = "A user's id, or `anyone`, `erased`, `key`, `operator`, `user`", .example = "user"},
                {"subject", DOC_TEXT | DOC_OPTIONAL,
                 .about = "The id of what was changed, or its kind: `agent`, `api_key`, "
                          "`budget`, `erasure`, `provider_key`, `site`, `team`, `user`, `webhook`",
                 .example = "agent"}),
    .is_paged = true,
    .about = "Newest first. Rows are kept for `audit.keep_days`.",
};
