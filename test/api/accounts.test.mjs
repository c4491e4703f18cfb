import assert from 'node:assert/strict';
import http from 'node:http';
import { after, before, test } from 'node:test';
import { Aerie, isTime, isUuid, PASSWORD, unique } from '../tools/aerie.mjs';
import { multipart } from '../tools/http.mjs';

let aerie;
before(async () => (aerie = await Aerie.start({ env: { SECURITY__REFRESH_GRACE_SECONDS: 1 } })));
after(() => aerie?.stop());

const png = Buffer.from('89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c4890000000a49444154789c6360000002000100ffff03000006000557bfabd40000000049454e44ae426082', 'hex');
const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** name → value of the Set-Cookie lines, and their attributes. */
function cookiesOf(answer) {
  const cookies = {};
  for (const line of answer.headers['set-cookie'] ?? []) {
    const [pair, ...attributes] = line.split(/;\s*/);
    const at = pair.indexOf('=');
    cookies[pair.slice(0, at)] = { value: pair.slice(at + 1), attributes: attributes.map((a) => a.toLowerCase()), line };
  }
  return cookies;
}

test('registration_answers_with_the_user_and_never_binds_what_it_should_not', async () => {
  const email = `${unique('New')}@Aerie.Test`;
  const answer = await aerie.request('POST', '/api/auth/register', {
    json: { email, password: PASSWORD, full_name: 'Jane Doe', role: 'admin', is_active: false, id: '00000000-0000-4000-8000-000000000000' },
  });
  assert.equal(answer.status, 201, answer.text);
  const user = answer.json;
  assert.ok(isUuid(user.id) && user.id[14] === '7', user.id);
  assert.equal(user.email, email.toLowerCase());
  assert.equal(user.full_name, 'Jane Doe');
  assert.equal(user.role, 'user');
  assert.equal(user.is_active, true);
  assert.equal(user.team_id, aerie.team.id);
  assert.ok(isTime(user.created_at), user.created_at);
  assert.ok(!/password|hash/.test(answer.text), answer.text);
});

test('an_email_is_registered_once_in_a_team_also_when_two_try_at_once', async () => {
  const email = `${unique('twice')}@aerie.test`;
  const answers = await Promise.all(Array.from({ length: 10 }, () => aerie.request('POST', '/api/auth/register', { json: { email, password: PASSWORD } })));
  const made = answers.filter((a) => a.status === 201);
  assert.equal(made.length, 1, answers.map((a) => a.status).join());
  for (const refused of answers.filter((a) => a.status !== 201)) {
    assert.equal(refused.status, 400);
    assert.deepEqual(refused.json, { detail: 'Email already registered' });
  }
});

test('registration_names_every_wrong_field', async () => {
  const answer = await aerie.request('POST', '/api/auth/register', { json: { email: 'nonsense', password: 'short' } });
  assert.equal(answer.status, 422, answer.text);
  assert.equal(typeof answer.json.detail, 'string');
  assert.deepEqual(answer.json.errors.map((e) => e.field).sort(), ['email', 'password']);
  for (const error of answer.json.errors) assert.ok(error.message.length > 3);
  const long = await aerie.request('POST', '/api/auth/register', { json: { email: 'a@b.test', password: 'x'.repeat(129) } });
  assert.equal(long.status, 422);
  const missing = await aerie.request('POST', '/api/auth/register', { json: {} });
  assert.equal(missing.status, 422);
});

test('an_unknown_team_is_refused_with_its_sentence', async () => {
  const answer = await aerie.request('POST', '/api/auth/register', {
    json: { email: `${unique()}@aerie.test`, password: PASSWORD, team_id: '00000000-0000-4000-8000-000000000000' },
  });
  assert.equal(answer.status, 400, answer.text);
  assert.deepEqual(answer.json, { detail: 'Team not found' });
});

test('a_long_password_counts_past_bcrypts_72_bytes', async () => {
  const email = `${unique('long')}@aerie.test`;
  const password = `${'p'.repeat(100)}-end`;
  const made = await aerie.request('POST', '/api/auth/register', { json: { email, password } });
  assert.equal(made.status, 201, made.text);
  const wrong = await aerie.request('POST', '/api/auth/login', { json: { email, password: `${'p'.repeat(100)}-END` } });
  assert.equal(wrong.status, 401);
  const right = await aerie.request('POST', '/api/auth/login', { json: { email, password } });
  assert.equal(right.status, 200);
});

