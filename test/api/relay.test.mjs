// A turn on another node: two real nodes on one PostgreSQL. Whatever a client asks of the node that does not run its turn, it gets
// what the other would have given.
import assert from 'node:assert/strict';
import { createHmac, hkdfSync, randomUUID } from 'node:crypto';
import http from 'node:http';
import net from 'node:net';
import { existsSync, rmSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { startUpstream } from '../fake/upstream.mjs';
import { Aerie, inParallel } from '../tools/aerie.mjs';
import { kind } from '../tools/database.mjs';
import { openStream, textOf } from '../tools/http.mjs';
import { parseMetrics } from '../tools/metrics.mjs';
import { freePort } from '../tools/postgres.mjs';
import { openSocket } from '../tools/socket.mjs';
import { isRunning, upgrade } from '../tools/upgrade.mjs';

const skip = kind === 'sqlite' && 'nodes share a PostgreSQL';
const SECRET = 'a-secret-of-the-tests-long-enough-for-production';

let a;
let b;
let upstream;
let agent;
before(async () => {
  if (skip) return;
  upstream = await startUpstream();
  a = await Aerie.start();
  b = await a.beside();
  agent = await a.admin.agent({ webhook_url: upstream.url() });
  await sleep(1200); // until each has seen the other's row
});
after(async () => {
  if (skip) return;
  await b?.stop();
  await a?.stop();
  await upstream?.close();
});

const words = Array.from({ length: 30 }, (_, i) => `wörd${i}🎉`).join(' ');
const said = (text, delay) => `!delay=${delay}&text=${encodeURIComponent(text)}`;
const n = (id) => Number(id.split(':')[1]);

/** The same user at the other node. */
const at = (node, { token, email, me }) => node.client(token, { email, me });
const metric = async (node, name) => parseMetrics((await node.request('GET', '/metrics')).text).get(name);
const ids = (events) => events.map(({ id }) => id);

/** A turn that runs on a, with its first text. */
async function running(client, { delay = 30, text = words, of = agent } = {}) {
  const chat = await client.chat(of);
  const stream = await client.send(chat, said(text, delay));
  assert.equal(stream.status, 200, stream.text);
  await stream.until((s) => s.text.length > 10);
  return { chat, stream };
}

test('followers_of_each_kind_on_the_other_node_get_every_event_once_with_the_same_ids', { skip }, async () => {
  const { chat, stream } = await running(a.admin);
  const socket = await openSocket(b.port, { token: a.admin.token });
  socket.send({ type: 'resume', session_id: chat.id });
  const sse = await at(b, a.admin).follow(chat);
  assert.equal(sse.status, 200, sse.text);
  await Promise.all([stream.whole(), sse.whole(), socket.until((s) => s.of('done').length > 0)]);
  assert.equal(stream.text, words);
  for (const { events, text } of [sse, socket]) {
    assert.equal(text, words);
    assert.equal(events[0].id, stream.events[0].id);
    assert.deepEqual(events[0].data, stream.events[0].data);
    assert.equal(events.at(-1).id, stream.lastId);
    assert.deepEqual(events.at(-1).data, stream.done);
    for (const event of events) assert.equal(event.id.split(':')[0], stream.done.message_id);
  }
  await socket.close();
});

test('a_reader_who_comes_with_an_id_gets_exactly_the_rest_at_the_other_node', { skip }, async () => {
  const { chat, stream } = await running(a.admin);
  await stream.until((s) => s.of('message').length > 5);
  const had = [...stream.events];
  const rest = await at(b, a.admin).follow(chat, { lastId: had.at(-1).id });
  assert.equal(rest.status, 200, rest.text);
  await rest.whole();
  await stream.whole();
  assert.ok(n(rest.events[0].id) > n(had.at(-1).id));
  assert.equal(textOf(had) + rest.text, words);
  const over = await at(b, a.admin).follow(chat, { lastId: stream.lastId });
  assert.equal(over.status, 204, over.text);
});

test('a_reader_with_more_than_the_mirror_has_waits_for_the_rest_and_gets_nothing_twice', { skip }, async () => {
  const { chat, stream } = await running(a.admin, { delay: 60 });
  const turn = stream.lastId.split(':')[0];
  const had = words.split(' ').slice(0, 20).join(' ');
  const user = at(b, a.admin);
  const [ahead, lying] = await Promise.all([user.follow(chat, { lastId: `${turn}:${8 * Buffer.byteLength(had)}` }), user.follow(chat, { lastId: `${turn}:${2 ** 40}` })]);
  await Promise.all([stream, ahead, lying].map((of) => of.whole()));
  assert.equal(had + ahead.text, words);
  assert.equal(lying.text, words, 'what nobody has is not waited for');
});

test('a_reader_who_hops_between_the_nodes_misses_nothing', { skip }, async () => {
  const { chat, stream } = await running(a.admin, { delay: 20 });
  let events = [...stream.events];
  stream.close();
  for (let hop = 0; events.at(-1).type !== 'done'; hop++) {
    assert.ok(hop < 60, 'no end');
    const back = await at(hop % 2 ? a : b, a.admin).follow(chat, { lastId: events.at(-1).id });
    if (back.status === 204) break;
    assert.equal(back.status, 200, back.text);
    await back.until((s) => s.of('message').length > 3 || s.closed).catch(() => {});
    events = [...events, ...back.events];
    back.close();
  }
  assert.equal(textOf(events), words);
  for (let i = 1; i < events.length; i++) assert.ok(n(events[i].id) > n(events[i - 1].id));
  assert.equal(events.filter(({ type }) => type === 'done').length, 1);
});

test('any_number_of_followers_on_a_node_share_one_mirror', { skip }, async () => {
  const { chat, stream } = await running(a.admin, { delay: 40 });
  const followers = await Promise.all(Array.from({ length: 30 }, () => at(b, a.admin).follow(chat)));
  assert.equal(await metric(b, 'aerie_mirrors'), 1);
  assert.equal(await metric(a, 'aerie_readers'), 2, 'the sender, and the other node');
  await Promise.all([stream, ...followers].map((s) => s.whole()));
  for (const follower of followers) assert.deepEqual([follower.text, follower.lastId], [words, stream.lastId]);
  assert.equal(await metric(b, 'aerie_mirrors'), 0);
  const late = await at(b, a.admin).follow(chat);
  assert.equal((await late.whole()).text, words, 'an ended mirror is kept as any log');
});

test('a_turn_is_stopped_from_the_other_node_at_once', { skip }, async () => {
  for (const isFollowed of [false, true]) {
    const { chat, stream } = await running(a.admin);
    const follower = isFollowed && (await at(b, a.admin).follow(chat));
    const asked = Date.now();
    assert.equal((await at(b, a.admin).post(`/api/chats/${chat.id}/stop`)).status, 202);
    await stream.whole();
    assert.ok(stream.events.at(-1).at - asked < 1000, `${stream.events.at(-1).at - asked} ms`);
    assert.equal(stream.done.stopped, true);
    if (follower) assert.deepEqual((await follower.whole()).done, stream.done);
    assert.equal((await a.admin.settledReply(chat)).status, 'stopped');
  }
});

test('an_ended_reply_of_a_chat_deleted_on_another_node_is_not_told_again', { skip }, async () => {
  const { chat, stream } = await running(a.admin, { delay: 1 });
  const follower = await at(b, a.admin).follow(chat);
  await Promise.all([stream.whole(), follower.whole()]);
  for (const node of [a, b]) assert.equal((await (await at(node, a.admin).follow(chat)).whole()).text, words, 'it is kept');
  assert.equal((await at(b, a.admin).delete(`/api/chats/${chat.id}`)).status, 204);
  for (const node of [a, b]) {
    assert.equal((await at(node, a.admin).follow(chat)).status, 404);
    assert.equal((await at(node, a.admin).post(`/api/chats/${chat.id}/stop`)).status, 404);
  }
  const socket = await openSocket(a.port, { token: a.admin.token });
  socket.send({ type: 'resume', session_id: chat.id });
  await socket.until((s) => s.of('status').length > 0);
  assert.equal(socket.text, '');
  await socket.close();
});

test('a_socket_stops_the_reply_that_it_follows_from_the_other_node', { skip }, async () => {
  const { chat, stream } = await running(a.admin);
  const socket = await openSocket(b.port, { token: a.admin.token });
  socket.send({ type: 'resume', session_id: chat.id });
  await socket.until((s) => s.of('message').length > 0);
  socket.send({ type: 'stop' });
  await socket.until((s) => s.of('done').length > 0);
  assert.equal((await stream.whole()).done.stopped, true);
  await socket.close();
});

test('a_second_message_at_the_other_node_is_409_until_the_first_has_its_reply', { skip }, async () => {
  const { chat, stream } = await running(a.admin);
  const follower = await at(b, a.admin).follow(chat);
  for (const key of [undefined, randomUUID()]) {
    const headers = key ? { 'Idempotency-Key': key } : {};
    const second = await at(b, a.admin).post(`/api/chats/${chat.id}/messages`, { content: 'me too' }, { headers });
    assert.equal(second.status, 409, second.text);
    if (!key) continue;
    await Promise.all([stream.whole(), follower.whole()]);
    const later = await at(b, a.admin).post(`/api/chats/${chat.id}/messages`, { content: 'me too' }, { headers: { ...headers, Accept: 'application/json' } });
    assert.equal(later.status, 200, `the key of a refused message is free: ${later.text}`);
  }
  const messages = await a.admin.messages(chat);
  assert.deepEqual(messages.map(({ role }) => role), ['user', 'assistant', 'user', 'assistant']);
});

test('the_same_message_to_both_nodes_is_stored_once_and_both_get_its_reply', { skip }, async () => {
  for (let round = 0; round < 6; round++) {
    const chat = await a.admin.chat(agent);
    const headers = { 'Idempotency-Key': randomUUID() };
    const send = (node) => at(node, a.admin).send(chat, said(words, 8), { headers });
    const [one, two] = await Promise.all([send(a), send(b)]);
    assert.deepEqual([one.status, two.status], [200, 200], `${one.text} ${two.text}`);
    await Promise.all([one.whole(), two.whole()]);
    assert.deepEqual([one.text, two.text], [words, words]);
    assert.equal(one.lastId, two.lastId);
    assert.equal((await a.admin.messages(chat)).length, 2);
  }
});

test('a_message_sent_again_while_its_turn_runs_elsewhere_is_followed_by_sse_json_and_socket', { skip }, async () => {
  const chat = await a.admin.chat(agent);
  const headers = { 'Idempotency-Key': randomUUID() };
  const stream = await a.admin.send(chat, said(words, 30), { headers });
  await stream.until((s) => s.text.length > 10);
  const user = at(b, a.admin);
  const again = await user.send(chat, said(words, 30), { headers });
  assert.equal(again.status, 200, again.text);
  const had = { id: stream.lastId, text: stream.text };
  const resumed = await user.send(chat, said(words, 30), { headers: { ...headers, 'Last-Event-ID': had.id } });
  const whole = user.post(`/api/chats/${chat.id}/messages`, { content: said(words, 30) }, { headers: { ...headers, Accept: 'application/json' } });
  const other = await user.post(`/api/chats/${chat.id}/messages`, { content: 'something else' }, { headers });
  assert.equal(other.status, 422, other.text);
  const { status, json, text } = await whole;
  assert.equal(status, 200, text);
  await Promise.all([stream.whole(), again.whole(), resumed.whole()]);
  assert.deepEqual([again.text, again.lastId], [words, stream.lastId]);
  assert.equal(had.text + resumed.text, words);
  assert.equal(json.content, words);
  assert.equal(json.status, 'complete');
  assert.equal(json.message_id, stream.done.message_id);
  const own = (await a.admin.messages(chat)).at(-1);
  assert.deepEqual([json.timestamp, json.usage, json.metadata], [own.timestamp, own.usage, own.metadata]);
  assert.equal((await a.admin.messages(chat)).length, 2);
});

test('a_new_chat_by_its_key_is_made_once_on_both_nodes', { skip }, async () => {
  const headers = { 'Idempotency-Key': randomUUID() };
  const send = (node) => openStream(node.port, 'POST', '/api/chat/stream', { token: a.admin.token, json: { message: said(words, 10), agent_id: agent.id }, headers });
  const [one, two] = await Promise.all([send(a), send(b)]);
  assert.deepEqual([one.status, two.status], [200, 200], `${one.text} ${two.text}`);
  await Promise.all([one.whole(), two.whole()]);
  assert.deepEqual([two.text, two.lastId], [one.text, one.lastId]);
  assert.equal(two.events[0].data.session_id, one.events[0].data.session_id);
});

test('readers_on_the_other_node_count_for_on_disconnect', { skip }, async () => {
  const aborting = await a.admin.agent({ webhook_url: upstream.url({ tag: 'abort' }), config: { on_disconnect: 'abort' } });
  const { chat, stream } = await running(a.admin, { of: aborting, delay: 60 });
  const follower = await at(b, a.admin).follow(chat);
  await follower.until((s) => s.events.length > 1);
  stream.close();
  const before = follower.events.length;
  await follower.until((s) => s.events.length > before + 3);
  const left = Date.now();
  follower.close();
  const asked = upstream.tagged('abort').at(-1);
  while (!asked.aborted_at) {
    assert.ok(Date.now() - left < 5000, 'the upstream is still open');
    await sleep(5);
  }
  assert.ok(asked.aborted_at - left < 1500, `${asked.aborted_at - left} ms`);
  assert.equal((await a.admin.settledReply(chat)).status, 'stopped');
});

test('grace_lets_a_reader_come_back_through_the_other_node', { skip }, async () => {
  const graceful = await a.admin.agent({ webhook_url: upstream.url(), config: { on_disconnect: 'grace', grace_seconds: 1 } });
  const { chat, stream } = await running(a.admin, { of: graceful, delay: 120 });
  const had = [...stream.events];
  stream.close();
  await sleep(300);
  const back = await at(b, a.admin).follow(chat, { lastId: had.at(-1).id });
  await back.whole();
  assert.equal(textOf(had) + back.text, words);
});

test('a_chat_is_deleted_at_the_other_node_while_its_turn_runs', { skip }, async () => {
  const { chat, stream } = await running(a.admin);
  assert.equal((await at(b, a.admin).delete(`/api/chats/${chat.id}`)).status, 204);
  await stream.whole(3000);
  for (const node of [a, b]) {
    assert.equal((await at(node, a.admin).get(`/api/chats/${chat.id}`)).status, 404);
    assert.equal((await at(node, a.admin).follow(chat)).status, 404);
  }
});

test('the_history_says_streaming_at_the_other_node_and_has_the_text_where_it_is_followed', { skip }, async () => {
  const { chat, stream } = await running(a.admin);
  assert.equal((await at(b, a.admin).messages(chat)).at(-1).status, 'streaming');
  const follower = await at(b, a.admin).follow(chat);
  await follower.until((s) => s.text.length > 10);
  const seen = (await at(b, a.admin).messages(chat)).at(-1);
  assert.ok(words.startsWith(seen.content) && seen.content.length > 0);
  await Promise.all([stream.whole(), follower.whole()]);
});

test('a_new_turn_at_the_other_node_is_seen_although_an_ended_one_is_kept_here', { skip }, async () => {
  const chat = await a.admin.chat(agent);
  const first = await a.admin.ask(chat, said('the first one', 1));
  const stream = await at(b, a.admin).send(chat, said(words, 30));
  await stream.until((s) => s.text.length > 10);
  const follower = await a.admin.follow(chat, { lastId: first.lastId });
  assert.equal(follower.status, 200, follower.text);
  await Promise.all([stream.whole(), follower.whole()]);
  assert.deepEqual([follower.text, follower.lastId], [words, stream.lastId]);
});

test('another_users_and_another_teams_chats_answer_like_missing_ones_at_the_other_node', { skip }, async () => {
  const { chat, stream } = await running(a.admin);
  const other = at(b, (await a.otherTeam()).admin);
  const neighbour = at(b, await a.user());
  for (const stranger of [other, neighbour]) {
    assert.equal((await stranger.follow(chat)).status, 404);
    assert.equal((await stranger.post(`/api/chats/${chat.id}/stop`)).status, 404);
    assert.equal((await stranger.delete(`/api/chats/${chat.id}`)).status, 404);
  }
  assert.equal((await stream.whole()).text, words);
});

/* ---- a node that dies ---- */

test('readers_here_of_a_node_that_is_killed_keep_their_text_and_get_an_end', { skip }, async () => {
  const doomed = await a.beside();
  await sleep(1200);
  const user = at(doomed, a.admin);
  const chat = await user.chat(agent);
  const stream = await user.send(chat, said(words, 100));
  await stream.until((s) => s.of('message').length > 2);
  const follower = await at(b, a.admin).follow(chat);
  const socket = await openSocket(b.port, { token: a.admin.token });
  socket.send({ type: 'resume', session_id: chat.id });
  await follower.until((s) => s.of('message').length > 8);
  const text = () => follower.text;
  await doomed.kill();
  const killed = Date.now();
  await Promise.all([follower.whole(), socket.until((s) => s.of('error').length > 0)]);
  assert.ok(follower.events.at(-1).at - killed < 8000, `${follower.events.at(-1).at - killed} ms`);
  assert.equal(follower.error.code, 'interrupted');
  assert.ok(words.startsWith(text()) && text().length > 40);
  assert.equal(socket.text, text());
  const stored = (await at(b, a.admin).messages(chat)).at(-1);
  assert.equal(stored.status, 'interrupted');
  assert.equal(stored.content, text(), 'what was seen is stored, though the journal is on the dead node');
  const next = await at(b, a.admin).ask(chat, said('on it goes', 1));
  assert.equal(next.text, 'on it goes');
  await socket.close();
  doomed.child = null;
  doomed.drop();
});

test('a_node_that_drains_serves_the_other_nodes_readers_to_the_end', { skip }, async () => {
  const leaving = await a.beside();
  await sleep(1200);
  const user = at(leaving, a.admin);
  const chat = await user.chat(agent);
  const stream = await user.send(chat, said(words, 60));
  await stream.until((s) => s.of('message').length > 2);
  const halted = leaving.halt();
  await sleep(200);
  const follower = await at(b, a.admin).follow(chat);
  assert.equal(follower.status, 200, follower.text);
  await Promise.all([stream.whole(), follower.whole()]);
  assert.deepEqual([follower.text, follower.lastId], [words, stream.lastId]);
  await halted;
  leaving.drop();
});

/** Three processes of a node, one after the other at the same place for nodes, each with a reply that is read at b, and stopped from there. */
async function readOverUpgrades(listen) {
  const node = await a.beside({ env: { NODES__LISTEN: listen } });
  const olds = [];
  try {
    await sleep(1200);
    const [here, there] = [at(node, a.admin), at(b, a.admin)];
    const turns = [];
    for (let i = 0; i < 3; i++) {
      if (i > 0) olds.push(await upgrade(node));
      turns.push(await running(here, { text: `${words} `.repeat(20), delay: 100 }));
    }
    const followers = await Promise.all([...turns.map(({ chat }) => there.follow(chat)), here.follow(turns[0].chat)]);
    for (const { status, text } of followers) assert.equal(status, 200, text);
    await Promise.all(followers.map((follower) => follower.until((s) => s.text.length > 10)));
    assert.ok(olds.every(({ pid }) => isRunning(pid)) && turns.every(({ stream }) => !stream.done), 'they are read while they are made');
    for (const { chat } of turns) assert.equal((await there.post(`/api/chats/${chat.id}/stop`)).status, 202);
    const streams = turns.map(({ stream }) => stream);
    await Promise.all([...streams, ...followers].map((stream) => stream.whole()));
    assert.deepEqual(streams.map(({ done }) => done.stopped), [true, true, true]);
    assert.deepEqual(followers.map(({ text, lastId }) => [text, lastId]), [...streams, streams[0]].map(({ text, lastId }) => [text, lastId]));
    await Promise.all(olds.map(({ exit }) => exit));
    assert.equal(peerAddress(node), listen);
    const late = await running(here);
    const follower = await there.follow(late.chat);
    await follower.until((s) => s.text.length > 10);
    assert.ok(!late.stream.done);
    await Promise.all([late.stream, follower].map((stream) => stream.whole()));
    assert.deepEqual([follower.text, follower.lastId], [words, late.stream.lastId]);
    await node.stop();
  } finally {
    for (const old of olds) old.kill('SIGKILL');
    if (node.child) node.drop();
  }
}

test('replies_of_all_processes_of_an_upgraded_node_are_read_at_its_place_for_nodes', { skip }, async () => {
  const path = `${a.folder}/peers.sock`;
  await Promise.all([readOverUpgrades(`127.0.0.1:${await freePort()}`), readOverUpgrades(`unix:${path}`)]);
  assert.ok(!existsSync(path), 'the last process removes it');
});

/* ---- what is no node ---- */

const peerAddress = (node) => a.database.query(`select address from nodes where name like '%:${node.child.pid}'`);
const peerSocket = (node) => peerAddress(node).replace('unix:', '');

/** A call as a node makes it, but for what is said otherwise. */
function callPeer(socketPath, method, path, { time = Date.now(), secret = SECRET, nonce = randomUUID().replaceAll('-', ''), signature } = {}) {
  const stamp = `${time * 1000} ${nonce}`;
  const key = Buffer.from(hkdfSync('sha256', secret, '', 'calls between nodes', 32));
  const mac = createHmac('sha256', key).update(`${method}\n${path}\n${stamp}`).digest('hex');
  return new Promise((resolve, reject) => {
    const req = http.request({ socketPath, method, path, headers: { 'X-Aerie-Peer': signature ?? `${stamp} ${mac}` } }, (res) => {
      let text = '';
      res.on('data', (part) => (text += part));
      res.on('end', () => resolve({ status: res.statusCode, text }));
    });
    req.on('error', reject);
    req.end();
  });
}

test('peers_are_let_in_by_their_signature_alone_and_at_the_peer_listener_alone', { skip }, async () => {
  const { chat, stream } = await running(a.admin, { delay: 60 });
  const socketPath = peerSocket(a);
  const reply = stream.lastId.split(':')[0];
  const query = `team_id=${a.admin.me.team_id}&owner_id=${a.admin.me.id}&chat_id=${chat.id}&reply_id=${reply}`;
  const turn = `/peer/turn?${query}&from=0`;
  const refused = async (why, options, path = turn) => assert.equal((await callPeer(socketPath, 'GET', path, options)).status, 404, why);
  await refused('another secret', { secret: 'another-secret-of-the-tests-long-enough-for-production' });
  await refused('an old time', { time: Date.now() - 120000 });
  await refused('a time to come', { time: Date.now() + 120000 });
  for (const signature of ['', 'x', '1 2', `${Date.now() * 1000} n ${'0'.repeat(64)}`, ` ${'a'.repeat(300)}`]) await refused('no signature', { signature });
  await refused('another chat', {}, `/peer/turn?${query.replace(chat.id, randomUUID())}&from=0`);
  await refused('another team', {}, `/peer/turn?${query.replace(a.admin.me.team_id, randomUUID())}&from=0`);
  await refused('another reply', {}, `/peer/turn?${query.replace(reply, randomUUID())}&from=0`);
  await refused('a place that is none', {}, `/peer/turn?${query}&from=99999999`);
  await refused('no place', {}, `/peer/turn?${query}&from=x`);
  await refused('a route of clients', {}, '/health');
  for (const path of [turn, `/peer/stop?${query}`]) assert.equal((await a.request(path === turn ? 'GET' : 'POST', path)).status, 404, 'the public port');
  const nonce = randomUUID().replaceAll('-', '');
  const time = Date.now();
  assert.equal((await callPeer(socketPath, 'POST', `/peer/stop?${query}`, { nonce, time })).status, 202);
  assert.equal((await callPeer(socketPath, 'POST', `/peer/stop?${query}`, { nonce, time })).status, 404, 'the same call again');
  await stream.whole();
});

/** Answers every connection to a peer's socket as it likes. */
function lyingPeer(path, answer) {
  rmSync(path, { force: true });
  const server = net.createServer((socket) => {
    socket.on('error', () => {});
    socket.once('data', () => answer(socket));
  });
  return new Promise((resolve) => server.listen(path, () => resolve(server)));
}

test('a_peer_that_lies_cannot_hurt_its_readers', { skip }, async () => {
  const head = 'HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n';
  const message = (content) => ({ type: 'message', data: { content } });
  const lies = [
    ['garbage', () => '\0\xff\n\n\r\n garbage'],
    ['nothing', () => ''],
    ['another status', () => 'HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n'],
    ['an endless line', () => `${head}data: ${'x'.repeat(5 << 20)}`],
    ['no head', ({ event }) => head + event(8, message('x'))],
    ['a number that does not fit', ({ hello, event }) => head + hello + event(80, message('x'))],
    ['a number that goes back', ({ hello, event }) => head + hello + event(8, message('x')) + event(8, message('y'))],
    ['no JSON', ({ hello, reply }) => `${head}${hello}id: ${reply}:8\ndata: {"type":\n\n`],
    ['another reply', ({ hello, reply }) => head + hello.replace(reply, randomUUID())],
    ['an end without a tail', ({ hello, event }) => head + hello + event(1, { type: 'done', data: {} })],
    ['a tail without an end', ({ hello }) => `${head}${hello}event: tail\ndata: {"outcome":"ok"}\n\n`],
    ['more notices than there are numbers', ({ hello, event }) => head + hello + Array.from({ length: 20 }, (_, i) => event(i + 1, { type: 'status', data: { description: 'x', level: 'info', done: false } })).join('')],
  ];
  await inParallel(lies.length, lies, async ([what, write], i) => {
    const chat = await a.admin.chat(agent);
    await a.admin.ask(chat, said('before', 1));
    const node = randomUUID();
    const path = `${a.folder}/liar${i}.sock`;
    const reply = a.database.query(`select id from messages where chat_id = '${chat.id}' and role = 'assistant'`);
    const event = (number, data) => `id: ${reply}:${number}\ndata: ${JSON.stringify(data)}\n\n`;
    const hello = `event: head\ndata: ${JSON.stringify({ reply_id: reply, last: 0, tokens_limit: 0, tokens_left: 0 })}\n\n`;
    const server = await lyingPeer(path, (socket) => socket.end(write({ reply, hello, event }), 'latin1'));
    // A reply of a node that is said to live, and never settles.
    a.database.query(`insert into nodes (id, name, address, version, started_at, seen_at, is_draining) values ('${node}', 'liar', 'unix:${path}', '0', now(), now() + interval '1 hour', false)`);
    a.database.query(`update messages set status = 'streaming', node_id = '${node}' where id = '${reply}'`);
    const asked = Date.now();
    const follower = await at(b, a.admin).follow(chat);
    if (follower.status === 200) assert.equal((await follower.whole(15000)).error.code, 'interrupted', what);
    else assert.equal(follower.status, 503, `${what}: ${follower.status} ${follower.text}`);
    assert.ok(Date.now() - asked < 12000, `${what}: ${Date.now() - asked} ms`);
    server.close();
    a.database.query(`delete from nodes where id = '${node}'`);
  });
  assert.equal((await b.request('GET', '/health')).status, 200);
});
