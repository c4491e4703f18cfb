// One team that floods the database does not hold up another: who is answered when is counted, not timed.
import assert from 'node:assert/strict';
import net from 'node:net';
import { after, before, test } from 'node:test';
import { startLoad } from '../bench/programs.mjs';
import { addChats } from '../bench/rows.mjs';
import { Aerie } from '../tools/aerie.mjs';
import { awaitMetric } from '../tools/metrics.mjs';

const FLOOD = 100;
const QUEUE = FLOOD + 10;

let aerie;
let loud;
let quiet;

before(async () => {
  // One loop: both teams wait for the same connections of PostgreSQL.
  aerie = await Aerie.start({ env: { SERVER__WORKERS: '1', DATABASE__QUEUE_PER_TEAM: QUEUE, DATABASE__WAIT_MS: '60000', DATABASE__STATEMENT_MS: '60000' } });
  loud = aerie.admin;
  quiet = (await aerie.otherTeam()).admin;
  for (const client of [loud, quiet]) {
    const agent = await client.agent({ webhook_url: 'http://127.0.0.1:9/hook' });
    addChats(aerie.database, { teamId: client.me.team_id, userIds: [client.me.id], agentId: agent.id, count: 200, messages: 2 });
  }
});
after(() => aerie?.stop());

const endless = (path, clients) => {
  const { child, result } = startLoad(aerie.port, [{ method: 'GET', path, headers: { Authorization: `Bearer ${loud.token}` } }],
    { mode: 'closed', clients, seconds: 60, read: 'body', expect: '[' });
  return () => (child.kill('SIGKILL'), result.catch(() => {}));
};

/** How many operations of that use the server ends while it has one request: its own count before and after, on one connection. */
async function endedMeanwhile(use, path) {
  const text = await new Promise((resolve, reject) => {
    const socket = net.connect(aerie.port, '127.0.0.1');
    let got = '';
    socket.on('data', (bytes) => (got += bytes.toString('latin1')));
    socket.on('end', () => resolve(got));
    socket.on('error', reject);
    const get = (what, headers = '') => `GET ${what} HTTP/1.1\r\nHost: aerie\r\n${headers}\r\n`;
    socket.write(get('/metrics') + get(path, `Authorization: Bearer ${quiet.token}\r\n`) + get('/metrics', 'Connection: close\r\n'));
  });
  assert.deepEqual([...text.matchAll(/HTTP\/1\.1 (\d{3})/g)].map(([, status]) => status), ['200', '200', '200']);
  const [before, after] = [...text.matchAll(new RegExp(`aerie_db_operation_seconds_count\\{use="${use}"\\} (\\d+)`, 'g'))].map(([, n]) => Number(n));
  return after - before;
}

for (const [use, path] of [['read', '/api/chats?limit=100'], ['slow', '/api/chats?q=before&limit=20']]) {
  test(`a ${use} operation does not wait behind another team's flood of them`, async () => {
    const stop = endless(path, FLOOD);
    const counts = [];
    try {
      await awaitMetric(aerie, `aerie_db_waiting{use="${use}"}`, (now) => now > FLOOD * 0.7);
      while (counts.length < 8) counts.push(await endedMeanwhile(use, path));
    } finally {
      await stop();
    }
    // Behind them all, each count would be that of the flood and more; what a slow loop still has to hand back is in it in any case.
    const median = counts.sort((a, b) => a - b)[counts.length / 2];
    assert.ok(median < 0.75 * FLOOD, `of the flood's ${FLOOD}, so many were done before: ${counts}`);
  });
}

test('a team with too much waiting gets 429 with Retry-After, and the other team an answer', async () => {
  const floods = Array.from({ length: 3 * QUEUE }, () => loud.get('/api/chats?q=before&limit=20'));
  const mine = await quiet.get('/api/chats?q=before&limit=20');
  assert.equal(mine.status, 200, mine.text);
  const answers = await Promise.all(floods);
  const refused = answers.filter(({ status }) => status === 429);
  assert.ok(refused.length > 0 && refused.length < answers.length);
  assert.ok(answers.every(({ status }) => status === 200 || status === 429), [...new Set(answers.map(({ status }) => status))].join());
  for (const { headers } of refused) assert.ok(Number(headers['retry-after']) >= 1);
});
