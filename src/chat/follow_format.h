/* How a reader gets its events: one table of functions a format. */
#ifndef AERIE_CHAT_FOLLOW_FORMAT_H
#define AERIE_CHAT_FOLLOW_FORMAT_H

#include "chat/follow.h"

struct follow_format {
    void (*begin)(struct follow *w);
    /* Adds an event to out, which is sent when a batch is there; or sends it and leaves out empty.
     * Returns its bytes. */
    size_t (*add)(struct follow *w, struct buf *out, const struct log_event *event);
    void (*keep_alive)(struct follow *w); /* so that those in between do not hang up */
    void (*end)(struct follow *w);
    uint64_t (*silence_ms)(void); /* the longest; NULL: turn.heartbeat_seconds */
};

/* As follow_sse(), in that format. */
void follow_as(struct follow *w, struct flow *f, struct request *req, struct turn_log *log,
               uint64_t n, const struct follow_format *format);

/* What formats of server-sent events have in common. */
size_t follow_add_sse(struct follow *w, struct buf *out, const struct log_event *event);
void follow_keep_sse_alive(struct follow *w);

#endif
