/* Spans: what one operation did, from its beginning to its end, and whose part it was. One that
 * lives belongs to who began it, on its loop. Who has a flow puts it there (flow_start_traced()):
 * what the flow asks of the database and of others is then told as its part. */
#ifndef AERIE_TRACE_SPAN_H
#define AERIE_TRACE_SPAN_H

#include "base/buf.h"
#include "trace/context.h"

struct loop;

/* NULL is fine everywhere: nothing is told. */
struct span {
    struct trace_context context; /* its own; of one that is not recorded: whatever those who are
                                     asked on its behalf get to see */
    unsigned char parent_id[SPAN_ID_BYTES]; /* all zero: it begins the trace */
    bool is_parent_remote;
    bool is_recorded; /* else it is only passed on */
    int64_t began_wall_us;
    uint64_t began_us; /* monotonic */
    size_t state_len;
    char state[]; /* tracestate, as it came */
};

/* Are there spans to be told at all? For who would have to look for a caller's word first. */
bool trace_is_on(void);

/* Of a request that came, or of work that nobody asked for. caller: NULL, or what it said, where
 * that is believed: then it decides whether this is recorded, else tracing.sample does. state: its
 * tracestate, valid, or "". NULL: tracing is off and nobody said anything, or no memory. */
struct span *span_enter(const struct trace_context *caller, struct str state);
/* A part of parent's. NULL: parent is NULL, or no memory. */
struct span *span_begin(const struct span *parent);
/* The same, but NULL as well when it is only passed on: for who asks nobody else. */
struct span *span_begin_recorded(const struct span *parent);
/* By tracing.sample; trace_id is random. */
bool span_is_sampled(const unsigned char trace_id[TRACE_ID_BYTES], uint64_t sampled_below);

/* OTLP's numbers. */
enum span_kind { SPAN_INTERNAL = 1, SPAN_SERVER = 2, SPAN_CLIENT = 3 };

/* name: of OpenTelemetry's semantic conventions where they have one. Never message text, secrets,
 * addresses of people or their ids. */
struct span_fact {
    const char *name;
    struct str text; /* valid UTF-8; ptr NULL: the number; "" : it is left out */
    int64_t number;
};

struct span_record {
    enum span_kind kind;
    struct str name; /* of few values: no ids */
    const struct span_fact *facts;
    size_t n_facts;
    const char *event; /* something that happened meanwhile; NULL: nothing */
    uint64_t event_us; /* monotonic */
    bool has_failed;
};
/* Ends s: what is recorded waits in the loop's queue for who sends it, or is dropped and counted
 * when that is full. Frees s. */
void span_end(struct span *s, const struct span_record *r);

/* ---- the loop's queue of ended spans: at most tracing.queue ---- */
struct span_queue {
    struct loop *loop;
    struct span_item *first, **last;
    size_t n;
    struct buf scratch;
    /* One has come. Set by who sends them; called from anywhere: may start a timer, no more. */
    void (*on_span)(struct span_queue *q);
    void *sender;
};
/* Main thread, before the loops: instance_id tells this process from others of the service. Copied.
 */
void trace_open(struct str instance_id);
bool trace_attach(struct loop *l);                      /* loop's thread; false: no memory */
void trace_detach(struct loop *l);                      /* what is left is dropped */
struct span_queue *span_queue_of(const struct loop *l); /* NULL: none */
/* Writes an ExportTraceServiceRequest (OTLP 1, JSON) of the oldest, at most most of them, and takes
 * them out. Returns how many these are; none when out has failed. */
size_t span_queue_write(struct span_queue *q, size_t most, struct buf *out);
void span_queue_drop(struct span_queue *q); /* all; counted as not sent */

/* What became of them, for GET /metrics. */
enum span_fate { SPANS_EXPORTED, SPANS_REJECTED, SPANS_QUEUE_FULL, SPANS_NOT_SENT, N_SPAN_FATES };
void span_count(enum span_fate fate, size_t n);
void span_count_failed_export(void);
void trace_metrics(struct buf *out);

#endif
