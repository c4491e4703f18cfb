// The plugin in a real WordPress beside a real server: what its owner chooses, what a visitor sees, what a stranger may not, what is left.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { makeStand, PAGE, root } from './stand.mjs';

const stand = makeStand();

const html = async (path = '/', init) => (await fetch(stand.site.base + path, init)).text();
const scriptIn = (text) => /<script[^>]*\/widget\.js[^>]*>/.exec(text)?.[0];

// ---- status ----

test('a_key_that_was_revoked_and_a_server_that_is_away_show_in_the_status', async () => {
  await stand.connect();
  assert.match(await stand.settingsPage(), /Connected: the server accepts/);
  stand.site.ask(`update_option( 'aerie_chat_key', 'eck_${'z'.repeat(44)}' )`);
  assert.match(await stand.settingsPage(), /Connected: the server accepts/, 'it is asked once a minute');
  await stand.owner.getByRole('button', { name: 'Check again' }).click();
  assert.match(await stand.owner.locator('.wrap').innerText(), /Refused: .*/s);
  assert.match(await stand.owner.getByRole('alert').innerText(), /does not accept the credentials.*new key/s);
  stand.site.ask("update_option( 'aerie_chat_site', array_merge( get_option( 'aerie_chat_site' ), array( 'server' => 'http://127.0.0.1:9' ) ) )");
  await stand.owner.getByRole('button', { name: 'Check again' }).click();
  await stand.owner.getByText('Unknown: ').waitFor();
});

test('disconnecting_forgets_the_key_and_takes_the_widget_off', async () => {
  await stand.connect({ title: 'Stay' });
  await stand.settingsPage();
  stand.owner.once('dialog', (dialog) => dialog.accept());
  await stand.owner.getByRole('button', { name: 'Disconnect' }).click();
  await stand.owner.getByText('This site is disconnected').waitFor();
  assert.deepEqual(stand.site.kept(), ['aerie_chat_settings']);
  assert.equal(scriptIn(await html()), undefined);
});

// ---- where the widget is ----

test('the_front_page_has_the_script_with_what_the_owner_chose', async () => {
  await stand.connect();
  const plain = scriptIn(await html());
  assert.match(plain, new RegExp(`src=['"]${stand.aerie.base}/widget\\.js['"]`));
  assert.match(plain, new RegExp(`data-chatbot-id=['"]${stand.connection.site.chatbot_id}['"]`));
  assert.match(plain, / async\b/);
  assert.doesNotMatch(plain, /data-title|data-color|data-position|data-language/);
  await stand.settingsPage();
  await stand.owner.getByLabel('Title').fill('Ask "us" <now>');
  await stand.owner.getByRole('button', { name: 'Select Color' }).click();
  await stand.owner.locator('#aerie-chat-color').fill('#2456A6');
  await stand.owner.getByLabel('Position').selectOption('left');
  await stand.owner.getByLabel('Language').fill('site');
  await stand.owner.getByRole('button', { name: 'Save Changes' }).click();
  await stand.owner.getByText('Settings saved.').waitFor();
  const page = await stand.newPage();
  await page.goto(`${stand.site.base}/`);
  const { chatbotId: _, ...shown } = await page.evaluate(() => ({ ...document.querySelector('script[data-chatbot-id]').dataset }));
  assert.deepEqual(shown, { title: 'Ask "us"', color: '#2456a6', position: 'left', language: 'en-US' });
  await page.context().close();
});

test('what_is_no_colour_or_language_is_left_out_and_told', async () => {
  await stand.connect();
  await stand.settingsPage();
  await stand.owner.evaluate(() => {
    document.querySelector('#aerie-chat-color').value = 'red;background:url(x)';
    document.querySelector('#aerie-chat-language').value = '"><script>';
  });
  await stand.owner.getByRole('button', { name: 'Save Changes' }).click();
  await stand.owner.getByText('The colour must be six hexadecimal digits').waitFor();
  await stand.owner.getByText('The language must be empty').waitFor();
  const { color, language } = stand.get('settings');
  assert.deepEqual({ color, language }, { color: '', language: '' });
});

