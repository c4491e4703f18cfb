/* Identifiers: UUIDs in their 36-character lower-case text form, and random tokens. Any thread. */
#ifndef AERIE_BASE_ID_H
#define AERIE_BASE_ID_H

#include "base/str.h"

#define ID_LEN 36
struct id {
    char text[ID_LEN + 1]; /* "" is no id */
};

struct id id_v7(void); /* RFC 9562 section 5.7; rising within a millisecond on one thread */
/* Always the same for the same millisecond and bytes: those take the place of what is random. */
#define ID_NAME_BYTES 10
struct id id_v7_named(uint64_t unix_ms, const unsigned char name[ID_NAME_BYTES]);
struct id id_v4(void); /* RFC 9562 section 5.4 */
/* Any UUID, upper case accepted; out is lower case. */
bool id_parse(struct str text, struct id *out);
struct str id_str(const struct id *id);

#endif
