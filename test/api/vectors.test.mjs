// Embeddings compared inside PostgreSQL, where it has the extension "vector" (pgvector): the same answers as the server's own.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { EmbeddingProvider, vectorOf } from '../fake/embeddings.mjs';
import { Aerie } from '../tools/aerie.mjs';
import { kind } from '../tools/database.mjs';
import { sql } from '../tools/postgres.mjs';

const path = '/api/v1/documents';
const isThere = kind !== 'sqlite' && sql(Number(process.env.AERIE_TEST_PG_PORT), 'postgres', "select 1 from pg_available_extensions where name = 'vector'") === '1';
const skip = !isThere && (kind === 'sqlite' ? 'SQLite has no pgvector' : 'this PostgreSQL has no pgvector: Debian 13 has the package postgresql-17-pgvector');

let provider;
let off; // compares itself
before(async () => {
  provider = await new EmbeddingProvider({}).listen();
  off = await Aerie.start({ env: { EMBEDDINGS__BASE_URL: provider.baseUrl, EMBEDDINGS__MODEL: 'fake-32', DOCUMENTS__PGVECTOR: 'off', DOCUMENTS__CHUNK_CHARS: '200', DOCUMENTS__CHUNK_OVERLAP: '20' } });
});
after(async () => {
  await off?.stop();
  await provider?.close();
});

/** Another server on the same database, which may use pgvector. */
async function startBeside() {
  const beside = new Aerie();
  beside.database.drop();
  beside.database = { drop() {} };
  beside.env = { ...off.env, DOCUMENTS__PGVECTOR: 'auto' };
  return beside.listen();
}

const nouns = 'river stone cloud engine paper bread garden winter signal ladder copper violin'.split(' ');
const textOf = (i) => `${nouns[i % 12]} ${nouns[(i * 5 + 1) % 12]} ${nouns[(i * 7 + 3) % 12]} number${i}`;
async function add(client, content) {
  const answer = await client.post(path, { content });
  assert.equal(answer.status, 201, answer.text);
  assert.equal(answer.json.status, 'ready', answer.json.error);
  return answer.json;
}

const ask = async (server, client, fields) => {
  const answer = await server.client(client.token).post(`${path}/search`, fields);
  assert.equal(answer.status, 200, answer.text);
  return answer.json;
};
const questions = [
  ...nouns.map((noun, i) => ({ query: `${noun} ${nouns[(i + 4) % 12]}`, match_count: 50 })),
  { query: 'river stone', match_threshold: 0.4, match_count: 50 },
  { query: 'number7' },
  { query: 'ladder', match_count: 1 },
  { embedding: Array.from(vectorOf('copper violin'), (x) => x * 3) },
  { embedding: [1, 2, 3] },
];
/** Both servers find the same, in the same order; answers how many hits were compared. */
async function agree(beside, client) {
  let n = 0;
  for (const fields of questions) {
    const [own, theirs] = await Promise.all([ask(off, client, fields), ask(beside, client, fields)]);
    assert.equal(theirs.mode, 'vector');
    assert.deepEqual(theirs.results.map((hit) => hit.chunk_id), own.results.map((hit) => hit.chunk_id), JSON.stringify(fields));
    theirs.results.forEach((hit, i) => assert.ok(Math.abs(hit.similarity - own.results[i].similarity) < 1e-6));
    n += own.results.length;
  }
  return n;
}

test('pgvector_finds_what_the_server_finds_whoever_wrote_it_and_when', { skip }, async () => {
  const other = (await off.otherTeam()).admin;
  const documents = [];
  for (let i = 0; i < 60; i++) documents.push(await add(other, textOf(i)));
  await add(off.admin, 'river stone cloud: of another team');
  await add(other, Array.from({ length: 200 }, (_, i) => `word${i}`).join(' ')); // several chunks
  const beside = await startBeside();
  const vectors = () => Number(off.database.query('select count(*) from document_vectors'));
  try {
    assert.match(beside.log, /[1-9]\d* embeddings were brought to pgvector/);
    assert.match(beside.log, /embeddings are compared by pgvector/);
    assert.ok((await agree(beside, other)) > 500);

    // Later ones too, also from a server that does not use it; and those that go.
    for (let i = 60; i < 80; i++) await add(i % 2 ? other : beside.client(other.token), textOf(i));
    const n = vectors();
    for (const document of documents.slice(0, 5)) assert.equal((await other.delete(`${path}/${document.id}`)).status, 204);
    assert.equal(vectors(), n - 5);
    assert.ok((await agree(beside, other)) > 500);

    // It is PostgreSQL that is asked; and what is missing comes back with the next start.
    off.database.query('delete from document_vectors');
    const text = textOf(70);
    assert.notEqual((await ask(off, other, { query: text })).results[0].similarity, null);
    assert.deepEqual((await ask(beside, other, { query: text })).results, []);
    await beside.halt();
    await beside.listen();
    assert.equal(vectors(), n - 5);
    assert.ok((await agree(beside, other)) > 500);
  } finally {
    await beside.stop();
  }
});

test('the_extension_may_go_while_servers_run_and_come_back', { skip }, async () => {
  const other = (await off.otherTeam()).admin;
  for (let i = 0; i < 20; i++) await add(other, textOf(i));
  const beside = await startBeside();
  try {
    off.database.query('drop extension vector cascade');
    await add(beside.client(other.token), textOf(20));
    assert.ok((await agree(beside, other)) > 100);
    assert.match(beside.log, /pgvector did not answer, so the server compares/);
    await beside.halt();
    await beside.listen();
    off.database.query('delete from document_vectors where false'); // the table is there again
    await add(other, textOf(21));
    assert.ok((await agree(beside, other)) > 100);
    assert.equal(off.database.query('select count(*) from document_vectors'), off.database.query('select count(embedding) from document_chunks'));
  } finally {
    await beside.stop();
  }
});

test('without_the_extension_the_server_compares', { skip: kind === 'sqlite' && 'SQLite has no pgvector' }, async () => {
  const aerie = new Aerie();
  try {
    // As where the package is not installed, or its role may not create it.
    aerie.prepare();
    aerie.database.query("create or replace function aerie_vectors_begin() returns boolean language sql as 'select false'");
    await aerie.listen();
    assert.match(aerie.log, /embeddings are compared by the server/);
  } finally {
    await aerie.stop();
  }
  assert.doesNotMatch(off.log, /pgvector/);
});

test('the_schema_can_be_undone_with_vectors_in_it', { skip }, async () => {
  const aerie = await Aerie.start();
  try {
    assert.equal(aerie.database.query("select to_regclass('document_vectors') is not null"), 't');
    await aerie.halt();
    for (const step of ['down', 'down', 'down', 'up']) aerie.command(['migrate', step]);
    await aerie.listen();
    assert.equal(aerie.database.query("select to_regclass('document_vectors') is not null"), 't');
  } finally {
    await aerie.stop();
  }
});
