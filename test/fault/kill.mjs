// kill -9 under 50 writers, N times: what was acknowledged is in the database once, what was not is repeated with its key and then
// there once, and a partial reply is marked and at most a second behind.
// Run by `node test/tools/run.mjs --script test/fault/kill.mjs [N]`; AERIE_TEST_DB chooses the database.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { startUpstream } from '../fake/upstream.mjs';
import { Aerie } from '../tools/aerie.mjs';
import { EventStream } from '../tools/http.mjs';

const rounds = Number(process.argv[2] ?? 20);
const WRITERS = 50;
/** turn.checkpoint_ms, and for the write and for what was under way to us. */
const BEHIND_MS = 1000 + 500;
const READY_MS = 2000;

/** All messages that were ever sent: {chat, content, key, isAcknowledged, reply: its id when it ended with done}. */
const all = [];
const seen = { acknowledged: 0, repeated: 0, settled: 0, marked: 0, old: 0, behind: 0 };
const ready = [];

/** Sends messages until the server dies under it, and hands back what it sent. */
async function write(aerie, chat, index, isOver) {
  const sent = [];
  const isLong = index < WRITERS / 2;
  for (let i = 0; !isOver(); i++) {
    const length = isLong ? 'tokens=300&delay=20' : `tokens=${2 + (index % 8)}&delay=${5 + (i % 4) * 5}`;
    const entry = { chat, content: `!${length}&id=${all.length}`, key: randomUUID(), isAcknowledged: false, text: '', reply: null, looks: [] };
    sent.push(entry);
    all.push(entry);
    try {
      const stream = await aerie.admin.send(chat, entry.content, { headers: { 'Idempotency-Key': entry.key } });
      if (!(stream instanceof EventStream)) throw Object.assign(new Error(`${stream.status} ${stream.text}`), { isOurs: true });
      await stream.until((s) => s.events.length > 0).then(() => (entry.isAcknowledged = true), () => {});
      const look = setInterval(() => entry.looks.push({ at: Date.now(), length: stream.text.length }), 50);
      await stream.ended.finally(() => clearInterval(look));
      entry.text = stream.text;
      entry.reply = stream.done?.message_id ?? null;
    } catch (error) {
      if (error.isOurs) throw error;
    }
    if (!entry.reply) break;
  }
  return sent;
}

/** What was not answered to its end is sent again with its key, as a client would; one that runs anew is stopped, to save time. */
async function repeat(aerie, entry) {
  const stream = await aerie.admin.send(entry.chat, entry.content, { headers: { 'Idempotency-Key': entry.key } });
  assert.ok(stream instanceof EventStream, `the same key again: ${stream.status} ${stream.text}`);
  await stream.until((s) => s.events.length > 0);
  if (!stream.closed) await aerie.admin.post(`/api/chats/${entry.chat.id}/stop`);
  await stream.ended;
  assert.equal(stream.of('done').length + stream.of('error').length, 1, 'the same key again has one end');
  entry.isAcknowledged = true;
  seen.repeated++;
}

function checkPartial(entry, reply, killedAt) {
  assert.equal(reply.status, 'interrupted');
  assert.ok(entry.text.startsWith(reply.content) || reply.content.startsWith(entry.text), 'another text');
  const due = entry.looks.findLast(({ at }) => at < killedAt - BEHIND_MS)?.length ?? 0;
  assert.ok(reply.content.length >= due, `${reply.content.length} characters are there, ${due} were a second and a half before the end`);
  seen.behind = Math.max(seen.behind, entry.text.length - reply.content.length);
  if (due > 0) seen.old++;
  seen.marked++;
}

async function check(aerie, chat, sent, killedAt) {
  const messages = await aerie.admin.messages(chat);
  assert.ok(messages.length < 200, 'a page holds them');
  assert.ok(messages.every((m) => m.status !== 'streaming'), 'a reply still says streaming');
  for (const entry of sent) {
    const at = messages.findIndex((m) => m.role === 'user' && m.content === entry.content);
    if (entry.isAcknowledged) {
      seen.acknowledged++;
      assert.ok(at >= 0, `an acknowledged message is lost: ${entry.content}`);
    }
    if (at < 0) continue;
    if (!entry.isAcknowledged) seen.settled++;
    const reply = messages[at + 1];
    assert.equal(reply?.role, 'assistant', 'a message and the place of its reply are stored together');
    if (entry.reply) assert.deepEqual([reply.id, reply.content, reply.status], [entry.reply, entry.text, 'complete'], 'an acknowledged reply is lost');
    else if (reply.status !== 'complete') checkPartial(entry, reply, killedAt);
  }
  const open = sent.filter((entry) => !entry.reply);
  for (const entry of open) await repeat(aerie, entry);
}

/** Around the server: each message that was ever acknowledged is one row. */
function compareWithDatabase(database) {
  const counts = new Map();
  for (let page = 0, rows; rows !== ''; page++) {
    rows = database.query(`select content from messages where role = 'user' order by id limit 5000 offset ${page * 5000}`);
    for (const content of rows.split('\n')) counts.set(content, (counts.get(content) ?? 0) + 1);
  }
  for (const entry of all) {
    const count = counts.get(entry.content) ?? 0;
    assert.ok(count <= 1, `${entry.content} is there ${count} times`);
    assert.ok(count === 1 || !entry.isAcknowledged, `${entry.content} was acknowledged and is lost`);
  }
  assert.equal(database.query("select count(*) from messages where status = 'streaming'"), '0');
}

const upstream = await startUpstream({ keep: false });
const aerie = await Aerie.start();
try {
  const agent = await aerie.admin.agent({ webhook_url: upstream.url(), config: { context_messages: 2 } });
  for (let round = 0; round < rounds; round++) {
    const chats = await Promise.all(Array.from({ length: WRITERS }, () => aerie.admin.chat(agent)));
    let over = false;
    const running = chats.map((chat, index) => write(aerie, chat, index, () => over));
    await sleep(300 + ((round * 337) % 2700));
    const killedAt = Date.now();
    await aerie.kill();
    over = true;
    const sent = await Promise.all(running);
    const began = Date.now();
    await aerie.listen();
    ready.push(Date.now() - began);
    await Promise.all(chats.map((chat, i) => check(aerie, chat, sent[i], killedAt))).catch((error) => {
      throw new Error(`round ${round}: ${error.message}`, { cause: error });
    });
  }
  compareWithDatabase(aerie.database);
  await aerie.stop();
  ready.sort((a, b) => a - b);
  const median = ready[Math.floor(ready.length / 2)];
  console.log(`  ${rounds} kills on ${aerie.database.kind} under ${WRITERS} writers: ${all.length} messages, ${seen.acknowledged} acknowledged before, none lost or doubled;`
    + ` ${seen.repeated} repeated with their key, ${seen.settled} of them were stored without an answer; ${seen.marked} partial replies marked, at most ${seen.behind} characters behind;`
    + ` ready again within ${median} ms, at most ${ready.at(-1)} ms`);
  assert.ok(median <= READY_MS, `ready again after ${median} ms`);
  assert.ok(seen.marked >= rounds, `only ${seen.marked} partial replies were seen`);
  assert.ok(seen.old >= rounds - 5, `only ${seen.old} of them were old enough to have been written`);
} finally {
  aerie.drop();
  await upstream.close();
}
