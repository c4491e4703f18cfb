/* What the routes for OpenAI's clients share. */
#include "v1.h"

#include "api/auth.h"

#define NO_MODEL "The model does not exist, or this API key may not use it"

void v1_check_key(struct flow *f)
{
    struct request *req = request_of(f);
    struct v1 *v = req->state;

    key_auth_start(&v->auth, f, req, api_key_sent(req), "chat");
}

bool v1_check_model(struct request *req, struct str model)
{
    struct v1 *v = req->state;
    const struct db_result *row = v->auth.caller.row;
    struct id id;

    if (id_parse(model, &id) && str_eq(id_str(&id), id_str(&v->auth.caller.agent_id)))
        return true;
    if (str_eq(model, db_get_text(row, 0, BY_KEY_AGENT_NAME)) &&
        !db_get_bool(row, 0, BY_KEY_NAME_IS_SHARED))
        return true;
    v->param = "model";
    flow_fail(&req->flow, ERROR(ERR_NOT_FOUND, 0, NO_MODEL));
    return false;
}

void v1_refuse(struct request *req, const char *param, const char *sentence)
{
    struct v1 *v = req->state;

    v->param = param;
    flow_fail(&req->flow, ERROR(ERR_BAD_REQUEST, 0, sentence));
}

/* ---- errors ---- */

/* What their clients make exceptions of. */
struct shape {
    int http_status;
    const char *type, *code; /* code NULL: the status's own name above 500, null below */
};

static struct shape shape_of(enum status status)
{
    int http_status = status_row(status)->http_status;

    switch (http_status) {
    case 401:
        return (struct shape){401, "invalid_request_error", "invalid_api_key"};
    case 403:
        return (struct shape){403, "invalid_request_error", "insufficient_permissions"};
    case 404:
        return (struct shape){404, "invalid_request_error", "model_not_found"};
    case 429:
        return (struct shape){429, "rate_limit_error", "rate_limit_exceeded"};
    case 409: /* nothing to try again: their clients would */
    case 422:
        return (struct shape){400, "invalid_request_error", NULL};
    default:
        return (struct shape){http_status,
                              http_status < 500 ? "invalid_request_error" : "api_error", NULL};
    }
}

/* As everywhere: our own words go out, a library's or a provider's stay in. */
static const char *sentence_of(struct error err)
{
    if (err.detail && (err.status < ERR_INTERNAL || err.status == ERR_UNAVAILABLE))
        return err.detail;
    return status_row(err.status)->detail;
}

static const struct schema v1_error_members = {
    "OpenAIErrorMembers",
    .members = MEMBERS({"message", DOC_TEXT}, {"type", DOC_TEXT}, {"param", DOC_TEXT | DOC_NULL},
                       {"code", DOC_TEXT | DOC_NULL}),
};

const struct schema v1_error_schema = {
    "OpenAIError",
    .members = MEMBERS({"error", DOC_OBJECT, &v1_error_members}),
};

void v1_write_error(struct json *j, struct error err, const char *param)
{
    struct shape shape = shape_of(err.status);

    json_begin_object(j);
    json_key(j, "error");
    json_begin_object(j);
    json_pair_str(j, "message", str_from(sentence_of(err)));
    json_pair_str(j, "type", str_from(shape.type));
    json_pair_str_or_null(j, "param", param ? str_from(param) : STR_NONE);
    if (shape.code || shape.http_status >= 500)
        json_pair_str(j, "code", str_from(shape.code ? shape.code : status_row(err.status)->name));
    else
        json_pair_str_or_null(j, "code", STR_NONE);
    json_end_object(j);
    json_end_object(j);
}

/* Their clients send most failed calls again by themselves. What an agent was asked already is not
 * asked twice: a workflow would run again. */
static void set_retry_headers(struct request *req, struct error err, int http_status)
{
    bool was_asked = err.status >= ERR_PROVIDER_UNREACHABLE && err.status <= ERR_UPSTREAM_LIMIT;
    bool is_told = err.status == ERR_RATE_LIMITED || err.status == ERR_BUDGET_SPENT || err.status == ERR_BUSY ||
                   err.status == ERR_PROVIDER_RATE_LIMITED; /* others' codes are no seconds */
    struct str seconds = arena_printf(&req->arena, "%d", is_told && err.code > 0 ? err.code : 1);

    if (was_asked)
        response_set_header(req, "X-Should-Retry", STR("false"));
    if ((http_status == 429 || http_status == 503) && seconds.ptr)
        response_set_header(req, "Retry-After", seconds);
}

void v1_answer_error(struct flow *f)
{
    struct request *req = request_of(f);
    const struct v1 *v = req->state;
    struct shape shape = shape_of(f->err.status);
    struct buf body = {0};
    struct json j = {.buf = &body};

    if (!is_error(f->err) || f->err.status == ERR_GONE || response_is_started(req))
        return;
    if (shape.http_status >= 500)
        request_log_failure(req, "api", f->err);
    if (shape.http_status == 401)
        response_set_header(req, "WWW-Authenticate", STR("Bearer"));
    set_retry_headers(req, f->err, shape.http_status);
    v1_write_error(&j, f->err, v->param);
    if (!body.failed) /* else http tells it in its own way */
        response_json(req, shape.http_status, buf_str(&body));
    buf_deinit(&body);
}
