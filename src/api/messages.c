/* Messages of a chat: reading them, sending one and following its turn, stopping, answering again.
 */
#include "messages.h"

#include "answer.h"
#include "chat/hub.h"
#include "config/config.h"
#include "doc.h"
#include "elsewhere.h"

#include <stddef.h>

/* ---- what streams hold (chat/event.h writes it) ---- */

static const struct schema status_data = {
    "StatusEventData",
    .members = MEMBERS(
        {"description", DOC_TEXT}, {"level", DOC_TEXT, .values = "info|warning"},
        {"done", DOC_BOOL},
        {"session_id", DOC_ID | DOC_OPTIONAL, .about = "In the first event of /api/chat/stream"}),
};

static const struct schema status_event = {
    "StatusEvent",
    .about = "Something to see while the reply is made.",
    .members = MEMBERS({"type", DOC_TEXT, .values = "status"}, {"data", DOC_OBJECT, &status_data}),
};

static const struct schema message_data = {
    "MessageEventData",
    .members = MEMBERS({"content", DOC_TEXT}),
};

static const struct schema message_event = {
    "MessageEvent",
    .about = "The next piece of the reply.",
    .members =
        MEMBERS({"type", DOC_TEXT, .values = "message"}, {"data", DOC_OBJECT, &message_data}),
};

static const struct schema done_data = {
    "DoneEventData",
    .members = MEMBERS({"message", DOC_TEXT}, {"message_id", DOC_ID},
                       {"stopped", DOC_BOOL | DOC_OPTIONAL}),
};

static const struct schema done_event = {
    "DoneEvent",
    .about = "The end: the reply is stored.",
    .members = MEMBERS({"type", DOC_TEXT, .values = "done"}, {"data", DOC_OBJECT, &done_data}),
};

static const struct schema error_data = {
    "ErrorEventData",
    .members =
        MEMBERS({"message", DOC_TEXT},
                {"code", DOC_TEXT,
                 .values = "provider_unreachable|provider_timeout|provider_auth|"
                           "provider_rate_limited|provider_error|provider_malformed|"
                           "empty_reply|interrupted|upstream_limit|budget_spent|not_saved|internal"},
                {"message_id", DOC_ID | DOC_OPTIONAL}, {"retry_after", DOC_INT | DOC_OPTIONAL}),
};

static const struct schema error_event = {
    "ErrorEvent",
    .about = "The end of a reply that failed.",
    .members = MEMBERS({"type", DOC_TEXT, .values = "error"}, {"data", DOC_OBJECT, &error_data}),
};

const struct schema turn_event_schema = {
    "TurnEvent",
    .one_of = ONE_OF(&status_event, &message_event, &done_event, &error_event),
};

/* ---- GET /api/chats/{id}/messages ---- */

static void list_read(struct flow *f)
{
    struct request *req = request_of(f);
    struct messages_list *s = req->state;

    if (input_path_id(req, 0, "Chat not found", &s->chat_id) &&
        input_query_int(req, "limit", 1, 200, 50, &s->limit))
        (void)!input_query_id(req, "before", &s->before);
}

static void list_query(struct flow *f)
{
    struct request *req = request_of(f);
    struct messages_list *s = req->state;
    struct db_arg chat = db_uuid(id_str(&s->chat_id));

    db_query(&s->chat, f, &req->arena, SQL_CHAT_GET, DB_ARGS(team_arg(req), user_arg(req), chat));
    db_query(&s->messages, f, &req->arena, SQL_MESSAGE_PAGE,
             DB_ARGS(team_arg(req), user_arg(req), chat, db_uuid(s->before), db_int(s->limit)));
}

static void list_answer(struct flow *f)
{
    struct request *req = request_of(f);
    struct messages_list *s = req->state;
    struct buf out = {0};
    struct json j = {.buf = &out};

    if (s->chat.result->n_rows == 0) {
        flow_fail(f, ERROR(ERR_NOT_FOUND, 0, "Chat not found"));
        return;
    }
    json_begin_array(&j);
    for (size_t row = 0; row < s->messages.result->n_rows; row++)
        message_write(&j, s->messages.result, row, &caller_of(req)->user_id);
    json_end_array(&j);
    answer_set_total(req, db_get_int(s->chat.result, 0, CHAT_MESSAGE_COUNT));
    answer_json(req, 200, &out);
}

const struct step messages_list_steps[] = {
    STEP(list_read),
    STEP(list_query),
    STEP(list_answer),
    STEP_END,
};

const struct route_doc messages_list_doc = {
    TAG_MESSAGES,
    ANSWERS({200, &message_schema, .is_list = true}),
    .query =
        MEMBERS({"before", DOC_ID | DOC_OPTIONAL, .about = "A message: the page before it"},
                {"limit", DOC_INT | DOC_OPTIONAL, .min = 1, .max = 200, .about = "50 unless told"}),
    .about = "The latest ones, oldest first.",
};

/* ---- POST /api/chats/{id}/messages, …/regenerate ---- */

static bool read_turn(struct request *req, struct ask *s, enum turn_kind kind)
{
    s->turn.kind = kind;
    s->turn.team_id = caller_of(req)->team_id;
    s->turn.owner_id = caller_of(req)->user_id;
    return input_path_id(req, 0, "Chat not found", &s->turn.chat_id);
}

