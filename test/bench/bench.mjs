// Measures Aerie beside nginx: etc/bench builds what is needed and calls this. Exit: 0 all figures count, 1 some do not, 2 wrong usage.
// Whether a figure is what was asked does not change the exit: a slow machine is no failure.
import { readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { missing } from './figures.mjs';
import { heldPoints } from './held.mjs';
import { describeMachine, mostStreams } from './machine.mjs';
import { parseOptions, usage, UsageError } from './options.mjs';
import { picture } from './picture.mjs';
import { markdownTable, origin, plainTable, replaceBetween } from './report.mjs';
import { scenarios } from './scenarios.mjs';
import { Stand } from './stand.mjs';

const PICTURE = '![Memory and CPU of Aerie and nginx against the number of held streams](images/streams.svg)';
const root = fileURLToPath(new URL('../../', import.meta.url));
process.env.AERIE_BINARY ??= join(root, 'build-release/aerie');

const began = performance.now();
const clear = process.stderr.isTTY ? '\r\x1b[K' : '';
const stamped = (text) => `${clear}[${String(Math.round((performance.now() - began) / 1000)).padStart(3)} s] ${text}`;
const say = (text) => process.stderr.write(`${stamped(text)}\n`);
const progress = (text) => process.stderr.isTTY && process.stderr.write(stamped(`    ${text} …`));

function optionsOrExit() {
  try {
    const options = parseOptions(process.argv.slice(2), scenarios.map(({ name }) => name));
    if (!options.help) return options;
    console.log(usage());
    process.exit(0);
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    console.error(`bench: ${error.message}\n\n${usage()}`);
    process.exit(2);
  }
}

const options = optionsOrExit();
const chosen = scenarios.filter(({ name }) => !options.only || options.only.has(name));
if (options.dryRun) {
  for (const { name, title } of chosen) console.log(`${name.padEnd(6)}  ${title}`);
  process.exit(0);
}

for (const sizes of ['streams', 'tlsStreams']) options[sizes] = [...new Set(options[sizes].map((streams) => Math.min(streams, mostStreams)))];
const machine = { ...describeMachine(root), runs: options.runs };
const stand = new Stand(options, { say, progress });
let interrupted = false;
for (const signal of ['SIGINT', 'SIGTERM'])
  process.once(signal, () => {
    interrupted = true;
    say('interrupted; ending what was started');
    stand.interrupt();
  });

const rows = [];
try {
  await stand.open();
  for (const [i, { name, title, run }] of chosen.entries()) {
    say(`${name}, ${title} (${i + 1} of ${chosen.length})`);
    try {
      rows.push(...(await run(stand, options)));
    } catch (error) {
      if (interrupted) break;
      say(`${name} could not be measured: ${error.stack}`);
      rows.push(missing({ id: name, what: title, reason: error.message.split('\n')[0].slice(0, 200) }));
    }
  }
} finally {
  await stand.close();
}
if (interrupted) process.exit(130);

console.log(`${plainTable(rows)}\n\n${origin(machine)}`);
const points = heldPoints(stand);
if (clear) process.stderr.write(clear);
const raw = options.json ?? join(dirname(process.env.AERIE_BINARY), 'bench.json');
writeFileSync(raw, `${JSON.stringify({ machine, rows, held: points, loads: stand.loads }, null, 1)}\n`);
say(`all numbers are in ${raw}`);
const isValid = stand.isValid && rows.every((row) => row.isValid);
if (!isValid) say('some figures are INVALID: texts were wrong or missing, or a scenario did not run');
if (options.write && isValid) {
  const page = join(root, 'docs/performance.md');
  writeFileSync(page, replaceBetween(readFileSync(page, 'utf8'), 'bench', `${markdownTable(rows)}\n\n${PICTURE}\n\n${origin(machine)}`));
  writeFileSync(join(root, 'docs/images/streams.svg'), picture(points));
  say('written: docs/performance.md, docs/images/streams.svg');
}
process.exitCode = isValid ? 0 : 1;