test('login_takes_json_and_forms_and_sets_careful_cookies', async () => {
  const user = await aerie.user();
  for (const body of [{ json: { email: user.email, password: PASSWORD } }, { form: { username: user.email, password: PASSWORD } }]) {
    const answer = await aerie.request('POST', '/api/auth/login', body);
    assert.equal(answer.status, 200, answer.text);
    assert.equal(answer.json.message, 'Login successful');
    assert.equal(answer.json.token_type, 'bearer');
    assert.equal(answer.json.expires_in, 1800);
    const cookies = cookiesOf(answer);
    assert.equal(cookies.access_token.value, answer.json.access_token);
    for (const cookie of [cookies.access_token, cookies.refresh_token]) {
      assert.ok(cookie.attributes.includes('httponly'), cookie.line);
      assert.ok(cookie.attributes.includes('samesite=strict'), cookie.line);
      assert.ok(!cookie.attributes.includes('secure'), cookie.line);
    }
    assert.ok(cookies.refresh_token.attributes.includes('path=/api/auth'), cookies.refresh_token.line);
    const me = await aerie.request('GET', '/api/auth/me', { cookie: `access_token=${cookies.access_token.value}` });
    assert.equal(me.json.email, user.email);
  }
});

test('wrong_credentials_get_one_answer_whatever_is_wrong', async () => {
  const user = await aerie.user();
  const wrong = await aerie.request('POST', '/api/auth/login', { json: { email: user.email, password: 'not the password' } });
  const unknown = await aerie.request('POST', '/api/auth/login', { json: { email: 'nobody@aerie.test', password: PASSWORD } });
  for (const answer of [wrong, unknown]) {
    assert.equal(answer.status, 401);
    assert.deepEqual(answer.json, { detail: 'Incorrect email or password' });
    assert.equal(answer.headers['www-authenticate'], 'Bearer');
  }
});

test('one_email_and_password_in_two_teams_asks_for_the_team', async () => {
  const other = await aerie.otherTeam();
  const user = await aerie.user();
  await aerie.user({ email: user.email, team_id: other.id });
  const unclear = await aerie.request('POST', '/api/auth/login', { json: { email: user.email, password: PASSWORD } });
  assert.equal(unclear.status, 409, unclear.text);
  assert.match(unclear.json.detail, /team_id/);
  const clear = await aerie.login(user.email, { team_id: other.id });
  assert.equal(clear.me.team_id, other.id);
});

test('me_is_the_same_at_both_addresses', async () => {
  const user = await aerie.user();
  const me = await user.get('/api/auth/me');
  assert.equal(me.status, 200);
  for (const key of ['id', 'team_id', 'email', 'full_name', 'role', 'avatar', 'preferences', 'is_active', 'last_login_at', 'created_at'])
    assert.ok(key in me.json, key);
  assert.deepEqual(me.json.preferences, {});
  assert.equal(me.json.avatar, null);
  assert.ok(isTime(me.json.last_login_at));
  assert.deepEqual((await user.get('/api/users/me')).json, me.json);
});

test('no_token_or_a_bad_one_is_401', async () => {
  const user = await aerie.user();
  const [head, payload, signature] = user.token.split('.');
  const none = Buffer.from(JSON.stringify({ alg: 'none', typ: 'JWT' })).toString('base64url');
  const claims = JSON.parse(Buffer.from(payload, 'base64url'));
  const raised = Buffer.from(JSON.stringify({ ...claims, role: 'admin' })).toString('base64url');
  const bad = ['', 'x', 'a.b.c', `${head}.${payload}.`, `${none}.${payload}.`, `${head}.${raised}.${signature}`, `${user.token}x`, `${head}.${payload}.${signature.slice(0, -2)}`, 'eck_' + 'x'.repeat(44)];
  for (const token of bad) {
    const answer = await aerie.request('GET', '/api/auth/me', { headers: token === '' ? {} : { Authorization: `Bearer ${token}` } });
    assert.equal(answer.status, 401, `${token}: ${answer.status} ${answer.text}`);
    assert.equal(answer.headers['www-authenticate'], 'Bearer');
    assert.equal(typeof answer.json.detail, 'string');
  }
});

