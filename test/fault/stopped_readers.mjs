// N readers, each of a long reply of its own, that stop reading when it begins: none costs the server more than one that reads, but for what its
// connection may hold (limits.output_bytes), and after limits.write_seconds none is left. Of a build without sanitizers.
// node test/tools/run.mjs --script test/fault/stopped_readers.mjs [N].
import assert from 'node:assert/strict';
import { once } from 'node:events';
import net from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { startUpstream } from '../fake/upstream.mjs';
import { Aerie, inParallel } from '../tools/aerie.mjs';
import { connectionsTo, privateMemory } from '../tools/kernel.mjs';
import { until } from '../tools/until.mjs';

const readers = Number(process.argv[2] ?? 1000);
const TEXT_BYTES = 400 * 1024;
const OUTPUT_BYTES = 64 * 1024;
const WRITE_SECONDS = Math.max(30, readers * 0.05);
/** The page that an allocation of 64 KiB goes over by. */
const PAGE_BYTES = 4096;

const upstream = await startUpstream({ keep: false });
const PIECE = 'It goes on and on. '.repeat(50);
const piece = `${JSON.stringify({ type: 'item', content: PIECE })}\n`;
const pieces = Math.ceil(TEXT_BYTES / PIECE.length);
let said = 0;
upstream.handle('/webhook/long', async (request, socket) => {
  socket.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n');
  for (let i = 0; i < pieces; i++) if (!socket.write(`${piece.length.toString(16)}\r\n${piece}\r\n`)) await Promise.race([once(socket, 'drain'), once(socket, 'close')]);
  said++; // and the reply stays open
});

/** A server, and a reader of each chat's reply; stops: it takes nothing after its request. What each costs, in bytes, when the agent has said all. */
async function measure(stops) {
  const aerie = await Aerie.start({ env: { LIMITS__WRITE_SECONDS: WRITE_SECONDS, SERVER__WORKERS: 1, TURN__KEEP_MS: 1 } });
  const sockets = [];
  try {
    const agent = await aerie.admin.agent({ webhook_url: upstream.url({}, '/webhook/long'), config: { context_messages: 1, on_disconnect: 'abort' } });
    const chats = [];
    await inParallel(16, Array.from({ length: readers }), async () => chats.push(await aerie.admin.chat(agent)));
    const left = () => connectionsTo(aerie.port).length;
    const memory = () => privateMemory(aerie.child.pid);
    const before = memory();
    said = 0;
    await inParallel(32, chats, async (chat) => {
      const socket = net.connect(aerie.port, '127.0.0.1').on('error', () => {});
      sockets.push(socket);
      if (stops) socket.pause();
      else socket.resume();
      await once(socket, 'connect');
      const body = '{"content":"Hello"}';
      socket.write(`POST /api/chats/${chat.id}/messages HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${aerie.admin.token}\r\nAccept: text/event-stream\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`);
    });
    await until(() => said === readers, () => `the agent could say ${said} of ${readers}`, WRITE_SECONDS * 2000);
    const unread = () => connectionsTo(aerie.port).reduce((sum, one) => sum + one.unsent, 0);
    let unsent;
    let at;
    do { // until nothing moves any more
      [unsent, at] = [unread(), memory()];
      await sleep(500);
    } while (unsent !== unread() || at !== memory());
    const held = memory();
    assert.ok(left() >= readers, `${left()} of ${readers} are there`);
    if (!stops) for (const socket of sockets) socket.destroy();
    await until(() => left() === 0, () => `${left()} of ${readers} are left`, WRITE_SECONDS * 2000 + 5000);
    await until(() => memory() - before < (held - before) / 4, () => `${memory() - before} bytes of ${held - before} are kept when all have gone`, 15000);
    const after = memory();
    await aerie.stop();
    const each = (bytes) => Math.round(bytes / readers);
    return { held: each(held - before), kernel: each(unsent), after: each(after - before) };
  } finally {
    for (const socket of sockets) socket.destroy();
    aerie.drop();
  }
}

try {
  const reading = await measure(false);
  const stopped = await measure(true);
  console.log(`  ${readers} readers of a reply of ${Math.round((pieces * PIECE.length) / 1024)} KiB: ${reading.held} bytes for each that reads, ${stopped.held} for each that stops ` +
    `(and ${stopped.kernel} in the kernel); ${stopped.after} for each when they were cut`);
  assert.ok(stopped.kernel > 4096, 'nothing waits: they did not stop');
  assert.ok(stopped.held <= reading.held + OUTPUT_BYTES + PAGE_BYTES, 'one that stops costs more than the text and what its connection may hold');
} finally {
  await upstream.close();
}
