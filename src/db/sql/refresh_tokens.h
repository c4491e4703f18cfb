/* Statements over refresh_tokens. See db/sql.h for what a row says. */
/* Only while the user is active and the password is still the one that was checked. The lock waits for whoever
 * changes that just now: his statements, which end the user's other logins, would not see this one. */
STATEMENT(REFRESH_ADD, SQL_WRITE, NULL,
          "INSERT INTO refresh_tokens (id, team_id, user_id, family, token_hash, created_at, "
          "expires_at) SELECT $2::uuid, team_id, id, $4::uuid, $5::text, $6::timestamptz, "
          "$7::timestamptz FROM users WHERE team_id = $1 AND id = $3 AND is_active "
          "AND password_hash = $8 FOR NO KEY UPDATE ON CONFLICT (token_hash) DO NOTHING",
          "INSERT INTO refresh_tokens (id, team_id, user_id, family, token_hash, created_at, "
          "expires_at) SELECT $2, team_id, id, $4, $5, $6, $7 FROM users "
          "WHERE team_id = $1 AND id = $3 AND is_active AND password_hash = $8 "
          "ON CONFLICT (token_hash) DO NOTHING")
STATEMENT(REFRESH_CLEAN, SQL_WRITE, "what is past its time goes in every team",
          "DELETE FROM refresh_tokens WHERE expires_at < $1", NULL)
/* A logout runs this twice in its batch: the first run waits for a rotation that holds the spent row, the
 * second sees the successor which that rotation left behind. */
STATEMENT(REFRESH_DROP_FAMILY, SQL_WRITE, NULL,
          "DELETE FROM refresh_tokens WHERE team_id = $1 AND family = $2", NULL)
/* in the batch that has just disabled the user, perhaps; twice, too */
STATEMENT(REFRESH_DROP_DISABLED, SQL_WRITE, NULL,
          "DELETE FROM refresh_tokens WHERE team_id = $1 AND user_id = $2 "
          "AND NOT EXISTS (SELECT 1 FROM users WHERE team_id = $1 AND id = $2 AND is_active)",
          NULL)
/* all logins of a user whom this batch has changed at $3. Twice, too */
STATEMENT(REFRESH_DROP_CHANGED, SQL_WRITE, NULL,
          "DELETE FROM refresh_tokens WHERE team_id = $1 AND user_id = $2 "
          "AND EXISTS (SELECT 1 FROM users WHERE team_id = $1 AND id = $2 AND updated_at = $3)",
          NULL)
/* all logins of a user but the family $3; NULL: all. Twice, too. */
STATEMENT(REFRESH_DROP_USER, SQL_WRITE, NULL,
          "DELETE FROM refresh_tokens WHERE team_id = $1 AND user_id = $2 "
          "AND ($3::uuid IS NULL OR family <> $3)",
          "DELETE FROM refresh_tokens WHERE team_id = $1 AND user_id = $2 "
          "AND ($3 IS NULL OR family <> $3)")
STATEMENT(REFRESH_FIND, SQL_READ, "the token is all that the asker has",
          "SELECT r.team_id, r.user_id, r.family, r.expires_at, r.spent_at, u.role "
          "FROM refresh_tokens AS r JOIN users AS u ON u.id = r.user_id "
          "JOIN teams AS t ON t.id = r.team_id "
          "WHERE r.token_hash = $1 AND u.is_active AND t.is_active",
          NULL)
STATEMENT(REFRESH_SPEND, SQL_WRITE, NULL,
          "UPDATE refresh_tokens SET spent_at = $3 WHERE team_id = $1 AND token_hash = $2 "
          "AND spent_at IS NULL",
          NULL)
/* The successor of a spent token. Of two rotations at once the second finds it there: both give the same one. */
STATEMENT(REFRESH_SUCCEED, SQL_WRITE, NULL,
          "INSERT INTO refresh_tokens (id, team_id, user_id, family, token_hash, created_at, "
          "expires_at) SELECT $3::uuid, team_id, user_id, family, $4::text, $5::timestamptz, "
          "$6::timestamptz FROM refresh_tokens WHERE team_id = $1 AND token_hash = $2 "
          "AND spent_at IS NOT NULL ON CONFLICT (token_hash) DO NOTHING",
          "INSERT INTO refresh_tokens (id, team_id, user_id, family, token_hash, created_at, "
          "expires_at) SELECT $3, team_id, user_id, family, $4, $5, $6 FROM refresh_tokens "
          "WHERE team_id = $1 AND token_hash = $2 AND spent_at IS NOT NULL "
          "ON CONFLICT (token_hash) DO NOTHING")
