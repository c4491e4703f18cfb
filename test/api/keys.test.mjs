// What an API key may do: its scopes, its pages, its life.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Aerie, isTime, withinASecond } from '../tools/aerie.mjs';

let aerie;
let agent;
let other;
before(async () => {
  aerie = await Aerie.start({ env: { LIMITS__WRONG_KEYS_PER_MINUTE: 0 } });
  agent = await aerie.admin.agent({ provider: 'echo' });
  other = await aerie.otherTeam();
});
after(() => aerie?.stop());

async function keyWith(fields, { id } = agent) {
  const made = await aerie.admin.post(`/api/agents/${id}/api-keys`, fields);
  assert.equal(made.status, 201, made.text);
  return made.json;
}
const get = (path, key, headers = {}) => aerie.request('GET', path, { headers: { 'X-API-Key': key, ...headers } });
const adminReads = () => ['/api/agents', `/api/agents/${agent.id}`, '/api/team', '/api/users', `/api/users/${aerie.admin.me.id}`, '/db-status'];

test('admin_read_opens_what_an_admin_sees_and_nothing_else', async () => {
  const { api_key: reader, scopes } = await keyWith({ scopes: ['admin:read'] });
  assert.deepEqual(scopes, ['admin:read']);
  for (const path of adminReads()) {
    const byKey = await get(path, reader);
    assert.equal(byKey.status, 200, `${path}: ${byKey.text}`);
    const byAdmin = await aerie.admin.get(path);
    assert.deepEqual(byKey.json, byAdmin.json, path);
    assert.equal((await aerie.request('GET', path, { token: reader })).status, 200, `${path} as bearer`);
  }
  const hidden = await aerie.admin.agent({ provider: 'echo', is_active: false });
  assert.ok((await get('/api/agents?include_inactive=true&limit=200', reader)).json.some((a) => a.id === hidden.id));
  for (const [method, path] of [['GET', '/api/chats'], ['GET', '/api/auth/me'], ['GET', `/api/agents/${agent.id}/api-keys`], ['POST', '/api/agents'], ['PUT', '/api/team'], ['DELETE', `/api/users/${aerie.admin.me.id}`], ['GET', '/users'], ['GET', '/chatbots']])
    assert.equal((await aerie.request(method, path, { json: method === 'GET' ? undefined : {}, headers: { 'X-API-Key': reader } })).status, 401, `${method} ${path}`);
  const chat = await aerie.request('POST', '/api/chat/session', { json: { api_key: reader, assistant_id: agent.id } });
  assert.equal(chat.status, 403);
  assert.match(chat.json.detail, /scope/);
  assert.equal((await get('/v1/models', reader)).status, 403);
});

test('other_scopes_and_wrong_keys_open_no_admins_door', async () => {
  const { api_key: chatter } = await keyWith({});
  const { api_key: librarian } = await keyWith({ scopes: ['documents'] });
  const user = await aerie.user();
  for (const path of adminReads()) {
    for (const key of [chatter, librarian]) {
      const answer = await get(path, key);
      assert.equal(answer.status, 403, path);
      assert.match(answer.json.detail, /scope/);
    }
    for (const key of [`eck_${'z'.repeat(44)}`, `${chatter.slice(0, 12)}${'z'.repeat(36)}`, 'nonsense', '']) assert.equal((await get(path, key)).status, 401, `${path} ${key}`);
    const none = await aerie.request('GET', path);
    assert.equal(none.status, 401, path);
    assert.equal(none.headers['www-authenticate'], 'Bearer');
  }
  for (const path of ['/api/team', '/api/users', '/db-status']) assert.equal((await user.get(path)).status, 403, path);
});

