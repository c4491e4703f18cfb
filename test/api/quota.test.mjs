// What a user may send and use: messages a minute, tokens a day, and how a client is told; and the account of what was used.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { startUpstream } from '../fake/upstream.mjs';
import { Aerie, unique } from '../tools/aerie.mjs';
import { openStream } from '../tools/http.mjs';

let aerie;
let upstream;
let agent;
const LIMIT = 2000;
const REPLY = 100;
before(async () => {
  upstream = await startUpstream();
  aerie = await Aerie.start({ env: { LIMITS__TOKENS_PER_DAY: LIMIT, LIMITS__REPLY_TOKENS: REPLY, LIMITS__MESSAGES_PER_MINUTE: 60 } });
  agent = await aerie.admin.agent({ webhook_url: upstream.url() });
});
after(async () => {
  await aerie?.stop();
  await upstream?.close();
});

const left = (answer) => Number(answer.headers['x-ratelimit-remaining-tokens']);
const sayer = async () => {
  const user = await aerie.user();
  return [user, (message, fields = {}) => user.post('/api/chat', { message, agent_id: agent.id, ...fields })];
};
/** The rows of today's account of an owner: [[agent, provider, model, messages, prompt, completion, total, estimated]]. */
const account = (owner) => aerie.database.query(
  `select agent_id, provider, model, messages, prompt_tokens, completion_tokens, total_tokens, estimated_tokens from usage_days where owner_id = '${owner}' order by provider, model`)
  .split('\n').filter(Boolean).map((row) => row.split('|'));

