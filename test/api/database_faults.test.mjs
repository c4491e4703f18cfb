// PostgreSQL stopped, frozen, restarted, its connections terminated, reset, cut, stalled and slowed, under messages and streams.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { startProxy } from '../fault/proxy.mjs';
import { startUpstream } from '../fake/upstream.mjs';
import { Aerie } from '../tools/aerie.mjs';
import { kind } from '../tools/database.mjs';
import { EventStream } from '../tools/http.mjs';
import { ROLE, sql, sqlBeside, startPgbouncer, startPostgres } from '../tools/postgres.mjs';
import { until } from '../tools/until.mjs';

const skip = kind === 'sqlite' && 'SQLite has no server that could go; disk_faults.test.mjs has its faults';
const WAIT_MS = 2000; // database.wait_ms
const STATEMENT_MS = 5000; // database.statement_ms
/** PgBouncer takes and holds what it cannot pass on: that is a statement that takes too long. */
const AWAY_MS = kind === 'pgbouncer' ? STATEMENT_MS + WAIT_MS : WAIT_MS;
const SLOW_LINK_MS = 1200; // each answer comes so late
const SLACK_MS = 700; // for a busy machine
const LOOPS = 2;
const CONNECTIONS = LOOPS * 3 + 1;

let upstream;
let postgres;
let bouncer;
let proxy;
let aerie;
let agent;
before(async () => {
  if (skip) return;
  upstream = await startUpstream();
  postgres = await startPostgres({ isQuiet: true });
  sql(postgres.port, 'postgres', 'create database faulty');
  // As docs/operations.md tells those who have a pooler; without one the server asks for it itself.
  if (kind === 'pgbouncer') sql(postgres.port, 'postgres', `alter role ${ROLE} set client_connection_check_interval = '1s'`);
  if (kind === 'pgbouncer') bouncer = await startPgbouncer(postgres.port);
  proxy = await startProxy({ port: (bouncer ?? postgres).port });
  const url = (port) => `postgresql://${ROLE}@127.0.0.1:${port}/faulty`;
  aerie = new Aerie({ env: { DATABASE_URL: url(postgres.port) } });
  aerie.prepare(); // not through the proxy, which stands still while a command is waited for
  aerie.env.DATABASE_URL = url(proxy.port);
  await aerie.listen();
  await aerie.makeAdmin();
  agent = await aerie.admin.agent({ webhook_url: upstream.url() });
});
after(async () => {
  await aerie?.stop();
  await proxy?.close();
  await bouncer?.stop();
  await postgres?.stop();
  await upstream?.close();
});

const query = (statement) => sql(postgres.port, 'faulty', statement);
const signalAll = (signal) => {
  for (const pid of postgres.processes())
    try {
      process.kill(pid, signal);
    } catch {
      // it has ended meanwhile
    }
};

async function timed(run) {
  const began = performance.now();
  const result = await run();
  return { result, ms: performance.now() - began };
}

/** Waits until messages work again; fails past five seconds. */
async function isNormalWithin5s({ admin } = aerie) {
  const began = performance.now();
  for (;;) {
    const chat = await admin.post('/api/chats', { agent_id: agent.id });
    if (chat.status === 201) {
      const stream = await admin.send(chat.json, '!tokens=2');
      if (stream instanceof EventStream && (await stream.whole()).done) break;
    }
    assert.ok(performance.now() - began < 5000, 'normal again within 5 s');
    await sleep(50);
  }
  return performance.now() - began;
}

/** A 503 that says when to come again, in time. */
function refused({ result: answer, ms }, limit = AWAY_MS) {
  assert.equal(answer.status, 503, answer.text);
  assert.match(answer.headers['retry-after'] ?? '', /^\d+$/);
  assert.ok(ms < limit + SLACK_MS, `${Math.round(ms)} ms`);
}

async function settled(chat, within = 6000) {
  const deadline = performance.now() + within;
  for (;;) {
    const rows = query(`select role, status, content from messages where chat_id = '${chat.id}' order by seq`);
    if (!/\|streaming\|/.test(rows)) return rows.split('\n').filter(Boolean).map((row) => row.split('|'));
    assert.ok(performance.now() < deadline, `a reply still says streaming: ${rows}`);
    await sleep(50);
  }
}

