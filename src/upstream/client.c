/* HTTP out on a loop: libcurl's multi handles driven by uv_poll. The one end that anybody hears of,
 * on_end, comes after libcurl has returned. */
#include "client.h"

#include "base/log.h"
#include "config/config.h"
#include "egress.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

/* Starting a transfer gets slower with the number that one multi holds (23 µs at 0, 192 at 7,500).
 */
#define PLAIN_MAX_TRANSFERS 500
/* As many as libcurl puts on one HTTP/2 connection: while a second one to the same host connects,
 * 7.88 opens a connection for each transfer more (curl's pull request 10456). */
#define TLS_MAX_TRANSFERS 100
#define MULTIS_MAX        256
#define SPARE_EASIES_MAX  64
/* So many transfers at once are a crowd. */
#define CROWD 256
/* It has left when so few of them remain. */
#define CROWD_LEFT 16
/* After a call of libcurl for which memory was out, it is called again for what it did not come to.
 */
#define SPOILED_RETRY_MS 10
#define USER_AGENT       "Aerie/" AERIE_VERSION

/* A socket that libcurl asked us to open. It lives until uv_poll's close callback. */
struct sock {
    uv_poll_t poll;
    struct multi *multi;
    struct exchange *connecting; /* who opened it, until the connection stands */
    curl_socket_t fd;
    ino_t inode;
    int events; /* of libuv, that libcurl waits for */
    int polled; /* those that poll is started for: after a transfer still for its answer's */
};

struct multi {
    CURLM *curl; /* NULL: not needed now */
    uv_timer_t timer;
    struct client *client;
    bool is_tls;
    bool is_spoiled;      /* memory was out in a call of libcurl: takes no more, and goes when it is
                             empty */
    struct list starting; /* exchanges that libcurl has not been called for since they came */
    unsigned n_transfers, n_socks;
    struct flush idle;
};

struct client {
    struct loop *loop;
    struct multi *multis[MULTIS_MAX];
    unsigned n_multis;
    struct sock **socks; /* by descriptor */
    size_t n_socks;
    CURL *spare[SPARE_EASIES_MAX];
    unsigned n_spare;
    unsigned n_transfers;
    bool is_crowded; /* a crowd came, and has not left */
    struct flush crowd_left;
    CURLSH *sessions; /* of TLS: libcurl otherwise keeps room for five in each handle */
    struct curl_slist *headers;
    struct urls urls;
    struct resolver resolver;
    unsigned n_closing; /* handles whose close callback is to come, and the resolver */
    void (*on_closed)(struct loop *l);
};

struct loop *client_loop(const struct client *c)
{
    return c->loop;
}

struct resolver *client_resolver(struct client *c)
{
    return &c->resolver;
}

struct urls *client_urls(struct client *c)
{
    return &c->urls;
}

struct curl_slist *client_headers(const struct client *c, bool has_body)
{
    return has_body ? c->headers : c->headers->next;
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

static bool watch_socket(struct exchange *x, curl_socket_t fd)
{
    struct client *c = x->client;
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
    s->multi = x->multi;
    s->connecting = x;
    x->sock = s;
    c->socks[fd] = s;
    x->multi->n_socks++;
    c->n_closing++;
    return true;
}

/* After DNS and before each connection: the one place that every connection passes. */
static curl_socket_t open_socket(void *data, curlsocktype purpose, struct curl_sockaddr *address)
{
    struct exchange *x = data;
    curl_socket_t fd;

    (void)purpose;
    if (!x->is_inside && !egress_allows(&address->addr, str_from(x->host))) {
        log_warn("upstream: %s has an inner address, which egress.allow does not list", x->host);
        return CURL_SOCKET_BAD;
    }
    fd = socket(address->family, address->socktype | SOCK_NONBLOCK | SOCK_CLOEXEC,
                address->protocol);
    if (fd < 0) {
        log_warn("upstream: no socket for a connection: %s", errno_text(errno));
        return CURL_SOCKET_BAD;
    }
    if (!watch_socket(x, fd)) {
        close(fd);
        return CURL_SOCKET_BAD;
    }
    return fd;
}

/* s is not the connecting one of its exchange any more. */
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
    s->multi->n_socks--;
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

/* The one that is asked first. */
static struct multi *first_of_kind(const struct client *c, bool is_tls)
{
    unsigned i = 0;

