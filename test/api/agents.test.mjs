import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { startUpstream } from '../fake/upstream.mjs';
import { Aerie, isTime, isUuid, unique } from '../tools/aerie.mjs';
import { multipart } from '../tools/http.mjs';

let aerie;
let upstream;
let admin;
let user;
before(async () => {
  upstream = await startUpstream();
  aerie = await Aerie.start();
  admin = aerie.admin;
  user = await aerie.user();
});
after(async () => {
  await aerie?.stop();
  await upstream?.close();
});

const missing = '00000000-0000-4000-8000-000000000000';
const images = {
  png: ['image/png', Buffer.from('89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c489', 'hex')],
  jpeg: ['image/jpeg', Buffer.from('ffd8ffe000104a46494600010101006000600000ffd9', 'hex')],
  gif: ['image/gif', Buffer.from('474946383961010001000000002c00000000010001000002003b', 'hex')],
  webp: ['image/webp', Buffer.concat([Buffer.from('RIFF'), Buffer.from([0x1a, 0, 0, 0]), Buffer.from('WEBPVP8L'), Buffer.from([0x0d, 0, 0, 0, 0x2f, 0, 0, 0, 0x10, 7, 0x10, 0x11, 0x11, 0x88, 0x88, 0xfe, 7, 0])])],
};

test('an_agent_is_made_with_its_fields_and_a_hidden_token', async () => {
  const made = await admin.post('/api/agents', {
    name: 'Support Bot', description: 'Helps', provider: 'n8n', webhook_url: upstream.url(), webhook_token: 'very-secret-token',
    system_prompt: 'Be kind.', model: 'gpt-4', config: { temperature: 0.7, deep: { list: [1, 2] } }, allowed_origins: ['https://shop.test'],
    id: missing, team_id: missing, created_by: missing,
  });
  assert.equal(made.status, 201, made.text);
  const agent = made.json;
  assert.ok(isUuid(agent.id) && agent.id !== missing);
  assert.equal(agent.team_id, aerie.team.id);
  assert.equal(agent.created_by, admin.me.id);
  assert.equal(agent.webhook_token, '********');
  assert.deepEqual(agent.config, { temperature: 0.7, deep: { list: [1, 2] } });
  assert.deepEqual(agent.allowed_origins, ['https://shop.test']);
  assert.equal(agent.is_active, true);
  assert.ok(isTime(agent.created_at) && isTime(agent.updated_at));
  for (const answer of [await user.get(`/api/agents/${agent.id}`), await user.get('/api/agents')]) assert.ok(!answer.text.includes('very-secret-token'));
  const stored = aerie.database.query(`select webhook_token from agents where id = '${agent.id}'`);
  assert.ok(stored.length > 0 && !stored.includes('very-secret-token'), 'the token is encrypted at rest');
});

test('the_provider_left_out_is_n8n_and_an_unknown_one_is_refused', async () => {
  const agent = await admin.post('/api/agents', { name: 'x', webhook_url: upstream.url() });
  assert.equal(agent.json.provider, 'n8n');
  const unknown = await admin.post('/api/agents', { name: 'x', provider: 'hal9000' });
  assert.equal(unknown.status, 422);
  assert.equal(unknown.json.errors[0].field, 'provider');
  const echo = await admin.post('/api/agents', { name: 'x', provider: 'echo' });
  assert.equal(echo.status, 201, echo.text);
  const based = await admin.post('/api/agents', { name: 'x', provider: 'openai_compatible', base_url: 'https://models.test/v1' });
  assert.equal(based.status, 201, based.text);
  assert.equal(based.json.webhook_url, 'https://models.test/v1');
});

test('a_url_that_cannot_be_called_is_refused_with_the_field', async () => {
  for (const webhook_url of ['', 'nonsense', 'ftp://a.test/x', 'file:///etc/passwd', 'http://', 'http://user:pw@a.test/', 'http://a.test/\r\nX: y', 'javascript:alert(1)', 'http://10.0.0.1/x', 'http://169.254.169.254/latest', 'http://[fd00::1]/', 'http://0x0a000001/', 'http://2130706433.1.1.1.1/']) {
    const answer = await admin.post('/api/agents', { name: 'x', webhook_url });
    if (webhook_url.includes('2130706433')) assert.ok(answer.status < 500);
    else assert.equal(answer.status, 422, `${JSON.stringify(webhook_url)}: ${answer.status} ${answer.text}`);
  }
  assert.equal((await admin.post('/api/agents', { name: 'x', provider: 'n8n' })).status, 422, 'n8n needs a webhook');
});

