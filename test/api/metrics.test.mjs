// GET /metrics: who may read it, that it is in the format of Prometheus, and that its numbers are those of what happened.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { startUpstream } from '../fake/upstream.mjs';
import { textOf } from '../fake/replies.mjs';
import { Aerie } from '../tools/aerie.mjs';
import { awaitMetric, parseMetrics, readMetrics } from '../tools/metrics.mjs';

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
  assert.ok(values.get('process_open_fds') > 5 && values.get('process_open_fds') < values.get('process_max_fds'));
  await awaitMetric(aerie, 'aerie_loop_lag_seconds_count{loop="1"}', (n) => n >= 1);
});

test('every_metric_is_explained_to_operators', async () => {
  const guide = readFileSync(new URL('../../docs/operations.md', import.meta.url), 'utf8');
  const inTable = new Set([...guide.matchAll(/^\| `((?:aerie|process)_[a-z_]+)/gm)].map((match) => match[1]));
  inTable.delete('aerie_tls_certificate_days'); // there where TLS is served: tls.test.mjs
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
    aerie_first_event_seconds_count: 3,
    aerie_log_text_bytes: 3 * textOf({ tokens: 5 }).length, // kept for late readers
    aerie_streams: 0,
    aerie_slots_taken: 0,
    aerie_readers: 0,
  };
  assert.deepEqual(growth(before, after, Object.keys(expected)), expected);
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
  assert.deepEqual(growth(before, after, ['aerie_upstream_errors_total{provider="n8n",kind="provider_error"}', 'aerie_http_requests_total{status="4xx"}', 'aerie_http_requests_total{status="5xx"}']),
    { 'aerie_upstream_errors_total{provider="n8n",kind="provider_error"}': 1, 'aerie_http_requests_total{status="4xx"}': 1, 'aerie_http_requests_total{status="5xx"}': 0 });
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
