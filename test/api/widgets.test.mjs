// Sessions of people without an account: held by a program with an API key, or by the visitor of a page with a widget.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { startUpstream } from '../fake/upstream.mjs';
import { Aerie, isTime, isUuid } from '../tools/aerie.mjs';
import { EventStream, openStream } from '../tools/http.mjs';
import { until } from '../tools/until.mjs';

const SHOP = 'https://shop.test';
const OFF = { LIMITS__VISITOR_MESSAGES_PER_MINUTE: 0, LIMITS__VISITOR_SESSIONS_PER_MINUTE: 0, LIMITS__AGENT_SESSIONS_PER_MINUTE: 0, LIMITS__AGENT_MESSAGES_PER_MINUTE: 0, LIMITS__WRONG_KEYS_PER_MINUTE: 0 };
const WRONG = 'Invalid API key or assistant ID';

let aerie;
let upstream;
let agent; // of an n8n workflow, for pages of SHOP
let key;
before(async () => {
  upstream = await startUpstream();
  aerie = await Aerie.start({ env: OFF });
  agent = await aerie.admin.agent({ webhook_url: upstream.url(), allowed_origins: [SHOP, 'http://localhost:5000'] });
  key = await keyOf(agent);
});
after(async () => {
  await aerie?.stop();
  await upstream?.close();
});

async function keyOf({ id }, fields = {}, admin = aerie.admin) {
  const made = await admin.post(`/api/agents/${id}/api-keys`, fields);
  assert.equal(made.status, 201, made.text);
  return made.json.api_key;
}

const echo = (fields = {}) => aerie.admin.agent({ provider: 'echo', ...fields });
const post = (path, json, headers = {}, server = aerie) => server.request('POST', path, { json, headers });
const asked = (content) => [{ role: 'user', content }];
const from = (origin) => ({ Origin: origin });

/** A session that a program holds. */
async function keySession(apiKey = key, { id } = agent) {
  const begun = await post('/api/chat/session', { api_key: apiKey, assistant_id: id });
  assert.equal(begun.status, 200, begun.text);
  return begun.json.session_id;
}

function askByKey(session_id, messages, { apiKey = key, assistant = agent.id, headers = {} } = {}) {
  return post('/api/chat', { api_key: apiKey, session_id, type: 'custom_code', assistant_id: assistant, messages }, headers);
}

/** A visitor of a page: {session_id, visitor_token}. */
async function visit({ id } = agent, headers = from(SHOP), server = aerie) {
  const begun = await post('/api/chat/widget/session', { chatbot_id: id }, headers, server);
  assert.equal(begun.status, 200, begun.text);
  return begun.json;
}

const say = ({ session_id }, message, headers = from(SHOP), server = aerie) => post('/api/chat/widget', { session_id, message }, headers, server);
const bearer = ({ visitor_token }, more = from(SHOP)) => ({ Authorization: `Bearer ${visitor_token}`, ...more });
const read = (visitor, { query = '', headers = bearer(visitor) } = {}) => aerie.request('GET', `/api/chat/widget/messages?session_id=${visitor.session_id}${query}`, { headers });
const follow = (visitor, headers = {}) => openStream(aerie.port, 'GET', `/api/chat/widget/stream?session_id=${visitor.session_id}`, { headers: { ...bearer(visitor), ...headers } });
const stopReply = (visitor, headers = bearer(visitor)) => post('/api/chat/widget/stop', { session_id: visitor.session_id }, headers);

async function streamTo(visitor, message, headers = {}) {
  const stream = await openStream(aerie.port, 'POST', '/api/chat/widget', { json: { session_id: visitor.session_id, message }, headers: { ...from(SHOP), ...headers } });
  assert.ok(stream instanceof EventStream, `no stream but ${stream.status} ${stream.text}`);
  return stream;
}

function refused(answer, status, detail) {
  assert.equal(answer.status, status, answer.text);
  if (detail instanceof RegExp) assert.match(answer.json.detail, detail);
  else if (detail) assert.equal(answer.json.detail, detail);
}

// ---- with an API key ----

