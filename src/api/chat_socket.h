/* /api/chat/ws: conversations over one WebSocket. */
#ifndef AERIE_API_CHAT_SOCKET_H
#define AERIE_API_CHAT_SOCKET_H

#include "http/http.h"

struct frame;

/* Lives as long as the socket; parked for long, so what a message needs is in its frame. */
struct chat_socket {
    struct op op; /* until the socket and its frames have ended */
    struct request *req;
    struct frame *current; /* whose reply streams; NULL: none */
    unsigned n_frames;     /* that have not ended */
    bool is_leaving;       /* the socket is closed, or soon is: op ends with the last frame */
    bool is_draining;      /* the same after the reply */
};
extern const struct step chat_socket_steps[];
extern const struct route_doc chat_socket_doc;

#endif
