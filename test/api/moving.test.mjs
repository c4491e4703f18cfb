// What takes data from one place to another: all of it arrives or none of it does, and what went wrong is said with what to do.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createHash, randomUUID } from 'node:crypto';
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { binaryPath, PASSWORD, serverEnv } from '../tools/aerie.mjs';
import { request } from '../tools/http.mjs';
import { answers, counts, digests, emptyPlace, emptyPostgres, fill, filled, printedCounts, somePostgres, TABLES } from '../tools/moving.mjs';
import { runNginx, shards as shardsConf } from '../tools/nginx.mjs';

const MESSAGES = Number(process.env.AERIE_TEST_MOVED ?? 2000);
let cluster;
before(async () => (cluster = await somePostgres()));
after(() => cluster.stop());

const lines = (text) => text.trim().split('\n');
const json = (text) => lines(text).map((line) => JSON.parse(line));

/** Fails with 1 and these words, and says nothing on stdout. */
function refuses(aerie, args, words, options = {}) {
  const ran = aerie.tryCommand(args, options);
  assert.equal(ran.status, 1, `${args.join(' ')}: ${ran.status} ${ran.stdout}${ran.stderr}`);
  assert.match(ran.stderr, words);
  return ran;
}

/** Kills a command that writes to PostgreSQL when it has come to the messages. */
async function killedInTheMiddle(aerie, args, target) {
  const held = target.hold('begin; lock table messages in share mode; select pg_sleep(60)').catch(() => {});
  const child = spawn(binaryPath(), args, { env: serverEnv(aerie.env), cwd: aerie.folder, stdio: 'ignore' });
  const ended = new Promise((resolve) => child.once('exit', resolve));
  const waits = () => target.query("select count(*) from pg_stat_activity where wait_event_type = 'Lock' and query like 'COPY %messages%'") === '1';
  for (let i = 0; i < 500 && !waits(); i++) await sleep(20);
  assert.ok(waits(), 'it is in the middle');
  child.kill('SIGKILL');
  await ended;
  target.query("select pg_terminate_backend(pid) from pg_stat_activity where query like '%pg_sleep%' and pid <> pg_backend_pid()");
  await held;
}

test('a_sqlite_database_moves_to_postgresql_and_answers_as_before', async () => {
  const aerie = filled(MESSAGES);
  const target = emptyPostgres(aerie.folder);
  try {
    await aerie.listen();
    await aerie.makeAdmin();
    const agent = (await aerie.admin.get('/api/agents')).json.find(({ provider }) => provider === 'echo');
    await aerie.admin.ask(await aerie.admin.chat(agent), 'Grüße 👋, is anyone there?');
    const before = await answers(aerie);
    assert.ok(before.chats.length > 3 && before.histories.flat().length > 20 && before.found.length > 0, 'there is something to compare');
    refuses(aerie, ['migrate-to', target.url], /stop it first[^]*in use by another server/);
    assert.deepEqual(target.query("select count(*) from pg_tables where schemaname = 'public'"), '0', 'nothing was begun');
    await aerie.halt();

    const had = { counts: counts(aerie.database), digests: digests(aerie.database) };
    assert.ok(had.counts.messages >= MESSAGES);
    const told = json(aerie.command(['migrate-to', target.url, '--json'], { timeout: 280000 }));
    assert.deepEqual({ counts: counts(target), digests: digests(target) }, had);
    for (const { table, sqlite, postgresql } of told) assert.deepEqual([sqlite, postgresql], [had.counts[table] ?? sqlite, had.counts[table] ?? sqlite], table);
    refuses(aerie, ['migrate-to', target.url], /that database is not empty \(teams has 1 rows\): make a new one/);

    Object.assign(aerie.env, target.env);
    await aerie.listen();
    await aerie.makeAdmin();
    const now = await answers(aerie);
    if (MESSAGES > 2000) before.found = now.found; // the words of so many are not in the index yet
    assert.deepEqual(now, before);
    await aerie.admin.ask(before.chats[0], 'and on it goes');
    await inMonths(target);
    assert.equal(target.query("select count(*) from usage_days where day < '2025-01-01'"), String(before.usage.days.length));
    refuses(aerie, ['migrate-to', target.url], /not a SQLite file: it is moved already/);
  } finally {
    await aerie.halt();
    aerie.drop();
    target.drop();
  }
});

