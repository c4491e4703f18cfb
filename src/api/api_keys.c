/* API keys of an agent: shown once, kept as a hash, revoked at once. Under /chatbots they have
 * fewer fields, and the revoked ones stay in the list. */
#include "api_keys.h"

#include "agent_check.h"
#include "answer.h"
#include "base/clock.h"
#include "base/rfc3339.h"
#include "doc.h"
#include "key_auth.h"

#include <stddef.h>

#define NO_KEY      "API key not found"
#define MAX_SCOPES  20
#define MAX_ORIGINS 100
#define COUNT(a)    (sizeof(a) / sizeof((a)[0]))

enum key_column {
    KEY_ID,
    KEY_AGENT_ID,
    KEY_NAME,
    KEY_PREFIX,
    KEY_SCOPES,
    KEY_ALLOWED_ORIGINS,
    KEY_EXPIRES_AT,
    KEY_LAST_USED_AT,
    KEY_CREATED_AT,
    KEY_IS_REVOKED,
};

/* The first step of every table of /chatbots. */
static void as_chatbots(struct flow *f)
{
    struct api_keys *s = request_of(f)->state;

    s->is_chatbots = true;
}

static const char *no_agent(const struct api_keys *s)
{
    return s->is_chatbots ? "Chatbot not found" : "Agent not found";
}

/* ---- list ---- */

static void read_page(struct flow *f)
{
    struct request *req = request_of(f);
    struct api_keys *s = req->state;

    if (input_page(req, &s->limit, &s->offset))
        (void)!input_path_id(req, 0, no_agent(s), &s->agent_id);
}

static void load_page(struct flow *f)
{
    struct request *req = request_of(f);
    struct api_keys *s = req->state;
    const struct db_arg args[] = {team_arg(req), db_uuid(id_str(&s->agent_id)),
                                  db_bool(s->is_chatbots), db_int(s->limit), db_int(s->offset)};

    db_query(&s->agent, f, &req->arena, SQL_AGENT_EXISTS, args, 2);
    db_query(&s->query, f, &req->arena, SQL_KEY_LIST, args, COUNT(args));
    db_query(&s->count, f, &req->arena, SQL_KEY_COUNT, args, 3);
}

#define KEY_MEMBERS                                                                                \
    {"id", DOC_ID}, {"agent_id", DOC_ID}, {"name", DOC_TEXT | DOC_NULL}, {"prefix", DOC_TEXT},     \
        {"scopes", DOC_TEXT | DOC_LIST}, {"allowed_origins", DOC_TEXT | DOC_LIST},                 \
        {"expires_at", DOC_TIME | DOC_NULL},                                                       \
    {                                                                                              \
        "created_at", DOC_TIME                                                                     \
    }

static const struct schema key_schema = {
    "ApiKey",
    .members = MEMBERS(KEY_MEMBERS, {"last_used_at", DOC_TIME | DOC_NULL}),
};

static void write_row(struct json *j, const struct db_result *r, size_t row)
{
    json_begin_object(j);
    json_pair_str(j, "id", db_get_text(r, row, KEY_ID));
    json_pair_str(j, "agent_id", db_get_text(r, row, KEY_AGENT_ID));
    json_pair_str_or_null(j, "name", db_get_text(r, row, KEY_NAME));
    json_pair_str(j, "prefix", db_get_text(r, row, KEY_PREFIX));
    json_pair_raw(j, "scopes", db_get_text(r, row, KEY_SCOPES));
    json_pair_raw(j, "allowed_origins", db_get_text(r, row, KEY_ALLOWED_ORIGINS));
    json_pair_time_or_null(j, "expires_at", db_get_int(r, row, KEY_EXPIRES_AT),
                           db_is_null(r, row, KEY_EXPIRES_AT));
    json_pair_time_or_null(j, "last_used_at", db_get_int(r, row, KEY_LAST_USED_AT),
                           db_is_null(r, row, KEY_LAST_USED_AT));
    json_pair_time(j, "created_at", db_get_int(r, row, KEY_CREATED_AT));
    json_end_object(j);
}

#define CHATBOT_KEY_MEMBERS                                                                        \
    {"id", DOC_ID}, {"chatbot_id", DOC_ID}, {"revoked", DOC_BOOL},                                 \
    {                                                                                              \
        "created_at", DOC_TIME                                                                     \
    }

static const struct schema chatbot_key_schema = {
    "ChatbotApiKey",
    .members = MEMBERS(CHATBOT_KEY_MEMBERS),
};

static void pair_chatbot_key(struct json *j, struct str id, struct str agent_id, bool is_revoked,
                             int64_t created_us)
{
    json_pair_str(j, "id", id);
    json_pair_str(j, "chatbot_id", agent_id);
    json_pair_bool(j, "revoked", is_revoked);
    json_pair_time(j, "created_at", created_us);
}

static void write_chatbot_row(struct json *j, const struct db_result *r, size_t row)
{
    json_begin_object(j);
    pair_chatbot_key(j, db_get_text(r, row, KEY_ID), db_get_text(r, row, KEY_AGENT_ID),
                     db_get_bool(r, row, KEY_IS_REVOKED), db_get_int(r, row, KEY_CREATED_AT));
    json_end_object(j);
}

