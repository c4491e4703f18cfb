/* A webhook called once, in the request's own flow, with an event that says no more than that. How
 * the receiver failed is the answer, not an error. */
#include "answer.h"
#include "base/clock.h"
#include "config/config.h"
#include "doc.h"
#include "take_rate.h"
#include "webhooks.h"

#define MINUTE_MS    60000
#define ANSWER_BYTES 1024

enum secrets_column { URL, SECRET, PREVIOUS_SECRET };

static void take_test_rate(struct flow *f)
{
    struct request *req = request_of(f);
    const struct rate rate = {RATE_WEBHOOK_TESTS, id_str(&caller_of(req)->team_id),
                              config()->limits.messages_per_minute, MINUTE_MS};

    (void)!take_rate(req, &rate, "Your team tests webhooks too often; wait a moment");
}

static void load_webhook(struct flow *f)
{
    struct request *req = request_of(f);
    struct webhook_test *s = req->state;

    if (input_path_id(req, 0, NO_WEBHOOK, &s->webhook_id))
        db_query(&s->load, f, &req->arena, SQL_WEBHOOK_SECRETS,
                 DB_ARGS(team_arg(req), db_uuid(id_str(&s->webhook_id)), db_time(clock_wall_us())));
}

/* One that is switched off may be tested before it is switched on. */
static void write_message(struct flow *f)
{
    struct request *req = request_of(f);
    struct webhook_test *s = req->state;
    const struct db_result *r = s->load.result;

    if (r->n_rows == 0) {
        flow_fail(f, ERROR(ERR_NOT_FOUND, 0, NO_WEBHOOK));
        return;
    }
    s->delivery_id = id_v4();
    s->message = (struct webhook_message){
        .webhook_id = id_str(&s->webhook_id),
        .url = db_get_text(r, 0, URL),
        .secret = db_get_text(r, 0, SECRET),
        .previous_secret =
            db_is_null(r, 0, PREVIOUS_SECRET) ? STR_NONE : db_get_text(r, 0, PREVIOUS_SECRET),
        .delivery_id = id_str(&s->delivery_id),
        .event_id = id_str(&s->delivery_id),
        .type = STR("ping"),
        .team_id = id_str(&caller_of(req)->team_id),
        .created_us = clock_wall_us(),
        .data = arena_printf(&req->arena, "{\"webhook_id\":\"%s\"}", s->webhook_id.text),
    };
    if (!s->message.data.ptr)
        flow_fail(f, ERROR(ERR_NO_MEMORY, 0, NULL));
    req->fails_at_eof = true;
}

static void call_receiver(struct flow *f)
{
    struct request *req = f->state;
    struct webhook_test *s = req->state;
    struct fetch_request request;
    struct error err = webhook_call_make(&req->arena, &s->message, &request);

    s->begun_us = clock_mono_us();
    if (is_error(err))
        flow_fail(f, err);
    else
        fetch_start(&s->fetch, f, &req->arena, &request);
}

static const struct step call_steps[] = {STEP(call_receiver), STEP_END};

static void call(struct flow *f)
{
    struct request *req = request_of(f);
    struct webhook_test *s = req->state;

    flow_try(f, &s->call, call_steps, req);
}

/* ---- the answer ---- */

static const char *hint_of(struct error err, int status)
{
    if (status == 404 || status == 405)
        return "Check the path of the URL, and that it takes POST. In n8n: activate the workflow, "
               "and take its production URL.";
    if (status == 410)
        return "A delivery that is answered 410 switches the webhook off.";
    if (status >= 300 && status < 400)
        return "Open the URL in a browser and enter the one where that ends; often https:// in "
               "place of http://.";
    if (status == 401 || status == 403)
        return "Let the receiver check X-Aerie-Signature in place of a login, and check that it "
               "knows this webhook's secret; docs/webhooks.md has code for that.";
    if (status == 429)
        return "Deliveries wait and come again by themselves.";
    if (status > 0)
        return "Look at the receiver's own log. Answer 200 at once and do the work afterwards.";
    switch ((int)err.status) {
    case ERR_PROVIDER_UNREACHABLE:
        return "Check the host name and the port, that the receiver runs, its certificate, and "
               "that "
               "this server may reach it: inner addresses need the operator's egress.allow.";
    case ERR_PROVIDER_TIMEOUT:
        return "Answer 200 at once and do the work afterwards; the operator's "
               "webhooks.timeout_seconds says how long a call may take.";
    case ERR_PROVIDER_MALFORMED:
        return "Something that does not speak HTTP answers at this URL, or https:// is called "
               "where "
               "http:// is spoken.";
    case ERR_UNAVAILABLE:
        return "Give the webhook a new secret: the server's own one was changed.";
    default:
        return "Test again. If it stays so, the server's log has more.";
    }
}

static void answer(struct flow *f)
{
    struct request *req = request_of(f);
    const struct webhook_test *s = req->state;
    int status = s->fetch.http_status;
    struct error err = s->call.flow.err;
    bool was_taken = webhook_was_taken(status);
    struct buf body = {0}, said = {0};
    struct json j = {.buf = &body};
    struct utf8_stream utf8 = {0};

    utf8_stream_feed(&utf8, s->fetch.body, &said);
    utf8_stream_end(&utf8, &said);
    json_begin_object(&j);
    json_pair_bool(&j, "ok", was_taken);
    json_pair_int_or_null(&j, "http_status", status, status == 0);
    json_pair_str(&j, "answer", utf8_prefix(buf_str(&said), ANSWER_BYTES));
    json_key(&j, "error");
    if (was_taken) {
        json_null(&j);
    } else {
        json_begin_object(&j);
        json_pair_str(&j, "message", str_from(webhook_call_words(err, status)));
        json_pair_str(&j, "hint", str_from(hint_of(err, status)));
        json_end_object(&j);
    }
    json_pair_int(&j, "total_ms", (int64_t)((clock_mono_us() - s->begun_us) / 1000));
    json_pair_str(&j, "delivery_id", id_str(&s->delivery_id));
    json_end_object(&j);
    if (said.failed)
        body.failed = true;
    buf_deinit(&said);
    answer_json(req, 200, &body);
}

const struct step webhook_test_steps[] = {
    STEP(take_test_rate),            /* 429 */
    STEP(load_webhook),              /* 404 */
    STEP(write_message), STEP(call), /* ends with the answer, or with the client */
    STEP(answer),        STEP_END,
};

static const struct schema error_schema = {
    "WebhookTestError",
    .members = MEMBERS({"message", DOC_TEXT}, {"hint", DOC_TEXT, .about = "What to do about it"}),
};
static const struct schema test_schema = {
    "WebhookTest",
    .members = MEMBERS(
        {"ok", DOC_BOOL, .about = "The receiver took it (2xx)"},
        {"http_status", DOC_INT | DOC_NULL, .about = "Of its answer; null when there was none"},
        {"answer", DOC_TEXT, .about = "The first KiB of it"},
        {"error", DOC_OBJECT | DOC_NULL, .of = &error_schema}, {"total_ms", DOC_INT},
        {"delivery_id", DOC_ID, .about = "The call's `X-Aerie-Delivery`"}),
};
const struct route_doc webhook_test_doc = {
    TAG_WEBHOOKS,
    ANSWERS({200, &test_schema}),
    DOC_ERRORS(429),
    .about = "Sends an event of the type `ping`, once. A receiver that fails is an answer too: "
             "`ok` is false, and `error` says what to do.",
};
