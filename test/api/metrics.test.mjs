// GET /metrics: who may read it, that it is in the format of Prometheus, and that its numbers are those of what happened.
import assert from 'node:assert/strict';
import { chmodSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { startUpstream } from '../fake/upstream.mjs';
import { textOf } from '../fake/replies.mjs';
import { Aerie, runCommand, withinASecond } from '../tools/aerie.mjs';
import { request } from '../tools/http.mjs';
import { awaitMetric, parseMetrics, readMetrics } from '../tools/metrics.mjs';
import { freePort } from '../tools/postgres.mjs';
import { upgrade } from '../tools/upgrade.mjs';

let aerie;
let upstream;
let agent;
before(async () => {
  upstream = await startUpstream();
  aerie = await Aerie.start({ env: { LIMITS__MESSAGES_PER_MINUTE: 0 } });
  agent = await aerie.admin.agent({ webhook_url: upstream.url() });
});
after(async () => {
  await aerie?.stop();
  await upstream?.close();
});

/** What each of the named numbers has grown by. */
const growth = (before, after, names) => Object.fromEntries(names.map((name) => [name, after.get(name) - before.get(name)]));

test('the_whole_page_is_in_the_format_of_prometheus', async () => {
  const answer = await aerie.request('GET', '/metrics');
  assert.equal(answer.headers['content-type'], 'text/plain; version=0.0.4; charset=utf-8');
  const values = parseMetrics(answer.text);
  assert.ok(values.size > 150);
  assert.equal((await aerie.request('HEAD', '/metrics')).text, '');
  assert.equal((await aerie.request('POST', '/metrics', { json: {} })).status, 405);
  assert.ok(values.get('process_resident_memory_bytes') > 1e6);
  const age = Date.now() / 1000 - values.get('process_start_time_seconds');
  assert.ok(age > 0 && age < 3600, `started ${age} s ago`);
  assert.ok(values.get('process_open_fds') > 5 && values.get('process_open_fds') < values.get('process_max_fds'));
  await awaitMetric(aerie, 'aerie_loop_lag_seconds_count{loop="1"}', (n) => n >= 1);
});

test('every_metric_is_explained_to_operators', async () => {
  const guide = readFileSync(new URL('../../docs/operations.md', import.meta.url), 'utf8');
  const inTable = new Set([...guide.matchAll(/^\| `((?:aerie|process)_[a-z_]+)/gm)].map((match) => match[1]));
  inTable.delete('aerie_tls_certificate_end_timestamp_seconds'); // there where TLS is served: tls.test.mjs
  assert.deepEqual([...inTable].sort(), [...(await readMetrics(aerie)).types.keys()].sort());
});

test('three_messages_of_five_chunks_are_counted_exactly', async () => {
  const before = await readMetrics(aerie);
  for (let i = 0; i < 3; i++) {
    const chat = await aerie.admin.chat(agent);
    await aerie.admin.ask(chat, '!tokens=5&delay=50');
  }
  await awaitMetric(aerie, 'aerie_messages_total{outcome="complete"}', (n) => n - before.get('aerie_messages_total{outcome="complete"}') === 3);
  const after = await readMetrics(aerie);
  const expected = {
    aerie_relayed_chunks_total: 15,
    aerie_relayed_bytes_total: 3 * textOf({ tokens: 5 }).length,
    'aerie_messages_total{outcome="complete"}': 3,
    'aerie_messages_total{outcome="error"}': 0,
    'aerie_upstream_calls_total{provider="n8n"}': 3,
    'aerie_upstream_requests_total{provider="n8n"}': 3,
    'aerie_upstream_calls_total{provider="openai"}': 0,
    'aerie_upstream_calls_in_flight{provider="n8n"}': 0,
    aerie_message_to_call_seconds_count: 3,
    aerie_first_token_seconds_count: 3,
    aerie_first_event_seconds_count: 3,
    aerie_log_text_bytes: 3 * textOf({ tokens: 5 }).length, // kept for late readers
    aerie_streams: 0,
    aerie_slots_taken: 0,
    aerie_readers: 0,
  };
  assert.deepEqual(growth(before, after, Object.keys(expected)), expected);
  const firstToken = (page) => page.get('aerie_first_token_seconds_sum');
  assert.ok(firstToken(after) - firstToken(before) >= after.get('aerie_message_to_call_seconds_sum') - before.get('aerie_message_to_call_seconds_sum'), 'the agent comes on top');
  assert.ok(after.get('aerie_first_event_seconds_sum') > before.get('aerie_first_event_seconds_sum'));
  for (const [name, value] of before) {
    const type = after.types.get(name.replace(/\{.*/, '').replace(/_(bucket|sum|count)$/, '')) ?? after.types.get(name.replace(/\{.*/, ''));
    if (type !== 'gauge') assert.ok(after.get(name) >= value, `${name} fell`);
  }
  const statements = 'aerie_db_statements_total{use="write"}';
  assert.ok(after.get(statements) - before.get(statements) >= 3 * 3); // the chat, what was said, the reply
});

test('what_runs_now_is_shown_while_it_runs', async () => {
  const chat = await aerie.admin.chat(agent);
  const stream = await aerie.admin.send(chat, '!tokens=100&delay=200');
  await stream.until(() => stream.text.length > 0);
  await awaitMetric(aerie, 'aerie_upstream_calls_in_flight{provider="n8n"}', (n) => n === 1);
  const running = await readMetrics(aerie);
  for (const name of ['aerie_streams', 'aerie_readers', 'aerie_slots_taken']) assert.equal(running.get(name), 1, name);
  assert.ok(running.get('aerie_connections') >= 2);
  assert.ok(running.get('aerie_arena_bytes') > 0);
  await aerie.admin.post(`/api/chats/${chat.id}/stop`);
  await awaitMetric(aerie, 'aerie_messages_total{outcome="stopped"}', (n) => n === 1);
  await awaitMetric(aerie, 'aerie_streams', (n) => n === 0);
  const canceled = 'aerie_upstream_errors_total{provider="n8n",kind="canceled"}';
  assert.equal((await readMetrics(aerie)).get(canceled), 1);
});

test('errors_are_told_by_provider_and_kind_and_answers_by_status', async () => {
  const before = await readMetrics(aerie);
  const chat = await aerie.admin.chat(agent);
  await aerie.admin.ask(chat, '!status=500');
  const refused = await aerie.request('GET', '/api/chats');
  assert.equal(refused.status, 401);
  await awaitMetric(aerie, 'aerie_messages_total{outcome="error"}', (n) => n === 1);
  const after = await readMetrics(aerie);
  const expected = {
    'aerie_upstream_errors_total{provider="n8n",kind="provider_error"}': 1,
    'aerie_http_requests_total{status="4xx"}': 1,
    'aerie_http_requests_total{status="5xx"}': 0,
    'aerie_http_errors_total{code="401"}': 1,
    'aerie_http_errors_total{code="404"}': 0,
    'aerie_http_errors_total{code="other"}': 0,
  };
  assert.deepEqual(growth(before, after, Object.keys(expected)), expected);
});

test('others_find_no_such_page', async () => {
  const nothing = await aerie.request('GET', '/nope');
  for (const headers of [{ 'X-Forwarded-For': '127.0.0.1' }, { Forwarded: 'for=127.0.0.1' }, { Via: '1.1 proxy' }, { 'X-Real-IP': '127.0.0.1' }]) {
    const answer = await aerie.request('GET', '/metrics', { headers });
    assert.equal(answer.status, 404, 'a proxy that is not trusted speaks for anyone');
    assert.equal(answer.text, nothing.text);
  }
  assert.equal((await aerie.admin.get('/metrics', { headers: { Via: 'x' } })).status, 404, 'an admin of one team is no operator');
});

test('the_address_is_the_one_that_trusted_proxies_tell', async () => {
  const behind = await Aerie.start({ env: { TRUSTED_PROXIES: '127.0.0.0/8', METRICS__ALLOW: '192.0.2.0/24' } });
  try {
    const from = (address) => behind.request('GET', '/metrics', { headers: address ? { 'X-Forwarded-For': address } : {} });
    assert.equal((await from('192.0.2.7')).status, 200);
    assert.equal((await from('198.51.100.1')).status, 404);
    assert.equal((await from('192.0.2.7, 198.51.100.1')).status, 404);
    assert.equal((await from(null)).status, 404, 'loopback is not in this list');
  } finally {
    await behind.stop();
  }
});

const TOKEN = 'a-token-for-those-who-watch';

/** A server that ends well. */
async function withServer(env, run) {
  const own = await Aerie.start({ env });
  try {
    await run(own);
    await own.stop();
  } finally {
    if (own.child) own.drop();
  }
}

test('who_has_the_token_reads_from_anywhere_and_a_wrong_one_opens_nothing', () =>
  withServer({ TRUSTED_PROXIES: '127.0.0.0/8', METRICS__ALLOW: '192.0.2.0/24', METRICS__TOKEN: TOKEN }, async (own) => {
    const nothing = await own.request('GET', '/nope');
    const read = async (token, from) => own.request('GET', '/metrics', { token, headers: from ? { 'X-Forwarded-For': from } : {} });
    for (const from of [undefined, '198.51.100.1', '192.0.2.7']) {
      assert.equal((await read(TOKEN, from)).status, 200, `${from}`);
      for (const wrong of [`${TOKEN}x`, TOKEN.slice(1), TOKEN.toUpperCase(), own.admin.token]) {
        const answer = await read(wrong, from);
        assert.deepEqual([answer.status, answer.text], [404, nothing.text], `${from}: ${wrong}`);
      }
    }
    assert.equal((await read(undefined, '192.0.2.7')).status, 200, 'an address that is allowed needs none');
    assert.equal((await read(undefined, '198.51.100.1')).status, 404);
    assert.equal((await own.request('GET', '/metrics', { headers: { Authorization: `bearer  ${TOKEN} ` } })).status, 200);
    assert.equal((await own.request('GET', '/metrics', { headers: { Authorization: `Basic ${TOKEN}` } })).status, 404);
    assert.equal((await own.request('GET', '/api/agents', { token: TOKEN })).status, 401, 'it opens nothing else');
    assert.doesNotMatch(own.log, new RegExp(TOKEN));
  }));

test('a_new_token_counts_at_a_reload', async () => {
  const own = new Aerie({ env: { METRICS__ALLOW: '192.0.2.0/24' } });
  const set = (token) => writeFileSync(join(own.folder, 'config.json'), JSON.stringify({ metrics: { token } }));
  const status = async (token) => (await own.request('GET', '/metrics', { token })).status;
  try {
    set(TOKEN);
    await own.listen();
    assert.equal(await status(TOKEN), 200);
    set('another-token-that-is-new');
    own.child.kill('SIGHUP');
    await withinASecond(async () => (await status('another-token-that-is-new')) === 200, 'the new token');
    assert.equal(await status(TOKEN), 404);
    assert.doesNotMatch(own.log, /another-token|a-token/);
    await own.stop();
  } finally {
    if (own.child) own.drop();
  }
});

test('a_token_that_could_be_guessed_or_a_place_that_is_none_stops_the_start', () => {
  const says = (env) => runCommand(['config'], { env });
  for (const token of ['short', 'with blanks in it all over', 'ümläute-ümläute-ümläute']) {
    const { status, stderr } = says({ METRICS__TOKEN: token });
    assert.equal(status, 1, token);
    assert.match(stderr, /METRICS__TOKEN: this value is not accepted, expected at least 16 letters, digits and signs/);
  }
  for (const place of ['9090', 'tls://127.0.0.1:9090', 'systemd', 'unix:metrics.sock'])
    assert.match(says({ METRICS__LISTEN: place }).stderr, /METRICS__LISTEN: ".*" is not accepted, expected an address with a port like 127\.0\.0\.1:9090/, place);
  const { stdout } = says({ METRICS__TOKEN: TOKEN });
  assert.match(stdout, /metrics\.token/);
  assert.ok(!stdout.includes(TOKEN));
});

test('a_listener_of_their_own_has_the_metrics_and_the_health_and_nothing_else', async () => {
  const port = await freePort();
  await withServer({ METRICS__LISTEN: `127.0.0.1:${port}` }, async (own) => {
    const here = async (path, options) => (await request(port, 'GET', path, options)).status;
    assert.match(own.log, new RegExp(`metrics are at http://127\\.0\\.0\\.1:${port}\n`));
    assert.equal((await own.request('GET', '/metrics')).status, 404);
    assert.equal((await own.request('GET', '/health')).status, 200);
    for (const path of ['/metrics', '/health', '/health/ready']) assert.equal(await here(path), 200, path);
    for (const path of ['/', '/health/stream', '/api/agents', '/console', '/openapi.json', '/peer/turn', '/nope']) assert.equal(await here(path, { token: own.admin.token }), 404, path);
    assert.equal(await here('/metrics', { headers: { Via: 'x' } }), 404, 'the same may read as elsewhere');
    await (await upgrade(own)).exit;
    const answers = await Promise.all(Array.from({ length: 20 }, () => here('/metrics')));
    assert.ok(answers.every((status) => status === 200), 'the new process has the place');
    assert.equal((await own.request('GET', '/health')).status, 200);
    const second = new Aerie({ env: { METRICS__LISTEN: `127.0.0.1:${port}` }, database: 'sqlite' });
    const { status, stderr } = runCommand(['serve'], { env: second.env, cwd: second.folder });
    second.drop();
    assert.equal(status, 1);
    assert.match(stderr, /cannot listen on 127\.0\.0\.1:\d+: Address already in use \(key metrics\.listen\)/);
  });
});

test('the_listener_may_be_a_file_that_goes_with_the_server', async () => {
  const own = new Aerie();
  chmodSync(own.folder, 0o700);
  const socketPath = join(own.folder, 'metrics.sock');
  own.env.METRICS__LISTEN = `unix:${socketPath}`;
  const get = (path) => new Promise((resolve, reject) => http.get({ socketPath, path, agent: false }, (res) => res.resume().on('end', () => resolve(res.statusCode))).on('error', reject));
  try {
    await own.listen();
    assert.equal(await get('/metrics'), 200);
    assert.equal(await get('/api/agents'), 404);
    await own.halt();
    assert.ok(!existsSync(socketPath));
  } finally {
    own.drop();
  }
});
