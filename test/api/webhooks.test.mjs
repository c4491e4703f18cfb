// Webhooks: what happens is told, signed, once it happened; and a receiver that was away for a while gets each delivery once.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { manners, readSignature, Receiver } from '../fake/receiver.mjs';
import { startUpstream } from '../fake/upstream.mjs';
import { Aerie, binaryPath, inParallel, isTime, isUuid, serverEnv, withinASecond } from '../tools/aerie.mjs';
import { kind } from '../tools/database.mjs';
import { readMetrics } from '../tools/metrics.mjs';
import { freePort } from '../tools/postgres.mjs';
import { isRunning, upgrade } from '../tools/upgrade.mjs';

const env = { WEBHOOKS__TIMEOUT_SECONDS: 2, WEBHOOKS__WAITS: Array(12).fill(1).join(','), LIMITS__AGENT_MESSAGES_PER_MINUTE: 0, LIMITS__AGENT_SESSIONS_PER_MINUTE: 0 };
const ALL = ['agent.failing', 'agent.recovered', 'budget.spent', 'budget.warning', 'chat.created', 'message.completed'];

let aerie;
before(async () => (aerie = await Aerie.start({ env })));
after(() => aerie?.stop());

/** A team of its own, with an agent that echoes. */
async function team(server = aerie) {
  const { admin, id } = await server.otherTeam();
  return { admin, id, agent: await admin.agent({ provider: 'echo' }) };
}

async function hook(admin, receiver, fields = {}) {
  const answer = await admin.post('/api/webhooks', { url: `${receiver.url}/hook`, events: ['message.completed'], ...fields });
  assert.equal(answer.status, 201, answer.text);
  return answer.json;
}

async function withReceiver(run, options) {
  const receiver = await Receiver.start(options);
  try {
    await run(receiver);
  } finally {
    await receiver.close().catch(() => {});
  }
}

const ask = async ({ admin, agent }, words = 'some words that are told to nobody') => admin.ask(await admin.chat(agent), words);
async function deliveries(admin, webhook, query = '') {
  const answer = await admin.get(`/api/webhooks/${webhook.id}/deliveries${query}`);
  assert.equal(answer.status, 200, answer.text);
  return answer.json;
}

/** The deliveries, once they are as they should be. */
async function settled(admin, webhook, fits, timeout = 30000) {
  for (const deadline = performance.now() + timeout; ; await sleep(50)) {
    const found = await deliveries(admin, webhook, '?limit=200');
    if (fits(found)) return found;
    assert.ok(performance.now() < deadline, JSON.stringify(found.map(({ type, status, tries, last_status, last_error }) => [type, status, tries, last_status, last_error])));
  }
}
const allDelivered = (n) => (found) => found.length === n && found.every(({ status }) => status === 'delivered');

test('a_reply_and_a_chat_are_told_signed_and_without_the_text', () => withReceiver(async (receiver) => {
  const { admin, agent, id } = await team();
  const webhook = await hook(admin, receiver, { events: ['message.completed', 'chat.created', 'chat.created'] });
  assert.deepEqual(webhook.events, ['chat.created', 'message.completed']);
  assert.match(webhook.secret, /^whsec_[\w-]{43}$/);
  const chat = await admin.chat(agent);
  const stream = await admin.ask(chat, 'the secret words of the house');
  const calls = await receiver.wait(2);
  const [created] = calls.filter(({ json }) => json.type === 'chat.created');
  const [completed] = calls.filter(({ json }) => json.type === 'message.completed');
  for (const call of calls) {
    assert.deepEqual([call.method, call.path, call.headers['content-type'], call.headers['x-aerie-event']], ['POST', '/hook', 'application/json', call.json.type]);
    assert.ok(isUuid(call.delivery) && isUuid(call.json.id) && isTime(call.json.created_at));
    assert.deepEqual(Object.keys(call.json), ['id', 'type', 'created_at', 'team_id', 'data']);
    assert.equal(call.json.team_id, id);
    const { time, fits } = readSignature(call.headers['x-aerie-signature'], call.body, webhook.secret);
    assert.deepEqual(fits, [true]);
    assert.ok(Math.abs(Date.now() / 1000 - time) < 30);
  }
  assert.deepEqual(created.json.data, { chat_id: chat.id, agent_id: agent.id, user_id: admin.me.id });
  const reply = await admin.settledReply(chat);
  assert.deepEqual(completed.json.data, { chat_id: chat.id, message_id: reply.id, agent_id: agent.id, status: 'complete', model: reply.model ?? null, usage: reply.usage });
  assert.ok(stream.text.includes('secret words') && !completed.body.includes('secret words'));
  const told = await settled(admin, webhook, allDelivered(2));
  assert.deepEqual(told.map(({ id: one }) => one).sort(), calls.map(({ delivery }) => delivery).sort());
  assert.deepEqual(told.map(({ tries, last_status, last_error, next_at }) => [tries, last_status, last_error, next_at]), [[1, 204, null, null], [1, 204, null, null]]);
  assert.deepEqual(told.find(({ type }) => type === 'message.completed').data, completed.json.data);
  const shown = (await admin.get(`/api/webhooks/${webhook.id}`)).json;
  assert.deepEqual([shown.secret, shown.pending, shown.dead, shown.last_failure], ['********', 0, 0, null]);
  assert.ok(isTime(shown.last_success_at));
}));

