// Budgets: each scope and unit, at every door; cut in mid-stream, renewed, told once, and never passed by parallel spenders.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { startUpstream } from '../fake/upstream.mjs';
import { Aerie, unique, withinASecond } from '../tools/aerie.mjs';
import { kind } from '../tools/database.mjs';
import { readMetrics } from '../tools/metrics.mjs';
import { openSocket } from '../tools/socket.mjs';

let aerie;
let upstream;
const REPLY = 100;
const PRICES = { currency: 'USD', prices: [{ provider: 'n8n', model: '*', input: 1, output: 10 }] };

before(async () => {
  upstream = await startUpstream();
  aerie = new Aerie({ env: { LIMITS__REPLY_TOKENS: REPLY, BUDGETS__IDLE_SECONDS: 1, BUDGETS__LEASE_SECONDS: 3, TURN__CHECKPOINT_MS: 200, LIMITS__VISITOR_MESSAGES_PER_MINUTE: 0 } });
  aerie.env.BUDGETS__PRICES = join(aerie.folder, 'prices.json');
  writeFileSync(aerie.env.BUDGETS__PRICES, JSON.stringify(PRICES));
  aerie.prepare();
  await aerie.listen();
  await aerie.makeAdmin();
});
after(async () => {
  await aerie?.stop();
  await upstream?.close();
});

/** A team of its own, so that tests do not spend each other's budgets: {admin, agent, put, list, say}. */
async function team(server = aerie, fields = {}) {
  const { admin, slug, id } = await server.otherTeam();
  const agent = await admin.agent({ webhook_url: upstream.url(), ...fields });
  const put = async (budget) => {
    const answer = await admin.put('/api/budgets', { period: 'day', ...budget });
    assert.equal(answer.status, 200, answer.text);
    return answer.json;
  };
  const list = async () => (await admin.get('/api/budgets')).json;
  const say = (message, more = {}) => admin.post('/api/chat', { message, agent_id: agent.id, ...more });
  return { admin, slug, id, agent, put, list, say };
}
/** Messages of the server that found a budget spent: [refused, cut]. */
const stopped = async () => {
  const numbers = await readMetrics(aerie);
  return ['refused', 'cut'].map((outcome) => numbers.get(`aerie_budget_spent_total{outcome="${outcome}"}`));
};
const spent = async (list) => (await list())[0].spent;
const today = () => new Date().toISOString().slice(0, 10);
const secondsToMidnight = () => (Date.parse(`${today()}T00:00:00Z`) + 86400000 - Date.now()) / 1000;

test('a_budget_is_made_changed_listed_and_deleted_by_admins', async () => {
  const { admin, agent, put, list, id } = await team();
  assert.deepEqual(await list(), []);
  const made = await put({ scope: 'team', tokens: 1000 });
  assert.deepEqual([made.scope, made.subject_id, made.tokens, made.requests, made.money_micros, made.currency], ['team', id, 1000, null, null, 'USD']);
  assert.equal(made.period_start, `${today()}T00:00:00Z`);
  assert.deepEqual(made.spent, { requests: 0, tokens: 0, money_micros: 0 });
  const changed = await put({ scope: 'team', requests: 5 });
  assert.deepEqual([changed.id, changed.tokens, changed.requests], [made.id, null, 5]);
  await put({ scope: 'agent', subject_id: agent.id, period: 'month', money_micros: 7 });
  assert.deepEqual((await list()).map((b) => [b.scope, b.period, b.subject_name === agent.name]), [['agent', 'month', true], ['team', 'day', false]]);
  const month = (await list())[0];
  assert.ok(Date.parse(month.period_end) > Date.now() && month.period_end.endsWith('-01T00:00:00Z'));
  for (const wrong of [{ scope: 'team' }, { scope: 'agent', tokens: 1 }, { scope: 'team', tokens: -1 }, { scope: 'owner', subject_id: id, tokens: 1 }, { scope: 'team', period: 'year', tokens: 1 }])
    assert.equal((await admin.put('/api/budgets', { period: 'day', ...wrong })).status, 422, JSON.stringify(wrong));
  for (const scope of ['user', 'key', 'agent'])
    assert.equal((await admin.put('/api/budgets', { period: 'day', scope, subject_id: id, tokens: 1 })).status, 404);
  assert.equal((await admin.delete(`/api/budgets/${made.id}`)).status, 204);
  assert.equal((await admin.delete(`/api/budgets/${made.id}`)).status, 404);
  assert.equal((await list()).length, 1);
  const user = await aerie.user({ team_id: id });
  for (const call of [user.get('/api/budgets'), user.put('/api/budgets', { scope: 'team', period: 'day', tokens: 1 }), user.delete(`/api/budgets/${month.id}`)])
    assert.equal((await call).status, 403);
});

