/* What widgets and API keys share: sessions and their limits by agent. */
#include "session_ask.h"

#include "base/clock.h"
#include "config/config.h"
#include "take_rate.h"
#include "webhook/event.h"

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

void session_add(struct db_query *add, struct request *req, const struct id *team_id,
                 const struct id *session_id, const struct id *agent_id, struct str visitor_hash,
                 struct str origin)
{
    int64_t now_us = clock_wall_us();
    const struct db_arg args[] = {db_uuid(id_str(team_id)),  db_uuid(id_str(session_id)),
                                  db_uuid(id_str(agent_id)), db_text(visitor_hash),
                                  db_text(origin),           db_time(now_us)};
    struct db_call calls[2] = {{SQL_SESSION_ADD, args, sizeof(args) / sizeof(args[0])}};
    struct webhook_event created;
    bool is_told = webhook_chat_created(&created, &req->arena, team_id, session_id,
                                        id_str(agent_id), STR_NONE, now_us, &calls[1]);

    db_batch(add, &req->flow, &req->arena, calls, is_told ? 2 : 1);
}
