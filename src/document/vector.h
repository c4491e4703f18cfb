/* Comparing embeddings, exactly. Pure; any thread. */
#ifndef AERIE_SRC_DOCUMENT_VECTOR_H
#define AERIE_SRC_DOCUMENT_VECTOR_H

#include "base/id.h"

#define TOP_MAX 50

/* Of a vector and n little-endian floats at any address. Both of length 1: their cosine. */
float vector_dot(const float *a, const char *b, size_t n);

/* The best so far, best first; of equals the lower id, so that the order is always the same. */
struct top {
    struct {
        struct id id;
        float similarity;
    } items[TOP_MAX];
    size_t n, max; /* max: at most TOP_MAX */
};
void top_offer(struct top *t, struct str id, float similarity);

#endif
