// Another team's things, and another user's chats, answer exactly like missing ones: status, body and headers.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import http from 'node:http';
import { after, before, test } from 'node:test';
import { Aerie, inParallel, runCommand, unique } from '../tools/aerie.mjs';
import { multipart, openStream } from '../tools/http.mjs';

let aerie;
let theirs; // the other team's admin
const mine = {};
const others = {};

/** Everything that has an id, of one team: made by its admin. */
async function furnish(admin, title) {
  const agent = await admin.agent({ provider: 'echo' });
  const chat = await admin.chat(agent, { title });
  await admin.ask(chat, 'secret words');
  const messages = await admin.messages(chat);
  const key = (await admin.post(`/api/agents/${agent.id}/api-keys`, { scopes: ['chat', 'documents'] })).json;
  const providerKey = (await admin.post('/api/team/provider-keys', { provider: 'openai', key: 'sk-0123456789' })).json;
  const document = (await admin.post('/api/v1/documents', { title: 'secret', content: unique('Returns are free ') })).json;
  const user = await aerie.user({ team_id: admin.me.team_id });
  const session = (await aerie.request('POST', '/api/chat/widget/session', { json: { chatbot_id: agent.id } })).json;
  const keySession = (await aerie.request('POST', '/api/chat/session', { json: { api_key: key.api_key, assistant_id: agent.id } })).json;
  for (const one of [session, keySession]) one.id = one.session_id;
  return { session, keySession, admin, agent, chat, messages, message: messages[0], key, providerKey, document, user, team: { id: admin.me.team_id } };
}

before(async () => {
  // Mail is on, and goes nowhere: what asks for mails then answers as in earnest.
  aerie = await Aerie.start({ env: { EMAIL__URL: 'smtp://127.0.0.1:1', EMAIL__FROM: 'noreply@aerie.test', LIMITS__MAIL_PER_MINUTE: '0', LIMITS__MAIL_PER_ACCOUNT: '0', LIMITS__WRONG_KEYS_PER_MINUTE: '0', LIMITS__VISITOR_SESSIONS_PER_MINUTE: '0', LIMITS__VISITOR_MESSAGES_PER_MINUTE: '0' } });
  theirs = (await aerie.otherTeam()).admin;
  Object.assign(mine, await furnish(aerie.admin, 'private zebra'));
  Object.assign(others, await furnish(theirs, 'a horse'));
});
after(() => aerie?.stop());

// ---- every route that takes an id, from what the server says of itself ----

/** What an id in a path, a query or a body is of. An id that is not told here fails the test. */
const kindOfPath = { agents: 'agent', chatbots: 'agent', chats: 'chat', documents: 'document', 'provider-keys': 'providerKey', users: 'user', models: 'agent', key_id: 'key' };
const kindOfName = { agent_id: 'agent', assistant_id: 'agent', chatbot_id: 'agent', before: 'message', session_id: 'chat', team_id: 'team', tenant_id: 'team' };
/** Ids that stand deeper than the description says, or are not called ids. */
const more = [
  ['POST', '/v1/chat/completions', 'model', 'agent', (id) => ({ model: id })],
  ['POST', '/api/agents', 'config.fallback_agent_id', 'agent', (id) => ({ config: { fallback_agent_id: id } })],
  ['PUT', '/api/agents/{id}', 'config.fallback_agent_id', 'agent', (id) => ({ config: { fallback_agent_id: id } })],
  ['POST', '/chatbots', 'config.fallback_agent_id', 'agent', (id) => ({ config: { fallback_agent_id: id } })],
  ['PUT', '/chatbots/{id}', 'config.fallback_agent_id', 'agent', (id) => ({ config: { fallback_agent_id: id } })],
  ['PUT', '/api/team', 'settings.default_agent_id', 'agent', (id) => ({ settings: { default_agent_id: id } })],
];
/** Says the same to everyone, whatever there is; and before a message that is none, one's own chat has an empty page. */
const isSilent = (slot, answer) =>
  (answer.status === 202 && ['/api/auth/password/forgot', '/api/auth/verify-email/resend'].includes(slot.path)) || (slot.name === 'before' && answer.text === '[]');
