// What the machine says: whose CPU time and memory, how many cores, which versions.
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { arch, availableParallelism, cpus, release, totalmem } from 'node:os';

const TICK_US = 1e6 / Number(execFileSync('getconf', ['CLK_TCK'], { encoding: 'utf8' }));

/** The fields of /proc/PID/stat behind the name, or null for a process that is gone; [1] is its parent. */
function statOf(pid) {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return text.slice(text.lastIndexOf(')') + 2).split(' ');
  } catch {
    return null;
  }
}

/** These processes and all below them. */
function trees(roots) {
  const children = new Map();
  for (const name of readdirSync('/proc')) {
    const parent = /^\d+$/.test(name) ? Number(statOf(name)?.[1]) : NaN;
    if (parent > 0) children.set(parent, [...(children.get(parent) ?? []), Number(name)]);
  }
  const found = [...roots];
  for (const pid of found) found.push(...(children.get(pid) ?? []));
  return found;
}

/** What the threads of a process ran, in µs; the kernel counts it in ns, where utime and stime come in ticks of 10 ms. */
function ranOf(pid) {
  try {
    return readdirSync(`/proc/${pid}/task`).reduce((sum, thread) => sum + Number(readFileSync(`/proc/${pid}/task/${thread}/schedstat`, 'utf8').split(' ')[0]) / 1000, 0);
  } catch {
    return 0;
  }
}

/** CPU time in µs, user and system, of the processes and all below them; of children that ended, too. */
export function cpuOf(roots) {
  return trees(roots).reduce((sum, pid) => {
    const ofChildren = (statOf(pid) ?? []).slice(13, 15).reduce((ticks, field) => ticks + Number(field), 0);
    return sum + ranOf(pid) + ofChildren * TICK_US;
  }, 0);
}

/** Memory in bytes: each page counted by its share among those that map it. */
export function memoryOf(roots) {
  return trees(roots).reduce((sum, pid) => {
    try {
      return sum + Number(/^Pss:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8'))[1]) * 1024;
    } catch {
      return sum;
    }
  }, 0);
}

/** Descriptors that a process may have; at most as many as ten thousand streams need. */
export const openFiles = Math.min(20000, Number(execFileSync('sh', ['-c', 'ulimit -Hn'], { encoding: 'utf8' })) || 20000);

/** Streams that a relay can hold with them: each takes two. */
export const mostStreams = Math.floor((openFiles - 200) / 200) * 100;

const cores = availableParallelism();

/** Cores for the servers and for the load: apart where there are enough. */
export const places = cores >= 4
  ? { server: `0-${(cores >> 1) - 1}`, load: `${cores >> 1}-${cores - 1}` }
  : null;

/** Keeps a process and its threads on one side; what it starts later stays there, too. */
export function place(pid, side) {
  if (places) execFileSync('taskset', ['-a', '-c', '-p', places[side], String(pid)], { stdio: 'ignore' });
}

function versionOf(command, args, pattern) {
  try {
    return pattern.exec(execFileSync(command, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] }))[1];
  } catch {
    return 'unknown';
  }
}

/** What a figure is worth nothing without. */
export function describeMachine(root) {
  const git = (...args) => execFileSync('git', ['-C', root, ...args], { encoding: 'utf8' }).trim();
  let commit = 'unknown';
  try {
    commit = git('rev-parse', '--short=12', 'HEAD') + (git('status', '--porcelain', '--untracked-files=no', 'src', 'include', 'migrations') ? ' (changed)' : '');
  } catch {
    // no clone, a release's folder
  }
  return {
    date: new Date().toISOString().slice(0, 10),
    commit, cores, cpu: cpus()[0]?.model.trim() || arch(), memory_gb: Math.round(totalmem() / 2 ** 30), kernel: release(), is_pinned: places !== null,
    versions: {
      nginx: versionOf('sh', ['-c', '/usr/sbin/nginx -v 2>&1'], /nginx\/([\d.]+)/),
      PostgreSQL: versionOf('psql', ['--version'], /([\d.]+)/),
      SQLite: versionOf('python3', ['-c', 'import sqlite3; print(sqlite3.sqlite_version)'], /([\d.]+)/),
      libcurl: versionOf('pkg-config', ['--modversion', 'libcurl'], /([\d.]+)/),
      libuv: versionOf('pkg-config', ['--modversion', 'libuv'], /([\d.]+)/),
    },
  };
}
