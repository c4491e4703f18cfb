/* Statements over webhooks, their deliveries, and the agents that fail. See db/sql.h for what a row says. */

/* What there is to tell: $1 team, $2 the event's id, $3 its type, $4 its data (JSON), $5 now. In the batch of the fact, behind
 * it: a delivery for each active webhook of the team that asks for the type. Twice with one id is once. */
STATEMENT(WEBHOOK_EVENT_ADD, SQL_WRITE, NULL,
          "INSERT INTO webhook_deliveries (id, team_id, webhook_id, event_id, type, payload, status, tries, next_at,"
          " created_at) SELECT gen_random_uuid(), w.team_id, w.id, $2::uuid, $3::text, $4::json, 'pending', 0,"
          " $5::timestamptz, $5::timestamptz FROM webhooks w WHERE w.team_id = $1::uuid AND w.is_active"
          " AND w.events LIKE '%,' || $3::text || ',%' ON CONFLICT (webhook_id, event_id) DO NOTHING",
          "INSERT INTO webhook_deliveries (id, team_id, webhook_id, event_id, type, payload, status, tries, next_at,"
          " created_at) SELECT " SQLITE_NEW_ID ", w.team_id, w.id, $2, $3, $4, 'pending', 0, $5, $5"
          " FROM webhooks w WHERE w.team_id = $1 AND w.is_active AND w.events LIKE '%,' || $3 || ',%'"
          " ON CONFLICT (webhook_id, event_id) DO NOTHING")
/* The same of a chat that may not have come to be: $2 is its id, and the event's. */
STATEMENT(WEBHOOK_CHAT_ADD, SQL_WRITE, NULL,
          "INSERT INTO webhook_deliveries (id, team_id, webhook_id, event_id, type, payload, status, tries, next_at,"
          " created_at) SELECT gen_random_uuid(), w.team_id, w.id, $2::uuid, $3::text, $4::json, 'pending', 0,"
          " $5::timestamptz, $5::timestamptz FROM webhooks w WHERE w.team_id = $1::uuid AND w.is_active"
          " AND w.events LIKE '%,' || $3::text || ',%'"
          " AND EXISTS (SELECT 1 FROM chats c WHERE c.team_id = $1::uuid AND c.id = $2::uuid)"
          " ON CONFLICT (webhook_id, event_id) DO NOTHING",
          "INSERT INTO webhook_deliveries (id, team_id, webhook_id, event_id, type, payload, status, tries, next_at,"
          " created_at) SELECT " SQLITE_NEW_ID ", w.team_id, w.id, $2, $3, $4, 'pending', 0, $5, $5"
          " FROM webhooks w WHERE w.team_id = $1 AND w.is_active AND w.events LIKE '%,' || $3 || ',%'"
          " AND EXISTS (SELECT 1 FROM chats c WHERE c.team_id = $1 AND c.id = $2)"
          " ON CONFLICT (webhook_id, event_id) DO NOTHING")

/* What servers keep in memory: who wants what, and whether that has changed. */
STATEMENT(WEBHOOKS_STAMP, SQL_READ, "what every team's webhooks ask for is in memory",
          "SELECT count(*), CAST(coalesce(sum(CAST(extract(epoch FROM updated_at) * 1000000 AS bigint) % 1000000007), 0)"
          " AS bigint) FROM webhooks",
          "SELECT count(*), coalesce(sum(updated_at % 1000000007), 0) FROM webhooks")
STATEMENT(WEBHOOKS_WANTED, SQL_READ, "what every team's webhooks ask for is in memory",
          "SELECT team_id, events FROM webhooks WHERE is_active", NULL)
STATEMENT(WEBHOOKS_OF_TEAM, SQL_READ, NULL, "SELECT team_id, events FROM webhooks WHERE team_id = $1 AND is_active", NULL)
/* The teams with the most that waits; the columns behind tell of all teams. */
STATEMENT(WEBHOOK_COUNTS, SQL_SLOW, "the sender bounds every team's queue",
          "SELECT team_id, count(*), CAST(sum(count(*)) OVER () AS bigint), min(min(created_at)) OVER ()"
          " FROM webhook_deliveries WHERE status = 'pending' GROUP BY team_id ORDER BY count(*) DESC LIMIT 1000",
          NULL)

/* The sender. $1 now, $2 and $3 JSON arrays of webhooks and of teams that shall have no more for now. */
STATEMENT(WEBHOOK_DUE, SQL_READ, "the sender sends what is due in every team",
          "SELECT d.id, d.team_id, d.webhook_id FROM webhook_deliveries d WHERE d.status = 'pending'"
          " AND d.next_at <= $1::timestamptz AND d.webhook_id::text NOT IN (SELECT json_array_elements_text($2::json))"
          " AND d.team_id::text NOT IN (SELECT json_array_elements_text($3::json))"
          " ORDER BY d.next_at LIMIT 200",
          "SELECT d.id, d.team_id, d.webhook_id FROM webhook_deliveries d WHERE d.status = 'pending'"
          " AND d.next_at <= $1 AND d.webhook_id NOT IN (SELECT value FROM json_each($2))"
          " AND d.team_id NOT IN (SELECT value FROM json_each($3))"
          " ORDER BY d.next_at LIMIT 200")
