/* /api/chat/ws. Each frame is read as a request of its own: it has the socket's caller, a body, an
 * arena and a flow, and what it has to say goes out as events. One reply streams at a time. */
#include "chat_socket.h"

#include "account/revocation.h"
#include "ask.h"
#include "base/clock.h"
#include "chat/event.h"
#include "chat/hub.h"
#include "doc.h"
#include "elsewhere.h"
#include "http/websocket.h"
#include "talk.h"

#include <stddef.h>
#include <stdlib.h>

#define EVENT_ID_CHARS 100
#define TYPE_CHARS     20

enum frame_kind { FRAME_MESSAGE, FRAME_RESUME, FRAME_STOP };

struct frame {
    struct request req;
    struct talk talk; /* req.state */
    struct chat_socket *socket;
    struct input type, session_id, last_event_id, idempotency_key;
    struct header_line lines[2]; /* what elsewhere comes as header lines */
    enum frame_kind kind;
    bool is_idle; /* FRAME_RESUME: there is nothing to go on with */
};

static struct frame *frame_of(struct flow *f)
{
    return container_of(request_of(f), struct frame, req);
}

/* ---- the socket's end ---- */

/* May free s. */
static void check_end(struct chat_socket *s)
{
    if (s->is_leaving && s->n_frames == 0)
        op_end(&s->op, NO_ERROR);
}

/* The frame may be on the stack: then it ends with its step. May free s. */
static void leave(struct chat_socket *s)
{
    s->is_leaving = true;
    if (s->current)
        flow_fail(&s->current->req.flow, ERROR(ERR_GONE, 0, "the socket is closed"));
    else
        check_end(s);
}

static void on_cancel(struct op *op)
{
    leave(container_of(op, struct chat_socket, op));
}

/* A reply that streams may end before. May free s. */
static void on_drain(void *state)
{
    struct chat_socket *s = state;

    s->is_draining = true;
    if (s->current)
        return;
    websocket_close(s->req, CLOSE_GOING_AWAY, "the server is shutting down");
    leave(s);
}

/* ---- events that no turn's log has ---- */

static void tell(struct chat_socket *s, struct buf *event)
{
    if (!event->failed)
        websocket_send(s->req, buf_str(event));
    buf_deinit(event);
}

/* What is wrong with the first wrong field. */
static const char *detail_of(struct frame *fr, struct error err)
{
    const struct field_error *wrong = fr->req.field_errors;
    struct str text;

    if (err.status != ERR_INVALID || !wrong)
        return error_public_detail(&err);
    text = arena_printf(&fr->req.arena, "%s %s", wrong->field, wrong->message);
    return text.ptr ? text.ptr : error_public_detail(&err);
}

static void tell_error(struct frame *fr, struct error err)
{
    struct str code =
        err.status == ERR_INVALID ? STR("bad_request") : str_from(status_row(err.status)->name);
    struct buf out = {0};

    event_write_error(&out, code, str_from(detail_of(fr, err)), STR(""),
                      err.status == ERR_RATE_LIMITED ? err.code : 0);
    tell(fr->socket, &out);
}

static void tell_idle(struct frame *fr)
{
    struct buf out = {0};
    struct json j = {.buf = &out};

    json_begin_object(&j);
    json_pair_str(&j, "type", STR("status"));
    json_key(&j, "data");
    json_begin_object(&j);
    json_pair_str(&j, "description", STR("No reply is running in this chat"));
    json_pair_str(&j, "level", STR("info"));
    json_pair_bool(&j, "done", true);
    json_pair_str(&j, "session_id", fr->session_id.text);
    json_end_object(&j);
    json_end_object(&j);
    tell(fr->socket, &out);
}

/* ---- a frame ---- */

/* The token was looked at when the socket opened; it may have died since. */
static void check_token(struct flow *f)
{
    struct frame *fr = frame_of(f);
    const struct caller *who = caller_of(&fr->req);

    if (!revocation_refuses(who) && clock_wall_us() < who->expires_at_us)
        return;
    websocket_close(fr->socket->req, CLOSE_POLICY, "the token is not valid any more");
    flow_finish(f);
    leave(fr->socket);
}

static bool read_kind(struct frame *fr)
{
    static const char *const names[] = {"message", "resume", "stop"};

    if (!fr->type.is_given)
        return true;
    for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (str_eq(fr->type.text, str_from(names[i]))) {
            fr->kind = (enum frame_kind)i;
            return true;
        }
    input_wrong(&fr->req, "type", "must be message, resume or stop");
    return false;
}

static void add_line(struct frame *fr, const char *name, const struct input *value)
{
    if (value->is_given)
        fr->lines[fr->req.n_headers++] = (struct header_line){str_from(name), value->text};
    fr->req.headers = fr->lines;
}

/* What it is about; the message itself is read by the step that all doors share. */
static void read_frame(struct flow *f)
{
    struct frame *fr = frame_of(f);
    const struct input_field fields[] = {
        {.name = "idempotency_key",
         .kind = INPUT_LINE,
         .min = 1,
         .max = ASK_KEY_BYTES,
         .offset = offsetof(struct frame, idempotency_key)},
        {.name = "last_event_id",
         .kind = INPUT_LINE,
         .max = EVENT_ID_CHARS,
         .offset = offsetof(struct frame, last_event_id)},
        {.name = "session_id", .kind = INPUT_ID, .offset = offsetof(struct frame, session_id)},
        {.name = "type",
         .kind = INPUT_LINE,
         .max = TYPE_CHARS,
         .offset = offsetof(struct frame, type)},
    };

    if (!input_read(&fr->req, fields, sizeof(fields) / sizeof(fields[0]), fr))
        return;
    if (read_kind(fr) && fr->kind == FRAME_RESUME && !fr->session_id.is_given)
        input_wrong(&fr->req, "session_id", "is required");
    if (request_has_field_errors(&fr->req))
        flow_fail(f, ERROR(ERR_INVALID, 0, NULL));
    add_line(fr, "Idempotency-Key", &fr->idempotency_key);
    add_line(fr, "Last-Event-ID", &fr->last_event_id);
}

