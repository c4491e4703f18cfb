// Two teams with one of everything that has an id, who asks for what is not his, and every place of a request where an id may
// stand, taken from what the server says of itself.
import assert from 'node:assert/strict';
import { unique } from './aerie.mjs';
import { multipart } from './http.mjs';

/** Everything that has an id, of one team: made by its admin. */
async function furnish(aerie, admin, title) {
  const agent = await admin.agent({ provider: 'echo' });
  const chat = await admin.chat(agent, { title });
  const spoken = await admin.ask(chat, 'secret words');
  const messages = await admin.messages(chat);
  const otherAgent = await admin.agent({ provider: 'echo' });
  const keyOf = async (one, scopes = ['chat', 'documents']) => (await admin.post(`/api/agents/${one.id}/api-keys`, { scopes })).json;
  const key = await keyOf(agent);
  const revoked = await keyOf(agent);
  assert.equal((await admin.delete(`/api/agents/${agent.id}/api-keys/${revoked.id}`)).status, 204);
  const providerKey = (await admin.post('/api/team/provider-keys', { provider: 'openai', key: 'sk-0123456789' })).json;
  const document = (await admin.post('/api/v1/documents', { title: 'secret', content: unique('Returns are free ') })).json;
  const webhook = (await admin.post('/api/webhooks', { url: 'http://127.0.0.1:1/hook', events: ['chat.created'] })).json;
  await admin.chat(agent, { title: 'told to nobody' });
  const delivery = (await admin.get(`/api/webhooks/${webhook.id}/deliveries`)).json[0];
  const budget = (await admin.put('/api/budgets', { scope: 'team', period: 'month', requests: 1000000 })).json;
  const user = await aerie.user({ team_id: admin.me.team_id });
  user.id = user.me.id;
  const visit = async () => {
    const session = (await aerie.request('POST', '/api/chat/widget/session', { json: { chatbot_id: agent.id } })).json;
    return { ...session, id: session.session_id };
  };
  const keySession = (await aerie.request('POST', '/api/chat/session', { json: { api_key: key.api_key, assistant_id: agent.id } })).json;
  keySession.id = keySession.session_id;
  let colleague = await aerie.user({ team_id: admin.me.team_id });
  await admin.put(`/api/users/${colleague.me.id}`, { role: 'admin' });
  colleague = await aerie.login(colleague.email);
  const disabled = await aerie.user({ team_id: admin.me.team_id });
  await admin.put(`/api/users/${disabled.me.id}`, { is_active: false });
  const turn = { id: spoken.lastId.split(':')[0] };
  return {
    admin, agent, chat, messages, message: messages[0], turn, otherAgent, key, revoked, otherKey: await keyOf(otherAgent), readKey: await keyOf(agent, ['admin:read']),
    providerKey, document, webhook, delivery, budget, user, colleague, disabled, session: await visit(), otherSession: await visit(), keySession, team: { id: admin.me.team_id },
  };
}

/** {mine, others}: the default team's and another's. */
export async function twoWorlds(aerie) {
  const theirs = (await aerie.otherTeam()).admin;
  return { mine: await furnish(aerie, aerie.admin, 'private zebra'), others: await furnish(aerie, theirs, 'a horse') };
}

/**
 * Who asks: how, and what is not theirs, told as worlds whose things of that kind are foreign. own: a world of theirs, for the
 * places that are not tried. isNobody: the door itself is shut.
 */
export function callersOf({ mine, others }) {
  const bearer = (token) => ({ token });
  const key = (text) => ({ headers: { authorization: `Bearer ${text}` } });
  return [
    { who: "the other team's admin", as: bearer(others.admin.token), own: others, foreign: [mine], chats: [mine] },
    { who: "the other team's user", as: bearer(others.user.token), own: others, foreign: [mine], chats: [mine, others] },
    { who: 'a colleague', as: bearer(mine.user.token), own: mine, foreign: [others], chats: [mine, others] },
    { who: 'an admin who is a colleague', as: bearer(mine.colleague.token), own: mine, foreign: [others], chats: [mine, others] },
    { who: "the other team's key", as: key(others.key.api_key), own: others, foreign: [mine], chats: [mine, others], keySessions: [mine] },
    { who: "the other team's key that reads as an admin", as: key(others.readKey.api_key), own: others, foreign: [mine], chats: [mine, others], keySessions: [mine] },
    { who: "another agent's key", as: key(mine.otherKey.api_key), own: mine, foreign: [others], chats: [mine, others], agents: [mine, others] },
    { who: "another agent's key, as X-API-Key", as: { headers: { 'x-api-key': mine.otherKey.api_key } }, own: mine, foreign: [others], chats: [mine, others], agents: [mine, others] },
    { who: 'a visitor of the other team', as: bearer(others.session.visitor_token), own: others, foreign: [mine], chats: [mine, others], sessions: [mine] },
    { who: 'another visitor of the agent', as: bearer(mine.otherSession.visitor_token), own: { ...mine, session: mine.otherSession }, foreign: [others], chats: [mine, others] },
    { who: 'a revoked key', as: key(mine.revoked.api_key), own: mine, foreign: [mine], chats: [mine], isNobody: true },
    { who: 'a disabled user', as: bearer(mine.disabled.token), own: mine, foreign: [mine], chats: [mine], isNobody: true },
    { who: 'a refresh token', as: bearer(mine.user.refreshToken), own: mine, foreign: [mine], chats: [mine], isNobody: true },
    { who: 'a token that is none', as: bearer('nobody.at.all'), own: mine, foreign: [mine], chats: [mine], isNobody: true },
    { who: 'nobody', as: {}, own: mine, foreign: [mine], chats: [mine], isNobody: true },
  ];
}

