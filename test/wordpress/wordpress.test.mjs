// The plugin in a real WordPress beside a real server: what its owner does in a browser, what a visitor sees, what a stranger may not.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { cpSync, existsSync, readdirSync, readFileSync } from 'node:fs';
import http from 'node:http';
import { join } from 'node:path';
import { after, afterEach, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { openBrowser } from '../e2e/browser.mjs';
import { TOKEN, verifies, WordPress } from '../fake/wordpress.mjs';
import { Aerie, unique } from '../tools/aerie.mjs';
import { installPlugin, Site } from './site.mjs';

const root = fileURLToPath(new URL('../../', import.meta.url));
const PAGE = '/wp-admin/options-general.php?page=aerie-chat';
const VERIFY = '/wp-json/eaglechat-plugin/v1/verify';

let aerie, browser, site, owner;
before(async () => {
  [aerie, site, browser] = await Promise.all([Aerie.start({ env: { CALLBACK__RETRY_ATTEMPTS: '1' } }), Site.start(), openBrowser()]);
  owner = await newPage();
  await site.signIn(owner);
  const zip = join(site.folder, 'aerie-chat.zip');
  execFileSync(join(root, 'etc/wordpress/zip'), [zip]);
  await installPlugin(site, owner, zip);
});
after(async () => {
  await browser?.close();
  await site?.stop();
  await aerie?.stop();
});
afterEach(() => {
  for (const state of ['no-rewriting', 'password']) site.set(state, false);
  assert.deepEqual(site.complaints(), []);
});

async function newPage() {
  const page = await (await browser.newContext()).newPage();
  page.setDefaultTimeout(20000);
  return page;
}

/** Leaves the site as it was before anything was connected. */
function forget() {
  site.ask("array( delete_option( 'aerie_chat_key' ), delete_option( 'aerie_chat_site' ), delete_option( 'aerie_chat_settings' ), delete_transient( 'aerie_chat_status' ) )");
}

/** Fills the form and presses the button; what the page says then. */
async function register({ server = aerie.base, email = `${unique('owner')}@site.test`, page = owner } = {}) {
  forget();
  await page.goto(site.base + PAGE);
  await page.getByLabel('Address of the server').first().fill(server);
  await page.getByLabel('Your e-mail address').fill(email);
  await page.getByRole('button', { name: 'Register this site' }).click();
  await page.locator('.wrap > .notice').first().waitFor();
  return page.locator('.wrap').innerText();
}

/** One call of the server to the site. */
const call = (token, path = VERIFY) => fetch(site.base + path, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ callback_token: token }) })
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


const html = async (path = '/', init) => (await fetch(site.base + path, init)).text();
const scriptIn = (text) => /<script[^>]*\/widget\.js[^>]*>/.exec(text)?.[0];
const get = (name) => site.option(`aerie_chat_${name}`);

let connection;
/** The site as the first registration left it, with these choices. */
async function connect(settings = {}) {
  if (!connection) {
    await register();
    connection = { site: get('site'), key: get('key') };
  }
  forget();
  const { site: { key_start: _, ...kept }, key } = connection;
  const php = (value) => `json_decode( '${JSON.stringify(value).replaceAll('\\', '\\\\').replaceAll("'", "\\'")}', true )`;
  site.ask(`aerie_chat_keep_site( ${php(kept)}, ${php(key)} )`);
  site.ask(`update_option( 'aerie_chat_settings', ${php({ enabled: true, ...settings })} )`);
}

async function settingsPage() {
  await owner.goto(site.base + PAGE);
  return owner.locator('.wrap').innerText();
}

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
  const text = await register();
  connection = { site: get('site'), key: get('key') };
  assert.match(text, /This site is registered/);
  assert.match(text, /Connected: the server accepts this site/);
  const { server, tenant_id: tenant, chatbot_id: chatbot, key_start: start } = connection.site;
  assert.equal(server, aerie.base);
  assert.match(connection.key, /^eck_[\w-]{44}$/);
  assert.ok(text.includes(tenant) && text.includes(chatbot) && text.includes(`${start}…`));
  assert.ok(!(await owner.content()).includes(connection.key), 'the key is not shown whole');
  assert.equal((await aerie.request('POST', '/api/v1/validate', { json: { tenant_id: tenant, api_key: connection.key } })).status, 200);
  assert.match(site.database.sql("select autoload from wp_options where option_name = 'aerie_chat_key'", 'wordpress'), /^(no|off)$/);
  assert.deepEqual(site.kept().filter((name) => /callback|stranger/.test(name)), [], 'the token is gone');
  assert.doesNotMatch(await settingsPage(), /This site is registered/, 'it is told once');
});

