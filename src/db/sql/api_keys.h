/* Statements over api_keys. See db/sql.h for what a row says. */
/* only for an agent of the team */
STATEMENT(KEY_ADD, SQL_WRITE, NULL,
          "INSERT INTO api_keys (id, team_id, agent_id, name, prefix, key_hash, scopes, expires_at, "
          "created_by, created_at) SELECT $3::uuid, team_id, id, $4::text, $5::text, $6::text, "
          "$7::jsonb, $8::timestamptz, $9::uuid, $10::timestamptz FROM agents "
          "WHERE team_id = $1 AND id = $2 ON CONFLICT (prefix) DO NOTHING",
          "INSERT INTO api_keys (id, team_id, agent_id, name, prefix, key_hash, scopes, expires_at, "
          "created_by, created_at) SELECT $3, team_id, id, $4, $5, $6, $7, $8, $9, $10 FROM agents "
          "WHERE team_id = $1 AND id = $2 ON CONFLICT (prefix) DO NOTHING")
/* $3, here and in KEY_LIST: with the revoked ones too */
STATEMENT(KEY_COUNT, SQL_READ, NULL,
          "SELECT count(*) FROM api_keys WHERE team_id = $1 AND agent_id = $2 AND (revoked_at IS NULL OR $3)",
          NULL)
STATEMENT(KEY_LIST, SQL_READ, NULL,
          "SELECT id, agent_id, name, prefix, scopes, expires_at, last_used_at, created_at, "
          "revoked_at IS NOT NULL FROM api_keys "
          "WHERE team_id = $1 AND agent_id = $2 AND (revoked_at IS NULL OR $3) "
          "ORDER BY created_at, id LIMIT $4 OFFSET $5",
          NULL)
STATEMENT(KEY_REVOKE, SQL_WRITE, NULL,
          "UPDATE api_keys SET revoked_at = $4 WHERE team_id = $1 AND agent_id = $2 AND id = $3 "
          "AND revoked_at IS NULL",
          NULL)
