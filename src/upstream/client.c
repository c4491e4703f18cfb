/* HTTP out on a loop: libcurl's multi handles driven by uv_poll, deadlines by the loop's wheel.
 * Nobody is called from inside libcurl but on_body; all else happens at the end of the loop's turn.
 */
#include "client.h"

#include "base/log.h"
#include "config/config.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define HEAD_MAX_BYTES (64 * 1024)
/* Starting a transfer gets slower with the number that one multi holds (23 µs at 0, 192 at 7,500).
 */
#define MULTI_MAX_TRANSFERS 500
#define MULTIS_MAX          64
#define SPARE_EASIES_MAX    64
#define USER_AGENT          "Aerie/" AERIE_VERSION

/* A socket that libcurl asked us to open. It lives until uv_poll's close callback. */
struct sock {
    uv_poll_t poll;
    struct multi *multi;
    struct post *connecting; /* who opened it, until the connection stands */
    curl_socket_t fd;
    ino_t inode;
};

struct multi {
    CURLM *curl;
    uv_timer_t timer;
    struct client *client;
    unsigned n_transfers;
};

struct client {
    struct loop *loop;
    struct multi *multis[MULTIS_MAX];
    unsigned n_multis;
    struct sock **socks; /* by descriptor */
    size_t n_socks;
    CURL *spare[SPARE_EASIES_MAX];
    unsigned n_spare;
    struct curl_slist *headers; /* what every request carries */
    struct resolver resolver;
    unsigned n_closing; /* handles whose close callback is to come, and the resolver */
    void (*on_closed)(struct loop *l);
};

static void on_flush(struct flush *f)
{
    struct post *p = container_of(f, struct post, flush);

    p->on_progress(p); /* may free p */
}

static void post_changed(struct post *p)
{
    loop_mark_dirty(&p->flush, on_flush);
}

/* ---- sockets ---- */

static struct sock *find_sock(const struct client *c, curl_socket_t fd)
{
    return fd >= 0 && (size_t)fd < c->n_socks ? c->socks[fd] : NULL;
}

static bool reserve_sock(struct client *c, curl_socket_t fd)
{
    size_t n = c->n_socks ? c->n_socks : 64;
    struct sock **more;

    if ((size_t)fd < c->n_socks)
        return true;
    while (n <= (size_t)fd)
        n *= 2;
    more = realloc(c->socks, n * sizeof(*more));
    if (!more)
        return false;
    memset(more + c->n_socks, 0, (n - c->n_socks) * sizeof(*more));
    c->socks = more;
    c->n_socks = n;
    return true;
}

static void client_closed_one(struct client *c);

static void on_sock_closed(uv_handle_t *handle)
{
    struct sock *s = container_of((uv_poll_t *)handle, struct sock, poll);
    struct client *c = s->multi->client;

    free(s);
    client_closed_one(c);
}

static bool watch_socket(struct post *p, curl_socket_t fd)
{
    struct client *c = p->client;
    struct stat status;
    struct sock *s;

    if (!reserve_sock(c, fd) || fstat(fd, &status) != 0)
        return false;
    s = calloc(1, sizeof(*s));
    if (!s)
        return false;
    if (uv_poll_init_socket(&c->loop->uv, &s->poll, fd) != 0) {
        free(s);
        return false;
    }
    s->fd = fd;
    s->inode = status.st_ino;
    s->multi = p->multi;
    s->connecting = p;
    p->sock = s;
    c->socks[fd] = s;
    c->n_closing++;
    return true;
}

/* After DNS and before each connection: the one place that every connection passes. */
static curl_socket_t open_socket(void *data, curlsocktype purpose, struct curl_sockaddr *address)
{
    struct post *p = data;
    curl_socket_t fd;

    (void)purpose;
    if (!egress_allows(&address->addr, str_from(p->url.host))) {
        log_warn("upstream: %s has an inner address, which egress.allow does not list",
                 p->url.host);
        return CURL_SOCKET_BAD;
    }
    fd = socket(address->family, address->socktype | SOCK_NONBLOCK | SOCK_CLOEXEC,
                address->protocol);
    if (fd < 0) {
        log_warn("upstream: no socket for a connection: %s", strerror(errno));
        return CURL_SOCKET_BAD;
    }
    if (!watch_socket(p, fd)) {
        close(fd);
        return CURL_SOCKET_BAD;
    }
    return fd;
}

