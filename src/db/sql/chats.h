/* Statements over chats. See db/sql.h for what a row says. A chat is its owner's alone: each names team and owner. */
STATEMENT(CHAT_ADD, SQL_WRITE, NULL,
          "INSERT INTO chats (id, team_id, user_id, owner_id, agent_id, title, metadata, created_at, updated_at)"
          " SELECT $3::uuid, $1::uuid, $2::uuid, $2::uuid, a.id, $5::text, $6::jsonb, $7::timestamptz, $7::timestamptz"
          " FROM agents a WHERE a.team_id = $1::uuid AND a.id = $4::uuid AND a.is_active"
          " ON CONFLICT (id) DO NOTHING",
          "INSERT INTO chats (id, team_id, user_id, owner_id, agent_id, title, metadata, created_at, updated_at)"
          " SELECT $3, $1, $2, $2, a.id, $5, $6, $7, $7"
          " FROM agents a WHERE a.team_id = $1 AND a.id = $4 AND a.is_active"
          " ON CONFLICT (id) DO NOTHING")
STATEMENT(CHAT_GET, SQL_READ, NULL,
          "SELECT c.id, c.team_id, c.user_id, c.agent_id, c.title, c.metadata, c.is_archived, c.created_at, c.updated_at,"
          " (SELECT count(*) FROM messages m WHERE m.chat_id = c.id)"
          " FROM chats c WHERE c.team_id = $1 AND c.owner_id = $2 AND c.id = $3",
          NULL)
STATEMENT(CHAT_IS_THERE, SQL_READ, NULL, "SELECT 1 FROM chats WHERE team_id = $1 AND owner_id = $2 AND id = $3", NULL)
STATEMENT(CHAT_COUNT, SQL_READ, NULL,
          "SELECT count(*) FROM chats WHERE team_id = $1 AND owner_id = $2 AND (NOT is_archived OR $3)", NULL)
/* PostgreSQL would count the messages of the chats before the page, too: there it is cut first. */
STATEMENT(CHAT_LIST, SQL_READ, NULL,
          "SELECT c.id, c.team_id, c.user_id, c.agent_id, c.title, c.metadata, c.is_archived, c.created_at, c.updated_at,"
          " (SELECT count(*) FROM messages m WHERE m.chat_id = c.id)"
          " FROM (SELECT * FROM chats WHERE team_id = $1 AND owner_id = $2 AND (NOT is_archived OR $3)"
          "  ORDER BY updated_at DESC, id DESC LIMIT $4 OFFSET $5) c"
          " ORDER BY c.updated_at DESC, c.id DESC",
          "SELECT c.id, c.team_id, c.user_id, c.agent_id, c.title, c.metadata, c.is_archived, c.created_at, c.updated_at,"
          " (SELECT count(*) FROM messages m WHERE m.chat_id = c.id)"
          " FROM chats c WHERE c.team_id = $1 AND c.owner_id = $2 AND (NOT c.is_archived OR $3)"
          " ORDER BY c.updated_at DESC, c.id DESC LIMIT $4 OFFSET $5")
/* The latest $6 messages of each chat of the same page, oldest first. CROSS JOIN: the page comes row by row, and is not
 * gathered in a table of its own. */
STATEMENT(CHAT_LIST_MESSAGES, SQL_READ, NULL,
          "SELECT m.chat_id, m.id, m.role, m.content, m.status, m.created_at, m.model, m.usage, m.metadata"
          " FROM (SELECT id FROM chats WHERE team_id = $1 AND owner_id = $2 AND (NOT is_archived OR $3)"
          "  ORDER BY updated_at DESC, id DESC LIMIT $4 OFFSET $5) c"
          " CROSS JOIN LATERAL (SELECT * FROM messages n WHERE n.chat_id = c.id ORDER BY n.seq DESC LIMIT $6) m"
          " ORDER BY m.chat_id, m.seq",
          "SELECT m.chat_id, m.id, m.role, m.content, m.status, m.created_at, m.model, m.usage, m.metadata"
          " FROM (SELECT id FROM chats WHERE team_id = $1 AND owner_id = $2 AND (NOT is_archived OR $3)"
          "  ORDER BY updated_at DESC, id DESC LIMIT $4 OFFSET $5) c CROSS JOIN messages m ON m.chat_id = c.id"
          " WHERE m.seq > coalesce((SELECT n.seq FROM messages n WHERE n.chat_id = c.id"
          "  ORDER BY n.seq DESC LIMIT 1 OFFSET $6), 0)"
          " ORDER BY m.chat_id, m.seq")
