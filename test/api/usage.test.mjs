// GET /api/usage: exact numbers of what a team's agents did, for every kind of turn.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, test } from 'node:test';
import { startUpstream } from '../fake/upstream.mjs';
import { Aerie } from '../tools/aerie.mjs';
import { kind } from '../tools/database.mjs';
import { openStream } from '../tools/http.mjs';
import { openSocket } from '../tools/socket.mjs';
import { until } from '../tools/until.mjs';

const DAY_MS = 86400000;
const dayOf = (ms) => new Date(ms).toISOString().slice(0, 10);
const NOTHING = { messages: 0, errors: 0, prompt_tokens: 0, completion_tokens: 0, first_token_ms: null };

let aerie;
let admin;
let upstream;
before(async () => {
  upstream = await startUpstream();
  aerie = await Aerie.start();
  admin = aerie.admin;
});
after(async () => {
  await aerie?.stop();
  await upstream?.close();
});

/** One that tells its tokens: 7 of the prompt, and one for each of the reply. */
const teller = (fields = {}, who = admin) => who.agent({ provider: 'openai_compatible', webhook_url: upstream.url({}, '/v1'), model: 'm', ...fields });
const report = async (query = '', who = admin) => {
  const answer = await who.get(`/api/usage${query}`);
  assert.equal(answer.status, 200, answer.text);
  return answer.json;
};
/** Of one agent, once so many messages are told: a program has its answer before that is stored. */
async function totalsOf({ id }, messages) {
  let totals;
  const told = async () => {
    ({ totals } = await report(`?agent_id=${id}`));
    return totals.messages >= messages;
  };
  await until(told, () => `${messages} messages are told: ${totals?.messages}`);
  return totals;
}
const say = (tokens) => `!format=openai&tokens=${tokens}`;

test('each_kind_of_turn_is_counted_with_its_tokens', async () => {
  const agent = await teller({ allowed_origins: ['*'] });
  const user = await aerie.user();
  const key = (await admin.post(`/api/agents/${agent.id}/api-keys`, {})).json.api_key;
  let n = 0;
  let tokens = 0;
  const counted = async (what, reply, run) => {
    await run(say(reply));
    n++;
    tokens += reply;
    const totals = await totalsOf(agent, n);
    assert.ok(totals.first_token_ms >= 0, what);
    assert.deepEqual({ ...totals, first_token_ms: null }, { messages: n, errors: 0, prompt_tokens: 7 * n, completion_tokens: tokens, first_token_ms: null }, what);
  };
  const chat = await user.chat(agent);
  await counted('a chat', 2, (message) => user.ask(chat, message));
  await counted('again', 2, async () => (await openStream(aerie.port, 'POST', `/api/chats/${chat.id}/regenerate`, { token: user.token })).whole());
  await counted('in one call', 3, (message) => user.post('/api/chat', { message, agent_id: agent.id }));
  await counted('a socket', 4, async (message) => {
    const socket = await openSocket(aerie.port, { token: user.token });
    await socket.ask({ agent_id: agent.id, message });
    await socket.close();
  });
  await counted("a key's session", 5, async (message) => {
    const { session_id } = (await aerie.request('POST', '/api/chat/session', { json: { api_key: key, assistant_id: agent.id } })).json;
    const answer = await aerie.request('POST', '/api/chat', { json: { api_key: key, session_id, assistant_id: agent.id, messages: [{ role: 'user', content: message }] } });
    assert.equal(answer.status, 200, answer.text);
  });
  await counted('a widget', 6, async (message) => {
    const headers = { Origin: 'https://shop.test' };
    const { session_id } = (await aerie.request('POST', '/api/chat/widget/session', { json: { chatbot_id: agent.id }, headers })).json;
    assert.equal((await aerie.request('POST', '/api/chat/widget', { json: { session_id, message }, headers })).status, 200);
  });
  await counted("OpenAI's protocol", 7, async (content) => {
    const answer = await aerie.request('POST', '/v1/chat/completions', { token: key, json: { model: agent.id, messages: [{ role: 'user', content }] } });
    assert.equal(answer.status, 200, answer.text);
  });
  const { days } = await report(`?agent_id=${agent.id}`);
  const today = days.at(-1);
  assert.deepEqual([days.length, today.agent_id, today.agent_name, dayOf(Date.now() - 60000) <= today.day && today.day <= dayOf(Date.now())], [1, agent.id, agent.name, true]);
});

