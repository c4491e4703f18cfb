/* Users and visitors who go, with all that is theirs. */
#ifndef AERIE_API_ERASURES_H
#define AERIE_API_ERASURES_H

#include "account/erasure.h"
#include "account/password.h"
#include "api/input.h"

struct erase_call {
    struct input visitor, password;
    struct erasure erasure;
    struct db_query query; /* of the user, then of each transaction */
    struct db_query put_out, end_turns;
    size_t n_calls;       /* of the transaction under way; 0: none yet */
    struct arena portion; /* its memory */
    struct password_job job;
};
extern const struct step erase_delete_user_steps[], erase_me_steps[], erase_user_steps[],
    erase_visitor_steps[];
extern const struct route_doc erase_delete_user_doc, erase_me_doc, erase_user_doc,
    erase_visitor_doc;

#endif
