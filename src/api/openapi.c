/* openapi.json, made from the route table and the docs beside the handlers. */
#include "api/openapi.h"

#include "account/caller.h"
#include "api/api.h"
#include "config/config.h"
#include "openapi_schema.h"

#include <string.h>

static const struct {
    const char *name, *about;
} tags[N_TAGS] = {
    [TAG_RUNNING] = {"Running it", "Is the server there, and what does it speak?"},
    [TAG_ACCOUNTS] = {"Accounts", "Registering, logging in and out, and one's own account."},
    [TAG_TEAM] = {"Team and users", "For admins, and about their own team."},
    [TAG_AGENTS] = {"Agents", "An agent is who answers."},
    [TAG_KEYS] = {"API keys", "Keys for programs that talk to one agent."},
    [TAG_CHATS] = {"Chats", "A chat is its owner's alone."},
    [TAG_MESSAGES] = {"Messages", "Sending a message, and streaming the reply to it."},
    [TAG_CHAT] = {"Chat", "Sending without making a chat first."},
    [TAG_WIDGETS] = {"Widgets", "Chats of visitors, who have no account."},
    [TAG_SITES] = {"Sites", "WordPress sites that register themselves."},
    [TAG_DOCUMENTS] = {"Documents", "What a team's agents know."},
    [TAG_CHATBOTS] = {"Chatbots", "Agents and their keys in fewer words."},
    [TAG_OPENAI] = {"OpenAI", "For programs that speak OpenAI's protocol."},
};

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

static bool takes_key(const struct route *r)
{
    return r->who == WHO_KEY || r->who == WHO_USER_OR_KEY || r->who == WHO_ADMIN_OR_KEY ||
           r->doc->takes_key;
}

static bool takes_access_token(const struct route *r)
{
    return r->who >= WHO_USER || r->doc->takes_access_token;
}

static bool may_fail_with(const struct route *r, int status)
{
    const struct route_doc *doc = r->doc;
    bool needs_caller = takes_key(r) || takes_access_token(r) || doc->takes_visitor_token;

    switch (status) {
    case 400:
    case 503:
        return true;
    case 401:
        return needs_caller || is_listed(doc->errors, status);
    case 403: /* a cookie from another page */
        return r->who == WHO_ADMIN || r->who == WHO_VISITOR || r->who == WHO_SOCKET ||
               takes_key(r) || !is_safe(r);
    case 404:
        return has_params(r) || is_listed(doc->errors, status);
    case 413:
    case 415:
        return r->body != BODY_NONE;
    case 422:
        return doc->n_body > 0 || (doc->schema && !doc->error) || doc->query || doc->is_paged ||
               r->body == BODY_UPLOAD || is_listed(doc->errors, status);
    case 429: /* wrong keys */
        return takes_key(r) || is_listed(doc->errors, status);
    default:
        return is_listed(doc->errors, status);
    }
}

