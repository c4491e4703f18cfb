// WordPress sites register themselves. The site here is a small server that answers the call back as the plugin does.
import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { after, before, test } from 'node:test';
import { json, TOKEN, verifies, VERIFY_PATH, WordPress } from '../fake/wordpress.mjs';
import { Aerie, unique, withinASecond } from '../tools/aerie.mjs';

const settings = { CALLBACK__RETRY_DELAY_SECONDS: '0', CALLBACK__TIMEOUT_SECONDS: '1', SITES__PROVIDER: 'echo' };

let aerie, wordpress;
before(async () => {
  wordpress = await WordPress.start();
  aerie = await Aerie.start({ env: settings });
});
after(async () => {
  await aerie?.stop();
  wordpress?.stop();
});

const register = (site, more = {}) =>
  aerie.request('POST', '/api/v1/register', { json: { site_url: site.url, admin_email: site.email, callback_token: TOKEN, ...more } });
const validate = (tenant_id, api_key) => aerie.request('POST', '/api/v1/validate', { json: { tenant_id, api_key } });

const NOT_VERIFIED = 'Failed to verify callback token with WordPress site';
async function isRefused(answer, detail) {
  assert.equal(answer.status, 400, answer.text);
  assert.deepEqual(answer.json, { detail });
}

