/* The cluster room's numbers and their names. */
#include "cluster/metrics.h"

#include "base/clock.h"
#include "cluster/cluster.h"
#include "cluster/news.h"

struct cluster_numbers cluster_numbers[METRICS_THREADS];

#define NUMBER(member) offsetof(struct cluster_numbers, member)

static const struct metric metrics[] = {
    {"aerie_node_beats_failed_total", NULL, METRIC_COUNTER, METRIC_COUNT, NUMBER(failed_beats),
     "Times that this node's sign of life could not be written."},
    {"aerie_nodes_buried_total", NULL, METRIC_COUNTER, METRIC_COUNT, NUMBER(buried),
     "Nodes that this one found dead."},
    {"aerie_nodes_replies_marked_total", NULL, METRIC_COUNTER, METRIC_COUNT, NUMBER(marked),
     "Replies of dead nodes that this one marked interrupted."},
    {"aerie_news_total", NULL, METRIC_COUNTER, METRIC_COUNT, NUMBER(words),
     "Notifications of the database: agents, budgets, keys, users, teams, webhooks or revoked tokens changed."},
};

void cluster_metrics(struct buf *out)
{
    struct cluster_sight sight = cluster_sight();

    metrics_write(out, metrics, sizeof(metrics) / sizeof(metrics[0]), cluster_numbers,
                  sizeof(cluster_numbers[0]), metrics_threads(), NULL);
    metrics_gauge(out, "aerie_news_told",
                  "Whether the database notifies of changes; where not, it is asked twice a second.",
                  news_are_heard());
    metrics_gauge(out, "aerie_nodes", "Nodes on this database, this one included.", sight.n_nodes);
    metrics_begin(out, "aerie_node_seen_seconds", METRIC_GAUGE,
                  "Time since this node's sign of life was last written; 0 on SQLite.");
    metrics_sample(out, "aerie_node_seen_seconds", NULL, METRIC_MICROSECONDS,
                   sight.seen_ms ? (clock_mono_ms() - sight.seen_ms) * 1000 : 0);
}