/** Anyone may register in any team that is open, begin a widget's session with any agent, and write to a session whose id he has. */
const open = ['/api/auth/register team_id', '/api/chat/widget/session chatbot_id', '/api/chat/widget session_id'];
const isOpen = (slot) => open.includes(`${slot.path} ${slot.name}`);
const kindOf = (path, name) => (name === 'session_id' && path.startsWith('/api/chat/widget') ? 'session' : kindOfName[name]);

/** {method, path, name, kind, place, inner}: one place of a request that takes an id. */
function slotsOf(document) {
  const slots = [];
  for (const [path, operations] of Object.entries(document.paths))
    for (const [verb, operation] of Object.entries(operations)) {
      const method = verb.toUpperCase();
      const add = (place, name, kind) => {
        assert.ok(kind, `${method} ${path}: say above what ${name} is an id of`);
        slots.push({ method, path, name, kind, place, operation });
      };
      for (const { in: place, name, schema } of operation.parameters ?? []) {
        if (place === 'path' && (schema.format === 'uuid' || /id$/.test(name)))
          add(place, name, kindOfPath[name] ?? kindOfPath[path.slice(0, path.indexOf(`{${name}}`)).split('/').at(-2)]);
        else if (place === 'query' && name !== 'last_event_id' && (schema.format === 'uuid' || /_id$/.test(name))) add(place, name, kindOf(path, name));
      }
      const content = operation.requestBody?.content['application/json'];
      if (!content) continue;
      const whole = (schema) => (schema.$ref ? document.components.schemas[schema.$ref.split('/').at(-1)] : schema);
      const parts = content.schema.anyOf ?? content.schema.oneOf ?? [content.schema];
      for (const [name, field] of Object.entries(Object.assign({}, ...parts.map((part) => whole(part).properties))))
        if (field.format === 'uuid' || /_id$/.test(name)) add('body', name, kindOf(path, name));
    }
  for (const [method, path, name, kind, inner] of more)
    slots.push({ method, path, name, kind, place: 'body', operation: document.paths[path][method.toLowerCase()], inner });
  return slots;
}

const png = Buffer.from('89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c489', 'hex');

/** The request of a slot with the id in its place. own: what stands in the other places, so that only this one can be wrong. */
function requestOf({ method, path, name, place, operation, inner }, id, own) {
  const at = (param) => (place === 'path' && param === name ? id : own[kindOfPath[param] ?? kindOfPath[path.slice(0, path.indexOf(`{${param}}`)).split('/').at(-2)]]?.id ?? 'openai_compatible');
  const rest = (operation.parameters ?? []).filter((param) => param.in === 'query' && param.required && param.name !== name).map((param) => `&${param.name}=${own[kindOf(path, param.name)].id}`).join('');
  const query = place === 'query' ? `?${name}=${id}${rest}` : '';
  const url = path.replace(/\{(\w+)\}/g, (_, param) => at(param)) + query;
  const content = operation.requestBody?.content;
  if (!content) return [method, url, {}];
  if (!content['application/json']) return [method, url, multipart('file', 'x.png', 'image/png', png)];
  const json = { ...content['application/json'].example };
  if (path === '/api/auth/register') json.email = `${unique('new')}@aerie.test`; // and not the one that others log in with
  if (place === 'query') delete json[name];
  if ('api_key' in json && path === '/api/chat/session') delete json.api_key; // it comes in the header
  if ('name' in json && method === 'POST') json.name = unique('made');
  if (place === 'body') Object.assign(json, inner ? inner(id) : { [name]: id });
  return [method, url, { json }];
}

function comparable(answer, id) {
  const headers = { ...answer.headers };
  for (const name of ['x-request-id', 'date', 'content-length', 'connection', 'keep-alive']) delete headers[name];
  return { status: answer.status, text: answer.text.replaceAll(id, 'ID'), headers };
}

