/* Sessions with an API key. The server keeps what was said: of the messages that a call brings, the
 * last one of the user is asked, and those before it are left unread. */
#include "key_chat.h"

#include "answer.h"
#include "api/auth.h"
#include "config/config.h"
#include "doc.h"
#include "message_content.h"
#include "messages.h"
#include "session_ask.h"

#include <stddef.h>

#define WRONG      "Invalid API key or assistant ID"
#define NO_SESSION "Session not found"
#define KEY_CHARS  200
#define ID_CHARS   100
#define COUNT(a)   (sizeof(a) / sizeof((a)[0]))

/* The key of the body, else the head's. */
static struct str key_of(const struct request *req, const struct input *api_key)
{
    return api_key->text.ptr ? api_key->text : api_key_sent(req);
}

/* Whether the key is nobody's or another agent's: one answer, and the same work. False: the flow
 * has failed. */
static bool check_agent(struct request *req, const struct key_auth *auth,
                        const struct input *assistant_id)
{
    struct error err = auth->sub.flow.err;
    struct id id;

    if (err.status == ERR_UNAUTHORIZED ||
        (!is_error(err) && (!id_parse(assistant_id->text, &id) ||
                            !str_eq(id_str(&id), id_str(&auth->caller.agent_id)))))
        err = ERROR(ERR_FORBIDDEN, 0, WRONG);
    if (is_error(err))
        flow_fail(&req->flow, err);
    return !is_error(err);
}

/* ---- POST /api/chat/session ---- */

static void begin_read(struct flow *f)
{
    struct request *req = request_of(f);
    struct key_begin *s = req->state;
    const struct input_field fields[] = {
        {.name = "api_key",
         .kind = INPUT_SECRET,
         .is_required = !api_key_sent(req).ptr,
         .max = KEY_CHARS,
         .offset = offsetof(struct key_begin, api_key)},
        {.name = "assistant_id",
         .kind = INPUT_LINE,
         .is_required = true,
         .max = ID_CHARS,
         .offset = offsetof(struct key_begin, assistant_id)},
    };

    if (input_read(req, fields, COUNT(fields), s))
        key_auth_try(&s->auth, f, req, key_of(req, &s->api_key), "chat");
}

static void begin_add(struct flow *f)
{
    struct request *req = request_of(f);
    struct key_begin *s = req->state;
    const struct key_caller *who = &s->auth.caller;

    if (!check_agent(req, &s->auth, &s->assistant_id) ||
        !session_take_begin_rate(req, &who->agent_id))
        return;
    s->session_id = id_v4();
    session_add(&s->add, req, &who->team_id, &s->session_id, &who->agent_id, STR_NONE, STR_NONE);
}

static void begin_answer(struct flow *f)
{
    struct request *req = request_of(f);
    struct key_begin *s = req->state;
    struct buf out = {0};
    struct json j = {.buf = &out};

    if (s->add.result->n_changed == 0) { /* it went since the key was read */
        flow_fail(f, ERROR(ERR_FORBIDDEN, 0, WRONG));
        return;
    }
    json_begin_object(&j);
    json_pair_str(&j, "session_id", id_str(&s->session_id));
    json_end_object(&j);
    answer_json(req, 200, &out);
}

static const struct schema begin_schema = {
    "KeySessionRequest",
    .members = MEMBERS({"api_key", DOC_TEXT | DOC_OPTIONAL, .about = "Unless it is in a header"},
                       {"assistant_id", DOC_TEXT, .about = "The key's agent"}),
};
static const struct schema begun_schema = {
    "KeySession",
    .members = MEMBERS({"session_id", DOC_ID, .about = "The server keeps what is said in it"}),
};
const struct route_doc key_begin_doc = {
    TAG_WIDGETS,
    ANSWERS({200, &begun_schema}),
    .schema = &begin_schema,
    .example = "{\"api_key\": \"eck_AbCdEfGhIjKlMnOpQrStUvWxYz0123456789AbCdEfGh\", "
               "\"assistant_id\": \"123e4567-e89b-12d3-a456-426614174000\"}",
    .about = "A wrong key, and the key of another agent: 403 `Invalid API key or assistant ID`.",
};

