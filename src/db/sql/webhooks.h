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

/* What servers keep in memory: who wants what. A row for each webhook; one that is switched off asks for nothing. */
STATEMENT(WEBHOOKS_WANTED, SQL_READ, "what every team's webhooks ask for is in memory",
          "SELECT team_id, CASE WHEN is_active THEN events ELSE '' END FROM webhooks", NULL)
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
/* $1 team, $2 webhook, $3 now, $4 words, $5 the URL that was called: the receiver there wants no more. */
STATEMENT(WEBHOOK_GONE, SQL_WRITE, NULL,
          "UPDATE webhooks SET is_active = false, updated_at = $3, last_failure_at = $3, last_failure = $4"
          " WHERE team_id = $1 AND id = $2 AND is_active AND url = $5",
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

/* What admins see and change. $1 team, $2 id, $3 url, $4 the sealed secret, $5 events, $6 include_text, $7 is_active, $8 now,
 * $9 the most a team may have. Behind TEAM_LOCK. */
STATEMENT(WEBHOOK_ADD, SQL_WRITE, NULL,
          "INSERT INTO webhooks (id, team_id, url, secret, events, include_text, is_active, created_at, updated_at)"
          " SELECT $2::uuid, $1::uuid, $3::text, $4::text, $5::text, $6::boolean, $7::boolean, $8::timestamptz,"
          " $8::timestamptz WHERE (SELECT count(*) FROM webhooks w WHERE w.team_id = $1::uuid) < $9::bigint",
          "INSERT INTO webhooks (id, team_id, url, secret, events, include_text, is_active, created_at, updated_at)"
          " SELECT $2, $1, $3, $4, $5, $6, $7, $8, $8"
          " WHERE (SELECT count(*) FROM webhooks w WHERE w.team_id = $1) < $9")
STATEMENT(WEBHOOK_DELETE, SQL_WRITE, NULL, "DELETE FROM webhooks WHERE team_id = $1 AND id = $2", NULL)
STATEMENT(WEBHOOK_EXISTS, SQL_READ, NULL, "SELECT id FROM webhooks WHERE team_id = $1 AND id = $2", NULL)
/* $2 one of them, or NULL. The columns are enum webhook_column's in api/webhooks.h. */
STATEMENT(WEBHOOK_LIST, SQL_READ, NULL,
          "SELECT w.id, w.url, w.events, w.include_text, w.is_active, w.created_at, w.updated_at, w.last_success_at,"
          " w.last_failure_at, w.last_failure,"
          " (SELECT count(*) FROM webhook_deliveries d WHERE d.webhook_id = w.id AND d.status = 'pending'),"
          " (SELECT count(*) FROM webhook_deliveries d WHERE d.webhook_id = w.id AND d.status = 'dead')"
          " FROM webhooks w WHERE w.team_id = $1 AND ($2::uuid IS NULL OR w.id = $2::uuid) ORDER BY w.created_at, w.id",
          "SELECT w.id, w.url, w.events, w.include_text, w.is_active, w.created_at, w.updated_at, w.last_success_at,"
          " w.last_failure_at, w.last_failure,"
          " (SELECT count(*) FROM webhook_deliveries d WHERE d.webhook_id = w.id AND d.status = 'pending'),"
          " (SELECT count(*) FROM webhook_deliveries d WHERE d.webhook_id = w.id AND d.status = 'dead')"
          " FROM webhooks w WHERE w.team_id = $1 AND ($2 IS NULL OR w.id = $2) ORDER BY w.created_at, w.id")
/* $3 the new one, sealed; $4 until when the one before signs as well; $5 now. */
STATEMENT(WEBHOOK_ROTATE, SQL_WRITE, NULL,
          "UPDATE webhooks SET previous_secret = secret, secret = $3, previous_until = $4, updated_at = $5"
          " WHERE team_id = $1 AND id = $2",
          NULL)
/* To be called now. $3 now. */
STATEMENT(WEBHOOK_SECRETS, SQL_READ, NULL,
          "SELECT url, secret, CASE WHEN previous_until > $3 THEN previous_secret END FROM webhooks"
          " WHERE team_id = $1 AND id = $2",
          NULL)
/* What is NULL stays: $3 url, $4 events, $5 include_text, $6 is_active; $7 now. */
STATEMENT(WEBHOOK_UPDATE, SQL_WRITE, NULL,
          "UPDATE webhooks SET url = coalesce($3, url), events = coalesce($4, events),"
          " include_text = coalesce($5, include_text), is_active = coalesce($6, is_active), updated_at = $7"
          " WHERE team_id = $1 AND id = $2",
          NULL)
/* $2 webhook, $3 status or NULL. */
STATEMENT(WEBHOOK_DELIVERY_COUNT, SQL_SLOW, NULL,
          "SELECT count(*) FROM webhook_deliveries WHERE team_id = $1 AND webhook_id = $2"
          " AND ($3::text IS NULL OR status = $3::text)",
          "SELECT count(*) FROM webhook_deliveries WHERE team_id = $1 AND webhook_id = $2 AND ($3 IS NULL OR status = $3)")
/* $3 one of them. The columns are those of WEBHOOK_DELIVERY_LIST. */
STATEMENT(WEBHOOK_DELIVERY_GET, SQL_READ, NULL,
          "SELECT id, event_id, type, status, tries, next_at, last_status, last_error, created_at, delivered_at, payload"
          " FROM webhook_deliveries WHERE team_id = $1 AND webhook_id = $2 AND id = $3",
          NULL)
/* $3 status or NULL, $4 how many, $5 from where, newest first. The columns are enum delivery_column's in
 * api/webhooks.h. */
STATEMENT(WEBHOOK_DELIVERY_LIST, SQL_SLOW, NULL,
          "SELECT id, event_id, type, status, tries, next_at, last_status, last_error, created_at, delivered_at, payload"
          " FROM webhook_deliveries WHERE team_id = $1 AND webhook_id = $2 AND ($3::text IS NULL OR status = $3::text)"
          " ORDER BY created_at DESC, id LIMIT $4 OFFSET $5",
          "SELECT id, event_id, type, status, tries, next_at, last_status, last_error, created_at, delivered_at, payload"
          " FROM webhook_deliveries WHERE team_id = $1 AND webhook_id = $2 AND ($3 IS NULL OR status = $3)"
          " ORDER BY created_at DESC, id LIMIT $4 OFFSET $5")
/* $3 one that was given up, $4 now. */
STATEMENT(WEBHOOK_REPLAY, SQL_WRITE, NULL,
          "UPDATE webhook_deliveries SET status = 'pending', tries = 0, next_at = $4 WHERE team_id = $1"
          " AND webhook_id = $2 AND id = $3 AND status = 'dead'"
          " AND EXISTS (SELECT 1 FROM webhooks w WHERE w.id = $2 AND w.is_active)",
          NULL)
/* All of them, a thousand at a time, the oldest first. $3 now. */
STATEMENT(WEBHOOK_REPLAY_ALL, SQL_WRITE, NULL,
          "UPDATE webhook_deliveries SET status = 'pending', tries = 0, next_at = $3 WHERE team_id = $1"
          " AND id IN (SELECT d.id FROM webhook_deliveries d WHERE d.webhook_id = $2 AND d.status = 'dead'"
          "  ORDER BY d.created_at LIMIT 1000)"
          " AND EXISTS (SELECT 1 FROM webhooks w WHERE w.id = $2 AND w.is_active)",
          NULL)

/* Agents that fail; before REPLY_SAVE in one transaction, so that twice is once. $1 team, $2 agent, $3 the reply that failed. */
STATEMENT(AGENT_FAILED, SQL_WRITE, NULL,
          "INSERT INTO agent_failures (agent_id, team_id, failures, is_told) SELECT a.id, a.team_id, 1, false FROM agents a"
          " WHERE a.team_id = $1::uuid AND a.id = $2::uuid"
          " AND NOT EXISTS (SELECT 1 FROM messages m WHERE m.id = $3::uuid AND m.status <> 'streaming')"
          " ON CONFLICT (agent_id) DO UPDATE SET failures = agent_failures.failures + 1",
          "INSERT INTO agent_failures (agent_id, team_id, failures, is_told) SELECT a.id, a.team_id, 1, 0 FROM agents a"
          " WHERE a.team_id = $1 AND a.id = $2"
          " AND NOT EXISTS (SELECT 1 FROM messages m WHERE m.id = $3 AND m.status <> 'streaming')"
          " ON CONFLICT (agent_id) DO UPDATE SET failures = failures + 1")
/* Tells of an agent $2 whose last $3 replies failed, unless that was told, or something was within the hour since $4: $5 the
 * event's id, $6 its type, $7 its data, $8 now. */
STATEMENT(AGENT_TELL_FAILING, SQL_WRITE, NULL,
          "WITH told AS (UPDATE agent_failures SET is_told = true, told_at = $8::timestamptz WHERE team_id = $1::uuid"
          "  AND agent_id = $2::uuid AND failures >= $3::bigint AND NOT is_told"
          "  AND (told_at IS NULL OR told_at < $4::timestamptz) RETURNING agent_id)"
          " INSERT INTO webhook_deliveries (id, team_id, webhook_id, event_id, type, payload, status, tries, next_at,"
          " created_at) SELECT gen_random_uuid(), w.team_id, w.id, $5::uuid, $6::text, $7::json, 'pending', 0,"
          " $8::timestamptz, $8::timestamptz FROM told, webhooks w WHERE w.team_id = $1::uuid AND w.is_active"
          " AND w.events LIKE '%,' || $6::text || ',%'",
          "UPDATE agent_failures SET is_told = 1, told_at = $8 WHERE team_id = $1 AND agent_id = $2 AND failures >= $3"
          " AND is_told = 0 AND (told_at IS NULL OR told_at < $4);"
          "INSERT INTO webhook_deliveries (id, team_id, webhook_id, event_id, type, payload, status, tries, next_at,"
          " created_at) SELECT " SQLITE_NEW_ID ", w.team_id, w.id, $5, $6, $7, 'pending', 0, $8, $8"
          " FROM webhooks w WHERE w.team_id = $1 AND w.is_active AND w.events LIKE '%,' || $6 || ',%' AND changes() > 0")
/* A reply came to its end: $2 its agent, which has recovered where it was told to fail. $3 to $6 as $5 to $8 above. */
STATEMENT(AGENT_TELL_RECOVERED, SQL_WRITE, NULL,
          "WITH told AS (UPDATE agent_failures f SET failures = 0, is_told = false FROM agent_failures old"
          "  WHERE f.team_id = $1::uuid AND f.agent_id = $2::uuid AND f.failures > 0 AND old.agent_id = f.agent_id"
          "  RETURNING old.is_told)"
          " INSERT INTO webhook_deliveries (id, team_id, webhook_id, event_id, type, payload, status, tries, next_at,"
          " created_at) SELECT gen_random_uuid(), w.team_id, w.id, $3::uuid, $4::text, $5::json, 'pending', 0,"
          " $6::timestamptz, $6::timestamptz FROM told, webhooks w WHERE told.is_told AND w.team_id = $1::uuid"
          " AND w.is_active AND w.events LIKE '%,' || $4::text || ',%'",
          "UPDATE agent_failures SET failures = 0 WHERE team_id = $1 AND agent_id = $2 AND failures > 0;"
          "UPDATE agent_failures SET is_told = 0 WHERE team_id = $1 AND agent_id = $2 AND is_told = 1 AND failures = 0;"
          "INSERT INTO webhook_deliveries (id, team_id, webhook_id, event_id, type, payload, status, tries, next_at,"
          " created_at) SELECT " SQLITE_NEW_ID ", w.team_id, w.id, $3, $4, $5, 'pending', 0, $6, $6"
          " FROM webhooks w WHERE w.team_id = $1 AND w.is_active AND w.events LIKE '%,' || $4 || ',%' AND changes() > 0")
