/* Statements over audit_log. See db/sql.h for what a row says. */

/* $1 team, $2 id, $3 time, $4 actor's user id or NULL, $5 actor, $6 action, $7 subject's kind, $8 subject's id, $9 address
 * or NULL, $10 details. Of the kinds named here a row is put only when the change of its batch happened: it goes behind the
 * change's statement, but before one that deletes an agent, a budget, an erasure, a provider's key or a webhook (the lock lets one of two that delete at
 * once see that it came too late). By the row's time it knows the change of a user or a team (updated_at), of a key
 * (revoked_at) and a login (created_at of its refresh token): they must be the same. A budget that is put is known by whose
 * it is and the time, one that is deleted by its id. */
STATEMENT(AUDIT_ADD, SQL_WRITE, NULL,
          "INSERT INTO audit_log (team_id, id, created_at, actor_id, actor, action, subject_kind, subject_id, address,"
          " details) SELECT $1::uuid, $2::uuid, $3::timestamptz, $4::uuid, $5::text, $6::text, $7::text, $8::uuid, $9::text,"
          " $10::jsonb FROM teams t WHERE t.id = $1::uuid AND CASE $7::text"
          " WHEN 'agent' THEN EXISTS (SELECT 1 FROM agents a WHERE a.team_id = t.id AND a.id = $8::uuid FOR NO KEY UPDATE)"
          " WHEN 'api_key' THEN EXISTS (SELECT 1 FROM api_keys k WHERE k.team_id = t.id AND k.id = $8::uuid"
          " AND CASE $6::text WHEN 'api_key.revoke' THEN k.revoked_at = $3::timestamptz ELSE k.revoked_at IS NULL END)"
          " WHEN 'budget' THEN EXISTS (SELECT 1 FROM budgets b WHERE b.team_id = t.id AND CASE $6::text"
          " WHEN 'budget.set' THEN b.subject_id = $8::uuid AND b.updated_at = $3::timestamptz ELSE b.id = $8::uuid END"
          " FOR NO KEY UPDATE)"
          " WHEN 'erasure' THEN EXISTS (SELECT 1 FROM erasures e WHERE e.team_id = t.id AND e.id = $8::uuid FOR NO KEY UPDATE)"
          " WHEN 'provider_key' THEN EXISTS (SELECT 1 FROM provider_keys p WHERE p.team_id = t.id AND p.id = $8::uuid"
          " FOR NO KEY UPDATE)"
          " WHEN 'team' THEN t.updated_at = $3::timestamptz"
          " WHEN 'webhook' THEN EXISTS (SELECT 1 FROM webhooks w WHERE w.team_id = t.id AND w.id = $8::uuid"
          " FOR NO KEY UPDATE)"
          " WHEN 'user' THEN CASE $6::text WHEN 'user.delete' THEN NOT EXISTS (SELECT 1 FROM users u"
          " WHERE u.team_id = t.id AND u.id = $8::uuid)"
          " AND EXISTS (SELECT 1 FROM erasures e WHERE e.team_id = t.id AND e.subject_id = $8::uuid FOR NO KEY UPDATE)"
          " WHEN 'user.login' THEN EXISTS (SELECT 1 FROM refresh_tokens r WHERE r.team_id = t.id AND r.user_id = $8::uuid"
          " AND r.created_at = $3::timestamptz) WHEN 'user.login_failed' THEN true ELSE EXISTS (SELECT 1 FROM users u"
          " WHERE u.team_id = t.id AND u.id = $8::uuid AND u.updated_at = $3::timestamptz) END ELSE true END",
          "INSERT INTO audit_log (team_id, id, created_at, actor_id, actor, action, subject_kind, subject_id, address,"
          " details) SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $10 FROM teams t WHERE t.id = $1 AND CASE $7"
          " WHEN 'agent' THEN EXISTS (SELECT 1 FROM agents a WHERE a.team_id = t.id AND a.id = $8)"
          " WHEN 'api_key' THEN EXISTS (SELECT 1 FROM api_keys k WHERE k.team_id = t.id AND k.id = $8"
          " AND CASE $6 WHEN 'api_key.revoke' THEN k.revoked_at = $3 ELSE k.revoked_at IS NULL END)"
          " WHEN 'budget' THEN EXISTS (SELECT 1 FROM budgets b WHERE b.team_id = t.id AND CASE $6"
          " WHEN 'budget.set' THEN b.subject_id = $8 AND b.updated_at = $3 ELSE b.id = $8 END)"
          " WHEN 'erasure' THEN EXISTS (SELECT 1 FROM erasures e WHERE e.team_id = t.id AND e.id = $8)"
          " WHEN 'provider_key' THEN EXISTS (SELECT 1 FROM provider_keys p WHERE p.team_id = t.id AND p.id = $8)"
          " WHEN 'team' THEN t.updated_at = $3"
          " WHEN 'webhook' THEN EXISTS (SELECT 1 FROM webhooks w WHERE w.team_id = t.id AND w.id = $8)"
          " WHEN 'user' THEN CASE $6 WHEN 'user.delete' THEN NOT EXISTS (SELECT 1 FROM users u"
          " WHERE u.team_id = t.id AND u.id = $8)"
          " AND EXISTS (SELECT 1 FROM erasures e WHERE e.team_id = t.id AND e.subject_id = $8)"
          " WHEN 'user.login' THEN EXISTS (SELECT 1 FROM refresh_tokens r WHERE r.team_id = t.id AND r.user_id = $8"
          " AND r.created_at = $3) WHEN 'user.login_failed' THEN true ELSE EXISTS (SELECT 1 FROM users u"
          " WHERE u.team_id = t.id AND u.id = $8 AND u.updated_at = $3) END ELSE true END")
