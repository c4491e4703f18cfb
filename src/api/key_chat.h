/* POST /api/chat/session, and POST /api/chat with an API key: sessions that a program holds. */
#ifndef AERIE_SRC_API_KEY_CHAT_H
#define AERIE_SRC_API_KEY_CHAT_H

#include "api/input.h"
#include "ask.h"
#include "key_auth.h"
#include "talk.h"

struct key_begin {
    struct key_auth auth;
    struct input api_key, assistant_id;
    struct id session_id;
    struct db_query add;
};
extern const struct step key_begin_steps[];

struct key_chat {
    struct ask ask; /* first: its steps look here */
    struct key_auth auth;
    struct input api_key, assistant_id, session_id, type, content;
    struct id id; /* of the session */
    struct db_query session;
};

/* POST /api/chat: a user's call or a key's, told apart by what it brings. */
struct chat_call {
    union {
        struct ask ask; /* both begin with it */
        struct talk talk;
        struct key_chat key;
    } as;
    bool is_by_key;
};
extern const struct step chat_call_steps[];
extern const struct route_doc key_begin_doc, chat_call_doc;

#endif