    while (i < c->n_multis && c->multis[i]->is_tls != is_tls)
        i++;
    return i < c->n_multis ? c->multis[i] : NULL;
}

static unsigned max_transfers(const struct multi *m)
{
    return m->is_tls ? TLS_MAX_TRANSFERS : PLAIN_MAX_TRANSFERS;
}

static unsigned idle_allowed(const struct multi *m)
{
    if (m != first_of_kind(m->client, m->is_tls))
        return 0;
    return (unsigned)config()->upstream.idle_connections; /* at most 10,000 */
}

/* libcurl counts busy connections too, and without an own bound every connection of a burst would
 * stay. Only the first multi keeps idle ones, because it is asked first. It looks at the bound when
 * a transfer ends, which still counts then: so 1 is the least. */
static void bound_connections(struct multi *m)
{
    long bound = (long)m->n_transfers + (long)idle_allowed(m);

    curl_multi_setopt(m->curl, CURLMOPT_MAXCONNECTS, bound > 0 ? bound : 1);
}

static void count(struct exchange *x, bool is_running)
{
    struct client *c = x->client;

    if (x->is_running == is_running)
        return;
    x->is_running = is_running;
    x->multi->n_transfers += is_running ? 1 : -1u;
    c->n_transfers += is_running ? 1 : -1u;
    if (c->n_transfers >= CROWD)
        c->is_crowded = true;
    bound_connections(x->multi);
}

static void collect_ended(struct multi *m)
{
    CURLMsg *message;
    int left;

    while ((message = curl_multi_info_read(m->curl, &left))) {
        CURLcode result = message->data.result;
        struct exchange *x = NULL;

        if (message->msg != CURLMSG_DONE)
            continue;
        curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &x);
        count(x, false); /* now, so that the next one to end finds the new bound */
        x->on_end(x, result);
    }
}

static void on_multi_timer(uv_timer_t *timer);

/* Memory was out in a call of libcurl. It forgets to have the socket watched that a starting
 * transfer opened, or found idle; it looks no further after others whose time has come; and it
 * keeps a table of no places for the socket, by whose size it divides when the descriptor's number
 * comes again. */
static void end_forgotten(struct multi *m)
{
    struct list starting, *link;

    m->is_spoiled = true;
    uv_timer_start(&m->timer, on_multi_timer, SPOILED_RETRY_MS, 0);
    list_init(&starting);
    list_splice(&starting, &m->starting);
    while ((link = list_pop(&starting))) {
        struct exchange *x = container_of(link, struct exchange, link);

        if (!x->sock || x->sock->events == 0)
            x->on_end(x, CURLE_OUT_OF_MEMORY);
    }
}

static void act(struct multi *m, curl_socket_t fd, int flags)
{
    int running;

    if (curl_multi_socket_action(m->curl, fd, flags, &running) != CURLM_OK)
        end_forgotten(m);
    while (list_pop(&m->starting))
        continue;
    collect_ended(m);
}

static void on_socket_event(uv_poll_t *poll, int status, int events);

/* libuv takes a socket out of the kernel's set and puts it in again at each change. */
static void poll_socket(struct sock *s, int events)
{
    if (s->polled == events)
        return;
    s->polled = events;
    if (events)
        uv_poll_start(&s->poll, events, on_socket_event);
    else
        uv_poll_stop(&s->poll);
}

