/* /api/chat and /api/chat/stream. The chat of a new conversation is made together with its first
 * message, by the turn: what fails leaves no empty chat behind. */
#include "talk.h"

#include "base/clock.h"
#include "base/crypto.h"
#include "chat/hub.h"
#include "config/config.h"
#include "messages.h"

#include <stddef.h>
#include <string.h>

#define DAY_MS      86400000
#define MODEL_CHARS 200

/* ---- which chat ---- */

static struct id keyed_chat(const struct turn_request *turn, uint64_t day_ms)
{
    unsigned char name[SHA256_BYTES];
    char text[2 * ID_LEN + ASK_KEY_BYTES];
    size_t key_len = turn->idempotency_key.len;

    memcpy(text, turn->team_id.text, ID_LEN);
    memcpy(text + ID_LEN, turn->owner_id.text, ID_LEN);
    memcpy(text + 2 * ID_LEN, turn->idempotency_key.ptr, key_len);
    crypto_hmac_sha256((struct str){(const char *)&day_ms, sizeof(day_ms)},
                       (struct str){text, 2 * ID_LEN + key_len}, name);
    return id_v7_named(day_ms, name);
}

/* Named by the key and the day, so that whoever repeats a call meets its turn. Yesterday's is asked
 * for first, as a repetition may come after midnight. */
static struct id new_chat(const struct turn_request *turn)
{
    uint64_t now_ms = (uint64_t)clock_wall_us() / 1000, today_ms = now_ms - now_ms % DAY_MS;
    struct turn_log *log;
    struct id id;

    if (turn->idempotency_key.len == 0)
        return id_v7();
    id = keyed_chat(turn, today_ms - DAY_MS);
    log = hub_find(&id, &turn->owner_id);
    if (!log)
        return keyed_chat(turn, today_ms);
    turn_log_unref(log);
    return id;
}

void talk_aim(struct turn_request *turn, const struct input *session_id,
              const struct input *agent_id, const struct input *model)
{
    turn->kind = TURN_ANSWER;
    turn->names_session = true;
    turn->model = input_is_set(model) ? model->text : STR("");
    if (input_is_set(agent_id))
        (void)id_parse(agent_id->text, &turn->agent_id);
    turn->is_new_chat = !input_is_set(session_id);
    if (turn->is_new_chat)
        turn->chat_id = new_chat(turn);
    else
        (void)id_parse(session_id->text, &turn->chat_id);
}

/* ---- POST /api/chat, POST /api/chat/stream ---- */

const struct schema talk_schema = {
    "Talk",
    .members = MEMBERS({"message", DOC_TEXT, .min = 1, .max = 32000,
                        .about = "The operator may allow more or fewer characters"},
                       {"session_id", DOC_ID | DOC_NULL | DOC_OPTIONAL,
                        .about = "The chat to go on with; without it a new one begins"},
                       {"agent_id", DOC_ID | DOC_NULL | DOC_OPTIONAL,
                        .about = "Whom a new chat asks; without it the team's default agent"},
                       {"model", DOC_TEXT | DOC_NULL | DOC_OPTIONAL, .min = 0, .max = MODEL_CHARS,
                        .about = "Instead of the agent's own, for this message"}),
};

void talk_read(struct flow *f)
{
    struct request *req = request_of(f);
    struct talk *s = req->state;
    struct turn_request *turn = &s->ask.turn;
    const struct input_field fields[] = {
        {.name = "agent_id", .kind = INPUT_ID, .offset = offsetof(struct talk, agent_id)},
        {.name = "message",
         .kind = INPUT_TEXT,
         .is_required = true,
         .min = 1,
         .max = (int64_t)config()->limits.message_chars,
         .offset = offsetof(struct talk, message)},
        {.name = "model",
         .kind = INPUT_LINE,
         .max = MODEL_CHARS,
         .offset = offsetof(struct talk, model)},
        {.name = "session_id", .kind = INPUT_ID, .offset = offsetof(struct talk, session_id)},
    };

    if (!input_read(req, fields, sizeof(fields) / sizeof(fields[0]), s) ||
        !ask_read_key(req, &s->ask))
        return;
    turn->team_id = caller_of(req)->team_id;
    turn->owner_id = caller_of(req)->user_id;
    turn->content = s->message.text;
    talk_aim(turn, &s->session_id, &s->agent_id, &s->model);
}

void talk_answer_whole(struct flow *f)
{
    struct talk *s = request_of(f)->state;

    s->ask.mode = ASK_WHOLE;
    s->ask.shape = REPLY_TALK;
}

static void answer_stream(struct flow *f)
{
    struct talk *s = request_of(f)->state;

    s->ask.mode = ASK_STREAM;
}

#define TALK_EXAMPLE "{\"message\": \"Hello, how are you?\", \"session_id\": null}"
const struct step talk_stream_steps[] = {
    STEP(answer_stream),
    STEP(ask_take_rate), /* 429 */
    STEP(talk_read),     /* 422 */
    ASK_STEPS,
};
const struct route_doc talk_stream_doc = {
    TAG_CHAT,
    ANSWERS({200, &turn_event_schema, .type = "text/event-stream"}),
    DOC_ERRORS(404, 409, 429, 500, 502, 504),
    .schema = &talk_schema,
    .example = TALK_EXAMPLE,
    .headers = ask_headers,
    .about = "The first `status` event tells the `session_id`.",
};
