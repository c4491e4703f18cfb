/* What a route takes, from its row and the doc beside its handler. */
#include "account/caller.h"
#include "openapi_route.h"

#include <string.h>

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
        openapi_begin_content(j, "multipart/form-data");
        openapi_reference(j, set, doc->schema ? doc->schema : &upload_schema, false);
        json_end_object(j);
    }
    if (r->body != BODY_UPLOAD) {
        openapi_begin_content(j, "application/json");
        write_body_schema(j, set, r);
        if (doc->example)
            json_pair_raw(j, "example", str_from(doc->example));
        json_end_object(j);
    }
    if (r->body == BODY_FORM) {
        openapi_begin_content(j, "application/x-www-form-urlencoded");
        openapi_fields(j, doc, true);
        json_end_object(j);
    }
    json_end_object(j);
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
    if (openapi_takes_key(r)) {
        write_scheme(j, "api_key");
        write_scheme(j, "api_key_header");
    }
    if (openapi_takes_access_token(r)) {
        write_scheme(j, "access_token");
        write_scheme(j, "access_token_cookie");
    }
    if (r->who == WHO_SOCKET)
        write_scheme(j, "access_token_query");
    if (r->doc->takes_visitor_token)
        write_scheme(j, "visitor_token");
    json_end_array(j);
}

void openapi_operation(struct json *j, struct schema_set *set, const struct route *r,
                       const char *tag)
{
    json_begin_object(j);
    json_key(j, "tags");
    json_begin_array(j);
    json_str(j, str_from(tag));
    json_end_array(j);
    pair_operation_id(j, r);
    json_pair_str(j, "summary", str_from(r->summary));
    if (r->doc->about)
        json_pair_str(j, "description", str_from(r->doc->about));
    pair_security(j, r);
    write_parameters(j, set, r);
    pair_body(j, set, r);
    json_key(j, "responses");
    openapi_answers(j, set, r);
    json_end_object(j);
}
