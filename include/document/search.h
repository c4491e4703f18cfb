/* Searching a team's documents: by meaning where embeddings can be had, else by words. */
#ifndef AERIE_DOCUMENT_SEARCH_H
#define AERIE_DOCUMENT_SEARCH_H

#include "base/id.h"
#include "db/db.h"
#include "upstream/embeddings.h"

#define DOCUMENT_HITS_MAX 50

struct document_hit {
    struct str chunk_id, document_id, title, content, metadata;
    double similarity; /* a cosine */
    bool is_by_words;  /* there is no similarity */
};

/* What is wanted; the rest all-zero. Inside the caller's state, in place until the steps have
 * ended. */
struct document_search {
    struct id team_id;
    struct arena *arena; /* gets what was found */
    struct str query;    /* "" with a vector */
    float *vector;       /* NULL: the query is embedded; else of length 1 */
    size_t n_dimensions; /* of vector */
    unsigned max_hits;   /* 1–DOCUMENT_HITS_MAX */
    double threshold;    /* least similarity; -1: any */

    /* What was found, best first. */
    struct document_hit *hits;
    size_t n_hits;
    bool is_by_vector;          /* embeddings were compared */
    struct error embedding_err; /* why not, when there is a provider */

    struct document_comparison *comparison; /* the room's own */
    struct flow *flow;
    struct timer deadline;
    struct db_query settings, chunks, words;
    struct subflow embedding_flow;
    struct embeddings embeddings;
    struct embeddings_request provider;
    bool has_provider;
};

/* For flow_call() or flow_try() with a struct document_search as state. Exact: every chunk of the
 * team that has an embedding of the same model and length is compared, by PostgreSQL where it has
 * pgvector, else here, a page at a time. Places
 * that are left go to chunks without such an embedding that hold words of the query. Ends with
 * NO_ERROR, ERR_DB…, ERR_BUSY, ERR_NO_MEMORY, ERR_DB_TIMEOUT (config documents.search_seconds) or
 * ERR_CANCELED. */
extern const struct step document_search_steps[];

#endif
