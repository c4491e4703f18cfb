/* Messages and chats as the API shows them. */
#include "message_json.h"

#include "chat/hub.h"
#include "cluster/cluster.h"

/* The row is behind: a running reply is stored now and then only. */
static void read_text_so_far(struct message_view *v)
{
    turn_log_lock(v->log);
    buf_append_str(&v->text, buf_str(&v->log->text));
    turn_log_unlock(v->log);
    if (v->text.len > 0 && !v->text.failed)
        v->content = buf_str(&v->text);
}

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
    if (cluster_is_alone()) /* else it may be another's, who marks what is nobody's */
        v->status = STR("interrupted");
    if (!id_parse(db_get_text(rows, row, MESSAGE_CHAT_ID), &chat_id))
        return;
    v->log = hub_find(&chat_id, user_id);
    if (!v->log || !str_eq(id_str(&v->log->reply_id), db_get_text(rows, row, MESSAGE_ID)))
        return;
    if (turn_log_phase(v->log) != TURN_LOG_CLOSED) {
        v->status = STR("streaming");
        read_text_so_far(v);
    } else if (v->log->is_saved) {
        v->status = turn_log_status(v->log);
        v->content = buf_str(&v->log->text); /* closed: it does not change any more */
    }
}

void message_view_close(struct message_view *v)
{
    if (v->log)
        turn_log_unref(v->log);
    buf_deinit(&v->text);
}

#define STATUSES "streaming|complete|stopped|interrupted|error"

