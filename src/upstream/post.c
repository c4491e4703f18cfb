/* The life of one request: resolve, connect to one address after the other, send, read, end. Nobody
 * is called from inside libcurl but on_body; all else happens at the end of the loop's turn. */
#include "post.h"

#include "base/clock.h"
#include "base/log.h"
#include "config/config.h"
#include "trace/span.h"

#include <arpa/inet.h>
#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define HEAD_MAX_BYTES    (64 * 1024)
#define RETRY_AFTER_MAX_S (24 * 60 * 60)
#define HEADERS_MAX       8 /* of the asker's */

/* What it takes to ask. A stream lives long, so this does not stay while an answer comes. */
struct post_asking {
    struct post *post;
    struct curl_slist *headers; /* the asker's, in one piece of memory, then the client's */
    struct curl_slist *connect_to;
    struct buf body;
    size_t sent_bytes;  /* of the body, where libcurl reads it bit by bit */
    struct str uploads; /* libcurl's memory for that */
    struct addresses addresses;
    unsigned n_tried;
    struct resolve resolve;
    uint64_t connect_until_ms;
    char *unix_path; /* NULL: by addresses */
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

/* ---- what libcurl asks and tells ---- */

static uint64_t seconds(uint64_t s)
{
    return s * 1000;
}

static const char *host_of(const struct post *p)
{
    return p->url->parts.host;
}

static uint64_t now_ms(const struct post *p)
{
    return loop_now_ms(client_loop(p->client));
}

static void on_deadline(struct timer *t);

/* The connection stands, the first byte of the request is about to go. libcurl comes here again
 * when a connection that was used before dies without an answer: it would send the POST a second
 * time. */
static int on_connected(void *data, char *peer_ip, char *our_ip, int peer_port, int our_port)
{
    struct post *p = data;

    (void)our_ip;
    (void)peer_port;
    (void)our_port;
    if (!exchange_connected(&p->exchange, peer_ip) || p->may_have_arrived)
        return CURL_PREREQFUNC_ABORT;
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

/* Seconds, or a date (RFC 9110 section 10.2.3). */
static int read_retry_after(struct str value)
{
    char text[64];
    int64_t wait;

    if (!str_to_i64(value, &wait)) {
        time_t date;

        if (value.len >= sizeof(text))
            return -1;
        memcpy(text, value.ptr, value.len);
        text[value.len] = '\0';
        date = curl_getdate(text, NULL);
        if (date < 0)
            return -1;
        wait = date - clock_wall_us() / 1000000;
        if (wait < 0)
            wait = 0;
    }
    if (wait < 0)
        return -1;
    return wait > RETRY_AFTER_MAX_S ? RETRY_AFTER_MAX_S : (int)wait;
}

static void read_header(struct post *p, struct str name, struct str value)
{
    if (str_eq_nocase(name, STR("content-length"))) {
        p->is_framed = true;
    } else if (str_eq_nocase(name, STR("transfer-encoding"))) {
        p->is_framed = true;
        /* libcurl would unpack what else it knows, without being asked and without a bound. */
        if (!str_eq_nocase(value, STR("chunked")) && !str_eq_nocase(value, STR("identity")))
            p->is_encoded = true;
    } else if (str_eq_nocase(name, STR("content-encoding"))) {
        if (value.len > 0 && !str_eq_nocase(value, STR("identity")))
            p->is_encoded = true;
    } else if (str_eq_nocase(name, STR("retry-after"))) {
        p->retry_after_s = read_retry_after(value);
    }
}

/* 201: the author of a workflow chooses the status of its answer. */
static bool brings_reply(const struct post *p)
{
    return p->http_status == 200 || p->http_status == 201;
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

/* Called once a line, with the empty one that ends a head, and for trailers. */
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
    if (p->has_head)
        return len; /* a trailer says nothing about the answer */
    if (str_starts_with(line, STR("HTTP/"))) {
        read_status_line(p, line);
        return len;
    }
    if (line.len > 0) {
        colon = str_find(line, ':');
        read_header(p, (struct str){line.ptr, colon}, str_trim(str_skip(line, colon + 1)));
        return len;
    }
    p->has_head = p->http_status >= 200;
    if (!p->has_head || p->wants_all || brings_reply(p))
        return len;
    mark_ended(p, NO_ERROR); /* the body of a failure is nobody's business */
    /* What follows a 202 or a 204 would be left for the next answer on this connection. */
    return p->http_status < 300 ? 0 : len;
}

static void free_headers(struct post *p)
{
    struct curl_slist *others = client_headers(p->client, p->has_body);
    struct post_asking *a = p->asking;

    for (struct curl_slist *link = a->headers; link && link != others; link = link->next)
        explicit_bzero(link->data, strlen(link->data));
    free(a->headers);
}

/* libcurl points at none of it any more: nothing is sent, or it was told to forget. */
static void free_asking(struct post *p)
{
    struct post_asking *a = p->asking;

    if (!a)
        return;
    resolver_cancel(&a->resolve);
    curl_slist_free_all(a->connect_to);
    free_headers(p);
    buf_deinit(&a->body);
    free(a->unix_path);
    free(a);
    p->asking = NULL;
}

/* libcurl keeps its 16 kB for reading a body until the answer has ended. What was in it is sent:
 * the pages that lie in it go back to the system. */
static void empty_uploads(struct str uploads)
{
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE), at = (uintptr_t)uploads.ptr;
    uintptr_t first = (at + page - 1) / page * page, end = (at + uploads.len) / page * page;

    if (uploads.len > 0 && first < end)
        madvise((void *)first, end - first, MADV_DONTNEED);
}

/* Unless the answer came before the whole body was sent. */
static void stop_asking(struct post *p)
{
    CURL *easy = p->exchange.easy;
    curl_off_t sent = 0;

    curl_easy_getinfo(easy, CURLINFO_SIZE_UPLOAD_T, &sent);
    if ((size_t)sent < p->asking->body.len)
        return;
    empty_uploads(p->asking->uploads);
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, client_headers(p->client, p->has_body));
    curl_easy_setopt(easy, CURLOPT_CONNECT_TO, NULL);
    if (p->has_body && !p->url->parts.is_https)
        curl_easy_setopt(easy, CURLOPT_POSTFIELDS, "");
    free_asking(p);
}

