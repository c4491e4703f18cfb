/* The team's keys for model providers: sealed, and never shown again but for their last characters.
 */
#include "provider_keys.h"

#include "answer.h"
#include "base/clock.h"
#include "config/seal.h"
#include "doc.h"
#include "key_auth.h"
#include "upstream/upstream.h"

#include <stddef.h>

#define MASK       "********"
#define KEYS_MAX   9 /* of one provider; the table's own bound */
#define KEY_CHARS  4096
#define HINT_BYTES 4
#define HINT_LEAST 16 /* of a shorter key nothing is shown */
#define COUNT(a)   (sizeof(a) / sizeof((a)[0]))

enum column { ID, PROVIDER, NAME, HINT, CREATED_BY, CREATED_AT };

static const struct schema key_schema = {
    "ProviderKey",
    NULL,
    MEMBERS({"id", DOC_ID}, {"provider", DOC_TEXT, .about = "Whose key it is"},
            {"name", DOC_TEXT | DOC_NULL},
            {"key", DOC_TEXT, .about = "Masked, with its last four characters"},
            {"created_by", DOC_ID | DOC_NULL}, {"created_at", DOC_TIME}),
};

static void write_key(struct json *j, struct str id, struct str provider, struct str name,
                      struct str hint, struct str created_by, int64_t created_us)
{
    char masked[sizeof(MASK) + HINT_BYTES];
    int len = snprintf(masked, sizeof(masked), MASK "%.*s", STR_ARG(hint));

    json_begin_object(j);
    json_pair_str(j, "id", id);
    json_pair_str(j, "provider", provider);
    json_pair_str_or_null(j, "name", name);
    json_pair_str(j, "key", (struct str){masked, (size_t)len});
    json_pair_str_or_null(j, "created_by", created_by);
    json_pair_time(j, "created_at", created_us);
    json_end_object(j);
}

/* ---- list ---- */

static void load_keys(struct flow *f)
{
    struct request *req = request_of(f);
    struct provider_keys *s = req->state;

    db_query(&s->query, f, &req->arena, SQL_PROVIDER_KEY_LIST, DB_ARGS(team_arg(req)));
}

static void answer_keys(struct flow *f)
{
    struct request *req = request_of(f);
    struct provider_keys *s = req->state;
    const struct db_result *r = s->query.result;
    struct buf body = {0};
    struct json j = {.buf = &body};

    answer_set_total(req, (int64_t)r->n_rows);
    json_begin_array(&j);
    for (size_t row = 0; row < r->n_rows; row++)
        write_key(&j, db_get_text(r, row, ID), db_get_text(r, row, PROVIDER),
                  db_get_text(r, row, NAME), db_get_text(r, row, HINT),
                  db_get_text(r, row, CREATED_BY), db_get_int(r, row, CREATED_AT));
    json_end_array(&j);
    answer_json(req, 200, &body);
}

const struct step provider_keys_list_steps[] = {
    STEP(load_keys),
    STEP(answer_keys),
    STEP_END,
};
const struct route_doc provider_keys_list_doc = {
    TAG_TEAM,
    ANSWERS({200, &key_schema, .is_list = true}),
};

/* ---- create ---- */

static const struct input_field key_fields[] = {
    {"provider", INPUT_LINE, true, false, 1, 40, offsetof(struct provider_keys, provider), NULL},
    {"key", INPUT_LINE, true, false, 1, KEY_CHARS, offsetof(struct provider_keys, key), NULL},
    {"name", INPUT_LINE, false, true, 0, 100, offsetof(struct provider_keys, name), NULL},
};

/* Keys are ASCII, and become a header's value. */
static bool is_key(struct str text)
{
    for (size_t i = 0; i < text.len; i++)
        if (text.ptr[i] <= ' ' || text.ptr[i] > '~')
            return false;
    return true;
}

static void read_key(struct flow *f)
{
    struct request *req = request_of(f);
    struct provider_keys *s = req->state;
    const struct provider *p;

    if (!input_read(req, key_fields, COUNT(key_fields), s))
        return;
    p = provider_find(s->provider.text);
    if (!p)
        input_wrong(req, "provider", "is not a provider that this server knows");
    else if (!provider_takes_keys(p))
        input_wrong(req, "provider", "has no keys that agents could share");
    if (!is_key(s->key.text))
        input_wrong(req, "key", "must hold visible ASCII characters only");
    if (request_has_field_errors(req))
        flow_fail(f, ERROR(ERR_INVALID, 0, NULL));
}

