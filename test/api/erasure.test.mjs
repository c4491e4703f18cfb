// Erasing a user or a visitor: nothing of theirs is found any more, wherever one looks, and a report says what went and what stays.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import http from 'node:http';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { startUpstream } from '../fake/upstream.mjs';
import { Aerie, isTime, isUuid, PASSWORD, unique, withinASecond } from '../tools/aerie.mjs';
import { kind } from '../tools/database.mjs';
import { fill } from '../tools/past.mjs';
import { until } from '../tools/until.mjs';

const isSqlite = kind === 'sqlite';

let aerie;
let upstream;
let agent;
before(async () => {
  upstream = await startUpstream();
  // Mail is on and goes nowhere: what is to be sent waits.
  aerie = await Aerie.start({ env: { RETENTION__ROWS: 2, EMAIL__URL: 'smtp://127.0.0.1:1', EMAIL__FROM: 'noreply@aerie.test', LIMITS__MAIL_PER_MINUTE: '0', LIMITS__MAIL_PER_ACCOUNT: '0' } });
  agent = await aerie.admin.agent({ provider: 'echo' });
});
after(async () => {
  await aerie?.stop();
  await upstream?.close();
});

const one = (query) => Number(aerie.database.query(query));
const good = (answer, status = 200) => {
  assert.equal(answer.status, status, answer.text);
  return answer.json;
};

/** All that someone reads who has the database's files and the server's folder, in small letters. */
function everything(server = aerie) {
  // While someone reads, the log of the database stays as it is.
  for (let i = 0; isSqlite && i < 50 && !server.database.query('pragma wal_checkpoint(truncate)').startsWith('0|'); i++);
  const files = (folder) => readdirSync(folder, { recursive: true }).map((name) => join(folder, name)).filter((name) => statSync(name).isFile());
  return [server.database.dump(), ...files(server.env.DATA_DIR).map((name) => readFileSync(name, 'latin1'))].join('\n').toLowerCase();
}

/** A word that no other begins like, so that an index that leaves out what two words share has it nearly whole. */
const markerOf = () => `qx${randomUUID().replaceAll('-', '')}`;
const isFound = (marker, server) => everything(server).includes(marker.slice(3));

/** A user who has left traces wherever that is possible. */
async function someone(marker, client = aerie.admin) {
  const email = `${marker}@aerie.test`;
  const user = await aerie.user({ email, team_id: client.me.team_id });
  good(await user.put('/api/auth/me', { full_name: `Name ${marker}`, preferences: { word: marker } }));
  good(await client.put(`/api/users/${user.me.id}`, { role: 'admin' }));
  const raised = await aerie.login(email, { team_id: client.me.team_id });
  const chats = [];
  const whom = client === aerie.admin ? agent : await client.agent({ provider: 'echo' });
  for (let i = 0; i < 3; i++) {
    const chat = await raised.chat(whom, { title: `Title ${marker}`, metadata: { word: marker } });
    await raised.ask(chat, `Words ${marker} ${i}`, { headers: { 'Idempotency-Key': `${marker}${i}` } });
    chats.push(chat);
  }
  assert.equal(good(await raised.get(`/api/chats?q=${marker}`)).length, 3, 'the index has it');
  const made = await raised.agent({ provider: 'echo' });
  good(await client.put('/api/budgets', { scope: 'user', subject_id: user.me.id, period: 'day', requests: 1000 }));
  assert.equal((await aerie.request('POST', '/api/auth/password/forgot', { json: { email } })).status, 202);
  return Object.assign(raised, { chats, made });
}

