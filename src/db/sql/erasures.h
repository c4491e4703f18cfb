/* Statements over erasures, and over what goes with a user or a visitor: in portions, each of which may be done again. See
 * db/sql.h for what a row says. $1 team and $2 owner, of chats: the user, or the visitor's session, which is its own owner. */

/* Of the owner, as many chats as one transaction touches; the same ones until they have gone. */
#define ERASE_CHATS(team, owner)                                                                                           \
    "(SELECT id, updated_at FROM chats WHERE team_id = " team " AND owner_id = " owner                                     \
    " ORDER BY updated_at, id LIMIT 50)"
#define ERASE_EMPTY(team, owner)                                                                                           \
    "(SELECT c.id FROM " ERASE_CHATS(team, owner) " c WHERE NOT EXISTS (SELECT 1 FROM messages m WHERE m.chat_id = c.id))"
/* The next $3 of their messages. SQLite takes them in the order of its loops, twice the same. */
#define ERASE_NEXT(what)                                                                                                   \
    "(SELECT n." what " FROM " ERASE_CHATS("$1::uuid", "$2::uuid") " c CROSS JOIN LATERAL (SELECT m.id, m.seq, m.ctid FROM messages m" \
    " WHERE m.chat_id = c.id ORDER BY m.seq LIMIT $3::bigint) n ORDER BY c.updated_at, c.id, n.seq LIMIT $3::bigint)"
#define ERASE_NEXT_LITE                                                                                                    \
    "(SELECT m.id FROM " ERASE_CHATS("$1", "$2") " c CROSS JOIN messages m ON m.chat_id = c.id LIMIT $3)"

/* Puts the user out; of two at once the second one's is the later. Not the last active admin. $3 now. Behind TEAM_LOCK. */
STATEMENT(ERASE_USER_BEGIN, SQL_WRITE, NULL,
          "UPDATE users SET is_active = false, updated_at = $3 WHERE team_id = $1 AND id = $2 AND (role <> 'admin' OR NOT is_active "
          "OR EXISTS (SELECT 1 FROM users AS other WHERE other.team_id = $1 AND other.id <> $2 "
          "AND other.role = 'admin' AND other.is_active))",
          NULL)
/* $1 team, $2 id, $3 kind, $4 whom, $5 actor, $6 actor's id or NULL, $7 address or NULL, $8 now. Only of a user whom this batch
 * has put out, or of a visitor who is there. One that was broken off goes on: with its id, its counts and who began it; the
 * columns are enum erasure_column's in account/erasure.c. */
STATEMENT(ERASURE_BEGIN, SQL_WRITE, NULL,
          "INSERT INTO erasures (id, team_id, kind, subject_id, actor, actor_id, address, counts, created_at, touched_at)"
          " SELECT $2::uuid, $1::uuid, $3::text, $4::uuid, $5::text, $6::uuid, $7::text, '{}', $8::timestamptz, $8::timestamptz"
          " WHERE CASE $3::text WHEN 'visitor' THEN EXISTS (SELECT 1 FROM chats c WHERE c.team_id = $1::uuid AND c.id = $4::uuid"
          " AND c.owner_id = $4::uuid) ELSE EXISTS (SELECT 1 FROM users u WHERE u.team_id = $1::uuid AND u.id = $4::uuid"
          " AND u.updated_at = $8::timestamptz) END"
          " ON CONFLICT (team_id, subject_id) DO UPDATE SET touched_at = excluded.touched_at,"
          " kind = CASE excluded.kind WHEN 'delete' THEN erasures.kind ELSE excluded.kind END"
          " RETURNING id, team_id, kind, subject_id, actor, actor_id, address, counts",
          "INSERT INTO erasures (id, team_id, kind, subject_id, actor, actor_id, address, counts, created_at, touched_at)"
          " SELECT $2, $1, $3, $4, $5, $6, $7, '{}', $8, $8"
          " WHERE CASE $3 WHEN 'visitor' THEN EXISTS (SELECT 1 FROM chats c WHERE c.team_id = $1 AND c.id = $4"
          " AND c.owner_id = $4) ELSE EXISTS (SELECT 1 FROM users u WHERE u.team_id = $1 AND u.id = $4"
          " AND u.updated_at = $8) END"
          " ON CONFLICT (team_id, subject_id) DO UPDATE SET touched_at = excluded.touched_at,"
          " kind = CASE excluded.kind WHEN 'delete' THEN kind ELSE excluded.kind END"
          " RETURNING id, team_id, kind, subject_id, actor, actor_id, address, counts")
