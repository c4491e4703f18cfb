import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Aerie, PASSWORD, unique } from '../tools/aerie.mjs';
import { until } from '../tools/until.mjs';

let aerie;
before(async () => (aerie = await Aerie.start()));
after(() => aerie?.stop());

test('the_team_is_its_admins_to_read_and_change', async () => {
  const other = await aerie.otherTeam();
  const team = (await other.admin.get('/api/team')).json;
  assert.equal(team.id, other.id);
  assert.equal(team.slug, other.slug);
  assert.equal(team.is_active, true);
  assert.equal(typeof team.settings, 'object');
  const changed = await other.admin.put('/api/team', { name: 'Renamed', settings: { max_users: 7 } });
  assert.equal(changed.status, 200, changed.text);
  assert.equal(changed.json.name, 'Renamed');
  assert.equal(changed.json.settings.max_users, 7);
  const user = await aerie.user();
  assert.equal((await user.get('/api/team')).status, 403);
  assert.equal((await user.put('/api/team', { name: 'x' })).status, 403);
  assert.equal((await aerie.request('GET', '/api/team')).status, 401);
});

test('a_slug_is_one_teams_only', async () => {
  const [one, two] = [await aerie.otherTeam(), await aerie.otherTeam()];
  const answer = await two.admin.put('/api/team', { slug: one.slug });
  assert.ok([400, 409].includes(answer.status), `${answer.status} ${answer.text}`);
});

test('a_team_cannot_make_itself_the_one_that_strangers_register_with', async () => {
  const other = await aerie.otherTeam();
  assert.equal(aerie.team.slug, 'default');
  assert.equal((await aerie.admin.put('/api/team', { slug: 'default', name: 'Still mine' })).status, 200, 'who has it may keep it');
  assert.equal((await aerie.admin.put('/api/team', { slug: unique('was-default') })).status, 200);
  const answer = await other.admin.put('/api/team', { slug: 'default' });
  assert.equal(answer.status, 409, answer.text);
  assert.deepEqual(answer.json, { detail: 'Only the operator gives a team this slug' });
  aerie.database.query(`update teams set slug = 'default' where id = '${aerie.team.id}'`);
});

test('max_users_bounds_registrations_also_when_they_come_at_once', async () => {
  const other = await aerie.otherTeam(); // has one user
  await other.admin.put('/api/team', { settings: { max_users: 4 } });
  const answers = await Promise.all(Array.from({ length: 12 }, () =>
    aerie.request('POST', '/api/auth/register', { json: { email: `${unique()}@aerie.test`, password: PASSWORD, team_id: other.id } })));
  assert.equal(answers.filter((a) => a.status === 201).length, 3, answers.map((a) => a.status).join());
  for (const refused of answers.filter((a) => a.status !== 201)) assert.ok([400, 403, 409].includes(refused.status), `${refused.status} ${refused.text}`);
});

test('a_team_can_close_its_registration', async () => {
  const other = await aerie.otherTeam();
  await other.admin.put('/api/team', { settings: { open_registration: false } });
  const answer = await aerie.request('POST', '/api/auth/register', { json: { email: `${unique()}@aerie.test`, password: PASSWORD, team_id: other.id } });
  assert.equal(answer.status, 403, answer.text);
});

test('an_admin_adds_a_user_also_where_registration_is_closed', async () => {
  const other = await aerie.otherTeam();
  await other.admin.put('/api/team', { settings: { open_registration: false, require_verified_email: true } });
  const email = `${unique()}@aerie.test`;
  const added = await other.admin.post('/api/users', { email, password: PASSWORD, full_name: 'Noor', role: 'admin' });
  assert.equal(added.status, 201, added.text);
  const { team_id, full_name, role, is_active, email_verified } = added.json;
  assert.deepEqual({ team_id, full_name, role, is_active, email_verified }, { team_id: other.id, full_name: 'Noor', role: 'admin', is_active: true, email_verified: true });
  const noor = await aerie.login(email);
  assert.equal(noor.me.id, added.json.id);
  assert.equal((await noor.get('/api/team')).status, 200);

  const again = await noor.post('/api/users', { email: email.toUpperCase(), password: PASSWORD });
  assert.equal(again.status, 400, again.text);
  assert.deepEqual(again.json, { detail: 'Email already registered' });
  const plain = await noor.post('/api/users', { email: `${unique()}@aerie.test`, password: PASSWORD });
  assert.equal(plain.json.role, 'user', 'unless told');
  assert.equal(plain.json.full_name, null);
  const user = await aerie.login(plain.json.email);
  assert.equal((await user.post('/api/users', { email: `${unique()}@aerie.test`, password: PASSWORD })).status, 403);
  const wrong = await noor.post('/api/users', { email: 'nobody', password: 'short', role: 'owner' });
  assert.equal(wrong.status, 422);
  assert.deepEqual(wrong.json.errors.map(({ field }) => field).sort(), ['email', 'password', 'role']);
});

