/* Messages and chats as the API shows them. */
#ifndef AERIE_API_MESSAGE_JSON_H
#define AERIE_API_MESSAGE_JSON_H

#include "base/json.h"
#include "chat/turn_log.h"
#include "db/db.h"
#include "doc.h"

/* The columns of every statement that reads messages. */
enum {
    MESSAGE_CHAT_ID,
    MESSAGE_ID,
    MESSAGE_ROLE,
    MESSAGE_CONTENT,
    MESSAGE_STATUS,
    MESSAGE_CREATED_AT,
    MESSAGE_MODEL,
    MESSAGE_USAGE,
    MESSAGE_METADATA,
    MESSAGE_SEQ, /* of MESSAGE_AFTER only */
};

/* The columns of every statement that reads chats. */
enum {
    CHAT_ID,
    CHAT_TEAM_ID,
    CHAT_USER_ID,
    CHAT_AGENT_ID,
    CHAT_TITLE,
    CHAT_METADATA,
    CHAT_IS_ARCHIVED,
    CHAT_CREATED_AT,
    CHAT_UPDATED_AT,
    CHAT_MESSAGE_COUNT,
    CHAT_TOTAL, /* of CHAT_SEARCH only */
};

/* A message as it stands now: "streaming" only while a turn writes that reply, with its text up to
 * now. */
struct message_view {
    struct str content, status;
    struct turn_log *log; /* holds content; counted, or NULL */
    struct buf text;      /* so far, of a reply that streams */
};
void message_view_open(struct message_view *v, const struct db_result *rows, size_t row,
                       const struct id *user_id);
void message_view_close(struct message_view *v);
extern const struct schema response_schema, visitor_message_schema;
extern const struct schema message_schema, chat_schema, reply_schema, talk_reply_schema,
    usage_schema;
void message_write(struct json *j, const struct db_result *rows, size_t row,
                   const struct id *user_id);
/* messages: rows sorted by chat, or NULL to leave them out. */
void chat_write(struct json *j, const struct db_result *chats, size_t row,
                const struct db_result *messages);
/* What a client that waited for the whole reply gets. */
enum reply_shape {
    REPLY_MESSAGE,  /* …/messages: as a message of the chat */
    REPLY_RESPONSE, /* in a session: response, message_id */
    REPLY_TALK,     /* /api/chat: reply, session_id, usage.tokens */
};
void reply_write(struct json *j, struct arena *a, enum reply_shape shape,
                 const struct db_result *rows, size_t row, const struct id *owner_id);
void reply_write_log(struct json *j, struct arena *a, enum reply_shape shape, struct turn_log *log);

#endif
