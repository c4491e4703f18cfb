/* The text that a stream is to carry, known to both ends from its seed alone: piece k of seed s is
 * "s.k:" and then a slice of one fixed pattern, cut to the piece's length. Printable ASCII that
 * JSON leaves as it is; no space, so that nothing is trimmed. */
#ifndef AERIE_BENCH_TEXT_H
#define AERIE_BENCH_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TEXT_PIECE_MAX_BYTES 65536

/* Before all else here, once. */
void text_init(void);
/* Writes the piece's bytes to out. */
void text_piece(char *out, uint64_t seed, uint32_t k, uint32_t bytes);
/* The last ~digits~ in the bytes; false: there is none. */
bool text_find_seed(const char *bytes, size_t len, uint64_t *seed);

/* Compares a stream's text with what it should be, however it is cut. */
struct text_check {
    uint64_t seed;
    uint32_t chunks, bytes; /* pieces in all, and the length of each */
    uint32_t k, at;         /* the next byte: piece and place in it */
    bool is_wrong;          /* for good */
};

void text_check_init(struct text_check *c, uint64_t seed, uint32_t chunks, uint32_t bytes);
void text_check_feed(struct text_check *c, const char *text, size_t len);
/* Every byte has come, and was right. */
bool text_check_is_whole(const struct text_check *c);

#endif