test('while_the_database_is_stopped_requests_get_503_within_two_seconds_and_no_agent_is_asked', { skip }, async () => {
  const chat = await aerie.admin.chat(agent);
  const asked = upstream.requests.length;
  await postgres.halt();
  const accepted = proxy.accepted;
  const began = performance.now();
  for (let i = 0; i < 2; i++) {
    const answers = await Promise.all([
      ...Array.from({ length: 20 }, () => timed(() => aerie.admin.send(chat, 'hello', { headers: { 'Idempotency-Key': randomUUID() } }))),
      timed(() => aerie.admin.get('/api/chats')),
      timed(() => aerie.admin.post('/api/chat', { message: 'hello' })),
    ]);
    const busy = answers.filter(({ result }) => result.status === 409); // one turn at a time in a chat: it waits for the database
    assert.ok(busy.length <= 19);
    for (const answer of answers) if (!busy.includes(answer)) refused(answer);
  }
  assert.equal((await aerie.request('GET', '/health')).status, 200);
  assert.equal((await aerie.request('GET', '/health/ready')).status, 503);
  assert.equal(upstream.requests.length, asked, 'nothing is sent to an agent');
  const seconds = (performance.now() - began) / 1000;
  const attempts = proxy.accepted - accepted;
  await postgres.start();
  const ms = await isNormalWithin5s();
  // Pauses double from 50 ms to 2 s, less a random half.
  assert.ok(attempts <= CONNECTIONS * (8 + seconds), `${attempts} attempts in ${seconds.toFixed(1)} s`);
  console.log(`    ${attempts} attempts to connect in ${seconds.toFixed(1)} s, normal again after ${Math.round(ms)} ms`);
});

test('text_flows_on_while_the_database_is_away_and_is_stored_when_it_is_back', { skip }, async () => {
  const chat = await aerie.admin.chat(agent);
  const stream = await aerie.admin.send(chat, '!tokens=40&delay=30');
  await stream.until((s) => s.of('message').length > 2);
  await postgres.halt();
  await stream.until((s) => s.text.endsWith('tok39'));
  await sleep(1000);
  assert.equal(stream.done, undefined, 'done only when stored');
  await postgres.start();
  await stream.whole();
  assert.ok(stream.done, JSON.stringify(stream.events.at(-1)));
  assert.deepEqual((await settled(chat)).at(-1), ['assistant', 'complete', stream.text]);
  await isNormalWithin5s();
});

test('a_reply_that_cannot_be_stored_ends_with_not_saved_and_is_settled_when_the_database_is_back', { skip }, async () => {
  const chat = await aerie.admin.chat(agent);
  const stream = await aerie.admin.send(chat, '!tokens=10&delay=30');
  await stream.until((s) => s.of('message').length > 2);
  await postgres.halt();
  await stream.until((s) => s.text.endsWith('tok9'));
  const { ms } = await timed(() => stream.whole());
  assert.equal(stream.of('error')[0]?.data.code, 'not_saved', JSON.stringify(stream.events.at(-1)));
  assert.ok(ms > 4000 && ms < 5000 + WAIT_MS + SLACK_MS, `${Math.round(ms)} ms`);
  await postgres.start();
  await isNormalWithin5s();
  assert.deepEqual((await settled(chat)).at(-1), ['assistant', 'complete', stream.text], 'without a restart');
});

test('a_frozen_database_is_given_up_after_the_statements_time', { skip }, async () => {
  const chat = await aerie.admin.chat(agent);
  const running = await aerie.admin.send(await aerie.admin.chat(agent), '!tokens=300&delay=50'); // longer than it is frozen
  await running.until((s) => s.of('message').length > 2);
  const asked = upstream.requests.length;
  signalAll('SIGSTOP');
  try {
    const told = running.text.length;
    const answers = await Promise.all([timed(() => aerie.admin.send(chat, 'hello')), timed(() => aerie.admin.get('/api/chats'))]);
    for (const answer of answers) refused(answer, STATEMENT_MS + WAIT_MS);
    // Each loop finds it out with a connection of its own; then it knows.
    let later;
    for (let i = 0; i < LOOPS && !(later?.ms < AWAY_MS + SLACK_MS); i++) {
      later = await timed(() => aerie.admin.get('/api/chats'));
      refused(later, STATEMENT_MS + WAIT_MS);
    }
    refused(later);
    assert.ok(running.text.length > told, 'text flows on');
    assert.equal(upstream.requests.length, asked);
  } finally {
    signalAll('SIGCONT');
  }
  await isNormalWithin5s();
  assert.ok((await running.whole()).done);
});

