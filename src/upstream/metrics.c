/* What this room counts: calls to agents, by their provider. */
#include "metrics.h"

#include "provider.h"

#include <stdio.h>

struct upstream_numbers upstream_numbers[METRICS_THREADS];

static size_t index_of(const struct provider *p)
{
    size_t i = (size_t)(p - provider_at(0));

    return i < PROVIDERS_COUNTED ? i : PROVIDERS_COUNTED - 1;
}

struct provider_numbers *upstream_count(const struct provider *p)
{
    return &upstream_numbers[metrics_thread()].providers[index_of(p)];
}

/* Of the first provider: another one's is as much further on as its place in the table says. */
#define NUMBER(member) offsetof(struct upstream_numbers, providers[0].member)

static const struct metric families[] = {
    {"aerie_upstream_calls_total", NULL, METRIC_COUNTER, METRIC_COUNT, NUMBER(calls),
     "Calls to agents that were begun."},
    {"aerie_upstream_requests_total", NULL, METRIC_COUNTER, METRIC_COUNT, NUMBER(requests),
     "Requests of these calls: the first, and those with another key or after a wait."},
    {"aerie_upstream_calls_in_flight", NULL, METRIC_GAUGE, METRIC_COUNT, NUMBER(in_flight),
     "Calls to agents that run now."},
    {"aerie_upstream_calls_waiting", NULL, METRIC_GAUGE, METRIC_COUNT, NUMBER(pausing),
     "Those of them that wait before they ask again."},
};

/* How a call ends when not well, by the public names. */
static const enum status kinds[] = {
    ERR_BUSY,
    ERR_CANCELED,
    ERR_EMPTY_REPLY,
    ERR_INTERNAL,
    ERR_INTERRUPTED,
    ERR_NO_MEMORY,
    ERR_PROVIDER_AUTH,
    ERR_PROVIDER_ERROR,
    ERR_PROVIDER_MALFORMED,
    ERR_PROVIDER_RATE_LIMITED,
    ERR_PROVIDER_TIMEOUT,
    ERR_PROVIDER_UNREACHABLE,
    ERR_UPSTREAM_LIMIT,
};
#define N_KINDS (sizeof(kinds) / sizeof(kinds[0]))

static void write_rows(struct buf *out, const struct metric *rows, size_t n)
{
    metrics_write(out, rows, n, upstream_numbers, sizeof(upstream_numbers[0]), metrics_threads(),
                  NULL);
}

static void write_family(struct buf *out, const struct metric *family)
{
    struct metric rows[PROVIDERS_COUNTED];
    char labels[PROVIDERS_COUNTED][64];
    size_t n = 0;

    for (; n < PROVIDERS_COUNTED && provider_at(n); n++) {
        snprintf(labels[n], sizeof(labels[n]), "provider=\"%s\"", provider_name(provider_at(n)));
        rows[n] = *family;
        rows[n].labels = labels[n];
        rows[n].offset += n * sizeof(struct provider_numbers);
    }
    write_rows(out, rows, n);
}

static void write_errors(struct buf *out)
{
    struct metric rows[PROVIDERS_COUNTED * N_KINDS];
    char labels[PROVIDERS_COUNTED * N_KINDS][96];
    size_t n = 0;

    for (size_t i = 0; i < PROVIDERS_COUNTED && provider_at(i); i++)
        for (size_t k = 0; k < N_KINDS; k++, n++) {
            snprintf(labels[n], sizeof(labels[n]), "provider=\"%s\",kind=\"%s\"",
                     provider_name(provider_at(i)),
                     kinds[k] == ERR_NO_MEMORY ? "no_memory" : status_row(kinds[k])->name);
            rows[n] =
                (struct metric){"aerie_upstream_errors_total",
                                labels[n],
                                METRIC_COUNTER,
                                METRIC_COUNT,
                                NUMBER(errors) + i * sizeof(struct provider_numbers) +
                                    kinds[k] * sizeof(struct counter),
                                "Calls to agents that failed; canceled: stopped, or given up."};
        }
    write_rows(out, rows, n);
}

void upstream_metrics(struct buf *out)
{
    for (size_t i = 0; i < sizeof(families) / sizeof(families[0]); i++)
        write_family(out, &families[i]);
    write_errors(out);
}
