/* Web origins (RFC 6454): scheme, host and port, compared as browsers do. */
#ifndef AERIE_API_ORIGIN_H
#define AERIE_API_ORIGIN_H

#include "base/str.h"

struct origin {
    struct str scheme, host; /* as given; compared without regard to case */
    uint64_t port;
};

/* "https://shop.example" or with a port; http and https only. False for anything else, "null" too.
 */
bool origin_parse(struct str text, struct origin *out);
/* The origin of a whole URL, a Referer for instance. */
bool origin_of_url(struct str url, struct origin *out);
bool origin_eq(const struct origin *a, const struct origin *b);

#endif
