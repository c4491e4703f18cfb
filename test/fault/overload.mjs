// More than it can take: twice the load, one team at a hundred times another's, two hundred logins at once. Ratios within one run.
// Run by `node test/tools/run.mjs --script test/fault/overload.mjs [SECONDS]`, best as released; AERIE_TEST_DB chooses the database.
import assert from 'node:assert/strict';
import http from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { startBenchUpstream } from '../bench/programs.mjs';
import { Aerie, PASSWORD } from '../tools/aerie.mjs';

const seconds = Number(process.argv[2] ?? 10);
const SLOTS = 60;
const REPLY_MS = 300;
const upstream = await startBenchUpstream({ defaults: `chunks=4&bytes=50&first_ms=${REPLY_MS}` });
const aerie = await Aerie.start({ env: {
  UPSTREAM__SLOTS: SLOTS, UPSTREAM__SLOT_QUEUE: SLOTS, UPSTREAM__SLOT_QUEUE_PER_TEAM: SLOTS / 2, SECURITY__BCRYPT_ROUNDS: '12', LIMITS__REMEMBERED_TOKENS: '4096',
} });
const sockets = new http.Agent({ keepAlive: true, maxSockets: 1000 });

/** {status, ms} of one request, its answer read to the end. */
function ask(method, path, { token, json } = {}) {
  const body = json ? JSON.stringify(json) : undefined;
  const headers = { Accept: 'application/json', ...(token && { Authorization: `Bearer ${token}` }), ...(body && { 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(body) }) };
  const began = performance.now();
  return new Promise((resolve, reject) => {
    const request = http.request({ port: aerie.port, host: '127.0.0.1', method, path, headers, agent: sockets }, (answer) => {
      answer.resume();
      answer.on('end', () => resolve({ status: answer.statusCode, ms: performance.now() - began }));
    });
    request.on('error', reject);
    request.end(body);
  });
}

const at = (list, share) => list.map((a) => a.ms).sort((a, b) => a - b)[Math.min(list.length - 1, Math.ceil(list.length * share) - 1)] ?? 0;

/** A team with an agent and so many chats. */
async function makeTeam(admin, chats) {
  const agent = await admin.agent({ webhook_url: `http://127.0.0.1:${upstream.port}/webhook/x` });
  return { token: admin.token, chats: await Promise.all(Array.from({ length: chats }, () => admin.chat(agent))), next: 0 };
}
const message = (team) => ask('POST', `/api/chats/${team.chats[team.next++ % team.chats.length].id}/messages`, { token: team.token, json: { content: 'Tell me more of ~7~' } });

/** As many at a time, for so long. */
async function closed(clients, duration, run) {
  const answers = [], end = performance.now() + duration * 1000;
  await Promise.all(Array.from({ length: clients }, async () => {
    while (performance.now() < end) answers.push(await run());
  }));
  return answers;
}

/** So many a second, whether the ones before are done or not. */
async function open(rate, duration, run) {
  const running = [], began = performance.now();
  for (let n = 0; n < rate * duration; n++) {
    const wait = began + (n * 1000) / rate - performance.now();
    if (wait > 1) await sleep(wait);
    running.push(run());
  }
  return Promise.all(running);
}

const tally = (answers) => answers.reduce((counts, { status }) => ({ ...counts, [status]: (counts[status] ?? 0) + 1 }), {});
const done = (answers) => answers.filter((a) => a.status === 200);
const report = {};
try {
  const [loud, quiet] = [await makeTeam(aerie.admin, 400), await makeTeam((await aerie.otherTeam()).admin, 4)];

  // 7: twice the load.
  const peak = done(await closed(SLOTS, seconds, () => message(loud))).length / seconds;
  const answers = await open(2 * peak, seconds, () => message(loud));
  const refused = answers.filter((a) => a.status === 429);
  Object.assign(report, { peak_per_s: Math.round(peak), at_twice_per_s: Math.round(done(answers).length / seconds), refused: refused.length, refusal_p99_ms: Math.round(at(refused, 0.99)) });
  assert.ok(answers.every((a) => [200, 429].includes(a.status)), [...new Set(answers.map((a) => a.status))].join());
  assert.ok(done(answers).length / seconds >= 0.8 * peak, JSON.stringify(report));
  assert.ok(refused.length > 0 && at(refused, 0.99) <= 100, JSON.stringify(report));

  // 8: one team at a hundred times. Its messages, and what else it could keep the server busy with.
  const measure = () => closed(2, seconds, () => message(quiet));
  const alone = await measure();
  const rate = (100 * alone.length) / seconds;
  const floods = {
    messages: () => message(loud),
    lists: () => ask('GET', '/api/chats?limit=100', { token: loud.token }),
    searches: () => ask('GET', '/api/chats?q=more&limit=20', { token: loud.token }),
    exports: () => ask('GET', `/api/chats/${loud.chats[0].id}/export`, { token: loud.token }),
    logins: () => ask('POST', '/api/auth/login', { json: { email: 'nobody@aerie.test', password: PASSWORD } }),
  };
  report.alone_p99_ms = Math.round(at(alone, 0.99));
  for (const [name, run] of Object.entries(floods)) {
    const flood = name === 'messages' ? open(Math.min(rate, 1000), seconds, run) : closed(100, seconds, run);
    const mine = await measure();
    report[`beside_${name}`] = { p99_ms: Math.round(at(mine, 0.99)), done: done(mine).length, refused: mine.length - done(mine).length, flood: tally(await flood) };
    // What is figure 8 is held; beside the others it is told.
    if (name === 'messages') assert.ok(done(mine).length === mine.length && at(mine, 0.99) <= 2 * at(alone, 0.99), JSON.stringify(report));
    await sleep(500);
  }

  // 9: two hundred logins at once.
  const logins = Promise.all(Array.from({ length: 200 }, () => floods.logins()));
  const health = [];
  let isOver = false;
  logins.then(() => (isOver = true));
  while (!isOver || health.length < 100) {
    health.push(await ask('GET', '/health'));
    await sleep(5);
  }
  report.health_p99_ms = Math.round(at(health, 0.99));
  report.logins = [...new Set((await logins).map((a) => a.status))].join();
  assert.ok((await logins).every((a) => [401, 429, 503].includes(a.status)), report.logins);
  assert.ok(report.health_p99_ms <= 50, JSON.stringify(report));
  sockets.destroy();
  await aerie.stop();
} finally {
  console.log(JSON.stringify(report));
  sockets.destroy();
  if (aerie.child) aerie.drop();
  await upstream.stop?.();
}
