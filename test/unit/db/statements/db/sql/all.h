/* The statements that the drivers are tested with, in place of the product's. */
#include "db/sql/system.h"

STATEMENT(THINGS_CREATE, SQL_WRITE, "test",
          "CREATE TABLE things (id bigint PRIMARY KEY, name text NOT NULL, n bigint, flag boolean, uid uuid,"
          " at timestamptz, doc jsonb)",
          "CREATE TABLE things (id INTEGER PRIMARY KEY, name TEXT NOT NULL, n INTEGER, flag INTEGER, uid TEXT,"
          " at INTEGER, doc TEXT) STRICT")
STATEMENT(THINGS_DROP, SQL_WRITE, "test", "DROP TABLE IF EXISTS things", NULL)
STATEMENT(THINGS_CLEAR, SQL_WRITE, "test", "DELETE FROM things", NULL)
STATEMENT(THINGS_COUNT, SQL_READ, "test", "SELECT count(*) FROM things", NULL)
STATEMENT(THING_ADD, SQL_WRITE, "test",
          "INSERT INTO things (id, name, n, flag, uid, at, doc) VALUES ($1, $2, $3, $4, $5, $6, $7)", NULL)
STATEMENT(THING_NAME, SQL_WRITE, "test", "INSERT INTO things (id, name) VALUES ($1, $2)", NULL)
STATEMENT(THING_NAME_RETURNING, SQL_WRITE, "test",
          "INSERT INTO things (id, name) VALUES ($1, $2) ON CONFLICT (id) DO NOTHING RETURNING id, name", NULL)
/* With SQLite, two statements in one. */
STATEMENT(THING_PAIR, SQL_WRITE, "test", "INSERT INTO things (id, name) VALUES ($1, 'a'), ($2, 'b')",
          "INSERT INTO things (id, name) VALUES ($1, 'a'); INSERT INTO things (id, name) VALUES ($2, 'b')")
STATEMENT(THING_GET, SQL_READ, "test",
          "SELECT id, name, n, flag, uid, at, doc FROM things WHERE id = $1", NULL)
STATEMENT(BYTES_BACK, SQL_READ, "test", "SELECT $1::bytea, $2::text, $3::bytea", "SELECT $1, $2, $3")
STATEMENT(THING_LIST, SQL_READ, "test", "SELECT id, name FROM things ORDER BY id", NULL)
/* The parameters come in another order than their numbers, and the second is not there. */
STATEMENT(THING_FIND, SQL_READ, "test", "SELECT id FROM things WHERE name = $2 AND id >= $1", NULL)
STATEMENT(THING_SET, SQL_WRITE, "test", "UPDATE things SET n = $2 WHERE id >= $1", NULL)
STATEMENT(NOWHERE, SQL_READ, "test", "SELECT 1 FROM nowhere", NULL)
STATEMENT(NOWHERE_WRITE, SQL_WRITE, "test", "DELETE FROM nowhere", NULL)
/* Ten seconds or more, unless stopped. */
STATEMENT(LONG_READ, SQL_READ, "test", "SELECT pg_sleep(10)",
          "WITH RECURSIVE r (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM r WHERE i < 10000000000)"
          " SELECT count(*) FROM r")
/* May a plan read a whole table where an index would do? */
STATEMENT(SCANS_ALLOWED, SQL_READ, "test", "SELECT CAST(current_setting('enable_seqscan') = 'on' AS integer)", "SELECT 1")
STATEMENT(SCANS_ALLOWED_SLOW, SQL_SLOW, "test", "SELECT CAST(current_setting('enable_seqscan') = 'on' AS integer)",
          "SELECT 1")
STATEMENT(LONG_SLOW, SQL_SLOW, "test", "SELECT pg_sleep(10)",
          "WITH RECURSIVE r (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM r WHERE i < 10000000000)"
          " SELECT count(*) FROM r")
/* Half a second or so. */
STATEMENT(LONG_WRITE, SQL_WRITE, "test", "INSERT INTO things (id, name) SELECT 500, 'slept' FROM pg_sleep(0.5)",
          "INSERT INTO things (id, name) WITH RECURSIVE r (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM r WHERE i < 2000000)"
          " SELECT 500, 'slept' FROM r WHERE i = 2000000")