/** Who asks: how, and what is not theirs. own: a world of theirs, for the places that are not tried. */
function callers() {
  const bearer = (token) => ({ token });
  const key = (text) => ({ headers: { authorization: `Bearer ${text}` } });
  return [
    { who: "the other team's admin", as: bearer(theirs.token), own: others, foreign: [mine], chats: [mine] },
    { who: "the other team's user", as: bearer(others.user.token), own: others, foreign: [mine], chats: [mine, others] },
    { who: 'a colleague', as: bearer(mine.user.token), own: mine, foreign: [others], chats: [mine, others] },
    { who: 'an admin who is a colleague', as: bearer(mine.colleague.token), own: mine, foreign: [others], chats: [mine, others] },
    { who: "the other team's key", as: key(others.key.api_key), own: others, foreign: [mine], chats: [mine, others], keySessions: [mine] },
    { who: "another agent's key", as: key(mine.otherKey.api_key), own: mine, foreign: [others], chats: [mine, others], agents: [mine, others] },
    { who: "another agent's key, as X-API-Key", as: { headers: { 'x-api-key': mine.otherKey.api_key } }, own: mine, foreign: [others], chats: [mine, others], agents: [mine, others] },
    { who: 'a revoked key', as: key(mine.revoked.api_key), own: mine, foreign: [mine], chats: [mine] },
    { who: 'a visitor of the other team', as: bearer(others.session.visitor_token), own: others, foreign: [mine], chats: [mine, others], sessions: [mine] },
    { who: 'another visitor of the agent', as: bearer(mine.otherSession.visitor_token), own: { ...mine, session: mine.otherSession }, foreign: [others], chats: [mine, others] },
    { who: 'a token that is none', as: bearer('nobody.at.all'), own: mine, foreign: [mine], chats: [mine] },
    { who: 'nobody', as: {}, own: mine, foreign: [mine], chats: [mine] },
  ];
}

const slots = slotsOf(JSON.parse(runCommand(['openapi']).stdout));

test('no_id_of_another_is_told_from_a_missing_one_on_any_route', async () => {
  mine.otherAgent = await aerie.admin.agent({ provider: 'echo' });
  mine.otherKey = (await aerie.admin.post(`/api/agents/${mine.otherAgent.id}/api-keys`, { scopes: ['chat', 'documents'] })).json;
  mine.revoked = (await aerie.admin.post(`/api/agents/${mine.agent.id}/api-keys`, { scopes: ['chat', 'documents'] })).json;
  assert.equal((await aerie.admin.delete(`/api/agents/${mine.agent.id}/api-keys/${mine.revoked.id}`)).status, 204);
  mine.otherSession = (await aerie.request('POST', '/api/chat/widget/session', { json: { chatbot_id: mine.agent.id } })).json;
  mine.otherSession.id = mine.otherSession.session_id;
  mine.colleague = await aerie.user();
  await aerie.admin.put(`/api/users/${mine.colleague.me.id}`, { role: 'admin' });
  mine.colleague = await aerie.login(mine.colleague.email);
  for (const world of [mine, others]) world.user.id = world.user.me.id;
  const told = (await aerie.request('GET', '/openapi.json')).json;
  assert.equal(slotsOf(told).length, slots.length, 'the server describes the same routes');

  let n = 0;
  // One after the other for each caller: of two turns of the same user in a chat, even in none, one is told of the other.
  const one = async (caller, slot) => {
    const ask = async (id) => {
      const [method, url, options] = requestOf(slot, id, caller.own);
      n++;
      return aerie.request(method, url, { ...options, ...caller.as, agent: caller.agent, headers: { ...options.headers, ...caller.as.headers } });
    };
    const what = (id) => `${caller.who}: ${slot.method} ${slot.path} ${slot.name}=${id}`;
    const random = randomUUID();
    const missing = await ask(random);
    const { foreign: teams, chats, agents = teams, sessions = chats, keySessions = chats } = caller;
    const ids = (kind, worlds) => worlds.map((world) => world[kind].id);
    const foreign = ['chat', 'session'].includes(slot.kind)
      ? [...ids('chat', chats), ...ids('session', sessions), ...ids('keySession', keySessions)]
      : ids(slot.kind, slot.kind === 'message' ? chats : slot.kind === 'agent' ? agents : teams);
    for (const id of [...foreign, mine.messages[1].id]) {
      const answer = await ask(id);
      if (isOpen(slot) && foreign.includes(id)) continue;
      assert.ok(answer.status >= 400 || isSilent(slot, answer), `${what(id)}: ${answer.status} ${answer.text}`);
      // Who knows a session's id may write to it: that it is there is no secret, what was said in it is.
      if (slot.kind === 'session' && ids('session', [mine, others]).includes(id)) assert.equal(answer.status, 401, what(id));
      else assert.deepEqual(comparable(answer, id), comparable(missing, random), what(id));
    }
    for (const id of ['%00', `${random}x`]) {
      const answer = await ask(slot.place === 'body' ? id : encodeURIComponent(id));
      assert.ok(answer.status >= 400 && answer.status < 500, `${what(id)}: ${answer.status} ${answer.text}`);
    }
  };
  await inParallel(callers().length, callers(), async (caller) => {
    caller.agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
    for (const slot of slots) await one(caller, slot);
    caller.agent.destroy();
  });
  console.log(`    ${slots.length} places for ids, ${n} requests`);
  assert.ok(n >= 500, `${n} requests`);
});

