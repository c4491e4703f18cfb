/* What this room counts. */
#include "internal.h"

#include <stdio.h>

struct http_numbers http_numbers[METRICS_THREADS];

#define NUMBER(member) offsetof(struct http_numbers, member)
#define REQUESTS(digit)                                                                            \
    {                                                                                              \
        "aerie_http_requests_total", "status=\"" #digit "xx\"", METRIC_COUNTER, METRIC_COUNT,      \
            NUMBER(requests[digit]), "Answers that were begun, by the class of their status."      \
    }

/* The last one: any other. */
static const int errors[HTTP_ERRORS_COUNTED] = {400, 401, 403, 404, 405, 408, 409,
                                                413, 414, 415, 417, 422, 426, 429,
                                                431, 500, 502, 503, 504, 507, 0};

void http_count_error(int status)
{
    size_t i = 0;

    while (i < HTTP_ERRORS_COUNTED - 1 && errors[i] != status)
        i++;
    counter_add(&http_count()->errors[i], 1);
}

static void write_errors(struct buf *out)
{
    struct metric rows[HTTP_ERRORS_COUNTED];
    char labels[HTTP_ERRORS_COUNTED][16];

    for (size_t i = 0; i < HTTP_ERRORS_COUNTED; i++) {
        if (errors[i])
            snprintf(labels[i], sizeof(labels[i]), "code=\"%d\"", errors[i]);
        else
            snprintf(labels[i], sizeof(labels[i]), "code=\"other\"");
        rows[i] = (struct metric){"aerie_http_errors_total",
                                  labels[i],
                                  METRIC_COUNTER,
                                  METRIC_COUNT,
                                  NUMBER(errors[0]) + i * sizeof(struct counter),
                                  "Answers of 400 and above that were begun, by their status."};
    }
    metrics_write(out, rows, HTTP_ERRORS_COUNTED, http_numbers, sizeof(http_numbers[0]),
                  metrics_threads(), NULL);
}

static const struct metric metrics[] = {
    {"aerie_connections_accepted_total", NULL, METRIC_COUNTER, METRIC_COUNT, NUMBER(accepted),
     "Connections of clients that were accepted."},
    {"aerie_connections_refused_total", NULL, METRIC_COUNTER, METRIC_COUNT, NUMBER(refused),
     "Connections closed at once: too many from one address, no memory, or draining."},
    {"aerie_accept_pauses_total", NULL, METRIC_COUNTER, METRIC_COUNT, NUMBER(pauses),
     "Times that accepting paused: limits.connections, or no descriptor left."},
    {"aerie_tls_handshakes_total", "outcome=\"full\"", METRIC_COUNTER, METRIC_COUNT,
     NUMBER(handshakes_full), "Handshakes of TLS, by how they ended."},
    {"aerie_tls_handshakes_total", "outcome=\"resumed\"", METRIC_COUNTER, METRIC_COUNT,
     NUMBER(handshakes_resumed), NULL},
    {"aerie_tls_handshakes_total", "outcome=\"failed\"", METRIC_COUNTER, METRIC_COUNT,
     NUMBER(handshakes_failed), NULL},
    REQUESTS(1),
    REQUESTS(2),
    REQUESTS(3),
    REQUESTS(4),
    REQUESTS(5),
    {"aerie_output_bytes", NULL, METRIC_GAUGE, METRIC_COUNT, NUMBER(output_bytes),
     "Bytes that clients' sockets did not take yet."},
};

static void write_certificate(struct buf *out, struct tls_server *tls)
{
    static const char name[] = "aerie_tls_certificate_end_timestamp_seconds";

    metrics_begin(
        out, name, METRIC_GAUGE,
        "When the first of the certificates of tls.certificate ends, in seconds since 1970.");
    metrics_sample(out, name, NULL, METRIC_MICROSECONDS, (uint64_t)tls_server_ends_us(tls));
}

void http_metrics(struct buf *out, const struct http_server *s)
{
    metrics_gauge(out, "aerie_connections", "Connections of clients that are open.",
                  http_stats(s).connections);
    if (s->tls)
        write_certificate(out, s->tls);
    write_errors(out);
    metrics_write(out, metrics, sizeof(metrics) / sizeof(metrics[0]), http_numbers,
                  sizeof(http_numbers[0]), metrics_threads(), NULL);
}
