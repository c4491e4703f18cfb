/* The certificates in force and the keys of session tickets. A connection holds the context that it
 * began with, so that new certificates take nothing from those that stand. */
#include "config/config.h"
#include "tls.h"

#include "base/arena.h"
#include "base/clock.h"
#include "base/crypto.h"
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

/* Less than this is left: whoever renews certificates by themselves has failed to by now. */
#define DAYS_SOON 14
#define DAY_US    (INT64_C(24) * 3600 * 1000000)
/* A ticket is good for so long. Each key makes tickets for that time and opens them for as long
 * again: what was recorded on the wire can be read by who takes a key within these four hours. */
#define TICKET_SECONDS 7200
/* A record of ours: the buffer that a client costs whose socket is full. */
#define RECORD_BYTES 4096

/* Another process may be handed it: what changes here needs another KEYS_FORM. */
struct ticket_key {
    unsigned char name[16], cipher[32], mac[32];
    uint64_t made_ms; /* by the machine's clock; 0: there is none */
};
#define KEYS_FORM "aerie tickets 1"

struct tls_server {
    uv_mutex_t lock;           /* ctx and keys */
    SSL_CTX *ctx;              /* the first certificate's; the others hang on it */
    struct ticket_key keys[2]; /* that makes tickets, and the one before it */
    BIO_METHOD *bio_method;
    atomic_llong ends_us; /* the first of the certificates */
};

/* The certificates besides the first one, freed with its context. */
struct others {
    size_t n;
    SSL_CTX *ctx[];
};
static int others_index = -1;

static char problem[512];

/* The sentence for people; with what OpenSSL says, when it says anything. */
__attribute__((format(printf, 1, 2))) static struct error fail(const char *format, ...)
{
    const char *reason = ERR_reason_error_string(ERR_peek_error());
    size_t at;
    va_list args;

    va_start(args, format);
    vsnprintf(problem, sizeof(problem), format, args);
    va_end(args);
    at = strlen(problem);
    if (reason && at < sizeof(problem))
        snprintf(problem + at, sizeof(problem) - at, " (%s)", reason);
    ERR_clear_error();
    return ERROR(ERR_INVALID, 0, problem);
}

/* ---- session tickets ---- */

/* The key that makes tickets now; the lock is held. */
static struct ticket_key *making_key(struct tls_server *s)
{
    struct ticket_key *key = &s->keys[0];

    if (key->made_ms != 0 && clock_mono_ms() - key->made_ms < TICKET_SECONDS * UINT64_C(1000))
        return key;
    s->keys[1] = *key;
    crypto_random(key->name, sizeof(key->name));
    crypto_random(key->cipher, sizeof(key->cipher));
    crypto_random(key->mac, sizeof(key->mac));
    key->made_ms = clock_mono_ms();
    return key;
}

/* NULL: the ticket is too old, of another process, or none of ours. */
static struct ticket_key *opening_key(struct tls_server *s, const unsigned char *name)
{
    for (size_t i = 0; i < 2; i++) {
        struct ticket_key *key = &s->keys[i];

        if (key->made_ms != 0 && memcmp(key->name, name, sizeof(key->name)) == 0 &&
            clock_mono_ms() - key->made_ms < 2 * TICKET_SECONDS * UINT64_C(1000))
            return key;
    }
    return NULL;
}

struct left_keys {
    char form[sizeof(KEYS_FORM)];
    struct ticket_key keys[2];
};
_Static_assert(sizeof(struct left_keys) <= PIPE_BUF, "a pipe takes it whole");

int tls_server_leave_keys(struct tls_server *s)
{
    struct left_keys left = {.form = KEYS_FORM};
    int ends[2];

    if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0)
        return -1;
    uv_mutex_lock(&s->lock);
    memcpy(left.keys, s->keys, sizeof(left.keys));
    uv_mutex_unlock(&s->lock);
    if (write(ends[1], &left, sizeof(left)) != (ssize_t)sizeof(left)) {
        close(ends[0]);
        ends[0] = -1;
    }
    close(ends[1]);
    OPENSSL_cleanse(&left, sizeof(left));
    return ends[0];
}

void tls_server_take_keys(struct tls_server *s, int fd)
{
    struct left_keys left;

    if (fd < 0)
        return;
    if (read(fd, &left, sizeof(left)) == (ssize_t)sizeof(left) &&
        memcmp(left.form, KEYS_FORM, sizeof(left.form)) == 0) {
        uv_mutex_lock(&s->lock);
        memcpy(s->keys, left.keys, sizeof(s->keys));
        uv_mutex_unlock(&s->lock);
    }
    close(fd);
    OPENSSL_cleanse(&left, sizeof(left));
}

