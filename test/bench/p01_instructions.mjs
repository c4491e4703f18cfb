// P1: what a relayed chunk costs in instructions, counted by the gate: no busy machine changes it.
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { figure } from './figures.mjs';

export async function run(stand, amounts) {
  const { stdout } = await promisify(execFile)(process.execPath, [fileURLToPath(new URL('gate.mjs', import.meta.url)), '--json', '--messages', String(amounts.gateMessages)], { timeout: 300000, maxBuffer: 1 << 26 })
    .catch((error) => {
      if (error.stdout) return error; // past a ceiling: it has counted all the same
      throw error;
    });
  const told = JSON.parse(stdout.slice(stdout.indexOf('{')));
  const counts = told.figures ?? told;
  const row = (what, name, limit) => figure({ id: 'P1', what, unit: /^allocations/.test(name) ? '' : 'instructions', aerie: [counts[name]], limit });
  return [
    row('instructions per relayed chunk', 'instructions_per_chunk', { most: 7000 }),
    row('instructions per relayed chunk, eight in one read', 'instructions_per_gathered_chunk', null),
    row('instructions per message', 'instructions_per_message', null),
    row('heap allocations per relayed chunk', 'allocations_per_chunk', null),
  ];
}
