/* The stream that follow_peer() writes, read into a log. In memory only; inside libcurl. What it
 * says is judged: numbers that fit, text within its bound, one end. */
#ifndef AERIE_CHAT_MIRROR_READ_H
#define AERIE_CHAT_MIRROR_READ_H

#include "chat/turn_log.h"

/* The types of its first and last event; those of the turn have none. */
#define PEER_HEAD "head"
#define PEER_TAIL "tail"

/* All-zero but for log before the first stream. */
struct mirror_reading {
    struct turn_log *log;
    uint64_t last;  /* of the head: with that the log is what it was when we asked */
    struct buf end; /* the turn's last event, until the tail */
    bool has_head, is_wrong;
};

/* Another stream begins, with what comes after the log's last event. */
void mirror_reading_begin(struct mirror_reading *r);
void mirror_reading_deinit(struct mirror_reading *r);
/* struct feed's on_event: false when the log is closed, or is_wrong. */
bool mirror_read(void *reading, struct str type, struct str id, struct str data);

/* Of a status's public name, ERR_INTERNAL when there is none. */
enum status status_named(struct str name);

#endif