static void stop(struct flow *f)
{
    struct frame *fr = frame_of(f), *current = fr->socket->current;

    if (fr->kind != FRAME_STOP)
        return;
    if (current && current->talk.ask.log)
        turn_stop(current->talk.ask.log, turn_stopped_by_owner);
    flow_finish(f);
}

static void take_socket(struct flow *f)
{
    struct frame *fr = frame_of(f);

    if (fr->socket->current)
        flow_fail(f,
                  ERROR(ERR_CONFLICT, 0,
                        "A reply is still streaming on this socket; wait for its end, or stop it"));
    else
        fr->socket->current = fr;
}

static void find_turn(struct flow *f)
{
    struct frame *fr = frame_of(f);
    const struct caller *who = caller_of(&fr->req);
    struct ask *s = &fr->talk.ask;
    struct id chat_id = {""};

    if (fr->kind != FRAME_RESUME)
        return;
    (void)id_parse(fr->session_id.text, &chat_id);
    s->log = hub_find(&chat_id, &who->user_id);
    if (s->log && !ask_hold_log(&fr->req, s->log))
        return;
    elsewhere_find(f, &who->team_id, &who->user_id, &chat_id, NULL, &s->log);
}

static void resume(struct flow *f)
{
    struct frame *fr = frame_of(f);
    struct ask *s = &fr->talk.ask;
    uint64_t n;

    if (fr->kind != FRAME_RESUME)
        return;
    if (elsewhere_is_lost(f, s->log))
        return;
    fr->is_idle = true;
    flow_finish(f);
    if (!s->log)
        return;
    n = ask_resume_at(&fr->req, s->log);
    if (turn_log_phase(s->log) == TURN_LOG_CLOSED && n >= turn_log_last(s->log))
        return;
    fr->is_idle = false;
    follow_websocket(&s->follow, f, fr->socket->req, s->log, n);
}

static void read_message(struct flow *f)
{
    struct frame *fr = frame_of(f);

    talk_read(f);
    fr->req.body = STR_NONE; /* the connection's, and read */
}

static const struct step frame_steps[] = {
    STEP(check_token), /* 1008 */
    STEP(read_frame),  STEP(stop),          STEP(take_socket),  STEP(find_turn),
    STEP(resume),      STEP(ask_take_rate), STEP(read_message), ASK_STEPS,
};

/* May free the socket's state. */
static void on_frame_end(struct flow *f)
{
    struct frame *fr = frame_of(f);
    struct chat_socket *s = fr->socket;
    struct error err = f->err;

    if (err.status != OK && err.status != ERR_GONE) {
        if (status_row(err.status)->http_status >= 500)
            request_log_failure(&fr->req, "api", err);
        tell_error(fr, err);
    } else if (fr->kind == FRAME_RESUME && err.status == OK &&
               (fr->is_idle || !fr->talk.ask.log->is_begun)) {
        tell_idle(fr);
    }
    if (s->current == fr)
        s->current = NULL;
    s->n_frames--;
    arena_free(&fr->req.arena);
    free(fr);
    if (s->is_draining && !s->current)
        on_drain(s);
    else
        check_end(s);
}

/* ---- the socket ---- */

static void on_text(void *state, struct str text)
{
    struct chat_socket *s = state;
    struct frame *fr = calloc(1, sizeof(*fr));

    if (!fr) {
        websocket_close(s->req, CLOSE_TRY_LATER, "the server is short of memory");
        leave(s);
        return;
    }
    fr->socket = s;
    request_init_within(&fr->req, s->req, text);
    fr->req.state = &fr->talk;
    fr->talk.ask.mode = ASK_SOCKET;
    fr->talk.ask.socket = s->req;
    s->n_frames++;
    flow_start_traced(&fr->req.flow, fr->req.span, frame_steps, &fr->req, on_frame_end);
}

static void open_socket(struct flow *f)
{
    static const struct websocket_handler handler = {on_text, on_drain};
    struct request *req = request_of(f);
    struct chat_socket *s = req->state;

    s->req = req;
    if (websocket_accept(req, &handler, s))
        op_begin(&s->op, f, on_cancel);
}

const struct step chat_socket_steps[] = {
    STEP(open_socket), /* ends with the socket */
    STEP_END,
};
const struct route_doc chat_socket_doc = {
    TAG_CHAT,
    ANSWERS({101, .about = "The connection is a WebSocket"}),
    .errors = DOC_ERRORS(426),
    .about =
        "Text frames of JSON, both ways. The client sends "
        "`{\"message\", \"session_id\"?, \"agent_id\"?, \"model\"?, \"idempotency_key\"?}`, "
        "`{\"type\":\"stop\"}` or `{\"type\":\"resume\", \"session_id\", \"last_event_id\"?}`, "
        "and gets the events of a stream, each with its `id`. What cannot be done is told in an "
        "`error` event, and the socket stays.",
};