test('put_changes_only_what_is_given_and_keeps_or_clears_the_token', async () => {
  const agent = await admin.agent({ webhook_url: upstream.url(), webhook_token: 'tok-1', description: 'stays', config: { a: 1 } });
  const renamed = await admin.put(`/api/agents/${agent.id}`, { name: 'Renamed', webhook_token: '********' });
  assert.equal(renamed.status, 200, renamed.text);
  assert.equal(renamed.json.name, 'Renamed');
  assert.equal(renamed.json.description, 'stays');
  assert.deepEqual(renamed.json.config, { a: 1 });
  assert.equal(renamed.json.webhook_token, '********');
  const chat = await user.chat(agent);
  await user.ask(chat, 'hello');
  assert.equal(upstream.requests.at(-1).headers.authorization, 'Bearer tok-1');
  await admin.put(`/api/agents/${agent.id}`, { webhook_token: 'tok-2' });
  await user.ask(chat, 'hello');
  assert.equal(upstream.requests.at(-1).headers.authorization, 'Bearer tok-2');
  const cleared = await admin.put(`/api/agents/${agent.id}`, { webhook_token: null });
  assert.equal(cleared.json.webhook_token, null);
  await user.ask(chat, 'hello');
  assert.equal(upstream.requests.at(-1).headers.authorization, undefined);
});

test('inactive_agents_are_listed_on_request_only', async () => {
  const agent = await admin.agent({ provider: 'echo' });
  await admin.put(`/api/agents/${agent.id}`, { is_active: false });
  const ids = (answer) => answer.json.map((a) => a.id);
  assert.ok(!ids(await user.get('/api/agents?limit=200')).includes(agent.id));
  assert.ok(ids(await user.get('/api/agents?include_inactive=true&limit=200')).includes(agent.id));
  const refused = await user.post('/api/chats', { agent_id: agent.id });
  assert.ok([400, 404, 409, 422].includes(refused.status), `${refused.status} ${refused.text}`);
});

test('lists_page_and_count', async () => {
  for (let i = 0; i < 3; i++) await admin.agent({ provider: 'echo' });
  const all = await user.get('/api/agents?limit=200');
  assert.equal(Number(all.headers['x-total-count']), all.json.length);
  const page = await user.get('/api/agents?limit=2&offset=1');
  assert.deepEqual(page.json.map((a) => a.id), all.json.slice(1, 3).map((a) => a.id));
  for (const query of ['limit=0', 'limit=201', 'limit=x', 'limit=-1', 'offset=-1', 'offset=x', 'limit=', 'include_inactive=maybe'])
    assert.equal((await user.get(`/api/agents?${query}`)).status, 422, query);
});

test('only_admins_write_agents', async () => {
  const agent = await admin.agent({ provider: 'echo' });
  assert.equal((await user.get(`/api/agents/${agent.id}`)).status, 200);
  assert.equal((await user.post('/api/agents', { name: 'x', provider: 'echo' })).status, 403);
  assert.equal((await user.put(`/api/agents/${agent.id}`, { name: 'x' })).status, 403);
  assert.equal((await user.delete(`/api/agents/${agent.id}`)).status, 403);
  assert.equal((await user.post(`/api/agents/${agent.id}/api-keys`, {})).status, 403);
});

test('a_deleted_agent_is_gone_and_its_chats_stay_readable', async () => {
  const agent = await admin.agent({ provider: 'echo' });
  const chat = await user.chat(agent);
  await user.ask(chat, 'keep me');
  assert.equal((await admin.delete(`/api/agents/${agent.id}`)).status, 204);
  assert.equal((await admin.get(`/api/agents/${agent.id}`)).status, 404);
  assert.equal((await admin.put(`/api/agents/${agent.id}`, { name: 'x' })).status, 404);
  assert.equal((await admin.delete(`/api/agents/${agent.id}`)).status, 404);
  assert.equal((await user.messages(chat))[0].content, 'keep me');
  const answer = await user.send(chat, 'anyone there?');
  assert.ok(answer.status >= 400 && answer.status < 500, `${answer.status} ${answer.text}`);
});

