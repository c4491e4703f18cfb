// The start under failing calls: each N-th call of a starting server fails once. It ends with an exit code of its own and says why, or it
// serves and ends well; never by a signal. Run by `node test/tools/run.mjs --script test/fault/torture_start.mjs [--every N] [--seconds N]`.
import { spawn } from 'node:child_process';
import { parseArgs } from 'node:util';
import { Aerie, binaryPath, makeFolder, reports, serverEnv } from '../tools/aerie.mjs';
import { Control, faults } from './control.mjs';

const { values: options } = parseArgs({ options: { every: { type: 'string', default: '1' }, seconds: { type: 'string', default: '100000' } } });
const deadline = performance.now() + 1000 * Number(options.seconds);
const control = new Control(makeFolder());
const aerie = new Aerie();
aerie.prepare();
const found = { crashes: 0, 'silent ends': 0, hangs: 0 };
const seen = new Set();
let points = 0;

/** {code, signal, log, isServing}: one start, ended as soon as it serves. */
function start() {
  const child = spawn(binaryPath(), ['serve'], { env: serverEnv({ ...aerie.env, ...control.env, ASAN_OPTIONS: `${control.env.ASAN_OPTIONS}:detect_leaks=0` }), cwd: aerie.folder, stdio: ['ignore', 'pipe', 'pipe'] });
  let log = '';
  let isServing = false;
  const timer = setTimeout(() => child.kill('SIGKILL'), 15000);
  const take = (bytes) => {
    log += bytes;
    if (isServing || !/listening on http/.test(log)) return;
    isServing = true;
    control.disarm();
    child.kill('SIGTERM');
  };
  child.stdout.on('data', take);
  child.stderr.on('data', take);
  return new Promise((resolve) => child.once('close', (code, signal) => {
    clearTimeout(timer);
    resolve({ code, signal, log, isServing });
  }));
}

function report(what, fault, n, words) {
  found[what]++;
  const { stack } = control;
  const name = `${what} ${fault.kind} ${fault.name} ${stack.slice(0, 3)}`;
  if (!seen.has(name)) console.log(`  ${what}: ${fault.kind} ${fault.name} at ${n}: ${words.slice(-1500)}\n    ${stack.slice(0, 8).join(' < ')}`);
  seen.add(name);
}

try {
  for (const fault of faults.filter(({ isHarmless, kind }) => !isHarmless && kind !== 'recv' && kind !== 'send')) {
    const step = fault.kind === 'memory' ? Number(options.every) : Math.ceil(Number(options.every) / 20);
    for (let n = 1 + Math.floor(Math.random() * step); performance.now() < deadline; n += step) {
      control.arm(fault, n);
      const end = await start();
      control.disarm();
      if (!control.hasFailed) break;
      points++;
      if (end.signal === 'SIGKILL') report('hangs', fault, n, end.log);
      else if (end.signal || end.code === 99 || reports.test(end.log)) report('crashes', fault, n, `${end.signal ?? end.code}: ${end.log}`);
      else if (end.code === 0 ? !end.isServing : end.log.trim() === '') report('silent ends', fault, n, `${end.code}: ${end.log}`);
    }
  }
} finally {
  aerie.drop();
}
console.log(`  ${points} points of the start: ${Object.entries(found).map(([what, n]) => `${n} ${what}`).join(', ')}`);
process.exitCode = Object.values(found).some((n) => n > 0) || points === 0 ? 1 : 0;
