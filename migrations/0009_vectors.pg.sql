-- Searching by meaning inside PostgreSQL, where it has the extension "vector" (pgvector). That may come and go at any time, so
-- what needs it is not made here: a server that starts calls aerie_vectors_begin(), then aerie_vectors_fill() until it answers 0.

-- From little-endian floats, exactly.
CREATE FUNCTION aerie_floats(bytes bytea) RETURNS real[]
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE STRICT AS $$
DECLARE
    floats real[] := array_fill(0::real, ARRAY[octet_length(bytes) / 4]);
    bits integer;
    exponent integer;
BEGIN
    FOR i IN 0 .. octet_length(bytes) / 4 - 1 LOOP
        bits := get_byte(bytes, i * 4) | (get_byte(bytes, i * 4 + 1) << 8)
            | (get_byte(bytes, i * 4 + 2) << 16) | (get_byte(bytes, i * 4 + 3) << 24);
        exponent := (bits >> 23) & 255;
        floats[i + 1] := CASE WHEN bits < 0 THEN -1 ELSE 1 END * power(2::float8, greatest(exponent, 1) - 150)
            * CASE WHEN exponent = 0 THEN bits & 8388607 ELSE bits & 8388607 | 8388608 END;
    END LOOP;
    RETURN floats;
END $$;

-- For a trigger that is there as long as the extension is.
CREATE FUNCTION aerie_vector_keep() RETURNS trigger
    LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM document_vectors WHERE chunk_id = NEW.id;
    INSERT INTO document_vectors (chunk_id, team_id, model, dimensions, embedding)
        SELECT NEW.id, NEW.team_id, NEW.model, NEW.dimensions, CAST(aerie_floats(NEW.embedding) AS vector)
        WHERE octet_length(NEW.embedding) = NEW.dimensions * 4 AND NEW.dimensions <= 16000
        ON CONFLICT (chunk_id) DO UPDATE
        SET model = excluded.model, dimensions = excluded.dimensions, embedding = excluded.embedding;
    RETURN NULL;
END $$;

-- True: the extension is there, and each embedding that is written from now on is kept as a vector too.
CREATE FUNCTION aerie_vectors_begin() RETURNS boolean
    LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(4702394921090429542); -- one server at a time
    BEGIN
        CREATE EXTENSION IF NOT EXISTS vector;
    EXCEPTION WHEN OTHERS THEN
        RETURN false;
    END;
    IF to_regtype('vector') IS NULL THEN -- in a schema that is not searched
        RETURN false;
    END IF;
    IF EXISTS (SELECT 1 FROM pg_attribute WHERE attrelid = to_regclass('document_vectors')
               AND atttypid = to_regtype('vector') AND NOT attisdropped) THEN
        RETURN true;
    END IF;
    DROP TABLE IF EXISTS document_vectors; -- its vectors went with the extension
    -- Rows stay whole up to a page: most of a search would be spent on fetching what is kept elsewhere.
    CREATE TABLE document_vectors (
        chunk_id   uuid PRIMARY KEY REFERENCES document_chunks ON DELETE CASCADE,
        team_id    uuid NOT NULL,
        model      text NOT NULL,
        dimensions bigint NOT NULL,
        embedding  vector NOT NULL
    ) WITH (toast_tuple_target = 8160);
    ALTER TABLE document_vectors ALTER COLUMN embedding SET STORAGE EXTERNAL;
    CREATE INDEX document_vectors_team ON document_vectors (team_id, dimensions);
    CREATE TRIGGER document_chunks_vector AFTER INSERT OR UPDATE OF embedding ON document_chunks
        FOR EACH ROW WHEN (NEW.embedding IS NOT NULL) EXECUTE FUNCTION aerie_vector_keep();
    ALTER TRIGGER document_chunks_vector ON document_chunks DEPENDS ON EXTENSION vector;
    RETURN true;
END $$;

-- Takes in up to n of the embeddings that were there before; 0: all are in.
CREATE FUNCTION aerie_vectors_fill(n bigint) RETURNS bigint
    LANGUAGE plpgsql AS $$
DECLARE
    n_filled bigint;
BEGIN
    WITH missing AS (
        SELECT c.id, c.team_id, c.model, c.dimensions, c.embedding FROM document_chunks c
        WHERE octet_length(c.embedding) = c.dimensions * 4 AND c.dimensions <= 16000
        AND NOT EXISTS (SELECT 1 FROM document_vectors v WHERE v.chunk_id = c.id)
        LIMIT n FOR KEY SHARE OF c
    )
    INSERT INTO document_vectors (chunk_id, team_id, model, dimensions, embedding)
        SELECT id, team_id, model, dimensions, CAST(aerie_floats(embedding) AS vector) FROM missing
        ON CONFLICT (chunk_id) DO NOTHING;
    GET DIAGNOSTICS n_filled = ROW_COUNT;
    RETURN n_filled;
END $$;

-- The nearest n, best first. by_model NULL: by any. Vectors are of length 1, so their product is the cosine.
CREATE FUNCTION aerie_nearest(team_id uuid, n_dimensions bigint, by_model text, query text, n bigint)
    RETURNS TABLE (id uuid, similarity text)
    LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN QUERY SELECT near.chunk_id, (-near.distance)::text FROM (
        SELECT v.chunk_id, v.embedding <#> (SELECT CAST(query AS vector)) AS distance FROM document_vectors v
        WHERE v.team_id = aerie_nearest.team_id AND v.dimensions = n_dimensions AND (v.model = by_model OR by_model IS NULL)
        ORDER BY distance, v.chunk_id LIMIT n
    ) near ORDER BY near.distance, near.chunk_id;
END $$;

-- down
DROP TRIGGER IF EXISTS document_chunks_vector ON document_chunks;
DROP TABLE IF EXISTS document_vectors;
DROP FUNCTION aerie_nearest, aerie_vectors_fill, aerie_vectors_begin, aerie_vector_keep, aerie_floats;
