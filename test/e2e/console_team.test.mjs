// The team's work in the console, by an admin whose team has nothing yet: done through the page, then looked up through the API.
import assert from 'node:assert/strict';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { startMail } from '../fake/smtp.mjs';
import { Aerie, makeFolder, PASSWORD, unique } from '../tools/aerie.mjs';
import { openBrowser } from './browser.mjs';
import { button, dialog, inConsole as inEmptyTeam, openConsole } from './console_page.mjs';

let folder;
let mail;
let aerie;
let browser;
before(async () => {
  folder = makeFolder();
  const started = await startMail(folder);
  mail = started.mail;
  aerie = await Aerie.start({
    env: {
      ...started.env, SERVER__PUBLIC_URL: 'https://chat.example.com',
    },
  });
  browser = await openBrowser();
});
after(async () => {
  await browser?.close();
  await aerie?.stop();
  await mail?.close();
  if (folder) rmSync(folder, { recursive: true, force: true });
});

const inConsole = (run, options) => inEmptyTeam(browser, aerie, run, options);
const echo = (admin, fields = {}) => admin.agent({ provider: 'echo', config: { delay_ms: 0 }, ...fields });
const complete = (key, agent) => aerie.request('POST', '/v1/chat/completions', {
  headers: { Authorization: `Bearer ${key}` }, json: { model: agent.id, messages: [{ role: 'user', content: 'Hello' }] },
});

test('a_key_is_made_shown_once_used_and_revoked', () => inConsole(async ({ admin, page, to, check }) => {
  await to('/api-keys', 'API keys');
  await page.getByText('Make an agent first').waitFor();
  const agent = await echo(admin, { name: 'Support' });
  await page.reload();
  await button(page, 'Make the first key').click();
  await dialog(page).getByLabel('Name').fill('shop');
  await dialog(page).getByLabel('Chat').uncheck();
  await button(dialog(page), 'Make key').click();
  await dialog(page).getByText('Choose at least one').waitFor();
  await dialog(page).getByLabel('Chat').check();
  await dialog(page).getByLabel('Documents').check();
  await dialog(page).getByLabel('Expires').selectOption('In 30 days');
  await button(dialog(page), 'Make key').click();

  await page.getByText('Copy the key now.').waitFor();
  const key = await page.locator('.secret code').textContent();
  assert.match(key, /^eck_[\w-]{44}$/);
  await check('a new key');
  await page.context().grantPermissions(['clipboard-read', 'clipboard-write']);
  await button(page, 'Copy the key').click();
  assert.equal(await page.evaluate(() => navigator.clipboard.readText()), key);
  const curl = await page.locator('.sample', { hasText: 'curl' }).first().locator('code').textContent();
  assert.ok(curl.includes(`${aerie.base}/v1/chat/completions`) && curl.includes(key) && curl.includes(agent.id), curl);
  await page.getByRole('heading', { name: 'OpenAI SDK, Python' }).waitFor();

  const [stored] = (await admin.get(`/api/agents/${agent.id}/api-keys`)).json;
  assert.deepEqual([stored.name, stored.scopes], ['shop', ['chat', 'documents']]);
  const days = (new Date(stored.expires_at) - Date.now()) / 86400000;
  assert.ok(days > 29 && days <= 30, `expires in ${days} days`);
  const used = await complete(key, agent);
  assert.equal(used.status, 200, used.text);
  assert.equal(used.json.choices[0].message.content, 'Echo: Hello');

  await page.reload();
  const row = page.getByRole('row', { name: /shop/ });
  await row.getByText(/20\d\d/).first().waitFor();
  assert.equal(await page.getByText(key).count(), 0, 'shown once');
  assert.equal(await row.getByText('never').count(), 0, 'last used is told');
  await check('the list of keys');
  await button(row, 'Revoke shop').click();
  await dialog(page).getByText('cannot be undone').waitFor();
  await button(dialog(page), 'Cancel').click();
  assert.equal((await complete(key, agent)).status, 200, 'asked first');
  await button(row, 'Revoke shop').click();
  await button(dialog(page), 'Revoke').click();
  await page.getByText('has no keys').waitFor();
  assert.equal((await complete(key, agent)).status, 401);
}, { expected: [422] }));

