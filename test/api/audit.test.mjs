// Who changed what: a row for each change, in the transaction of the change, for the admins of its team alone.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { verifies, TOKEN, WordPress } from '../fake/wordpress.mjs';
import { Aerie, isUuid, PASSWORD, unique, withinASecond } from '../tools/aerie.mjs';
import { multipart } from '../tools/http.mjs';
import { routes } from '../tools/routes.mjs';

const PNG = Buffer.from('89504e470d0a1a0a0000000d49484452', 'hex');

let aerie;
let admin;
let wordpress;
before(async () => {
  wordpress = await WordPress.start();
  aerie = await Aerie.start({ env: { SITES__PROVIDER: 'echo', EMAIL__URL: 'smtp://127.0.0.1:1', EMAIL__FROM: 'noreply@aerie.test' } });
  admin = aerie.admin;
});
after(async () => {
  await aerie?.stop();
  wordpress?.stop();
});

async function trail(query = '', who = admin) {
  const answer = await who.get(`/api/audit?limit=200${query}`);
  assert.equal(answer.status, 200, answer.text);
  return answer.json;
}
const about = async (id, who = admin) => (await trail(`&subject=${id}`, who)).map(({ action, actor, actor_id: by, changes }) => ({ action, actor, by, changes }));
const newest = async (id, who) => (await about(id, who))[0];
const by = (client = admin) => ({ actor: 'user', by: client.me.id });
const field = (name, values = {}) => ({ field: name, ...values });
const good = (answer, status) => {
  assert.equal(answer.status, status, answer.text);
  return answer.json;
};

test('an_agents_life_is_told_field_by_field_and_without_what_is_secret', async () => {
  const agent = await admin.agent({ name: 'Parrot', provider: 'echo' });
  assert.deepEqual(await newest(agent.id), { ...by(), action: 'agent.create', changes: [field('name', { to: 'Parrot' }), field('provider', { to: 'echo' })] });
  good(await admin.put(`/api/agents/${agent.id}`, { name: 'Polly', provider: 'echo', description: 'private words', webhook_token: 'hidden-token', system_prompt: 'private prompt', is_active: false, config: { delay_ms: 1 } }), 200);
  assert.deepEqual(await newest(agent.id), {
    ...by(), action: 'agent.update',
    changes: [field('name', { from: 'Parrot', to: 'Polly' }), field('description'), field('webhook_token'), field('system_prompt'), field('config'), field('is_active', { from: 'true', to: 'false' })],
  });
  good(await admin.put(`/api/agents/${agent.id}`, { name: 'Polly', webhook_token: '********', is_active: false }), 200);
  assert.deepEqual((await newest(agent.id)).changes, [], 'what is put back as it was is no change');
  const upload = multipart('file', 'a.png', 'image/png', PNG);
  good(await aerie.request('POST', `/api/agents/${agent.id}/avatar`, { token: admin.token, ...upload }), 200);
  assert.deepEqual((await newest(agent.id)).changes, [field('avatar')]);
  good(await admin.put(`/api/agents/${agent.id}`, { avatar: null }), 200);
  assert.deepEqual((await newest(agent.id)).changes, [field('avatar')]);
  good(await admin.delete(`/api/agents/${agent.id}`), 204);
  assert.deepEqual(await newest(agent.id), { ...by(), action: 'agent.delete', changes: [field('name', { from: 'Polly' })] });
  assert.equal((await admin.delete(`/api/agents/${agent.id}`)).status, 404);
  const rows = await trail(`&subject=${agent.id}`);
  assert.equal(rows.length, 6, 'and no row for what was not there');
  assert.doesNotMatch(JSON.stringify(rows), /private|hidden/);
});

