/* Statements over idempotency. See db/sql.h for what a row says. */

/* $1 team, $2 owner, $3 key, $4 chat, $5 body's hash, $6 user's message, $7 reply, $8 now, $9 older rows are forgotten. */
STATEMENT(IDEMPOTENCY_CLAIM, SQL_WRITE, NULL,
          "INSERT INTO idempotency (team_id, owner_id, key, chat_id, body_hash, user_message_id, reply_id, created_at)"
          " VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (team_id, owner_id, key) DO UPDATE"
          " SET chat_id = excluded.chat_id, body_hash = excluded.body_hash,"
          " user_message_id = excluded.user_message_id, reply_id = excluded.reply_id,"
          " created_at = excluded.created_at WHERE idempotency.created_at < $9",
          NULL)
STATEMENT(IDEMPOTENCY_GET, SQL_READ, NULL,
          "SELECT chat_id, body_hash, reply_id FROM idempotency"
          " WHERE team_id = $1 AND owner_id = $2 AND key = $3 AND created_at >= $4",
          NULL)
/* The key of a message that was refused though its commit may have gone through; $4 the reply. */
STATEMENT(IDEMPOTENCY_RELEASE, SQL_WRITE, NULL,
          "DELETE FROM idempotency WHERE team_id = $1 AND owner_id = $2 AND key = $3 AND reply_id = $4", NULL)
STATEMENT(IDEMPOTENCY_FORGET, SQL_WRITE, "housekeeping: keys of every team that are older than a day",
          "DELETE FROM idempotency WHERE created_at < $1", NULL)
