/* Comparing embeddings. */
#include "vector.h"

#include <string.h>

#define LANES 8

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "stored floats are little-endian");

/* Several sums at once: one alone would wait for itself at each addition. */
float vector_dot(const float *a, const char *b, size_t n)
{
    float sums[LANES] = {0}, total = 0;
    size_t i = 0;

    for (; i + LANES <= n; i += LANES) {
        float part[LANES];

        memcpy(part, b + i * sizeof(float), sizeof(part));
        for (size_t k = 0; k < LANES; k++)
            sums[k] += a[i + k] * part[k];
    }
    for (; i < n; i++) {
        float one;

        memcpy(&one, b + i * sizeof(float), sizeof(one));
        total += a[i] * one;
    }
    for (size_t k = 0; k < LANES; k++)
        total += sums[k];
    return total;
}

static bool is_better(const struct top *t, size_t i, struct str id, float similarity)
{
    if (similarity != t->items[i].similarity)
        return similarity > t->items[i].similarity;
    return memcmp(id.ptr, t->items[i].id.text, ID_LEN) < 0;
}

void top_offer(struct top *t, struct str id, float similarity)
{
    size_t at = t->n;

    if (id.len != ID_LEN || !(similarity == similarity)) /* NaN compares with nothing */
        return;
    while (at > 0 && is_better(t, at - 1, id, similarity))
        at--;
    if (at == t->max)
        return;
    if (t->n < t->max)
        t->n++;
    memmove(&t->items[at + 1], &t->items[at], (t->n - 1 - at) * sizeof(t->items[0]));
    memcpy(t->items[at].id.text, id.ptr, ID_LEN);
    t->items[at].id.text[ID_LEN] = 0;
    t->items[at].similarity = similarity;
}