test('the_calls_of_a_program_answer_as_it_expects', async () => {
  const curl = async (path, body) => JSON.parse((await promisify(execFile)('curl', ['-s', '--fail-with-body', `${aerie.base}${path}`, '-X', 'POST', '-H', 'Content-Type: application/json', '-d', JSON.stringify(body)])).stdout);
  const begun = await curl('/api/chat/session', { api_key: key, assistant_id: agent.id });
  assert.deepEqual(Object.keys(begun), ['session_id']);
  assert.match(begun.session_id, /^[0-9a-f]{8}-[0-9a-f]{4}-4/, 'a random UUID: the id is the secret');
  const said = await curl('/api/chat', { api_key: key, session_id: begun.session_id, type: 'custom_code', assistant_id: agent.id, messages: asked('!tokens=3') });
  assert.equal(said.response, 'tok0 tok1 tok2');
  assert.ok(isUuid(said.message_id));
  const visitor = await curl('/api/chat/widget/session', { chatbot_id: agent.id });
  assert.equal((await curl('/api/chat/widget', { session_id: visitor.session_id, message: '!tokens=2' })).response, 'tok0 tok1');
});

test('every_wrong_key_is_answered_alike', async () => {
  const other = await echo();
  const otherKey = await keyOf(other);
  const revoked = await aerie.admin.post(`/api/agents/${agent.id}/api-keys`, {});
  await aerie.admin.delete(`/api/agents/${agent.id}/api-keys/${revoked.json.id}`);
  const expired = await aerie.admin.post(`/api/agents/${agent.id}/api-keys`, { expires_at: new Date(Date.now() + 600).toISOString() });
  await sleep(700);
  const cases = {
    'no key at all': ['c8bc40f2-e83d-4e92-ac2b-d5bd6444da0a', agent.id],
    'nobody\'s key': [`eck_${'x'.repeat(44)}`, agent.id],
    'a known prefix': [`${key.slice(0, 12)}${'x'.repeat(36)}`, agent.id],
    'another agent\'s key': [otherKey, agent.id],
    'another agent': [key, other.id],
    'no agent': [key, randomUUID()],
    'no id': [key, 'assistant'],
    revoked: [revoked.json.api_key, agent.id],
    expired: [expired.json.api_key, agent.id],
  };
  const session_id = await keySession();
  for (const [name, [api_key, assistant_id]] of Object.entries(cases)) {
    const begun = await post('/api/chat/session', { api_key, assistant_id });
    assert.equal(begun.status, 403, `${name}: ${begun.text}`);
    assert.deepEqual(begun.json, { detail: WRONG }, name);
    const said = await askByKey(session_id, asked('hi'), { apiKey: api_key, assistant: assistant_id });
    assert.equal(said.status, 403, `${name}: ${said.text}`);
    assert.deepEqual(said.json, { detail: WRONG }, name);
  }
});

test('a_call_without_a_key_or_a_field_says_what_is_missing', async () => {
  assert.deepEqual((await post('/api/chat/session', {})).json.errors.map((e) => e.field), ['api_key', 'assistant_id']);
  refused(await post('/api/chat', { session_id: randomUUID(), messages: asked('hi') }), 401, 'Not authenticated');
  refused(await aerie.request('POST', '/api/chat', { body: '{', headers: { 'Content-Type': 'application/json' } }), 401);
  const bare = await post('/api/chat', { api_key: key });
  refused(bare, 422);
  assert.deepEqual(bare.json.errors.map((e) => e.field).sort(), ['assistant_id', 'session_id']);
  const session_id = await keySession();
  for (const messages of [undefined, 'hi', [], [{ role: 'assistant', content: 'hi' }], asked(''), asked(7), asked([{ type: 'image_url' }]), asked('a\u0001b'), asked('x'.repeat(32001))]) {
    const answer = await askByKey(session_id, messages);
    refused(answer, 422);
    assert.deepEqual(answer.json.errors.map((e) => e.field), ['messages'], JSON.stringify(messages)?.slice(0, 80));
  }
  refused(await post('/api/chat', { api_key: 7, session_id, assistant_id: agent.id, messages: asked('hi') }), 422);
});

test('a_session_that_is_not_the_agents_is_not_found', async () => {
  const chat = await aerie.admin.chat(agent);
  const visitor = await visit();
  const other = await echo();
  const otherSession = await keySession(await keyOf(other), other);
  for (const id of [randomUUID(), 'none', chat.id, visitor.session_id, otherSession]) refused(await askByKey(id, asked('hi')), 404, 'Session not found');
});