/* $1 a JSON array of ids, $2 now, $3 when another may try, should this one not tell how it went. */
STATEMENT(WEBHOOK_CLAIM, SQL_WRITE, "the sender sends what is due in every team",
          "UPDATE webhook_deliveries SET tries = tries + 1, next_at = $3::timestamptz WHERE id IN"
          " (SELECT d.id FROM webhook_deliveries d WHERE d.id IN (SELECT json_array_elements_text($1::json)::uuid)"
          "  AND d.status = 'pending' AND d.next_at <= $2::timestamptz FOR UPDATE SKIP LOCKED) RETURNING id",
          "UPDATE webhook_deliveries SET tries = tries + 1, next_at = $3 WHERE id IN (SELECT value FROM json_each($1))"
          " AND status = 'pending' AND next_at <= $2 RETURNING id")
/* Of those ids. The columns are enum load_column's in webhook/sender.c. The text of a message is read when it is sent, and
 * lies in no delivery. */
STATEMENT(WEBHOOK_LOAD, SQL_READ, "the sender sends what is due in every team",
          "SELECT d.id, d.team_id, d.webhook_id, d.event_id, d.type, d.payload, d.tries, d.created_at, w.is_active, w.url,"
          " w.secret, CASE WHEN w.previous_until > $2::timestamptz THEN w.previous_secret END,"
          " w.include_text AND d.type = 'message.completed',"
          " CASE WHEN w.include_text AND d.type = 'message.completed' THEN (SELECT m.content FROM messages m"
          "  WHERE m.team_id = d.team_id AND m.id = d.event_id) END"
          " FROM webhook_deliveries d JOIN webhooks w ON w.id = d.webhook_id"
          " WHERE d.id IN (SELECT json_array_elements_text($1::json)::uuid)",
          "SELECT d.id, d.team_id, d.webhook_id, d.event_id, d.type, d.payload, d.tries, d.created_at, w.is_active, w.url,"
          " w.secret, CASE WHEN w.previous_until > $2 THEN w.previous_secret END,"
          " w.include_text AND d.type = 'message.completed',"
          " CASE WHEN w.include_text AND d.type = 'message.completed' THEN (SELECT m.content FROM messages m"
          "  WHERE m.team_id = d.team_id AND m.id = d.event_id) END"
          " FROM webhook_deliveries d JOIN webhooks w ON w.id = d.webhook_id"
          " WHERE d.id IN (SELECT value FROM json_each($1))")
/* $1 team, $2 delivery. The receiver's word counts whatever was thought of it meanwhile: $3 now, $4 the HTTP status. */
STATEMENT(WEBHOOK_DELIVERED, SQL_WRITE, NULL,
          "UPDATE webhook_deliveries SET status = 'delivered', delivered_at = $3, last_status = $4, last_error = NULL"
          " WHERE team_id = $1 AND id = $2",
          NULL)
/* $3 which try it was: one that was taken over, as it told nothing for too long, has no say. $4 not before, $5 the HTTP status
 * or NULL, $6 words. */
STATEMENT(WEBHOOK_LATER, SQL_WRITE, NULL,
          "UPDATE webhook_deliveries SET next_at = $4, last_status = $5, last_error = $6"
          " WHERE team_id = $1 AND id = $2 AND tries = $3 AND status = 'pending'",
          NULL)
/* $4 the HTTP status or NULL, $5 words. */
STATEMENT(WEBHOOK_DEAD, SQL_WRITE, NULL,
          "UPDATE webhook_deliveries SET status = 'dead', last_status = $4, last_error = $5"
          " WHERE team_id = $1 AND id = $2 AND tries = $3 AND status = 'pending'",
          NULL)
/* $1 team, $2 webhook, $3 now, $4 ten seconds ago. */
STATEMENT(WEBHOOK_NOTE_SUCCESS, SQL_WRITE, NULL,
          "UPDATE webhooks SET last_success_at = $3 WHERE team_id = $1 AND id = $2"
          " AND (last_success_at IS NULL OR last_success_at < $4)",
          NULL)
/* $5 words. */
STATEMENT(WEBHOOK_NOTE_FAILURE, SQL_WRITE, NULL,
          "UPDATE webhooks SET last_failure_at = $3, last_failure = $5 WHERE team_id = $1 AND id = $2"
          " AND (last_failure_at IS NULL OR last_failure_at < $4)",
          NULL)
/* $1 team, $2 webhook, $3 now, $4 words: the receiver wants no more. */
STATEMENT(WEBHOOK_GONE, SQL_WRITE, NULL,
          "UPDATE webhooks SET is_active = false, updated_at = $3, last_failure_at = $3, last_failure = $4"
          " WHERE team_id = $1 AND id = $2 AND is_active",
          NULL)
/* Of one that is switched off nothing waits. $3 words. */
STATEMENT(WEBHOOK_END_PENDING, SQL_WRITE, NULL,
          "UPDATE webhook_deliveries SET status = 'dead', last_error = $3 WHERE team_id = $1 AND webhook_id = $2"
          " AND status = 'pending' AND EXISTS (SELECT 1 FROM webhooks w WHERE w.id = $2 AND NOT w.is_active)",
          NULL)
/* $1 delivered ones before, $2 dead ones before. */
STATEMENT(WEBHOOK_FORGET, SQL_WRITE, "housekeeping: what was told in every team long ago",
          "DELETE FROM webhook_deliveries WHERE id IN (SELECT id FROM webhook_deliveries WHERE status <> 'pending'"
          " AND created_at < (CASE WHEN status = 'dead' THEN $2::timestamptz ELSE $1::timestamptz END)"
          " ORDER BY created_at LIMIT 500)",
          "DELETE FROM webhook_deliveries WHERE id IN (SELECT id FROM webhook_deliveries WHERE status <> 'pending'"
          " AND created_at < (CASE WHEN status = 'dead' THEN $2 ELSE $1 END) ORDER BY created_at LIMIT 500)")
