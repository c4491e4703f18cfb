/* /api/chats/{id}/messages and what belongs to a turn: stream, stop, regenerate. */
#ifndef AERIE_API_MESSAGES_H
#define AERIE_API_MESSAGES_H

#include "api/input.h"
#include "ask.h"

struct messages_list {
    struct id chat_id;
    struct str before;
    int64_t limit;
    struct db_query chat, messages;
};
extern const struct step messages_list_steps[];

struct message_post {
    struct ask ask; /* first: its steps look here */
    struct input content;
};
extern const struct step messages_post_steps[];
extern const struct step chats_regenerate_steps[];

/* GET …/stream and POST …/stop. */
struct watch_turn {
    struct id chat_id;
    struct turn_log *log; /* counted by the request's arena; NULL: none lately */
    struct follow follow;
    struct db_query chat;
};
/* The steps once the log is there, or is known not to be: the events from where the reader left
 * off, or 204; and the stop. */
void watch_attach(struct flow *f);
void watch_answer(struct flow *f);
void watch_stop(struct flow *f);
extern const struct step chats_stream_steps[];
extern const struct step chats_stop_steps[];
extern const struct route_doc messages_list_doc, messages_post_doc, chats_regenerate_doc,
    chats_stream_doc, chats_stop_doc;
extern const struct schema turn_event_schema;

#endif