test('avatars_are_told_by_content', async () => {
  const agent = await admin.agent({ provider: 'echo' });
  const send = (data, name = 'x.bin', type = 'application/octet-stream') =>
    aerie.request('POST', `/api/agents/${agent.id}/avatar`, { token: admin.token, ...multipart('file', name, type, data) });
  for (const [type, data] of Object.values(images)) {
    const answer = await send(data);
    assert.equal(answer.status, 200, `${type} ${answer.text}`);
    assert.equal((await admin.get(`/api/agents/${agent.id}`)).json.avatar, `data:${type};base64,${data.toString('base64')}`);
  }
  for (const [data, name, type] of [['<svg/>', 'x.svg', 'image/svg+xml'], ['hello', 'x.png', 'image/png'], ['', 'x.png', 'image/png'], ['<?xml version="1.0"?><svg/>', 'x.png', 'image/png']]) {
    const answer = await send(data, name, type);
    assert.ok([415, 422].includes(answer.status), `${name} ${JSON.stringify(data)}: ${answer.status}`);
  }
  const large = await send(Buffer.concat([images.png[1], Buffer.alloc(2 * 1024 * 1024)]));
  assert.equal(large.status, 413);
  const fits = await send(Buffer.concat([images.png[1], Buffer.alloc(2 * 1024 * 1024 - images.png[1].length)]));
  assert.equal(fits.status, 200, fits.text.slice(0, 200));
  const other = await aerie.request('POST', `/api/agents/${agent.id}/avatar`, { token: admin.token, ...multipart('other', 'x.png', 'image/png', images.png[1]) });
  assert.equal(other.status, 422);
  const json = await admin.post(`/api/agents/${agent.id}/avatar`, { file: 'x' });
  assert.equal(json.status, 415);
  const lost = await aerie.request('POST', `/api/agents/${missing}/avatar`, { token: admin.token, ...multipart('file', 'x.png', 'image/png', images.png[1]) });
  assert.equal(lost.status, 404);
});

test('an_api_key_is_shown_once_and_can_be_revoked', async () => {
  const agent = await admin.agent({ provider: 'echo' });
  const made = await admin.post(`/api/agents/${agent.id}/api-keys`, { name: unique('key') });
  assert.equal(made.status, 201, made.text);
  assert.match(made.json.api_key, /^eck_[A-Za-z0-9_-]{44}$/);
  assert.ok(made.json.api_key.startsWith(made.json.prefix));
  assert.ok(Array.isArray(made.json.scopes));
  assert.ok('expires_at' in made.json);
  const list = await admin.get(`/api/agents/${agent.id}/api-keys`);
  assert.equal(list.json.length, 1);
  assert.ok(!list.text.includes(made.json.api_key));
  assert.ok(!aerie.database.query('select key_hash from api_keys').includes(made.json.api_key.slice(12)));
  assert.equal((await admin.delete(`/api/agents/${agent.id}/api-keys/${made.json.id}`)).status, 204);
  assert.equal((await admin.delete(`/api/agents/${agent.id}/api-keys/${missing}`)).status, 404);
  const other = await admin.agent({ provider: 'echo' });
  const second = await admin.post(`/api/agents/${agent.id}/api-keys`, {});
  assert.equal((await admin.delete(`/api/agents/${other.id}/api-keys/${second.json.id}`)).status, 404, "under another agent's address");
});

test('the_command_line_makes_a_key', async () => {
  const agent = await admin.agent({ provider: 'echo' });
  const key = aerie.command(['key', 'create', '--agent', agent.id]);
  assert.match(key, /eck_[A-Za-z0-9_-]{44}/);
});

test('chatbots_are_agents_in_the_shape_of_seed_4', async () => {
  const made = await admin.post('/chatbots', { name: 'Old style', llm_endpoint_url: 'https://models.test/v1' });
  assert.equal(made.status, 201, made.text);
  assert.deepEqual(Object.keys(made.json).sort(), ['created_at', 'id', 'llm_endpoint_url', 'name', 'owner_id']);
  assert.equal(made.json.owner_id, admin.me.id);
  assert.equal((await admin.get(`/api/agents/${made.json.id}`)).json.provider, 'openai_compatible');
  assert.ok((await admin.get('/chatbots?limit=200')).json.some((c) => c.id === made.json.id));
  assert.equal((await admin.get(`/chatbots/${made.json.id}`)).json.name, 'Old style');
  assert.ok((await admin.get(`/users/${admin.me.id}/chatbots?limit=200`)).json.some((c) => c.id === made.json.id));
  const renamed = await admin.put(`/chatbots/${made.json.id}`, { name: 'New name' });
  assert.equal(renamed.json.name, 'New name');
  const key = await admin.post(`/chatbots/${made.json.id}/api-keys`, {});
  assert.equal(key.status, 201, key.text);
  const keys = await admin.get(`/chatbots/${made.json.id}/api-keys`);
  assert.deepEqual(Object.keys(keys.json[0]).sort(), ['chatbot_id', 'created_at', 'id', 'revoked']);
  assert.equal(keys.json[0].revoked, false);
  assert.equal((await admin.delete(`/chatbots/${made.json.id}/api-keys/${keys.json[0].id}`)).status, 204);
  assert.equal((await user.get('/chatbots')).status, 403);
  assert.equal((await aerie.request('GET', '/chatbots')).status, 401);
  assert.equal((await admin.delete(`/chatbots/${made.json.id}`)).status, 204);
  assert.equal((await admin.get(`/chatbots/${made.json.id}`)).status, 404);
});