/* s is not the connecting one of its post any more. */
static void settle_sock(struct sock *s)
{
    if (s->connecting)
        s->connecting->sock = NULL;
    s->connecting = NULL;
}

/* The poll handle goes before the descriptor: a number that is used again must find no stale one.
 */
static void unwatch(struct sock *s)
{
    settle_sock(s);
    s->multi->client->socks[s->fd] = NULL;
    uv_close((uv_handle_t *)&s->poll, on_sock_closed);
}

static int close_socket(void *data, curl_socket_t fd)
{
    struct sock *s = find_sock(data, fd);

    if (s)
        unwatch(s);
    return close(fd);
}

/* libcurl 7.88 forgets the socket of a transfer that is removed while it connects: neither the
 * callback nor close() is called. The inode tells whether the descriptor is still this socket. */
static void close_forgotten(struct sock *s)
{
    struct stat status;
    curl_socket_t fd = s->fd;
    bool is_open = fstat(fd, &status) == 0 && status.st_ino == s->inode;

    unwatch(s);
    if (is_open)
        close(fd);
}

/* ---- libcurl and the loop ---- */

static void collect_ended(struct multi *m);

static void on_socket_event(uv_poll_t *poll, int status, int events)
{
    struct sock *s = container_of(poll, struct sock, poll);
    struct multi *m = s->multi;
    int flags = 0, running;

    if (status < 0)
        flags |= CURL_CSELECT_ERR;
    if (events & UV_READABLE)
        flags |= CURL_CSELECT_IN;
    if (events & UV_WRITABLE)
        flags |= CURL_CSELECT_OUT;
    curl_multi_socket_action(m->curl, s->fd, flags, &running);
    collect_ended(m);
}

static int on_curl_socket(CURL *easy, curl_socket_t fd, int what, void *data, void *socket_data)
{
    struct multi *m = data;
    struct sock *s = find_sock(m->client, fd);
    int events = 0;

    (void)easy;
    (void)socket_data;
    if (!s)
        return 0;
    /* Closing a poll handle here is not allowed; stopping is, and close_socket() closes it. */
    if (what == CURL_POLL_REMOVE) {
        uv_poll_stop(&s->poll);
        return 0;
    }
    if (what & CURL_POLL_IN)
        events |= UV_READABLE;
    if (what & CURL_POLL_OUT)
        events |= UV_WRITABLE;
    uv_poll_start(&s->poll, events, on_socket_event);
    return 0;
}

static void on_multi_timer(uv_timer_t *timer)
{
    struct multi *m = container_of(timer, struct multi, timer);
    int running;

    curl_multi_socket_action(m->curl, CURL_SOCKET_TIMEOUT, 0, &running);
    collect_ended(m);
}

static int on_curl_timer(CURLM *curl, long timeout_ms, void *data)
{
    struct multi *m = data;

    (void)curl;
    if (timeout_ms < 0)
        uv_timer_stop(&m->timer);
    else
        uv_timer_start(&m->timer, on_multi_timer, (uint64_t)timeout_ms, 0);
    return 0;
}

static void on_multi_closed(uv_handle_t *handle)
{
    struct multi *m = container_of((uv_timer_t *)handle, struct multi, timer);
    struct client *c = m->client;

    client_closed_one(c);
}

static struct multi *multi_new(struct client *c)
{
    struct multi *m = calloc(1, sizeof(*m));