static void add_key(struct flow *f)
{
    struct request *req = request_of(f);
    struct provider_keys *s = req->state;
    struct audit audit;
    struct str sealed;

    s->id = id_v7();
    s->now_us = clock_wall_us();
    sealed = seal_text(&req->arena, SEAL_PROVIDER_KEY, id_str(&s->id), s->key.text);
    if (!sealed.ptr) {
        flow_fail(f, ERROR(ERR_NO_MEMORY, 0, NULL));
        return;
    }
    s->hint = s->key.text.len >= HINT_LEAST ? str_skip(s->key.text, s->key.text.len - HINT_BYTES)
                                            : STR("");
    audit = audit_of(req, "provider_key.create", &s->id, s->now_us);
    audit_values(&audit, "provider", STR_NONE, s->provider.text);
    if (s->name.text.len > 0)
        audit_values(&audit, "name", STR_NONE, s->name.text);

    const struct db_arg add[] = {team_arg(req),
                                 db_uuid(id_str(&s->id)),
                                 db_text(s->provider.text),
                                 db_text(s->name.text.len > 0 ? s->name.text : STR_NONE),
                                 db_text(sealed),
                                 db_text(s->hint),
                                 user_arg(req),
                                 db_time(s->now_us)};
    const struct db_arg count[] = {team_arg(req), db_text(s->provider.text)};
    const struct db_call calls[] = {{SQL_PROVIDER_KEY_ADD, add, COUNT(add)},
                                    {SQL_PROVIDER_KEY_COUNT, count, COUNT(count)},
                                    audit_call(&audit, &req->arena)};

    db_batch(&s->query, f, &req->arena, calls, COUNT(calls));
}

static void answer_key(struct flow *f)
{
    struct request *req = request_of(f);
    struct provider_keys *s = req->state;
    struct buf body = {0};
    struct json j = {.buf = &body};

    if (db_result_at(&s->query, 0)->n_changed == 0) {
        flow_fail(f, db_get_int(db_result_at(&s->query, 1), 0, 0) < KEYS_MAX
                         ? ERROR(ERR_BUSY, 1, NULL) /* someone took its place */
                         : ERROR(ERR_CONFLICT, 0,
                                 "A team has at most nine keys for a provider: delete one first"));
        return;
    }
    write_key(&j, id_str(&s->id), s->provider.text, s->name.text.len > 0 ? s->name.text : STR_NONE,
              s->hint, id_str(&caller_of(req)->user_id), s->now_us);
    answer_json(req, 201, &body);
}

const struct step provider_keys_create_steps[] = {
    STEP(read_key),                                                 /* 422 */
    STEP(add_key),  STEP_ALWAYS(key_auth_forget), STEP(answer_key), /* 409 */
    STEP_END,
};
const struct route_doc provider_keys_create_doc = {
    TAG_TEAM,
    ANSWERS({201, &key_schema}),
    DOC_ERRORS(409),
    DOC_BODY(key_fields),
    .example = "{\"provider\": \"openrouter\", \"key\": \"sk-or-v1-0123456789abcdef\"}",
    .about = "All agents of the team that have no `webhook_token` share the keys for their "
             "provider. At most nine for each.",
};

/* ---- delete ---- */

static void delete_key(struct flow *f)
{
    struct request *req = request_of(f);
    struct provider_keys *s = req->state;
    struct audit audit;

    if (!input_path_id(req, 0, "Provider key not found", &s->id))
        return;
    audit = audit_of(req, "provider_key.delete", &s->id, clock_wall_us());

    const struct db_arg args[] = {team_arg(req), db_uuid(id_str(&s->id))};
    const struct db_call calls[] = {audit_call(&audit, &req->arena),
                                    {SQL_PROVIDER_KEY_DELETE, args, COUNT(args)}};

    db_batch(&s->query, f, &req->arena, calls, COUNT(calls));
}

static void answer_delete(struct flow *f)
{
    struct request *req = request_of(f);
    struct provider_keys *s = req->state;

    if (db_result_at(&s->query, 1)->n_changed == 0)
        flow_fail(f, ERROR(ERR_NOT_FOUND, 0, "Provider key not found"));
    else
        response_empty(req, 204);
}

const struct step provider_keys_delete_steps[] = {
    STEP(delete_key),
    STEP_ALWAYS(key_auth_forget),
    STEP(answer_delete), /* 404 */
    STEP_END,
};
const struct route_doc provider_keys_delete_doc = {TAG_TEAM, ANSWERS({204})};
