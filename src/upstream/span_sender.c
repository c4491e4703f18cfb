/* Ended spans on their way to the collector (OpenTelemetry Protocol 1.x, "OTLP/HTTP"). They wait
 * for tracing.flush_ms or until there is a batch of them; then they are one request, which is sent
 * again while the collector says that this helps, for at most tracing.retry_seconds. */
#include "span_sender.h"

#include "base/json.h"
#include "base/log.h"
#include "config/config.h"
#include "trace/span.h"
#include "upstream/fetch.h"

#include <stdlib.h>

#define FIRST_RETRY_MS 500
#define MAX_RETRY_MS   10000
#define MOST_DOUBLINGS 5
#define ANSWER_BYTES   (64 * 1024)
#define ANSWER_DEPTH   16
#define WORDS_BYTES    200 /* of the collector's, in the log */

enum sender_state {
    SENDER_IDLE,      /* the queue is empty */
    SENDER_GATHERING, /* spans wait for others */
    SENDER_SENDING,   /* a batch is on its way */
    SENDER_PAUSING,   /* it was not taken, and is sent again */
};

struct span_sender {
    struct span_queue *queue;
    enum sender_state state;
    struct timer timer; /* of GATHERING and PAUSING */
    struct buf batch;
    size_t n_batch; /* spans in it */
    unsigned n_tries;
    uint64_t until_ms; /* it is given up */
    bool was_failing;  /* the last one was */

    struct flow flow;
    struct arena arena;
    struct fetch fetch;

    struct timer patience; /* at the end */
    void (*on_ended)(struct loop *l);
};

static uint64_t now_ms(const struct span_sender *s)
{
    return loop_now_ms(s->queue->loop);
}

static void look(struct span_sender *s);

/* ---- a batch ---- */

/* What can be read of {"partialSuccess": {"rejectedSpans": "3", "errorMessage": "…"}}. */
static size_t count_rejected(struct span_sender *s)
{
    yyjson_val *root, *partial, *rejected;
    struct str words;
    int64_t n = 0;

    if (is_error(json_read(&s->arena, s->fetch.body, ANSWER_DEPTH, &root)))
        return 0;
    partial = json_member(root, "partialSuccess");
    rejected = json_member(partial, "rejectedSpans");
    if (yyjson_is_int(rejected))
        n = yyjson_get_sint(rejected);
    else
        (void)!str_to_i64(json_text(rejected), &n);
    if (n <= 0)
        return 0;
    words = utf8_prefix(json_text(json_member(partial, "errorMessage")), WORDS_BYTES);
    log_warn("trace: the collector rejected %lld spans: %.*s", (long long)n, STR_ARG(words));
    return (uint64_t)n < s->n_batch ? (size_t)n : s->n_batch;
}

static bool is_taken(const struct span_sender *s)
{
    return s->fetch.http_status >= 200 && s->fetch.http_status < 300;
}

/* The statuses that the protocol names, and no answer at all. */
static bool may_help_again(const struct span_sender *s)
{
    int status = s->fetch.http_status;

    return status == 0 || status == 429 || (status >= 502 && status <= 504);
}

static void end_batch(struct span_sender *s, size_t n_lost)
{
    span_count(SPANS_NOT_SENT, n_lost);
    buf_deinit(&s->batch);
    s->n_batch = 0;
    s->n_tries = 0;
    look(s);
}

static void note_taken(struct span_sender *s)
{
    size_t n_rejected = count_rejected(s);

    span_count(SPANS_REJECTED, n_rejected);
    span_count(SPANS_EXPORTED, s->n_batch - n_rejected);
    if (s->was_failing)
        log_info("trace: the collector takes spans again");
    s->was_failing = false;
}

/* Once, and again when it is well in between. */
static void note_failure(struct span_sender *s)
{
    span_count_failed_export();
    if (!s->was_failing)
        log_warn("trace: the collector did not take spans: %s (status %d)",
                 is_error(s->flow.err) ? status_row(s->flow.err.status)->name : "it refuses them",
                 s->fetch.http_status);
    s->was_failing = true;
}

static uint64_t pause_ms(const struct span_sender *s)
{
    unsigned n_doublings = s->n_tries < MOST_DOUBLINGS ? s->n_tries - 1 : MOST_DOUBLINGS;
    uint64_t ms = (uint64_t)FIRST_RETRY_MS << n_doublings;

    if (s->fetch.retry_after_s > 0)
        return (uint64_t)s->fetch.retry_after_s * 1000;
    return ms < MAX_RETRY_MS ? ms : MAX_RETRY_MS;
}

static void send_batch(struct span_sender *s);

static void on_pause_over(struct timer *t)
{
    send_batch(container_of(t, struct span_sender, timer));
}