for (const [way, isRewriting] of [['whose_web_server_knows_only_files', false], ['whose_web_server_hands_on_every_address', true]])
  test(`a_site_with_plain_permalinks_${way}_registers`, () => fresh({}, async (other) => {
    site.permalinks('');
    site.set('no-rewriting', !isRewriting);
    try {
      assert.equal((await fetch(`${site.base}/wp-json/`)).status, isRewriting ? 200 : 404);
      assert.match(await register({ server: `${other.base}/` }), /This site is registered.*Connected: /s);
      assert.equal(get('site').server, other.base);
    } finally {
      site.permalinks('/%postname%/');
    }
  }));

test('only_the_token_of_the_registration_confirms_it_and_only_once', async () => {
  const answers = {};
  const credentials = { success: true, tenant_id: 'a-team', api_key: `eck_${'k'.repeat(44)}`, chatbot_id: 'an-agent', message: 'x' };
  const server = await standIn(async (req, sent) => {
    if (req.url === '/api/v1/validate') return { status: 200, json: { valid: true } };
    answers.sent = sent;
    answers.kept = site.database.sql("select option_value from wp_options where option_name = '_transient_aerie_chat_callback'", 'wordpress');
    answers.wrong = await call(`${sent.callback_token.slice(0, -1)}x`);
    answers.short = await call('short');
    answers.get = (await fetch(site.base + VERIFY)).status;
    answers.atOnce = await Promise.all(Array.from({ length: 4 }, () => call(sent.callback_token)));
    answers.again = await call(sent.callback_token);
    return { status: 200, json: credentials };
  });
  try {
    assert.match(await register({ server: server.base, email: 'boss@site.test' }), /This site is registered/);
  } finally {
    server.stop();
  }
  assert.equal(answers.sent.site_url, site.base);
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
  forget();
  assert.deepEqual(await call('x'.repeat(64)), { status: 403, json: { success: false } });
  assert.deepEqual(site.kept(), [], 'and nothing is written');
});

// ---- what the owner is told when it fails ----

test('a_site_that_is_registered_already_is_told_how_to_connect_and_connects', async () => {
  await connect();
  assert.match(await register(), /knows a site at http:\/\/127\.0\.0\.1:\d+ already.*make an API key/s);
  assert.deepEqual(site.kept(), [], 'nothing is kept');
  const fields = { 'Id of the team': connection.site.tenant_id, 'Id of the agent': connection.site.chatbot_id, 'API key': `eck_${'x'.repeat(44)}` };
  const fill = async () => {
    await owner.getByText('Connect with credentials that you have').click();
    await owner.getByLabel('Address of the server').nth(1).fill(aerie.base);
    for (const [label, value] of Object.entries(fields)) await owner.getByLabel(label).fill(value);
    await owner.getByRole('button', { name: 'Connect', exact: true }).click();
    await owner.locator('.wrap > .notice').first().waitFor();
    return owner.locator('.wrap').innerText();
  };
  await settingsPage();
  assert.match(await fill(), /does not accept the credentials/);
  assert.deepEqual(site.kept(), []);
  fields['API key'] = connection.key;
  assert.match(await fill(), /This site is connected.*Connected: /s);
  assert.equal(get('key'), connection.key);
});

test('an_address_that_is_the_admin_of_another_site_is_told', () => fresh({}, async (other) => {
  const wordpress = await WordPress.start();
  try {
    const { url, email } = wordpress.site(verifies);
    assert.equal((await other.request('POST', '/api/v1/register', { json: { site_url: url, admin_email: email, callback_token: TOKEN } })).status, 200);
    assert.match(await register({ server: other.base, email }), /admin of another site.*use another address/s);
    assert.equal(await owner.getByLabel('Your e-mail address').inputValue(), email, 'what was typed is there');
  } finally {
    wordpress.stop();
  }
}));

test('a_call_back_that_did_not_arrive_is_told_with_what_may_have_stopped_it', () => fresh({}, async (other) => {
  site.set('password', true);
  assert.match(await register({ server: other.base }), /the call did not arrive here.*firewall.*basic auth.*EGRESS__ALLOW/s);
  assert.deepEqual(site.kept(), []);
}));

