/* aerie restore: a backup becomes the database. */
#include "command.h"
#include "config/config.h"
#include "db/backup.h"
#include "manifest.h"
#include "own_secret.h"
#include "pg_backup.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

struct restore {
    const char *file;
    bool replaces, is_sure;
    bool is_sqlite; /* the backup */
    struct manifest manifest;
    struct bulk_counts counts;
};

#define NOT_EMPTY                                                                                  \
    "the database is not empty: --replace deletes what it holds first (a backup of that costs "    \
    "little)"

/* ---- what is given ---- */
static struct error look_at_file(struct restore *r)
{
    char mark[16] = {0};
    FILE *in = fopen(r->file, "re");
    size_t n;

    if (!in)
        return part_fail("read", r->file, errno);
    n = fread(mark, 1, sizeof(mark), in);
    fclose(in);
    r->is_sqlite = n == 16 && memcmp(mark, "SQLite format 3", 16) == 0;
    if (!r->is_sqlite && (n < 5 || memcmp(mark, "PGDMP", 5) != 0))
        return ERROR(ERR_INVALID, 0, "the file is no backup of SQLite, and none of PostgreSQL");
    return manifest_read(&r->manifest, r->file);
}

static struct error check_is_known(const struct restore *r)
{
    static char words[160];

    if (!r->manifest.is_there)
        fprintf(stderr,
                "aerie: there is no %s" MANIFEST_SUFFIX ", so nothing can be compared with it\n",
                r->file);
    if (r->manifest.migration <= db_migrations_known())
        return NO_ERROR;
    snprintf(
        words, sizeof(words),
        "the backup's schema is at migration %" PRId64
        ", and this program knows %d: restore it with the version that made it, or a newer one",
        r->manifest.migration, db_migrations_known());
    return ERROR(ERR_CONFLICT, 0, words);
}

static struct error check_sum(const struct restore *r, const char *sum, uint64_t bytes)
{
    static char words[160];

    if (!r->manifest.is_there || (bytes == r->manifest.bytes && strcmp(sum, r->manifest.sum) == 0))
        return NO_ERROR;
    snprintf(words, sizeof(words),
             "the backup is damaged: it has %" PRIu64 " bytes of %" PRIu64
             ", and not the digest that stands beside it",
             bytes, r->manifest.bytes);
    return ERROR(ERR_CONFLICT, 0, words);
}

/* Someone who looks at the screen says so, or the command line did. */
static struct error ask(const struct restore *r)
{
    char line[32];

    if (r->is_sure)
        return NO_ERROR;
    if (!isatty(STDIN_FILENO))
        return ERROR(ERR_INVALID, 0, "--replace wants --yes where nobody can be asked");
    fputs("What the database holds now is deleted. Type \"replace\" to go on: ", stderr);
    if (!fgets(line, sizeof(line), stdin) || strcmp(line, "replace\n") != 0)
        return ERROR(ERR_INVALID, 0, "nothing was changed");
    return NO_ERROR;
}

/* Is what came what the backup was made of? Then up to what this program wants, without the servers
 * of the old place. */
static struct error judge(struct restore *r, struct db *db)
{
    struct arena arena = {0};
    struct db_result none;
    struct error err = bulk_count_all(db, &r->counts);
    int n_applied;

    if (!is_error(err) && r->manifest.is_there)
        err = manifest_compare(&r->manifest, &r->counts);
    if (!is_error(err))
        err = db_migrate_up(db, &n_applied);
    if (!is_error(err))
        err = db_run(db, &arena, SQL_NODES_FORGET, NULL, 0, &none);
    arena_free(&arena);
    return err;
}

static bool has_rows(const struct bulk_counts *counts)
{
    for (size_t i = 0; i < counts->n; i++)
        if (counts->items[i].rows > 0 && strcmp(counts->items[i].table, "schema_migrations") != 0)
            return true;
    return false;
}

/* ---- SQLite ---- */
/* In place of what cannot be opened nothing is put without being told to. */
static struct error check_place(struct restore *r, const char *path, bool *is_taken)
{
    struct bulk_counts counts;
    struct db *old = NULL;
    struct error err;

    *is_taken = access(path, F_OK) == 0;
    if (!*is_taken)
        return NO_ERROR;
    if (r->replaces)
        return ask(r);
    err = db_open(&old, DB_OPEN_COMMAND);
    if (!is_error(err))
        err = bulk_count_all(old, &counts);
    if (!is_error(err) && has_rows(&counts))
        err = ERROR(ERR_CONFLICT, 0, NOT_EMPTY);
    db_close(old);
    return err;
}

/* What SQLite kept beside a file that is to be another: it would be rolled into that. */
static bool forget_beside(const char *path)
{
    static const char *const ends[] = {"-journal", "-wal", "-shm"};
    char name[PATH_MAX];
    bool ok = true;

    for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
        snprintf(name, sizeof(name), "%s%s", path, ends[i]);
        ok = (unlink(name) == 0 || errno == ENOENT) && ok;
    }
    return ok;
}

/* A copy beside the database, whole and up to date, before anything of the old one is touched. */
static struct error prepare(struct restore *r, const char *draft)
{
    char sum[PART_SUM_BYTES];
    struct db *made = NULL;
    struct error err;
    uint64_t bytes;
    int fd;