STATEMENT(CHAT_UPDATE, SQL_WRITE, NULL,
          "UPDATE chats SET title = coalesce($4, title), metadata = coalesce($5, metadata),"
          " is_archived = coalesce($6, is_archived), updated_at = $7"
          " WHERE team_id = $1 AND owner_id = $2 AND id = $3",
          NULL)
STATEMENT(CHAT_REMOVE, SQL_WRITE, NULL,
          "DELETE FROM chats WHERE team_id = $1 AND owner_id = $2 AND id = $3", NULL)
/* A page of what was said last in each chat, its first $5 characters; an empty reply says nothing. The
 * page is cut first: else the messages of each chat before it would be looked for, too. */
STATEMENT(CHAT_HISTORY, SQL_READ, NULL,
          "SELECT c.id, c.title, (SELECT substr(m.content, 1, CAST($5 AS integer)) FROM messages m WHERE m.chat_id = c.id"
          "  AND m.content <> '' ORDER BY m.seq DESC LIMIT 1), c.updated_at"
          " FROM (SELECT id, title, updated_at FROM chats WHERE team_id = $1 AND owner_id = $2 AND NOT is_archived"
          "  ORDER BY updated_at DESC, id DESC LIMIT $3 OFFSET $4) c"
          " ORDER BY c.updated_at DESC, c.id DESC",
          NULL)
/* A new chat that got no message, as its idempotency key was taken meanwhile. */
STATEMENT(CHAT_DROP_EMPTY, SQL_WRITE, NULL,
          "DELETE FROM chats WHERE team_id = $1 AND id = $2"
          " AND NOT EXISTS (SELECT 1 FROM messages m WHERE m.chat_id = $2)",
          NULL)
/* $6: what was searched for; on SQLite a query in FTS5's language. PostgreSQL also looks at the latest that are not in its
 * index: another may be putting them there right now. */
STATEMENT(CHAT_SEARCH, SQL_SLOW, NULL,
          "SELECT c.id, c.team_id, c.user_id, c.agent_id, c.title, c.metadata, c.is_archived, c.created_at, c.updated_at,"
          " (SELECT count(*) FROM messages m WHERE m.chat_id = c.id), count(*) OVER ()"
          " FROM chats c WHERE c.team_id = $1 AND c.owner_id = $2 AND (NOT c.is_archived OR $3)"
          " AND (aerie_words(c.title) @@ aerie_query($6) OR c.id IN (SELECT m.chat_id FROM messages m"
          "  JOIN chats o ON o.id = m.chat_id WHERE m.team_id = $1 AND o.owner_id = $2"
          "  AND m.is_indexed AND aerie_words(m.content) @@ aerie_query($6) UNION ALL SELECT w.chat_id FROM"
          "  (SELECT n.chat_id, n.content FROM messages n JOIN chats o ON o.id = n.chat_id WHERE n.team_id = $1"
          "   AND o.owner_id = $2 AND NOT n.is_indexed AND n.status <> 'streaming' ORDER BY n.id DESC LIMIT 1000) w"
          "  WHERE aerie_words(w.content) @@ aerie_query($6)))"
          " ORDER BY c.updated_at DESC, c.id DESC LIMIT $4 OFFSET $5",
          "SELECT c.id, c.team_id, c.user_id, c.agent_id, c.title, c.metadata, c.is_archived, c.created_at, c.updated_at,"
          " (SELECT count(*) FROM messages m WHERE m.chat_id = c.id), count(*) OVER ()"
          " FROM chats c WHERE c.team_id = $1 AND c.owner_id = $2 AND (NOT c.is_archived OR $3)"
          " AND (-c.pos IN (SELECT rowid FROM search_index WHERE search_index MATCH $6)"
          "  OR c.id IN (SELECT m.chat_id FROM messages m WHERE m.team_id = $1"
          "   AND m.pos IN (SELECT rowid FROM search_index WHERE search_index MATCH $6)))"
          " ORDER BY c.updated_at DESC, c.id DESC LIMIT $4 OFFSET $5")
