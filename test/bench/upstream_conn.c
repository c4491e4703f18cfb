/* A connection to the fake agent: reads a request, writes its reply piece by piece, reads the next.
 * Edge-triggered: it is watched once and asks again only after the system has said that there is
 * nothing. Holds no output: what did not go out is written anew. */
#include "system.h"
#include "text.h"
#include "upstream.h"
#include "wanted.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define REQUEST_MAX_BYTES ((1 << 20) + 65536)

enum reply_part { PART_HEAD, PART_PIECES, PART_TAIL };

static char input[65536];
static char output[1 << 20];

void conn_close(struct conn *c)
{
    if (c->script)
        upstream.aborted++;
    wheel_unset(&upstream.wheel, &c->timer);
    list_remove(&c->ready);
    list_remove(&c->link);
    close(c->fd);
    free(c->held);
    free(c);
    upstream.open--;
}

/* What the write at hand is to send. */
static struct str next_write(const struct conn *c, uint32_t *n_pieces)
{
    const struct script *s = c->script;
    char *out = output;

    *n_pieces = 0;
    switch ((enum reply_part)c->part) {
    case PART_HEAD:
        return s->head;
    case PART_PIECES:
        *n_pieces = c->chunks - c->k;
        if (*n_pieces > c->burst)
            *n_pieces = c->burst;
        if (*n_pieces > sizeof(output) / s->piece.len)
            *n_pieces = (uint32_t)(sizeof(output) / s->piece.len);
        for (uint32_t i = 0; i < *n_pieces; i++, out += s->piece.len) {
            memcpy(out, s->piece.ptr, s->piece.len);
            text_piece(out + s->text_at, c->seed, c->k + i, s->bytes);
        }
        return (struct str){output, (size_t)(out - output)};
    case PART_TAIL:
        return s->tail;
    }
    return STR_NONE;
}

/* True: all of the bytes are out. False: the socket takes no more now, or the client left. */
static bool send_rest(struct conn *c, struct str bytes)
{
    ssize_t n =
        send(c->fd, bytes.ptr + c->out_at, bytes.len - c->out_at, MSG_DONTWAIT | MSG_NOSIGNAL);

    if (n < 0) {
        c->is_gone = errno != EAGAIN;
        return false;
    }
    c->out_at += (uint32_t)n;
    if (c->out_at < bytes.len)
        return false;
    c->out_at = 0;
    return true;
}

/* True: the next piece is not due yet; it has a timer. */
static bool has_to_wait(struct conn *c)
{
    uint64_t due_ms = c->begun_ms + c->first_ms + (uint64_t)c->k / c->burst * c->gap_ms;

    if (c->out_at > 0 || due_ms <= upstream.wheel.now_ms)
        return false;
    if (!list_is_linked(&c->timer.link))
        wheel_set(&upstream.wheel, &c->timer, due_ms);
    return true;
}

/* Writes what is due and the socket takes. True: the reply is out. */
static bool write_reply(struct conn *c)
{
    for (uint32_t writes = 0; writes < c->turn; writes++) {
        struct str bytes;
        uint32_t n_pieces;

        if (c->part == PART_PIECES && c->k == c->chunks)
            c->part = PART_TAIL;
        if (c->part == PART_PIECES && (c->first_ms > 0 || c->gap_ms > 0) && has_to_wait(c))
            return false;
        bytes = next_write(c, &n_pieces);
        if (!send_rest(c, bytes))
            return false;
        upstream.chunks += n_pieces;
        c->k += n_pieces;
        if (c->part == PART_TAIL) {
            c->script = NULL;
            return true;
        }
        if (c->part == PART_HEAD)
            c->part = PART_PIECES;
    }
    list_push(&upstream.ready, &c->ready);
    return false;
}

/* An answer in one piece; the connection stays. */
static void send_plain(struct conn *c, const char *status, const char *body)
{
    int len =
        snprintf(output, sizeof(output),
                 "HTTP/1.1 %s\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s",
                 status, strlen(body), body);

    if (send(c->fd, output, (size_t)len, MSG_DONTWAIT | MSG_NOSIGNAL) != len)
        c->is_gone = true;
}

static void send_stats(struct conn *c)
{
    char body[256];

    snprintf(body, sizeof(body),
             "{\"requests\":%llu,\"open\":%llu,\"aborted\":%llu,\"chunks\":%llu}",
             (unsigned long long)upstream.requests, (unsigned long long)upstream.open,
             (unsigned long long)upstream.aborted, (unsigned long long)upstream.chunks);
    send_plain(c, "200 OK", body);
}

