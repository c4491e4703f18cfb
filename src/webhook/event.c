/* Writes what there is to tell. */
#include "webhook/event.h"

#include "base/json.h"

bool webhook_chat_created(struct webhook_event *e, struct arena *a, const struct id *team_id,
                          const struct id *chat_id, struct str agent_id, struct str user_id,
                          int64_t now_us, struct db_call *out)
{
    struct buf data = {0};
    struct json j = {.buf = &data};
    struct str text;

    if (!webhooks_want(team_id, 1u << WEBHOOK_CHAT_CREATED))
        return false;
    json_begin_object(&j);
    json_pair_str(&j, "chat_id", id_str(chat_id));
    json_pair_str_or_null(&j, "agent_id", agent_id.len > 0 ? agent_id : STR_NONE);
    json_pair_str_or_null(&j, "user_id", user_id.len > 0 ? user_id : STR_NONE);
    json_end_object(&j);
    text = data.failed ? STR_NONE : arena_copy(a, buf_str(&data));
    buf_deinit(&data);
    if (!text.ptr)
        return false; /* the batch will find no memory either */
    e->args[0] = db_uuid(id_str(team_id));
    e->args[1] = db_uuid(id_str(chat_id));
    e->args[2] = db_text(webhook_type_name(WEBHOOK_CHAT_CREATED));
    e->args[3] = db_json(text);
    e->args[4] = db_time(now_us);
    *out = (struct db_call){SQL_WEBHOOK_CHAT_ADD, e->args, 5};
    return true;
}
