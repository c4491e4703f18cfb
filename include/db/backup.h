/* What copies of a whole database need from its driver. All of it blocks; commands only. */
#ifndef AERIE_DB_BACKUP_H
#define AERIE_DB_BACKUP_H

#include "db/db.h"

/* SQLite: copies what db's transaction sees (bulk_begin()) into a new file, while others write.
 * tell is called between steps of a few pages, with the pages done and those there are. */
struct error db_copy_to(struct db *db, const char *path,
                        void (*tell)(uint64_t done, uint64_t total, void *state),
                        void *state) MUST_CHECK;
/* SQLite: the lock that a server holds on its file for life; goes with *fd, or the process. Makes the
 * directories that are missing. ERR_CONFLICT: a server runs. */
struct error db_lock_file(const char *path, int *fd) MUST_CHECK;
/* SQLite: is the file sound? ERR_CONFLICT with SQLite's words. PostgreSQL sees to itself. */
struct error db_check_file(struct db *db) MUST_CHECK;
/* SQLite: what the WAL of the file has goes into the file, and nothing is left beside it; a server
 * must not run. Ends db's use of the file: only db_close() may follow. */
void db_leave_file(struct db *db);

/* PostgreSQL: names the snapshot of db's transaction, for pg_dump. */
struct error db_snapshot_name(struct db *db, char out[64]) MUST_CHECK;
/* What the tools of PostgreSQL find in their environment to reach url: "PGHOST=…", with NULL behind
 * the last one. *name: the database's. ERR_INVALID: no such address. */
struct error db_tool_environment(struct arena *a, struct str url, char ***out,
                                 const char **name) MUST_CHECK;
/* PostgreSQL: connections of servers and commands to db, besides db's own. */
struct error db_count_others(struct db *db, int64_t *n) MUST_CHECK;
/* PostgreSQL: takes Aerie's tables away, with all that they hold. */
struct error db_forget_all(struct db *db) MUST_CHECK;

#endif
