/* A stream of events from another node: a post whose answer is read event by event. */
#include "upstream/feed.h"

#include "event_stream.h"
#include "peer_url.h"
#include "post.h"
#include "room.h"

#include <stdlib.h>
#include <string.h>

#define ID_BYTES 64 /* of an event */

struct feed_transfer {
    struct list link;
    struct feed *feed;
    struct post post;
    struct event_stream events;
    struct timer silence;
    uint64_t silence_ms, last_ms;
    char id[ID_BYTES];
    size_t id_len;
    bool has_enough;
};

/* Frees t. */
static void finish(struct feed_transfer *t, struct error err)
{
    struct feed *w = t->feed;

    w->http_status = t->post.has_head ? t->post.http_status : 0;
    w->transfer = NULL;
    timer_stop(&t->silence);
    post_end(&t->post);
    list_remove(&t->link);
    event_stream_deinit(&t->events);
    free(t);
    op_end(&w->op, err);
}

static void on_cancel(struct op *op)
{
    finish(container_of(op, struct feed, op)->transfer, ERROR(ERR_CANCELED, 0, NULL));
}

static uint64_t now_ms(void)
{
    return loop_now_ms(loop_current());
}

/* Moved here once an expiry, not once a piece. */
static void on_silence(struct timer *timer)
{
    struct feed_transfer *t = container_of(timer, struct feed_transfer, silence);
    uint64_t due_ms = t->last_ms + t->silence_ms;

    if (now_ms() < due_ms)
        timer_start(timer, due_ms - now_ms(), on_silence);
    else
        finish(t, ERROR(ERR_PROVIDER_TIMEOUT, 0, "the node fell silent"));
}

static void on_id(void *state, struct str id)
{
    struct feed_transfer *t = state;

    t->id_len = id.len < ID_BYTES ? id.len : 0;
    if (t->id_len > 0)
        memcpy(t->id, id.ptr, t->id_len);
}

static void on_event(void *state, struct str type, struct str data)
{
    struct feed_transfer *t = state;
    struct str id = {t->id, t->id_len};

    t->id_len = 0;
    if (!t->has_enough)
        t->has_enough = !t->feed->on_event(t->feed->state, type, id, data);
}

static void on_body(struct post *p, struct str bytes)
{
    struct feed_transfer *t = container_of(p, struct feed_transfer, post);

    t->last_ms = now_ms();
    if (!t->has_enough && !t->events.is_too_long)
        (void)!event_stream_feed(&t->events, bytes);
}

static void on_progress(struct post *p)
{
    struct feed_transfer *t = container_of(p, struct feed_transfer, post);

    if (t->has_enough)
        finish(t, NO_ERROR);
    else if (t->events.is_too_long)
        finish(t, ERROR(ERR_UPSTREAM_LIMIT, 0, "an event of the node is too long"));
    else if (p->is_encoded && p->has_head)
        finish(t, ERROR(ERR_PROVIDER_MALFORMED, 0, "the node's answer is compressed"));
    else if (p->is_done)
        finish(t, p->err);
}

static struct error send_request(struct feed_transfer *t, const struct feed_request *rq)
{
    struct buf url = {0};
    struct post_request post = {
        .headers = &rq->header, .n_headers = 1, .parent = t->feed->op.flow->span};
    struct error err = ERROR(ERR_NO_MEMORY, 0, NULL);

    if (peer_url(&url, rq->address, rq->target, &post))
        err = post_start(room_current()->client, &t->post, &post);
    buf_deinit(&url);
    return err;
}

void feed_start(struct feed *w, struct flow *f, const struct feed_request *rq)
{
    struct feed_transfer *t = calloc(1, sizeof(*t));
    struct error err;

    w->http_status = 0;
    op_begin(&w->op, f, on_cancel);
    if (!t) {
        op_end(&w->op, ERROR(ERR_NO_MEMORY, 0, NULL));
        return;
    }
    w->transfer = t;
    *t = (struct feed_transfer){
        .feed = w,
        .post = {.on_body = on_body, .on_progress = on_progress},
        .events = {.on_event = on_event, .on_id = on_id, .max_bytes = rq->event_bytes},
        .silence_ms = rq->silence_ms,
        .last_ms = now_ms()};
    t->events.state = t;
    list_push(&room_current()->feeds, &t->link);
    timer_start(&t->silence, t->silence_ms, on_silence);
    err = send_request(t, rq);
    if (is_error(err))
        finish(t, err);
}

void feed_end_all(struct room *room)
{
    while (!list_is_empty(&room->feeds))
        // NOLINTNEXTLINE(clang-analyzer-unix.Malloc): what is freed has left the list
        finish(container_of(room->feeds.next, struct feed_transfer, link),
               ERROR(ERR_CANCELED, 0, NULL));
}
