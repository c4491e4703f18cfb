/* Does the database answer, and what has the caller's team in it? */
#include "db_status.h"

#include "answer.h"
#include "doc.h"
#include "team_door.h"

/* The columns of STATUS_COUNTS. */
static const char *const counted[] = {"users", "chatbots", "api_keys",
                                      "chats", "sessions", "messages"};

static void load_counts(struct flow *f)
{
    struct request *req = request_of(f);
    struct db_status *s = req->state;

    db_query(&s->counts, f, &req->arena, SQL_STATUS_COUNTS, DB_ARGS(team_arg(req)));
    db_query(&s->migration, f, &req->arena, SQL_STATUS_MIGRATION, NULL, 0);
}

static void answer_status(struct flow *f)
{
    struct request *req = request_of(f);
    struct db_status *s = req->state;
    struct buf body = {0};
    struct json j = {.buf = &body};

    json_begin_object(&j);
    json_pair_str(&j, "status", STR("connected"));
    json_pair_str(&j, "database", str_from(db_name_here()));
    json_pair_str(&j, "version", STR(AERIE_VERSION));
    json_pair_int(&j, "migration", db_get_int(s->migration.result, 0, 0));
    json_key(&j, "counts");
    json_begin_object(&j);
    for (size_t i = 0; i < sizeof(counted) / sizeof(counted[0]); i++)
        json_pair_int(&j, counted[i], db_get_int(s->counts.result, 0, i));
    json_end_object(&j);
    json_end_object(&j);
    answer_json(req, 200, &body);
}

const struct step db_status_steps[] = {
    STEP(team_door_admin_read), /* 401, 403 */
    STEP(load_counts),          /* a database that does not answer makes it 503 */
    STEP(answer_status),
    STEP_END,
};

static const struct schema counts_schema = {
    "TeamCounts",
    .members = MEMBERS({"users", DOC_INT}, {"chatbots", DOC_INT}, {"api_keys", DOC_INT},
                       {"chats", DOC_INT}, {"sessions", DOC_INT}, {"messages", DOC_INT}),
};
static const struct schema status_schema = {
    "DatabaseStatus",
    .members = MEMBERS({"status", DOC_TEXT, .values = "connected"},
                       {"database", DOC_TEXT, .values = "postgresql|sqlite"}, {"version", DOC_TEXT},
                       {"migration", DOC_INT}, {"counts", DOC_OBJECT, &counts_schema}),
};
const struct route_doc db_status_doc = {TAG_RUNNING, ANSWERS({200, &status_schema})};