static void answer_page(struct flow *f)
{
    struct request *req = request_of(f);
    struct api_keys *s = req->state;
    struct buf body = {0};
    struct json j = {.buf = &body};

    if (s->agent.result->n_rows == 0) {
        flow_fail(f, ERROR(ERR_NOT_FOUND, 0, no_agent(s)));
        return;
    }
    answer_set_total(req, db_get_int(s->count.result, 0, 0));
    json_begin_array(&j);
    for (size_t row = 0; row < s->query.result->n_rows; row++)
        (s->is_chatbots ? write_chatbot_row : write_row)(&j, s->query.result, row);
    json_end_array(&j);
    answer_json(req, 200, &body);
}

const struct step api_keys_list_steps[] = {
    STEP(read_page), /* 422, 404 */
    STEP(load_page),
    STEP(answer_page), /* 404 */
    STEP_END,
};

const struct route_doc api_keys_list_doc = {
    TAG_KEYS,
    ANSWERS({200, &key_schema, .is_list = true}),
    .is_paged = true,
};

const struct step chatbots_keys_list_steps[] = {
    STEP(as_chatbots), STEP(read_page),   /* 422, 404 */
    STEP(load_page),   STEP(answer_page), /* 404 */
    STEP_END,
};

const struct route_doc chatbots_keys_list_doc = {
    TAG_CHATBOTS,
    ANSWERS({200, &chatbot_key_schema, .is_list = true}),
    .is_paged = true,
};

/* ---- create ---- */

static const struct input_field key_fields[] = {
    {"name", INPUT_LINE, false, true, 0, 100, offsetof(struct api_keys, name), NULL},
    {"scopes", INPUT_LINES, false, false, 1, MAX_SCOPES, offsetof(struct api_keys, scopes), NULL},
    {"allowed_origins", INPUT_LINES, false, false, 0, MAX_ORIGINS,
     offsetof(struct api_keys, allowed_origins), NULL},
    {"expires_at", INPUT_LINE, false, true, 1, 40, offsetof(struct api_keys, expires_at), NULL},
};

static void check_scopes(struct request *req, struct str text)
{
    yyjson_val *root = NULL, *item;
    size_t i, n;
    struct error err = json_read(&req->arena, text, 64, &root);

    if (is_error(err)) {
        flow_fail(&req->flow, err);
        return;
    }
    yyjson_arr_foreach(root, i, n, item)
    {
        if (api_key_is_scope(json_text(item)))
            continue;
        input_wrong(req, "scopes", "must hold " API_KEY_SCOPES);
        return;
    }
}

static void read_key(struct flow *f)
{
    struct request *req = request_of(f);
    struct api_keys *s = req->state;

    if (!input_path_id(req, 0, no_agent(s), &s->agent_id) ||
        !input_read(req, key_fields, COUNT(key_fields), s))
        return;
    s->now_us = clock_wall_us();
    s->expires_us = INT64_MIN;
    if (s->scopes.is_given)
        check_scopes(req, s->scopes.text);
    if (s->allowed_origins.is_given)
        agent_check_origins(req, s->allowed_origins.text);
    if (s->expires_at.text.ptr &&
        (!rfc3339_parse(s->expires_at.text, &s->expires_us) || s->expires_us <= s->now_us))
        input_wrong(req, "expires_at", "must be a time to come, such as 2030-01-31T12:00:00Z");
    if (request_has_field_errors(req))
        flow_fail(f, ERROR(ERR_INVALID, 0, NULL));
}

static struct str scopes_of(const struct api_keys *s)
{
    return s->scopes.is_given ? s->scopes.text : STR("[\"chat\"]");
}

static struct str origins_of(const struct api_keys *s)
{
    return s->allowed_origins.is_given ? s->allowed_origins.text : STR("[]");
}

static void add_key(struct flow *f)
{
    struct request *req = request_of(f);
    struct api_keys *s = req->state;

    struct str name = s->name.text.len > 0 ? s->name.text : STR_NONE;
    struct audit audit;

    api_key_new(&s->key);
    s->key_id = id_v7();
    audit = audit_of(req, "api_key.create", &s->key_id, s->now_us);
    audit_values(&audit, "agent_id", STR_NONE, id_str(&s->agent_id));
    if (name.ptr)
        audit_values(&audit, "name", STR_NONE, name);
    audit_values(&audit, "scopes", STR_NONE, scopes_of(s));

    const struct db_arg add[] = {team_arg(req),
                                 db_uuid(id_str(&s->agent_id)),
                                 db_uuid(id_str(&s->key_id)),
                                 db_text(name),
                                 db_text(str_from(s->key.prefix)),
                                 db_text(str_from(s->key.hash)),
                                 db_json(scopes_of(s)),
                                 db_time(s->expires_us),
                                 user_arg(req),
                                 db_time(s->now_us),
                                 db_json(origins_of(s))};
    const struct db_call calls[] = {{SQL_KEY_ADD, add, COUNT(add)},
                                    audit_call(&audit, &req->arena)};

    db_query(&s->agent, f, &req->arena, SQL_AGENT_EXISTS, add, 2);
    db_batch(&s->query, f, &req->arena, calls, COUNT(calls));
}