test('the_text_comes_along_where_the_webhook_says_so_and_is_gone_with_its_message', () => withReceiver(async (receiver) => {
  const one = await team();
  const webhook = await hook(one.admin, receiver, { include_text: true });
  await ask(one, 'many "words" \u{1F600}\n');
  const [call] = await receiver.wait();
  assert.match(call.json.data.text, /many "words" \u{1F600}/u);
  assert.ok(!JSON.stringify(await deliveries(one.admin, webhook)).includes('many'), 'no delivery has the text');
  receiver.manner = manners.fail;
  const chat = await one.admin.chat(one.agent);
  await one.admin.ask(chat, 'these words go before they are told');
  await receiver.wait(1, ({ wasTaken }) => !wasTaken);
  await one.admin.delete(`/api/chats/${chat.id}`);
  receiver.manner = manners.take;
  const [late] = await receiver.wait(1, ({ wasTaken, json }) => wasTaken && json.data.chat_id === chat.id);
  assert.equal(late.json.data.text, null);
}));

test('sessions_of_visitors_and_keys_and_chats_in_one_call_are_told_too', () => withReceiver(async (receiver) => {
  const { admin, agent } = await team();
  await hook(admin, receiver, { events: ['chat.created', 'message.completed'] });
  const session = (await aerie.request('POST', '/api/chat/widget/session', { json: { chatbot_id: agent.id } })).json;
  const { api_key } = (await admin.post(`/api/agents/${agent.id}/api-keys`, { scopes: ['chat'] })).json;
  const keyed = (await aerie.request('POST', '/api/chat/session', { json: { api_key, assistant_id: agent.id } })).json;
  await aerie.request('POST', '/api/chat/widget', { json: { session_id: session.session_id, message: 'Hello' } });
  const talk = (await admin.post('/api/chat', { message: 'Hello', agent_id: agent.id })).json;
  const calls = await receiver.wait(5);
  const of = (type) => calls.filter(({ json }) => json.type === type).map(({ json }) => json.data);
  assert.deepEqual(of('chat.created').map(({ chat_id, user_id }) => `${chat_id} ${user_id}`).sort(),
    [`${session.session_id} null`, `${keyed.session_id} null`, `${talk.session_id} ${admin.me.id}`].sort());
  assert.deepEqual(of('message.completed').map(({ chat_id }) => chat_id).sort(), [session.session_id, talk.session_id].sort());
}));

test('only_the_types_and_the_team_that_ask_are_told_and_a_change_counts_at_once', () => withReceiver(async (receiver) => {
  const one = await team();
  const other = await team();
  const webhook = await hook(one.admin, receiver, { events: ['budget.warning'] });
  await ask(one);
  await ask(other);
  assert.equal((await one.admin.put(`/api/webhooks/${webhook.id}`, { events: ['message.completed'], url: `${receiver.url}/new` })).status, 200);
  await ask(one);
  await ask(other);
  await receiver.wait();
  assert.equal((await one.admin.put(`/api/webhooks/${webhook.id}`, { is_active: false })).json.is_active, false);
  await ask(one);
  assert.equal((await one.admin.put(`/api/webhooks/${webhook.id}`, { is_active: true })).json.is_active, true);
  await ask(one);
  await receiver.wait(2);
  assert.equal((await one.admin.delete(`/api/webhooks/${webhook.id}`)).status, 204);
  await ask(one);
  await sleep(1500);
  assert.deepEqual(receiver.calls.map(({ path, json }) => [path, json.type, json.team_id]), Array(2).fill(['/new', 'message.completed', one.id]));
  assert.equal((await one.admin.get(`/api/webhooks/${webhook.id}`)).status, 404);
}));

const ways = Object.keys(manners).filter((name) => !['take', 'want no more'].includes(name));
test('a_receiver_that_was_down_in_any_way_gets_each_delivery_once_when_it_is_back', () => inParallel(4, [...ways, 'refuse connections'], (way) => withReceiver(async (receiver) => {
  const one = await team();
  const webhook = await hook(one.admin, receiver);
  if (way === 'refuse connections') await receiver.close();
  else receiver.manner = manners[way];
  for (let i = 0; i < 5; i++) await ask(one);
  await settled(one.admin, webhook, (found) => found.length === 5 && found.some(({ last_error }) => last_error));
  const [{ last_failure }] = (await one.admin.get('/api/webhooks')).json;
  assert.ok(last_failure.message.length > 10 && isTime(last_failure.at), way);
  if (way === 'refuse connections') await receiver.open();
  receiver.manner = manners.take;
  const found = await settled(one.admin, webhook, allDelivered(5));
  assert.deepEqual([...receiver.taken().keys()].sort(), found.map(({ id }) => id).sort(), way);
  await sleep(1500);
  assert.deepEqual([...receiver.taken().values()], [1, 1, 1, 1, 1], `${way}: once each`);
  assert.ok(!receiver.calls.some(({ path }) => path === '/elsewhere'), 'no redirect is followed');
})));

test('what_comes_behind_the_head_of_a_200_does_not_make_it_come_again', () => withReceiver(async (receiver) => {
  const bodies = ['Content-Length: 100\r\n\r\nslow', 'Content-Length: 100\r\nConnection: close\r\n\r\ncut', `Content-Length: 200000\r\n\r\n${'x'.repeat(200000)}`, 'Content-Encoding: gzip\r\nContent-Length: 3\r\n\r\nabc'];
  const one = await team();
  const webhook = await hook(one.admin, receiver);
  receiver.manner = (socket) => {
    const body = bodies[receiver.calls.length - 1];
    socket.write(`HTTP/1.1 200 OK\r\n${body}`);
    if (body.endsWith('cut')) socket.end();
  };
  for (const _ of bodies) await ask(one);
  await settled(one.admin, webhook, allDelivered(bodies.length));
  await sleep(1200);
  assert.equal(receiver.calls.length, bodies.length);
}));

