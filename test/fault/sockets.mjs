// N idle WebSockets on two loops, then a reply on each: tells the server's memory per socket, before and after.
// node test/tools/run.mjs --script test/fault/sockets.mjs [N].
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { Aerie, inParallel } from '../tools/aerie.mjs';
import { openSocket } from '../tools/socket.mjs';

const n = Number(process.argv[2] ?? 1000);
const aerie = await Aerie.start();

/** Private memory of the server in bytes: what it would give back if it ended. */
function memory() {
  const text = readFileSync(`/proc/${aerie.child.pid}/smaps_rollup`, 'utf8');
  return [...text.matchAll(/^Private_(?:Clean|Dirty):\s+(\d+) kB$/gm)].reduce((sum, [, kb]) => sum + Number(kb) * 1024, 0);
}

try {
  await aerie.admin.agent({ provider: 'echo' });
  const open = () => openSocket(aerie.port, { token: aerie.admin.token });
  const warm = await Promise.all(Array.from({ length: 32 }, open));
  await Promise.all(warm.map((socket) => socket.ask({ message: 'warm' })));
  await Promise.all(warm.map((socket) => socket.close()));
  const before = memory();
  const sockets = [];
  await inParallel(32, Array.from({ length: n }, (_, i) => i), async () => sockets.push(await open()));
  await sleep(500);
  const idle = memory();
  await inParallel(32, sockets, async (socket) => assert.equal((await socket.ask({ message: 'one two three' })).last.type, 'done'));
  await sleep(500);
  const used = memory();
  console.log(`${n} sockets: ${((idle - before) / n).toFixed(0)} bytes each while idle, ${((used - before) / n).toFixed(0)} after a reply on each (with the log that is kept of it)`);
  await inParallel(32, sockets, (socket) => socket.close());
} finally {
  await aerie.stop();
}
