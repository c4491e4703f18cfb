// Rates, each on a server of its own where it is switched on. null: at its default.
import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Aerie, PASSWORD, unique } from '../tools/aerie.mjs';
import { raw } from '../tools/http.mjs';

async function withServer(env, run) {
  const aerie = new Aerie({ env });
  try {
    aerie.prepare();
    await aerie.listen();
    await run(aerie);
    await aerie.stop();
  } finally {
    if (aerie.child) aerie.drop();
  }
}

function checkRefusal(answer) {
  assert.equal(answer.status, 429, answer.text);
  assert.ok(Number(answer.headers['retry-after']) >= 1, answer.headers['retry-after']);
  assert.equal(typeof answer.json.detail, 'string');
}

const login = (aerie, email, options = {}) => aerie.request('POST', '/api/auth/login', { json: { email, password: PASSWORD }, ...options });

test('five_logins_a_minute_and_address_counted_over_all_loops', () =>
  withServer({ LIMITS__LOGIN_PER_MINUTE: null }, async (aerie) => {
    const answers = await Promise.all(Array.from({ length: 15 }, () => login(aerie, unique('nobody') + '@aerie.test')));
    assert.equal(answers.filter((a) => a.status === 401).length, 5, answers.map((a) => a.status).join());
    checkRefusal(answers.find((a) => a.status === 429));
    assert.equal((await login(aerie, aerie.adminEmail, { headers: { 'X-Forwarded-For': '198.51.100.7' } })).status, 429, 'the header of a stranger counts for nothing');
    assert.equal((await login(aerie, aerie.adminEmail, { localAddress: '127.0.0.2' })).status, 200, 'another address');
  }));

test('a_trusted_proxy_names_the_client', () =>
  withServer({ LIMITS__LOGIN_PER_MINUTE: '2', TRUSTED_PROXIES: '127.0.0.0/8' }, async (aerie) => {
    const from = (address) => login(aerie, 'nobody@aerie.test', { headers: { 'X-Forwarded-For': address } });
    assert.deepEqual([(await from('203.0.113.1')).status, (await from('203.0.113.1')).status, (await from('203.0.113.1')).status], [401, 401, 429]);
    assert.equal((await from('203.0.113.2')).status, 401);
    assert.equal((await from('6.6.6.6, 203.0.113.1')).status, 429, 'the rightmost hop counts, whatever stands before it');
    assert.equal((await from('203.0.113.1, 127.0.0.7')).status, 429, 'past the proxies that are trusted');
    assert.equal((await from('203.0.113.1, nonsense, 127.0.0.7')).status, 401, 'and no further than what is no address');
    assert.deepEqual([(await from('2001:db8:1:1::1')).status, (await from('2001:db8:1:1::2')).status, (await from('2001:db8:1:1::3')).status, (await from('2001:db8:1:2::1')).status], [401, 401, 429, 401], 'IPv6 by /64');
  }));

test('an_account_has_ten_tries_whatever_the_address', () =>
  withServer({ LIMITS__LOGIN_PER_ACCOUNT: null }, async (aerie) => {
    const wrong = (address) => aerie.request('POST', '/api/auth/login', { json: { email: aerie.adminEmail, password: 'wrong password' }, localAddress: address });
    for (let i = 1; i <= 10; i++) assert.equal((await wrong(`127.0.0.${i + 1}`)).status, 401);
    const refused = await wrong('127.0.0.99');
    checkRefusal(refused);
    assert.ok(Number(refused.headers['retry-after']) > 60, 'in 15 minutes, not in one');
    assert.equal((await login(aerie, aerie.adminEmail)).status, 429, 'the right password too');
    assert.equal((await login(aerie, 'nobody@aerie.test')).status, 401, 'another account');
  }));

test('registrations_are_limited_per_address', () =>
  withServer({ LIMITS__REGISTER_PER_MINUTE: null }, async (aerie) => {
    const register = (localAddress) => aerie.request('POST', '/api/auth/register', { json: { email: `${unique()}@aerie.test`, password: PASSWORD }, localAddress });
    const answers = [];
    for (let i = 0; i < 7; i++) answers.push(await register());
    assert.deepEqual(answers.map((a) => a.status), [201, 201, 201, 201, 201, 429, 429]);
    checkRefusal(answers[6]);
    assert.equal((await register('127.0.0.2')).status, 201, 'another address');
  }));

test('messages_are_limited_per_user', () =>
  withServer({ LIMITS__MESSAGES_PER_MINUTE: null }, async (aerie) => {
    await aerie.makeAdmin();
    const agent = await aerie.admin.agent({ provider: 'echo' });
    const chats = await Promise.all(Array.from({ length: 60 }, () => aerie.admin.chat(agent)));
    const send = (chat) => aerie.admin.post(`/api/chats/${chat.id}/messages`, { content: 'x' }, { headers: { Accept: 'application/json' } });
    const answers = await Promise.all(chats.map(send));
    assert.equal(answers.filter((a) => a.status === 200).length, 60, answers.map((a) => a.status).join());
    checkRefusal(await send(chats[0]));
    const other = await aerie.user();
    assert.ok((await other.ask(await other.chat(agent), 'x')).done, 'another user');
    assert.equal((await aerie.admin.messages(chats[0])).length, 2, 'nothing more was stored');
  }));