static void begin_reply(struct conn *c, const struct wanted *w, struct str body)
{
    if (w->path.len == 6 && memcmp(w->path.ptr, "/stats", 6) == 0) {
        send_stats(c);
        c->is_gone = c->is_gone || w->is_last;
        return;
    }
    c->script = script_find(w->format, w->bytes);
    if (!c->script) {
        send_plain(c, "400 Bad Request", "{\"detail\":\"no such format\"}");
        return;
    }
    upstream.requests++;
    c->seed = 0;
    text_find_seed(body.ptr, body.len, &c->seed);
    c->begun_ms = now_ns() / NS_PER_MS;
    c->chunks = w->chunks;
    c->burst = w->burst;
    c->turn = w->turn;
    c->first_ms = w->first_ms;
    c->gap_ms = w->gap_ms;
    c->is_last = w->is_last;
    c->k = c->out_at = 0;
    c->part = PART_HEAD;
}

/* Begins the reply to the request that the bytes begin with; returns its length, or 0 while it is
 * not whole. */
static size_t take_request(struct conn *c, struct str bytes)
{
    const char *end = memmem(bytes.ptr, bytes.len, "\r\n\r\n", 4);
    size_t head_len = end ? (size_t)(end - bytes.ptr) + 4 : 0;
    struct wanted w;

    if (!end) {
        c->is_gone = bytes.len > sizeof(input);
        return 0;
    }
    if (!wanted_read(&w, (struct str){bytes.ptr, head_len}, upstream.defaults)) {
        send_plain(c, "400 Bad Request", "{\"detail\":\"not understood\"}");
        c->is_gone = true;
        return 0;
    }
    if (bytes.len - head_len < w.body_len)
        return 0;
    begin_reply(c, &w, (struct str){bytes.ptr + head_len, w.body_len});
    return head_len + w.body_len;
}

static void hold(struct conn *c, struct str bytes)
{
    if (c->held_len + bytes.len > c->held_room) {
        c->held_room = (c->held_len + bytes.len) * 2;
        c->held = must_realloc(c->held, c->held_room);
    }
    memcpy(c->held + c->held_len, bytes.ptr, bytes.len);
    c->held_len += bytes.len;
}

/* Takes requests out of the bytes, which are all that is held when something is, and answers them.
 * What is left is held: a request that is not whole, or one that waits for the reply under way. */
static void take_input(struct conn *c, struct str bytes)
{
    while (bytes.len > 0 && !c->script && !c->is_gone) {
        size_t taken = take_request(c, bytes);

        if (taken == 0)
            break;
        bytes.ptr += taken;
        bytes.len -= taken;
        if (c->script && write_reply(c) && c->is_last)
            c->is_gone = true;
    }
    if (!c->held) {
        if (bytes.len > 0)
            hold(c, bytes);
        return;
    }
    memmove(c->held, bytes.ptr, bytes.len);
    c->held_len = bytes.len;
    if (bytes.len == 0) {
        free(c->held);
        c->held = NULL;
        c->held_room = 0;
    }
}

static void read_requests(struct conn *c)
{
    while (!c->script && !c->is_gone) {
        ssize_t n = recv(c->fd, input, sizeof(input), MSG_DONTWAIT);

        if (n <= 0) {
            c->is_gone = n == 0 || errno != EAGAIN;
            break;
        }
        if (!c->held) {
            take_input(c, (struct str){input, (size_t)n});
        } else {
            hold(c, (struct str){input, (size_t)n});
            take_input(c, (struct str){c->held, c->held_len});
        }
        if (c->held_len > REQUEST_MAX_BYTES)
            c->is_gone = true;
        if ((size_t)n < sizeof(input)) /* no more is there: the next edge will tell */
            break;
    }
}

/* Goes on with the reply, and then with what came meanwhile. */
static void go_on(struct conn *c)
{
    if (c->script && write_reply(c)) {
        if (c->is_last)
            c->is_gone = true;
        else if (c->held)
            take_input(c, (struct str){c->held, c->held_len});
        if (!c->script && c->has_input) {
            c->has_input = false;
            read_requests(c);
        }
    }
    if (c->is_gone)
        conn_close(c);
}

void conn_accept(int fd)
{
    struct conn *c = must_calloc(1, sizeof(*c));
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data.ptr = c};

    c->fd = fd;
    list_push(&upstream.conns, &c->link);
    upstream.open++;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    if (epoll_ctl(upstream.epoll, EPOLL_CTL_ADD, fd, &event) != 0)
        quit(1, "bench_upstream: epoll_ctl: %s", strerror(errno));
}

void conn_on_event(struct conn *c, uint32_t events)
{
    if (events & (EPOLLERR | EPOLLHUP | EPOLLRDHUP)) {
        conn_close(c);
        return;
    }
    if (events & EPOLLIN) {
        if (c->script)
            c->has_input = true;
        else
            read_requests(c);
    }
    /* A reply that waits for its time or its turn has a timer or a place on the list. */
    if (c->script && !c->is_gone && (list_is_linked(&c->timer.link) || list_is_linked(&c->ready)))
        return;
    go_on(c);
}

void conn_on_due(struct timer *t)
{
    go_on(container_of(t, struct conn, timer));
}

void conn_on_ready(struct list *link)
{
    go_on(container_of(link, struct conn, ready));
}
