/* Statements over api_keys. See db/sql.h for what a row says. */
/* only for an agent of the team */
STATEMENT(KEY_ADD, SQL_WRITE, NULL,
          "INSERT INTO api_keys (id, team_id, agent_id, name, prefix, key_hash, scopes, expires_at, "
          "created_by, created_at, allowed_origins) SELECT $3::uuid, team_id, id, $4::text, $5::text, $6::text, "
          "$7::jsonb, $8::timestamptz, $9::uuid, $10::timestamptz, $11::jsonb FROM agents "
          "WHERE team_id = $1 AND id = $2 ON CONFLICT (prefix) DO NOTHING",
          "INSERT INTO api_keys (id, team_id, agent_id, name, prefix, key_hash, scopes, expires_at, "
          "created_by, created_at, allowed_origins) SELECT $3, team_id, id, $4, $5, $6, $7, $8, $9, $10, $11 "
          "FROM agents "
          "WHERE team_id = $1 AND id = $2 ON CONFLICT (prefix) DO NOTHING")
/* With its team and its agent: a call by key needs no other read. The columns are enum key_auth_column's in
 * api/key_auth.h. */
STATEMENT(KEY_BY_PREFIX, SQL_READ, "a key names its team",
          "SELECT k.id, k.team_id, k.agent_id, k.key_hash, k.scopes, k.allowed_origins, k.expires_at, k.revoked_at IS NOT NULL, "
          "k.last_used_at, k.created_at, t.is_active, a.is_active, a.name, EXISTS (SELECT 1 FROM agents n "
          "WHERE n.team_id = a.team_id AND n.name = a.name AND n.id <> a.id), a.created_at, "
          "a.provider, a.webhook_url, a.webhook_token, a.model, a.system_prompt, a.config, "
          "(SELECT json_object_agg(p.id, p.sealed_key) FROM provider_keys p WHERE p.team_id = a.team_id "
          "AND p.provider = a.provider) "
          "FROM api_keys k JOIN teams t ON t.id = k.team_id "
          "JOIN agents a ON a.id = k.agent_id AND a.team_id = k.team_id WHERE k.prefix = $1",
          "SELECT k.id, k.team_id, k.agent_id, k.key_hash, k.scopes, k.allowed_origins, k.expires_at, k.revoked_at IS NOT NULL, "
          "k.last_used_at, k.created_at, t.is_active, a.is_active, a.name, EXISTS (SELECT 1 FROM agents n "
          "WHERE n.team_id = a.team_id AND n.name = a.name AND n.id <> a.id), a.created_at, "
          "a.provider, a.webhook_url, a.webhook_token, a.model, a.system_prompt, a.config, "
          "(SELECT json_group_object(p.id, p.sealed_key) FROM provider_keys p WHERE p.team_id = a.team_id "
          "AND p.provider = a.provider) "
          "FROM api_keys k JOIN teams t ON t.id = k.team_id "
          "JOIN agents a ON a.id = k.agent_id AND a.team_id = k.team_id WHERE k.prefix = $1")
/* $3, here and in KEY_LIST: with the revoked ones too */
STATEMENT(KEY_COUNT, SQL_READ, NULL,
          "SELECT count(*) FROM api_keys WHERE team_id = $1 AND agent_id = $2 AND (revoked_at IS NULL OR $3)",
          NULL)
STATEMENT(KEY_LIST, SQL_READ, NULL,
          "SELECT id, agent_id, name, prefix, scopes, allowed_origins, expires_at, last_used_at, created_at, "
          "revoked_at IS NOT NULL FROM api_keys "
          "WHERE team_id = $1 AND agent_id = $2 AND (revoked_at IS NULL OR $3) "
          "ORDER BY created_at, id LIMIT $4 OFFSET $5",
          NULL)
STATEMENT(KEY_REVOKE, SQL_WRITE, NULL,
          "UPDATE api_keys SET revoked_at = $4 WHERE team_id = $1 AND agent_id = $2 AND id = $3 "
          "AND revoked_at IS NULL",
          NULL)
STATEMENT(KEY_USED, SQL_WRITE, NULL, "UPDATE api_keys SET last_used_at = $3 WHERE team_id = $1 AND id = $2", NULL)
