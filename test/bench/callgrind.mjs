// Callgrind's counts: asked of a running program through vgdb, and read from the files that it then writes, one a thread.
import { execFile } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);
const allocators = new Set(['malloc', 'calloc', 'realloc', 'aligned_alloc', 'posix_memalign', 'memalign']);

/** What a program runs under; the files go to the folder. */
export function callgrind(folder) {
  return ['valgrind', '--tool=callgrind', '-q', '--separate-threads=yes', `--callgrind-out-file=${join(folder, 'out')}`, `--vgdb-prefix=${join(folder, 'vgdb')}`];
}

/** Counts since the last call, or since the program began: [{instructions, allocations, names, file}], for each thread that ran. */
export async function takeCounts(pid, folder) {
  const before = new Set(readdirSync(folder));
  await run('vgdb', [`--vgdb-prefix=${join(folder, 'vgdb')}`, `--pid=${pid}`, 'dump'], { timeout: 60000 });
  return readdirSync(folder)
    .filter((name) => /^out\.\d+-\d+$/.test(name) && !before.has(name))
    .map((name) => ({ ...readCounts(readFileSync(join(folder, name), 'utf8')), file: join(folder, name) }))
    .filter(({ instructions }) => instructions > 0);
}

/** One file: instructions, calls of the allocator by whomever, and the names of all functions in it. */
function readCounts(text) {
  const names = new Map(); // "(12) malloc" names a function once, "(12)" is it from then on
  let called = null;
  let allocations = 0;
  let instructions = 0;
  for (const line of text.split('\n')) {
    const match = /^c?fn=\((\d+)\)(?: (.*))?$/.exec(line);
    if (match) {
      if (match[2] !== undefined) names.set(match[1], match[2].replace(/'\d+$/, ''));
      called = line[0] === 'c' ? names.get(match[1]) : null;
    } else if (called && line.startsWith('calls=')) {
      if (allocators.has(called)) allocations += Number(/^calls=(\d+)/.exec(line)[1]);
      called = null;
    } else if (line.startsWith('totals:')) {
      instructions = Number(line.slice('totals:'.length));
    }
  }
  return { instructions, allocations, names: new Set(names.values()) };
}

/** The functions that cost most in a file, one a line; inclusive: with what they call. */
export async function costliest(file, { count, inclusive = false }) {
  const { stdout } = await run('callgrind_annotate', ['--threshold=100', '--auto=no', `--inclusive=${inclusive ? 'yes' : 'no'}`, file], { maxBuffer: 1 << 26 });
  const lines = stdout.split('\n');
  const at = lines.findIndex((line) => line.includes('file:function'));
  // What has not returned when the counts are taken is listed with all that it called.
  return lines.slice(at + 2).filter((line) => line && !line.includes('(100.0%)')).slice(0, count)
    .map((line) => line.trimEnd().replace(/ (?:\?\?\?|\S*\/)[^/]*?:(\S+ \[)/, ' $1').replace(/\[.*\//, '['));
}
