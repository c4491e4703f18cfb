/* Statements over provider_keys. See db/sql.h for what a row says. */
/* Into the first free place of nine; no row changed: there was none, or someone took it just then. */
STATEMENT(PROVIDER_KEY_ADD, SQL_WRITE, NULL,
          "INSERT INTO provider_keys (id, team_id, provider, slot, name, sealed_key, hint, created_by, created_at) "
          "SELECT $2::uuid, $1::uuid, $3::text, s.column1, $4::text, $5::text, $6::text, $7::uuid, $8::timestamptz "
          "FROM (VALUES (1), (2), (3), (4), (5), (6), (7), (8), (9)) s WHERE NOT EXISTS (SELECT 1 FROM "
          "provider_keys k WHERE k.team_id = $1::uuid AND k.provider = $3::text AND k.slot = s.column1) "
          "ORDER BY s.column1 LIMIT 1 ON CONFLICT DO NOTHING",
          "INSERT INTO provider_keys (id, team_id, provider, slot, name, sealed_key, hint, created_by, created_at) "
          "SELECT $2, $1, $3, s.column1, $4, $5, $6, $7, $8 "
          "FROM (VALUES (1), (2), (3), (4), (5), (6), (7), (8), (9)) s WHERE NOT EXISTS (SELECT 1 FROM "
          "provider_keys k WHERE k.team_id = $1 AND k.provider = $3 AND k.slot = s.column1) "
          "ORDER BY s.column1 LIMIT 1 ON CONFLICT DO NOTHING")
STATEMENT(PROVIDER_KEY_COUNT, SQL_READ, NULL,
          "SELECT count(*) FROM provider_keys WHERE team_id = $1 AND provider = $2", NULL)
STATEMENT(PROVIDER_KEY_DELETE, SQL_WRITE, NULL, "DELETE FROM provider_keys WHERE team_id = $1 AND id = $2", NULL)
STATEMENT(PROVIDER_KEY_LIST, SQL_READ, NULL,
          "SELECT id, provider, name, hint, created_by, created_at FROM provider_keys WHERE team_id = $1 "
          "ORDER BY provider, created_at, id",
          NULL)
/* What a prompt needs, as AGENT_PROMPT has it, for no agent in particular. */
STATEMENT(PROVIDER_PROMPT, SQL_READ, NULL,
          "SELECT $2::text, NULL, NULL, NULL, NULL, '{}', (SELECT json_object_agg(k.id, k.sealed_key) "
          "FROM provider_keys k WHERE k.team_id = $1 AND k.provider = $2::text)",
          "SELECT $2, NULL, NULL, NULL, NULL, '{}', (SELECT json_group_object(k.id, k.sealed_key) "
          "FROM provider_keys k WHERE k.team_id = $1 AND k.provider = $2)")
