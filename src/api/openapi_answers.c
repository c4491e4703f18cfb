/* How a call may end: well, as its doc says, and badly, as far as its row tells. */
#include "account/caller.h"
#include "api/api.h"
#include "openapi_route.h"

#include <string.h>

/* What a route may answer when it does not go well. */
static const struct {
    int status;
    const char *name; /* of the shared response; NULL: under default */
    const char *about;
} errors[] = {
    {400, "BadRequest", "The request is malformed, or against a rule that the sentence names"},
    {401, "Unauthorized", "No credentials, or bad ones"},
    {403, "Forbidden", "Not with this role, or not from that page"},
    {404, "NotFound", "It does not exist, or belongs to someone else"},
    {409, "Conflict", "It conflicts with the present state"},
    {413, "TooLarge", "The body is too large"},
    {415, "UnsupportedMediaType", "This kind of body is not understood"},
    {422, "Invalid", "A field is missing or wrong"},
    {426, "UpgradeRequired", "Only WebSockets are served here"},
    {429, "TooManyRequests", "Too often"},
    {500, "Internal", "Our own mistake"},
    {502, "BadGateway", "The agent failed"},
    {503, "Unavailable", "Not available at the moment"},
    {504, "GatewayTimeout", "The agent took too long"},
};
#define N_ERRORS (sizeof(errors) / sizeof(errors[0]))

static const struct schema field_error_schema = {
    "FieldError",
    .members = MEMBERS({"field", DOC_TEXT}, {"message", DOC_TEXT}),
};

static const struct schema error_schema = {
    "Error",
    .about = "One clear sentence; a 422 also names the fields.",
    .members = MEMBERS({"detail", DOC_TEXT},
                       {"errors", DOC_OBJECT | DOC_LIST | DOC_OPTIONAL, &field_error_schema}),
};

/* ---- what a row tells ---- */

static bool has_params(const struct route *r)
{
    return strchr(r->path, '{') != NULL;
}

static bool is_safe(const struct route *r)
{
    return r->method == HTTP_GET || r->method == HTTP_HEAD;
}

static bool is_listed(const int *list, int status)
{
    for (; list && *list; list++)
        if (*list == status)
            return true;
    return false;
}

bool openapi_takes_key(const struct route *r)
{
    return r->who == WHO_KEY || r->who == WHO_USER_OR_KEY || r->who == WHO_ADMIN_OR_KEY ||
           r->doc->takes_key;
}

bool openapi_takes_access_token(const struct route *r)
{
    return r->who >= WHO_USER || r->doc->takes_access_token;
}

static bool may_fail_with(const struct route *r, int status)
{
    const struct route_doc *doc = r->doc;
    bool needs_caller =
        openapi_takes_key(r) || openapi_takes_access_token(r) || doc->takes_visitor_token;

    switch (status) {
    case 400:
    case 503:
        return true;
    case 401:
        return needs_caller || is_listed(doc->errors, status);
    case 403: /* a cookie from another page */
        return r->who == WHO_ADMIN || r->who == WHO_VISITOR || r->who == WHO_SOCKET ||
               openapi_takes_key(r) || !is_safe(r);
    case 404:
        return has_params(r) || is_listed(doc->errors, status);
    case 413:
    case 415:
        return r->body != BODY_NONE;
    case 422:
        return doc->n_body > 0 || (doc->schema && !doc->error) || doc->query || doc->is_paged ||
               r->body == BODY_UPLOAD || is_listed(doc->errors, status);
    case 429: /* the team has too much waiting for the database; wrong keys */
        return needs_caller || is_listed(doc->errors, status);
    default:
        return is_listed(doc->errors, status);
    }
}

void openapi_begin_content(struct json *j, const char *type)
{
    json_key(j, type);
    json_begin_object(j);
    json_key(j, "schema");
}

/* ---- answers ---- */

static const char *words_of(int status)
{
    switch (status) {
    case 201:
        return "Made";
    case 202:
        return "Accepted";
    case 204:
        return "Done; there is nothing to say";
    case 304:
        return "The copy that the client has is still right";
    default:
        return "OK";
    }
}

static void key_status(struct json *j, int status)
{
    const char name[] = {(char)('0' + status / 100), (char)('0' + status / 10 % 10),
                         (char)('0' + status % 10), '\0'};

    json_key(j, name);
}

static void begin_status(struct json *j, int status, const char *about)
{
    key_status(j, status);
    json_begin_object(j);
    json_pair_str(j, "description", str_from(about));
}

static void write_header(struct json *j, const char *name, const char *type, const char *about)
{
    json_key(j, name);
    json_begin_object(j);
    json_pair_str(j, "description", str_from(about));
    json_pair_bool(j, "required", true);
    json_key(j, "schema");
    json_begin_object(j);
    json_pair_str(j, "type", str_from(type));
    json_end_object(j);
    json_end_object(j);
}

static bool is_stream(const struct doc_answer *a)
{
    return a->type && strcmp(a->type, "text/event-stream") == 0;
}

