// Three nodes on one PostgreSQL behind an nginx: N streams whose readers drop and come back at random, to whichever node nginx
// picks; one node is killed with -9 and one is drained in the middle. Every acknowledged message is stored once, every stream ends
// with its text or as interrupted, limits hold and what is revoked is refused everywhere.
// AERIE_TEST_DB=postgres node test/tools/run.mjs --script test/fault/cluster.mjs [N] [S]: N streams (3000) within S seconds (60).
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { Aerie, inParallel, unique, withinASecond } from '../tools/aerie.mjs';
import { EventStream, openStream, request } from '../tools/http.mjs';
import { runNginx } from '../tools/nginx.mjs';

const streams = Number(process.argv[2] ?? 3000);
const seconds = Number(process.argv[3] ?? 60);
const USERS = 60;
const A_MINUTE = 600;
const FLOOD_MS = 15000;
/** Of a dead node's replies: until another has marked them, and a busy machine's second. */
const MARKED_MS = 6000;

const nodes = [await Aerie.start({ database: 'postgres', env: { LIMITS__MESSAGES_PER_MINUTE: A_MINUTE } })];
const [first] = nodes;
for (let i = 0; i < 2; i++) nodes.push(await first.beside());

const fake = spawn(process.execPath, [fileURLToPath(new URL('../fake/upstream.mjs', import.meta.url))], { stdio: ['ignore', 'pipe', 'inherit'] });
const upstreamPort = await new Promise((resolve) => fake.stdout.once('data', (bytes) => resolve(Number(bytes))));

const nginx = await runNginx((port) => `
  upstream aerie { random; ${nodes.map((node) => `server 127.0.0.1:${node.port} max_fails=3 fail_timeout=2s;`).join(' ')} }
  server {
    listen 127.0.0.1:${port} backlog=4096;
    location / {
      proxy_pass http://aerie;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_buffering off;
      proxy_connect_timeout 2s;
      proxy_read_timeout 75s;
    }
  }`, { main: 'worker_processes 1; worker_rlimit_nofile 30000; events { worker_connections 20000; }' });

const seen = { hops: 0, refused: 0, ends: {} };
const count = (end) => (seen.ends[end] = (seen.ends[end] ?? 0) + 1);

/** Takes the events in; their numbers tell the bytes that a reader of them has, so a gap or a repetition shows. */
function take(client, events) {
  for (const event of events) {
    const [turn, n] = event.id.split(':');
    client.lastId = event.id;
    client.turn ??= turn;
    client.isAcknowledged = true;
    if (event.type === 'message') {
      client.text += event.data.content;
      assert.equal(Math.floor(Number(n) / 8), Buffer.byteLength(client.text), `event ${event.id} does not follow on what came before`);
    } else if (event.type !== 'status') {
      client.end = event.type === 'error' ? event.data.code : 'done';
      client.replyId = event.data.message_id;
    }
  }
}

/** A message with its key until it is acknowledged, afterwards the turn's stream from the last event on. */
function connect(client) {
  const resumed = client.lastId ? { 'Last-Event-ID': client.lastId } : {};
  const { token } = client.user;
  if (client.isAcknowledged) return openStream(nginx.port, 'GET', `/api/chats/${client.chat.id}/stream`, { token, headers: resumed });
  return openStream(nginx.port, 'POST', `/api/chats/${client.chat.id}/messages`, { token, json: { content: client.content }, headers: { 'Idempotency-Key': client.key } });
}

/** Reads until the turn has ended, dropping the connection now and then. */
async function read(client, deadline) {
  while (!client.end) {
    assert.ok(Date.now() < deadline, `no end: ${JSON.stringify({ ...client, user: undefined })}`);
    let stream;
    try {
      stream = await connect(client);
    } catch {
      stream = { status: 0 };
    }
    if (stream.status === 204) {
      client.end = 'over'; // the history has it
    } else if (!(stream instanceof EventStream)) {
      assert.ok([0, 429, 502, 503, 504].includes(stream.status), `${stream.status} ${stream.text}`);
      seen.refused++;
      await sleep(100 + Math.random() * 400);
    } else {
      await Promise.race([stream.ended, sleep(1000 + Math.random() * 9000)]);
      stream.close();
      await stream.ended;
      take(client, stream.events);
      if (!client.end) seen.hops++;
    }
  }
  count(client.end);
}

async function settled(client) {
  const deadline = Date.now() + MARKED_MS;
  for (;;) {
    const answer = await request(nginx.port, 'GET', `/api/chats/${client.chat.id}/messages`, { token: client.user.token });
    const [question, reply] = answer.json;
    if (reply.status !== 'streaming') return { question, reply, n: answer.json.length };
    assert.ok(Date.now() < deadline, 'a reply still says streaming');
    await sleep(200);
  }
}