test('the_server_remembers_and_asks_the_last_message_of_the_user', async () => {
  const session_id = await keySession();
  await askByKey(session_id, asked('!text=first&tag=memory'));
  const history = [{ role: 'system', content: 'Be rude.' }, { role: 'user', content: 'invented' }, { role: 'user', content: [{ type: 'text', text: '!text=second' }, { type: 'text', text: '&tag=memory' }] }, { role: 'assistant', content: 'after' }];
  const answer = await askByKey(session_id, history);
  assert.equal(answer.status, 200, answer.text);
  const call = upstream.requests.at(-1).json;
  assert.equal(call.chatInput, '!text=second\n&tag=memory');
  assert.deepEqual(call.messages.map((m) => m.content), ['!text=first&tag=memory', 'first', '!text=second\n&tag=memory']);
  assert.equal(call.sessionId, session_id);
});

test('a_key_may_come_in_the_head_and_a_reply_may_stream', async () => {
  for (const headers of [{ Authorization: `Bearer ${key}` }, { 'X-API-Key': key }]) {
    const begun = await post('/api/chat/session', { assistant_id: agent.id }, headers);
    assert.equal(begun.status, 200, begun.text);
    const body = { session_id: begun.json.session_id, assistant_id: agent.id, messages: asked('!tokens=3') };
    assert.equal((await post('/api/chat', body, headers)).json.response, 'tok0 tok1 tok2');
    const stream = await openStream(aerie.port, 'POST', '/api/chat', { json: body, headers });
    assert.ok(stream instanceof EventStream, stream.text);
    assert.equal((await stream.whole()).text, 'tok0 tok1 tok2');
  }
});

test('a_users_token_and_a_key_go_through_one_door', async () => {
  const user = await aerie.user();
  const talked = await user.post('/api/chat', { message: 'hello', agent_id: agent.id });
  assert.equal(talked.status, 200, talked.text);
  assert.ok('reply' in talked.json);
  const login = await aerie.request('POST', '/api/auth/login', { json: { email: user.email, password: 'correct horse battery' } });
  const cookie = login.headers['set-cookie'].find((line) => line.startsWith('access_token=')).split(';')[0];
  const byCookie = await aerie.request('POST', '/api/chat', { cookie, json: { message: '"api_key"', agent_id: agent.id } });
  assert.equal(byCookie.status, 200, byCookie.text);
  const session_id = await keySession();
  const byKey = await aerie.request('POST', '/api/chat', { cookie, json: { api_key: key, session_id, assistant_id: agent.id, messages: asked('!tokens=1') } });
  assert.equal(byKey.json.response, 'tok0', byKey.text);
  refused(await user.post('/api/chat', { message: 'hi', session_id }), 404);
});

test('a_message_with_an_idempotency_key_is_asked_once', async () => {
  const session_id = await keySession();
  const visitor = await visit();
  const headers = { 'Idempotency-Key': 'once' };
  for (const send of [() => askByKey(session_id, asked('!tokens=2&tag=once-a'), { headers }), () => say(visitor, '!tokens=2&tag=once-b', { ...headers, ...from(SHOP) })]) {
    const [first, second] = [await send(), await send()];
    assert.equal(first.json.response, 'tok0 tok1', first.text);
    assert.deepEqual(second.json, first.json);
  }
  assert.equal(upstream.tagged('once-a').length, 1);
  assert.equal(upstream.tagged('once-b').length, 1);
  refused(await say(visitor, 'another', { ...headers, ...from(SHOP) }), 422);
});

test('an_agent_that_fails_is_a_status_and_one_that_is_off_or_gone_refuses', async () => {
  const session_id = await keySession();
  refused(await askByKey(session_id, asked('!status=500')), 502);
  const shy = await echo({ allowed_origins: ['*'] });
  const shyKey = await keyOf(shy);
  const held = await keySession(shyKey, shy);
  const visitor = await visit(shy);
  await aerie.admin.put(`/api/agents/${shy.id}`, { is_active: false });
  refused(await post('/api/chat/session', { api_key: shyKey, assistant_id: shy.id }), 403, /switched off/);
  refused(await askByKey(held, asked('hi'), { apiKey: shyKey, assistant: shy.id }), 403, /switched off/);
  refused(await post('/api/chat/widget/session', { chatbot_id: shy.id }), 403, /switched off/);
  refused(await say(visitor, 'hi'), 403, /switched off/);
  await aerie.admin.delete(`/api/agents/${shy.id}`);
  refused(await askByKey(held, asked('hi'), { apiKey: shyKey, assistant: shy.id }), 403, WRONG);
  refused(await post('/api/chat/widget/session', { chatbot_id: shy.id }), 404, 'Chatbot not found');
  refused(await say(visitor, 'hi'), 404, 'Session not found');
  refused(await read(visitor), 404, 'Session not found');
});