test('connections_that_are_terminated_cost_no_reply', { skip }, async () => {
  const streams = await Promise.all(Array.from({ length: 10 }, async () => aerie.admin.send(await aerie.admin.chat(agent), '!tokens=30&delay=30')));
  await Promise.all(streams.map((stream) => stream.until((s) => s.of('message').length > 2)));
  for (let i = 0; i < 3; i++) {
    query("select count(pg_terminate_backend(pid)) from pg_stat_activity where datname = 'faulty' and pid <> pg_backend_pid()");
    await sleep(200);
  }
  for (const stream of streams) assert.ok((await stream.whole()).done, JSON.stringify(stream.events.at(-1)));
  await isNormalWithin5s();
});

/** Sends one message until it is done, as a client with a key does; how often it was refused. */
async function insist(chat, content) {
  const headers = { 'Idempotency-Key': randomUUID() };
  for (let refusals = 0; ; refusals++) {
    assert.ok(refusals < 100, 'it does not come through');
    try {
      const stream = await aerie.admin.send(chat, content, { headers });
      if (stream instanceof EventStream) {
        await stream.ended;
        if (stream.done) return refusals;
      } else {
        assert.equal(stream.status, 503, stream.text);
      }
    } catch (error) {
      if (error.code === 'ERR_ASSERTION') throw error;
    }
    await sleep(100);
  }
}

test('ten_writers_get_each_message_stored_once_while_connections_are_reset_and_the_server_is_restarted', { skip }, async () => {
  const chats = await Promise.all(Array.from({ length: 10 }, () => aerie.admin.chat(agent)));
  let isOver = false;
  let refusals = 0;
  const writers = chats.map(async (chat) => {
    const sent = [];
    while (!isOver) {
      sent.push(`!tokens=2&id=${sent.length}`);
      refusals += await insist(chat, sent.at(-1));
    }
    return sent;
  });
  for (let i = 0; i < 20; i++) {
    await sleep(40 + ((i * 37) % 90));
    if (i % 2) proxy.reset();
    else proxy.cut();
  }
  await postgres.halt();
  await postgres.start();
  await sleep(500);
  isOver = true;
  const all = await Promise.all(writers);
  for (const [i, sent] of all.entries()) {
    const rows = await settled(chats[i]);
    assert.deepEqual(rows.filter(([role]) => role === 'user').map(([, , content]) => content), sent);
    assert.equal(rows.filter(([role]) => role === 'assistant').length, sent.length);
  }
  console.log(`    ${all.flat().length} messages, ${refusals} refusals`);
});

/** Lets a message be committed, and keeps the answer from the server. */
async function commitUnseen(send) {
  query("create function wait_a_bit() returns trigger language plpgsql as $$begin perform pg_sleep(0.4); return new; end$$; create trigger wait_a_bit before insert on messages for each row when (new.role = 'user') execute function wait_a_bit()");
  try {
    const answer = send();
    for (;;) {
      await sleep(10);
      if (query("select count(*) from pg_stat_activity where wait_event = 'PgSleep'") !== '0') break;
    }
    proxy.set({ down: { stall: 0 } });
    await sleep(600);
    return { answer };
  } finally {
    query('drop trigger wait_a_bit on messages; drop function wait_a_bit');
  }
}

test('a_commit_whose_answer_is_lost_is_found_again_and_is_one_row', { skip }, async () => {
  for (const key of [{ 'Idempotency-Key': randomUUID() }, {}]) {
    const chat = await aerie.admin.chat(agent);
    const { answer } = await commitUnseen(() => aerie.admin.send(chat, '!tokens=3', { headers: key }));
    assert.equal(query(`select count(*) from messages where chat_id = '${chat.id}'`), '2', 'it is committed');
    proxy.reset();
    proxy.set();
    assert.ok((await (await answer).whole()).done);
    assert.deepEqual(await settled(chat), [['user', 'complete', '!tokens=3'], ['assistant', 'complete', 'tok0 tok1 tok2']]);
  }
});

test('a_commit_that_stays_unknown_past_the_wait_is_settled_later_and_the_same_key_is_answered_once', { skip }, async () => {
  const [chat, keyless] = [await aerie.admin.chat(agent), await aerie.admin.chat(agent)];
  const headers = { 'Idempotency-Key': randomUUID() };
  const { answer } = await commitUnseen(() => Promise.all([timed(() => aerie.admin.send(chat, '!tokens=3', { headers })), timed(() => aerie.admin.send(keyless, '!tokens=3'))]));
  await proxy.refuse();
  proxy.reset();
  proxy.set();
  const asked = upstream.requests.length;
  for (const one of await answer) refused(one, 600 + 400 + 2 * WAIT_MS);
  assert.equal(upstream.requests.length, asked);
  await sleep(1000);
  await proxy.listen();
  await isNormalWithin5s();
  await settled(keyless);
  let again; // either loop may be the later one to be back
  await until(async () => (again = await aerie.admin.send(chat, '!tokens=3', { headers })) instanceof EventStream, () => `again: ${again.status} ${again.text}`, 5000);
  assert.ok((await again.whole()).done, JSON.stringify(again.events.at(-1)));
  assert.deepEqual(await settled(chat), [['user', 'complete', '!tokens=3'], ['assistant', 'complete', 'tok0 tok1 tok2']]);
});