    if (!forget_beside(draft) || (unlink(draft) != 0 && errno != ENOENT))
        return part_fail("write", draft, errno);
    fd = open(draft, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return part_fail("write", draft, errno);
    err = part_sum_file(r->file, fd, sum, &bytes);
    if (!is_error(err))
        err = check_sum(r, sum, bytes);
    if (close(fd) != 0 && !is_error(err))
        err = part_fail("write", draft, errno);
    if (!is_error(err))
        err = db_open_copy(&made, draft);
    if (!is_error(err))
        err = db_check_file(made);
    if (!is_error(err))
        err = judge(r, made);
    db_close(made);
    return err;
}

/* What is left of the old one goes first: its WAL must not meet the new file. */
static struct error exchange(const char *draft, const char *path, bool is_taken)
{
    struct db *old;
    int fd = open(draft, O_RDONLY | O_CLOEXEC);
    bool ok = fd >= 0 && fsync(fd) == 0;

    if (fd >= 0)
        close(fd);
    if (!ok)
        return part_fail("write", draft, errno);
    if (is_taken && !is_error(db_open(&old, DB_OPEN_COMMAND))) {
        db_leave_file(old);
        db_close(old);
    }
    if (!forget_beside(path) || rename(draft, path) != 0)
        return part_fail("write", path, errno);
    return part_sync_folder(path);
}

static struct error restore_sqlite(struct restore *r, const char *path)
{
    char draft[PATH_MAX];
    bool is_taken = false;
    int lock = -1;
    struct error err = db_lock_file(path, &lock);

    if (err.status == ERR_CONFLICT)
        fputs("aerie: stop the server first\n", stderr);
    snprintf(draft, sizeof(draft), "%s.restoring", path);
    if (!is_error(err))
        err = check_place(r, path, &is_taken);
    if (!is_error(err)) {
        err = prepare(r, draft);
        if (!is_error(err))
            err = exchange(draft, path, is_taken);
        if (is_error(err))
            (void)unlink(draft); /* not there, where the exchange was the last to fail */
    }
    if (lock >= 0)
        close(lock);
    return err;
}

/* ---- PostgreSQL ---- */
static struct error check_nobody_is_on(struct db *db)
{
    static char words[160];
    int64_t n = 0;
    struct error err = db_count_others(db, &n);

    if (is_error(err) || n == 0)
        return err;
    snprintf(words, sizeof(words),
             "stop the servers first: %" PRId64
             " connections of theirs, or of a pooler that keeps them, are open",
             n);
    return ERROR(ERR_CONFLICT, 0, words);
}

static struct error make_room(struct restore *r, struct db *db)
{
    struct bulk_counts counts;
    struct error err = bulk_count_all(db, &counts);

    if (!is_error(err) && has_rows(&counts))
        err = r->replaces ? ask(r) : ERROR(ERR_CONFLICT, 0, NOT_EMPTY);
    if (!is_error(err) && bulk_counts_find(&counts, STR("schema_migrations")))
        err = db_forget_all(db);
    return err;
}

static struct error restore_pg(struct restore *r)
{
    char sum[PART_SUM_BYTES];
    struct str url;
    struct db *db = NULL;
    uint64_t bytes;
    struct error err = pg_backup_url(&url);

    if (!is_error(err))
        err = db_open_url(&db, DB_OPEN_COMMAND, url);
    if (!is_error(err))
        err = check_nobody_is_on(db);
    if (!is_error(err))
        err = part_sum_file(r->file, -1, sum, &bytes);
    if (!is_error(err))
        err = check_sum(r, sum, bytes);
    if (!is_error(err))
        err = pg_backup_look(r->file);
    if (!is_error(err))
        err = make_room(r, db);
    if (!is_error(err))
        err = pg_backup_load(url, r->file);
    if (!is_error(err))
        err = judge(r, db);
    db_close(db);
    return err;
}

/* ---- the whole ---- */
static struct error restore(struct restore *r)
{
    struct arena arena = {0};
    struct str place = db_configured_file(&arena);
    struct error err = look_at_file(r);

    if (!is_error(err))
        err = check_is_known(r);
    if (!is_error(err) && r->is_sqlite != (place.ptr != NULL))
        err = r->is_sqlite
                  ? ERROR(ERR_INVALID, 0,
                          "this is a backup of SQLite, and the database is PostgreSQL: restore it "
                          "into SQLite, and then use aerie migrate-to")
                  : ERROR(ERR_INVALID, 0,
                          "this is a backup of PostgreSQL, and the database is SQLite: set "
                          "DATABASE_URL");
    if (!is_error(err))
        err = r->is_sqlite ? restore_sqlite(r, place.ptr) : restore_pg(r);
    arena_free(&arena);
    return err;
}

int command_restore(int argc, char **argv)
{
    struct restore r = {0};
    bool with_secret = false, as_json = false;
    const struct command_option options[] = {{NULL, &r.file, NULL},
                                             {"--replace", NULL, &r.replaces},
                                             {"--yes", NULL, &r.is_sure},
                                             {"--with-secret", NULL, &with_secret},
                                             {"--json", NULL, &as_json}};
    struct error err = NO_ERROR;

    if (!command_read_options(argc, argv, 1, options, 5) || !command_require("the file", r.file))
        return command_usage(argv[0]);
    if (with_secret)
        err = own_secret_put_back(r.file);
    if (!is_error(err))
        err = restore(&r);
    if (is_error(err))
        return command_fail(err);
    return manifest_print_counts(&r.counts, as_json);
}