// ---- widgets ----

test('a_visitor_writes_with_the_session_and_reads_with_the_token', async () => {
  const visitor = await visit();
  assert.deepEqual(Object.keys(visitor).sort(), ['session_id', 'visitor_token']);
  assert.match(visitor.visitor_token, /^[A-Za-z0-9_-]{43}$/);
  const said = await say(visitor, '!tokens=2');
  assert.equal(said.json.response, 'tok0 tok1', said.text);
  await say(visitor, '!tokens=1');
  const all = await read(visitor);
  assert.equal(all.status, 200, all.text);
  assert.deepEqual(all.json.map((m) => [m.role, m.content, m.status]), [['user', '!tokens=2', 'complete'], ['assistant', 'tok0 tok1', 'complete'], ['user', '!tokens=1', 'complete'], ['assistant', 'tok0', 'complete']]);
  assert.deepEqual(Object.keys(all.json[0]).sort(), ['content', 'id', 'role', 'status', 'timestamp']);
  assert.ok(isTime(all.json[0].timestamp));
  assert.equal(all.json[1].id, said.json.message_id);
  const page = await read(visitor, { query: `&before=${all.json[2].id}&limit=1` });
  assert.deepEqual(page.json.map((m) => m.id), [all.json[1].id]);
  refused(await read(visitor, { query: '&limit=0' }), 422);
  refused(await read(visitor, { query: '&before=x' }), 422);
  refused(await aerie.request('GET', '/api/chat/widget/messages', { headers: bearer(visitor) }), 422);
  assert.ok(!aerie.log.includes(visitor.visitor_token));
});

test('reading_needs_the_token_of_this_very_session', async () => {
  const visitor = await visit();
  const other = await visit();
  const chat = await aerie.admin.chat(agent);
  const held = await keySession();
  for (const headers of [{}, { Authorization: 'Bearer' }, { Authorization: `Bearer ${'x'.repeat(43)}` }, bearer(other, {}), { Authorization: `Bearer ${aerie.admin.token}` }, { 'X-API-Key': key }, { Cookie: `access_token=${visitor.visitor_token}` }]) {
    refused(await read(visitor, { headers }), 401);
    refused(await stopReply(visitor, headers), 401);
    const stream = await openStream(aerie.port, 'GET', `/api/chat/widget/stream?session_id=${visitor.session_id}`, { headers });
    refused(stream, 401);
    assert.equal(stream.headers['www-authenticate'], 'Bearer');
  }
  const inUrl = await aerie.request('GET', `/api/chat/widget/messages?session_id=${visitor.session_id}&visitor_token=${visitor.visitor_token}`);
  refused(inUrl, 401);
  for (const session_id of [randomUUID(), 'none', chat.id, held]) {
    const nobody = { ...visitor, session_id };
    refused(await say(nobody, 'hi'), 404, 'Session not found');
    refused(await read(nobody), 404, 'Session not found');
    refused(await stopReply(nobody), 404, 'Session not found');
    refused(await follow(nobody), 404, 'Session not found');
  }
});

test('sessions_are_nobodys_chats', async () => {
  const visitor = await visit();
  const held = await keySession();
  await say(visitor, 'needle in a session');
  await askByKey(held, asked('needle in a session'));
  for (const who of [aerie.admin, await aerie.user()]) {
    for (const path of ['/api/chats?limit=200&include_archived=true', '/api/chats?q=needle']) assert.ok(!(await who.get(path)).json.some((c) => [visitor.session_id, held].includes(c.id)));
    for (const id of [visitor.session_id, held]) {
      refused(await who.get(`/api/chats/${id}`), 404);
      refused(await who.get(`/api/chats/${id}/messages`), 404);
      refused(await who.get(`/api/chats/${id}/stream`), 404);
      refused(await who.delete(`/api/chats/${id}`), 404);
      refused(await who.post(`/api/chats/${id}/messages`, { content: 'hi' }), 404);
    }
  }
});