/* A reset comes together with the bytes before it, and libuv then tells an error alone and stops
 * the poll. So libcurl is told to read, until it meets the error itself. An idle connection's poll
 * stops at the first event, for libcurl looks at it no sooner than it has use for it. */
static void on_socket_event(uv_poll_t *poll, int status, int events)
{
    struct sock *s = container_of(poll, struct sock, poll);
    struct multi *m = s->multi;
    int flags = status < 0 ? CURL_CSELECT_IN | CURL_CSELECT_OUT : 0;

    if (events & UV_READABLE)
        flags |= CURL_CSELECT_IN;
    if (events & UV_WRITABLE)
        flags |= CURL_CSELECT_OUT;
    if (status < 0)
        s->polled = 0;
    if (!s->events) {
        poll_socket(s, 0);
        return;
    }
    act(m, s->fd, flags);
    if (s->events && !uv_is_closing((uv_handle_t *)poll))
        poll_socket(s, s->events);
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
    if (what == CURL_POLL_IN || what == CURL_POLL_INOUT)
        events |= UV_READABLE;
    if (what == CURL_POLL_OUT || what == CURL_POLL_INOUT)
        events |= UV_WRITABLE;
    s->events = events;
    /* Between two transfers, which wait for the same, the socket stays where it is. */
    if (events || s->polled != UV_READABLE)
        poll_socket(s, events);
    return 0;
}

