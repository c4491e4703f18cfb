// Traces: a request's place in one is taken over, passed on and logged; and what it was made of comes to a collector.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Collector, manners } from '../fake/collector.mjs';
import { Receiver } from '../fake/receiver.mjs';
import { startUpstream } from '../fake/upstream.mjs';
import { Aerie } from '../tools/aerie.mjs';
import { kind } from '../tools/database.mjs';
import { readMetrics } from '../tools/metrics.mjs';
import { until } from '../tools/until.mjs';

/** A server that tells a collector, and believes its clients as if they were proxies. */
const startTraced = (collector, env) => Aerie.start({ env: { TRACING__ENDPOINT: collector.endpoint, TRACING__FLUSH_MS: 50, TRUSTED_PROXIES: '127.0.0.0/8', LOG__ACCESS: 'on', ...env } });

let upstream, shared;
before(async () => {
  upstream = await startUpstream();
  const collector = await Collector.start();
  shared = { collector, aerie: await startTraced(collector, { TRACING__SAMPLE: 1 }) };
});
after(async () => {
  await shared?.aerie.stop();
  await shared?.collector.close();
  assert.deepEqual(shared?.collector.wrong, []);
  await upstream?.close();
});

/** With a server of its own where env asks for one; else with the one that records all. */
async function withTraces(run, env) {
  if (!env) return run(shared.aerie, shared.collector);
  const collector = await Collector.start();
  let aerie;
  try {
    aerie = await startTraced(collector, env);
    await run(aerie, collector);
    await aerie.stop();
    assert.deepEqual(collector.wrong, []);
  } finally {
    if (aerie?.child) aerie.drop();
    await collector.close().catch(() => {});
  }
}

const hex = (bytes) => randomBytes(bytes).toString('hex');
/** A caller's place in a new trace. */
function caller({ flags = '01', traceId = hex(16), spanId = hex(8), state } = {}) {
  return { traceId, spanId, headers: { traceparent: `00-${traceId}-${spanId}-${flags}`, ...(state && { tracestate: state }) } };
}
const agentOf = (client, query = '') => client.agent({ webhook_url: upstream.url(query) });
const requestOf = (chat) => upstream.requests.filter(({ json }) => json?.sessionId === chat.id).at(-1);
const parentOf = (request) => /^00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})$/.exec(request.headers.traceparent ?? '')?.slice(1);
const isRequest = (span) => span.kind === 2;
const count = async (aerie, name) => (await readMetrics(aerie)).get(name);

/** Sends a message as a part of the caller's trace, and waits for its reply. */
async function askIn(client, from, content = 'hello', agent) {
  const chat = await client.chat(agent ?? (await agentOf(client)));
  const stream = await client.send(chat, content, { headers: from.headers });
  await stream.whole();
  return chat;
}

test('without_a_collector_a_trace_is_passed_on_as_it_came', async () => {
  const aerie = await Aerie.start({ env: { TRUSTED_PROXIES: '127.0.0.0/8', LOG__ACCESS: 'on' } });
  const from = caller({ state: 'rojo=00f067aa0ba902b7,congo=t61rcWkgMzE' });
  const request = requestOf(await askIn(aerie.admin, from));
  assert.equal(request.headers.traceparent, from.headers.traceparent);
  assert.equal(request.headers.tracestate, from.headers.tracestate);
  const bare = requestOf(await askIn(aerie.admin, { headers: {} }));
  assert.deepEqual([bare.headers.traceparent, bare.headers.tracestate], [undefined, undefined]);
  const bad = requestOf(await askIn(aerie.admin, { headers: { traceparent: from.headers.traceparent.toUpperCase(), tracestate: 'rojo=1' } }));
  assert.deepEqual([bad.headers.traceparent, bad.headers.tracestate], [undefined, undefined]);
  await aerie.stop();
  assert.match(aerie.log, new RegExp(`access: POST /api/chats/\\{id\\}/messages 200 .* request=\\S+ trace=${from.traceId} address=`));
});

test('the_trace_of_a_request_is_answered_in_no_header', () => withTraces(async (aerie) => {
  const answer = await aerie.request('GET', '/health', { headers: caller().headers });
  assert.deepEqual(Object.keys(answer.headers).filter((name) => name.startsWith('trace')), []);
}));