test('who_guesses_keys_waits_and_locks_out_nobody_who_was_there_before', async () => {
  const limited = await Aerie.start({ env: { LIMITS__WRONG_KEYS_PER_MINUTE: 3 } });
  try {
    const agent = await limited.admin.agent({ provider: 'echo' });
    const make = async () => (await limited.admin.post(`/api/agents/${agent.id}/api-keys`, {})).json.api_key;
    const ask = (key) => limited.request('GET', '/v1/models', { headers: { authorization: `Bearer ${key}` } });
    const [known, fresh] = [await make(), await make()];
    assert.equal((await ask(known)).status, 200);
    const guess = (n) => ask(`eck_${String(n).repeat(44)}`);
    for (let n = 0; n < 3; n++) assert.equal((await guess(n)).status, 401);
    const refused = await guess(3);
    assert.equal(refused.status, 429);
    assert.ok(Number(refused.headers['retry-after']) > 0);
    assert.equal((await ask('nonsense')).status, 429);
    assert.equal((await ask(fresh)).status, 429, 'nobody knows that this one is right');
    assert.equal((await ask(known)).status, 200);
  } finally {
    await limited.stop();
  }
});

const models = (key, server = aerie) => server.request('GET', '/v1/models', { headers: { authorization: `Bearer ${key}` } });
/** Used on every loop, so that whatever is remembered is. */
async function warm(key, server = aerie) {
  for (const answer of await Promise.all(Array.from({ length: 12 }, () => models(key, server)))) assert.equal(answer.status, 200, answer.text);
}
/** Every one of many callers, on any loop, gets this answer now. */
async function allGet(status, key, what) {
  for (const answer of await Promise.all(Array.from({ length: 12 }, () => models(key)))) assert.equal(answer.status, status, what);
}

test('what_the_server_itself_changes_about_a_warm_key_counts_at_once', async () => {
  const own = await aerie.admin.agent({ provider: 'echo' });
  const [kept, revoked] = [await keyWith({}, own), await keyWith({}, own)];
  await Promise.all([warm(kept.api_key), warm(revoked.api_key)]);
  assert.equal((await aerie.admin.delete(`/api/agents/${own.id}/api-keys/${revoked.id}`)).status, 204);
  await allGet(401, revoked.api_key, 'revoked');
  await allGet(200, kept.api_key, 'the other one');
  assert.equal((await aerie.admin.put(`/api/agents/${own.id}`, { is_active: false })).status, 200);
  await allGet(403, kept.api_key, 'its agent is off');
  assert.equal((await aerie.admin.put(`/chatbots/${own.id}`, { is_active: true })).status, 200);
  await allGet(200, kept.api_key, 'its agent is on');
  assert.equal((await aerie.admin.put(`/api/agents/${own.id}`, { name: 'Another name' })).status, 200);
  const ask = () => aerie.request('POST', '/v1/chat/completions', { headers: { authorization: `Bearer ${kept.api_key}` }, json: { model: 'Another name', messages: [{ role: 'user', content: 'hi' }] } });
  assert.equal((await ask()).status, 200);
  const twin = await aerie.admin.agent({ provider: 'echo', name: 'Another name' });
  assert.equal((await ask()).status, 404, 'the name is not one agent’s any more');
  assert.equal((await aerie.admin.delete(`/api/agents/${twin.id}`)).status, 204);
  assert.equal((await ask()).status, 200);
  assert.equal((await aerie.admin.delete(`/api/agents/${own.id}`)).status, 204);
  await allGet(401, kept.api_key, 'its agent is gone');
});

test('what_another_process_changes_about_a_warm_key_counts_within_a_second', async () => {
  const gone = async (change, status = 401) => {
    const { api_key, id } = await keyWith({});
    await warm(api_key);
    change(id);
    await withinASecond(async () => (await models(api_key)).status === status, change);
    await allGet(status, api_key, change);
  };
  const past = aerie.database.kind === 'sqlite' ? '1000000' : 'to_timestamp(1)';
  await gone((id) => aerie.database.query(`update api_keys set revoked_at = created_at where id = '${id}'`));
  await gone((id) => aerie.database.query(`update api_keys set expires_at = ${past} where id = '${id}'`));
  await gone((id) => aerie.database.query(`delete from api_keys where id = '${id}'`));
});

