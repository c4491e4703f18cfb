/* One small exchange with a server that is not asked for a chat: a callback, an embedding, a list of
 * models. Under the same egress guard, resolver and deadlines as calls to agents; never repeated by
 * itself. */
#ifndef AERIE_UPSTREAM_FETCH_H
#define AERIE_UPSTREAM_FETCH_H

#include "base/arena.h"
#include "loop/flow.h"
#include "upstream/upstream.h"

struct fetch_header {
    struct str name, value; /* value without control characters, else ERR_INVALID */
};

struct fetch_request {
    struct str url;
    struct str peer;     /* the address of an own node (upstream/feed.h), and url is a path then */
    bool is_inside;      /* the URL is the operator's choice: it may lead inside */
    struct str body;     /* JSON, sent by POST; ptr NULL: GET */
    struct fetch_header headers[4];
    unsigned n_headers;
    uint64_t timeout_ms; /* of the whole exchange; 0: config upstream.total_seconds */
    size_t max_bytes;    /* of the answer's body; past it ERR_UPSTREAM_LIMIT */
};

/* Inside the caller's state, all-zero before, in place until it ends; may be used again afterwards. */
struct fetch {
    struct op op;
    int http_status;     /* of any answer; 0: there was none */
    int retry_after_s;   /* -1: not told */
    struct str body;     /* of any answer, also of one that is no 2xx; in the arena */
    struct fetch_transfer *transfer; /* the room's own */
};

/* rq and what it names: copied before this returns. Redirects are answers, not followed. Ends with
 * NO_ERROR when a whole answer came, whatever its status; ERR_INVALID (the URL or a header),
 * ERR_PROVIDER_UNREACHABLE, ERR_PROVIDER_TIMEOUT, ERR_PROVIDER_MALFORMED, ERR_INTERRUPTED (cut),
 * ERR_UPSTREAM_LIMIT, ERR_BUSY, ERR_NO_MEMORY or ERR_CANCELED. Cancel ends the transfer at once. */
void fetch_start(struct fetch *w, struct flow *f, struct arena *a, const struct fetch_request *rq);

#endif