STATEMENT(CHAT_SEARCH_MESSAGES, SQL_SLOW, NULL,
          "SELECT m.chat_id, m.id, m.role, m.content, m.status, m.created_at, m.model, m.usage, m.metadata"
          " FROM chats c JOIN messages m ON m.chat_id = c.id"
          " WHERE c.team_id = $1 AND c.owner_id = $2"
          " AND c.id IN (SELECT CAST(value AS uuid) FROM jsonb_array_elements_text($3))"
          " AND m.seq > coalesce((SELECT n.seq FROM messages n WHERE n.chat_id = c.id"
          "  ORDER BY n.seq DESC LIMIT 1 OFFSET $4), 0)"
          " ORDER BY m.chat_id, m.seq",
          "SELECT m.chat_id, m.id, m.role, m.content, m.status, m.created_at, m.model, m.usage, m.metadata"
          " FROM chats c JOIN messages m ON m.chat_id = c.id"
          " WHERE c.team_id = $1 AND c.owner_id = $2 AND c.id IN (SELECT value FROM json_each($3))"
          " AND m.seq > coalesce((SELECT n.seq FROM messages n WHERE n.chat_id = c.id"
          "  ORDER BY n.seq DESC LIMIT 1 OFFSET $4), 0)"
          " ORDER BY m.chat_id, m.seq")
/* Retention: chats that are past their time, with when that was. Those of a team in which nothing happened for its days, and no
 * more than $2 days where that is not 0; sessions of people without an account that were idle since $3. $1 now, $4 at most so
 * many. By indexes alone: a look that finds nothing is one probe a team. */
#define CHATS_PAST                                                                                                         \
    "(SELECT p.id, p.since FROM teams t CROSS JOIN LATERAL (SELECT c.id, r.since FROM (SELECT $1::timestamptz"             \
    " - least(t.retention_days, nullif($2::bigint, 0)) * interval '24 hours' AS since) r JOIN chats c ON c.team_id = t.id"    \
    " AND c.updated_at < r.since ORDER BY c.updated_at LIMIT $4::bigint) p"                                                \
    " WHERE t.retention_days IS NOT NULL OR $2::bigint > 0 LIMIT $4::bigint)"                                              \
    " UNION ALL (SELECT c.id, $3::timestamptz FROM chats c WHERE c.user_id IS NULL AND c.updated_at < $3::timestamptz"     \
    " ORDER BY c.updated_at LIMIT $4::bigint)"
#define CHATS_PAST_LITE                                                                                                    \
    " SELECT * FROM (SELECT c.id FROM teams t CROSS JOIN chats c INDEXED BY chats_age WHERE c.team_id = t.id AND c.updated_at <"  \
    " $1 - min(coalesce(t.retention_days, $2), CASE WHEN $2 > 0 THEN $2 ELSE t.retention_days END) * 86400000000 LIMIT $4)" \
    " UNION ALL SELECT * FROM (SELECT c.id FROM chats c INDEXED BY chats_sessions WHERE c.user_id IS NULL"                \
    " AND c.updated_at < $3 ORDER BY c.updated_at LIMIT $4)"
