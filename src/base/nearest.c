/* The distance of Levenshtein, within bounds. */
#include "base/nearest.h"

/* Farther is no likeness; longer is no name. */
#define AWAY_MAX   3
#define NAME_BYTES 96

static size_t distance(struct str a, struct str b)
{
    size_t row[NAME_BYTES + 1];

    for (size_t k = 0; k <= b.len; k++)
        row[k] = k;
    for (size_t i = 0; i < a.len; i++) {
        size_t diagonal = row[0];

        row[0] = i + 1;
        for (size_t k = 0; k < b.len; k++) {
            size_t best = diagonal + (a.ptr[i] != b.ptr[k]);

            diagonal = row[k + 1];
            if (best > row[k] + 1)
                best = row[k] + 1;
            if (best > row[k + 1] + 1)
                best = row[k + 1] + 1;
            row[k + 1] = best;
        }
    }
    return row[b.len];
}

bool nearest_offer(struct nearest *n, struct str name)
{
    size_t away;

    if (name.len > NAME_BYTES || n->asked.len > name.len + AWAY_MAX)
        return false;
    away = distance(n->asked, name);
    /* Of a short name, not everything may be another. */
    if (away > AWAY_MAX || away >= name.len || (n->name.ptr && away >= n->away))
        return false;
    n->name = name;
    n->away = away;
    return true;
}
