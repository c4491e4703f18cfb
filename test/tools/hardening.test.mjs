// A binary as it is released: what of memory may be written or run, and the checks that the compiler adds, read from the file.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { binaryPath } from './aerie.mjs';

function readelf(...args) {
  const ran = spawnSync('readelf', ['--wide', ...args, binaryPath()], { encoding: 'utf8', maxBuffer: 1 << 28 });
  assert.equal(ran.status, 0, `readelf ${args}: ${ran.error ?? ran.stderr}`);
  return ran.stdout;
}
const symbols = readelf('--dyn-syms');
/** What it was built as; a binary that left its build directory counts as released. */
const options = join(dirname(binaryPath()), 'meson-info/intro-buildoptions.json');
const built = existsSync(options) ? Object.fromEntries(JSON.parse(readFileSync(options, 'utf8')).map(({ name, value }) => [name, value])) : {};
const skip = (built.buildtype ?? 'release') !== 'release' && 'only a release build has the flags';

test('the_binary_is_placed_anywhere_in_memory', () => {
  assert.match(readelf('--file-header'), /Type:\s+DYN/);
  assert.match(readelf('--dynamic'), /FLAGS_1.*\bPIE\b/);
});

test('no_stack_can_be_run', () => {
  const stack = /GNU_STACK.*/.exec(readelf('--program-headers'))?.[0];
  assert.ok(stack, 'no GNU_STACK: the stack may be run');
  assert.doesNotMatch(stack.split(/\s+/).slice(6).join(' '), /E/);
});

test('what_is_resolved_at_the_start_cannot_be_written_later', { skip }, () => {
  assert.match(readelf('--program-headers'), /GNU_RELRO/);
  assert.match(readelf('--dynamic'), /\(FLAGS\).*BIND_NOW|\(BIND_NOW\)/);
});

test('stacks_and_buffers_are_checked', { skip }, () => {
  assert.match(symbols, /__stack_chk_fail/);
  assert.match(symbols, /__(memcpy|snprintf|vsnprintf)_chk/);
});
