// Runs the outside suite: starts the databases that AERIE_TEST_DB asks for, then `node --test` over the files named, or all.
// Usage: node test/tools/run.mjs [--filter TEXT] [file …], or --script FILE ARGUMENT… for one program beside the databases;
// What fails runs once more, its file alone, and counts by that: on two cores a test that waits for a time may fail for what runs
// beside it. Which passed only then is told. More than RETRIED files are no accident and are not tried again.
// Environment: AERIE_TEST_DB, AERIE_BINARY, AERIE_TEST_COUNTS, AERIE_TEST_LOG (a level of the log, which is looked through for secrets),
// AERIE_TEST_TLS=1 (servers speak TLS alone, but for tests that use sockets of their own).
import { spawn } from 'node:child_process';
import { appendFileSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { binaryPath } from './aerie.mjs';
import { startPgbouncer, startPostgres } from './postgres.mjs';

const test = fileURLToPath(new URL('..', import.meta.url));
const RETRIED = 4;
const folders = ['fake', 'fault', 'tools', 'bench', 'api'];

/** But for those that AERIE_TEST_WITHOUT names: "captures clock". */
function allFiles() {
  const without = (process.env.AERIE_TEST_WITHOUT ?? '').split(/\s+/);
  return folders.flatMap((folder) =>
    readdirSync(join(test, folder))
      .filter((name) => name.endsWith('.test.mjs') && !without.includes(name.replace('.test.mjs', '')))
      .sort()
      .map((name) => relative(process.cwd(), join(test, folder, name))));
}

const args = process.argv.slice(2);
let filter;
let script;
const files = [];
while (args.length > 0) {
  const arg = args.shift();
  if (arg === '--filter') filter = args.shift();
  else if (arg === '--script') script = args.splice(0);
  else files.push(arg);
}

if (!existsSync(binaryPath())) {
  console.error(`run.mjs: no ${binaryPath()}: build it, or name another in AERIE_BINARY`);
  process.exit(2);
}

/** What a run of Node ends with. */
function spawned(argv, env) {
  const child = spawn(process.execPath, argv, { env, stdio: 'inherit' });
  const kill = (signal) => child.kill(signal);
  for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, kill);
  return new Promise((resolve) => child.once('exit', (code) => resolve(code ?? 1)));
}

/** One run over files: how many passed, and the file and name of each that failed. */
async function runOnce(chosen, concurrency) {
  const notes = mkdtempSync(join(tmpdir(), 'aerie-suite-'));
  const path = (name) => join(notes, name);
  const read = (name) => (existsSync(path(name)) ? readFileSync(path(name), 'utf8').split('\n').filter(Boolean) : []);
  try {
    const code = await spawned([
      '--test', `--test-concurrency=${concurrency}`, '--test-timeout=300000',
      `--test-reporter=${join(test, 'tools/reporter.mjs')}`, '--test-reporter-destination=stdout',
      ...(filter ? [`--test-name-pattern=${filter}`] : []), ...chosen,
    ], { ...env, AERIE_TEST_COUNTS: path('counts'), AERIE_TEST_FAILED: path('failed') });
    const counts = read('counts').map((line) => line.split(' ').map(Number));
    if (counts.length === 0) return { code, passed: 0, failed: [{ file: '', name: 'the run did not end' }] };
    return { code, passed: counts[0][0], failed: read('failed').map((line) => line.split('\t')).map(([file, name]) => ({ file, name })) };
  } finally {
    rmSync(notes, { recursive: true, force: true });
  }
}

async function suite(chosen) {
  const first = await runOnce(chosen, process.env.AERIE_TEST_CONCURRENCY ?? 2);
  const again = [...new Set(first.failed.map(({ file }) => file))];
  let { failed } = first;
  if (again.length > 0 && again.length <= RETRIED && !again.includes('')) {
    console.log(`  once more, alone: ${again.join(' ')}`);
    const second = await runOnce(again, 1);
    failed = second.failed;
    for (const { file, name } of first.failed)
      if (!failed.some((test) => test.file === file)) console.log(`  PASSED ONLY ALONE ${file}: ${name}`);
  }
  const passed = first.passed + Math.max(first.failed.length - failed.length, 0);
  if (process.env.AERIE_TEST_COUNTS) appendFileSync(process.env.AERIE_TEST_COUNTS, `${passed} ${failed.length}\n`);
  return failed.length > 0 ? 1 : 0;
}

const kind = process.env.AERIE_TEST_DB ?? 'sqlite';
const env = { ...process.env };
const started = [];
let status = 1;
try {
  if (kind !== 'sqlite') {
    const postgres = await startPostgres();
    started.push(postgres);
    env.AERIE_TEST_PG_PORT = String(postgres.port);
    if (kind === 'pgbouncer') {
      const bouncer = await startPgbouncer(postgres.port);
      started.push(bouncer);
      env.AERIE_TEST_BOUNCER_PORT = String(bouncer.port);
    }
  }
  const chosen = files.length > 0 ? files : allFiles();
  status = script ? await spawned(script, env) : await suite(chosen);
} finally {
  for (const server of started.reverse()) await server.stop();
}
process.exit(status);