test('a_kill_in_any_moment_loses_and_doubles_nothing', () => withReceiver(async (receiver) => {
  const server = await Aerie.start({ env });
  try {
    const one = { admin: server.admin, agent: await server.admin.agent({ provider: 'echo' }) };
    const webhook = await hook(one.admin, receiver);
    receiver.manner = manners.hang;
    await ask(one);
    const [first] = await receiver.wait(); // it has it, and says nothing
    await server.kill();
    receiver.manner = manners.take;
    await server.listen();
    await settled(one.admin, webhook, allDelivered(1));
    assert.deepEqual([...receiver.taken()], [[first.delivery, 1]], 'the same id');
    for (let round = 0; round < 3; round++) {
      const asked = [];
      for (let i = 0; i < 6; i++) asked.push(ask(one).catch(() => {}));
      await sleep(100 + 150 * round);
      await server.kill();
      await Promise.all(asked);
      await server.listen();
    }
    const chats = (await one.admin.get('/api/chats?limit=200&messages=0')).json;
    const replies = (await Promise.all(chats.map((chat) => one.admin.messages(chat)))).flat().filter(({ role }) => role === 'assistant');
    const found = await settled(one.admin, webhook, allDelivered(replies.length));
    assert.deepEqual(found.map(({ data }) => `${data.message_id} ${data.status}`).sort(), replies.map(({ id, status }) => `${id} ${status}`).sort(), 'each stored reply is told as it is, and no other');
    const before = receiver.calls.length;
    await server.halt();
    await server.listen();
    await sleep(1500);
    assert.equal(receiver.calls.length, before, 'what arrived is not sent again after a restart');
    for (const [delivery, times] of receiver.taken()) assert.ok(times <= 2, `${delivery} came ${times} times`);
    await server.stop();
  } finally {
    server.drop();
  }
}));

test('a_server_that_is_told_to_end_hears_the_last_word_of_a_receiver', () => withReceiver(async (receiver) => {
  const server = await Aerie.start({ env: { ...env, WEBHOOKS__TIMEOUT_SECONDS: 5 } });
  try {
    const one = { admin: server.admin, agent: await server.admin.agent({ provider: 'echo' }) };
    const webhook = await hook(one.admin, receiver);
    let answer;
    receiver.manner = (socket) => (answer = () => manners.take(socket));
    await ask(one);
    await receiver.wait();
    const ended = server.halt();
    await sleep(700);
    answer();
    await ended;
    await server.listen();
    await settled(one.admin, webhook, allDelivered(1));
    assert.equal(receiver.calls.length, 1);
    await server.stop();
  } finally {
    server.drop();
  }
}));

test('over_an_upgrade_each_try_is_one_call_by_one_of_the_two_servers', () => withReceiver(async (receiver) => {
  const server = await Aerie.start({ env: { ...env, SERVER__DRAIN_SECONDS: 1 } });
  const slow = await startUpstream();
  try {
    const one = { admin: server.admin, agent: await server.admin.agent({ provider: 'echo' }) };
    const webhook = await hook(one.admin, receiver);
    const { admin: other } = await server.otherTeam();
    await other.send(await other.chat(await other.agent({ webhook_url: slow.url() })), '!tokens=1000&delay=100');
    receiver.manner = (socket, call) => setTimeout(() => {
      call.wasTaken = true;
      manners.take(socket);
    }, 1500);
    await inParallel(4, Array.from({ length: 4 }), () => ask(one));
    await receiver.wait(4); // the old server waits for its answers
    const old = await upgrade(server);
    receiver.manner = (socket, call) => {
      call.wasTaken = receiver.calls.filter(({ delivery }) => delivery === call.delivery).length > 1;
      (call.wasTaken ? manners.take : manners.fail)(socket);
    };
    for (let i = 0; i < 12; i++) await ask(one);
    await settled(one.admin, webhook, allDelivered(16));
    assert.ok(isRunning(old.pid), 'both have looked for what is due, as the old one has a stream');
    for (let i = 0; i < 4; i++) await ask(one);
    old.kill('SIGTERM');
    await old.exit;
    const found = await settled(one.admin, webhook, allDelivered(20));
    const calls = (id) => receiver.calls.filter(({ delivery }) => delivery === id).length;
    assert.deepEqual(found.map(({ id, tries }) => [id, tries]), found.map(({ id }) => [id, calls(id)]), 'a call for each try that was counted');
    assert.ok(found.some(({ tries }) => tries === 1) && found.filter(({ tries }) => tries === 2).length >= 12);
    for (const [delivery, times] of receiver.taken()) assert.equal(times, 1, delivery);
    await server.stop();
  } finally {
    await slow.close();
    server.drop();
  }
}));