test('lists_show_only_ones_own', async () => {
  assert.ok(!(await theirs.get('/api/agents?limit=200&include_inactive=true')).text.includes(mine.agent.id));
  assert.ok(!(await theirs.get('/chatbots?limit=200')).text.includes(mine.agent.id));
  assert.deepEqual((await theirs.get('/api/chats?q=zebra')).json, []);
  assert.ok(!(await theirs.get('/api/chats?include_archived=true')).text.includes(mine.chat.id));
  assert.ok(!(await theirs.get('/api/history?per_page=100')).text.includes('secret words of'));
  const users = (await theirs.get('/api/users?limit=200')).text;
  for (const client of [aerie.admin, mine.user, mine.colleague]) assert.ok(!users.includes(client.me.id) && !users.includes(client.email));
  assert.deepEqual((await theirs.get('/api/v1/documents')).json.map((document) => document.id), [others.document.id]);
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

/** What the requests above are worth: with an id of one's own each is taken. */
test('the_same_requests_are_taken_from_the_owner', async () => {
  const fresh = {
    user: async () => ({ id: (await aerie.user()).me.id }),
    agent: () => aerie.admin.agent({ provider: 'echo' }),
    chat: async () => aerie.admin.chat(mine.agent),
    key: async () => (await aerie.admin.post(`/api/agents/${mine.agent.id}/api-keys`, {})).json,
    providerKey: async () => (await aerie.admin.post('/api/team/provider-keys', { provider: 'openai', key: 'sk-0123456789' })).json,
    document: async () => (await aerie.admin.post('/api/v1/documents', { title: 'x', content: unique('more words ') })).json,
  };
  for (const slot of slots) {
    if (slot.kind === 'team') continue; // with someone else's password or key
    const isFirst = slot.path.includes(`{${slot.name}}/`);
    const own = { ...mine };
    if (slot.method === 'DELETE' && slot.path.includes('{key_id}')) own.key = await fresh.key();
    if (slot.place === 'body' && slot.path.includes('{id}')) own.agent = mine.otherAgent; // not its own fallback
    const id = slot.method !== 'DELETE' || isFirst ? mine[slot.kind].id : (await fresh[slot.kind]()).id;
    const [method, url, options] = requestOf(slot, id, own);
    const as = slot.kind === 'session' || slot.name === 'before' && slot.path.includes('widget') ? mine.session.visitor_token : slot.path.startsWith('/v1/') || slot.name === 'assistant_id' ? mine.key.api_key : aerie.admin.token;
    const answer = await openStream(aerie.port, method, url, { ...options, token: as });
    answer.close?.();
    const status = answer.status ?? 200;
    const isTaken = status < 300 || status === 409 || (status === 422 && /another provider/.test(answer.text)) || (status === 404 && !/not found|model_not_found/i.test(answer.text));
    assert.ok(isTaken, `${slot.method} ${slot.path} ${slot.name}: ${status} ${answer.text}`);
  }
});
