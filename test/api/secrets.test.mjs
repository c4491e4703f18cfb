// Keys, tokens and passwords are in no database file, backup, log, answer, address or metric.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { startUpstream } from '../fake/upstream.mjs';
import { Aerie, unique } from '../tools/aerie.mjs';
import { openSocket } from '../tools/socket.mjs';

let aerie;
let upstream;
let user;
const secrets = {}; // name → what it is
const words = unique('the words of a visitor ');

before(async () => {
  upstream = await startUpstream();
  // Everything in the log; mail is on and goes nowhere, so that it waits in the outbox.
  aerie = await Aerie.start({
    env: { LOG__LEVEL: 'trace', EMAIL__URL: 'smtp://127.0.0.1:1', EMAIL__FROM: 'noreply@aerie.test', EMAIL__PASSWORD: 'the password of the mailbox', PROVIDERS__OPENAI__API_KEY: null },
  });
  const make = (name) => (secrets[name] = `${name} ${randomBytes(12).toString('hex')}`.replaceAll(' ', '-'));
  make('password');
  const email = `${unique('u')}@aerie.test`;
  assert.equal((await aerie.request('POST', '/api/auth/register', { json: { email, password: secrets.password } })).status, 201);
  user = await aerie.login(email, { password: secrets.password });
  secrets['access token'] = user.token;
  secrets['refresh token'] = user.refreshToken;
  const agent = await aerie.admin.agent({ webhook_url: upstream.url(), webhook_token: make('webhook token'), allowed_origins: ['*'] });
  const changed = await aerie.admin.agent({ webhook_url: upstream.url(), webhook_token: make('first webhook token') });
  assert.equal((await aerie.admin.put(`/api/agents/${changed.id}`, { webhook_token: make('second webhook token') })).status, 200);
  assert.equal((await aerie.admin.post('/api/team/provider-keys', { provider: 'openai', key: make('provider key') })).status, 201);
  const key = (await aerie.admin.post(`/api/agents/${agent.id}/api-keys`, {})).json;
  secrets['API key'] = key.api_key;
  const session = (await aerie.request('POST', '/api/chat/widget/session', { json: { chatbot_id: agent.id } })).json;
  secrets['visitor token'] = session.visitor_token;
  // All of them are used.
  assert.equal((await aerie.request('POST', '/api/chat/widget', { json: { session_id: session.session_id, message: words } })).status, 200);
  assert.ok((await user.ask(await user.chat(changed), `!tokens=3&note=${words}`)).done);
  assert.equal((await aerie.request('POST', '/v1/chat/completions', { json: { model: agent.id, messages: [{ role: 'user', content: words }] }, headers: { authorization: `Bearer ${key.api_key}` } })).status, 200);
  const socket = await openSocket(aerie.port, { token: null, query: `?token=${user.token}` });
  await socket.ask({ message: words });
  await socket.close();
  const renewed = await aerie.request('POST', '/api/auth/refresh', { json: { refresh_token: user.refreshToken } });
  secrets['next refresh token'] = renewed.json.refresh_token;
  assert.ok([200, 202].includes((await aerie.request('POST', '/api/auth/password/forgot', { json: { email } })).status));
});
after(async () => {
  await aerie?.stop();
  await upstream?.close();
});

/** Fails when the text has one of them, whole or a good part of it; also as base64 or hex. */
function holdsNone(text, where) {
  for (const [name, secret] of Object.entries(secrets))
    for (const form of [secret, secret.slice(-24), Buffer.from(secret).toString('base64').slice(0, -4), Buffer.from(secret).toString('hex')])
      assert.ok(!text.includes(form), `the ${name} is in ${where}: …${text.slice(Math.max(0, text.indexOf(form) - 120), text.indexOf(form))}`);
}

test('the_upstream_got_what_the_database_does_not_tell', () => {
  const got = upstream.requests.map(({ headers }) => JSON.stringify(headers)).join();
  for (const name of ['webhook token', 'second webhook token']) assert.ok(got.includes(secrets[name]), name);
  for (const { target } of upstream.requests) holdsNone(target, 'an address');
});

test('a_database_file_or_a_backup_has_no_secret_in_clear', () => {
  const dump = aerie.database.dump();
  assert.ok(dump.includes(words), 'what people said is there: the dump is looked at rightly');
  holdsNone(dump, 'the database');
  assert.ok(!dump.includes('the password of the mailbox'));
  assert.match(aerie.database.query('select webhook_token from agents where webhook_token is not null'), /^(v1:[\w-]{40,}\n?){2}$/);
  assert.match(aerie.database.query('select sealed_key from provider_keys'), /^v1:[\w-]{40,}$/);
  assert.match(aerie.database.query('select password_hash from users'), /^(\$2b\$\d\d\$[./\w]{53}\n?){2,}$/);
  assert.match(aerie.database.query('select key_hash from api_keys'), /^[0-9a-f]{64}$|^[\w-]{43,44}=?$/);
});

