/* What the files of this room share: servers, connections, the inside of requests. */
#ifndef AERIE_SRC_HTTP_INTERNAL_H
#define AERIE_SRC_HTTP_INTERNAL_H

#include "base/cidr.h"
#include "base/inherit.h"
#include "base/map.h"
#include "base/metrics.h"
#include "frames.h"
#include "http/http.h"
#include "http/websocket.h"
#include "parser.h"
#include "router.h"
#include "tls.h"

#include <stdatomic.h>

/* How many connections one address group has: only while limits.connections_per_address is on. */
struct address_count {
    struct map_node node;
    size_t n;
    char text[IP_TEXT_BYTES];
};

/* Where the server listens. Each loop has a listener there: with a socket of its own, or, as a file
 * can be bound only once, with one that all loops share. */
struct place {
    struct list link; /* in server->places */
    enum listener_kind kind;
    struct endpoint at;   /* port 0: the first socket settles it */
    const char *named_by; /* the keys, for people */
    struct list sockets;  /* of listen_socket, under the server's lock */
    size_t n_inherited;   /* the first of them, left by the server before us, or by systemd */
    bool is_shared;       /* all loops take all sockets; else each takes its own */
    bool is_systemds;     /* it stays systemd's: a file is not ours to remove */
    bool is_own;          /* this process's alone: nobody takes it over */
    bool is_settled;      /* it has had a socket */
    dev_t device;         /* of the file that we bound: no other is removed at the end */
    ino_t inode;
};

/* A bound socket that listens. Freed by http_close(). */
struct listen_socket {
    struct list link; /* in place->sockets */
    struct place *place;
    int fd;           /* -1: closed */
    unsigned n_users; /* listeners */
    char systemd_name[INHERIT_NAME_BYTES];
};

/* Shared by the loops; what changes after start is atomic or under the lock. */
struct http_server {
    struct http_hooks hooks;
    struct router router;
    struct list places;  /* clients' in the order of server.listen; fixed before the first loop
                            attaches */
    struct place *named; /* whose port is http_port(): the first with one; or NULL */
    size_t max_by_files; /* connections that the descriptors are enough for */
    struct tls_server *tls; /* NULL: no place has TLS */
    unsigned n_loops_wanted, n_loops_begun; /* the latter under the lock */
    atomic_bool waits;                      /* nobody accepts before http_accept() */
    atomic_bool is_handed_over;             /* another server has the sockets, too */
    atomic_uint port, n_loops;
    atomic_size_t n_conns;
    uv_mutex_t lock; /* loops, addresses, and the sockets of places */
    struct list loops;
    struct map addresses; /* of address_count */
};

enum listener_state {
    LISTENER_OPEN,    /* accepting */
    LISTENER_PAUSED,  /* no room for one more: until a connection closes, or the timer */
    LISTENER_CLOSING, /* the socket is given up, its poll handle not yet closed */
    LISTENER_CLOSED
};

/* A loop's share of a place. Freed by http_close(). */
struct listener {
    struct list link; /* in http->listeners */
    struct http_loop *http;
    struct listen_socket *socket;
    enum listener_kind kind; /* its place's */
    enum listener_state state;
    uv_poll_t poll;
    struct timer resume;
};

/* Connections whose handshake can go on, in the order in which they came. */
struct handshakes {
    struct list ready; /* of tls.turn */
    struct mail mail;  /* to ourselves: the next turn of the loop */
    bool is_posted;
};

#define OUT_BYTES   4096
#define N_SPARE_OUT 16

/* Clients and metrics, or peers: they leave one after the other. */
struct http_side {
    size_t n_conns;     /* whose memory is not freed yet */
    size_t n_listeners; /* not closed */
    bool is_draining;
    void (*on_drained)(struct loop *l);
};

/* This room's share of a loop. Freed by http_close(). */
struct http_loop {
    struct list link; /* in server->loops */
    struct http_server *server;
    struct loop *loop;
    struct list listeners; /* of listener */
    struct http_side sides[2];
    struct handshakes handshakes;
    struct timer certificate_watch; /* the first loop's */
    struct list conns;              /* all whose memory is not freed yet */
    size_t excess_bytes; /* of what waits in them, beyond limits.output_bytes in each */
    int64_t date_s;      /* whose text date is */
    char date[32];
    char *spare_out[N_SPARE_OUT]; /* of OUT_BYTES each */
    unsigned n_spare_out;
};

static inline struct http_loop *http_loop_of(struct loop *l)
{
    return l->rooms[ROOM_HTTP];
}

static inline bool is_for_clients(enum listener_kind kind)
{
    return kind == LISTENER_PLAIN || kind == LISTENER_TLS;
}

static inline struct http_side *side_of(struct http_loop *h, enum listener_kind kind)
{
    return &h->sides[kind == LISTENER_PEER];
}

