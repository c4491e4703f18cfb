/* A place in a distributed trace, in the form of the headers traceparent and tracestate: W3C Trace
 * Context, Level 1 (https://www.w3.org/TR/trace-context-1/) and 2. No state; any thread. */
#ifndef AERIE_TRACE_CONTEXT_H
#define AERIE_TRACE_CONTEXT_H

#include "base/str.h"

#define TRACE_ID_BYTES 16
#define SPAN_ID_BYTES  8
#define TRACE_SAMPLED  0x01 /* the caller may have recorded it */
#define TRACE_RANDOM                                                                               \
    0x02 /* Level 2, section 3.2.2.3.2: the last seven bytes of trace_id are random */

struct trace_context {
    unsigned char trace_id[TRACE_ID_BYTES];
    unsigned char span_id[SPAN_ID_BYTES]; /* of the caller's: parent-id */
    unsigned char flags;                  /* those above; others are not kept (section 3.2.2.3.3) */
};

/* The value of traceparent, without the spaces around it (section 3.2.2). False: it is none. */
bool trace_context_parse(struct str value, struct trace_context *out);
#define TRACEPARENT_BYTES 56
struct str trace_context_write(const struct trace_context *c, char out[TRACEPARENT_BYTES]);

/* The values of tracestate's lines, joined by commas (section 3.3.1). Past TRACESTATE_BYTES, the
 * least that must be passed on, it is not passed on at all. */
#define TRACESTATE_BYTES 512
bool trace_state_is_valid(struct str value);

/* Lower case, with a NUL. */
#define TRACE_ID_TEXT_BYTES 33
struct str trace_id_write(const struct trace_context *c, char out[TRACE_ID_TEXT_BYTES]);

#endif
