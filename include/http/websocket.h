/* A WebSocket (RFC 6455) in place of an answer's body: text messages both ways, in the connection's
 * own output. It lives as long as the flow of the request that opened it. Its loop's thread.
 *
 * Below it: limits.websocket_message_bytes (1009), a ping after limits.websocket_ping_seconds in
 * which nothing came, and limits.websocket_pong_seconds for the client to be heard again (1008);
 * what breaks the protocol (1002), is binary (1003) or no UTF-8 (1007). A client that left, closed
 * or was closed for one of these fails the flow with ERR_GONE, as one that leaves a stream does. */
#ifndef AERIE_HTTP_WEBSOCKET_H
#define AERIE_HTTP_WEBSOCKET_H

#include "http/http.h"

/* Close codes (RFC 6455 section 7.4.1, and its registry). */
enum close_code {
    CLOSE_NORMAL = 1000,
    CLOSE_GOING_AWAY = 1001,
    CLOSE_PROTOCOL = 1002,
    CLOSE_NOT_TEXT = 1003,
    CLOSE_NO_CODE = 1005, /* never sent: a Close without a code */
    CLOSE_BAD_TEXT = 1007,
    CLOSE_POLICY = 1008,
    CLOSE_TOO_BIG = 1009,
    CLOSE_INTERNAL = 1011,
    CLOSE_TRY_LATER = 1013,
};

struct websocket_handler {
    /* A message: valid UTF-8, in place until this returns. May end the flow. */
    void (*on_text)(void *state, struct str text);
    /* The server is draining: end what runs, then the flow. May end the flow. */
    void (*on_drain)(void *state);
};

/* From a step: answers 101. False: the flow was ended, with 426 (no WebSocket is asked for, or
 * another version), 400 (asked for wrongly) or 503 (draining, no memory). handler: static. on_text
 * comes from the end of this turn of the loop on. */
bool websocket_accept(struct request *req, const struct websocket_handler *handler,
                      void *state) MUST_CHECK;
/* A text message, copied into the output: valid UTF-8. Nothing after websocket_close(). A writer of
 * many asks response_stream_is_full() and response_stream_on_drained(), as for a stream. */
void websocket_send(struct request *req, struct str text);
/* Says goodbye: reads and sends nothing more. The handler then ends the flow. Without it, a flow
 * that ends well closes with 1000, and one that fails with 1011. reason: static. */
void websocket_close(struct request *req, enum close_code code, const char *reason);

#endif
