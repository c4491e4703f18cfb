// N calls to agents that fail in every way of faults.mjs: each ends with one terminal event and the right code, and afterwards
// the server holds as many descriptors and as much memory as before.
// node test/tools/run.mjs --script test/fault/upstream.mjs [N]
import assert from 'node:assert/strict';
import { readFileSync, readdirSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { Aerie, inParallel } from '../tools/aerie.mjs';
import { ENV, cases, checkFault, startFaults } from './faults.mjs';

const n = Number(process.argv[2] ?? 10000);
const workers = 32;
const isSanitized = /__[at]san_init/.test(readFileSync(process.env.AERIE_BINARY, 'latin1'));
/** How much the memory of a server may have grown after all: what its allocator and its caches round up to. */
const GROWTH = 1.1;
const GROWTH_BYTES = 2e6;

const aerie = await Aerie.start({ env: { ...ENV, TURN__KEEP_MS: 500 } });

/** For how long the server is left alone: then it gives back what its allocator keeps of 32 replies of a megabyte now and then. */
const CALM_MS = 25000;

/** The server's descriptors, and its memory in bytes: what it would give back if it ended (private), PSS and RSS. */
async function measure() {
  await sleep(2000); // what is kept of the last turns goes
  const folder = `/proc/${aerie.child.pid}`;
  const text = readFileSync(`${folder}/smaps_rollup`, 'utf8');
  const sum = (pattern) => [...text.matchAll(pattern)].reduce((total, [, kb]) => total + Number(kb) * 1024, 0);
  return { descriptors: readdirSync(`${folder}/fd`).length, private: sum(/^Private_(?:Clean|Dirty):\s+(\d+) kB$/gm), pss: sum(/^Pss:\s+(\d+) kB$/gm), rss: sum(/^Rss:\s+(\d+) kB$/gm) };
}
const MB = (bytes) => (bytes / 1e6).toFixed(1);
const tell = (when, m) => console.log(`  ${when}: ${m.descriptors} descriptors, PSS ${MB(m.pss)} MB, RSS ${MB(m.rss)} MB`);

let faults;
try {
  faults = await startFaults(aerie.admin);
  const chats = [];
  for (let i = 0; i < workers; i++) {
    const own = {};
    for (const [name, agent] of Object.entries(faults.agents)) own[name] = await aerie.admin.chat(agent);
    chats.push(own);
  }
  const run = (from, to) => inParallel(workers, Array.from({ length: to - from }, (_, i) => cases[(from + i) % cases.length]),
    (fault, worker) => checkFault(aerie.admin, chats[worker][fault.agent], fault));
  const warm = Math.max(3 * cases.length, Math.round(n / 5));
  await run(0, warm);
  await sleep(CALM_MS);
  const before = await measure();
  tell(`after ${warm} calls`, before);
  const began = Date.now();
  await run(0, n);
  console.log(`  ${n} calls, ${cases.length} kinds, each with one terminal event and its code, in ${((Date.now() - began) / 1000).toFixed(0)} s`);
  tell('at once', await measure());
  await sleep(CALM_MS);
  const last = await measure();
  tell(`after ${n} more`, last);
  assert.ok(last.descriptors <= before.descriptors + 4, `${before.descriptors} descriptors, then ${last.descriptors}`);
  if (!isSanitized) assert.ok(last.private <= before.private * GROWTH + GROWTH_BYTES, `${MB(before.private)} MB, then ${MB(last.private)} MB`);
  await aerie.stop();
} finally {
  faults?.close();
  aerie.drop();
}