static void on_multi_timer(uv_timer_t *timer)
{
    act(container_of(timer, struct multi, timer), CURL_SOCKET_TIMEOUT, 0);
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

static CURLM *curl_new(struct multi *m)
{
    CURLM *curl = curl_multi_init();

    if (!curl)
        return NULL;
    curl_multi_setopt(curl, CURLMOPT_SOCKETFUNCTION, on_curl_socket);
    curl_multi_setopt(curl, CURLMOPT_SOCKETDATA, m);
    curl_multi_setopt(curl, CURLMOPT_TIMERFUNCTION, on_curl_timer);
    curl_multi_setopt(curl, CURLMOPT_TIMERDATA, m);
    curl_multi_setopt(curl, CURLMOPT_PIPELINING, (long)CURLPIPE_MULTIPLEX);
    return curl;
}

/* It takes some 35 kB, whatever it holds. */
static void drop_curl(struct multi *m)
{
    if (!m->curl)
        return;
    curl_multi_cleanup(m->curl);
    uv_timer_stop(&m->timer);
    m->curl = NULL;
    m->is_spoiled = false;
}

static void drop_empty_ones(struct client *c, const struct multi *but)
{
    for (unsigned i = 0; i < c->n_multis; i++) {
        struct multi *m = c->multis[i];

        if (m != but && m->is_tls == but->is_tls && m->n_transfers == 0)
            drop_curl(m);
    }
}

/* After a crowd. When many transfers end in one call, libcurl closes fewer connections than the
 * bound asks for, and it has no way to be told later. */
static void on_multi_idle(struct flush *f)
{
    struct multi *m = container_of(f, struct multi, idle);
    struct multi *first = first_of_kind(m->client, m->is_tls);

    if (first->n_transfers <= max_transfers(first) / 2)
        drop_empty_ones(m->client, first);
    if (m->n_transfers == 0 && (m->is_spoiled || m->n_socks > idle_allowed(m) + 1))
        drop_curl(m);
}

static void shrink_socks(struct client *c)
{
    struct sock **fewer;
    size_t n = c->n_socks;

    while (n > 0 && !c->socks[n - 1])
        n--;
    if (n == 0) {
        free(c->socks);
        c->socks = NULL;
    } else {
        fewer = realloc(c->socks, n * sizeof(*fewer));
        if (!fewer)
            return;
        c->socks = fewer;
    }
    c->n_socks = n;
}

/* What is kept for the next ones lies all over the memory that the crowd took: a few kilobytes here
 * and there would hold all of its pages. */
static void on_crowd_left(struct flush *f)
{
    struct client *c = container_of(f, struct client, crowd_left);

    c->is_crowded = false;
    while (c->n_spare > 0)
        curl_easy_cleanup(c->spare[--c->n_spare]);
    for (unsigned i = 0; i < c->n_multis; i++)
        if (c->multis[i]->n_transfers == 0)
            drop_curl(c->multis[i]);
    shrink_socks(c);
}

static struct multi *multi_new(struct client *c, bool is_tls)
{
    struct multi *m = calloc(1, sizeof(*m));

    if (!m)
        return NULL;
    m->client = c;
    m->is_tls = is_tls;
    list_init(&m->starting);
    uv_timer_init(&c->loop->uv, &m->timer);
    c->n_closing++;
    return m;
}

/* The first one with room, so that idle connections are found again. */
static struct multi *pick_multi(struct client *c, bool is_tls)
{
    for (unsigned i = 0; i < c->n_multis; i++) {
        struct multi *m = c->multis[i];

        if (m->is_tls == is_tls && !m->is_spoiled && m->n_transfers < max_transfers(m))
            return m;
    }
    if (c->n_multis == MULTIS_MAX)
        return NULL;
    c->multis[c->n_multis] = multi_new(c, is_tls);
    return c->multis[c->n_multis] ? c->multis[c->n_multis++] : NULL;
}

/* ---- easy handles ---- */

/* Each of these may need memory, and a handle without one of them must not be used: the proxy that
 * the environment names would see the request. */
static bool set_constant_options(const struct client *c, CURL *easy)
{
    struct str ca_file = config()->upstream.ca_file;
    bool ok = true;

#define SET(option, value) (ok = curl_easy_setopt(easy, option, value) == CURLE_OK && ok)
    SET(CURLOPT_NOSIGNAL, 1L);
    SET(CURLOPT_BUFFERSIZE, 1024L);
    SET(CURLOPT_UPLOAD_BUFFERSIZE, 16384L);
    SET(CURLOPT_TCP_NODELAY, 1L);
    SET(CURLOPT_TCP_KEEPALIVE, 1L);
    SET(CURLOPT_PROTOCOLS_STR, "http,https");
    SET(CURLOPT_REDIR_PROTOCOLS_STR, "https");
    SET(CURLOPT_FOLLOWLOCATION, 0L);
    SET(CURLOPT_SHARE, c->sessions);
    SET(CURLOPT_PROXY, "");
    SET(CURLOPT_NOPROXY, "*");
    SET(CURLOPT_PROXY_CAINFO, NULL); /* each handle and each connection would have a copy */
    SET(CURLOPT_PROXY_CAPATH, NULL);
    SET(CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
    SET(CURLOPT_DISALLOW_USERNAME_IN_URL, 1L);
    SET(CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
    SET(CURLOPT_OPENSOCKETFUNCTION, open_socket);
    SET(CURLOPT_CLOSESOCKETFUNCTION, close_socket);
    SET(CURLOPT_CLOSESOCKETDATA, (void *)(uintptr_t)c);
    if (ca_file.len > 0) {
        char path[4096];

        snprintf(path, sizeof(path), "%.*s", STR_ARG(ca_file));
        SET(CURLOPT_CAINFO, path);
    }
#undef SET
    return ok;
}

static CURL *easy_take(struct client *c)
{
    CURL *easy;

    if (c->n_spare > 0)
        return c->spare[--c->n_spare];
    easy = curl_easy_init();
    if (easy && !set_constant_options(c, easy)) {
        curl_easy_cleanup(easy);
        easy = NULL;
    }
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
    curl_easy_setopt(easy, CURLOPT_POSTFIELDS, NULL);
    curl_easy_setopt(easy, CURLOPT_CONNECT_TO, NULL);
    curl_easy_setopt(easy, CURLOPT_CURLU, NULL);
    curl_easy_setopt(easy, CURLOPT_UNIX_SOCKET_PATH, NULL);
    c->spare[c->n_spare++] = easy;
}

/* ---- exchanges ---- */

bool exchange_open(struct exchange *x, struct client *c)
{
    x->client = c;
    x->easy = easy_take(c);
    if (!x->easy)
        return false;
    curl_easy_setopt(x->easy, CURLOPT_PRIVATE, x);
    curl_easy_setopt(x->easy, CURLOPT_OPENSOCKETDATA, x);
    /* An agent's URL must not lead into a connection that passed no guard. */
    curl_easy_setopt(x->easy, CURLOPT_FRESH_CONNECT, x->is_inside ? 1L : 0L);
    curl_easy_setopt(x->easy, CURLOPT_FORBID_REUSE, x->is_inside ? 1L : 0L);
    return true;
}

struct error exchange_start(struct exchange *x)
{
    struct multi *m = pick_multi(x->client, x->is_tls);

    if (m && !m->curl)
        m->curl = curl_new(m);
    if (!m && x->client->n_multis == MULTIS_MAX)
        return ERROR(ERR_BUSY, 1, "This server has too many calls to agents running.");
    if (!m || !m->curl || curl_multi_add_handle(m->curl, x->easy) != CURLM_OK)
        return ERROR(ERR_NO_MEMORY, 0, NULL);
    x->multi = m;
    list_push(&m->starting, &x->link);
    count(x, true);
    return NO_ERROR;
}

bool exchange_connected(struct exchange *x, const char *peer_ip)
{
    if (x->sock)
        settle_sock(x->sock);
    /* A connection that open_socket() did not make for this call: of a call of our own to the
     * inside that is under way, or of before the settings have changed. */
    return x->is_inside || egress_allows_text(str_from(peer_ip), str_from(x->host));
}

void exchange_close(struct exchange *x)
{
    if (!x->easy)
        return;
    if (x->multi) {
        list_remove(&x->link);
        curl_multi_remove_handle(x->multi->curl, x->easy);
        if (x->sock)
            close_forgotten(x->sock);
        count(x, false);
        if (x->multi->n_transfers == 0)
            loop_mark_dirty(&x->multi->idle, on_multi_idle);
        if (x->client->is_crowded && x->client->n_transfers <= CROWD_LEFT)
            loop_mark_dirty(&x->client->crowd_left, on_crowd_left);
        x->multi = NULL;
    }
    easy_give_back(x->client, x->easy);
    x->easy = NULL;
}

/* ---- the client ---- */

static bool make_sessions(struct client *c)
{
    c->sessions = curl_share_init();
    return c->sessions && curl_share_setopt(c->sessions, CURLSHOPT_SHARE,
                                            CURL_LOCK_DATA_SSL_SESSION) == CURLSHE_OK;
}

static bool make_headers(struct client *c)
{
    static const char *const lines[] = {
        "Content-Type: application/json", /* the first: GET goes without */
        "Accept: text/event-stream, application/json, text/plain", "User-Agent: " USER_AGENT,
        "Expect:"};

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
    if (!make_sessions(c) || !make_headers(c) || !resolver_init(&c->resolver, resolver_workers)) {
        curl_share_cleanup(c->sessions);
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
    loop_unmark_dirty(&c->crowd_left);
    while (c->n_spare > 0)
        curl_easy_cleanup(c->spare[--c->n_spare]);
    for (unsigned i = 0; i < c->n_multis; i++) {
        assert(c->multis[i]->n_transfers == 0);
        loop_unmark_dirty(&c->multis[i]->idle);
        drop_curl(c->multis[i]); /* closes the idle connections */
        uv_close((uv_handle_t *)&c->multis[i]->timer, on_multi_closed);
    }
    urls_forget(&c->urls);
    curl_share_cleanup(c->sessions);                /* no handle is left that uses it */
    resolver_close(&c->resolver, on_resolver_idle); /* last: may free c */
}
