/* The database: reachable, as this program wants it, quick, with room; and mail beside it. */
#include "doctor.h"

#include "base/clock.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

#define SLOW_US        20000
#define CONNS_PER_LOOP 3 /* reads, writes, and what may take long */
#define CONNS_OTHERS   3 /* one at start, one that listens, and this program's */
#define CLOCK_US       2000000

enum fact { FACT_VERSION, FACT_MAX, FACT_USED, FACT_CLOCK, FACT_IS_STANDBY, FACT_JOURNAL };

static void judge_schema(struct doctor *d, struct arena *a)
{
    int known = db_migrations_known();
    struct db_result r;
    struct error err = db_run(d->db, a, SQL_STATUS_MIGRATION, NULL, 0, &r);
    int64_t has = !is_error(err) && r.n_rows > 0 ? db_get_int(&r, 0, 0) : 0;

    if (is_error(err))
        doctor_say(d, MARK_WARNING, "schema", "The first `aerie serve` makes it; or `aerie migrate up`.",
                   "the database is empty");
    else if (has < known)
        doctor_say(d, MARK_WARNING, "schema",
                   "`aerie serve` brings it up to date when it starts; or `aerie migrate up`. Make a "
                   "backup first.",
                   "the database is at migration %" PRId64 ", this program at %d", has, known);
    else if (has > known)
        doctor_say(d, MARK_PROBLEM, "schema", "Run the newer program, or take the database back with it.",
                   "the database is at migration %" PRId64 ", this program knows %d", has, known);
    else
        doctor_say(d, MARK_OK, "schema", NULL, "is this program's (migration %d)", known);
}

static void judge_round_trip(struct doctor *d, struct arena *a)
{
    uint64_t best_us = UINT64_MAX;
    struct db_result r;

    for (int i = 0; i < 5; i++) {
        uint64_t begun_us = clock_mono_us(), took_us;

        if (is_error(db_run(d->db, a, SQL_PING, NULL, 0, &r)))
            return;
        took_us = clock_mono_us() - begun_us;
        best_us = took_us < best_us ? took_us : best_us;
    }
    doctor_say(d, best_us > SLOW_US ? MARK_WARNING : MARK_OK, "database",
               best_us > SLOW_US ? "Every message makes several: move them nearer together." : NULL,
               "a round trip takes %.1f ms", (double)best_us / 1000);
}

static uint64_t loops_wanted(void)
{
    return config()->server.workers > 0 ? config()->server.workers : uv_available_parallelism();
}

static void judge_postgres(struct doctor *d, const struct db_result *r, int64_t now_us)
{
    uint64_t wanted = loops_wanted() * CONNS_PER_LOOP + CONNS_OTHERS;
    uint64_t max = (uint64_t)db_get_int(r, 0, FACT_MAX);

    doctor_say(d, MARK_OK, "database", NULL, "PostgreSQL %.*s answers",
               STR_ARG(db_get_text(r, 0, FACT_VERSION)));
    if (db_get_bool(r, 0, FACT_IS_STANDBY))
        doctor_say(d, MARK_PROBLEM, "database", "Point DATABASE_URL at the primary.",
                   "it is a standby: nothing can be written");
    if (wanted > max)
        doctor_say(d, MARK_PROBLEM, "connections",
                   "Raise max_connections in postgresql.conf, or lower server.workers; or put PgBouncer "
                   "between, with DATABASE__PREPARED_STATEMENTS=false.",
                   "this server wants %" PRIu64 ", PostgreSQL has %" PRIu64, wanted, max);
    else
        doctor_say(d, 2 * wanted > max ? MARK_WARNING : MARK_OK, "connections",
                   2 * wanted > max ? "Raise max_connections if others use it, too." : NULL,
                   "this server wants %" PRIu64 " of PostgreSQL's %" PRIu64 "; %" PRId64
                   " are in use now",
                   wanted, max, db_get_int(r, 0, FACT_USED));
    doctor_say_clock(d, "PostgreSQL", now_us - db_get_int(r, 0, FACT_CLOCK), CLOCK_US);
}

/* Columns of NODE_LIST. */
enum { NODE_NAME = 1, NODE_CLOCK_MS = 7 };

/* An old schema has no nodes. */
static void judge_nodes(struct doctor *d, struct arena *a)
{
    struct db_result r;

    if (is_error(db_run(d->db, a, SQL_NODE_LIST, NULL, 0, &r)) || r.n_rows == 0)
        return;
    doctor_say(d, MARK_OK, "nodes", NULL, "%zu serve this database", r.n_rows);
    for (size_t row = 0; row < r.n_rows; row++) {
        int64_t off_ms = db_get_int(&r, row, NODE_CLOCK_MS);

        if (off_ms > CLOCK_US / 1000 || off_ms < -CLOCK_US / 1000)
            doctor_say(d, MARK_WARNING, "clock",
                       "Keep the time of all machines by NTP: `timedatectl set-ntp true`.",
                       "that of node %.*s is %" PRId64 " s %s PostgreSQL's",
                       STR_ARG(db_get_text(&r, row, NODE_NAME)),
                       (off_ms < 0 ? -off_ms : off_ms) / 1000,
                       off_ms < 0 ? "behind" : "ahead of");
    }
}

static void judge_sqlite(struct doctor *d, const struct db_result *r)
{
    struct str journal = db_get_text(r, 0, FACT_JOURNAL);

    doctor_say(d, MARK_OK, "database", NULL, "SQLite %.*s answers",
               STR_ARG(db_get_text(r, 0, FACT_VERSION)));
    if (!str_eq_nocase(journal, STR("wal")))
        doctor_say(d, MARK_WARNING, "database",
                   "Put the file on a disk of this machine: over a network SQLite has no WAL, and readers "
                   "wait for writers.",
                   "its journal is %.*s, not WAL", STR_ARG(journal));
}

/* False: there is no file yet, and looking would make one. */
static bool has_file(struct doctor *d, struct arena *a)
{
    struct str file = db_configured_file(a);

    if (!file.ptr || access(file.ptr, F_OK) == 0)
        return true;
    doctor_say(d, MARK_OK, "database", NULL, "SQLite's file %s will be made by the first start",
               file.ptr);
    return false;
}

void doctor_check_database(struct doctor *d)
{
    struct arena arena = {0};
    struct db_result r;
    struct error err;
    int64_t now_us;

    if (!has_file(d, &arena)) {
        arena_free(&arena);
        return;
    }
    err = db_open(&d->db, DB_OPEN_COMMAND);
    now_us = clock_wall_us();
    if (!is_error(err))
        err = db_run(d->db, &arena, SQL_DOCTOR_FACTS, NULL, 0, &r);
    if (is_error(err)) {
        doctor_say(d, MARK_PROBLEM, "database",
                   "Is it running? Is DATABASE_URL right (`aerie config`)? Does its pg_hba.conf, or a "
                   "firewall, let this machine in?",
                   "%s", err.detail ? err.detail : status_row(err.status)->detail);
        db_close(d->db);
        d->db = NULL;
        arena_free(&arena);
        return;
    }
    if (db_is_sqlite(d->db))
        judge_sqlite(d, &r);
    else
        judge_postgres(d, &r, now_us);
    judge_round_trip(d, &arena);
    judge_schema(d, &arena);
    if (!db_is_sqlite(d->db))
        judge_nodes(d, &arena);
    arena_free(&arena);
}