/* The body, where it does not go along with the head. */
static size_t on_read(char *to, size_t size, size_t n, void *data)
{
    struct post *p = data;
    struct post_asking *a = p->asking;
    size_t room = size * n, len;

    if (!a)
        return CURL_READFUNC_ABORT;
    len = a->body.len - a->sent_bytes;
    if (len > room)
        len = room;
    if (len > 0)
        memcpy(to, a->body.data + a->sent_bytes, len);
    a->sent_bytes += len;
    a->uploads = (struct str){to, room};
    return len;
}

static size_t on_bytes(char *bytes, size_t size, size_t n, void *data)
{
    struct post *p = data;
    size_t len = size * n;

    if (p->phase == POST_ENDED || len == 0)
        return len;
    p->last_byte_ms = now_ms(p);
    if (p->phase != POST_READING) {
        p->phase = POST_READING;
        timer_start(&p->deadline, seconds(config()->upstream.idle_seconds), on_deadline);
        stop_asking(p);
    }
    p->on_body(p, (struct str){bytes, len});
    post_changed(p);
    return len;
}

/* ---- the life of a post ---- */

static bool set_request_options(struct post *p)
{
    const struct post_asking *a = p->asking;
    CURL *easy = p->exchange.easy;
    bool is_https = p->url->parts.is_https;

    curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(easy, CURLOPT_HEADERDATA, p);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_bytes);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, p);
    curl_easy_setopt(easy, CURLOPT_PREREQFUNCTION, on_connected);
    curl_easy_setopt(easy, CURLOPT_PREREQDATA, p);
    curl_easy_setopt(easy, CURLOPT_MAXAGE_CONN, (long)p->max_idle_s);
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER,
                     a->headers ? a->headers : client_headers(p->client, p->has_body));
    if (p->has_body) {
        curl_easy_setopt(easy, CURLOPT_POST, 1L);
        /* Not copied, and no read callback on plain HTTP: that would keep 16 kB for the whole
         * answer, as HTTP/2 does anyhow. */
        if (is_https) {
            curl_easy_setopt(easy, CURLOPT_POSTFIELDS, NULL);
            curl_easy_setopt(easy, CURLOPT_READFUNCTION, on_read);
            curl_easy_setopt(easy, CURLOPT_READDATA, p);
        } else {
            curl_easy_setopt(easy, CURLOPT_POSTFIELDS, a->body.data ? a->body.data : "");
        }
        curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)a->body.len);
    } else {
        curl_easy_setopt(easy, CURLOPT_HTTPGET, 1L);
    }
    /* On plain HTTP, waiting for a connection to share made 200 streams wait for the first one. */
    curl_easy_setopt(easy, CURLOPT_HTTP_VERSION,
                     is_https ? (long)CURL_HTTP_VERSION_2TLS : (long)CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(easy, CURLOPT_PIPEWAIT, is_https ? 1L : 0L);
    /* What is taken apart already. libcurl would write the text anew, were it not told. */
    return curl_easy_setopt(easy, CURLOPT_URL, p->url->parts.full) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_CURLU, p->url->parts.parsed) == CURLE_OK;
}

static void close_exchange(struct post *p)
{
    exchange_close(&p->exchange);
    if (p->asking) {
        curl_slist_free_all(p->asking->connect_to);
        p->asking->connect_to = NULL;
    }
}