test('the_widget_is_where_the_owner_wants_it', async () => {
  const page = stand.site.addPage('About', 'About us.');
  const post = stand.site.addPage('News', 'News.', 'post');
  const seen = async (settings) => {
    await stand.connect(settings);
    return Promise.all(['/', page, post, '/?s=news'].map(async (path) => Boolean(scriptIn(await html(path)))));
  };
  assert.deepEqual(await seen({}), [true, true, true, true]);
  assert.deepEqual(await seen({ enabled: false }), [false, false, false, false]);
  assert.deepEqual(await seen({ show: 'chosen', front_page: false, post_types: ['page'] }), [false, true, false, false]);
  assert.deepEqual(await seen({ show: 'chosen', front_page: true, post_types: ['post'] }), [true, false, true, false]);
  assert.deepEqual(await seen({ show: 'chosen', front_page: false, other_pages: true }), [false, false, false, true]);
  const ownerSees = async (settings) => {
    await stand.connect(settings);
    const sees = scriptIn(await (await stand.owner.request.get(`${stand.site.base}/`)).text());
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
  await chatIn(page).getByText(`Echo: ${text}`, { exact: true }).waitFor();
}

test('a_visitor_of_the_front_page_is_answered_in_the_widget', async () => {
  await stand.connect({ title: 'Ask the shop' });
  const page = await stand.newPage();
  await page.goto(`${stand.site.base}/`);
  await chatIn(page).getByRole('button', { name: /Ask the shop/ }).click();
  await asks(page, 'Do you ship to Norway?');
  assert.equal(await chatIn(page).count(), 1);
  await page.context().close();
});

test('the_shortcode_puts_the_chat_into_the_text_without_a_second_one', async () => {
  await stand.connect({ enabled: false });
  const path = stand.site.addPage('Contact', '<!-- wp:shortcode -->[aerie_chat]<!-- /wp:shortcode -->');
  const page = await stand.newPage();
  await page.goto(stand.site.base + path);
  await asks(page, 'Inline?');
  assert.equal(await chatIn(page).count(), 1);
  assert.ok(await page.evaluate(() => Boolean(document.querySelector('aerie-chat[inline]').closest('.entry-content, .wp-block-post-content'))));
  await page.context().close();
  stand.site.forget();
  assert.doesNotMatch(await html(path), /<aerie-chat|\[aerie_chat\]/);
});

// ---- who may not ----

const ACTIONS = ['register', 'connect', 'check', 'disconnect'].map((name) => `aerie_chat_${name}`);

test('a_request_without_a_nonce_changes_nothing', async () => {
  await stand.connect();
  const before = stand.site.database.sql("select * from wp_options where option_name like '%aerie%' order by option_name", 'wordpress');
  for (const nonce of ['', 'x', '0123456789'])
    for (const action of ACTIONS) {
      const answer = await stand.owner.request.post(`${stand.site.base}/wp-admin/admin-post.php`, { form: { action, _wpnonce: nonce, server: 'http://evil.example', admin_email: 'evil@evil.example' } });
      assert.equal(answer.status(), 403, `${action} with the nonce "${nonce}"`);
    }
  const saved = await stand.owner.request.post(`${stand.site.base}/wp-admin/options.php`, { form: { option_page: 'aerie_chat', action: 'update', 'aerie_chat_settings[title]': 'evil' } });
  assert.equal(saved.status(), 403);
  assert.equal(stand.site.database.sql("select * from wp_options where option_name like '%aerie%' order by option_name", 'wordpress'), before);
});

test('a_subscriber_and_a_guest_have_no_part_in_the_settings', async () => {
  await stand.connect();
  stand.site.addUser('reader', 'subscriber');
  const page = await stand.newPage();
  await stand.site.signIn(page, 'reader');
  assert.equal((await page.goto(stand.site.base + PAGE)).status(), 403);
  const before = stand.site.kept();
  for (const action of ACTIONS) {
    const answer = await page.request.post(`${stand.site.base}/wp-admin/admin-post.php`, { form: { action, _wpnonce: 'x' } });
    assert.equal(answer.status(), 403);
    assert.match(await answer.text(), /Only who may change the settings/);
    await fetch(`${stand.site.base}/wp-admin/admin-post.php`, { method: 'POST', body: new URLSearchParams({ action }) });
  }
  assert.deepEqual(stand.site.kept(), before);
  assert.equal(stand.get('key'), stand.connection.key);
  await page.context().close();
});

// ---- the plugin's files ----

test('the_plugin_asks_for_no_newer_php_than_it_says_and_opens_no_file_directly', async () => {
  const folder = join(stand.site.root, 'wp-content/plugins/aerie-chat');
  const files = readdirSync(folder, { recursive: true }).filter((name) => name.endsWith('.php'));
  assert.ok(files.length >= 8, files.join(' '));
  const newer = /^T_(MATCH|ENUM|READONLY|NULLSAFE_OBJECT_OPERATOR|ATTRIBUTE)$/;
  for (const name of files) {
    const source = readFileSync(join(folder, name), 'utf8');
    assert.match(source, /\ndefined\( '(ABSPATH|WP_UNINSTALL_PLUGIN)' \) \|\| exit;\n/, name);
    const tokens = JSON.parse(execFileSync('php', ['-r', 'echo json_encode( array_map( fn( $t ) => $t->getTokenName(), PhpToken::tokenize( file_get_contents( $argv[1] ) ) ) );', join(folder, name)], { encoding: 'utf8' }));
    assert.deepEqual(tokens.filter((token) => newer.test(token)), [], name);
    const answer = await fetch(`${stand.site.base}/wp-content/plugins/aerie-chat/${name}`);
    assert.equal(await answer.text(), '', `${name} says nothing by itself`);
  }
  const [, version] = /\* Version: +(\S+)/.exec(readFileSync(join(folder, 'aerie-chat.php'), 'utf8'));
  assert.match(readFileSync(join(folder, 'aerie-chat.php'), 'utf8'), new RegExp(`'AERIE_CHAT_VERSION', '${version}'`));
  assert.match(readFileSync(join(folder, 'readme.txt'), 'utf8'), new RegExp(`^Stable tag: ${version}$`, 'm'));
});

test('the_translations_are_those_of_the_texts', async () => {
  execFileSync(join(root, 'etc/wordpress/translate'), ['--check']);
  await stand.connect();
  stand.site.keep('WPLANG', 'de_DE'); // WordPress takes no language whose own translation is not there
  try {
    assert.match(await stand.settingsPage(), /Verbunden: /);
  } finally {
    stand.site.keep('WPLANG', '');
  }
});

// ---- the end ----

test('deleting_the_plugin_leaves_nothing_behind', async () => {
  await stand.connect({ title: 'x' });
  await stand.settingsPage();
  stand.site.ask("array( set_transient( 'aerie_chat_callback', 'x', 300 ), set_transient( 'aerie_chat_stranger', '1', 300 ), set_transient( 'aerie_chat_outcome', array( 'user' => 0 ), 60 ) )");
  assert.equal(stand.site.kept().length, 3 + 4 * 2, stand.site.kept().join(' '));
  await stand.owner.goto(`${stand.site.base}/wp-admin/plugins.php`);
  await stand.owner.locator('#deactivate-aerie-chat').click();
  await stand.owner.getByText('Plugin deactivated.').waitFor();
  assert.ok(stand.site.kept().includes('aerie_chat_site'), 'deactivating keeps what was set');
  stand.owner.once('dialog', (dialog) => dialog.accept());
  await stand.owner.locator('#delete-aerie-chat').click();
  await stand.owner.getByText('was successfully deleted').waitFor();
  assert.equal(existsSync(join(stand.site.root, 'wp-content/plugins/aerie-chat')), false);
  assert.deepEqual(stand.site.kept(), []);
});

test('uninstalling_leaves_nothing_behind_on_any_site_of_a_network', () => {
  stand.site.makeNetwork();
  const code = "update_option( 'aerie_chat_settings', array() ); update_option( 'aerie_chat_key', 'x' ); set_transient( 'aerie_chat_status', array(), 60 );";
  const count = (table) => Number(stand.site.database.sql(`select count(*) from ${table} where option_name like '%aerie%'`, 'wordpress'));
  stand.site.php(`require 'wp-load.php'; foreach ( get_sites( array( 'fields' => 'ids' ) ) as $id ) { switch_to_blog( $id ); ${code} restore_current_blog(); }`);
  assert.deepEqual([count('wp_options'), count('wp_2_options')], [4, 4]);
  stand.site.php(`require 'wp-load.php'; define( 'WP_UNINSTALL_PLUGIN', 'x' ); require '${join(root, 'etc/wordpress/aerie-chat/uninstall.php')}';`);
  assert.deepEqual([count('wp_options'), count('wp_2_options')], [0, 0]);
});