test('a_failure_is_an_error_and_a_stop_is_none', async () => {
  const agent = await admin.agent({ webhook_url: upstream.url(), allowed_origins: ['*'] });
  const key = (await admin.post(`/api/agents/${agent.id}/api-keys`, {})).json.api_key;
  const user = await aerie.user();
  const chat = await user.chat(agent);
  await user.ask(chat, '!status=500');
  assert.deepEqual(await totalsOf(agent, 1), { ...NOTHING, messages: 1, errors: 1 });
  const failed = await aerie.request('POST', '/v1/chat/completions', { token: key, json: { model: agent.id, messages: [{ role: 'user', content: '!status=500' }] } });
  assert.equal(failed.status, 502);
  assert.deepEqual(await totalsOf(agent, 2), { ...NOTHING, messages: 2, errors: 2 });
  const cut = await user.ask(chat, '!tokens=5&delay=20&reset_piece=4');
  assert.equal(cut.error.code, 'interrupted');
  const { completion_tokens, errors } = await totalsOf(agent, 3);
  assert.deepEqual([errors, completion_tokens > 0], [3, true]);
  const stream = await user.send(chat, '!tokens=500&delay=20');
  await stream.until((s) => s.of('message').length >= 2);
  await user.post(`/api/chats/${chat.id}/stop`);
  await stream.whole();
  const totals = await totalsOf(agent, 4);
  assert.deepEqual([totals.messages, totals.errors], [4, 3]);
});

test('the_wait_for_the_first_words_is_a_mean_of_those_that_came', async () => {
  const agent = await admin.agent({ webhook_url: upstream.url() });
  const chat = await admin.chat(agent);
  await admin.ask(chat, '!status=500');
  assert.equal((await totalsOf(agent, 1)).first_token_ms, null);
  await admin.ask(chat, '!tokens=3&first=200&delay=100');
  const { first_token_ms: once } = await totalsOf(agent, 2);
  assert.ok(once >= 150, `${once} ms`);
  const sum = () => Number(aerie.database.query(`select sum(first_token_ms) from usage_days where agent_id = '${agent.id}'`));
  assert.equal(sum(), once);
  await admin.ask(chat, '!tokens=1');
  assert.equal((await totalsOf(agent, 3)).first_token_ms, Math.floor(sum() / 2));
});

/** Rows of other days, as they were stored then. */
function addDays(server, team_id, rows) {
  const values = rows.map(({ day, agent_id, ...numbers }) => {
    const at = server.database.kind === 'sqlite' ? `${Date.parse(`${day}T00:00:00Z`)}000` : `'${day}T00:00:00Z'`;
    const row = { messages: 1, errors: 0, first_tokens: 1, first_token_ms: 100, ...numbers };
    return `('${team_id}', ${at}, '${randomUUID()}', '${agent_id}', 'echo', '', 10, 20, 30, 0, ${row.messages}, ${row.errors}, ${row.first_tokens}, ${row.first_token_ms})`;
  });
  server.database.query(`insert into usage_days (team_id, day, owner_id, agent_id, provider, model, prompt_tokens, completion_tokens, total_tokens, estimated_tokens, messages, errors, first_tokens, first_token_ms) values ${values}`);
}

