/* A team's webhooks: whom it tells of what. A secret is shown once, when it is made. */
#include "webhooks.h"

#include "answer.h"
#include "base/clock.h"
#include "config/config.h"
#include "doc.h"
#include "upstream/upstream.h"
#include "webhook/webhook.h"

#include <stddef.h>

#define MASK       "********"
#define URL_CHARS  2048
#define MAX_EVENTS 20
#define US_PER_S   INT64_C(1000000)
#define COUNT(a)   (sizeof(a) / sizeof((a)[0]))

static const struct schema failure_schema = {
    "WebhookFailure",
    .members = MEMBERS({"at", DOC_TIME}, {"message", DOC_TEXT}),
};

static const struct schema webhook_schema = {
    "Webhook",
    .members = MEMBERS(
        {"id", DOC_ID}, {"url", DOC_TEXT}, {"events", DOC_TEXT | DOC_LIST},
        {"include_text", DOC_BOOL, .about = "`message.completed` brings the reply's text"},
        {"is_active", DOC_BOOL},
        {"secret", DOC_TEXT,
         .about = "What calls are signed with: shown when it is made, and masked afterwards"},
        {"created_at", DOC_TIME}, {"updated_at", DOC_TIME},
        {"last_success_at", DOC_TIME | DOC_NULL, .about = "To ten seconds"},
        {"last_failure", DOC_OBJECT | DOC_NULL, .of = &failure_schema},
        {"pending", DOC_INT, .about = "Deliveries that wait"},
        {"dead", DOC_INT, .about = "Deliveries that were given up"}),
};

static void write_events(struct json *j, struct str list)
{
    struct str name;

    json_key(j, "events");
    json_begin_array(j);
    while (str_next(&list, ',', &name))
        if (name.len > 0)
            json_str(j, name);
    json_end_array(j);
}

void webhook_write(struct json *j, const struct db_result *r, size_t row, struct str secret)
{
    json_begin_object(j);
    json_pair_str(j, "id", db_get_text(r, row, WEBHOOK_ID));
    json_pair_str(j, "url", db_get_text(r, row, WEBHOOK_URL));
    write_events(j, db_get_text(r, row, WEBHOOK_EVENTS));
    json_pair_bool(j, "include_text", db_get_bool(r, row, WEBHOOK_INCLUDE_TEXT));
    json_pair_bool(j, "is_active", db_get_bool(r, row, WEBHOOK_IS_ACTIVE));
    json_pair_str(j, "secret", secret.ptr ? secret : STR(MASK));
    json_pair_time(j, "created_at", db_get_int(r, row, WEBHOOK_CREATED_AT));
    json_pair_time(j, "updated_at", db_get_int(r, row, WEBHOOK_UPDATED_AT));
    json_pair_time_or_null(j, "last_success_at", db_get_int(r, row, WEBHOOK_LAST_SUCCESS_AT),
                           db_is_null(r, row, WEBHOOK_LAST_SUCCESS_AT));
    json_key(j, "last_failure");
    if (db_is_null(r, row, WEBHOOK_LAST_FAILURE_AT)) {
        json_null(j);
    } else {
        json_begin_object(j);
        json_pair_time(j, "at", db_get_int(r, row, WEBHOOK_LAST_FAILURE_AT));
        json_pair_str(j, "message", db_get_text(r, row, WEBHOOK_LAST_FAILURE));
        json_end_object(j);
    }
    json_pair_int(j, "pending", db_get_int(r, row, WEBHOOK_PENDING));
    json_pair_int(j, "dead", db_get_int(r, row, WEBHOOK_DEAD));
    json_end_object(j);
}

static void answer_row(struct request *req, int status, const struct db_result *r,
                       struct str secret)
{
    struct buf body = {0};
    struct json j = {.buf = &body};

    if (r->n_rows == 0) {
        flow_fail(&req->flow, ERROR(ERR_NOT_FOUND, 0, NO_WEBHOOK));
        return;
    }
    webhook_write(&j, r, 0, secret);
    answer_json(req, status, &body);
}

/* What the batch has changed counts here from now on; other processes see it within a second. The
 * rows are those of the batch's last statement. */
static void note_wanted(struct flow *f)
{
    struct request *req = request_of(f);
    struct webhooks *s = req->state;

    webhooks_note(&caller_of(req)->team_id, db_result_at(&s->query, s->query.n_results - 1));
}

/* ---- list, read ---- */

