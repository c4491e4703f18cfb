/* Whether PostgreSQL compares embeddings itself. */
#ifndef AERIE_SRC_DOCUMENT_PGVECTOR_H
#define AERIE_SRC_DOCUMENT_PGVECTOR_H

#include "db/db.h"

/* The longest that the extension's type takes. */
#define PGVECTOR_DIMENSIONS_MAX 16000

/* At the start: where the extension is, or can be made, brings the embeddings there. That it cannot
 * be used is no error. */
struct error pgvector_open(struct db *db) MUST_CHECK;
bool pgvector_is_used(void);

#endif