/* The one that waits longest, not touched since $2; $1 now. */
STATEMENT(ERASURE_CLAIM, SQL_WRITE, "what an earlier process left half done, in every team",
          "UPDATE erasures SET touched_at = $1 WHERE id = (SELECT id FROM erasures WHERE touched_at < $2"
          " ORDER BY touched_at LIMIT 1 FOR UPDATE SKIP LOCKED)"
          " RETURNING id, team_id, kind, subject_id, actor, actor_id, address, counts",
          "UPDATE erasures SET touched_at = $1 WHERE id = (SELECT id FROM erasures WHERE touched_at < $2"
          " ORDER BY touched_at LIMIT 1)"
          " RETURNING id, team_id, kind, subject_id, actor, actor_id, address, counts")
/* $2 id, $3 counts, $4 now. */
STATEMENT(ERASURE_NOTE, SQL_WRITE, NULL,
          "UPDATE erasures SET counts = $3, touched_at = $4 WHERE team_id = $1 AND id = $2", NULL)
STATEMENT(ERASURE_END, SQL_WRITE, NULL, "DELETE FROM erasures WHERE team_id = $1 AND id = $2", NULL)

/* What webhooks are to be told, or were told, of the next messages and of the chats that have none left. */
STATEMENT(ERASE_MESSAGE_DELIVERIES, SQL_WRITE, NULL,
          "DELETE FROM webhook_deliveries WHERE ctid = ANY (ARRAY(SELECT d.ctid FROM webhooks w CROSS JOIN " ERASE_NEXT("id") " e"
          " CROSS JOIN LATERAL (SELECT x.ctid FROM webhook_deliveries x WHERE x.webhook_id = w.id AND x.event_id = e.id LIMIT 1) d"
          " WHERE w.team_id = $1::uuid))",
          "DELETE FROM webhook_deliveries WHERE rowid IN (SELECT d.rowid FROM webhooks w CROSS JOIN " ERASE_NEXT_LITE " e"
          " CROSS JOIN webhook_deliveries d ON d.webhook_id = w.id AND d.event_id = e.id WHERE w.team_id = $1)")
STATEMENT(ERASE_MESSAGES, SQL_WRITE, NULL,
          "DELETE FROM messages WHERE team_id = $1::uuid AND ctid = ANY (ARRAY" ERASE_NEXT("ctid") ")",
          "DELETE FROM messages WHERE team_id = $1 AND id IN " ERASE_NEXT_LITE)
STATEMENT(ERASE_CHAT_DELIVERIES, SQL_WRITE, NULL,
          "DELETE FROM webhook_deliveries WHERE ctid = ANY (ARRAY(SELECT d.ctid FROM webhooks w CROSS JOIN "
          ERASE_EMPTY("$1::uuid", "$2::uuid") " e"
          " CROSS JOIN LATERAL (SELECT x.ctid FROM webhook_deliveries x WHERE x.webhook_id = w.id AND x.event_id = e.id LIMIT 1) d"
          " WHERE w.team_id = $1::uuid))",
          "DELETE FROM webhook_deliveries WHERE rowid IN (SELECT d.rowid FROM webhooks w CROSS JOIN "
          ERASE_EMPTY("$1", "$2") " e CROSS JOIN webhook_deliveries d ON d.webhook_id = w.id AND d.event_id = e.id"
          " WHERE w.team_id = $1)")
STATEMENT(ERASE_EMPTY_CHATS, SQL_WRITE, NULL,
          "DELETE FROM chats WHERE team_id = $1 AND id IN " ERASE_EMPTY("$1", "$2"), NULL)
/* The trail: what the user did, and what was done with the account; $3 rows. Where nobody knows who it was, the address may
 * be the user's. */
