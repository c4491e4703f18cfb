// /api/chat, /api/chat/stream and /api/history: the chat API of clients that know sessions, not agents.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, test } from 'node:test';
import { startUpstream } from '../fake/upstream.mjs';
import { Aerie, isTime, isUuid, unique } from '../tools/aerie.mjs';
import { EventStream, openStream } from '../tools/http.mjs';

let aerie;
let upstream;
let agent;
let user;
before(async () => {
  upstream = await startUpstream();
  aerie = await Aerie.start();
  agent = await aerie.admin.agent({ webhook_url: upstream.url() });
  await useByDefault(agent);
  user = await aerie.user();
});
after(async () => {
  await aerie?.stop();
  await upstream?.close();
});

const useByDefault = async ({ id }) => {
  const answer = await aerie.admin.put('/api/team', { settings: { default_agent_id: id } });
  assert.equal(answer.status, 200, answer.text);
};
const chatOf = async (id, who = user) => (await who.get(`/api/chats/${id}`)).json;

async function talk(fields, { who = user, key, status = 200 } = {}) {
  const answer = await who.post('/api/chat', fields, { headers: key ? { 'Idempotency-Key': key } : {} });
  assert.equal(answer.status, status, answer.text);
  return answer.json;
}

function startStream(fields, { who = user, key } = {}) {
  const headers = { Accept: 'text/event-stream', ...(key ? { 'Idempotency-Key': key } : {}) };
  return openStream(aerie.port, 'POST', '/api/chat/stream', { token: who.token, json: fields, headers });
}

async function stream(fields, options) {
  const answer = await startStream(fields, options);
  assert.ok(answer instanceof EventStream, `no stream but ${answer.status} ${answer.text}`);
  return answer.whole();
}

test('a_message_without_a_session_starts_one_and_gets_its_reply', async () => {
  const said = await talk({ message: '!tokens=3', session_id: null });
  assert.ok(isUuid(said.message_id));
  assert.ok(isUuid(said.session_id));
  assert.equal(said.reply, 'tok0 tok1 tok2');
  assert.ok(isTime(said.created_at));
  assert.equal(typeof said.usage.tokens, 'number');
  assert.equal(said.status, 'complete');
  assert.ok('model' in said);
  const chat = await chatOf(said.session_id);
  assert.equal(chat.agent_id, agent.id);
  assert.deepEqual(chat.messages.map((m) => [m.role, m.content, m.status]), [
    ['user', '!tokens=3', 'complete'], ['assistant', 'tok0 tok1 tok2', 'complete'],
  ]);
  assert.equal(chat.messages[1].id, said.message_id);
  assert.equal(chat.messages[1].timestamp, said.created_at);
});

test('a_session_goes_on_with_its_context', async () => {
  const tag = unique('tag');
  const first = await talk({ message: `!tokens=2&tag=${tag}` });
  const second = await talk({ message: `!tokens=1&tag=${tag}`, session_id: first.session_id });
  assert.equal(second.session_id, first.session_id);
  assert.notEqual(second.message_id, first.message_id);
  const [, asked] = upstream.tagged(tag);
  assert.deepEqual(asked.json.messages.map((m) => m.content), [`!tokens=2&tag=${tag}`, 'tok0 tok1', `!tokens=1&tag=${tag}`]);
  assert.equal(asked.json.sessionId, first.session_id);
});

test('a_new_chat_is_called_after_its_first_message', async () => {
  const title = async (message) => (await chatOf((await talk({ message })).session_id)).title;
  assert.equal(await title('Hello there'), 'Hello there');
  assert.equal(await title('  two\n\nlines  \tand more'), 'two lines and more');
  assert.equal(await title('é'.repeat(100)), 'é'.repeat(60));
  assert.equal(await title('🎉'.repeat(61)), '🎉'.repeat(60));
  assert.equal(await title(' \n '), 'New chat');
});

test('the_stream_is_the_same_and_says_its_session_first', async () => {
  const answer = await stream({ message: '!tokens=4' });
  const [first] = answer.events;
  assert.equal(first.type, 'status');
  assert.ok(isUuid(first.data.session_id));
  assert.equal(answer.text, 'tok0 tok1 tok2 tok3');
  assert.equal(answer.of('done').length, 1);
  const again = await stream({ message: '!tokens=1', session_id: first.data.session_id });
  assert.equal(again.events[0].data.session_id, first.data.session_id);
  assert.equal((await chatOf(first.data.session_id)).message_count, 4);
});