test('dead_deliveries_are_seen_and_sent_again', async () => {
  const server = await Aerie.start({ env: { ...env, WEBHOOKS__WAITS: '0,0' } });
  try {
    await withReceiver(async (receiver) => {
      const one = await team(server);
      const other = await team(server);
      const webhook = await hook(one.admin, receiver);
      receiver.manner = manners.fail;
      for (let i = 0; i < 4; i++) await ask(one);
      const dead = await settled(one.admin, webhook, (found) => found.length === 4 && found.every(({ status }) => status === 'dead'));
      for (const { tries, last_status, last_error } of dead) assert.deepEqual([tries, last_status, last_error], [3, 500, 'The receiver answered with an error.']);
      assert.equal((await one.admin.get('/api/webhooks')).json[0].dead, 4);
      assert.equal(receiver.calls.length, 12);
      const page = await one.admin.get(`/api/webhooks/${webhook.id}/deliveries?status=dead&limit=3&offset=2`);
      assert.deepEqual([page.json.length, page.headers['x-total-count']], [2, '4']);
      assert.deepEqual(await deliveries(one.admin, webhook, '?status=pending'), []);
      assert.equal((await one.admin.get(`/api/webhooks/${webhook.id}/deliveries?status=odd`)).status, 422);
      receiver.manner = manners.take;
      const replay = (admin, id) => admin.post(`/api/webhooks/${webhook.id}/deliveries/${id}/replay`);
      assert.equal((await replay(other.admin, dead[0].id)).status, 404);
      assert.equal((await replay(one.admin, randomUUID())).status, 404);
      const again = await replay(one.admin, dead[0].id);
      assert.deepEqual([again.status, again.json.status, again.json.tries], [202, 'pending', 0]);
      await receiver.wait(1, ({ wasTaken, delivery }) => wasTaken && delivery === dead[0].id);
      await settled(one.admin, webhook, (found) => found.filter(({ status }) => status === 'delivered').length === 1);
      assert.equal((await replay(one.admin, dead[0].id)).status, 409, 'one that arrived is not sent again');
      await one.admin.put(`/api/webhooks/${webhook.id}`, { is_active: false });
      assert.equal((await replay(one.admin, dead[1].id)).status, 409);
      assert.equal((await one.admin.post(`/api/webhooks/${webhook.id}/deliveries/replay`)).status, 409);
      await one.admin.put(`/api/webhooks/${webhook.id}`, { is_active: true });
      assert.equal((await other.admin.post(`/api/webhooks/${webhook.id}/deliveries/replay`)).status, 404);
      const all = await one.admin.post(`/api/webhooks/${webhook.id}/deliveries/replay`);
      assert.deepEqual([all.status, all.json], [202, { replayed: 3, left: 0 }]);
      await settled(one.admin, webhook, allDelivered(4));
      assert.deepEqual([...receiver.taken().values()], [1, 1, 1, 1]);
      const metrics = await readMetrics(server);
      const of = (outcome) => metrics.get(`aerie_webhook_deliveries_total{outcome="${outcome}"}`);
      assert.deepEqual([of('dead'), of('delivered')], [4, 4]);
      assert.deepEqual([metrics.get('aerie_webhook_tries_total'), metrics.get('aerie_webhook_failures_total')], [16, 12]);
    });
    await server.stop();
  } finally {
    server.drop();
  }
});

test('a_receiver_that_wants_no_more_is_left_alone', () => withReceiver(async (receiver) => {
  const one = await team();
  const webhook = await hook(one.admin, receiver);
  receiver.manner = manners.fail;
  for (let i = 0; i < 3; i++) await ask(one);
  await receiver.wait();
  receiver.manner = manners['want no more'];
  const found = await settled(one.admin, webhook, (all) => all.every(({ status }) => status === 'dead'));
  assert.ok(found.some(({ last_status }) => last_status === 410));
  assert.equal((await one.admin.get(`/api/webhooks/${webhook.id}`)).json.is_active, false);
  await sleep(600); // known to the poll
  const before = receiver.calls.length;
  await ask(one);
  await sleep(1200);
  assert.equal(receiver.calls.length, before);
  assert.equal((await deliveries(one.admin, webhook)).length, 3);
}));

test('what_was_taken_is_not_sent_again_though_nothing_could_be_written_for_longer_than_its_lease', { skip: kind === 'sqlite' && 'nobody else holds its rows' }, () => withReceiver(async (receiver) => {
  const one = await team();
  const webhook = await hook(one.admin, receiver);
  let held;
  receiver.manner = async (socket) => {
    held ??= aerie.database.hold('begin; lock table webhook_deliveries in share row exclusive mode; select pg_sleep(8); commit'); // its lease: 6 s
    await sleep(500);
    manners.take(socket);
  };
  await ask(one);
  await receiver.wait(1);
  await held;
  await settled(one.admin, webhook, allDelivered(1));
  assert.equal(receiver.calls.length, 1);
}));

test('a_late_410_of_the_url_before_does_not_switch_the_new_one_off', () => withReceiver(async (receiver) => {
  const one = await team();
  const webhook = await hook(one.admin, receiver);
  receiver.manner = async (socket) => {
    assert.equal((await one.admin.put(`/api/webhooks/${webhook.id}`, { url: `${receiver.url}/moved` })).status, 200);
    receiver.manner = manners.take;
    manners['want no more'](socket);
  };
  await ask(one);
  await settled(one.admin, webhook, (found) => found[0]?.status === 'dead');
  assert.equal((await one.admin.get(`/api/webhooks/${webhook.id}`)).json.is_active, true);
  await ask(one);
  await receiver.wait(1, ({ path }) => path === '/moved');
}));

test('retry_after_is_honoured_within_the_longest_wait', async () => {
  const server = await Aerie.start({ env: { ...env, WEBHOOKS__WAITS: '0,3' } });
  try {
    await withReceiver(async (receiver) => {
      const one = await team(server);
      await hook(one.admin, receiver);
      receiver.manner = (socket) => socket.end(`HTTP/1.1 503 Later\r\nRetry-After: ${receiver.calls.length === 1 ? 2 : 9999}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n`);
      await ask(one);
      const [first, second, third] = await receiver.wait(3);
      assert.ok(second.at - first.at >= 1900, `${second.at - first.at} ms`);
      assert.ok(third.at - second.at >= 2900 && third.at - second.at < 9000, `${third.at - second.at} ms`);
    });
    await server.stop();
  } finally {
    server.drop();
  }
});

