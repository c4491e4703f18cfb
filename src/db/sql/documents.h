/* Statements over documents and document_chunks. See db/sql.h for what a row says. */

/* The columns of a document, in the order of enum document_column in document/document.h. */
#define DOCUMENT_COLUMNS                                                                                             \
    "id, title, content_type, content_hash, metadata, status, error, n_bytes, n_chars, n_chunks, created_at, "      \
    "updated_at"
/* Nothing when the team has the same content already, or $12 documents (after TEAM_LOCK). $13: the node that makes its embeddings. */
STATEMENT(DOCUMENT_ADD, SQL_WRITE, NULL,
          "INSERT INTO documents (id, team_id, title, content_type, content_hash, metadata, status, n_bytes, n_chars,"
          " n_chunks, created_at, updated_at, node_id) SELECT $2::uuid, $1::uuid, $3::text, $4::text, $5::text, $6::jsonb,"
          " $7::text, $8::bigint, $9::bigint, $10::bigint, $11::timestamptz, $11::timestamptz, $13::uuid"
          " WHERE (SELECT count(*) FROM documents WHERE team_id = $1::uuid) < $12::bigint"
          " ON CONFLICT (team_id, content_hash) DO NOTHING",
          "INSERT INTO documents (id, team_id, title, content_type, content_hash, metadata, status, n_bytes, n_chars,"
          " n_chunks, created_at, updated_at, node_id) SELECT $2, $1, $3, $4, $5, $6, $7, $8, $9, $10, $11, $11, $13"
          " WHERE (SELECT count(*) FROM documents WHERE team_id = $1) < $12"
          " ON CONFLICT (team_id, content_hash) DO NOTHING")
STATEMENT(DOCUMENT_COUNT, SQL_READ, NULL, "SELECT count(*) FROM documents WHERE team_id = $1", NULL)
STATEMENT(DOCUMENT_FIND_HASH, SQL_READ, NULL,
          "SELECT " DOCUMENT_COLUMNS " FROM documents WHERE team_id = $1 AND content_hash = $2", NULL)
STATEMENT(DOCUMENT_GET, SQL_READ, NULL,
          "SELECT " DOCUMENT_COLUMNS " FROM documents WHERE team_id = $1 AND id = $2", NULL)
STATEMENT(DOCUMENT_LIST, SQL_READ, NULL,
          "SELECT " DOCUMENT_COLUMNS " FROM documents WHERE team_id = $1 ORDER BY created_at DESC, id DESC"
          " LIMIT $2 OFFSET $3",
          NULL)
STATEMENT(DOCUMENT_REMOVE, SQL_WRITE, NULL, "DELETE FROM documents WHERE team_id = $1 AND id = $2", NULL)
STATEMENT(DOCUMENT_SET_STATUS, SQL_WRITE, NULL,
          "UPDATE documents SET status = $3, error = $4, updated_at = $5 WHERE team_id = $1 AND id = $2", NULL)
/* At start, and now and then: what no living node embeds any more. */
#define DOCUMENT_BROKEN_OFF "The server ended before it was embedded"
STATEMENT(DOCUMENTS_INTERRUPTED, SQL_WRITE, "what an earlier process left half done, in every team",
          "UPDATE documents SET status = 'failed', error = '" DOCUMENT_BROKEN_OFF "' WHERE status = 'processing'"
          " AND NOT EXISTS (SELECT 1 FROM nodes n WHERE n.id = documents.node_id)",
          NULL)

/* $3: [{"id", "content"}] in their order. */
STATEMENT(CHUNKS_ADD, SQL_WRITE, NULL,
          "INSERT INTO document_chunks (id, team_id, document_id, seq, content)"
          " SELECT (c.value->>'id')::uuid, d.team_id, d.id, c.seq, c.value->>'content' FROM documents d,"
          " jsonb_array_elements($3::jsonb) WITH ORDINALITY AS c (value, seq) WHERE d.team_id = $1 AND d.id = $2"
          " ON CONFLICT (id) DO NOTHING",
          "INSERT INTO document_chunks (id, team_id, document_id, seq, content)"
          " SELECT c.value ->> 'id', d.team_id, d.id, c.key + 1, c.value ->> 'content' FROM documents d,"
          " json_each($3) c WHERE d.team_id = $1 AND d.id = $2 ON CONFLICT (id) DO NOTHING")