test('nothing_of_an_erased_user_is_found_any_more', async () => {
  const { admin } = aerie;
  good(await admin.post('/api/webhooks', { url: 'http://127.0.0.1:1/hook', events: ['chat.created', 'message.completed'] }), 201);
  const marker = markerOf();
  const other = markerOf();
  const user = await someone(marker);
  const stays = await someone(other);
  await withinASecond(() => one(`select count(*) from mails where email = '${user.email}'`) === 1, 'the mail');
  assert.ok(isFound(marker) && everything().includes(user.me.id), 'the test looks at the wrong places');
  assert.equal(one(`select count(*) from audit_log where actor_id = '${user.me.id}'`) > 0, true);

  const report = good(await admin.post(`/api/users/${user.me.id}/erase`));
  assert.ok(isUuid(report.id) && isTime(report.at), JSON.stringify(report));
  const { audit_rows: auditRows, ...erased } = report.erased;
  assert.deepEqual([report.kind, erased], ['user', { chats: 3, messages: 6, deliveries: 6, logins: 2, mails: 1, budgets: 1, accounts: 1 }]);
  assert.ok(auditRows >= 4, `${auditRows} rows`);
  assert.deepEqual(report.kept.map(({ what }) => what), ['backups', 'copies', 'journals', 'logs', 'usage', 'team', 'audit']);
  for (const { why } of report.kept) assert.ok(why.length > 20);

  assert.equal(isFound(marker), false, 'something is left');
  for (const table of ['audit_log', 'budgets', 'budget_spend', 'webhook_deliveries', 'agents', 'chats', 'idempotency', 'erasures', 'users'])
    assert.doesNotMatch(aerie.database.query(`select * from ${table}`), new RegExp(user.me.id), table);
  assert.ok(isFound(other), 'what is of others stays');
  assert.equal(good(await stays.get(`/api/chats?q=${other}`)).length, 3);

  for (const answer of [await user.get('/api/auth/me'), await user.get('/api/chats'), await aerie.request('POST', '/api/auth/refresh', { json: { refresh_token: user.refreshToken } }), await aerie.request('POST', '/api/auth/login', { json: { email: user.email, password: PASSWORD } })])
    assert.equal(answer.status, 401, answer.text);
  assert.equal((await admin.get(`/api/users/${user.me.id}`)).status, 404);
  assert.equal((await admin.post(`/api/users/${user.me.id}/erase`)).status, 404, 'there is nobody any more');
  assert.equal(good(await admin.get(`/api/agents/${user.made.id}`)).created_by, null, 'what was made for the team stays');
  await aerie.user({ email: user.email });
});

test('the_trail_keeps_what_was_done_and_not_by_whom', async () => {
  const { admin: lone } = await aerie.otherTeam();
  const user = await someone(markerOf(), lone);
  const trail = async () => good(await lone.get('/api/audit?limit=200'));
  const was = await trail();
  const report = good(await lone.post(`/api/users/${user.me.id}/erase`));
  const [row, ...rest] = await trail();
  assert.deepEqual(rest.map(({ id, action }) => [id, action]), was.map(({ id, action }) => [id, action]), 'no line is lost');
  for (const [i, { actor, actor_id: by, address, subject_id: whom }] of rest.entries()) {
    const old = was[i];
    const isTheirs = old.actor_id === user.me.id;
    assert.deepEqual([actor, by, address], isTheirs ? ['erased', null, null] : [old.actor, old.actor_id, old.address]);
    assert.equal(whom, old.subject_id === user.me.id ? null : old.subject_id);
  }
  assert.ok(rest.some(({ actor, action }) => actor === 'erased' && action === 'agent.create'));
  assert.ok(good(await lone.get('/api/audit?actor=erased')).length > 0);
  assert.deepEqual([row.action, row.actor, row.actor_id, row.subject_kind, row.subject_id], ['erasure.user', 'user', lone.me.id, 'erasure', report.id]);
  assert.deepEqual(row.changes.filter(({ field }) => field === 'messages'), [{ field: 'messages', to: '6' }]);
});

test('a_deleted_user_goes_the_same_way_and_the_trail_keeps_the_id', async () => {
  const { admin } = aerie;
  const marker = markerOf();
  const user = await someone(marker);
  assert.equal((await admin.delete(`/api/users/${user.me.id}`)).status, 204);
  assert.equal(isFound(marker), false);
  const rows = good(await admin.get(`/api/audit?limit=200&actor=${user.me.id}`));
  assert.ok(rows.length > 0 && rows.every(({ actor, actor_email: email }) => actor === 'user' && email === null));
});

test('one_erases_oneself_with_the_password_alone', async () => {
  const marker = markerOf();
  const user = await someone(marker);
  for (const [json, status] of [[{}, 422], [{ password: 'not this one' }, 422], [undefined, 422]]) assert.equal((await user.post('/api/auth/me/erase', json ?? {})).status, status);
  assert.equal((await aerie.request('POST', '/api/auth/me/erase', { json: { password: PASSWORD } })).status, 401);
  const answer = await user.post('/api/auth/me/erase', { password: PASSWORD });
  const report = good(answer);
  assert.equal(report.erased.accounts, 1);
  assert.match(String(answer.headers['set-cookie']), /access_token=;/);
  assert.equal(isFound(marker), false);
  assert.equal((await user.get('/api/auth/me')).status, 401);
  const [row] = good(await aerie.admin.get(`/api/audit?subject=${report.id}`));
  assert.deepEqual([row.action, row.actor, row.actor_id, row.address], ['erasure.user', 'erased', null, null]);
});