test('a_receiver_that_hangs_holds_up_nobody_else', async () => {
  const server = await Aerie.start({ env: { ...env, WEBHOOKS__TIMEOUT_SECONDS: 20, WEBHOOKS__AT_ONCE: 6, WEBHOOKS__AT_ONCE_PER_TEAM: 3 } });
  try {
    await withReceiver(async (dead) => withReceiver(async (good) => {
      dead.manner = manners.hang;
      const one = await team(server);
      const other = await team(server);
      await hook(one.admin, dead);
      await hook(other.admin, good);
      for (let i = 0; i < 20; i++) await ask(one);
      await dead.wait(3);
      for (let i = 0; i < 5; i++) await ask(other);
      await good.wait(5, undefined, 8000);
      assert.equal(dead.calls.length, 3, 'no more than the team may have at once');
    }));
    await server.kill();
  } finally {
    server.drop();
  }
});

test('a_secret_that_is_changed_signs_beside_the_one_before', () => withReceiver(async (receiver) => {
  const one = await team();
  const webhook = await hook(one.admin, receiver);
  const changed = await one.admin.post(`/api/webhooks/${webhook.id}/secret`);
  assert.equal(changed.status, 200, changed.text);
  assert.match(changed.json.secret, /^whsec_/);
  assert.notEqual(changed.json.secret, webhook.secret);
  await ask(one);
  const [call] = await receiver.wait();
  const fits = (secret) => readSignature(call.headers['x-aerie-signature'], call.body, secret).fits;
  assert.deepEqual([fits(changed.json.secret), fits(webhook.secret)], [[true, false], [false, true]]);
  assert.ok(!aerie.database.dump().includes(webhook.secret) && !aerie.database.dump().includes(changed.json.secret), 'sealed in the database');
  for (const answer of [await one.admin.get('/api/webhooks'), await one.admin.put(`/api/webhooks/${webhook.id}`, {})]) assert.ok(!answer.text.includes('whsec_'));
}));

test('a_test_calls_now_and_tells_what_the_receiver_said', () => withReceiver(async (receiver) => {
  const one = await team();
  const webhook = await hook(one.admin, receiver, { is_active: false });
  const tried = async () => {
    const answer = await one.admin.post(`/api/webhooks/${webhook.id}/test`);
    assert.equal(answer.status, 200, answer.text);
    return answer.json;
  };
  receiver.manner = (socket) => socket.end('HTTP/1.1 200 OK\r\nContent-Length: 6\r\nConnection: close\r\n\r\nthanks');
  const good = await tried();
  assert.deepEqual([good.ok, good.http_status, good.answer, good.error], [true, 200, 'thanks', null]);
  const [call] = receiver.calls;
  assert.deepEqual([call.json.type, call.delivery, call.json.data], ['ping', good.delivery_id, { webhook_id: webhook.id }]);
  assert.deepEqual(readSignature(call.headers['x-aerie-signature'], call.body, webhook.secret).fits, [true]);
  for (const [manner, http_status, hint] of [['fail', 500, /own log/], ['hang', null, /at once/], ['say nonsense', null, /HTTP/], ['send elsewhere', 307, /redirects|ends/], ['want no more', 410, /switches/]]) {
    receiver.manner = manners[manner];
    const bad = await tried();
    assert.deepEqual([bad.ok, bad.http_status], [false, http_status], manner);
    assert.match(bad.error.hint, hint, manner);
    assert.ok(bad.error.message.length > 10);
  }
  await receiver.close();
  assert.match((await tried()).error.hint, /port/);
  assert.deepEqual(await deliveries(one.admin, webhook), [], 'nothing of it is kept');
  await receiver.open();
}));

