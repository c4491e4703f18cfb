-- How many days a team keeps chats in which nothing happens any more; NULL: as the server says (retention.days).
ALTER TABLE teams ADD COLUMN retention_days INTEGER CHECK (retention_days BETWEEN 1 AND 36500);
CREATE INDEX chats_age ON chats (team_id, updated_at);

-- Users and visitors who are being erased, in portions: a row is there until the last one, so that a server that ends in
-- the middle is no excuse. counts is what has gone until now.
CREATE TABLE erasures (
    id         TEXT NOT NULL PRIMARY KEY,
    team_id    TEXT NOT NULL REFERENCES teams ON DELETE CASCADE,
    kind       TEXT NOT NULL CHECK (kind IN ('delete', 'user', 'visitor')),
    subject_id TEXT NOT NULL,
    actor      TEXT NOT NULL, -- these three are for the audit trail
    actor_id   TEXT,
    address    TEXT,
    counts     TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    touched_at INTEGER NOT NULL, -- by the last portion
    UNIQUE (team_id, subject_id)
) STRICT;
CREATE INDEX erasures_touched ON erasures (touched_at);

-- The words of a message go with it. (Those of sessions, is_indexed 2, are in no index.)
CREATE TRIGGER messages_removed AFTER DELETE ON messages WHEN old.is_indexed = 1 BEGIN
    INSERT INTO search_index (search_index, rowid, content) VALUES ('delete', old.pos, old.content);
END;

-- What somebody did stays in the trail, though nobody says any more who it was.
CREATE TABLE new_audit_log (
    team_id      TEXT NOT NULL REFERENCES teams ON DELETE CASCADE,
    created_at   INTEGER NOT NULL,
    id           TEXT NOT NULL,
    actor        TEXT NOT NULL CHECK (actor IN ('anyone', 'erased', 'key', 'operator', 'user')),
    actor_id     TEXT, -- the user; NULL: none
    action       TEXT NOT NULL,
    subject_kind TEXT NOT NULL,
    subject_id   TEXT,
    address      TEXT, -- the client's; NULL: the operator, on the machine
    details      TEXT NOT NULL,
    PRIMARY KEY (team_id, created_at, id)
) STRICT, WITHOUT ROWID;
INSERT INTO new_audit_log SELECT * FROM audit_log;
DROP TABLE audit_log;
ALTER TABLE new_audit_log RENAME TO audit_log;
CREATE INDEX audit_log_actor ON audit_log (team_id, actor_id) WHERE actor_id IS NOT NULL;
CREATE INDEX audit_log_subject ON audit_log (team_id, subject_id);

-- 'erased': the turns of this owner end, wherever they run.
CREATE TABLE new_revoked_tokens (
    pos        INTEGER PRIMARY KEY AUTOINCREMENT,
    team_id    TEXT NOT NULL REFERENCES teams ON DELETE CASCADE,
    kind       TEXT NOT NULL CHECK (kind IN ('token', 'family', 'user', 'team', 'key', 'erased')),
    subject    TEXT NOT NULL,
    before     INTEGER NOT NULL, -- tokens issued before this moment
    expires_at INTEGER NOT NULL  -- the row may go: nothing it refuses is still valid
) STRICT;
INSERT INTO new_revoked_tokens SELECT * FROM revoked_tokens;
DELETE FROM sqlite_sequence WHERE name = 'new_revoked_tokens';
UPDATE sqlite_sequence SET name = 'new_revoked_tokens' WHERE name = 'revoked_tokens';
DROP TABLE revoked_tokens;
ALTER TABLE new_revoked_tokens RENAME TO revoked_tokens;
CREATE INDEX revoked_tokens_age ON revoked_tokens (expires_at);

-- down
CREATE TABLE old_revoked_tokens (
    pos        INTEGER PRIMARY KEY AUTOINCREMENT,
    team_id    TEXT NOT NULL REFERENCES teams ON DELETE CASCADE,
    kind       TEXT NOT NULL CHECK (kind IN ('token', 'family', 'user', 'team', 'key')),
    subject    TEXT NOT NULL,
    before     INTEGER NOT NULL, -- tokens issued before this moment
    expires_at INTEGER NOT NULL  -- the row may go: nothing it refuses is still valid
) STRICT;
INSERT INTO old_revoked_tokens SELECT * FROM revoked_tokens WHERE kind <> 'erased';
DELETE FROM sqlite_sequence WHERE name = 'old_revoked_tokens';
UPDATE sqlite_sequence SET name = 'old_revoked_tokens' WHERE name = 'revoked_tokens';
DROP TABLE revoked_tokens;
ALTER TABLE old_revoked_tokens RENAME TO revoked_tokens;
CREATE INDEX revoked_tokens_age ON revoked_tokens (expires_at);
CREATE TABLE old_audit_log (
    team_id      TEXT NOT NULL REFERENCES teams ON DELETE CASCADE,
    created_at   INTEGER NOT NULL,
    id           TEXT NOT NULL,
    actor        TEXT NOT NULL CHECK (actor IN ('anyone', 'key', 'operator', 'user')),
    actor_id     TEXT, -- the user; NULL: none
    action       TEXT NOT NULL,
    subject_kind TEXT NOT NULL,
    subject_id   TEXT,
    address      TEXT, -- the client's; NULL: the operator, on the machine
    details      TEXT NOT NULL,
    PRIMARY KEY (team_id, created_at, id)
) STRICT, WITHOUT ROWID;
INSERT INTO old_audit_log SELECT team_id, created_at, id, CASE actor WHEN 'erased' THEN 'anyone' ELSE actor END, actor_id,
                                 action, subject_kind, subject_id, address, details FROM audit_log;
DROP TABLE audit_log;
ALTER TABLE old_audit_log RENAME TO audit_log;
DROP TRIGGER messages_removed;
DROP TABLE erasures;
DROP INDEX chats_age;
ALTER TABLE teams DROP COLUMN retention_days;
