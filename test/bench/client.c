/* A client: connects, sends a request, reads its answer and checks it. Edge-triggered: it is
 * watched once a connection. */
#include "load.h"
#include "system.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define REASONS_TOLD 5

static char input[65536];

static void tell(const struct client *c, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* The first few things that went wrong, for people. */
static void tell(const struct client *c, const char *format, ...)
{
    static unsigned n;
    va_list args;

    if (++n > REASONS_TOLD)
        return;
    fprintf(stderr, "bench_load: stream %llu: ", (unsigned long long)c->check.seed);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
}

static void drop_connection(struct client *c)
{
    if (c->state == CLIENT_CONNECTING)
        load.n_connecting--;
    if (c->fd >= 0)
        close(c->fd);
    c->fd = -1;
    c->state = CLIENT_CLOSED;
    free(c->unsent);
    c->unsent = NULL;
}

static void end_message(struct client *c, bool is_right)
{
    load.messages++;
    if (!is_right)
        load.wrong++;
    load.ended_ns = now_ns();
    if (c->state != CLIENT_BUSY || c->answer.state != ANSWER_ENDED || c->answer.closes)
        drop_connection(c);
    else
        c->state = CLIENT_IDLE;
    c->has_message = false;
    list_push(&load.idle, &c->link);
    load.mode->on_end(c);
}

static void fail_message(struct client *c, const char *why)
{
    tell(c, "%s after %u pieces", why, c->check.k);
    load.errors++;
    drop_connection(c);
    end_message(c, false);
}

/* The connection broke, or never came about. */
static void lose_connection(struct client *c, int error)
{
    bool is_refused = c->state == CLIENT_CONNECTING;

    if (is_refused) {
        load.is_over = load.is_unreachable = true;
        fprintf(stderr, "bench_load: cannot connect: %s\n", strerror(error));
    }
    if (c->has_message) {
        fail_message(c, error ? strerror(error) : "the connection ended");
        return;
    }
    drop_connection(c);
    if (is_refused)
        list_push(&load.idle, &c->link);
}

/* ---- the answer ---- */

static void end_answer(struct client *c)
{
    bool is_right = c->answer.status == 200 && c->reader.is_done && !c->reader.has_failed;

    if (c->answer.status != 200) {
        tell(c, "status %u", c->answer.status);
        load.status_other++;
    } else if (c->reader.has_failed) {
        tell(c, "the server told an error");
        load.errors++;
    }
    if (load.reading.as != READ_BODY)
        is_right = is_right && text_check_is_whole(&c->check);
    if (c->answer.status == 200 && !is_right && !c->reader.has_failed)
        tell(c, "a wrong text: %s after %u pieces and %u bytes%s",
             c->check.is_wrong ? "it differs" : "it ends", c->check.k, c->check.at,
             c->reader.is_done ? "" : ", its end untold");
    if (is_right)
        histogram_add(&load.total, now_ns() - c->since_ns);
    end_message(c, is_right);
}

/* Counts the pieces that one read made whole. */
static void note_pieces(struct client *c, uint32_t n, uint64_t now)
{
    load.chunks += n;
    if (load.is_recording_gaps) {
        if (c->piece_ns > 0)
            histogram_add(&load.gap, now - c->piece_ns);
        for (uint32_t i = 1; i < n; i++)
            histogram_add(&load.gap, 0);
    }
    c->piece_ns = now;
}

static void take_bytes(struct client *c, const char *bytes, size_t len)
{
    uint32_t k = c->check.k;

    c->heard_ns = now_ns();
    while (len > 0 && c->answer.state != ANSWER_ENDED && c->answer.state != ANSWER_BROKEN) {
        struct str body;
        size_t taken = answer_read(&c->answer, bytes, len, &body);

        if (body.len > 0 && c->answer.status == 200)
            reader_feed(&c->reader, &load.reading, body, &c->check);
        bytes += taken;
        len -= taken;
    }
    if (c->reader.has_text && !c->has_first) {
        c->has_first = true;
        histogram_add(&load.first, c->heard_ns - c->since_ns);
        load.mode->on_first();
    }
    if (c->check.k > k)
        note_pieces(c, c->check.k - k, c->heard_ns);
    if (c->answer.state == ANSWER_BROKEN || len > 0)
        fail_message(c, "no HTTP");
    else if (c->answer.state == ANSWER_ENDED)
        end_answer(c);
}

/* What ends a message may also have closed its connection: then it is not read on. */
static void read_all(struct client *c, bool is_hung_up)
{
    ssize_t n;

    do {
        n = recv(c->fd, input, sizeof(input), MSG_DONTWAIT);
        if (n > 0 && c->state == CLIENT_BUSY) {
            take_bytes(c, input, (size_t)n);
        } else if (n == 0 && c->state == CLIENT_BUSY && c->answer.state == ANSWER_TO_CLOSE) {
            c->answer.state = ANSWER_ENDED;
            end_answer(c);
        } else if (n >= 0 || errno != EAGAIN) {
            lose_connection(c, n < 0 ? errno : 0);
        }
    } while (c->fd >= 0 && (n == sizeof(input) || (n > 0 && is_hung_up)));
}

/* ---- the request ---- */

static void send_unsent(struct client *c)
{
    ssize_t n = send(c->fd, c->unsent + c->unsent_at, c->unsent_len - c->unsent_at,
                     MSG_DONTWAIT | MSG_NOSIGNAL);

    if (n < 0)
        return; /* not yet; or the read that follows tells why */
    c->unsent_at += (size_t)n;
    if (c->unsent_at < c->unsent_len)
        return;
    free(c->unsent);
    c->unsent = NULL;
}

static void send_request(struct client *c)
{
    struct str bytes = requests_write(&load.requests, c->line, c->check.seed);
    ssize_t n = send(c->fd, bytes.ptr, bytes.len, MSG_DONTWAIT | MSG_NOSIGNAL);

    c->state = CLIENT_BUSY;
    if (n < 0 && errno != EAGAIN) {
        lose_connection(c, errno);
        return;
    }
    if (n == (ssize_t)bytes.len)
        return;
    c->unsent_at = 0;
    c->unsent_len = bytes.len - (n > 0 ? (size_t)n : 0);
    c->unsent = must_calloc(1, c->unsent_len);
    memcpy(c->unsent, bytes.ptr + bytes.len - c->unsent_len, c->unsent_len);
}

static void on_connected(struct client *c)
{
    int error = 0;
    socklen_t len = sizeof(error);

    getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &len);
    if (error != 0) {
        lose_connection(c, error);
        return;
    }
    load.n_connecting--;
    c->state = CLIENT_IDLE;
    if (c->has_message)
        send_request(c);
    else
        list_push(&load.idle, &c->link);
}