test('keys_and_provider_keys_are_told_when_they_come_and_go', async () => {
  const agent = await admin.agent({ provider: 'echo' });
  const other = await admin.agent({ provider: 'echo' });
  const key = good(await admin.post(`/api/agents/${agent.id}/api-keys`, { name: 'shop', scopes: ['chat', 'documents'] }), 201);
  assert.deepEqual(await newest(key.id), { ...by(), action: 'api_key.create', changes: [field('agent_id', { to: agent.id }), field('name', { to: 'shop' }), field('scopes', { to: '["chat","documents"]' })] });
  assert.equal((await admin.delete(`/api/agents/${other.id}/api-keys/${key.id}`)).status, 404);
  assert.equal((await about(key.id)).length, 1, 'a key that stays has no row that says it went');
  good(await admin.delete(`/api/agents/${agent.id}/api-keys/${key.id}`), 204);
  assert.deepEqual(await newest(key.id), { ...by(), action: 'api_key.revoke', changes: [] });
  const provider = good(await admin.post('/api/team/provider-keys', { provider: 'openai', name: 'main', key: 'sk-0123456789' }), 201);
  assert.deepEqual(await newest(provider.id), { ...by(), action: 'provider_key.create', changes: [field('provider', { to: 'openai' }), field('name', { to: 'main' })] });
  good(await admin.delete(`/api/team/provider-keys/${provider.id}`), 204);
  assert.equal((await newest(provider.id)).action, 'provider_key.delete');
  assert.equal((await admin.delete(`/api/team/provider-keys/${provider.id}`)).status, 404);
  assert.equal((await about(provider.id)).length, 2);
});

test('users_are_told_with_their_roles_and_without_their_names', async () => {
  const email = `${unique('u')}@aerie.test`;
  const user = good(await admin.post('/api/users', { email, password: PASSWORD, full_name: 'Noor', role: 'user' }), 201);
  assert.deepEqual(await newest(user.id), { ...by(), action: 'user.create', changes: [field('role', { to: 'user' })] });
  good(await admin.put(`/api/users/${user.id}`, { role: 'admin', is_active: false, full_name: 'Somebody Else' }), 200);
  assert.deepEqual(await newest(user.id), { ...by(), action: 'user.update', changes: [field('role', { from: 'user', to: 'admin' }), field('is_active', { from: 'true', to: 'false' }), field('full_name')] });
  good(await admin.delete(`/api/users/${user.id}`), 204);
  const rows = await trail(`&subject=${user.id}`);
  assert.deepEqual(rows.map(({ action }) => action), ['user.delete', 'user.update', 'user.create']);
  assert.doesNotMatch(JSON.stringify(rows.map(({ changes }) => changes)), /Noor|Somebody/);
  assert.equal(rows[0].subject_name, null, 'who is gone has no address any more');
});

test('what_is_refused_leaves_no_row', async () => {
  const { admin: lone } = await aerie.otherTeam();
  assert.equal((await lone.put(`/api/users/${lone.me.id}`, { role: 'user' })).status, 409);
  assert.equal((await lone.delete(`/api/users/${lone.me.id}`)).status, 409);
  assert.equal((await lone.put('/api/team', { slug: aerie.team.slug })).status, 409);
  assert.equal((await lone.post('/api/users', { email: lone.email, password: PASSWORD })).status, 400);
  assert.deepEqual((await trail('&actor=user', lone)).map(({ action }) => action), ['user.login']);
});

test('of_two_who_delete_at_once_one_is_told', async () => {
  for (let round = 0; round < 5; round++) {
    const agent = await admin.agent({ provider: 'echo' });
    const answers = await Promise.all([1, 2, 3].map(() => admin.delete(`/api/agents/${agent.id}`)));
    assert.deepEqual(answers.map(({ status }) => status).sort(), [204, 404, 404]);
    assert.deepEqual((await about(agent.id)).map(({ action }) => action), ['agent.delete', 'agent.create']);
  }
});

