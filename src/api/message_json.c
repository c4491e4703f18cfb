/* Messages and chats as the API shows them. */
#include "message_json.h"

#include "chat/hub.h"

/* A row read a moment before its turn ended still says "streaming". The turn's log, which stays for
 * a while, then knows how it ended; without one nobody writes that reply any more: a crash or a
 * lost database left it behind. */
void message_view_open(struct message_view *v, const struct db_result *rows, size_t row,
                       const struct id *user_id)
{
    struct id chat_id;

    *v = (struct message_view){.content = db_get_text(rows, row, MESSAGE_CONTENT),
                               .status = db_get_text(rows, row, MESSAGE_STATUS)};
    if (!str_eq(v->status, STR("streaming")))
        return;
    v->status = STR("interrupted");
    if (!id_parse(db_get_text(rows, row, MESSAGE_CHAT_ID), &chat_id))
        return;
    v->log = hub_find(&chat_id, user_id);
    if (!v->log || !str_eq(id_str(&v->log->reply_id), db_get_text(rows, row, MESSAGE_ID)))
        return;
    if (turn_log_phase(v->log) != TURN_LOG_CLOSED) {
        v->status = STR("streaming");
    } else if (v->log->is_saved) {
        v->status = turn_log_status(v->log);
        v->content = buf_str(&v->log->text); /* closed: it does not change any more */
    }
}

void message_view_close(struct message_view *v)
{
    if (v->log)
        turn_log_unref(v->log);
}

#define STATUSES "streaming|complete|stopped|interrupted|error"

const struct schema usage_schema = {
    "Usage",
    .members = MEMBERS({"prompt_tokens", DOC_INT}, {"completion_tokens", DOC_INT},
                       {"total_tokens", DOC_INT}),
};
const struct schema message_schema = {
    "Message",
    .members =
        MEMBERS({"id", DOC_ID}, {"role", DOC_TEXT, .values = "user|assistant|system"},
                {"content", DOC_TEXT}, {"status", DOC_TEXT, .values = STATUSES},
                {"timestamp", DOC_TIME}, {"model", DOC_TEXT | DOC_OPTIONAL},
                {"usage", DOC_OBJECT | DOC_OPTIONAL, &usage_schema}, {"metadata", DOC_OBJECT}),
};
const struct schema reply_schema = {
    "Reply",
    .members = MEMBERS(
        {"message_id", DOC_ID}, {"chat_id", DOC_ID}, {"role", DOC_TEXT, .values = "assistant"},
        {"content", DOC_TEXT}, {"status", DOC_TEXT, .values = STATUSES},
        {"timestamp", DOC_TIME | DOC_OPTIONAL}, {"model", DOC_TEXT | DOC_OPTIONAL},
        {"usage", DOC_OBJECT | DOC_OPTIONAL, &usage_schema}, {"metadata", DOC_OBJECT}),
};

static void write_facts(struct json *j, const struct db_result *rows, size_t row,
                        const struct id *user_id)
{
    struct message_view v;

    message_view_open(&v, rows, row, user_id);
    json_pair_str(j, "role", db_get_text(rows, row, MESSAGE_ROLE));
    json_pair_str(j, "content", v.content);
    json_pair_str(j, "status", v.status);
    json_pair_time(j, "timestamp", db_get_int(rows, row, MESSAGE_CREATED_AT));
    if (!db_is_null(rows, row, MESSAGE_MODEL))
        json_pair_str(j, "model", db_get_text(rows, row, MESSAGE_MODEL));
    if (!db_is_null(rows, row, MESSAGE_USAGE))
        json_pair_raw(j, "usage", db_get_text(rows, row, MESSAGE_USAGE));
    json_pair_raw(j, "metadata", db_get_text(rows, row, MESSAGE_METADATA));
    message_view_close(&v);
}

void message_write(struct json *j, const struct db_result *rows, size_t row,
                   const struct id *user_id)
{
    json_begin_object(j);
    json_pair_str(j, "id", db_get_text(rows, row, MESSAGE_ID));
    write_facts(j, rows, row, user_id);
    json_end_object(j);
}

