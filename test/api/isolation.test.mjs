// Another team's things, and another user's chats, answer exactly like missing ones: status, body and headers.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, test } from 'node:test';
import { Aerie } from '../tools/aerie.mjs';
import { multipart, openStream } from '../tools/http.mjs';

let aerie;
let theirs;
const mine = {};
before(async () => {
  aerie = await Aerie.start();
  theirs = (await aerie.otherTeam()).admin;
  mine.agent = await aerie.admin.agent({ provider: 'echo' });
  mine.chat = await aerie.admin.chat(mine.agent, { title: 'private zebra' });
  await aerie.admin.ask(mine.chat, 'secret words');
  mine.messages = await aerie.admin.messages(mine.chat);
  mine.key = (await aerie.admin.post(`/api/agents/${mine.agent.id}/api-keys`, {})).json;
  mine.providerKey = (await aerie.admin.post('/api/team/provider-keys', { provider: 'openai', key: 'sk-0123456789' })).json;
  mine.user = await aerie.user();
});
after(() => aerie?.stop());

const png = Buffer.from('89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c489', 'hex');

/** [method, path of an id, options]. */
const routes = [
  ['GET', (id) => `/api/users/${id}`, 'user'],
  ['PUT', (id) => `/api/users/${id}`, 'user', { json: { role: 'admin' } }],
  ['DELETE', (id) => `/api/users/${id}`, 'user'],
  ['GET', (id) => `/users/${id}`, 'user'],
  ['PUT', (id) => `/users/${id}`, 'user', { json: { role: 'admin' } }],
  ['DELETE', (id) => `/users/${id}`, 'user'],
  ['GET', (id) => `/users/${id}/chatbots`, 'user'],
  ['GET', (id) => `/api/agents/${id}`, 'agent'],
  ['PUT', (id) => `/api/agents/${id}`, 'agent', { json: { name: 'stolen' } }],
  ['DELETE', (id) => `/api/agents/${id}`, 'agent'],
  ['POST', (id) => `/api/agents/${id}/avatar`, 'agent', multipart('file', 'x.png', 'image/png', png)],
  ['GET', (id) => `/api/agents/${id}/api-keys`, 'agent'],
  ['POST', (id) => `/api/agents/${id}/api-keys`, 'agent', { json: {} }],
  ['GET', (id) => `/chatbots/${id}`, 'agent'],
  ['PUT', (id) => `/chatbots/${id}`, 'agent', { json: { name: 'stolen' } }],
  ['DELETE', (id) => `/chatbots/${id}`, 'agent'],
  ['GET', (id) => `/chatbots/${id}/api-keys`, 'agent'],
  ['POST', (id) => `/chatbots/${id}/api-keys`, 'agent', { json: {} }],
  ['POST', () => '/api/chats', 'agent', (id) => ({ json: { agent_id: id } })],
  ['GET', (id) => `/api/chats/${id}`, 'chat'],
  ['PUT', (id) => `/api/chats/${id}`, 'chat', { json: { title: 'stolen' } }],
  ['DELETE', (id) => `/api/chats/${id}`, 'chat'],
  ['GET', (id) => `/api/chats/${id}/messages`, 'chat'],
  ['POST', (id) => `/api/chats/${id}/messages`, 'chat', { json: { content: 'intruder' } }],
  ['GET', (id) => `/api/chats/${id}/stream`, 'chat'],
  ['POST', (id) => `/api/chats/${id}/stop`, 'chat'],
  ['POST', (id) => `/api/chats/${id}/regenerate`, 'chat'],
  ['GET', (id) => `/api/chats/${id}/export?format=json`, 'chat'],
  ['GET', (id) => `/api/chats/${id}/export?format=markdown`, 'chat'],
  ['GET', (id) => `/api/chats/${id}/export?format=txt`, 'chat'],
];

function idOf(kind) {
  return kind === 'user' ? mine.user.me.id : mine[kind].id;
}

function comparable(answer) {
  const headers = { ...answer.headers };
  for (const name of ['x-request-id', 'date']) delete headers[name];
  return { status: answer.status, text: answer.text, headers };
}