/* GET /api/chats/{id} is getApiChatsById. */
static void pair_operation_id(struct json *j, const struct route *r)
{
    struct buf *out = j->buf;
    bool starts_word = true;

    json_key(j, "operationId");
    buf_append_char(out, '"');
    for (const char *p = http_method_name(r->method); *p; p++)
        buf_append_char(out, (char)(*p - 'A' + 'a'));
    for (const char *p = r->path; *p; p++) {
        bool is_letter = (*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z');

        if (*p == '{')
            buf_append_str(out, STR("By"));
        if (is_letter && starts_word)
            buf_append_char(out, *p >= 'a' ? (char)(*p - 'a' + 'A') : *p);
        else if (is_letter || (*p >= '0' && *p <= '9'))
            buf_append_char(out, *p);
        starts_word = !is_letter;
    }
    buf_append_char(out, '"');
    j->needs_comma = true;
}

/* ---- parameters ---- */

static void write_parameter(struct json *j, struct schema_set *set, const char *in,
                            const struct member *m)
{
    struct member plain = *m;

    plain.about = NULL;
    json_begin_object(j);
    json_pair_str(j, "name", str_from(m->name));
    json_pair_str(j, "in", str_from(in));
    if (m->about)
        json_pair_str(j, "description", str_from(m->about));
    json_pair_bool(j, "required", strcmp(in, "path") == 0 || !(m->type & DOC_OPTIONAL));
    json_key(j, "schema");
    openapi_member(j, set, &plain);
    if (m->example)
        json_pair_str(j, "example", str_from(m->example));
    json_end_object(j);
}

static const struct member *find_member(const struct member *members, struct str name)
{
    for (const struct member *m = members; m && m->name; m++)
        if (str_eq(str_from(m->name), name))
            return m;
    return NULL;
}

static void write_path_parameters(struct json *j, struct schema_set *set, const struct route *r)
{
    for (const char *p = strchr(r->path, '{'); p; p = strchr(p, '{')) {
        struct str name = {p + 1, strcspn(p + 1, "}")};
        const struct member *m = find_member(r->doc->path, name);
        char text[40] = "";

        p++;
        if (m) {
            write_parameter(j, set, "path", m);
        } else if (name.len < sizeof(text)) {
            memcpy(text, name.ptr, name.len);
            write_parameter(j, set, "path", &(struct member){text, DOC_ID});
        }
    }
}

static void write_parameters(struct json *j, struct schema_set *set, const struct route *r)
{
    static const struct member page[] = {
        {"limit", DOC_INT | DOC_OPTIONAL, .min = 1, .max = 200, .about = "50 unless told"},
        {"offset", DOC_INT | DOC_OPTIONAL, .min = 0, .max = INT32_MAX},
    };
    const struct route_doc *doc = r->doc;

    json_key(j, "parameters");
    json_begin_array(j);
    write_path_parameters(j, set, r);
    for (size_t i = 0; doc->is_paged && i < sizeof(page) / sizeof(page[0]); i++)
        write_parameter(j, set, "query", &page[i]);
    for (const struct member *m = doc->query; m && m->name; m++)
        write_parameter(j, set, "query", m);
    for (const struct member *m = doc->headers; m && m->name; m++)
        write_parameter(j, set, "header", m);
    json_end_array(j);
}

/* ---- bodies ---- */

static void begin_content(struct json *j, const char *type)
{
    json_key(j, type);
    json_begin_object(j);
    json_key(j, "schema");
}

static bool needs_body(const struct route *r)
{
    for (size_t i = 0; i < r->doc->n_body; i++)
        if (r->doc->body[i].is_required)
            return true;
    return r->doc->requires || r->doc->schema || r->body == BODY_UPLOAD;
}

static bool takes_upload(const struct route *r)
{
    return r->body == BODY_UPLOAD || r->body == BODY_JSON_OR_UPLOAD;
}

static void write_body_schema(struct json *j, struct schema_set *set, const struct route *r)
{
    if (r->doc->schema && !takes_upload(r))
        openapi_reference(j, set, r->doc->schema, false);
    else
        openapi_fields(j, r->doc, false);
}

static const struct schema upload_schema = {"Upload", .members = MEMBERS({"file", DOC_FILE})};

static void pair_body(struct json *j, struct schema_set *set, const struct route *r)
{
    const struct route_doc *doc = r->doc;

    if (r->body == BODY_NONE)
        return;
    json_key(j, "requestBody");
    json_begin_object(j);
    json_pair_bool(j, "required", needs_body(r));
    json_key(j, "content");
    json_begin_object(j);
    if (takes_upload(r)) {
        begin_content(j, "multipart/form-data");
        openapi_reference(j, set, doc->schema ? doc->schema : &upload_schema, false);
        json_end_object(j);
    }
    if (r->body != BODY_UPLOAD) {
        begin_content(j, "application/json");
        write_body_schema(j, set, r);
        if (doc->example)
            json_pair_raw(j, "example", str_from(doc->example));
        json_end_object(j);
    }
    if (r->body == BODY_FORM) {
        begin_content(j, "application/x-www-form-urlencoded");
        openapi_fields(j, doc, true);
        json_end_object(j);
    }
    json_end_object(j);
    json_end_object(j);
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
    begin_content(j, a->type ? a->type : "application/json");
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
    begin_content(j, "application/json");
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

/* ---- operations ---- */

static void write_scheme(struct json *j, const char *name)
{
    json_begin_object(j);
    json_key(j, name);
    json_begin_array(j);
    json_end_array(j);
    json_end_object(j);
}

static void pair_security(struct json *j, const struct route *r)
{
    json_key(j, "security");
    json_begin_array(j);
    if (takes_key(r)) {
        write_scheme(j, "api_key");
        write_scheme(j, "api_key_header");
    }
    if (takes_access_token(r)) {
        write_scheme(j, "access_token");
        write_scheme(j, "access_token_cookie");
    }
    if (r->who == WHO_SOCKET)
        write_scheme(j, "access_token_query");
    if (r->doc->takes_visitor_token)
        write_scheme(j, "visitor_token");
    json_end_array(j);
}

static void write_operation(struct json *j, struct schema_set *set, const struct route *r)
{
    json_begin_object(j);
    json_key(j, "tags");
    json_begin_array(j);
    json_str(j, str_from(tags[r->doc->tag].name));
    json_end_array(j);
    pair_operation_id(j, r);
    json_pair_str(j, "summary", str_from(r->summary));
    if (r->doc->about)
        json_pair_str(j, "description", str_from(r->doc->about));
    pair_security(j, r);
    write_parameters(j, set, r);
    pair_body(j, set, r);
    json_key(j, "responses");
    json_begin_object(j);
    write_answers(j, set, r->doc);
    write_errors(j, set, r);
    json_end_object(j);
    json_end_object(j);
}

static const char *key_of(enum http_method method)
{
    static const char *const keys[N_HTTP_METHODS] = {
        [HTTP_GET] = "get",         [HTTP_HEAD] = "head",   [HTTP_POST] = "post",
        [HTTP_PUT] = "put",         [HTTP_PATCH] = "patch", [HTTP_DELETE] = "delete",
        [HTTP_OPTIONS] = "options",
    };

    return keys[method];
}

/* Rows of one path stand together. */
static void pair_paths(struct json *j, struct schema_set *set)
{
    const struct http_hooks *hooks = api_hooks();
    const char *path = NULL;

    json_key(j, "paths");
    json_begin_object(j);
    for (size_t i = 0; i < hooks->n_routes; i++) {
        const struct route *r = &hooks->routes[i];

        if (!r->doc) /* a test finds it */
            continue;
        if (!path || strcmp(path, r->path) != 0) {
            if (path)
                json_end_object(j);
            path = r->path;
            json_key(j, path);
            json_begin_object(j);
        }
        json_key(j, key_of(r->method));
        write_operation(j, set, r);
    }
    if (path)
        json_end_object(j);
    json_end_object(j);
}

/* ---- the rest of the document ---- */

static void pair_info(struct json *j, struct str server)
{
    json_key(j, "info");
    json_begin_object(j);
    json_pair_str(j, "title", config()->api_title);
    json_pair_str(j, "version", STR(AERIE_VERSION));
    json_pair_str(
        j, "description",
        STR("Takes a chat message, asks an agent, and streams the reply while storing it. "
            "Every answer has an `X-Request-Id`. Fields that are not named here are "
            "ignored in what is sent."));
    json_key(j, "license");
    json_begin_object(j);
    json_pair_str(j, "name", STR("MIT"));
    json_pair_str(j, "identifier", STR("MIT"));
    json_end_object(j);
    json_end_object(j);
    json_key(j, "servers");
    json_begin_array(j);
    json_begin_object(j);
    json_pair_str(j, "url", server);
    json_end_object(j);
    json_end_array(j);
}

static bool is_used(enum doc_tag tag)
{
    const struct http_hooks *hooks = api_hooks();

    for (size_t i = 0; i < hooks->n_routes; i++)
        if (hooks->routes[i].doc && hooks->routes[i].doc->tag == tag)
            return true;
    return false;
}

static void pair_tags(struct json *j)
{
    json_key(j, "tags");
    json_begin_array(j);
    for (int tag = 0; tag < N_TAGS; tag++) {
        if (!is_used((enum doc_tag)tag))
            continue;
        json_begin_object(j);
        json_pair_str(j, "name", str_from(tags[tag].name));
        json_pair_str(j, "description", str_from(tags[tag].about));
        json_end_object(j);
    }
    json_end_array(j);
}

static void pair_schemes(struct json *j)
{
    static const struct {
        const char *name, *text;
    } schemes[] = {
        {"access_token", "{\"type\":\"http\",\"scheme\":\"bearer\",\"bearerFormat\":\"JWT\","
                         "\"description\":\"The access token that a login gives\"}"},
        {"access_token_cookie",
         "{\"type\":\"apiKey\",\"in\":\"cookie\",\"name\":\"access_token\","
         "\"description\":\"Set by a login. From other pages it counts for reading only\"}"},
        {"access_token_query",
         "{\"type\":\"apiKey\",\"in\":\"query\",\"name\":\"token\","
         "\"description\":\"For WebSockets only, to which pages cannot give headers\"}"},
        {"api_key", "{\"type\":\"http\",\"scheme\":\"bearer\",\"bearerFormat\":\"eck_…\","
                    "\"description\":\"An agent's API key\"}"},
        {"api_key_header", "{\"type\":\"apiKey\",\"in\":\"header\",\"name\":\"X-API-Key\","
                           "\"description\":\"The same key in a header of its own\"}"},
        {"visitor_token", "{\"type\":\"http\",\"scheme\":\"bearer\","
                          "\"description\":\"What a widget's session gives its visitor\"}"},
    };

    json_key(j, "securitySchemes");
    json_begin_object(j);
    for (size_t i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++)
        json_pair_raw(j, schemes[i].name, str_from(schemes[i].text));
    json_end_object(j);
}

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

static void pair_components(struct json *j, struct schema_set *set)
{
    json_key(j, "components");
    json_begin_object(j);
    pair_schemes(j);
    json_key(j, "responses");
    json_begin_object(j);
    for (size_t i = 0; i < N_ERRORS; i++)
        if (is_shared(errors[i].status))
            write_response(j, set, errors[i].name, errors[i].status, errors[i].about);
    write_response(j, set, "Failed", 0, "Any other failure, told in the same way");
    json_end_object(j);
    json_key(j, "schemas");
    json_begin_object(j);
    for (size_t i = 0; i < set->n; i++) { /* it grows meanwhile */
        json_key(j, set->items[i]->name);
        openapi_schema(j, set, set->items[i]);
    }
    json_end_object(j);
    json_end_object(j);
}

void openapi_write(struct buf *out, struct str server)
{
    struct schema_set set = {0};
    struct json j = {.buf = out};

    json_begin_object(&j);
    json_pair_str(&j, "openapi", STR("3.1.0"));
    pair_info(&j, server);
    pair_tags(&j);
    pair_paths(&j, &set);
    pair_components(&j, &set);
    json_end_object(&j);
    if (set.is_full)
        out->failed = true;
}
