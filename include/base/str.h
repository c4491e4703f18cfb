/* A view of bytes: a pointer and a length, never owned, not NUL-terminated unless said. */
#ifndef AERIE_BASE_STR_H
#define AERIE_BASE_STR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct str {
    const char *ptr; /* may be NULL when len is 0 */
    size_t len;
};

#define STR(literal) ((struct str){(literal), sizeof(literal) - 1})
#define STR_NONE     ((struct str){NULL, 0})
/* printf("%.*s", STR_ARG(s)) */
#define STR_ARG(s) (int)(s).len, (s).len ? (s).ptr : ""

struct str str_from(const char *c_string); /* NULL gives the empty string */
bool str_eq(struct str a, struct str b);
bool str_eq_nocase(struct str a, struct str b); /* ASCII letters fold */
bool str_starts_with(struct str s, struct str prefix);
bool str_starts_with_nocase(struct str s, struct str prefix);
bool str_ends_with(struct str s, struct str suffix);
struct str str_skip(struct str s, size_t n); /* without the first n bytes; n past the end gives "" */
struct str str_trim(struct str s);           /* without spaces, tabs, CR and LF at both ends */
/* Index of c, or s.len. */
size_t str_find(struct str s, char c);
bool str_contains(struct str s, struct str part);
/* Takes the part before sep off *rest into *part; false when *rest was used up (ptr NULL). */
bool str_next(struct str *rest, char sep, struct str *part);
/* The whole of s as a decimal number; false for empty, other characters or overflow. */
bool str_to_i64(struct str s, int64_t *out);
/* Holds a byte below 0x20 or 0x7f. */
bool str_has_control(struct str s);

/* UTF-8 (RFC 3629: no surrogates, no overlong forms, at most U+10FFFF). */
bool utf8_is_valid(struct str s);
/* Number of code points of valid UTF-8. */
size_t utf8_length(struct str s);
/* Longest prefix of at most max_bytes that does not cut a character. */
struct str utf8_prefix(struct str s, size_t max_bytes);

/* Makes valid UTF-8 out of a stream that may be cut inside a character: feed it piece by piece.
 * All-zero is the start. Invalid sequences come out as U+FFFD. */
struct utf8_stream {
    unsigned char held[4];
    unsigned char n_held;
};
struct buf;
void utf8_stream_feed(struct utf8_stream *u, struct str in, struct buf *out);
void utf8_stream_end(struct utf8_stream *u, struct buf *out); /* a character cut off: one U+FFFD */

#endif
