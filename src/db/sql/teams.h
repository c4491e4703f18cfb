/* Statements over teams. See db/sql.h for what a row says. */
STATEMENT(TEAM_ADD, SQL_WRITE, NULL,
          "INSERT INTO teams (id, name, slug, settings, is_active, created_at, updated_at) "
          "VALUES ($1, $2, $3, $4, true, $5, $5) ON CONFLICT (slug) DO NOTHING",
          NULL)
STATEMENT(TEAM_ANY, SQL_READ, "at the start: is there any?", "SELECT id FROM teams LIMIT 1", NULL)
/* registration without a team: the one called "default", or the only one there is */
STATEMENT(TEAM_DEFAULT, SQL_READ, "who registers without a team asks which one it is",
          "SELECT id, name, slug, settings, is_active, created_at, updated_at, retention_days FROM teams "
          "WHERE slug = 'default' OR (SELECT count(*) FROM (SELECT 1 FROM teams LIMIT 2) AS two) = 1",
          NULL)
STATEMENT(TEAM_FIND_SLUG, SQL_READ, "the operator names a team by its slug",
          "SELECT id, name, slug, settings, is_active, created_at, updated_at, retention_days FROM teams "
          "WHERE slug = $1",
          NULL)
STATEMENT(TEAM_GET, SQL_READ, NULL,
          "SELECT id, name, slug, settings, is_active, created_at, updated_at, retention_days FROM teams "
          "WHERE id = $1",
          NULL)
STATEMENT(TEAM_LIST, SQL_SLOW, "the operator sees all teams",
          "SELECT id, name, slug, settings, is_active, created_at, updated_at, retention_days FROM teams "
          "ORDER BY slug",
          NULL)
/* First in a batch whose next statement counts the team's users, admins or documents: two such batches then run one
 * after the other, and the second one's count sees the first one's rows. SQLite has one writer anyway. */
STATEMENT(TEAM_LOCK, SQL_WRITE, NULL, "SELECT id FROM teams WHERE id = $1 FOR NO KEY UPDATE",
          "SELECT id FROM teams WHERE id = $1")
STATEMENT(TEAM_SET_ACTIVE, SQL_WRITE, NULL,
          "UPDATE teams SET is_active = $2, updated_at = $3 WHERE id = $1", NULL)
/* What says who makes the team's embeddings: its settings, and {"key's id": ["provider", "sealed key"]}. */
STATEMENT(TEAM_EMBEDDINGS, SQL_READ, NULL,
          "SELECT settings, (SELECT json_object_agg(p.id, json_build_array(p.provider, p.sealed_key)) "
          "FROM provider_keys p WHERE p.team_id = t.id) FROM teams t WHERE t.id = $1",
          "SELECT settings, (SELECT json_group_object(p.id, json_array(p.provider, p.sealed_key)) "
          "FROM provider_keys p WHERE p.team_id = t.id) FROM teams t WHERE t.id = $1")
/* What is NULL stays; changes nothing when another team has the slug, or when it is the one that registrations
 * without a team go to: the operator gives it. $6 says whether retention_days is given. */
STATEMENT(TEAM_UPDATE, SQL_WRITE, NULL,
          "UPDATE teams SET name = COALESCE($2, name), slug = COALESCE($3, slug), "
          "settings = COALESCE($4, settings), updated_at = $5, "
          "retention_days = CASE WHEN $6 THEN $7 ELSE retention_days END WHERE id = $1 "
          "AND (COALESCE($3, slug) <> 'default' OR slug = 'default') "
          "AND NOT EXISTS (SELECT 1 FROM teams AS other WHERE other.slug = $3 AND other.id <> $1) "
          "RETURNING id, name, slug, settings, is_active, created_at, updated_at, retention_days",
          NULL)
/* The operator's; $2 NULL: as the server says. */
STATEMENT(TEAM_SET_RETENTION, SQL_WRITE, NULL,
          "UPDATE teams SET retention_days = $2, updated_at = $3 WHERE id = $1", NULL)
/* Of the team that registrations without a team go to (see TEAM_DEFAULT): whom its chats ask that name no agent. */
STATEMENT(WELCOME, SQL_READ, "the page at / asks before anyone has signed in",
          "SELECT t.is_active, t.settings, a.id, a.name, a.description FROM teams t "
          "LEFT JOIN agents a ON a.team_id = t.id AND a.is_active "
          "WHERE t.slug = 'default' OR (SELECT count(*) FROM (SELECT 1 FROM teams LIMIT 2) AS two) = 1 "
          "ORDER BY (t.slug = 'default') DESC, "
          "(a.id::text = lower(coalesce(t.settings->>'default_agent_id', ''))) DESC, a.created_at, a.id LIMIT 1",
          "SELECT t.is_active, t.settings, a.id, a.name, a.description FROM teams t "
          "LEFT JOIN agents a ON a.team_id = t.id AND a.is_active "
          "WHERE t.slug = 'default' OR (SELECT count(*) FROM (SELECT 1 FROM teams LIMIT 2) AS two) = 1 "
          "ORDER BY (t.slug = 'default') DESC, "
          "(a.id = lower(coalesce(json_extract(t.settings, '$.default_agent_id'), ''))) DESC, a.created_at, a.id LIMIT 1")