test('a_providers_key_is_added_masked_and_deleted', () => inConsole(async ({ admin, page, to, check }) => {
  await to('/provider-keys', 'Provider keys');
  await button(page, 'Add the first key').click();
  await dialog(page).getByLabel('Provider').selectOption('openrouter');
  await dialog(page).getByLabel('Key').fill('sk-or-v1 with a space');
  await button(dialog(page), 'Add key').click();
  await dialog(page).locator('.wrong .error').waitFor();
  await dialog(page).getByLabel('Key').fill('sk-or-v1-0123456789abcdef');
  await dialog(page).getByLabel('Name').fill('billing');
  await button(dialog(page), 'Add key').click();
  await page.getByText('********cdef').waitFor();
  await check('provider keys');
  const [key] = (await admin.get('/api/team/provider-keys')).json;
  assert.deepEqual([key.provider, key.name], ['openrouter', 'billing']);
  assert.equal((await admin.get('/api/providers')).json.providers.find(({ name }) => name === 'openrouter').has_key, true);
  await button(page, 'Delete billing of OpenRouter').click();
  await button(dialog(page), 'Delete').click();
  await page.getByText('No provider’s key yet').waitFor();
  assert.deepEqual((await admin.get('/api/team/provider-keys')).json, []);
}, { expected: [422] }));

test('a_user_is_added_signs_in_is_changed_switched_off_and_deleted', () => inConsole(async ({ admin, page, to, check }) => {
  const email = `${unique('noor')}@aerie.test`;
  await to('/users', 'Users');
  await page.getByText('You are the only one here').waitFor();
  await button(page, 'Add a user').click();
  await dialog(page).getByLabel('E-mail').fill(email);
  await dialog(page).getByLabel('Name').fill('Noor');
  const password = await dialog(page).getByLabel('First password').inputValue();
  assert.match(password, /^[a-z0-9]{16}$/);
  await check('adding a user');
  await button(dialog(page), 'Add user').click();
  await dialog(page).getByText('The user is added').waitFor();
  assert.equal(await dialog(page).locator('.secret code').textContent(), password);
  await button(dialog(page), 'Done').click();
  const noor = await aerie.login(email, { password });
  assert.deepEqual([noor.me.full_name, noor.me.role, noor.me.team_id], ['Noor', 'user', admin.me.team_id]);

  await button(page, 'Add a user').click();
  await dialog(page).getByLabel('E-mail').fill(email);
  await button(dialog(page), 'Add user').click();
  await dialog(page).getByText('Email already registered').waitFor();
  await page.keyboard.press('Escape');

  await page.getByRole('link', { name: 'Noor' }).click();
  await page.getByRole('heading', { level: 1, name: 'Noor' }).waitFor();
  await check('a user');
  await page.getByLabel('Role').selectOption('admin');
  await button(page, 'Save').click();
  await page.getByText('It counts from the user’s next request').waitFor();
  assert.equal((await admin.get(`/api/users/${noor.me.id}`)).json.role, 'admin');
  await page.getByLabel('May sign in').uncheck();
  await button(page, 'Save').click();
  await page.getByText('It counts from').last().waitFor();
  await page.waitForFunction(() => document.querySelector('form button.main').disabled);
  assert.equal((await noor.get('/api/auth/me')).status, 401);
  await page.getByLabel('May sign in').check();
  await button(page, 'Save').click();
  await page.waitForFunction(() => document.querySelector('form button.main').disabled);

  await button(page, 'Mail a link').click();
  assert.equal((await mail.mailTo(email)).subject, 'Your password at Aerie');
  await page.goBack();
  await page.getByRole('heading', { level: 1, name: 'Users' }).waitFor();
  await page.goForward();
  await button(page, 'Delete user').click();
  await button(dialog(page), 'Delete user').click();
  await page.getByRole('heading', { level: 1, name: 'Users' }).waitFor();
  assert.equal((await admin.get(`/api/users/${noor.me.id}`)).status, 404);
}, { expected: [400] }));

