/* One message to an agent, and its reply as it comes. */
#ifndef AERIE_SRC_COMMAND_CHAT_TURN_H
#define AERIE_SRC_COMMAND_CHAT_TURN_H

#include "sign_in.h"

#include "base/id.h"

/* A talk with one agent: what all its messages share. */
struct talk {
    struct remote *client;
    struct sign_in *sign_in;
    char agent_id[ID_LEN + 1];
    char session_id[ID_LEN + 1]; /* "" until the first reply begins; of a key made before */
    bool as_json;
};

enum turn_end { TURN_DONE, TURN_STOPPED, TURN_FAILED, TURN_REFUSED };

/* From the first call on, Ctrl-C no longer ends the process. */
void chat_turn_catch_interrupts(void);
unsigned chat_turn_interrupts(void); /* since the last chat_turn_forget_interrupts() */
void chat_turn_forget_interrupts(void);

/* Sends the message and prints the reply. Has said on stderr what went wrong. */
enum turn_end chat_turn_run(struct talk *talk, struct str message);

#endif
