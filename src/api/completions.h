/* POST /v1/chat/completions. */
#ifndef AERIE_SRC_API_COMPLETIONS_H
#define AERIE_SRC_API_COMPLETIONS_H

#include "chat/budget_gate.h"
#include "chat/knowledge.h"
#include "chat/prompt.h"
#include "chat/slots.h"
#include "chat/streams.h"
#include "completion_input.h"
#include "upstream/upstream.h"
#include "v1.h"

struct completion {
    struct v1 v1; /* first: the shared steps look here */
    struct request *req;
    struct completion_input in;
    struct upstream_prompt prompt;
    struct knowledge *knowledge; /* in the arena; NULL: none is wanted */
    struct arena arena;          /* what the agent is told; goes when it begins to answer */
    struct id agent_id;          /* who answers */
    const struct provider *provider;
    struct subflow ask, load, save;
    struct db_query fallback, usage;
    struct slot_wait wait;
    struct slot slot;
    struct budget *budget;   /* NULL: none applies */
    struct budget_gate gate; /* where one does */
    struct error cut;        /* why the reply is not whole, where a budget cut it */
    struct upstream_call call;
    struct buf text;        /* of the reply: what the client was not sent yet */
    struct op drain;        /* waits for the client to take it */
    struct timer heartbeat; /* of a stream */
    struct id id;
    int64_t created_s;
    size_t n_prompt_chars, n_reply_chars;
    uint64_t begun_us, first_text_us; /* by the monotonic clock; the latter 0: none came */
    struct usage used;                /* once it is added up */
    enum status outcome;              /* then: what came afterwards does not count */
    struct span *span;                /* of the turn; NULL: it is not told of */
    struct stream_place place;
    bool is_blocked; /* the socket takes no more for now */
    bool has_fallen_back;
    bool has_failed; /* an event could not be written */
};
extern const struct step completions_steps[];
extern const struct route_doc completions_doc;

#endif
