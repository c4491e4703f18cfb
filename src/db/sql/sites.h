/* Statements over sites. See db/sql.h for what a row says. A registration is one batch of them, in this order, then
 * USER_ADD and KEY_ADD: of two at once with the same address or e-mail the second one's team goes again. */
STATEMENT(SITE_FIND, SQL_READ, "nobody may register what any team has",
          "SELECT site = $1 FROM sites WHERE site = $1 OR admin_email = $2 ORDER BY site = $1 DESC LIMIT 1", NULL)
STATEMENT(SITE_ADD, SQL_WRITE, NULL,
          "INSERT INTO sites (team_id, url, site, admin_email, created_at) VALUES ($1, $2, $3, $4, $5) "
          "ON CONFLICT DO NOTHING",
          NULL)
STATEMENT(SITE_KEEP_TEAM, SQL_WRITE, NULL,
          "DELETE FROM teams WHERE id = $1 AND NOT EXISTS (SELECT 1 FROM sites WHERE team_id = $1)", NULL)
STATEMENT(SITE_ADD_ADMIN, SQL_WRITE, NULL,
          "INSERT INTO users (id, team_id, email, password_hash, role, created_at, updated_at) "
          "SELECT $2::uuid, id, $3::text, $4::text, 'admin', $5::timestamptz, $5::timestamptz FROM teams WHERE id = $1",
          "INSERT INTO users (id, team_id, email, password_hash, role, created_at, updated_at) "
          "SELECT $2, id, $3, $4, 'admin', $5, $5 FROM teams WHERE id = $1")
STATEMENT(SITE_ADD_AGENT, SQL_WRITE, NULL,
          "INSERT INTO agents (id, team_id, created_by, name, provider, webhook_url, model, allowed_origins, created_at, "
          "updated_at) SELECT $2::uuid, id, $3::uuid, name, $4::text, $5::text, $6::text, $7::jsonb, $8::timestamptz, "
          "$8::timestamptz FROM teams WHERE id = $1",
          "INSERT INTO agents (id, team_id, created_by, name, provider, webhook_url, model, allowed_origins, created_at, "
          "updated_at) SELECT $2, id, $3, name, $4, $5, $6, $7, $8, $8 FROM teams WHERE id = $1")