static void on_sent(struct flow *f)
{
    struct span_sender *s = f->state;
    bool was_taken = is_taken(s);
    uint64_t wait_ms;

    if (was_taken)
        note_taken(s);
    else
        note_failure(s);
    arena_free(&s->arena);
    wait_ms = was_taken ? 0 : pause_ms(s);
    if (was_taken || !may_help_again(s) || f->err.status == ERR_INVALID ||
        now_ms(s) + wait_ms > s->until_ms) {
        end_batch(s, was_taken ? 0 : s->n_batch);
        return;
    }
    s->state = SENDER_PAUSING;
    timer_start(&s->timer, wait_ms, on_pause_over);
}

static void send_spans(struct flow *f)
{
    struct span_sender *s = f->state;
    const struct config_tracing *c = &config()->tracing;
    struct fetch_request rq = {.url = c->endpoint,
                               .is_inside = true,
                               .body = buf_str(&s->batch),
                               .timeout_ms = c->timeout_seconds * 1000,
                               .max_bytes = ANSWER_BYTES};

    for (size_t i = 0; i < c->headers.n && i < TRACING_HEADERS_MAX; i++) {
        struct str line = c->headers.items[i];
        size_t colon = str_find(line, ':');

        rq.headers[rq.n_headers++] =
            (struct fetch_header){{line.ptr, colon}, str_trim(str_skip(line, colon + 1))};
    }
    fetch_start(&s->fetch, f, &s->arena, &rq);
}

static const struct step steps[] = {STEP(send_spans), STEP_END};

static void send_batch(struct span_sender *s)
{
    s->state = SENDER_SENDING;
    s->n_tries++;
    s->fetch = (struct fetch){.retry_after_s = -1};
    flow_start(&s->flow, steps, s, on_sent);
}

/* ---- when ---- */

static void end(struct span_sender *s)
{
    void (*on_ended)(struct loop * l) = s->on_ended;
    struct loop *l = s->queue->loop;

    timer_stop(&s->timer);
    timer_stop(&s->patience);
    s->queue->on_span = NULL;
    buf_deinit(&s->batch);
    free(s);
    on_ended(l);
}

static void begin_batch(struct span_sender *s)
{
    const struct config_tracing *c = &config()->tracing;

    s->n_batch = trace_is_on() ? span_queue_write(s->queue, c->batch, &s->batch) : 0;
    if (s->n_batch == 0) { /* switched off in the meantime, or no memory */
        span_queue_drop(s->queue);
        end_batch(s, 0);
        return;
    }
    s->until_ms = now_ms(s) + c->retry_seconds * 1000;
    send_batch(s);
}

static void on_gathered(struct timer *t)
{
    begin_batch(container_of(t, struct span_sender, timer));
}

static bool is_batch_there(const struct span_sender *s)
{
    return s->on_ended || s->queue->n >= config()->tracing.batch;
}

/* No batch is on its way: what next? May free s. */
static void look(struct span_sender *s)
{
    if (s->queue->n > 0) {
        s->state = SENDER_GATHERING;
        timer_start(&s->timer, is_batch_there(s) ? 0 : config()->tracing.flush_ms, on_gathered);
    } else {
        s->state = SENDER_IDLE;
        timer_stop(&s->timer);
        if (s->on_ended)
            end(s);
    }
}

static void on_span(struct span_queue *q)
{
    struct span_sender *s = q->sender;

    if (s->state == SENDER_IDLE || (s->state == SENDER_GATHERING && is_batch_there(s)))
        look(s);
}

/* ---- life ---- */

struct span_sender *span_sender_new(struct loop *l)
{
    struct span_sender *s = calloc(1, sizeof(*s));

    if (!s)
        return NULL;
    s->queue = span_queue_of(l);
    s->queue->sender = s;
    s->queue->on_span = on_span;
    return s;
}

/* What is on its way is lost, and what waits. */
static void on_patience_over(struct timer *t)
{
    struct span_sender *s = container_of(t, struct span_sender, patience);

    log_warn("trace: %zu spans did not reach the collector in time", s->n_batch + s->queue->n);
    span_queue_drop(s->queue);
    s->until_ms = 0;
    if (s->state == SENDER_SENDING)
        flow_fail(&s->flow, ERROR(ERR_CANCELED, 0, NULL)); /* last: ends s */
    else
        end_batch(s, s->n_batch);
}

void span_sender_end(struct span_sender *s, struct loop *l, void (*on_ended)(struct loop *l))
{
    if (!s) {
        on_ended(l);
        return;
    }
    s->on_ended = on_ended;
    timer_start(&s->patience, config()->tracing.drain_ms, on_patience_over);
    if (s->state == SENDER_PAUSING)
        timer_start(&s->timer, 0, on_pause_over); /* once more, at once */
    else if (s->state != SENDER_SENDING)
        look(s);
}