test('the_command_line_adds_pauses_tests_and_replays_webhooks', async () => {
  const server = await Aerie.start({ env: { ...env, WEBHOOKS__WAITS: '0', WEBHOOKS__PER_TEAM: 1 } });
  try {
    await withReceiver(async (receiver) => {
      const { admin, slug } = await server.otherTeam();
      const one = { admin, agent: await admin.agent({ provider: 'echo' }) };
      const at = { SERVER__PORT: new URL(server.base).port };
      const run = (verb, ...args) => server.command(['webhook', verb, '--team', slug, ...args], { env: at });
      const refuses = (words, verb, ...args) => {
        const ran = server.tryCommand(['webhook', verb, '--team', slug, ...args], { env: at });
        assert.deepEqual([ran.status, ran.stdout], [1, ''], ran.stderr);
        assert.match(ran.stderr, words);
      };
      /** Beside this process, in which the receiver answers. */
      const tryIt = async (...args) => {
        const child = spawn(binaryPath(), ['webhook', 'test', '--team', slug, ...args], { env: serverEnv({ ...server.env, ...at }), cwd: server.folder, stdio: ['ignore', 'pipe', 'pipe'] });
        const [stdout, stderr, [status]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'close')]);
        return { status, stdout, stderr };
      };
      const told = (lines) => lines.trim().split('\n').map((line) => JSON.parse(line));
      refuses(/--events must be, with commas/, 'add', '--url', receiver.url, '--events', 'message.completed,odd');
      refuses(/http/, 'add', '--url', 'ftp://127.0.0.1/', '--events', 'chat.created');
      const [made] = told(run('add', '--url', `${receiver.url}/cli`, '--events', 'message.completed, chat.created', '--json'));
      assert.deepEqual([made.events, made.is_active, made.include_text], [['chat.created', 'message.completed'], true, false]);
      assert.match(made.secret, /^whsec_/);
      refuses(/as many webhooks as it may have/, 'add', '--url', receiver.url, '--events', 'chat.created');
      assert.deepEqual(told(run('list', '--json')).map((row) => [row.id, row.secret]), [[made.id, '********']]);
      const which = ['--id', made.id];
      assert.match(run('list'), new RegExp(`^${made.id}  on   0 waiting  0 dead  ${receiver.url}/cli  chat.created,message.completed\n$`));

      await sleep(600); // known to the poll
      receiver.manner = manners.fail;
      await ask(one);
      await settled(admin, made, (found) => found.length === 2 && found.every(({ status }) => status === 'dead'));
      assert.ok(readSignature(receiver.calls[0].headers['x-aerie-signature'], receiver.calls[0].body, made.secret).fits[0]);
      const dead = told(run('deliveries', ...which, '--status', 'dead', '--json'));
      assert.deepEqual(dead, await deliveries(admin, made, '?status=dead'));
      assert.match(run('deliveries', ...which), new RegExp(`  ${dead[0].id}  dead       2 tries  500  [a-z.]+  The receiver answered with an error\\.\n`));
      refuses(/--status must be/, 'deliveries', ...which, '--status', 'odd');
      const failed = await tryIt(...which);
      assert.deepEqual([failed.status, failed.stdout], [1, '']);
      assert.match(failed.stderr, /The receiver answered with an error\. Look at the receiver's own log/);
      const asJson = await tryIt(...which, '--json');
      assert.deepEqual([asJson.status, JSON.parse(asJson.stdout).http_status, JSON.parse(asJson.stdout).answer], [1, 500, 'Oops']);

      run('pause', ...which);
      assert.equal((await admin.get(`/api/webhooks/${made.id}`)).json.is_active, false);
      refuses(/switched off/, 'replay', ...which);
      refuses(/switched off/, 'replay', ...which, '--delivery', dead[0].id);
      run('resume', ...which);
      receiver.manner = manners.take;
      assert.match((await tryIt(...which)).stdout, /^taken: 204 after \d+ ms\n$/);
      run('replay', ...which, '--delivery', dead[0].id);
      await settled(admin, made, (found) => found.filter(({ status }) => status === 'delivered').length === 1);
      refuses(/Only a delivery that was given up/, 'replay', ...which, '--delivery', dead[0].id);
      refuses(/has no such delivery/, 'replay', ...which, '--delivery', randomUUID());
      assert.match(server.tryCommand(['webhook', 'replay', '--team', slug, ...which]).stderr, /^aerie: 1 due again\n$/);
      await settled(admin, made, allDelivered(2));

      for (const verb of ['pause', 'resume', 'delete', 'deliveries', 'replay', 'test']) refuses(/no such webhook/, verb, '--id', randomUUID());
      run('delete', ...which);
      assert.equal(run('list'), '');
      const rows = (await admin.get('/api/audit?subject=webhook')).json;
      assert.deepEqual(rows.map(({ action, actor }) => [action, actor]), ['delete', 'update', 'update', 'create'].map((verb) => [`webhook.${verb}`, 'operator']));
      assert.ok(!JSON.stringify(rows).includes(receiver.url), 'where it sends stays untold');
    });
    await server.stop();
  } finally {
    server.drop();
  }
});

test('what_an_admin_says_is_checked_and_nobody_else_is_let_in', () => withReceiver(async (receiver) => {
  const one = await team();
  const other = await team();
  const wrong = async (fields, field) => {
    const answer = await one.admin.post('/api/webhooks', { url: `${receiver.url}/x`, events: ['chat.created'], ...fields });
    assert.equal(answer.status, 422, `${JSON.stringify(fields)}: ${answer.status} ${answer.text}`);
    assert.equal(answer.json.errors[0].field, field);
  };
  await wrong({ url: 'ftp://example.com/' }, 'url');
  await wrong({ url: 'http://10.1.2.3/' }, 'url');
  await wrong({ url: 'http://169.254.169.254/latest/meta-data' }, 'url');
  await wrong({ url: 'http://user:pass@example.com/' }, 'url');
  await wrong({ url: 'http://example.com/\r\nX-Evil: 1' }, 'url');
  await wrong({ events: [] }, 'events');
  await wrong({ events: ['message.completed', 'everything'] }, 'events');
  await wrong({ events: 'message.completed' }, 'events');
  await wrong({ include_text: 'yes' }, 'include_text');
  const webhook = await hook(one.admin, receiver, { events: ALL, secret: 'mine', team_id: other.id });
  assert.deepEqual(webhook.events, ALL);
  assert.notEqual(webhook.secret, 'mine');
  assert.deepEqual((await other.admin.get('/api/webhooks')).json, []);
  const user = await aerie.user({ team_id: one.id });
  const paths = [['GET', ''], ['PUT', ''], ['POST', '/test'], ['POST', '/secret'], ['GET', '/deliveries'], ['DELETE', '']];
  for (const [method, path] of paths) {
    const as = (client) => aerie.request(method, `/api/webhooks/${webhook.id}${path}`, { token: client.token, ...(method === 'PUT' ? { json: {} } : {}) });
    assert.equal((await as(other.admin)).status, 404, `${method} ${path}`);
    assert.equal((await as(user)).status, 403, `${method} ${path}`);
  }
  for (let n = 1; n < 20; n++) await hook(one.admin, receiver);
  assert.equal((await one.admin.post('/api/webhooks', { url: receiver.url, events: ['chat.created'] })).status, 409);
}));

test('no_inner_address_is_called_whatever_its_name', () => withReceiver(async (receiver) => {
  const server = await Aerie.start({ env: { ...env, EGRESS__ALLOW: `127.0.0.0/8,::1,localhost,${hostname()}` } });
  try {
    const one = { admin: server.admin, agent: await server.admin.agent({ provider: 'echo' }) };
    const hosts = ['127.0.0.1', 'localhost', '[::ffff:127.0.0.1]', '2130706433', hostname()]; // the last is a name that DNS, or a file, brings inside
    const webhooks = [];
    for (const host of hosts) webhooks.push((await one.admin.post('/api/webhooks', { url: `http://${host}:${receiver.port}/`, events: ['message.completed'] })).json);
    await server.halt();
    server.env.EGRESS__ALLOW = '10.9.9.9';
    await server.listen();
    await ask(one);
    for (const webhook of webhooks.filter(({ id }) => id)) {
      await settled(one.admin, webhook, ([first]) => first?.last_error === 'The server could not be reached.');
      const told = (await one.admin.post(`/api/webhooks/${webhook.id}/test`)).json;
      assert.deepEqual([told.ok, told.http_status, told.answer], [false, null, '']);
    }
    assert.ok(webhooks.filter(({ id }) => id).length >= 2);
    assert.equal(receiver.connections, 0);
    assert.match(server.log, /has an inner address, which egress\.allow does not list/);
    await server.stop();
  } finally {
    server.drop();
  }
}, { host: '0.0.0.0' }));