test('a_site_that_verifies_its_token_becomes_a_tenant_with_an_agent_that_answers', async () => {
  const site = wordpress.site(verifies);
  const answer = await register(site);
  assert.equal(answer.status, 200, answer.text);
  assert.deepEqual(Object.keys(answer.json).sort(), ['api_key', 'chatbot_id', 'message', 'success', 'tenant_id']);
  assert.equal(answer.json.success, true);
  assert.equal(answer.json.message, 'Tenant registered successfully');
  assert.match(answer.json.tenant_id, /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  assert.match(answer.json.api_key, /^eck_[A-Za-z0-9_-]{44}$/);
  const [call] = site.calls();
  assert.equal(site.calls().length, 1);
  assert.deepEqual(call, { name: site.name, method: 'POST', url: `/${site.name}${VERIFY_PATH}`, type: 'application/json', body: { callback_token: TOKEN } });
  const origins = aerie.database.query(`select allowed_origins from agents where id = '${answer.json.chatbot_id}'`);
  assert.deepEqual(JSON.parse(origins), [new URL(site.url).origin]);
  const reply = await aerie.request('POST', '/v1/chat/completions', {
    headers: { authorization: `Bearer ${answer.json.api_key}` },
    json: { model: answer.json.chatbot_id, messages: [{ role: 'user', content: 'hello' }] },
  });
  assert.equal(reply.status, 200, reply.text);
  assert.match(reply.json.choices[0].message.content, /hello/);
});

test('credentials_are_validated', async () => {
  const one = (await register(wordpress.site(verifies))).json;
  const two = (await register(wordpress.site(verifies))).json;
  const good = await validate(one.tenant_id, one.api_key);
  assert.equal(good.status, 200, good.text);
  assert.deepEqual(good.json, { valid: true, message: 'Credentials are valid' });
  for (const [tenant, key] of [[one.tenant_id, two.api_key], [two.tenant_id, one.api_key], ['your-tenant-id', 'your-api-key'],
    [one.tenant_id, `${one.api_key.slice(0, -1)}${one.api_key.endsWith('A') ? 'B' : 'A'}`]]) {
    const bad = await validate(tenant, key);
    assert.equal(bad.status, 401, bad.text);
    assert.deepEqual(bad.json, { detail: 'Invalid credentials' });
  }
  assert.equal((await validate(one.tenant_id, undefined)).status, 422);
  aerie.database.query(`update api_keys set revoked_at = created_at where team_id = '${one.tenant_id}'`);
  await withinASecond(async () => (await validate(one.tenant_id, one.api_key)).status === 401, 'a revoked key');
});

test('a_site_and_an_email_register_once', async () => {
  const site = wordpress.site(verifies);
  assert.equal((await register(site)).status, 200);
  for (const url of [site.url, `${site.url}/`, `${site.url}///`, site.url.toUpperCase().replace('HTTP', 'http')])
    await isRefused(await register({ ...site, url, email: `${unique()}@wordpress.test` }), 'Site URL already registered');
  const other = wordpress.site(verifies);
  await isRefused(await register({ ...other, email: site.email.toUpperCase() }), 'Admin email already associated with another tenant');
  assert.equal(other.calls().length, 0, 'a known e-mail calls nobody');
  assert.equal(site.calls().length, 1, 'a known site is not called again');
});

test('one_site_has_one_address_however_it_is_written', async () => {
  const site = wordpress.site(verifies);
  const { port } = new URL(site.url);
  const at = (host, given = port) => `http://${host}:${given}/${site.name}`;
  const email = () => `${unique()}@wordpress.test`;
  assert.equal((await register(site, { site_url: at('localhost') })).status, 200);
  for (const url of [at('LOCALHOST'), at('localhost.'), at('localhost', `0${port}`)])
    await isRefused(await register(site, { site_url: url, admin_email: email() }), 'Site URL already registered');
  const other = wordpress.site(verifies);
  const { tenant_id, chatbot_id } = (await register(other)).json;
  for (const [known, urls] of [['https://shop.example', ['https://shop.example:443', 'HTTPS://Shop.Example.:443/']], ['http://shop.example/a', ['http://shop.example:80/a', 'http://shop.example:0080/A/']]]) {
    aerie.database.query(`update sites set site = '${known}' where team_id = '${tenant_id}'`);
    for (const url of urls) await isRefused(await register(other, { site_url: url, admin_email: email() }), 'Site URL already registered');
  }
  assert.equal(site.calls().length + other.calls().length, 2, 'nobody is called again');
  assert.ok(chatbot_id);
});

test('wrong_fields_are_named', async () => {
  const site = wordpress.site(verifies);
  for (const [more, field] of [[{ callback_token: 'short' }, 'callback_token'], [{ callback_token: 'x'.repeat(257) }, 'callback_token'],
    [{ callback_token: undefined }, 'callback_token'], [{ admin_email: 'nobody' }, 'admin_email'], [{ site_url: 'not a url' }, 'site_url'],
    [{ site_url: 'ftp://shop.example' }, 'site_url'], [{ site_url: 'https://' }, 'site_url'], [{ site_url: 'https://u:p@shop.example' }, 'site_url'],
    [{ site_url: 'https://shop.example/?a=1' }, 'site_url'], [{ site_url: 'https://shop.example/#a' }, 'site_url'], [{ site_url: 'http://10.0.0.1' }, 'site_url']]) {
    const answer = await register(site, more);
    assert.equal(answer.status, 422, `${JSON.stringify(more)}: ${answer.text}`);
    assert.deepEqual(answer.json.errors.map((e) => e.field), [field]);
  }
  assert.equal(site.calls().length, 0);
});

for (const [what, say, calls] of [
  ['says_false', (res) => json(res, 200, { success: false }), 1],
  ['says_something_else', (res) => res.end('<html>'), 1],
  ['says_true_in_words', (res) => json(res, 200, { success: 'true' }), 1],
  ['forbids', (res) => json(res, 403, { code: 'rest_forbidden' }), 1],
  ['redirects', (res) => json(res, 302, { success: true }, { location: '/elsewhere' }), 1],
  ['fails', (res) => json(res, 500, { success: true }), 3],
  ['hangs_up', (res) => res.destroy(), 3],
  ['is_silent', () => {}, 3],
  ['has_no_such_route', (res) => json(res, 404, { code: 'rest_no_route' }), 2],
  ['says_too_much', (res) => res.end(' '.repeat(100_000)), 1],
])
  test(`a_site_that_${what}_is_refused_after_${calls}_calls`, async () => {
    const site = wordpress.site(say);
    await isRefused(await register(site), NOT_VERIFIED);
    assert.equal(site.calls().length, calls);
    wordpress.answers.set(site.name, verifies);
    assert.equal((await register(site)).status, 200, 'it may try again');
  });

test('a_site_that_is_not_there_is_refused_as_any_other', async () => {
  await isRefused(await register({ url: 'http://127.0.0.1:1', email: `${unique()}@wordpress.test` }), NOT_VERIFIED);
});

test('a_site_that_recovers_is_registered', async () => {
  const site = wordpress.site((res, call) => (call.nth < 3 ? json(res, 503, {}) : verifies(res, call)));
  assert.equal((await register(site)).status, 200);
  assert.equal(site.calls().length, 3);
});

test('plain_permalinks_are_no_reason_to_fail', async () => {
  const site = wordpress.site((res, call) => (call.url.includes('/wp-json/') ? json(res, 404, {}) : verifies(res, call)));
  assert.equal((await register(site)).status, 200);
  assert.deepEqual(site.calls().map((call) => call.url), [`/${site.name}${VERIFY_PATH}`, `/${site.name}/?rest_route=/eaglechat-plugin/v1/verify`]);
});

async function registerAtOnce() {
  const site = wordpress.site((res, call) => setTimeout(() => verifies(res, call), 100));
  const answers = await Promise.all(Array.from({ length: 100 }, (_, i) => register({ ...site, email: `${i}-${site.email}`, url: i % 2 ? site.url : `${site.url}/` })));
  assert.equal(answers.filter((a) => a.status === 200).length, 1, answers.map((a) => a.status).join());
  const refused = answers.filter((a) => a.status !== 200);
  for (const answer of refused) await isRefused(answer, 'Site URL already registered');
  assert.equal(site.calls().length, 1, 'one call back at a time');
  assert.equal(aerie.database.query(`select count(*) from sites where url = '${site.url}'`), '1');
}

test('of_a_hundred_registrations_of_a_site_at_once_one_succeeds', registerAtOnce);

test('of_two_servers_at_once_one_registers_the_site', { skip: process.env.AERIE_TEST_DB === 'sqlite' || !process.env.AERIE_TEST_DB ? 'one server holds an SQLite file' : false }, async () => {
  // The claim is a process's own: between processes the constraint decides.
  const site = wordpress.site((res, call) => setTimeout(() => verifies(res, call), 300));
  const other = new Aerie();
  other.env = { ...aerie.env };
  await other.listen();
  try {
    const ask = (server) => server.request('POST', '/api/v1/register', { json: { site_url: site.url, admin_email: site.email, callback_token: TOKEN } });
    const answers = await Promise.all([ask(aerie), ask(other)]);
    assert.deepEqual(answers.map((a) => a.status).sort(), [200, 400], answers.map((a) => a.text).join());
    await isRefused(answers.find((a) => a.status === 400), 'Site URL already registered');
    assert.equal(aerie.database.query("select count(*) from teams where id not in (select team_id from sites) and slug like '127-0-0-1%'"), '0', 'no team without its site');
  } finally {
    await other.stop();
  }
});

test('one_who_waits_for_a_registration_that_fails_goes_on', async () => {
  const site = wordpress.site((res, call) => setTimeout(() => json(res, 200, { success: call.token === TOKEN }), 50));
  const answers = await Promise.all([register(site, { callback_token: 'x'.repeat(20) }), register(site), register(site, { callback_token: 'y'.repeat(20) })]);
  assert.equal(answers.filter((a) => a.status === 200).length, 1, answers.map((a) => a.text).join());
});

test('a_client_that_leaves_lets_go_of_the_site', async () => {
  const site = wordpress.site((res, call) => (call.nth === 1 ? undefined : verifies(res, call)));
  const gone = new AbortController();
  const lost = fetch(`${aerie.base}/api/v1/register`, { method: 'POST', signal: gone.signal, headers: { 'content-type': 'application/json' }, body: JSON.stringify({ site_url: site.url, admin_email: site.email, callback_token: TOKEN }) });
  while (site.calls().length === 0) await new Promise((wait) => setTimeout(wait, 10));
  gone.abort();
  await assert.rejects(lost);
  const answer = await register(site);
  assert.equal(answer.status, 200, answer.text);
});

test('calls_back_are_limited_by_address_and_a_site_that_many_register_counts_once', async () => {
  const limited = await Aerie.start({ env: { ...settings, LIMITS__REGISTER_PER_MINUTE: '5' } });
  const usual = aerie;
  aerie = limited;
  try {
    await registerAtOnce();
    for (let i = 0; i < 4; i++) assert.equal((await register(wordpress.site(verifies))).status, 200);
    const refused = await register(wordpress.site(verifies));
    assert.equal(refused.status, 429, refused.text);
    assert.ok(Number(refused.headers['retry-after']) > 0);
    const known = aerie.database.query('select admin_email from sites limit 1');
    for (const admin_email of [known, `${unique()}@wordpress.test`])
      assert.equal((await register(wordpress.site(verifies), { admin_email })).status, 429, 'nobody tries out addresses for free');
  } finally {
    aerie = usual;
    await limited.stop();
  }
});

// ---- signed calls ----

const now = () => Math.floor(Date.now() / 1000);
/** Sends text as a chat call of the key, signed as told. */
function signedCall(key, text, { at = now(), signed = `${at}\n${text}`, secret = key, signature, headers } = {}) {
  const mac = createHmac('sha256', secret).update(signed).digest('hex');
  return aerie.request('POST', '/v1/chat/completions', {
    body: text,
    headers: headers ?? { authorization: `Bearer ${key}`, 'content-type': 'application/json', 'x-eaglechat-timestamp': String(at), 'x-eaglechat-signature': signature ?? `hmac-sha256=${mac}` },
  });
}

test('a_signed_call_is_checked_and_is_good_once', async () => {
  const { api_key: key, chatbot_id: model } = (await register(wordpress.site(verifies))).json;
  const text = (content) => JSON.stringify({ model, messages: [{ role: 'user', content }] });
  const at = now();
  assert.equal((await signedCall(key, text('one'), { at })).status, 200);
  const again = await signedCall(key, text('one'), { at });
  assert.equal(again.status, 401, 'the same call again');
  assert.match(again.text, /before/);
  assert.equal((await signedCall(key, text('two'), { at })).status, 200, 'another body at the same time');
  assert.equal((await signedCall(key, text('ünï'), { at: at - 290 })).status, 200, 'a clock that is late by less than the window');
  for (const [what, how] of [['an old time', { at: at - 310 }], ['a time to come', { at: at + 310 }], ['no time', { at: 'soon' }], ['another body', { signed: `${at}\n${text('two')}`, at }],
    ['another key', { secret: 'eck_x' }], ['another scheme', { signature: 'md5=00' }], ['an empty one', { signature: '' }], ['half of one', { signature: 'hmac-sha256=00ff' }]]) {
    const refused = await signedCall(key, text('three'), how);
    assert.equal(refused.status, 401, `${what}: ${refused.text}`);
  }
  assert.equal((await signedCall(key, text('three'))).status, 200, 'what was refused is not spent');
});

test('an_agent_may_take_signed_calls_only', async () => {
  const { api_key: key, chatbot_id: model } = (await register(wordpress.site(verifies))).json;
  const headers = { authorization: `Bearer ${key}`, 'content-type': 'application/json' };
  const text = JSON.stringify({ model, messages: [{ role: 'user', content: 'hello' }] });
  assert.equal((await signedCall(key, text, { headers })).status, 200, 'unsigned, unless the agent says otherwise');
  aerie.database.query(`update agents set config = '{"require_signature":true}' where id = '${model}'`);
  let refused;
  await withinASecond(async () => (refused = await signedCall(key, text, { headers })).status === 401, 'unsigned');
  assert.match(refused.text, /X-EagleChat-Signature/);
  assert.equal((await signedCall(key, text)).status, 200);
});

test('a_first_agent_that_cannot_be_is_told_at_the_start', async () => {
  const other = new Aerie();
  try {
    for (const [env, words] of [[{ SITES__PROVIDER: 'nobody' }, /sites\.provider/], [{ SITES__PROVIDER: 'n8n' }, /sites\.webhook_url/]]) {
      const ran = other.tryCommand(['serve'], { env });
      assert.equal(ran.status, 1, ran.stderr);
      assert.match(ran.stderr, words);
    }
  } finally {
    other.drop();
  }
});