test('a_person_is_erased_once_the_address_was_typed_and_a_report_tells_what_went', () => inConsole(async ({ admin, page, to, check }) => {
  const agent = await echo(admin);
  const noor = await aerie.user({ team_id: admin.me.team_id });
  await noor.ask(await noor.chat(agent), 'words of Noor');
  await to(`/users/${noor.me.id}`, noor.me.full_name || noor.email);
  await button(page, 'Erase this person').click();
  await dialog(page).getByLabel('Type the e-mail address to go on').fill('somebody@else.test');
  await button(dialog(page), 'Erase for good').click();
  await dialog(page).getByText(`Must be ${noor.email}.`).waitFor();
  await check('an erasure that is asked for');
  assert.equal((await admin.get(`/api/users/${noor.me.id}`)).status, 200);
  await dialog(page).getByLabel('Type the e-mail address to go on').fill(noor.email.toUpperCase());
  await button(dialog(page), 'Erase for good').click();
  await dialog(page).getByText('Erased: the report').waitFor();
  const went = dialog(page).getByRole('listitem');
  for (const words of ['1 account', '1 chat', '2 messages']) await went.filter({ hasText: words }).waitFor();
  await went.filter({ hasText: 'Backups: Those made before still have all of it' }).waitFor();
  await check('the report of an erasure');
  await page.context().grantPermissions(['clipboard-read', 'clipboard-write']);
  await button(dialog(page), 'Copy the report').click();
  assert.equal(JSON.parse(await page.evaluate(() => navigator.clipboard.readText())).erased.messages, 2);
  await button(dialog(page), 'Done').click();
  await page.getByRole('heading', { level: 1, name: 'Users' }).waitFor();
  assert.equal((await admin.get(`/api/users/${noor.me.id}`)).status, 404);

  const session = (await aerie.request('POST', '/api/chat/widget/session', { json: { chatbot_id: agent.id } })).json;
  await button(page, 'Erase a visitor').click();
  await dialog(page).getByLabel('Id of the session').fill('nobody’s');
  await button(dialog(page), 'Erase for good').click();
  await dialog(page).getByText('Session not found').waitFor();
  await dialog(page).getByLabel('Id of the session').fill(session.session_id);
  await button(dialog(page), 'Erase for good').click();
  await went.filter({ hasText: '1 chat' }).waitFor();
  await button(dialog(page), 'Done').click();
  await to('/audit', 'Audit trail');
  await page.getByLabel('What', { exact: true }).selectOption('Erasures');
  await page.getByText('Erasure of a visitor').waitFor();
  await page.getByText('Erasure of a user').waitFor();
}, { expected: [404] }));

test('the_last_admin_cannot_lock_himself_out_and_reads_why', () => inConsole(async ({ admin, page, to }) => {
  await to(`/users/${admin.me.id}`, admin.email);
  await page.getByLabel('May sign in').uncheck();
  await button(page, 'Save').click();
  await page.getByRole('alert').getByText('The last active admin of a team must stay one').waitFor();
  await button(page, 'Delete user').click();
  await button(dialog(page), 'Delete user').click();
  await page.locator('.toast').getByText('The last active admin of a team must stay one').waitFor();
  const me = (await admin.get('/api/auth/me')).json;
  assert.deepEqual([me.role, me.is_active], ['admin', true]);
}, { expected: [409] }));

