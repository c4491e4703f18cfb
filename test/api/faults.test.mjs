// The faults of an agent's server, in every format, and of the network to it: always one terminal event, nothing that came is
// lost, no descriptor stays. AERIE_TEST_SPLITS=all harms every byte, otherwise some.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import net from 'node:net';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { ENV, FORMATS, MAX_MS, cases, checkFault, checkTurn, startFaults } from '../fault/faults.mjs';
import { startProxy } from '../fault/proxy.mjs';
import { Aerie, inParallel, runCommand } from '../tools/aerie.mjs';
import { until } from '../tools/until.mjs';

const everywhere = process.env.AERIE_TEST_SPLITS === 'all';
const WORKERS = 24;

let aerie;
let faults;
let user;
before(async () => {
  aerie = await Aerie.start({ env: ENV });
  faults = await startFaults(aerie.admin);
  user = await aerie.user();
});
after(async () => {
  await aerie?.stop();
  faults?.close();
});

const descriptors = () => readdirSync(`/proc/${aerie.child.pid}/fd`).length;

describe('upstream_faults', { concurrency: 16 }, () => {
  for (const fault of cases) test(`fault_${fault.name}`, async () => checkFault(user, await user.chat(faults.agents[fault.agent]), fault));
});

test('no_fault_leaves_a_descriptor_behind', async () => {
  const chats = await Promise.all(Array.from({ length: WORKERS }, () => user.chat(faults.agents.fake)));
  const quick = cases.filter(({ agent, code }) => agent === 'fake' && code !== 'provider_timeout');
  const round = (faults) => inParallel(WORKERS, faults, (fault, worker) => checkFault(user, chats[worker], fault));
  await round(quick); // leaves as many connections as are kept for the next calls
  await sleep(300);
  const before = descriptors();
  await round([...quick, ...quick]);
  // Each of the calls at once may be the one for which a loop keeps a connection more; what leaks does so by the hundred.
  await until(() => descriptors() <= before + WORKERS, () => `${before} descriptors, then ${descriptors()}`, 5000);
});

test('the_limits_of_a_call_are_the_promised_ones_unless_others_are_set', () => {
  const { upstream: u, turn } = JSON.parse(runCommand(['config', '--json']).stdout);
  assert.deepEqual([u.connect_seconds, u.first_byte_seconds, u.idle_seconds, u.total_seconds, turn.heartbeat_seconds], [5, 120, 120, 600, 15]);
  assert.deepEqual([u.event_bytes, u.reply_bytes], [256 * 1024, 1024 * 1024]);
});

/** A port that takes no connection, as a machine behind a firewall that drops: the listener sleeps, and its queue is full. */
async function startDeaf() {
  const child = spawn(process.execPath, ['-e', "const s = require('net').createServer().listen(0, '127.0.0.1', 1, () => console.log(s.address().port))"], { stdio: ['ignore', 'pipe', 'inherit'] });
  const port = Number(await once(child.stdout, 'data'));
  child.kill('SIGSTOP');
  const queue = Array.from({ length: 4 }, () => net.connect(port, '127.0.0.1').on('error', () => {}));
  await once(queue[0], 'connect');
  await sleep(100);
  return { port, close: () => (queue.forEach((socket) => socket.destroy()), child.kill('SIGKILL')) };
}