test('only_pages_of_the_agents_origins_may_begin_and_write', async () => {
  const closed = await echo();
  refused(await post('/api/chat/widget/session', { chatbot_id: closed.id }, from(SHOP)), 403, /allowed_origins/);
  const begin = (headers, { id } = agent) => post('/api/chat/widget/session', { chatbot_id: id }, headers);
  for (const origin of ['https://evil.test', 'http://shop.test', 'https://shop.test:8443', 'https://shop.test.evil.test', 'null', '', aerie.base, 'http://localhost:5001'])
    refused(await begin(from(origin)), 403, /allowed_origins/);
  for (const headers of [from(SHOP), from('HTTPS://SHOP.test:443'), from('http://localhost:5000'), { Referer: `${SHOP}/cart?x=1` }, {}]) assert.equal((await begin(headers)).status, 200, JSON.stringify(headers));
  refused(await begin({ Referer: 'https://evil.test/https://shop.test/' }), 403);
  refused(await begin({ ...from('https://evil.test'), Referer: `${SHOP}/` }), 403);
  const open = await echo({ allowed_origins: ['*'] });
  for (const origin of ['https://anyone.test', 'null']) assert.equal((await begin(from(origin), open)).status, 200);
  refused(await begin({}, { id: randomUUID() }), 404, 'Chatbot not found');
  refused(await begin({}, { id: 'none' }), 404, 'Chatbot not found');
  refused(await post('/api/chat/widget/session', {}), 422);
});

const WIDGET = { title: 'Ask us', greeting: 'Hi **there**\nask', suggestions: ['Shipping?', 'Returns?'], color: '#2F6fde', theme: 'dark', position: 'left', language: 'pt-BR', placeholder: 'Type here …' };
const shown = ({ id }, headers = from(SHOP)) => aerie.request('GET', `/api/chat/widget/config?chatbot_id=${id}`, { headers });

test('a_page_reads_what_the_widget_shows_and_nothing_else_of_the_agent', async () => {
  const one = await echo({ name: 'Shop', allowed_origins: [SHOP], system_prompt: 'secret', config: { text: 'secret', widget: { ...WIDGET, secret: 'secret' } } });
  const answer = await shown(one);
  assert.equal(answer.status, 200, answer.text);
  assert.deepEqual(answer.json, { name: 'Shop', widget: WIDGET });
  assert.equal(answer.headers['cache-control'], 'max-age=60');
  assert.equal(answer.headers['access-control-allow-origin'], SHOP);
  assert.equal(answer.headers['access-control-allow-credentials'], undefined);
  assert.match(answer.headers.vary, /Origin/);
  await aerie.admin.put(`/api/agents/${one.id}`, { config: { widget: { title: 'New', color: null } } });
  assert.deepEqual((await shown(one)).json, { name: 'Shop', widget: { title: 'New' } });
  for (const config of [{}, { widget: null }, { widget: {} }]) {
    assert.equal((await aerie.admin.put(`/api/agents/${one.id}`, { config })).status, 200);
    assert.deepEqual((await shown(one)).json.widget, {});
  }
});

test('what_a_widget_shows_is_told_to_pages_of_the_agents_origins_only', async () => {
  for (const origin of ['https://evil.test', 'http://shop.test', 'null', '']) {
    const answer = await shown(agent, from(origin));
    refused(answer, 403, /allowed_origins/);
    assert.equal(answer.headers['access-control-allow-origin'], undefined);
    assert.equal(answer.headers['cache-control'], 'no-store');
  }
  refused(await shown(agent, { Referer: 'https://evil.test/' }), 403);
  for (const headers of [{}, { Referer: `${SHOP}/cart` }]) assert.equal((await shown(agent, headers)).status, 200);
  for (const id of [randomUUID(), 'none', '']) refused(await shown({ id }), 404, 'Chatbot not found');
  const bare = await aerie.request('GET', '/api/chat/widget/config');
  refused(bare, 422);
  assert.deepEqual(bare.json.errors.map((e) => e.field), ['chatbot_id']);
  const shy = await echo({ allowed_origins: ['*'] });
  await aerie.admin.put(`/api/agents/${shy.id}`, { is_active: false });
  refused(await shown(shy), 403, /switched off/);
});

