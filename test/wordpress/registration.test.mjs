// A real WordPress registers with a real server through the plugin's page; what its owner is told when that fails.
import assert from 'node:assert/strict';
import http from 'node:http';
import { test } from 'node:test';
import { TOKEN, verifies, WordPress } from '../fake/wordpress.mjs';
import { Aerie } from '../tools/aerie.mjs';
import { makeStand } from './stand.mjs';

const VERIFY = '/wp-json/eaglechat-plugin/v1/verify';
const stand = makeStand();

/** One call of the server to the site. */
const call = (token) => fetch(stand.site.base + VERIFY, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ callback_token: token }) })
  .then(async (answer) => ({ status: answer.status, json: await answer.json().catch(() => null) }));

/** A server that answers a registration as it likes. */
async function standIn(answer) {
  const server = http.createServer(async (req, res) => {
    let body = '';
    for await (const piece of req) body += piece;
    const { status, json, headers } = await answer(req, body ? JSON.parse(body) : null);
    res.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(json));
  });
  await new Promise((listening) => server.listen(0, '127.0.0.1', listening));
  return { base: `http://127.0.0.1:${server.address().port}`, stop: () => (server.close(), server.closeAllConnections()) };
}

/** Another server, which does not know the site yet. */
async function fresh(env, act) {
  const other = await Aerie.start({ env: { CALLBACK__RETRY_ATTEMPTS: '1', ...env } });
  try {
    await act(other);
  } finally {
    await other.stop();
  }
}

// ---- registration ----

test('a_site_with_pretty_permalinks_registers_through_the_settings_page', async () => {
  const text = await stand.register();
  assert.match(text, /This site is registered/);
  assert.match(text, /Connected: the server accepts this site/);
  const { server, tenant_id: tenant, chatbot_id: chatbot, key_start: start } = stand.connection.site;
  assert.equal(server, stand.aerie.base);
  assert.match(stand.connection.key, /^eck_[\w-]{44}$/);
  assert.ok(text.includes(tenant) && text.includes(chatbot) && text.includes(`${start}…`));
  assert.ok(!(await stand.owner.content()).includes(stand.connection.key), 'the key is not shown whole');
  assert.equal((await stand.aerie.request('POST', '/api/v1/validate', { json: { tenant_id: tenant, api_key: stand.connection.key } })).status, 200);
  assert.match(stand.site.database.sql("select autoload from wp_options where option_name = 'aerie_chat_key'", 'wordpress'), /^(no|off)$/);
  assert.deepEqual(stand.site.kept().filter((name) => /callback|stranger/.test(name)), [], 'the token is gone');
  assert.doesNotMatch(await stand.settingsPage(), /This site is registered/, 'it is told once');
});

for (const [way, isRewriting] of [['whose_web_server_knows_only_files', false], ['whose_web_server_hands_on_every_address', true]])
  test(`a_site_with_plain_permalinks_${way}_registers`, () => fresh({}, async (other) => {
    stand.site.permalinks('');
    stand.site.set('no-rewriting', !isRewriting);
    try {
      assert.equal((await fetch(`${stand.site.base}/wp-json/`)).status, isRewriting ? 200 : 404);
      assert.match(await stand.register({ server: `${other.base}/` }), /This site is registered.*Connected: /s);
      assert.equal(stand.get('site').server, other.base);
    } finally {
      stand.site.permalinks('/%postname%/');
    }
  }));

test('only_the_token_of_the_registration_confirms_it_and_only_once', async () => {
  const answers = {};
  const credentials = { success: true, tenant_id: 'a-team', api_key: `eck_${'k'.repeat(44)}`, chatbot_id: 'an-agent', message: 'x' };
  const server = await standIn(async (req, sent) => {
    if (req.url === '/api/v1/validate') return { status: 200, json: { valid: true } };
    answers.sent = sent;
    answers.kept = stand.site.database.sql("select option_value from wp_options where option_name = '_transient_aerie_chat_callback'", 'wordpress');
    answers.wrong = await call(`${sent.callback_token.slice(0, -1)}x`);
    answers.short = await call('short');
    answers.get = (await fetch(stand.site.base + VERIFY)).status;
    answers.atOnce = await Promise.all(Array.from({ length: 4 }, () => call(sent.callback_token)));
    answers.again = await call(sent.callback_token);
    return { status: 200, json: credentials };
  });
  try {
    assert.match(await stand.register({ server: server.base, email: 'boss@site.test' }), /This site is registered/);
  } finally {
    server.stop();
  }
  assert.equal(answers.sent.site_url, stand.site.base);
  assert.equal(answers.sent.admin_email, 'boss@site.test');
  assert.match(answers.sent.callback_token, /^[0-9a-f]{64}$/);
  assert.ok(answers.kept && !answers.kept.includes(answers.sent.callback_token), 'the token itself is not in the database');
  assert.deepEqual(answers.wrong, { status: 403, json: { success: false } });
  assert.equal(answers.short.status, 400);
  assert.equal(answers.get, 404);
  assert.deepEqual(answers.atOnce.map(({ status, json }) => `${status} ${json.success}`).sort(), ['200 true', '403 false', '403 false', '403 false'], 'of calls at the same time one is right');
  assert.deepEqual(answers.again, { status: 403, json: { success: false } });
  assert.deepEqual(await call(answers.sent.callback_token), { status: 403, json: { success: false } });
});