test('another_teams_budgets_and_subjects_are_as_if_they_were_not_there', async () => {
  const ours = await team();
  const theirs = await team();
  const budget = await ours.put({ scope: 'team', requests: 0 });
  assert.equal((await theirs.admin.put('/api/budgets', { scope: 'agent', subject_id: ours.agent.id, period: 'day', tokens: 1 })).status, 404);
  assert.equal((await theirs.admin.put('/api/budgets', { scope: 'team', subject_id: ours.id, period: 'day', requests: 9 })).json.subject_id, theirs.id);
  assert.equal((await theirs.admin.delete(`/api/budgets/${budget.id}`)).status, 404);
  assert.equal((await theirs.list()).length, 1);
  assert.equal((await theirs.say('hello')).status, 200);
  assert.equal((await ours.say('hello')).status, 429);
});

test('each_unit_is_counted_and_refused_with_the_budget_and_its_renewal', async () => {
  for (const [limit, unit, use] of [[{ requests: 1 }, 'requests', 1], [{ tokens: 25 }, 'tokens', 13], [{ money_micros: 260 }, 'money_micros', 103]]) {
    const { put, list, say, admin } = await team();
    await put({ scope: 'team', ...limit });
    const first = await say('!tokens=8'); // 9 characters there, 39 back: 3 and 10 tokens
    assert.equal(first.status, 200, first.text);
    assert.equal((await spent(list))[unit], use);
    const refused = await say('!tokens=8');
    assert.equal(refused.status, 429, `${unit}: ${refused.text}`);
    assert.match(refused.json.detail, new RegExp(`^The team's budget of ${unit.replace('_micros', '')} for today is spent; it renews at midnight UTC$`));
    assert.ok(Math.abs(Number(refused.headers['retry-after']) - secondsToMidnight()) < 60);
    assert.equal((await spent(list))[unit], use, 'what is refused costs nothing');
    assert.equal((await admin.get('/api/history')).json.total, 1, 'and stores nothing');
    await put({ scope: 'team', requests: 100, tokens: 100000, money_micros: 100000 });
    assert.equal((await say('x')).status, 200, 'a raised limit counts at once');
  }
});

