/* What this room counts. */
#include "internal.h"

struct http_numbers http_numbers[METRICS_THREADS];

#define NUMBER(member) offsetof(struct http_numbers, member)
#define REQUESTS(digit)                                                                            \
    {                                                                                              \
        "aerie_http_requests_total", "status=\"" #digit "xx\"", METRIC_COUNTER, METRIC_COUNT,      \
            NUMBER(requests[digit]), "Answers that were begun, by the class of their status."      \
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

void http_metrics(struct buf *out, const struct http_server *s)
{
    metrics_gauge(out, "aerie_connections", "Connections of clients that are open.",
                  http_stats(s).connections);
    if (s->tls)
        metrics_gauge(out, "aerie_tls_certificate_days",
                      "Days until the first of the certificates of tls.certificate ends.",
                      tls_server_days_left(s->tls));
    metrics_write(out, metrics, sizeof(metrics) / sizeof(metrics[0]), http_numbers,
                  sizeof(http_numbers[0]), metrics_threads(), NULL);
}
