/* What only this room shares. */
#ifndef AERIE_TRACE_INTERNAL_H
#define AERIE_TRACE_INTERNAL_H

#include "base/metrics.h"
#include "trace/span.h"

/* queue.c: of the loop that is current; nothing happens where that has none. */
void span_queue_put(const struct span *s, const struct span_record *r);

/* encode.c: one Span of OTLP. */
void span_encode(struct buf *out, const struct span *s, const struct span_record *r);
/* What stands before the spans of a request, and behind them. */
void span_encode_head(struct buf *out, struct str instance_id);
void span_encode_tail(struct buf *out);

/* metrics.c */
struct span_numbers {
    _Alignas(64) struct counter fates[N_SPAN_FATES];
    struct counter failed_exports, waiting;
};
struct span_numbers *span_numbers_here(void);

#endif
