/* Feeding the search index. A contentless FTS5 table costs a message four times its own insert, so
 * messages are stored first and indexed when the writer has nothing else to do, or before a search
 * (SEARCH_FEED, SEARCH_FED). */
#include "db/sqlite.h"

/* Both statements see the same rows: they run in one transaction. */
#define WAITING                                                                                    \
    "FROM messages WHERE is_indexed = 0 AND status <> 'streaming' ORDER BY pos LIMIT 200"

bool sqlite_search_feed(struct sqlite_conn *c)
{
    bool has_fed;

    if (!sqlite_conn_do(c, SQLITE_DO_BEGIN_WRITE))
        return false;
    if (sqlite_conn_exec(
            c, "INSERT INTO search_index (rowid, content) SELECT pos, content " WAITING) &&
        sqlite_conn_exec(c, "UPDATE messages SET is_indexed = 1 WHERE pos IN (SELECT pos " WAITING
                            ")")) {
        has_fed = sqlite3_changes64(c->db) > 0;
        if (sqlite_conn_do(c, has_fed ? SQLITE_DO_COMMIT : SQLITE_DO_ROLLBACK))
            return has_fed;
    }
    if (!sqlite3_get_autocommit(c->db))
        sqlite_conn_do(c, SQLITE_DO_ROLLBACK);
    return false;
}
