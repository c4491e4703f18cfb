-- What a team knows: documents, cut into chunks that are searched by meaning and by words.

-- Any of the words, whereas aerie_query() wants all of them: questions are made of many.
CREATE FUNCTION aerie_any(words text) RETURNS tsquery
    LANGUAGE sql IMMUTABLE PARALLEL SAFE STRICT
    RETURN replace(aerie_query(words)::text, '&', '|')::tsquery;

CREATE TABLE documents (
    id           uuid PRIMARY KEY,
    team_id      uuid NOT NULL REFERENCES teams ON DELETE CASCADE,
    title        text NOT NULL,
    content_type text NOT NULL,
    content_hash text NOT NULL, -- SHA-256 of what was uploaded
    metadata     jsonb NOT NULL DEFAULT '{}',
    status       text NOT NULL CHECK (status IN ('processing', 'ready', 'failed')),
    error        text,
    n_bytes      bigint NOT NULL,
    n_chars      bigint NOT NULL,
    n_chunks     bigint NOT NULL,
    created_at   timestamptz NOT NULL,
    updated_at   timestamptz NOT NULL,
    UNIQUE (team_id, content_hash)
);
CREATE INDEX documents_team ON documents (team_id, created_at DESC, id);
CREATE INDEX documents_processing ON documents (id) WHERE status = 'processing';

CREATE TABLE document_chunks (
    id          uuid PRIMARY KEY,
    team_id     uuid NOT NULL REFERENCES teams ON DELETE CASCADE,
    document_id uuid NOT NULL REFERENCES documents ON DELETE CASCADE,
    seq         bigint NOT NULL,
    content     text NOT NULL,
    words       tsvector NOT NULL GENERATED ALWAYS AS (aerie_words(content)) STORED,
    model       text,   -- who made the embedding; NULL: there is none
    dimensions  bigint,
    embedding   bytea,  -- as many little-endian floats, of length 1
    UNIQUE (document_id, seq)
);
-- Floats do not compress.
ALTER TABLE document_chunks ALTER COLUMN embedding SET STORAGE EXTERNAL;
CREATE INDEX document_chunks_team ON document_chunks (team_id, dimensions, id);
CREATE INDEX document_chunks_words ON document_chunks USING gin (words);

-- down
DROP TABLE document_chunks, documents;
DROP FUNCTION aerie_any;
