/* PostgreSQL's own tools: pg_dump and pg_restore, on the address of backup.url or database.url. */
#ifndef AERIE_SRC_COMMAND_PG_BACKUP_H
#define AERIE_SRC_COMMAND_PG_BACKUP_H

#include "db/db.h"

/* PostgreSQL's own address. ERR_INVALID: database.url is a pooler's, and there is no other. */
struct error pg_backup_url(struct str *out) MUST_CHECK;
/* What db's transaction sees, into a new file. */
struct error pg_backup_dump(struct db *db, struct str url, const char *file) MUST_CHECK;
/* Is pg_restore there, and can it read the file's head and its table of contents? */
struct error pg_backup_look(const char *file) MUST_CHECK;
/* Into a database without tables of ours; all of it or nothing. */
struct error pg_backup_load(struct str url, const char *file) MUST_CHECK;

#endif
