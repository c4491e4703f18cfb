// Limits among nodes that share one PostgreSQL: all of them together let through what one would.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Aerie } from '../tools/aerie.mjs';
import { kind } from '../tools/database.mjs';
import { request } from '../tools/http.mjs';
import { readMetrics } from '../tools/metrics.mjs';

const skip = kind === 'sqlite' && 'SQLite has one server';

let nodes;
let agent;
before(async () => {
  if (skip) return;
  const first = await Aerie.start({ env: { LIMITS__MESSAGES_PER_MINUTE: 300, LIMITS__LOGIN_PER_ACCOUNT: 5, LIMITS__WRONG_KEYS_PER_MINUTE: 30, TRUSTED_PROXIES: '127.0.0.1' } });
  nodes = [first];
  for (let i = 0; i < 2; i++) nodes.push(await first.beside());
  agent = await first.admin.agent({ provider: 'echo' });
  await Promise.all(nodes.map(seesOthers));
});
after(async () => {
  for (const node of [...(nodes ?? [])].reverse()) await node.stop();
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
