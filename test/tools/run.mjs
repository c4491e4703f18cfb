// Runs the outside suite: starts the databases that AERIE_TEST_DB asks for, then `node --test` over the files named, or all.
// Usage: node test/tools/run.mjs [--filter TEXT] [file …], or --script FILE ARGUMENT… for one program beside the databases;
// environment: AERIE_TEST_DB, AERIE_BINARY, AERIE_TEST_COUNTS, AERIE_TEST_LOG (a level of the log, which is looked through for secrets).
import { spawn } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { binaryPath } from './aerie.mjs';
import { startPgbouncer, startPostgres } from './postgres.mjs';

const test = fileURLToPath(new URL('..', import.meta.url));
const folders = ['fake', 'fault', 'tools', 'bench', 'api'];

/** But for those that AERIE_TEST_WITHOUT names: "captures clock". */
function allFiles() {
  const without = (process.env.AERIE_TEST_WITHOUT ?? '').split(' ');
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
  const child = spawn(process.execPath, script ?? [
    '--test', `--test-concurrency=${process.env.AERIE_TEST_CONCURRENCY ?? 2}`, '--test-timeout=300000',
    `--test-reporter=${join(test, 'tools/reporter.mjs')}`, '--test-reporter-destination=stdout',
    ...(filter ? [`--test-name-pattern=${filter}`] : []), ...chosen,
  ], { env, stdio: 'inherit' });
  for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => child.kill(signal));
  status = await new Promise((resolve) => child.once('exit', (code) => resolve(code ?? 1)));
} finally {
  for (const server of started.reverse()) await server.stop();
}
process.exit(status);