test('a_connection_whose_answers_come_one_byte_at_a_time_works', { skip }, async () => {
  proxy.set({ down: { piece: 1 }, up: { piece: 100 } });
  try {
    proxy.reset();
    await isNormalWithin5s();
    const chat = await aerie.admin.chat(agent);
    assert.ok((await aerie.admin.ask(chat, `!tokens=5&pad=${'x'.repeat(2000)}`)).done);
  } finally {
    proxy.set();
  }
});

test('a_connection_that_stalls_while_it_is_made_is_given_up', { skip }, async () => {
  proxy.set({ down: { stall: 0 } });
  proxy.reset();
  refused(await timed(() => aerie.admin.get('/api/chats')));
  await sleep(2000);
  proxy.set();
  await isNormalWithin5s();
});

test('a_slow_link_gets_its_connections_when_database_connect_ms_allows_it', { skip }, async () => {
  const MS = { DATABASE__CONNECT_MS: 30000, DATABASE__WAIT_MS: 30000, DATABASE__STATEMENT_MS: 30000 };
  const patient = new Aerie({ env: { ...aerie.env, ...MS } });
  try {
    await patient.listen();
    proxy.set({ down: { delay: SLOW_LINK_MS } });
    proxy.reset();
    const { result, ms } = await timed(() => patient.client(aerie.admin.token).get('/api/chats'));
    assert.equal(result.status, 200);
    assert.ok(ms > 3000, `the default would have done: ${ms} ms`);
    proxy.set();
    await patient.halt();
  } finally {
    proxy.set();
    patient.drop();
  }
  await isNormalWithin5s();
});

/** A server of little patience beside the first, so that many faults take little time. */
async function withHasty(run) {
  const hasty = new Aerie({ env: { ...aerie.env, DATABASE__WAIT_MS: 200, DATABASE__STATEMENT_MS: 1000 } });
  try {
    await hasty.listen();
    hasty.admin = hasty.client(aerie.admin.token);
    await run(hasty);
    await hasty.halt();
  } finally {
    hasty.drop();
  }
}

test('a_lock_that_holds_everything_up_costs_statements_their_time_and_does_not_pile_up_connections', { skip }, () =>
  withHasty(async (hasty) => {
    await isNormalWithin5s(hasty);
    const chat = await hasty.admin.chat(agent);
    const held = sqlBeside(postgres.port, 'faulty', 'lock table messages; select pg_sleep(6)');
    await sleep(300);
    const ours = Number(query("select count(*) from pg_stat_activity where datname = 'faulty' and application_name = 'aerie'"));
    const began = performance.now();
    let most = 0;
    while (performance.now() - began < 5000) {
      const answers = await Promise.all([timed(() => hasty.admin.get(`/api/chats/${chat.id}/messages`)), timed(() => hasty.admin.get('/api/chats?q=word')), sleep(200)]);
      for (const answer of answers.slice(0, 2)) refused(answer, 1000 + 200);
      most = Math.max(most, Number(query("select count(*) from pg_stat_activity where datname = 'faulty' and application_name = 'aerie'")));
    }
    await held;
    await isNormalWithin5s(hasty);
    // Each of the three connections of each loop and the node's own, and the one before it for the second until the server has noticed.
    assert.ok(most <= ours + CONNECTIONS + 1, `${most} connections, ${ours} before`);
    console.log(`    ${most} connections at most, ${ours} before`);
  }));

test('connections_cut_after_any_number_of_bytes_or_turned_over_heal', { skip }, () =>
  withHasty(async (hasty) => {
    for (const fault of ['cut', 'reset', 'corrupt', 'stall']) {
      for (const n of [0, 1, 5, 50, 300, 1000, 5000]) {
        proxy.set({ down: { [fault]: n } });
        proxy.reset();
        const answer = await hasty.admin.get('/api/chats?limit=1');
        assert.ok([200, 503].includes(answer.status), `${fault} after ${n}: ${answer.status} ${answer.text}`);
      }
    }
    proxy.set();
    proxy.reset();
    await isNormalWithin5s(hasty);
    await isNormalWithin5s();
  }));