test('an_agent_that_fails_is_told_once_and_so_is_its_recovery', () => withReceiver(async (receiver) => {
  const one = await team();
  const port = await freePort();
  const broken = `http://127.0.0.1:${port}/webhook`;
  const agent = await one.admin.agent({ webhook_url: broken });
  await hook(one.admin, receiver, { events: ['agent.failing', 'agent.recovered'] });
  const fail = async (n) => {
    for (let i = 0; i < n; i++) assert.equal((await ask({ ...one, agent })).error.code, 'provider_unreachable');
  };
  const mend = async () => {
    await one.admin.put(`/api/agents/${agent.id}`, { provider: 'echo' });
    assert.equal((await ask({ ...one, agent })).error, undefined);
    await one.admin.put(`/api/agents/${agent.id}`, { provider: 'n8n', webhook_url: broken });
  };
  await fail(4);
  await mend(); // it never failed five times in a row
  await fail(4);
  await sleep(800);
  assert.equal(receiver.calls.length, 0);
  await fail(3);
  const [failing] = await receiver.wait();
  assert.equal(failing.json.type, 'agent.failing');
  const { chat_id, message_id, ...data } = failing.json.data;
  assert.ok(isUuid(chat_id) && isUuid(message_id));
  assert.deepEqual([data.agent_id, data.failures, data.error.code], [agent.id, 5, 'provider_unreachable']);
  await mend();
  const [, recovered] = await receiver.wait(2);
  assert.deepEqual([recovered.json.type, recovered.json.data.agent_id], ['agent.recovered', agent.id]);
  await fail(6); // within the hour
  await mend();
  await sleep(1200);
  assert.deepEqual(receiver.calls.map(({ json }) => json.type), ['agent.failing', 'agent.recovered']);
}));

test('an_agent_for_whom_another_stands_in_is_told_too', () => withReceiver(async (receiver) => {
  const one = await team();
  const agent = await one.admin.agent({ webhook_url: `http://127.0.0.1:${await freePort()}/webhook`, config: { fallback_agent_id: one.agent.id } });
  await hook(one.admin, receiver, { events: ['agent.failing', 'agent.recovered'] });
  for (let i = 0; i < 6; i++) assert.equal((await ask({ ...one, agent })).error, undefined);
  const [{ json }] = await receiver.wait();
  assert.deepEqual([json.type, json.data.agent_id, json.data.error], ['agent.failing', agent.id, null]);
  await sleep(700);
  assert.equal(receiver.calls.length, 1);
}));

test('past_the_bound_of_a_team_new_events_are_dropped_counted_and_told', async () => {
  const server = await Aerie.start({ env: { ...env, WEBHOOKS__PENDING_PER_TEAM: 5 } });
  try {
    await withReceiver(async (receiver) => {
      const one = await team(server);
      const other = await team(server);
      const webhook = await hook(one.admin, receiver);
      await hook(other.admin, receiver);
      receiver.manner = manners.fail;
      for (let i = 0; i < 6; i++) await ask(one);
      await sleep(3000);
      assert.ok((await readMetrics(server)).get('aerie_webhook_pending') >= 5);
      assert.ok((await readMetrics(server)).get('aerie_webhook_oldest_pending_seconds') > 1);
      for (let i = 0; i < 4; i++) await ask(one);
      await ask(other);
      assert.equal((await deliveries(one.admin, webhook)).length, 6);
      assert.equal((await readMetrics(server)).get('aerie_webhook_deliveries_total{outcome="dropped"}'), 4);
      assert.equal(server.log.match(/too many deliveries of team \S+ wait/g).length, 1);
      receiver.manner = manners.take;
      await settled(one.admin, webhook, allDelivered(6));
      await sleep(2200);
      await ask(one);
      await settled(one.admin, webhook, allDelivered(7));
    });
    await server.stop();
  } finally {
    server.drop();
  }
});

test('two_servers_on_one_database_deliver_each_once_and_one_takes_over_from_the_dead', { skip: kind === 'sqlite' }, () => withReceiver(async (receiver) => {
  const server = await Aerie.start({ env });
  const node = await server.beside();
  try {
    const one = { admin: server.admin, agent: await server.admin.agent({ provider: 'echo' }) };
    const webhook = await hook(one.admin, receiver);
    const there = { admin: node.client(server.admin.token), agent: one.agent };
    await withinASecond(async () => {
      await ask(there);
      return (await deliveries(one.admin, webhook)).length > 0;
    }, 'the other node knows of the webhook');
    const before = (await deliveries(one.admin, webhook)).length;
    await inParallel(4, Array.from({ length: 60 }, (_, i) => i), (i) => ask(i % 2 ? one : there));
    await settled(one.admin, webhook, allDelivered(before + 60));
    assert.equal(receiver.taken().size, before + 60);
    for (const [delivery, times] of receiver.taken()) assert.equal(times, 1, delivery);
    receiver.manner = manners.hang;
    for (let i = 0; i < 8; i++) await ask(there);
    await receiver.wait(1, ({ wasTaken }) => !wasTaken);
    await node.kill();
    receiver.manner = manners.take;
    await settled(one.admin, webhook, allDelivered(before + 68));
    assert.equal(receiver.taken().size, before + 68);
    for (const [delivery, times] of receiver.taken()) assert.equal(times, 1, delivery);
    await server.stop();
  } finally {
    node.drop();
    server.drop();
  }
}));

