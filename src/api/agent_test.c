/* An agent asked once: the way of a chat's message, but in the request's own flow, so that a client
 * who leaves ends it, and nothing is stored. How the agent failed is the answer, not an error. */
#include "agent_test.h"

#include "agent_hint.h"
#include "answer.h"
#include "base/clock.h"
#include "chat/event.h"
#include "chat/prompt.h"
#include "config/config.h"
#include "doc.h"
#include "take_rate.h"

#define MINUTE_MS       60000
#define MAX_REPLY_BYTES 4096

static void take_test_rate(struct flow *f)
{
    struct request *req = request_of(f);
    const struct rate rate = {RATE_AGENT_TESTS, id_str(&caller_of(req)->team_id),
                              config()->limits.messages_per_minute, MINUTE_MS};

    (void)!take_rate(req, &rate, "Your team tests agents too often; wait a moment");
}

static void load_agent(struct flow *f)
{
    struct request *req = request_of(f);
    struct agent_test *s = req->state;
    const struct input_field fields[] = {
        {.name = "message",
         .kind = INPUT_TEXT,
         .min = 1,
         .max = (int64_t)config()->limits.message_chars,
         .offset = offsetof(struct agent_test, message)},
    };

    if (input_path_id(req, 0, "Agent not found", &s->agent_id) && input_read(req, fields, 1, s))
        db_query(&s->load, f, &req->arena, SQL_AGENT_PROMPT,
                 DB_ARGS(team_arg(req), db_uuid(id_str(&s->agent_id))));
}

/* One that is switched off may be tested before it is switched on. */
static void build_prompt(struct flow *f)
{
    struct request *req = request_of(f);
    struct agent_test *s = req->state;
    struct error err;

    if (s->load.result->n_rows == 0) {
        flow_fail(f, ERROR(ERR_NOT_FOUND, 0, "Agent not found"));
        return;
    }
    err = prompt_of_agent(&req->arena, id_str(&s->agent_id), s->load.result, 0, &s->prompt);
    if (is_error(err)) {
        flow_fail(f, err);
        return;
    }
    s->session_id = id_v7();
    s->question = (struct upstream_message){
        .role = STR("user"),
        .content = input_is_set(&s->message) ? s->message.text : STR("Hello"),
        .created_us = clock_wall_us()};
    s->prompt.session_id = id_str(&s->session_id);
    s->prompt.messages = &s->question;
    s->prompt.n_messages = 1;
}

static void find_knowledge(struct flow *f)
{
    struct request *req = request_of(f);
    struct agent_test *s = req->state;

    s->knowledge = knowledge_find(f, &req->arena, &caller_of(req)->team_id, &s->prompt);
}

static void take_slot(struct flow *f)
{
    struct request *req = request_of(f);
    struct agent_test *s = req->state;
    const struct id *team_id = &caller_of(req)->team_id;
    struct str sources;
    struct error err;

    (void)knowledge_take(s->knowledge, &sources);
    err = streams_enter(&s->place, team_id);
    if (is_error(err)) {
        flow_fail(f, err);
        return;
    }
    req->fails_at_eof = true;
    streams_await(&s->place, f, &req->arena, team_id);
    slot_take(&s->slot, &s->wait, f, team_id);
}

static void on_text(struct upstream_call *call, struct str text)
{
    struct agent_test *s = call->state;

    if (s->n_chunks++ == 0)
        s->first_text_us = clock_mono_us();
    if (s->reply.len < MAX_REPLY_BYTES)
        buf_append_str(&s->reply, utf8_prefix(text, MAX_REPLY_BYTES - s->reply.len));
}

static void call_provider(struct flow *f)
{
    struct agent_test *s = request_of(f)->state;

    buf_init(&s->reply, MAX_REPLY_BYTES);
    s->call = (struct upstream_call){.state = s, .on_text = on_text};
    s->begun_us = clock_mono_us();
    upstream_start(&s->call, f, &s->prompt);
}

static const struct step ask_steps[] = {STEP(call_provider), STEP_END};

static void ask_agent(struct flow *f)
{
    struct request *req = request_of(f);
    struct agent_test *s = req->state;

    flow_try(f, &s->ask, ask_steps, req);
}

/* ---- the answer ---- */