void client_connect(struct client *c)
{
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data.ptr = c};

    list_remove(&c->link);
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (c->fd < 0)
        quit(1, "bench_load: socket: %s", strerror(errno));
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    c->state = CLIENT_CONNECTING;
    load.n_connecting++;
    if (connect(c->fd, (struct sockaddr *)&load.options.target, sizeof(load.options.target)) != 0 &&
        errno != EINPROGRESS) {
        lose_connection(c, errno);
        return;
    }
    /* Tells that it can be written, at once or later. */
    if (epoll_ctl(load.epoll, EPOLL_CTL_ADD, c->fd, &event) != 0)
        quit(1, "bench_load: epoll_ctl: %s", strerror(errno));
}

void client_start(struct client *c, uint64_t line, uint64_t since_ns)
{
    list_remove(&c->link);
    c->line = line;
    c->since_ns = since_ns;
    c->heard_ns = now_ns();
    c->piece_ns = 0;
    c->has_first = false;
    c->has_message = true;
    c->answer = (struct answer){0};
    c->reader = (struct reader){0};
    text_check_init(&c->check, load.options.first_seed + load.started++, load.options.chunks,
                    load.options.bytes);
    if (c->state == CLIENT_IDLE)
        send_request(c);
    else
        client_connect(c);
}

void client_on_event(struct client *c, uint32_t events)
{
    if (c->fd < 0)
        return; /* closed since by the mode */
    if (c->state == CLIENT_CONNECTING) {
        on_connected(c);
        return;
    }
    if (c->unsent && (events & EPOLLOUT))
        send_unsent(c);
    if (events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR))
        read_all(c, events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR));
}

void client_give_up(struct client *c)
{
    fail_message(c, "nothing came for too long");
}

void client_leave(struct client *c)
{
    drop_connection(c);
    end_message(c, c->has_first && !c->check.is_wrong && !c->reader.has_failed);
}
