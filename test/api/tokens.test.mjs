// Tokens as an attacker makes them, at every door; two secrets in force; and who is disabled is out at every door.
import assert from 'node:assert/strict';
import { createHmac, randomUUID } from 'node:crypto';
import { after, before, test } from 'node:test';
import { startUpstream } from '../fake/upstream.mjs';
import { Aerie, PASSWORD, withinASecond } from '../tools/aerie.mjs';
import { openStream } from '../tools/http.mjs';
import { ChatSocket, openSocket } from '../tools/socket.mjs';

const SECRET = 'one secret of this file, long enough for production';
const NEXT = 'the next secret of this file, as long as the other';

let aerie;
let user;
let agent;
before(async () => {
  aerie = await Aerie.start({ env: { SECRET_KEY: SECRET } });
  user = await aerie.user();
  agent = await aerie.admin.agent({ provider: 'echo' });
});
after(() => aerie?.stop());

const encode = (value) => Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url');
const HASHES = { HS256: 'sha256', HS384: 'sha384', HS512: 'sha512' };

/** A token signed as its header says: what it says may be anything. claims: an object, or JSON as it is to stand there. */
function sign(claims, { header = { alg: 'HS256', typ: 'JWT' }, secret = SECRET } = {}) {
  const signed = `${encode(header)}.${encode(claims)}`;
  const hash = HASHES[header.alg] ?? 'sha256';
  return `${signed}.${header.alg === 'none' ? '' : createHmac(hash, secret).update(signed).digest('base64url')}`;
}
const claimsOf = (token) => JSON.parse(Buffer.from(token.split('.')[1], 'base64url'));

/** Who is let in at each door: its name → status. A socket that opens is 101. */
async function tryDoors(port, token, chat) {
  const status = async (answer) => (await answer).status ?? 101;
  const http = (method, path, options) => openStream(port, method, path, options).then((answer) => {
    answer.close?.();
    return answer;
  });
  const socket = async (options) => {
    const answer = await openSocket(port, options);
    if (answer instanceof ChatSocket) answer.ws.terminate();
    return answer;
  };
  return {
    header: await status(http('GET', '/api/auth/me', { token })),
    cookie: await status(http('GET', '/api/auth/me', { cookie: `access_token=${token}` })),
    agents: await status(http('GET', '/api/agents', { token })),
    chats: await status(http('GET', '/api/chats', { token })),
    stream: await status(http('GET', `/api/chats/${chat.id}/stream`, { token })),
    message: await status(http('POST', `/api/chats/${chat.id}/messages`, { token, json: { content: 'let me in' } })),
    talk: await status(http('POST', '/api/chat', { token, json: { message: 'let me in' } })),
    socket: await status(socket({ token })),
    'socket, query': await status(socket({ token: null, query: `?token=${token}` })),
    'socket, cookie': await status(socket({ token: null, headers: { Cookie: `access_token=${token}` } })),
  };
}

