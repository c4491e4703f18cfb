/* Statements over nodes. See db/sql.h for what a row says. Node rows are no team's. PostgreSQL's clock counts, not the nodes';
 * on SQLite, where seen_at decides nothing, the node's own. */

/* $1 id, $2 name, $3 address or NULL, $4 version, $5 the node's time, $6 is_draining. */
STATEMENT(NODE_ADD, SQL_WRITE, "a node serves every team",
          "INSERT INTO nodes (id, name, address, version, started_at, seen_at, is_draining)"
          " VALUES ($1, $2, $3, $4, $5, clock_timestamp(), $6)",
          "INSERT INTO nodes (id, name, address, version, started_at, seen_at, is_draining)"
          " VALUES ($1, $2, $3, $4, $5, $5, $6)")
/* The same, each second, $7 when it started: was the row gone, how many others there are, and how many of them were not seen for
 * $8 seconds. */
STATEMENT(NODE_BEAT, SQL_NODE, "a node serves every team",
          "INSERT INTO nodes (id, name, address, version, started_at, seen_at, is_draining, clock_ms)"
          " VALUES ($1, $2, $3, $4, $7, clock_timestamp(), $6,"
          "  (extract(epoch FROM $5::timestamptz - clock_timestamp()) * 1000)::bigint)"
          " ON CONFLICT (id) DO UPDATE SET seen_at = excluded.seen_at, is_draining = excluded.is_draining,"
          "  clock_ms = excluded.clock_ms"
          " RETURNING xmax::text = '0', (SELECT count(*) FROM nodes o WHERE o.id <> $1),"
          " (SELECT count(*) FROM nodes o WHERE o.id <> $1 AND o.seen_at < clock_timestamp() - make_interval(secs => $8::bigint))",
          "UPDATE nodes SET seen_at = $5, is_draining = $6 WHERE id = $1"
          " RETURNING false, (SELECT count(*) FROM nodes o WHERE o.id <> $1), 0")
/* PostgreSQL's: the others ($1: this one) that were not seen for $2 seconds go. REPLIES_INTERRUPTED and DOCUMENTS_INTERRUPTED then
 * find what they were doing. Of several nodes that do this at once, one finds the row and none waits. */
STATEMENT(NODES_SWEEP, SQL_WRITE, "a node serves every team",
          "DELETE FROM nodes WHERE id IN (SELECT d.id FROM nodes d WHERE d.id <> $1"
          "  AND d.seen_at < clock_timestamp() - make_interval(secs => $2::bigint) FOR UPDATE SKIP LOCKED)",
          "SELECT 0")
/* What the locks of a data directory told at start. $1 this node, $2 the dead, $3 the living: JSON arrays of ids. */
STATEMENT(NODES_BURY, SQL_WRITE, "a node serves every team",
          "DELETE FROM nodes WHERE id <> $1 AND id IN (SELECT v::uuid FROM json_array_elements_text($2::json) v)",
          "DELETE FROM nodes WHERE id <> $1 AND (id IN (SELECT value FROM json_each($2))"
          " OR id NOT IN (SELECT value FROM json_each($3)))")
/* PostgreSQL's: a node's word to itself, by the channel of aerie_notify(). */
STATEMENT(NEWS_ECHO, SQL_NODE, "a node serves every team", "SELECT 1 FROM pg_notify('aerie', 'echo ' || $1::uuid::text)", "SELECT 1")
/* Where nothing is told: numbers of each table that change with whatever of it is kept in memory. On PostgreSQL a lower number of
 * revoked_tokens may show up after a higher one, so who wants those reads rows. */
STATEMENT(NEWS_LOOK, SQL_READ, "what servers keep in memory of every team",
          "SELECT 'budgets', count(*), coalesce(sum((extract(epoch FROM updated_at) * 1000000)::bigint % 1000000007), 0)::bigint"
          " FROM budgets UNION ALL"
          " SELECT 'webhooks', count(*), coalesce(sum((extract(epoch FROM updated_at) * 1000000)::bigint % 1000000007), 0)::bigint"
          " FROM webhooks",
          "SELECT 'budgets', count(*), coalesce(sum(updated_at % 1000000007), 0) FROM budgets UNION ALL"
          " SELECT 'webhooks', count(*), coalesce(sum(updated_at % 1000000007), 0) FROM webhooks UNION ALL"
          " SELECT 'revoked_tokens', 0, coalesce(max(pos), 0) FROM revoked_tokens")
STATEMENT(NODES_COUNT, SQL_READ, "a node serves every team", "SELECT count(*) FROM nodes", NULL)
STATEMENT(NODE_REMOVE, SQL_WRITE, "a node serves every team", "DELETE FROM nodes WHERE id = $1", NULL)
/* For people: the last but one column is how long ago it was seen, in ms; NULL on SQLite. */
STATEMENT(NODE_LIST, SQL_READ, "a node serves every team",
          "SELECT id, name, address, version, started_at, is_draining,"
          " (extract(epoch FROM clock_timestamp() - seen_at) * 1000)::bigint, clock_ms FROM nodes ORDER BY started_at, id",
          "SELECT id, name, address, version, started_at, is_draining, NULL, clock_ms FROM nodes ORDER BY started_at, id")
/* A restored database has none of the servers that it had: what they were writing is cut, when the first one starts. */
STATEMENT(NODES_FORGET, SQL_WRITE, "nodes are nobody's", "DELETE FROM nodes", NULL)
