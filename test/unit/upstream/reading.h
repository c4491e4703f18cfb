/* For the tests of readers: an answer fed in pieces, and what must come of it. */
#ifndef AERIE_TEST_UPSTREAM_READING_H
#define AERIE_TEST_UPSTREAM_READING_H

#include "harness.h"

#include "upstream/provider.h"

#define READING_EVENT_BYTES 4096
#define READING_REPLY_BYTES 100000

/* What the reader makes of the pieces [0, cut) and [cut, len); piece > 0: pieces of that size. */
void reading_read(const struct reader_type *type, struct str body, size_t cut, size_t piece,
                  bool is_whole, struct reply *reply);
void reading_check_one(const struct reader_type *type, struct str body, size_t cut, size_t piece,
                       bool is_whole, enum status status, const char *text);
/* Cut at every byte, and in small pieces. */
void reading_check(const struct reader_type *type, struct str body, bool is_whole,
                   enum status status, const char *text);

struct reading_row {
    const char *body;
    enum status status;
    const char *text;
};
void reading_check_rows(const struct reader_type *type, const struct reading_row *rows, size_t n);
#define CHECK_ROWS(type, rows) reading_check_rows(&(type), rows, sizeof(rows) / sizeof((rows)[0]))

#endif
