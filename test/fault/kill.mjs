// kill -9 in mid-stream, N times: what was acknowledged is there, the partial reply is marked and at most a second behind, the same key
// gives one message.
// Run by `node test/tools/run.mjs --script test/fault/kill.mjs [N]`; AERIE_TEST_DB chooses the database.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { startUpstream } from '../fake/upstream.mjs';
import { Aerie } from '../tools/aerie.mjs';
import { EventStream } from '../tools/http.mjs';

const rounds = Number(process.argv[2] ?? 20);
const writers = 10;
const upstream = await startUpstream({ keep: false });
const aerie = await Aerie.start();
const agent = await aerie.admin.agent({ webhook_url: upstream.url(), config: { context_messages: 2 } });
const chats = await Promise.all(Array.from({ length: writers }, () => aerie.admin.chat(agent)));

/** What each writer knows to be stored: chat → [{content, reply: {id, text} | null}]. */
const known = new Map(chats.map((chat) => [chat.id, []]));
let marked = 0;
let old = 0;
let killedAt;
let acknowledged = 0;
let behind = 0;
/** turn.checkpoint_ms, and for the write and for what was under way to us. */
const BEHIND_MS = 1000 + 500;
let slowest = 0;

/** Sends messages until the server dies under it. */
async function write(chat, round, isOver) {
  for (let i = 0; !isOver(); i++) {
    const isLong = chats.indexOf(chat) < writers / 2;
    const content = `!tokens=${isLong ? 1000 : 20 + i}&delay=${5 + (i % 4) * 5}&r=${round}.${i}`;
    const headers = { 'Idempotency-Key': randomUUID() };
    const entry = { content, key: headers['Idempotency-Key'], is_sure: false, text: '', reply: null, seen: [] };
    try {
      const stream = await aerie.admin.send(chat, content, { headers });
      if (!(stream instanceof EventStream)) {
        if (stream.status === 200 || stream.status >= 500) continue;
        throw Object.assign(new Error(`round ${round}: ${stream.status} ${stream.text}`), { isOurs: true });
      }
      known.get(chat.id).push(entry);
      await stream.until((s) => s.events.length > 0).then(() => (entry.is_sure = true), () => {});
      const look = setInterval(() => entry.seen.push({ at: Date.now(), length: stream.text.length }), 20);
      await stream.ended.finally(() => clearInterval(look));
      entry.text = stream.text;
      entry.reply = stream.done ?? null;
    } catch (error) {
      if (error.isOurs) throw error;
      if (!known.get(chat.id).includes(entry)) known.get(chat.id).push(entry);
      return;
    }
  }
}

async function check(chat, round) {
  const messages = [];
  for (let before = ''; ; before = `&before=${messages[0].id}`) {
    const page = await aerie.admin.messages(chat, `?limit=200${before}`);
    messages.unshift(...page);
    if (page.length < 200) break;
  }
  assert.ok(messages.every((m) => m.status !== 'streaming'), `round ${round}: a reply still says streaming`);
  for (const entry of known.get(chat.id)) {
    const at = messages.findIndex((m) => m.role === 'user' && m.content === entry.content);
    assert.equal(messages.filter((m) => m.content === entry.content).length <= 1, true, `round ${round}: doubled ${entry.content}`);
    if (entry.is_sure) {
      acknowledged++;
      assert.ok(at >= 0, `round ${round}: an acknowledged message is lost: ${entry.content}`);
    }
    if (at < 0) continue;
    const reply = messages[at + 1]?.role === 'assistant' ? messages[at + 1] : null;
    if (entry.reply) {
      assert.equal(reply?.id, entry.reply.message_id, `round ${round}: an acknowledged reply is lost`);
      assert.deepEqual([reply.content, reply.status], [entry.text, 'complete']);
    } else if (reply && reply.status !== 'complete') {
      assert.equal(reply.status, 'interrupted', `round ${round}`);
      assert.ok(entry.text.startsWith(reply.content) || reply.content.startsWith(entry.text), `round ${round}: another text`);
      const due = entry.seen.findLast(({ at }) => at < killedAt - BEHIND_MS)?.length ?? 0;
      assert.ok(reply.content.length >= due, `round ${round}: ${reply.content.length} characters are there, ${due} were a second and a half before the end`);
      behind = Math.max(behind, entry.text.length - reply.content.length);
      if (due > 0) old++;
      marked++;
    }
  }
  known.set(chat.id, []);
}

try {
  for (let round = 0; round < rounds; round++) {
    let over = false;
    const running = chats.map((chat) => write(chat, round, () => over));
    await sleep(300 + ((round * 337) % 2700));
    over = true;
    killedAt = Date.now();
    await aerie.kill();
    await Promise.all(running);
    const began = Date.now();
    await aerie.listen();
    slowest = Math.max(slowest, Date.now() - began);
    for (const chat of chats) await check(chat, round);
  }
  await aerie.stop();
  console.log(`  ${rounds} kills on ${aerie.database.kind}: ${acknowledged} acknowledged messages, none lost or doubled; ${marked} partial replies marked, at most ${behind} characters behind; ready again within ${slowest} ms`);
  assert.ok(marked >= rounds / 2, `only ${marked} partial replies were seen`);
  assert.ok(old >= rounds / 4, `only ${old} of them were old enough to have been written`);
} finally {
  aerie.drop();
  await upstream.close();
}
