-- A chat belongs to its owner: a user, or itself, when it is a session of someone without an account. Whoever knows
-- such a session's id may write to it. Both tables are made anew, as SQLite cannot take back a NOT NULL or a REFERENCES.
CREATE TABLE new_chats (
    pos         INTEGER PRIMARY KEY AUTOINCREMENT, -- -pos is the title's row in search_index
    id          TEXT NOT NULL UNIQUE,
    team_id     TEXT NOT NULL REFERENCES teams ON DELETE CASCADE,
    user_id     TEXT REFERENCES users ON DELETE CASCADE,
    owner_id    TEXT NOT NULL CHECK (owner_id = coalesce(user_id, id)),
    agent_id    TEXT REFERENCES agents ON DELETE SET NULL,
    title       TEXT NOT NULL DEFAULT '',
    metadata    TEXT NOT NULL DEFAULT '{}',
    is_archived INTEGER NOT NULL DEFAULT 0,
    created_at  INTEGER NOT NULL,
    updated_at  INTEGER NOT NULL
) STRICT;
INSERT INTO new_chats SELECT pos, id, team_id, user_id, user_id, agent_id, title, metadata, is_archived, created_at,
                             updated_at FROM chats;
DROP TABLE chats;
ALTER TABLE new_chats RENAME TO chats;
CREATE INDEX chats_owner ON chats (team_id, owner_id, updated_at DESC, id);
CREATE INDEX chats_user ON chats (user_id);
CREATE INDEX chats_agent ON chats (agent_id);
CREATE TRIGGER chats_title_added AFTER INSERT ON chats BEGIN
    INSERT INTO search_index (rowid, content) VALUES (-new.pos, new.title);
END;
CREATE TRIGGER chats_title_changed AFTER UPDATE OF title ON chats WHEN old.title <> new.title BEGIN
    INSERT INTO search_index (search_index, rowid, content) VALUES ('delete', -old.pos, old.title);
    INSERT INTO search_index (rowid, content) VALUES (-new.pos, new.title);
END;
CREATE TRIGGER chats_title_removed AFTER DELETE ON chats BEGIN
    INSERT INTO search_index (search_index, rowid, content) VALUES ('delete', -old.pos, old.title);
END;

CREATE TABLE new_idempotency (
    team_id         TEXT NOT NULL REFERENCES teams ON DELETE CASCADE,
    owner_id        TEXT NOT NULL,
    key             TEXT NOT NULL,
    chat_id         TEXT NOT NULL REFERENCES chats (id) ON DELETE CASCADE,
    body_hash       TEXT NOT NULL,
    user_message_id TEXT NOT NULL,
    reply_id        TEXT NOT NULL,
    created_at      INTEGER NOT NULL,
    PRIMARY KEY (team_id, owner_id, key)
) STRICT;
INSERT INTO new_idempotency SELECT * FROM idempotency;
DROP TABLE idempotency;
ALTER TABLE new_idempotency RENAME TO idempotency;
CREATE INDEX idempotency_age ON idempotency (created_at);
CREATE INDEX idempotency_chat ON idempotency (chat_id);

-- down
-- what has no user cannot be kept: text of messages that search_index has is taken out of it first
INSERT INTO search_index (search_index, rowid, content)
    SELECT 'delete', m.pos, m.content FROM messages m JOIN chats c ON c.id = m.chat_id
    WHERE c.user_id IS NULL AND m.is_indexed = 1;
DELETE FROM idempotency WHERE chat_id IN (SELECT id FROM chats WHERE user_id IS NULL);
DELETE FROM messages WHERE chat_id IN (SELECT id FROM chats WHERE user_id IS NULL);
DELETE FROM chats WHERE user_id IS NULL;
CREATE TABLE old_chats (
    pos         INTEGER PRIMARY KEY AUTOINCREMENT, -- -pos is the title's row in search_index
    id          TEXT NOT NULL UNIQUE,
    team_id     TEXT NOT NULL REFERENCES teams ON DELETE CASCADE,
    user_id     TEXT NOT NULL REFERENCES users ON DELETE CASCADE,
    agent_id    TEXT REFERENCES agents ON DELETE SET NULL,
    title       TEXT NOT NULL DEFAULT '',
    metadata    TEXT NOT NULL DEFAULT '{}',
    is_archived INTEGER NOT NULL DEFAULT 0,
    created_at  INTEGER NOT NULL,
    updated_at  INTEGER NOT NULL
) STRICT;
INSERT INTO old_chats SELECT pos, id, team_id, user_id, agent_id, title, metadata, is_archived, created_at,
                             updated_at FROM chats;
DROP TABLE chats;
ALTER TABLE old_chats RENAME TO chats;
CREATE INDEX chats_user ON chats (team_id, user_id, updated_at DESC, id);
CREATE INDEX chats_agent ON chats (agent_id);
CREATE TRIGGER chats_title_added AFTER INSERT ON chats BEGIN
    INSERT INTO search_index (rowid, content) VALUES (-new.pos, new.title);
END;
CREATE TRIGGER chats_title_changed AFTER UPDATE OF title ON chats WHEN old.title <> new.title BEGIN
    INSERT INTO search_index (search_index, rowid, content) VALUES ('delete', -old.pos, old.title);
    INSERT INTO search_index (rowid, content) VALUES (-new.pos, new.title);
END;
CREATE TRIGGER chats_title_removed AFTER DELETE ON chats BEGIN
    INSERT INTO search_index (search_index, rowid, content) VALUES ('delete', -old.pos, old.title);
END;

CREATE TABLE old_idempotency (
    team_id         TEXT NOT NULL REFERENCES teams ON DELETE CASCADE,
    user_id         TEXT NOT NULL REFERENCES users ON DELETE CASCADE,
    key             TEXT NOT NULL,
    chat_id         TEXT NOT NULL REFERENCES chats (id) ON DELETE CASCADE,
    body_hash       TEXT NOT NULL,
    user_message_id TEXT NOT NULL,
    reply_id        TEXT NOT NULL,
    created_at      INTEGER NOT NULL,
    PRIMARY KEY (team_id, user_id, key)
) STRICT;
INSERT INTO old_idempotency SELECT * FROM idempotency;
DROP TABLE idempotency;
ALTER TABLE old_idempotency RENAME TO idempotency;
CREATE INDEX idempotency_age ON idempotency (created_at);
CREATE INDEX idempotency_chat ON idempotency (chat_id);
