/* The events of a turn as JSON, as the API promises them. */
#ifndef AERIE_CHAT_EVENT_H
#define AERIE_CHAT_EVENT_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"

/* The public name of what failed inside a turn, and the sentence for people. */
const char *event_code(const struct error *err);
const char *event_detail(const struct error *err);

/* Something to see while the reply is made. session_id: "": it does not say. */
void event_write_status(struct buf *out, const char *level, struct str description,
                        struct str session_id);
/* The end of a reply that is whole, or was stopped. */
void event_write_done(struct buf *out, struct str reply_id, bool is_stopped);
/* The end of one that failed. reply_id: "" when nothing of it is stored; retry_after_s: 0: unknown.
 */
void event_write_error(struct buf *out, struct str code, struct str detail, struct str reply_id,
                       int retry_after_s);

/* Why a stored reply is not whole: kept with it, in its metadata, unless a crash left no time for
 * that. Views into a. */
struct stored_failure {
    struct str code, detail;
};
struct stored_failure event_stored_failure(struct arena *a, struct str metadata);
/* The end of a reply as its row has it. */
void event_write_stored_end(struct buf *out, struct arena *a, struct str reply_id,
                            struct str status, struct str metadata);

#endif