test('without_mail_a_forgotten_password_names_the_operators_command', async () => {
  const own = await Aerie.start();
  const its = await openConsole(browser, own, own.adminEmail, { expected: [503] });
  await its.to(`/users/${own.admin.me.id}`, own.adminEmail);
  await button(its.page, 'Mail a link').click();
  await its.page.getByText('Mail is not configured. Ask the operator').waitFor();
  await its.page.getByText(`aerie user password --email ${own.adminEmail} --team default`).waitFor();
  await its.close();
  await own.stop();
});

test('the_teams_settings_are_changed_and_others_of_them_stay', () => inConsole(async ({ admin, page, to, check }) => {
  const agent = await echo(admin, { name: 'Front desk' });
  await admin.put('/api/team', { settings: { theme: 'ours', embeddings: { model: 'small' } } });
  await to('/team', 'Team settings');
  await page.getByLabel('Name', { exact: true }).fill('Harbour team');
  await page.getByLabel('People may make their own account').uncheck();
  await page.getByLabel('Most users').fill('many');
  await button(page, 'Save settings').click();
  await page.getByText('Must be a whole number.', { exact: true }).waitFor();
  await check('a wrong field');
  await page.getByLabel('Most users').fill('12');
  await page.getByLabel('Answers when a chat names no agent').selectOption('Front desk');
  await page.getByLabel('Numbers for each piece').fill('256');
  await page.getByLabel('Days').fill('90');
  await page.getByText('chats in which nothing happened for 90 days are deleted').waitFor();
  await button(page, 'Save settings').click();
  await page.getByText('settings are saved').waitFor();
  await page.getByRole('link', { name: /Harbour team/ }).waitFor();
  const { name, settings, retention_days } = (await admin.get('/api/team')).json;
  assert.deepEqual([name, retention_days], ['Harbour team', 90]);
  assert.equal(await page.getByText('nothing happened for 90 days').count(), 0, 'it was said before');
  assert.deepEqual(settings, {
    theme: 'ours', max_users: 12, default_agent_id: agent.id, open_registration: false, require_verified_email: false, embeddings: { model: 'small', dimensions: 256 },
  });
  await page.getByLabel('Most users').fill('13');
  await page.getByRole('link', { name: 'Users' }).click();
  await button(dialog(page), 'Stay here').click();
  await button(page, 'Discard changes').click();
  assert.equal(await page.getByLabel('Most users').inputValue(), '12');
}, { expected: [422] }));

test('documents_are_chosen_and_dropped_found_by_a_search_and_deleted', () => inConsole(async ({ admin, page, to, check }) => {
  await to('/documents', 'Documents');
  await page.getByText('No documents yet').waitFor();
  const file = join(folder, 'returns.md');
  writeFileSync(file, '# Returns\n\nReturns are free within thirty days. Send the parcel to our shop.\n');
  const picture = join(folder, 'picture.md');
  writeFileSync(picture, Buffer.from([0x89, 0x50, 0x4e, 0x47, 13, 10, 26, 10, 0, 0, 0, 13]));
  const chooser = page.waitForEvent('filechooser');
  await button(page, 'Choose files').click();
  await (await chooser).setFiles([file, picture]);
  const uploads = page.getByRole('list', { name: 'Uploads' });
  await uploads.getByRole('listitem').filter({ hasText: 'returns.md' }).getByText('stored').waitFor();
  await uploads.getByRole('listitem').filter({ hasText: 'picture.md' }).locator('.problem').waitFor();
  const data = await page.evaluateHandle(() => {
    const transfer = new DataTransfer();
    transfer.items.add(new File(['Parcels to Norway leave every weekday.'], 'norway.txt', { type: 'text/plain' }));
    return transfer;
  });
  await page.dispatchEvent('.drop', 'drop', { dataTransfer: data });
  await uploads.getByRole('listitem').filter({ hasText: 'norway.txt' }).getByText('stored').waitFor();
  await page.getByRole('row', { name: /norway.txt/ }).getByText('ready').waitFor();
  const documents = (await admin.get('/api/v1/documents')).json;
  assert.equal(documents.length, 2);

  await page.getByLabel('Question').fill('How do I return a parcel to your shop?');
  await page.getByLabel('At most').fill('1');
  await page.keyboard.press('Enter');
  await page.getByText('1 piece, by words, best first').waitFor();
  const matches = page.getByRole('list', { name: 'Matches' });
  assert.match(await matches.textContent(), /found by words.*Returns are free within thirty days/s);
  await check('a search');
  await page.getByLabel('Question').fill('zebra');
  await page.keyboard.press('Enter');
  await page.getByText('Nothing was found').waitFor();

  await button(page, `Delete ${documents.find(({ content_type }) => content_type === 'text/markdown').title}`).click();
  await button(dialog(page), 'Delete').click();
  await page.getByText('is deleted').waitFor();
  assert.deepEqual((await admin.get('/api/v1/documents')).json.map(({ title }) => title), ['norway.txt']);
}, { expected: [415] }));