/* Those that have no embedding by model $3 with $4 dimensions (NULL: of any number). */
STATEMENT(CHUNKS_TO_EMBED, SQL_READ, NULL,
          "SELECT id, content FROM document_chunks WHERE team_id = $1 AND document_id = $2"
          " AND (model IS NULL OR model <> $3 OR dimensions <> coalesce($4, dimensions)) ORDER BY seq LIMIT $5",
          NULL)
STATEMENT(CHUNK_EMBED, SQL_WRITE, NULL,
          "UPDATE document_chunks SET model = $3, dimensions = $4, embedding = $5 WHERE team_id = $1 AND id = $2", NULL)
/* A page of embeddings, after chunk $4 (NULL: from the beginning). $3: by this model, NULL: by any. */
STATEMENT(CHUNK_EMBEDDINGS, SQL_SLOW, NULL,
          "SELECT id, embedding FROM document_chunks WHERE team_id = $1 AND dimensions = $2"
          " AND (model = $3 OR $3 IS NULL) AND id > coalesce($4, '00000000-0000-0000-0000-000000000000'::uuid)"
          " ORDER BY id LIMIT $5",
          "SELECT id, embedding FROM document_chunks WHERE team_id = $1 AND dimensions = $2"
          " AND (model = $3 OR $3 IS NULL) AND id > coalesce($4, '') ORDER BY id LIMIT $5")
/* The $5 chunks nearest to $4, best first, by PostgreSQL's extension: where VECTORS_BEGIN said true. */
STATEMENT(CHUNKS_NEAREST, SQL_SLOW, NULL,
          "SELECT id, similarity FROM aerie_nearest(team_id => $1, n_dimensions => $2, by_model => $3, query => $4, n => $5)",
          "SELECT id, '' FROM document_chunks WHERE team_id = $1 LIMIT 0")
/* $2: an array of chunks' ids. */
STATEMENT(CHUNKS_GET, SQL_READ, NULL,
          "SELECT c.id, c.document_id, d.title, c.content, d.metadata FROM document_chunks c"
          " JOIN documents d ON d.id = c.document_id WHERE c.team_id = $1"
          " AND c.id IN (SELECT CAST(value AS uuid) FROM jsonb_array_elements_text($2))",
          "SELECT c.id, c.document_id, d.title, c.content, d.metadata FROM document_chunks c"
          " JOIN documents d ON d.id = c.document_id WHERE c.team_id = $1"
          " AND c.id IN (SELECT value FROM json_each($2))")
/* By words, best first. $2: what was asked; $7: the same in FTS5's language. $3: only chunks that have no embedding of $4
 * dimensions by model $5 (NULL: by any), as those that have one were compared already. $6: how many. */
STATEMENT(CHUNKS_BY_WORDS, SQL_SLOW, NULL,
          "SELECT c.id, c.document_id, d.title, c.content, d.metadata FROM document_chunks c"
          " JOIN documents d ON d.id = c.document_id WHERE c.team_id = $1 AND c.words @@ aerie_any($2)"
          " AND (NOT $3 OR c.model IS NULL OR c.dimensions <> $4 OR c.model <> $5)"
          " ORDER BY ts_rank(c.words, aerie_any($2)) DESC, c.id LIMIT $6",
          "SELECT c.id, c.document_id, d.title, c.content, d.metadata FROM document_index i"
          " JOIN document_chunks c ON c.pos = i.rowid JOIN documents d ON d.id = c.document_id"
          " WHERE c.team_id = $1 AND document_index MATCH $7"
          " AND (NOT $3 OR c.model IS NULL OR c.dimensions <> $4 OR c.model <> $5)"
          " ORDER BY bm25(document_index, 0.0, 1.0), c.id LIMIT $6")
STATEMENT(VECTORS_BEGIN, SQL_WRITE, "start-up: is there pgvector?", "SELECT aerie_vectors_begin()", "SELECT 0")
STATEMENT(VECTORS_FILL, SQL_WRITE, "start-up: the embeddings of every team", "SELECT aerie_vectors_fill($1)", "SELECT 0")
#undef DOCUMENT_COLUMNS
