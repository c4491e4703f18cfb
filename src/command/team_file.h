/* A team in a file: JSON, an object a line. First what it is, then {"table": …, "row": {…}} for
 * each row, last how many there were and the SHA-256 of all lines before. A cell is null, a text,
 * an integer (truths are 0 and 1, times microseconds since 1970) or {"base64url": …} of bytes. */
#ifndef AERIE_SRC_COMMAND_TEAM_FILE_H
#define AERIE_SRC_COMMAND_TEAM_FILE_H

#include "base/arena.h"
#include "base/error.h"
#include "db/bulk.h"

#define TEAM_FILE_FORMAT 1
/* The longest line: a row with its texts. */
#define TEAM_FILE_LINE_BYTES (64U << 20)
#define TEAM_FILE_SALT_BYTES 16

/* What is sealed in a file opens with a passphrase. */
struct team_key {
    unsigned char key[32];
    bool is_there;
};
/* The first line of file. salt: the text that stands in the file. ERR_INVALID with a sentence. */
struct error team_key_read(struct team_key *k, const char *file, struct str salt) MUST_CHECK;
/* Of a text that is in every file with secrets, and tells a wrong passphrase from a right one. ptr
 * NULL: no memory. */
struct str team_key_mark(const struct team_key *k, struct arena *a, struct str team_id);
bool team_key_fits(const struct team_key *k, struct arena *a, struct str team_id, struct str mark);

/* The i-th column is one of table's that are sealed. */
bool team_file_is_sealed(const struct bulk_table *table, const struct bulk_columns *columns,
                         size_t i);

#endif