test('the_last_admin_and_strangers_stay', async () => {
  const { admin: lone } = await aerie.otherTeam();
  const user = await aerie.user();
  for (const answer of [await lone.post(`/api/users/${lone.me.id}/erase`), await lone.post('/api/auth/me/erase', { password: PASSWORD }), await lone.delete(`/api/users/${lone.me.id}`)]) assert.equal(answer.status, 409, answer.text);
  assert.equal((await lone.get('/api/auth/me')).status, 200);
  assert.equal((await lone.post(`/api/users/${user.me.id}/erase`)).status, 404, "another team's");
  assert.equal((await lone.post('/api/users/nobody/erase')).status, 404);
  assert.equal((await user.post(`/api/users/${user.me.id}/erase`)).status, 403);
  assert.equal((await user.get('/api/auth/me')).status, 200);
  assert.equal(one('select count(*) from erasures'), 0);
});

test('a_visitors_session_goes_with_all_that_was_said', async () => {
  const { admin } = aerie;
  const { admin: other } = await aerie.otherTeam();
  const say = async (marker) => {
    const session = good(await aerie.request('POST', '/api/chat/widget/session', { json: { chatbot_id: agent.id } }));
    good(await aerie.request('POST', '/api/chat/widget', { json: { session_id: session.session_id, message: `Words ${marker}` } }));
    return session;
  };
  const marker = markerOf();
  const session = await say(marker);
  const stays = await say(markerOf());
  const read = ({ session_id: id, visitor_token: token }, what) => aerie.request('GET', `/api/chat/widget/${what}?session_id=${id}`, { token });
  assert.equal(good(await read(session, 'messages')).length, 2);
  assert.ok(isFound(marker));
  const erase = (client, visitor) => client.post('/api/visitors/erase', { visitor });
  for (const [client, visitor, status] of [[other, session.session_id, 404], [admin, randomUUID(), 404], [admin, 'somebody', 404], [admin, (await admin.chat(agent)).id, 404], [await aerie.user(), session.session_id, 403], [admin, undefined, 422]])
    assert.equal((await erase(client, visitor)).status, status);
  assert.equal(good(await read(session, 'messages')).length, 2, 'all of them left it as it was');
  const report = good(await erase(admin, session.session_id.toUpperCase()));
  assert.deepEqual([report.kind, report.erased.chats, report.erased.messages, report.erased.accounts], ['visitor', 1, 2, 0]);
  assert.equal(isFound(marker), false);
  for (const what of ['messages', 'stream']) assert.equal((await read(session, what)).status, 404, what);
  assert.equal(good(await read(stays, 'messages')).length, 2);
  const [row] = good(await admin.get(`/api/audit?subject=${report.id}`));
  assert.equal(row.action, 'erasure.visitor');
  assert.doesNotMatch(JSON.stringify(row), new RegExp(session.session_id));
});

test('running_replies_end_and_leave_nothing_on_any_node', async () => {
  const nodes = isSqlite ? [aerie] : [aerie, await aerie.beside()];
  const slow = await aerie.admin.agent({ webhook_url: upstream.url() });
  if (!isSqlite) await sleep(1200); // until each has seen the other's row
  const marker = markerOf();
  const user = await aerie.user();
  const streams = await Promise.all(nodes.map(async (node) => {
    const client = node.client(user.token, { me: user.me });
    const chat = await client.chat(slow);
    const stream = await client.send(chat, `!delay=50&text=${encodeURIComponent(`${marker} `.repeat(200))}`);
    await stream.until((s) => s.text.includes(marker));
    return stream;
  }));
  good(await aerie.admin.post(`/api/users/${user.me.id}/erase`));
  await withinASecond(() => streams.every(({ closed }) => closed), 'the replies end');
  for (const stream of streams) assert.equal(stream.done?.stopped, true);
  await sleep(300); // until what was running is settled
  assert.equal(isFound(marker), false);
  for (const node of nodes.slice(1)) {
    assert.equal(readdirSync(join(node.env.DATA_DIR, 'replies'), { recursive: true }).some((name) => name.endsWith('.journal')), false);
    await node.stop();
  }
});

/** Lets the server run for moments only, until its first erasure is under way; it stands still then. */
async function standStill() {
  const deadline = Date.now() + 30000;
  for (;;) {
    aerie.child.kill('SIGSTOP');
    if (one('select count(*) from erasures') === 1) return;
    aerie.child.kill('SIGCONT');
    assert.ok(Date.now() < deadline, 'no erasure began');
    await sleep(4);
  }
}

/** An erasure of many steps, cut by kill -9. */
async function cut(marker) {
  const user = await someone(marker);
  fill(aerie.database, user.chats[1], 200, marker);
  const asked = aerie.admin.post(`/api/users/${user.me.id}/erase`).catch(() => 'cut');
  await standStill();
  await aerie.kill();
  assert.equal(await asked, 'cut');
  assert.ok(one(`select count(*) from messages where chat_id = '${user.chats[1].id}'`) > 0);
  return user;
}

