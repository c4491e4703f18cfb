// N concurrent streams for S seconds on two loops: every text must be right; tells the server's memory per stream.
// node test/tools/run.mjs --script test/fault/streams.mjs [N] [S]. The fake upstream runs in a process of its own.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { Aerie, inParallel } from '../tools/aerie.mjs';

const streams = Number(process.argv[2] ?? 2000);
const seconds = Number(process.argv[3] ?? 30);

const fake = spawn(process.execPath, [fileURLToPath(new URL('../fake/upstream.mjs', import.meta.url))], { stdio: ['ignore', 'pipe', 'inherit'] });
const port = await new Promise((resolve) => fake.stdout.once('data', (bytes) => resolve(Number(bytes))));
const aerie = await Aerie.start();

/** Private memory of the server in bytes: what it would give back if it ended. */
function memory() {
  const text = readFileSync(`/proc/${aerie.child.pid}/smaps_rollup`, 'utf8');
  return [...text.matchAll(/^Private_(?:Clean|Dirty):\s+(\d+) kB$/gm)].reduce((sum, [, kb]) => sum + Number(kb) * 1024, 0);
}

try {
  const agent = await aerie.admin.agent({ webhook_url: `http://127.0.0.1:${port}/webhook/fake`, config: { context_messages: 1 } });
  const chats = [];
  await inParallel(32, Array.from({ length: streams }, (_, i) => i), async () => chats.push(await aerie.admin.chat(agent)));
  await inParallel(32, chats.slice(0, 64), (chat) => aerie.admin.ask(chat, '!tokens=3'));
  const idle = memory();
  const texts = chats.map((_, i) => Array.from({ length: seconds }, (__, k) => `stream ${i} tick ${k} ünïcode🎉`).join(' ; ').split(' ').slice(0, 4 * seconds).join(' '));
  const perToken = (1000 * seconds) / (4 * seconds);
  const began = Date.now();
  const open = [];
  await inParallel(100, chats, async (chat, worker) => {
    const i = chats.indexOf(chat);
    open[i] = await aerie.admin.send(chat, `!delay=${perToken}&text=${encodeURIComponent(texts[i])}`);
    assert.equal(open[i].status, 200, `${i} (${worker}): ${open[i].text}`);
  });
  const opened = Date.now() - began;
  await sleep(Math.max(0, (seconds * 1000) / 2 - opened));
  const held = open.filter((stream) => !stream.closed).length;
  const busy = memory();
  let wrong = 0;
  for (const [i, stream] of open.entries()) {
    await stream.whole(seconds * 4000);
    if (stream.text !== texts[i] || !stream.done) wrong++;
  }
  const took = Date.now() - began;
  await sleep(1000);
  console.log(`  ${streams} streams for ${(took / 1000).toFixed(1)} s (all open after ${opened} ms, ${held} at once): ${wrong} wrong; ` +
    `${((busy - idle) / held / 1024).toFixed(1)} kB a stream (idle ${(idle / 1e6).toFixed(1)} MB, busy ${(busy / 1e6).toFixed(1)} MB, after ${(memory() / 1e6).toFixed(1)} MB)`);
  assert.equal(wrong, 0);
  assert.ok(held >= streams * 0.98, `only ${held} were open at once`);
  await aerie.stop();
} finally {
  aerie.drop();
  fake.kill();
}
