import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { startUpstream } from '../fake/upstream.mjs';
import { Aerie, binaryPath } from '../tools/aerie.mjs';

let upstream;
before(async () => (upstream = await startUpstream()));
after(() => upstream?.close());

async function withServer(run, env = {}) {
  const aerie = await Aerie.start({ env: { TURN__CHECKPOINT_MS: 200, ...env } });
  try {
    await run(aerie, await aerie.admin.agent({ webhook_url: upstream.url() }));
    await aerie.stop();
  } finally {
    if (aerie.child) aerie.drop();
  }
}

test('a_reply_cut_by_a_kill_is_kept_and_marked_interrupted', () =>
  withServer(async (aerie, agent) => {
    const chat = await aerie.admin.chat(agent);
    const headers = { 'Idempotency-Key': randomUUID() };
    const stream = await aerie.admin.send(chat, '!tokens=500&delay=20', { headers });
    await stream.until((s) => s.of('message').length > 40);
    const seen = stream.text;
    await aerie.kill();
    await stream.ended;
    assert.equal(stream.done, undefined, 'a cut, not an end');
    await aerie.listen();
    const messages = await aerie.admin.messages(chat);
    assert.deepEqual(messages.map((m) => [m.role, m.status]), [['user', 'complete'], ['assistant', 'interrupted']]);
    const kept = messages[1].content;
    assert.ok(kept.startsWith('tok0 tok1'), kept.slice(0, 50));
    assert.ok(seen.startsWith(kept) || kept.startsWith(seen));
    assert.ok(seen.length - kept.length < 600, `${seen.length - kept.length} characters behind`);
    assert.equal((await aerie.admin.follow(chat)).status, 204, 'no turn runs');
    const again = await aerie.admin.send(chat, '!tokens=500&delay=20', { headers });
    assert.ok(again.status < 500, `the same key after a crash: ${again.status} ${again.text}`);
    await again.whole?.().catch(() => {});
    assert.equal((await aerie.admin.messages(chat)).filter((m) => m.role === 'user').length, 1, 'neither doubled nor lost');
    const next = await aerie.admin.ask(chat, '!tokens=1');
    assert.ok(next.done, 'the chat goes on');
  }));

/** The files of journals that are there. */
const journals = (aerie) => readdirSync(join(aerie.env.DATA_DIR, 'replies'), { recursive: true }).filter((name) => name.endsWith('.journal'));

test('a_long_reply_is_kept_to_its_last_4_kib_or_checkpoint_and_leaves_no_file', () =>
  withServer(async (aerie, agent) => {
    const chat = await aerie.admin.chat(agent);
    const stream = await aerie.admin.send(chat, '!tokens=20000&delay=1');
    await stream.until((s) => s.text.length > 20000);
    assert.equal(journals(aerie).length, 1);
    await aerie.kill();
    await stream.ended;
    await aerie.listen();
    assert.deepEqual(journals(aerie), []);
    const [, reply] = await aerie.admin.messages(chat);
    assert.equal(reply.status, 'interrupted');
    assert.ok(stream.text.startsWith(reply.content) || reply.content.startsWith(stream.text));
    // 4 KiB, and what came while that was written.
    assert.ok(stream.text.length - reply.content.length < 12288, `${stream.text.length - reply.content.length} characters behind`);
  }, { TURN__CHECKPOINT_MS: 60000 }));

test('where_the_journal_may_not_grow_the_database_has_the_text', () =>
  withServer(async (aerie, agent) => {
    const chat = await aerie.admin.chat(agent);
    const stream = await aerie.admin.send(chat, '!tokens=5000&delay=20');
    await stream.until((s) => s.of('message').length > 100);
    assert.match(aerie.log, /journal of replies has reached turn.journal_bytes/);
    await aerie.kill();
    await aerie.listen();
    const [, reply] = await aerie.admin.messages(chat);
    assert.equal(reply.status, 'interrupted');
    assert.ok(reply.content.length > 100 && stream.text.startsWith(reply.content), reply.content);
  }, { TURN__JOURNAL_BYTES: 1, TURN__STORE_MS: 100 }));

test('a_reply_that_the_database_did_not_take_at_its_end_is_there_after_the_next_start', () =>
  withServer(async (aerie, agent) => {
    const chat = await aerie.admin.chat(agent);
    const isSqlite = aerie.database.kind === 'sqlite';
    if (!isSqlite) aerie.database.query("create function refuse() returns trigger language plpgsql as $$begin raise 'no'; end$$");
    aerie.database.query(`create trigger refuse before update of status on messages ${isSqlite ? "begin select raise(abort, 'no'); end" : 'for each row execute function refuse()'}`);
    const stream = await aerie.admin.send(chat, '!tokens=60&delay=20');
    await stream.ended;
    assert.equal(stream.of('error')[0]?.data.code, 'not_saved', JSON.stringify(stream.events.at(-1)));
    await aerie.halt(); // before it would be settled without a restart
    aerie.database.query(`drop trigger refuse${isSqlite ? '' : ' on messages'}`);
    await aerie.listen();
    const [, reply] = await aerie.admin.messages(chat);
    assert.deepEqual([reply.status, reply.content], ['interrupted', stream.text]);
    assert.deepEqual(journals(aerie), []);
  }, { TURN__SAVE_SECONDS: 1 }));

