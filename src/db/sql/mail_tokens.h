/* Statements over mail_tokens. See db/sql.h for what a row says. */
STATEMENT(MAIL_TOKEN_ADD, SQL_WRITE, NULL,
          "INSERT INTO mail_tokens (team_id, token_hash, user_id, kind, expires_at) "
          "VALUES ($1, $2, $3, $4, $5) ON CONFLICT (token_hash) DO NOTHING",
          NULL)
STATEMENT(MAIL_TOKEN_CLEAN, SQL_WRITE, "what is past its time goes in every team",
          "DELETE FROM mail_tokens WHERE expires_at < $1", NULL)
/* in the batch that has just disabled the user, perhaps */
STATEMENT(MAIL_TOKEN_DROP_DISABLED, SQL_WRITE, NULL,
          "DELETE FROM mail_tokens WHERE team_id = $1 AND user_id = $2 AND kind = 'reset' "
          "AND NOT EXISTS (SELECT 1 FROM users WHERE team_id = $1 AND id = $2 AND is_active)",
          NULL)
STATEMENT(MAIL_TOKEN_DROP_USER, SQL_WRITE, NULL,
          "DELETE FROM mail_tokens WHERE team_id = $1 AND user_id = $2 AND kind = $3", NULL)
STATEMENT(MAIL_TOKEN_FIND, SQL_READ, "the token is all that the asker has",
          "SELECT m.team_id, m.user_id, u.password_hash FROM mail_tokens AS m "
          "JOIN users AS u ON u.id = m.user_id JOIN teams AS t ON t.id = m.team_id "
          "WHERE m.token_hash = $1 AND m.kind = $2 AND m.expires_at > $3 "
          "AND u.is_active AND t.is_active",
          NULL)
STATEMENT(MAIL_TOKEN_SPEND, SQL_WRITE, NULL,
          "DELETE FROM mail_tokens WHERE team_id = $1 AND token_hash = $2", NULL)