test('a_message_is_a_tree_from_its_caller_to_its_agent', () => withTraces(async (aerie, collector) => {
  const from = caller({ state: 'rojo=1' });
  const chat = await askIn(aerie.admin, from, 'the secret words of the house');
  await collector.wait(1, (span) => span.traceId === from.traceId && isRequest(span));
  const spans = collector.of(from.traceId);
  const byId = new Map(spans.map((span) => [span.spanId, span]));
  assert.equal(byId.size, spans.length, 'each is told once');
  const [request, ...others] = spans.filter(isRequest);
  assert.deepEqual(others, []);
  assert.deepEqual([request.name, request.parentSpanId, request.traceState, request.flags], ['POST /api/chats/{id}/messages', from.spanId, 'rojo=1', 0x301]);
  assert.deepEqual(request.facts, { 'http.request.method': 'POST', 'http.route': '/api/chats/{id}/messages', 'url.scheme': 'http', 'network.protocol.version': '1.1', 'http.response.status_code': 200 });
  assert.deepEqual(request.status, {});
  for (const span of spans) if (span !== request) assert.ok(byId.has(span.parentSpanId), `${span.name} is nobody's`);
  const [turn] = spans.filter(({ name }) => name === 'turn');
  assert.equal(turn.parentSpanId, request.spanId);
  assert.equal(turn.kind, 1);
  assert.deepEqual(turn.facts['aerie.turn.outcome'], 'complete');
  assert.equal(turn.facts['gen_ai.provider.name'], 'n8n');
  assert.ok(turn.facts['gen_ai.usage.input_tokens'] > 0 && turn.facts['gen_ai.usage.output_tokens'] > 0);
  assert.deepEqual(turn.events.map(({ name }) => name), ['first_text']);
  const [call, ...more] = spans.filter(({ facts }) => facts['server.address']);
  assert.deepEqual(more, []);
  assert.deepEqual([call.parentSpanId, call.kind, call.name], [turn.spanId, 3, 'POST']);
  assert.deepEqual(call.facts, { 'http.request.method': 'POST', 'server.address': '127.0.0.1', 'server.port': upstream.port, 'http.response.status_code': 200 });
  assert.deepEqual(parentOf(requestOf(chat)), [from.traceId, call.spanId, '01']);
  assert.equal(requestOf(chat).headers.tracestate, 'rojo=1');
  const statements = spans.filter(({ facts }) => facts['db.system.name']);
  assert.deepEqual(new Set(statements.map(({ facts }) => facts['db.system.name'])), new Set([kind === 'sqlite' ? 'sqlite' : 'postgresql']));
  assert.deepEqual(new Set(statements.map(({ parentSpanId }) => parentSpanId)), new Set([turn.spanId]));
  for (const { name, facts, kind: spanKind } of statements) {
    assert.match(name, /^[A-Z_]+(; [A-Z_]+)*$/);
    assert.equal(facts['db.query.summary'], name);
    assert.equal(facts['db.operation.batch.size'] ?? 1, name.split('; ').length);
    assert.equal(spanKind, 3);
  }
  assert.ok(statements.some(({ name }) => name.includes('TURN_ADD')) && statements.some(({ name }) => name.includes('REPLY_SAVE')));
  const { resource } = request;
  assert.equal(resource['service.name'], 'aerie');
  assert.match(resource['service.instance.id'], /^[0-9a-f-]{36}$/);
  assert.match(resource['service.version'], /^\d+\.\d+/);
}));

test('no_span_tells_what_was_said_or_who_said_it', () => withTraces(async (aerie, collector) => {
  const { admin } = aerie;
  const from = caller();
  const chat = await askIn(admin, from, 'the secret words of the house', await admin.agent({ webhook_url: upstream.url('note=a-secret-path'), webhook_token: 'a-secret-token-of-the-agent' }));
  await collector.wait(1, (span) => span.traceId === from.traceId && isRequest(span));
  const said = collector.requests.map(({ text }) => text).join('\n');
  for (const secret of ['secret words', 'a-secret-path', 'a-secret-token', admin.token, admin.me.id, admin.me.email, chat.id, '/webhook/fake', 'user_agent', 'client.address'])
    assert.ok(!said.includes(secret), `${secret} is in a span`);
}));

test('who_is_no_proxy_cannot_have_itself_recorded', () => withTraces(async (aerie, collector) => {
  const from = caller();
  const request = requestOf(await askIn(aerie.admin, from));
  const [traceId, , flags] = parentOf(request);
  assert.notEqual(traceId, from.traceId);
  assert.equal(flags, '02', 'a trace of our own, which is not recorded');
  await sleep(300);
  assert.deepEqual(collector.spans, []);
  assert.match(aerie.log, new RegExp(`trace=${traceId} `));
}, { TRUSTED_PROXIES: '', TRACING__SAMPLE: 0 }));

