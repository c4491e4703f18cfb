/* What kind of answer a webhook gives, told by its first bytes, because its Content-Type says
 * nothing. */
#ifndef AERIE_UPSTREAM_N8N_SHAPE_H
#define AERIE_UPSTREAM_N8N_SHAPE_H

#include "base/str.h"

#include <yyjson.h>

enum shape {
    SHAPE_UNTOLD, /* more bytes are needed */
    SHAPE_EVENTS,
    SHAPE_LINES, /* JSON, one value after the other */
    SHAPE_JSON,  /* one value: it says nothing before its end */
    SHAPE_TEXT,
    SHAPE_PAGE, /* HTML, which is no reply */
};

/* How far the bytes were looked at, so that many small pieces are not read again and again.
 * All-zero before. */
struct shape_probe {
    size_t judged;   /* lines before it say nothing yet */
    size_t searched; /* no newline between judged and here */
    unsigned n_objects;
};
/* held: all bytes so far, not blank. */
enum shape shape_tell(struct shape_probe *p, struct str held);

/* Without a byte order mark, without white space at the start, and without the one and then the
 * other. */
struct str shape_without_mark(struct str held);
struct str shape_without_blanks(struct str text);
struct str shape_without_lead(struct str held);

/* One of the types in n8n's own stream. */
bool shape_has_known_type(yyjson_val *val);

/* n8n's own sentences, which are no reply. */
enum phrase { PHRASE_NONE, PHRASE_STARTING, PHRASE_STARTED, PHRASE_NULL };
enum phrase shape_phrase(struct str text);

#endif