test('a_warm_key_that_was_idle_meanwhile_is_looked_up_again', async () => {
  const { api_key, id } = await keyWith({});
  await warm(api_key);
  aerie.database.query(`update api_keys set revoked_at = created_at where id = '${id}'`);
  await new Promise((resolve) => setTimeout(resolve, 1000));
  assert.equal((await models(api_key)).status, 401);
});

test('a_warm_key_expires_on_time', async () => {
  const { api_key } = await keyWith({ expires_at: new Date(Date.now() + 1500).toISOString() });
  await warm(api_key);
  let last;
  for (const end = Date.now() + 1450; Date.now() < end; await new Promise((resolve) => setTimeout(resolve, 50))) last = (await models(api_key)).status;
  await new Promise((resolve) => setTimeout(resolve, 60));
  assert.deepEqual([last === 200 || last === 401, (await models(api_key)).status], [true, 401]);
});

test('more_keys_than_are_remembered_all_work', async () => {
  const small = await Aerie.start({ env: { LIMITS__REMEMBERED_KEYS: 16, LIMITS__REMEMBERED_TOKENS: 16 } });
  try {
    const own = await small.admin.agent({ provider: 'echo' });
    const keys = await Promise.all(Array.from({ length: 60 }, async () => (await small.admin.post(`/api/agents/${own.id}/api-keys`, {})).json));
    for (let round = 0; round < 2; round++) for (const answer of await Promise.all(keys.map(({ api_key }) => models(api_key, small)))) assert.equal(answer.status, 200);
    assert.equal((await small.admin.delete(`/api/agents/${own.id}/api-keys/${keys[3].id}`)).status, 204);
    assert.deepEqual((await Promise.all(keys.map(({ api_key }) => models(api_key, small)))).map((a) => a.status).indexOf(401), 3);
    const users = await Promise.all(Array.from({ length: 24 }, () => small.user()));
    for (const user of users) assert.equal((await user.get('/api/auth/me')).json.id, user.me.id);
  } finally {
    await small.stop();
  }
});

test('a_key_sees_its_own_team_only', async () => {
  const { api_key: reader } = await keyWith({ scopes: ['admin:read'] });
  const theirs = await other.admin.agent({ provider: 'echo' });
  assert.equal((await get(`/api/agents/${theirs.id}`, reader)).status, 404);
  assert.equal((await get(`/api/users/${other.admin.me.id}`, reader)).status, 404);
  assert.ok(!(await get('/api/agents?limit=200', reader)).json.some((a) => a.id === theirs.id));
});

test('db_status_counts_the_callers_team', async () => {
  const mine = await aerie.admin.get('/db-status');
  assert.equal(mine.json.status, 'connected');
  assert.equal(mine.json.database, aerie.database.kind === 'sqlite' ? 'sqlite' : 'postgresql');
  assert.match(mine.json.version, /^\d+\.\d+/);
  assert.ok(mine.json.migration >= 3);
  const before = (await other.admin.get('/db-status')).json.counts;
  assert.deepEqual(Object.keys(before).sort(), ['api_keys', 'chatbots', 'chats', 'messages', 'sessions', 'users']);
  const theirs = await other.admin.agent({ provider: 'echo' });
  await other.admin.ask(await other.admin.chat(theirs), 'hi');
  await aerie.request('POST', '/api/chat/widget/session', { json: { chatbot_id: theirs.id } });
  const after_ = (await other.admin.get('/db-status')).json.counts;
  assert.deepEqual(after_, { ...before, chatbots: before.chatbots + 1, chats: before.chats + 1, sessions: before.sessions + 1, messages: before.messages + 2 });
  assert.deepEqual((await aerie.admin.get('/db-status')).json.counts, mine.json.counts);
});

