// Prints what fails in full and what passes as a line, and appends the counts to the file AERIE_TEST_COUNTS as
// "passed failed", and to AERIE_TEST_FAILED the file and name of each that failed. A file that crashes, or that holds no test,
// counts as one failure.
import { appendFileSync } from 'node:fs';
import { relative } from 'node:path';

function describe(error) {
  const cause = error?.cause ?? error;
  const text = cause?.stack ?? cause?.message ?? String(cause);
  return text.split('\n').filter((line) => !/^\s+at .*(node:internal|node:async_hooks)/.test(line)).slice(0, 40).map((line) => `      ${line}`).join('\n');
}

export default async function* reporter(source) {
  let passed = 0;
  let failed = 0;
  const seen = new Set();
  for await (const { type, data } of source) {
    if (type === 'test:stdout' || type === 'test:stderr') {
      yield data.message;
      continue;
    }
    if (type !== 'test:pass' && type !== 'test:fail') continue;
    if (data.details?.type === 'suite' && type === 'test:pass') continue;
    if (data.details?.type === 'suite' && data.details.error?.failureType === 'subtestsFailed') continue;
    if (data.skip !== undefined && data.skip !== false) {
      yield `  skipped ${data.name}: ${data.skip === true || data.skip === '' ? 'no reason is given' : data.skip}\n`;
      continue;
    }
    const file = data.file ? relative(process.cwd(), data.file) : '';
    const ms = data.details?.duration_ms ?? 0;
    if (type === 'test:pass') {
      passed++;
      yield `  ok ${data.name}${ms > 1000 ? ` (${(ms / 1000).toFixed(1)} s)` : ''}\n`;
    } else {
      failed++;
      if (process.env.AERIE_TEST_FAILED) appendFileSync(process.env.AERIE_TEST_FAILED, `${file}\t${data.name}\n`);
      const told = describe(data.details?.error);
      yield `  FAILED ${file}: ${data.name} (${(ms / 1000).toFixed(1)} s)\n${seen.has(told) ? '      for a reason given above' : told}\n`;
      seen.add(told);
    }
  }
  if (process.env.AERIE_TEST_COUNTS) appendFileSync(process.env.AERIE_TEST_COUNTS, `${passed} ${failed}\n`);
  yield `  this run: ${passed} good, ${failed} bad\n`;
}