    if (!m)
        return NULL;
    m->client = c;
    m->curl = curl_multi_init();
    if (!m->curl) {
        free(m);
        return NULL;
    }
    uv_timer_init(&c->loop->uv, &m->timer);
    c->n_closing++;
    curl_multi_setopt(m->curl, CURLMOPT_SOCKETFUNCTION, on_curl_socket);
    curl_multi_setopt(m->curl, CURLMOPT_SOCKETDATA, m);
    curl_multi_setopt(m->curl, CURLMOPT_TIMERFUNCTION, on_curl_timer);
    curl_multi_setopt(m->curl, CURLMOPT_TIMERDATA, m);
    curl_multi_setopt(m->curl, CURLMOPT_PIPELINING, (long)CURLPIPE_MULTIPLEX);
    /* It counts busy connections too. */
    curl_multi_setopt(m->curl, CURLMOPT_MAXCONNECTS,
                      (long)(MULTI_MAX_TRANSFERS + config()->upstream.idle_connections));
    return m;
}

/* The first one with room, so that idle connections are found again. */
static struct multi *pick_multi(struct client *c)
{
    for (unsigned i = 0; i < c->n_multis; i++)
        if (c->multis[i]->n_transfers < MULTI_MAX_TRANSFERS)
            return c->multis[i];
    if (c->n_multis == MULTIS_MAX)
        return NULL;
    c->multis[c->n_multis] = multi_new(c);
    return c->multis[c->n_multis] ? c->multis[c->n_multis++] : NULL;
}

/* ---- what libcurl asks of a transfer ---- */

static size_t give_body(char *to, size_t size, size_t n, void *data)
{
    struct post *p = data;
    size_t left = p->body.len - p->body_sent, room = size * n;
    size_t len = left < room ? left : room;

    if (len > 0)
        memcpy(to, p->body.data + p->body_sent, len);
    p->body_sent += len;
    return len;
}

/* libcurl sends a POST again by itself when a reused connection dies, unless it cannot rewind. */
static int refuse_rewind(void *data, curl_off_t offset, int origin)
{
    (void)data;
    (void)offset;
    (void)origin;
    return CURL_SEEKFUNC_FAIL;
}

static uint64_t seconds(uint64_t s)
{
    return s * 1000;
}

static void on_deadline(struct timer *t);

/* The connection stands, the first byte of the request is about to go. */
static int on_connected(void *data, char *peer_ip, char *our_ip, int peer_port, int our_port)
{
    struct post *p = data;

    (void)peer_ip;
    (void)our_ip;
    (void)peer_port;
    (void)our_port;
    if (p->sock)
        settle_sock(p->sock);
    p->phase = POST_SENT;
    p->may_have_arrived = true;
    timer_start(&p->deadline, seconds(config()->upstream.first_byte_seconds), on_deadline);
    return CURL_PREREQFUNC_OK;
}

static void read_status_line(struct post *p, struct str line)
{
    size_t space = str_find(line, ' ');

    p->http_status = 0;
    p->retry_after_s = -1;
    p->is_encoded = false;
    p->is_framed = str_starts_with(line, STR("HTTP/2"));
    for (size_t i = space + 1; i < line.len && i < space + 4; i++)
        if (line.ptr[i] >= '0' && line.ptr[i] <= '9')
            p->http_status = p->http_status * 10 + (line.ptr[i] - '0');
}

static void read_header(struct post *p, struct str name, struct str value)
{
    int64_t number;

    if (str_eq_nocase(name, STR("content-length")) ||
        (str_eq_nocase(name, STR("transfer-encoding")) && !str_eq_nocase(value, STR("identity"))))
        p->is_framed = true;
    else if (str_eq_nocase(name, STR("content-encoding")))
        p->is_encoded = value.len > 0 && !str_eq_nocase(value, STR("identity"));
    else if (str_eq_nocase(name, STR("retry-after")) && str_to_i64(value, &number) && number >= 0)
        p->retry_after_s = number > 86400 ? 86400 : (int)number;
}

static bool is_success(const struct post *p)
{
    return p->http_status >= 200 && p->http_status < 300;
}

static void mark_ended(struct post *p, struct error err)
{
    if (p->is_done)
        return;
    p->is_done = true;
    p->phase = POST_ENDED;
    p->err = err;
    post_changed(p);
}

