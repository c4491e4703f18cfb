/* The wire to clients, as the rooms above see it: routes, requests, responses, streams.
 * Everything here belongs to one loop and is called on its thread. */
#ifndef AERIE_HTTP_HTTP_H
#define AERIE_HTTP_HTTP_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/id.h"
#include "loop/flow.h"
#include "loop/loop.h"

enum http_method {
    HTTP_GET,
    HTTP_HEAD,
    HTTP_POST,
    HTTP_PUT,
    HTTP_PATCH,
    HTTP_DELETE,
    HTTP_OPTIONS,
    N_HTTP_METHODS
};
const char *http_method_name(enum http_method m);

#define ROUTE_MAX_PARAMS 3

/* What a route takes as body. */
enum body_kind {
    BODY_NONE,           /* any body is read within limits.body_bytes and ignored */
    BODY_JSON,           /* application/json, else 415; "" is left to the handler */
    BODY_FORM,           /* JSON or application/x-www-form-urlencoded */
    BODY_UPLOAD,         /* multipart/form-data, up to limits.upload_bytes and the form around it */
    BODY_JSON_OR_UPLOAD, /* either, up to the same bound */
};

/* What a page from another origin may do with an answer. */
enum cors { CORS_UNDECIDED, CORS_REFUSED, CORS_WITHOUT_CREDENTIALS, CORS_WITH_CREDENTIALS };

/* What speaks at a listening socket. */
enum listener_kind {
    LISTENER_PLAIN,   /* clients, in clear: proxies mostly */
    LISTENER_TLS,     /* clients, over TLS */
    LISTENER_METRICS, /* whoever looks after the server, in clear; closes with the clients' */
    LISTENER_PEER     /* the other nodes; the last to close */
};

struct route_doc;

/* One row of the route table. */
struct route {
    enum http_method method;
    const char *path; /* "/api/chats/{id}/messages" */
    unsigned who;     /* who may call: the hook on_head's word, not ours */
    enum body_kind body;
    size_t state_bytes; /* of the handler's state: request->state, zeroed */
    const struct step *steps;
    const char *summary;         /* for people: docs and openapi */
    const struct route_doc *doc; /* for openapi: the room above's word, not ours */
};

struct conn;
/* One wrong field, for the 422. */
struct field_error {
    struct field_error *next;
    const char *field, *message;
};
struct header_line {
    struct str name, value;
};

/* One request and its answer. Lives from the head until the answer is written and the flow has
 * ended. */
struct request {
    struct flow flow; /* runs route->steps; flow.state is the request itself */
    struct loop *loop;
    struct conn *conn;
    enum listener_kind listener; /* where it came in */
    struct arena arena;
    const struct route *route; /* NULL: none matched; of a preflight: the one it asks about */
    enum http_method method;   /* HEAD is routed as GET; is_head tells */
    bool is_head;
    struct str path, query;              /* raw */
    struct str params[ROUTE_MAX_PARAMS]; /* decoded, in the order of the path */
    struct str body;
    struct id
        id; /* X-Request-Id: the client's when it is a sane token of ≤ 36 characters, else ours */
    struct str id_text;
    struct span *span;                 /* it is told of (trace/span.h); NULL: it is not */
    struct str address;                /* the client's, by trusted_proxies; IPv6 in full */
    struct str address_group;          /* for limits: IPv4, or the IPv6 /64 */
    const struct header_line *headers; /* in the order they came */
    size_t n_headers;
    bool is_http_1_0;
    bool fails_at_eof;  /* a step may set it: the end of the client's bytes is its leaving, as for
                           streams */
    bool is_from_proxy; /* the peer is a trusted proxy, and so its word about the client counts */
    bool is_secure;     /* the client spoke TLS: here, or as a trusted proxy's X-Forwarded-Proto says */
    enum cors cors;     /* a step may decide; otherwise the hook does */
    void *state;        /* route->state_bytes, zeroed */
    void *caller;       /* who calls: the room above's */
    struct field_error *field_errors;
    struct response *response;
};

static inline struct request *request_of(struct flow *f)
{
    return f->state;
}

/* Makes inner a request within outer, whose connection is a WebSocket: the same caller, route and
 * address, a body of its own, and no answer: what is said to it is dropped. Its flow is the
 * caller's to start, and its arena to free. body: not copied. */
void request_init_within(struct request *inner, const struct request *outer, struct str body);

/* Case-insensitive; ptr NULL when absent; several lines of one name: the first. */
struct str request_header(const struct request *req, const char *name);
/* A cookie's value; ptr NULL when absent. */
struct str request_cookie(const struct request *req, const char *name);
/* A query parameter, decoded into the arena; ptr NULL when absent. ERR_BAD_REQUEST for broken
 * escapes comes earlier. */
struct str request_query(struct request *req, const char *name);
/* True when type ("text/event-stream") is acceptable and no type that Accept names is preferred to
 * it: has a greater q, or the same while type is matched by a wildcard only. No Accept line is one
 * of any type. So to give browsers a page and everything else JSON: request_accepts(req,
 * "text/html") && !request_accepts(req, "application/json"). */
bool request_accepts(const struct request *req, const char *type);
/* Adds a row to the 422's "errors". field and message: static or in the arena. */
void request_field_error(struct request *req, const char *field, const char *message);
bool request_has_field_errors(const struct request *req);

/* application/x-www-form-urlencoded body or query: next pair, decoded into the arena. */
bool form_next(struct arena *a, struct str *rest, struct str *name, struct str *value);