test('a_token_with_one_thing_wrong_opens_no_door', async () => {
  const good = claimsOf(user.token);
  const now = Math.floor(Date.now() / 1000);
  const chat = await user.chat(agent);
  const json = (name, text) => JSON.stringify(good).replace(new RegExp(`"${name}":("[^"]*"|\\d+)`), `"${name}":${text}`);
  const without = (name) => Object.fromEntries(Object.entries(good).filter(([key]) => key !== name));
  const forged = {
    'alg none': sign(good, { header: { alg: 'none' } }),
    'alg none, with a signature': `${sign(good, { header: { alg: 'none' } })}${user.token.split('.')[2]}`,
    'alg None': sign(good, { header: { alg: 'None' } }),
    HS384: sign(good, { header: { alg: 'HS384', typ: 'JWT' } }),
    HS512: sign(good, { header: { alg: 'HS512', typ: 'JWT' } }),
    RS256: sign(good, { header: { alg: 'RS256', typ: 'JWT' } }),
    'no alg': sign(good, { header: { typ: 'JWT' } }),
    'crit, a list': sign(good, { header: { alg: 'HS256', crit: ['exp'] } }),
    'crit, a text': sign(good, { header: { alg: 'HS256', crit: 'exp' } }),
    'crit, a truth': sign(good, { header: { alg: 'HS256', crit: true } }),
    'crit, null': sign(good, { header: { alg: 'HS256', crit: null } }),
    'an empty key': sign(good, { secret: '' }),
    "another Aerie's secret": sign(good, { secret: NEXT }),
    'a header that is no object': sign(good, { header: [] }),
    'claims that are no object': sign('[]'),
    'claims that are no JSON': sign('{"exp":'),
    ...Object.fromEntries(['exp', 'nbf', 'iat', 'iss', 'aud', 'typ', 'sub', 'team', 'role', 'jti', 'fam'].map((name) => [`without ${name}`, sign(without(name))])),
    ...Object.fromEntries(['exp', 'nbf', 'iat', 'iss', 'aud', 'typ', 'sub', 'team', 'role', 'jti', 'fam'].flatMap((name) => ['null', 'true', '{}', '[]', '""'].map((value) => [`${name} ${value}`, sign(json(name, value))]))),
    ...Object.fromEntries([`"${good.exp}"`, `${good.exp}.5`, `${good.exp}.0`, `${good.exp}e0`, '1e300', '-1', '0', `${now - 1}`, '9223372036854775807', '9223372036854775808', '18446744073709551615', '99999999999999999999999'].map((value) => [`exp ${value}`, sign(json('exp', value))])),
    'nbf ahead': sign({ ...good, nbf: now + 60 }),
    'iat ahead': sign({ ...good, iat: now + 60 }),
    'iat before all time': sign({ ...good, iat: -1 }),
    'iss of another': sign({ ...good, iss: 'aeria' }),
    'aud, a list': sign({ ...good, aud: ['aerie'] }),
    'typ refresh': sign({ ...good, typ: 'refresh' }),
    'a role that is none': sign({ ...good, role: 'owner' }),
    'sub that is no id': sign({ ...good, sub: 'admin' }),
    'more behind': `${user.token}.`,
    'less behind': user.token.slice(0, -4),
    padding: `${user.token}=`,
  };
  for (const [what, token] of Object.entries(forged)) {
    const answer = await aerie.request('GET', '/api/auth/me', { token });
    assert.equal(answer.status, 401, `${what}: ${answer.status} ${answer.text}`);
    assert.ok(!answer.text.includes(token.slice(-20)), `${what} is repeated in the answer`);
  }
  // The doors share one lock; each is tried with what goes wrong in a way of its own.
  for (const what of ['alg none', 'HS384', 'an empty key', "another Aerie's secret", 'without exp', `exp ${now - 1}`, 'crit, a text', 'aud, a list'].filter((name) => forged[name]))
    for (const [door, status] of Object.entries(await tryDoors(aerie.port, forged[what], chat))) assert.equal(status, 401, `${what} at ${door}`);
  // What all that is worth: made by the same hand, with nothing wrong, it is let in.
  for (const [door, status] of Object.entries(await tryDoors(aerie.port, sign(good), chat))) assert.ok(status < 300, `${door}: ${status}`);
});

test('a_token_of_one_aerie_is_nothing_to_another', async () => {
  const another = await Aerie.start({ env: { SECRET_KEY: NEXT } });
  try {
    const theirs = await another.user();
    for (const [here, there] of [[aerie, theirs], [another, user]]) {
      assert.equal((await here.request('GET', '/api/auth/me', { token: there.token })).status, 401);
      assert.equal((await here.request('POST', '/api/auth/refresh', { json: { refresh_token: there.refreshToken } })).status, 401);
    }
  } finally {
    await another.stop();
  }
});

test('a_secret_is_replaced_without_a_login_ending_and_then_without_the_old_one', async () => {
  const upstream = await startUpstream();
  const server = await Aerie.start({ env: { SECRET_KEY: SECRET } });
  const restart = async (env) => {
    await server.halt();
    Object.assign(server.env, env);
    await server.listen();
  };
  try {
    const one = await server.user();
    const sealed = await server.admin.agent({ webhook_url: upstream.url(), webhook_token: 'sealed under the first' });
    const works = async () => (await one.ask(await one.chat(sealed), '!tokens=1')).done;
    await restart({ SECRET_KEY: NEXT, SECURITY__PREVIOUS_SECRET: SECRET });
    assert.equal((await one.get('/api/auth/me')).status, 200, 'a token of the old secret');
    assert.ok(await works(), 'what the old secret sealed is opened');
    const fresh = await server.login(one.email);
    assert.equal(claimsOf(fresh.token).sub, one.me.id);
    assert.equal(fresh.token, sign(`${Buffer.from(fresh.token.split('.')[1], 'base64url')}`, { header: JSON.parse(Buffer.from(fresh.token.split('.')[0], 'base64url')), secret: NEXT }), 'new ones are signed with the new secret');
    const renewed = await server.request('POST', '/api/auth/refresh', { json: { refresh_token: one.refreshToken } });
    assert.equal(renewed.status, 200, 'a login goes on');
    await restart({ SECURITY__PREVIOUS_SECRET: undefined });
    assert.equal((await one.get('/api/auth/me')).status, 401, 'the old secret is in force no more');
    assert.equal((await server.request('GET', '/api/auth/me', { token: renewed.json.access_token })).status, 200);
    const answer = await fresh.send(await fresh.chat(sealed), '!tokens=1');
    assert.deepEqual([answer.status, answer.json], [500, { detail: 'Something went wrong on our side' }], 'what nobody can open is not sent');
    await withinASecond(() => /sealed under another secret; save it again/.test(server.log), 'what the operator does about it is told');
  } finally {
    await server.stop();
    await upstream.close();
  }
});

