/* What the two raw loops share: the plainest use of SQLite and libpq, which Aerie is measured by.
 * One thread, blocking. Whatever goes wrong outside a row ends the program with 1, and says why. */
#ifndef AERIE_BENCH_RAW_H
#define AERIE_BENCH_RAW_H

#include "db/sql.h"

#include <libpq-fe.h>
#include <sqlite3.h>
#include <stdbool.h>
#include <stdint.h>

/* One of the two, by the URL: sqlite:///path or postgresql://... */
struct raw_db {
    sqlite3 *sqlite;
    PGconn *pg; /* in pipeline mode */
};

/* Opened as Aerie opens it: WAL, FULL, foreign keys. */
struct raw_db raw_open(const char *url);
void raw_close(struct raw_db *db);
/* Aerie's own text of the statement, prepared; on PostgreSQL under its name in the table. */
sqlite3_stmt *raw_prepare_sqlite(sqlite3 *sqlite, enum sql sql);
/* Where the statement's $n is bound: SQLite counts by first appearance. */
int raw_param_sqlite(sqlite3_stmt *stmt, int n);
void raw_prepare_pg(PGconn *pg, enum sql sql);
/* Queues the prepared statement; results come in binary. */
void raw_send_pg(PGconn *pg, enum sql sql, const char *const *args, int n_args);
/* The next result of the pipeline, or the end of the program. */
PGresult *raw_result_pg(PGconn *pg, ExecStatusType expected);
void raw_exec_sqlite(sqlite3 *sqlite, const char *text);
int64_t raw_cpu_us(void); /* of this process */

#endif
