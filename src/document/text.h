/* Texts as documents have them: made plain, and cut into chunks. Pure; any thread. */
#ifndef AERIE_SRC_DOCUMENT_TEXT_H
#define AERIE_SRC_DOCUMENT_TEXT_H

#include "base/buf.h"

/* Appends text with "\n" as the only line break, no more than one empty line at a time, no spaces
 * at lines' ends and no control characters. text: valid UTF-8. */
void text_normalise(struct str text, struct buf *out);

/* Cuts normalised text into pieces of at most max_chars, each a part of the text: where a heading,
 * a paragraph, a line, a sentence or a word ends, whichever comes first in this order in the latter
 * half of the piece. A piece begins with up to overlap_chars of the one before it, but not where a
 * heading begins. */
struct chunker {
    struct str text;
    size_t max_chars, overlap_chars;
    size_t at; /* bytes */
};
/* False: that was all. */
bool chunker_next(struct chunker *c, struct str *chunk);

#endif
