// What takes data from one place to another: all of it arrives or none of it does, and what went wrong is said with what to do.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { binaryPath, serverEnv } from '../tools/aerie.mjs';
import { answers, counts, digests, emptyPostgres, filled, somePostgres } from '../tools/moving.mjs';

const MESSAGES = Number(process.env.AERIE_TEST_MOVED ?? 2000);
let cluster;
before(async () => (cluster = await somePostgres()));
after(() => cluster.stop());

const lines = (text) => text.trim().split('\n');
const json = (text) => lines(text).map((line) => JSON.parse(line));

/** Fails with 1 and these words, and says nothing on stdout. */
function refuses(aerie, args, words, options = {}) {
  const ran = aerie.tryCommand(args, options);
  assert.equal(ran.status, 1, `${args.join(' ')}: ${ran.status} ${ran.stdout}${ran.stderr}`);
  assert.match(ran.stderr, words);
  return ran;
}

test('a_sqlite_database_moves_to_postgresql_and_answers_as_before', async () => {
  const aerie = filled(MESSAGES);
  const target = emptyPostgres(aerie.folder);
  try {
    await aerie.listen();
    await aerie.makeAdmin();
    const agent = (await aerie.admin.get('/api/agents')).json.find(({ provider }) => provider === 'echo');
    await aerie.admin.ask(await aerie.admin.chat(agent), 'Grüße 👋, is anyone there?');
    const before = await answers(aerie);
    assert.ok(before.chats.length > 3 && before.histories.flat().length > 20 && before.found.length > 0, 'there is something to compare');
    refuses(aerie, ['migrate-to', target.url], /stop it first[^]*in use by another server/);
    assert.deepEqual(target.query("select count(*) from pg_tables where schemaname = 'public'"), '0', 'nothing was begun');
    await aerie.halt();

    const had = { counts: counts(aerie.database), digests: digests(aerie.database) };
    assert.ok(had.counts.messages >= MESSAGES);
    const told = json(aerie.command(['migrate-to', target.url, '--json']));
    assert.deepEqual({ counts: counts(target), digests: digests(target) }, had);
    for (const { table, sqlite, postgresql } of told) assert.deepEqual([sqlite, postgresql], [had.counts[table] ?? sqlite, had.counts[table] ?? sqlite], table);
    refuses(aerie, ['migrate-to', target.url], /that database is not empty \(teams has 1 rows\): make a new one/);

    Object.assign(aerie.env, target.env);
    await aerie.listen();
    await aerie.makeAdmin();
    assert.deepEqual(await answers(aerie), before);
    await aerie.admin.ask(before.chats[0], 'and on it goes');
    refuses(aerie, ['migrate-to', target.url], /not a SQLite file: it is moved already/);
  } finally {
    await aerie.halt();
    aerie.drop();
    target.drop();
  }
});

test('a_move_that_is_cut_off_has_moved_nothing_and_can_be_begun_again', async () => {
  const aerie = filled(300);
  const target = emptyPostgres(aerie.folder);
  const env = { ...aerie.env, ...target.env };
  try {
    aerie.command(['migrate', 'up'], { env });
    const held = target.hold('begin; lock table messages in share mode; select pg_sleep(60)').catch(() => {});
    const child = spawn(binaryPath(), ['migrate-to', target.url], { env: serverEnv(aerie.env), cwd: aerie.folder, stdio: 'ignore' });
    const ended = new Promise((resolve) => child.once('exit', resolve));
    const waits = () => target.query("select count(*) from pg_stat_activity where wait_event_type = 'Lock' and query like 'COPY %messages%'") === '1';
    for (let i = 0; i < 500 && !waits(); i++) await sleep(20);
    assert.ok(waits(), 'it is in the middle');
    child.kill('SIGKILL');
    await ended;
    target.query("select pg_terminate_backend(pid) from pg_stat_activity where query like '%pg_sleep%' and pid <> pg_backend_pid()");
    await held;
    assert.deepEqual(Object.values(counts(target)).filter((n) => n > 0), [], 'nothing is there');
    aerie.command(['migrate-to', target.url]);
    assert.deepEqual(counts(target), counts(aerie.database));
  } finally {
    aerie.drop();
    target.drop();
  }
});

test('what_cannot_be_moved_is_named_and_leaves_the_target_empty', () => {
  const aerie = filled(100);
  const target = emptyPostgres(aerie.folder);
  try {
    aerie.database.query('create table later (id text)');
    refuses(aerie, ['migrate-to', target.url], /the database has a table later, of which this program does not know/);
    aerie.database.query('drop table later');
    aerie.database.query("update messages set content = cast(x'4772fc6e' as text) where seq = 2");
    refuses(aerie, ['migrate-to', target.url], /messages: content of a row is no text that a database takes/);
    aerie.database.query("update messages set content = 'well' where seq = 2");
    aerie.database.query("update messages set metadata = '{' where seq = 2");
    refuses(aerie, ['migrate-to', target.url], /messages: a value does not fit its type/);
    aerie.database.query("update messages set metadata = '{}' where seq = 2");
    assert.deepEqual(Object.values(counts(target)).filter((n) => n > 0), []);
    refuses(aerie, ['migrate-to', 'postgresql://aerie@127.0.0.1:1/none'], /cannot use the PostgreSQL database/);
    refuses(aerie, ['migrate-to', 'mysql://x'], /must begin with postgresql:/);
    aerie.command(['migrate-to', target.url]);
    assert.deepEqual(counts(target), counts(aerie.database));
  } finally {
    aerie.drop();
    target.drop();
  }
});