test('days_are_of_utc_and_ends_of_a_range_belong_to_it', async () => {
  const { admin: boss } = await aerie.otherTeam();
  const [one, two] = [await teller({}, boss), await teller({}, boss)];
  const gone = randomUUID();
  const now = Date.now();
  const ago = (days) => dayOf(now - days * DAY_MS);
  addDays(aerie, boss.me.team_id, [
    ...[1, 10, 28, 31, 200].map((days) => ({ day: ago(days), agent_id: one.id })),
    { day: ago(10), agent_id: one.id, messages: 3, errors: 2, first_token_ms: 301 },
    { day: ago(10), agent_id: two.id, messages: 5, first_tokens: 0, first_token_ms: 0 },
    { day: ago(10), agent_id: gone },
  ]);
  const all = await report('', boss);
  assert.deepEqual([Date.parse(all.to) - Date.parse(all.from), all.to >= dayOf(now)], [29 * DAY_MS, true]);
  assert.deepEqual(all.days.map(({ day }) => day), [ago(28), ago(10), ago(10), ago(10), ago(1)]);
  assert.deepEqual(all.totals, { messages: 12, errors: 2, prompt_tokens: 60, completion_tokens: 120, first_token_ms: 140 });
  const tenth = Object.fromEntries((await report(`?from=${ago(10)}&to=${ago(10)}`, boss)).days.map((row) => [row.agent_id, row]));
  assert.deepEqual(tenth[one.id], { day: ago(10), agent_id: one.id, agent_name: one.name, messages: 4, errors: 2, prompt_tokens: 20, completion_tokens: 40, first_token_ms: 200 });
  assert.deepEqual(tenth[two.id], { day: ago(10), agent_id: two.id, agent_name: two.name, messages: 5, errors: 0, prompt_tokens: 10, completion_tokens: 20, first_token_ms: null });
  assert.equal(tenth[gone].agent_name, null, 'what it did outlives it');
  const days = async (query) => (await report(query, boss)).days.map(({ day, agent_id }) => `${day} ${agent_id}`);
  assert.deepEqual(await days(`?from=${ago(31)}&to=${ago(28)}&agent_id=${one.id}`), [`${ago(31)} ${one.id}`, `${ago(28)} ${one.id}`]);
  assert.deepEqual(await days(`?from=${ago(30)}&to=${ago(29)}`), []);
  assert.deepEqual((await report(`?to=${ago(28)}`, boss)).from, ago(57));
  assert.equal((await days(`?from=${ago(365)}&agent_id=${one.id}`)).length, 5);
  assert.deepEqual(await report(`?agent_id=${randomUUID()}`, boss), { ...all, days: [], totals: NOTHING });
});

test('another_team_sees_nothing_and_users_are_refused', async () => {
  const agent = await admin.agent({ provider: 'echo' });
  await admin.ask(await admin.chat(agent), 'hello');
  await totalsOf(agent, 1);
  const { admin: stranger } = await aerie.otherTeam();
  for (const query of ['', `?agent_id=${agent.id}`]) assert.deepEqual({ ...(await report(query, stranger)), from: '', to: '' }, { from: '', to: '', days: [], totals: NOTHING });
  assert.equal((await (await aerie.user()).get('/api/usage')).status, 403);
  assert.equal((await aerie.request('GET', '/api/usage')).status, 401);
});

test('a_bad_range_is_refused_by_name', async () => {
  const cases = { from: ['from=', 'from=x', 'from=2026-02-30', 'from=2026-1-1', 'from=20260101', 'from=2026-01-01T00:00:00Z', 'from=2026-02-02&to=2026-02-01', 'from=2025-01-01&to=2026-01-02', 'from=1969-12-31'], to: ['to=yesterday', 'to=2025-02-29', 'to=2026-13-01', 'to=2026-00-10'], agent_id: ['agent_id=x', 'agent_id='] };
  for (const [field, queries] of Object.entries(cases))
    for (const query of queries) {
      const answer = await admin.get(`/api/usage?${query}`);
      assert.deepEqual([answer.status, answer.json.errors?.map((e) => e.field)], [422, [field]], `${query}: ${answer.text}`);
    }
  for (const query of ['from=2025-01-01&to=2026-01-01', 'from=2024-02-29&to=2024-02-29', 'to=1970-01-01']) assert.equal((await admin.get(`/api/usage?${query}`)).status, 200, query);
});

