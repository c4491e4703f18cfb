/* Statements over users. See db/sql.h for what a row says. Rows for people end with the same columns: id, team_id,
 * email, full_name, role, is_active, created_at, avatar, preferences, last_login_at, email_verified_at. A list leaves out large
 * avatars: two hundred of them would be half a gigabyte. */
/* the operator's: he vouches for the address */
STATEMENT(USER_ADD, SQL_WRITE, NULL,
          "INSERT INTO users (id, team_id, email, password_hash, full_name, role, created_at, "
          "updated_at, email_verified_at) VALUES ($2, $1, $3, $4, $5, $6, $7, $7, $7) "
          "ON CONFLICT (team_id, email) DO NOTHING",
          NULL)
/* The last column, here and below: whether the team lets the user in with the address as it is. Admins always, so that
 * a team cannot lock itself out. */
STATEMENT(USER_BY_EMAIL, SQL_READ, "who logs in may leave out the team",
          "SELECT u.id, u.team_id, u.password_hash, u.role, u.email_verified_at IS NOT NULL "
          "OR u.role = 'admin' OR COALESCE(t.settings->'require_verified_email' <> 'true', true) "
          "FROM users AS u JOIN teams AS t ON t.id = u.team_id WHERE u.email = $1 AND u.is_active AND t.is_active "
          "ORDER BY u.created_at, u.id LIMIT 4",
          "SELECT u.id, u.team_id, u.password_hash, u.role, u.email_verified_at IS NOT NULL "
          "OR u.role = 'admin' "
          "OR COALESCE(json_type(t.settings, '$.require_verified_email') <> 'true', 1) "
          "FROM users AS u JOIN teams AS t ON t.id = u.team_id WHERE u.email = $1 AND u.is_active AND t.is_active "
          "ORDER BY u.created_at, u.id LIMIT 4")
STATEMENT(USER_BY_TEAM_EMAIL, SQL_READ, NULL,
          "SELECT u.id, u.team_id, u.password_hash, u.role, u.email_verified_at IS NOT NULL "
          "OR u.role = 'admin' OR COALESCE(t.settings->'require_verified_email' <> 'true', true) "
          "FROM users AS u JOIN teams AS t ON t.id = u.team_id WHERE u.team_id = $1 AND u.email = $2 "
          "AND u.is_active AND t.is_active",
          "SELECT u.id, u.team_id, u.password_hash, u.role, u.email_verified_at IS NOT NULL "
          "OR u.role = 'admin' "
          "OR COALESCE(json_type(t.settings, '$.require_verified_email') <> 'true', 1) "
          "FROM users AS u JOIN teams AS t ON t.id = u.team_id WHERE u.team_id = $1 AND u.email = $2 "
          "AND u.is_active AND t.is_active")
STATEMENT(USER_COUNT, SQL_READ, NULL, "SELECT count(*) FROM users WHERE team_id = $1", NULL)
STATEMENT(USER_FIND_ADMIN, SQL_READ, NULL,
          "SELECT id FROM users WHERE team_id = $1 AND role = 'admin' AND is_active "
          "ORDER BY created_at, id LIMIT 1",
          NULL)
STATEMENT(USER_FIND_EMAIL, SQL_READ, NULL,
          "SELECT id, team_id, email, full_name, role, is_active, created_at, NULL, preferences, "
          "last_login_at, email_verified_at FROM users WHERE team_id = $1 AND email = $2",
          NULL)
STATEMENT(USER_GET, SQL_READ, NULL,
          "SELECT id, team_id, email, full_name, role, is_active, created_at, avatar, preferences, "
          "last_login_at, email_verified_at FROM users WHERE team_id = $1 AND id = $2",
          NULL)
STATEMENT(USER_GET_PASSWORD, SQL_READ, NULL,
          "SELECT password_hash FROM users WHERE team_id = $1 AND id = $2", NULL)
STATEMENT(USER_LIST, SQL_READ, NULL,
          "SELECT id, team_id, email, full_name, role, is_active, created_at, "
          "CASE WHEN length(avatar) <= 32768 THEN avatar END, preferences, last_login_at, "
          "email_verified_at FROM users WHERE team_id = $1 ORDER BY created_at, id LIMIT $2 OFFSET $3",
          NULL)
