// What etc/bench was asked for.
import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';

export class UsageError extends Error {}

/** How much is done: as much as ten minutes on two cores allow, or one minute. Loads are sized so that a run takes a second or more of CPU. */
const FULL = {
  runs: 5, slowRuns: 2, chunkMessages: 200, messages: 2000, requests: 40000, lists: 3000, rows: 16000, openSeconds: 2,
  streams: [1000, 5000, 9900], heldSeconds: 5, longSeconds: 60, settleSeconds: 24, tlsStreams: [1000, 5000], loginSeconds: 6, logins: 200,
  gateMessages: 48, kinds: ['sqlite', 'postgres'], manyChats: 100000, longChat: 10000,
};
const QUICK = {
  runs: 1, slowRuns: 1, chunkMessages: 64, messages: 600, requests: 6000, lists: 600, rows: 4000, openSeconds: 1,
  streams: [1000], heldSeconds: 2, longSeconds: 4, settleSeconds: 3, tlsStreams: [], loginSeconds: 2, logins: 20,
  gateMessages: 6, kinds: ['sqlite'], manyChats: 10000, longChat: 2000,
};

/** The head of etc/bench. */
export function usage() {
  const lines = readFileSync(new URL('../../etc/bench', import.meta.url), 'utf8').split('\n').slice(1);
  return lines.slice(0, lines.findIndex((line) => !line.startsWith('#'))).map((line) => line.replace(/^# ?/, '')).join('\n');
}

/** {quick, only: null or a Set of names, json, write, dryRun, help, and the amounts}; names: those that --only may hold. */
export function parseOptions(args, names) {
  let values;
  try {
    ({ values } = parseArgs({
      args,
      options: { quick: { type: 'boolean' }, only: { type: 'string' }, json: { type: 'string' }, runs: { type: 'string' }, write: { type: 'boolean' }, 'dry-run': { type: 'boolean' }, help: { type: 'boolean', short: 'h' } },
    }));
  } catch (error) {
    throw new UsageError(error.message);
  }
  const amounts = { ...(values.quick ? QUICK : FULL) };
  if (values.runs !== undefined) {
    if (!/^[1-9]\d?$/.test(values.runs)) throw new UsageError(`--runs ${values.runs}: a number from 1 to 99 is wanted`);
    amounts.runs = Number(values.runs);
    amounts.slowRuns = Math.min(amounts.runs, amounts.slowRuns);
  }
  let only = null;
  if (values.only !== undefined) {
    only = new Set(values.only.split(',').map((name) => names.find((known) => known.toLowerCase() === name.trim().toLowerCase()) ?? name.trim()));
    const unknown = [...only].filter((name) => !names.includes(name));
    if (unknown.length > 0) throw new UsageError(`--only ${values.only}: there is no ${unknown.join(', ')}, only ${names.join(', ')}`);
  }
  if (values.write && (values.quick || only)) throw new UsageError('--write wants a full run: without --quick and --only');
  return { quick: values.quick ?? false, only, json: values.json ?? null, write: values.write ?? false, dryRun: values['dry-run'] ?? false, help: values.help ?? false, ...amounts };
}
