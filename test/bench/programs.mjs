// Starts the two bench programs of the build under test: the fake agent and the load.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { binaryPath } from '../tools/aerie.mjs';

const env = { PATH: process.env.PATH, ASAN_OPTIONS: 'exitcode=99', UBSAN_OPTIONS: 'print_stacktrace=1:halt_on_error=1:exitcode=99' };

export function programPath(name) {
  return join(dirname(binaryPath()), 'test/bench', name);
}

/** {port, pid, url(options), stats(), stop()}; stop gives its exit code, and must be called. */
export async function startBenchUpstream({ defaults } = {}) {
  const child = spawn(programPath('bench_upstream'), defaults ? ['--defaults', new URLSearchParams(defaults).toString()] : [],
    { env, stdio: ['ignore', 'pipe', 'inherit'] });
  const gone = once(child, 'exit');
  const port = await Promise.race([
    once(child.stdout, 'data').then(([bytes]) => Number(/listening on (\d+)/.exec(bytes)[1])),
    gone.then(([code]) => Promise.reject(new Error(`bench_upstream ended with ${code}`))),
  ]);
  return {
    port,
    pid: child.pid,
    url: (options = {}, path = '/hook') => `http://127.0.0.1:${port}${path}?${new URLSearchParams(options)}`,
    stats: async () => (await fetch(`http://127.0.0.1:${port}/stats`, { headers: { Connection: 'close' } })).json(),
    async stop() {
      child.kill('SIGTERM');
      return (await gone)[0];
    },
  };
}

/**
 * Starts bench_load on the requests [{method, path, headers, body}] with options as it names them: {mode: 'held', to_end: true}.
 * {child, held, gaps(), result}: held is awaited for "held N", gaps() for the next window's gaps, result for the last line.
 */
export function startLoad(port, requests, options) {
  const folder = mkdtempSync(join(tmpdir(), 'aerie-bench-'));
  const file = join(folder, 'requests');
  writeFileSync(file, requests.map(({ method = 'POST', path, headers = {}, body = '' }) =>
    [method, path, Object.entries(headers).map(([name, value]) => `${name}: ${value}`).join('\\n'), body].join('\t')).join('\n'));
  const args = Object.entries({ target: `127.0.0.1:${port}`, requests: file, ...options })
    .flatMap(([name, value]) => (value === true ? [`--${name.replaceAll('_', '-')}`] : [`--${name.replaceAll('_', '-')}`, String(value)]));
  const child = spawn(programPath('bench_load'), args, { env, stdio: ['pipe', 'pipe', 'pipe'] });
  const lines = [];
  const waiting = [];
  let told = '';
  let rest = '';
  child.stdin.on('error', () => {});
  child.stderr.on('data', (bytes) => (told += bytes));
  child.stdout.on('data', (bytes) => {
    const parts = (rest + bytes).split('\n');
    rest = parts.pop();
    lines.push(...parts);
    for (const wake of waiting.splice(0)) wake();
  });
  const ended = once(child, 'close').then(([code]) => {
    rmSync(folder, { recursive: true, force: true });
    for (const wake of waiting.splice(0)) wake();
    return code;
  });
  let n_gaps = 0;
  async function line(begin, n = 0) {
    for (;;) {
      const found = lines.filter((text) => text.startsWith(begin))[n];
      if (found) return found.slice(begin.length);
      if (child.exitCode !== null || child.signalCode !== null) throw new Error(`bench_load ended with ${child.exitCode ?? child.signalCode} and without "${begin}": ${told}`);
      await new Promise((resolve) => waiting.push(resolve));
    }
  }
  const result = ended.then((code) => {
    if (code !== 0) throw Object.assign(new Error(`bench_load ended with ${code}: ${told}`), { code });
    return { ...JSON.parse(lines.at(-1)), told };
  });
  result.catch(() => {});
  return {
    child,
    result,
    held: () => line('held ').then(Number),
    gaps: () => line('gaps ', n_gaps++).then((text) => JSON.parse(text).gap_us),
    command: (word) => child.stdin.write(`${word}\n`),
  };
}

/** Runs bench_load to its end: the object of its last line, and what it told on stderr as `told`. */
export function runLoad(port, requests, options) {
  return startLoad(port, requests, options).result;
}