test('a_teams_settings_are_told_one_by_one', async () => {
  const { admin: theirs } = await aerie.otherTeam();
  const team = theirs.me.team_id;
  good(await theirs.put('/api/team', { settings: { max_users: 10, open_registration: true, motto: 'private words' } }), 200);
  assert.deepEqual((await newest(team, theirs)).changes, [field('settings.max_users', { to: '10' }), field('settings.open_registration', { to: 'true' }), field('settings.motto')]);
  good(await theirs.put('/api/team', { name: 'New name', settings: { max_users: 20, open_registration: true } }), 200);
  const { changes } = await newest(team, theirs);
  assert.deepEqual(changes.map(({ field: name }) => name), ['name', 'settings.max_users', 'settings.motto']);
  assert.deepEqual(changes[1], field('settings.max_users', { from: '10', to: '20' }));
});

test('admins_logins_are_told_good_and_bad_and_users_are_not', async () => {
  const { admin: theirs } = await aerie.otherTeam();
  const user = await aerie.user({ team_id: theirs.me.team_id });
  const before = (await trail('', theirs)).length;
  assert.equal((await aerie.request('POST', '/api/auth/login', { json: { email: theirs.email, password: 'a wrong guess' } })).status, 401);
  assert.equal((await aerie.request('POST', '/api/auth/login', { json: { email: user.email, password: 'a wrong guess', team_id: theirs.me.team_id } })).status, 401);
  await aerie.login(user.email, { team_id: theirs.me.team_id });
  await withinASecond(async () => (await trail('', theirs)).length > before, 'the row');
  await aerie.login(theirs.email);
  const rows = await trail('', theirs);
  assert.deepEqual(rows.slice(0, rows.length - before).map(({ action, actor, subject_id: whom, address }) => ({ action, actor, whom, address })), [
    { action: 'user.login', actor: 'user', whom: theirs.me.id, address: '127.0.0.1' },
    { action: 'user.login_failed', actor: 'anyone', whom: theirs.me.id, address: '127.0.0.1' },
  ]);
  assert.doesNotMatch(JSON.stringify(rows), /wrong guess/);
});

test('a_changed_password_is_told_whoever_changes_it', async () => {
  const user = await aerie.user();
  good(await user.put('/api/auth/me', { full_name: 'Other' }), 200);
  assert.deepEqual(await about(user.me.id), [], "one's own profile is one's own");
  good(await user.put('/api/auth/me', { password: 'another password', current_password: PASSWORD }), 200);
  assert.deepEqual(await about(user.me.id), [{ ...by(user), action: 'user.password', changes: [] }]);
  aerie.command(['user', 'password', '--email', user.email, '--team', aerie.team.slug, '--password-stdin'], { input: 'a third password\n' });
  assert.deepEqual(await newest(user.me.id), { actor: 'operator', by: null, action: 'user.password', changes: [] });
});