test('a_move_that_is_cut_off_has_moved_nothing_and_can_be_begun_again', async () => {
  const aerie = filled(300);
  const target = emptyPostgres(aerie.folder);
  const env = { ...aerie.env, ...target.env };
  try {
    aerie.command(['migrate', 'up'], { env });
    await killedInTheMiddle(aerie, ['migrate-to', target.url], target);
    assert.deepEqual(Object.values(counts(target)).filter((n) => n > 0), [], 'nothing is there');
    aerie.command(['migrate-to', target.url]);
    assert.deepEqual(counts(target), counts(aerie.database));
  } finally {
    aerie.drop();
    target.drop();
  }
});

test('what_cannot_be_moved_is_named_and_leaves_the_target_empty', () => {
  const aerie = filled(100);
  const target = emptyPostgres(aerie.folder);
  try {
    aerie.database.query('create table later (id text)');
    refuses(aerie, ['migrate-to', target.url], /the database has a table later, of which this program does not know/);
    aerie.database.query('drop table later');
    aerie.database.query("update messages set content = cast(x'4772fc6e' as text) where seq = 2");
    refuses(aerie, ['migrate-to', target.url], /messages: content of a row is no text that a database takes/);
    aerie.database.query("update messages set content = 'well' where seq = 2");
    aerie.database.query("update messages set metadata = '{' where seq = 2");
    refuses(aerie, ['migrate-to', target.url], /messages: a value does not fit its type/);
    aerie.database.query("update messages set metadata = '{}' where seq = 2");
    assert.deepEqual(Object.values(counts(target)).filter((n) => n > 0), []);
    refuses(aerie, ['migrate-to', 'postgresql://aerie@127.0.0.1:1/none'], /cannot use the PostgreSQL database/);
    refuses(aerie, ['migrate-to', 'mysql://x'], /must begin with postgresql:/);
    aerie.command(['migrate-to', target.url]);
    assert.deepEqual(counts(target), counts(aerie.database));
  } finally {
    aerie.drop();
    target.drop();
  }
});

/** Days of years ago come without partitions, which the server that runs makes for them. */
async function inMonths({ query }) {
  const places = () => query('select distinct tableoid::regclass::text from usage_days order by 1').split('\n');
  for (let i = 0; i < 200 && places().includes('usage_days_rest'); i++) await sleep(50);
  assert.deepEqual(places(), ['usage_days_202311', 'usage_days_202312', `usage_days_${new Date().toISOString().slice(0, 7).replace('-', '')}`]);
}

/** A team with everything that is sealed, in a server that runs, beside another team. */
async function team(kind) {
  const source = filled(200);
  const aerie = kind === 'sqlite' ? source : emptyPlace(kind);
  fill(source, 50, { slug: otherTeam(source), seed: 2 });
  if (kind !== 'sqlite') source.command(['migrate-to', aerie.database.url]);
  Object.assign(aerie, { team: source.team, adminEmail: source.adminEmail });
  await aerie.listen();
  await aerie.makeAdmin();
  const agent = (await aerie.admin.get('/api/agents')).json.find(({ provider }) => provider === 'echo');
  const budget = await aerie.admin.put('/api/budgets', { scope: 'team', period: 'month', tokens: 1000000, money_micros: 1000000 });
  assert.equal(budget.status, 200, budget.text);
  await aerie.admin.ask(await aerie.admin.chat(agent), 'Grüße 👋 \\ "quoted"');
  aerie.database.query(`update budget_spend set money_micros = 777, warned_at = period_start where team_id = '${aerie.team.id}' and scope = 'team'`);
  await aerie.admin.agent({ webhook_url: 'http://127.0.0.1:9/hook', webhook_token: 'a token that is sealed' });
  const key = await aerie.admin.post('/api/team/provider-keys', { provider: 'openai', key: 'sk-a-key-of-a-provider-0001' });
  assert.equal(key.status, 201, key.text);
  return { aerie, drop: () => [...new Set([source, aerie])].forEach((one) => one.drop()) };
}

