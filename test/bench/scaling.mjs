// What growth costs, for docs/scaling.md: what a turn, a stream, a loop and a node take of Aerie and of PostgreSQL. Counts and bytes hold on a
// busy machine; CPU is told beside something else in the same run.
//   node test/bench/scaling.mjs [--quick] [--only turn,cpu,nodes,pooled,memory,mirrors] [--write]
// --quick: less of it; --write: the table into docs/scaling.md. AERIE_BINARY names the server; build-release/aerie unless said.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { describeMachine } from './machine.mjs';
import { COUNTING } from './pg_counts.mjs';
import { markdownTable, origin, plainTable, replaceBetween } from './report.mjs';
import { Stand } from './stand.mjs';

const root = fileURLToPath(new URL('../../', import.meta.url));
process.env.AERIE_BINARY ??= join(root, 'build-release/aerie');
const { parts } = await import('./scaling_parts.mjs');

const FULL = { runs: 2, turns: 2000, messages: 1000, idleSeconds: 8, mirrors: 400, windowSeconds: 5 };
const QUICK = { runs: 1, turns: 600, messages: 400, idleSeconds: 5, mirrors: 100, windowSeconds: 2 };
/** id, what, Aerie's, the peer's, the ratio, the spread. */
const COLUMNS = [0, 1, 2, 3, 4, 7];

/** [messages a minute, streams with a chunk a second]. */
const SIZES = [[600, 500], [6000, 5000], [60000, 20000]];
/** Of a core, so that there is room for an hour that is busier than others. */
const BUSY = 0.5;

function sizes(rows) {
  const of = (id, what) => rows.find((row) => row.id === id && row.what.startsWith(what)).aerie;
  const tell = (number) => (number < 10 ? Math.ceil(number * 10) / 10 : Math.ceil(number)).toLocaleString('en-US');
  const needs = SIZES.map(([perMinute, streams]) => {
    const perSecond = perMinute / 60;
    const aerie = (perSecond * of('CPU', 'a turn') + streams * of('CPU', 'a chunk, ')) / 1e6 / BUSY;
    const loops = Math.ceil(aerie);
    return [
      `${perMinute.toLocaleString('en-US')} a minute, ${streams.toLocaleString('en-US')} streams`, tell(aerie), tell((perSecond * of('CPU', 'the same, PostgreSQL')) / 1e6 / BUSY),
      `${tell(of('memory', 'an idle node') + (streams * of('memory', 'a stream, of')) / 1024)} MB`, String(3 * loops + 2 * Math.ceil(loops / 4)), tell(perSecond * of('turn', 'statements')),
      `${tell((perSecond * of('turn', 'WAL')) / 1024)} MB`, `${tell((perSecond * 86400 * of('turn', 'disk')) / 2 ** 20)} GB`,
    ];
  });
  const what = ['', 'cores for Aerie, each half busy', 'cores for PostgreSQL, likewise', 'memory for Aerie', 'connections, nodes of four loops', 'statements a second', 'WAL a second', 'disk a day at that rate'];
  const lines = what.map((name, i) => `| ${[name, ...needs.map((need) => need[i])].join(' | ')} |`.replace('|  |', '| |'));
  return [lines[0], `|${'---|'.repeat(SIZES.length + 1)}`, ...lines.slice(1)].join('\n');
}

const { values } = parseArgs({ options: { quick: { type: 'boolean' }, only: { type: 'string' }, write: { type: 'boolean' } } });
const chosen = values.only ? values.only.split(',') : Object.keys(parts);
for (const name of chosen) if (!parts[name]) throw new Error(`there is no part ${name}, only ${Object.keys(parts).join(', ')}`);
if (values.write && (values.quick || values.only)) throw new Error('--write wants a full run: without --quick and --only');

const amounts = { ...(values.quick ? QUICK : FULL), postgres: COUNTING };
const stand = new Stand(amounts, { say: (text) => process.stderr.write(`${text}\n`) });
process.once('SIGINT', () => stand.interrupt());
const rows = [];
try {
  await stand.open();
  for (const name of chosen) {
    stand.say(name);
    rows.push(...(await parts[name](stand, amounts)));
  }
} finally {
  await stand.close();
}
const order = ['turn', 'CPU', 'nodes', 'idle', 'connections', 'memory'];
rows.sort((a, b) => order.indexOf(a.id) - order.indexOf(b.id));
const machine = { ...describeMachine(root), runs: amounts.runs };
console.log(`${plainTable(rows, COLUMNS)}\n\n${origin(machine)}`);
if (!values.only) console.log(`\n${sizes(rows)}`);
const isValid = stand.isValid && rows.every((row) => row.isValid);
if (!isValid) stand.say('some figures are INVALID: texts were wrong or missing');
if (values.write && isValid) {
  const page = join(root, 'docs/scaling.md');
  const table = `${markdownTable(rows, COLUMNS)}\n\n${origin(machine)}`;
  writeFileSync(page, replaceBetween(replaceBetween(readFileSync(page, 'utf8'), 'scaling', table), 'sizes', sizes(rows)));
  stand.say('written: docs/scaling.md');
}
process.exitCode = isValid ? 0 : 1;
