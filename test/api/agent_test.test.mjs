// POST /api/agents/{id}/test: what came back, why it failed, and what to do about it.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { KEYS } from '../fake/models.mjs';
import { startUpstream } from '../fake/upstream.mjs';
import { Aerie } from '../tools/aerie.mjs';
import { readMetrics } from '../tools/metrics.mjs';
import { freePort } from '../tools/postgres.mjs';

let aerie;
let admin;
let upstream;
let agent;
before(async () => {
  upstream = await startUpstream();
  aerie = await Aerie.start({ env: {
    UPSTREAM__CONNECT_SECONDS: 2, UPSTREAM__FIRST_BYTE_SECONDS: 1, UPSTREAM__IDLE_SECONDS: 1, UPSTREAM__ERROR_WAIT_MS: 300, UPSTREAM__RETRIES: 0,
    UPSTREAM__REPLY_BYTES: 100000, EGRESS__ALLOW: '127.0.0.1', LIMITS__MESSAGES_PER_MINUTE: 0,
  } });
  admin = aerie.admin;
  agent = await admin.agent({ webhook_url: upstream.url() });
});
after(async () => {
  await aerie?.stop();
  await upstream?.close();
});

const tryOut = async ({ id }, message, who = admin) => who.post(`/api/agents/${id}/test`, message === undefined ? {} : { message });
const verdict = async (of, message) => {
  const answer = await tryOut(of, message);
  assert.equal(answer.status, 200, answer.text);
  return answer.json;
};
const model = (provider, name, path, key) => admin.agent({ provider, model: name, webhook_token: key, webhook_url: upstream.url({}, path) });

test('a_reply_that_streams_is_told_with_its_times_and_pieces', async () => {
  const told = await verdict(agent, '!tokens=5&first=60&delay=40');
  assert.deepEqual({ ...told, first_token_ms: 0, total_ms: 0 }, { ok: true, reply: 'tok0 tok1 tok2 tok3 tok4', error: null, first_token_ms: 0, total_ms: 0, chunks: told.chunks, streamed: true, http_status: 200 });
  assert.ok(told.chunks >= 2 && told.chunks <= 5, `${told.chunks} pieces`);
  assert.ok(told.first_token_ms >= 50 && told.total_ms >= told.first_token_ms + 100, JSON.stringify(told));
  const call = upstream.requests.at(-1).json;
  assert.equal(call.chatInput, '!tokens=5&first=60&delay=40');
  assert.deepEqual(call.messages.map((m) => m.role), ['user']);
});

test('a_reply_in_one_piece_did_not_stream', async () => {
  const told = await verdict(agent, '!format=json&text=all at once');
  assert.deepEqual([told.ok, told.reply, told.chunks, told.streamed], [true, 'all at once', 1, false]);
});

test('without_a_message_it_says_hello', async () => {
  const echo = await admin.agent({ provider: 'echo', config: { delay_ms: 5 } });
  for (const ask of [() => admin.post(`/api/agents/${echo.id}/test`, {}), () => aerie.request('POST', `/api/agents/${echo.id}/test`, { token: admin.token })]) {
    const { json, status } = await ask();
    assert.deepEqual([status, json.ok, json.reply, json.streamed, json.http_status], [200, true, 'Echo: Hello', true, null]);
  }
});

test('every_provider_is_asked_as_in_a_chat', async () => {
  for (const provider of [['openai_compatible', 'gpt-fake', '/openai/v1', KEYS.openai], ['anthropic', 'claude-fake', '/anthropic/v1', KEYS.anthropic], ['gemini', 'gemini-fake', '/gemini/v1beta', KEYS.gemini]]) {
    const told = await verdict(await model(...provider), '!tokens=3&delay=20');
    assert.deepEqual([told.ok, told.reply, told.http_status], [true, 'tok0 tok1 tok2', 200], `${provider[0]}: ${JSON.stringify(told)}`);
  }
});