test('a_kill_before_the_first_token_leaves_the_message', () =>
  withServer(async (aerie, agent) => {
    const chat = await aerie.admin.chat(agent);
    const stream = await aerie.admin.send(chat, '!first=5000');
    await stream.until((s) => s.events.length > 0);
    await aerie.kill();
    await aerie.listen();
    const messages = await aerie.admin.messages(chat);
    assert.equal(messages[0].content, '!first=5000');
    assert.ok(messages.every((m) => m.status !== 'streaming'));
  }));

test('tokens_logouts_and_data_outlive_a_restart', () =>
  withServer(async (aerie, agent) => {
    const user = await aerie.user();
    const left = await aerie.user();
    await left.post('/api/auth/logout');
    const chat = await user.chat(agent);
    await user.ask(chat, '!tokens=2');
    await aerie.halt();
    aerie.log = '';
    await aerie.listen();
    assert.equal((await user.get('/api/auth/me')).status, 200);
    assert.equal((await left.get('/api/auth/me')).status, 401, 'a logout is for ever');
    assert.equal((await user.messages(chat)).length, 2);
    const refreshed = await aerie.request('POST', '/api/auth/refresh', { json: { refresh_token: user.refreshToken } });
    assert.equal(refreshed.status, 200);
  }));

test('sigterm_lets_streams_end_and_exits_with_0', () =>
  withServer(async (aerie, agent) => {
    const chat = await aerie.admin.chat(agent);
    const stream = await aerie.admin.send(chat, '!tokens=20&delay=40');
    await stream.until((s) => s.of('message').length > 1);
    const { child } = aerie;
    child.isToDie = true;
    child.kill('SIGTERM');
    await stream.whole();
    assert.ok(stream.done, JSON.stringify(stream.events.at(-1)));
    assert.equal(stream.text.split(' ').length, 20);
    const { code } = await child.exit;
    assert.equal(code, 0, aerie.log.slice(-2000));
    aerie.child = null;
    await aerie.listen();
    assert.equal((await aerie.admin.messages(chat)).at(-1).status, 'complete');
  }));

test('the_drain_has_an_end_and_streams_are_told', () =>
  withServer(async (aerie, agent) => {
    const chat = await aerie.admin.chat(agent);
    const stream = await aerie.admin.send(chat, '!tokens=5000&delay=50');
    await stream.until((s) => s.of('message').length > 1);
    const { child } = aerie;
    child.isToDie = true;
    const began = Date.now();
    child.kill('SIGTERM');
    await stream.ended;
    const { code } = await child.exit;
    assert.equal(code, 0, aerie.log.slice(-2000));
    assert.ok(Date.now() - began < 15000);
    assert.equal(stream.of('error').length + stream.of('done').length, 1, JSON.stringify(stream.events.at(-1)));
    aerie.child = null;
    await aerie.listen();
    const last = (await aerie.admin.messages(chat)).at(-1);
    assert.equal(last.role, 'assistant');
    assert.ok(!['streaming', 'complete'].includes(last.status), last.status);
    assert.ok(last.content.startsWith('tok0 tok1'));
  }, { SERVER__DRAIN_SECONDS: 2 }));

test('a_second_sigterm_ends_at_once', () =>
  withServer(async (aerie, agent) => {
    const stream = await aerie.admin.send(await aerie.admin.chat(agent), '!tokens=5000&delay=50');
    await stream.until((s) => s.of('message').length > 1);
    const { child } = aerie;
    child.isToDie = true;
    child.kill('SIGTERM');
    await sleep(200);
    const began = Date.now();
    child.kill('SIGTERM');
    await child.exit;
    assert.ok(Date.now() - began < 3000, `${Date.now() - began} ms`);
    aerie.child = null;
    await aerie.listen();
  }));

test('a_restart_with_another_secret_refuses_the_old_tokens_unless_it_is_named', () =>
  withServer(async (aerie) => {
    const user = await aerie.user();
    const old = 'a-secret-of-the-tests-long-enough-for-production';
    await aerie.halt();
    aerie.env.SECRET_KEY = 'another-secret-that-is-long-enough-for-everyone';
    await aerie.listen();
    assert.equal((await user.get('/api/auth/me')).status, 401);
    await aerie.halt();
    const keys = JSON.parse(aerie.command(['config', '--json']));
    const name = Object.keys(keys).find((key) => /previous/.test(key)) ?? 'security.previous_secret';
    aerie.env[name.toUpperCase().replace('.', '__')] = old;
    await aerie.listen();
    assert.equal((await user.get('/api/auth/me')).status, 200);
  }));

const isSanitized = readFileSync(binaryPath()).includes('__sanitizer');
test('an_idle_server_has_given_back_what_only_its_start_needed', { skip: isSanitized && 'a sanitizer keeps books of memory' }, async () => {
  const aerie = new Aerie();
  try {
    aerie.prepare();
    await aerie.listen();
    await sleep(200);
    assert.equal((await aerie.request('GET', '/health')).status, 200);
    const resident = Number(/^Rss:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${aerie.child.pid}/smaps_rollup`, 'utf8'))[1]);
    assert.ok(resident <= 12 * 1024, `${resident} kB are resident, shared ones counted`);
    await aerie.stop();
  } finally {
    if (aerie.child) aerie.drop();
  }
});