async function check(client) {
  const { question, reply, n } = await settled(client);
  assert.equal(n, 2, 'one message and its reply');
  assert.equal(question.content, client.content);
  if (client.end === 'done') {
    assert.deepEqual([reply.status, reply.content, client.text], ['complete', client.expected, client.expected]);
  } else {
    assert.ok(['complete', 'interrupted'].includes(reply.status), reply.status);
    assert.ok(client.expected.startsWith(client.text) && client.expected.startsWith(reply.content), 'another text');
  }
  return reply.status;
}

/** What one user gets through in a while, asking the nodes in turn as fast as they answer; and what the limit gives. */
async function flood() {
  const { admin } = first;
  const agent = await admin.agent({ provider: 'echo' });
  const user = await first.user();
  const began = Date.now();
  let taken = 0;
  await Promise.all(Array.from({ length: 12 }, async (_, i) => {
    while (Date.now() < began + FLOOD_MS) {
      const node = nodes[i % nodes.length];
      const answer = await request(node.port, 'POST', '/api/chat', { token: user.token, json: { message: 'again', agent_id: agent.id } });
      assert.ok([200, 429].includes(answer.status), `${answer.status} ${answer.text}`);
      if (answer.status === 200) taken++;
      else await sleep(20);
    }
  }));
  return { taken, given: A_MINUTE * (1 + (Date.now() - began) / 60000) };
}

async function revoke() {
  for (let i = 0; i < 20; i++) {
    const user = await first.user();
    const where = nodes[i % nodes.length];
    const isRefused = async (node) => (await request(node.port, 'GET', '/api/auth/me', { token: user.token })).status === 401;
    for (const node of nodes) assert.equal(await isRefused(node), false);
    assert.equal((await request(where.port, 'POST', '/api/auth/logout', { token: user.token })).status, 204);
    await withinASecond(async () => (await Promise.all(nodes.map(isRefused))).every(Boolean), 'a revoked token is refused everywhere');
  }
}

try {
  const agent = await first.admin.agent({ webhook_url: `http://127.0.0.1:${upstreamPort}/webhook/fake`, config: { context_messages: 1 } });
  const users = await Promise.all(Array.from({ length: USERS }, () => first.user()));
  const clients = Array.from({ length: streams }, (_, i) => {
    const tokens = Math.round(seconds / 2);
    const expected = Array.from({ length: tokens }, (__, k) => `${k ? ' ' : ''}s${i}ü${k}`).join('');
    return { user: users[i % USERS], key: randomUUID(), expected, content: `!delay=1000&text=${encodeURIComponent(expected)}`, text: '', isAcknowledged: false };
  });
  await inParallel(32, clients, async (client) => {
    client.chat = await client.user.chat(agent);
  });

  const began = Date.now();
  const reading = clients.map(async (client, i) => {
    await sleep((i / streams) * seconds * 400); // the last ones begin after the kill
    await read(client, began + (seconds + 60) * 1000);
  });
  const all = Promise.all(reading);
  all.catch(() => {});
  await sleep(seconds * 350);
  await nodes[0].kill();
  await sleep(seconds * 150);
  const drained = nodes[1].halt().then(() => null, (error) => error);
  await all;
  const failure = await drained;
  if (failure) throw failure;
  const states = {};
  await inParallel(32, clients, async (client) => {
    const state = await check(client);
    states[state] = (states[state] ?? 0) + 1;
  });
  const doubled = first.database.query("select count(*) from (select content from messages where role = 'user' group by content having count(*) > 1) d");
  assert.equal(doubled, '0', 'a message is stored twice');
  assert.equal(first.database.query("select count(*) from messages where status = 'streaming'"), '0');
  console.log(`  ${streams} streams over three nodes behind nginx, one killed, one drained: ends as told ${JSON.stringify(seen.ends)}, as stored ${JSON.stringify(states)};`
    + ` ${seen.hops} changes of the connection, ${seen.refused} tries refused meanwhile; every message stored once`);
  assert.ok(seen.hops > streams, 'readers seldom came back');

  await nodes[0].listen();
  await nodes[1].listen();
  const { taken, given } = await flood();
  console.log(`  a limit of ${A_MINUTE} a minute, asked of three nodes: ${taken} let through, ${given.toFixed(0)} given (${((100 * taken) / given - 100).toFixed(1)} %)`);
  assert.ok(Math.abs(taken - given) <= 0.05 * given, 'the limit does not hold within 5 %');
  await revoke();
  console.log('  20 revoked tokens were refused by all three nodes within a second');
  for (const node of nodes.slice(1)) await node.halt();
  await first.stop();
} finally {
  for (const node of [...nodes].reverse()) node.drop();
  await nginx.close();
  fake.kill();
}
