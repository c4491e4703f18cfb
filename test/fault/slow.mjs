// slowhttptest against a server as installed: N clients with slow heads, slow bodies and slow reads for S seconds each. All are cut, and the
// p99 of good requests is at most twice that of a second, quiet server at the same time: the tool itself takes half of the machine. AERIE_BINARY=… node test/tools/run.mjs --script test/fault/slow.mjs [N] [S] [MODE].
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { startLoad } from '../bench/programs.mjs';
import { Aerie } from '../tools/aerie.mjs';
import { connectionsTo, privateMemory } from '../tools/kernel.mjs';

const clients = Number(process.argv[2] ?? 4000);
const seconds = Number(process.argv[3] ?? 60);
const only = process.argv[4] ?? ''; // 'slow reads'
const RATE = 100; // good requests a second
const GOOD_CLIENTS = 32;
/** Below this a p99 says more about the machine's other work than about ours. */
const NOISE_US = 1000;

const aerie = await Aerie.start();
const other = await Aerie.start();
const url = (path) => `${aerie.base}${path}`;
const pace = String(Math.ceil(clients / 10)); // all of them within ten seconds
const modes = {
  'slow heads': ['-H', '-i', '5', '-x', '24', '-t', 'GET', '-u', url('/health')],
  'slow bodies': ['-B', '-i', '5', '-x', '16', '-s', '8192', '-t', 'POST', '-f', 'application/json', '-u', url('/api/auth/login')],
  'slow reads': ['-X', '-w', '512', '-y', '1024', '-n', '5', '-z', '32', '-k', '5', '-u', url('/openapi.json')],
};

/** Good requests for so long: the p99 of their times in µs. */
async function goodFor(server, forSeconds) {
  const load = startLoad(server.port, [{ method: 'GET', path: '/health' }], { mode: 'open', rate: RATE, clients: GOOD_CLIENTS, seconds: forSeconds, read: 'body', expect: 'healthy' });
  const result = await load.result;
  assert.equal(result.wrong, 0, `${result.wrong} of ${result.messages} good requests went wrong`);
  return result.total_us.p99;
}

async function attack(args) {
  const child = spawn('slowhttptest', ['-c', String(clients), '-r', pace, '-l', String(seconds), '-p', '3', ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  let told = '';
  child.stdout.on('data', (bytes) => (told += bytes));
  child.stderr.on('data', (bytes) => (told += bytes));
  await Promise.race([once(child, 'close'), once(child, 'error').then(([error]) => Promise.reject(error))]);
  const plain = told.replace(/\x1b\[[0-9;]*m/g, '');
  const last = (word) => Number([...plain.matchAll(new RegExp(`^${word}:\\s+(\\d+)`, 'gm'))].at(-1)?.[1]);
  return { told: plain, failed: last('error'), isDeaf: /service available:\s+NO/.test(plain) };
}

try {
  const before = privateMemory(aerie.child.pid);
  for (const [name, args] of Object.entries(modes).filter(([mode]) => mode.includes(only))) {
    const alone = await goodFor(aerie, Math.min(seconds, 10));
    const began = Date.now();
    let most = 0;
    let memory = 0;
    let left = 0; // of ours; a client that reads slowly may not know yet
    const watch = setInterval(() => {
      left = connectionsTo(aerie.port).length;
      most = Math.max(most, left);
      memory = Math.max(memory, privateMemory(aerie.child.pid));
    }, 250);
    const [met, busy, quiet] = await Promise.all([attack(args), goodFor(aerie, seconds), goodFor(other, seconds)]).finally(() => clearInterval(watch));
    const took = (Date.now() - began) / 1000;
    console.log(`  ${clients} ${name} for ${took.toFixed(0)} s: at most ${most} connected at once, ${left} at the end; ` +
      `p99 of good requests ${busy} µs (of the quiet server ${quiet} µs, without the tool ${alone} µs); ${((memory - before) / 1024 / Math.max(most, 1)).toFixed(1)} kB for each in the server`);
    assert.ok(most >= clients / 8, `only ${most} were connected at once:\n${met.told.slice(-1500)}`);
    assert.ok(left <= GOOD_CLIENTS, `${left} are left at the end:\n${met.told.slice(-1500)}`);
    assert.deepEqual([met.failed, met.isDeaf], [0, false], met.told.slice(-1500));
    assert.ok(busy <= 2 * Math.max(quiet, NOISE_US), `p99 ${busy} µs, quiet ${quiet} µs`);
  }
  await aerie.stop();
  await other.stop();
} finally {
  aerie.drop();
  other.drop();
}
