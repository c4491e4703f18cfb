// PostgreSQL and PgBouncer for the tests: started in a temporary folder on free ports, as an unprivileged user when the
// caller is root, and gone without a trace afterwards.
import { execFile, execFileSync, spawn, spawnSync } from 'node:child_process';
import { chmodSync, chownSync, copyFileSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { childrenOf } from './processes.mjs';

export const ROLE = 'aerie';

function findTool(name) {
  const base = '/usr/lib/postgresql';
  const versions = existsSync(base) ? readdirSync(base).sort((a, b) => Number(b) - Number(a)) : [];
  for (const version of versions)
    if (existsSync(join(base, version, 'bin', name))) return join(base, version, 'bin', name);
  for (const folder of ['/usr/sbin', '/usr/bin', '/usr/local/bin'])
    if (existsSync(join(folder, name))) return join(folder, name);
  throw new Error(`${name} is not installed: run etc/setup test`);
}

/** Whom to run as: PostgreSQL refuses root. */
function unprivileged() {
  if (process.getuid() !== 0) return {};
  const rows = readFileSync('/etc/passwd', 'utf8').split('\n').map((row) => row.split(':'));
  const row = rows.find(([name]) => name === 'postgres') ?? rows.find(([name]) => name === 'nobody');
  return { uid: Number(row[2]), gid: Number(row[3]) };
}

export function freePort() {
  return new Promise((resolve) => {
    const server = net.createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });
}

async function waitForPort(port, child, what) {
  for (let tries = 0; tries < 1500; tries++) {
    if (child.exitCode !== null) throw new Error(`${what} ended with ${child.exitCode}`);
    const open = await new Promise((resolve) => {
      const socket = net.connect(port, '127.0.0.1', () => resolve(true));
      socket.on('error', () => resolve(false));
      socket.on('connect', () => socket.destroy());
    });
    if (open) return;
    await sleep(20);
  }
  throw new Error(`${what} did not open port ${port}`);
}

function makeFolder(who) {
  const folder = mkdtempSync(join(tmpdir(), 'aerie-pg-'));
  chmodSync(folder, 0o755);
  if (who.uid !== undefined) chownSync(folder, who.uid, who.gid);
  return folder;
}

/** A copy that its user may read wherever the original is. */
function preloadIn(folder, library) {
  const copy = join(folder, basename(library));
  copyFileSync(library, copy);
  return copy;
}

/** What PostgreSQL's first process leaves to the kernel when it is killed. */
function removeSharedMemory(data) {
  const id = /^ *\d+ +(\d+)$/m.exec(readFileSync(join(data, 'postmaster.pid'), 'utf8').split('\n')[6] ?? '')?.[1];
  if (id) spawnSync('ipcrm', ['-m', id]);
}

/** A new data folder: empty, or a copy of a running cluster's, which follows that one under the name of "standby". */
function makeData(data, standbyOf, { who, env, cwd }) {
  const [tool, ...args] = standbyOf
    ? ['pg_basebackup', '-d', `host=127.0.0.1 port=${standbyOf.port} user=${ROLE} application_name=standby`, '-D', data, '-R', '-X', 'stream', '-c', 'fast']
    : ['initdb', '-D', data, '-U', ROLE, '-A', 'trust', '-E', 'UTF8', '--locale=C.UTF-8', '-N'];
  const made = spawnSync(findTool(tool), args, { ...who, env, cwd, encoding: 'utf8' });
  if (made.status !== 0) throw new Error(`${tool} failed: ${made.stderr}`);
}

/** {port, pid, processes(), stop(), start(), kill()}: a cluster that keeps no promises about power failures, which no test here causes, unless
 * isDurable. With preload: io_faults.c's library, there are fail(line …) and heal() for its disk. isQuiet: what goes wrong is meant to.
 * standbyOf: another cluster that this one follows. settings: {name: value}. */
export async function startPostgres({ isDurable = false, isQuiet = false, preload, standbyOf, settings = {}, port: wanted } = {}) {
  const who = unprivileged();
  const folder = makeFolder(who);
  const data = join(folder, 'data');
  const env = { PATH: process.env.PATH, LC_ALL: 'C.UTF-8' };
  makeData(data, standbyOf, { who, env, cwd: folder });
  const port = wanted ?? (await freePort());
  const control = join(folder, 'faults');
  let child;
  const cluster = {
    port,
    fail: (...lines) => writeFileSync(control, lines.join('\n')),
    heal: () => rmSync(control, { force: true }),
    get pid() {
      return child.pid;
    },
    async start() {
      child = spawn(findTool('postgres'),
        ['-D', data, '-p', String(port), '-h', '127.0.0.1', '-k', folder, '-c', 'max_connections=300', '-c', `log_min_messages=${isQuiet ? 'panic' : 'fatal'}`,
          '-c', `log_min_error_statement=${isQuiet ? 'panic' : 'error'}`,
          ...(isDurable ? [] : ['-c', 'fsync=off', '-c', 'shared_buffers=64MB', '-c', 'full_page_writes=off']),
          ...Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`])],
        { ...who, env: preload ? { ...env, LD_PRELOAD: preloadIn(folder, preload), AERIE_IO_FAULTS: control } : env, cwd: folder, stdio: ['ignore', 'ignore', 'inherit'] });
      await waitForPort(port, child, 'postgres');
      for (let tries = 0; ; tries++) {
        const asked = spawnSync(findTool('psql'), ['-h', '127.0.0.1', '-p', String(port), '-U', ROLE, '-d', 'postgres', '-Atc', 'select 1'], { encoding: 'utf8' });
        if (asked.status === 0) return;
        if (tries > 500) throw new Error(`postgres answers nothing: ${asked.stderr}`);
        await sleep(20);
      }
    },
    processes: () => [child.pid, ...childrenOf(child.pid)],
    /** All of it at once, as when its machine goes. It is not to be started again. */
    async kill() {
      const ended = new Promise((resolve) => child.once('exit', resolve));
      for (const pid of cluster.processes()) process.kill(pid, 'SIGKILL');
      await ended;
      removeSharedMemory(data);
    },
    /** SIGINT is PostgreSQL's fast shutdown: clients are cut off. */
    async halt() {
      if (child.exitCode !== null || child.signalCode !== null) return;
      const ended = new Promise((resolve) => child.once('exit', resolve));
      child.kill('SIGINT');
      await ended;
    },
    async stop() {
      await cluster.halt();
      rmSync(folder, { recursive: true, force: true });
    },
  };
  await cluster.start();
  return cluster;
}

/** PgBouncer in transaction mode in front of that cluster. */
export async function startPgbouncer(pgPort, { poolSize = 8 } = {}) {
  const who = unprivileged();
  const folder = makeFolder(who);
  const port = await freePort();
  writeFileSync(join(folder, 'users.txt'), `"${ROLE}" ""\n`, { mode: 0o644 });
  writeFileSync(join(folder, 'pgbouncer.ini'), `[databases]
* = host=127.0.0.1 port=${pgPort}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = ${port}
unix_socket_dir =
auth_type = trust
auth_file = ${join(folder, 'users.txt')}
pool_mode = transaction
max_client_conn = 1000
default_pool_size = ${poolSize}
server_login_retry = 1
log_connections = 0
log_disconnections = 0
log_stats = 0
ignore_startup_parameters = extra_float_digits
`, { mode: 0o644 });
  const child = spawn(findTool('pgbouncer'), ['-q', join(folder, 'pgbouncer.ini')], { ...who, cwd: folder, stdio: ['ignore', 'ignore', 'ignore'] });
  await waitForPort(port, child, 'pgbouncer');
  return {
    port,
    async stop() {
      if (child.exitCode === null) {
        const ended = new Promise((resolve) => child.once('exit', resolve));
        child.kill('SIGKILL');
        await ended;
      }
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

const psqlArguments = (port, database, statement) => ['-X', '-h', '127.0.0.1', '-p', String(port), '-U', ROLE, '-d', database, '-Atqc', statement];

export function sql(port, database, statement) {
  return execFileSync(findTool('psql'), psqlArguments(port, database, statement), { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] }).trim();
}

/** A whole database as a backup has it. */
export function dump(port, database) {
  return execFileSync(findTool('pg_dump'), ['-h', '127.0.0.1', '-p', String(port), '-U', ROLE, database], { encoding: 'latin1', maxBuffer: 1 << 28 });
}

/** The same, while the test goes on; the statements are one transaction. */
export function sqlBeside(port, database, statements) {
  return new Promise((resolve, reject) => execFile(findTool('psql'), psqlArguments(port, database, statements), (error) => (error ? reject(error) : resolve())));
}
