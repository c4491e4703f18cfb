// Limits among nodes that share one PostgreSQL: all of them together let through what one would.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { startUpstream } from '../fake/upstream.mjs';
import { Aerie } from '../tools/aerie.mjs';
import { kind } from '../tools/database.mjs';
import { request } from '../tools/http.mjs';
import { readMetrics } from '../tools/metrics.mjs';
import { until } from '../tools/until.mjs';

const skip = kind === 'sqlite' && 'SQLite has one server';

const STREAMS = 50; // of a team, in all
let nodes;
let agent;
let upstream;
before(async () => {
  if (skip) return;
  upstream = await startUpstream();
  const first = await Aerie.start({ env: { LIMITS__MESSAGES_PER_MINUTE: 300, LIMITS__LOGIN_PER_ACCOUNT: 5, LIMITS__STREAMS_PER_TEAM: STREAMS, LIMITS__WRONG_KEYS_PER_MINUTE: 30, TRUSTED_PROXIES: '127.0.0.1' } });
  nodes = [first];
  for (let i = 0; i < 2; i++) nodes.push(await first.beside());
  agent = await first.admin.agent({ provider: 'echo' });
  await Promise.all(nodes.map(seesOthers));
});
after(async () => {
  for (const node of [...(nodes ?? [])].reverse()) await (node.isKilled ? node.drop() : node.stop());
  await upstream?.close();
});