test('an_agent_that_is_switched_off_is_tested_too', async () => {
  const off = await admin.agent({ provider: 'echo' });
  await admin.put(`/api/agents/${off.id}`, { is_active: false });
  assert.equal((await verdict(off, 'before it goes on')).reply, 'Echo: before it goes on');
});

test('each_way_to_fail_has_its_code_and_a_hint', async () => {
  const closed = await admin.agent({ webhook_url: `http://127.0.0.1:${await freePort()}/webhook/x` });
  const nowhere = await admin.agent({ webhook_url: 'http://localhost:1/webhook/x' }); // a name that leads to where this server may not call
  const testUrl = await admin.agent({ webhook_url: upstream.url({ status: 404 }, '/webhook-test/x') });
  const chat = await model('openai_compatible', 'gpt-fake', '/openai/v1', KEYS.openai);
  const started = encodeURIComponent('{"message":"Workflow was started"}');
  const request = encodeURIComponent('[{"headers":{"authorization":"Bearer x"},"body":{}}]');
  const starting = encodeURIComponent('{"code":503,"message":"n8n is starting up. Please wait"}');
  const cases = [
    [agent, `!format=raw&raw=${started}`, 'provider_malformed', /Respond.*Streaming/, 200],
    [agent, `!format=raw&raw=${request}`, 'provider_malformed', /last node return the reply/, 200],
    [agent, '!format=html', 'provider_malformed', /editor.*production URL/, 200],
    [agent, '!format=raw&raw={"weather":"fine"}', 'provider_malformed', /"output", "text"/, 200],
    [agent, '!format=raw&raw={"output":', 'provider_malformed', /broken JSON/, 200],
    [agent, '!status=404', 'provider_error', /Activate the workflow/, 404],
    [testUrl, 'hi', 'provider_error', /test URL.*\/webhook\//, 404],
    [agent, '!status=302&location=https://elsewhere.test/', 'provider_error', /https/, 302],
    [agent, '!status=500', 'provider_error', /Executions/, 500],
    [agent, '!format=raw&raw={"error":{"message":"x"}}', 'provider_error', /Executions/, 200],
    [agent, '!status=401', 'provider_auth', /webhook_token.*Header Auth/, 401],
    [agent, '!status=429', 'provider_rate_limited', /limits/, 429],
    [agent, '!format=empty', 'empty_reply', /which branch ran/, 200],
    [agent, '!silent=1', 'provider_timeout', /upstream\.first_byte_seconds/, null],
    [agent, '!tokens=5&reset_piece=2', 'interrupted', /proxy/, 200],
    [agent, '!tokens=1&size=200000', 'upstream_limit', /upstream\.reply_bytes/, 200],
    [closed, 'hi', 'provider_unreachable', /egress\.allow \(EGRESS__ALLOW\)/, null],
    [nowhere, 'hi', 'provider_unreachable', /egress\.allow \(EGRESS__ALLOW\)/, null],
    [chat, '!status=404', 'provider_error', /model's name/, 404],
    [chat, '!status=401', 'provider_auth', /key of this provider/, 401],
    [chat, '!status=500', 'provider_error', /model and config/, 500],
  ];
  for (const [of, message, code, hint, status] of cases) {
    const told = await verdict(of, message);
    const shown = `${message}: ${JSON.stringify(told)}`;
    assert.deepEqual([told.ok, told.error?.code, told.http_status], [false, code, status], shown);
    assert.match(told.error.hint, hint, shown);
    assert.ok(told.error.message.length > 10 && !/secret|Bearer x/.test(JSON.stringify(told)), shown);
    assert.equal(told.first_token_ms === null, told.chunks === 0, shown);
  }
  const begun = await verdict(agent, '!tokens=5&delay=20&reset_piece=3');
  assert.match(begun.reply, /^tok0/, 'what came before it broke off is told');
});

test('only_the_beginning_of_a_long_reply_is_told', async () => {
  const told = await verdict(agent, '!tokens=30&size=1000');
  assert.ok(told.ok);
  assert.ok(told.reply.length === 4096 && told.reply.startsWith('tok0...'), `${told.reply.length} characters`);
  const whole = await verdict(agent, `!text=${encodeURIComponent('€'.repeat(2000))}`);
  assert.equal(whole.reply, '€'.repeat(1365), 'cut between characters');
});

test('nothing_of_a_test_is_stored', async () => {
  const one = await admin.agent({ provider: 'echo' });
  const count = () => ['chats', 'messages', 'usage_days'].map((table) => aerie.database.query(`select count(*) from ${table}`));
  const before = count();
  assert.ok((await verdict(one, 'forget me')).ok);
  assert.deepEqual(count(), before);
});

test('only_admins_test_and_only_their_own_agents', async () => {
  const user = await aerie.user();
  const theirs = (await aerie.otherTeam()).admin;
  assert.equal((await tryOut(agent, 'hi', user)).status, 403);
  assert.equal((await aerie.request('POST', `/api/agents/${agent.id}/test`, { json: {} })).status, 401);
  for (const [who, id] of [[theirs, agent.id], [admin, randomUUID()], [admin, 'none']]) {
    const answer = await tryOut({ id }, 'hi', who);
    assert.deepEqual([answer.status, answer.json.detail], [404, 'Agent not found']);
  }
  for (const message of ['', 7, 'x'.repeat(32001), 'a\u0001b']) {
    const answer = await tryOut(agent, message);
    assert.deepEqual([answer.status, answer.json.errors?.map((e) => e.field)], [422, ['message']], answer.text);
  }
});

test('a_client_who_leaves_ends_the_call', async () => {
  const leaving = new AbortController();
  const asked = fetch(`${aerie.base}/api/agents/${agent.id}/test`, { method: 'POST', signal: leaving.signal, headers: { Authorization: `Bearer ${admin.token}`, 'Content-Type': 'application/json' }, body: JSON.stringify({ message: '!tokens=1000&delay=20&tag=left' }) }).catch((error) => error.name);
  const request = await upstream.waitFor(({ options }) => options.tag === 'left');
  leaving.abort();
  assert.equal(await asked, 'AbortError');
  for (let i = 0; i < 200 && !request.aborted_at; i++) await sleep(20);
  assert.ok(request.aborted_at, 'the call out goes on');
});

test('tests_take_slots_and_are_limited_by_team', async () => {
  const small = await Aerie.start({ env: { LIMITS__MESSAGES_PER_MINUTE: 3, LIMITS__STREAMS_PER_TEAM: 1 } });
  try {
    const slow = await small.admin.agent({ webhook_url: upstream.url() });
    const run = (who, message = '!tokens=2') => who.post(`/api/agents/${slow.id}/test`, { message });
    const first = run(small.admin, '!tokens=20&delay=30&tag=slow');
    await upstream.waitFor(({ options }) => options.tag === 'slow');
    assert.equal((await run(small.admin)).status, 429, 'the team has one stream');
    assert.equal((await first).json.ok, true);
    assert.equal((await run(small.admin)).json.ok, true, 'and has it again');
    const colleague = await small.user();
    await small.admin.put(`/api/users/${colleague.me.id}`, { role: 'admin' });
    const late = await run(await small.login(colleague.email));
    assert.equal(late.status, 429, 'whoever of the team asks');
    assert.ok(Number(late.headers['retry-after']) > 0);
    const theirs = (await small.otherTeam()).admin;
    const other = await theirs.agent({ provider: 'echo' });
    assert.equal((await theirs.post(`/api/agents/${other.id}/test`, {})).json.ok, true);
    assert.equal((await readMetrics(small)).get('aerie_upstream_calls_in_flight{provider="n8n"}') ?? 0, 0);
  } finally {
    await small.stop();
  }
});