/* The part of a multipart/form-data body (RFC 7578) of that name. */
struct multipart_part {
    struct str name, filename, content_type, data;
};
struct error multipart_find(struct request *req, const char *name,
                            struct multipart_part *out) MUST_CHECK;

/* A line of the log, at the error's level, that names the request. room: "api". */
void request_log_failure(const struct request *req, const char *room, struct error err);

/* ---- answering: exactly once a request ---- */
/* Before the answer. value is copied. A name given twice is sent twice (Set-Cookie). */
void response_set_header(struct request *req, const char *name, struct str value);
void response_send(struct request *req, int status, const char *content_type, struct str body);
void response_json(struct request *req, int status, struct str json); /* copied */
void response_empty(struct request *req, int status); /* 204, 202 … without a body */
bool response_is_started(const struct request *req);
/* What a failed flow with no answer yet gets, written by http itself: {"detail": …, "errors": […]}.
 */
void response_error(struct request *req, struct error err);

/* ---- a body that comes bit by bit ---- */
/* An operation-free writer: the handler keeps an op of its own open meanwhile. A client that leaves
 * fails the request's flow with ERR_GONE. */
/* req's body, query and headers are freed here: a stream may be parked for long. */
void response_begin_stream(struct request *req, int status, const char *content_type);
void response_stream_write(struct request *req, const void *data,
                           size_t len); /* copied into the output */
/* How many bytes more it may write, so that no more than limits.output_bytes wait for the socket.
 */
size_t response_stream_room(const struct request *req);
/* There is little room: write no more until on_drained, which is called once for each time that it
 * was asked for. */
bool response_stream_is_full(const struct request *req);
void response_stream_on_drained(struct request *req, void (*on_drained)(void *state), void *state);
void response_end_stream(struct request *req);

/* ---- the server ---- */
/* What the room above plugs in. */
struct http_hooks {
    const struct route *routes;
    size_t n_routes;
    /* After the head was read and a route found, before any body: who calls? An error is answered
     * at once. */
    struct error (*on_head)(struct request *req);
    /* Whose request was it, for the log? Leaves alone what is not known. */
    void (*who)(const struct request *req, struct str *team_id, struct str *user_id);
    /* What may a page of this origin do with the answer, where no step decided? */
    enum cors (*cors)(struct request *req, struct str origin);
};
struct http_server;
/* Main thread. Reads server.listen, or server.host and server.port, and metrics.listen; binds
 * nothing yet. The detail of an error lives until the next call. */
struct error http_open(const struct http_hooks *hooks, unsigned n_loops,
                       struct http_server **out) MUST_CHECK;
/* Main thread, before the first loop attaches: where peers reach this node, "host:port" or
 * "unix:/path". named_by: the key that says so, for people; static. is_own: this process's alone,
 * which no successor takes over. */
struct error http_listen_to_peers(struct http_server *s, struct str at, bool is_own,
                                  const char *named_by) MUST_CHECK;
/* Main thread, with new settings: reads the certificates again, for connections to come. On an error
 * the old ones stay; its detail lives until the next call. */
struct error http_reload(struct http_server *s) MUST_CHECK;
void http_close(struct http_server *s); /* after all loops have left */
/* Binds and listens for this loop: with sockets of its own (SO_REUSEPORT), where the address is no
 * file. The first loop resolves port 0; the others take its port. */
struct error http_attach(struct http_server *s, struct loop *l) MUST_CHECK;
/* The successor of a running server accepts nobody before this; otherwise it changes nothing. */
void http_accept(struct loop *l);
/* Stops accepting clients; idle connections close, busy ones at the end of their answer. on_drained
 * once neither a listener nor a connection of theirs is left. Peers stay served, but for new ones
 * where another server has taken over. */
void http_drain(struct loop *l, void (*on_drained)(struct loop *l));
/* The same for peers: no loop of the process has a turn any more. */
void http_drain_peers(struct loop *l, void (*on_drained)(struct loop *l));
/* Calls visit for each socket that a successor takes over, on any thread, the server's lock held.
 * systemd_name: NULL when it is none of systemd's. */
void http_each_socket(struct http_server *s,
                      void (*visit)(void *state, int fd, const char *systemd_name), void *state);
/* The keys of TLS session tickets, for a server that takes over: secrets, in a pipe that it is to
 * read, with their writer gone. Returns its descriptor, which is the caller's; -1: there are none,
 * or no pipe for them. Any thread. */
int http_leave_ticket_keys(struct http_server *s);
/* Another server accepts at these sockets from now on: draining refuses nobody who waits there, and
 * removes no file. Any thread, before the loops drain. */
void http_hand_over(struct http_server *s);
/* Closes all that is left at once. */
void http_abort(struct loop *l);
/* Of the first place that has a port; 0: none has. */
unsigned http_port(const struct http_server *s);
/* Where it listens, for clients (LISTENER_PLAIN: with TLS or without), metrics or peers, once loops
 * do: "http://127.0.0.1:8000, unix:/run/aerie/aerie.sock"; "" : nowhere. Of peers in the form that
 * http_listen_to_peers() takes. */
void http_describe(const struct http_server *s, enum listener_kind kind, struct buf *out);
struct http_stats {
    size_t connections; /* open now, on all loops */
};
struct http_stats http_stats(const struct http_server *s); /* any thread */
struct http_server *http_server_of(const struct request *req);
void http_metrics(struct buf *out, const struct http_server *s); /* for GET /metrics */

#endif