test('a_caller_that_does_not_record_is_followed_too', () => withTraces(async (aerie, collector) => {
  const from = caller({ flags: '00' });
  assert.deepEqual(parentOf(requestOf(await askIn(aerie.admin, from))), [from.traceId, from.spanId, '00']);
  const two = [`00-${hex(16)}-${hex(8)}-01`, `00-${hex(16)}-${hex(8)}-01`];
  const [traceId] = parentOf(requestOf(await askIn(aerie.admin, { headers: { traceparent: two } })));
  assert.ok(!two.some((line) => line.includes(traceId)), 'two of them are as good as none');
  await collector.wait(1, (span) => span.traceId === traceId);
  assert.deepEqual(collector.of(from.traceId), []);
}));

test('so_many_are_recorded_as_the_operator_asks_for_whatever_a_caller_says_that_is_never_believed', () => withTraces(async (aerie, collector) => {
  const from = caller();
  const before = collector.spans.length;
  for (let i = 0; i < 20; i++) await Promise.all(Array.from({ length: 20 }, () => aerie.request('GET', '/health', { headers: from.headers })));
  await sleep(300);
  const n = collector.spans.filter(isRequest).length - before;
  assert.ok(n > 140 && n < 260, `${n} of 400`); // six times the deviation
  assert.deepEqual(collector.of(from.traceId), []);
}, { TRACING__SAMPLE: 0.5, TRACING__FOLLOW_PARENT: 'never' }));

test('a_turn_outlives_its_request_and_is_told_once_with_its_parent', () => withTraces(async (aerie, collector) => {
  const from = caller();
  const { admin } = aerie;
  const chat = await admin.chat(await agentOf(admin, 'tokens=100&delay=10'));
  const stream = await admin.send(chat, 'go on', { headers: from.headers });
  await stream.until((s) => s.of('message').length > 2);
  stream.close();
  const [request] = await collector.wait(1, (span) => span.traceId === from.traceId && isRequest(span));
  assert.equal(collector.of(from.traceId).filter(({ name }) => name === 'turn').length, 0, 'it still runs');
  assert.deepEqual(request.status, {}, 'a client that leaves is no failure');
  await admin.settledReply(chat);
  const [turn] = await collector.wait(1, (span) => span.traceId === from.traceId && span.name === 'turn');
  assert.equal(turn.parentSpanId, request.spanId);
  await sleep(200);
  assert.equal(collector.of(from.traceId).filter(({ name }) => name === 'turn').length, 1);
}));

test('what_fails_says_so', () => withTraces(async (aerie, collector) => {
  const from = caller();
  await askIn(aerie.admin, from, 'hello', await agentOf(aerie.admin, 'status=500'));
  const [turn] = await collector.wait(1, (span) => span.traceId === from.traceId && span.name === 'turn');
  const [call] = collector.of(from.traceId).filter(({ facts }) => facts['server.address']);
  assert.deepEqual([call.facts['error.type'], call.facts['http.response.status_code'], call.status.code], ['500', 500, 2]);
  assert.deepEqual([turn.facts['error.type'], turn.facts['aerie.turn.outcome'], turn.status.code], ['provider_error', 'error', 2]);
  assert.equal(turn.events, undefined, 'nothing was said');
  const lost = caller();
  assert.equal((await aerie.request('GET', '/nowhere', { headers: lost.headers })).status, 404);
  const [missing] = await collector.wait(1, (span) => span.traceId === lost.traceId);
  assert.deepEqual([missing.name, missing.facts['http.response.status_code'], missing.status], ['GET', 404, {}]);
}));

test('a_tab_between_the_members_of_tracestate_goes_on_as_a_space', () => withTraces(async (aerie) => {
  const chat = await askIn(aerie.admin, caller({ state: 'a=1,\tb=2' }));
  assert.equal(requestOf(chat).headers.tracestate, 'a=1, b=2');
}));