function otherTeam(aerie) {
  aerie.command(['team', 'create', '--name', 'Other', '--slug', 'other']);
  return 'other';
}

/** What was spent of its budgets; the last column is what servers have leased. */
const spent = (aerie, id) => {
  const micros = aerie.database.kind === 'sqlite' ? (column) => column : (column) => `cast(extract(epoch from ${column}) * 1000000 as bigint)`;
  return aerie.database.query(`select scope, subject_id, period, ${micros('period_start')}, requests, tokens, money_micros, ${micros('warned_at')}, leased_requests + leased_tokens + leased_micros
    from budget_spend where team_id = '${id}' order by tokens, scope`).split('\n').map((row) => row.split('|'));
};

const ofTeam = (aerie, id) => Object.fromEntries(TABLES.filter((table) => table !== 'refresh_tokens').map((table) =>
  [table, Number(aerie.database.query(`select count(*) from ${table} where ${table === 'teams' ? 'id' : 'team_id'} = '${id}'`))]));

for (const [from, to] of [['sqlite', 'postgres'], ['postgres', 'sqlite']]) {
  test(`a_team_goes_by_a_file_from_${from}_to_${to}_with_all_that_it_has`, async () => {
    const { aerie, drop } = await team(from);
    const elsewhere = emptyPlace(to, { env: { SECRET_KEY: 'another secret, which the tests have elsewhere' } });
    const file = join(aerie.folder, 'team.jsonl');
    const phrase = join(aerie.folder, 'phrase');
    writeFileSync(phrase, 'eine lange Losung 🔑\n');
    try {
      const before = await answers(aerie);
      const exported = printedCounts(aerie.command(['export', file, '--team', aerie.team.slug, '--with-passwords', '--with-secrets', '--passphrase-file', phrase, '--json']));
      assert.deepEqual({ ...ofTeam(aerie, aerie.team.id), ...exported }, ofTeam(aerie, aerie.team.id));
      assert.equal(statSync(file).mode & 0o077, 0);
      assert.doesNotMatch(readFileSync(file, 'utf8'), /a token that is sealed|sk-a-key-of/);

      elsewhere.prepare();
      const had = ofTeam(elsewhere, elsewhere.team.id);
      refuses(elsewhere, ['import', file], /the file has secrets: --passphrase-file/);
      refuses(elsewhere, ['import', file, '--passphrase-file', phrase], /there is a team of this slug: give it another with --as SLUG/);
      const imported = printedCounts(elsewhere.command(['import', file, '--as', 'moved', '--passphrase-file', phrase, '--json']));
      assert.deepEqual(imported, exported);
      assert.deepEqual(ofTeam(elsewhere, aerie.team.id), ofTeam(aerie, aerie.team.id));
      assert.deepEqual(ofTeam(elsewhere, elsewhere.team.id), had, 'the other team is as it was');
      const [here, there] = [spent(aerie, aerie.team.id), spent(elsewhere, aerie.team.id)];
      assert.deepEqual(there, here.map((row) => [...row.slice(0, -1), '0']));
      assert.ok(here.some((row) => row[6] === '777' && Number(row.at(-1)) > 0), 'there was something to leave behind');
      refuses(elsewhere, ['import', file, '--as', 'again', '--passphrase-file', phrase], /this team is here already/);

      await elsewhere.listen();
      elsewhere.admin = await elsewhere.login(aerie.adminEmail, { team_id: aerie.team.id });
      const after = await answers(elsewhere);
      assert.equal(after.team.slug, 'moved');
      assert.deepEqual({ ...after, team: { ...after.team, slug: before.team.slug } }, before);
      await elsewhere.admin.ask(before.chats[0], 'and on it goes');
      if (to === 'postgres') await inMonths(elsewhere.database);
      const again = elsewhere.tryCommand(['export', `${file}2`, '--team', 'moved', '--with-secrets', '--passphrase-file', phrase]);
      assert.equal(again.status, 0, again.stderr);
      assert.doesNotMatch(again.stderr, /secrets/, 'each opens with the secret of the new place');
    } finally {
      await Promise.all([aerie.halt(), elsewhere.halt()]);
      drop();
      elsewhere.drop();
    }
  });
}