async function accountOf(owner, n = 1) {
  for (let i = 0; i < 500; i++) {
    const rows = account(owner);
    if (rows.reduce((sum, row) => sum + Number(row[3]), 0) >= n) return rows;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  throw new Error(`no account of ${owner}`);
}

test('each_answer_tells_the_rates', async () => {
  const [user, say] = await sayer();
  const first = await say('one');
  assert.equal(first.status, 200, first.text);
  assert.deepEqual([first.headers['x-ratelimit-limit'], first.headers['x-ratelimit-remaining']], ['60', '59']);
  assert.ok(Number(first.headers['x-ratelimit-reset']) >= 1);
  assert.equal(first.headers['x-ratelimit-limit-tokens'], String(LIMIT));
  const chat = await user.chat(agent);
  const streams = [await user.send(chat, 'two')];
  await streams[0].whole();
  streams.push(await openStream(aerie.port, 'POST', `/api/chats/${chat.id}/regenerate`, { token: user.token }));
  await streams[1].whole();
  streams.push(await openStream(aerie.port, 'POST', '/api/chat/stream', { token: user.token, json: { message: 'x', agent_id: agent.id } }));
  await streams[2].whole();
  streams.forEach((answer, i) => {
    assert.equal(answer.headers['x-ratelimit-remaining'], String(58 - i));
    assert.equal(answer.headers['x-ratelimit-limit-tokens'], String(LIMIT));
    assert.ok(left(answer) < LIMIT - REPLY);
  });
  const preflight = await aerie.request('GET', '/api/history', { token: user.token, headers: { Origin: aerie.base } });
  for (const name of ['X-RateLimit-Limit', 'X-RateLimit-Remaining', 'X-RateLimit-Reset', 'X-RateLimit-Limit-Tokens', 'X-RateLimit-Remaining-Tokens'])
    assert.ok(preflight.headers['access-control-expose-headers'].split(', ').includes(name), name);
});

test('one_message_too_many_in_a_minute_is_429_on_every_route', async () => {
  const [user, say] = await sayer();
  const chat = await user.chat(agent);
  const before = (await user.messages(chat)).length;
  const answers = await Promise.all(Array.from({ length: 62 }, () => user.post('/api/chat', { message: '' })));
  assert.equal(answers.filter((a) => a.status === 422).length, 60);
  const tries = [await say('x'), await user.post('/api/chat/stream', { message: 'x' }), await user.post(`/api/chats/${chat.id}/messages`, { content: 'x' }), await user.post(`/api/chats/${chat.id}/regenerate`)];
  for (const refused of tries) {
    assert.equal(refused.status, 429);
    assert.ok(Number(refused.headers['retry-after']) >= 1);
    assert.equal(refused.headers['x-ratelimit-limit'], '60');
    assert.equal(refused.headers['x-ratelimit-remaining'], '0');
    assert.ok(Number(refused.headers['x-ratelimit-reset']) > 50);
    assert.match(refused.json.detail, /Too many messages/);
  }
  assert.equal((await user.messages(chat)).length, before);
});

test('tokens_are_held_settled_and_stored_with_the_reply', async () => {
  const [user, say] = await sayer();
  const first = await say('!tokens=8'); // 9 characters there, 39 back: estimated
  assert.deepEqual(first.json.usage, { tokens: 13, prompt_tokens: 3, completion_tokens: 10, estimated: true });
  assert.equal(left(first), LIMIT - REPLY - 3);
  assert.deepEqual(account(user.me.id), [[agent.id, 'n8n', '', '1', '3', '10', '13', '13']]);
  const second = await say('!tokens=8');
  assert.equal(left(second), LIMIT - REPLY - 3 - 13);
  assert.deepEqual(account(user.me.id), [[agent.id, 'n8n', '', '2', '6', '20', '26', '26']]);
  const teller = await aerie.admin.agent({ provider: 'openai_compatible', webhook_url: upstream.url({}, '/v1'), model: 'm1' });
  const told = await say('!format=openai&tokens=4', { agent_id: teller.id });
  assert.deepEqual(told.json.usage, { tokens: 11, prompt_tokens: 7, completion_tokens: 4 });
  assert.deepEqual(account(user.me.id)[1], [teller.id, 'openai_compatible', 'm1', '1', '7', '4', '11', '0']);
  const messages = await user.messages({ id: told.json.session_id });
  assert.deepEqual(messages[1].usage, { prompt_tokens: 7, completion_tokens: 4, total_tokens: 11 });
});

test('what_failed_before_a_word_came_costs_nothing', async () => {
  const [user, say] = await sayer();
  assert.equal((await say('!status=500')).status, 502);
  assert.deepEqual(account(user.me.id), [[agent.id, 'n8n', '', '1', '0', '0', '0', '0']]);
  assert.equal(left(await say('x')), LIMIT - REPLY - 1);
});

test('a_stopped_reply_costs_what_came', async () => {
  const [user] = await sayer();
  const chat = await user.chat(agent);
  const stream = await user.send(chat, '!tokens=200&delay=20');
  await stream.until((s) => s.text.length > 20);
  await user.post(`/api/chats/${chat.id}/stop`);
  await stream.whole();
  const [[, , , messages, , completion]] = account(user.me.id);
  assert.equal(messages, '1');
  assert.equal(Number(completion), Math.ceil(stream.text.length / 4));
});

test('fifty_turns_at_once_do_not_pass_the_limit', async () => {
  const [user, say] = await sayer();
  const message = `!tokens=40&delay=4&tag=${unique('tag')}&${'x'.repeat(340)}`; // 100 tokens there, and about 65 back
  const prompt = Math.ceil(message.length / 4);
  const answers = await Promise.all(Array.from({ length: 50 }, () => say(message)));
  const good = answers.filter((a) => a.status === 200);
  const refused = answers.filter((a) => a.status === 429);
  assert.equal(good.length + refused.length, 50);
  assert.ok(good.length >= 4, `${good.length} of 50 passed`);
  assert.ok(refused.length >= 30, `${refused.length} of 50 refused`);
  const used = good.reduce((sum, a) => sum + a.json.usage.tokens, 0);
  assert.ok(used <= LIMIT, `${used} tokens`);
  const total = (await accountOf(user.me.id, good.length)).reduce((sum, row) => sum + Number(row[6]), 0);
  assert.equal(total, used);
  for (const answer of refused) {
    const now = new Date();
    const midnight = Date.UTC(now.getUTCFullYear(), now.getUTCMonth(), now.getUTCDate() + 1);
    const wait = Number(answer.headers['retry-after']);
    assert.ok(Math.abs(wait - (midnight - now) / 1000) < 60, `${wait} s`);
    assert.match(answer.json.detail, /tokens for today are used up/);
    assert.ok(left(answer) < prompt + REPLY);
  }
  assert.equal((await user.get('/api/history')).json.total, good.length, 'what is refused leaves no chat');
});

test('a_turn_that_is_refused_stores_nothing_and_asks_nobody', async () => {
  const [user, say] = await sayer();
  const { session_id } = (await say('hello')).json;
  const tag = unique('tag');
  const long = await say(`!tag=${tag}&${'x'.repeat(8000)}`, { session_id });
  assert.equal(long.status, 429);
  assert.equal((await user.messages({ id: session_id })).length, 2);
  assert.equal(upstream.tagged(tag).length, 0);
  assert.equal((await say('short', { session_id })).status, 200, 'a shorter one still fits');
});

test('an_answer_that_is_repeated_by_its_key_costs_nothing_more', async () => {
  const [user] = await sayer();
  const headers = { 'Idempotency-Key': unique('key') };
  const body = { message: '!tokens=8', agent_id: agent.id };
  const first = await user.post('/api/chat', body, { headers });
  const again = await user.post('/api/chat', body, { headers });
  assert.equal(again.json.message_id, first.json.message_id);
  assert.deepEqual(again.json.usage, first.json.usage);
  assert.equal(account(user.me.id)[0][3], '1');
});

test('the_count_outlives_the_process', async () => {
  const [user, say] = await sayer();
  for (let i = 0; i < 3; i++) assert.equal((await say('!tokens=8')).status, 200);
  await aerie.halt();
  await aerie.listen();
  assert.equal(left(await say('!tokens=8')), LIMIT - REPLY - 3 - 39);
  const both = await Promise.all([say('!tokens=8'), say('!tokens=8')]);
  assert.ok(both.every((answer) => answer.status === 200));
  assert.equal(account(user.me.id)[0][3], '6');
});

test('one_users_tokens_are_not_anothers', async () => {
  const [, say] = await sayer();
  const [, other] = await sayer();
  assert.equal((await say('x'.repeat(8000))).status, 429);
  assert.equal(left(await other('x')), LIMIT - REPLY - 1);
});

test('a_completion_is_in_its_keys_account_and_stores_nothing_else', async () => {
  const { json: key } = await aerie.admin.post(`/api/agents/${agent.id}/api-keys`, { name: 'k' });
  const rows = () => aerie.database.query('select count(*) from messages');
  const before = rows();
  for (const stream of [false, true]) {
    const answer = await aerie.request('POST', '/v1/chat/completions', { token: key.api_key, json: { model: agent.id, stream, messages: [{ role: 'user', content: '!tokens=8' }] } });
    assert.equal(answer.status, 200, answer.text);
  }
  assert.deepEqual(await accountOf(key.id, 2), [[agent.id, 'n8n', '', '2', '6', '20', '26', '26']]);
  assert.equal(rows(), before);
});