/* $1 team, $2 from, $3 to (not with it), NULL where anything goes: $4 actor, $5 actor's user id, $6 subject's kind, $7
 * subject's id */
STATEMENT(AUDIT_COUNT, SQL_SLOW, NULL,
          "SELECT count(*) FROM audit_log WHERE team_id = $1::uuid AND created_at >= $2::timestamptz"
          " AND created_at < $3::timestamptz AND actor = COALESCE($4::text, actor)"
          " AND ($5::uuid IS NULL OR actor_id = $5::uuid) AND subject_kind = COALESCE($6::text, subject_kind)"
          " AND ($7::uuid IS NULL OR subject_id = $7::uuid)",
          "SELECT count(*) FROM audit_log WHERE team_id = $1 AND created_at >= $2"
          " AND created_at < $3 AND actor = COALESCE($4, actor)"
          " AND ($5 IS NULL OR actor_id = $5) AND subject_kind = COALESCE($6, subject_kind)"
          " AND ($7 IS NULL OR subject_id = $7)")
/* Team by team, as the primary key is. */
STATEMENT(AUDIT_FORGET, SQL_WRITE, "housekeeping: rows of every team that are older than audit.keep_days",
          "DELETE FROM audit_log WHERE ctid = ANY (ARRAY(SELECT l.ctid FROM teams t"
          " JOIN audit_log l ON l.team_id = t.id AND l.created_at < $1 LIMIT 500))",
          "DELETE FROM audit_log WHERE (team_id, created_at, id) IN (SELECT l.team_id, l.created_at, l.id FROM teams t"
          " CROSS JOIN audit_log l WHERE l.team_id = t.id AND l.created_at < $1 LIMIT 500)")
/* As AUDIT_COUNT, then $8 limit, $9 offset. The names are today's: NULL when who or what it was is gone. The columns are
 * enum audit_column's. */
STATEMENT(AUDIT_LIST, SQL_SLOW, NULL,
          "SELECT l.id, l.created_at, l.actor, l.actor_id, (SELECT u.email FROM users u WHERE u.team_id = l.team_id"
          " AND u.id = l.actor_id), l.action, l.subject_kind, l.subject_id, CASE l.subject_kind"
          " WHEN 'agent' THEN (SELECT a.name FROM agents a WHERE a.team_id = l.team_id AND a.id = l.subject_id)"
          " WHEN 'api_key' THEN (SELECT COALESCE(k.name, k.prefix) FROM api_keys k WHERE k.team_id = l.team_id"
          " AND k.id = l.subject_id)"
          " WHEN 'provider_key' THEN (SELECT p.provider FROM provider_keys p WHERE p.team_id = l.team_id"
          " AND p.id = l.subject_id)"
          " WHEN 'user' THEN (SELECT u.email FROM users u WHERE u.team_id = l.team_id AND u.id = l.subject_id) END,"
          " l.address, l.details FROM audit_log l WHERE l.team_id = $1::uuid AND l.created_at >= $2::timestamptz"
          " AND l.created_at < $3::timestamptz AND l.actor = COALESCE($4::text, l.actor)"
          " AND ($5::uuid IS NULL OR l.actor_id = $5::uuid) AND l.subject_kind = COALESCE($6::text, l.subject_kind)"
          " AND ($7::uuid IS NULL OR l.subject_id = $7::uuid)"
          " ORDER BY l.created_at DESC, l.id DESC LIMIT $8::bigint OFFSET $9::bigint",
          "SELECT l.id, l.created_at, l.actor, l.actor_id, (SELECT u.email FROM users u WHERE u.team_id = l.team_id"
          " AND u.id = l.actor_id), l.action, l.subject_kind, l.subject_id, CASE l.subject_kind"
          " WHEN 'agent' THEN (SELECT a.name FROM agents a WHERE a.team_id = l.team_id AND a.id = l.subject_id)"
          " WHEN 'api_key' THEN (SELECT COALESCE(k.name, k.prefix) FROM api_keys k WHERE k.team_id = l.team_id"
          " AND k.id = l.subject_id)"
          " WHEN 'provider_key' THEN (SELECT p.provider FROM provider_keys p WHERE p.team_id = l.team_id"
          " AND p.id = l.subject_id)"
          " WHEN 'user' THEN (SELECT u.email FROM users u WHERE u.team_id = l.team_id AND u.id = l.subject_id) END,"
          " l.address, l.details FROM audit_log l WHERE l.team_id = $1 AND l.created_at >= $2"
          " AND l.created_at < $3 AND l.actor = COALESCE($4, l.actor)"
          " AND ($5 IS NULL OR l.actor_id = $5) AND l.subject_kind = COALESCE($6, l.subject_kind)"
          " AND ($7 IS NULL OR l.subject_id = $7)"
          " ORDER BY l.created_at DESC, l.id DESC LIMIT $8 OFFSET $9")