test('passwords_and_secrets_stay_at_home_unless_they_are_asked_for', async () => {
  const { aerie, drop } = await team('sqlite');
  const elsewhere = emptyPlace('sqlite');
  const file = join(aerie.folder, 'team.jsonl');
  try {
    const ran = aerie.tryCommand(['export', file, '--team', aerie.team.slug]);
    assert.match(ran.stderr, /passwords are not in it[^]*\b2 secrets are not in it/);
    const rows = readFileSync(file, 'utf8').trim().split('\n').slice(1, -1).map((line) => JSON.parse(line));
    assert.deepEqual(rows.filter(({ table, row }) => (table === 'users' && row.password_hash) || (table === 'agents' && row.webhook_token) || table === 'provider_keys'), []);
    assert.match(elsewhere.tryCommand(['import', file]).stderr, /the file has no passwords/);
    await elsewhere.listen();
    assert.equal((await elsewhere.request('POST', '/api/auth/login', { json: { email: aerie.adminEmail, password: PASSWORD } })).status, 401);
    elsewhere.command(['user', 'password', '--email', aerie.adminEmail, '--team', aerie.team.slug, '--password-stdin'], { input: `${PASSWORD}\n` });
    await elsewhere.login(aerie.adminEmail);
    const sealed = aerie.tryCommand(['export', `${file}2`, '--team', aerie.team.slug, '--with-secrets', '--passphrase-file', file], { env: { SECRET_KEY: 'not the secret that anything was sealed with' } });
    assert.match(sealed.stderr, /2 secrets do not open with this server's secret/);
  } finally {
    await Promise.all([aerie.halt(), elsewhere.halt()]);
    drop();
    elsewhere.drop();
  }
});

test('a_file_that_is_cut_changed_or_not_trusted_imports_nothing', async () => {
  const { aerie, drop } = await team('sqlite');
  const elsewhere = emptyPlace('sqlite');
  const file = join(aerie.folder, 'team.jsonl');
  const phrase = join(aerie.folder, 'phrase');
  const wrong = join(aerie.folder, 'wrong');
  writeFileSync(phrase, 'eine lange Losung\n');
  writeFileSync(wrong, 'eine andere Losung\n');
  try {
    await aerie.halt();
    aerie.command(['export', file, '--team', aerie.team.slug, '--with-passwords', '--with-secrets', '--passphrase-file', phrase]);
    elsewhere.command(['migrate', 'up']);
    const text = readFileSync(file, 'utf8');
    const broken = (what, words, options = ['--passphrase-file', phrase]) => {
      writeFileSync(`${file}.bad`, what);
      refuses(elsewhere, ['import', `${file}.bad`, ...options], words);
    };
    /** The same with an end that fits what was changed. */
    const signed = (changed) => {
      const all = changed.trimEnd().split('\n');
      const foot = JSON.parse(all.pop());
      const body = `${all.join('\n')}\n`;
      return `${body}${JSON.stringify({ ...foot, sha256: createHash('sha256').update(body).digest('hex') })}\n`;
    };
    broken(text, /the passphrase is not the one of the export/, ['--passphrase-file', wrong]);
    broken(text.slice(0, text.length >> 1), /the file is cut off: its last line has no end/);
    broken(text.slice(0, text.lastIndexOf('\n', text.length - 2) + 1), /the file is cut off: it has no end/);
    broken(text.replace('Grüße 👋', 'Grüsse 👋'), /the file is damaged: its lines are not those/);
    broken(text.split('\n').filter((line, i) => i !== 5).join('\n'), /the file is damaged/);
    broken(`${text}{}\n`, /line \d+ of the file: there is something behind the file's end/);
    broken(signed(text.replace('{"table":"messages"', '{"table":"schema_migrations"')), /line \d+ of the file: a table that this program does not import/);
    broken(signed(text.replace(new RegExp(`"team_id":"${aerie.team.id}","title"`), '"team_id":"01890000-0000-7000-8000-000000000000","title"')), /line \d+ of the file: a row of another team/);
    broken(signed(text.replace('"content":', '"contents":')), /line \d+ of the file: it has a column that this program's table has not/);
    broken(signed(text.replace(/"chat_id":"[^"]*"/, '"chat_id":"01890000-0000-7000-8000-000000000000"')), /refers to what is not in the file[^]*FOREIGN KEY/);
    broken(signed(text.replace('"migration":', '"migration":9')), /the file was written by a newer program/);
    broken('', /the file is empty/);
    broken('{"hello": 1}\n', /not what `aerie export` writes/);
    assert.deepEqual(Object.values(counts(elsewhere.database)).filter((n) => n > 0), [], 'nothing is left of any');
    writeFileSync(`${file}.good`, signed(text));
    elsewhere.command(['import', `${file}.good`, '--passphrase-file', phrase]);
  } finally {
    drop();
    elsewhere.drop();
  }
});

test('an_import_that_is_killed_leaves_no_half_team', async () => {
  const { aerie, drop } = await team('sqlite');
  const elsewhere = emptyPlace('postgres');
  const file = join(aerie.folder, 'team.jsonl');
  try {
    await aerie.halt();
    aerie.command(['export', file, '--team', aerie.team.slug]);
    elsewhere.command(['migrate', 'up']);
    await killedInTheMiddle(elsewhere, ['import', file], elsewhere.database);
    assert.deepEqual(Object.values(counts(elsewhere.database)).filter((n) => n > 0), []);
    elsewhere.command(['import', file]);
    assert.deepEqual(ofTeam(elsewhere, aerie.team.id), ofTeam(aerie, aerie.team.id));
  } finally {
    drop();
    elsewhere.drop();
  }
});

/** etc/nginx/shards.conf before two servers, where shop.test is at that one, and moves or does not. */
const shardedSite = (places, { at, moves }) => (port) => {
  const lines = [[/^ +shop\.example\.com +aerie_2;$/m, `shop.test ${at};`], [/^ +# shop\.example\.com +yes;$/m, `shop.test ${moves ? 'yes' : 'no'};`],
    [/server 10\.0\.1\.11:8000;\n +server 10\.0\.1\.12:8000;/, `server 127.0.0.1:${places[0].port};`], [/server 10\.0\.2\.11:8000;/, `server 127.0.0.1:${places[1].port};`]];
  let text = shardsConf;
  for (const [pattern, line] of lines) {
    assert.match(text, pattern);
    text = text.replace(pattern, line);
  }
  return `${text} server { listen 127.0.0.1:${port}; location / {
    if ($aerie_waits) { return 503; }
    proxy_pass http://$aerie_shard; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_set_header Host $http_host; proxy_buffering off; } }`;
};

test('a_team_moves_to_another_shard_while_it_is_written_to_and_loses_nothing', async () => {
  const env = { LIMITS__VISITOR_MESSAGES_PER_MINUTE: 0, LIMITS__AGENT_MESSAGES_PER_MINUTE: 0 };
  const places = [emptyPlace('postgres', { env }), emptyPlace('postgres', { env })];
  const [old] = places;
  let nginx;
  let over = false;
  let hasFailed = false;
  let writing = [];
  try {
    for (const place of places) {
      place.prepare();
      await place.listen();
      await place.makeAdmin();
    }
    const shop = await old.otherTeam();
    const agent = await shop.admin.agent({ provider: 'echo', allowed_origins: ['https://shop.test'] });
    const { api_key: key } = (await shop.admin.post(`/api/agents/${agent.id}/api-keys`, {})).json;
    nginx = await runNginx(shardedSite(places, { at: 'aerie_1', moves: false }), { main: 'worker_shutdown_timeout 5s; events {}' });
    const ask = (method, path, { host = 'shop.test', headers, ...options } = {}) => request(nginx.port, method, path, { ...options, headers: { Host: host, ...headers } });
    const mine = { token: shop.admin.token };
    const visitor = (await ask('POST', '/api/chat/widget/session', { json: { chatbot_id: agent.id }, headers: { Origin: 'https://shop.test' } })).json;
    const rowsOf = (place, what) => Number(place.database.query(`select count(*) from messages where team_id = '${shop.id}' and ${what}`));

    const sent = [];
    let n_waits = 0;
    /** The same message with its key until it is acknowledged, as clients do it. */
    async function deliver(path, json, options) {
      const headers = { 'Idempotency-Key': randomUUID(), ...options.headers };
      for (;;) {
        const answer = await ask('POST', path, { ...options, json, headers }).catch((error) => ({ status: 0, text: error.message }));
        if (answer.status === 200) return sent.push({ content: json.content ?? json.message, path, json, headers }), answer;
        assert.ok([0, 503].includes(answer.status) && !hasFailed, `${answer.status} ${answer.text}`);
        n_waits++;
        await sleep(30);
      }
    }
    async function writer(i) {
      const chat = (await ask('POST', '/api/chats', { ...mine, json: { agent_id: agent.id } })).json;
      for (let n = 0; !over; n++) await deliver(`/api/chats/${chat.id}/messages`, { content: `message ${n} of writer ${i}` }, mine);
    }
    async function visit() {
      for (let n = 0; !over; n++) await deliver('/api/chat/widget', { session_id: visitor.session_id, message: `message ${n} of the visitor` }, { headers: { Origin: 'https://shop.test' } });
    }
    /** Someone of another team, who stays. */
    async function neighbour() {
      const home = (await old.admin.get('/api/team')).json.id;
      for (; !over; await sleep(20)) assert.equal((await ask('GET', '/api/team', { host: 'other.test', token: old.admin.token })).json.id, home);
    }
    writing = [writer(0), writer(1), writer(2), visit(), neighbour()];
    writing.forEach((one) => one.catch(() => (over = true)));
    await sleep(500);
    const [early] = sent;
    const withKey = () => ask('POST', '/api/chat/session', { json: { api_key: key, assistant_id: agent.id } });
    assert.equal((await withKey()).status, 200);

    await nginx.reload(shardedSite(places, { at: 'aerie_1', moves: true }));
    await nginx.drained();
    assert.equal((await ask('POST', '/api/chats', { ...mine, json: { agent_id: agent.id } })).status, 503);
    for (let i = 0; rowsOf(old, "status = 'streaming'") > 0; i++) assert.ok(i < 200 && !(await sleep(20)), 'its replies have ended');
    const file = join(old.folder, 'shop.jsonl');
    const exported = printedCounts(old.command(['export', file, '--team', shop.slug, '--with-passwords', '--json']));
    assert.equal((await ask('GET', '/api/chats', mine)).status, 200, 'what reads goes on');
    const imported = printedCounts(places[1].command(['import', file, '--json']));
    for (const [table, n] of Object.entries(exported)) assert.equal(imported[table] ?? 0, n, table);
    const n_before = sent.length;
    await nginx.reload(shardedSite(places, { at: 'aerie_2', moves: false }));
    old.command(['team', 'disable', '--slug', shop.slug]);
    for (let i = 0; sent.length < n_before + 30; i++) assert.ok(!over && i < 500 && !(await sleep(20)), 'it is written on');
    over = true;
    await Promise.all(writing);

    const again = await ask('POST', early.path, { ...mine, json: early.json, headers: early.headers });
    assert.equal(again.status, 200, 'a key that was spent on the old shard is spent on the new one');
    assert.equal((await withKey()).status, 200, 'a key goes on');
    assert.ok(n_waits > 0 && n_before > 4);
    const stored = places[1].database.query(`select content from messages where team_id = '${shop.id}' and role = 'user' order by content`).split('\n');
    assert.deepEqual(stored, sent.map(({ content }) => content).sort());
    assert.equal(rowsOf(old, 'true'), exported.messages, 'nothing was written to the old shard after the export');
    assert.equal(rowsOf(places[1], "role = 'assistant' and status <> 'complete'"), 0);
  } finally {
    over = hasFailed = true;
    await Promise.allSettled(writing);
    await nginx?.close();
    await Promise.all(places.map((place) => place.halt()));
    places.forEach((place) => place.drop());
  }
});