test('nobody_confirms_where_nobody_registers', async () => {
  stand.site.forget();
  assert.deepEqual(await call('x'.repeat(64)), { status: 403, json: { success: false } });
  assert.deepEqual(stand.site.kept(), [], 'and nothing is written');
});

// ---- what the owner is told when it fails ----

test('a_site_that_is_registered_already_is_told_how_to_connect_and_connects', async () => {
  await stand.connect();
  assert.match(await stand.register(), /knows a site at http:\/\/127\.0\.0\.1:\d+ already.*make an API key/s);
  assert.deepEqual(stand.site.kept(), [], 'nothing is kept');
  const fields = { 'Id of the team': stand.connection.site.tenant_id, 'Id of the agent': stand.connection.site.chatbot_id, 'API key': `eck_${'x'.repeat(44)}` };
  const fill = async () => {
    if ((await stand.owner.locator('details[open]').count()) === 0) await stand.owner.locator('summary').click();
    await stand.owner.getByLabel('Address of the server').nth(1).fill(stand.aerie.base);
    for (const [label, value] of Object.entries(fields)) await stand.owner.getByLabel(label).fill(value);
    await stand.owner.getByRole('button', { name: 'Connect', exact: true }).click();
    await stand.owner.locator('.wrap > .notice').first().waitFor();
    return stand.owner.locator('.wrap').innerText();
  };
  assert.match(await fill(), /does not accept the credentials/);
  assert.deepEqual(stand.site.kept(), []);
  fields['API key'] = stand.connection.key;
  assert.match(await fill(), /This site is connected.*Connected: /s);
  assert.equal(stand.get('key'), stand.connection.key);
});

test('an_address_that_is_the_admin_of_another_site_is_told', () => fresh({}, async (other) => {
  const wordpress = await WordPress.start();
  try {
    const { url, email } = wordpress.site(verifies);
    assert.equal((await other.request('POST', '/api/v1/register', { json: { site_url: url, admin_email: email, callback_token: TOKEN } })).status, 200);
    assert.match(await stand.register({ server: other.base, email }), /admin of another site.*use another address/s);
    assert.equal(await stand.owner.getByLabel('Your e-mail address').inputValue(), email, 'what was typed is there');
  } finally {
    wordpress.stop();
  }
}));

test('a_call_back_that_did_not_arrive_is_told_with_what_may_have_stopped_it', () => fresh({}, async (other) => {
  stand.site.set('password', true);
  assert.match(await stand.register({ server: other.base }), /the call did not arrive here.*firewall.*basic auth.*EGRESS__ALLOW/s);
  assert.deepEqual(stand.site.kept(), []);
}));

test('a_server_that_may_not_call_its_own_machine_is_told_with_the_remedy', () => fresh({ EGRESS__ALLOW: undefined }, async (other) => {
  assert.match(await stand.register({ server: other.base }), /does not accept what was sent.*site_url.*EGRESS__ALLOW=127\.0\.0\.0\/8/s);
}));

for (const [name, answer, told] of [
  ['another_program', async () => ({ status: 404, json: 'no' }), /is not an Aerie server/],
  ['a_page_that_says_200', async () => ({ status: 200, json: '<html>' }), /is not an Aerie server/],
  ['a_redirect', async () => ({ status: 301, json: {}, headers: { location: 'https://chat.example/' } }), /sends us on to https:\/\/chat\.example\/.*Enter the address/s],
  ['a_server_that_has_enough', async () => ({ status: 429, json: { detail: 'x' }, headers: { 'retry-after': '42' } }), /too many registrations.*42 seconds/s],
  ['a_server_that_fails', async () => ({ status: 500, json: { detail: '<b>Oops</b>' } }), /answered 500: <b>Oops<\/b>/],
  ['a_call_back_by_a_stranger', async () => (await call('y'.repeat(64)), { status: 400, json: { detail: 'Failed to verify callback token with WordPress site' } }), /not from this registration.*Two registrations/s],
  ['an_answer_that_was_lost', async (_, { callback_token: token }) => (await call(token), { status: 400, json: { detail: 'Failed to verify callback token with WordPress site' } }), /our answer did not reach it whole/],
])
  test(`${name}_is_told_in_plain_words`, async () => {
    const server = await standIn(answer);
    try {
      assert.match(await stand.register({ server: server.base }), told);
      assert.deepEqual(stand.site.kept(), []);
    } finally {
      server.stop();
    }
  });

test('a_server_that_is_away_is_told', async () => {
  assert.match(await stand.register({ server: 'http://127.0.0.1:9' }), /http:\/\/127\.0\.0\.1:9 could not be reached.*hoster/s);
  assert.match(await stand.register({ server: 'http://elsewhere.example' }), /WP_HTTP_BLOCK_EXTERNAL.*WP_ACCESSIBLE_HOSTS/s);
});

