// A PostgreSQL that fails over under two nodes, both with both hosts in DATABASE_URL and target_session_attrs=read-write. First the
// primary is killed with -9 and its standby promoted; then the new primary is told to take no more writes and hands over to a standby
// of its own. Writers go on all the while: what was acknowledged is stored once, each reply is whole, and the nodes find the new
// primary by themselves, know of each other's revocations again, and nobody is taken for dead.
// node test/tools/run.mjs --script test/fault/failover.mjs [W]: W writers (40).
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { Aerie, withinASecond } from '../tools/aerie.mjs';
import { EventStream } from '../tools/http.mjs';
import { awaitMetric, readMetrics } from '../tools/metrics.mjs';
import { freePort, ROLE, sql, startPostgres } from '../tools/postgres.mjs';

const WRITERS = Number(process.argv[2] ?? 40);
const DATABASE = 'failover';
/** After the promotion a node is to take messages again. */
const BACK_MS = 5000;
/** How long a standby is noticed to be needed. */
const NOTICED_MS = 1000;
/** A writer who gets no end of a message by then has lost it. */
const PATIENCE_MS = 40000;

const clusters = new Set();
async function cluster(options) {
  const started = await startPostgres({ isQuiet: true, settings: { dynamic_shared_memory_type: 'mmap' }, ...options });
  clusters.add(started);
  return started;
}

/** A standby that the primary waits for before it acknowledges anything. */
async function standbyOf(primary, port) {
  const standby = await cluster({ standbyOf: primary, port });
  sql(primary.port, DATABASE, "alter system set synchronous_standby_names = 'standby'");
  sql(primary.port, DATABASE, 'select pg_reload_conf()');
  const isSync = () => sql(primary.port, DATABASE, "select count(*) from pg_stat_replication where sync_state = 'sync'") === '1';
  for (let i = 0; !isSync(); i++) {
    assert.ok(i < 200, 'the standby follows');
    await sleep(50);
  }
  return standby;
}

const promote = (standby) => assert.equal(sql(standby.port, DATABASE, 'select pg_promote(true, 30)'), 't');

/** What was sent: {node, chat, content, expected, key, isAcknowledged, end}. */
const all = [];
/** When each node last acknowledged a message, and what it refused meanwhile. */
const taken = new Map();
const seen = { refused: {}, ends: {} };

/** Sends a message until a stream of it has ended, as a client would that keeps its key. */
async function send(node, message) {
  const deadline = Date.now() + PATIENCE_MS;
  for (;;) {
    assert.ok(Date.now() < deadline, `no end of ${message.content}: ${message.refusal}`);
    const stream = await node.admin.send(message.chat, message.content, { headers: { 'Idempotency-Key': message.key } });
    if (!(stream instanceof EventStream)) {
      // 503: the database is away; 409: the chat's last reply is not stored yet
      assert.ok([409, 503].includes(stream.status), `${stream.status} ${stream.text}`);
      message.refusal = `${stream.status} ${stream.text}`;
      seen.refused[stream.status] = (seen.refused[stream.status] ?? 0) + 1;
      await sleep(100 + Math.random() * 200);
      continue;
    }
    await stream.until((s) => s.events.length > 0);
    message.isAcknowledged = true;
    taken.set(node, [...(taken.get(node) ?? []), Date.now()]);
    await stream.whole();
    const end = stream.done ? 'done' : stream.of('error')[0]?.data.code;
    assert.ok(['done', 'not_saved'].includes(end), `a reply ended with ${end}`);
    assert.equal(stream.text, message.expected);
    seen.ends[end] = (seen.ends[end] ?? 0) + 1;
    return;
  }
}

async function write(node, agent, index, isOver) {
  const chat = await node.admin.chat(agent);
  const tokens = index % 4 < 2 ? 2 + (index % 5) : 60; // the long ones take six seconds: their end comes while nobody can store it
  const expected = Array.from({ length: tokens }, (_, i) => `${i ? ' ' : ''}tok${i}`).join('');
  while (!isOver()) {
    const message = { node, chat, content: `!tokens=${tokens}&delay=100&id=${all.length}`, expected, key: randomUUID(), isAcknowledged: false };
    all.push(message);
    await send(node, message);
  }
}

/** Every message that was acknowledged is one row, each reply behind it is whole. */
async function compare(primary) {
  const streaming = () => sql(primary.port, DATABASE, "select count(*) from messages where status = 'streaming'");
  for (let i = 0; streaming() !== '0'; i++) {
    assert.ok(i < 100, `${streaming()} replies still stream`);
    await sleep(100);
  }
  const rows = sql(primary.port, DATABASE, `select u.content, r.status, r.content, count(*) over (partition by u.content)
    from messages u left join messages r on r.chat_id = u.chat_id and r.seq = u.seq + 1 where u.role = 'user'`).split('\n').map((row) => row.split('|'));
  const stored = new Map(rows.map(([content, status, reply, n]) => [content, { status, reply, n }]));
  for (const { content, expected, isAcknowledged } of all)
    assert.deepEqual(stored.get(content), { status: 'complete', reply: expected, n: '1' }, `${content}, acknowledged: ${isAcknowledged}`);
  assert.equal(stored.size, all.length);
}

