/* What a webhook's receiver was told, is yet to be told, or was told in vain. */
#include "answer.h"
#include "base/clock.h"
#include "doc.h"
#include "webhooks.h"

#define NO_DELIVERY "Delivery not found"
#define COUNT(a)    (sizeof(a) / sizeof((a)[0]))

static const struct schema delivery_schema = {
    "WebhookDelivery",
    .members =
        MEMBERS({"id", DOC_ID, .about = "`X-Aerie-Delivery`, the same over all tries"},
                {"event_id", DOC_ID}, {"type", DOC_TEXT},
                {"status", DOC_TEXT, .values = DELIVERY_STATUSES}, {"tries", DOC_INT},
                {"next_at", DOC_TIME | DOC_NULL, .about = "When a pending one is tried next"},
                {"last_status", DOC_INT | DOC_NULL, .about = "Of the receiver's last answer"},
                {"last_error", DOC_TEXT | DOC_NULL}, {"created_at", DOC_TIME},
                {"delivered_at", DOC_TIME | DOC_NULL},
                {"data", DOC_OBJECT, .about = "As it is sent, but for the text of a message"}),
};

void delivery_write(struct json *j, const struct db_result *r, size_t row)
{
    bool is_pending = str_eq(db_get_text(r, row, DELIVERY_STATUS), STR("pending"));

    json_begin_object(j);
    json_pair_str(j, "id", db_get_text(r, row, DELIVERY_ID));
    json_pair_str(j, "event_id", db_get_text(r, row, DELIVERY_EVENT_ID));
    json_pair_str(j, "type", db_get_text(r, row, DELIVERY_TYPE));
    json_pair_str(j, "status", db_get_text(r, row, DELIVERY_STATUS));
    json_pair_int(j, "tries", db_get_int(r, row, DELIVERY_TRIES));
    json_pair_time_or_null(j, "next_at", db_get_int(r, row, DELIVERY_NEXT_AT), !is_pending);
    json_pair_int_or_null(j, "last_status", db_get_int(r, row, DELIVERY_LAST_STATUS),
                          db_is_null(r, row, DELIVERY_LAST_STATUS));
    json_pair_str_or_null(j, "last_error", db_get_text(r, row, DELIVERY_LAST_ERROR));
    json_pair_time(j, "created_at", db_get_int(r, row, DELIVERY_CREATED_AT));
    json_pair_time_or_null(j, "delivered_at", db_get_int(r, row, DELIVERY_DELIVERED_AT),
                           db_is_null(r, row, DELIVERY_DELIVERED_AT));
    json_pair_raw(j, "data", db_get_text(r, row, DELIVERY_PAYLOAD));
    json_end_object(j);
}

/* ---- list ---- */

static void read_page(struct flow *f)
{
    struct request *req = request_of(f);
    struct webhook_deliveries *s = req->state;
    struct str status = request_query(req, "status");

    if (!input_path_id(req, 0, NO_WEBHOOK, &s->webhook_id) ||
        !input_page(req, &s->limit, &s->offset))
        return;
    s->status = status.len > 0 ? status : STR_NONE;
    if (!s->status.ptr || str_eq(status, STR("pending")) || str_eq(status, STR("delivered")) ||
        str_eq(status, STR("dead")))
        return;
    input_wrong(req, "status", "must be pending, delivered or dead");
    flow_fail(f, ERROR(ERR_INVALID, 0, NULL));
}

static void load_page(struct flow *f)
{
    struct request *req = request_of(f);
    struct webhook_deliveries *s = req->state;
    const struct db_arg args[] = {team_arg(req), db_uuid(id_str(&s->webhook_id)),
                                  db_text(s->status), db_int(s->limit), db_int(s->offset)};

    db_query(&s->webhook, f, &req->arena, SQL_WEBHOOK_EXISTS, args, 2);
    db_query(&s->query, f, &req->arena, SQL_WEBHOOK_DELIVERY_LIST, args, COUNT(args));
    db_query(&s->count, f, &req->arena, SQL_WEBHOOK_DELIVERY_COUNT, args, 3);
}

static void answer_page(struct flow *f)
{
    struct request *req = request_of(f);
    struct webhook_deliveries *s = req->state;
    const struct db_result *r = s->query.result;
    struct buf body = {0};
    struct json j = {.buf = &body};

    if (s->webhook.result->n_rows == 0) {
        flow_fail(f, ERROR(ERR_NOT_FOUND, 0, NO_WEBHOOK));
        return;
    }
    answer_set_total(req, db_get_int(s->count.result, 0, 0));
    json_begin_array(&j);
    for (size_t row = 0; row < r->n_rows; row++)
        delivery_write(&j, r, row);
    json_end_array(&j);
    answer_json(req, 200, &body);
}