static void pair_event_schema(struct json *j, struct schema_set *set, const struct schema *schema)
{
    json_pair_str(j, "description",
                  STR("Server-sent events. `contentSchema` is of each event's `data`."));
    json_pair_str(j, "contentMediaType", STR("application/json"));
    json_key(j, "contentSchema");
    openapi_reference(j, set, schema, false);
}

/* To JSON Schema a stream is a text. */
static void write_content(struct json *j, struct schema_set *set, const struct doc_answer *a)
{
    if (!a->type && !a->schema)
        return;
    openapi_begin_content(j, a->type ? a->type : "application/json");
    if (a->schema && !is_stream(a)) {
        openapi_reference(j, set, a->schema, a->is_list);
    } else {
        json_begin_object(j);
        json_pair_str(j, "type", STR("string"));
        if (a->schema)
            pair_event_schema(j, set, a->schema);
        json_end_object(j);
    }
    json_end_object(j);
}

static bool is_first_of_status(const struct doc_answer *answers, const struct doc_answer *a)
{
    for (const struct doc_answer *b = answers; b < a; b++)
        if (b->status == a->status)
            return false;
    return true;
}

static void write_answers(struct json *j, struct schema_set *set, const struct route_doc *doc)
{
    for (const struct doc_answer *a = doc->answers; a->status; a++) {
        if (!is_first_of_status(doc->answers, a))
            continue;
        begin_status(j, a->status, a->about ? a->about : words_of(a->status));
        if (doc->is_paged) {
            json_key(j, "headers");
            json_begin_object(j);
            write_header(j, "X-Total-Count", "integer", "How many there are in all");
            json_end_object(j);
        }
        if (a->schema || a->type) {
            json_key(j, "content");
            json_begin_object(j);
            for (const struct doc_answer *b = a; b->status; b++)
                if (b->status == a->status)
                    write_content(j, set, b);
            json_end_object(j);
        }
        json_end_object(j);
    }
}

static void pair_error_content(struct json *j, struct schema_set *set, const struct schema *own)
{
    json_key(j, "content");
    json_begin_object(j);
    openapi_begin_content(j, "application/json");
    if (own) {
        json_begin_object(j);
        json_key(j, "oneOf");
        json_begin_array(j);
        openapi_reference(j, set, own, false);
        openapi_reference(j, set, &error_schema, false);
        json_end_array(j);
        json_end_object(j);
    } else {
        openapi_reference(j, set, &error_schema, false);
    }
    json_end_object(j);
    json_end_object(j);
}

static void pair_error_headers(struct json *j, int status)
{
    if (status != 401 && status != 429 && status != 503)
        return;
    json_key(j, "headers");
    json_begin_object(j);
    if (status == 401)
        write_header(j, "WWW-Authenticate", "string", "Bearer");
    else
        write_header(j, "Retry-After", "integer", "Seconds to wait");
    json_end_object(j);
}

static void pair_ref(struct json *j, const char *where, const char *name)
{
    struct buf *out = j->buf;

    json_key(j, "$ref");
    buf_printf(out, "\"#/components/%s/%s\"", where, name);
    j->needs_comma = true;
}

static void write_errors(struct json *j, struct schema_set *set, const struct route *r)
{
    const struct schema *own = r->doc->error;

    for (size_t i = 0; i < N_ERRORS; i++) {
        if (!may_fail_with(r, errors[i].status))
            continue;
        if (own) {
            begin_status(j, errors[i].status, errors[i].about);
            pair_error_headers(j, errors[i].status);
            pair_error_content(j, set, own);
            json_end_object(j);
            continue;
        }
        key_status(j, errors[i].status);
        json_begin_object(j);
        pair_ref(j, "responses", errors[i].name);
        json_end_object(j);
    }
    json_key(j, "default");
    json_begin_object(j);
    pair_ref(j, "responses", "Failed");
    json_end_object(j);
}

void openapi_answers(struct json *j, struct schema_set *set, const struct route *r)
{
    json_begin_object(j);
    write_answers(j, set, r->doc);
    write_errors(j, set, r);
    json_end_object(j);
}

/* ---- in common ---- */

static void write_response(struct json *j, struct schema_set *set, const char *name, int status,
                           const char *about)
{
    json_key(j, name);
    json_begin_object(j);
    json_pair_str(j, "description", str_from(about));
    pair_error_headers(j, status);
    pair_error_content(j, set, NULL);
    json_end_object(j);
}

static bool is_shared(int status)
{
    const struct http_hooks *hooks = api_hooks();

    for (size_t i = 0; i < hooks->n_routes; i++) {
        const struct route *r = &hooks->routes[i];

        if (r->doc && !r->doc->error && may_fail_with(r, status))
            return true;
    }
    return false;
}

void openapi_shared_answers(struct json *j, struct schema_set *set)
{
    json_begin_object(j);
    for (size_t i = 0; i < N_ERRORS; i++)
        if (is_shared(errors[i].status))
            write_response(j, set, errors[i].name, errors[i].status, errors[i].about);
    write_response(j, set, "Failed", 0, "Any other failure, told in the same way");
    json_end_object(j);
}
