/* How many turns may run at once: limits.streams in all, limits.streams_per_team for each team. */
#ifndef AERIE_CHAT_STREAMS_H
#define AERIE_CHAT_STREAMS_H

#include "base/error.h"
#include "base/id.h"

#include <stdbool.h>

bool streams_open(void); /* main thread; false: no memory */
void streams_close(void);

/* What a turn is counted in; all-zero: nothing. Inside the turn. */
struct stream_place {
    bool is_counted, is_counted_for_team;
};
/* Any loop. Counts one more turn of the team; ERR_RATE_LIMITED, ERR_BUSY or ERR_NO_MEMORY: it was
 * not counted. */
struct error streams_enter(struct stream_place *place, const struct id *team_id) MUST_CHECK;
void streams_leave(struct stream_place *place, const struct id *team_id);
uint64_t streams_count(void); /* any thread */

#endif