test('days_that_are_too_old_are_deleted', async () => {
  const server = await Aerie.start({ env: { USAGE__KEEP_DAYS: 100 } });
  try {
    const agent = await server.admin.agent({ provider: 'echo' });
    const others = await server.otherTeam();
    const count = () => Number(server.database.query('select count(*) from usage_days'));
    await server.halt();
    const ago = (days) => dayOf(Date.now() - days * DAY_MS);
    const old = Array.from({ length: 300 }, (_, i) => ({ day: ago(102 + i), agent_id: agent.id }));
    for (const { me } of [server.admin, others.admin]) addDays(server, me.team_id, [...old, { day: ago(98), agent_id: agent.id }]);
    assert.equal(count(), 602);
    await server.listen();
    await until(() => count() <= 2, 'they go, in more than one pass', 15000);
    assert.equal(count(), 2);
  } finally {
    await server.stop();
  }
});

/** The months that have a partition, and how many days stand in none. */
const months = ({ database }) => ({
  made: database.query("select substr(relname, 12) from pg_class where relkind = 'r' and relname ~ '^usage_days_\\d+$' order by 1").split('\n'),
  rest: Number(database.query('select count(*) from usage_days_rest')),
});

test('servers_make_the_months_ahead_and_let_old_ones_go', { skip: kind === 'sqlite' && 'SQLite has no partitions' }, async () => {
  const month = (ms) => dayOf(ms).slice(0, 7).replace('-', '');
  const now = new Date();
  const ahead = [0, 1].map((n) => month(Date.UTC(now.getUTCFullYear(), now.getUTCMonth() + n)));
  const server = await Aerie.start({ env: { USAGE__KEEP_DAYS: 100 } });
  const others = [];
  try {
    assert.deepEqual(months(server), { made: ahead, rest: 0 }, 'there are rows for them at once');
    await server.halt();
    const old = ['2020-01-15', '2020-01-16', '2020-02-29'];
    for (const day of old) while (server.database.query(`select usage_tend('${day}', null)`) === 't');
    server.database.query(`do $$ begin execute 'drop table usage_days_${ahead[0]}'; execute 'drop table usage_days_${ahead[1]}'; end $$`); // nobody ran for two months
    const agent_id = randomUUID();
    addDays(server, server.admin.me.team_id, [...old, dayOf(Date.now()), dayOf(Date.now() - 95 * DAY_MS)].map((day) => ({ day, agent_id })));
    assert.equal(months(server).rest, 2);
    // Who reads while days move to their month waits, and misses none.
    const held = server.database.hold('begin; select usage_tend(now(), null); select pg_sleep(1); commit');
    const { query } = server.database;
    await until(() => query("select count(*) from pg_stat_activity where datname = current_database() and wait_event = 'PgSleep'") === '1', 'days move');
    assert.equal(query('select count(*) from usage_days'), '5');
    await held;
    assert.equal(months(server).rest, 1);
    await server.listen();
    others.push(...await Promise.all([server.beside(), server.beside()]));
    const kept = [...new Set([month(Date.now() - 95 * DAY_MS), ...ahead])];
    await until(() => months(server).made.length === kept.length && months(server).rest === 0, () => JSON.stringify(months(server)));
    assert.deepEqual(months(server), { made: kept, rest: 0 });
    assert.equal(server.database.query('select count(*) from usage_days'), '2');
    const { admin: boss } = server;
    assert.equal((await report('', boss)).totals.messages, 1);
    await boss.ask(await boss.chat(await boss.agent({ provider: 'echo' })), 'hello');
    assert.equal(server.database.query(`select count(*) from usage_days_${ahead[0]}`), '2');
    for (const node of others) await node.stop();
  } finally {
    for (const node of others) if (node.child) node.drop();
    await server.stop();
  }
});