test('another_users_session_is_no_session', async () => {
  const other = await aerie.user();
  const admin = (await aerie.otherTeam()).admin;
  const { session_id } = await talk({ message: 'mine' });
  for (const who of [other, admin]) {
    const answer = await talk({ message: 'yours?', session_id }, { who, status: 404 });
    assert.deepEqual(answer, (await who.post('/api/chat', { message: 'x', session_id: randomUUID() })).json);
    assert.deepEqual(answer, { detail: 'Chat not found' });
    assert.equal((await startStream({ message: 'yours?', session_id }, { who })).status, 404);
  }
  assert.equal((await chatOf(session_id)).message_count, 2);
});

test('an_agent_is_chosen_for_a_new_session_only', async () => {
  const echo = await aerie.admin.agent({ provider: 'echo' });
  const said = await talk({ message: 'Hello', agent_id: echo.id });
  assert.equal((await chatOf(said.session_id)).agent_id, echo.id);
  await talk({ message: 'again', session_id: said.session_id, agent_id: echo.id });
  const refused = await talk({ message: 'again', session_id: said.session_id, agent_id: agent.id }, { status: 409 });
  assert.match(refused.detail, /another agent/);
  await talk({ message: 'x', agent_id: randomUUID() }, { status: 404 });
  const { admin } = await aerie.otherTeam();
  assert.deepEqual(await talk({ message: 'x', agent_id: agent.id }, { who: admin, status: 404 }), { detail: 'Agent not found' });
  await aerie.admin.put(`/api/agents/${echo.id}`, { is_active: false });
  await talk({ message: 'x', agent_id: echo.id }, { status: 404 });
});

test('a_team_without_a_default_asks_its_oldest_active_agent', async () => {
  const { admin } = await aerie.otherTeam();
  assert.match((await talk({ message: 'anyone?' }, { who: admin, status: 409 })).detail, /POST \/api\/agents/);
  assert.equal((await admin.get('/api/history')).json.total, 0);
  const oldest = await admin.agent({ provider: 'echo', is_active: false });
  const second = await admin.agent({ provider: 'echo' });
  const third = await admin.agent({ provider: 'echo' });
  const asked = async () => (await chatOf((await talk({ message: 'who?' }, { who: admin })).session_id, admin)).agent_id;
  assert.equal(await asked(), second.id);
  await admin.put(`/api/agents/${oldest.id}`, { is_active: true });
  assert.equal(await asked(), oldest.id);
  assert.equal((await admin.put('/api/team', { settings: { default_agent_id: third.id.toUpperCase() } })).status, 200);
  assert.equal(await asked(), third.id);
  await admin.put(`/api/agents/${third.id}`, { is_active: false });
  assert.equal(await asked(), oldest.id);
});

test('a_default_agent_must_be_one_of_the_team', async () => {
  const { admin } = await aerie.otherTeam();
  for (const id of [agent.id, randomUUID(), 'x', 7]) {
    const answer = await admin.put('/api/team', { settings: { default_agent_id: id } });
    assert.equal(answer.status, 422, String(id));
    assert.equal(answer.json.errors[0].field, 'settings.default_agent_id');
  }
  assert.equal((await admin.put('/api/team', { settings: { default_agent_id: null } })).status, 200);
});

test('wrong_fields_are_named_and_nothing_is_stored', async () => {
  const before = (await user.get('/api/history')).json.total;
  const cases = [
    [{}, 'message'], [{ message: '' }, 'message'], [{ message: 7 }, 'message'], [{ message: 'x'.repeat(32001) }, 'message'],
    [{ message: 'x', session_id: 'abc' }, 'session_id'], [{ message: 'x', agent_id: 5 }, 'agent_id'],
    [{ message: 'x', model: 'a\nb' }, 'model'],
  ];
  for (const path of ['/api/chat', '/api/chat/stream'])
    for (const [fields, field] of cases) {
      const answer = await user.post(path, fields);
      assert.equal(answer.status, 422, JSON.stringify(fields).slice(0, 80));
      assert.deepEqual(answer.json.errors.map((e) => e.field), [field]);
    }
  assert.equal((await aerie.request('POST', '/api/chat', { json: { message: 'x' } })).status, 401);
  assert.equal((await user.get('/api/history')).json.total, before);
});