static void on_exchange_end(struct exchange *x, CURLcode result);

/* Tells libcurl the address, so that it looks nothing up; Host and SNI stay the name's. */
static bool set_address(struct post *p, unsigned index)
{
    char address[INET6_ADDRSTRLEN], entry[INET6_ADDRSTRLEN + 32];
    struct post_asking *a = p->asking;
    bool is_v6 = a->addresses.is_v6[index];

    if (a->unix_path)
        return curl_easy_setopt(p->exchange.easy, CURLOPT_UNIX_SOCKET_PATH, a->unix_path) ==
               CURLE_OK;
    if (!inet_ntop(is_v6 ? AF_INET6 : AF_INET, &a->addresses.ip[index], address, sizeof(address)))
        return false;
    snprintf(entry, sizeof(entry), is_v6 ? "::[%s]:%s" : "::%s:%s", address, p->url->parts.port);
    a->connect_to = curl_slist_append(NULL, entry);
    return a->connect_to &&
           curl_easy_setopt(p->exchange.easy, CURLOPT_CONNECT_TO, a->connect_to) == CURLE_OK;
}

/* An equal share of what is left of the time to connect for each address that is left. */
static uint64_t attempt_ms(const struct post *p)
{
    const struct post_asking *a = p->asking;
    uint64_t now = now_ms(p);
    unsigned left = a->addresses.n - a->n_tried + 1;

    return a->connect_until_ms > now ? (a->connect_until_ms - now) / left : 0;
}

static struct error start_attempt(struct post *p)
{
    struct error err = ERROR(ERR_NO_MEMORY, 0, NULL);

    p->phase = POST_CONNECTING;
    p->exchange = (struct exchange){.host = host_of(p),
                                    .is_tls = p->url->parts.is_https,
                                    .is_inside = p->is_inside,
                                    .on_end = on_exchange_end};
    if (exchange_open(&p->exchange, p->client) && set_request_options(p) &&
        set_address(p, p->asking->n_tried++))
        err = exchange_start(&p->exchange);
    if (!is_error(err))
        timer_start(&p->deadline, attempt_ms(p), on_deadline);
    return err;
}

/* The only words for an address that is closed and for one that is refused. */
static struct error unreachable(int code)
{
    return ERROR(ERR_PROVIDER_UNREACHABLE, code, "The agent could not be reached.");
}

static void end_with(struct post *p, struct error err)
{
    timer_stop(&p->deadline);
    close_exchange(p);
    mark_ended(p, err);
}

