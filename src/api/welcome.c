/* What the page at / says before anyone has signed in: may a visitor chat at once, and with whom? */
#include "welcome.h"

#include "answer.h"
#include "base/json.h"
#include "doc.h"
#include "http/http.h"

#define MAX_DEPTH 64

/* The columns of WELCOME. */
enum { TEAM_IS_ACTIVE, TEAM_SETTINGS, AGENT_ID, AGENT_NAME, AGENT_DESCRIPTION };

static void load_welcome(struct flow *f)
{
    struct request *req = request_of(f);
    struct welcome *s = req->state;

    db_query(&s->query, f, &req->arena, SQL_WELCOME, NULL, 0);
}

/* The page makes an account for its visitor: where registration is closed, or waits for a mail, it
 * cannot. */
static bool takes_visitors(const struct db_result *team, yyjson_val *settings)
{
    return team->n_rows > 0 && db_get_bool(team, 0, TEAM_IS_ACTIVE) &&
           !yyjson_is_false(json_member(settings, "open_registration")) &&
           !yyjson_is_true(json_member(settings, "require_verified_email"));
}

static void answer_welcome(struct flow *f)
{
    struct request *req = request_of(f);
    const struct db_result *r = ((struct welcome *)req->state)->query.result;
    yyjson_val *settings = NULL;
    struct error err = NO_ERROR;
    struct buf body = {0};
    struct json j = {.buf = &body};
    bool is_open;

    if (r->n_rows > 0)
        err = json_read(&req->arena, db_get_text(r, 0, TEAM_SETTINGS), MAX_DEPTH, &settings);
    if (is_error(err)) {
        flow_fail(f, err);
        return;
    }
    is_open = takes_visitors(r, settings);
    json_begin_object(&j);
    json_pair_bool(&j, "demo", is_open);
    json_key(&j, "agent");
    if (is_open && !db_is_null(r, 0, AGENT_ID)) {
        json_begin_object(&j);
        json_pair_str(&j, "id", db_get_text(r, 0, AGENT_ID));
        json_pair_str(&j, "name", db_get_text(r, 0, AGENT_NAME));
        json_pair_str_or_null(&j, "description", db_get_text(r, 0, AGENT_DESCRIPTION));
        json_end_object(&j);
    } else {
        json_null(&j);
    }
    json_end_object(&j);
    answer_json(req, 200, &body);
}

const struct step welcome_steps[] = {
    STEP(load_welcome),
    STEP(answer_welcome),
    STEP_END,
};

static const struct schema agent_schema = {
    "WelcomeAgent",
    .members = MEMBERS({"id", DOC_ID}, {"name", DOC_TEXT}, {"description", DOC_TEXT | DOC_NULL}),
};
static const struct schema welcome_schema = {
    "Welcome",
    .members = MEMBERS(
        {"demo", DOC_BOOL, .about = "The default team takes whoever comes, without a mail"},
        {"agent", DOC_OBJECT | DOC_NULL, &agent_schema,
         .about = "Whom a chat without `agent_id` asks; null where `demo` is false"}),
};
const struct route_doc welcome_doc = {TAG_RUNNING, ANSWERS({200, &welcome_schema})};
