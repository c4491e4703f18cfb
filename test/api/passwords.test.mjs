// What a password costs the server: rounds by default, a queue with an end, and the same for everyone.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Aerie, PASSWORD, unique } from '../tools/aerie.mjs';

let aerie;
before(async () => {
  aerie = await Aerie.start({ env: { SECURITY__BCRYPT_ROUNDS: null, SECURITY__BCRYPT_THREADS: '1', SECURITY__BCRYPT_QUEUE: '2' } });
});
after(() => aerie?.stop());

test('a_password_has_twelve_rounds_unless_the_operator_says_otherwise', async () => {
  await aerie.user();
  assert.match(aerie.database.query('select password_hash from users'), /^(\$2b\$12\$[./\w]{53}\n?){3,}$/);
});

test('past_the_queue_whoever_needs_a_hash_is_refused_at_once_and_can_come_back', async () => {
  const asks = {
    login: () => aerie.request('POST', '/api/auth/login', { json: { email: aerie.adminEmail, password: PASSWORD } }),
    stranger: () => aerie.request('POST', '/api/auth/login', { json: { email: `${unique('nobody')}@aerie.test`, password: PASSWORD } }),
    register: () => aerie.request('POST', '/api/auth/register', { json: { email: `${unique('new')}@aerie.test`, password: PASSWORD } }),
    change: () => aerie.admin.put('/api/auth/me', { password: PASSWORD, current_password: 'not the password' }),
  };
  const answers = await Promise.all(Object.entries(asks).flatMap(([name, ask]) => Array.from({ length: 8 }, async () => ({ name, ...(await ask()) }))));
  const refused = answers.filter(({ status }) => status === 503);
  // One is hashed, two wait, and while that lasts nobody else gets in.
  assert.ok(refused.length >= 20, `${refused.length} of ${answers.length} were refused`);
  for (const answer of refused) {
    assert.ok(Number(answer.headers['retry-after']) >= 1);
    assert.match(answer.json.detail, /busy/);
  }
  for (const name of Object.keys(asks)) assert.ok(refused.some((answer) => answer.name === name), `no ${name} was refused`);
  // 422: a change that was served and whose old password was wrong.
  for (const { status, text } of answers) assert.ok([200, 201, 400, 401, 422, 503].includes(status), `${status} ${text}`);
  assert.ok(answers.length > refused.length, 'some were served');
  assert.equal((await asks.login()).status, 200, 'and there is room again');
});