static void load_all(struct flow *f)
{
    struct request *req = request_of(f);
    struct webhooks *s = req->state;

    db_query(&s->query, f, &req->arena, SQL_WEBHOOK_LIST, DB_ARGS(team_arg(req), db_null()));
}

static void answer_all(struct flow *f)
{
    struct request *req = request_of(f);
    struct webhooks *s = req->state;
    const struct db_result *r = s->query.result;
    struct buf body = {0};
    struct json j = {.buf = &body};

    answer_set_total(req, (int64_t)r->n_rows);
    json_begin_array(&j);
    for (size_t row = 0; row < r->n_rows; row++)
        webhook_write(&j, r, row, STR_NONE);
    json_end_array(&j);
    answer_json(req, 200, &body);
}

const struct step webhooks_list_steps[] = {STEP(load_all), STEP(answer_all), STEP_END};
const struct route_doc webhooks_list_doc = {
    TAG_WEBHOOKS,
    ANSWERS({200, &webhook_schema, .is_list = true}),
};

static void load_one(struct flow *f)
{
    struct request *req = request_of(f);
    struct webhooks *s = req->state;

    if (input_path_id(req, 0, NO_WEBHOOK, &s->id))
        db_query(&s->query, f, &req->arena, SQL_WEBHOOK_LIST,
                 DB_ARGS(team_arg(req), db_uuid(id_str(&s->id))));
}

static void answer_one(struct flow *f)
{
    struct request *req = request_of(f);
    struct webhooks *s = req->state;

    answer_row(req, 200, s->query.result, STR_NONE);
}

const struct step webhooks_get_steps[] = {STEP(load_one), STEP(answer_one) /* 404 */, STEP_END};
const struct route_doc webhooks_get_doc = {TAG_WEBHOOKS, ANSWERS({200, &webhook_schema})};

/* ---- what an admin says ---- */

static const struct input_field create_fields[] = {
    {"url", INPUT_LINE, true, false, 1, URL_CHARS, offsetof(struct webhooks, url), NULL},
    {"events", INPUT_LINES, true, false, 1, MAX_EVENTS, offsetof(struct webhooks, events), NULL},
    {"include_text", INPUT_BOOL, false, false, 0, 0, offsetof(struct webhooks, include_text), NULL},
    {"is_active", INPUT_BOOL, false, false, 0, 0, offsetof(struct webhooks, is_active), NULL},
};

static const struct input_field change_fields[] = {
    {"url", INPUT_LINE, false, false, 1, URL_CHARS, offsetof(struct webhooks, url), NULL},
    {"events", INPUT_LINES, false, false, 1, MAX_EVENTS, offsetof(struct webhooks, events), NULL},
    {"include_text", INPUT_BOOL, false, false, 0, 0, offsetof(struct webhooks, include_text), NULL},
    {"is_active", INPUT_BOOL, false, false, 0, 0, offsetof(struct webhooks, is_active), NULL},
};

/* As the column has it: ",chat.created,message.completed,". */
static void read_types(struct request *req, struct webhooks *s)
{
    unsigned types = 0;
    enum webhook_type type;
    yyjson_val *root = NULL, *item;
    size_t i, n;

    if (is_error(json_read(&req->arena, s->events.text, 2, &root)))
        root = NULL;
    yyjson_arr_foreach(root, i, n, item)
    {
        if (!webhook_type_find(json_text(item), &type)) {
            input_wrong(req, "events", "must hold names of events: " WEBHOOK_TYPES);
            return;
        }
        types |= 1u << type;
    }
    if (types == 0) {
        input_wrong(req, "events", "must hold at least one name: " WEBHOOK_TYPES);
        return;
    }
    s->event_list = webhook_types_text(&req->arena, types);
    if (!s->event_list.ptr)
        flow_fail(&req->flow, ERROR(ERR_NO_MEMORY, 0, NULL));
}

static bool read_fields(struct request *req, const struct input_field *fields, size_t n)
{
    struct webhooks *s = req->state;
    struct error err;

    if (!input_read(req, fields, n, s))
        return false;
    if (input_is_set(&s->url)) {
        err = egress_check_url(s->url.text);
        if (is_error(err))
            input_wrong(req, "url", err.detail ? err.detail : "must be an http or https URL");
    }
    if (input_is_set(&s->events))
        read_types(req, s);
    if (request_has_field_errors(req))
        flow_fail(&req->flow, ERROR(ERR_INVALID, 0, NULL));
    return !is_error(req->flow.err);
}

static struct db_arg bool_arg(const struct input *in)
{
    return input_is_set(in) ? db_bool(in->number != 0) : db_null();
}