/** The nodes under writers while change() makes another cluster the primary and hands it back: how soon each took a message then. */
async function through(nodes, agent, change) {
  let over = false;
  const writing = Promise.all(Array.from({ length: WRITERS }, (_, i) => write(nodes[i % nodes.length], agent, i, () => over)));
  writing.catch(() => {});
  await sleep(3000);
  const primary = await change();
  const changedAt = Date.now();
  const back = (node) => taken.get(node)?.find((at) => at > changedAt);
  while (!nodes.every(back)) {
    assert.ok(Date.now() < changedAt + BACK_MS, 'all nodes take messages again');
    await Promise.race([sleep(20), writing]);
  }
  await sleep(2000);
  over = true;
  await writing;
  await compare(primary);
  return { primary, ms: nodes.map((node) => back(node) - changedAt) };
}

/** The nodes hear of each other by the new primary, and none has missed the other. */
async function knowEachOther(nodes, primary) {
  for (const node of nodes) await awaitMetric(node, 'aerie_news_told', (value) => value === 1, 15000);
  assert.equal(sql(primary.port, DATABASE, "select count(*) from pg_stat_activity where query like 'LISTEN%' or query = 'SELECT 1'"), String(nodes.length));
  const [first, second] = nodes;
  const user = await first.user(); // takes from a limit that nodes share, in a table that the failover has emptied
  const there = () => second.request('GET', '/api/auth/me', { token: user.token });
  assert.equal((await there()).status, 200);
  assert.equal((await first.request('POST', '/api/auth/logout', { token: user.token })).status, 204);
  await withinASecond(async () => (await there()).status === 401, 'the other node refuses the token');
  assert.notEqual(sql(primary.port, DATABASE, 'select count(*) from rates'), '0', 'limits are leased');
  for (const node of nodes) {
    const numbers = await readMetrics(node);
    assert.deepEqual([numbers.get('aerie_nodes'), numbers.get('aerie_nodes_buried_total')], [nodes.length, 0]);
  }
}

const ports = [await freePort(), await freePort()];
const fake = spawn(process.execPath, [fileURLToPath(new URL('../fake/upstream.mjs', import.meta.url))], { stdio: ['ignore', 'pipe', 'inherit'] });
const upstreamPort = await new Promise((resolve) => fake.stdout.once('data', (bytes) => resolve(Number(bytes))));
const nodes = [];
try {
  let primary = await cluster({ port: ports[0] });
  sql(primary.port, 'postgres', `create database ${DATABASE}`);
  const url = `postgresql://${ROLE}@${ports.map((port) => `127.0.0.1:${port}`).join(',')}/${DATABASE}?target_session_attrs=read-write`;
  const limits = { LIMITS__LOGIN_PER_MINUTE: 60, LIMITS__REGISTER_PER_MINUTE: 60 }; // leased one by one
  nodes.push(await Aerie.start({ database: 'sqlite', env: { DATABASE_URL: url, ...limits } }));
  nodes.push(await nodes[0].beside());
  const agent = await nodes[0].admin.agent({ webhook_url: `http://127.0.0.1:${upstreamPort}/webhook/fake`, config: { context_messages: 1 } });
  let standby = await standbyOf(primary, ports[1]);

  const killed = await through(nodes, agent, async () => {
    await primary.kill();
    await sleep(NOTICED_MS);
    promote(standby);
    return standby;
  });
  await knowEachOther(nodes, killed.primary);
  console.log(`  primary killed with -9 under ${WRITERS} writers on two nodes: messages taken again ${killed.ms.join(' and ')} ms after the standby's promotion`);

  primary = standby;
  standby = await standbyOf(primary, ports[0]);
  for (const node of nodes) node.log = '';
  const asked = await through(nodes, agent, async () => {
    sql(primary.port, DATABASE, 'alter system set default_transaction_read_only = on');
    sql(primary.port, DATABASE, 'select pg_reload_conf()');
    await sleep(NOTICED_MS); // what ran has ended, and is on the standby
    promote(standby);
    return standby;
  });
  await knowEachOther(nodes, asked.primary);
  for (const node of nodes) assert.match(node.log, /its server takes no writes any more/);
  console.log(`  handed over as planned: taken again ${asked.ms.join(' and ')} ms after the promotion`);
  console.log(`  ${all.length} messages, each stored once with its whole reply; ends as told ${JSON.stringify(seen.ends)}, refused meanwhile ${JSON.stringify(seen.refused)}`);
  await nodes[1].stop();
  await nodes[0].stop();
} finally {
  for (const node of nodes.reverse()) node.drop();
  fake.kill();
  for (const one of clusters) await one.stop();
}
