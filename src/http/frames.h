/* One WebSocket's bytes (RFC 6455 section 5), judged: wslay, and what wslay lets pass but we
 * refuse. Knows neither sockets nor requests. */
#ifndef AERIE_SRC_HTTP_FRAMES_H
#define AERIE_SRC_HTTP_FRAMES_H

#include "base/buf.h"

enum frames_event {
    FRAMES_MORE,   /* all was used, and more must come */
    FRAMES_TEXT,   /* a message is complete: frames_take_text() */
    FRAMES_CLOSED, /* the peer closes, or broke the protocol; the Close that answers is in out */
    FRAMES_FAILED  /* the connection must be closed with `code` */
};

/* All-zero but for max_bytes is its start. Between messages it holds no memory. */
struct frames {
    struct wslay_event_context *wslay; /* NULL between messages */
    struct buf message;                /* what has come of the one being read */
    size_t max_bytes;                  /* of a message */
    unsigned code;                     /* after FRAMES_CLOSED or FRAMES_FAILED: a close_code */
    /* What wslay is offered, and where it writes, during one call. */
    const char *offered;
    size_t n_offered;
    struct buf *out;
    /* Of the frame being read. */
    uint64_t left; /* of its payload */
    bool has_bytes, has_head, is_final, is_control, is_close;
    bool is_in_message; /* of several frames; control frames may come between them */
    bool has_text;
};

/* Client's bytes up to the next event; *used says how many. Pongs go to out. */
enum frames_event frames_feed(struct frames *r, const char *data, size_t len, size_t *used,
                              struct buf *out);
/* The message of FRAMES_TEXT, valid UTF-8; the caller's, who buf_deinit()s it. */
struct buf frames_take_text(struct frames *r);
/* Has a message begun that is not complete? */
bool frames_is_amid(const struct frames *r);
void frames_deinit(struct frames *r);

/* What a server sends: never masked, never in pieces. */
void frames_write_text(struct buf *out, struct str text);
void frames_write_ping(struct buf *out);
/* reason: at most 123 bytes of UTF-8. */
void frames_write_close(struct buf *out, unsigned code, struct str reason);

#endif
