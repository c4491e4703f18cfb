// What tests of backups and moves share: a database with rows of every kind, and what a server says of it.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { freshDatabase } from './database.mjs';
import { startPostgres } from './postgres.mjs';
import { Aerie } from './aerie.mjs';

const script = fileURLToPath(new URL('many_rows.py', import.meta.url));

/** A PostgreSQL for this file, unless the run has one. */
export async function somePostgres() {
  if (process.env.AERIE_TEST_PG_PORT) return { stop: async () => {} };
  const cluster = await startPostgres({ isQuiet: true });
  process.env.AERIE_TEST_PG_PORT = String(cluster.port);
  return cluster;
}

/** What is old is not cleaned away while a test looks. */
const kept = { USAGE__KEEP_DAYS: '0', SESSIONS__KEEP_DAYS: '0', BUDGETS__IDLE_SECONDS: '3600' };
const withKept = (options) => ({ ...options, env: { ...kept, ...options.env } });

/** An installation on SQLite, not serving yet, with so many messages more. */
export function filled(n, options = {}) {
  const aerie = new Aerie({ database: 'sqlite', ...withKept(options) });
  aerie.prepare();
  fill(aerie, n);
  return aerie;
}

export function fill(aerie, n, { slug = aerie.team.slug, seed = 1 } = {}) {
  execFileSync('python3', [script, join(aerie.folder, 'test.db'), slug, String(n), String(seed)], { stdio: ['ignore', 'inherit', 'inherit'] });
}

/** Another installation: an empty database of that kind. */
export function emptyPlace(kind, options = {}) {
  return new Aerie({ database: kind, ...withKept(options) });
}

export const emptyPostgres = (folder) => freshDatabase(folder, 'postgres');

/** Texts and blobs as the database itself has them, each column of a table in one number, around Aerie. */
export function digests(database) {
  return [['messages', 'content'], ['messages', 'status'], ['messages', 'model'], ['chats', 'title'], ['users', 'avatar'], ['agents', 'system_prompt'],
    ['document_chunks', 'content'], ['document_chunks', 'embedding']].map(([table, column]) =>
    `${table}.${column} ${database.kind === 'sqlite' ? digestOfSqlite(database, table, column) : digestOfPostgres(database, table, column)}`);
}

function digestOfPostgres(database, table, column) {
  const value = column === 'embedding' ? "encode(embedding, 'hex')" : column;
  return database.query(`select md5(coalesce(string_agg(id || ':' || coalesce(${value}, '-'), '|' order by id::text collate "C"), '')) from ${table}`);
}

function digestOfSqlite(database, table, column) {
  return execFileSync('python3', ['-c', `import hashlib, sqlite3, sys
path, table, column = sys.argv[1:]
rows = sqlite3.connect(path, timeout=10).execute(f"SELECT id, {column} FROM {table} ORDER BY id")
value = lambda v: "-" if v is None else v.hex() if isinstance(v, bytes) else v
print(hashlib.md5("|".join(f"{i}:{value(v)}" for i, v in rows).encode()).hexdigest())`, database.url.replace('sqlite:///', ''), table, column], { encoding: 'utf8' }).trim();
}

/** Rows by table. */
export const TABLES = ['teams', 'users', 'agents', 'api_keys', 'chats', 'messages', 'documents', 'document_chunks', 'usage_days', 'budgets', 'budget_spend', 'revoked_tokens', 'refresh_tokens'];
export function counts(database) {
  const rows = database.query(TABLES.map((table) => `select '${table}', count(*) from ${table}`).join(' union all '));
  return Object.fromEntries(rows.split('\n').map((row) => row.split('|')).map(([table, n]) => [table, Number(n)]));
}

/** What its API answers to an admin: the lists, and the history of each of the admin's chats. */
export async function answers(aerie) {
  const get = async (path) => {
    const answer = await aerie.admin.get(path);
    assert.equal(answer.status, 200, `${path}: ${answer.text}`);
    return answer.json;
  };
  const all = { agents: await get('/api/agents'), team: await get('/api/team'), documents: await get('/api/v1/documents?limit=100'), usage: await get('/api/usage?from=2023-11-01&to=2024-01-31'), budgets: await get('/api/budgets') };
  for (const budget of all.budgets) delete budget.reserved; // what servers have at hand
  all.chats = await get('/api/chats?limit=100');
  all.histories = [];
  for (const chat of all.chats.slice(0, 40)) all.histories.push(await get(`/api/chats/${chat.id}/messages?limit=200`));
  all.found = (await get(`/api/chats?q=${encodeURIComponent('plain words')}&limit=100`)).map((chat) => chat.id).sort();
  return all;
}

/** A table of rows as a command prints it with --json, without what counts migrations. */
export function printedCounts(text) {
  const rows = text.trim().split('\n').map((line) => JSON.parse(line));
  return Object.fromEntries(rows.filter(({ table }) => TABLES.includes(table)).map(({ table, rows: n }) => [table, n]));
}