test('refresh_rotates_both_tabs_get_the_same_pair_and_a_late_replay_ends_the_family', async () => {
  const user = await aerie.user();
  const refresh = (token) => aerie.request('POST', '/api/auth/refresh', { json: { refresh_token: token } });
  const first = await refresh(user.refreshToken);
  assert.equal(first.status, 200, first.text);
  assert.ok(first.json.access_token && first.json.refresh_token);
  assert.notEqual(first.json.refresh_token, user.refreshToken);
  assert.ok(cookiesOf(first).refresh_token.value === first.json.refresh_token);
  const second = await refresh(user.refreshToken);
  assert.equal(second.status, 200, 'the other tab');
  assert.equal(second.json.refresh_token, first.json.refresh_token);
  const viaCookie = await aerie.request('POST', '/api/auth/refresh', { cookie: `refresh_token=${first.json.refresh_token}` });
  assert.equal(viaCookie.status, 200, viaCookie.text);
  await wait(1300); // the grace of this server is one second
  const late = await refresh(user.refreshToken);
  assert.equal(late.status, 401, late.text);
  const family = await refresh(viaCookie.json.refresh_token);
  assert.equal(family.status, 401, 'its whole family is revoked');
  const access = await aerie.request('GET', '/api/auth/me', { token: viaCookie.json.access_token });
  assert.equal(access.status, 401, 'and so are its access tokens');
});

test('refresh_without_or_with_a_wrong_token_is_401', async () => {
  assert.equal((await aerie.request('POST', '/api/auth/refresh', { json: {} })).status, 401);
  assert.equal((await aerie.request('POST', '/api/auth/refresh')).status, 401);
  assert.equal((await aerie.request('POST', '/api/auth/refresh', { json: { refresh_token: 'x'.repeat(43) } })).status, 401);
  const user = await aerie.user();
  assert.equal((await aerie.request('POST', '/api/auth/refresh', { json: { refresh_token: user.token } })).status, 401);
});

test('logout_ends_the_token_on_every_loop_at_once', async () => {
  const user = await aerie.user();
  const other = await aerie.login(user.email);
  const out = await user.post('/api/auth/logout');
  assert.equal(out.status, 204);
  for (const [, cookie] of Object.entries(cookiesOf(out))) assert.ok(cookie.value === '' || cookie.attributes.some((a) => a === 'max-age=0'), cookie.line);
  const answers = await Promise.all(Array.from({ length: 40 }, () => user.get('/api/auth/me')));
  assert.ok(answers.every((a) => a.status === 401), answers.map((a) => a.status).join());
  assert.equal((await aerie.request('POST', '/api/auth/refresh', { json: { refresh_token: user.refreshToken } })).status, 401);
  assert.equal((await other.get('/api/auth/me')).status, 200, 'another login of the same user lives on');
});

test('two_tokens_in_turn_on_one_connection_are_two_callers_and_a_dead_one_is_nobody', async () => {
  const keeping = new http.Agent({ keepAlive: true, maxSockets: 1 });
  const ports = new Set();
  keeping.on('free', (socket) => ports.add(socket.localPort));
  const [one, two] = [await aerie.user(), await aerie.user()];
  const me = (user, more) => aerie.request('GET', '/api/auth/me', { token: user.token, agent: keeping, ...more });
  try {
    for (let i = 0; i < 3; i++) {
      for (const user of [one, two]) assert.equal((await me(user)).json.id, user.me.id);
      assert.equal((await me(one, { token: undefined, cookie: `access_token=${two.token}` })).json.id, two.me.id);
      assert.equal((await me(one, { token: `${one.token.slice(0, -2)}AA` })).status, 401);
      assert.equal((await me(one, { token: undefined })).status, 401, 'a token counts for its own request only');
    }
    assert.equal((await aerie.request('POST', '/api/auth/logout', { token: one.token, agent: keeping })).status, 204);
    assert.equal((await me(one)).status, 401);
    assert.equal((await me(two)).json.id, two.me.id);
    const second = await aerie.login(two.email);
    assert.equal((await me(second)).json.id, two.me.id);
    assert.equal((await second.put('/api/auth/me', { password: 'another password', current_password: PASSWORD })).status, 200);
    assert.equal((await me(two)).status, 401, 'the login before the new password');
    assert.equal((await me(second)).status, 200, 'the one that changed it');
    assert.equal(ports.size, 1, 'all of it went over one connection');
  } finally {
    keeping.destroy();
  }
});

