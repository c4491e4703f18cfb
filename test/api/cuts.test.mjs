// Harm between client and server: a stream or a socket that is cut, reset, stalled or written in single bytes, at any byte. Who
// comes back gets the rest, once and in order; the message is stored once or, where it did not arrive whole, not at all.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { startProxy } from '../fault/proxy.mjs';
import { startUpstream } from '../fake/upstream.mjs';
import { Aerie, inParallel } from '../tools/aerie.mjs';
import { EventStream, openStream, textOf } from '../tools/http.mjs';
import { openSocket } from '../tools/socket.mjs';

const everywhere = process.env.AERIE_TEST_SPLITS === 'all';
const WORKERS = 16;
const TEXT = 'Grüße 🎉 to you and all';
const CONTENT = `!delay=3&text=${encodeURIComponent(TEXT)}`;

let aerie;
let upstream;
let agent;
let user;
let lines; // a proxy for each worker
before(async () => {
  upstream = await startUpstream({ keep: false });
  aerie = await Aerie.start();
  agent = await aerie.admin.agent({ webhook_url: upstream.url(), config: { context_messages: 1 } });
  user = await aerie.user();
  lines = await Promise.all(Array.from({ length: WORKERS }, () => startProxy({ port: aerie.port })));
});
after(async () => {
  await Promise.all((lines ?? []).map((proxy) => proxy.close()));
  await aerie?.stop();
  await upstream?.close();
});

const number = (id) => Number(id.split(':')[1]);

/** Two parts of one turn's events are its text, with one end, in order. */
function checkParts(first, rest, where) {
  const events = [...first, ...rest];
  for (let i = 1; i < events.length; i++) assert.ok(number(events[i].id) > number(events[i - 1].id), `${where}: ${events[i].id} after ${events[i - 1].id}`);
  assert.equal(textOf(events), TEXT, where);
  assert.deepEqual(events.filter((e) => ['done', 'error'].includes(e.type)).map((e) => e.type), ['done'], where);
}

async function checkHistory(chat, where) {
  const messages = await user.messages(chat);
  assert.deepEqual(messages.map((m) => [m.role, m.content, m.status]), [['user', CONTENT, messages[0].status], ['assistant', TEXT, 'complete']], where);
}

/** Sends the message through the proxy: its stream, or null where the connection broke before the answer. */
function sendThrough(proxy, chat, key) {
  const headers = { 'Idempotency-Key': key };
  return openStream(proxy.port, 'POST', `/api/chats/${chat.id}/messages`, { token: user.token, json: { content: CONTENT }, headers }).catch(() => null);
}

/** How many bytes go each way for one message. */
async function measure(run) {
  let passed;
  lines[0].set();
  lines[0].once('connection', (connection) => (passed = connection.passed));
  await run(lines[0]);
  return passed;
}

const places = (length, step) => Array.from({ length: Math.ceil(length / step) }, (_, i) => i * step);
const step = (n) => (everywhere ? 1 : n);

for (const harm of ['cut', 'reset'])
  test(`a_stream_that_is_${harm}_at_any_byte_is_resumed`, { timeout: 3_000_000 }, async () => {
    const { down } = await measure(async (proxy) => (await sendThrough(proxy, await user.chat(agent), randomUUID())).whole());
    await inParallel(WORKERS, places(down, step(11)), async (at, worker) => {
      const where = `${harm} at ${at} of ${down}`;
      const chat = await user.chat(agent);
      lines[worker].set({ down: { [harm]: at } });
      const stream = await sendThrough(lines[worker], chat, randomUUID());
      await stream?.ended;
      const first = stream?.events ?? [];
      if (first.at(-1)?.type === 'done') return checkParts(first, [], where);
      const rest = await user.follow(chat, { lastId: first.at(-1)?.id });
      assert.equal(rest.status, 200, where);
      checkParts(first, (await rest.whole()).events, where);
      return checkHistory(chat, where);
    });
  });