#define CHATS_IS_STILL(c) "EXISTS (SELECT 1 FROM messages s WHERE s.chat_id = " c ".id AND s.status = 'streaming')"
/* Of their messages the first $4, then those of them that have none left; in one batch. Of several nodes one at a time finds
 * any. The lock keeps a message that comes just now waiting until its chat has gone. */
#define CHATS_SWEEP_LOCK "8241904471034419532"
STATEMENT(CHATS_FORGET_MESSAGES, SQL_WRITE, "housekeeping: chats of every team that are past their time",
          "WITH mine AS MATERIALIZED (SELECT pg_try_advisory_xact_lock(" CHATS_SWEEP_LOCK ") AS is_mine),"
          " past AS MATERIALIZED (SELECT p.id, p.since FROM mine CROSS JOIN LATERAL (" CHATS_PAST ") p WHERE mine.is_mine),"
          " held AS MATERIALIZED (SELECT h.id FROM past p CROSS JOIN LATERAL (SELECT c.id FROM chats c WHERE c.id = p.id"
          "  AND c.updated_at < p.since AND NOT " CHATS_IS_STILL("c") " FOR UPDATE SKIP LOCKED) h)"
          " DELETE FROM messages WHERE ctid = ANY (ARRAY(SELECT n.ctid FROM held h CROSS JOIN LATERAL (SELECT m.ctid"
          "  FROM messages m WHERE m.chat_id = h.id ORDER BY m.seq LIMIT $4::bigint) n LIMIT $4::bigint))",
          "DELETE FROM messages WHERE pos IN (SELECT m.pos FROM (" CHATS_PAST_LITE ") p CROSS JOIN messages m"
          " ON m.chat_id = p.id WHERE NOT " CHATS_IS_STILL("p") " LIMIT $4)")
STATEMENT(CHATS_FORGET, SQL_WRITE, "housekeeping: chats of every team that are past their time",
          "WITH mine AS MATERIALIZED (SELECT pg_try_advisory_xact_lock(" CHATS_SWEEP_LOCK ") AS is_mine),"
          " past AS MATERIALIZED (SELECT p.id, p.since FROM mine CROSS JOIN LATERAL (" CHATS_PAST ") p WHERE mine.is_mine)"
          " DELETE FROM chats WHERE ctid = ANY (ARRAY(SELECT h.ctid FROM past p CROSS JOIN LATERAL (SELECT c.ctid FROM chats c"
          "  WHERE c.id = p.id AND c.updated_at < p.since AND NOT EXISTS (SELECT 1 FROM messages m WHERE m.chat_id = c.id)"
          "  FOR UPDATE SKIP LOCKED) h))",
          "DELETE FROM chats WHERE id IN (SELECT p.id FROM (" CHATS_PAST_LITE ") p"
          " WHERE NOT EXISTS (SELECT 1 FROM messages m WHERE m.chat_id = p.id))")