static size_t on_header(char *bytes, size_t size, size_t n, void *data)
{
    struct post *p = data;
    size_t len = size * n;
    struct str line = str_trim((struct str){bytes, len});
    size_t colon;

    p->head_bytes += len;
    if (p->head_bytes > HEAD_MAX_BYTES) {
        mark_ended(p, ERROR(ERR_UPSTREAM_LIMIT, 0, "The agent's answer has too many headers."));
        return len;
    }
    if (p->phase == POST_READING || p->phase == POST_ENDED)
        return len; /* a trailer */
    if (str_starts_with(line, STR("HTTP/"))) {
        read_status_line(p, line);
        return len;
    }
    if (line.len > 0) {
        colon = str_find(line, ':');
        read_header(p, (struct str){line.ptr, colon}, str_trim(str_skip(line, colon + 1)));
        return len;
    }
    if (p->http_status >= 200 && !is_success(p))
        mark_ended(p, NO_ERROR); /* the body of a failure is nobody's business */
    return len;
}

static size_t on_bytes(char *bytes, size_t size, size_t n, void *data)
{
    struct post *p = data;
    size_t len = size * n;

    if (p->phase == POST_ENDED || len == 0)
        return len;
    p->last_byte_ms = loop_now_ms(p->client->loop);
    if (p->phase != POST_READING) {
        p->phase = POST_READING;
        timer_start(&p->deadline, seconds(config()->upstream.idle_seconds), on_deadline);
        if (p->body_sent == p->body.len)
            buf_deinit(&p->body);
    }
    p->on_body(p, (struct str){bytes, len});
    post_changed(p);
    return len;
}

/* ---- easy handles ---- */

static void set_constant_options(struct client *c, CURL *easy)
{
    struct str ca_file = config()->upstream.ca_file;

    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, 2048L);
    curl_easy_setopt(easy, CURLOPT_UPLOAD_BUFFERSIZE, 16384L);
    curl_easy_setopt(easy, CURLOPT_TCP_NODELAY, 1L);
    curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(easy, CURLOPT_REDIR_PROTOCOLS_STR, "https");
    curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(easy, CURLOPT_PROXY, "");
    curl_easy_setopt(easy, CURLOPT_NOPROXY, "*");
    curl_easy_setopt(easy, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
    curl_easy_setopt(easy, CURLOPT_DISALLOW_USERNAME_IN_URL, 1L);
    curl_easy_setopt(easy, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
    curl_easy_setopt(easy, CURLOPT_POST, 1L);
    curl_easy_setopt(easy, CURLOPT_READFUNCTION, give_body);
    curl_easy_setopt(easy, CURLOPT_SEEKFUNCTION, refuse_rewind);
    curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_bytes);
    curl_easy_setopt(easy, CURLOPT_PREREQFUNCTION, on_connected);
    curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, open_socket);
    curl_easy_setopt(easy, CURLOPT_CLOSESOCKETFUNCTION, close_socket);
    curl_easy_setopt(easy, CURLOPT_CLOSESOCKETDATA, c);
    if (ca_file.len > 0 && ca_file.len < 4096) {
        char path[4096];

        memcpy(path, ca_file.ptr, ca_file.len);
        path[ca_file.len] = '\0';
        curl_easy_setopt(easy, CURLOPT_CAINFO, path);
    }
}

static CURL *easy_take(struct client *c)
{
    CURL *easy;

    if (c->n_spare > 0)
        return c->spare[--c->n_spare];
    easy = curl_easy_init();
    if (easy)
        set_constant_options(c, easy);
    return easy;
}

static void easy_give_back(struct client *c, CURL *easy)
{
    if (c->n_spare == SPARE_EASIES_MAX) {
        curl_easy_cleanup(easy);
        return;
    }
    /* It must not point at what its last user frees. */
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, NULL);
    curl_easy_setopt(easy, CURLOPT_CONNECT_TO, NULL);
    c->spare[c->n_spare++] = easy;
}

