/* Statements over no table of a team: the database itself. See db/sql.h for what a row says. */
STATEMENT(PING, SQL_READ, "asks nothing but whether the database answers", "SELECT 1", NULL)
/* What one team has; messages are counted by way of its chats, whose index holds both. */
STATEMENT(STATUS_COUNTS, SQL_SLOW, NULL,
          "SELECT (SELECT count(*) FROM users WHERE team_id = $1), (SELECT count(*) FROM agents WHERE team_id = $1),"
          " (SELECT count(*) FROM api_keys WHERE team_id = $1 AND revoked_at IS NULL),"
          " (SELECT count(*) FROM chats WHERE team_id = $1 AND user_id IS NOT NULL),"
          " (SELECT count(*) FROM chats WHERE team_id = $1 AND user_id IS NULL),"
          " (SELECT count(*) FROM chats c JOIN messages m ON m.chat_id = c.id WHERE c.team_id = $1)",
          NULL)
STATEMENT(STATUS_MIGRATION, SQL_READ, "the schema is every team's", "SELECT max(number) FROM schema_migrations", NULL)
/* Before a search, both in one batch: what the team has and the index has not, and marking it ($1: the team). The two
 * see the same rows. PostgreSQL keeps its index by itself. */
STATEMENT(SEARCH_FEED, SQL_WRITE, "PostgreSQL has nothing to do here; SQLite's text names the team",
          "SELECT 1",
          "INSERT INTO search_index (rowid, content) SELECT pos, content FROM messages"
          " WHERE is_indexed = 0 AND status <> 'streaming' AND team_id = $1 ORDER BY pos LIMIT 2000")
STATEMENT(SEARCH_FED, SQL_WRITE, "PostgreSQL has nothing to do here; SQLite's text names the team",
          "SELECT 1",
          "UPDATE messages SET is_indexed = 1 WHERE pos IN (SELECT pos FROM messages"
          " WHERE is_indexed = 0 AND status <> 'streaming' AND team_id = $1 ORDER BY pos LIMIT 2000)")
