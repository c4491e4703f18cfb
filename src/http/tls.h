/* TLS (OpenSSL) beneath a connection's reading and writing, and the certificates that clients are
 * shown. */
#ifndef AERIE_SRC_HTTP_TLS_H
#define AERIE_SRC_HTTP_TLS_H

#include "base/buf.h"
#include "base/error.h"
#include "base/list.h"

#include <openssl/bio.h>
#include <sys/types.h>

/* ---- tls_server.c: what all connections share ---- */

/* Certificates, and the keys of session tickets. Connections that stand keep the certificate that
 * they began with. */
struct tls_server;

/* Reads the certificates that the configuration names. Main thread. The detail of an error says
 * which key is wrong, and lives until the next call of this or of tls_server_load(). */
struct error tls_server_open(struct tls_server **out) MUST_CHECK;
/* Reads them again, for connections to come; on an error nothing changes. Main thread. */
struct error tls_server_load(struct tls_server *s) MUST_CHECK;
/* When the first of the certificates ends. Any thread. */
int64_t tls_server_ends_us(struct tls_server *s);
/* Until then; 0 when it has. */
uint64_t tls_server_days_left(struct tls_server *s);
/* A line in the log when that is soon. Any thread. */
void tls_server_warn(struct tls_server *s);
/* The keys of tickets, from a server to the one that takes it over, so that clients resume there.
 * They go through a pipe, from memory to memory: the descriptor of its end to read is the caller's;
 * -1: there is none. Any thread. */
int tls_server_leave_keys(struct tls_server *s);
/* Closes it. Of another program's keys, or none, nothing is taken; -1 is fine. Before connections. */
void tls_server_take_keys(struct tls_server *s, int fd);
void tls_server_close(struct tls_server *s); /* NULL is fine; after all connections */

/* ---- tls.c: one connection ---- */

enum tls_progress { TLS_WAITING, TLS_ESTABLISHED, TLS_FAILED };

/* Belongs to its connection, and to that one's loop. */
struct tls {
    struct list turn;  /* among those whose handshake is to go on: handshake.c */
    struct conn *conn; /* whose it is: handshake.c */
    uint64_t left_ms;  /* of the client's time for the handshake, while it waits for its turn */
    SSL *ssl;
    int fd;          /* the connection's */
    bool has_begun;  /* the client's first byte was TLS's */
    bool has_fin;    /* the socket has ended */
    bool is_broken;  /* what OpenSSL wrote was lost: what came after it could not be read */
    bool has_failed; /* nothing can be read or written any more */
    bool is_established;
    bool is_dry;               /* during tls_read_rest(): the socket is left alone */
    bool has_rest;             /* of what was read from the socket, some was not handed on */
    bool reads_when_writable;  /* what OpenSSL waits for before it can go on reading */
    bool writes_when_readable; /* … and writing */
};

/* fd: non-blocking, stays the caller's. NULL: no memory. */
struct tls *tls_new(struct tls_server *s, int fd);
void tls_free(struct tls *t); /* NULL is fine; says nothing to the client */
enum tls_progress tls_handshake(struct tls *t);
bool tls_is_resumed(const struct tls *t);
/* As recv() and send(): -1 with EAGAIN when it must wait; 0 from tls_read() at the client's
 * close_notify. A connection that ends without one is lost: ECONNRESET. After EAGAIN the same bytes
 * must be given to tls_write() again, which may lie elsewhere and be followed by more. */
ssize_t tls_read(struct tls *t, void *out, size_t len);
ssize_t tls_write(struct tls *t, const void *data, size_t len);
/* As tls_read(), but leaves the socket alone: for has_rest, which no event of the socket tells. */
ssize_t tls_read_rest(struct tls *t, void *out, size_t len);
/* close_notify: all that was meant to be said was said. Of no effect where the socket is full. */
void tls_say_end(struct tls *t);
/* UV_READABLE and UV_WRITABLE: what the socket must be waited for, so that the connection can do
 * what it wants to do; and what can be done when that came. */
int tls_events_to_await(const struct tls *t, int wanted);
int tls_events_that_came(const struct tls *t, int events);

/* ---- between the two ---- */

/* An SSL for one connection, on a BIO of the method that is still to be told whose it is. NULL: no
 * memory. */
SSL *tls_server_take_ssl(struct tls_server *s, BIO **bio);
BIO_METHOD *tls_bio_method(void);

#endif
