/* The schema's steps: which are applied, and applying or undoing the next one. */
#include "base/clock.h"
#include "base/log.h"
#include "db/internal.h"

#include <inttypes.h>
#include <stdio.h>

#define TABLE                                                                                      \
    "CREATE TABLE IF NOT EXISTS schema_migrations ("                                               \
    "number integer NOT NULL PRIMARY KEY, name text NOT NULL, applied_at text NOT NULL)"
#define LAST "SELECT coalesce(max(number), 0) FROM schema_migrations"

/* Leaves the transaction, whether it was committed or not. */
static struct error leave(struct db *db)
{
    return db->driver->after_migration ? db->driver->script(db, db->driver->after_migration)
                                       : NO_ERROR;
}

static struct error commit(struct db *db)
{
    struct error err = db->driver->script(db, "COMMIT");

    return is_error(err) ? err : leave(db);
}

/* Keeps the first error's words while the transaction is rolled back. */
static struct error give_up(struct db *db, const struct db_migration *m, struct error err)
{
    char words[400];

    snprintf(words, sizeof(words), "%s", err.detail ? err.detail : "");
    if (is_error(db->driver->script(db, "ROLLBACK")))
        log_debug("migrate: nothing was left to roll back");
    if (is_error(leave(db)))
        log_debug("migrate: the connection is gone");
    if (m && err.status != ERR_CONFLICT)
        return db_say(err.status, err.code, "migration %04d_%s: %s", m->number, m->name, words);
    return db_say(err.status, err.code, "%s", words);
}

/* Begins the transaction in which one migration runs, and finds the last one applied. */
static struct error begin(struct db *db, int64_t *last)
{
    struct error err = db->driver->script(db, db->driver->begin_migration);

    if (!is_error(err))
        err = db->driver->script(db, TABLE);
    if (!is_error(err))
        err = db->driver->number(db, LAST, last);
    if (!is_error(err) && *last > (int64_t)n_db_migrations)
        err = db_say(ERR_CONFLICT, (int)*last,
                     "the database's schema is at migration %" PRId64
                     ", newer than this program, which knows %zu",
                     *last, n_db_migrations);
    return is_error(err) ? give_up(db, NULL, err) : NO_ERROR;
}

static struct error finish(struct db *db, const struct db_migration *m, const char *script,
                           const char *record)
{
    int64_t n_dangling = 0;
    struct error err = db->driver->script(db, script);

    if (!is_error(err))
        err = db->driver->script(db, record);
    if (!is_error(err) && db->driver->count_dangling)
        err = db->driver->number(db, db->driver->count_dangling, &n_dangling);
    if (!is_error(err) && n_dangling > 0)
        err = db_say(ERR_INTERNAL, 0, "%" PRId64 " rows would refer to rows that are not there",
                     n_dangling);
    if (!is_error(err))
        err = commit(db);
    return is_error(err) ? give_up(db, m, err) : NO_ERROR;
}

static struct error step_up(struct db *db, bool *has_run)
{
    const struct db_migration *m;
    char at[CLOCK_TEXT_BYTES], record[256];
    struct str now = clock_format(clock_wall_us(), at);
    int64_t last = 0;
    struct error err = begin(db, &last);

    *has_run = false;
    if (is_error(err))
        return err;
    if (last == (int64_t)n_db_migrations)
        return commit(db);
    m = &db_migrations[last];
    snprintf(record, sizeof(record), "INSERT INTO schema_migrations VALUES (%d, '%s', '%.*s')",
             m->number, m->name, STR_ARG(now));
    *has_run = true;
    return finish(db, m, db->driver->is_sqlite ? m->up_sqlite : m->up_pg, record);
}

struct error db_migrate_up(struct db *db, int *n_applied)
{
    struct error err;
    bool has_run = true;

    *n_applied = 0;
    uv_mutex_lock(&db->run_lock);
    do {
        err = step_up(db, &has_run);
        if (!is_error(err) && has_run)
            ++*n_applied;
    } while (!is_error(err) && has_run);
    uv_mutex_unlock(&db->run_lock);
    return err;
}

struct error db_migrate_down(struct db *db, int *number)
{
    const struct db_migration *m;
    char record[128];
    int64_t last = 0;
    struct error err;

    *number = 0;
    uv_mutex_lock(&db->run_lock);
    err = begin(db, &last);
    if (!is_error(err) && last == 0) {
        err = commit(db);
    } else if (!is_error(err)) {
        m = &db_migrations[last - 1];
        snprintf(record, sizeof(record), "DELETE FROM schema_migrations WHERE number = %d",
                 m->number);
        err = finish(db, m, db->driver->is_sqlite ? m->down_sqlite : m->down_pg, record);
        if (!is_error(err))
            *number = m->number;
    }
    uv_mutex_unlock(&db->run_lock);
    return err;
}

int db_migrations_known(void)
{
    return (int)n_db_migrations;
}

struct error db_migrate_status(struct db *db,
                               void (*row)(const struct db_migration *m, bool applied, void *state),
                               void *state)
{
    int64_t last = 0;
    struct error err;

    uv_mutex_lock(&db->run_lock);
    err = begin(db, &last);
    if (!is_error(err))
        err = commit(db);
    uv_mutex_unlock(&db->run_lock);
    for (size_t i = 0; i < n_db_migrations && !is_error(err); i++)
        row(&db_migrations[i], db_migrations[i].number <= last, state);
    return err;
}