static bool set_request_options(struct post *p)
{
    CURL *easy = p->easy;
    bool is_https = p->url.is_https;

    p->authorization.next = p->client->headers;
    curl_easy_setopt(easy, CURLOPT_PRIVATE, p);
    curl_easy_setopt(easy, CURLOPT_READDATA, p);
    curl_easy_setopt(easy, CURLOPT_HEADERDATA, p);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, p);
    curl_easy_setopt(easy, CURLOPT_PREREQDATA, p);
    curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, p);
    curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)p->body.len);
    curl_easy_setopt(easy, CURLOPT_MAXAGE_CONN, (long)p->max_idle_s);
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER,
                     p->authorization.data ? &p->authorization : p->client->headers);
    /* On plain HTTP, waiting for a connection to share made 200 streams wait for the first one. */
    curl_easy_setopt(easy, CURLOPT_HTTP_VERSION,
                     is_https ? (long)CURL_HTTP_VERSION_2TLS : (long)CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(easy, CURLOPT_PIPEWAIT, is_https ? 1L : 0L);
    return curl_easy_setopt(easy, CURLOPT_URL, p->url.full) == CURLE_OK;
}

/* ---- the life of a post ---- */

static void remove_easy(struct post *p)
{
    if (!p->easy)
        return;
    if (p->multi) {
        curl_multi_remove_handle(p->multi->curl, p->easy);
        if (p->sock)
            close_forgotten(p->sock);
        p->multi->n_transfers--;
        p->multi = NULL;
    }
    easy_give_back(p->client, p->easy);
    p->easy = NULL;
    curl_slist_free_all(p->connect_to);
    p->connect_to = NULL;
}

/* Tells libcurl the address, so that it looks nothing up; Host and SNI stay the name's. */
static bool set_address(struct post *p, unsigned index)
{
    char entry[INET6_ADDRSTRLEN + 32];
    bool is_v6 = p->addresses.is_v6[index];

    snprintf(entry, sizeof(entry), "::%s%s%s:%s", is_v6 ? "[" : "", p->addresses.text[index],
             is_v6 ? "]" : "", p->url.port);
    p->connect_to = curl_slist_append(NULL, entry);
    return p->connect_to &&
           curl_easy_setopt(p->easy, CURLOPT_CONNECT_TO, p->connect_to) == CURLE_OK;
}

/* An equal share of what is left of the time to connect for each address that is left. */
static uint64_t attempt_ms(const struct post *p)
{
    uint64_t now = loop_now_ms(p->client->loop);
    unsigned left = p->addresses.n - p->n_tried + 1;

    return p->connect_until_ms > now ? (p->connect_until_ms - now) / left : 0;
}

static struct error start_attempt(struct post *p)
{
    struct client *c = p->client;

    p->phase = POST_CONNECTING;
    p->easy = easy_take(c);
    if (!p->easy)
        return ERROR(ERR_NO_MEMORY, 0, NULL);
    if (!set_request_options(p) || !set_address(p, p->n_tried++))
        return ERROR(ERR_NO_MEMORY, 0, NULL);
    p->multi = pick_multi(c);
    if (!p->multi)
        return ERROR(ERR_BUSY, 1, "This server has too many calls to agents running.");
    timer_start(&p->deadline, attempt_ms(p), on_deadline);
    p->multi->n_transfers++;
    if (curl_multi_add_handle(p->multi->curl, p->easy) != CURLM_OK) {
        p->multi->n_transfers--;
        p->multi = NULL;
        return ERROR(ERR_NO_MEMORY, 0, NULL);
    }
    return NO_ERROR;
}

/* The only words for an address that is closed and for one that is refused. */
static struct error unreachable(int code)
{
    return ERROR(ERR_PROVIDER_UNREACHABLE, code, "The agent could not be reached.");
}

static void end_with(struct post *p, struct error err)
{
    timer_stop(&p->deadline);
    remove_easy(p);
    mark_ended(p, err);
}

/* Not inside libcurl. The attempt did not get as far as to send anything. */
static void try_next_address(struct post *p, struct error why)
{
    struct error err;

    remove_easy(p);
    if (p->n_tried >= p->addresses.n || loop_now_ms(p->client->loop) >= p->connect_until_ms) {
        end_with(p, why);
        return;
    }
    err = start_attempt(p);
    if (is_error(err))
        end_with(p, err);
}