static const struct schema post_schema = {
    "NewMessage",
    .members = MEMBERS({"content", DOC_TEXT, .min = 1, .max = 32000,
                        .about = "The operator may allow more or fewer characters"}),
};

static void post_read(struct flow *f)
{
    struct request *req = request_of(f);
    struct message_post *s = req->state;
    const struct input_field fields[] = {{.name = "content",
                                          .kind = INPUT_TEXT,
                                          .is_required = true,
                                          .min = 1,
                                          .max = (int64_t)config()->limits.message_chars,
                                          .offset = offsetof(struct message_post, content)}};

    if (!read_turn(req, &s->ask, TURN_ANSWER) || !input_read(req, fields, 1, s))
        return;
    s->ask.turn.content = s->content.text;
    (void)!ask_read_key(req, &s->ask);
}

static void regenerate_read(struct flow *f)
{
    struct request *req = request_of(f);

    (void)read_turn(req, req->state, TURN_REGENERATE);
}

const struct step messages_post_steps[] = {
    STEP(ask_take_rate), /* 429 */
    STEP(post_read),     /* 404, 422 */
    ASK_STEPS,
};

const struct route_doc messages_post_doc = {
    TAG_MESSAGES,
    ANSWERS({200, &turn_event_schema, .type = "text/event-stream"}, {200, &reply_schema}),
    DOC_ERRORS(409, 429, 500, 502, 504),
    .schema = &post_schema,
    .example = "{\"content\": \"Hello, who is there?\"}",
    .headers = ask_headers,
    .about =
        "Streams the events of the turn, each with its `id`. With `Accept: application/json` it "
        "waits, and answers the whole reply. One turn runs in a chat at a time: 409.",
};
const struct step chats_regenerate_steps[] = {
    STEP(ask_take_rate),
    STEP(regenerate_read),
    ASK_STEPS,
};

const struct route_doc chats_regenerate_doc = {
    TAG_MESSAGES,
    ANSWERS({200, &turn_event_schema, .type = "text/event-stream"}, {200, &reply_schema}),
    DOC_ERRORS(409, 429, 500, 502, 504),
};

/* ---- GET /api/chats/{id}/stream, POST /api/chats/{id}/stop ---- */

/* A turn in the hub is the caller's own; without one the chat must be looked for. */
static void find_turn(struct flow *f)
{
    struct request *req = request_of(f);
    struct watch_turn *s = req->state;

    if (!input_path_id(req, 0, "Chat not found", &s->chat_id))
        return;
    s->log = hub_find(&s->chat_id, &caller_of(req)->user_id);
    if (s->log && !ask_hold_log(req, s->log))
        return;
    if (!s->log)
        db_query(&s->chat, f, &req->arena, SQL_CHAT_GET,
                 DB_ARGS(team_arg(req), user_arg(req), db_uuid(id_str(&s->chat_id))));
    elsewhere_find(f, &caller_of(req)->team_id, &caller_of(req)->user_id, &s->chat_id, NULL,
                   &s->log);
}

static void check_chat(struct flow *f)
{
    const struct watch_turn *s = request_of(f)->state;

    if (!s->log && (!s->chat.result || s->chat.result->n_rows == 0))
        flow_fail(f, ERROR(ERR_NOT_FOUND, 0, "Chat not found"));
}

void watch_attach(struct flow *f)
{
    struct request *req = request_of(f);
    struct watch_turn *s = req->state;
    uint64_t n = s->log ? ask_resume_at(req, s->log) : 0;

    if (elsewhere_is_lost(f, s->log))
        return;
    if (!s->log || (turn_log_phase(s->log) == TURN_LOG_CLOSED && n >= turn_log_last(s->log)))
        response_empty(req, 204);
    else
        follow_sse(&s->follow, f, req, s->log, n);
}

void watch_answer(struct flow *f)
{
    struct request *req = request_of(f);

    if (!response_is_started(req))
        response_empty(req, 204); /* the turn never began */
}

const struct step chats_stream_steps[] = {
    STEP(find_turn), STEP(check_chat), STEP(watch_attach), STEP(watch_answer), STEP_END,
};

const struct route_doc chats_stream_doc = {
    TAG_MESSAGES,
    ANSWERS({200, &turn_event_schema, .type = "text/event-stream"},
            {204, .about = "There is nothing more to tell"}),
    .query = MEMBERS({"last_event_id", DOC_TEXT | DOC_OPTIONAL, .about = "As the header"}),
    .headers = MEMBERS({"Last-Event-ID", DOC_TEXT | DOC_OPTIONAL,
                        .about = "The last event that the client has: it goes on after that"}),
};

void watch_stop(struct flow *f)
{
    struct request *req = request_of(f);
    struct watch_turn *s = req->state;

    if (elsewhere_is_lost(f, s->log))
        return;
    if (s->log)
        turn_stop(s->log, turn_stopped_by_owner);
    response_empty(req, 202);
}

const struct step chats_stop_steps[] = {
    STEP(find_turn),
    STEP(check_chat),
    STEP(watch_stop),
    STEP_END,
};

const struct route_doc chats_stop_doc = {
    TAG_MESSAGES,
    ANSWERS({202, .about = "The turn ends, or none runs"}),
};
