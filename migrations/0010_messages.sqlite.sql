-- The same table with its CHECKs spelled out: for each IN of three values SQLite makes a table of them whenever a row is
-- written, five times for a message and its reply. That was a third of the writer's work.
CREATE TABLE new_messages (
    pos        INTEGER PRIMARY KEY AUTOINCREMENT, -- the message's row in search_index
    id         TEXT NOT NULL UNIQUE,
    team_id    TEXT NOT NULL REFERENCES teams ON DELETE CASCADE,
    chat_id    TEXT NOT NULL REFERENCES chats (id) ON DELETE CASCADE,
    seq        INTEGER NOT NULL,
    role       TEXT NOT NULL CHECK (role = 'user' OR role = 'assistant' OR role = 'system'),
    content    TEXT NOT NULL,
    status     TEXT NOT NULL CHECK (status = 'complete' OR status = 'streaming' OR status = 'stopped' OR
                                    status = 'interrupted' OR status = 'error'),
    model      TEXT,
    usage      TEXT,
    metadata   TEXT NOT NULL DEFAULT '{}',
    created_at INTEGER NOT NULL,
    is_indexed INTEGER NOT NULL DEFAULT 0,
    UNIQUE (chat_id, seq)
) STRICT;
INSERT INTO new_messages SELECT * FROM messages;
UPDATE sqlite_sequence SET seq = (SELECT seq FROM sqlite_sequence WHERE name = 'messages') WHERE name = 'new_messages';
DROP TABLE messages;
ALTER TABLE new_messages RENAME TO messages;
CREATE INDEX messages_streaming ON messages (id) WHERE status = 'streaming';
CREATE INDEX messages_to_index ON messages (pos) WHERE is_indexed = 0;

-- down
CREATE TABLE old_messages (
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
INSERT INTO old_messages SELECT * FROM messages;
UPDATE sqlite_sequence SET seq = (SELECT seq FROM sqlite_sequence WHERE name = 'messages') WHERE name = 'old_messages';
DROP TABLE messages;
ALTER TABLE old_messages RENAME TO messages;
CREATE INDEX messages_streaming ON messages (id) WHERE status = 'streaming';
CREATE INDEX messages_to_index ON messages (pos) WHERE is_indexed = 0;