test('a_server_that_may_not_call_its_own_machine_is_told_with_the_remedy', () => fresh({ EGRESS__ALLOW: undefined }, async (other) => {
  assert.match(await register({ server: other.base }), /does not accept what was sent.*site_url.*EGRESS__ALLOW=127\.0\.0\.0\/8/s);
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
      assert.match(await register({ server: server.base }), told);
      assert.deepEqual(site.kept(), []);
    } finally {
      server.stop();
    }
  });

test('a_server_that_is_away_is_told', async () => {
  assert.match(await register({ server: 'http://127.0.0.1:9' }), /http:\/\/127\.0\.0\.1:9 could not be reached.*hoster/s);
  assert.match(await register({ server: 'http://elsewhere.example' }), /WP_HTTP_BLOCK_EXTERNAL.*WP_ACCESSIBLE_HOSTS/s);
});

// ---- status ----

test('a_key_that_was_revoked_and_a_server_that_is_away_show_in_the_status', async () => {
  await connect();
  assert.match(await settingsPage(), /Connected: the server accepts/);
  site.ask(`update_option( 'aerie_chat_key', 'eck_${'z'.repeat(44)}' )`);
  assert.match(await settingsPage(), /Connected: the server accepts/, 'it is asked once a minute');
  await owner.getByRole('button', { name: 'Check again' }).click();
  assert.match(await owner.locator('.wrap').innerText(), /Refused: .*/s);
  assert.match(await owner.getByRole('alert').innerText(), /does not accept the credentials.*new key/s);
  site.ask("update_option( 'aerie_chat_site', array_merge( get_option( 'aerie_chat_site' ), array( 'server' => 'http://127.0.0.1:9' ) ) )");
  await owner.getByRole('button', { name: 'Check again' }).click();
  await owner.getByText('Unknown: ').waitFor();
});

test('disconnecting_forgets_the_key_and_takes_the_widget_off', async () => {
  await connect({ title: 'Stay' });
  await settingsPage();
  owner.once('dialog', (dialog) => dialog.accept());
  await owner.getByRole('button', { name: 'Disconnect' }).click();
  await owner.getByText('This site is disconnected').waitFor();
  assert.deepEqual(site.kept(), ['aerie_chat_settings']);
  assert.equal(scriptIn(await html()), undefined);
});

// ---- where the widget is ----

test('the_front_page_has_the_script_with_what_the_owner_chose', async () => {
  await connect();
  const plain = scriptIn(await html());
  assert.match(plain, new RegExp(`src=['"]${aerie.base}/widget\\.js['"]`));
  assert.match(plain, new RegExp(`data-chatbot-id=['"]${connection.site.chatbot_id}['"]`));
  assert.match(plain, / async\b/);
  assert.doesNotMatch(plain, /data-title|data-color|data-position|data-language/);
  await settingsPage();
  await owner.getByLabel('Title').fill('Ask "us" <now>');
  await owner.getByRole('button', { name: 'Select Color' }).click();
  await owner.locator('#aerie-chat-color').fill('#2456A6');
  await owner.getByLabel('Position').selectOption('left');
  await owner.getByLabel('Language').fill('site');
  await owner.getByRole('button', { name: 'Save Changes' }).click();
  await owner.getByText('Settings saved.').waitFor();
  const page = await newPage();
  await page.goto(`${site.base}/`);
  const { chatbotId: _, ...shown } = await page.evaluate(() => ({ ...document.querySelector('script[data-chatbot-id]').dataset }));
  assert.deepEqual(shown, { title: 'Ask "us"', color: '#2456a6', position: 'left', language: 'en-US' });
  await page.context().close();
});

test('what_is_no_colour_or_language_is_left_out_and_told', async () => {
  await connect();
  await settingsPage();
  await owner.evaluate(() => {
    document.querySelector('#aerie-chat-color').value = 'red;background:url(x)';
    document.querySelector('#aerie-chat-language').value = '"><script>';
  });
  await owner.getByRole('button', { name: 'Save Changes' }).click();
  await owner.getByText('The colour must be six hexadecimal digits').waitFor();
  await owner.getByText('The language must be empty').waitFor();
  const { color, language } = get('settings');
  assert.deepEqual({ color, language }, { color: '', language: '' });
});

