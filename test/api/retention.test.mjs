// How long chats are kept: what a team says, what the operator says, and what goes when the time is over.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { startUpstream } from '../fake/upstream.mjs';
import { Aerie } from '../tools/aerie.mjs';
import { kind } from '../tools/database.mjs';
import { readMetrics } from '../tools/metrics.mjs';
import { fill, grewOld } from '../tools/past.mjs';
import { until } from '../tools/until.mjs';

let aerie;
let upstream;
before(async () => {
  upstream = await startUpstream();
  aerie = await Aerie.start({ env: { RETENTION__DAYS: 30, RETENTION__ROWS: 2 } });
});
after(async () => {
  await aerie?.stop();
  await upstream?.close();
});

const count = (table, chats) => Number(aerie.database.query(`select count(*) from ${table} where ${table === 'chats' ? 'id' : 'chat_id'} in (${chats.map(({ id }) => `'${id}'`).join(', ')})`));

/** What an hour brings: a server that starts looks at once. */
async function again() {
  await aerie.halt();
  await aerie.listen();
}

test('an_admin_says_how_many_days_within_what_the_operator_says', async () => {
  const { admin } = aerie;
  const team = (await admin.get('/api/team')).json;
  assert.deepEqual([team.retention_days, team.retention_days_max], [null, 30]);
  for (const days of [0, -1, 1.5, '10', 36501]) assert.equal((await admin.put('/api/team', { retention_days: days })).status, 422, String(days));
  const much = await admin.put('/api/team', { retention_days: 31 });
  assert.equal(much.status, 422);
  assert.match(much.text, /at most 30/);
  assert.equal((await admin.put('/api/team', { retention_days: 10 })).json.retention_days, 10);
  assert.equal((await admin.put('/api/team', { name: 'Renamed' })).json.retention_days, 10, 'what is not named stays');
  const told = (await admin.get(`/api/audit?subject=${team.id}`)).json.filter(({ action }) => action === 'team.update');
  assert.deepEqual(told.map(({ changes }) => changes).slice(0, 2), [[{ field: 'name', from: team.name, to: 'Renamed' }], [{ field: 'retention_days', to: '10' }]]);
  assert.equal((await admin.put('/api/team', { retention_days: null })).json.retention_days, null);
  const user = await aerie.user();
  assert.equal((await user.put('/api/team', { retention_days: 5 })).status, 403);
});

test('the_operator_says_it_on_the_command_line', () => {
  const days = () => JSON.parse(aerie.command(['team', 'list', '--json']).trim().split('\n').find((line) => line.includes(aerie.team.slug))).retention_days;
  aerie.command(['team', 'retention', '--slug', aerie.team.slug, '--days', '12']);
  assert.equal(days(), 12);
  for (const wrong of ['0', 'ten', '36501']) assert.equal(aerie.tryCommand(['team', 'retention', '--slug', aerie.team.slug, '--days', wrong]).status, 1);
  assert.equal(aerie.tryCommand(['team', 'retention', '--slug', 'nobody', '--days', '3']).status, 1);
  assert.equal(aerie.tryCommand(['team', 'retention', '--slug', aerie.team.slug]).status, 2);
  aerie.command(['team', 'retention', '--slug', aerie.team.slug, '--days', 'server']);
  assert.equal(days(), null);
});

test('chats_go_whole_when_their_time_is_over_and_no_others', async () => {
  const { admin: other } = await aerie.otherTeam();
  const { admin } = aerie;
  const ask = async (who, agent, words, n = 2) => {
    const chat = await who.chat(agent, { title: words });
    for (let i = 0; i < n; i++) await who.ask(chat, `${words} ${i}`);
    return chat;
  };
  const mine = await admin.agent({ provider: 'echo' });
  const theirs = await other.agent({ provider: 'echo' });
  assert.equal((await admin.put('/api/team', { retention_days: 10 })).status, 200);
  const [old, long, archived, young] = await Promise.all([ask(admin, mine, 'oldwords'), ask(admin, mine, 'longwords', 1), ask(admin, mine, 'archivedwords', 1), ask(admin, mine, 'youngwords')]);
  const [theirOld, theirYoung] = await Promise.all([ask(other, theirs, 'theirs'), ask(other, theirs, 'theirs')]);
  fill(aerie.database, long, 25);
  await admin.put(`/api/chats/${archived.id}`, { is_archived: true });
  assert.equal((await admin.get('/api/chats?q=oldwords')).json.length, 1);
  grewOld(aerie.database, [old, long, archived], 10.1);
  grewOld(aerie.database, [young], 9.9);
  grewOld(aerie.database, [theirOld], 30.1);
  grewOld(aerie.database, [theirYoung], 29.9);
  await again();
  await until(() => count('chats', [old, long, archived, theirOld]) === 0, 'they are gone', 15000);
  assert.equal(count('messages', [old, long, archived, theirOld]), 0);
  assert.deepEqual([count('chats', [young, theirYoung]), count('messages', [young]), count('messages', [theirYoung])], [2, 4, 4]);
  assert.equal((await admin.get(`/api/chats/${old.id}`)).status, 404);
  assert.equal((await admin.get('/api/chats?q=oldwords')).json.length, 0);
  const metrics = await readMetrics(aerie);
  assert.deepEqual([metrics.get('aerie_swept_chats_total'), metrics.get('aerie_swept_messages_total')], [4, 4 + 27 + 2 + 4]);
});

test('a_chat_with_a_running_turn_is_not_swept', async () => {
  const { admin } = aerie;
  const agent = await admin.agent({ webhook_url: upstream.url() });
  const echo = await admin.agent({ provider: 'echo' });
  const long = await admin.chat(echo);
  const chat = await admin.chat(agent);
  assert.equal((await admin.put('/api/team', { retention_days: 10 })).status, 200);
  fill(aerie.database, long, 80);
  grewOld(aerie.database, [long], 11);
  await again(); // from now on two messages a tenth of a second
  const stream = await admin.send(chat, `!delay=150&text=${encodeURIComponent('w '.repeat(40))}`);
  await stream.until((s) => s.text.length > 0);
  grewOld(aerie.database, [chat], 11);
  assert.ok(count('messages', [long]) > 4, 'the sweep is over too early to tell');
  await until(() => count('chats', [long]) === 0, 'it is swept', 15000);
  assert.equal(count('messages', [chat]), 2, 'the turn is there');
  await stream.whole();
  assert.equal((await admin.messages(chat)).at(-1).status, 'complete');
});

test('of_several_nodes_one_sweeps_at_a_time', { skip: kind === 'sqlite' && 'one server' }, async () => {
  const { admin } = aerie;
  const chat = await admin.chat(await admin.agent({ provider: 'echo' }));
  assert.equal((await admin.put('/api/team', { retention_days: 10 })).status, 200);
  grewOld(aerie.database, [chat], 11);
  const held = aerie.database.hold('begin; select pg_advisory_xact_lock(8241904471034419532); select pg_sleep(6); commit');
  await again();
  await sleep(2000); // it has looked
  assert.equal(count('chats', [chat]), 1, 'another node has the sweep');
  await held;
  await again();
  await until(() => count('chats', [chat]) === 0, 'somebody has the sweep', 15000);
});
