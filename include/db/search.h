/* What people search for, as both databases understand it. */
#ifndef AERIE_DB_SEARCH_H
#define AERIE_DB_SEARCH_H

#include "base/arena.h"

/* The first max_words words of text, each quoted, so that none is an operator of FTS5, with joint
 * (" ", " OR ") between them. PostgreSQL's functions read quotes as spaces. len 0: no word in it;
 * ptr NULL: no memory. */
struct str db_search_words(struct arena *a, struct str text, const char *joint, size_t max_words);

#endif
