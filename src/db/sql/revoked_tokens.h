/* Statements over revoked_tokens. See db/sql.h for what a row says. */
STATEMENT(REVOKED_ADD, SQL_WRITE, NULL,
          "INSERT INTO revoked_tokens (team_id, kind, subject, before, expires_at) "
          "VALUES ($1, $2, $3, $4, $5)",
          NULL)
STATEMENT(REVOKED_CLEAN, SQL_WRITE, "what refuses nothing any more goes in every team",
          "DELETE FROM revoked_tokens WHERE expires_at < $1", NULL)
/* every login of a user but the family $3, which is the one that asks */
STATEMENT(REVOKED_ADD_OTHER_LOGINS, SQL_WRITE, NULL,
          "INSERT INTO revoked_tokens (team_id, kind, subject, before, expires_at) "
          "SELECT DISTINCT team_id, 'family', family, $4::timestamptz, $5::timestamptz "
          "FROM refresh_tokens WHERE team_id = $1 AND user_id = $2 AND family <> $3 "
          "RETURNING subject",
          "INSERT INTO revoked_tokens (team_id, kind, subject, before, expires_at) "
          "SELECT DISTINCT team_id, 'family', family, $4, $5 "
          "FROM refresh_tokens WHERE team_id = $1 AND user_id = $2 AND family <> $3 "
          "RETURNING subject")
/* a user that this batch has changed at $3 */
STATEMENT(REVOKED_ADD_USER_CHANGED, SQL_WRITE, NULL,
          "INSERT INTO revoked_tokens (team_id, kind, subject, before, expires_at) "
          "SELECT team_id, 'user', id, $3::timestamptz, $4::timestamptz FROM users "
          "WHERE team_id = $1 AND id = $2 AND updated_at = $3",
          "INSERT INTO revoked_tokens (team_id, kind, subject, before, expires_at) "
          "SELECT team_id, 'user', id, $3, $4 FROM users "
          "WHERE team_id = $1 AND id = $2 AND updated_at = $3")
/* whom this batch erases: the turns of that owner end on every node */
STATEMENT(REVOKED_ADD_ERASED, SQL_WRITE, NULL,
          "INSERT INTO revoked_tokens (team_id, kind, subject, before, expires_at) "
          "SELECT team_id, 'erased', subject_id, $3::timestamptz, $4::timestamptz FROM erasures "
          "WHERE team_id = $1 AND subject_id = $2",
          "INSERT INTO revoked_tokens (team_id, kind, subject, before, expires_at) "
          "SELECT team_id, 'erased', subject_id, $3, $4 FROM erasures WHERE team_id = $1 AND subject_id = $2")
STATEMENT(REVOKED_SINCE, SQL_READ, "the set in memory holds what is revoked in every team",
          "SELECT pos, kind, subject, before, expires_at FROM revoked_tokens "
          "WHERE pos > $1 AND expires_at > $2 ORDER BY pos LIMIT 1000",
          NULL)