test('matches_by_meaning_show_their_similarity', () => inConsole(async ({ page, to, admin }) => {
  await admin.post('/api/v1/documents', { title: 'Returns', content: 'Returns are free.' });
  const match = { document_id: 'a', chunk_id: 'b', title: 'Returns', content: '<b>Returns</b> are free.', similarity: 0.87654, metadata: {} };
  await page.route('**/api/v1/documents/search', (route) => route.fulfill({ json: { results: [match], mode: 'vector', warning: 'Half of it is not embedded' } }));
  await to('/documents', 'Documents');
  await page.getByLabel('Question').fill('returns');
  await page.keyboard.press('Enter');
  await page.getByText('similarity 0.877').waitFor();
  await page.getByText('<b>Returns</b> are free.').waitFor();
  await page.getByText('Half of it is not embedded').waitFor();
}));

test('a_chat_is_found_by_a_search_read_exported_and_deleted', () => inConsole(async ({ admin, page, to, check }) => {
  await to('/chats', 'Your chats');
  await page.getByText('You have no chats yet').waitFor();
  const agent = await echo(admin, { name: 'Support' });
  const evil = 'Does the <img src=x onerror=alert(1)> lighthouse open?';
  for (let i = 0; i < 27; i++) await admin.chat(agent, { title: `Filler ${i}` });
  const chat = await admin.chat(agent, { title: 'Opening hours' });
  await admin.ask(chat, evil);
  await page.reload();
  await page.getByText('1–25 of 28').waitFor();
  await check('chats');
  await button(page, 'Next').click();
  await page.getByText('26–28 of 28').waitFor();
  await page.goBack();
  await page.getByText('1–25 of 28').waitFor();

  await page.getByLabel('Search titles and messages').fill('lighthouse');
  await page.keyboard.press('Enter');
  await page.getByRole('table', { name: 'Chats found for lighthouse' }).waitFor();
  assert.equal(await page.getByRole('row').count(), 2, 'the head and one chat');
  await page.getByRole('link', { name: 'Opening hours' }).click();
  await page.getByRole('heading', { level: 1, name: 'Opening hours' }).waitFor();
  assert.deepEqual(await page.locator('.entry-text').allTextContents(), [evil, `Echo: ${evil}`]);
  assert.equal(await page.locator('main img').count(), 0, 'text stays text');
  await check('a chat');

  for (const [format, label] of [['json', 'JSON'], ['markdown', 'Markdown'], ['txt', 'Text']]) {
    const download = page.waitForEvent('download');
    await button(page, `Export as ${label}`).click();
    const saved = await (await download).path();
    const given = (await admin.get(`/api/chats/${chat.id}/export?format=${format}`)).text;
    assert.equal(readFileSync(saved, 'utf8'), given);
    assert.ok(given.includes('lighthouse'));
  }
  await page.goBack();
  await page.getByRole('table', { name: 'Chats found for lighthouse' }).waitFor();
  await page.goForward();
  await button(page, 'Archive').click();
  await button(page, 'Take out of the archive').waitFor();
  assert.equal((await admin.get(`/api/chats/${chat.id}`)).json.is_archived, true);
  await button(page, 'Delete').click();
  await button(dialog(page), 'Delete').click();
  await page.getByRole('heading', { level: 1, name: 'Your chats' }).waitFor();
  assert.equal((await admin.get(`/api/chats/${chat.id}`)).status, 404);
}));

