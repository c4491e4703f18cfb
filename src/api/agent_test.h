/* POST /api/agents/{id}/test: an agent asked once, for the admin who sets it up. */
#ifndef AERIE_SRC_API_AGENT_TEST_H
#define AERIE_SRC_API_AGENT_TEST_H

#include "api/input.h"
#include "chat/knowledge.h"
#include "chat/slots.h"
#include "chat/streams.h"
#include "db/db.h"
#include "upstream/upstream.h"

struct agent_test {
    struct input message;
    struct id agent_id, session_id;
    struct db_query load;
    struct upstream_prompt prompt;
    struct upstream_message question;
    struct knowledge *knowledge; /* NULL: none is wanted */
    struct stream_place place;
    struct slot_wait wait;
    struct slot slot;
    struct subflow ask;
    struct upstream_call call;
    struct buf reply; /* its beginning */
    uint64_t begun_us, first_text_us, ended_us; /* by the monotonic clock; 0: not yet */
    int64_t n_chunks;
};
extern const struct step agent_test_steps[];
extern const struct route_doc agent_test_doc;

#endif
