// What docs/scaling.md says of many nodes and their PostgreSQL: connections, a small pool of PgBouncer's, rows that change all the time.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Aerie, inParallel, withinASecond } from '../tools/aerie.mjs';
import { kind } from '../tools/database.mjs';
import { awaitMetric } from '../tools/metrics.mjs';
import { startPgbouncer } from '../tools/postgres.mjs';

const skip = kind !== 'postgres' && 'of PostgreSQL itself';
const LOOPS = 2; // of each node, as the tests have it
const POOL = 4; // that PgBouncer may open
const PORTION = 60; // of a limit, a node leases a sixtieth at a time

let nodes;
let agent;
before(async () => {
  if (skip) return;
  nodes = [await Aerie.start({ env: { LIMITS__MESSAGES_PER_MINUTE: PORTION * 2 } })];
  while (nodes.length < 3) nodes.push(await nodes[0].beside());
  agent = await nodes[0].admin.agent({ provider: 'echo' });
  for (const node of nodes) await awaitMetric(node, 'aerie_nodes', (n) => n === nodes.length);
});
after(async () => {
  for (const node of [...(nodes ?? [])].reverse()) await node.stop();
});

const query = (statement) => nodes[0].database.query(statement);
const say = (node, user, of = agent) => node.request('POST', '/api/chat', { token: user.token, json: { message: 'hello', agent_id: of.id } });

const connections = () => Number(query("select count(*) from pg_stat_activity where datname = current_database() and application_name = 'aerie'"));
const OWN = 3 * (3 * LOOPS + 3);

test('a_node_has_three_connections_a_loop_and_three_more', { skip }, async () => {
  for (let i = 0; connections() !== OWN; i++) assert.ok(i < 100 && !(await sleep(50)), `${connections()} connections`);
});

test('rows_that_change_all_the_time_stay_where_they_are', { skip }, async () => {
  const users = await Promise.all(Array.from({ length: 60 }, () => nodes[0].user()));
  await inParallel(12, users.flatMap((user) => Array.from({ length: 6 }, (_, i) => ({ user, node: nodes[i % nodes.length] }))), async ({ user, node }) => {
    assert.equal((await say(node, user)).status, 200);
  });
  const of = (table) => query(`select n_tup_upd, n_tup_hot_upd, pg_relation_size(relid) from pg_stat_user_tables where relname = '${table}'`).split('|').map(Number);
  for (const [table, least, pages] of [['nodes', 10, 2], ['rates', 100, 8]]) {
    let changed, inPlace, bytes;
    for (let i = 0; !(changed >= least); i++) {
      assert.ok(i < 100 && !(await sleep(200)), `${table}: ${changed} changes`);
      [changed, inPlace, bytes] = of(table);
    }
    assert.ok(inPlace >= 0.9 * changed, `${table}: ${inPlace} of ${changed} changes were in place`);
    assert.ok(bytes <= pages * 8192, `${table} has ${bytes} bytes`);
  }
});

test('behind_pgbouncer_three_nodes_do_with_four_connections', { skip }, async () => {
  const bouncer = await startPgbouncer(process.env.AERIE_TEST_PG_PORT, { poolSize: POOL });
  const pooled = [];
  let most = 0;
  let over = false;
  try {
    const env = { DATABASE_URL: nodes[0].env.DATABASE_URL.replace(/:\d+\//, `:${bouncer.port}/`), DATABASE__PREPARED_STATEMENTS: 'false', LIMITS__MESSAGES_PER_MINUTE: 0 };
    while (pooled.length < 3) pooled.push(await nodes[0].beside({ env }));
    const looking = (async () => {
      for (; !over; await sleep(50)) most = Math.max(most, connections() - OWN);
    })();
    await inParallel(30, Array.from({ length: 300 }, (_, i) => pooled[i % pooled.length]), async (node) => {
      const answer = await say(node, nodes[0].admin);
      assert.equal(answer.status, 200, answer.text);
    });
    over = true;
    await looking;
    assert.ok(most > 0 && most <= POOL, `${most} connections`);
    const user = await pooled[0].user();
    assert.equal((await pooled[1].request('POST', '/api/auth/logout', { token: user.token })).status, 204);
    const isRefused = async (node) => (await node.request('GET', '/api/auth/me', { token: user.token })).status === 401;
    await withinASecond(async () => (await Promise.all(pooled.map(isRefused))).every(Boolean), 'a revoked token is refused by all');
  } finally {
    over = true;
    for (const node of pooled) await node.stop();
    await bouncer.stop();
  }
});
