/* How many turns may run at once: limits.streams in all, of this process; limits.streams_per_team for
 * each team, of all nodes that share a database. What a node may start of a team's is leased to it
 * from the table team_streams, a sixtieth of the limit at a time, and goes back when it is not used;
 * it goes with the node's row in nodes. So most turns wait for nothing, and no two nodes pass the
 * limit together. */
#ifndef AERIE_CHAT_STREAMS_H
#define AERIE_CHAT_STREAMS_H

#include "base/arena.h"
#include "base/error.h"
#include "base/id.h"
#include "loop/flow.h"

#include <stdbool.h>

bool streams_open(void); /* main thread; false: no memory */
void streams_close(void);

/* What a turn is counted in; all-zero: nothing. Inside the turn. */
struct stream_place {
    bool is_counted, is_counted_for_team;
    bool is_awaited; /* of the team's: the database is to be asked, with streams_await() */
};
/* Any loop. Counts one more turn of the team; ERR_RATE_LIMITED, ERR_BUSY or ERR_NO_MEMORY: it was
 * not counted. */
struct error streams_enter(struct stream_place *place, const struct id *team_id) MUST_CHECK;
void streams_ask(struct stream_place *place, struct flow *f, struct arena *arena,
                 const struct id *team_id);
/* From a step, beside whatever else it begins: nothing, or an operation of f, which fails with
 * ERR_RATE_LIMITED when all nodes together have as many as may be. arena: lives as long as f. */
static inline void streams_await(struct stream_place *place, struct flow *f, struct arena *arena,
                                 const struct id *team_id)
{
    if (place->is_awaited)
        streams_ask(place, f, arena, team_id);
}
/* Not while it is being asked. */
void streams_leave(struct stream_place *place, const struct id *team_id);
uint64_t streams_count(void); /* any thread */

#endif