test('failures_have_the_status_of_their_kind', async () => {
  const cases = [['!status=500', 502], ['!status=401', 502], ['!format=empty', 502]];
  for (const [message, status] of cases) assert.ok((await talk({ message }, { status })).detail);
  const failed = await stream({ message: '!status=500' });
  assert.equal(failed.error.code, 'provider_error');
});

test('a_model_is_chosen_for_one_turn', async () => {
  const model = async (config, name, status = 200) => {
    const tag = unique('tag');
    const chosen = await aerie.admin.agent({ provider: 'openai_compatible', webhook_url: upstream.url({}, '/v1'), model: 'usual', config });
    const said = await talk({ message: `!format=openai&tag=${tag}`, agent_id: chosen.id, model: name }, { status });
    return [upstream.tagged(tag)[0]?.json.model, said.model];
  };
  assert.deepEqual(await model({}, 'special'), ['special', 'special']);
  assert.deepEqual(await model({}, undefined), ['usual', 'usual']);
  assert.deepEqual(await model({ models: ['special', 'other'] }, 'other'), ['other', 'other']);
  assert.deepEqual(await model({ models: ['special'] }, 'other', 422), [undefined, undefined]);
});

test('one_key_makes_one_chat_however_often_it_is_sent', async () => {
  const key = unique('key');
  const tag = unique('tag');
  const fields = { message: `!tokens=4&delay=60&tag=${tag}` };
  const answers = await Promise.all(Array.from({ length: 12 }, (_, i) => (i % 2 ? talk(fields, { key }) : stream(fields, { key }))));
  const sessions = answers.map((a) => a.session_id ?? a.events[0].data.session_id);
  const replies = answers.map((a) => a.message_id ?? a.done.message_id);
  assert.equal(new Set(sessions).size, 1);
  assert.equal(new Set(replies).size, 1);
  assert.equal(upstream.tagged(tag).length, 1);
  const later = await talk(fields, { key });
  assert.deepEqual([later.session_id, later.message_id, later.reply], [sessions[0], replies[0], 'tok0 tok1 tok2 tok3']);
  const replay = await stream(fields, { key });
  assert.deepEqual([replay.events[0].data.session_id, replay.text, replay.done.message_id], [sessions[0], 'tok0 tok1 tok2 tok3', replies[0]]);
  assert.equal((await chatOf(sessions[0])).message_count, 2);
  for (const other of [{ message: 'other' }, { ...fields, model: 'm' }, { ...fields, agent_id: agent.id }, { ...fields, session_id: sessions[0] }])
    await talk(other, { key, status: 422 });
  const elsewhere = await talk(fields, { key, who: await aerie.user() });
  assert.notEqual(elsewhere.session_id, sessions[0]);
});

test('a_key_serves_a_session_that_goes_on_too', async () => {
  const { session_id } = await talk({ message: 'first' });
  const key = unique('key');
  const one = await talk({ message: 'second', session_id }, { key });
  const two = await talk({ message: 'second', session_id }, { key });
  assert.equal(one.message_id, two.message_id);
  assert.equal((await chatOf(session_id)).message_count, 4);
  await talk({ message: 'second' }, { key, status: 422 });
});

test('a_chat_whose_turn_runs_is_found_and_stopped_by_its_session', async () => {
  const running = await startStream({ message: '!tokens=100&delay=50' });
  await running.until((s) => s.text.length > 0);
  const { session_id } = running.events[0].data;
  assert.match((await talk({ message: 'too early', session_id }, { status: 409 })).detail, /already running/);
  assert.equal((await user.post(`/api/chats/${session_id}/stop`)).status, 202);
  await running.whole();
  assert.equal(running.done.stopped, true);
});