STATEMENT(ERASE_AUDIT_ACTOR, SQL_WRITE, NULL,
          "UPDATE audit_log SET actor = 'erased', actor_id = NULL, address = NULL WHERE ctid = ANY (ARRAY"
          "(SELECT ctid FROM audit_log WHERE team_id = $1 AND actor_id = $2 LIMIT $3))",
          "UPDATE audit_log SET actor = 'erased', actor_id = NULL, address = NULL WHERE (team_id, created_at, id) IN"
          " (SELECT team_id, created_at, id FROM audit_log WHERE team_id = $1 AND actor_id = $2 LIMIT $3)")
STATEMENT(ERASE_AUDIT_SUBJECT, SQL_WRITE, NULL,
          "UPDATE audit_log SET subject_id = NULL, address = CASE actor WHEN 'anyone' THEN NULL ELSE address END"
          " WHERE ctid = ANY (ARRAY(SELECT ctid FROM audit_log WHERE team_id = $1 AND subject_id = $2 LIMIT $3))",
          "UPDATE audit_log SET subject_id = NULL, address = CASE actor WHEN 'anyone' THEN NULL ELSE address END"
          " WHERE (team_id, created_at, id) IN"
          " (SELECT team_id, created_at, id FROM audit_log WHERE team_id = $1 AND subject_id = $2 LIMIT $3)")
/* Words of deleted messages are marked as such in SQLite's index, and go when it is merged into one part again. $1 pages at
 * most: negative begins that with all parts that there are, positive goes on with it. */
STATEMENT(ERASE_WORDS, SQL_WRITE, "one index has the words of every team", "SELECT 1 WHERE $1::bigint IS NULL",
          "INSERT INTO search_index (search_index, rank) VALUES ('merge', $1)")
/* Is there more to do? $2 the erasure, $3 now, $4 pages until now: twice as many as there are do, though others add parts. */
STATEMENT(ERASE_HAS_WORDS, SQL_WRITE, NULL,
          "UPDATE erasures SET touched_at = $3 WHERE team_id = $1 AND id = $2 AND $4::bigint IS NULL",
          "UPDATE erasures SET touched_at = $3 WHERE team_id = $1 AND id = $2 AND EXISTS (SELECT 1 FROM search_index_idx"
          " WHERE segid > (SELECT min(segid) FROM search_index_idx))"
          " AND $4 < 2 * (SELECT count(*) FROM search_index_idx) + 2000")
/* The end, all in one transaction: before the user goes, what names the address. */
STATEMENT(ERASE_MAILS, SQL_WRITE, NULL,
          "DELETE FROM mails WHERE email = (SELECT u.email FROM users u WHERE u.team_id = $1 AND u.id = $2)"
          " AND (team_id = $1 OR (team_id IS NULL AND NOT EXISTS (SELECT 1 FROM users o WHERE o.email = mails.email"
          "  AND o.id <> $2)))",
          NULL)
STATEMENT(ERASE_SITE, SQL_WRITE, NULL,
          "UPDATE sites SET admin_email = 'erased ' || CAST(team_id AS text) WHERE team_id = $1"
          " AND admin_email = (SELECT u.email FROM users u WHERE u.team_id = $1 AND u.id = $2)",
          NULL)
STATEMENT(ERASE_BUDGETS, SQL_WRITE, NULL,
          "WITH spend AS (DELETE FROM budget_spend WHERE team_id = $1::uuid AND scope IN ('user', 'owner')"
          "  AND subject_id = $2::uuid RETURNING 1),"
          " leases AS (DELETE FROM budget_leases WHERE team_id = $1::uuid AND scope IN ('user', 'owner')"
          "  AND subject_id = $2::uuid AND (SELECT count(*) FROM spend) >= 0)"
          " DELETE FROM budgets WHERE team_id = $1::uuid AND scope = 'user' AND subject_id = $2::uuid",
          "DELETE FROM budget_spend WHERE team_id = $1 AND scope IN ('user', 'owner') AND subject_id = $2;"
          "DELETE FROM budget_leases WHERE team_id = $1 AND scope IN ('user', 'owner') AND subject_id = $2;"
          "DELETE FROM budgets WHERE team_id = $1 AND scope = 'user' AND subject_id = $2")
/* Tokens, and what they said meanwhile, go with it. */
STATEMENT(ERASE_USER, SQL_WRITE, NULL, "DELETE FROM users WHERE team_id = $1 AND id = $2", NULL)
#undef ERASE_CHATS
#undef ERASE_EMPTY
#undef ERASE_NEXT
#undef ERASE_NEXT_LITE
