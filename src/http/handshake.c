/* Handshakes of TLS, a few in each turn of the loop: one may take a millisecond, and there may be
 * thousands that wait. */
#include "internal.h"

#include <sys/socket.h>

/* Until other things of the loop have their turn. */
#define STEPS_A_TURN 4

/* What speaks HTTP in clear begins with a method; no record of TLS begins with a letter. */
static bool speaks_plainly(int fd)
{
    char first;

    return recv(fd, &first, 1, MSG_PEEK | MSG_DONTWAIT) == 1 && first >= 'A' && first <= 'Z';
}

static void go_on(struct conn *c)
{
    struct tls *t = c->tls;

    if (!t->has_begun && speaks_plainly(c->fd)) {
        conn_refuse_plain(c);
        return;
    }
    t->has_begun = true;
    switch (tls_handshake(t)) {
    case TLS_WAITING:
        conn_await_handshake(c);
        break;
    case TLS_ESTABLISHED:
        counter_add(tls_is_resumed(t) ? &http_count()->handshakes_resumed
                                      : &http_count()->handshakes_full,
                    1);
        conn_end_handshake(c);
        break;
    case TLS_FAILED:
        conn_close(c); /* which counts it */
        break;
    }
}

static void post(struct handshakes *all);

static void run_turn(struct mail *m)
{
    struct handshakes *all = container_of(m, struct handshakes, mail);
    struct list *link;

    all->is_posted = false;
    for (unsigned n = 0; n < STEPS_A_TURN && (link = list_pop(&all->ready)); n++)
        go_on(container_of(link, struct tls, turn)->conn);
    if (!list_is_empty(&all->ready))
        post(all);
}

static void post(struct handshakes *all)
{
    all->mail.run = run_turn;
    all->is_posted = loop_post(loop_current(), &all->mail);
}

void handshake_queue(struct handshakes *all, struct tls *t)
{
    if (!list_is_linked(&t->turn))
        list_push(&all->ready, &t->turn);
    if (!all->is_posted)
        post(all);
}
