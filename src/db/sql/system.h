/* Statements over no table of a team: the database itself. See db/sql.h for what a row says. */
STATEMENT(PING, SQL_READ, "asks nothing but whether the database answers", "SELECT 1", NULL)
/* For `aerie doctor`: the database's version, the connections it takes from us, those it has, its clock in µs, whether it is a
 * standby, and SQLite's journal. */
STATEMENT(DOCTOR_FACTS, SQL_READ, "asks about the database itself",
          "SELECT current_setting('server_version'), current_setting('max_connections')::bigint"
          " - current_setting('superuser_reserved_connections')::bigint,"
          " (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'),"
          " (extract(epoch FROM clock_timestamp()) * 1000000)::bigint, pg_is_in_recovery(), ''::text",
          "SELECT sqlite_version(), 0, 0, 0, 0, (SELECT journal_mode FROM pragma_journal_mode)")
/* What one team has; messages are counted by way of its chats, whose index holds both. */
STATEMENT(STATUS_COUNTS, SQL_SLOW, NULL,
          "SELECT (SELECT count(*) FROM users WHERE team_id = $1), (SELECT count(*) FROM agents WHERE team_id = $1),"
          " (SELECT count(*) FROM api_keys WHERE team_id = $1 AND revoked_at IS NULL),"
          " (SELECT count(*) FROM chats WHERE team_id = $1 AND user_id IS NOT NULL),"
          " (SELECT count(*) FROM chats WHERE team_id = $1 AND user_id IS NULL),"
          " (SELECT count(*) FROM chats c JOIN messages m ON m.chat_id = c.id WHERE c.team_id = $1)",
          NULL)
STATEMENT(STATUS_MIGRATION, SQL_READ, "the schema is every team's", "SELECT max(number) FROM schema_migrations", NULL)
/* Before a search, both in one batch: what the team has and the index has not, the latest first, and marking it ($1:
 * the team). The two see the same rows. */
STATEMENT(SEARCH_FEED, SQL_WRITE, "$1 in SQLite's text; PostgreSQL has SEARCH_KEEP_UP",
          "SELECT 1",
          "INSERT INTO search_index (rowid, content) SELECT pos, content FROM messages"
          " WHERE is_indexed = 0 AND status <> 'streaming' AND team_id = $1 ORDER BY pos DESC LIMIT 2000")
STATEMENT(SEARCH_FED, SQL_WRITE, "$1 in SQLite's text; PostgreSQL has SEARCH_KEEP_UP",
          "SELECT 1",
          "UPDATE messages SET is_indexed = 1 WHERE pos IN (SELECT pos FROM messages"
          " WHERE is_indexed = 0 AND status <> 'streaming' AND team_id = $1 ORDER BY pos DESC LIMIT 2000)")
/* The same for PostgreSQL, oldest first: $1 the team, or NULL for all, $2 how many at most. Beside the writes, not among
 * them: the words of a long text take a millisecond. What another server has taken is left to it. */
STATEMENT(SEARCH_KEEP_UP, SQL_SLOW, "$1, or NULL for every team in the background",
          "UPDATE messages SET is_indexed = true WHERE id IN (SELECT m.id FROM messages m"
          " WHERE NOT m.is_indexed AND m.status <> 'streaming' AND ($1::uuid IS NULL OR m.team_id = $1::uuid)"
          " ORDER BY m.id LIMIT $2::bigint FOR UPDATE SKIP LOCKED)",
          "SELECT 1")
