/* A stream of events from another node of this server, as an operation of a flow. Its address is
 * the operator's choice and mostly inside, so the egress guard does not look at it; nothing that an
 * agent or a team can write may become one. */
#ifndef AERIE_UPSTREAM_FEED_H
#define AERIE_UPSTREAM_FEED_H

#include "loop/flow.h"
#include "upstream/fetch.h"

struct feed_request {
    struct str address; /* "host:port", or "unix:/path" */
    struct str target;  /* path and query */
    struct fetch_header header;
    uint64_t silence_ms; /* the longest without a byte, from the beginning on */
    size_t event_bytes;  /* of one event; past it ERR_UPSTREAM_LIMIT */
};

/* Inside the caller's state, all-zero but for the first two, in place until it ends; may be used
 * again afterwards. */
struct feed {
    void *state; /* the caller's */
    /* An event. Called on the loop, inside libcurl: may take it, and call nothing of this room or
     * of its flow. Views, valid inside the call. False: nothing more is wanted, and the feed ends.
     */
    bool (*on_event)(void *state, struct str type, struct str id, struct str data);
    struct op op;
    int http_status;                /* when it has ended; 0: there was no answer */
    struct feed_transfer *transfer; /* the room's own */
};

/* rq and what it names: copied before this returns. Ends with NO_ERROR when the stream did, when
 * on_event wanted no more, or after an answer that is no stream, which http_status tells; else
 * ERR_INVALID (the address), ERR_PROVIDER_UNREACHABLE, ERR_PROVIDER_TIMEOUT,
 * ERR_PROVIDER_MALFORMED, ERR_INTERRUPTED (cut), ERR_UPSTREAM_LIMIT, ERR_BUSY, ERR_NO_MEMORY or
 * ERR_CANCELED. Cancel ends the transfer at once. */
void feed_start(struct feed *w, struct flow *f, const struct feed_request *rq);

#endif
