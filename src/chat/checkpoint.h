/* The partial replies of running turns in the database, each turn.store_ms: for those who read the
 * history, and for when the journal's disk is lost. What a crash costs is decided by the journal
 * (journal.h). One pass over the loop's turns, a few at a time. */
#ifndef AERIE_CHAT_CHECKPOINT_H
#define AERIE_CHAT_CHECKPOINT_H

#include "base/id.h"
#include "base/json.h"
#include "chore.h"

/* On each loop, in its room. */
struct checkpoint {
    struct chore chore;
    struct db_query write;
    size_t n_left; /* turns that were not looked at yet */
};
void checkpoint_start(struct checkpoint *c);

/* One reply of the JSON array that SQL_REPLIES_CHECKPOINT takes. */
void checkpoint_row(struct json *j, const struct id *team_id, const struct id *reply_id,
                    struct str text);

#endif
