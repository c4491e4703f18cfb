/* GET /health/stream. */
#ifndef AERIE_API_HEALTH_STREAM_H
#define AERIE_API_HEALTH_STREAM_H

#include "http/http.h"
#include "loop/wait.h"

struct health_stream {
    struct wait wait;
    struct id id; /* of the events, as a turn's */
    unsigned n_sent, n_ticks;
    uint64_t pause_ms;
};
extern const struct step health_stream_steps[];
extern const struct route_doc health_stream_doc;

#endif