const struct schema usage_schema = {
    "Usage",
    .members = MEMBERS({"prompt_tokens", DOC_INT}, {"completion_tokens", DOC_INT},
                       {"total_tokens", DOC_INT}, {"estimated", DOC_BOOL | DOC_OPTIONAL}),
};
static const struct schema tokens_schema = {
    "TalkUsage",
    .members = MEMBERS({"tokens", DOC_INT}, {"prompt_tokens", DOC_INT},
                       {"completion_tokens", DOC_INT}, {"estimated", DOC_BOOL | DOC_OPTIONAL}),
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

const struct schema response_schema = {
    "Response",
    .members = MEMBERS({"response", DOC_TEXT}, {"message_id", DOC_ID}),
};
const struct schema visitor_message_schema = {
    "VisitorMessage",
    .members = MEMBERS({"id", DOC_ID}, {"role", DOC_TEXT, .values = "user|assistant|system"},
                       {"content", DOC_TEXT}, {"status", DOC_TEXT, .values = STATUSES},
                       {"timestamp", DOC_TIME}),
};
const struct schema talk_reply_schema = {
    "TalkReply",
    .members = MEMBERS({"message_id", DOC_ID}, {"session_id", DOC_ID}, {"reply", DOC_TEXT},
                       {"status", DOC_TEXT, .values = STATUSES}, {"model", DOC_TEXT | DOC_NULL},
                       {"usage", DOC_OBJECT, &tokens_schema}, {"created_at", DOC_TIME}),
};

void message_write(struct json *j, const struct db_result *rows, size_t row,
                   const struct id *user_id)
{
    struct message_view v;

    message_view_open(&v, rows, row, user_id);
    json_begin_object(j);
    json_pair_str(j, "id", db_get_text(rows, row, MESSAGE_ID));
    json_pair_str(j, "role", db_get_text(rows, row, MESSAGE_ROLE));
    json_pair_str(j, "content", v.content);
    json_pair_str(j, "status", v.status);
    json_pair_time(j, "timestamp", db_get_int(rows, row, MESSAGE_CREATED_AT));
    if (!db_is_null(rows, row, MESSAGE_MODEL))
        json_pair_str(j, "model", db_get_text(rows, row, MESSAGE_MODEL));
    if (!db_is_null(rows, row, MESSAGE_USAGE))
        json_pair_raw(j, "usage", db_get_text(rows, row, MESSAGE_USAGE));
    json_pair_raw(j, "metadata", db_get_text(rows, row, MESSAGE_METADATA));
    json_end_object(j);
    message_view_close(&v);
}

/* ---- a whole reply ---- */

/* A reply that is stored or still in its log. Views. */
struct reply {
    struct str id, chat_id, content, status, model, usage, metadata; /* ptr NULL: not known */
    int64_t created_us;
};

static void write_as_message(struct json *j, const struct reply *r)
{
    json_begin_object(j);
    json_pair_str(j, "message_id", r->id);
    json_pair_str(j, "chat_id", r->chat_id);
    json_pair_str(j, "role", STR("assistant"));
    json_pair_str(j, "content", r->content);
    json_pair_str(j, "status", r->status);
    json_pair_time(j, "timestamp", r->created_us);
    if (r->model.len > 0)
        json_pair_str(j, "model", r->model);
    if (r->usage.len > 0)
        json_pair_raw(j, "usage", r->usage);
    json_pair_raw(j, "metadata", r->metadata);
    json_end_object(j);
}

/* The usage as it is stored, with its sum under the name that these clients read. */
static void write_tokens(struct json *j, struct arena *a, struct str usage)
{
    yyjson_val *root = NULL;
    bool is_known = usage.len > 0 && !is_error(json_read(a, usage, 4, &root));

    json_key(j, "usage");
    json_begin_object(j);
    json_pair_int(j, "tokens", yyjson_get_sint(json_member(root, "total_tokens")));
    json_pair_int(j, "prompt_tokens", yyjson_get_sint(json_member(root, "prompt_tokens")));
    json_pair_int(j, "completion_tokens", yyjson_get_sint(json_member(root, "completion_tokens")));
    if (!is_known || yyjson_is_true(json_member(root, "estimated")))
        json_pair_bool(j, "estimated", true);
    json_end_object(j);
}

static void write_as_talk(struct json *j, struct arena *a, const struct reply *r)
{
    json_begin_object(j);
    json_pair_str(j, "message_id", r->id);
    json_pair_str(j, "session_id", r->chat_id);
    json_pair_str(j, "reply", r->content);
    json_pair_str(j, "status", r->status);
    json_pair_str_or_null(j, "model", r->model.len > 0 ? r->model : STR_NONE);
    write_tokens(j, a, r->usage);
    json_pair_time(j, "created_at", r->created_us);
    json_end_object(j);
}

static void write_as_response(struct json *j, const struct reply *r)
{
    json_begin_object(j);
    json_pair_str(j, "response", r->content);
    json_pair_str(j, "message_id", r->id);
    json_end_object(j);
}

static void write_reply(struct json *j, struct arena *a, enum reply_shape shape,
                        const struct reply *r)
{
    switch (shape) {
    case REPLY_MESSAGE:
        write_as_message(j, r);
        return;
    case REPLY_RESPONSE:
        write_as_response(j, r);
        return;
    case REPLY_TALK:
        write_as_talk(j, a, r);
        return;
    }
}

void reply_write(struct json *j, struct arena *a, enum reply_shape shape,
                 const struct db_result *rows, size_t row, const struct id *owner_id)
{
    struct message_view v;
    struct reply r = {.id = db_get_text(rows, row, MESSAGE_ID),
                      .chat_id = db_get_text(rows, row, MESSAGE_CHAT_ID),
                      .model = db_get_text(rows, row, MESSAGE_MODEL),
                      .usage = db_get_text(rows, row, MESSAGE_USAGE),
                      .metadata = db_get_text(rows, row, MESSAGE_METADATA),
                      .created_us = db_get_int(rows, row, MESSAGE_CREATED_AT)};

    message_view_open(&v, rows, row, owner_id);
    r.content = v.content;
    r.status = v.status;
    write_reply(j, a, shape, &r);
    message_view_close(&v);
}

void reply_write_log(struct json *j, struct arena *a, enum reply_shape shape, struct turn_log *log)
{
    struct reply r = {.id = id_str(&log->reply_id),
                      .chat_id = id_str(&log->chat_id),
                      .status = turn_log_status(log),
                      .model = log->model,
                      .usage = log->usage,
                      .metadata = log->metadata.len > 0 ? log->metadata : STR("{}"),
                      .created_us = log->created_us};

    turn_log_lock(log);
    r.content = buf_str(&log->text);
    write_reply(j, a, shape, &r);
    turn_log_unlock(log);
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
