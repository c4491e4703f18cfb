/* Statements over chats of people without an account: sessions. See db/sql.h for what a row says. A session's id is its
 * secret, so whoever names it need not name a team. */
/* $1 team, $2 id, $3 agent, $4 hash of the visitor's token or NULL, $5 the page's origin or NULL, $6 now */
STATEMENT(SESSION_ADD, SQL_WRITE, NULL,
          "INSERT INTO chats (id, team_id, owner_id, agent_id, visitor_hash, origin, created_at, updated_at)"
          " SELECT $2::uuid, $1::uuid, $2::uuid, a.id, $4::text, $5::text, $6::timestamptz, $6::timestamptz"
          " FROM agents a WHERE a.team_id = $1::uuid AND a.id = $3::uuid AND a.is_active",
          "INSERT INTO chats (id, team_id, owner_id, agent_id, visitor_hash, origin, created_at, updated_at)"
          " SELECT $2, $1, $2, a.id, $4, $5, $6, $6"
          " FROM agents a WHERE a.team_id = $1 AND a.id = $3 AND a.is_active")
/* An API key's session $2 with agent $3. */
STATEMENT(SESSION_OF_KEY, SQL_READ, NULL,
          "SELECT id FROM chats WHERE team_id = $1 AND owner_id = $2 AND id = $2 AND agent_id = $3 AND visitor_hash IS NULL",
          NULL)
/* The columns are enum visit_column's in api/visit.c, as those of SESSION_AGENT. */
STATEMENT(SESSION_OF_VISITOR, SQL_READ, "a visitor's session is its own secret",
          "SELECT c.team_id, a.id, a.is_active AND t.is_active, a.allowed_origins, c.origin, c.visitor_hash FROM chats c"
          " JOIN teams t ON t.id = c.team_id JOIN agents a ON a.id = c.agent_id AND a.team_id = c.team_id"
          " WHERE c.id = $1 AND c.owner_id = $1 AND c.visitor_hash IS NOT NULL",
          NULL)
STATEMENT(SESSION_AGENT, SQL_READ, "a widget knows its agent by the id alone",
          "SELECT a.team_id, a.id, a.is_active AND t.is_active, a.allowed_origins FROM agents a"
          " JOIN teams t ON t.id = a.team_id WHERE a.id = $1",
          NULL)
/* $1 agent: the columns of SESSION_AGENT, then what its widget shows. */
STATEMENT(SESSION_WIDGET, SQL_READ, "a widget knows its agent by the id alone",
          "SELECT a.team_id, a.id, a.is_active AND t.is_active, a.allowed_origins, a.name, a.config FROM agents a"
          " JOIN teams t ON t.id = a.team_id WHERE a.id = $1",
          NULL)