test('each_deadline_ends_the_call_when_its_time_has_come_with_comments_until_then', async () => {
  const deaf = await startDeaf();
  const own = await Aerie.start({ env: { UPSTREAM__CONNECT_SECONDS: 2, UPSTREAM__FIRST_BYTE_SECONDS: 3, UPSTREAM__IDLE_SECONDS: 4, UPSTREAM__TOTAL_SECONDS: 6, TURN__HEARTBEAT_SECONDS: 1 } });
  const theirs = await startFaults(own.admin);
  try {
    const unheard = await own.admin.agent({ webhook_url: `http://127.0.0.1:${deaf.port}/x` });
    // agent, message, seconds, words
    const waits = [
      [unheard, 'Hello', 2, /did not accept a connection in time/],
      [theirs.agents.tls_that_stalls, 'Hello', 2, /did not accept a connection in time/],
      [theirs.agents.fake, '!silent=1', 3, /did not begin to answer in time/],
      [theirs.agents.fake, '!stall=0', 3, /did not begin to answer in time/],
      [theirs.agents.fake, '!tokens=5&stall_piece=3', 4, /fell silent while answering/],
      [theirs.agents.fake, '!tokens=1000&delay=100', 6, /took too long to answer/],
    ];
    await inParallel(waits.length, waits, async ([agent, content, seconds, words]) => {
      const chat = await own.admin.chat(agent);
      const began = Date.now();
      const stream = await own.admin.ask(chat, content);
      const took = (Date.now() - began) / 1000;
      assert.ok(took > seconds - 0.1 && took < seconds + 1.5, `${content}: ${took} s`);
      assert.equal(stream.error.code, 'provider_timeout');
      assert.match(stream.error.message, words);
      if (!content.includes('delay')) assert.ok(stream.comments >= seconds - 1, `${content}: ${stream.comments} comments`);
      await checkTurn(own.admin, chat, stream, content, content);
    });
    await own.stop();
  } finally {
    own.drop();
    theirs.close();
    deaf.close();
  }
});

describe('harm_on_the_way_to_the_upstream', () => {
  const said = encodeURIComponent('Grüße 🎉 to you');
  let lines; // [{proxy, agent}], one a worker
  const lengths = {}; // of the request and the answer, by format

  before(async () => {
    lines = await Promise.all(Array.from({ length: WORKERS }, async () => {
      const proxy = await startProxy({ port: faults.port });
      const webhook_url = `http://127.0.0.1:${proxy.port}/webhook/fake`;
      return { proxy, agent: await aerie.admin.agent({ webhook_url, config: { context_messages: 1 } }) };
    }));
    for (const format of FORMATS) {
      lines[0].proxy.once('connection', (connection) => (lengths[format] = connection.passed));
      assert.equal((await user.ask(await user.chat(lines[0].agent), content(format))).text, 'Grüße 🎉 to you');
    }
  });
  after(() => Promise.all(lines.map(({ proxy }) => proxy.close())));

  const content = (format) => `!format=${format}&once=1&text=${said}`; // each has a connection of its own

  for (const harm of ['cut', 'reset', 'stall', 'corrupt'])
    for (const direction of ['down', 'up'])
      test(`${harm}_at_any_byte_${direction === 'up' ? 'of_the_request' : 'of_the_answer'}`, { timeout: 3_000_000 }, async () => {
        const step = everywhere ? 1 : harm === 'stall' || direction === 'up' ? 37 : 7;
        const jobs = FORMATS.flatMap((format) => Array.from({ length: Math.ceil(lengths[format][direction] / step) }, (_, i) => ({ format, at: i * step })));
        await inParallel(WORKERS, jobs, async ({ format, at }, worker) => {
          const { proxy, agent } = lines[worker];
          const where = `${format}, ${direction}.${harm} at ${at}`;
          const chat = await user.chat(agent);
          proxy.set({ [direction]: { [harm]: at } });
          const began = Date.now();
          const stream = await user.ask(chat, content(format));
          assert.ok(Date.now() - began < MAX_MS, `${where}: ${Date.now() - began} ms`);
          await checkTurn(user, chat, stream, content(format), where);
          if (harm === 'corrupt') return;
          const codes = harm === 'stall' ? ['provider_timeout'] : ['interrupted', 'provider_unreachable'];
          assert.ok('Grüße 🎉 to you'.startsWith(stream.text), `${where}: ${stream.text}`);
          if (stream.done) assert.equal(stream.text, 'Grüße 🎉 to you', where);
          else assert.ok(codes.includes(stream.error.code), `${where}: ${stream.error.code}`);
          if (direction === 'up') assert.ok(stream.error, where);
        });
      });

  test('single_bytes_both_ways_are_a_whole_reply', async () => {
    const { proxy, agent } = lines[0];
    proxy.set({ up: { piece: 1 }, down: { piece: 1 } });
    for (const format of FORMATS) assert.equal((await user.ask(await user.chat(agent), content(format))).text, 'Grüße 🎉 to you');
    proxy.set();
  });
});
