// Programs that work on a database alone: Aerie's own room (aerie_rows), and raw loops in C on the same libraries, beside which it is measured.
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { cpuOf, place } from './machine.mjs';
import { programPath } from './programs.mjs';

/** Runs one to its end: its last line, and server_cpu_us, what the database's server (its pids; none for SQLite) took meanwhile. */
export async function runRaw(name, args, server) {
  const before = cpuOf(server);
  const running = promisify(execFile)(programPath(name), args, { timeout: 120000 });
  place(running.child.pid, 'server');
  const { stdout } = await running;
  return { ...JSON.parse(stdout.trim().split('\n').at(-1)), server_cpu_us: cpuOf(server) - before };
}
