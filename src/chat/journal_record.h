/* What a journal's file holds: a head, then records, each a piece of a reply's text. A file ends
 * where a record is cut off or damaged: what follows is not read. */
#ifndef AERIE_CHAT_JOURNAL_RECORD_H
#define AERIE_CHAT_JOURNAL_RECORD_H

#include "base/buf.h"
#include "base/id.h"

#define JOURNAL_HEAD "aerie replies 1\n"
/* Beside the text: CRC-32C of what follows it, length of the text (4 bytes each), its offset in the
 * reply (8), all little-endian, then the ids of reply and team as text. */
#define JOURNAL_RECORD_BYTES (4 + 4 + 8 + ID_LEN + ID_LEN)

struct journal_record {
    struct id reply_id, team_id;
    uint64_t offset;
    struct str text; /* in the file's bytes */
};

/* Fails when the buffer has no room; then nothing was added. text: less than 4 GiB. */
bool journal_record_append(struct buf *out, const struct journal_record *record);
/* Takes the head off a file's bytes. False: it is not there. */
bool journal_record_begin(struct str *file);
/* Takes the next record off. False: there is none, or it is not whole. */
bool journal_record_next(struct str *file, struct journal_record *out);

#endif