test('each_scope_counts_at_its_doors', async () => {
  const { admin, agent, put, list, id } = await team(aerie, { allowed_origins: ['*'] });
  const other = await admin.agent({ webhook_url: upstream.url() });
  const user = await aerie.user({ team_id: id });
  const key = (await admin.post(`/api/agents/${agent.id}/api-keys`, { name: 'k' })).json;
  const completion = (stream) => aerie.request('POST', '/v1/chat/completions', { token: key.api_key, json: { model: agent.id, stream, messages: [{ role: 'user', content: 'x' }] } });
  await put({ scope: 'user', subject_id: user.me.id, requests: 2 });
  await put({ scope: 'key', subject_id: key.id, requests: 3 });
  await put({ scope: 'agent', subject_id: agent.id, requests: 7 });
  const to = (whom) => ({ message: 'x', agent_id: whom.id });
  assert.equal((await user.post('/api/chat', to(agent))).status, 200);
  assert.equal((await user.post('/api/chat', to(other))).status, 200);
  const refused = await user.post('/api/chat', to(other));
  assert.equal(refused.status, 429);
  assert.match(refused.json.detail, /^Your budget of requests/);
  assert.equal((await admin.post('/api/chat', to(agent))).status, 200);
  assert.equal((await completion(false)).status, 200);
  assert.equal((await completion(true)).status, 200);
  const session = (await aerie.request('POST', '/api/chat/session', { json: { api_key: key.api_key, assistant_id: agent.id } })).json;
  const bySession = () => aerie.request('POST', '/api/chat', { json: { api_key: key.api_key, assistant_id: agent.id, session_id: session.session_id, messages: [{ role: 'user', content: 'x' }] } });
  assert.equal((await bySession()).status, 200);
  const byKey = await completion(false);
  assert.equal(byKey.status, 429);
  assert.match(byKey.json.error.message, /^This API key's budget of requests/);
  assert.ok(Number(byKey.headers['retry-after']) > 0);
  assert.equal((await bySession()).status, 429);
  const visitor = (path, json) => aerie.request('POST', path, { json, headers: { Origin: 'https://shop.test' } });
  const begun = (await visitor('/api/chat/widget/session', { chatbot_id: agent.id })).json;
  const visit = () => visitor('/api/chat/widget', { session_id: begun.session_id, message: 'x' });
  const visits = [await visit(), await visit(), await visit()];
  assert.deepEqual(visits.map((v) => v.status), [200, 200, 429], visits.map((v) => v.text).join());
  assert.match(visits[2].json.detail, /^This agent's budget/);
  await withinASecond(async () => (await list()).find((b) => b.scope === 'agent').spent.requests === 7, 'the agent is counted');
});

test('a_reply_is_cut_in_mid_stream_when_the_budget_is_spent', async () => {
  const { admin, agent, put, list } = await team();
  await put({ scope: 'team', tokens: 150 });
  const [refused, cut] = await stopped();
  const chat = await admin.chat(agent);
  const tag = unique('tag');
  const stream = await admin.ask(chat, `!tokens=400&delay=4&tag=${tag}`);
  const last = stream.events.at(-1);
  assert.equal(last.type, 'error');
  assert.equal(last.data.code, 'budget_spent');
  assert.match(last.data.message, /^The team's budget of tokens for today is spent/);
  assert.ok(Math.abs(last.data.retry_after - secondsToMidnight()) < 60);
  const reply = await admin.settledReply(chat);
  assert.equal(reply.content, stream.text, 'what came is kept');
  assert.equal(reply.status, 'error');
  assert.equal((await spent(list)).tokens, 150);
  await withinASecond(() => upstream.tagged(tag)[0].aborted_at, 'the agent is not asked any more');
  const again = await admin.send(chat, 'x');
  assert.equal(again.status, 429);
  assert.deepEqual(await stopped(), [refused + 1, cut + 1]);
});

test('a_piece_that_does_not_fit_is_cut_at_the_character', async () => {
  const { admin, agent, put, list } = await team();
  await put({ scope: 'team', tokens: 1000 });
  const chat = await admin.chat(agent);
  const stream = await admin.ask(chat, '!tokens=3&size=3000'); // 5 tokens, and 750 in each piece
  assert.equal(stream.events.at(-1).data.code, 'budget_spent');
  assert.equal(stream.text.length, 995 * 4);
  assert.equal((await admin.settledReply(chat)).content, stream.text);
  assert.equal((await spent(list)).tokens, 1000);
});

test('a_failure_that_comes_while_all_text_waits_for_the_budget_ends_the_reply', async () => {
  const server = await Aerie.start({ env: { LIMITS__REPLY_TOKENS: 0 } }); // no more than the prompt is held
  try {
    const { admin, agent, put } = await team(server);
    await put({ scope: 'team', tokens: 60 });
    const chat = await admin.chat(agent);
    const stream = await admin.ask(chat, '!tokens=3&error=1');
    assert.equal(stream.events.at(-1).data.code, 'provider_error');
    assert.equal((await admin.settledReply(chat)).status, 'error');
    await put({ scope: 'team', tokens: 6000 });
    assert.equal((await admin.ask(chat, '!tokens=3')).text, 'tok0 tok1 tok2');
  } finally {
    await server.stop();
  }
});

test('a_reply_that_ends_while_the_database_is_asked_again_and_again_is_whole', { skip: kind === 'sqlite' && 'nobody else holds its rows' }, async () => {
  const framed = (object) => {
    const line = `${JSON.stringify(object)}\n`;
    return `${line.length.toString(16)}\r\n${line}\r\n`;
  };
  const { admin, agent, put, list } = await team(aerie, { webhook_url: upstream.url({}, '/bursts') });
  await put({ scope: 'team', tokens: 4000 });
  upstream.handle('/bursts', async (_, socket) => {
    const held = aerie.database.hold('begin; lock table budget_spend in exclusive mode; select pg_sleep(1.2); commit');
    await sleep(500);
    socket.write(`HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n${framed({ type: 'begin' })}${framed({ type: 'item', content: 'a'.repeat(1000) })}`);
    await sleep(200); // the database is asked for these 250 tokens
    socket.write(`${framed({ type: 'item', content: 'b'.repeat(4000) })}${framed({ type: 'end' })}0\r\n\r\n`);
    await held;
  });
  const whole = 'a'.repeat(1000) + 'b'.repeat(4000);
  const chat = await admin.chat(agent);
  assert.equal((await admin.ask(chat, 'hello')).text, whole);
  const reply = await admin.settledReply(chat);
  assert.deepEqual([reply.status, reply.content.length], ['complete', 5000]);
  const key = (await admin.post(`/api/agents/${agent.id}/api-keys`, { name: 'k' })).json;
  const answer = await aerie.request('POST', '/v1/chat/completions', { token: key.api_key, json: { model: agent.id, messages: [{ role: 'user', content: 'hello' }] } });
  assert.equal(answer.json.choices[0].message.content, whole);
  await withinASecond(async () => (await spent(list)).tokens === 2 * (2 + 1250), 'both are counted');
});

test('a_reply_that_asks_for_more_again_and_again_is_whole', async () => {
  const { admin, agent, put, list } = await team();
  await put({ scope: 'team', tokens: 6000 }); // portions of 93 tokens: what comes while the database is asked waits
  const chats = await Promise.all(Array.from({ length: 6 }, () => admin.chat(agent)));
  const streams = await Promise.all(chats.map((chat) => admin.ask(chat, '!tokens=400&delay=1&size=9')));
  const whole = Array.from({ length: 400 }, (_, i) => `${i ? ' ' : ''}tok${i}`.padEnd(9, '.')).join('');
  for (const stream of streams) assert.equal(stream.text, whole);
  assert.equal((await spent(list)).tokens, 6 * (7 + 900));
});

test('a_client_that_waits_for_the_whole_reply_gets_429_when_it_is_cut', async () => {
  const { put, say, admin } = await team();
  await put({ scope: 'team', tokens: 150 });
  const answer = await say('!tokens=400&delay=2');
  assert.equal(answer.status, 429, answer.text);
  assert.ok(Number(answer.headers['retry-after']) > 0);
  assert.equal((await admin.get('/api/history')).json.total, 1);
});

test('a_completion_and_a_socket_are_cut_as_a_stream_is', async () => {
  const { admin, agent, put } = await team();
  await put({ scope: 'agent', subject_id: agent.id, tokens: 150 });
  const key = (await admin.post(`/api/agents/${agent.id}/api-keys`, { name: 'k' })).json;
  const body = (stream) => ({ model: agent.id, stream, messages: [{ role: 'user', content: '!tokens=400&delay=2' }] });
  const answer = await aerie.request('POST', '/v1/chat/completions', { token: key.api_key, json: body(true) });
  assert.equal(answer.status, 200);
  const events = answer.text.split('\n\n').filter((line) => line.startsWith('data: ')).map((line) => JSON.parse(line.slice(6)));
  assert.match(events.at(-1).error.message, /^This agent's budget of tokens/);
  const text = events.map((e) => e.choices?.[0]?.delta?.content ?? '').join('');
  assert.ok(text.length > 500 && text.length < 600, `${text.length} characters`);
  await put({ scope: 'agent', subject_id: agent.id, tokens: 300 });
  const whole = await aerie.request('POST', '/v1/chat/completions', { token: key.api_key, json: body(false) });
  assert.equal(whole.status, 429, whole.text);
  await put({ scope: 'agent', subject_id: agent.id, tokens: 450 });
  const socket = await openSocket(aerie.port, { token: admin.token });
  const { last, text: said } = await socket.ask({ message: '!tokens=400&delay=2', agent_id: agent.id });
  assert.equal(last.data.code, 'budget_spent');
  assert.ok(said.length > 300, `${said.length} characters`);
  await socket.close();
});

test('a_hundred_parallel_spenders_do_not_pass_a_budget', async () => {
  const { put, list, say } = await team();
  await put({ scope: 'team', tokens: 1000 });
  const answers = await Promise.all(Array.from({ length: 100 }, (_, i) => say(`!tokens=60&delay=3&n=${i}`)));
  const good = answers.filter((a) => a.status === 200);
  assert.ok(good.length >= 5, `${good.length} replies`);
  assert.equal(answers.filter((a) => a.status !== 200 && a.status !== 429).length, 0);
  const { tokens } = await spent(list);
  assert.ok(tokens > 800 && tokens <= 1000, `${tokens} tokens`);
  const charged = aerie.database.query(`select sum(total_tokens) from usage_days where team_id = (select team_id from budgets where id = '${(await list())[0].id}')`);
  assert.equal(Number(charged), tokens, 'the account and the budget agree');
});

test('three_servers_on_one_database_do_not_pass_a_budget', { skip: kind === 'sqlite' && 'SQLite has one server' }, async () => {
  const { put, list, agent, admin } = await team();
  await put({ scope: 'team', tokens: 1000 });
  const nodes = [aerie, await aerie.beside(), await aerie.beside()];
  try {
    const say = (i) => nodes[i % 3].request('POST', '/api/chat', { token: admin.token, json: { message: `!tokens=60&delay=3&n=${i}`, agent_id: agent.id } });
    const answers = await Promise.all(Array.from({ length: 100 }, (_, i) => say(i)));
    assert.equal(answers.filter((a) => a.status !== 200 && a.status !== 429).length, 0, answers.map((a) => a.status).join());
    assert.ok(answers.filter((a) => a.status === 200).length >= 5);
    const { tokens } = await spent(list);
    assert.ok(tokens > 700 && tokens <= 1000, `${tokens} tokens`);
    // What a server has leased goes back when it ends, and every server sees a change within a second.
    await put({ scope: 'team', tokens: 64000 });
    await withinASecond(async () => (await say(1)).status === 200 && (await say(2)).status === 200, 'the raised limit is seen');
    await Promise.all([nodes[1].stop(), nodes[2].stop()]);
    for (let i = 0; i < 80 && (await list())[0].reserved.tokens > 0; i++) await sleep(50);
    assert.equal((await list())[0].reserved.tokens, 0);
  } finally {
    nodes.slice(1).forEach((node) => node.drop());
  }
});

test('a_budget_renews_with_its_period_and_outlives_the_process', async () => {
  const { put, list, say } = await team();
  const budget = await put({ scope: 'team', requests: 1 });
  await put({ scope: 'team', period: 'month', requests: 100 });
  assert.equal((await say('x')).status, 200);
  await aerie.halt();
  await aerie.listen();
  assert.equal((await say('x')).status, 429, 'it is spent after a restart, too');
  const byPeriod = async () => Object.fromEntries((await list()).map((b) => [b.period, b.spent.requests]));
  assert.deepEqual(await byPeriod(), { day: 1, month: 1 });
  await aerie.halt();
  aerie.database.query(`update budget_spend set period_start = period_start - ${kind === 'sqlite' ? '86400000000' : "interval '1 day'"} where period = 'day' and team_id = '${budget.subject_id}'${kind === 'sqlite' ? '' : ' returning 1'}`);
  aerie.database.query(`update usage_days set day = day - ${kind === 'sqlite' ? '86400000000' : "interval '1 day'"} where team_id = '${budget.subject_id}'${kind === 'sqlite' ? '' : ' returning 1'}`);
  await aerie.listen();
  assert.deepEqual((await byPeriod()).day, 0);
  assert.equal((await say('x')).status, 200, 'a new day');
  assert.equal((await say('x')).status, 429);
  assert.deepEqual(await byPeriod(), { day: 1, month: 2 });
});

test('a_new_budget_counts_what_its_period_has_seen', async () => {
  const { put, list, say } = await team();
  assert.equal((await say('!tokens=8')).status, 200);
  await put({ scope: 'team', tokens: 1000, requests: 10 });
  assert.equal((await say('!tokens=8')).status, 200);
  const { requests, tokens } = await spent(list);
  assert.deepEqual([requests, tokens], [2, 26]);
});

test('what_was_leased_and_not_used_goes_back', async () => {
  const { put, list, say } = await team();
  await put({ scope: 'team', tokens: 64000 }); // portions of 1,000
  assert.equal((await say('x')).status, 200);
  const { reserved } = (await list())[0];
  assert.ok(reserved.tokens > 900 && reserved.tokens <= 1000, `${reserved.tokens}`);
  for (let i = 0; i < 80 && (await list())[0].reserved.tokens > 0; i++) await sleep(50);
  assert.equal((await list())[0].reserved.tokens, 0);
});

test('a_warning_at_four_fifths_and_the_end_are_told_once', async () => {
  const { put, list, say, id } = await team();
  const now = kind === 'sqlite' ? Date.now() * 1000 : 'now()';
  const off = kind === 'sqlite' ? 0 : 'false';
  const on = kind === 'sqlite' ? 1 : 'true';
  aerie.database.query(`insert into webhooks (id, team_id, url, secret, events, include_text, is_active, created_at, updated_at) values ('${randomUUID()}', '${id}', 'http://127.0.0.1:9/', 'unreadable', ',budget.spent,budget.warning,', ${off}, ${on}, ${now}, ${now}) returning 1`);
  const told = () => aerie.database.query(`select type, payload from webhook_deliveries where team_id = '${id}' order by type desc`).split('\n').filter(Boolean).map((row) => [row.split('|')[0], JSON.parse(row.slice(row.indexOf('|') + 1))]);
  const budget = await put({ scope: 'team', requests: 5 });
  for (let i = 0; i < 3; i++) await say('x');
  await sleep(1200);
  assert.equal((await list())[0].warned_at, null);
  assert.deepEqual(told(), []);
  await say('x');
  await withinASecond(async () => (await list())[0].warned_at !== null, 'the warning');
  const { warned_at, spent_at } = (await list())[0];
  assert.equal(spent_at, null);
  const [[type, data]] = told();
  assert.equal(type, 'budget.warning');
  assert.deepEqual(data, {
    budget_id: budget.id, scope: 'team', subject_id: id, period: 'day', period_start: budget.period_start, period_end: budget.period_end,
    limits: { requests: 5, tokens: null, money_micros: null }, spent: { ...data.spent, requests: 4 }, currency: 'USD',
  });
  await say('x');
  await withinASecond(async () => (await list())[0].spent_at !== null, 'the end');
  assert.equal((await list())[0].warned_at, warned_at, 'once');
  assert.deepEqual(told().map(([name]) => name), ['budget.warning', 'budget.spent']);
});

/** As they are estimated. */
const tokensOf = (prompt, reply) => (reply ? Math.ceil(prompt.length / 4) + Math.ceil(reply.length / 4) : 0);

test('a_reply_that_a_crash_has_cut_is_counted_once_as_far_as_its_text_is_stored', async () => {
  const { put, list, admin, agent, id } = await team(aerie, { system_prompt: 'Be brief, and kind.' });
  await put({ scope: 'team', tokens: 100000 });
  await put({ scope: 'agent', subject_id: agent.id, period: 'month', tokens: 100000 });
  await put({ scope: 'user', subject_id: admin.me.id, tokens: 100000 });
  const nobodys = await aerie.user({ team_id: id });
  await put({ scope: 'user', subject_id: nobodys.me.id, tokens: 100000 });
  const words = '!tokens=2000&delay=10';
  const [chat, silent] = [await admin.chat(agent), await admin.chat(agent)];
  const stream = await admin.send(chat, words);
  await stream.until((s) => s.text.length > 400);
  const mute = await admin.send(silent, '!tokens=2000&first=60000');
  await mute.until((s) => s.events.length > 0);
  await aerie.kill();
  stream.close?.();
  mute.close?.();
  const counted = async () => [(await list()).map(({ scope, subject_id, spent: { requests, tokens } }) => [scope, subject_id === nobodys.me.id, requests, tokens]),
    (await admin.get('/api/usage')).json.totals];
  for (let i = 0; i < 2; i++) {
    await aerie.listen();
    const reply = (await admin.messages(chat))[1];
    assert.deepEqual([reply.status, (await admin.messages(silent))[1].content], ['interrupted', '']);
    const prompt = `Be brief, and kind.${words}`;
    const [tokens, ofReply] = [tokensOf(prompt, reply.content), Math.ceil(reply.content.length / 4)];
    assert.ok(ofReply > 20);
    assert.deepEqual(await counted(), [[['agent', false, 2, tokens], ['team', false, 2, tokens], ['user', false, 2, tokens], ['user', true, 0, 0]],
      { messages: 2, errors: 2, prompt_tokens: tokens - ofReply, completion_tokens: ofReply, first_token_ms: null }]);
    if (i === 0) await aerie.halt();
  }
  assert.equal(aerie.database.query(`select sum(estimated_tokens) - sum(total_tokens) from usage_days where team_id = '${id}'`), '0');
});

test('a_crash_keeps_what_was_spent_and_frees_what_was_leased', async () => {
  const { put, list, say, admin, agent } = await team();
  await put({ scope: 'team', tokens: 300 });
  assert.equal((await say('!tokens=8')).status, 200);
  const chat = await admin.chat(agent);
  const stream = await admin.send(chat, '!tokens=200&delay=20');
  await stream.until((s) => s.text.length > 20);
  await aerie.kill();
  stream.close?.();
  await aerie.listen();
  const kept = (await admin.messages(chat))[1].content;
  assert.equal((await spent(list)).tokens, 13 + tokensOf('!tokens=200&delay=20', kept));
  for (let i = 0; i < 200 && (await list())[0].reserved.tokens > 0; i++) {
    assert.equal((await say('x'.repeat(4000))).status, 429); // what is of no use to it is not leased
    await sleep(100);
  }
  assert.equal((await list())[0].reserved.tokens, 0);
});

test('the_command_line_sets_lists_and_removes_budgets', async () => {
  const { slug, say, list, agent } = await team();
  aerie.command(['budget', 'set', '--team', slug, '--scope', 'team', '--period', 'day', '--requests', '0']);
  await withinASecond(async () => (await say('x')).status === 429, 'a running server obeys');
  const [line] = aerie.command(['budget', 'list', '--team', slug, '--json']).trim().split('\n').map((text) => JSON.parse(text));
  assert.deepEqual([line.scope, line.period, line.requests, line.tokens], ['team', 'day', 0, null]);
  assert.match(aerie.command(['budget', 'list', '--team', slug]), /team .* day .*requests \d+ of 0/);
  aerie.command(['budget', 'set', '--team', slug, '--scope', 'agent', '--subject', agent.id, '--period', 'month', '--money', '1.5']);
  assert.equal((await list()).find((b) => b.scope === 'agent').money_micros, 1500000);
  assert.equal(aerie.tryCommand(['budget', 'set', '--team', slug, '--scope', 'user', '--subject', agent.id, '--period', 'day', '--tokens', '1']).status, 1);
  assert.equal(aerie.tryCommand(['budget', 'set', '--team', slug, '--scope', 'team', '--period', 'day']).status, 1);
  aerie.command(['budget', 'remove', '--team', slug, '--scope', 'team', '--period', 'day']);
  assert.equal(aerie.tryCommand(['budget', 'remove', '--team', slug, '--scope', 'team', '--period', 'day']).status, 1);
  await withinASecond(async () => (await say('x')).status === 200, 'a running server obeys');
});

test('a_bad_price_table_is_refused_with_its_line_and_the_old_one_stays', async () => {
  const { put, list, say } = await team();
  await put({ scope: 'team', money_micros: 1000000 });
  writeFileSync(aerie.env.BUDGETS__PRICES, '{"prices": [\n{"provider": "n8n", "model": "*", "input": "much", "output": 1}]}');
  aerie.child.kill('SIGHUP');
  await withinASecond(() => /prices\.json:2: price 1 needs input and output/.test(aerie.log), 'the log names line and entry');
  assert.equal((await say('!tokens=8')).status, 200);
  assert.equal((await spent(list)).money_micros, 103);
  writeFileSync(aerie.env.BUDGETS__PRICES, JSON.stringify({ prices: [{ provider: 'n8n', model: '', input: 0, output: 1000 }] }));
  aerie.child.kill('SIGHUP');
  await withinASecond(async () => {
    const { money_micros } = await spent(list);
    await say('!tokens=8');
    return (await spent(list)).money_micros - money_micros === 10000;
  }, 'the new prices');
  writeFileSync(aerie.env.BUDGETS__PRICES, JSON.stringify(PRICES));
  aerie.child.kill('SIGHUP');
});

test('admins_read_the_prices_that_are_in_force', async () => {
  const { admin, id } = await team();
  const read = async () => (await admin.get('/api/prices')).json;
  await withinASecond(async () => (await read()).prices[0].model === '*', 'the table that was written last');
  assert.deepEqual(await read(), { currency: 'USD', prices: [{ provider: 'n8n', model: '*', input_micros: 1e6, output_micros: 1e7 }] });
  assert.equal((await (await aerie.user({ team_id: id })).get('/api/prices')).status, 403);
});

test('a_model_without_a_price_costs_nothing_and_is_told_once', async () => {
  const { put, list, admin } = await team();
  const agent = await admin.agent({ provider: 'openai_compatible', webhook_url: upstream.url({}, '/v1'), model: 'nobody-knows-1' });
  await put({ scope: 'team', money_micros: 10 });
  for (let i = 0; i < 2; i++)
    assert.equal((await admin.post('/api/chat', { message: '!format=openai&tokens=4', agent_id: agent.id })).status, 200);
  assert.deepEqual(await spent(list), { requests: 2, tokens: 22, money_micros: 0 });
  assert.equal(aerie.log.split('there is no price for model "nobody-knows-1"').length, 2);
});
