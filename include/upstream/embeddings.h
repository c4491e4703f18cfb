/* Embeddings by OpenAI's protocol (POST {base_url}/embeddings): texts in, vectors out. */
#ifndef AERIE_UPSTREAM_EMBEDDINGS_H
#define AERIE_UPSTREAM_EMBEDDINGS_H

#include "base/arena.h"
#include "base/json.h"
#include "loop/wait.h"
#include "upstream/fetch.h"

/* One vector, of length 1 unless it is all zeros. */
struct embedding {
    float *values; /* in the arena */
    size_t n;
    bool is_zero;
};
/* From an array of numbers. ERR_INVALID: it is none, is empty or too long, or some number is not
 * finite; ERR_NO_MEMORY. */
struct error embedding_read(struct arena *a, yyjson_val *array, struct embedding *out) MUST_CHECK;

struct embeddings_request {
    struct str base_url; /* "https://api.openai.com/v1" */
    struct str api_key;  /* "" : none is sent */
    struct str model;
    uint64_t dimensions; /* 0: not asked for, the model's own */
    const struct str *inputs;
    size_t n_inputs;
    uint64_t timeout_ms; /* of one try; 0: config embeddings.timeout_seconds */
    uint64_t tries;      /* 0: config embeddings.tries */
};

/* Inside the caller's state, all-zero before, in place until it ends; may be used again afterwards.
 */
struct embeddings {
    struct subflow flow;
    struct arena *arena;
    struct embeddings_request request;
    struct fetch fetch;
    struct wait pause;
    unsigned n_tries;
    bool is_paused;
    /* What came: vectors[i] is of inputs[i], of length 1 (or all zeros), in the arena. */
    float **vectors;
    size_t n_dimensions;
    int64_t total_tokens; /* 0: not told */
};

/* rq and what it names: in place until it ends. 429 and 5xx are asked again after the wait that the
 * provider names, else a growing one. Ends with NO_ERROR, ERR_INVALID (the URL), ERR_PROVIDER_…
 * (MALFORMED: not one vector for each text, or not of the dimensions asked for),
 * ERR_UPSTREAM_LIMIT, ERR_INTERRUPTED, ERR_BUSY, ERR_NO_MEMORY or ERR_CANCELED. */
void embeddings_start(struct embeddings *e, struct flow *f, struct arena *a,
                      const struct embeddings_request *rq);

/* What to tell people about an error of embeddings_start(). Static. */
const char *embeddings_failure(struct error err);

#endif