test('a_long_chat_is_read_back_to_its_first_message', () => inConsole(async ({ admin, page, to }) => {
  const agent = await echo(admin);
  const chat = await admin.chat(agent, { title: 'Long' });
  for (let i = 0; i < 52; i++) await admin.ask(chat, `message ${i}`);
  await to(`/chats/${chat.id}`, 'Long');
  await button(page, 'Show earlier messages (4 more)').click();
  await page.getByText('message 0', { exact: true }).waitFor();
  const said = await page.locator('.entry.user .entry-text').allTextContents();
  assert.deepEqual(said, Array.from({ length: 52 }, (_, i) => `message ${i}`));
  assert.equal(await page.getByText('Show earlier messages').count(), 0);
}));

/** The cells of a chart's table: [[day, a number or – for each series], …]. */
async function numbersOf(page, title) {
  await page.getByText(`Numbers: ${title}`).click();
  const rows = await page.getByRole('table', { name: title, exact: true }).locator('tbody tr').all();
  return Promise.all(rows.map((row) => row.locator('td').allTextContents()));
}
const figure = (page, name) => page.locator('.figures div').filter({ hasText: name }).locator('dd').textContent();
const shown = (value) => value.toLocaleString('en-GB');

test('usage_shows_what_the_api_counts_by_day_and_agent', () => inConsole(async ({ admin, page, to, check }) => {
  await to('/usage', 'Usage');
  await page.getByText('Nothing happened in these days').waitFor();
  const [one, two] = [await echo(admin, { name: 'Support' }), await echo(admin, { name: 'Sales' })];
  const broken = await admin.agent({ name: 'Broken', webhook_url: 'http://127.0.0.1:1/' });
  for (const [agent, n] of [[one, 3], [two, 1], [broken, 1]]) {
    const chat = await admin.chat(agent);
    for (let i = 0; i < n; i++) await admin.ask(chat, `message ${i}`);
  }
  const usage = (await admin.get('/api/usage')).json;
  const { totals } = usage;
  assert.deepEqual([totals.messages, totals.errors], [5, 1]);
  await page.reload();
  await page.getByRole('heading', { name: 'By agent' }).waitFor();
  assert.deepEqual([await figure(page, 'Messages'), await figure(page, 'Errors'), await figure(page, 'Tokens')], ['5', '1', shown(totals.prompt_tokens + totals.completion_tokens)]);
  assert.equal(await figure(page, 'first token'), `${shown(totals.first_token_ms)} ms`);
  await page.getByRole('img', { name: /^Messages by day: 5 in all, most on .* \(5\)/ }).waitFor();
  assert.equal(await page.getByRole('img', { name: /^Messages by day/ }).locator('rect:not(.reach)').count(), 3, 'a piece of the bar for each agent');

  const today = new Date().toISOString().slice(0, 10);
  const of = ({ id }) => usage.days.find(({ agent_id }) => agent_id === id);
  assert.deepEqual(await numbersOf(page, 'Messages'), [[today, '3', '1', '1']]);
  const tokens = ({ prompt_tokens, completion_tokens }) => shown(prompt_tokens + completion_tokens);
  assert.deepEqual(await numbersOf(page, 'Tokens'), [[today, ...[one, broken, two].map((agent) => tokens(of(agent)))]]);
  assert.deepEqual(await numbersOf(page, 'Errors'), [[today, '0', '1', '0']]);
  const waits = [one, broken, two].map((agent) => of(agent).first_token_ms);
  assert.equal(waits[1], null);
  assert.deepEqual(await numbersOf(page, 'Time to the first token'), [[today, `${waits[0]} ms`, '–', `${waits[2]} ms`]]);
  await check('usage with its numbers');

  await page.getByLabel('Agent', { exact: true }).selectOption('Sales');
  await page.getByRole('img', { name: /^Messages by day: 1 in all/ }).waitFor();
  await page.getByLabel('Days', { exact: true }).selectOption('From and to …');
  await page.getByLabel('From').fill('2020-01-01');
  await page.getByLabel('To', { exact: true }).fill('2020-01-31');
  await page.getByText('Nothing happened in these days').waitFor();
  await page.goBack();
  await page.getByRole('alert').getByText('366 days').waitFor();
  await page.getByLabel('Days', { exact: true }).selectOption('Last 7 days');
  await page.getByRole('img', { name: /^Messages by day: 1 in all/ }).waitFor();
}, { expected: [422] }));