void reply_write(struct json *j, const struct db_result *rows, size_t row, const struct id *user_id)
{
    json_begin_object(j);
    json_pair_str(j, "message_id", db_get_text(rows, row, MESSAGE_ID));
    json_pair_str(j, "chat_id", db_get_text(rows, row, MESSAGE_CHAT_ID));
    write_facts(j, rows, row, user_id);
    json_end_object(j);
}

void reply_write_log(struct json *j, struct turn_log *log)
{
    json_begin_object(j);
    json_pair_str(j, "message_id", id_str(&log->reply_id));
    json_pair_str(j, "chat_id", id_str(&log->chat_id));
    json_pair_str(j, "role", STR("assistant"));
    turn_log_lock(log);
    json_pair_str(j, "content", buf_str(&log->text));
    turn_log_unlock(log);
    json_pair_str(j, "status", turn_log_status(log));
    if (log->model.len > 0)
        json_pair_str(j, "model", log->model);
    if (log->usage.len > 0)
        json_pair_raw(j, "usage", log->usage);
    json_pair_raw(j, "metadata", STR("{}"));
    json_end_object(j);
}

/* The rows come sorted by chat id, so each chat's are found by halving. */
static size_t first_row_of(const struct db_result *messages, struct str chat_id)
{
    size_t low = 0, high = messages->n_rows;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        struct str there = db_get_text(messages, middle, MESSAGE_CHAT_ID);
        bool is_before = false;

        for (size_t i = 0; i < there.len && i < chat_id.len; i++) {
            if (there.ptr[i] != chat_id.ptr[i]) {
                is_before = there.ptr[i] < chat_id.ptr[i];
                break;
            }
        }
        if (is_before)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

const struct schema chat_schema = {
    "Chat",
    .members =
        MEMBERS({"id", DOC_ID}, {"team_id", DOC_ID}, {"user_id", DOC_ID},
                {"agent_id", DOC_ID | DOC_NULL}, {"title", DOC_TEXT},
                {"messages", DOC_OBJECT | DOC_LIST, &message_schema,
                 .about = "The last ones, oldest first"},
                {"message_count", DOC_INT}, {"metadata", DOC_OBJECT}, {"is_archived", DOC_BOOL},
                {"created_at", DOC_TIME}, {"updated_at", DOC_TIME}),
};

void chat_write(struct json *j, const struct db_result *chats, size_t row,
                const struct db_result *messages)
{
    struct str chat_id = db_get_text(chats, row, CHAT_ID);
    struct id user_id = {""};

    (void)id_parse(db_get_text(chats, row, CHAT_USER_ID), &user_id);
    json_begin_object(j);
    json_pair_str(j, "id", chat_id);
    json_pair_str(j, "team_id", db_get_text(chats, row, CHAT_TEAM_ID));
    json_pair_str(j, "user_id", id_str(&user_id));
    json_pair_str_or_null(j, "agent_id", db_get_text(chats, row, CHAT_AGENT_ID));
    json_pair_str(j, "title", db_get_text(chats, row, CHAT_TITLE));
    json_key(j, "messages");
    json_begin_array(j);
    if (messages)
        for (size_t i = first_row_of(messages, chat_id);
             i < messages->n_rows && str_eq(db_get_text(messages, i, MESSAGE_CHAT_ID), chat_id);
             i++)
            message_write(j, messages, i, &user_id);
    json_end_array(j);
    json_pair_int(j, "message_count", db_get_int(chats, row, CHAT_MESSAGE_COUNT));
    json_pair_raw(j, "metadata", db_get_text(chats, row, CHAT_METADATA));
    json_pair_bool(j, "is_archived", db_get_bool(chats, row, CHAT_IS_ARCHIVED));
    json_pair_time(j, "created_at", db_get_int(chats, row, CHAT_CREATED_AT));
    json_pair_time(j, "updated_at", db_get_int(chats, row, CHAT_UPDATED_AT));
    json_end_object(j);
}
