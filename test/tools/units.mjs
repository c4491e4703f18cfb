// Counts what `meson test` ran: node units.mjs BUILD_DIR. Reads meson's log of the last run and each program's own cmocka lines,
// prints the output of those that failed, and appends "passed failed" to AERIE_TEST_COUNTS. A program that crashed or ran out
// of time counts as one failure more than its cases tell. As run.mjs does with files, up to RETRIED programs that failed run once
// more, alone.
import { spawnSync } from 'node:child_process';
import { appendFileSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

const RETRIED = 4;
const isOk = (run) => run.result === 'OK' || run.result === 'EXPECTEDFAIL';
const outputOf = (run) => `${run.stdout ?? ''}\n${run.stderr ?? ''}`;
const tail = (run) => outputOf(run).trim().split('\n').slice(-60).map((text) => `      ${text}`).join('\n');
const readLog = () => readFileSync(join(process.argv[2], 'meson-logs/testlog.json'), 'utf8').split('\n').filter(Boolean).map((line) => JSON.parse(line));
let runs = readLog();
const bad = runs.filter((run) => !isOk(run) && run.result !== 'SKIP');
if (bad.length > 0 && bad.length <= RETRIED) {
  for (const run of bad) console.log(`  failed, once more alone: ${run.name}\n${tail(run)}`);
  spawnSync('meson', ['test', '-C', process.argv[2], '--no-rebuild', '--suite', 'unit', '-q', '--num-processes', '1', ...bad.map((run) => run.name)], { stdio: 'ignore' });
  const again = readLog();
  runs = runs.map((run) => again.find((other) => other.name === run.name) ?? run);
  for (const run of bad) if (runs.some((other) => other.name === run.name && isOk(other))) console.log(`  PASSED ONLY ALONE ${run.name}`);
}
let passed = 0;
let failed = 0;
let points = 0; // calls that were made to fail, in a run each: test/unit/allocs.c, test/fault/torture.c
for (const run of runs) {
  const output = outputOf(run);
  const sum = (pattern) => [...output.matchAll(pattern)].reduce((total, [, n]) => total + Number(n), 0);
  const cases = sum(/^\[==========\].*?(\d+) test\(s\) run\.$/gm);
  const wrong = sum(/^\[  FAILED  \].*?(\d+) test\(s\), listed below:$/gm);
  const good = sum(/^\[  PASSED  \] (\d+) test\(s\)\.$/gm);
  points += sum(/^(\d+) calls were made to fail, one in each run$/gm);
  if (run.result === 'SKIP') continue;
  passed += cases > 0 || good > 0 ? good : isOk(run) ? 1 : 0;
  failed += isOk(run) ? wrong : Math.max(wrong, 1);
  console.log(`  ${isOk(run) ? 'ok' : 'FAILED'} ${run.name}: ${good || (isOk(run) ? 1 : 0)} good${isOk(run) ? '' : `, ${Math.max(wrong, 1)} bad (${run.result.toLowerCase()})`}`);
  if (!isOk(run)) console.log(tail(run));
}
if (points > 0) console.log(`  ${points} calls were made to fail, one in each run`);
if (process.env.AERIE_TEST_COUNTS) appendFileSync(process.env.AERIE_TEST_COUNTS, `${passed} ${failed}\n`);
process.exit(failed > 0 ? 1 : 0);
