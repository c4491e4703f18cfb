/* Durable message rows as fast as a plain loop writes them: on SQLite a transaction for so many
 * rows, on PostgreSQL so many statements in a pipeline and one Sync. The other side of aerie_rows.
 *
 *   raw_rows --database URL --team ID --chats FILE [--rows N] [--in-flight N]
 *
 * FILE: ids of chats of that team, one a line; the k-th row of a batch goes to the k-th. The last
 * line is {"rows", "wrong", "seconds", "cpu_us"}: CPU of this process alone. */
#include "raw.h"
#include "system.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define MAX_IN_FLIGHT 1024
#define ID_SIZE       37
#define TIME_SIZE     40
#define CONTENT_BYTES 100
#define N_ARGS        6 /* of MESSAGE_ADD */

static struct {
    const char *url, *team, *chats;
    uint64_t rows, in_flight;
} wanted = {.rows = 10000, .in_flight = 16};

static char chats[MAX_IN_FLIGHT][ID_SIZE];
static char content[CONTENT_BYTES + 1];
static uint64_t n_right, n_wrong;

static uint64_t wall_us(void)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static void make_id(char id[ID_SIZE], uint64_t n)
{
    snprintf(id, ID_SIZE, "%08x-%04x-4000-9000-%012llx", (unsigned)wall_us(),
             (unsigned)getpid() & 0xffff, (unsigned long long)n & 0xffffffffffff);
}

static void count(bool is_right)
{
    n_right += is_right;
    n_wrong += !is_right;
}

/* ---- SQLite ---- */

static int params[N_ARGS + 1];

static void add_sqlite(sqlite3 *sqlite, sqlite3_stmt *stmt, const char *chat, uint64_t n)
{
    char id[ID_SIZE];

    make_id(id, n);
    sqlite3_bind_text(stmt, params[1], wanted.team, -1, SQLITE_STATIC);
    sqlite3_bind_text(stmt, params[2], chat, -1, SQLITE_STATIC);
    sqlite3_bind_text(stmt, params[3], id, -1, SQLITE_STATIC);
    sqlite3_bind_text(stmt, params[4], "user", -1, SQLITE_STATIC);
    sqlite3_bind_text(stmt, params[5], content, CONTENT_BYTES, SQLITE_STATIC);
    sqlite3_bind_int64(stmt, params[6], (sqlite3_int64)wall_us());
    count(sqlite3_step(stmt) == SQLITE_DONE && sqlite3_changes(sqlite) == 1);
    sqlite3_reset(stmt);
}

static void write_sqlite(sqlite3 *sqlite, sqlite3_stmt *stmt)
{
    if (sqlite3_bind_parameter_count(stmt) != N_ARGS)
        quit(1, "MESSAGE_ADD takes %d values", sqlite3_bind_parameter_count(stmt));
    for (int n = 1; n <= N_ARGS; n++)
        params[n] = raw_param_sqlite(stmt, n);
    for (uint64_t n = 0; n < wanted.rows;) {
        raw_exec_sqlite(sqlite, "BEGIN IMMEDIATE");
        for (uint64_t k = 0; k < wanted.in_flight && n < wanted.rows; k++, n++)
            add_sqlite(sqlite, stmt, chats[k], n);
        raw_exec_sqlite(sqlite, "COMMIT");
    }
}

/* ---- PostgreSQL ---- */

static void send_row(PGconn *pg, const char *chat, uint64_t n)
{
    char id[ID_SIZE], at[TIME_SIZE];
    uint64_t us = wall_us();
    time_t seconds = (time_t)(us / 1000000);
    struct tm parts;
    size_t len;

    make_id(id, n);
    gmtime_r(&seconds, &parts);
    len = strftime(at, sizeof(at), "%Y-%m-%d %H:%M:%S", &parts);
    snprintf(at + len, sizeof(at) - len, ".%06u+00", (unsigned)(us % 1000000));
    raw_send_pg(pg, SQL_MESSAGE_ADD,
                (const char *[N_ARGS]){wanted.team, chat, id, "user", content, at}, N_ARGS);
}

static void write_pg(PGconn *pg)
{
    for (uint64_t n = 0; n < wanted.rows;) {
        uint64_t n_sent = 0;

        for (; n_sent < wanted.in_flight && n < wanted.rows; n_sent++, n++)
            send_row(pg, chats[n_sent], n);
        if (!PQpipelineSync(pg))
            quit(1, "%s", PQerrorMessage(pg));
        for (uint64_t k = 0; k < n_sent; k++) {
            PGresult *result = raw_result_pg(pg, PGRES_COMMAND_OK);

            count(strcmp(PQcmdTuples(result), "1") == 0);
            PQclear(result);
        }
        PQclear(raw_result_pg(pg, PGRES_PIPELINE_SYNC)); /* committed */
    }
}

/* ---- the program ---- */

static void read_chats(void)
{
    FILE *file = fopen(wanted.chats, "r");

    for (uint64_t k = 0; k < wanted.in_flight; k++)
        if (!file || fscanf(file, "%36s", chats[k]) != 1)
            quit(1, "%s does not name %llu chats", wanted.chats,
                 (unsigned long long)wanted.in_flight);
    fclose(file);
}

static bool read_options(int argc, char **argv)
{
    static const struct option options[] = {
        {"database", required_argument, NULL, 'd'},  {"team", required_argument, NULL, 't'},
        {"chats", required_argument, NULL, 'c'},     {"rows", required_argument, NULL, 'r'},
        {"in-flight", required_argument, NULL, 'i'}, {0}};

    for (int option; (option = getopt_long(argc, argv, "", options, NULL)) >= 0;) {
        switch (option) {
        case 'd':
            wanted.url = optarg;
            break;
        case 't':
            wanted.team = optarg;
            break;
        case 'c':
            wanted.chats = optarg;
            break;
        case 'r':
            wanted.rows = must_number("--rows", optarg, UINT32_MAX);
            break;
        case 'i':
            wanted.in_flight = must_number("--in-flight", optarg, MAX_IN_FLIGHT);
            break;
        default:
            return false;
        }
    }
    return wanted.url && wanted.team && wanted.chats && wanted.in_flight > 0;
}

int main(int argc, char **argv)
{
    struct raw_db db;
    sqlite3_stmt *stmt = NULL;
    uint64_t began_ns;
    int64_t began_cpu_us;

    if (!read_options(argc, argv))
        quit(2, "usage: raw_rows --database URL --team ID --chats FILE [--rows N] [--in-flight N]");
    read_chats();
    memset(content, 'x', CONTENT_BYTES);
    db = raw_open(wanted.url);
    if (db.sqlite)
        stmt = raw_prepare_sqlite(db.sqlite, SQL_MESSAGE_ADD);
    else
        raw_prepare_pg(db.pg, SQL_MESSAGE_ADD);
    began_ns = now_ns();
    began_cpu_us = raw_cpu_us();
    if (db.sqlite)
        write_sqlite(db.sqlite, stmt);
    else
        write_pg(db.pg);
    printf("{\"rows\":%llu,\"wrong\":%llu,\"seconds\":%.6f,\"cpu_us\":%lld}\n",
           (unsigned long long)n_right, (unsigned long long)n_wrong,
           (double)(now_ns() - began_ns) / 1e9, (long long)(raw_cpu_us() - began_cpu_us));
    sqlite3_finalize(stmt);
    raw_close(&db);
    return 0;
}
