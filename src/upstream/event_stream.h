/* Server-sent events, read as WHATWG HTML section 9.2.6 says, with a bound. */
#ifndef AERIE_UPSTREAM_EVENT_STREAM_H
#define AERIE_UPSTREAM_EVENT_STREAM_H

#include "base/buf.h"

#define EVENT_TYPE_BYTES 32

struct event_stream {
    /* type "" is a message. Both valid inside the call only. */
    void (*on_event)(void *state, struct str type, struct str data);
    /* A line that is no field of an event; never empty, valid inside the call only. May be NULL. */
    void (*on_stray)(void *state, struct str line);
    /* The id of the event whose lines are being read, valid inside the call only. May be NULL. */
    void (*on_id)(void *state, struct str id);
    void *state;
    size_t max_bytes; /* of a line, and of an event's data */

    struct buf line;     /* a line that is not whole yet */
    struct buf data;     /* of the event that is not whole yet */
    struct str in_place; /* its first data line, still in the bytes being fed */
    char type[EVENT_TYPE_BYTES];
    bool has_data, had_cr, had_first_line, is_too_long;
};

/* False once a line or an event is longer than max_bytes. */
bool event_stream_feed(struct event_stream *s, struct str bytes);
/* The stream ended without an error. An event without its empty line is told too: many servers
 * leave it out, and a cut stream does not come here. */
bool event_stream_end(struct event_stream *s);
void event_stream_deinit(struct event_stream *s);

#endif
