/* Statements over usage_days. See db/sql.h for what a row says. */

/* $1 team, $2 day, $3 owner, $4 agent, $5 provider, $6 model, tokens: $7 of the prompt, $8 of the reply, $9 in all,
 * $10 estimated; $11 the reply, or NULL; $12 1 when it failed; $13 1 when it began, and $14 after how many ms. It goes
 * before REPLY_SAVE in one transaction: a reply that is stored already has been counted, so that twice is once. */
STATEMENT(USAGE_ADD, SQL_WRITE, NULL,
          "INSERT INTO usage_days (team_id, day, owner_id, agent_id, provider, model, messages, prompt_tokens,"
          " completion_tokens, total_tokens, estimated_tokens, errors, first_tokens, first_token_ms)"
          " SELECT t.id, $2::timestamptz, $3::uuid, $4::uuid, $5::text, $6::text, 1, $7::bigint, $8::bigint, $9::bigint,"
          " $10::bigint, $12::bigint, $13::bigint, $14::bigint FROM teams t WHERE t.id = $1::uuid"
          " AND NOT EXISTS (SELECT 1 FROM messages m WHERE m.id = $11::uuid AND m.status <> 'streaming')"
          " ON CONFLICT (team_id, day, owner_id, agent_id, provider, model) DO UPDATE SET"
          " messages = usage_days.messages + 1,"
          " prompt_tokens = usage_days.prompt_tokens + excluded.prompt_tokens,"
          " completion_tokens = usage_days.completion_tokens + excluded.completion_tokens,"
          " total_tokens = usage_days.total_tokens + excluded.total_tokens,"
          " estimated_tokens = usage_days.estimated_tokens + excluded.estimated_tokens,"
          " errors = usage_days.errors + excluded.errors,"
          " first_tokens = usage_days.first_tokens + excluded.first_tokens,"
          " first_token_ms = usage_days.first_token_ms + excluded.first_token_ms",
          "INSERT INTO usage_days (team_id, day, owner_id, agent_id, provider, model, messages, prompt_tokens,"
          " completion_tokens, total_tokens, estimated_tokens, errors, first_tokens, first_token_ms)"
          " SELECT t.id, $2, $3, $4, $5, $6, 1, $7, $8, $9, $10, $12, $13, $14 FROM teams t WHERE t.id = $1"
          " AND NOT EXISTS (SELECT 1 FROM messages m WHERE m.id = $11 AND m.status <> 'streaming')"
          " ON CONFLICT (team_id, day, owner_id, agent_id, provider, model) DO UPDATE SET"
          " messages = messages + 1,"
          " prompt_tokens = prompt_tokens + excluded.prompt_tokens,"
          " completion_tokens = completion_tokens + excluded.completion_tokens,"
          " total_tokens = total_tokens + excluded.total_tokens,"
          " estimated_tokens = estimated_tokens + excluded.estimated_tokens,"
          " errors = errors + excluded.errors,"
          " first_tokens = first_tokens + excluded.first_tokens,"
          " first_token_ms = first_token_ms + excluded.first_token_ms")
/* $1 team, $2 and $3 the first and the last day, $4 agent or NULL, $5 the most rows. The columns are enum usage_column's in
 * api/usage.c. */
STATEMENT(USAGE_BY_DAY, SQL_SLOW, NULL,
          "SELECT u.day, u.agent_id, max(a.name), CAST(sum(u.messages) AS bigint), CAST(sum(u.errors) AS bigint),"
          " CAST(sum(u.prompt_tokens) AS bigint), CAST(sum(u.completion_tokens) AS bigint),"
          " CAST(sum(u.first_tokens) AS bigint), CAST(sum(u.first_token_ms) AS bigint)"
          " FROM usage_days u LEFT JOIN agents a ON a.team_id = u.team_id AND a.id = u.agent_id"
          " WHERE u.team_id = $1::uuid AND u.day BETWEEN $2::timestamptz AND $3::timestamptz"
          " AND ($4::uuid IS NULL OR u.agent_id = $4::uuid)"
          " GROUP BY u.day, u.agent_id ORDER BY u.day, u.agent_id LIMIT $5::bigint",
          "SELECT u.day, u.agent_id, max(a.name), sum(u.messages), sum(u.errors), sum(u.prompt_tokens),"
          " sum(u.completion_tokens), sum(u.first_tokens), sum(u.first_token_ms)"
          " FROM usage_days u LEFT JOIN agents a ON a.team_id = u.team_id AND a.id = u.agent_id"
          " WHERE u.team_id = $1 AND u.day BETWEEN $2 AND $3 AND ($4 IS NULL OR u.agent_id = $4)"
          " GROUP BY u.day, u.agent_id ORDER BY u.day, u.agent_id LIMIT $5")
/* On SQLite team by team, as the primary key is. PostgreSQL's months go as a whole (USAGE_TEND): what is deleted is days of months
 * that have no partition. */
STATEMENT(USAGE_FORGET, SQL_WRITE, "housekeeping: days of every team that are older than usage.keep_days",
          "DELETE FROM usage_days_rest WHERE ctid = ANY (ARRAY(SELECT u.ctid FROM usage_days_rest u WHERE u.day < $1"
          " LIMIT 500))",
          "DELETE FROM usage_days WHERE (team_id, day, owner_id, agent_id, provider, model) IN"
          " (SELECT u.team_id, u.day, u.owner_id, u.agent_id, u.provider, u.model FROM teams t"
          " CROSS JOIN usage_days u WHERE u.team_id = t.id AND u.day < $1 LIMIT 500)")
/* One thing of what the partitions need at $1, where those that were over before $2 (NULL: none) go: true where there was one.
 * See migrations/0020. */
STATEMENT(USAGE_TEND, SQL_WRITE, "housekeeping: the months of every team's usage",
          "SELECT usage_tend($1::timestamptz, $2::timestamptz)", "SELECT 0")
