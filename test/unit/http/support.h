/* A server on a real loop and a socket of a client, on one thread: the test turns the loop by hand.
 */
#ifndef AERIE_TEST_HTTP_SUPPORT_H
#define AERIE_TEST_HTTP_SUPPORT_H

#include "config/config.h"
#include "http/internal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* In force while a server runs; a test may change it between server_start() and the first
 * connection. */
extern struct config test_config;
/* Where the next server_start() listens, instead of a free port; of which server_stop() forgets. */
extern struct config_list test_listen;
extern const char *test_peers; /* where peers reach it, or NULL */
extern const char *test_metrics; /* where the metrics are, or NULL */

struct test_server {
    struct loop *loop;
    struct http_server *server;
    bool is_drained;
    /* Set by the routes below. */
    struct request *parked; /* the request of /wait or /stream whose operation is open */
    struct op *parked_op;
    unsigned n_ended;       /* flows of /wait, /stream and /socket that have ended */
    enum status last_error; /* of the last of them */
    unsigned n_drained;
    unsigned n_texts; /* messages that /socket got */
};
extern struct test_server ts;

/* Routes: GET /hello · GET /items/special · GET+DELETE /items/{id} · GET /items/{id}/parts/{part} ·
 * POST /echo (JSON) · POST /form · POST /upload (part "file") · POST /ignore · GET /fail (422) ·
 * GET /busy (503) · GET /mute (no answer) · GET /secret (401 by the hook) · GET /query?name= · GET
 * /cookie · GET /address · GET /wait and POST /wait (until finish_parked()) · GET /stream (until
 * finish_parked()) · GET /flood (a stream of FLOOD_BYTES, by is_full and on_drained) · GET /socket (a
 * WebSocket: "end", "fail" and "close" do so; "big" gets BIG_BYTES, "flood" FLOOD_BYTES in many
 * messages; all else comes back; draining ends it with 1001) */
#define BIG_BYTES 10000
#define FLOOD_BYTES (8 * 1024 * 1024)
void server_start(const char *trusted_proxies);
void server_stop(void); /* aborts what is left; fails the test when a flow or a connection stays */
/* Ends the parked request's operation well: /wait answers "waited", /stream ends. */
void finish_parked(void);

/* Turns the loop n times without waiting. */
void turn(unsigned n);
/* Turns the loop until *flag, at most five seconds. */
void turn_until(const bool *flag);

int client_connect(void); /* non-blocking */
void client_send(int fd, const char *text);
void client_send_bytes(int fd, const void *data, size_t len);
/* Reads until the text so far holds what, or the connection ends; NUL-terminated, the caller frees.
 */
char *client_read_until(int fd, const char *what);
char *client_read_to_end(int fd); /* fails the test when it does not end */
/* Connects, sends, reads to the end of the connection. */
char *ask(const char *request);
void assert_status(const char *answer, int status);
bool client_is_closed(int fd); /* turns the loop for a while first */

/* A client's frame, masked: first is FIN, the reserved bits and the opcode. */
void frame_append(struct buf *out, unsigned first, const char *payload, size_t len);

/* The one connection that the server has. */
struct conn *the_conn(void);
/* Lets a timer's time come. */
void fire(struct timer *t);

#endif
