// Sessions against the clock: what is changed while a token is being made must hold for that token too. The changes are held up
// in the database, from outside.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Aerie, PASSWORD, withinASecond } from '../tools/aerie.mjs';
import { kind } from '../tools/database.mjs';
import { multipart } from '../tools/http.mjs';
import { runBeside } from '../tools/terminal.mjs';

let aerie;
before(async () => (aerie = await Aerie.start()));
after(() => aerie?.stop());

/** Holds the user's row, or all writes where there is one writer, until the function it gives is called; change: SQL run first. */
async function hold(user, change = '') {
  const child = kind === 'sqlite'
    ? spawn('python3', ['-c', `import sqlite3, sys
c = sqlite3.connect(sys.argv[1], timeout=10, isolation_level=None)
c.execute("begin immediate")
print("held", flush=True)
sys.stdin.readline()
c.execute("commit")`, join(aerie.folder, 'test.db')])
    : spawn('psql', ['-X', '-q', '-h', '127.0.0.1', '-p', process.env.AERIE_TEST_PG_PORT, '-U', 'aerie', '-d', aerie.database.name, '-At']);
  const ended = new Promise((resolve) => child.once('exit', resolve));
  const held = new Promise((resolve) => child.stdout.on('data', resolve));
  if (kind !== 'sqlite') child.stdin.write(`begin;\n${change}\nselect 'held' from users where id = '${user.me.id}' for no key update;\n`);
  await held;
  return async () => {
    child.stdin.end(kind === 'sqlite' ? '\n' : 'commit;\n');
    await ended;
  };
}

const refresh = (token) => aerie.request('POST', '/api/auth/refresh', { json: { refresh_token: token } });

for (const [name, act, status] of [
  ['demoted', (id) => aerie.admin.put(`/api/users/${id}`, { role: 'user' }), 200],
  ['disabled', (id) => aerie.admin.put(`/api/users/${id}`, { is_active: false }), 200],
  ['deleted', (id) => aerie.admin.delete(`/api/users/${id}`), 204],
])
  test(`a_token_made_while_its_user_is_being_${name}_counts_no_more_afterwards`, async () => {
    const user = await aerie.user();
    assert.equal((await aerie.admin.put(`/api/users/${user.me.id}`, { role: 'admin' })).status, 200);
    const raised = await aerie.login(user.email);
    assert.equal((await refresh(raised.refreshToken)).status, 200);
    const release = await hold(user);
    const change = act(user.me.id);
    await sleep(200); // the change waits for the database
    const stale = await refresh(raised.refreshToken); // the other tab's: it only reads
    await release();
    assert.equal((await change).status, status);
    assert.equal(stale.status, 200, stale.text);
    const answer = await aerie.request('GET', '/api/users', { token: stale.json.access_token });
    assert.equal(answer.status, 401, 'the token says what was true before');
  });

for (const [name, verb, change] of [
  ['a_user_is_demoted', ({ email }) => ['user', 'role', '--role', 'user', '--email', email]],
  ['a_user_is_disabled', ({ email }) => ['user', 'disable', '--email', email]],
  ['a_user_s_password_is_set', ({ email }) => ['user', 'password', '--password-stdin', '--email', email]],
  ['a_team_is_disabled', () => ['team', 'disable'], (team) => `select 1 from teams where id = '${team.id}' for no key update;`],
])
  test(`a_token_made_while_${name}_by_the_command_line_counts_no_more_afterwards`, { skip: kind === 'sqlite' && 'a command waits for the one writer before it begins' }, async () => {
    const team = await aerie.otherTeam();
    const user = await aerie.user({ team_id: team.id });
    assert.equal((await team.admin.put(`/api/users/${user.me.id}`, { role: 'admin' })).status, 200);
    const raised = await aerie.login(user.email, { team_id: team.id });
    assert.equal((await refresh(raised.refreshToken)).status, 200);
    const release = await hold(user, change?.(team));
    const args = verb(user);
    const command = runBeside(aerie, [...args, args[0] === 'team' ? '--slug' : '--team', team.slug], { input: 'set by the operator\n' });
    await sleep(1500); // the command waits for the database
    const stale = await refresh(raised.refreshToken);
    await release();
    const { status, stderr } = await command;
    assert.equal(status, 0, stderr);
    assert.equal(stale.status, 200, stale.text);
    await withinASecond(async () => (await aerie.request('GET', '/api/auth/me', { token: stale.json.access_token })).status === 401, 'the token is refused');
  });

test('a_login_with_the_old_password_does_not_outlive_its_change', { skip: kind === 'sqlite' && 'one writer: nothing overlaps' }, async () => {
  const user = await aerie.user();
  const release = await hold(user, `update users set password_hash = 'changed' where id = '${user.me.id}';`);
  const login = aerie.request('POST', '/api/auth/login', { json: { email: user.email, password: PASSWORD } });
  await sleep(500); // it has checked the password, and waits
  await release();
  assert.equal((await login).status, 401);
  assert.equal(aerie.database.query(`select count(*) from refresh_tokens where user_id = '${user.me.id}'`), '1', 'the first login');
});

test('in_production_the_cookies_are_secure_and_bounds_have_their_keys', async () => {
  const strict = await Aerie.start({ env: { ENVIRONMENT: 'production', LIMITS__JSON_DEPTH: 3 } });
  try {
    const login = await strict.request('POST', '/api/auth/login', { json: { email: strict.adminEmail, password: PASSWORD } });
    const cookies = login.headers['set-cookie'];
    assert.equal(cookies.length, 2);
    for (const line of cookies) assert.match(line, /; Secure(;|$)/);
    const put = (json) => strict.admin.put('/api/auth/me', json);
    assert.equal((await put({ preferences: { a: { b: 1 } } })).status, 200);
    assert.equal((await put({ preferences: { a: { b: [1] } } })).status, 400);
    for (const password of ['x'.repeat(7), 'x'.repeat(129)]) {
      const answer = await put({ password, current_password: PASSWORD });
      assert.equal(answer.status, 422, answer.text);
      assert.deepEqual(answer.json.errors.map((e) => e.field), ['password']);
    }
  } finally {
    await strict.stop();
  }
});

test('the_size_of_a_picture_has_its_key', async () => {
  const small = await Aerie.start({ env: { LIMITS__UPLOAD_BYTES: 1000 } });
  try {
    const user = await small.user();
    const png = (n) => Buffer.concat([Buffer.from('89504e470d0a1a0a', 'hex'), Buffer.alloc(n - 8)]);
    const send = (n) => small.request('POST', '/api/auth/me/avatar', { token: user.token, ...multipart('file', 'me.png', 'image/png', png(n)) });
    assert.equal((await send(1000)).status, 200);
    const refused = await send(1001);
    assert.equal(refused.status, 413, refused.text);
    assert.deepEqual(refused.json, { detail: 'The picture is too large' });
  } finally {
    await small.stop();
  }
});
