/* At start: replies that an earlier process left unfinished. */
#ifndef AERIE_CHAT_RECOVER_H
#define AERIE_CHAT_RECOVER_H

#include "base/error.h"
#include "db/db.h"

/* Main thread, before the loops run. Holds the folder of the journals, stores the text that is in
 * them, removes them, and marks what still streams as interrupted. When it fails the journals are
 * still there, and the folder is not held. */
struct error recover_replies(struct db *db) MUST_CHECK;

#endif
