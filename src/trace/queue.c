/* Ended spans, written already, on their way to who sends them. */
#include "base/id.h"
#include "config/config.h"
#include "internal.h"
#include "loop/loop.h"

#include <stdlib.h>
#include <string.h>

struct span_item {
    struct span_item *next;
    size_t len;
    char json[];
};

static struct id instance; /* written before the loops run */

void trace_open(struct str instance_id)
{
    instance = (struct id){""};
    if (instance_id.len <= ID_LEN)
        memcpy(instance.text, instance_id.ptr, instance_id.len);
}

struct span_queue *span_queue_of(const struct loop *l)
{
    return l ? l->rooms[ROOM_TRACE] : NULL;
}

bool trace_attach(struct loop *l)
{
    struct span_queue *q = calloc(1, sizeof(*q));

    if (!q)
        return false;
    q->loop = l;
    q->last = &q->first;
    l->rooms[ROOM_TRACE] = q;
    return true;
}

void trace_detach(struct loop *l)
{
    struct span_queue *q = span_queue_of(l);

    if (!q)
        return;
    span_queue_drop(q);
    buf_deinit(&q->scratch);
    l->rooms[ROOM_TRACE] = NULL;
    free(q);
}

static void note_waiting(int64_t more)
{
    counter_add(&span_numbers_here()->waiting, (uint64_t)more);
}

void span_queue_put(const struct span *s, const struct span_record *r)
{
    struct span_queue *q = span_queue_of(loop_current());
    struct span_item *item;

    if (!q || !q->on_span)
        return;
    if (q->n >= config()->tracing.queue) {
        span_count(SPANS_QUEUE_FULL, 1);
        return;
    }
    buf_clear(&q->scratch);
    span_encode(&q->scratch, s, r);
    item = q->scratch.failed ? NULL : malloc(sizeof(*item) + q->scratch.len);
    if (!item) {
        span_count(SPANS_NOT_SENT, 1);
        return;
    }
    item->next = NULL;
    item->len = q->scratch.len;
    memcpy(item->json, q->scratch.data, item->len);
    *q->last = item;
    q->last = &item->next;
    q->n++;
    note_waiting(1);
    q->on_span(q);
}

static void drop_first(struct span_queue *q)
{
    struct span_item *item = q->first;

    q->first = item->next;
    if (!q->first)
        q->last = &q->first;
    q->n--;
    note_waiting(-1);
    free(item);
}

size_t span_queue_write(struct span_queue *q, size_t most, struct buf *out)
{
    size_t n = 0;

    span_encode_head(out, id_str(&instance));
    for (const struct span_item *item = q->first; item && n < most; item = item->next, n++) {
        if (n > 0)
            buf_append_char(out, ',');
        buf_append(out, item->json, item->len);
    }
    span_encode_tail(out);
    if (out->failed)
        return 0;
    for (size_t i = 0; i < n; i++)
        drop_first(q);
    return n;
}

void span_queue_drop(struct span_queue *q)
{
    span_count(SPANS_NOT_SENT, q->n);
    while (q->first)
        drop_first(q);
}
