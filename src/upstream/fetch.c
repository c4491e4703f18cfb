/* One small exchange as an operation: a post whose whole answer is kept, whatever its status. */
#include "upstream/fetch.h"

#include "config/config.h"
#include "peer_url.h"
#include "post.h"
#include "room.h"

#include <assert.h>
#include <stdlib.h>

/* Servers of all kinds are asked: as patient with idle connections as the least patient (Node). */
#define IDLE_S 4

struct fetch_transfer {
    struct list link;
    struct fetch *fetch;
    struct arena *arena;
    struct post post;
    struct timer whole;
    struct buf body;
    size_t max_bytes;
    bool is_too_large;
};

/* post.h's words are about agents. */
static struct error explain(struct error err)
{
    switch ((int)err.status) {
    case ERR_PROVIDER_UNREACHABLE:
        return ERROR(err.status, err.code, "The server could not be reached.");
    case ERR_PROVIDER_TIMEOUT:
        return ERROR(err.status, err.code, "The server did not answer in time.");
    case ERR_PROVIDER_MALFORMED:
        return ERROR(err.status, err.code, "The server's answer could not be read.");
    case ERR_INTERRUPTED:
        return ERROR(err.status, err.code, "The server's answer was cut off.");
    case ERR_UPSTREAM_LIMIT:
        return ERROR(err.status, err.code, "The server's answer is too large.");
    default:
        return err;
    }
}

/* Frees t. */
static void finish(struct fetch_transfer *t, struct error err)
{
    struct fetch *w = t->fetch;

    if (!is_error(err) && t->body.len > 0) {
        if (arena_defer(t->arena, free, t->body.data)) {
            w->body = buf_str(&t->body);
            t->body = (struct buf){0};
        } else {
            t->body.data = NULL; /* arena_defer() has freed it */
            err = ERROR(ERR_NO_MEMORY, 0, NULL);
        }
    }
    w->http_status = t->post.has_head ? t->post.http_status : 0;
    w->retry_after_s = t->post.retry_after_s;
    w->transfer = NULL;
    timer_stop(&t->whole);
    post_end(&t->post);
    list_remove(&t->link);
    buf_deinit(&t->body);
    free(t);
    op_end(&w->op, explain(err));
}

static void on_cancel(struct op *op)
{
    finish(container_of(op, struct fetch, op)->transfer, ERROR(ERR_CANCELED, 0, NULL));
}

static void on_whole_deadline(struct timer *timer)
{
    finish(container_of(timer, struct fetch_transfer, whole), ERROR(ERR_PROVIDER_TIMEOUT, 0, NULL));
}

static void on_body(struct post *p, struct str bytes)
{
    struct fetch_transfer *t = container_of(p, struct fetch_transfer, post);

    if (bytes.len > t->max_bytes - t->body.len)
        t->is_too_large = true;
    if (!t->is_too_large)
        buf_append_str(&t->body, bytes);
}

static void on_progress(struct post *p)
{
    struct fetch_transfer *t = container_of(p, struct fetch_transfer, post);

    if (t->is_too_large)
        finish(t, ERROR(ERR_UPSTREAM_LIMIT, 0, NULL));
    else if (t->body.failed)
        finish(t, ERROR(ERR_NO_MEMORY, 0, NULL));
    else if (p->is_encoded && p->has_head)
        finish(t, ERROR(ERR_PROVIDER_MALFORMED, 0, NULL));
    else if (p->is_done)
        finish(t, p->err);
}

static struct error send_request(struct fetch_transfer *t, const struct fetch_request *rq)
{
    struct buf body = {0}, url = {0};
    struct post_request post = {.url = rq->url,
                                .body = rq->body.ptr ? &body : NULL,
                                .headers = rq->headers,
                                .n_headers = rq->n_headers,
                                .wants_all = true,
                                .max_idle_s = IDLE_S,
                                .is_inside = rq->is_inside,
                                .parent = t->fetch->op.flow->span};
    struct error err;

    buf_append_str(&body, rq->body);
    if (rq->peer.len > 0 && !peer_url(&url, rq->peer, rq->url, &post))
        body.failed = true;
    err = body.failed ? ERROR(ERR_NO_MEMORY, 0, NULL)
                      : post_start(room_current()->client, &t->post, &post);
    buf_deinit(&body);
    buf_deinit(&url);
    return err;
}

void fetch_start(struct fetch *w, struct flow *f, struct arena *a, const struct fetch_request *rq)
{
    struct room *room = room_current();
    struct fetch_transfer *t = calloc(1, sizeof(*t));
    uint64_t timeout_ms =
        rq->timeout_ms > 0 ? rq->timeout_ms : config()->upstream.total_seconds * 1000;
    struct error err;

    assert(rq->n_headers <= sizeof(rq->headers) / sizeof(rq->headers[0]));
    *w = (struct fetch){.retry_after_s = -1};
    op_begin(&w->op, f, on_cancel);
    if (!t) {
        op_end(&w->op, ERROR(ERR_NO_MEMORY, 0, NULL));
        return;
    }
    w->transfer = t;
    *t = (struct fetch_transfer){.fetch = w,
                                 .arena = a,
                                 .max_bytes = rq->max_bytes,
                                 .post = {.on_body = on_body, .on_progress = on_progress}};
    list_push(&room->fetches, &t->link);
    timer_start(&t->whole, timeout_ms, on_whole_deadline);
    err = send_request(t, rq);
    if (is_error(err))
        finish(t, err);
}

void fetch_end_all(struct room *room)
{
    while (!list_is_empty(&room->fetches))
        // NOLINTNEXTLINE(clang-analyzer-unix.Malloc): what is freed has left the list
        finish(container_of(room->fetches.next, struct fetch_transfer, link),
               ERROR(ERR_CANCELED, 0, NULL));
}