static void on_deadline(struct timer *t)
{
    struct post *p = container_of(t, struct post, deadline);
    uint64_t now = loop_now_ms(p->client->loop);
    uint64_t idle_ms = seconds(config()->upstream.idle_seconds);

    switch (p->phase) {
    case POST_RESOLVING:
        resolver_cancel(&p->resolve);
        end_with(p, ERROR(ERR_PROVIDER_TIMEOUT, 0, "The agent's address was not found in time."));
        break;
    case POST_CONNECTING:
        try_next_address(
            p, ERROR(ERR_PROVIDER_TIMEOUT, 0, "The agent did not accept a connection in time."));
        break;
    case POST_SENT:
        end_with(p, ERROR(ERR_PROVIDER_TIMEOUT, 0, "The agent did not begin to answer in time."));
        break;
    case POST_READING: /* moved here once an expiry, not once a chunk */
        if (now < p->last_byte_ms + idle_ms)
            timer_start(t, p->last_byte_ms + idle_ms - now, on_deadline);
        else
            end_with(p, ERROR(ERR_PROVIDER_TIMEOUT, 0, "The agent fell silent while answering."));
        break;
    case POST_IDLE:
    case POST_ENDED:
        break;
    }
}

static struct error explain(const struct post *p, CURLcode code)
{
    if (code == CURLE_OK)
        return NO_ERROR;
    log_info("upstream: %s: %s", p->url.host, curl_easy_strerror(code));
    if (code == CURLE_UNSUPPORTED_PROTOCOL || code == CURLE_WEIRD_SERVER_REPLY ||
        code == CURLE_BAD_CONTENT_ENCODING)
        return ERROR(ERR_PROVIDER_MALFORMED, (int)code, "The agent's answer is not HTTP.");
    /* libcurl 7.88 says "out of memory" to a header line of more than 100 kB. */
    if (code == CURLE_OUT_OF_MEMORY)
        return p->may_have_arrived ? ERROR(ERR_UPSTREAM_LIMIT, (int)code,
                                           "The agent's answer has too many headers.")
                                   : ERROR(ERR_NO_MEMORY, (int)code, NULL);
    if (p->http_status >= 200)
        return ERROR(ERR_INTERRUPTED, (int)code, "The agent's answer was cut off.");
    if (p->may_have_arrived)
        return ERROR(ERR_PROVIDER_UNREACHABLE, (int)code,
                     "The agent closed the connection without an answer.");
    return unreachable((int)code);
}

static void collect_ended(struct multi *m)
{
    CURLMsg *message;
    int left;

    while ((message = curl_multi_info_read(m->curl, &left))) {
        CURLcode code = message->data.result;
        struct post *p = NULL;

        if (message->msg != CURLMSG_DONE)
            continue;
        curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &p);
        if (p->phase == POST_CONNECTING && code != CURLE_OK && code != CURLE_OUT_OF_MEMORY)
            try_next_address(p, explain(p, code));
        else
            end_with(p, explain(p, code));
    }
}

static void on_resolved(struct resolve *waiter, const struct addresses *found)
{
    struct post *p = container_of(waiter, struct post, resolve);
    struct error err;

    p->addresses = *found;
    if (found->n == 0) {
        log_info("upstream: %s has no address", p->url.host);
        end_with(p, unreachable(0));
        return;
    }
    err = start_attempt(p);
    if (is_error(err))
        end_with(p, err);
}

static struct error set_token(struct post *p, struct str token)
{
    size_t size = sizeof("Authorization: Bearer ") + token.len;

    if (token.len == 0)
        return NO_ERROR;
    if (str_has_control(token))
        return ERROR(ERR_PROVIDER_AUTH, 0, "The agent's token holds control characters.");
    p->authorization.data = malloc(size);
    if (!p->authorization.data)
        return ERROR(ERR_NO_MEMORY, 0, NULL);
    snprintf(p->authorization.data, size, "Authorization: Bearer %.*s", STR_ARG(token));
    return NO_ERROR;
}

static struct error find_address(struct post *p)
{
    struct addresses found;