test('the_widget_is_where_the_owner_wants_it', async () => {
  const page = site.addPage('About', 'About us.');
  const post = site.addPage('News', 'News.', 'post');
  const seen = async (settings) => {
    await connect(settings);
    return Promise.all(['/', page, post, '/?s=news'].map(async (path) => Boolean(scriptIn(await html(path)))));
  };
  assert.deepEqual(await seen({}), [true, true, true, true]);
  assert.deepEqual(await seen({ enabled: false }), [false, false, false, false]);
  assert.deepEqual(await seen({ show: 'chosen', front_page: false, post_types: ['page'] }), [false, true, false, false]);
  assert.deepEqual(await seen({ show: 'chosen', front_page: true, post_types: ['post'] }), [true, false, true, false]);
  assert.deepEqual(await seen({ show: 'chosen', front_page: false, other_pages: true }), [false, false, false, true]);
  const ownerSees = async (settings) => {
    await connect(settings);
    const sees = scriptIn(await (await owner.request.get(`${site.base}/`)).text());
    return [Boolean(sees), Boolean(scriptIn(await html()))];
  };
  assert.deepEqual(await ownerSees({}), [true, true]);
  assert.deepEqual(await ownerSees({ hide_from: 'admins' }), [false, true]);
  assert.deepEqual(await ownerSees({ hide_from: 'members' }), [false, true]);
});

const chatIn = (page) => page.locator('aerie-chat');
async function asks(page, text) {
  const field = chatIn(page).getByRole('textbox');
  await field.fill(text);
  await field.press('Enter');
  await chatIn(page).getByText(`Echo: ${text}`).waitFor();
}

test('a_visitor_of_the_front_page_is_answered_in_the_widget', async () => {
  await connect({ title: 'Ask the shop' });
  const page = await newPage();
  await page.goto(`${site.base}/`);
  await chatIn(page).getByRole('button', { name: /Ask the shop/ }).click();
  await asks(page, 'Do you ship to Norway?');
  assert.equal(await chatIn(page).count(), 1);
  await page.context().close();
});

test('the_shortcode_puts_the_chat_into_the_text_without_a_second_one', async () => {
  await connect({ enabled: false });
  const path = site.addPage('Contact', '<!-- wp:shortcode -->[aerie_chat]<!-- /wp:shortcode -->');
  const page = await newPage();
  await page.goto(site.base + path);
  await asks(page, 'Inline?');
  assert.equal(await chatIn(page).count(), 1);
  assert.ok(await page.evaluate(() => Boolean(document.querySelector('aerie-chat[inline]').closest('.entry-content, .wp-block-post-content'))));
  await page.context().close();
  forget();
  assert.doesNotMatch(await html(path), /<aerie-chat|\[aerie_chat\]/);
});

// ---- who may not ----

const ACTIONS = ['register', 'connect', 'check', 'disconnect'].map((name) => `aerie_chat_${name}`);

test('a_request_without_a_nonce_changes_nothing', async () => {
  await connect();
  const before = site.database.sql("select * from wp_options where option_name like '%aerie%' order by option_name", 'wordpress');
  for (const nonce of ['', 'x', '0123456789'])
    for (const action of ACTIONS) {
      const answer = await owner.request.post(`${site.base}/wp-admin/admin-post.php`, { form: { action, _wpnonce: nonce, server: 'http://evil.example', admin_email: 'evil@evil.example' } });
      assert.equal(answer.status(), 403, `${action} with the nonce "${nonce}"`);
    }
  const saved = await owner.request.post(`${site.base}/wp-admin/options.php`, { form: { option_page: 'aerie_chat', action: 'update', 'aerie_chat_settings[title]': 'evil' } });
  assert.equal(saved.status(), 403);
  assert.equal(site.database.sql("select * from wp_options where option_name like '%aerie%' order by option_name", 'wordpress'), before);
});

test('a_subscriber_and_a_guest_have_no_part_in_the_settings', async () => {
  await connect();
  site.addUser('reader', 'subscriber');
  const page = await newPage();
  await site.signIn(page, 'reader');
  assert.equal((await page.goto(site.base + PAGE)).status(), 403);
  const before = site.kept();
  for (const action of ACTIONS) {
    const answer = await page.request.post(`${site.base}/wp-admin/admin-post.php`, { form: { action, _wpnonce: 'x' } });
    assert.equal(answer.status(), 403);
    assert.match(await answer.text(), /Only who may change the settings/);
    await fetch(`${site.base}/wp-admin/admin-post.php`, { method: 'POST', body: new URLSearchParams({ action }) });
  }
  assert.deepEqual(site.kept(), before);
  assert.equal(get('key'), connection.key);
  await page.context().close();
});

// ---- the plugin's files ----