test('an_erasure_that_is_cut_by_kill_9_goes_on_when_it_is_asked_for_again', async () => {
  const marker = markerOf();
  const user = await cut(marker);
  await aerie.listen();
  assert.equal((await aerie.request('POST', '/api/auth/login', { json: { email: user.email, password: PASSWORD } })).status, 401, 'the user is out');
  const report = good(await aerie.admin.post(`/api/users/${user.me.id}/erase`));
  assert.equal(isFound(marker), false);
  assert.ok([204, 206].includes(report.erased.messages), `${report.erased.messages} counted: the last step before the cut may be lost, no more`);
  assert.ok([2, 3].includes(report.erased.chats), `${report.erased.chats} chats`);
});

test('an_erasure_that_is_cut_goes_on_by_itself', async () => {
  const marker = markerOf();
  const user = await cut(marker);
  aerie.database.query(`update erasures set touched_at = ${isSqlite ? '0' : "'2020-01-01'"} returning id`);
  await aerie.listen();
  await until(() => one('select count(*) from erasures') === 0, 'it goes on', 20000);
  assert.equal(isFound(marker), false);
  assert.equal(one(`select count(*) from users where id = '${user.me.id}'`), 0);
  assert.equal(good(await aerie.admin.get('/api/audit')).filter(({ action }) => action === 'erasure.user')[0].actor_id, aerie.admin.me.id, 'who began it');
});

test('a_client_that_leaves_does_not_lose_it', async () => {
  const marker = markerOf();
  const user = await someone(marker);
  fill(aerie.database, user.chats[1], 100, marker);
  const call = http.request({ port: aerie.port, method: 'POST', path: `/api/users/${user.me.id}/erase`, headers: { Authorization: `Bearer ${aerie.admin.token}` } });
  const gone = new Promise((resolve) => call.on('error', resolve));
  call.end();
  await standStill();
  call.destroy();
  await gone;
  aerie.child.kill('SIGCONT');
  assert.equal((await user.get('/api/auth/me')).status, 401);
  const again = await aerie.admin.post(`/api/users/${user.me.id}/erase`);
  assert.ok([200, 404].includes(again.status), again.text);
  assert.equal(isFound(marker), false);
});

test('the_operator_erases_beside_the_server_and_without_it', async () => {
  const slow = await aerie.admin.agent({ webhook_url: upstream.url() });
  const marker = markerOf();
  const user = await someone(marker);
  const stream = await user.send(await user.chat(slow), `!delay=50&text=${encodeURIComponent(`${marker} `.repeat(200))}`);
  await stream.until((s) => s.text.includes(marker));
  const erase = (...args) => ['erase', '--team', aerie.team.slug, ...args];
  const report = JSON.parse(aerie.command(erase('--user', user.email.toUpperCase(), '--json')));
  await withinASecond(async () => stream.closed && (await user.get('/api/auth/me')).status === 401, 'the server knows');
  await sleep(300);
  assert.equal(isFound(marker), false);
  assert.deepEqual([report.kind, report.erased.accounts, report.erased.chats], ['user', 1, 4]);
  const [row] = good(await aerie.admin.get(`/api/audit?subject=${report.id}`));
  assert.deepEqual([row.action, row.actor, row.address], ['erasure.user', 'operator', null]);

  for (const [args, status, words] of [[['--user', user.email], 1, /no user of this address/], [['--user', user.me.id], 1, /no user of this id/], [['--user', aerie.adminEmail, '--visitor', user.me.id], 2, /one at a time/], [[], 2, /--user/], [['--visitor', randomUUID()], 1, /Session not found/], [['--visitor', 'x'], 1, /session's id/]]) {
    const ran = aerie.tryCommand(erase(...args));
    assert.equal(ran.status, status, ran.stderr);
    assert.match(ran.stderr, words);
  }
  const { admin: lone, slug } = await aerie.otherTeam();
  assert.match(aerie.tryCommand(['erase', '--team', slug, '--user', lone.me.id]).stderr, /last active admin/);

  const session = good(await aerie.request('POST', '/api/chat/widget/session', { json: { chatbot_id: agent.id } }));
  const gone = await aerie.user({ email: `${unique('gone')}@aerie.test` });
  await aerie.halt();
  assert.match(aerie.command(erase('--user', gone.me.id)), /accounts +1/);
  assert.match(aerie.command(erase('--visitor', session.session_id)), /chats +1/);
  await aerie.listen();
  assert.equal((await gone.get('/api/auth/me')).status, 401);
});