/* SSL_CTX_set_tlsext_ticket_key_evp_cb(3): 1 it is done; 2 opened, and a new one is to be made; 0
 * not opened; -1 failed. */
static int on_ticket(SSL *ssl, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *cipher,
                     EVP_MAC_CTX *mac, int is_made)
{
    struct tls_server *s = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
    struct ticket_key key = {.made_ms = 0};
    OSSL_PARAM params[3];
    const struct ticket_key *found;
    bool is_old, is_done;

    uv_mutex_lock(&s->lock);
    found = is_made ? making_key(s) : opening_key(s, name);
    is_old = found == &s->keys[1];
    if (found)
        key = *found;
    uv_mutex_unlock(&s->lock);
    if (!found)
        return 0;
    if (is_made) {
        memcpy(name, key.name, sizeof(key.name));
        crypto_random(iv, (size_t)EVP_CIPHER_get_iv_length(EVP_aes_256_cbc()));
    }
    params[0] = OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, key.mac, sizeof(key.mac));
    params[1] = OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, (char[]){"SHA256"}, 0);
    params[2] = OSSL_PARAM_construct_end();
    is_done = EVP_CipherInit_ex(cipher, EVP_aes_256_cbc(), NULL, key.cipher, iv, is_made) == 1 &&
              EVP_MAC_CTX_set_params(mac, params) == 1;
    OPENSSL_cleanse(&key, sizeof(key));
    if (!is_done)
        return -1;
    return is_old ? 2 : 1;
}

/* ---- what is agreed with clients ---- */

/* RFC 7301: HTTP/1.1, or nothing that we both speak. */
static int on_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_len,
                   const unsigned char *offered, unsigned n_offered, void *arg)
{
    static const char spoken[] = "http/1.1";

    (void)ssl;
    (void)arg;
    for (unsigned at = 0; at < n_offered; at += offered[at] + 1U) {
        if (offered[at] == sizeof(spoken) - 1 && at + offered[at] < n_offered &&
            memcmp(offered + at + 1, spoken, sizeof(spoken) - 1) == 0) {
            *out = offered + at + 1;
            *out_len = sizeof(spoken) - 1;
            return SSL_TLSEXT_ERR_OK;
        }
    }
    return SSL_TLSEXT_ERR_ALERT_FATAL;
}

static bool is_for(SSL_CTX *ctx, const char *name)
{
    return X509_check_host(SSL_CTX_get0_certificate(ctx), name, 0, 0, NULL) == 1;
}

/* The first certificate that is good for the name; the first of all where none is. */
static int on_name(SSL *ssl, int *alert, void *arg)
{
    const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
    SSL_CTX *first = SSL_get_SSL_CTX(ssl);
    const struct others *others = SSL_CTX_get_ex_data(first, others_index);

    (void)alert;
    (void)arg;
    if (!name || !others || is_for(first, name))
        return SSL_TLSEXT_ERR_OK;
    for (size_t i = 0; i < others->n; i++)
        if (is_for(others->ctx[i], name))
            return SSL_set_SSL_CTX(ssl, others->ctx[i]) ? SSL_TLSEXT_ERR_OK
                                                        : SSL_TLSEXT_ERR_ALERT_FATAL;
    return SSL_TLSEXT_ERR_OK;
}

static struct error set_rules(struct tls_server *s, SSL_CTX *ctx, struct arena *a)
{
    const struct config_tls *tls = &config()->tls;
    struct str ciphers = arena_copy(a, tls->ciphers);
    int least = str_eq(tls->min_version, STR("1.3")) ? TLS1_3_VERSION : TLS1_2_VERSION;

    if (!ciphers.ptr)
        return ERROR(ERR_NO_MEMORY, 0, NULL);
    SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                                 SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
    SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                              SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_read_ahead(ctx, 1);
    SSL_CTX_set_max_send_fragment(ctx, RECORD_BYTES);
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF); /* the client keeps it, in a ticket */
    SSL_CTX_set_timeout(ctx, TICKET_SECONDS);
    SSL_CTX_set_alpn_select_cb(ctx, on_alpn, NULL);
    SSL_CTX_set_tlsext_servername_callback(ctx, on_name);
    SSL_CTX_set_app_data(ctx, s);
    if (SSL_CTX_set_tlsext_ticket_key_evp_cb(ctx, on_ticket) != 1 ||
        SSL_CTX_set_min_proto_version(ctx, least) != 1)
        return fail("TLS cannot be set up");
    if (SSL_CTX_set_cipher_list(ctx, ciphers.ptr) != 1)
        return fail("tls.ciphers: OpenSSL knows none of them");
    return NO_ERROR;
}

