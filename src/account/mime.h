/* One plain text mail as it goes over the wire (RFC 5322, RFC 2045, RFC 2047). Any thread. */
#ifndef AERIE_ACCOUNT_MIME_H
#define AERIE_ACCOUNT_MIME_H

#include "base/arena.h"
#include "base/buf.h"

/* Addresses: without spaces, control characters or <>. Names and texts: valid UTF-8, whatever it
 * holds: a line of the head stays one line. */
struct mime_mail {
    struct str id; /* the part before the @ of the Message-ID */
    struct str from, from_name, to;
    struct str subject;
    struct str text; /* lines end with \n */
    int64_t sent_at_us;
};

/* Lines end with CRLF. a: for what is made in between. */
void mime_write(struct buf *out, struct arena *a, const struct mime_mail *m);

#endif
