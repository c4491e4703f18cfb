import assert from 'node:assert/strict';
import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { startUpstream } from '../fake/upstream.mjs';
import { Aerie } from '../tools/aerie.mjs';
import { EventStream } from '../tools/http.mjs';
import { until } from '../tools/until.mjs';

const SECRET = 'a-secret-of-the-tests-long-enough-for-production';

let upstream;
before(async () => (upstream = await startUpstream()));
after(() => upstream?.close());

/** A server whose settings are in .env, which run may write anew. */
async function withServer(settings, run, { env = {} } = {}) {
  const aerie = new Aerie({ env: Object.fromEntries([...Object.keys(settings).map((key) => [key, null]), ...Object.entries(env)]) });
  const write = (lines) => writeFileSync(join(aerie.folder, '.env'), Object.entries(lines).map(([key, value]) => `${key}=${value}\n`).join(''));
  try {
    write(settings);
    aerie.prepare();
    await aerie.listen();
    await aerie.makeAdmin();
    await run(aerie, {
      write,
      /** SIGHUP, and what the log says until the line that holds `end`. */
      async reload(end, read = () => aerie.log) {
        const from = read().length;
        aerie.child.kill('SIGHUP');
        await until(() => read().slice(from).includes(end), () => `no "${end}" in ${read().slice(from)}`);
        return read().slice(from);
      },
    });
    await aerie.stop();
  } finally {
    if (aerie.child) aerie.drop();
  }
}

test('sighup_puts_changed_limits_in_force_for_all_loops_and_names_them', () =>
  withServer({ LIMITS__MESSAGE_CHARS: '10', TRUSTED_PROXIES: '', METRICS__ALLOW: '127.0.0.1' }, async (aerie, { write, reload }) => {
    const agent = await aerie.admin.agent({ webhook_url: upstream.url() });
    const chat = await aerie.admin.chat(agent);
    assert.equal((await aerie.admin.send(chat, 'eleven char')).status, 422);
    write({ LIMITS__MESSAGE_CHARS: '11', TRUSTED_PROXIES: '127.0.0.1', METRICS__ALLOW: '127.0.0.1,203.0.113.9' });
    const said = await reload('trusted_proxies is');
    assert.match(said, /limits\.message_chars is "11" now and was "10"/);
    assert.doesNotMatch(said, /needs a restart|limits\.body_bytes/);
    for (let i = 0; i < 16; i++) {
      // A connection each: both loops are asked.
      const stream = await aerie.admin.send(await aerie.admin.chat(agent), 'eleven char');
      assert.ok(stream instanceof EventStream, `${stream.status} ${stream.text}`);
      await stream.whole();
      const seen = await aerie.request('GET', '/metrics', { headers: { 'X-Forwarded-For': '203.0.113.9' } });
      assert.equal(seen.status, 200, 'the proxy is trusted now');
    }
    assert.doesNotMatch(await reload('reading the settings again'), /now and was/, 'nothing has changed since');
  }));

test('egress_allow_and_rates_are_live', () =>
  withServer({ EGRESS__ALLOW: '', LIMITS__MESSAGES_PER_MINUTE: '0' }, async (aerie, { write, reload }) => {
    const refused = await aerie.admin.post('/api/agents', { name: 'inner', provider: 'n8n', webhook_url: upstream.url() });
    assert.equal(refused.status, 422, refused.text);
    write({ EGRESS__ALLOW: '127.0.0.0/8', LIMITS__MESSAGES_PER_MINUTE: '2' });
    await reload('limits.messages_per_minute is "2"');
    const agent = await aerie.admin.agent({ webhook_url: upstream.url() });
    const chat = await aerie.admin.chat(agent);
    assert.ok((await aerie.admin.ask(chat, '!tokens=1')).done);
    assert.ok((await aerie.admin.ask(chat, '!tokens=1')).done);
    assert.equal((await aerie.admin.send(chat, '!tokens=1')).status, 429);
    write({ EGRESS__ALLOW: '', LIMITS__MESSAGES_PER_MINUTE: '0' });
    await reload('limits.messages_per_minute is "0"');
    // The connection that is kept from before is no way in either.
    const stream = await aerie.admin.ask(chat, '!tokens=1');
    assert.equal(stream.of('error')[0]?.data.code, 'provider_unreachable', JSON.stringify(stream.events.at(-1)));
  }, { env: { SERVER__WORKERS: '1' } }));

test('wrong_settings_change_nothing_and_are_told_in_one_line', () =>
  withServer({ LIMITS__MESSAGE_CHARS: '10' }, async (aerie, { write, reload }) => {
    for (const wrong of [{ LIMITS__MESSAGE_CHARS: '20', LIMITS__BODY_BYTES: 'lots' }, { LIMITS__MESSAGE_CHARS: '20', LIMITS__BODY_BITES: '1' }]) {
      write(wrong);
      const said = await reload('stay as they were');
      assert.match(said, /ERROR serve: the settings stay as they were: \.env:2: .*LIMITS__BODY_BI?Y?TES/);
      assert.equal(said.match(/ERROR/g).length, 1, said);
      const chat = await aerie.admin.chat(await aerie.admin.agent({ webhook_url: upstream.url() }));
      assert.equal((await aerie.admin.send(chat, 'eleven char')).status, 422, 'nor is the half of it that is right taken');
    }
    write({ LIMITS__MESSAGE_CHARS: '20' });
    await reload('limits.message_chars is "20"');
  }));