async function looksMissing(client, method, path, kind, options = {}) {
  const call = (id) => aerie.request(method, path(id), { token: client.token, ...(typeof options === 'function' ? options(id) : options) });
  const foreign = await call(idOf(kind));
  const missing = await call(randomUUID());
  assert.deepEqual(comparable(foreign), comparable(missing), `${method} ${path('ID')}`);
  assert.ok(foreign.status === 404 || foreign.status === 422, `${method} ${path('ID')}: ${foreign.status} ${foreign.text}`);
}

test('another_teams_ids_look_like_missing_ones_on_every_route', async () => {
  for (const [method, path, kind, options] of routes) await looksMissing(theirs, method, path, kind, options);
  await looksMissing(theirs, 'DELETE', (id) => `/api/agents/${mine.agent.id}/api-keys/${id}`, 'key');
  await looksMissing(theirs, 'DELETE', (id) => `/chatbots/${mine.agent.id}/api-keys/${id}`, 'key');
  await looksMissing(theirs, 'DELETE', (id) => `/api/team/provider-keys/${id}`, 'providerKey');
  await looksMissing(theirs, 'GET', (id) => `/api/providers/openai_compatible/models?agent_id=${id}`, 'agent');
});

test('a_colleagues_chat_looks_missing_to_users_and_to_admins', async () => {
  const colleague = await aerie.user();
  const theirChat = await colleague.chat(mine.agent);
  await colleague.ask(theirChat, 'mine alone');
  const saved = mine.chat;
  for (const [client, chat] of [[colleague, saved], [aerie.admin, theirChat]]) {
    mine.chat = chat;
    for (const [method, path, kind, options] of routes.filter((route) => route[2] === 'chat')) await looksMissing(client, method, path, kind, options);
  }
  mine.chat = saved;
});

test('lists_show_only_ones_own', async () => {
  assert.ok(!(await theirs.get('/api/agents?limit=200&include_inactive=true')).text.includes(mine.agent.id));
  assert.ok(!(await theirs.get('/chatbots?limit=200')).text.includes(mine.agent.id));
  assert.deepEqual((await theirs.get('/api/chats?q=zebra')).json, []);
  assert.deepEqual((await theirs.get('/api/chats?include_archived=true')).json, []);
  assert.equal((await theirs.get('/api/users?limit=200')).json.length, 1);
  const own = await theirs.chat(await theirs.agent({ provider: 'echo' }));
  const before = await theirs.get(`/api/chats/${own.id}/messages?before=${mine.messages[1].id}`);
  const unknown = await theirs.get(`/api/chats/${own.id}/messages?before=${randomUUID()}`);
  assert.deepEqual([before.status, before.text], [unknown.status, unknown.text]);
});

test('another_users_idempotency_key_is_not_joined', async () => {
  const key = { 'Idempotency-Key': randomUUID() };
  await aerie.admin.ask(await aerie.admin.chat(mine.agent), 'first', { headers: key });
  const chat = await theirs.chat(await theirs.agent({ provider: 'echo' }));
  const stream = await theirs.ask(chat, 'second', { headers: key });
  assert.match(stream.text, /second/);
});

test('nothing_was_changed_by_all_that', async () => {
  assert.equal((await aerie.admin.get(`/api/agents/${mine.agent.id}`)).json.name, mine.agent.name);
  assert.deepEqual(await aerie.admin.messages(mine.chat), mine.messages);
  assert.equal((await aerie.admin.get(`/api/users/${mine.user.me.id}`)).json.role, 'user');
  assert.equal((await mine.user.get('/api/auth/me')).status, 200);
});

test('every_route_wants_a_token', async () => {
  for (const [method, path, kind, options] of routes) {
    const answer = await openStream(aerie.port, method, path(idOf(kind)), typeof options === 'function' ? options(idOf(kind)) : options ?? {});
    assert.equal(answer.status, 401, `${method} ${path('ID')}`);
  }
});