test('history_comes_in_pages_newest_first', async () => {
  const who = await aerie.user();
  const history = async (query = '') => {
    const answer = await who.get(`/api/history${query}`);
    assert.equal(answer.status, 200, answer.text);
    return answer.json;
  };
  assert.deepEqual(await history(), { items: [], page: 1, per_page: 20, total: 0 });
  const sessions = [];
  for (let i = 0; i < 5; i++) sessions.unshift((await talk({ message: `!tokens=2&n=${i}` }, { who })).session_id);
  const all = await history();
  assert.deepEqual(all.items.map((item) => item.session_id), sessions);
  assert.deepEqual([all.page, all.per_page, all.total], [1, 20, 5]);
  assert.deepEqual(Object.keys(all.items[0]).sort(), ['last_message', 'session_id', 'title', 'updated_at']);
  assert.ok(all.items.every((item) => item.last_message === 'tok0 tok1' && isTime(item.updated_at)));
  assert.equal(all.items[0].title, '!tokens=2&n=4');
  assert.deepEqual((await history('?page=2&per_page=2')).items, all.items.slice(2, 4));
  assert.deepEqual((await history('?page=3&per_page=2')).items, all.items.slice(4));
  assert.deepEqual(await history('?page=4&per_page=2'), { items: [], page: 4, per_page: 2, total: 5 });
  await talk({ message: 'again', session_id: sessions[4] }, { who });
  assert.equal((await history('?per_page=1')).items[0].session_id, sessions[4]);
  await who.put(`/api/chats/${sessions[0]}`, { is_archived: true });
  assert.equal((await history()).total, 4);
  for (const query of ['?page=0', '?page=x', '?per_page=0', '?per_page=101', '?page=-1', '?page=99999999999999999999'])
    assert.equal((await who.get(`/api/history${query}`)).status, 422, query);
});

test('a_long_last_message_is_cut_between_characters', async () => {
  const who = await aerie.user();
  const echo = await aerie.admin.agent({ provider: 'echo' });
  const { session_id } = await talk({ message: `a${'🎉é'.repeat(300)}`, agent_id: echo.id }, { who });
  const [item] = (await who.get('/api/history')).json.items;
  assert.equal(item.session_id, session_id);
  assert.equal([...item.last_message].length, 200);
  assert.ok(!item.last_message.includes('\ufffd'));
  const empty = await who.chat(echo);
  const [first] = (await who.get('/api/history')).json.items;
  assert.deepEqual([first.session_id, first.last_message], [empty.id, null]);
});

// ---- another agent when the first one fails ----

/** A session whose agent is answered by `first`, with one beside it that echoes; {said, session, other}. */
async function withFallback(first, fields = {}) {
  const other = await aerie.admin.agent({ provider: 'echo', name: 'Understudy', ...fields });
  const main = await aerie.admin.agent({ webhook_url: upstream.url(first), config: { fallback_agent_id: other.id } });
  return { main, other };
}

test('another_agent_is_asked_when_the_first_fails_before_a_word_came', async () => {
  for (const first of [{ status: 500 }, { status: 401 }, { status: 403 }, { status: 429 }]) {
    const { main, other } = await withFallback(first);
    const answer = await stream({ message: 'Hello', agent_id: main.id });
    assert.equal(answer.text, 'Echo: Hello', JSON.stringify(first));
    assert.ok(answer.of('status').some((e) => e.data.description === 'Asking Understudy instead' && e.data.level === 'warning'));
    assert.equal(answer.of('done').length, 1);
    assert.equal(answer.error, undefined);
    const [, reply] = await user.messages({ id: answer.events[0].data.session_id });
    assert.deepEqual([reply.status, reply.content, reply.metadata], ['complete', 'Echo: Hello', { agent_id: other.id }]);
    assert.equal(aerie.database.query(`select count(*) from usage_days where agent_id = '${other.id}' and provider = 'echo'`), '1');
    assert.equal(aerie.database.query(`select count(*) from usage_days where agent_id = '${main.id}'`), '0');
  }
});

test('an_unreachable_agent_has_its_fallback_asked_in_an_old_chat_too', async () => {
  const { main, other } = await withFallback({});
  await aerie.admin.put(`/api/agents/${main.id}`, { webhook_url: 'http://127.0.0.1:1/' });
  const chat = await user.chat(main);
  const whole = await user.post(`/api/chats/${chat.id}/messages`, { content: 'Hi' }, { headers: { Accept: 'application/json' } });
  assert.deepEqual([whole.status, whole.json.content, whole.json.metadata], [200, 'Echo: Hi', { agent_id: other.id }]);
  const again = await openStream(aerie.port, 'POST', `/api/chats/${chat.id}/regenerate`, { token: user.token });
  assert.equal((await again.whole()).text, 'Echo: Hi');
  assert.equal((await chatOf(chat.id)).agent_id, main.id, 'the chat keeps its agent');
});

