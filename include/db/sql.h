/* Every statement Aerie runs, one row each, in a file per table under src/db/sql/.
 * A row: STATEMENT(NAME, use, no_team, "text for both, or for PostgreSQL", "SQLite's text or NULL").
 * SQLite's text may be up to SQL_PARTS_MAX statements, ";" between them, where PostgreSQL does it in one: they happen as a
 * whole, and the last one's result counts.
 * use: SQL_READ, SQL_WRITE, SQL_SLOW (a read that may take long: search, export, counts) or SQL_NODE (a write that says that this
 * node lives: on PostgreSQL it waits behind no other).
 * no_team: NULL, or the reason why the statement does not name a team; otherwise $1 is the team_id. A reason that
 * begins with "$1" tells where it is one all the same: by it the operation waits in its team's turn. */
#ifndef AERIE_DB_SQL_H
#define AERIE_DB_SQL_H

#include <stdbool.h>

#define SQL_PARTS_MAX 4

enum sql_use { SQL_READ, SQL_WRITE, SQL_SLOW, SQL_NODE };
static inline bool sql_writes(enum sql_use use)
{
    return use == SQL_WRITE || use == SQL_NODE;
}

#define STATEMENT(name, use, no_team, pg, sqlite) SQL_##name,
enum sql {
#include "db/sql/all.h"
    N_SQL,
};
#undef STATEMENT

struct sql_row {
    const char *name;
    enum sql_use use;
    const char *no_team;
    const char *pg;
    const char *sqlite;
};
extern const struct sql_row sql_table[N_SQL];

#endif