/* ---- create ---- */

static void read_new(struct flow *f)
{
    struct request *req = request_of(f);
    struct webhooks *s = req->state;

    if (!read_fields(req, create_fields, COUNT(create_fields)))
        return;
    s->id = id_v7();
    s->secret = webhook_secret_new(&req->arena, id_str(&s->id));
    if (!s->secret.sealed.ptr)
        flow_fail(f, ERROR(ERR_NO_MEMORY, 0, NULL));
}

/* Where it sends stays untold: addresses may hold a secret. */
static void note_fields(struct audit *a, const struct webhooks *s)
{
    if (input_is_set(&s->url))
        audit_field(a, "url");
    if (input_is_set(&s->events))
        audit_values(a, "events", STR_NONE, s->events.text);
    if (input_is_set(&s->include_text))
        audit_values(a, "include_text", STR_NONE, audit_bool(s->include_text.number != 0));
    if (input_is_set(&s->is_active))
        audit_values(a, "is_active", STR_NONE, audit_bool(s->is_active.number != 0));
}

enum created { CREATED_LOCK, CREATED_ADD, CREATED_ROW, CREATED_AUDIT, CREATED_WANTED };

static void add_new(struct flow *f)
{
    struct request *req = request_of(f);
    struct webhooks *s = req->state;
    bool is_active = !input_is_set(&s->is_active) || s->is_active.number != 0;
    int64_t now_us = clock_wall_us();
    struct audit audit = audit_of(req, "webhook.create", &s->id, now_us);
    const struct db_arg add[] = {team_arg(req),
                                 db_uuid(id_str(&s->id)),
                                 db_text(s->url.text),
                                 db_text(s->secret.sealed),
                                 db_text(s->event_list),
                                 db_bool(input_is_set(&s->include_text) && s->include_text.number),
                                 db_bool(is_active),
                                 db_time(now_us),
                                 db_int((int64_t)config()->webhooks.per_team)};

    note_fields(&audit, s);

    const struct db_call calls[] = {
        [CREATED_LOCK] = {SQL_TEAM_LOCK, add, 1},
        [CREATED_ADD] = {SQL_WEBHOOK_ADD, add, COUNT(add)},
        [CREATED_ROW] = {SQL_WEBHOOK_LIST, add, 2},
        [CREATED_AUDIT] = audit_call(&audit, &req->arena),
        [CREATED_WANTED] = {SQL_WEBHOOKS_OF_TEAM, add, 1},
    };

    db_batch(&s->query, f, &req->arena, calls, COUNT(calls));
}

static void answer_new(struct flow *f)
{
    struct request *req = request_of(f);
    struct webhooks *s = req->state;

    if (db_result_at(&s->query, CREATED_ADD)->n_changed == 0)
        flow_fail(f, ERROR(ERR_CONFLICT, 0,
                           "The team has as many webhooks as it may have: delete one first"));
    else
        answer_row(req, 201, db_result_at(&s->query, CREATED_ROW), s->secret.text);
}

const struct step webhooks_create_steps[] = {
    STEP(read_new), /* 422 */
    STEP(add_new),  STEP(note_wanted), STEP(answer_new) /* 409 */, STEP_END,
};
const struct route_doc webhooks_create_doc = {
    TAG_WEBHOOKS,
    ANSWERS({201, &webhook_schema}),
    DOC_ERRORS(409),
    DOC_BODY(create_fields),
    .example = "{\"url\": \"https://hooks.example/aerie\", \"events\": [\"message.completed\"]}",
    .about = "The secret in this answer is not shown again.",
};

/* ---- change ---- */

enum changed { CHANGED, CHANGED_PENDING, CHANGED_ROW, CHANGED_AUDIT, CHANGED_WANTED };

static void change(struct flow *f)
{
    struct request *req = request_of(f);
    struct webhooks *s = req->state;

    if (!input_path_id(req, 0, NO_WEBHOOK, &s->id) ||
        !read_fields(req, change_fields, COUNT(change_fields)))
        return;

    int64_t now_us = clock_wall_us();
    struct audit audit = audit_of(req, "webhook.update", &s->id, now_us);
    const struct db_arg update[] = {
        team_arg(req),          db_uuid(id_str(&s->id)),    db_text(s->url.text),
        db_text(s->event_list), bool_arg(&s->include_text), bool_arg(&s->is_active),
        db_time(now_us)};
    const struct db_arg end[] = {update[0], update[1],
                                 db_text(STR("The webhook was switched off."))};

    note_fields(&audit, s);

    const struct db_call calls[] = {
        [CHANGED] = {SQL_WEBHOOK_UPDATE, update, COUNT(update)},
        [CHANGED_PENDING] = {SQL_WEBHOOK_END_PENDING, end, COUNT(end)},
        [CHANGED_ROW] = {SQL_WEBHOOK_LIST, update, 2},
        [CHANGED_AUDIT] = audit_call(&audit, &req->arena),
        [CHANGED_WANTED] = {SQL_WEBHOOKS_OF_TEAM, update, 1},
    };

    db_batch(&s->query, f, &req->arena, calls, COUNT(calls));
}

