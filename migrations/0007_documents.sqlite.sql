-- What a team knows: documents, cut into chunks that are searched by meaning and by words.

CREATE TABLE documents (
    id           TEXT NOT NULL PRIMARY KEY,
    team_id      TEXT NOT NULL REFERENCES teams ON DELETE CASCADE,
    title        TEXT NOT NULL,
    content_type TEXT NOT NULL,
    content_hash TEXT NOT NULL, -- SHA-256 of what was uploaded
    metadata     TEXT NOT NULL DEFAULT '{}',
    status       TEXT NOT NULL CHECK (status IN ('processing', 'ready', 'failed')),
    error        TEXT,
    n_bytes      INTEGER NOT NULL,
    n_chars      INTEGER NOT NULL,
    n_chunks     INTEGER NOT NULL,
    created_at   INTEGER NOT NULL,
    updated_at   INTEGER NOT NULL,
    UNIQUE (team_id, content_hash)
) STRICT;
CREATE INDEX documents_team ON documents (team_id, created_at DESC, id);
CREATE INDEX documents_processing ON documents (id) WHERE status = 'processing';

CREATE TABLE document_chunks (
    pos         INTEGER PRIMARY KEY AUTOINCREMENT, -- the chunk's row in document_index
    id          TEXT NOT NULL UNIQUE,
    team_id     TEXT NOT NULL REFERENCES teams ON DELETE CASCADE,
    document_id TEXT NOT NULL REFERENCES documents ON DELETE CASCADE,
    seq         INTEGER NOT NULL,
    content     TEXT NOT NULL,
    model       TEXT,    -- who made the embedding; NULL: there is none
    dimensions  INTEGER,
    embedding   BLOB,    -- as many little-endian floats, of length 1
    UNIQUE (document_id, seq)
) STRICT;
CREATE INDEX document_chunks_team ON document_chunks (team_id, dimensions, id);

-- Words of chunks; the text itself stays in document_chunks. A search names the team as one of the words.
CREATE VIRTUAL TABLE document_index USING fts5 (
    team_id, content, content = 'document_chunks', content_rowid = 'pos',
    tokenize = 'unicode61 remove_diacritics 0'
);
CREATE TRIGGER document_chunks_added AFTER INSERT ON document_chunks BEGIN
    INSERT INTO document_index (rowid, team_id, content) VALUES (new.pos, new.team_id, new.content);
END;
CREATE TRIGGER document_chunks_removed AFTER DELETE ON document_chunks BEGIN
    INSERT INTO document_index (document_index, rowid, team_id, content)
    VALUES ('delete', old.pos, old.team_id, old.content);
END;

-- down
DROP TABLE document_index;
DROP TABLE document_chunks;
DROP TABLE documents;
