/* What a team knows: documents, read and cut into chunks, which are embedded and searched. */
#ifndef AERIE_DOCUMENT_DOCUMENT_H
#define AERIE_DOCUMENT_DOCUMENT_H

#include "db/db.h"

/* The columns of DOCUMENT_GET, DOCUMENT_LIST and DOCUMENT_FIND_HASH. */
enum document_column {
    DOCUMENT_ID,
    DOCUMENT_TITLE,
    DOCUMENT_CONTENT_TYPE,
    DOCUMENT_CONTENT_HASH,
    DOCUMENT_METADATA,
    DOCUMENT_STATUS,
    DOCUMENT_ERROR,
    DOCUMENT_BYTES,
    DOCUMENT_CHARS,
    DOCUMENT_CHUNKS,
    DOCUMENT_CREATED_AT,
    DOCUMENT_UPDATED_AT,
};

enum document_kind {
    DOCUMENT_IS_UNKNOWN,
    DOCUMENT_IS_TEXT,
    DOCUMENT_IS_MARKDOWN,
    DOCUMENT_IS_HTML,
    DOCUMENT_IS_PDF,
};

/* Told by the content: PDF and HTML by how they begin, text by being UTF-8. declared, a media type
 * or "", only chooses between the sorts of text, which read alike. */
enum document_kind document_kind_of(struct str data, struct str declared);
const char *document_media_type(enum document_kind kind);

/* The threads that read documents, and the way embeddings are compared. Main thread, before the
 * loops run; after they have left. */
struct error document_open(struct db *db) MUST_CHECK;
void document_close(void);

#endif
