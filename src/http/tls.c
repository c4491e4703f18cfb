/* One connection's TLS. OpenSSL reads and writes the socket itself, by a BIO of ours. A parked
 * connection keeps no buffers: they go with the last byte that is read or written. */
#include "tls.h"

#include "base/log.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <uv.h>

/* ---- the socket, as OpenSSL sees it ---- */

static int bio_read(BIO *bio, char *out, int len)
{
    struct tls *t = BIO_get_data(bio);
    ssize_t n;

    BIO_clear_retry_flags(bio);
    if (t->is_dry) {
        BIO_set_retry_read(bio);
        return -1;
    }
    n = recv(t->fd, out, (size_t)len, MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        BIO_set_retry_read(bio);
    if (n == 0)
        t->has_fin = true;
    return (int)n;
}

static int bio_write(BIO *bio, const char *data, int len)
{
    struct tls *t = BIO_get_data(bio);
    ssize_t n;

    BIO_clear_retry_flags(bio);
    if (t->is_broken)
        return -1;
    n = send(t->fd, data, (size_t)len, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == ENOBUFS || errno == EINTR))
        BIO_set_retry_write(bio);
    else
        t->is_broken = n < 0;
    return (int)n;
}

static long bio_ctrl(BIO *bio, int command, long number, void *data)
{
    const struct tls *t = BIO_get_data(bio);

    (void)number;
    (void)data;
    if (command == BIO_CTRL_EOF)
        return t->has_fin;
    return command == BIO_CTRL_FLUSH; /* it keeps nothing back; all else it does not know */
}

BIO_METHOD *tls_bio_method(void)
{
    BIO_METHOD *method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "aerie");

    if (method && BIO_meth_set_read(method, bio_read) == 1 &&
        BIO_meth_set_write(method, bio_write) == 1 && BIO_meth_set_ctrl(method, bio_ctrl) == 1)
        return method;
    BIO_meth_free(method);
    return NULL;
}

/* ---- its life ---- */

struct tls *tls_new(struct tls_server *s, int fd)
{
    struct tls *t = calloc(1, sizeof(*t));
    BIO *bio;

    if (!t)
        return NULL;
    t->fd = fd;
    t->ssl = tls_server_take_ssl(s, &bio);
    if (!t->ssl) {
        free(t);
        return NULL;
    }
    BIO_set_data(bio, t);
    BIO_set_init(bio, 1);
    return t;
}

void tls_free(struct tls *t)
{
    if (!t)
        return;
    list_remove(&t->turn);
    SSL_free(t->ssl);
    free(t);
}

/* What OpenSSL says to a call that did not succeed: what it waits for, or that all is over. */
static int judge(struct tls *t)
{
    int error = SSL_get_error(t->ssl, -1);

    if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE ||
        error == SSL_ERROR_ZERO_RETURN)
        return error;
    t->has_failed = true;
    if (t->has_fin)
        log_debug("http: connection %d: TLS was cut off", t->fd);
    else if (ERR_peek_error() != 0)
        log_debug("http: connection %d: TLS failed: %s", t->fd,
                  ERR_reason_error_string(ERR_peek_error()));
    ERR_clear_error();
    return SSL_ERROR_SSL;
}

enum tls_progress tls_handshake(struct tls *t)
{
    ERR_clear_error();
    if (SSL_do_handshake(t->ssl) == 1) {
        t->is_established = true;
        t->has_rest = SSL_has_pending(t->ssl);
        t->reads_when_writable = false;
        return TLS_ESTABLISHED;
    }
    switch (judge(t)) {
    case SSL_ERROR_WANT_READ:
        t->reads_when_writable = false;
        return TLS_WAITING;
    case SSL_ERROR_WANT_WRITE:
        t->reads_when_writable = true;
        return TLS_WAITING;
    default:
        return TLS_FAILED;
    }
}

bool tls_is_resumed(const struct tls *t)
{
    return SSL_session_reused(t->ssl) == 1;
}

void tls_say_end(struct tls *t)
{
    if (!t->is_established || t->has_failed)
        return;
    ERR_clear_error();
    (void)SSL_shutdown(t->ssl);
    ERR_clear_error();
}

/* ---- reading and writing ---- */

static ssize_t must_wait(void)
{
    errno = EAGAIN;
    return -1;
}

static ssize_t is_lost(void)
{
    errno = ECONNRESET;
    return -1;
}

/* at: so many bytes are to be handed on before that counts; what ended stays so until asked again.
 */
static ssize_t end_reading(struct tls *t, size_t at)
{
    int error = judge(t);

    t->reads_when_writable = error == SSL_ERROR_WANT_WRITE;
    if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE)
        return at > 0 ? (ssize_t)at : must_wait();
    t->has_rest = at > 0;
    if (at > 0)
        return (ssize_t)at;
    return error == SSL_ERROR_ZERO_RETURN ? 0 : is_lost();
}

/* A record after the other, as long as OpenSSL has some of them: it takes from the socket as much
 * as its buffer holds. */
ssize_t tls_read(struct tls *t, void *out, size_t len)
{
    size_t at = 0, n;

    t->has_rest = false;
    if (t->has_failed)
        return is_lost();
    ERR_clear_error();
    do {
        if (SSL_read_ex(t->ssl, (char *)out + at, len - at, &n) != 1)
            return end_reading(t, at);
        at += n;
        t->has_rest = SSL_has_pending(t->ssl) == 1;
    } while (t->has_rest && at < len);
    t->reads_when_writable = false;
    return (ssize_t)at;
}

ssize_t tls_read_rest(struct tls *t, void *out, size_t len)
{
    ssize_t n;

    t->is_dry = true;
    n = tls_read(t, out, len);
    t->is_dry = false;
    return n;
}

ssize_t tls_write(struct tls *t, const void *data, size_t len)
{
    size_t n;
    int error;

    if (t->has_failed)
        return is_lost();
    ERR_clear_error();
    if (SSL_write_ex(t->ssl, data, len, &n) == 1) {
        t->writes_when_readable = false;
        return (ssize_t)n;
    }
    error = judge(t);
    t->writes_when_readable = error == SSL_ERROR_WANT_READ;
    if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE)
        return must_wait();
    return is_lost();
}

/* ---- what the socket is waited for ---- */

int tls_events_to_await(const struct tls *t, int wanted)
{
    int events = 0;

    if (wanted & UV_READABLE)
        events |= t->reads_when_writable ? UV_WRITABLE : UV_READABLE;
    if (wanted & UV_WRITABLE)
        events |= t->writes_when_readable ? UV_READABLE : UV_WRITABLE;
    return events;
}

int tls_events_that_came(const struct tls *t, int events)
{
    int came = events;

    if ((events & UV_WRITABLE) && t->reads_when_writable)
        came |= UV_READABLE;
    if ((events & UV_READABLE) && t->writes_when_readable)
        came |= UV_WRITABLE;
    return came;
}
