/* Sends a loop's ended spans to the collector: OTLP over HTTP, one request at a time. */
#ifndef AERIE_UPSTREAM_SPAN_SENDER_H
#define AERIE_UPSTREAM_SPAN_SENDER_H

#include "loop/loop.h"

struct span_sender;

/* Loop's thread, where the loop has a queue of spans. NULL: no memory. */
struct span_sender *span_sender_new(struct loop *l);
/* Sends what is left, for at most tracing.drain_ms, and frees s. on_ended comes from the loop,
 * perhaps before this returns. s NULL is fine. */
void span_sender_end(struct span_sender *s, struct loop *l, void (*on_ended)(struct loop *l));

#endif
