/* Between an agent's text and its readers: what the budget covers goes through, to the character;
 * what passes it waits while the database is asked for more. When there is no more, the reply is
 * cut. Its loop's thread. */
#ifndef AERIE_CHAT_BUDGET_GATE_H
#define AERIE_CHAT_BUDGET_GATE_H

#include "base/buf.h"
#include "chat/budget.h"

/* Inside the turn. Its text is let through by budget_gate_text(), or around it as long as it stays
 * within budget_gate_room(); chars is then brought up to date. */
struct budget_gate {
    struct budget *budget;
    size_t chars; /* of the reply so far */
    struct buf held_back;
    bool was_cut;
    void *state;
    bool (*take)(void *state, struct str text); /* goes through; false: nobody wants more */
    bool (*is_ended)(void *state);              /* the agent has no more to say */
    /* There is no more; what was held back is gone. */
    void (*cut)(void *state, struct error why);
};
void budget_gate_deinit(struct budget_gate *g);
/* How many characters may go around it now; 0 while the database is asked. */
size_t budget_gate_room(const struct budget_gate *g);
/* May call take(), or cut(), which may free g; and later, when the database has answered. */
void budget_gate_text(struct budget_gate *g, struct str text);

#endif
