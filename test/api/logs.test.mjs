// Where the log goes, what its lines look like, and a line for each request.
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { Aerie, runCommand } from '../tools/aerie.mjs';
import { openSocket } from '../tools/socket.mjs';
import { until } from '../tools/until.mjs';

async function withServer(env, run) {
  const aerie = await Aerie.start({ env: { TZ: 'UTC', ...env } });
  try {
    await run(aerie);
  } finally {
    await aerie.stop();
  }
}
const dayOf = (time) => time.toISOString().slice(0, 10).replaceAll('-', '');
const nameOf = (daysAgo) => `${dayOf(new Date(Date.now() - daysAgo * 86400000))}_LOG.log`;
const PLAIN = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z (ERROR|WARN|INFO|DEBUG|TRACE) /;
const SEED = /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d - aerie(\.access)? - (ERROR|WARNING|INFO|DEBUG|TRACE) - /;

test('the_seeds_settings_give_the_seeds_files_and_lines', async () => {
  const aerie = new Aerie({ env: { TZ: 'UTC' } });
  try {
    const logs = join(aerie.folder, 'logs');
    writeFileSync(join(aerie.folder, 'config.json'), JSON.stringify({ logging: { level: 'INFO', retention_days: 30, log_directory: 'logs' } }));
    aerie.prepare();
    assert.ok(!existsSync(logs), 'commands speak to people');
    mkdirSync(logs);
    for (const name of [nameOf(29), nameOf(32), '20200101_LOG.log', '20200101_LOG.log.gz', 'notes.txt']) writeFileSync(join(logs, name), 'x');
    await aerie.listen();
    await aerie.makeAdmin();
    assert.match(aerie.log, /the log goes to logs/);
    assert.deepEqual(readdirSync(logs).sort(), ['20200101_LOG.log.gz', nameOf(0), nameOf(29), 'notes.txt'].sort());
    const read = () => readFileSync(join(logs, nameOf(0)), 'utf8');
    await until(() => /aerie\.access - INFO - POST \/api\/auth\/login 200 /.test(read()), 'the line of the login');
    assert.match(read(), / - aerie - INFO - listening on /);
    for (const line of read().trimEnd().split('\n')) assert.match(line, SEED);
    assert.doesNotMatch(aerie.log, PLAIN);
  } finally {
    await aerie.stop();
  }
});

test('a_directory_that_was_emptied_is_written_to_again_at_sighup', () =>
  withServer({ LOG__DIRECTORY: 'logs' }, async (aerie) => {
    const logs = join(aerie.folder, 'logs');
    renameSync(logs, `${logs}.old`);
    aerie.child.kill('SIGHUP');
    await until(() => existsSync(join(logs, nameOf(0))) && /reading the settings again/.test(readFileSync(join(logs, nameOf(0)), 'utf8')), 'the new file');
    assert.match(readFileSync(join(`${logs}.old`, nameOf(0)), 'utf8'), /listening on/);
  }));

test('each_request_has_a_line_of_json_with_who_what_and_how_it_ended', () =>
  withServer({ LOG__FORMAT: 'json' }, async (aerie) => {
    const { admin } = aerie;
    const lines = () => aerie.log.split('\n').flatMap((line) => (line.startsWith('{') ? [JSON.parse(line)] : []));
    const lineOf = (id) => until(() => lines().find(({ logger, request_id: of }) => logger === 'aerie.access' && of === id), `the line of ${id}`);
    const who = { team_id: admin.me.team_id, user_id: admin.me.id };

    await aerie.request('GET', '/health?token=private-query', { headers: { 'X-Request-Id': 'plain-one' } });
    const plain = await lineOf('plain-one');
    assert.ok(Number.isInteger(plain.duration_ms) && plain.bytes > 10);
    assert.deepEqual({ ...plain, time: 0, bytes: 0, duration_ms: 0 }, { time: 0, level: 'info', logger: 'aerie.access', method: 'GET', path: '/health', status: 200, bytes: 0, duration_ms: 0, request_id: 'plain-one', address: '127.0.0.1' });

    const list = await admin.get('/api/agents', { headers: { 'X-Request-Id': 'known-one' } });
    const known = await lineOf('known-one');
    assert.deepEqual({ team_id: known.team_id, user_id: known.user_id }, who);
    assert.equal(known.bytes, Buffer.byteLength(list.text));

    await aerie.request('GET', '/api/agents/%22quoted%22', { headers: { 'X-Request-Id': 'missing-one' } });
    assert.deepEqual([(await lineOf('missing-one')).status, (await lineOf('missing-one')).team_id], [401, undefined]);

    const agent = await admin.agent({ provider: 'echo', config: { delay_ms: 0 } });
    const chat = await admin.chat(agent);
    const whole = await (await admin.send(chat, 'hello there', { headers: { 'X-Request-Id': 'stream-one' } })).whole();
    const stream = await lineOf('stream-one');
    assert.deepEqual([stream.path, stream.status, stream.ended, stream.user_id], ['/api/chats/{id}/messages', 200, 'complete', admin.me.id]);
    assert.ok(whole.done && stream.bytes > 100, `${stream.bytes} bytes`);

    const slow = await admin.agent({ provider: 'echo', config: { delay_ms: 200 } });
    const left = await admin.send(await admin.chat(slow), 'one two three four five six seven eight nine ten', { headers: { 'X-Request-Id': 'left-one' } });
    left.close();
    assert.equal((await lineOf('left-one')).ended, 'gone');

    const socket = await openSocket(aerie.port, { query: `?token=${admin.token}`, headers: { 'X-Request-Id': 'socket-one' } });
    socket.close();
    const upgraded = await lineOf('socket-one');
    assert.deepEqual([upgraded.path, upgraded.status, typeof upgraded.ended], ['/api/chat/ws', 101, 'string']);
    for (const line of aerie.log.trimEnd().split('\n').slice(1)) assert.doesNotThrow(() => JSON.parse(line), line);
    assert.doesNotMatch(aerie.log, /private-query|hello there/);
  }));

for (const [name, env, has] of [['off_on_plain_stderr', {}, false], ['on_where_it_is_asked_for', { LOG__ACCESS: 'on' }, true], ['on_at_debug', { LOG__LEVEL: 'debug' }, true], ['off_in_json_where_it_is_not_wanted', { LOG__ACCESS: 'off', LOG__FORMAT: 'json' }, false]])
  test(`the_line_for_each_request_is_${name}`, () =>
    withServer({ LOG__LEVEL: 'info', ...env }, async (aerie) => {
      await aerie.request('GET', '/health');
      await aerie.halt();
      assert.equal(/access: GET \/health 200 \d+ bytes \d+ ms request=\S+ address=127\.0\.0\.1\n/.test(aerie.log), has);
      assert.equal(/GET \/health/.test(aerie.log), has);
    }));

test('what_cannot_be_is_told_at_the_start', () => {
  const refuses = (env, words) => {
    const ran = runCommand(['serve'], { env: { DATA_DIR: '/proc/nowhere', ...env } });
    assert.equal(ran.status, 1);
    assert.match(ran.stderr, words);
  };
  refuses({ LOG__DIRECTORY: '/tmp/a', LOG__FILE: '/tmp/b' }, /set log\.file or log\.directory, not both/);
  refuses({ LOG__DIRECTORY: '/proc/no/such' }, /log\.directory cannot be opened/);
  refuses({ LOG__FORMAT: 'xml' }, /LOG__FORMAT.*expected auto, json, plain or seed/);
  refuses({ LOG__RETENTION_DAYS: '366' }, /LOG__RETENTION_DAYS/);
});