    if (resolver_literal(p->url.host, &p->addresses))
        return start_attempt(p);
    p->resolve = (struct resolve){.done = on_resolved};
    switch (resolver_ask(&p->client->resolver, str_from(p->url.host), &p->resolve, &found)) {
    case RESOLVE_FOUND:
        p->addresses = found;
        return found.n > 0 ? start_attempt(p) : unreachable(0);
    case RESOLVE_WAITING:
        p->phase = POST_RESOLVING;
        timer_start(&p->deadline, seconds(config()->upstream.connect_seconds), on_deadline);
        return NO_ERROR;
    case RESOLVE_FULL:
        break;
    }
    return ERROR(ERR_BUSY, 1, "This server looks up too many names at once.");
}

struct error post_start(struct client *c, struct post *p, const struct post_request *rq)
{
    void (*on_body)(struct post *, struct str) = p->on_body;
    void (*on_progress)(struct post *) = p->on_progress;
    struct error err;

    loop_assert_current(c->loop);
    *p = (struct post){.on_body = on_body, .on_progress = on_progress, .client = c};
    p->body = *rq->body;
    *rq->body = (struct buf){0};
    p->retry_after_s = -1;
    p->max_idle_s = rq->max_idle_s;
    p->connect_until_ms = loop_now_ms(c->loop) + seconds(config()->upstream.connect_seconds);
    err = egress_parse_url(rq->url, &p->url);
    if (err.status == ERR_INVALID)
        err = ERROR(ERR_PROVIDER_UNREACHABLE, 0, "The agent's URL is not valid.");
    if (!is_error(err))
        err = set_token(p, rq->token);
    if (!is_error(err))
        err = find_address(p);
    if (is_error(err))
        post_end(p);
    return err;
}

void post_end(struct post *p)
{
    if (!p->client)
        return;
    timer_stop(&p->deadline);
    loop_unmark_dirty(&p->flush);
    resolver_cancel(&p->resolve);
    remove_easy(p);
    curl_slist_free_all(p->connect_to);
    p->connect_to = NULL;
    if (p->authorization.data)
        explicit_bzero(p->authorization.data, strlen(p->authorization.data));
    free(p->authorization.data);
    p->authorization.data = NULL;
    buf_deinit(&p->body);
    egress_url_free(&p->url);
    p->phase = POST_IDLE;
    p->client = NULL;
}

/* ---- the client ---- */

static bool make_headers(struct client *c)
{
    static const char *const lines[] = {"Content-Type: application/json",
                                        "Accept: text/event-stream, application/json, text/plain",
                                        "User-Agent: " USER_AGENT, "Expect:"};

    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        struct curl_slist *more = curl_slist_append(c->headers, lines[i]);

        if (!more)
            return false;
        c->headers = more;
    }
    return true;
}

struct client *client_new(struct loop *l, struct workers *resolver_workers)
{
    struct client *c = calloc(1, sizeof(*c));

    if (!c)
        return NULL;
    c->loop = l;
    if (!make_headers(c) || !resolver_init(&c->resolver, resolver_workers)) {
        curl_slist_free_all(c->headers);
        free(c);
        return NULL;
    }
    c->n_closing = 1; /* the resolver */
    return c;
}

static void client_closed_one(struct client *c)
{
    void (*on_closed)(struct loop *) = c->on_closed;
    struct loop *l = c->loop;

    if (--c->n_closing > 0)
        return;
    for (unsigned i = 0; i < c->n_multis; i++)
        free(c->multis[i]);
    curl_slist_free_all(c->headers);
    free(c->socks);
    free(c);
    on_closed(l);
}

static void on_resolver_idle(struct resolver *r)
{
    client_closed_one(container_of(r, struct client, resolver));
}

void client_close(struct client *c, void (*on_closed)(struct loop *l))
{
    c->on_closed = on_closed;
    while (c->n_spare > 0)
        curl_easy_cleanup(c->spare[--c->n_spare]);
    for (unsigned i = 0; i < c->n_multis; i++) {
        assert(c->multis[i]->n_transfers == 0);
        curl_multi_cleanup(c->multis[i]->curl); /* closes the idle connections */
        uv_close((uv_handle_t *)&c->multis[i]->timer, on_multi_closed);
    }
    resolver_close(&c->resolver, on_resolver_idle); /* last: may free c */
}