test('a_chatbot_and_an_agent_are_one_row', async () => {
  const made = (await admin.post('/chatbots', { name: 'Both', provider: 'echo', owner_id: user.me.id, webhook_token: 'tok' })).json;
  assert.deepEqual({ ...made, id: '', created_at: '' }, { id: '', name: 'Both', owner_id: admin.me.id, llm_endpoint_url: null, created_at: '' });
  assert.ok(isUuid(made.id) && isTime(made.created_at));
  await admin.put(`/api/agents/${made.id}`, { provider: 'n8n', webhook_url: upstream.url(), is_active: false });
  const chatbot = (await admin.get(`/chatbots/${made.id}`)).json;
  assert.deepEqual(chatbot, { ...made, llm_endpoint_url: upstream.url() });
  const listed = await admin.get('/chatbots?limit=200');
  assert.deepEqual(listed.json.find((c) => c.id === made.id), chatbot, 'inactive ones are listed');
  const agents = await admin.get('/api/agents?limit=200&include_inactive=true');
  assert.deepEqual(listed.json.map((c) => c.id), agents.json.map((a) => a.id));
  assert.equal(listed.headers['x-total-count'], agents.headers['x-total-count']);
  const moved = await admin.put(`/chatbots/${made.id}`, { llm_endpoint_url: 'https://models.test/v2' });
  assert.deepEqual(moved.json, { ...chatbot, llm_endpoint_url: 'https://models.test/v2' });
  const agent = (await admin.get(`/api/agents/${made.id}`)).json;
  assert.equal(agent.webhook_url, 'https://models.test/v2');
  assert.equal(agent.webhook_token, '********', 'what is not given stays');
  assert.equal((await admin.delete(`/chatbots/${made.id}`)).status, 204);
  assert.equal((await admin.get(`/api/agents/${made.id}`)).status, 404);
});

test('a_chatbots_wrong_fields_are_named_as_the_client_named_them', async () => {
  const wrong = async (answer, field) => {
    assert.equal(answer.status, 422, answer.text);
    assert.deepEqual(answer.json.errors.map((e) => e.field), [field], answer.text);
  };
  const url = 'https://models.test/v1';
  await wrong(await admin.post('/chatbots', { llm_endpoint_url: url }), 'name');
  await wrong(await admin.post('/chatbots', { name: 'x' }), 'llm_endpoint_url');
  await wrong(await admin.post('/chatbots', { name: 'x', llm_endpoint_url: null }), 'llm_endpoint_url');
  await wrong(await admin.post('/chatbots', { name: 'x', llm_endpoint_url: 'http://10.0.0.1/v1' }), 'llm_endpoint_url');
  await wrong(await admin.post('/chatbots', { name: 'x', provider: 'hal9000', llm_endpoint_url: url }), 'provider');
  await wrong(await admin.post('/api/agents', { name: 'x' }), 'webhook_url');
  await wrong(await admin.post('/api/agents', { name: 'x', provider: 'openai_compatible', base_url: '' }), 'base_url');
  const made = (await admin.post('/chatbots', { name: 'x', llm_endpoint_url: url })).json;
  await wrong(await admin.put(`/chatbots/${made.id}`, { llm_endpoint_url: null }), 'llm_endpoint_url');
  await wrong(await admin.put(`/chatbots/${made.id}`, { provider: 'n8n', llm_endpoint_url: '' }), 'llm_endpoint_url');
  assert.deepEqual((await admin.get(`/chatbots/${made.id}`)).json, made);
  for (const query of ['limit=0', 'limit=x', 'offset=-1']) for (const path of ['/chatbots', `/users/${admin.me.id}/chatbots`, `/chatbots/${made.id}/api-keys`])
    assert.equal((await admin.get(`${path}?${query}`)).status, 422, `${path}?${query}`);
});