async function seesOthers(node) {
  for (;;) {
    const { text } = await request(node.port, 'GET', '/metrics');
    if (/^aerie_nodes 3$/m.test(text)) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/** What a user gets through in so many ms, asking as fast as he is answered, each asker of his one node. */
async function flood(user, ms, askers) {
  const began = performance.now();
  let taken = 0;
  await Promise.all(askers.map(async (node) => {
    while (performance.now() < began + ms) {
      const answer = await request(node.port, 'POST', '/api/chat', { token: user.token, json: { message: 'again', agent_id: agent.id } });
      assert.ok([200, 429].includes(answer.status), `${answer.status} ${answer.text}`);
      if (answer.status === 200) taken++;
      else assert.ok(Number(answer.headers['retry-after']) >= 1);
      if (answer.status === 429) await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }));
  return { taken, given: 300 * (1 + (performance.now() - began) / 60000) };
}

test('three_nodes_together_let_through_what_one_would', { skip }, async () => {
  const user = await nodes[0].user();
  const { taken, given } = await flood(user, 10000, [...nodes, ...nodes, ...nodes]);
  assert.ok(Math.abs(taken - given) <= 0.05 * given, `${taken} of ${given}`);
});

test('one_node_alone_may_give_all_of_it', { skip }, async () => {
  const user = await nodes[0].user();
  const { taken, given } = await flood(user, 10000, [nodes[1], nodes[1], nodes[1]]);
  assert.ok(Math.abs(taken - given) <= 0.05 * given, `${taken} of ${given}`);
});

test('a_few_tries_are_a_few_tries_on_all_nodes_together', { skip }, async () => {
  const user = await nodes[0].user(); // signs in once
  const statuses = [];
  for (let i = 0; i < 9; i++) statuses.push((await request(nodes[i % 3].port, 'POST', '/api/auth/login', { json: { email: user.email, password: 'not the password' } })).status);
  assert.deepEqual(statuses, [401, 401, 401, 401, 429, 429, 429, 429, 429]);
});

test('three_nodes_together_hear_as_many_wrong_keys_as_one_would', { skip }, async () => {
  const key = nodes[0].command(['key', 'create', '--agent', agent.id]).trim().split(/\s+/).at(-1);
  const wrong = (i) => `${key.slice(0, -6)}${String(100000 + i)}`;
  const ask = (node, token, address) => request(node.port, 'GET', '/v1/models', { token, headers: { 'X-Forwarded-For': address } });
  const written = async (node) => (await readMetrics(node)).get('aerie_db_statements_total{use="write"}');
  const read = async (node) => (await readMetrics(node)).get('aerie_db_statements_total{use="read"}');
  const statuses = [];
  assert.equal((await ask(nodes[0], key, '192.0.2.7')).status, 200);
  for (let i = 0; i < 36; i++) statuses.push((await ask(nodes[i % 3], wrong(i), '192.0.2.7')).status);
  const taken = statuses.filter((status) => status === 401).length;
  assert.ok(taken >= 29 && taken <= 32, `${taken}`); // one comes back every two seconds
  assert.ok(statuses.slice(0, 29).every((status) => status === 401), statuses.join());
  assert.equal(statuses.at(-1), 429);
  assert.equal((await ask(nodes[0], key, '192.0.2.7')).status, 200, 'a key that was good lately has no part in it');
  // What is refused asks nobody, and a guess costs one question beside the one for the key.
  const before = [await read(nodes[1]), await written(nodes[1])];
  for (let i = 0; i < 10; i++) await ask(nodes[1], wrong(i), '198.51.100.8');
  const cost = [(await read(nodes[1])) - before[0], (await written(nodes[1])) - before[1]];
  assert.ok(cost[0] >= 10 && cost[0] <= 14 && cost[1] >= 10 && cost[1] <= 14, cost.join());
  for (let i = 0; i < 10; i++) assert.equal((await ask(nodes[1], 'no key at all', '203.0.113.9')).status, 401);
});

/** A team with an agent whose replies go on until its streams are closed. */
async function talkers() {
  const { admin, id } = await nodes[0].otherTeam();
  const talker = await admin.agent({ webhook_url: upstream.url() });
  const open = []; // {node, chat, client, stream}
  const chats = []; // whose message was refused
  const begin = async (node) => {
    const client = node.client(admin.token);
    const chat = chats.pop() ?? (await client.chat(talker));
    const stream = await client.send(chat, '!tokens=10000&delay=300');
    if (stream.status === 200) {
      open.push({ node, chat, client, stream });
      return true;
    }
    assert.equal(stream.status, 429, stream.text);
    assert.match(stream.text, /Too many replies are streaming to your team/);
    chats.push(chat);
    return false;
  };
  const beginMany = async (those) => (await Promise.all(those.map(begin))).filter(Boolean).length;
  const stop = async (n, of = () => true) => {
    for (const one of open.filter(of).slice(0, n)) {
      open.splice(open.indexOf(one), 1);
      await one.client.post(`/api/chats/${one.chat.id}/stop`, {});
      one.stream.close();
    }
  };
  const held = () => nodes[0].database.query(`select coalesce(sum(n), 0), coalesce(max(seq), 0) from team_streams where team_id = '${id}'`).split('|').map(Number);
  return { open, begin, beginMany, stop, held };
}

test('three_nodes_together_stream_to_a_team_what_one_would', { skip }, async () => {
  const { open, begin, beginMany, stop, held } = await talkers();
  const begun = await beginMany(Array.from({ length: 66 }, (_, i) => nodes[i % 3]));
  assert.ok(begun <= STREAMS && begun >= 0.95 * STREAMS, `${begun}`);
  await until(async () => (await begin(nodes[0])) || open.length >= 0.95 * STREAMS, 'what is free is given', 2000);
  assert.equal(await beginMany(nodes), 0, 'and no more');
  assert.equal(held()[0], open.length);
  // What ends on one node may begin on another.
  await stop(12, ({ node }) => node === nodes[1]);
  const before = open.length;
  await until(async () => {
    if (!(await begin(nodes[2]))) await sleep(100);
    assert.ok(open.length <= STREAMS);
    return open.length >= before + 11;
  }, 'the places of streams that ended elsewhere');
  await stop(STREAMS);
  await until(() => held()[0] <= 3, 'what is not used goes back, but for a portion of each node');
});

test('a_team_on_one_node_asks_for_its_streams_once_a_portion', { skip }, async () => {
  const { begin, stop, held } = await talkers();
  for (let i = 0; i < 3; i++) assert.ok(await begin(nodes[1]));
  const [, before] = held();
  for (let i = 0; i < 10; i++) {
    await stop(1);
    assert.ok(await begin(nodes[1]));
  }
  assert.ok(held()[1] - before <= 3, `${held()[1] - before} words to the database`); // the chore's
  await stop(3);
});

test('while_nobody_answers_for_streams_each_node_gives_its_share', { skip }, async () => {
  const { beginMany, stop } = await talkers();
  const { database } = nodes[0];
  database.query('alter table team_streams rename to team_streams_away');
  try {
    const begun = await beginMany(Array.from({ length: 66 }, (_, i) => nodes[i % 3]));
    assert.equal(begun, 3 * Math.floor(STREAMS / 3));
  } finally {
    database.query('alter table team_streams_away rename to team_streams');
  }
  await stop(STREAMS);
});

test('the_streams_of_a_node_that_is_killed_may_begin_on_others', { skip }, async () => {
  const { open, begin, beginMany, stop } = await talkers();
  const begun = await beginMany([...Array.from({ length: 20 }, () => nodes[2]), ...Array.from({ length: 30 }, () => nodes[0])]);
  assert.equal(begun, STREAMS);
  assert.equal(await begin(nodes[1]), false);
  await nodes[2].kill();
  nodes[2].isKilled = true;
  const lost = open.filter(({ node }) => node === nodes[2]).length;
  assert.equal(lost, 20);
  let n = 0;
  await until(async () => {
    await sleep(300);
    if (await begin(nodes[1])) n += 1 + (await beginMany(Array.from({ length: 20 }, () => nodes[1])));
    return n >= 19;
  }, 'the places of the dead are given', 20000);
  assert.ok(n <= 20, `${n}`);
  await stop(STREAMS, ({ node }) => node !== nodes[2]);
});
