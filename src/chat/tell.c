/* The events message.completed, agent.failing and agent.recovered. */
#include "tell.h"

#include "base/clock.h"
#include "base/json.h"
#include "chat/event.h"
#include "config/config.h"
#include "room.h"
#include "webhook/webhook.h"

#define AN_HOUR_US (3600ll * 1000000)
#define OF_AGENTS  (1u << WEBHOOK_AGENT_FAILING | 1u << WEBHOOK_AGENT_RECOVERED)

static struct str write_message(struct arena *a, const struct turn *t)
{
    struct buf *out = chat_scratch();
    struct json j = {.buf = out};

    json_begin_object(&j);
    json_pair_str(&j, "chat_id", id_str(&t->log->chat_id));
    json_pair_str(&j, "message_id", id_str(&t->log->reply_id));
    json_pair_str(&j, "agent_id", id_str(&t->agent_id));
    json_pair_str(&j, "status", turn_log_status(t->log));
    json_pair_str_or_null(&j, "model", t->log->model.len > 0 ? t->log->model : STR_NONE);
    json_pair_raw(&j, "usage", t->log->usage);
    json_end_object(&j);
    return out->failed ? STR_NONE : arena_copy(a, buf_str(out));
}

static struct str write_agent(struct arena *a, const struct turn *t, struct str agent_id,
                              bool is_failing, const struct error *err)
{
    struct buf *out = chat_scratch();
    struct json j = {.buf = out};

    json_begin_object(&j);
    json_pair_str(&j, "agent_id", agent_id);
    json_pair_str(&j, "chat_id", id_str(&t->log->chat_id));
    json_pair_str(&j, "message_id", id_str(&t->log->reply_id));
    if (is_failing) {
        json_pair_int(&j, "failures", (int64_t)config()->webhooks.agent_failures);
        json_key(&j, "error");
        if (is_error(*err)) {
            json_begin_object(&j);
            json_pair_str(&j, "code", str_from(event_code(err)));
            json_pair_str(&j, "message", str_from(event_detail(err)));
            json_end_object(&j);
        } else {
            json_null(&j);
        }
    }
    json_end_object(&j);
    return out->failed ? STR_NONE : arena_copy(a, buf_str(out));
}

enum verdict { SAYS_NOTHING, IS_WELL, HAS_FAILED };

/* Who stops a reply, a budget that is spent, or a server that ends, says nothing of the agent. */
static enum verdict judge(struct error outcome)
{
    switch ((int)outcome.status) {
    case OK:
        return IS_WELL;
    case ERR_PROVIDER_UNREACHABLE:
    case ERR_PROVIDER_TIMEOUT:
    case ERR_PROVIDER_AUTH:
    case ERR_PROVIDER_RATE_LIMITED:
    case ERR_PROVIDER_ERROR:
    case ERR_PROVIDER_MALFORMED:
    case ERR_EMPTY_REPLY:
    case ERR_UPSTREAM_LIMIT:
        return HAS_FAILED;
    case ERR_INTERRUPTED:
        return room_here()->is_draining ? SAYS_NOTHING : HAS_FAILED;
    default:
        return SAYS_NOTHING;
    }
}

/* False: no memory. */
static bool tell_agent(struct tell *tell, const struct turn *t, struct arena *a,
                       struct db_call *calls, size_t *n)
{
    /* Where another stood in, the news is that the first could not. */
    bool has_failed = t->failed_agent_id.len > 0 || judge(t->outcome) == HAS_FAILED;
    struct str id = t->failed_agent_id.len > 0 ? t->failed_agent_id : id_str(&t->agent_id);
    uint64_t most = config()->webhooks.agent_failures;
    int64_t now_us = clock_wall_us();
    struct db_arg team = turn_team_arg(t), agent = db_uuid(id), event;
    struct str data;

    if (most == 0 || (!has_failed && judge(t->outcome) == SAYS_NOTHING))
        return true;
    data = write_agent(a, t, id, has_failed, &t->outcome);
    if (!data.ptr)
        return false;
    tell->event_id = id_v7();
    event = db_uuid(id_str(&tell->event_id));
    if (!has_failed) {
        const struct db_arg args[] = {
            team,          agent,
            event,         db_text(webhook_type_name(WEBHOOK_AGENT_RECOVERED)),
            db_json(data), db_time(now_us)};

        memcpy(tell->agent, args, sizeof(args));
        calls[(*n)++] = (struct db_call){SQL_AGENT_TELL_RECOVERED, tell->agent, 6};
        return true;
    }

    const struct db_arg failed[] = {team, agent, turn_reply_arg(t)};
    const struct db_arg args[] = {team,
                                  agent,
                                  db_int((int64_t)most),
                                  db_time(now_us - AN_HOUR_US),
                                  event,
                                  db_text(webhook_type_name(WEBHOOK_AGENT_FAILING)),
                                  db_json(data),
                                  db_time(now_us)};

    memcpy(tell->failed, failed, sizeof(failed));
    memcpy(tell->agent, args, sizeof(args));
    calls[(*n)++] = (struct db_call){SQL_AGENT_FAILED, tell->failed, 3};
    calls[(*n)++] = (struct db_call){SQL_AGENT_TELL_FAILING, tell->agent, 8};
    return true;
}

bool tell_turn(struct tell *tell, const struct turn *t, struct arena *a, bool has_reply,
               struct db_call calls[TELL_CALLS], size_t *n)
{
    const struct id *team_id = &t->log->team_id;

    *n = 0;
    if (webhooks_want(team_id, OF_AGENTS) && !tell_agent(tell, t, a, calls, n))
        return false;
    if (has_reply && webhooks_want(team_id, 1u << WEBHOOK_MESSAGE_COMPLETED)) {
        struct str data = write_message(a, t);
        const struct db_arg args[] = {turn_team_arg(t), turn_reply_arg(t),
                                      db_text(webhook_type_name(WEBHOOK_MESSAGE_COMPLETED)),
                                      db_json(data), db_time(clock_wall_us())};

        if (!data.ptr)
            return false;
        memcpy(tell->event, args, sizeof(args));
        calls[(*n)++] = (struct db_call){SQL_WEBHOOK_EVENT_ADD, tell->event, 5};
    }
    return true;
}
