/* The rows of a page of chats, read by a plain loop: the statements that GET /api/chats runs, every
 * value touched, nothing made of them.
 *
 *   raw_list --database URL --team ID --owner ID [--lists N] [--chats N] [--messages N]
 *
 * The last line is {"lists", "rows", "wrong", "seconds", "cpu_us"}: rows of chats and of messages;
 * CPU of this process alone. Wrong is a list without the chats and messages asked for. */
#include "raw.h"
#include "system.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>

#define N_STATEMENTS 3
#define N_ARGS       6

/* Each takes the first so many of: team, owner, with archived ones, limit, offset, messages a chat.
 */
static const struct {
    enum sql sql;
    int n_args;
} statements[N_STATEMENTS] = {{SQL_CHAT_COUNT, 3}, {SQL_CHAT_LIST, 5}, {SQL_CHAT_LIST_MESSAGES, 6}};

static struct {
    const char *url, *team, *owner;
    uint64_t lists, chats, messages;
} wanted = {.lists = 1000, .chats = 20, .messages = 4};

static uint64_t n_rows, n_wrong;
static volatile size_t n_bytes; /* so that no value goes unread */

static void count(const uint64_t rows[N_STATEMENTS])
{
    n_rows += rows[1] + rows[2];
    n_wrong += rows[0] != 1 || rows[1] != wanted.chats || rows[2] != wanted.chats * wanted.messages;
}

static size_t look_at(const char *bytes, size_t len)
{
    return len > 0 ? len + (unsigned char)bytes[len - 1] : 0;
}

/* ---- SQLite ---- */

static uint64_t read_sqlite(sqlite3_stmt *stmt, int n_args)
{
    uint64_t rows = 0;

    sqlite3_bind_text(stmt, 1, wanted.team, -1, SQLITE_STATIC);
    sqlite3_bind_text(stmt, 2, wanted.owner, -1, SQLITE_STATIC);
    sqlite3_bind_int(stmt, 3, 0);
    if (n_args > 3) {
        sqlite3_bind_int64(stmt, 4, (sqlite3_int64)wanted.chats);
        sqlite3_bind_int64(stmt, 5, 0);
    }
    if (n_args > 5)
        sqlite3_bind_int64(stmt, 6, (sqlite3_int64)wanted.messages);
    for (; sqlite3_step(stmt) == SQLITE_ROW; rows++)
        for (int column = 0; column < sqlite3_column_count(stmt); column++) {
            int type = sqlite3_column_type(stmt, column);

            if (type == SQLITE_INTEGER)
                n_bytes += (size_t)sqlite3_column_int64(stmt, column);
            else if (type == SQLITE_TEXT)
                n_bytes += look_at((const char *)sqlite3_column_text(stmt, column),
                                   (size_t)sqlite3_column_bytes(stmt, column));
        }
    sqlite3_reset(stmt);
    return rows;
}

static void list_sqlite(sqlite3 *sqlite)
{
    sqlite3_stmt *stmts[N_STATEMENTS];

    for (size_t i = 0; i < N_STATEMENTS; i++)
        stmts[i] = raw_prepare_sqlite(sqlite, statements[i].sql);
    for (uint64_t n = 0; n < wanted.lists; n++) {
        uint64_t rows[N_STATEMENTS];

        for (size_t i = 0; i < N_STATEMENTS; i++)
            rows[i] = read_sqlite(stmts[i], statements[i].n_args);
        count(rows);
    }
    for (size_t i = 0; i < N_STATEMENTS; i++)
        sqlite3_finalize(stmts[i]);
}

/* ---- PostgreSQL ---- */

static uint64_t read_pg(PGconn *pg)
{
    PGresult *result = raw_result_pg(pg, PGRES_TUPLES_OK);
    int rows = PQntuples(result), columns = PQnfields(result);

    for (int row = 0; row < rows; row++)
        for (int column = 0; column < columns; column++)
            n_bytes +=
                look_at(PQgetvalue(result, row, column), (size_t)PQgetlength(result, row, column));
    PQclear(result);
    return (uint64_t)rows;
}

static void list_pg(PGconn *pg)
{
    char limit[24], messages[24];
    const char *args[N_ARGS] = {wanted.team, wanted.owner, "false", limit, "0", messages};

    snprintf(limit, sizeof(limit), "%llu", (unsigned long long)wanted.chats);
    snprintf(messages, sizeof(messages), "%llu", (unsigned long long)wanted.messages);
    for (size_t i = 0; i < N_STATEMENTS; i++)
        raw_prepare_pg(pg, statements[i].sql);
    for (uint64_t n = 0; n < wanted.lists; n++) {
        uint64_t rows[N_STATEMENTS];

        for (size_t i = 0; i < N_STATEMENTS; i++)
            raw_send_pg(pg, statements[i].sql, args, statements[i].n_args);
        if (!PQpipelineSync(pg))
            quit(1, "%s", PQerrorMessage(pg));
        for (size_t i = 0; i < N_STATEMENTS; i++)
            rows[i] = read_pg(pg);
        PQclear(raw_result_pg(pg, PGRES_PIPELINE_SYNC));
        count(rows);
    }
}

/* ---- the program ---- */

static bool read_options(int argc, char **argv)
{
    static const struct option options[] = {{"database", required_argument, NULL, 'd'},
                                            {"team", required_argument, NULL, 't'},
                                            {"owner", required_argument, NULL, 'o'},
                                            {"lists", required_argument, NULL, 'l'},
                                            {"chats", required_argument, NULL, 'c'},
                                            {"messages", required_argument, NULL, 'm'},
                                            {0}};

    for (int option; (option = getopt_long(argc, argv, "", options, NULL)) >= 0;) {
        switch (option) {
        case 'd':
            wanted.url = optarg;
            break;
        case 't':
            wanted.team = optarg;
            break;
        case 'o':
            wanted.owner = optarg;
            break;
        case 'l':
            wanted.lists = must_number("--lists", optarg, UINT32_MAX);
            break;
        case 'c':
            wanted.chats = must_number("--chats", optarg, 1000);
            break;
        case 'm':
            wanted.messages = must_number("--messages", optarg, 1000);
            break;
        default:
            return false;
        }
    }
    return wanted.url && wanted.team && wanted.owner;
}

int main(int argc, char **argv)
{
    struct raw_db db;
    uint64_t began_ns;
    int64_t began_cpu_us;

    if (!read_options(argc, argv))
        quit(2, "usage: raw_list --database URL --team ID --owner ID [--lists N] [--chats N] "
                "[--messages N]");
    db = raw_open(wanted.url);
    began_ns = now_ns();
    began_cpu_us = raw_cpu_us();
    if (db.sqlite)
        list_sqlite(db.sqlite);
    else
        list_pg(db.pg);
    printf("{\"lists\":%llu,\"rows\":%llu,\"wrong\":%llu,\"seconds\":%.6f,\"cpu_us\":%lld}\n",
           (unsigned long long)wanted.lists, (unsigned long long)n_rows,
           (unsigned long long)n_wrong, (double)(now_ns() - began_ns) / 1e9,
           (long long)(raw_cpu_us() - began_cpu_us));
    raw_close(&db);
    return 0;
}