test('the_profile_changes_what_is_given_and_the_password_needs_the_old_one', async () => {
  const user = await aerie.user();
  const named = await user.put('/api/auth/me', { full_name: 'New Name', preferences: { theme: 'dark' }, role: 'admin', email: 'x@y.test' });
  assert.equal(named.status, 200, named.text);
  assert.equal(named.json.full_name, 'New Name');
  assert.deepEqual(named.json.preferences, { theme: 'dark' });
  assert.equal(named.json.role, 'user');
  assert.equal(named.json.email, user.email);
  const unproven = await user.put('/api/auth/me', { password: 'another password' });
  assert.ok([400, 401, 403, 422].includes(unproven.status), String(unproven.status));
  const wrong = await user.put('/api/auth/me', { password: 'another password', current_password: 'wrong password' });
  assert.ok([400, 401, 403, 422].includes(wrong.status), String(wrong.status));
  const changed = await user.put('/api/auth/me', { password: 'another password', current_password: PASSWORD });
  assert.equal(changed.status, 200, changed.text);
  assert.equal((await aerie.request('POST', '/api/auth/login', { json: { email: user.email, password: PASSWORD } })).status, 401);
  await aerie.login(user.email, { password: 'another password' });
});

test('an_avatar_is_stored_as_a_data_uri_and_judged_by_its_content', async () => {
  const user = await aerie.user();
  const sent = await aerie.request('POST', '/api/auth/me/avatar', { token: user.token, ...multipart('file', 'me.png', 'image/png', png) });
  assert.equal(sent.status, 200, sent.text);
  assert.equal((await user.get('/api/auth/me')).json.avatar, `data:image/png;base64,${png.toString('base64')}`);
  const svg = await aerie.request('POST', '/api/auth/me/avatar', { token: user.token, ...multipart('file', 'me.png', 'image/png', '<svg xmlns="http://www.w3.org/2000/svg"/>') });
  assert.ok([415, 422].includes(svg.status), String(svg.status));
  assert.match((await user.get('/api/auth/me')).json.avatar, /^data:image\/png/);
});

test('a_login_form_of_a_foreign_page_signs_nobody_in', async () => {
  const user = await aerie.user();
  const login = (headers) => aerie.request('POST', '/api/auth/login', { form: { username: user.email, password: PASSWORD }, headers });
  for (const headers of [{ Origin: 'https://evil.test' }, { Origin: 'null' }, { Referer: 'https://evil.test/page' }]) {
    const answer = await login(headers);
    assert.equal(answer.status, 403, JSON.stringify(headers));
    assert.equal(answer.headers['set-cookie'], undefined);
  }
  assert.equal((await login({ Origin: aerie.base })).status, 200);
  assert.equal((await login({})).status, 200);
});

test('mail_routes_say_that_mail_is_not_configured', async () => {
  const calls = [
    ['/api/auth/verify-email', { token: 'x' }],
    ['/api/auth/password/forgot', { email: 'a@b.test' }],
    ['/api/auth/password/reset', { token: 'x', password: PASSWORD }],
  ];
  for (const [path, json] of calls) {
    const answer = await aerie.request('POST', path, { json });
    assert.equal(answer.status, 503, `${path} ${answer.text}`);
    assert.deepEqual(answer.json, { detail: 'Mail is not configured' });
  }
});

test('cookies_from_a_foreign_origin_change_nothing', async () => {
  const user = await aerie.user();
  const cookie = `access_token=${user.token}`;
  const call = (headers) => aerie.request('PUT', '/api/auth/me', { cookie, json: { full_name: 'Forged' }, headers });
  assert.equal((await call({ Origin: 'https://evil.test' })).status, 403);
  assert.equal((await call({ Referer: 'https://evil.test/page' })).status, 403);
  assert.equal((await call({ Origin: 'null' })).status, 403);
  assert.notEqual((await user.get('/api/auth/me')).json.full_name, 'Forged');
  assert.equal((await call({ Origin: aerie.base })).status, 200, 'its own origin');
  assert.equal((await call({})).status, 200, 'neither header');
  const bearer = await user.put('/api/auth/me', { full_name: 'Bearer' }, { headers: { Origin: 'https://evil.test' } });
  assert.equal(bearer.status, 200, 'a bearer token cannot be forged by a page');
});