const struct step webhook_deliveries_list_steps[] = {
    STEP(read_page), /* 404, 422 */
    STEP(load_page),
    STEP(answer_page) /* 404 */,
    STEP_END,
};
const struct route_doc webhook_deliveries_list_doc = {
    TAG_WEBHOOKS,
    ANSWERS({200, &delivery_schema, .is_list = true}),
    .query = MEMBERS({"status", DOC_TEXT | DOC_OPTIONAL, .values = DELIVERY_STATUSES}),
    .is_paged = true,
    .about = "Newest first. Delivered ones are kept for `webhooks.keep_days`, dead ones for "
             "`webhooks.keep_dead_days`.",
};

/* ---- again ---- */

static void replay(struct flow *f)
{
    struct request *req = request_of(f);
    struct webhook_deliveries *s = req->state;

    if (!input_path_id(req, 0, NO_DELIVERY, &s->webhook_id) ||
        !input_path_id(req, 1, NO_DELIVERY, &s->id))
        return;

    const struct db_arg args[] = {team_arg(req), db_uuid(id_str(&s->webhook_id)),
                                  db_uuid(id_str(&s->id)), db_time(clock_wall_us())};
    const struct db_call calls[] = {{SQL_WEBHOOK_REPLAY, args, COUNT(args)},
                                    {SQL_WEBHOOK_DELIVERY_GET, args, 3}};

    db_batch(&s->query, f, &req->arena, calls, COUNT(calls));
}

static void answer_replay(struct flow *f)
{
    struct request *req = request_of(f);
    struct webhook_deliveries *s = req->state;
    const struct db_result *row = db_result_at(&s->query, 1);
    struct buf body = {0};
    struct json j = {.buf = &body};

    if (row->n_rows == 0) {
        flow_fail(f, ERROR(ERR_NOT_FOUND, 0, NO_DELIVERY));
    } else if (db_result_at(&s->query, 0)->n_changed == 0) {
        flow_fail(f, ERROR(ERR_CONFLICT, 0,
                           str_eq(db_get_text(row, 0, DELIVERY_STATUS), STR("dead"))
                               ? WEBHOOK_IS_OFF
                               : DELIVERY_IS_NOT_DEAD));
    } else {
        delivery_write(&j, row, 0);
        answer_json(req, 202, &body);
    }
}

const struct step webhook_deliveries_replay_steps[] = {
    STEP(replay),
    STEP(answer_replay), /* 404, 409 */
    STEP_END,
};
const struct route_doc webhook_deliveries_replay_doc = {
    TAG_WEBHOOKS,
    ANSWERS({202, &delivery_schema}),
    DOC_ERRORS(409),
    .about = "It is due at once, with all its tries before it.",
};

enum replayed { REPLAYED, REPLAYED_LEFT, REPLAYED_WEBHOOK };

static void replay_all(struct flow *f)
{
    struct request *req = request_of(f);
    struct webhook_deliveries *s = req->state;

    if (!input_path_id(req, 0, NO_WEBHOOK, &s->webhook_id))
        return;

    const struct db_arg args[] = {team_arg(req), db_uuid(id_str(&s->webhook_id)),
                                  db_time(clock_wall_us())};
    const struct db_arg left[] = {args[0], args[1], db_text(STR("dead"))};
    const struct db_call calls[] = {
        [REPLAYED] = {SQL_WEBHOOK_REPLAY_ALL, args, COUNT(args)},
        [REPLAYED_LEFT] = {SQL_WEBHOOK_DELIVERY_COUNT, left, COUNT(left)},
        [REPLAYED_WEBHOOK] = {SQL_WEBHOOK_LIST, args, 2},
    };

    db_batch(&s->query, f, &req->arena, calls, COUNT(calls));
}

static void answer_replay_all(struct flow *f)
{
    struct request *req = request_of(f);
    struct webhook_deliveries *s = req->state;
    int64_t n_replayed = db_result_at(&s->query, REPLAYED)->n_changed;
    int64_t n_left = db_get_int(db_result_at(&s->query, REPLAYED_LEFT), 0, 0);
    struct buf body = {0};
    struct json j = {.buf = &body};

    if (db_result_at(&s->query, REPLAYED_WEBHOOK)->n_rows == 0) {
        flow_fail(f, ERROR(ERR_NOT_FOUND, 0, NO_WEBHOOK));
        return;
    }
    if (n_replayed == 0 && n_left > 0) {
        flow_fail(f, ERROR(ERR_CONFLICT, 0, WEBHOOK_IS_OFF));
        return;
    }
    json_begin_object(&j);
    json_pair_int(&j, "replayed", n_replayed);
    json_pair_int(&j, "left", n_left);
    json_end_object(&j);
    answer_json(req, 202, &body);
}

static const struct schema replayed_schema = {
    "WebhookReplay",
    .members = MEMBERS({"replayed", DOC_INT, .about = "At most a thousand"},
                       {"left", DOC_INT, .about = "Ask again for these"}),
};
const struct step webhook_deliveries_replay_all_steps[] = {
    STEP(replay_all),
    STEP(answer_replay_all), /* 404, 409 */
    STEP_END,
};
const struct route_doc webhook_deliveries_replay_all_doc = {
    TAG_WEBHOOKS,
    ANSWERS({202, &replayed_schema}),
    DOC_ERRORS(409),
};
