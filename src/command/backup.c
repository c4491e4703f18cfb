/* aerie backup: a copy of the database in one file, while the server runs. */
#include "db/backup.h"
#include "command.h"
#include "config/config.h"
#include "manifest.h"
#include "own_secret.h"
#include "pg_backup.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

struct backup {
    const char *file;
    struct db *db;
    struct str url; /* PostgreSQL's */
    struct part copy, beside;
    struct manifest manifest;
    struct progress progress;
};

static void tell(uint64_t done, uint64_t total, void *state)
{
    struct backup *b = state;

    b->progress.total = total;
    progress_tell(&b->progress, done);
}

static struct error open_db(struct backup *b)
{
    struct arena arena = {0};
    struct str file = db_configured_file(&arena);
    struct error err = NO_ERROR;

    b->manifest.is_sqlite = file.ptr != NULL;
    if (file.ptr && access(file.ptr, F_OK) != 0)
        err = ERROR(ERR_NOT_FOUND, 0, "there is no database yet");
    else if (!file.ptr)
        err = pg_backup_url(&b->url);
    arena_free(&arena);
    if (is_error(err))
        return err;
    return file.ptr ? db_open(&b->db, DB_OPEN_COMMAND)
                    : db_open_url(&b->db, DB_OPEN_COMMAND, b->url);
}

/* The counts and the copy are of one snapshot. */
static struct error copy(struct backup *b)
{
    struct error err = bulk_begin(b->db, BULK_READS);

    if (is_error(err))
        return err;
    err = bulk_migration(b->db, &b->manifest.migration);
    if (!is_error(err))
        err = bulk_count_all(b->db, &b->manifest.counts);
    if (!is_error(err) && b->manifest.is_sqlite)
        err = db_copy_to(b->db, b->copy.draft, tell, b);
    else if (!is_error(err))
        err = pg_backup_dump(b->db, b->url, b->copy.draft);
    progress_end(&b->progress);
    if (!is_error(err))
        bulk_rollback(b->db);
    return err;
}

/* SQLite's copy is a database, and can be asked itself. */
static struct error check(struct backup *b)
{
    struct bulk_counts counts;
    struct db *made = NULL;
    struct error err;

    if (!b->manifest.is_sqlite)
        return NO_ERROR;
    err = db_open_copy(&made, b->copy.draft);
    if (!is_error(err))
        err = db_check_file(made);
    if (!is_error(err))
        err = bulk_count_all(made, &counts);
    if (!is_error(err))
        err = manifest_compare(&b->manifest, &counts);
    db_close(made);
    return err;
}

static struct error make(struct backup *b)
{
    char beside[PATH_MAX];
    struct error err = part_begin(&b->copy, b->file);

    if (!is_error(err)) {
        snprintf(beside, sizeof(beside), "%s" MANIFEST_SUFFIX, b->file);
        err = part_begin(&b->beside, beside);
    }
    if (!is_error(err))
        err = copy(b);
    if (!is_error(err))
        err = check(b);
    if (!is_error(err))
        err = part_sum_file(b->copy.draft, -1, b->manifest.sum, &b->manifest.bytes);
    if (!is_error(err))
        err = manifest_write(&b->manifest, &b->beside);
    if (!is_error(err))
        err = part_finish(&b->beside);
    if (!is_error(err))
        err = part_finish(&b->copy);
    return err;
}

int command_backup(int argc, char **argv)
{
    struct backup b = {
        .copy.fd = -1, .beside.fd = -1, .progress = {.what = "backup", .unit = "pages"}};
    bool with_secret = false, as_json = false;
    const struct command_option options[] = {
        {NULL, &b.file, NULL}, {"--with-secret", NULL, &with_secret}, {"--json", NULL, &as_json}};
    struct error err;

    if (!command_read_options(argc, argv, 1, options, 3) || !command_require("the file", b.file))
        return command_usage(argv[0]);
    err = open_db(&b);
    if (!is_error(err))
        err = make(&b);
    if (!is_error(err) && with_secret)
        err = own_secret_keep(b.file);
    else if (!is_error(err))
        own_secret_remind();
    if (is_error(err))
        (void)command_fail(err);
    part_drop(&b.copy);
    part_drop(&b.beside);
    db_close(b.db);
    return is_error(err) ? COMMAND_FAILED : manifest_print_counts(&b.manifest.counts, as_json);
}
