/* What widgets and API keys share: sessions and their limits by agent. */
#include "session_ask.h"

#include "config/config.h"
#include "take_rate.h"

#define MINUTE_MS 60000

bool session_ask(struct request *req, struct ask *s, const struct id *team_id,
                 const struct id *session_id, struct str content)
{
    bool wants_stream =
        request_accepts(req, "text/event-stream") && !request_accepts(req, "application/json");

    s->mode = wants_stream ? ASK_STREAM : ASK_WHOLE;
    s->shape = REPLY_RESPONSE;
    s->turn.kind = TURN_ANSWER;
    s->turn.team_id = *team_id;
    s->turn.owner_id = s->turn.chat_id = *session_id;
    s->turn.content = content;
    return ask_read_key(req, s);
}

static bool take(struct request *req, enum rate_kind kind, const struct id *agent_id,
                 uint64_t limit, const char *sentence)
{
    const struct rate rate = {kind, id_str(agent_id), limit, MINUTE_MS};

    return take_rate(req, &rate, sentence);
}

bool session_take_agent_rate(struct request *req, const struct id *agent_id)
{
    return take(req, RATE_AGENT_MESSAGES, agent_id, config()->limits.agent_messages_per_minute,
                "This agent gets too many messages; wait a moment");
}

bool session_take_begin_rate(struct request *req, const struct id *agent_id)
{
    return take(req, RATE_AGENT_SESSIONS, agent_id, config()->limits.agent_sessions_per_minute,
                "Too many sessions are begun with this agent; wait a moment");
}
