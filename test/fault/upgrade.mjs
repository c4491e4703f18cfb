// N streams of S seconds run over an upgrade, with new connections and messages all the time: none is refused or cut.
// node test/tools/run.mjs --script test/fault/upgrade.mjs [N] [S]. The fake upstream runs in a process of its own.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { Aerie, inParallel } from '../tools/aerie.mjs';
import { streamOverUpgrade } from '../tools/upgrade.mjs';

const n = Number(process.argv[2] ?? 5000);
const seconds = Number(process.argv[3] ?? 120);

const fake = spawn(process.execPath, [fileURLToPath(new URL('../fake/upstream.mjs', import.meta.url))], { stdio: ['ignore', 'pipe', 'inherit'] });
const port = await new Promise((resolve) => fake.stdout.once('data', (bytes) => resolve(Number(bytes))));
const aerie = await Aerie.start();
try {
  const agent = await aerie.admin.agent({ webhook_url: `http://127.0.0.1:${port}/webhook/fake`, config: { context_messages: 1 } });
  const { held, isKept, knocks, wrong, unstored } = await streamOverUpgrade(aerie, agent, { n, seconds, inParallel, delay: 2000 });
  console.log(`  ${n} streams over an upgrade (${held} were running when it began): ${wrong.length} cut or wrong, ${unstored} not stored as they were read; ${knocks} connections meanwhile, none refused`);
  assert.deepEqual(wrong.slice(0, 5), []);
  assert.equal(unstored, 0);
  assert.ok(isKept, 'the old server stayed for its streams');
  await aerie.stop();
} catch (error) {
  console.log(aerie.log.slice(-2000));
  throw error;
} finally {
  aerie.drop();
  fake.kill();
}
