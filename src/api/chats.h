/* /api/chats and /api/chats/{id}. */
#ifndef AERIE_API_CHATS_H
#define AERIE_API_CHATS_H

#include "api/input.h"
#include "chat/turn_log.h"
#include "db/db.h"

struct chats_list {
    int64_t limit, offset, n_messages;
    bool with_archived;
    struct str search;
    struct db_query chats, messages, feed; /* without q all is in chats: see enum list_result */
};
extern const struct step chats_list_steps[];

struct one_chat {
    struct id id;
    struct input agent_id, title, metadata, is_archived;
    int64_t n_messages;
    struct db_query chat, messages, write;
    struct turn_log *log; /* of the chat's turn, counted by the request's arena; or NULL */
};
extern const struct step chats_create_steps[];
extern const struct step chats_get_steps[];
extern const struct step chats_change_steps[];
extern const struct step chats_remove_steps[];
extern const struct route_doc chats_list_doc, chats_create_doc, chats_get_doc, chats_change_doc,
    chats_remove_doc;

#endif