/** A server with a webhook, and an agent whose replies take long enough to be cut. */
async function withCut(run, more = {}) {
  const upstream = await startUpstream();
  const server = await Aerie.start({ env: { ...env, TURN__CHECKPOINT_MS: 200, ...more } });
  try {
    await withReceiver(async (receiver) => {
      const agent = await server.admin.agent({ webhook_url: upstream.url() });
      const webhook = await hook(server.admin, receiver, { include_text: true });
      const begin = async (on = server) => {
        const chat = await server.admin.chat(agent);
        const stream = await on.client(server.admin.token).send(chat, '!tokens=2000&delay=20');
        await stream.until((one) => one.of('message').length > 40);
        return chat;
      };
      const told = async (chat) => (await deliveries(server.admin, webhook, '?limit=200')).filter(({ data }) => data.chat_id === chat.id);
      await run({ server, agent, receiver, begin, told });
    });
    await server.stop();
  } finally {
    if (server.child) server.drop();
    await upstream.close();
  }
}

test('a_reply_that_a_kill_has_cut_is_told_once_with_the_text_that_came', () => withCut(async ({ server, agent, receiver, begin, told }) => {
  const chats = [await begin(), await begin()];
  await server.kill();
  await server.listen();
  for (const chat of chats) {
    const [call] = await receiver.wait(1, ({ json }) => json.data.chat_id === chat.id);
    const reply = (await server.admin.messages(chat))[1];
    const { text, ...data } = call.json.data;
    assert.equal(reply.status, 'interrupted');
    assert.deepEqual([call.json.type, call.json.id, data], ['message.completed', reply.id, { chat_id: chat.id, message_id: reply.id, agent_id: agent.id, status: 'interrupted', model: null, usage: null }]);
    assert.ok(text.startsWith('tok0 tok1') && text === reply.content, text);
  }
  await server.kill();
  await server.listen();
  await sleep(1500); // three looks of the sender
  for (const chat of chats) assert.deepEqual((await told(chat)).map(({ status, tries }) => [status, tries]), [['delivered', 1]]);
  assert.deepEqual([...receiver.taken().values()], [1, 1]);
}));

test('a_reply_of_a_node_that_died_is_told_once_though_several_nodes_find_it', { skip: kind === 'sqlite' && 'SQLite has one server' }, () => withCut(async ({ server, receiver, begin, told }) => {
  const [other, watcher] = [await server.beside(), await server.beside()];
  try {
    await sleep(3000); // a node judges others once it has itself been there for nodes.dead_seconds
    const chats = [await begin(other), await begin(other)];
    await other.kill();
    await sleep(1000);
    await other.listen(); // it finds out by its lock, the others by its silence, at about the same time
    for (const chat of chats) await receiver.wait(1, ({ json }) => json.data.chat_id === chat.id && json.data.status === 'interrupted');
    await sleep(1500);
    for (const chat of chats) assert.equal((await told(chat)).length, 1);
    assert.deepEqual([...receiver.taken().values()], [1, 1]);
    for (const node of [watcher, other]) await node.stop();
  } finally {
    for (const node of [other, watcher]) if (node.child) node.drop();
  }
}, { NODES__DEAD_SECONDS: 2 }));

// ---- the samples of the manual ----

const manual = readFileSync(fileURLToPath(new URL('../../docs/webhooks.md', import.meta.url)), 'utf8');
const samples = { js: ['receiver.mjs', process.execPath], python: ['receiver.py', 'python3'] };
for (const [language, [file, program]] of Object.entries(samples))
  test(`the_sample_in_${language}_takes_what_is_signed_and_nothing_else`, async () => {
    const [, code] = new RegExp(`\`\`\`${language}\n([^]*?)\n\`\`\``).exec(manual);
    const one = await team();
    const port = await freePort();
    const webhook = await hook(one.admin, { url: `http://127.0.0.1:${port}` });
    writeFileSync(join(aerie.folder, file), code);
    const child = spawn(program, [file], { cwd: aerie.folder, env: { PATH: process.env.PATH, PORT: port, AERIE_WEBHOOK_SECRET: webhook.secret }, stdio: ['ignore', 'pipe', 'ignore'] });
    let said = '';
    child.stdout.on('data', (bytes) => (said += bytes));
    try {
      const tried = async () => (await one.admin.post(`/api/webhooks/${webhook.id}/test`)).json;
      for (let i = 0; i < 100 && !(await tried()).ok; i++) await sleep(100);
      assert.equal((await tried()).http_status, 204);
      for (const header of [undefined, 't=1,v1=00', `t=${Math.floor(Date.now() / 1000)},v1=${'0'.repeat(64)}`, 'nonsense', `t=x,v1=é`]) {
        const answer = await fetch(`http://127.0.0.1:${port}/hook`, { method: 'POST', body: '{}', headers: header ? { 'X-Aerie-Signature': encodeURI(header) } : {} });
        assert.equal(answer.status, 401, header);
      }
      await one.admin.post(`/api/webhooks/${webhook.id}/secret`);
      assert.equal((await tried()).http_status, 204, 'while the secret is changed');
      await ask(one);
      await settled(one.admin, webhook, allDelivered(1));
      for (let i = 0; i < 100 && !/message\.completed/.test(said); i++) await sleep(50);
      assert.match(said, /ping[^]*message\.completed/);
    } finally {
      child.kill('SIGKILL');
    }
  });
