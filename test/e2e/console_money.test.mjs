// Budgets and webhooks in the console, by an admin whose team has nothing yet: done through the page, then looked up through the API.
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { manners, readSignature, Receiver } from '../fake/receiver.mjs';
import { readCount, readMoney } from '../../src/web/console/money.js';
import { Aerie } from '../tools/aerie.mjs';
import { openBrowser } from './browser.mjs';
import { button, dialog, inConsole as inEmptyTeam } from './console_page.mjs';

const PRICES = { currency: 'USD', prices: [{ provider: 'openai', model: 'gpt-4o*', input: 2.5, output: 10 }] };

let aerie;
let browser;
let receiver;
before(async () => {
  aerie = new Aerie({ env: { WEBHOOKS__WAITS: '0', LIMITS__AGENT_MESSAGES_PER_MINUTE: 0 } });
  aerie.env.BUDGETS__PRICES = join(aerie.folder, 'prices.json');
  writeFileSync(aerie.env.BUDGETS__PRICES, JSON.stringify(PRICES));
  aerie.prepare();
  await aerie.listen();
  await aerie.makeAdmin();
  receiver = await Receiver.start();
  browser = await openBrowser();
});
after(async () => {
  await browser?.close();
  await aerie?.stop();
  await receiver?.close();
});

const inConsole = (run, options) => inEmptyTeam(browser, aerie, run, options);
const budgetsOf = async (admin) => (await admin.get('/api/budgets')).json;
const row = (page, name) => page.getByRole('row', { name });

test('money_and_counts_are_read_as_people_write_them', () => {
  for (const [text, amount] of [['20', 20], ['12.50', 12.5], ['12,50', 12.5], ['$1,000.50', 1000.5], ['US$1,000', 1000], ['1 000 USD', 1000], ['€ 0.0025', 0.0025], ['1000000000', 1e9], ['0', 0]])
    assert.equal(readMoney(text), amount * 1e6, text);
  for (const text of ['1.000,50', '0,125', '1,00,000', '12.1234567', '-3', '1e5', 'much', 'USD', '1000000000.01', '10000000000']) assert.ok(Number.isNaN(readMoney(text)), text);
  for (const [text, count] of [['200,000', 200000], ['1 000 000', 1e6], [' 12 ', 12], ['0', 0]]) assert.equal(readCount(text), count, text);
  for (const text of ['1.5', '2k', '12,34', '-1', '1000000000000000']) assert.ok(Number.isNaN(readCount(text)), text);
  assert.deepEqual([readMoney(' '), readCount('')], [null, null]);
});

