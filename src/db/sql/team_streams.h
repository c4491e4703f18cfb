/* Statements over team_streams: how many replies of a team each node may have at once. See db/sql.h for what a row says.
 * PostgreSQL's alone: on SQLite no two nodes serve. */

/* Before the other, in one transaction: what nodes want of one team, one after the other. */
STATEMENT(STREAMS_LOCK, SQL_WRITE, "the team is in the lock's name",
          "SELECT 1 FROM pg_advisory_xact_lock(hashtextextended('team_streams ' || $1::uuid::text, 0))", "SELECT 0")
/* What node $2 may have of team $1's: as many as it wants ($3), as far as others leave room below the limit ($5), and not less than
 * it has ($4). $6 rises with each word of the node: one that was overtaken counts no more. Answers what counts, and by which word. */
STATEMENT(STREAMS_HOLD, SQL_WRITE, "the team's id is the row's key",
          "INSERT INTO team_streams AS s (team_id, node_id, n, seq)"
          " SELECT $1::uuid, $2::uuid, greatest($4::bigint, least($3::bigint, $5::bigint - coalesce(sum(o.n), 0)::bigint)), $6::bigint"
          " FROM team_streams o WHERE o.team_id = $1::uuid AND o.node_id <> $2::uuid"
          " ON CONFLICT (team_id, node_id) DO UPDATE SET"
          "  n = CASE WHEN s.seq < excluded.seq THEN excluded.n ELSE s.n END, seq = greatest(s.seq, excluded.seq)"
          " RETURNING n, seq",
          "SELECT 0, 0")