test('what_a_widget_cannot_show_is_refused_when_it_is_saved', async () => {
  const wrong = {
    title: ['x'.repeat(81), 7, 'a\nb'], greeting: ['x'.repeat(1001), []], suggestions: ['x', [''], ['x'.repeat(121)], [7], Array(7).fill('x'), ['a\tb']], placeholder: ['x'.repeat(81), {}],
    color: ['red', '#fff', '#12345g', '#1234567', 'url(x)', 7], theme: ['Dark', '', 1], position: ['top', null + ''], language: ['', 'd', 'de_DE', 'de-', '-de', 'de--x', 'x'.repeat(9), 'de-DE-1996-1996-19961', 'd3', 7],
  };
  const one = await echo({ config: { widget: WIDGET } });
  const calls = [(config) => aerie.admin.post('/api/agents', { name: 'x', provider: 'echo', config }), (config) => aerie.admin.put(`/api/agents/${one.id}`, { config }), (config) => aerie.admin.post('/chatbots', { name: 'x', provider: 'echo', config }), (config) => aerie.admin.put(`/chatbots/${one.id}`, { config })];
  for (const save of calls) {
    for (const [name, values] of Object.entries(wrong))
      for (const value of values) {
        const answer = await save({ widget: { ...WIDGET, [name]: value } });
        refused(answer, 422);
        assert.deepEqual(answer.json.errors.map((e) => e.field), [`config.widget.${name}`], `${name} = ${JSON.stringify(value)}: ${answer.text}`);
      }
    refused(await save({ widget: [] }), 422);
    const all = await save({ widget: { title: 7, color: 7 } });
    assert.deepEqual(all.json.errors.map((e) => e.field).sort(), ['config.widget.color', 'config.widget.title']);
  }
  assert.deepEqual((await aerie.admin.get(`/api/agents/${one.id}`)).json.config, { widget: WIDGET });
  const most = { title: 'ä'.repeat(80), greeting: '🎉'.repeat(1000), suggestions: Array(6).fill('ö'.repeat(120)), placeholder: '', color: '#AbCdEf', theme: 'auto', position: 'right', language: 'auto' };
  assert.equal((await aerie.admin.put(`/api/agents/${one.id}`, { config: { widget: most } })).status, 200);
  for (const language of ['de', 'pt-BR', 'zh-Hant-TW', 'es-419']) assert.equal((await aerie.admin.put(`/api/agents/${one.id}`, { config: { widget: { language } } })).status, 200, language);
});

test('a_session_stays_with_the_origin_that_began_it', async () => {
  const visitor = await visit();
  const elsewhere = from('http://localhost:5000');
  refused(await say(visitor, 'hi', elsewhere), 403, /another origin/);
  refused(await read(visitor, { headers: bearer(visitor, elsewhere) }), 403);
  refused(await follow(visitor, elsewhere), 403);
  refused(await stopReply(visitor, bearer(visitor, elsewhere)), 403);
  assert.equal((await say(visitor, '!tokens=1', { Referer: `${SHOP}/` })).status, 200);
  assert.equal((await say(visitor, '!tokens=1', {})).status, 200, 'a program has no origin');
  const programs = await visit(agent, {});
  assert.equal((await say(programs, '!tokens=1', elsewhere)).status, 200, 'a program may begin for a page');
  refused(await say(programs, 'hi', from('https://evil.test')), 403, /allowed_origins/);
  const mine = await echo({ allowed_origins: [SHOP] });
  const late = await visit(mine);
  await aerie.admin.put(`/api/agents/${mine.id}`, { allowed_origins: [] });
  refused(await say(late, 'hi'), 403, /allowed_origins/);
});

test('a_stream_that_was_cut_is_resumed_without_a_gap_or_a_repeat', async () => {
  const visitor = await visit();
  const words = Array.from({ length: 30 }, (_, i) => `wörd${i}`).join(' ');
  const stream = await streamTo(visitor, `!delay=10&text=${encodeURIComponent(words)}`);
  await stream.until((s) => s.of('message').length >= 5);
  stream.close();
  const seen = [...stream.events];
  const back = await follow(visitor, { 'Last-Event-ID': seen.at(-1).id });
  assert.equal(back.status, 200, back.text);
  await back.whole();
  const text = [...seen, ...back.events].filter((e) => e.type === 'message').map((e) => e.data.content).join('');
  assert.equal(text, words);
  assert.ok(back.done);
  const again = await openStream(aerie.port, 'GET', `/api/chat/widget/stream?session_id=${visitor.session_id}&last_event_id=${encodeURIComponent(seen.at(-1).id)}`, { headers: bearer(visitor) });
  assert.equal((await again.whole()).text, back.text);
  assert.equal((await follow(visitor, { 'Last-Event-ID': back.lastId })).status, 204);
  assert.equal((await follow(await visit())).status, 204, 'nothing was asked');
  assert.equal((await read(visitor)).json.at(-1).content, words);
});