test('max_users_bounds_those_whom_an_admin_adds_at_once', async () => {
  const other = await aerie.otherTeam(); // has one user
  await other.admin.put('/api/team', { settings: { max_users: 3 } });
  const answers = await Promise.all(Array.from({ length: 6 }, () => other.admin.post('/api/users', { email: `${unique()}@aerie.test`, password: PASSWORD })));
  assert.deepEqual(answers.map(({ status }) => status).sort(), [201, 201, 403, 403, 403, 403]);
  const same = await aerie.otherTeam();
  const email = `${unique()}@aerie.test`;
  const twins = await Promise.all([0, 1, 2].map(() => same.admin.post('/api/users', { email, password: PASSWORD })));
  assert.deepEqual(twins.map(({ status }) => status).sort(), [201, 400, 400]);
});

for (const base of ['/api/users', '/users']) {
  test(`admins_manage_users_at_${base}`, async () => {
    const other = await aerie.otherTeam();
    const user = await aerie.user({ team_id: other.id });
    const list = await other.admin.get(base);
    assert.equal(list.status, 200);
    assert.equal(list.json.length, 2);
    assert.equal(list.headers['x-total-count'], '2');
    assert.ok(list.json.every((u) => u.team_id === other.id && !('password_hash' in u)));
    assert.equal((await other.admin.get(`${base}?limit=1&offset=1`)).json.length, 1);
    assert.equal((await other.admin.get(`${base}/${user.me.id}`)).json.email, user.email);
    const promoted = await other.admin.put(`${base}/${user.me.id}`, { role: 'admin' });
    assert.equal(promoted.status, 200, promoted.text);
    assert.equal(promoted.json.role, 'admin');
    assert.equal((await other.admin.put(`${base}/${user.me.id}`, { role: 'king' })).status, 422);
    assert.equal((await other.admin.put(`${base}/${user.me.id}`, { role: 'user' })).status, 200);
    const gone = await other.admin.delete(`${base}/${user.me.id}`);
    assert.equal(gone.status, 204);
    assert.equal((await other.admin.get(`${base}/${user.me.id}`)).status, 404);
    assert.equal((await other.admin.delete(`${base}/${user.me.id}`)).status, 404);
    await until(async () => (await user.get('/api/auth/me')).status === 401, 'the token is refused', 2000);
  });

  test(`users_may_not_look_at_others_at_${base}`, async () => {
    const user = await aerie.user();
    assert.equal((await user.get(base)).status, 403);
    assert.equal((await user.get(`${base}/${aerie.admin.me.id}`)).status, 403);
    assert.equal((await user.put(`${base}/${user.me.id}`, { role: 'admin' })).status, 403);
    assert.equal((await user.delete(`${base}/${user.me.id}`)).status, 403);
  });
}

test('a_disabled_user_is_out_with_the_next_request', async () => {
  const other = await aerie.otherTeam();
  const user = await aerie.user({ team_id: other.id });
  assert.equal((await other.admin.put(`/api/users/${user.me.id}`, { is_active: false })).status, 200);
  const answers = await Promise.all(Array.from({ length: 20 }, () => user.get('/api/auth/me')));
  assert.ok(answers.every((a) => a.status === 401), answers.map((a) => a.status).join());
  const login = await aerie.request('POST', '/api/auth/login', { json: { email: user.email, password: PASSWORD, team_id: other.id } });
  assert.equal(login.status, 401);
  assert.equal((await other.admin.put(`/api/users/${user.me.id}`, { is_active: true })).status, 200);
  await aerie.login(user.email, { team_id: other.id });
});

test('a_demoted_admin_loses_his_rights_before_his_token_ends', async () => {
  const other = await aerie.otherTeam();
  const user = await aerie.user({ team_id: other.id });
  await other.admin.put(`/api/users/${user.me.id}`, { role: 'admin' });
  const raised = await aerie.login(user.email, { team_id: other.id });
  assert.equal((await raised.get('/api/users')).status, 200);
  await other.admin.put(`/api/users/${user.me.id}`, { role: 'user' });
  await until(async () => [401, 403].includes((await raised.get('/api/users')).status), 'the token is refused', 1000);
});

test('a_team_keeps_at_least_one_admin_able_to_act', async () => {
  const other = await aerie.otherTeam();
  const answers = [
    await other.admin.put(`/api/users/${other.admin.me.id}`, { role: 'user' }),
    await other.admin.put(`/api/users/${other.admin.me.id}`, { is_active: false }),
    await other.admin.delete(`/api/users/${other.admin.me.id}`),
  ];
  for (const answer of answers) assert.ok([400, 403, 409, 422].includes(answer.status), `${answer.status} ${answer.text}`);
  assert.equal((await other.admin.get('/api/users')).status, 200);
});

test('the_command_line_acts_on_a_running_server', async () => {
  const other = await aerie.otherTeam();
  const user = await aerie.user({ team_id: other.id });
  aerie.command(['user', 'role', '--email', user.email, '--team', other.slug, '--role', 'admin']);
  const raised = await aerie.login(user.email, { team_id: other.id });
  assert.equal(raised.me.role, 'admin');
  aerie.command(['user', 'password', '--email', user.email, '--team', other.slug, '--password-stdin'], { input: 'by the operator\n' });
  const again = await aerie.login(user.email, { team_id: other.id, password: 'by the operator' });
  aerie.command(['user', 'disable', '--email', user.email, '--team', other.slug]);
  await until(async () => (await again.get('/api/auth/me')).status === 401, 'the token is refused', 2000);
  const rows = aerie.command(['user', 'list', '--team', other.slug, '--json']).trim().split('\n').map((line) => JSON.parse(line));
  assert.equal(rows.length, 2);
});
