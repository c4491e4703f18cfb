// Counts what `meson test` ran: node units.mjs BUILD_DIR. Reads meson's log of the last run and each program's own cmocka lines,
// prints the output of those that failed, and appends "passed failed" to AERIE_TEST_COUNTS. A program that crashed or ran out
// of time counts as one failure more than its cases tell.
import { appendFileSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

const lines = readFileSync(join(process.argv[2], 'meson-logs/testlog.json'), 'utf8').split('\n').filter(Boolean);
let passed = 0;
let failed = 0;
let points = 0; // calls that were made to fail, in a run each: test/unit/allocs.c, test/fault/torture.c
for (const line of lines) {
  const run = JSON.parse(line);
  const output = `${run.stdout ?? ''}\n${run.stderr ?? ''}`;
  const sum = (pattern) => [...output.matchAll(pattern)].reduce((total, [, n]) => total + Number(n), 0);
  const cases = sum(/^\[==========\].*?(\d+) test\(s\) run\.$/gm);
  const bad = sum(/^\[  FAILED  \].*?(\d+) test\(s\), listed below:$/gm);
  const good = sum(/^\[  PASSED  \] (\d+) test\(s\)\.$/gm);
  points += sum(/^(\d+) calls were made to fail, one in each run$/gm);
  if (run.result === 'SKIP') continue;
  const isOk = run.result === 'OK' || run.result === 'EXPECTEDFAIL';
  passed += cases > 0 || good > 0 ? good : isOk ? 1 : 0;
  failed += isOk ? bad : Math.max(bad, 1);
  console.log(`  ${isOk ? 'ok' : 'FAILED'} ${run.name}: ${good || (isOk ? 1 : 0)} good${isOk ? '' : `, ${Math.max(bad, 1)} bad (${run.result.toLowerCase()})`}`);
  if (!isOk) console.log(output.trim().split('\n').slice(-60).map((text) => `      ${text}`).join('\n'));
}
if (points > 0) console.log(`  ${points} calls were made to fail, one in each run`);
if (process.env.AERIE_TEST_COUNTS) appendFileSync(process.env.AERIE_TEST_COUNTS, `${passed} ${failed}\n`);
process.exit(failed > 0 ? 1 : 0);