/* Not inside libcurl. The attempt did not get as far as to send anything. */
static void try_next_address(struct post *p, struct error why)
{
    const struct post_asking *a = p->asking;
    struct error err;

    close_exchange(p);
    if (a->n_tried >= a->addresses.n || now_ms(p) >= a->connect_until_ms) {
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
    uint64_t now = now_ms(p);
    uint64_t idle_ms = seconds(config()->upstream.idle_seconds);

    switch (p->phase) {
    case POST_RESOLVING:
        resolver_cancel(&p->asking->resolve);
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

/* What libcurl says to a header line of more than 100 kB: "too large" from 8.6 on, "out of memory"
 * before. */
static bool is_out_of_room(CURLcode code)
{
#if LIBCURL_VERSION_NUM >= 0x080600
    if (code == CURLE_TOO_LARGE)
        return true;
#endif
    return code == CURLE_OUT_OF_MEMORY;
}

static struct error explain(const struct post *p, CURLcode code)
{
    if (code == CURLE_OK && p->has_head)
        return NO_ERROR;
    /* libcurl is content with an answer that stops anywhere in its head. */
    log_info("upstream: %s: %s", host_of(p),
             code == CURLE_OK ? "The answer's head is not whole" : curl_easy_strerror(code));
    if (code == CURLE_UNSUPPORTED_PROTOCOL || code == CURLE_WEIRD_SERVER_REPLY ||
        code == CURLE_BAD_CONTENT_ENCODING)
        return ERROR(ERR_PROVIDER_MALFORMED, (int)code, "The agent's answer is not HTTP.");
    if (is_out_of_room(code))
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

static void on_exchange_end(struct exchange *x, CURLcode result)
{
    struct post *p = container_of(x, struct post, exchange);
    struct error err = p->is_done ? p->err : explain(p, result);

    if (p->phase == POST_CONNECTING && is_error(err) && err.status != ERR_NO_MEMORY)
        try_next_address(p, err);
    else
        end_with(p, err);
}

static void on_resolved(struct resolve *waiter, const struct addresses *found)
{
    struct post_asking *a = container_of(waiter, struct post_asking, resolve);
    struct post *p = a->post;
    struct error err;

    a->addresses = *found;
    if (found->n == 0) {
        log_info("upstream: %s has no address", host_of(p));
        end_with(p, unreachable(0));
        return;
    }
    err = start_attempt(p);
    if (is_error(err))
        end_with(p, err);
}

/* One piece of memory: the links of the list, then their lines. */
static struct error put_headers(struct post *p, const struct fetch_header *headers, size_t n)
{
    struct curl_slist *list;
    size_t links = n * sizeof(struct curl_slist), size = links;
    char *line;

    if (n == 0)
        return NO_ERROR;
    for (size_t i = 0; i < n; i++) {
        const struct fetch_header *h = &headers[i];

        if (str_has_control(h->name) || str_has_control(h->value) ||
            str_find(h->name, ':') < h->name.len || h->name.len == 0)
            return ERROR(ERR_INVALID, 0, "A header must not hold control characters.");
        size += h->name.len + h->value.len + sizeof(": ");
    }
    list = p->asking->headers = malloc(size);
    if (!list)
        return ERROR(ERR_NO_MEMORY, 0, NULL);
    line = (char *)list + links;
    for (size_t i = 0; i < n; i++) {
        const struct fetch_header *h = &headers[i];

        list[i].data = line;
        list[i].next = &list[i + 1];
        /* To libcurl, "Name:" means to leave a header out, and "Name;" that it is empty. */
        line += 1 + sprintf(line, h->value.len > 0 ? "%.*s: %.*s" : "%.*s;%.*s", STR_ARG(h->name),
                            STR_ARG(h->value));
    }
    list[n - 1].next = client_headers(p->client, p->has_body);
    return NO_ERROR;
}

/* Those that tell the other side of the trace come last (W3C Trace Context, section 4.2). */
static struct error set_headers(struct post *p, const struct post_request *rq)
{
    struct fetch_header all[HEADERS_MAX + 2];
    char traceparent[TRACEPARENT_BYTES];
    size_t n = rq->n_headers;

    if (!p->span)
        return put_headers(p, rq->headers, n);
    assert(n <= HEADERS_MAX);
    if (n > 0)
        memcpy(all, rq->headers, n * sizeof(*all));
    all[n++] = (struct fetch_header){STR("traceparent"),
                                     trace_context_write(&p->span->context, traceparent)};
    if (p->span->state_len > 0)
        all[n++] = (struct fetch_header){STR("tracestate"), {p->span->state, p->span->state_len}};
    return put_headers(p, all, n);
}

static struct error find_address(struct post *p)
{
    struct post_asking *a = p->asking;
    struct addresses found;

    if (a->unix_path)
        a->addresses.n = 1; /* set_address() does not look at it */
    if (a->unix_path || resolver_literal(host_of(p), &a->addresses))
        return start_attempt(p);
    a->resolve = (struct resolve){.done = on_resolved};
    switch (resolver_ask(client_resolver(p->client), str_from(host_of(p)), &a->resolve, &found)) {
    case RESOLVE_FOUND:
        a->addresses = found;
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

/* Takes over the body. */
static struct error begin_asking(struct post *p, const struct post_request *rq)
{
    struct post_asking *a = p->asking = calloc(1, sizeof(*a));
    struct error err;

    if (!a)
        return ERROR(ERR_NO_MEMORY, 0, NULL);
    a->post = p;
    if (rq->body) {
        a->body = *rq->body;
        *rq->body = (struct buf){0};
    }
    a->connect_until_ms = now_ms(p) + seconds(config()->upstream.connect_seconds);
    if (rq->unix_path.len > 0) {
        a->unix_path = strndup(rq->unix_path.ptr, rq->unix_path.len);
        if (!a->unix_path)
            return ERROR(ERR_NO_MEMORY, 0, NULL);
    }
    err = urls_take(client_urls(p->client), rq->url, &p->url);
    if (!is_error(err)) {
        p->span = span_begin(rq->parent);
        err = set_headers(p, rq);
    }
    return err;
}

struct error post_start(struct client *c, struct post *p, const struct post_request *rq)
{
    void (*on_body)(struct post *, struct str) = p->on_body;
    void (*on_progress)(struct post *) = p->on_progress;
    struct error err;

    loop_assert_current(client_loop(c));
    *p = (struct post){.on_body = on_body,
                       .on_progress = on_progress,
                       .client = c,
                       .has_body = rq->body != NULL,
                       .wants_all = rq->wants_all,
                       .is_inside = rq->is_inside};
    p->retry_after_s = -1;
    p->max_idle_s = rq->max_idle_s;
    p->n_before = rq->n_before;
    err = begin_asking(p, rq);
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
    if (p->span)
        post_end_span(p);
    timer_stop(&p->deadline);
    loop_unmark_dirty(&p->flush);
    close_exchange(p);
    free_asking(p);
    url_release(p->url);
    p->url = NULL;
    p->phase = POST_IDLE;
    p->client = NULL;
}
