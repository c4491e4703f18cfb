/* The plainest use of SQLite and libpq. */
#include "raw.h"

#include "system.h"

#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#define SQLITE_SCHEME "sqlite:///"

static const char *text_of(enum sql sql, bool is_sqlite)
{
    return is_sqlite && sql_table[sql].sqlite ? sql_table[sql].sqlite : sql_table[sql].pg;
}

struct raw_db raw_open(const char *url)
{
    struct raw_db db = {0};

    if (strncmp(url, SQLITE_SCHEME, strlen(SQLITE_SCHEME)) == 0) {
        const char *path = url + strlen(SQLITE_SCHEME);

        if (sqlite3_open_v2(path, &db.sqlite, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL) !=
            SQLITE_OK)
            quit(1, "%s: %s", path, sqlite3_errmsg(db.sqlite));
        sqlite3_busy_timeout(db.sqlite, 2000);
        raw_exec_sqlite(db.sqlite, "PRAGMA journal_mode = WAL");
        raw_exec_sqlite(db.sqlite, "PRAGMA synchronous = FULL");
        raw_exec_sqlite(db.sqlite, "PRAGMA foreign_keys = ON");
    } else {
        db.pg = PQconnectdb(url);
        if (PQstatus(db.pg) != CONNECTION_OK || !PQenterPipelineMode(db.pg))
            quit(1, "%s", PQerrorMessage(db.pg));
    }
    return db;
}

void raw_close(struct raw_db *db)
{
    if (db->sqlite)
        sqlite3_close(db->sqlite);
    if (db->pg)
        PQfinish(db->pg);
}

sqlite3_stmt *raw_prepare_sqlite(sqlite3 *sqlite, enum sql sql)
{
    sqlite3_stmt *stmt = NULL;

    if (sqlite3_prepare_v3(sqlite, text_of(sql, true), -1, SQLITE_PREPARE_PERSISTENT, &stmt,
                           NULL) != SQLITE_OK)
        quit(1, "%s: %s", sql_table[sql].name, sqlite3_errmsg(sqlite));
    return stmt;
}

int raw_param_sqlite(sqlite3_stmt *stmt, int n)
{
    char name[16];

    snprintf(name, sizeof(name), "$%d", n);
    return sqlite3_bind_parameter_index(stmt, name);
}

PGresult *raw_result_pg(PGconn *pg, ExecStatusType expected)
{
    PGresult *result = PQgetResult(pg);

    while (!result) /* between two statements of a pipeline */
        result = PQgetResult(pg);
    if (PQresultStatus(result) != expected)
        quit(1, "%s: %s", PQresStatus(PQresultStatus(result)), PQerrorMessage(pg));
    return result;
}

void raw_prepare_pg(PGconn *pg, enum sql sql)
{
    if (!PQsendPrepare(pg, sql_table[sql].name, text_of(sql, false), 0, NULL) ||
        !PQpipelineSync(pg))
        quit(1, "%s", PQerrorMessage(pg));
    PQclear(raw_result_pg(pg, PGRES_COMMAND_OK));
    PQclear(raw_result_pg(pg, PGRES_PIPELINE_SYNC));
}

void raw_send_pg(PGconn *pg, enum sql sql, const char *const *args, int n_args)
{
    if (!PQsendQueryPrepared(pg, sql_table[sql].name, n_args, args, NULL, NULL, 1))
        quit(1, "%s", PQerrorMessage(pg));
}

void raw_exec_sqlite(sqlite3 *sqlite, const char *text)
{
    if (sqlite3_exec(sqlite, text, NULL, NULL, NULL) != SQLITE_OK)
        quit(1, "%s: %s", text, sqlite3_errmsg(sqlite));
}

int64_t raw_cpu_us(void)
{
    struct rusage used;

    getrusage(RUSAGE_SELF, &used);
    return (int64_t)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) * 1000000 +
           used.ru_utime.tv_usec + used.ru_stime.tv_usec;
}