/* What is not about the agent fails the request. */
static void require_verdict(struct flow *f)
{
    struct agent_test *s = request_of(f)->state;
    struct error err = s->ask.flow.err;

    s->ended_us = clock_mono_us();
    if (is_error(err) && str_eq(str_from(event_code(&err)), STR("internal")))
        flow_fail(f, err);
}

static int64_t ms_until(const struct agent_test *s, uint64_t when_us)
{
    return (int64_t)((when_us - s->begun_us) / 1000);
}

static void write_error(struct json *j, const struct agent_test *s)
{
    struct error err = s->ask.flow.err;

    json_key(j, "error");
    if (!is_error(err)) {
        json_null(j);
        return;
    }
    json_begin_object(j);
    json_pair_str(j, "code", str_from(event_code(&err)));
    json_pair_str(j, "message", str_from(event_detail(&err)));
    json_pair_str(j, "hint", str_from(agent_hint(&s->prompt, &s->call, err)));
    json_end_object(j);
}

static void answer(struct flow *f)
{
    struct request *req = request_of(f);
    const struct agent_test *s = req->state;
    struct buf body = {0};
    struct json j = {.buf = &body};

    if (s->reply.failed) {
        flow_fail(f, ERROR(ERR_NO_MEMORY, 0, NULL));
        return;
    }
    json_begin_object(&j);
    json_pair_bool(&j, "ok", !is_error(s->ask.flow.err));
    json_pair_str(&j, "reply", buf_str(&s->reply));
    write_error(&j, s);
    json_key(&j, "first_token_ms");
    if (s->n_chunks > 0)
        json_int(&j, ms_until(s, s->first_text_us));
    else
        json_null(&j);
    json_pair_int(&j, "total_ms", ms_until(s, s->ended_us));
    json_pair_int(&j, "chunks", s->n_chunks);
    json_pair_bool(&j, "streamed", s->n_chunks > 1);
    json_pair_int_or_null(&j, "http_status", s->call.http_status, s->call.http_status == 0);
    json_end_object(&j);
    answer_json(req, 200, &body);
}

static void release(struct flow *f)
{
    struct request *req = request_of(f);
    struct agent_test *s = req->state;

    buf_deinit(&s->reply);
    slot_release(&s->slot);
    streams_leave(&s->place, &caller_of(req)->team_id);
}

const struct step agent_test_steps[] = {
    STEP(take_test_rate), /* 429 */
    STEP(load_agent),   /* 404, 422 */
    STEP(build_prompt), /* 404, 409 */
    STEP(find_knowledge),
    STEP(take_slot), /* in turn with other teams; 429, 503 */
    STEP(ask_agent), /* ends with the last token, or with the client */
    STEP(require_verdict),
    STEP(answer),
    STEP_ALWAYS(release),
    STEP_END,
};

static const struct schema error_schema = {
    "AgentTestError",
    .members = MEMBERS({"code", DOC_TEXT, .about = "As in a stream's `error` event"},
                       {"message", DOC_TEXT}, {"hint", DOC_TEXT, .about = "What to do about it"}),
};
static const struct schema test_schema = {
    "AgentTest",
    .members = MEMBERS(
        {"ok", DOC_BOOL}, {"reply", DOC_TEXT, .about = "Its first 4 KiB, what came before an error too"},
        {"error", DOC_OBJECT | DOC_NULL, .of = &error_schema}, {"first_token_ms", DOC_INT | DOC_NULL},
        {"total_ms", DOC_INT}, {"chunks", DOC_INT, .about = "In how many pieces the reply came"},
        {"streamed", DOC_BOOL, .about = "In more than one"},
        {"http_status", DOC_INT | DOC_NULL, .about = "Of the agent's answer; null when there was none"}),
};
static const struct schema question_schema = {
    "AgentTestQuestion",
    .members = MEMBERS({"message", DOC_TEXT | DOC_OPTIONAL, .min = 1, .max = 32000,
                        .about = "\"Hello\" unless told"}),
};
const struct route_doc agent_test_doc = {
    TAG_AGENTS,
    ANSWERS({200, &test_schema, .about = "How it went, well or not"}),
    DOC_ERRORS(409, 429, 500),
    .schema = &question_schema,
    .example = "{\"message\": \"Hello\"}",
    .about = "Nothing is stored, no other agent is asked instead. An agent that is switched off is "
             "tested, too. As many tests a minute for a team as messages for a user.",
};