/* settings.max_users is counted here, so that it holds however many register at once (after TEAM_LOCK) */
STATEMENT(USER_REGISTER, SQL_WRITE, NULL,
          "INSERT INTO users (id, team_id, email, password_hash, full_name, role, created_at, "
          "updated_at) SELECT $2::uuid, t.id, $3::text, $4::text, $5::text, 'user', "
          "$6::timestamptz, $6::timestamptz FROM teams AS t WHERE t.id = $1 AND t.is_active "
          "AND (CASE WHEN jsonb_typeof(t.settings->'max_users') = 'number' "
          "THEN (t.settings->>'max_users')::numeric > "
          "(SELECT count(*) FROM users AS u WHERE u.team_id = $1) ELSE true END) "
          "ON CONFLICT (team_id, email) DO NOTHING",
          "INSERT INTO users (id, team_id, email, password_hash, full_name, role, created_at, "
          "updated_at) SELECT $2, t.id, $3, $4, $5, 'user', $6, $6 FROM teams AS t "
          "WHERE t.id = $1 AND t.is_active "
          "AND (CASE WHEN json_type(t.settings, '$.max_users') IN ('integer', 'real') "
          "THEN json_extract(t.settings, '$.max_users') > "
          "(SELECT count(*) FROM users AS u WHERE u.team_id = $1) ELSE 1 END) "
          "ON CONFLICT (team_id, email) DO NOTHING")
STATEMENT(USER_SET_AVATAR, SQL_WRITE, NULL,
          "UPDATE users SET avatar = $3, updated_at = $4 WHERE team_id = $1 AND id = $2 "
          "RETURNING id, team_id, email, full_name, role, is_active, created_at, avatar, "
          "preferences, last_login_at, email_verified_at",
          NULL)
STATEMENT(USER_SET_LAST_LOGIN, SQL_WRITE, NULL,
          "UPDATE users SET last_login_at = $3 WHERE team_id = $1 AND id = $2", NULL)
/* Only while the hash is the one that was checked ($4): of two changes at once, one wins. NULL: whatever it was. */
STATEMENT(USER_SET_PASSWORD, SQL_WRITE, NULL,
          "UPDATE users SET password_hash = $3, updated_at = $5 WHERE team_id = $1 AND id = $2 "
          "AND password_hash = COALESCE($4, password_hash)",
          NULL)
STATEMENT(USER_SET_VERIFIED, SQL_WRITE, NULL,
          "UPDATE users SET email_verified_at = COALESCE(email_verified_at, $3) "
          "WHERE team_id = $1 AND id = $2",
          NULL)
/* role, is_active: NULL stays; $5 says whether full_name is given. Not against the last active admin. */
STATEMENT(USER_UPDATE, SQL_WRITE, NULL,
          "UPDATE users SET role = COALESCE($3, role), is_active = COALESCE($4, is_active), "
          "full_name = CASE WHEN $5 THEN $6 ELSE full_name END, updated_at = $7 "
          "WHERE team_id = $1 AND id = $2 AND (role <> 'admin' OR NOT is_active "
          "OR (COALESCE($3, role) = 'admin' AND COALESCE($4, is_active)) "
          "OR EXISTS (SELECT 1 FROM users AS other WHERE other.team_id = $1 AND other.id <> $2 "
          "AND other.role = 'admin' AND other.is_active)) "
          "RETURNING id, team_id, email, full_name, role, is_active, created_at, avatar, "
          "preferences, last_login_at, email_verified_at",
          NULL)
/* $3 says whether full_name is given; preferences: NULL stays */
STATEMENT(USER_UPDATE_ME, SQL_WRITE, NULL,
          "UPDATE users SET full_name = CASE WHEN $3 THEN $4 ELSE full_name END, "
          "preferences = COALESCE($5, preferences), updated_at = $6 "
          "WHERE team_id = $1 AND id = $2 "
          "RETURNING id, team_id, email, full_name, role, is_active, created_at, avatar, "
          "preferences, last_login_at, email_verified_at",
          NULL)