STATEMENT(ENDLESS_WRITE, SQL_WRITE, "test", "INSERT INTO things (id, name) SELECT 501, 'slept' FROM pg_sleep(10)",
          "SELECT 1")
/* Writing a page after page. */
STATEMENT(BULK, SQL_WRITE, "test", "SELECT 1",
          "INSERT INTO things (name) WITH RECURSIVE r (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM r WHERE i < 2000)"
          " SELECT hex(randomblob(1000)) FROM r")
STATEMENT(TABLES_COUNT, SQL_READ, "test",
          "SELECT count(*) FROM pg_tables WHERE schemaname = 'public' AND tablename <> 'schema_migrations'",
          "SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%'"
          " AND name <> 'schema_migrations'")
STATEMENT(CHATS_BLOCK, SQL_WRITE, "test", "CREATE TABLE chats (id integer)", NULL)
STATEMENT(CHATS_UNBLOCK, SQL_WRITE, "test", "DROP TABLE chats", NULL)
STATEMENT(SCHEMA_NEWER, SQL_WRITE, "test", "INSERT INTO schema_migrations VALUES (9999, 'future', '')", NULL)
STATEMENT(SCHEMA_OLDER, SQL_WRITE, "test", "DELETE FROM schema_migrations WHERE number = 9999", NULL)
STATEMENT(TEAM_ADD, SQL_WRITE, "test",
          "INSERT INTO teams (id, name, slug, created_at, updated_at) VALUES ($1, 'team', $2, $3, $3)", NULL)
STATEMENT(USER_ADD, SQL_WRITE, "test",
          "INSERT INTO users (id, team_id, email, password_hash, role, created_at, updated_at)"
          " VALUES ($2, $1, 'e', 'h', 'user', $3, $3)",
          NULL)
STATEMENT(CHAT_ADD, SQL_WRITE, "test",
          "INSERT INTO chats (id, team_id, user_id, owner_id, created_at, updated_at) VALUES ($3, $1, $2, $2, $4, $4)", NULL)
STATEMENT(MESSAGE_ADD, SQL_WRITE, "test",
          "INSERT INTO messages (id, team_id, chat_id, seq, role, content, status, created_at)"
          " VALUES ($3, $1, $2, $4, 'user', $5, $6, $7)",
          NULL)
STATEMENT(INDEX_FIND, SQL_READ, "test", "SELECT 1 WHERE $1::text IS NULL",
          "SELECT rowid FROM search_index WHERE search_index MATCH $1")
STATEMENT(MESSAGES_WAITING, SQL_READ, "test", "SELECT 0", "SELECT count(*) FROM messages WHERE is_indexed = 0")
STATEMENT(BACKENDS_KILL, SQL_WRITE, "test",
          "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = 'aerie'"
          " AND pid <> pg_backend_pid()",
          "SELECT 0")
STATEMENT(WRITES_OFF, SQL_WRITE, "test", "ALTER SYSTEM SET default_transaction_read_only = on", "SELECT 0")
STATEMENT(WRITES_ON, SQL_WRITE, "test", "ALTER SYSTEM RESET default_transaction_read_only", "SELECT 0")
STATEMENT(SETTINGS_READ, SQL_READ, "test", "SELECT CAST(pg_reload_conf() AS integer)", "SELECT 0")
STATEMENT(ROLE_ADD, SQL_WRITE, "test", "CREATE ROLE guarded LOGIN PASSWORD 'right-one'", "SELECT 0")
STATEMENT(ADVISORY_LOCKS, SQL_READ, "test", "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'", "SELECT 0")
/* A team's. */
STATEMENT(TEAM_READ, SQL_READ, NULL, "SELECT count(*) FROM things WHERE uid = $1", NULL)
STATEMENT(TEAM_SLOW, SQL_SLOW, NULL, "SELECT count(*) FROM things WHERE uid = $1", NULL)
STATEMENT(TEAM_WRITE, SQL_WRITE, NULL, "UPDATE things SET n = 1 WHERE uid = $1", NULL)