test('the_same_secret_sealed_twice_looks_different', async () => {
  for (let i = 0; i < 2; i++) await aerie.admin.agent({ name: `twin ${i}`, webhook_url: upstream.url(), webhook_token: 'the very same token' });
  const [one, two] = aerie.database.query("select webhook_token from agents where name like 'twin %'").split('\n');
  assert.ok(one && two && one !== two);
});

test('what_lies_beside_the_database_has_no_secret_and_is_for_its_owner_alone', () => {
  const walk = (folder) => readdirSync(folder, { withFileTypes: true }).flatMap((entry) => (entry.isDirectory() ? [join(folder, entry.name), ...walk(join(folder, entry.name))] : [join(folder, entry.name)]));
  for (const name of walk(aerie.folder)) {
    const stat = statSync(name);
    assert.equal(stat.mode & 0o077, 0, `${name} may be read by others: ${(stat.mode & 0o777).toString(8)}`);
    if (stat.isFile()) holdsNone(readFileSync(name, 'latin1'), name);
  }
});

test('no_answer_tells_a_secret_again', async () => {
  const { admin } = aerie;
  const answers = await Promise.all(['/api/agents?include_inactive=true', '/chatbots', '/api/team', '/api/team/provider-keys', '/api/users', '/api/providers', '/api/auth/me', '/db-status', '/health/ready', '/metrics', '/openapi.json'].map((path) => admin.get(path)));
  for (const { json } of [await admin.get('/api/agents')]) for (const agent of json) answers.push(await admin.get(`/api/agents/${agent.id}`), await admin.get(`/api/agents/${agent.id}/api-keys`), await admin.get(`/chatbots/${agent.id}`));
  for (const answer of answers) {
    assert.equal(answer.status, 200, answer.text);
    holdsNone(answer.text, 'an answer');
    holdsNone(JSON.stringify(answer.headers), 'a header');
  }
  assert.ok(!answers[9].text.includes(words) && !answers[9].text.includes(user.email), 'metrics tell nothing about people');
  // Errors do not repeat what was sent.
  const bad = [
    await aerie.request('POST', '/api/auth/login', { json: { email: user.email, password: `${secrets.password}x` } }),
    await aerie.request('POST', '/api/auth/login', { json: { email: user.email, password: [secrets.password] } }),
    await aerie.request('GET', '/v1/models', { headers: { authorization: `Bearer ${secrets['API key']}x` } }),
    await aerie.request('POST', '/api/auth/refresh', { json: { refresh_token: secrets['refresh token'].replace(/.$/, '!') } }),
    await admin.post('/api/agents', { name: 'x', provider: 'n8n', webhook_url: 'ftp://x', webhook_token: secrets['webhook token'] }),
    await admin.post('/api/team/provider-keys', { provider: 'none', key: secrets['provider key'] }),
    await aerie.request('GET', `/api/chats?token=${secrets['access token']}`),
    await aerie.request('GET', `/api/chats/${secrets['access token']}`),
  ];
  for (const answer of bad) {
    assert.ok(answer.status >= 400, answer.text);
    holdsNone(answer.text, 'an error');
  }
});

test('private_answers_are_kept_by_no_cache', async () => {
  const chat = await user.chat((await aerie.admin.get('/api/agents')).json[0]);
  for (const path of ['/api/auth/me', '/api/chats', `/api/chats/${chat.id}`, `/api/chats/${chat.id}/messages`, '/api/history', ...['json', 'markdown', 'txt'].map((format) => `/api/chats/${chat.id}/export?format=${format}`), '/api/chats/none'])
    assert.equal((await user.get(path)).headers['cache-control'], 'no-store', path);
  const stream = await user.get(`/api/chats/${chat.id}/stream`);
  assert.equal(stream.status, 204);
});

test('no_log_tells_a_secret_or_what_was_said', async () => {
  await aerie.halt(); // the last lines too; it looks for all that any request of this file carried
  holdsNone(aerie.log, 'the log');
  assert.ok(!aerie.log.includes(words), 'what was said is in the log');
  assert.ok(!aerie.log.includes(user.email), 'an address is in the log');
  assert.match(aerie.log, /\/api\/chat\/ws 101/, 'the log is a full one');
});
