-- The first schema: teams, who belongs to them, whom they ask, what was said.
-- Ids are UUIDs as text, times microseconds since 1970, JSON is text, booleans are 0 or 1.
CREATE TABLE teams (
    id         TEXT NOT NULL PRIMARY KEY,
    name       TEXT NOT NULL,
    slug       TEXT NOT NULL UNIQUE,
    settings   TEXT NOT NULL DEFAULT '{}',
    is_active  INTEGER NOT NULL DEFAULT 1,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
) STRICT;

CREATE TABLE users (
    id            TEXT NOT NULL PRIMARY KEY,
    team_id       TEXT NOT NULL REFERENCES teams ON DELETE CASCADE,
    email         TEXT NOT NULL, -- lower case
    password_hash TEXT NOT NULL,
    full_name     TEXT,
    role          TEXT NOT NULL CHECK (role IN ('user', 'admin')),
    avatar        TEXT,
    preferences   TEXT NOT NULL DEFAULT '{}',
    is_active     INTEGER NOT NULL DEFAULT 1,
    last_login_at INTEGER,
    created_at    INTEGER NOT NULL,
    updated_at    INTEGER NOT NULL,
    UNIQUE (team_id, email)
) STRICT;
CREATE INDEX users_email ON users (email);

CREATE TABLE agents (
    id              TEXT NOT NULL PRIMARY KEY,
    team_id         TEXT NOT NULL REFERENCES teams ON DELETE CASCADE,
    created_by      TEXT REFERENCES users ON DELETE SET NULL,
    name            TEXT NOT NULL,
    description     TEXT,
    provider        TEXT NOT NULL,
    webhook_url     TEXT,
    webhook_token   TEXT, -- sealed
    model           TEXT,
    system_prompt   TEXT,
    avatar          TEXT,
    config          TEXT NOT NULL DEFAULT '{}',
    allowed_origins TEXT NOT NULL DEFAULT '[]',
    is_active       INTEGER NOT NULL DEFAULT 1,
    created_at      INTEGER NOT NULL,
    updated_at      INTEGER NOT NULL
) STRICT;
CREATE INDEX agents_team ON agents (team_id, created_at);
CREATE INDEX agents_creator ON agents (created_by);

CREATE TABLE api_keys (
    id           TEXT NOT NULL PRIMARY KEY,
    team_id      TEXT NOT NULL REFERENCES teams ON DELETE CASCADE,
    agent_id     TEXT NOT NULL REFERENCES agents ON DELETE CASCADE,
    name         TEXT,
    prefix       TEXT NOT NULL UNIQUE,
    key_hash     TEXT NOT NULL,
    scopes       TEXT NOT NULL DEFAULT '["chat"]',
    expires_at   INTEGER,
    revoked_at   INTEGER,
    last_used_at INTEGER,
    created_by   TEXT REFERENCES users ON DELETE SET NULL,
    created_at   INTEGER NOT NULL
) STRICT;
CREATE INDEX api_keys_agent ON api_keys (team_id, agent_id, created_at);

CREATE TABLE chats (
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
CREATE INDEX chats_user ON chats (team_id, user_id, updated_at DESC, id);
CREATE INDEX chats_agent ON chats (agent_id);

CREATE TABLE messages (
    pos        INTEGER PRIMARY KEY AUTOINCREMENT, -- the message's row in search_index
    id         TEXT NOT NULL UNIQUE,
    team_id    TEXT NOT NULL REFERENCES teams ON DELETE CASCADE,
    chat_id    TEXT NOT NULL REFERENCES chats (id) ON DELETE CASCADE,
    seq        INTEGER NOT NULL,
    role       TEXT NOT NULL CHECK (role IN ('system', 'user', 'assistant')),
    content    TEXT NOT NULL,
    status     TEXT NOT NULL
               CHECK (status IN ('streaming', 'complete', 'stopped', 'interrupted', 'error')),
    model      TEXT,
    usage      TEXT,
    metadata   TEXT NOT NULL DEFAULT '{}',
    created_at INTEGER NOT NULL,
    is_indexed INTEGER NOT NULL DEFAULT 0,
    UNIQUE (chat_id, seq)
) STRICT;
CREATE INDEX messages_streaming ON messages (id) WHERE status = 'streaming';
CREATE INDEX messages_to_index ON messages (pos) WHERE is_indexed = 0;

-- Words of messages (rowid = messages.pos) and titles (rowid = -chats.pos); holds no text of its own. Fed from
-- messages_to_index in the background and before a search, so that storing a message does not pay for it.
CREATE VIRTUAL TABLE search_index USING fts5 (
    content, content = '', tokenize = 'unicode61 remove_diacritics 0'
);

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

-- A client's Idempotency-Key and the messages that it made.
CREATE TABLE idempotency (
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
CREATE INDEX idempotency_age ON idempotency (created_at);
CREATE INDEX idempotency_chat ON idempotency (chat_id);

CREATE TABLE refresh_tokens (
    id         TEXT NOT NULL PRIMARY KEY,
    team_id    TEXT NOT NULL REFERENCES teams ON DELETE CASCADE,
    user_id    TEXT NOT NULL REFERENCES users ON DELETE CASCADE,
    family     TEXT NOT NULL,
    token_hash TEXT NOT NULL UNIQUE,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    spent_at   INTEGER
) STRICT;
CREATE INDEX refresh_tokens_family ON refresh_tokens (team_id, family);
CREATE INDEX refresh_tokens_user ON refresh_tokens (user_id);
CREATE INDEX refresh_tokens_age ON refresh_tokens (expires_at);

-- What no longer counts though its signature does: one token (jti), a login's family, or all that a user or
-- team held before a moment. Loaded at start and polled.
CREATE TABLE revoked_tokens (
    pos        INTEGER PRIMARY KEY AUTOINCREMENT,
    team_id    TEXT NOT NULL REFERENCES teams ON DELETE CASCADE,
    kind       TEXT NOT NULL CHECK (kind IN ('token', 'family', 'user', 'team', 'key')),
    subject    TEXT NOT NULL,
    before     INTEGER NOT NULL, -- tokens issued before this moment
    expires_at INTEGER NOT NULL  -- the row may go: nothing it refuses is still valid
) STRICT;
CREATE INDEX revoked_tokens_age ON revoked_tokens (expires_at);

-- down
DROP TABLE revoked_tokens;
DROP TABLE refresh_tokens;
DROP TABLE idempotency;
DROP TABLE search_index;
DROP TABLE messages;
DROP TABLE chats;
DROP TABLE api_keys;
DROP TABLE agents;
DROP TABLE users;
DROP TABLE teams;