/** The ids of a kind that are not the caller's. */
export function foreignIds(kind, { foreign: teams, chats, agents = teams, sessions = chats, keySessions = chats }) {
  const ids = (of, worlds) => worlds.map((world) => world[of].id);
  if (kind === 'visitor') return [...ids('session', teams), ...ids('keySession', teams)]; // what admins have a say in
  if (kind === 'chat' || kind === 'session') return [...ids('chat', chats), ...ids('session', sessions), ...ids('keySession', keySessions)];
  return ids(kind, kind === 'message' || kind === 'turn' ? chats : kind === 'agent' ? agents : teams);
}

/** What an id in a path, a query or a body is of. An id that is not told here fails the test. */
const kindOfPath = { agents: 'agent', budgets: 'budget', chatbots: 'agent', chats: 'chat', documents: 'document', 'provider-keys': 'providerKey', users: 'user', webhooks: 'webhook', models: 'agent', key_id: 'key', delivery_id: 'delivery' };
const kindOfName = { agent_id: 'agent', assistant_id: 'agent', chatbot_id: 'agent', before: 'message', session_id: 'chat', team_id: 'team', tenant_id: 'team' };
/** Ids that stand deeper than the description says, or are not called ids. */
const more = [
  ['POST', '/v1/chat/completions', 'model', 'agent', (id) => ({ model: id })],
  ['POST', '/api/agents', 'config.fallback_agent_id', 'agent', (id) => ({ config: { fallback_agent_id: id } })],
  ['PUT', '/api/agents/{id}', 'config.fallback_agent_id', 'agent', (id) => ({ config: { fallback_agent_id: id } })],
  ['POST', '/chatbots', 'config.fallback_agent_id', 'agent', (id) => ({ config: { fallback_agent_id: id } })],
  ['PUT', '/chatbots/{id}', 'config.fallback_agent_id', 'agent', (id) => ({ config: { fallback_agent_id: id } })],
  ...['agent', 'key', 'user'].map((scope) => ['PUT', '/api/budgets', 'subject_id', scope, (id) => ({ scope, subject_id: id })]),
  ['PUT', '/api/team', 'settings.default_agent_id', 'agent', (id) => ({ settings: { default_agent_id: id } })],
  ['POST', '/api/visitors/erase', 'visitor', 'visitor', (id) => ({ visitor: id })],
];
/** Says the same to everyone, whatever there is; before a message that is none, one's own chat has an empty page; and an agent of nobody here did nothing. */
export const isSilent = (slot, answer) =>
  (answer.status === 202 && ['/api/auth/password/forgot', '/api/auth/verify-email/resend'].includes(slot.path)) || (slot.name === 'before' && answer.text === '[]') || (slot.path === '/api/usage' && answer.json?.days.length === 0);
/** Anyone may register in any team that is open, begin a widget's session with any agent and see what the widget shows, and write to a session whose id he has. */
const open = ['/api/auth/register team_id', '/api/chat/widget/config chatbot_id', '/api/chat/widget/session chatbot_id', '/api/chat/widget session_id'];
export const isOpen = (slot) => open.includes(`${slot.path} ${slot.name}`);
const kindOf = (path, name) => (name === 'session_id' && path.startsWith('/api/chat/widget') ? 'session' : kindOfName[name]);

/** {method, path, name, kind, place, inner}: one place of a request that takes an id. */
export function slotsOf(document) {
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
        if ((field.format === 'uuid' || /_id$/.test(name)) && !more.some((one) => one[0] === method && one[1] === path && one[2] === name)) add('body', name, kindOf(path, name));
    }
  for (const [method, path, name, kind, inner] of more)
    slots.push({ method, path, name, kind, place: 'body', operation: document.paths[path][method.toLowerCase()], inner });
  return slots;
}

const png = Buffer.from('89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c489', 'hex');

/** The request of a slot with the id in its place. own: what stands in the other places, so that only this one can be wrong. */
export function requestOf({ method, path, name, place, operation, inner }, id, own) {
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

export function comparable(answer, id) {
  const headers = { ...answer.headers };
  for (const name of ['x-request-id', 'date', 'content-length', 'connection', 'keep-alive']) delete headers[name];
  return { status: answer.status, text: answer.text.replaceAll(id, 'ID'), headers };
}