test('a_message_over_a_websocket_is_a_part_of_the_socket_s_trace', () => withTraces(async (aerie, collector) => {
  const from = caller();
  const { default: WebSocket } = await import('ws');
  const { admin } = aerie;
  await agentOf(admin);
  const socket = new WebSocket(`ws://127.0.0.1:${aerie.port}/api/chat/ws`, { headers: { ...from.headers, Authorization: `Bearer ${admin.token}` } });
  await new Promise((resolve, reject) => socket.on('open', resolve).on('error', reject));
  const done = new Promise((resolve) => socket.on('message', (data) => JSON.parse(data).type === 'done' && resolve()));
  socket.send(JSON.stringify({ message: 'hello' }));
  await done;
  socket.close();
  const [request] = await collector.wait(1, (span) => span.traceId === from.traceId && isRequest(span));
  const [turn] = await collector.wait(1, (span) => span.traceId === from.traceId && span.name === 'turn');
  assert.deepEqual([request.facts['http.response.status_code'], turn.parentSpanId], [101, request.spanId]);
}));

test('a_completion_is_a_turn_though_nothing_of_it_is_stored', () => withTraces(async (aerie, collector) => {
  const { admin } = aerie;
  const turnOf = async (content, asked) => {
    const from = caller();
    const agent = await agentOf(admin);
    const { api_key } = (await admin.post(`/api/agents/${agent.id}/api-keys`, { name: 'k' })).json;
    const answer = await aerie.request('POST', '/v1/chat/completions', { token: api_key, headers: from.headers, json: { model: agent.id, messages: [{ role: 'user', content }] } });
    const [request] = await collector.wait(1, (span) => span.traceId === from.traceId && isRequest(span));
    const spans = collector.of(from.traceId);
    const [turn, ...more] = spans.filter(({ name }) => name === 'turn');
    assert.deepEqual(more, []);
    assert.deepEqual([turn.parentSpanId, turn.kind, turn.facts['aerie.agent.id']], [request.spanId, 1, agent.id]);
    assert.deepEqual(spans.filter(({ facts }) => facts['server.address']).map(({ parentSpanId }) => parentSpanId), asked.map(() => turn.spanId));
    return { answer, turn, spans };
  };
  const { answer, turn, spans } = await turnOf('!tokens=8', ['POST']);
  assert.equal(answer.status, 200);
  assert.deepEqual([turn.facts['aerie.turn.outcome'], turn.facts['gen_ai.usage.output_tokens'], turn.status], ['complete', answer.json.usage.completion_tokens, {}]);
  assert.equal(spans.find(({ name }) => name.includes('USAGE_ADD')).parentSpanId, turn.spanId);
  const failed = await turnOf('!status=500', ['POST']);
  assert.equal(failed.answer.status, 502);
  assert.deepEqual([failed.turn.facts['aerie.turn.outcome'], failed.turn.facts['error.type'], failed.turn.status.code], ['error', 'provider_error', 2]);
}));

test('a_webhook_s_receiver_sees_a_trace_of_the_delivery', () => withTraces(async (aerie, collector) => {
  const receiver = await Receiver.start();
  try {
    assert.equal((await aerie.admin.post('/api/webhooks', { url: `${receiver.url}/hook`, events: ['message.completed'] })).status, 201);
    await askIn(aerie.admin, caller());
    const [call] = await receiver.wait(1);
    const [delivery] = await collector.wait(1, ({ name }) => name === 'webhook delivery');
    const parts = await collector.wait(1, (span) => span.traceId === delivery.traceId && span.facts['server.address']);
    assert.equal(delivery.parentSpanId, undefined);
    assert.equal(delivery.facts['aerie.webhook.event'], 'message.completed');
    assert.deepEqual([parts[0].parentSpanId, parentOf(call)], [delivery.spanId, [delivery.traceId, parts[0].spanId, '03']]);
  } finally {
    await receiver.close();
  }
}));

test('a_follower_on_another_node_is_in_one_trace_with_the_node_that_it_reads_from', { skip: kind === 'sqlite' && 'SQLite has one server' }, () => withTraces(async (aerie, collector) => {
  const other = await aerie.beside();
  try {
    const chat = await aerie.admin.chat(await agentOf(aerie.admin, 'tokens=150&delay=10'));
    const stream = await aerie.admin.send(chat, 'go on');
    await stream.until((s) => s.of('message').length > 2);
    const from = caller();
    await (await other.client(aerie.admin.token).follow(chat, { headers: from.headers })).whole();
    const [peer] = await collector.wait(1, (span) => span.traceId === from.traceId && span.facts['http.route'] === '/peer/turn');
    const [mirror] = await collector.wait(1, (span) => span.traceId === from.traceId && span.name === 'mirror');
    const [request] = await collector.wait(1, (span) => span.traceId === from.traceId && span.facts['http.route'] === '/api/chats/{id}/stream');
    const [call] = await collector.wait(1, (span) => span.traceId === from.traceId && span.name === 'GET' && span.kind === 3);
    assert.deepEqual([peer.parentSpanId, call.parentSpanId, mirror.parentSpanId], [call.spanId, mirror.spanId, request.spanId]);
    assert.notEqual(peer.resource['service.instance.id'], request.resource['service.instance.id']);
    await other.stop();
  } finally {
    if (other.child) other.drop();
  }
}));