test('a_request_that_is_cut_at_any_byte_is_stored_whole_or_not_at_all_and_once_when_sent_again', { timeout: 3_000_000 }, async () => {
  const { up } = await measure(async (proxy) => (await sendThrough(proxy, await user.chat(agent), randomUUID())).whole());
  const jobs = [...places(up, step(29)), up - 1, up];
  await inParallel(WORKERS, jobs.flatMap((at) => ['cut', 'reset'].map((harm) => ({ at, harm }))), async ({ at, harm }, worker) => {
    const where = `${harm} at ${at} of ${up}`;
    const chat = await user.chat(agent);
    const key = randomUUID();
    lines[worker].set({ up: { [harm]: at } });
    const stream = await sendThrough(lines[worker], chat, key);
    if (stream instanceof EventStream) await stream.ended;
    if (at < up) assert.deepEqual(await user.messages(chat), [], where);
    lines[worker].set();
    const again = await sendThrough(lines[worker], chat, key);
    if (again instanceof EventStream) await again.ended;
    else assert.equal(again?.status, 200, `${where}: ${again?.status} ${again?.text}`);
    await user.settledReply(chat);
    await checkHistory(chat, where);
  });
});

test('a_stream_in_single_bytes_and_one_that_stalls_are_whole', { timeout: 3_000_000 }, async () => {
  const { down } = await measure(async (proxy) => (await sendThrough(proxy, await user.chat(agent), randomUUID())).whole());
  lines[0].set({ up: { piece: 1 }, down: { piece: 1 } });
  checkParts((await (await sendThrough(lines[0], await user.chat(agent), randomUUID())).whole()).events, [], 'single bytes');
  await inParallel(WORKERS, places(down, step(67)), async (at, worker) => {
    const chat = await user.chat(agent);
    lines[worker].set({ down: { stall: at } });
    const sent = sendThrough(lines[worker], chat, randomUUID());
    await sleep(150); // the turn has ended by then, and its reader has not heard
    lines[worker].set();
    checkParts((await (await sent).whole()).events, [], `stall at ${at}`);
    await checkHistory(chat, `stall at ${at}`);
  });
});

/** Opens a socket through the proxy and asks: the socket, or null where it did not open. */
async function askThrough(proxy, chat) {
  const socket = await openSocket(proxy.port, { token: user.token }).catch(() => null);
  if (!socket?.send) return null;
  socket.send({ message: CONTENT, session_id: chat.id });
  await socket.until((s) => s.of('done').length > 0).catch(() => {});
  return socket;
}

/** Without the end of a session that the socket tells first. */
const ofTurn = (events) => events.filter((e) => e.id !== undefined);

for (const harm of ['cut', 'reset'])
  test(`a_websocket_that_is_${harm}_at_any_byte_is_resumed`, { timeout: 3_000_000 }, async () => {
    const { down } = await measure(async (proxy) => (await askThrough(proxy, await user.chat(agent))).ws.terminate());
    await inParallel(WORKERS, places(down, step(11)), async (at, worker) => {
      const where = `${harm} at ${at} of ${down}`;
      const chat = await user.chat(agent);
      lines[worker].set({ down: { [harm]: at } });
      const socket = await askThrough(lines[worker], chat);
      const first = ofTurn(socket?.events ?? []);
      lines[worker].reset();
      if (!socket) return assert.deepEqual(await user.messages(chat), [], where); // it did not open, so nothing was said
      if (first.at(-1)?.type === 'done') return checkParts(first, [], where);
      const back = await openSocket(aerie.port, { token: user.token });
      back.send({ type: 'resume', session_id: chat.id, ...(first.length ? { last_event_id: first.at(-1).id } : {}) });
      await back.until((s) => s.of('done').length > 0 || s.events[0]?.data.done === true);
      const messages = await user.messages(chat);
      if (messages.length === 0) assert.deepEqual(first, [], where); // cut before the message came
      else checkParts(first, ofTurn(back.events), where);
      return back.close();
    });
  });

test('a_websocket_in_single_bytes_and_one_that_stalls_are_whole', { timeout: 3_000_000 }, async () => {
  const { down } = await measure(async (proxy) => (await askThrough(proxy, await user.chat(agent))).ws.terminate());
  lines[0].set({ up: { piece: 1 }, down: { piece: 1 } });
  const slow = await askThrough(lines[0], await user.chat(agent));
  checkParts(ofTurn(slow.events), [], 'single bytes');
  slow.ws.terminate();
  await inParallel(WORKERS, places(down, step(67)), async (at, worker) => {
    const chat = await user.chat(agent);
    lines[worker].set({ down: { stall: at } });
    const asked = askThrough(lines[worker], chat);
    await sleep(150);
    lines[worker].set();
    const socket = await asked;
    checkParts(ofTurn(socket.events), [], `stall at ${at}`);
    socket.ws.terminate();
  });
});