/* ---- reading certificates ---- */

static int no_passphrase(char *out, int size, int is_written, void *arg)
{
    (void)out;
    (void)size;
    (void)is_written;
    *(bool *)arg = true;
    return 0;
}

static int64_t time_us(const ASN1_TIME *time)
{
    struct tm tm;

    return ASN1_TIME_to_tm(time, &tm) == 1 ? (int64_t)timegm(&tm) * 1000000 : 0;
}

static int64_t end_us(SSL_CTX *ctx)
{
    return time_us(X509_get0_notAfter(SSL_CTX_get0_certificate(ctx)));
}

static struct error check_time(SSL_CTX *ctx, const char *path)
{
    const X509 *certificate = SSL_CTX_get0_certificate(ctx);

    if (time_us(X509_get0_notBefore(certificate)) > clock_wall_us())
        return fail("tls.certificate: %s is not valid yet: is the clock right?", path);
    if (end_us(ctx) <= clock_wall_us())
        return fail("tls.certificate: %s has expired: renew it", path);
    return NO_ERROR;
}

static struct error read_pair(SSL_CTX *ctx, const char *certificate, const char *key)
{
    bool has_passphrase = false;

    SSL_CTX_set_default_passwd_cb(ctx, no_passphrase);
    SSL_CTX_set_default_passwd_cb_userdata(ctx, &has_passphrase);
    if (access(certificate, R_OK) != 0)
        return fail("tls.certificate: %s cannot be read: %s", certificate, errno_text(errno));
    if (access(key, R_OK) != 0)
        return fail("tls.key: %s cannot be read: %s", key, errno_text(errno));
    if (SSL_CTX_use_certificate_chain_file(ctx, certificate) != 1)
        return fail("tls.certificate: %s must hold the certificate and those between it and its "
                    "authority, as PEM",
                    certificate);
    if (SSL_CTX_use_PrivateKey_file(ctx, key, SSL_FILETYPE_PEM) != 1) {
        if (has_passphrase)
            return fail("tls.key: %s is locked with a passphrase, for which nobody can be asked",
                        key);
        return fail("tls.key: %s must hold the key of %s, as PEM", key, certificate);
    }
    if (SSL_CTX_check_private_key(ctx) != 1)
        return fail("tls.key: %s is not the key of %s", key, certificate);
    return check_time(ctx, certificate);
}

static struct error make_context(struct tls_server *s, size_t i, struct arena *a, SSL_CTX **out)
{
    const struct config_tls *tls = &config()->tls;
    struct str certificate = arena_copy(a, tls->certificate.items[i]);
    struct str key = arena_copy(a, tls->key.items[i]);
    SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
    struct error err;

    *out = NULL;
    if (!ctx || !certificate.ptr || !key.ptr) {
        SSL_CTX_free(ctx);
        return ERROR(ERR_NO_MEMORY, 0, NULL);
    }
    err = set_rules(s, ctx, a);
    if (!is_error(err))
        err = read_pair(ctx, certificate.ptr, key.ptr);
    if (is_error(err)) {
        SSL_CTX_free(ctx);
        return err;
    }
    SSL_CTX_set_default_passwd_cb_userdata(ctx, NULL);
    *out = ctx;
    return NO_ERROR;
}

static void free_others(void *parent, void *ptr, CRYPTO_EX_DATA *data, int index, long number,
                        void *arg)
{
    struct others *others = ptr;

    (void)parent;
    (void)data;
    (void)index;
    (void)number;
    (void)arg;
    for (size_t i = 0; others && i < others->n; i++)
        SSL_CTX_free(others->ctx[i]);
    free(others);
}

static struct error check_lists(const struct config_tls *tls)
{
    if (tls->certificate.n == 0)
        return fail("tls.certificate must name the file of a certificate, and tls.key that of its "
                    "key: server.listen has a tls:// address");
    if (tls->certificate.n != tls->key.n)
        return fail("tls.certificate names %zu files and tls.key %zu: to each certificate belongs "
                    "a key, in the same order",
                    tls->certificate.n, tls->key.n);
    return NO_ERROR;
}

