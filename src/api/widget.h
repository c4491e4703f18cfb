/* /api/chat/widget: what an agent's widget on a web page calls. */
#ifndef AERIE_SRC_API_WIDGET_H
#define AERIE_SRC_API_WIDGET_H

#include "account/token.h"
#include "api/input.h"
#include "ask.h"
#include "messages.h"
#include "visit.h"

struct widget_begin {
    struct visit visit;
    struct input chatbot_id;
    struct db_query add;
    struct opaque_token token;
};
extern const struct step widget_begin_steps[];

struct widget_ask {
    struct ask ask; /* first: its steps look here */
    struct visit visit;
    struct input session_id, message;
};
extern const struct step widget_ask_steps[];

struct widget_list {
    struct visit visit;
    struct str before;
    int64_t limit;
    struct db_query messages;
};
extern const struct step widget_list_steps[];

struct widget_watch {
    struct watch_turn watch; /* first: its steps look here */
    struct visit visit;
    struct input session_id;
};
extern const struct step widget_stream_steps[];
extern const struct step widget_stop_steps[];
extern const struct route_doc widget_begin_doc, widget_ask_doc, widget_list_doc, widget_stream_doc,
    widget_stop_doc;

#endif
