/* The visitor's side of a chat: whoever has the session's id may write, whoever has the visitor's
 * token may read. */
#include "widget.h"

#include "answer.h"
#include "chat/hub.h"
#include "config/config.h"
#include "doc.h"
#include "elsewhere.h"
#include "message_json.h"
#include "session_ask.h"
#include "take_rate.h"

#include <stddef.h>

#define MINUTE_MS 60000
#define ID_CHARS  100 /* what is longer, or no UUID, is nobody's id: 404 */
#define COUNT(a)  (sizeof(a) / sizeof((a)[0]))

static bool take(struct request *req, enum rate_kind kind, struct str key, uint64_t limit,
                 const char *sentence)
{
    const struct rate rate = {kind, key, limit, MINUTE_MS};

    return take_rate(req, &rate, sentence);
}

/* ---- POST /api/chat/widget/session ---- */

/* Before the body and the database, so that a flood is cheap. */
static void begin_rate(struct flow *f)
{
    struct request *req = request_of(f);

    (void)!take(req, RATE_VISITOR_SESSIONS, req->address_group,
                config()->limits.visitor_sessions_per_minute,
                "Too many sessions are begun from this address; wait a moment");
}

static const struct input_field begin_fields[] = {
    {.name = "chatbot_id",
     .kind = INPUT_LINE,
     .is_required = true,
     .max = ID_CHARS,
     .offset = offsetof(struct widget_begin, chatbot_id)},
};

static void begin_read(struct flow *f)
{
    struct request *req = request_of(f);
    struct widget_begin *s = req->state;

    if (input_read(req, begin_fields, COUNT(begin_fields), s))
        visit_load_agent(&s->visit, req, s->chatbot_id.text);
}

static void begin_add(struct flow *f)
{
    struct request *req = request_of(f);
    struct widget_begin *s = req->state;
    struct visit *v = &s->visit;

    if (!visit_check_agent(v, req) || !session_take_begin_rate(req, &v->agent_id))
        return;
    opaque_token_new(&s->token);
    v->session_id = id_v4();
    session_add(&s->add, req, &v->team_id, &v->session_id, &v->agent_id, str_from(s->token.hash),
                v->origin);
}

static void begin_answer(struct flow *f)
{
    struct request *req = request_of(f);
    struct widget_begin *s = req->state;
    struct buf out = {0};
    struct json j = {.buf = &out};

    if (s->add.result->n_changed == 0) { /* it went since it was asked for */
        flow_fail(f, ERROR(ERR_NOT_FOUND, 0, "Chatbot not found"));
        return;
    }
    json_begin_object(&j);
    json_pair_str(&j, "session_id", id_str(&s->visit.session_id));
    json_pair_str(&j, "visitor_token", str_from(s->token.text));
    json_end_object(&j);
    answer_json(req, 200, &out);
}

static const struct schema begun_schema = {
    "VisitorSession",
    .members = MEMBERS({"session_id", DOC_ID, .about = "Whoever has it may write"},
                       {"visitor_token", DOC_TEXT, .about = "Shown this once: reading needs it"}),
};
const struct route_doc widget_begin_doc = {
    TAG_WIDGETS,
    ANSWERS({200, &begun_schema}),
    DOC_ERRORS(404, 429),
    DOC_BODY(begin_fields),
    .example = "{\"chatbot_id\": \"123e4567-e89b-12d3-a456-426614174000\"}",
    .about = "From pages of the agent's `allowed_origins` only; a call without `Origin` and "
             "`Referer` is no browser's.",
};

const struct step widget_begin_steps[] = {
    STEP(begin_rate),   /* 429 */
    STEP(begin_read),   /* 422 */
    STEP(begin_add),    /* 404, 403, 429 */
    STEP(begin_answer), /* 404 */
    STEP_END,
};

/* ---- POST /api/chat/widget ---- */

/* By address, so that many sessions of one visitor do not make many messages. */
static void ask_address_rate(struct flow *f)
{
    struct request *req = request_of(f);

    (void)!take(req, RATE_VISITOR_ADDRESS, req->address_group,
                config()->limits.visitor_messages_per_minute,
                "Too many messages from this address; wait a moment");
}

