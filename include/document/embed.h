/* Gives a stored document's chunks the embeddings they lack, and the document its status. */
#ifndef AERIE_DOCUMENT_EMBED_H
#define AERIE_DOCUMENT_EMBED_H

#include "base/id.h"
#include "db/db.h"
#include "upstream/embeddings.h"

/* Inside the caller's state, all-zero but for the first two, in place until the steps have ended;
 * then arena_free() on page. */
struct document_embed {
    struct id team_id, document_id;
    struct arena *arena; /* of the flow that calls */
    struct arena page;   /* of the chunks that are under way */
    struct db_query settings, chunks, status;
    struct db_query *writes;
    struct subflow page_flow;
    struct embeddings embeddings;
    struct embeddings_request provider;
    struct error err; /* why the document failed; NO_ERROR: it is ready */
    bool is_done;
};

/* For flow_try() with a struct document_embed as state: whatever happens, the document's row says
 * how it went. Without an embedding provider there is nothing to do, and the document is ready. */
extern const struct step document_embed_steps[];

#endif