test('the_command_line_is_told_as_the_operator', async () => {
  const slug = unique('team-');
  const team = aerie.command(['team', 'create', '--name', 'Ours', '--slug', slug]).trim();
  const email = `${unique('u')}@aerie.test`;
  const user = aerie.command(['user', 'create', '--email', email, '--team', slug, '--role', 'admin', '--password-stdin'], { input: `${PASSWORD}\n` }).trim();
  const theirs = await aerie.login(email);
  const agent = await theirs.agent({ provider: 'echo' });
  const key = JSON.parse(aerie.command(['key', 'create', '--agent', agent.id, '--name', 'cron', '--json']));
  aerie.command(['user', 'create', '--email', `b${email}`, '--team', slug, '--role', 'user', '--password-stdin'], { input: `${PASSWORD}\n` });
  aerie.command(['user', 'role', '--email', `b${email}`, '--team', slug, '--role', 'admin']);
  aerie.command(['user', 'disable', '--email', `b${email}`, '--team', slug]);
  aerie.command(['user', 'enable', '--email', `b${email}`, '--team', slug]);
  assert.notEqual(aerie.tryCommand(['user', 'create', '--email', email, '--team', slug, '--password-stdin'], { input: `${PASSWORD}\n` }).status, 0);
  assert.notEqual(aerie.tryCommand(['team', 'create', '--name', 'Ours', '--slug', slug]).status, 0);
  aerie.command(['team', 'disable', '--slug', slug]);
  aerie.command(['team', 'enable', '--slug', slug]);
  const rows = aerie.command(['audit', '--team', slug, '--json']).trim().split('\n').map((line) => JSON.parse(line)).filter(({ actor }) => actor === 'operator');
  assert.deepEqual(rows.map(({ action, changes }) => [action, ...changes.map(({ field: name, to }) => `${name}=${to}`)].join(' ')), [
    'team.update is_active=true', 'team.update is_active=false', 'user.update is_active=true', 'user.update is_active=false', 'user.update role=admin', 'user.create role=user',
    `api_key.create agent_id=${agent.id} name=cron scopes=["chat"]`, 'user.create role=admin', 'team.create name=Ours',
  ]);
  assert.ok(rows.every(({ actor_id: who, address }) => who === null && address === null));
  assert.equal(rows.at(-1).subject_id, team);
  assert.equal(rows.at(-2).subject_id, user);
  assert.equal(rows.at(-3).subject_id, key.id);
  assert.equal(rows.at(-2).subject_name, email);
  const [first] = aerie.command(['audit', '--team', slug]).split('\n');
  assert.match(first, /^\d{4}-\d\d-\d\dT\S+Z {2}operator +team\.update +\S+ {2}by nobody known from the command line {2}\[\{.*is_active/);
});

test('a_site_that_registers_itself_is_told_in_its_own_team', async () => {
  const site = wordpress.site(verifies);
  const { tenant_id: team } = good(await aerie.request('POST', '/api/v1/register', { json: { site_url: site.url, admin_email: site.email, callback_token: TOKEN } }), 200);
  const slug = aerie.command(['team', 'list', '--json']).trim().split('\n').map((line) => JSON.parse(line)).find(({ id }) => id === team).slug;
  const rows = aerie.command(['audit', '--team', slug, '--json']).trim().split('\n').map((line) => JSON.parse(line));
  assert.deepEqual(rows.map(({ action, actor, subject_id: id, address }) => ({ action, actor, id, address })), [{ action: 'site.register', actor: 'anyone', id: team, address: '127.0.0.1' }]);
});

test('the_trail_is_asked_by_time_actor_and_subject_page_by_page', async () => {
  const { admin: theirs } = await aerie.otherTeam();
  const agent = await theirs.agent({ provider: 'echo' });
  const other = await theirs.agent({ provider: 'echo' });
  const all = await trail('', theirs);
  assert.deepEqual(all.map(({ action }) => action), ['agent.create', 'agent.create', 'user.login', 'user.create', 'team.create']);
  assert.ok(all.every(({ id, created_at: at }) => isUuid(id) && Math.abs(Date.parse(at) - Date.now()) < 600000));
  assert.equal(all[0].actor_email, theirs.email);
  assert.equal(all[0].subject_name, other.name);
  const actions = async (query) => (await trail(query, theirs)).map(({ action, subject_id: id }) => `${action} ${id}`);
  assert.deepEqual(await actions(`&actor=${theirs.me.id}&subject=agent`), [`agent.create ${other.id}`, `agent.create ${agent.id}`]);
  assert.deepEqual(await actions('&actor=operator'), [`user.create ${theirs.me.id}`, `team.create ${theirs.me.team_id}`]);
  assert.deepEqual(await actions(`&subject=${agent.id.toUpperCase()}`), [`agent.create ${agent.id}`]);
  assert.deepEqual(await actions('&actor=key'), []);
  const day = new Date().toISOString().slice(0, 10);
  assert.equal((await actions(`&from=${day}&to=${day}`)).length, 5, 'the last day belongs to the range');
  assert.equal((await actions(`&from=${all[1].created_at}&to=${all[0].created_at}`)).length, 1, 'a time ends it');
  assert.deepEqual(await actions('&to=2020-01-01'), []);
  const page = await theirs.get('/api/audit?limit=2&offset=1');
  assert.equal(page.headers['x-total-count'], '5');
  assert.deepEqual(page.json, all.slice(1, 3));
  for (const query of ['from=yesterday', 'to=2026-13-01', 'actor=somebody', 'subject=An%20agent', 'limit=0', 'from=1969-12-31'])
    assert.equal((await theirs.get(`/api/audit?${query}`)).status, 422, query);
});

test('a_trail_is_for_the_admins_of_its_own_team', async () => {
  const { admin: theirs } = await aerie.otherTeam();
  const agent = await admin.agent({ provider: 'echo' });
  const user = await aerie.user();
  assert.equal((await user.get('/api/audit')).status, 403);
  assert.equal((await aerie.request('GET', '/api/audit')).status, 401);
  for (const query of ['', `&subject=${agent.id}`, `&actor=${admin.me.id}`, `&subject=${aerie.team.id}`]) {
    const rows = await trail(query, theirs);
    assert.ok(rows.every(({ actor_id: who, subject_id: what }) => who !== admin.me.id && what !== agent.id && what !== aerie.team.id), query);
    if (query) assert.deepEqual(rows, [], query);
  }
});

test('old_rows_go_at_the_start_and_newer_ones_stay', async () => {
  const server = await Aerie.start({ env: { AUDIT__KEEP_DAYS: 100 } });
  try {
    const agent = await server.admin.agent({ provider: 'echo' });
    await server.halt();
    const at = (days) => (server.database.kind === 'sqlite' ? `created_at - ${days} * 86400000000` : `created_at - interval '${days} days'`);
    server.database.query(`UPDATE audit_log SET created_at = ${at(101)} WHERE action = 'user.login'`);
    server.database.query(`UPDATE audit_log SET created_at = ${at(99)} WHERE action = 'agent.create' AND subject_id = '${agent.id}'`);
    await server.listen();
    const count = () => server.database.query("SELECT count(*) FROM audit_log WHERE action = 'user.login'");
    for (let i = 0; i < 200 && count() !== '0'; i++) await sleep(50);
    assert.equal(count(), '0');
    assert.equal(server.database.query(`SELECT count(*) FROM audit_log WHERE subject_id = '${agent.id}'`), '1');
  } finally {
    await server.stop();
  }
});

// ---- no writing route of admins without a row ----

/** Why a route that an admin may write with puts no row. */
const without = {
  'POST /api/agents/{id}/test': 'asks, and changes nothing',
  'POST /api/webhooks/{id}/deliveries/replay': 'sends again what was to be sent',
  'POST /api/webhooks/{id}/deliveries/{delivery_id}/replay': 'as all of them',
  'POST /api/webhooks/{id}/test': 'calls once, and changes nothing',
  'POST /api/v1/documents': 'the documents are a list of their own, with their times',
  'POST /api/v1/documents/search': 'asks, and changes nothing',
  'DELETE /api/v1/documents/{id}': 'as adding one',
  'POST /api/v1/documents/{id}/embed': 'changes nothing that anybody reads',
};

test('every_route_that_an_admin_may_write_with_puts_a_row_or_says_why_not', async () => {
  const { admin: theirs } = await aerie.otherTeam();
  const upload = multipart('file', 'a.png', 'image/png', PNG);
  const agent = () => theirs.agent({ provider: 'echo' });
  const user = async () => good(await theirs.post('/api/users', { email: `${unique('u')}@aerie.test`, password: PASSWORD }), 201);
  const key = async () => {
    const { id } = await agent();
    return [id, good(await theirs.post(`/api/agents/${id}/api-keys`, {}), 201).id];
  };
  const session = good(await aerie.request('POST', '/api/chat/widget/session', { json: { chatbot_id: (await agent()).id } }), 200);
  const hook = { url: 'http://127.0.0.1:1/hook', events: ['chat.created'] };
  const webhook = async () => [good(await theirs.post('/api/webhooks', hook), 201).id];
  /** How each is called well: what it needs, then what is sent. */
  const calls = {
    'POST /api/agents': [() => [], { name: 'a', provider: 'echo' }],
    'PUT /api/agents/{id}': [async () => [(await agent()).id], { name: 'b' }],
    'DELETE /api/agents/{id}': [async () => [(await agent()).id]],
    'POST /api/agents/{id}/api-keys': [async () => [(await agent()).id], {}],
    'DELETE /api/agents/{id}/api-keys/{key_id}': [key],
    'POST /api/agents/{id}/avatar': [async () => [(await agent()).id], upload],
    'PUT /api/budgets': [() => [], { scope: 'team', period: 'day', tokens: 1000 }],
    'DELETE /api/budgets/{id}': [async () => [good(await theirs.put('/api/budgets', { scope: 'team', period: 'month', tokens: 1000 }), 200).id]],
    'POST /api/webhooks': [() => [], hook],
    'PUT /api/webhooks/{id}': [webhook, { is_active: false }],
    'DELETE /api/webhooks/{id}': [webhook],
    'POST /api/webhooks/{id}/secret': [webhook],
    'PUT /api/team': [() => [], { settings: {} }],
    'POST /api/team/provider-keys': [() => [], { provider: 'openai', key: 'sk-0123456789' }],
    'DELETE /api/team/provider-keys/{id}': [async () => [good(await theirs.post('/api/team/provider-keys', { provider: 'groq', key: 'gsk-0123456789' }), 201).id]],
    'POST /api/users': [() => [], { email: `${unique('u')}@aerie.test`, password: PASSWORD }],
    'PUT /api/users/{id}': [async () => [(await user()).id], { full_name: 'x' }],
    'DELETE /api/users/{id}': [async () => [(await user()).id]],
    'POST /api/users/{id}/erase': [async () => [(await user()).id]],
    'POST /api/visitors/erase': [() => [], { visitor: session.session_id }],
    'POST /chatbots': [() => [], { name: 'a', llm_endpoint_url: 'http://127.0.0.1:1/v1' }],
    'PUT /chatbots/{id}': [async () => [(await agent()).id], { name: 'b' }],
    'DELETE /chatbots/{id}': [async () => [(await agent()).id]],
    'POST /chatbots/{id}/api-keys': [async () => [(await agent()).id], {}],
    'DELETE /chatbots/{id}/api-keys/{key_id}': [key],
    'PUT /users/{id}': [async () => [(await user()).id], { full_name: 'x' }],
    'DELETE /users/{id}': [async () => [(await user()).id]],
  };
  const writing = routes().filter(({ method, who }) => method !== 'GET' && (who === 'WHO_ADMIN' || who === 'WHO_ADMIN_OR_KEY')).map(({ method, path }) => `${method} ${path}`);
  assert.ok(writing.length >= 24, `${writing.length} routes`);
  assert.deepEqual(writing.filter((route) => !calls[route] && !without[route]), [], 'say here how they are called, or above why they need no row');
  assert.deepEqual(Object.keys({ ...calls, ...without }).filter((route) => !writing.includes(route)), [], 'there is no such route');
  for (const [route, [prepare, sent]] of Object.entries(calls)) {
    const [method, path] = route.split(' ');
    const ids = [...(await prepare())];
    const total = async () => Number((await theirs.get('/api/audit?limit=1')).headers['x-total-count']);
    const before = await total();
    const options = sent === undefined ? {} : sent.body ? sent : { json: sent };
    const answer = await aerie.request(method, path.replace(/\{[^}]*\}/g, () => ids.shift()), { token: theirs.token, ...options });
    assert.ok(answer.status < 300, `${route}: ${answer.status} ${answer.text}`);
    assert.equal(await total(), before + 1, `${route} puts one row`);
  }
});
