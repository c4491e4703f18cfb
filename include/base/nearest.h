/* "Did you mean …?": which name a mistyped one is most like. */
#ifndef AERIE_BASE_NEAREST_H
#define AERIE_BASE_NEAREST_H

#include "base/str.h"

/* Offers names one after the other, and keeps the best. All-zero but for asked is its start. */
struct nearest {
    struct str asked;
    struct str name; /* the one most like it, not copied; ptr NULL: none is like it */
    size_t away;     /* letters left out, put in or mistyped */
};
/* True: it is the best so far. Of two as good the first stays. */
bool nearest_offer(struct nearest *n, struct str name);

#endif