static void ask_read(struct flow *f)
{
    struct request *req = request_of(f);
    struct widget_ask *s = req->state;
    const struct input_field fields[] = {
        {.name = "message",
         .kind = INPUT_TEXT,
         .is_required = true,
         .min = 1,
         .max = (int64_t)config()->limits.message_chars,
         .offset = offsetof(struct widget_ask, message)},
        {.name = "session_id",
         .kind = INPUT_LINE,
         .is_required = true,
         .max = ID_CHARS,
         .offset = offsetof(struct widget_ask, session_id)},
    };

    if (input_read(req, fields, COUNT(fields), s))
        visit_load_session(&s->visit, req, s->session_id.text);
}

static void ask_session_rate(struct flow *f)
{
    struct request *req = request_of(f);
    struct widget_ask *s = req->state;
    struct visit *v = &s->visit;

    if (visit_check_session(v, req))
        (void)!take(req, RATE_VISITOR_MESSAGES, id_str(&v->session_id),
                    config()->limits.visitor_messages_per_minute,
                    "Too many messages; wait a moment");
}

static void ask_aim(struct flow *f)
{
    struct request *req = request_of(f);
    struct widget_ask *s = req->state;
    struct visit *v = &s->visit;

    if (session_take_agent_rate(req, &v->agent_id))
        (void)!session_ask(req, &s->ask, &v->team_id, &v->session_id, s->message.text);
}

static const struct schema ask_schema = {
    "VisitorQuestion",
    .members = MEMBERS({"session_id", DOC_TEXT},
                       {"message", DOC_TEXT, .min = 1, .max = 32000,
                        .about = "The operator may allow more or fewer characters"}),
};
const struct route_doc widget_ask_doc = {
    TAG_WIDGETS,
    ANSWERS({200, &response_schema}, {200, &turn_event_schema, .type = "text/event-stream"}),
    DOC_ERRORS(404, 409, 429, 500, 502, 504),
    .schema = &ask_schema,
    .example = "{\"session_id\": \"123e4567-e89b-42d3-a456-426614174000\", \"message\": "
               "\"Hello\"}",
    .headers = ask_headers,
};

const struct step widget_ask_steps[] = {
    STEP(ask_address_rate), /* 429 */
    STEP(ask_read),         /* 422 */
    STEP(ask_session_rate), /* 404, 403, 429 */
    STEP(ask_aim),          /* 429 */
    ASK_STEPS,
};

/* ---- reading: GET /api/chat/widget/messages, …/stream, POST …/stop ---- */

/* The session that the query names. */
static void load_named(struct request *req, struct visit *v)
{
    struct str session_id = request_query(req, "session_id");

    if (session_id.ptr) {
        visit_load_session(v, req, session_id);
        return;
    }
    input_wrong(req, "session_id", "is required");
    flow_fail(&req->flow, ERROR(ERR_INVALID, 0, NULL));
}

static void list_read(struct flow *f)
{
    struct request *req = request_of(f);
    struct widget_list *s = req->state;

    if (input_query_int(req, "limit", 1, 200, 50, &s->limit) &&
        input_query_id(req, "before", &s->before))
        load_named(req, &s->visit);
}

static void list_load(struct flow *f)
{
    struct request *req = request_of(f);
    struct widget_list *s = req->state;
    const struct visit *v = &s->visit;
    struct db_arg session;

    if (!visit_check_session(&s->visit, req) || !visit_check_token(v, req))
        return;
    session = db_uuid(id_str(&v->session_id));
    db_query(&s->messages, f, &req->arena, SQL_MESSAGE_PAGE,
             DB_ARGS(db_uuid(id_str(&v->team_id)), session, session, db_uuid(s->before),
                     db_int(s->limit)));
}

/* What people see; the model, its usage and what went wrong are the team's. */
static void write_message(struct json *j, const struct db_result *rows, size_t row,
                          const struct id *session_id)
{
    struct message_view view;

    message_view_open(&view, rows, row, session_id);
    json_begin_object(j);
    json_pair_str(j, "id", db_get_text(rows, row, MESSAGE_ID));
    json_pair_str(j, "role", db_get_text(rows, row, MESSAGE_ROLE));
    json_pair_str(j, "content", view.content);
    json_pair_str(j, "status", view.status);
    json_pair_time(j, "timestamp", db_get_int(rows, row, MESSAGE_CREATED_AT));
    json_end_object(j);
    message_view_close(&view);
}