#undef CHATS_PAST
#undef CHATS_PAST_LITE
#undef CHATS_IS_STILL
#undef CHATS_SWEEP_LOCK
/* What a turn needs of its chat: whom to ask, and whom instead (config.fallback_agent_id). */
STATEMENT(TURN_LOAD_CHAT, SQL_READ, NULL,
          "SELECT a.id, a.is_active, a.provider, a.webhook_url, a.webhook_token, a.model, a.system_prompt, a.config,"
          " (SELECT json_object_agg(p.id, p.sealed_key) FROM provider_keys p WHERE p.team_id = a.team_id"
          " AND p.provider = a.provider),"
          " b.id, b.name, b.provider, b.webhook_url, b.webhook_token, b.model, b.system_prompt, b.config,"
          " (SELECT json_object_agg(p.id, p.sealed_key) FROM provider_keys p WHERE p.team_id = b.team_id"
          " AND p.provider = b.provider)"
          " FROM chats c LEFT JOIN agents a ON a.id = c.agent_id AND a.team_id = c.team_id"
          " LEFT JOIN agents b ON b.team_id = c.team_id AND b.is_active AND b.id <> a.id AND b.id ="
          "  CASE WHEN a.config->>'fallback_agent_id' ~ '^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$'"
          "  THEN (a.config->>'fallback_agent_id')::uuid END"
          " WHERE c.team_id = $1 AND c.owner_id = $2 AND c.id = $3",
          "SELECT a.id, a.is_active, a.provider, a.webhook_url, a.webhook_token, a.model, a.system_prompt, a.config,"
          " (SELECT json_group_object(p.id, p.sealed_key) FROM provider_keys p WHERE p.team_id = a.team_id"
          " AND p.provider = a.provider),"
          " b.id, b.name, b.provider, b.webhook_url, b.webhook_token, b.model, b.system_prompt, b.config,"
          " (SELECT json_group_object(p.id, p.sealed_key) FROM provider_keys p WHERE p.team_id = b.team_id"
          " AND p.provider = b.provider)"
          " FROM chats c LEFT JOIN agents a ON a.id = c.agent_id AND a.team_id = c.team_id"
          " LEFT JOIN agents b ON b.team_id = c.team_id AND b.is_active AND b.id <> a.id"
          "  AND b.id = lower(json_extract(a.config, '$.fallback_agent_id'))"
          " WHERE c.team_id = $1 AND c.owner_id = $2 AND c.id = $3")
/* The same of a chat that is still to be made: agent $2, or when that is NULL the team's default one, or its oldest. */
STATEMENT(TURN_LOAD_AGENT, SQL_READ, NULL,
          "SELECT a.id, a.is_active, a.provider, a.webhook_url, a.webhook_token, a.model, a.system_prompt, a.config,"
          " (SELECT json_object_agg(p.id, p.sealed_key) FROM provider_keys p WHERE p.team_id = a.team_id"
          " AND p.provider = a.provider),"
          " b.id, b.name, b.provider, b.webhook_url, b.webhook_token, b.model, b.system_prompt, b.config,"
          " (SELECT json_object_agg(p.id, p.sealed_key) FROM provider_keys p WHERE p.team_id = b.team_id"
          " AND p.provider = b.provider)"
          " FROM teams t JOIN agents a ON a.team_id = t.id AND a.is_active AND ($2::uuid IS NULL OR a.id = $2::uuid)"
          " LEFT JOIN agents b ON b.team_id = t.id AND b.is_active AND b.id <> a.id AND b.id ="
          "  CASE WHEN a.config->>'fallback_agent_id' ~ '^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$'"
          "  THEN (a.config->>'fallback_agent_id')::uuid END WHERE t.id = $1"
          " ORDER BY (a.id::text = lower(coalesce(t.settings->>'default_agent_id', ''))) DESC, a.created_at, a.id LIMIT 1",
          "SELECT a.id, a.is_active, a.provider, a.webhook_url, a.webhook_token, a.model, a.system_prompt, a.config,"
          " (SELECT json_group_object(p.id, p.sealed_key) FROM provider_keys p WHERE p.team_id = a.team_id"
          " AND p.provider = a.provider),"
          " b.id, b.name, b.provider, b.webhook_url, b.webhook_token, b.model, b.system_prompt, b.config,"
          " (SELECT json_group_object(p.id, p.sealed_key) FROM provider_keys p WHERE p.team_id = b.team_id"
          " AND p.provider = b.provider)"
          " FROM teams t JOIN agents a ON a.team_id = t.id AND a.is_active AND ($2 IS NULL OR a.id = $2)"
          " LEFT JOIN agents b ON b.team_id = t.id AND b.is_active AND b.id <> a.id"
          "  AND b.id = lower(json_extract(a.config, '$.fallback_agent_id')) WHERE t.id = $1"
          " ORDER BY (a.id = lower(coalesce(json_extract(t.settings, '$.default_agent_id'), ''))) DESC, a.created_at, a.id"
          " LIMIT 1")
