/* Who visits, from which page, and whether he may. */
#include "visit.h"

#include "account/token.h"
#include "base/crypto.h"
#include "caller_origin.h"

#define NO_AGENT   "Chatbot not found"
#define NO_SESSION "Session not found"
#define IS_OFF     "This chatbot is switched off"
#define NOT_LISTED "This page's origin is not in the agent's allowed_origins"
#define OTHER_PAGE "This session was begun on a page of another origin"
#define NO_TOKEN   "The visitor token is missing or wrong: it belongs into Authorization: Bearer"

static bool fail(struct request *req, enum status status, const char *sentence)
{
    flow_fail(&req->flow, ERROR(status, 0, sentence));
    return false;
}

static void load(struct visit *v, struct request *req, enum sql sql, struct str text,
                 const char *not_found)
{
    struct id id;

    if (id_parse(text, &id))
        db_query(&v->row, &req->flow, &req->arena, sql, DB_ARGS(db_uuid(id_str(&id))));
    else
        (void)fail(req, ERR_NOT_FOUND, not_found);
}

/* Pages are held to the agent's rule, as it stands now. Programs send neither header: no rule for
 * browsers holds them, the limits do. */
static bool check_page(struct visit *v, struct request *req)
{
    struct str origins = db_get_text(v->row.result, 0, VISIT_ALLOWED_ORIGINS);

    v->origin = caller_origin(req);
    if (!v->origin.ptr || caller_origin_is_in(req, v->origin, origins))
        return true;
    req->cors = CORS_REFUSED;
    return fail(req, ERR_FORBIDDEN, NOT_LISTED);
}

static bool check_row(struct visit *v, struct request *req, const char *not_found)
{
    const struct db_result *row = v->row.result;

    if (row->n_rows == 0)
        return fail(req, ERR_NOT_FOUND, not_found);
    if (!id_parse(db_get_text(row, 0, VISIT_TEAM_ID), &v->team_id) ||
        !id_parse(db_get_text(row, 0, VISIT_AGENT_ID), &v->agent_id))
        return fail(req, ERR_INTERNAL, NULL);
    return check_page(v, req) &&
           (db_get_bool(row, 0, VISIT_IS_OPEN) || fail(req, ERR_FORBIDDEN, IS_OFF));
}

void visit_load_agent(struct visit *v, struct request *req, struct str agent_id)
{
    load(v, req, SQL_SESSION_AGENT, agent_id, NO_AGENT);
}

void visit_load_widget(struct visit *v, struct request *req, struct str agent_id)
{
    load(v, req, SQL_SESSION_WIDGET, agent_id, NO_AGENT);
}

bool visit_check_agent(struct visit *v, struct request *req)
{
    return check_row(v, req, NO_AGENT);
}

void visit_load_session(struct visit *v, struct request *req, struct str session_id)
{
    (void)!id_parse(session_id, &v->session_id);
    load(v, req, SQL_SESSION_OF_VISITOR, session_id, NO_SESSION);
}

/* A session that a page has begun stays with that page's origin. */
bool visit_check_session(struct visit *v, struct request *req)
{
    struct str bound;

    if (!check_row(v, req, NO_SESSION))
        return false;
    bound = db_get_text(v->row.result, 0, VISIT_ORIGIN);
    if (!v->origin.ptr || !bound.ptr || str_eq(v->origin, bound))
        return true;
    req->cors = CORS_REFUSED;
    return fail(req, ERR_FORBIDDEN, OTHER_PAGE);
}

bool visit_check_token(const struct visit *v, struct request *req)
{
    struct str header = request_header(req, "authorization");
    struct str hash = db_get_text(v->row.result, 0, VISIT_TOKEN_HASH);
    struct opaque_token token;

    if (str_starts_with_nocase(header, STR("Bearer ")) &&
        opaque_token_read(str_trim(str_skip(header, 7)), &token) &&
        crypto_equal(str_from(token.hash), hash))
        return true;
    return fail(req, ERR_UNAUTHORIZED, NO_TOKEN);
}
