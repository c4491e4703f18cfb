/* Statements over agents. See db/sql.h for what a row says. Rows for people have the same columns: id, team_id,
 * created_by, name, description, provider, webhook_url, has_token, model, system_prompt, avatar, config,
 * allowed_origins, is_active, created_at, updated_at. The sealed token itself stays out of them; has_token is asked
 * by its length, because "IS NOT NULL" in a RETURNING of SQLite 3.40 sees the value before the update. */
STATEMENT(AGENT_ADD, SQL_WRITE, NULL,
          "INSERT INTO agents (id, team_id, created_by, name, description, provider, webhook_url, "
          "webhook_token, model, system_prompt, config, allowed_origins, is_active, created_at, "
          "updated_at) VALUES ($2, $1, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $14) "
          "ON CONFLICT (id) DO NOTHING "
          "RETURNING id, team_id, created_by, name, description, provider, webhook_url, "
          "COALESCE(length(webhook_token), 0) > 0, model, system_prompt, avatar, config, allowed_origins, "
          "is_active, created_at, updated_at",
          NULL)
STATEMENT(AGENT_COUNT, SQL_READ, NULL,
          "SELECT count(*) FROM agents WHERE team_id = $1 AND (is_active OR $2)", NULL)
/* no row without that user */
STATEMENT(AGENT_COUNT_OF_CREATOR, SQL_READ, NULL,
          "SELECT (SELECT count(*) FROM agents WHERE team_id = $1 AND created_by = $2) "
          "FROM users WHERE team_id = $1 AND id = $2",
          NULL)
STATEMENT(AGENT_DELETE, SQL_WRITE, NULL, "DELETE FROM agents WHERE team_id = $1 AND id = $2", NULL)
STATEMENT(AGENT_EXISTS, SQL_READ, NULL, "SELECT id FROM agents WHERE team_id = $1 AND id = $2",
          NULL)
STATEMENT(AGENT_FIND_NAME, SQL_READ, NULL,
          "SELECT id FROM agents WHERE team_id = $1 AND name = $2 ORDER BY created_at, id LIMIT 1",
          NULL)
STATEMENT(AGENT_FIND_TEAM, SQL_READ, "the operator names an agent by its id alone",
          "SELECT team_id FROM agents WHERE id = $1", NULL)
STATEMENT(AGENT_GET, SQL_READ, NULL,
          "SELECT id, team_id, created_by, name, description, provider, webhook_url, "
          "COALESCE(length(webhook_token), 0) > 0, model, system_prompt, avatar, config, allowed_origins, "
          "is_active, created_at, updated_at FROM agents WHERE team_id = $1 AND id = $2",
          NULL)
STATEMENT(AGENT_LIST, SQL_READ, NULL,
          "SELECT id, team_id, created_by, name, description, provider, webhook_url, "
          "COALESCE(length(webhook_token), 0) > 0, model, system_prompt, "
          "CASE WHEN length(avatar) <= 32768 THEN avatar END, config, allowed_origins, "
          "is_active, created_at, updated_at FROM agents "
          "WHERE team_id = $1 AND (is_active OR $2) ORDER BY created_at, id LIMIT $3 OFFSET $4",
          NULL)
STATEMENT(AGENT_LIST_OF_CREATOR, SQL_READ, NULL,
          "SELECT id, team_id, created_by, name, description, provider, webhook_url, "
          "COALESCE(length(webhook_token), 0) > 0, model, system_prompt, "
          "CASE WHEN length(avatar) <= 32768 THEN avatar END, config, allowed_origins, "
          "is_active, created_at, updated_at FROM agents "
          "WHERE team_id = $1 AND created_by = $2 ORDER BY created_at, id LIMIT $3 OFFSET $4",
          NULL)
/* What prompt_of_agent() takes. */
STATEMENT(AGENT_PROMPT, SQL_READ, NULL,
          "SELECT a.provider, a.webhook_url, a.webhook_token, a.model, a.system_prompt, a.config, "
          "(SELECT json_object_agg(p.id, p.sealed_key) FROM provider_keys p WHERE p.team_id = a.team_id "
          "AND p.provider = a.provider) FROM agents a WHERE a.team_id = $1 AND a.id = $2",
          "SELECT a.provider, a.webhook_url, a.webhook_token, a.model, a.system_prompt, a.config, "
          "(SELECT json_group_object(p.id, p.sealed_key) FROM provider_keys p WHERE p.team_id = a.team_id "
          "AND p.provider = a.provider) FROM agents a WHERE a.team_id = $1 AND a.id = $2")
STATEMENT(AGENT_SET_AVATAR, SQL_WRITE, NULL,
          "UPDATE agents SET avatar = $3, updated_at = $4 WHERE team_id = $1 AND id = $2 "
          "RETURNING id, team_id, created_by, name, description, provider, webhook_url, "
          "COALESCE(length(webhook_token), 0) > 0, model, system_prompt, avatar, config, allowed_origins, "
          "is_active, created_at, updated_at",
          NULL)
/* $3 has a bit for each nullable field that is given (enum agent_change in api/agents.c); the others stay when NULL */
STATEMENT(AGENT_UPDATE, SQL_WRITE, NULL,
          "UPDATE agents SET name = COALESCE($4, name), "
          "description = CASE WHEN CAST($3 AS bigint) & 1 <> 0 THEN $5 ELSE description END, "
          "provider = COALESCE($6, provider), "
          "webhook_url = CASE WHEN CAST($3 AS bigint) & 2 <> 0 THEN $7 ELSE webhook_url END, "
          "webhook_token = CASE WHEN CAST($3 AS bigint) & 4 <> 0 THEN $8 ELSE webhook_token END, "
          "model = CASE WHEN CAST($3 AS bigint) & 8 <> 0 THEN $9 ELSE model END, "
          "system_prompt = CASE WHEN CAST($3 AS bigint) & 16 <> 0 THEN $10 ELSE system_prompt END, "
          "config = COALESCE($11, config), allowed_origins = COALESCE($12, allowed_origins), "
          "is_active = COALESCE($13, is_active), updated_at = $14, "
          "avatar = CASE WHEN CAST($3 AS bigint) & 32 <> 0 THEN NULL ELSE avatar END "
          "WHERE team_id = $1 AND id = $2 "
          "RETURNING id, team_id, created_by, name, description, provider, webhook_url, "
          "COALESCE(length(webhook_token), 0) > 0, model, system_prompt, avatar, config, allowed_origins, "
          "is_active, created_at, updated_at",
          NULL)