test('the_audit_trail_shows_who_changed_what_and_is_filtered', () => inConsole(async ({ admin, page, to, check }) => {
  const agent = await echo(admin, { name: 'Support' });
  await admin.put(`/api/agents/${agent.id}`, { is_active: false, webhook_token: 'a-hidden-token' });
  await to('/audit', 'Audit trail');
  const rows = page.getByRole('table', { name: 'Who changed what' }).locator('tbody tr');
  const cells = async (n) => (await rows.nth(n).locator('td').allTextContents()).slice(1);
  await rows.first().waitFor();
  const changed = await cells(await rows.filter({ hasText: 'Agent changed' }).first().evaluate((row) => row.sectionRowIndex));
  assert.deepEqual(changed, [admin.email, 'Agent changedSupport', 'webhook_tokenis_active: true → false', '127.0.0.1']);
  assert.equal(await rows.count(), Number((await admin.get('/api/audit?limit=1')).headers['x-total-count']));
  await check('the audit trail');
  await page.getByLabel('Who', { exact: true }).selectOption('The operator');
  await rows.filter({ hasText: 'Agent changed' }).waitFor({ state: 'detached' });
  assert.deepEqual(await cells(0), ['The operator', `User made${admin.email}`, 'role: admin', 'the command line']);
  assert.deepEqual(await cells(1), ['The operator', 'Team made', `name: ${(await admin.get('/api/team')).json.name}`, 'the command line']);
  await page.getByLabel('What', { exact: true }).selectOption('Agents');
  await page.getByText('Nothing like that happened').waitFor();
  await page.goBack();
  await rows.nth(1).waitFor();
  await page.getByLabel('To', { exact: true }).fill('2020-01-31');
  await page.getByText('Nothing like that happened').waitFor();
}));

test('every_page_of_the_team_is_fit_to_be_used_in_each_look', () => inConsole(async ({ admin, page, to, checkLooks }) => {
  const agent = await echo(admin, { name: 'Support' });
  await admin.post(`/api/agents/${agent.id}/api-keys`, { name: 'a key with a rather long name', scopes: ['chat', 'documents', 'admin:read'] });
  await admin.post('/api/team/provider-keys', { provider: 'groq', key: 'gsk_0123456789abcdef' });
  await admin.post('/api/v1/documents', { title: `A${'very'.repeat(20)}LongTitle`, content: 'Returns are free.' });
  const chat = await admin.chat(agent, { title: 'word'.repeat(40) });
  await admin.ask(chat, 'x'.repeat(300));
  for (const [path, heading] of [['/api-keys', 'API keys'], ['/provider-keys', 'Provider keys'], ['/users', 'Users'], [`/users/${admin.me.id}`, admin.email], ['/team', 'Team settings'], ['/documents', 'Documents'], ['/chats', 'Your chats'], [`/chats/${chat.id}`, /^wordword/], ['/usage', 'Usage'], ['/audit', 'Audit trail']]) {
    await to(path, heading);
    await page.waitForFunction(() => !document.querySelector('.loading'));
    await checkLooks(path);
  }
}));