test('a_visitor_stops_the_reply_and_sends_one_message_at_a_time', async () => {
  const visitor = await visit();
  const stream = await streamTo(visitor, '!tokens=500&delay=20');
  await stream.until((s) => s.of('message').length >= 2);
  refused(await say(visitor, 'meanwhile'), 409);
  assert.equal((await stopReply(visitor)).status, 202);
  await stream.whole();
  assert.equal(stream.done.stopped, true);
  assert.equal((await stopReply(visitor)).status, 202, 'once and again');
  const byQuery = await aerie.request('POST', `/api/chat/widget/stop?session_id=${visitor.session_id}`, { headers: bearer(visitor) });
  assert.equal(byQuery.status, 202, byQuery.text);
  refused(await aerie.request('POST', '/api/chat/widget/stop', { headers: bearer(visitor) }), 422);
  assert.equal((await read(visitor)).json.at(-1).status, 'stopped');
});

test('cors_follows_the_agents_rule_and_never_gives_credentials', async () => {
  const preflight = (path, method, origin = 'https://anyone.test') => aerie.request('OPTIONS', path, { headers: { ...from(origin), 'Access-Control-Request-Method': method, 'Access-Control-Request-Headers': 'authorization,content-type,idempotency-key,last-event-id' } });
  for (const [method, path] of [['GET', '/api/chat/widget/config'], ['POST', '/api/chat/widget/session'], ['POST', '/api/chat/widget'], ['GET', '/api/chat/widget/messages'], ['GET', '/api/chat/widget/stream'], ['POST', '/api/chat/widget/stop'], ['POST', '/api/chat/session'], ['POST', '/api/chat']]) {
    const { status, headers } = await preflight(path, method);
    assert.equal(status, 204);
    assert.equal(headers['access-control-allow-origin'], 'https://anyone.test', path);
    assert.equal(headers['access-control-allow-credentials'], undefined, path);
    assert.match(headers['access-control-allow-methods'], new RegExp(method));
    assert.match(headers['access-control-allow-headers'], /authorization, content-type, idempotency-key, last-event-id/);
    assert.match(headers.vary, /Origin/);
  }
  for (const [method, path] of [['GET', '/api/chats'], ['DELETE', '/api/chat/widget/session'], ['POST', '/api/chat/stream']]) assert.equal((await preflight(path, method)).headers['access-control-allow-origin'], undefined, path);
  const readable = (answer, origin = SHOP) => {
    assert.equal(answer.headers['access-control-allow-origin'], origin, answer.text);
    assert.equal(answer.headers['access-control-allow-credentials'], undefined);
    assert.match(answer.headers.vary, /Origin/);
    assert.match(answer.headers['access-control-expose-headers'], /Retry-After/);
  };
  const visitor = await visit();
  readable(await post('/api/chat/widget/session', { chatbot_id: agent.id }, from(SHOP)));
  readable(await say(visitor, '!tokens=1'));
  readable(await (await streamTo(visitor, '!tokens=1')).whole());
  readable(await read(visitor));
  readable(await read(visitor, { headers: from(SHOP) }));
  readable(await say(visitor, ''));
  readable(await say({ session_id: randomUUID() }, 'hi'));
  for (const answer of [await post('/api/chat/widget/session', { chatbot_id: agent.id }, from('https://evil.test')), await say(visitor, 'hi', from('https://evil.test')), await say(visitor, 'hi', from('http://localhost:5000'))]) {
    refused(answer, 403);
    assert.equal(answer.headers['access-control-allow-origin'], undefined);
    assert.match(answer.headers.vary, /Origin/);
  }
});