const struct step key_begin_steps[] = {
    STEP(begin_read),   /* 422 */
    STEP(begin_add),    /* 403, 429 */
    STEP(begin_answer), /* 403 */
    STEP_END,
};

/* ---- POST /api/chat with a key ---- */

static yyjson_val *last_of_user(yyjson_val *messages)
{
    yyjson_val *val, *last = NULL;
    size_t i, n;

    yyjson_arr_foreach(messages, i, n, val)
    {
        if (yyjson_equals_str(json_member(val, "role"), "user"))
            last = val;
    }
    return last;
}

/* document: where the body is parsed; the text is copied. */
static void take_message(struct request *req, struct arena *document, yyjson_val *root)
{
    struct key_chat *s = req->state;
    const struct input_field field = {.name = "messages",
                                      .kind = INPUT_TEXT,
                                      .min = 1,
                                      .max = (int64_t)config()->limits.message_chars};
    yyjson_val *message = last_of_user(json_member(root, "messages"));
    struct str text = STR_NONE;
    struct error err;

    if (message)
        err = message_content_read(document, json_member(message, "content"), &text);
    else
        err = ERROR(ERR_INVALID, 0, "must be a list with a message whose role is user");
    if (!is_error(err)) {
        input_take_text(req, &field, text, &s->content);
        return;
    }
    if (err.status == ERR_INVALID) {
        input_wrong(req, "messages", err.detail);
        err.detail = NULL;
    }
    flow_fail(&req->flow, err);
}

static void read_message(struct request *req)
{
    struct arena document = {0};
    yyjson_val *root = NULL;
    struct error err =
        json_read(&document, req->body, (unsigned)config()->limits.json_depth, &root);

    if (is_error(err)) /* it was read before: memory is out */
        flow_fail(&req->flow, ERROR(ERR_NO_MEMORY, 0, NULL));
    else
        take_message(req, &document, root);
    arena_free(&document);
}

static void chat_read(struct flow *f)
{
    static const struct input_field fields[] = {
        {.name = "api_key",
         .kind = INPUT_SECRET,
         .max = KEY_CHARS,
         .offset = offsetof(struct key_chat, api_key)},
        {.name = "assistant_id",
         .kind = INPUT_LINE,
         .is_required = true,
         .max = ID_CHARS,
         .offset = offsetof(struct key_chat, assistant_id)},
        {.name = "session_id",
         .kind = INPUT_LINE,
         .is_required = true,
         .max = ID_CHARS,
         .offset = offsetof(struct key_chat, session_id)},
        {.name = "type",
         .kind = INPUT_LINE,
         .is_nullable = true,
         .max = ID_CHARS,
         .offset = offsetof(struct key_chat, type)},
    };
    struct request *req = request_of(f);
    struct key_chat *s = req->state;

    if (!input_read(req, fields, COUNT(fields), s))
        return;
    read_message(req);
    if (!is_error(req->flow.err))
        key_auth_try(&s->auth, f, req, key_of(req, &s->api_key), "chat");
}

static void chat_load(struct flow *f)
{
    struct request *req = request_of(f);
    struct key_chat *s = req->state;
    const struct key_caller *who = &s->auth.caller;

    if (!check_agent(req, &s->auth, &s->assistant_id) ||
        !session_take_agent_rate(req, &who->agent_id))
        return;
    if (id_parse(s->session_id.text, &s->id))
        db_query(&s->session, f, &req->arena, SQL_SESSION_OF_KEY,
                 DB_ARGS(db_uuid(id_str(&who->team_id)), db_uuid(id_str(&s->id)),
                         db_uuid(id_str(&who->agent_id))));
    else
        flow_fail(f, ERROR(ERR_NOT_FOUND, 0, NO_SESSION));
}

