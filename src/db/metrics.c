/* What this room counts. */
#include "base/clock.h"
#include "db/internal.h"

struct db_numbers db_numbers[METRICS_THREADS];

void db_count_begun(struct db_task *t)
{
    struct db_numbers *mine = &db_numbers[metrics_thread()];

    t->begun_us = clock_mono_us();
    counter_add(&mine->waiting[t->use], 1);
    counter_add(&mine->statements[t->use], t->n_calls);
}

void db_count_ended(const struct db_task *t)
{
    struct db_numbers *mine = &db_numbers[metrics_thread()];

    counter_add(&mine->waiting[t->use], (uint64_t)-1);
    histogram_add(&mine->seconds[t->use], clock_mono_us() - t->begun_us);
}

void db_count_error(struct error err)
{
    if (is_error(err))
        counter_add(&db_numbers[metrics_thread()].errors, 1);
}

#define NUMBER(member) offsetof(struct db_numbers, member)

#define OPERATIONS_HELP                                                                            \
    "Time from an operation's asking to its end, waiting included; writes of one transaction are " \
    "one."
#define STATEMENTS_HELP "Statements that were asked for."
#define WAITING_HELP    "Operations that are not done: queued, or with the database."

static const struct metric metrics[] = {
    {"aerie_db_operation_seconds", "use=\"node\"", METRIC_HISTOGRAM, METRIC_MICROSECONDS,
     NUMBER(seconds[SQL_NODE]), OPERATIONS_HELP},
    {"aerie_db_operation_seconds", "use=\"read\"", METRIC_HISTOGRAM, METRIC_MICROSECONDS,
     NUMBER(seconds[SQL_READ]), OPERATIONS_HELP},
    {"aerie_db_operation_seconds", "use=\"slow\"", METRIC_HISTOGRAM, METRIC_MICROSECONDS,
     NUMBER(seconds[SQL_SLOW]), OPERATIONS_HELP},
    {"aerie_db_operation_seconds", "use=\"write\"", METRIC_HISTOGRAM, METRIC_MICROSECONDS,
     NUMBER(seconds[SQL_WRITE]), OPERATIONS_HELP},
    {"aerie_db_statements_total", "use=\"node\"", METRIC_COUNTER, METRIC_COUNT,
     NUMBER(statements[SQL_NODE]), STATEMENTS_HELP},
    {"aerie_db_statements_total", "use=\"read\"", METRIC_COUNTER, METRIC_COUNT,
     NUMBER(statements[SQL_READ]), STATEMENTS_HELP},
    {"aerie_db_statements_total", "use=\"slow\"", METRIC_COUNTER, METRIC_COUNT,
     NUMBER(statements[SQL_SLOW]), STATEMENTS_HELP},
    {"aerie_db_statements_total", "use=\"write\"", METRIC_COUNTER, METRIC_COUNT,
     NUMBER(statements[SQL_WRITE]), STATEMENTS_HELP},
    {"aerie_db_waiting", "use=\"node\"", METRIC_GAUGE, METRIC_COUNT, NUMBER(waiting[SQL_NODE]),
     WAITING_HELP},
    {"aerie_db_waiting", "use=\"read\"", METRIC_GAUGE, METRIC_COUNT, NUMBER(waiting[SQL_READ]),
     WAITING_HELP},
    {"aerie_db_waiting", "use=\"slow\"", METRIC_GAUGE, METRIC_COUNT, NUMBER(waiting[SQL_SLOW]),
     WAITING_HELP},
    {"aerie_db_waiting", "use=\"write\"", METRIC_GAUGE, METRIC_COUNT, NUMBER(waiting[SQL_WRITE]),
     WAITING_HELP},
    {"aerie_db_errors_total", NULL, METRIC_COUNTER, METRIC_COUNT, NUMBER(errors),
     "Operations that failed: refused by a full queue, waited too long, or the database's word."},
};

void db_metrics(struct buf *out)
{
    metrics_write(out, metrics, sizeof(metrics) / sizeof(metrics[0]), db_numbers,
                  sizeof(db_numbers[0]), metrics_threads(), NULL);
}