/** How a user is put out, and what his next request gets at each door. */
const endings = {
  disabled: (admin, id) => admin.put(`/api/users/${id}`, { is_active: false }),
  deleted: (admin, id) => admin.delete(`/api/users/${id}`),
};
for (const [how, end] of Object.entries(endings))
  test(`a_user_who_is_${how}_is_out_at_every_door`, async () => {
    const one = await aerie.user();
    const chat = await one.chat(agent);
    const socket = await openSocket(aerie.port, { token: one.token });
    assert.equal((await socket.ask({ message: 'still here', session_id: chat.id })).last.type, 'done');
    for (const [door, status] of Object.entries(await tryDoors(aerie.port, one.token, chat))) assert.ok(status < 300, `${door}: ${status}`);
    assert.ok((await end(aerie.admin, one.me.id)).status < 300);
    for (const [door, status] of Object.entries(await tryDoors(aerie.port, one.token, chat))) assert.equal(status, 401, door);
    socket.send({ message: 'and still', session_id: chat.id });
    assert.equal((await socket.ended()).code, 1008, 'a socket that was open');
    assert.equal((await aerie.request('POST', '/api/auth/refresh', { json: { refresh_token: one.refreshToken } })).status, 401);
    assert.equal((await aerie.request('POST', '/api/auth/login', { json: { email: one.email, password: PASSWORD } })).status, 401);
    const messages = how === 'disabled' ? aerie.database.query(`select content from messages where chat_id = '${chat.id}'`) : '';
    assert.ok(!messages.includes('and still'), 'nothing was stored');
  });

test('a_key_that_is_revoked_is_out_at_every_door', async () => {
  const key = (await aerie.admin.post(`/api/agents/${agent.id}/api-keys`, { scopes: ['chat', 'documents', 'admin:read'] })).json;
  const session = (await aerie.request('POST', '/api/chat/session', { json: { api_key: key.api_key, assistant_id: agent.id } })).json;
  const doors = [
    ['GET', '/v1/models'],
    ['GET', `/v1/models/${agent.id}`],
    ['POST', '/v1/chat/completions', { model: agent.id, messages: [{ role: 'user', content: 'hi' }] }],
    ['POST', '/api/chat/session', { assistant_id: agent.id }],
    ['POST', '/api/chat', { session_id: session.session_id, assistant_id: agent.id, messages: [{ role: 'user', content: 'hi' }] }],
    ['GET', '/api/agents'],
    ['GET', '/api/team'],
    ['GET', '/api/users'],
    ['GET', '/db-status'],
    ['GET', '/api/v1/documents'],
    ['POST', '/api/v1/documents/search', { query: 'hi' }],
  ];
  const ask = ([method, path, json], text = key.api_key) => aerie.request(method, path, { json, headers: { 'X-API-Key': text, 'Idempotency-Key': randomUUID() } });
  for (const door of doors) assert.ok((await ask(door)).status < 300, door.slice(0, 2).join(' '));
  assert.equal((await aerie.admin.delete(`/api/agents/${agent.id}/api-keys/${key.id}`)).status, 204);
  for (const door of doors) {
    const [revoked, unknown] = [await ask(door), await ask(door, `eck_${'x'.repeat(key.api_key.length - 4)}`)];
    assert.ok([401, 403].includes(revoked.status), `${door.slice(0, 2).join(' ')}: ${revoked.status}`);
    assert.deepEqual([revoked.status, revoked.text], [unknown.status, unknown.text], door.slice(0, 2).join(' '));
  }
});