static void chat_aim(struct flow *f)
{
    struct request *req = request_of(f);
    struct key_chat *s = req->state;

    s->ask.turn.key_id = s->auth.caller.key_id;
    if (s->session.result->n_rows == 0)
        flow_fail(f, ERROR(ERR_NOT_FOUND, 0, NO_SESSION));
    else
        (void)!session_ask(req, &s->ask, &s->auth.caller.team_id, &s->id, s->content.text);
}

/* ---- whose call is it? ---- */

static bool has_key_inside(struct request *req)
{
    struct arena document = {0};
    yyjson_val *root = NULL;
    struct error err =
        json_read(&document, req->body, (unsigned)config()->limits.json_depth, &root);
    bool has_key = !is_error(err) && json_member(root, "api_key") != NULL;

    arena_free(&document);
    return has_key;
}

/* A key that is sent counts more than a cookie, which browsers send unasked. */
static void tell_apart(struct flow *f)
{
    struct request *req = request_of(f);
    struct chat_call *s = req->state;
    bool is_by_token = req->caller && request_header(req, "authorization").ptr;

    s->is_by_key = !is_by_token && (api_key_sent(req).ptr || has_key_inside(req));
    if (!s->is_by_key && !req->caller)
        flow_fail(f, ERROR(ERR_UNAUTHORIZED, 0, "Not authenticated"));
}

static bool is_by_key(struct flow *f)
{
    const struct chat_call *s = request_of(f)->state;

    return s->is_by_key;
}

static void take_rate(struct flow *f)
{
    if (!is_by_key(f))
        ask_take_rate(f);
}

static void read_call(struct flow *f)
{
    if (is_by_key(f)) {
        chat_read(f);
        return;
    }
    talk_answer_whole(f);
    talk_read(f);
}

static void load_session(struct flow *f)
{
    if (is_by_key(f))
        chat_load(f);
}

static void aim(struct flow *f)
{
    if (is_by_key(f))
        chat_aim(f);
}

const struct step chat_call_steps[] = {
    STEP(tell_apart),   /* 401 */
    STEP(take_rate),    /* 429 */
    STEP(read_call),    /* 422 */
    STEP(load_session), /* by key: 403, 429, 404 */
    STEP(aim),          /* by key: 404 */
    ASK_STEPS,
};

static const struct schema said_schema = {
    "SaidMessage",
    .members = MEMBERS({"role", DOC_TEXT}, {"content", DOC_ANY, .about = "Text, or text parts"}),
};
static const struct schema key_chat_schema = {
    "KeyChat",
    .members = MEMBERS({"api_key", DOC_TEXT | DOC_OPTIONAL, .about = "Unless it is in a header"},
                       {"session_id", DOC_TEXT}, {"assistant_id", DOC_TEXT},
                       {"type", DOC_TEXT | DOC_NULL | DOC_OPTIONAL, .about = "Means nothing"},
                       {"messages", DOC_OBJECT | DOC_LIST, &said_schema,
                        .about = "The last one of the user is asked; the server has the others"}),
};
static const struct schema chat_call_schema = {
    "ChatCall",
    .one_of = ONE_OF(&talk_schema, &key_chat_schema),
};
static const struct schema chat_reply_schema = {
    "ChatReply",
    .one_of = ONE_OF(&talk_reply_schema, &response_schema),
};
const struct route_doc chat_call_doc = {
    TAG_CHAT,
    ANSWERS({200, &chat_reply_schema}, {200, &turn_event_schema, .type = "text/event-stream"}),
    DOC_ERRORS(404, 409, 500, 502, 504),
    .schema = &chat_call_schema,
    .example = "{\"message\": \"Hello, how are you?\", \"session_id\": null}",
    .headers = ask_headers,
    .takes_access_token = true,
    .about = "A user's call waits for the whole reply; another agent than the chat's is 409, as is "
             "a team without one. With an API key, in the body or a header, it goes to a session "
             "of that key's agent, and may stream.",
};
