/* Reading a turn for one request, as an operation of its flow. */
#ifndef AERIE_CHAT_FOLLOW_H
#define AERIE_CHAT_FOLLOW_H

#include "chat/turn_log.h"
#include "http/http.h"

struct follow_format;

enum follow_state {
    FOLLOW_PENDING, /* the turn has not begun, or its mirror is behind: nothing was sent */
    FOLLOW_LIVE,    /* sends what the log has */
    FOLLOW_BLOCKED, /* the socket takes no more for now */
    FOLLOW_ENDED,
};

/* Inside the caller's state, all-zero. */
struct follow {
    struct op op;
    struct log_reader reader;
    struct turn_log *log;
    struct request *req;
    const struct follow_format *format; /* NULL: nothing is sent */
    struct timer heartbeat;             /* or, while it is PENDING, how long that may be */
    uint64_t sent_ms;                   /* when something was sent */
    uint64_t n;                         /* the last event sent */
    enum follow_state state;
};

/* Streams the turn's events after number n as SSE until its terminal event. A mirror that has no
 * such event yet is waited for, nodes.dead_seconds at most; then, all of them. Ends well, with
 * nothing sent, when the turn never began: the log says why. Ends with ERR_GONE (by the connection)
 * or ERR_NO_MEMORY. The caller holds the log meanwhile. */
void follow_sse(struct follow *w, struct flow *f, struct request *req, struct turn_log *log,
                uint64_t n);
/* The same in the messages of req's WebSocket, which stays open. */
void follow_websocket(struct follow *w, struct flow *f, struct request *req, struct turn_log *log,
                      uint64_t n);
/* The same for another node, with what it takes to make a log of it (src/chat/mirror_read.h). */
void follow_peer(struct follow *w, struct flow *f, struct request *req, struct turn_log *log,
                 uint64_t n);
/* Sends nothing; ends well when the turn has begun, or is known not to. */
void follow_begin(struct follow *w, struct flow *f, struct turn_log *log);
/* Sends nothing; ends well when the turn has ended. */
void follow_wait(struct follow *w, struct flow *f, struct turn_log *log);
/* What is left of the owner's tokens for the day, where they are limited: headers of an answer that
 * has not begun. */
void follow_set_headers(struct request *req, const struct turn_log *log);
/* The start of an SSE answer and one event of it, for replies that are no longer in a log. */
void sse_begin(struct request *req);
void sse_format(struct buf *out, const struct id *reply_id, const struct log_event *event);
/* An event as one JSON object with its id, as WebSockets get it. */
void event_format(struct buf *out, const struct id *reply_id, const struct log_event *event);

#endif
