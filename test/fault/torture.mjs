// Every allocation, read, write and new descriptor of a running server is made to fail once. After each: the server lives; its client got
// what it asked for, a refusal or a cut, never a false acknowledgement; the next request is served; and in the end nothing has leaked.
// Run by `node test/tools/run.mjs --script test/fault/torture.mjs [--every N] [--seconds N] [--act TEXT] [--fault TEXT]`: each N-th point,
// from a random one on; at most so long; only those whose names hold the text.
import { readdirSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { EmbeddingProvider } from '../fake/embeddings.mjs';
import { startUpstream } from '../fake/upstream.mjs';
import { Aerie, makeFolder } from '../tools/aerie.mjs';
import { makeActs, outcomeOf } from './acts.mjs';
import { Control, faults } from './control.mjs';

const { values: options } = parseArgs({ options: { every: { type: 'string', default: '1' }, seconds: { type: 'string', default: '100000' }, act: { type: 'string', default: '' }, fault: { type: 'string', default: '' } } });
const every = Number(options.every);
const deadline = performance.now() + 1000 * Number(options.seconds);

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

/** False: the act made fewer calls than that. */
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
  if (!hasFailed && !wrong) return false;
  points++;
  if (outcome?.cut || wrong) await new Promise((resolve) => setTimeout(resolve, 20)); // time for an end to be seen
  if (!isAlive()) {
    report('crashes', act, fault, n, aerie.log.slice(-200));
    await aerie.listen();
    return hasFailed;
  }
  if (wrong) report('other faults', act, fault, n, wrong.message);
  else if (fault.isHarmless && !('did' in outcome)) report('other faults', act, fault, n, `harmless, but ${JSON.stringify(outcome)}`);
  try {
    await act.check?.(wrong ? {} : outcome, own);
  } catch (error) {
    await new Promise((resolve) => setTimeout(resolve, 20));
    report(isAlive() ? 'false acknowledgements' : 'crashes', act, fault, n, error.message);
  }
  return hasFailed;
}

try {
  const acts = (await makeActs(aerie, upstream)).filter((act) => act.name.includes(options.act));
  for (const act of acts) {
    await act.prepare?.();
    for (const fault of faults.filter((one) => `${one.kind} ${one.name}`.includes(options.fault))) {
      const before = [points, performance.now()];
      const step = fault.kind === 'memory' ? every : Math.ceil(every / 10);
      let n = 1 + Math.floor(Math.random() * step);
      while (performance.now() < deadline && (await point(act, fault, n))) n += step;
      if (every === 1) console.log(`  ${act.name}, ${fault.kind} ${fault.name}: ${points - before[0]} points, ${(performance.now() - before[1]).toFixed(0)} ms, ${descriptors()} descriptors`);
    }
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