/* ---- metrics.c ---- */
#define HTTP_ERRORS_COUNTED 21 /* statuses, and all others as one */
struct http_numbers {
    _Alignas(64) struct counter accepted;
    struct counter refused, pauses;
    struct counter handshakes_full, handshakes_resumed, handshakes_failed;
    struct counter requests[6]; /* by the first digit of the status */
    struct counter errors[HTTP_ERRORS_COUNTED];
    struct counter output_bytes;
};
extern struct http_numbers http_numbers[METRICS_THREADS];
static inline struct http_numbers *http_count(void)
{
    return &http_numbers[metrics_thread()];
}
void http_count_error(int status); /* 400 or above */

/* ---- server.c ---- */
/* limits.connections, or as many as there are descriptors for. */
size_t server_max_conns(const struct http_server *s);
/* Counts one more connection of ip, on any loop. *out: NULL while the limit is off. False: over the
 * limit. */
bool server_count_address(struct http_server *s, const struct ip *ip, struct address_count **out);
void server_uncount_address(struct http_server *s, struct address_count *count);
/* The last connection, or listener, of a draining side is gone: tells, once. */
void server_check_drained(struct http_loop *h, enum listener_kind kind);

/* ---- place.c ---- */
/* Reads one entry of server.listen, or what another key holds of the same form. Binds nothing yet.
 * named_by: static. */
struct error place_add(struct http_server *s, enum listener_kind kind, struct str text,
                       const char *named_by) MUST_CHECK;
/* The n-th of the sockets that the index-th loop listens at, bound; the lock is held. *out NULL: it
 * has no more. The first is made where there is none. */
struct error place_take_socket(struct http_server *s, struct place *p, unsigned index, unsigned n,
                               struct listen_socket **out) MUST_CHECK;
/* What was inherited is ours now: a file gets the mode that the settings say. */
void place_take_over(const struct place *p);
/* The listener has no use for it any more: the last user closes it. The lock is held. */
void place_drop_socket(struct http_server *s, struct listen_socket *socket);
/* Does another server accept there, one that we took over and that still lives, or one that took us
 * over? Then nobody who waits is refused, and no file removed. */
bool place_is_anothers(const struct http_server *s, const struct place *p);
/* "http://127.0.0.1:8000", "unix:/run/aerie.sock". */
void place_describe(const struct place *p, struct buf *out);
void place_free(struct place *p);

/* ---- listener.c ---- */
/* Begins to accept at the socket, unless the server waits. When it fails, the socket is dropped.
 * The lock is held. */
struct error listener_open(struct http_loop *h, struct listen_socket *socket) MUST_CHECK;
/* The server does not wait any more. */
void listener_accept(struct listener *l);
/* A connection closed: there may be room again. */
void listener_resume(struct http_loop *h);
/* Refuses those who wait if asked to, then closes. */
void listener_close(struct listener *l, bool refuses_waiting);

/* ---- conn.c ---- */
enum conn_state {
    CONN_HANDSHAKE, /* TLS is not agreed on yet */
    CONN_IDLE,      /* between requests: nothing of the next one has come */
    CONN_HEAD,      /* a head is being read */
    CONN_BODY,      /* its body is being read */
    CONN_ANSWERING, /* the request's flow runs, or its stream goes on; further bytes wait in `in`,
                       or are the WebSocket's */
    CONN_ENDING,    /* the last answer was given: output goes out, input is dropped */
    CONN_LINGERING, /* all is sent and our side shut; input is dropped until the client closes too
                     */
    CONN_CLOSED /* the descriptor is closed; freed when the handle is closed and the flow has ended
                 */
};

struct conn {
    uv_poll_t poll; /* smaller than a uv_tcp_t, and reading can be told from writing */
    struct list link;
    struct http_loop *http;
    const struct listener *listener; /* that accepted it: tells its kind */
    struct address_count *address_count;
    struct request *req;         /* CONN_BODY and CONN_ANSWERING */
    struct parser *parser;       /* CONN_HEAD and CONN_BODY */
    struct tls *tls;             /* NULL: in clear; or it said its end */
    struct websocket *websocket; /* CONN_ANSWERING; NULL: it is none */
    struct timer deadline;       /* of what is being read, or of lingering */
    struct timer write_deadline;
    struct flush flush;
    struct buf out; /* borrowed: data is NULL when nothing waits */
    size_t out_sent;
    size_t out_counted; /* of what waits, in the metrics */
    size_t out_excess;  /* in the loop's excess_bytes */
    uint64_t excess_since_ms;
    size_t window_bytes; /* sent since write_deadline was started */
    size_t body_seen;    /* of the body when its rate was last looked at */
    struct buf in;       /* came early: pipelined */
    struct ip peer;
    int fd;
    int events; /* that poll waits for */
    enum conn_state state;
    bool is_eof;     /* the client sent its end */
    bool is_blocked; /* the socket takes no more for now */
    bool lingers;    /* bytes of the client may be unread when we close */
    bool is_handle_open;
    bool has_body_window; /* the body's rate was looked at before */
    bool is_cut;          /* the last answer is not whole: over TLS its end is not called one */
};

/* Takes over fd, closes it when it fails. */
struct conn *conn_open(const struct listener *l, int fd, const struct ip *peer,
                       struct address_count *count);
/* Answers 503 without reading a request, then closes. */
void conn_refuse(struct conn *c);
/* A step of the handshake was made: it waits for the client, or is done, or the client does not
 * speak TLS at all. */