static void list_answer(struct flow *f)
{
    struct request *req = request_of(f);
    struct widget_list *s = req->state;
    struct buf out = {0};
    struct json j = {.buf = &out};

    json_begin_array(&j);
    for (size_t row = 0; row < s->messages.result->n_rows; row++)
        write_message(&j, s->messages.result, row, &s->visit.session_id);
    json_end_array(&j);
    answer_json(req, 200, &out);
}

#define SESSION_PARAMETER                                                                          \
    {                                                                                              \
        "session_id", DOC_TEXT                                                                     \
    }
const struct route_doc widget_list_doc = {
    TAG_WIDGETS,
    ANSWERS({200, &visitor_message_schema, .is_list = true}),
    DOC_ERRORS(404),
    .query =
        MEMBERS(SESSION_PARAMETER,
                {"before", DOC_ID | DOC_OPTIONAL, .about = "A message: the page before it"},
                {"limit", DOC_INT | DOC_OPTIONAL, .min = 1, .max = 200, .about = "50 unless told"}),
    .takes_visitor_token = true,
    .about = "The latest ones, oldest first.",
};

const struct step widget_list_steps[] = {
    STEP(list_read), /* 422, 404 */
    STEP(list_load), /* 404, 403, 401 */
    STEP(list_answer),
    STEP_END,
};

static void stream_read(struct flow *f)
{
    struct request *req = request_of(f);
    struct widget_watch *s = req->state;

    load_named(req, &s->visit);
}

static const struct input_field stop_fields[] = {
    {.name = "session_id",
     .kind = INPUT_LINE,
     .max = ID_CHARS,
     .offset = offsetof(struct widget_watch, session_id)},
};

static void stop_read(struct flow *f)
{
    struct request *req = request_of(f);
    struct widget_watch *s = req->state;

    if (!input_read(req, stop_fields, COUNT(stop_fields), s))
        return;
    if (s->session_id.text.ptr)
        visit_load_session(&s->visit, req, s->session_id.text);
    else
        load_named(req, &s->visit);
}

static void find_turn(struct flow *f)
{
    struct request *req = request_of(f);
    struct widget_watch *s = req->state;

    if (!visit_check_session(&s->visit, req) || !visit_check_token(&s->visit, req))
        return;
    s->watch.chat_id = s->visit.session_id;
    s->watch.log = hub_find(&s->visit.session_id, &s->visit.session_id);
    if (s->watch.log && !ask_hold_log(req, s->watch.log))
        return;
    elsewhere_find(f, &s->visit.team_id, &s->visit.session_id, &s->visit.session_id, NULL,
                   &s->watch.log);
}

const struct step widget_stream_steps[] = {
    STEP(stream_read),  /* 422, 404 */
    STEP(find_turn),    /* 404, 403, 401 */
    STEP(watch_attach), /* 204: nothing runs */
    STEP(watch_answer), STEP_END,
};

const struct step widget_stop_steps[] = {
    STEP(stop_read), /* 422, 404 */
    STEP(find_turn), /* 404, 403, 401 */
    STEP(watch_stop),
    STEP_END,
};

const struct route_doc widget_stream_doc = {
    TAG_WIDGETS,
    ANSWERS({200, &turn_event_schema, .type = "text/event-stream"},
            {204, .about = "There is nothing more to tell"}),
    DOC_ERRORS(404),
    .query = MEMBERS(SESSION_PARAMETER,
                     {"last_event_id", DOC_TEXT | DOC_OPTIONAL, .about = "As the header"}),
    .headers = MEMBERS({"Last-Event-ID", DOC_TEXT | DOC_OPTIONAL,
                        .about = "The last event that the client has: it goes on after that"}),
    .takes_visitor_token = true,
};
const struct route_doc widget_stop_doc = {
    TAG_WIDGETS,
    ANSWERS({202, .about = "The turn ends, or none runs"}),
    DOC_ERRORS(404),
    DOC_BODY(stop_fields),
    .example = "{\"session_id\": \"123e4567-e89b-42d3-a456-426614174000\"}",
    .query = MEMBERS({"session_id", DOC_TEXT | DOC_OPTIONAL, .about = "Instead of a body"}),
    .takes_visitor_token = true,
};