test('budgets_are_set_in_words_of_people_watched_changed_and_deleted', () => inConsole(async ({ admin, page, to, check }) => {
  await to('/budgets', 'Budgets');
  await page.getByText('No budget yet').waitFor();
  const agent = await admin.agent({ provider: 'echo', name: 'Support', config: { delay_ms: 0 } });
  const model = await admin.agent({ provider: 'openai', model: 'o-next', name: 'Thinker' });
  const key = (await admin.post(`/api/agents/${agent.id}/api-keys`, { name: 'shop', scopes: ['chat'] })).json;
  await page.reload();
  await button(page, 'Set the first budget').click();
  await button(dialog(page), 'Set budget').click();
  await dialog(page).getByText('Say how much may be used').waitFor();
  await dialog(page).getByLabel('Tokens').fill('many');
  await dialog(page).getByLabel('Money (USD)').fill('1,000.50');
  await dialog(page).getByText('That is $1,000.50.').waitFor();
  await button(dialog(page), 'Set budget').click();
  await dialog(page).getByText('Must be a whole number such as 200,000.').waitFor();
  await check('a wrong field of a budget');
  await dialog(page).getByLabel('Tokens').fill('2,000,000');
  await button(dialog(page), 'Set budget').click();
  await row(page, /the whole team/).getByText('$0.00 of $1,000.50').waitFor();
  assert.deepEqual((await budgetsOf(admin)).map((b) => [b.scope, b.period, b.money_micros, b.tokens, b.requests]), [['team', 'month', 1000500000, 2000000, null]]);
  await page.getByText('There is no price for what these agents ask').getByRole('link', { name: 'Thinker' }).waitFor();
  await admin.put(`/api/agents/${model.id}`, { model: 'gpt-4o-mini' });

  for (const [scope, choose, fields] of [
    ['An agent', () => dialog(page).getByLabel('Agent', { exact: true }).selectOption('Support'), { Requests: '5' }],
    ['An API key', () => dialog(page).getByLabel('API key').selectOption('shop'), { Tokens: '100 000' }],
    ['A user', () => dialog(page).getByLabel('User', { exact: true }).selectOption(admin.me.id), { Requests: '0' }]]) {
    await button(page, 'Set a budget').click();
    await dialog(page).getByLabel('For', { exact: true }).selectOption(scope);
    await dialog(page).getByLabel('In', { exact: true }).selectOption('A day');
    await choose();
    for (const [label, text] of Object.entries(fields)) await dialog(page).getByLabel(label).fill(text);
    await button(dialog(page), 'Set budget').click();
    await dialog(page).waitFor({ state: 'detached' });
  }
  assert.deepEqual((await budgetsOf(admin)).map((b) => [b.scope, b.subject_id, b.period, b.tokens, b.requests]).sort(),
    [['agent', agent.id, 'day', null, 5], ['key', key.id, 'day', 100000, null], ['team', admin.me.team_id, 'month', 2000000, null], ['user', admin.me.id, 'day', null, 0]]);
  await row(page, new RegExp(`${admin.email}.*0 of 0 requests.*100 %.*spent`)).waitFor();
  assert.equal(await page.getByText('There is no price').count(), 0, 'all models have one now');

  await button(page, `Delete a day of ${admin.email}`).click();
  await dialog(page).getByText('limits nothing any more').waitFor();
  await button(dialog(page), 'Delete budget').click();
  await row(page, new RegExp(admin.email)).waitFor({ state: 'detached' });
  const chat = await admin.chat(agent);
  for (let i = 0; i < 4; i++) await admin.ask(chat, 'Hello');
  await page.reload();
  await row(page, /Support.*4 of 5 requests.*80 %.*nearly spent/).waitFor();
  await check('the list of budgets');
  await page.getByText('What models cost here').click();
  await row(page, /OpenAI gpt-4o\*\s+\$2\.50\s+\$10\.00/).waitFor();
  await admin.ask(chat, 'Hello');
  await page.reload();
  await row(page, /Support.*100 %.*spent/).waitFor();
  await page.getByLabel('State', { exact: true }).selectOption('Spent');
  assert.equal(await page.getByRole('table', { name: 'Budgets of the team' }).locator('tbody tr').count(), 1);
  await page.getByLabel('Whose', { exact: true }).selectOption('Users');
  await page.getByText('No budget is like that').waitFor();
  await page.goBack();

  await button(page, 'Change a day of Support').click();
  assert.equal(await dialog(page).getByLabel('Requests').inputValue(), '5');
  await dialog(page).getByLabel('Requests').fill('');
  await dialog(page).getByLabel('Money (USD)').fill('0.75');
  await button(dialog(page), 'Save').click();
  await page.getByText('No budget is like that').waitFor();
  const changed = (await budgetsOf(admin)).find(({ scope }) => scope === 'agent');
  assert.deepEqual([changed.money_micros, changed.requests], [750000, null]);

  await button(page, 'Set a budget').click();
  await dialog(page).getByText('There is one already').waitFor();
  await page.keyboard.press('Escape');
}));