void conn_await_handshake(struct conn *c);
void conn_end_handshake(struct conn *c);
void conn_refuse_plain(struct conn *c);
/* Draining: at once when idle, or, when another server serves this place too, once its next request
 * was answered or does not come. */
void conn_drain(struct conn *c);
/* Closes at once. A request's flow fails with ERR_GONE. */
void conn_close(struct conn *c);
/* The output to append to; it is written at the end of the turn. NULL: nobody is there any more. */
struct buf *conn_out(struct conn *c);
/* The same for a stream, which stops at limits.output_bytes: there is place for len bytes more, and
 * no more than that for those that come later. */
struct buf *conn_stream_out(struct conn *c, size_t len);
size_t conn_out_waiting(const struct conn *c);
/* The request's answer is complete in the output, and its flow has ended. req is freed. */
void conn_end_request(struct conn *c, bool keep_alive);

/* ---- handshake.c ---- */
/* The client has sent something, or takes more: goes on with its handshake when its turn has come.
 */
void handshake_queue(struct handshakes *all, struct tls *t);

/* ---- request.c ---- */
enum response_state {
    RESPONSE_NONE,      /* no answer yet */
    RESPONSE_STREAMING, /* the head is out, the body comes bit by bit */
    RESPONSE_UPGRADED,  /* the connection is a WebSocket */
    RESPONSE_DONE
};

/* The inside of a request: allocated with it. */
struct response {
    struct buf headers;       /* lines that the handler set */
    struct header_line *head; /* the request's, its bytes behind them; until a stream begins */
    struct buf body_in;       /* the request's body; freed with the request */
    void (*on_drained)(void *state);
    void *drained_state;
    uint64_t started_ms;
    enum response_state state;
    int status;
    bool is_chunked;
    bool was_full;
    bool keep_alive;   /* after the answer */
    bool is_flow_open; /* started and not ended */
    bool is_stream;    /* it was answered bit by bit */
    uint64_t n_bytes;  /* of its body, so far */
};

/* p: its head is complete, or it failed (then the request has no header lines). NULL: no memory. */
struct request *request_new(struct conn *c, const struct parser *p);
void request_free(struct request *req);
/* A stream may be parked for long: the head's lines do not stay with it, nor does its body. */
void request_drop_input(struct request *req);
/* Judges the head: finds the route, asks the hook. False: answered; the body will not be read. */
bool request_judge_head(struct request *req, const struct parser *p, size_t *max_body_bytes);
/* The body is complete: runs the route's steps. May free req. */
void request_run(struct request *req);
/* The client left, the descriptor is closed: fails the flow, or frees req. May free req. */
void request_lose_client(struct request *req);
/* When the answer and the flow have both ended, the connection goes on. May free req. */
void request_check_end(struct request *req);

/* ---- target.c ---- */
/* Splits the request target (RFC 9112 section 3.2) into path and query and checks that both can be
 * decoded. */
struct error target_split(struct str target, bool is_options, struct str *path,
                          struct str *query) MUST_CHECK;
/* Percent escapes into bytes; '+' is a space in forms. out has room for in.len. Broken escapes stay
 * as they are. */
size_t percent_decode(struct str in, bool is_form, char *out);

/* ---- response.c ---- */
/* {"detail": …} with an HTTP status that no enum status has. */
void response_detail(struct request *req, int http_status, const char *detail);
/* Breaks the answer off: the client sees that it is not whole. */
void response_cut_stream(struct request *req);
/* 101: what follows is the WebSocket's. accept: of Sec-WebSocket-Accept. */
void response_upgrade(struct request *req, struct str accept);
/* Looks whether what was written now is too much. */
void response_note_full(struct request *req);

/* ---- websocket.c ---- */
struct websocket {
    struct conn *conn;
    const struct websocket_handler *handler;
    void *state; /* the handler's */
    struct frames frames;
    struct timer silence; /* until a ping, or until the answer to one is missing */
    uint64_t began_ms;    /* the message that is being read */
    bool is_pinged;       /* and nothing has come since */
    bool is_closed;       /* our Close is in the output */
};
/* The client's bytes. Returns how many were used: the rest waits until the output has drained. May
 * end the request. */
size_t websocket_feed(struct conn *c, const char *data, size_t len);
/* The server is draining. May end the request. */
void websocket_drain(struct websocket *ws);
void websocket_free(struct websocket *ws); /* NULL is fine */

/* ---- cors.c ---- */
/* The lines that let a browser's page read this answer: none when its origin is not allowed. */
void cors_write(struct request *req, struct buf *out);
/* Adds what a preflight asks for (Fetch standard, section 3.2). */
void cors_preflight(struct request *req, unsigned methods);

/* ---- trace.c ---- */
/* The address is known. Sets req->span. */
void request_begin_span(struct request *req);
void request_end_span(struct request *req);

/* ---- address.c ---- */
/* Fills address, address_group and is_secure. peer NULL: a client at a file, on this machine. */
struct error address_fill(struct request *req, const struct ip *peer) MUST_CHECK;

#endif
