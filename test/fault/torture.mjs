// Every allocation, read, write and new descriptor of a running server is made to fail once. After each: the server lives; its client got
// what it asked for, a refusal or a cut, never a false acknowledgement; the next request is served; and in the end nothing has leaked.
// Run by `node test/tools/run.mjs --script test/fault/torture.mjs [--seconds N] [--act TEXT] [--fault TEXT]`: every point; or at most so
// long, the same time for each act, at points taken at random; only acts and faults whose names hold the text.
// Unit tests are not run so: their asserts mean an undisturbed run. Those whose scenario may fail at any call sweep it themselves, with
// test/unit/allocs.h or torture.h; test/tools/units.mjs tells how many points they made.
import { readdirSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { EmbeddingProvider } from '../fake/embeddings.mjs';
import { startUpstream } from '../fake/upstream.mjs';
import { Aerie, makeFolder } from '../tools/aerie.mjs';
import { makeActs, outcomeOf } from './acts.mjs';
import { Control, faults } from './control.mjs';

const { values: options } = parseArgs({ options: { seconds: { type: 'string', default: 'Infinity' }, act: { type: 'string', default: '' }, fault: { type: 'string', default: '' } } });

/** Of an act, however little time there is. */
const FEWEST = 5;

const control = new Control(makeFolder());
const upstream = await startUpstream({ keep: false });
const embeddings = await new EmbeddingProvider({ key: 'sk-embeddings' }).listen();
const aerie = await Aerie.start({
  env: {
    ...control.env,
    EMBEDDINGS__BASE_URL: embeddings.baseUrl, EMBEDDINGS__API_KEY: 'sk-embeddings', EMBEDDINGS__MODEL: 'fake-32', EMBEDDINGS__TRIES: '1',
    DOCUMENTS__PER_TEAM: '100000',
    ...Object.fromEntries(['VISITOR_MESSAGES', 'VISITOR_SESSIONS', 'AGENT_SESSIONS', 'AGENT_MESSAGES'].map((of) => [`LIMITS__${of}_PER_MINUTE`, '0'])),
  },
});

const found = { crashes: 0, leaks: 0, 'false acknowledgements': 0, 'other faults': 0 };
const seen = new Map();
let points = 0;

/** Counts a finding, and tells one of each place. */
function report(what, act, fault, n, words) {
  found[what]++;
  const stack = control.stack;
  const ours = stack.filter((frame) => frame.includes(' ') && !/ (arena|buf|str|allocs)\.c:/.test(frame)).slice(0, 6);
  const name = `${what}: ${act.name}, ${fault.kind} ${fault.name}: ${ours[0]}: ${words.slice(0, 60)}`;
  if (seen.has(name)) return;
  seen.set(name, n);
  console.log(`  ${what}: ${act.name}, ${fault.kind} ${fault.name} at ${n}: ${words.slice(0, 400)}\n    ${stack.slice(0, 3).join(' < ')} … < ${ours.join(' < ')}`);
}

const isAlive = () => aerie.child.exitCode === null && aerie.child.signalCode === null;
const descriptors = () => readdirSync(`/proc/${aerie.child.pid}/fd`).length;

/** Nothing fails when the act makes fewer calls this time. */
async function point(act, fault, n) {
  let outcome;
  let wrong;
  if (!isAlive()) await aerie.listen(); // it died of something that the last point left behind
  const own = await act.fresh?.();
  control.arm(fault, n);
  try {
    outcome = await outcomeOf(() => act.run(own));
  } catch (error) {
    wrong = error;
  }
  control.disarm();
  const hasFailed = control.hasFailed;
  // A connection to the database that broke at the last point may be found so only now.
  const mayBeLate = aerie.database.kind !== 'sqlite' && outcome?.refused;
  if (!hasFailed && !wrong && !mayBeLate && !('did' in outcome)) wrong = new Error(`nothing failed, but ${JSON.stringify(outcome)}`);
  if (hasFailed || wrong) points++;
  if (outcome?.cut || wrong) await new Promise((resolve) => setTimeout(resolve, 20)); // time for an end to be seen
  if (!isAlive()) {
    report('crashes', act, fault, n, aerie.log.slice(-200));
    await aerie.listen();
    return;
  }
  if (wrong) report('other faults', act, fault, n, wrong.message);
  else if (fault.isHarmless && !('did' in outcome)) report('other faults', act, fault, n, `harmless, but ${JSON.stringify(outcome)}`);
  try {
    await act.check?.(wrong ? {} : outcome, own);
  } catch (error) {
    await new Promise((resolve) => setTimeout(resolve, 20));
    report(isAlive() ? 'false acknowledgements' : 'crashes', act, fault, n, error.message);
  }
}

function shuffled(list) {
  for (let i = list.length - 1; i > 0; i--) {
    const k = Math.floor(Math.random() * (i + 1));
    [list[i], list[k]] = [list[k], list[i]];
  }
  return list;
}

/** [fault, n] of every call that the act makes. Of a kind that makes many there are many: the kinds take turns. */
async function pointsOf(act) {
  const columns = [];
  const counts = {};
  for (const fault of faults.filter((one) => `${one.kind} ${one.name}`.includes(options.fault))) {
    if (!(fault.kind in counts)) {
      const own = await act.fresh?.();
      control.arm(fault, 0);
      await act.run(own).catch(() => {}); // what a broken connection left behind
      control.disarm();
      counts[fault.kind] = control.seen;
      await act.check?.({}, own);
    }
    columns.push(shuffled(Array.from({ length: counts[fault.kind] }, (_, i) => [fault, i + 1])));
  }
  const all = [];
  while (columns.some((column) => column.length > 0)) for (const column of columns) if (column.length > 0) all.push(column.pop());
  return all;
}

try {
  const acts = shuffled((await makeActs(aerie, upstream)).filter((act) => act.name.includes(options.act)));
  const started = performance.now();
  for (const [i, act] of acts.entries()) {
    const before = [points, performance.now()];
    const deadline = started + (1000 * Number(options.seconds) * (i + 1)) / acts.length;
    await act.prepare?.();
    const all = await pointsOf(act);
    for (const [fault, n] of all) {
      await point(act, fault, n);
      if (performance.now() > deadline && points - before[0] >= FEWEST) break;
    }
    console.log(`  ${act.name}: ${points - before[0]} of ${all.length} points, ${(performance.now() - before[1]).toFixed(0)} ms, ${descriptors()} descriptors`);
  }
  await aerie.stop().catch((error) => {
    found[/leak/i.test(error.message) ? 'leaks' : 'crashes']++;
    console.log(error.message.slice(0, 4000));
  });
} finally {
  aerie.drop();
  await upstream.close();
  await embeddings.close();
}
console.log(`  ${points} points: ${Object.entries(found).map(([what, n]) => `${n} ${what}`).join(', ')}`);
process.exitCode = Object.values(found).some((n) => n > 0) || points === 0 ? 1 : 0;