test('what_needs_a_restart_is_named_and_stays', () =>
  withServer({ SERVER__PUBLIC_URL: 'https://one.example', DATABASE__SQLITE_READERS: '2' }, async (aerie, { write, reload }) => {
    write({ SERVER__PUBLIC_URL: 'https://two.example', DATABASE__SQLITE_READERS: '3' });
    const said = await reload('server.public_url has changed');
    assert.match(said, /database\.sqlite_readers has changed, which needs a restart; the old value stays in force/);
    assert.doesNotMatch(said, /now and was/);
    assert.equal((await aerie.request('GET', '/health/ready')).status, 200);
    assert.match(await reload('server.public_url has changed'), /sqlite_readers has changed/, 'said again, as it is still so');
  }));

test('a_secret_is_rotated_without_a_restart_and_never_told', () => {
  const next = 'the-next-one-is-long-enough-for-production-too';
  return withServer({ SECRET_KEY: SECRET }, async (aerie, { write, reload }) => {
    const { admin } = aerie;
    assert.equal((await admin.get('/api/auth/me')).status, 200, 'and remembered');
    write({ SECRET_KEY: next, SECURITY__PREVIOUS_SECRET: SECRET });
    let said = await reload('security.secret is');
    assert.match(said, /security\.previous_secret is "\*{8}" now and was ""/);
    assert.equal((await admin.get('/api/auth/me')).status, 200, 'the previous one is accepted');
    const fresh = await aerie.login(aerie.adminEmail);
    write({ SECRET_KEY: next });
    said += await reload('security.previous_secret is');
    assert.equal((await admin.get('/api/auth/me')).status, 401, 'not any more, though it was remembered');
    assert.equal((await fresh.get('/api/auth/me')).status, 200);
    assert.ok(!said.includes(SECRET) && !said.includes(next), said);
  });
});

test('slots_and_streams_may_change_while_replies_run', () =>
  withServer({ UPSTREAM__SLOTS: '1', LIMITS__STREAMS_PER_TEAM: '0' }, async (aerie, { write, reload }) => {
    const agent = await aerie.admin.agent({ webhook_url: upstream.url() });
    const send = async (content) => aerie.admin.send(await aerie.admin.chat(agent), content);
    const first = await send('!tokens=30&delay=50');
    await first.until((s) => s.of('message').length > 0);
    const waiting = [send('!tokens=40&delay=50'), send('!tokens=40&delay=50'), send('!tokens=40&delay=50')];
    await sleep(200);
    write({ UPSTREAM__SLOTS: '3', LIMITS__STREAMS_PER_TEAM: '5' });
    await reload('upstream.slots is');
    await first.whole();
    const began = Date.now();
    const streams = await Promise.all(waiting);
    await Promise.all(streams.map((stream) => stream.until((s) => s.of('message').length > 0)));
    assert.ok(Date.now() - began < 1500, 'three at once: one after the other takes two seconds each');
    write({ UPSTREAM__SLOTS: '0', LIMITS__STREAMS_PER_TEAM: '0' });
    await reload('upstream.slots is');
    await Promise.all(streams.map((stream) => stream.whole()));
    assert.ok((await (await send('!tokens=1')).whole()).done);
    const page = (await aerie.request('GET', '/metrics')).text;
    assert.match(page, /^aerie_slots_taken 0$/m);
  }));

test('a_log_file_that_was_moved_is_begun_anew_without_a_lost_line', () =>
  withServer({ LOG__LEVEL: 'info' }, async (aerie, { write, reload }) => {
    const file = join(aerie.folder, 'aerie.log');
    const read = () => (existsSync(file) ? readFileSync(file, 'utf8') : '');
    assert.match(read(), /listening on/);
    assert.match(aerie.log, /the log goes to/);
    write({ LOG__LEVEL: 'debug' });
    await reload('log.level is "debug"', read);
    let asked = 0;
    for (let round = 0; round < 5; round++) {
      const requests = Array.from({ length: 50 }, () => aerie.request('GET', '/health'));
      renameSync(file, `${file}.${round}`);
      await reload('reading the settings again', read);
      await Promise.all(requests);
      asked += 50;
    }
    const all = [0, 1, 2, 3, 4].map((round) => readFileSync(`${file}.${round}`, 'utf8')).join('') + read();
    assert.equal(all.match(/GET \/health\b/g).length, asked);
    for (const line of all.trimEnd().split('\n')) assert.match(line, /^\d{4}-\d\d-\d\dT[\d:.]+Z (ERROR|WARN|INFO|DEBUG) /);
    // A wrong configuration does not hold the log up.
    write({ LOG__LEVEL: 'loud' });
    renameSync(file, `${file}.moved`);
    await reload('stay as they were', read);
  }, { env: { LOG__FILE: 'aerie.log' } }));