test('a_webhook_is_added_tested_and_its_dead_deliveries_are_sent_again', () => inConsole(async ({ admin, page, to, check }) => {
  const agent = await admin.agent({ provider: 'echo', config: { delay_ms: 0 } });
  const url = `${receiver.url}/hook`;
  await to('/webhooks', 'Webhooks');
  await button(page, 'Add the first webhook').click();
  await dialog(page).getByLabel('URL').fill(url);
  await dialog(page).getByLabel('A reply has ended').uncheck();
  await button(dialog(page), 'Add webhook').click();
  await dialog(page).getByText('Choose at least one.').waitFor();
  await check('adding a webhook');
  await dialog(page).getByLabel('A reply has ended').check();
  await dialog(page).getByLabel('A chat begins').check();
  await button(dialog(page), 'Add webhook').click();
  await dialog(page).getByText('Copy the secret now.').waitFor();
  const secret = await dialog(page).locator('.secret code').textContent();
  await page.context().grantPermissions(['clipboard-read', 'clipboard-write']);
  await button(dialog(page), 'Copy the secret').click();
  assert.equal(await page.evaluate(() => navigator.clipboard.readText()), secret);
  await button(dialog(page), 'Done').click();
  const [webhook] = (await admin.get('/api/webhooks')).json;
  assert.deepEqual([webhook.url, webhook.events, webhook.include_text], [url, ['chat.created', 'message.completed'], false]);

  const place = `${new URL(url).host}/hook`;
  await page.getByRole('link', { name: place }).click();
  await page.getByText('None yet: they come with the first event.').waitFor();
  assert.equal(await page.getByText(secret).count(), 0, 'shown once');
  await button(page, 'Send a test').click();
  await page.getByText(/It took the call: 204, after \d+ ms/).waitFor();
  const [ping] = await receiver.wait(1, ({ json }) => json.type === 'ping');
  assert.deepEqual(readSignature(ping.headers['x-aerie-signature'], ping.body, secret).fits, [true]);
  receiver.manner = manners.fail;
  await button(page, 'Send a test').click();
  await page.getByText('The receiver answered with an error.').waitFor();
  await page.getByText('Oops').waitFor();

  await admin.ask(await admin.chat(agent), 'Hello');
  await button(page, 'Look again').click();
  const rows = page.getByRole('table', { name: 'Deliveries' }).locator('tbody tr');
  await rows.nth(1).getByText('dead').waitFor();
  await rows.nth(0).getByText('dead').waitFor();
  await rows.nth(0).getByText('500').waitFor();
  await rows.nth(0).getByRole('group').locator('summary').click();
  await rows.nth(0).getByText('X-Aerie-Delivery').waitFor();
  await check('a webhook with dead deliveries');
  receiver.manner = manners.take;
  await button(page, 'Send again: message.completed').click();
  await rows.filter({ hasText: 'message.completed' }).getByText('delivered').waitFor();
  await page.getByLabel('State', { exact: true }).selectOption('Dead: given up');
  await rows.filter({ hasText: 'message.completed' }).waitFor({ state: 'detached' });
  await button(page, 'Send all dead ones again').click();
  await button(dialog(page), 'Send again').click();
  await page.getByText('1 is sent again now.').waitFor();
  await receiver.wait(1, ({ json, wasTaken }) => wasTaken && json.type === 'chat.created');
  await page.getByText('None is in this state.').waitFor();

  await page.getByLabel('An agent fails').check();
  await page.getByRole('link', { name: 'Webhooks' }).first().click();
  await button(dialog(page), 'Stay here').click();
  await button(page, 'Save').click();
  await page.getByText('It counts from the next event').waitFor();
  assert.deepEqual((await admin.get(`/api/webhooks/${webhook.id}`)).json.events, ['agent.failing', 'chat.created', 'message.completed']);
  await button(page, 'Make a new secret').click();
  await button(dialog(page), 'Make a new secret').click();
  await dialog(page).getByText('Copy the secret now.').waitFor();
  assert.notEqual(await dialog(page).locator('.secret code').textContent(), secret);
  await button(dialog(page), 'Done').click();

  await button(page, `Switch off ${place}`).click();
  await button(page, `Switch on ${place}`).waitFor();
  assert.equal((await admin.get(`/api/webhooks/${webhook.id}`)).json.is_active, false);
  await page.goBack();
  await button(page, `Switch on ${place}`).click();
  await row(page, /\/hook.*on/).waitFor();
  await button(page, `Delete ${place}`).click();
  await button(dialog(page), 'Delete webhook').click();
  await page.getByText('No webhook yet').waitFor();
  assert.deepEqual((await admin.get('/api/webhooks')).json, []);
}, { expected: [422] }));

test('budgets_and_webhooks_are_fit_to_be_used_in_each_look', () => inConsole(async ({ admin, page, to, checkLooks }) => {
  const agent = await admin.agent({ provider: 'n8n', name: 'word'.repeat(20), webhook_url: 'http://127.0.0.1:1/' });
  await admin.put('/api/budgets', { scope: 'agent', subject_id: agent.id, period: 'month', money_micros: 123456789012345, tokens: 900000000000000, requests: 0 });
  await admin.put('/api/budgets', { scope: 'team', period: 'day', tokens: 1000000 });
  const webhook = (await admin.post('/api/webhooks', { url: `http://127.0.0.1:1/${'long-path'.repeat(12)}`, events: ['chat.created', 'budget.spent', 'budget.warning', 'agent.failing', 'agent.recovered', 'message.completed'] })).json;
  await admin.chat(agent);
  for (const [path, heading] of [['/budgets', 'Budgets'], ['/webhooks', 'Webhooks'], [`/webhooks/${webhook.id}`, /^127/]]) {
    await to(path, heading);
    await page.waitForFunction(() => !document.querySelector('.loading'));
    await checkLooks(path);
  }
  await to('/budgets', 'Budgets');
  await button(page, 'Set a budget').click();
  await dialog(page).getByLabel('For', { exact: true }).selectOption('An API key');
  await checkLooks('a budget’s form');
}));