test('only_known_scopes_and_real_origins_are_taken', async () => {
  for (const scopes of [['everything'], ['chat', 'root'], [''], [7], 'chat', []]) {
    const answer = await aerie.admin.post(`/api/agents/${agent.id}/api-keys`, { scopes });
    assert.equal(answer.status, 422, JSON.stringify(scopes));
    assert.equal(answer.json.errors[0].field, 'scopes');
  }
  for (const allowed_origins of [['shop.test'], ['ftp://shop.test'], 'https://shop.test']) {
    const answer = await aerie.admin.post(`/api/agents/${agent.id}/api-keys`, { allowed_origins });
    assert.equal(answer.status, 422, JSON.stringify(allowed_origins));
    assert.equal(answer.json.errors[0].field, 'allowed_origins');
  }
  const made = await keyWith({ name: 'all', scopes: ['chat', 'documents', 'admin:read'], allowed_origins: ['https://shop.test'], expires_at: '2099-01-01T00:00:00Z' });
  const listed = (await aerie.admin.get(`/api/agents/${agent.id}/api-keys?limit=200`)).json.find((k) => k.id === made.id);
  assert.deepEqual([listed.scopes, listed.allowed_origins, listed.expires_at], [['chat', 'documents', 'admin:read'], ['https://shop.test'], '2099-01-01T00:00:00Z']);
  assert.equal(listed.last_used_at, null);
});

test('a_key_for_pages_is_refused_to_other_pages', async () => {
  const { api_key: key, id } = await keyWith({ allowed_origins: ['https://shop.test'], scopes: ['chat', 'admin:read'] });
  const begin = (headers) => aerie.request('POST', '/api/chat/session', { json: { api_key: key, assistant_id: agent.id }, headers });
  const good = await begin({ Origin: 'https://shop.test' });
  assert.equal(good.status, 200, good.text);
  assert.equal(good.headers['access-control-allow-origin'], 'https://shop.test');
  assert.equal(good.headers['access-control-allow-credentials'], undefined);
  for (const headers of [{ Origin: 'https://evil.test' }, { Origin: 'null' }, { Referer: 'https://evil.test/' }]) {
    const bad = await begin(headers);
    assert.equal(bad.status, 403);
    assert.match(bad.json.detail, /allowed_origins/);
    assert.equal(bad.headers['access-control-allow-origin'], undefined);
    assert.equal((await get('/api/team', key, headers)).status, 403);
  }
  assert.equal((await begin({})).status, 200, 'a server sends no Origin');
  const free = await keyWith({});
  const anywhere = await aerie.request('POST', '/api/chat/session', { json: { api_key: free.api_key, assistant_id: agent.id }, headers: { Origin: 'https://evil.test' } });
  assert.equal(anywhere.status, 200, 'a key without pages says nothing about them');
  assert.equal(anywhere.headers['access-control-allow-origin'], undefined, 'but the page cannot read the answer');
  let used;
  for (let i = 0; i < 50 && !used; i++) used = (await aerie.admin.get(`/api/agents/${agent.id}/api-keys?limit=200`)).json.find((k) => k.id === id).last_used_at;
  assert.ok(isTime(used));
});

test('the_command_line_makes_keys_with_scopes_that_expire', async () => {
  const made = JSON.parse(aerie.command(['key', 'create', '--agent', agent.id, '--name', 'cli', '--scope', 'chat,admin:read', '--expires', '2098-01-01T00:00:00Z', '--json']));
  const listed = (await aerie.admin.get(`/api/agents/${agent.id}/api-keys?limit=200`)).json.find((k) => k.id === made.id);
  assert.deepEqual([listed.name, listed.scopes, listed.expires_at], ['cli', ['chat', 'admin:read'], '2098-01-01T00:00:00Z']);
  assert.equal((await get('/api/team', made.api_key)).status, 200);
  for (const [option, value, words] of [['--scope', 'root', /--scope must be/], ['--scope', '', /--scope must be/], ['--expires', 'soon', /--expires must be/], ['--expires', '2001-01-01T00:00:00Z', /--expires must be/]]) {
    const ran = aerie.tryCommand(['key', 'create', '--agent', agent.id, option, value]);
    assert.notEqual(ran.status, 0, `${option} ${value}`);
    assert.match(ran.stderr, words);
  }
});