static void answer_change(struct flow *f)
{
    struct request *req = request_of(f);
    struct webhooks *s = req->state;

    answer_row(req, 200, db_result_at(&s->query, CHANGED_ROW), STR_NONE);
}

const struct step webhooks_update_steps[] = {
    STEP(change), /* 404, 422 */
    STEP(note_wanted),
    STEP(answer_change),
    STEP_END,
};
const struct route_doc webhooks_update_doc = {
    TAG_WEBHOOKS,
    ANSWERS({200, &webhook_schema}),
    DOC_BODY(change_fields),
    .example = "{\"is_active\": true}",
    .about = "Of a webhook that is switched off, what waits is given up.",
};

/* ---- delete ---- */

static void delete_one(struct flow *f)
{
    struct request *req = request_of(f);
    struct webhooks *s = req->state;
    struct audit audit = audit_of(req, "webhook.delete", &s->id, clock_wall_us());
    const struct db_arg args[] = {team_arg(req), db_uuid(id_str(&s->id))};
    const struct db_call calls[] = {audit_call(&audit, &req->arena),
                                    {SQL_WEBHOOK_DELETE, args, 2},
                                    {SQL_WEBHOOKS_OF_TEAM, args, 1}};

    db_batch(&s->query, f, &req->arena, calls, COUNT(calls));
}

static void read_id(struct flow *f)
{
    struct request *req = request_of(f);
    struct webhooks *s = req->state;

    (void)!input_path_id(req, 0, NO_WEBHOOK, &s->id);
}

static void answer_delete(struct flow *f)
{
    struct request *req = request_of(f);
    struct webhooks *s = req->state;

    if (db_result_at(&s->query, 1)->n_changed == 0)
        flow_fail(f, ERROR(ERR_NOT_FOUND, 0, NO_WEBHOOK));
    else
        response_empty(req, 204);
}

const struct step webhooks_delete_steps[] = {
    STEP(read_id), STEP(delete_one), STEP(note_wanted), STEP(answer_delete) /* 404 */, STEP_END,
};
const struct route_doc webhooks_delete_doc = {TAG_WEBHOOKS, ANSWERS({204})};

/* ---- a new secret ---- */

static void rotate(struct flow *f)
{
    struct request *req = request_of(f);
    struct webhooks *s = req->state;
    int64_t now_us = clock_wall_us();

    s->secret = webhook_secret_new(&req->arena, id_str(&s->id));
    if (!s->secret.sealed.ptr) {
        flow_fail(f, ERROR(ERR_NO_MEMORY, 0, NULL));
        return;
    }

    const struct db_arg args[] = {
        team_arg(req), db_uuid(id_str(&s->id)), db_text(s->secret.sealed),
        db_time(now_us + (int64_t)config()->webhooks.rotation_seconds * US_PER_S), db_time(now_us)};
    struct audit audit = audit_of(req, "webhook.secret", &s->id, now_us);
    const struct db_call calls[] = {{SQL_WEBHOOK_ROTATE, args, COUNT(args)},
                                    {SQL_WEBHOOK_LIST, args, 2},
                                    audit_call(&audit, &req->arena)};

    db_batch(&s->query, f, &req->arena, calls, COUNT(calls));
}

static void answer_rotate(struct flow *f)
{
    struct request *req = request_of(f);
    struct webhooks *s = req->state;

    answer_row(req, 200, db_result_at(&s->query, 1), s->secret.text);
}

const struct step webhooks_rotate_steps[] = {
    STEP(read_id),
    STEP(rotate),
    STEP(answer_rotate) /* 404 */,
    STEP_END,
};
const struct route_doc webhooks_rotate_doc = {
    TAG_WEBHOOKS,
    ANSWERS({200, &webhook_schema}),
    .about = "The one before signs calls as well for `webhooks.rotation_seconds`.",
};
