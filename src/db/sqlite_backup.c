/* Copies of SQLite's file, and whether one is sound. */
#include "db/backup.h"

#include "db/sqlite.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

/* Pages a step: between two steps is time for saying how far it is. */
#define STEP_PAGES 256

static struct error copy_error(sqlite3 *to, int code, const char *path)
{
    int cause = 0;

    sqlite3_file_control(to, "main", SQLITE_FCNTL_LAST_ERRNO, &cause);
    if ((code & 0xff) == SQLITE_FULL || cause == ENOSPC || cause == EDQUOT || cause == EFBIG)
        return db_say(ERR_DISK_FULL, code, "%s: no room is left for it", path);
    return db_say(ERR_DB, code, "%s: %s", path, cause ? errno_text(cause) : sqlite3_errstr(code));
}

static int copy_pages(sqlite3 *from, sqlite3 *to,
                      void (*tell)(uint64_t done, uint64_t total, void *state), void *state)
{
    sqlite3_backup *backup = sqlite3_backup_init(to, "main", from, "main");
    int rc = SQLITE_OK;

    if (!backup)
        return sqlite3_extended_errcode(to);
    while (rc == SQLITE_OK) {
        int total, left;

        rc = sqlite3_backup_step(backup, STEP_PAGES);
        total = sqlite3_backup_pagecount(backup);
        left = sqlite3_backup_remaining(backup);
        tell((uint64_t)(total - left), (uint64_t)total, state);
    }
    (void)sqlite3_backup_finish(backup); /* says what rc says */
    return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

/* The transaction that db has open holds one snapshot: without it, each write of a server would
 * make the copy begin anew. */
struct error db_copy_to(struct db *db, const char *path,
                        void (*tell)(uint64_t done, uint64_t total, void *state), void *state)
{
    struct error err = NO_ERROR;
    sqlite3 *to = NULL;
    int rc;

    /* Nothing needs to be undone: what is not whole is thrown away, and the end is synced once. */
    rc = sqlite3_open_v2(path, &to, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_exec(to, "PRAGMA synchronous = OFF; PRAGMA journal_mode = OFF", NULL, NULL,
                          NULL);
    if (rc == SQLITE_OK)
        rc = copy_pages(sqlite_blocking(db)->db, to, tell, state);
    if (rc == SQLITE_OK)
        rc = sqlite3_exec(to, "PRAGMA journal_mode = DELETE", NULL, NULL, NULL);
    if (rc != SQLITE_OK)
        err = to ? copy_error(to, rc, path) : ERROR(ERR_NO_MEMORY, 0, NULL);
    sqlite3_close(to);
    return err;
}

struct error db_check_file(struct db *db)
{
    struct sqlite_conn *c;
    sqlite3_stmt *stmt = NULL;
    struct error err = NO_ERROR;
    const char *words;

    if (!db_is_sqlite(db))
        return NO_ERROR;
    c = sqlite_blocking(db);
    if (sqlite3_prepare_v2(c->db, "PRAGMA integrity_check(1)", -1, &stmt, NULL) != SQLITE_OK ||
        sqlite3_step(stmt) != SQLITE_ROW)
        err = db_say(ERR_CONFLICT, sqlite3_extended_errcode(c->db), "the file is damaged: %s",
                     sqlite3_errmsg(c->db));
    words = is_error(err) ? NULL : (const char *)sqlite3_column_text(stmt, 0);
    if (!is_error(err) && (!words || strcmp(words, "ok") != 0))
        err = db_say(ERR_CONFLICT, 0, "the file is damaged: %s", words ? words : "no memory");
    sqlite3_finalize(stmt);
    return err;
}

void db_leave_file(struct db *db)
{
    /* A file too damaged for that is about to be replaced: its WAL goes with it. */
    (void)sqlite_conn_exec(sqlite_blocking(db), "PRAGMA journal_mode = DELETE");
}
