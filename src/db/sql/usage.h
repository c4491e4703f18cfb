/* Statements over usage_days. See db/sql.h for what a row says. */

/* $1 team, $2 day, $3 owner, $4 agent, $5 provider, $6 model, tokens: $7 of the prompt, $8 of the reply, $9 in all,
 * $10 estimated; $11 the reply, or NULL. It goes before REPLY_SAVE in one transaction: a reply that is stored already has
 * been counted, so that twice is once. */
STATEMENT(USAGE_ADD, SQL_WRITE, NULL,
          "INSERT INTO usage_days (team_id, day, owner_id, agent_id, provider, model, messages, prompt_tokens,"
          " completion_tokens, total_tokens, estimated_tokens)"
          " SELECT t.id, $2::timestamptz, $3::uuid, $4::uuid, $5::text, $6::text, 1, $7::bigint, $8::bigint, $9::bigint,"
          " $10::bigint FROM teams t WHERE t.id = $1::uuid"
          " AND NOT EXISTS (SELECT 1 FROM messages m WHERE m.id = $11::uuid AND m.status <> 'streaming')"
          " ON CONFLICT (team_id, day, owner_id, agent_id, provider, model) DO UPDATE SET"
          " messages = usage_days.messages + 1,"
          " prompt_tokens = usage_days.prompt_tokens + excluded.prompt_tokens,"
          " completion_tokens = usage_days.completion_tokens + excluded.completion_tokens,"
          " total_tokens = usage_days.total_tokens + excluded.total_tokens,"
          " estimated_tokens = usage_days.estimated_tokens + excluded.estimated_tokens",
          "INSERT INTO usage_days (team_id, day, owner_id, agent_id, provider, model, messages, prompt_tokens,"
          " completion_tokens, total_tokens, estimated_tokens)"
          " SELECT t.id, $2, $3, $4, $5, $6, 1, $7, $8, $9, $10 FROM teams t WHERE t.id = $1"
          " AND NOT EXISTS (SELECT 1 FROM messages m WHERE m.id = $11 AND m.status <> 'streaming')"
          " ON CONFLICT (team_id, day, owner_id, agent_id, provider, model) DO UPDATE SET"
          " messages = messages + 1,"
          " prompt_tokens = prompt_tokens + excluded.prompt_tokens,"
          " completion_tokens = completion_tokens + excluded.completion_tokens,"
          " total_tokens = total_tokens + excluded.total_tokens,"
          " estimated_tokens = estimated_tokens + excluded.estimated_tokens")
STATEMENT(USAGE_OF_DAY, SQL_READ, NULL,
          "SELECT CAST(coalesce(sum(total_tokens), 0) AS bigint) FROM usage_days"
          " WHERE team_id = $1 AND day = $2 AND owner_id = $3",
          NULL)
