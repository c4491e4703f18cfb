// Rates, each on a server of its own where it is switched on.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Aerie, PASSWORD, unique } from '../tools/aerie.mjs';

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
  withServer({ LIMITS__LOGIN_PER_MINUTE: '5' }, async (aerie) => {
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
    assert.deepEqual([(await from('2001:db8:1:1::1')).status, (await from('2001:db8:1:1::2')).status, (await from('2001:db8:1:1::3')).status, (await from('2001:db8:1:2::1')).status], [401, 401, 429, 401], 'IPv6 by /64');
  }));

test('an_account_has_ten_tries_whatever_the_address', () =>
  withServer({ LIMITS__LOGIN_PER_ACCOUNT: '3' }, async (aerie) => {
    const wrong = (address) => aerie.request('POST', '/api/auth/login', { json: { email: aerie.adminEmail, password: 'wrong password' }, localAddress: address });
    for (let i = 1; i <= 3; i++) assert.equal((await wrong(`127.0.0.${i + 1}`)).status, 401);
    checkRefusal(await wrong('127.0.0.9'));
    checkRefusal(await wrong('127.0.0.9'));
  }));

test('registrations_are_limited_per_address', () =>
  withServer({ LIMITS__REGISTER_PER_MINUTE: '3' }, async (aerie) => {
    const answers = [];
    for (let i = 0; i < 5; i++) answers.push(await aerie.request('POST', '/api/auth/register', { json: { email: `${unique()}@aerie.test`, password: PASSWORD } }));
    assert.deepEqual(answers.map((a) => a.status), [201, 201, 201, 429, 429]);
    checkRefusal(answers[4]);
  }));

test('messages_are_limited_per_user', () =>
  withServer({ LIMITS__MESSAGES_PER_MINUTE: '4' }, async (aerie) => {
    await aerie.makeAdmin();
    const agent = await aerie.admin.agent({ provider: 'echo' });
    const chats = await Promise.all(Array.from({ length: 6 }, () => aerie.admin.chat(agent)));
    const answers = await Promise.all(chats.map((chat) => aerie.admin.post(`/api/chats/${chat.id}/messages`, { content: 'x' }, { headers: { Accept: 'application/json' } })));
    assert.equal(answers.filter((a) => a.status === 200).length, 4, answers.map((a) => a.status).join());
    checkRefusal(answers.find((a) => a.status === 429));
    const other = await aerie.user();
    assert.ok((await other.ask(await other.chat(agent), 'x')).done, 'another user');
    const refused = chats[answers.findIndex((a) => a.status === 429)];
    assert.equal((await aerie.admin.messages(refused)).length, 0, 'nothing was stored');
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
    const { connect } = await import('node:net');
    const sockets = [];
    for (let i = 0; i < 12; i++) sockets.push(connect(aerie.port, '127.0.0.1').on('error', () => {}));
    await new Promise((resolve) => setTimeout(resolve, 500));
    const open = sockets.filter((s) => !s.destroyed && s.readyState === 'open');
    assert.ok(open.length <= 5, `${open.length} are open`);
    for (const socket of sockets) socket.destroy();
    await new Promise((resolve) => setTimeout(resolve, 200));
    assert.equal((await aerie.request('GET', '/health')).status, 200);
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
