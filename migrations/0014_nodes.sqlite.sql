-- What nodes, the serving processes that share this database, know of each other: who is there, and who runs a turn.
CREATE TABLE nodes (
    id          TEXT NOT NULL PRIMARY KEY,
    name        TEXT NOT NULL,    -- its host and process, for people
    address     TEXT,             -- where other nodes reach it; NULL: nowhere
    version     TEXT NOT NULL,
    started_at  INTEGER NOT NULL, -- by its own clock
    seen_at     INTEGER NOT NULL,
    is_draining INTEGER NOT NULL,
    clock_ms    INTEGER NOT NULL DEFAULT 0 -- there is one clock
) STRICT, WITHOUT ROWID;

ALTER TABLE messages ADD COLUMN node_id TEXT;  -- who writes this reply; NULL: nobody is to
ALTER TABLE documents ADD COLUMN node_id TEXT; -- who makes its embeddings
DROP INDEX messages_streaming;
CREATE INDEX messages_streaming ON messages (chat_id) WHERE status = 'streaming';

-- down
DROP INDEX messages_streaming;
CREATE INDEX messages_streaming ON messages (id) WHERE status = 'streaming';
ALTER TABLE documents DROP COLUMN node_id;
ALTER TABLE messages DROP COLUMN node_id;
DROP TABLE nodes;