test('the_plugin_asks_for_no_newer_php_than_it_says_and_opens_no_file_directly', async () => {
  const folder = join(site.root, 'wp-content/plugins/aerie-chat');
  const files = readdirSync(folder, { recursive: true }).filter((name) => name.endsWith('.php'));
  assert.ok(files.length >= 8, files.join(' '));
  const newer = /^T_(MATCH|ENUM|READONLY|NULLSAFE_OBJECT_OPERATOR|ATTRIBUTE)$/;
  for (const name of files) {
    const source = readFileSync(join(folder, name), 'utf8');
    assert.match(source, /\ndefined\( '(ABSPATH|WP_UNINSTALL_PLUGIN)' \) \|\| exit;\n/, name);
    const tokens = JSON.parse(execFileSync('php', ['-r', 'echo json_encode( array_map( fn( $t ) => $t->getTokenName(), PhpToken::tokenize( file_get_contents( $argv[1] ) ) ) );', join(folder, name)], { encoding: 'utf8' }));
    assert.deepEqual(tokens.filter((token) => newer.test(token)), [], name);
    const answer = await fetch(`${site.base}/wp-content/plugins/aerie-chat/${name}`);
    assert.equal(await answer.text(), '', `${name} says nothing by itself`);
  }
  const [, version] = /\* Version: +(\S+)/.exec(readFileSync(join(folder, 'aerie-chat.php'), 'utf8'));
  assert.match(readFileSync(join(folder, 'aerie-chat.php'), 'utf8'), new RegExp(`'AERIE_CHAT_VERSION', '${version}'`));
  assert.match(readFileSync(join(folder, 'readme.txt'), 'utf8'), new RegExp(`^Stable tag: ${version}$`, 'm'));
});

test('the_translations_are_those_of_the_texts', async () => {
  execFileSync(join(root, 'etc/wordpress/translate'), ['--check']);
  await connect();
  cpSync(join(root, 'etc/wordpress/aerie-chat/languages/aerie-chat-de_DE.mo'), join(site.root, 'wp-content/languages/de_DE.mo'), { recursive: true }); // so that WordPress takes it for installed
  site.ask("update_option( 'WPLANG', 'de_DE' )");
  try {
    assert.match(await settingsPage(), /Verbunden: /);
  } finally {
    site.ask("update_option( 'WPLANG', '' )");
  }
});

// ---- the end ----

test('deleting_the_plugin_leaves_nothing_behind', async () => {
  await connect({ title: 'x' });
  await settingsPage();
  site.ask("array( set_transient( 'aerie_chat_callback', 'x', 300 ), set_transient( 'aerie_chat_stranger', '1', 300 ), set_transient( 'aerie_chat_outcome', array( 'user' => 0 ), 60 ) )");
  assert.equal(site.kept().length, 3 + 4 * 2, site.kept().join(' '));
  await owner.goto(`${site.base}/wp-admin/plugins.php`);
  await owner.locator('#deactivate-aerie-chat').click();
  await owner.getByText('Plugin deactivated.').waitFor();
  assert.ok(site.kept().includes('aerie_chat_site'), 'deactivating keeps what was set');
  owner.once('dialog', (dialog) => dialog.accept());
  await owner.locator('#delete-aerie-chat').click();
  await owner.getByText('was successfully deleted').waitFor();
  assert.equal(existsSync(join(site.root, 'wp-content/plugins/aerie-chat')), false);
  assert.deepEqual(site.kept(), []);
});

test('uninstalling_leaves_nothing_behind_on_any_site_of_a_network', () => {
  site.makeNetwork();
  const code = "update_option( 'aerie_chat_settings', array() ); update_option( 'aerie_chat_key', 'x' ); set_transient( 'aerie_chat_status', array(), 60 );";
  const count = (table) => Number(site.database.sql(`select count(*) from ${table} where option_name like '%aerie%'`, 'wordpress'));
  site.php(`require 'wp-load.php'; foreach ( get_sites( array( 'fields' => 'ids' ) ) as $id ) { switch_to_blog( $id ); ${code} restore_current_blog(); }`);
  assert.deepEqual([count('wp_options'), count('wp_2_options')], [4, 4]);
  site.php(`require 'wp-load.php'; define( 'WP_UNINSTALL_PLUGIN', 'x' ); require '${join(root, 'etc/wordpress/aerie-chat/uninstall.php')}';`);
  assert.deepEqual([count('wp_options'), count('wp_2_options')], [0, 0]);
});
