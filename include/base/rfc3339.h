/* Times that clients send. */
#ifndef AERIE_BASE_RFC3339_H
#define AERIE_BASE_RFC3339_H

#include "base/str.h"

/* "2030-01-31T12:00:00Z", with a fraction or an offset if need be (RFC 3339 section 5.6). */
bool rfc3339_parse(struct str text, int64_t *wall_us);

#endif