/* All of them: the first, with the others on it. */
static struct error read_all(struct tls_server *s, struct arena *a, SSL_CTX **out)
{
    const struct config_tls *tls = &config()->tls;
    struct error err = check_lists(tls);
    struct others *others;

    if (!is_error(err))
        err = make_context(s, 0, a, out);
    if (is_error(err) || tls->certificate.n == 1)
        return err;
    others = calloc(1, sizeof(*others) + (tls->certificate.n - 1) * sizeof(others->ctx[0]));
    if (!others || SSL_CTX_set_ex_data(*out, others_index, others) != 1) {
        free(others);
        return ERROR(ERR_NO_MEMORY, 0, NULL);
    }
    while (others->n < tls->certificate.n - 1 && !is_error(err)) {
        err = make_context(s, others->n + 1, a, &others->ctx[others->n]);
        if (!is_error(err))
            others->n++;
    }
    return err;
}

static int64_t first_end_us(SSL_CTX *ctx)
{
    const struct others *others = SSL_CTX_get_ex_data(ctx, others_index);
    int64_t first = end_us(ctx);

    for (size_t i = 0; others && i < others->n; i++) {
        int64_t end = end_us(others->ctx[i]);

        first = end < first ? end : first;
    }
    return first;
}

struct error tls_server_load(struct tls_server *s)
{
    struct arena a = {0};
    SSL_CTX *ctx = NULL, *old;
    struct error err;

    ERR_clear_error();
    err = read_all(s, &a, &ctx);
    arena_free(&a);
    if (is_error(err)) {
        SSL_CTX_free(ctx);
        return err;
    }
    atomic_store(&s->ends_us, first_end_us(ctx));
    uv_mutex_lock(&s->lock);
    old = s->ctx;
    s->ctx = ctx;
    uv_mutex_unlock(&s->lock);
    SSL_CTX_free(old);
    tls_server_warn(s);
    return NO_ERROR;
}

/* ---- opening and closing ---- */

struct error tls_server_open(struct tls_server **out)
{
    struct tls_server *s = calloc(1, sizeof(*s));
    struct error err = NO_ERROR;

    *out = NULL;
    if (!s || uv_mutex_init(&s->lock) != 0) {
        free(s);
        return ERROR(ERR_NO_MEMORY, 0, NULL);
    }
    if (others_index < 0)
        others_index = SSL_CTX_get_ex_new_index(0, NULL, NULL, NULL, free_others);
    s->bio_method = tls_bio_method();
    if (!s->bio_method || others_index < 0)
        err = ERROR(ERR_NO_MEMORY, 0, NULL);
    if (!is_error(err))
        err = tls_server_load(s);
    if (is_error(err))
        tls_server_close(s);
    else
        *out = s;
    return err;
}

void tls_server_close(struct tls_server *s)
{
    if (!s)
        return;
    SSL_CTX_free(s->ctx);
    BIO_meth_free(s->bio_method);
    uv_mutex_destroy(&s->lock);
    OPENSSL_cleanse(s->keys, sizeof(s->keys));
    free(s);
}

SSL *tls_server_take_ssl(struct tls_server *s, BIO **bio)
{
    SSL_CTX *ctx;
    SSL *ssl;

    uv_mutex_lock(&s->lock);
    ctx = s->ctx;
    SSL_CTX_up_ref(ctx);
    uv_mutex_unlock(&s->lock);
    ssl = SSL_new(ctx);
    SSL_CTX_free(ctx); /* ssl has its own */
    *bio = ssl ? BIO_new(s->bio_method) : NULL;
    if (!*bio) {
        SSL_free(ssl);
        return NULL;
    }
    SSL_set_bio(ssl, *bio, *bio);
    SSL_set_accept_state(ssl);
    return ssl;
}

/* ---- how long they are good ---- */

int64_t tls_server_ends_us(struct tls_server *s)
{
    return atomic_load(&s->ends_us);
}

uint64_t tls_server_days_left(struct tls_server *s)
{
    int64_t left_us = tls_server_ends_us(s) - clock_wall_us();

    return left_us > 0 ? (uint64_t)(left_us / DAY_US) : 0;
}

void tls_server_warn(struct tls_server *s)
{
    uint64_t days = tls_server_days_left(s);

    if (tls_server_ends_us(s) <= clock_wall_us())
        log_error("http: the certificate of tls.certificate has expired: renew it, then SIGHUP");
    else if (days < DAYS_SOON)
        log_warn("http: the certificate of tls.certificate ends in %llu day%s: renew it, then "
                 "SIGHUP",
                 (unsigned long long)days, days == 1 ? "" : "s");
}
