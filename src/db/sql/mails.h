/* Statements over mails, the outbox. See db/sql.h for what a row says. */
/* Whom a mail concerns. $3: also those who have confirmed the address. */
STATEMENT(MAIL_ACCOUNTS, SQL_READ, "a mail for no team concerns each that knows the address",
          "SELECT u.id, u.team_id, t.slug FROM users AS u JOIN teams AS t ON t.id = u.team_id "
          "WHERE u.email = $1 AND ($2::uuid IS NULL OR u.team_id = $2) "
          "AND u.is_active AND t.is_active AND ($3 OR u.email_verified_at IS NULL) "
          "ORDER BY u.created_at, u.id LIMIT 8",
          "SELECT u.id, u.team_id, t.slug FROM users AS u JOIN teams AS t ON t.id = u.team_id "
          "WHERE u.email = $1 AND ($2 IS NULL OR u.team_id = $2) "
          "AND u.is_active AND t.is_active AND ($3 OR u.email_verified_at IS NULL) "
          "ORDER BY u.created_at, u.id LIMIT 8")
/* Unless $7 mails wait already. The team may be NULL. */
STATEMENT(MAIL_ADD, SQL_WRITE, NULL,
          "INSERT INTO mails (team_id, id, kind, email, due_at, expires_at) "
          "SELECT $1::uuid, $2::uuid, $3::text, $4::text, $5::timestamptz, $6::timestamptz "
          "WHERE (SELECT count(*) FROM mails) < $7 ON CONFLICT (id) DO NOTHING",
          "INSERT INTO mails (team_id, id, kind, email, due_at, expires_at) "
          "SELECT $1, $2, $3, $4, $5, $6 "
          "WHERE (SELECT count(*) FROM mails) < $7 ON CONFLICT (id) DO NOTHING")
/* to one user $3, who has yet to confirm the address; unless $6 mails wait already */
STATEMENT(MAIL_ADD_VERIFY, SQL_WRITE, NULL,
          "INSERT INTO mails (team_id, id, kind, email, due_at, expires_at) "
          "SELECT team_id, $2::uuid, 'verify', email, $4::timestamptz, $5::timestamptz FROM users "
          "WHERE team_id = $1 AND id = $3 AND email_verified_at IS NULL "
          "AND (SELECT count(*) FROM mails) < $6 ON CONFLICT (id) DO NOTHING",
          "INSERT INTO mails (team_id, id, kind, email, due_at, expires_at) "
          "SELECT team_id, $2, 'verify', email, $4, $5 FROM users "
          "WHERE team_id = $1 AND id = $3 AND email_verified_at IS NULL "
          "AND (SELECT count(*) FROM mails) < $6 ON CONFLICT (id) DO NOTHING")
/* The one that waits longest; $2: when another may try it, should this one not tell how it went. */
STATEMENT(MAIL_CLAIM, SQL_WRITE, "the outbox sends the mails of every team",
          "UPDATE mails SET n_tries = n_tries + 1, due_at = $2 WHERE id = (SELECT id FROM mails "
          "WHERE due_at <= $1 AND expires_at > $1 ORDER BY due_at LIMIT 1 FOR UPDATE SKIP LOCKED) "
          "RETURNING id, kind, email, team_id, n_tries",
          "UPDATE mails SET n_tries = n_tries + 1, due_at = $2 WHERE id = (SELECT id FROM mails "
          "WHERE due_at <= $1 AND expires_at > $1 ORDER BY due_at LIMIT 1) "
          "RETURNING id, kind, email, team_id, n_tries")
STATEMENT(MAIL_CLEAN, SQL_WRITE, "what is past its time goes in every team",
          "DELETE FROM mails WHERE expires_at < $1", NULL)
STATEMENT(MAIL_IS_DUE, SQL_READ, "the outbox sends the mails of every team",
          "SELECT 1 FROM mails WHERE due_at <= $1 AND expires_at > $1 LIMIT 1", NULL)
STATEMENT(MAIL_LATER, SQL_WRITE, "the outbox sends the mails of every team",
          "UPDATE mails SET due_at = $2 WHERE id = $1", NULL)
STATEMENT(MAIL_REMOVE, SQL_WRITE, "the outbox sends the mails of every team",
          "DELETE FROM mails WHERE id = $1", NULL)
