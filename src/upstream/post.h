/* One request to another server: from a URL and a body to the end of the answer, with every
 * deadline. */
#ifndef AERIE_UPSTREAM_POST_H
#define AERIE_UPSTREAM_POST_H

#include "base/buf.h"
#include "client.h"
#include "upstream/fetch.h"

struct post_asking;

enum post_phase {
    POST_IDLE,       /* not started, or given back */
    POST_RESOLVING,  /* waits for the resolver */
    POST_CONNECTING, /* libcurl connects, or waits for a connection it may share */
    POST_SENT,       /* the request is on its way; the first byte of the body is awaited */
    POST_READING,    /* the body comes */
    POST_ENDED,      /* is_done is set, the asker has yet to see it */
};

/* One request, inside the asker's state, all-zero before post_start(). One that may have reached
 * the other side is never sent again. */
struct post {
    /* The asker's. Both are set before post_start(). */
    /* Inside libcurl: bytes of the body, of a reply's or of any answer's, as was asked. May take
     * them, nothing else. */
    void (*on_body)(struct post *p, struct str bytes);
    /* From the loop, at the end of a turn in which something happened: look at http_status, is_done
     * and err. May call post_end() and free p. */
    void (*on_progress)(struct post *p);

    /* Told by the client. */
    enum post_phase phase;
    int http_status;       /* 0: no status line yet */
    int retry_after_s;     /* of the head; -1: not told */
    bool has_head;         /* the whole of one that is not 1xx */
    bool is_encoded;       /* compressed although we did not ask */
    bool is_framed;        /* the body's end can be told from a cut */
    bool is_done;          /* with err: NO_ERROR only after a whole body, or a head that ends it */
    bool may_have_arrived; /* the other side may have seen the request */
    struct error err;

    /* The post's own. */
    struct client *client;
    struct exchange exchange;
    struct post_asking *asking; /* until the first byte of the answer's body */
    struct url *url;
    struct span *span; /* NULL: it is not told of */
    unsigned n_before; /* tries of the same request before this one */
    size_t head_bytes;
    struct timer deadline;
    struct flush flush;
    uint64_t last_byte_ms;
    unsigned max_idle_s;
    bool has_body, wants_all, is_inside;
};

struct post_request {
    struct str url;
    struct buf *body;                   /* JSON, by POST; taken over, also on failure. NULL: GET */
    const struct fetch_header *headers; /* may hold secrets: never logged, wiped at the end */
    size_t n_headers;
    bool wants_all; /* the body of any answer; false: a head that brings no reply ends the transfer
                     */
    /* Connections that were idle longer are not used again: a server that closes just then would
     * lose a request which must not be repeated. */
    unsigned max_idle_s;
    /* To an own node, whose address the operator chose: without the egress guard. */
    bool is_inside;
    struct str unix_path;      /* of its socket; "" : by the URL's host */
    const struct span *parent; /* whose part it is: the other side is told, too; NULL: nobody's */
    unsigned n_before;         /* tries of the same request before this one */
};

/* Ends by is_done. An error means that nothing was started, and on_progress does not come:
 * ERR_INVALID is about the URL or a header. Ends with
 * - ERR_PROVIDER_UNREACHABLE: no connection, or it closed before a status line;
 * - ERR_INTERRUPTED: it closed after the status line, in the head or in the body;
 * - ERR_PROVIDER_TIMEOUT, ERR_PROVIDER_MALFORMED (no HTTP), ERR_UPSTREAM_LIMIT (the head),
 *   ERR_BUSY, ERR_NO_MEMORY. */
struct error post_start(struct client *c, struct post *p, const struct post_request *rq) MUST_CHECK;
/* Gives everything back, in each phase; a transfer that runs is closed at once. Not inside on_body.
 */
void post_end(struct post *p);
/* trace.c: of a post that ends, and has a span. */
void post_end_span(struct post *p);

#endif