test('a_collector_that_is_busy_gets_them_when_it_said_and_what_it_refuses_is_not_sent_again', () => withTraces(async (aerie, collector) => {
  collector.manner = manners['be busy'];
  const from = caller();
  await aerie.request('GET', '/health', { headers: from.headers });
  await collector.waitRequests(1);
  collector.manner = manners.take;
  const [span] = await collector.wait(1, ({ traceId }) => traceId === from.traceId);
  assert.ok(span.request.at - collector.requests[0].at > 900, 'it was asked to wait a second');
  assert.equal(collector.requests[0].text, span.request.text, 'it is the same batch');
  assert.equal(await count(aerie, 'aerie_span_exports_failed_total'), 1);
  assert.equal(await count(aerie, 'aerie_spans_exported_total'), 1);
  // The operator's headers; and it is inside, which egress.allow says nothing of.
  const [{ headers }] = collector.requests;
  assert.deepEqual([headers.authorization, headers['x-scope-orgid'], headers.traceparent], ['Bearer a-key-of-the-collector', 'tenant', undefined]);
  assert.doesNotMatch(aerie.command(['config']), /a-key-of-the-collector/);

  collector.manner = manners.refuse;
  await aerie.request('GET', '/health', { headers: caller().headers });
  await until(async () => (await count(aerie, 'aerie_spans_dropped_total{reason="not_sent"}')) === 1, 'it is given up');
  assert.equal(collector.requests.length, 3);
  collector.manner = manners['reject one'];
  await aerie.request('GET', '/health', { headers: caller().headers });
  await until(async () => (await count(aerie, 'aerie_spans_rejected_total')) === 1, 'it is counted');
  assert.equal(await count(aerie, 'aerie_spans_exported_total'), 1);
  assert.match(aerie.log, /the collector rejected 1 spans: one of them is too old/);
  assert.equal(await count(aerie, 'aerie_spans_waiting'), 0);
}, { TRACING__HEADERS: 'Authorization: Bearer a-key-of-the-collector,X-Scope-OrgID: tenant', EGRESS__ALLOW: '' }));

test('a_collector_that_is_down_costs_no_answer_and_no_more_memory_than_was_allowed', () => withTraces(async (aerie, collector) => {
  await collector.close();
  const { admin } = aerie;
  const agent = await agentOf(admin);
  const chats = await Promise.all(Array.from({ length: 20 }, () => askIn(admin, caller(), 'hello', agent)));
  for (const chat of chats) assert.equal((await admin.settledReply(chat)).status, 'complete');
  assert.ok((await count(aerie, 'aerie_spans_waiting')) <= 2 * 16, 'two loops, 16 each');
  assert.ok((await count(aerie, 'aerie_spans_dropped_total{reason="queue_full"}')) > 0);
  await collector.open();
  await collector.wait(1);
  assert.match(aerie.log, /the collector did not take spans: provider_unreachable/);
}, { TRACING__QUEUE: 16, TRACING__BATCH: 8 }));

test('a_collector_that_hangs_does_not_hold_up_the_end_of_the_server', () => withTraces(async (aerie, collector) => {
  collector.manner = manners.hang;
  await aerie.request('GET', '/health', { headers: caller().headers });
  await collector.waitRequests(1);
  const began = performance.now();
  await aerie.halt();
  assert.ok(performance.now() - began < 5000);
  assert.match(aerie.log, /1 spans did not reach the collector in time/);
}, { TRACING__DRAIN_MS: 200 }));

test('the_end_of_the_server_sends_what_still_waits', () => withTraces(async (aerie, collector) => {
  const from = caller();
  await aerie.request('GET', '/health', { headers: from.headers });
  assert.deepEqual(collector.of(from.traceId), []);
  await aerie.halt();
  assert.equal(collector.of(from.traceId).length, 1);
}, { TRACING__FLUSH_MS: 60000 }));