test('messages_and_sessions_of_visitors_are_limited_by_session_address_and_agent', async () => {
  const limited = await Aerie.start({ env: { LIMITS__VISITOR_MESSAGES_PER_MINUTE: 4, LIMITS__AGENT_MESSAGES_PER_MINUTE: 6, LIMITS__VISITOR_SESSIONS_PER_MINUTE: 3, LIMITS__AGENT_SESSIONS_PER_MINUTE: 5, LIMITS__WRONG_KEYS_PER_MINUTE: 3, TRUSTED_PROXIES: '127.0.0.1' } });
  try {
    const at = (address, more = from(SHOP)) => ({ 'X-Forwarded-For': address, ...more });
    const one = await limited.admin.agent({ provider: 'echo', allowed_origins: [SHOP] });
    const begin = (address) => post('/api/chat/widget/session', { chatbot_id: one.id }, at(address), limited);
    const late = (answer) => {
      refused(answer, 429);
      assert.ok(Number(answer.headers['retry-after']) > 0);
      assert.equal(answer.headers['access-control-allow-origin'], SHOP, 'the page can read it');
    };
    const [a, b, c] = [await begin('10.0.0.1'), await begin('10.0.0.1'), await begin('10.0.0.1')].map((answer) => answer.json);
    assert.ok(c.session_id);
    late(await begin('10.0.0.1'));
    const look = (address) => limited.request('GET', `/api/chat/widget/config?chatbot_id=${one.id}`, { headers: at(address) });
    for (let i = 0; i < 3; i++) assert.equal((await look('10.0.0.1')).status, 200, 'counted apart');
    const more = await look('10.0.0.1');
    refused(more, 429);
    assert.equal(more.headers['access-control-allow-origin'], SHOP);
    assert.equal((await begin('2001:db8::1')).status, 200);
    assert.equal((await begin('2001:db8::2')).status, 200);
    late(await begin('10.0.0.9')); // the agent's five
    const send = (session, address) => say(session, 'hi', at(address), limited);
    for (let i = 0; i < 4; i++) assert.equal((await send(i < 2 ? a : b, '10.0.0.1')).status, 200);
    late(await send(c, '10.0.0.1')); // the address has its four, whatever the session
    for (let i = 0; i < 2; i++) assert.equal((await send(a, `10.0.1.${i}`)).status, 200);
    late(await send(a, '10.0.1.7')); // the session has its four, wherever from
    late(await send(b, '10.0.1.8')); // the agent has its six
    const made = await limited.admin.post(`/api/agents/${one.id}/api-keys`, {});
    const bare = (address, api_key) => post('/api/chat/session', { api_key, assistant_id: one.id }, at(address, {}), limited);
    refused(await bare('10.0.2.1', made.json.api_key), 429, /sessions/);
    const guess = `eck_${'y'.repeat(44)}`;
    for (let i = 0; i < 3; i++) refused(await bare('10.0.3.1', guess), 403, WRONG);
    const flood = await bare('10.0.3.1', guess);
    refused(flood, 429, /wrong API keys/);
    assert.ok(Number(flood.headers['retry-after']) > 0);
    refused(await limited.request('GET', '/api/agents', { headers: at('10.0.3.1', { 'X-API-Key': guess }) }), 429);
    assert.equal((await limited.request('GET', '/v1/models', { headers: at('10.0.3.1', { 'X-API-Key': guess }) })).status, 429);
    refused(await bare('10.0.3.2', guess), 403, WRONG);
  } finally {
    await limited.stop();
  }
});

test('sessions_that_nobody_uses_are_deleted_and_chats_are_not', async () => {
  const server = await Aerie.start({ env: { SESSIONS__KEEP_DAYS: 2 } });
  try {
    const one = await server.admin.agent({ provider: 'echo', allowed_origins: [SHOP] });
    const chat = await server.admin.chat(one);
    await server.admin.ask(chat, 'hello');
    const [idle, fresh] = [await visit(one, from(SHOP), server), await visit(one, from(SHOP), server)];
    for (const visitor of [idle, fresh]) assert.equal((await say(visitor, 'hello', from(SHOP), server)).status, 200);
    await server.halt();
    const { kind, query } = server.database;
    const old = kind === 'sqlite' ? `${(Date.now() - 3 * 86400000) * 1000}` : "now() - interval '3 days'";
    for (const id of [idle.session_id, chat.id]) query(`UPDATE chats SET updated_at = ${old} WHERE id = '${id}'`);
    const count = (id) => Number(query(`SELECT count(*) FROM messages WHERE chat_id = '${id}'`));
    assert.equal(count(idle.session_id), 2);
    await server.listen();
    await until(() => query(`SELECT id FROM chats WHERE id = '${idle.session_id}'`) === '', 'the idle session goes');
    assert.deepEqual([count(idle.session_id), count(fresh.session_id), count(chat.id)], [0, 2, 2]);
    refused(await say(idle, 'hello', from(SHOP), server), 404);
    assert.equal((await say(fresh, 'hello', from(SHOP), server)).status, 200);
  } finally {
    await server.stop();
  }
});