test('whoever_dies_before_a_word_is_stood_in_for_and_afterwards_nobody_is', async () => {
  const other = await aerie.admin.agent({ provider: 'echo', name: 'Understudy' });
  const main = await aerie.admin.agent({ webhook_url: upstream.url(), config: { fallback_agent_id: other.id } });
  const cuts = Array.from({ length: 50 }, (_, i) => i * 9); // through the body of 3 words, which has some 430 bytes
  const ends = { stoodIn: 0, cut: 0, whole: 0 };
  await Promise.all(Array.from({ length: 5 }, async (_, worker) => {
    for (const cut of cuts.filter((n) => n % 5 === worker)) {
      const message = `!tokens=3&cut=${cut}`;
      const answer = await stream({ message, agent_id: main.id });
      const [, reply] = await user.messages({ id: answer.events[0].data.session_id });
      assert.equal(reply.content, answer.text);
      if (answer.text.startsWith('Echo: ')) {
        ends.stoodIn++;
        assert.deepEqual([answer.text, reply.status, reply.metadata], [`Echo: ${message}`, 'complete', { agent_id: other.id }]);
      } else {
        ends[answer.done ? 'whole' : 'cut']++;
        assert.match(answer.text, /^tok0( tok1( tok2)?)?$/);
        assert.equal(reply.metadata.agent_id, undefined);
        assert.ok(!answer.of('status').some((e) => /^Asking/.test(e.data.description)));
      }
    }
  }));
  assert.ok(ends.stoodIn > 5 && ends.cut > 5, JSON.stringify(ends));
});

test('a_fallback_is_asked_once_and_its_own_is_not', async () => {
  const third = await aerie.admin.agent({ provider: 'echo' });
  const tag = unique('tag');
  const { main } = await withFallback({ status: 500 }, { provider: 'n8n', webhook_url: upstream.url({ status: 503, tag }), config: { fallback_agent_id: third.id } });
  const answer = await stream({ message: 'Hello', agent_id: main.id });
  assert.equal(answer.text, '');
  assert.equal(answer.of('error').length, 1);
  assert.equal(answer.of('status').filter((e) => /^Asking /.test(e.data.description)).length, 1);
  assert.equal(upstream.tagged(tag).length, 1);
});

test('a_fallback_that_is_off_or_gone_is_none', async () => {
  const { main, other } = await withFallback({ status: 500 });
  await aerie.admin.put(`/api/agents/${other.id}`, { is_active: false });
  await talk({ message: 'Hello', agent_id: main.id }, { status: 502 });
  await aerie.admin.delete(`/api/agents/${other.id}`);
  await talk({ message: 'Hello', agent_id: main.id }, { status: 502 });
});

test('a_turn_is_stopped_while_its_fallback_answers', async () => {
  const { main } = await withFallback({ status: 500 }, { config: { delay_ms: 100 } });
  const running = await startStream({ message: 'one two three four five six seven eight nine ten', agent_id: main.id });
  await running.until((s) => s.text.length > 0);
  await user.post(`/api/chats/${running.events[0].data.session_id}/stop`);
  assert.equal((await running.whole()).done.stopped, true);
});

test('a_fallback_must_be_another_agent_of_the_team', async () => {
  const stranger = await (await aerie.otherTeam()).admin.agent({ provider: 'echo' });
  const wrong = async (call) => {
    const answer = await call;
    assert.equal(answer.status, 422, answer.text);
    assert.equal(answer.json.errors[0].field, 'config.fallback_agent_id');
  };
  for (const id of [stranger.id, randomUUID(), 'x', 5]) {
    await wrong(aerie.admin.post('/api/agents', { name: 'n', provider: 'echo', config: { fallback_agent_id: id } }));
    await wrong(aerie.admin.put(`/api/agents/${agent.id}`, { config: { fallback_agent_id: id } }));
  }
  await wrong(aerie.admin.put(`/api/agents/${agent.id}`, { config: { fallback_agent_id: agent.id } }));
  assert.equal((await aerie.admin.post('/api/agents', { name: 'n', provider: 'echo', config: { fallback_agent_id: null } })).status, 201);
  for (const models of ['gpt', [1]])
    assert.equal((await aerie.admin.post('/api/agents', { name: 'n', provider: 'echo', config: { models } })).json.errors[0].field, 'config.models');
});