test('a_users_chatbots_are_those_the_user_made', async () => {
  const second = await aerie.user();
  await admin.put(`/users/${second.me.id}`, { role: 'admin' });
  const colleague = await aerie.login(second.email);
  assert.deepEqual((await admin.get(`/users/${second.me.id}/chatbots`)).json, []);
  const made = [];
  for (let i = 0; i < 3; i++) made.push((await colleague.post('/chatbots', { name: `Mine ${i}`, provider: 'echo' })).json);
  const theirs = await admin.get(`/users/${second.me.id}/chatbots`);
  assert.deepEqual(theirs.json, made);
  assert.equal(theirs.headers['x-total-count'], '3');
  const page = await admin.get(`/users/${second.me.id}/chatbots?limit=1&offset=1`);
  assert.deepEqual(page.json, [made[1]]);
  assert.equal(page.headers['x-total-count'], '3');
  assert.ok(!(await admin.get(`/users/${admin.me.id}/chatbots?limit=200`)).text.includes(made[0].id));
  assert.equal((await admin.delete(`/users/${second.me.id}`)).status, 204);
  assert.equal((await admin.get(`/users/${second.me.id}/chatbots`)).status, 404);
  assert.equal((await admin.get(`/chatbots/${made[0].id}`)).json.owner_id, null, 'it outlives its maker');
  for (const id of [missing, 'me', 'x']) assert.equal((await admin.get(`/users/${id}/chatbots`)).status, 404, id);
});

test('a_chatbots_key_is_shown_once_and_stays_listed_when_revoked', async () => {
  const chatbot = (await admin.post('/chatbots', { name: 'Keys', provider: 'echo' })).json;
  const made = await admin.post(`/chatbots/${chatbot.id}/api-keys`, {});
  assert.equal(made.status, 201, made.text);
  assert.equal(made.headers['cache-control'], 'no-store');
  const { api_key, ...key } = made.json;
  assert.match(api_key, /^eck_[A-Za-z0-9_-]{44}$/);
  assert.deepEqual(Object.keys(key), ['id', 'chatbot_id', 'revoked', 'created_at']);
  assert.deepEqual([key.chatbot_id, key.revoked], [chatbot.id, false]);
  const path = `/chatbots/${chatbot.id}/api-keys`;
  const other = (await admin.post(path, {})).json;
  assert.deepEqual((await admin.get(path)).json, [key, { ...other, api_key: undefined }].map((k) => JSON.parse(JSON.stringify(k))));
  assert.equal((await admin.delete(`/chatbots/${chatbot.id}/api-keys/${key.id}`)).status, 204);
  const after = await admin.get(path);
  assert.deepEqual(after.json.map((k) => [k.id, k.revoked]), [[key.id, true], [other.id, false]]);
  assert.equal(after.headers['x-total-count'], '2');
  const agents = await admin.get(`/api/agents/${chatbot.id}/api-keys`);
  assert.deepEqual(agents.json.map((k) => k.id), [other.id]);
  assert.equal(agents.headers['x-total-count'], '1');
  assert.equal((await admin.delete(`/chatbots/${chatbot.id}/api-keys/${key.id}`)).status, 404, 'revoked already');
  for (const lost of [await admin.get(`/chatbots/${missing}/api-keys`), await admin.post(`/chatbots/${missing}/api-keys`, {})])
    assert.deepEqual([lost.status, lost.json.detail], [404, 'Chatbot not found']);
});

test('chatbots_are_for_admins_only', async () => {
  const { id } = (await admin.post('/chatbots', { name: 'Shut', provider: 'echo' })).json;
  const calls = [
    ['GET', '/chatbots'], ['POST', '/chatbots'], ['GET', `/chatbots/${id}`], ['PUT', `/chatbots/${id}`], ['DELETE', `/chatbots/${id}`],
    ['GET', `/users/${user.me.id}/chatbots`], ['GET', `/chatbots/${id}/api-keys`], ['POST', `/chatbots/${id}/api-keys`],
    ['DELETE', `/chatbots/${id}/api-keys/${missing}`],
  ];
  for (const [method, path] of calls) {
    const json = ['POST', 'PUT'].includes(method) ? { name: 'x', provider: 'echo' } : undefined;
    assert.equal((await aerie.request(method, path, { token: user.token, json })).status, 403, `${method} ${path}`);
    assert.equal((await aerie.request(method, path, { json })).status, 401, `${method} ${path}`);
  }
  assert.equal((await admin.get(`/chatbots/${id}`)).json.name, 'Shut');
});