test('new_chats_are_limited_per_user', () =>
  withServer({ LIMITS__MESSAGES_PER_MINUTE: 5 }, async (aerie) => {
    await aerie.makeAdmin();
    const agent = await aerie.admin.agent({ provider: 'echo' });
    const answers = [];
    for (let i = 0; i < 7; i++) answers.push(await aerie.admin.post('/api/chats', { agent_id: agent.id, metadata: { filler: 'x'.repeat(16000) } }));
    assert.deepEqual(answers.map((a) => a.status), [201, 201, 201, 201, 201, 429, 429]);
    checkRefusal(answers[6]);
    assert.equal((await aerie.admin.get('/api/chats?messages=0')).json.length, 5, 'nothing more was stored');
    const other = await aerie.user();
    await other.chat(agent);
    assert.equal((await aerie.admin.post(`/api/chats/${answers[0].json.id}/messages`, { content: 'x' }, { headers: { Accept: 'application/json' } })).status, 200, 'messages are counted apart');
  }));

test('streams_are_limited_per_team_and_in_all', () =>
  withServer({ LIMITS__STREAMS: '3', LIMITS__STREAMS_PER_TEAM: '2' }, async (aerie) => {
    await aerie.makeAdmin();
    const send = async (client, agent) => client.send(await client.chat(agent), '12 34 56');
    const slow = { provider: 'echo', config: { delay_ms: 500 } };
    const agent = await aerie.admin.agent(slow);
    const open = [await send(aerie.admin, agent), await send(aerie.admin, agent)];
    checkRefusal(await send(aerie.admin, agent));
    const { admin } = await aerie.otherTeam();
    const theirs = await admin.agent(slow);
    open.push(await send(admin, theirs));
    const full = await send(admin, theirs);
    assert.equal(full.status, 503, full.text);
    assert.ok(Number(full.headers['retry-after']) >= 1);
    for (const stream of open) assert.ok((await stream.whole()).done);
    assert.ok((await (await send(aerie.admin, agent)).whole()).done, 'room again');
  }));

test('connections_per_address_are_bounded_when_asked_for', () =>
  withServer({ LIMITS__CONNECTIONS_PER_ADDRESS: '5' }, async (aerie) => {
    const open = (localAddress) => connect({ port: aerie.port, host: '127.0.0.1', localAddress }).on('error', () => {});
    const sockets = Array.from({ length: 12 }, () => open());
    await sleep(500);
    assert.equal(sockets.filter((s) => !s.destroyed && s.readyState === 'open').length, 5);
    assert.equal((await aerie.request('GET', '/health', { localAddress: '127.0.0.2' })).status, 200, 'another address');
    for (const socket of sockets) socket.destroy();
    await sleep(200);
    assert.equal((await aerie.request('GET', '/health')).status, 200);
  }));

test('zero_switches_each_rate_and_count_off', () =>
  withServer({
    LIMITS__LOGIN_PER_MINUTE: 0, LIMITS__LOGIN_PER_ACCOUNT: 0, LIMITS__REGISTER_PER_MINUTE: 0, LIMITS__MESSAGES_PER_MINUTE: 0, LIMITS__CONNECTIONS_PER_ADDRESS: 0,
    LIMITS__STREAMS_PER_TEAM: 0, LIMITS__VISITOR_MESSAGES_PER_MINUTE: 0, LIMITS__VISITOR_SESSIONS_PER_MINUTE: 0, LIMITS__AGENT_MESSAGES_PER_MINUTE: 0, LIMITS__BODY_MIN_BYTES_PER_SECOND: 0,
    LIMITS__HEAD_SECONDS: 1,
  }, async (aerie) => {
    const each = async (n, status, call) => {
      for (let i = 0; i < n; i++) {
        const answer = await call(i);
        assert.equal(answer.status, status, `${i}: ${answer.text}`);
      }
    };
    const slow = raw(aerie.port, ['POST /api/auth/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{', 2500, '}']);
    await aerie.makeAdmin();
    await each(12, 401, () => aerie.request('POST', '/api/auth/login', { json: { email: aerie.adminEmail, password: 'wrong password' } }));
    await each(7, 201, () => aerie.request('POST', '/api/auth/register', { json: { email: `${unique()}@aerie.test`, password: PASSWORD } }));
    const agent = await aerie.admin.agent({ provider: 'echo', allowed_origins: ['*'] });
    const visitor = (path, json) => aerie.request('POST', path, { json, headers: { Origin: 'https://shop.test' } });
    const begun = await visitor('/api/chat/widget/session', { chatbot_id: agent.id });
    await each(12, 200, () => visitor('/api/chat/widget/session', { chatbot_id: agent.id }));
    await each(22, 200, () => visitor('/api/chat/widget', { session_id: begun.json.session_id, message: 'x' }));
    const chat = await aerie.admin.chat(agent);
    await each(62, 200, () => aerie.admin.post(`/api/chats/${chat.id}/messages`, { content: 'x' }, { headers: { Accept: 'application/json' } }));
    assert.deepEqual((await slow).answers.map((a) => a.status), [422], 'a body may take its time');
  }));

test('a_burst_of_logins_does_not_hold_up_others', () =>
  withServer({ SECURITY__BCRYPT_ROUNDS: '10' }, async (aerie) => {
    const burst = Array.from({ length: 60 }, () => login(aerie, 'nobody@aerie.test'));
    const waits = [];
    for (let i = 0; i < 20; i++) {
      const began = Date.now();
      assert.equal((await aerie.request('GET', '/health')).status, 200);
      waits.push(Date.now() - began);
    }
    const answers = await Promise.all(burst);
    assert.ok(answers.every((a) => [401, 429, 503].includes(a.status)), answers.map((a) => a.status).join());
    for (const answer of answers.filter((a) => a.status !== 401)) assert.ok(answer.headers['retry-after']);
    waits.sort((a, b) => a - b);
    assert.ok(waits[waits.length - 2] < 500, waits.join());
  }));