static const struct schema new_key_schema = {
    "NewApiKey",
    .members = MEMBERS(KEY_MEMBERS, {"api_key", DOC_TEXT, .about = "Shown this once"}),
};

static const struct schema new_chatbot_key_schema = {
    "NewChatbotApiKey",
    .members = MEMBERS(CHATBOT_KEY_MEMBERS, {"api_key", DOC_TEXT, .about = "Shown this once"}),
};

static void write_new_key(struct json *j, const struct api_keys *s)
{
    json_begin_object(j);
    json_pair_str(j, "id", id_str(&s->key_id));
    json_pair_str(j, "agent_id", id_str(&s->agent_id));
    json_pair_str_or_null(j, "name", s->name.text.len > 0 ? s->name.text : STR_NONE);
    json_pair_str(j, "api_key", str_from(s->key.text));
    json_pair_str(j, "prefix", str_from(s->key.prefix));
    json_pair_raw(j, "scopes", scopes_of(s));
    json_pair_raw(j, "allowed_origins", origins_of(s));
    json_pair_time_or_null(j, "expires_at", s->expires_us, s->expires_us == INT64_MIN);
    json_pair_time(j, "created_at", s->now_us);
    json_end_object(j);
}

static void write_new_chatbot_key(struct json *j, const struct api_keys *s)
{
    json_begin_object(j);
    pair_chatbot_key(j, id_str(&s->key_id), id_str(&s->agent_id), false, s->now_us);
    json_pair_str(j, "api_key", str_from(s->key.text));
    json_end_object(j);
}

static void answer_key(struct flow *f)
{
    struct request *req = request_of(f);
    struct api_keys *s = req->state;
    struct buf body = {0};
    struct json j = {.buf = &body};

    if (s->agent.result->n_rows == 0) {
        flow_fail(f, ERROR(ERR_NOT_FOUND, 0, no_agent(s)));
        return;
    }
    if (s->query.result->n_changed == 0) {
        /* Someone has these twelve characters: other ones, then. */
        flow_fail(f, ERROR(ERR_BUSY, 1, NULL));
        return;
    }
    (s->is_chatbots ? write_new_chatbot_key : write_new_key)(&j, s);
    answer_json(req, 201, &body);
}

const struct step api_keys_create_steps[] = {
    STEP(read_key), /* 404, 422 */
    STEP(add_key),
    STEP(answer_key), /* 404 */
    STEP_END,
};

const struct route_doc api_keys_create_doc = {
    TAG_KEYS,
    ANSWERS({201, &new_key_schema}),
    DOC_BODY(key_fields),
    .example = "{\"name\": \"shop\", \"scopes\": [\"chat\", \"documents\"]}",
};

const struct step chatbots_keys_create_steps[] = {
    STEP(as_chatbots), STEP(read_key),   /* 404, 422 */
    STEP(add_key),     STEP(answer_key), /* 404 */
    STEP_END,
};

const struct route_doc chatbots_keys_create_doc = {
    TAG_CHATBOTS,
    ANSWERS({201, &new_chatbot_key_schema}),
    DOC_BODY(key_fields),
    .example = "{}",
};

/* ---- revoke ---- */

static void revoke_key(struct flow *f)
{
    struct request *req = request_of(f);
    struct api_keys *s = req->state;
    int64_t now_us = clock_wall_us();
    struct audit audit;

    if (!input_path_id(req, 0, NO_KEY, &s->agent_id) || !input_path_id(req, 1, NO_KEY, &s->key_id))
        return;
    audit = audit_of(req, "api_key.revoke", &s->key_id, now_us);

    const struct db_arg args[] = {team_arg(req), db_uuid(id_str(&s->agent_id)),
                                  db_uuid(id_str(&s->key_id)), db_time(now_us)};
    const struct db_call calls[] = {{SQL_KEY_REVOKE, args, COUNT(args)},
                                    audit_call(&audit, &req->arena)};

    db_batch(&s->query, f, &req->arena, calls, COUNT(calls));
}

static void answer_revoke(struct flow *f)
{
    struct request *req = request_of(f);
    struct api_keys *s = req->state;

    if (db_result_at(&s->query, 0)->n_changed == 0)
        flow_fail(f, ERROR(ERR_NOT_FOUND, 0, NO_KEY));
    else
        response_empty(req, 204);
}

const struct step api_keys_revoke_steps[] = {
    STEP(revoke_key),
    STEP_ALWAYS(key_auth_forget), /* on every loop, before it is answered */
    STEP(answer_revoke),          /* 404 */
    STEP_END,
};

const struct route_doc api_keys_revoke_doc = {TAG_KEYS, ANSWERS({204})};
const struct route_doc chatbots_keys_revoke_doc = {TAG_CHATBOTS, ANSWERS({204})};
