// The console in a real browser, by an admin whose team has nothing yet: from signing in to an agent on a web page.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Upstream } from '../fake/upstream.mjs';
import { Aerie, PASSWORD, unique } from '../tools/aerie.mjs';
import { openBrowser } from './browser.mjs';
import { openConsole } from './console_page.mjs';

const WORDS = Array.from({ length: 60 }, (_, i) => `word${i}`).join(' ');

let aerie;
let browser;
let upstream;
before(async () => {
  aerie = await Aerie.start();
  upstream = await new Upstream().listen();
  browser = await openBrowser();
});
after(async () => {
  await browser?.close();
  await aerie?.stop();
  upstream?.server.close();
});

/** The console of a new team's only admin; run gets it with {page, to, check, team}. */
async function inConsole(options, run) {
  const team = await aerie.otherTeam();
  const opened = await openConsole(browser, aerie, team.admin.email, options);
  try {
    await run({ ...opened, team, admin: team.admin });
  } finally {
    await opened.close();
  }
}

const button = (page, name) => page.getByRole('button', { name, exact: true });
const heading = (page, name) => page.getByRole('heading', { name, exact: true });
const alert = (page, text) => page.getByRole('alert').filter({ hasText: text }).first();
const saved = (page) => page.waitForFunction(() => !document.querySelector('.save-bar.dirty'));
const reply = (page) => page.locator('.said.assistant:not(.streaming) .said-text');

async function signIn(page, email, password = PASSWORD) {
  await page.getByLabel('E-mail').fill(email);
  await page.getByLabel('Password').fill(password);
  await page.keyboard.press('Enter');
}

test('who_signs_in_is_told_what_is_wrong_and_comes_to_the_page_that_was_asked_for', async () => {
  const user = await aerie.user();
  await inConsole({ expected: [401] }, async ({ page, to, admin, team }) => {
    await to('/agents', 'Agents');
    await button(page, 'Sign out').click();
    await page.getByText('You are signed out.').waitFor();
    await signIn(page, admin.email, 'not the password');
    await alert(page, 'Incorrect email or password').waitFor();
    assert.equal(await page.getByLabel('Password').inputValue(), '');
    await signIn(page, user.email);
    await page.getByText(`${user.email} is not an admin of this team.`).waitFor();
    assert.equal(await page.getByRole('navigation').count(), 0);
    await signIn(page, admin.email);
    await heading(page, 'Agents').waitFor();
    await page.getByText(`Team ${team.slug}`).waitFor();
    await page.reload();
    await heading(page, 'Agents').waitFor();
  });
});

test('a_session_that_ends_in_mid_work_leads_back_to_the_same_page', async () => {
  await inConsole({ expected: [401] }, async ({ page, context, to, admin }) => {
    await to('/agents', 'Agents');
    await context.clearCookies({ name: 'access_token' });
    await page.getByRole('link', { name: 'New agent' }).first().click(); // renewed without a word
    await page.getByText('Who answers?').waitFor();
    await context.clearCookies();
    await page.getByRole('link', { name: 'Agents' }).first().click();
    await page.getByText('Your session has ended.').waitFor();
    await signIn(page, admin.email);
    await heading(page, 'Agents').waitFor();
  });
});

test('a_new_password_needs_the_present_one_and_works', async () => {
  const fresh = 'another horse battery';
  await inConsole({ expected: [400, 401, 403, 422] }, async ({ page, to, admin }) => {
    const fill = async (present, next, again) => {
      await page.getByLabel('Present password').fill(present);
      await page.getByLabel('New password', { exact: true }).fill(next);
      await page.getByLabel('New password again').fill(again);
      await button(page, 'Change password').click();
    };
    await to('/account', 'Your account');
    await fill(PASSWORD, fresh, 'another horse');
    await alert(page, 'Is not the same').waitFor();
    await fill('wrong', fresh, fresh);
    await page.locator('.problem:not(:empty), .error:not(:empty)').first().waitFor();
    await fill(PASSWORD, fresh, fresh);
    await page.getByText('Your password is changed.').waitFor();
    await aerie.login(admin.email, { password: fresh });
    await page.reload();
    await heading(page, 'Your account').waitFor();
  });
});

test('the_first_agent_is_made_and_tried_in_place_with_a_streamed_reply', async () => {
  await inConsole({}, async ({ page, team }) => {
    await page.getByText('0 of 4 done').waitFor();
    await page.getByRole('link', { name: 'Make an agent' }).click();
    assert.equal(await page.getByLabel('Echo').isChecked(), true);
    assert.equal(await page.getByLabel('Webhook URL').count(), 0);
    await page.getByLabel('Name', { exact: true }).fill('Parrot');
    await button(page, 'Create agent').click();
    await heading(page, 'Parrot').waitFor();
    await page.evaluate(() => {
      window.seen = new Set();
      new MutationObserver(() => window.seen.add(document.querySelector('.said.assistant .said-text')?.textContent.length ?? 0))
        .observe(document.querySelector('.chat-log'), { subtree: true, childList: true, characterData: true });
    });
    await page.getByLabel('Your message').fill(WORDS);
    await page.keyboard.press('Enter');
    await reply(page).waitFor();
    assert.equal(await reply(page).textContent(), `Echo: ${WORDS}`);
    assert.ok((await page.evaluate(() => window.seen.size)) > 4, 'the text grew in steps');
    await page.getByText(/first word after \d/).waitFor();
    await button(page, 'Answer again').click();
    await page.locator('.said.streaming .said-text', { hasText: 'word3' }).waitFor();
    await button(page, 'Stop').click();
    await page.getByText('Stopped.').waitFor();
    await page.goBack();
    await page.getByText('Who answers?').waitFor();
    await page.goBack();
    await page.getByText('2 of 4 done').waitFor();
    const [agent] = (await team.admin.get('/api/agents')).json;
    assert.deepEqual([agent.name, agent.provider], ['Parrot', 'echo']);
  });
});

test('an_agent_is_changed_switched_off_and_deleted_and_its_token_is_not_shown_again', async () => {
  await inConsole({ expected: [404, 422] }, async ({ page, to, admin }) => {
    const { id } = await admin.agent({ name: 'Helper', webhook_url: upstream.url(), webhook_token: 'a-very-secret-token', config: { widget: { title: 'Kept' } } });
    const now = async () => (await admin.get(`/api/agents/${id}`)).json;
    await to(`/agents/${id}`, 'Helper');
    assert.ok(!(await page.content()).includes('a-very-secret-token'));
    await page.getByText('Stored, encrypted.').waitFor();
    await page.getByLabel('Webhook URL').fill('http://10.1.2.3/webhook/x');
    await page.getByLabel('More settings').fill('{"context_messages": 7');
    await button(page, 'Save changes').click();
    await alert(page, 'no JSON object').waitFor();
    await page.getByLabel('More settings').fill('{"context_messages": 7}');
    await button(page, 'Save changes').click();
    await page.locator('.field.wrong', { hasText: 'Webhook URL' }).waitFor();
    await page.getByLabel('Webhook URL').fill(upstream.url({ tokens: 2 }));
    await page.getByLabel('System prompt').fill('You are brief.');
    await button(page, 'Save changes').click();
    await saved(page);
    let agent = await now();
    assert.deepEqual([agent.system_prompt, agent.webhook_token, agent.config], ['You are brief.', '********', { context_messages: 7, widget: { title: 'Kept' } }]);

    await button(page, 'Replace or remove').click();
    await button(page, 'Save changes').click();
    await saved(page);
    assert.equal((await now()).webhook_token, null);

    await to('/agents', 'Agents');
    await button(page, 'Switch off Helper').click();
    await page.getByText('Helper is switched off.').waitFor();
    agent = await now();
    assert.equal(agent.is_active, false);
    await button(page, 'Delete Helper').click();
    await page.getByRole('dialog', { name: 'Delete Helper?' }).waitFor();
    await page.keyboard.press('Escape');
    assert.equal((await admin.get(`/api/agents/${id}`)).status, 200);
    await button(page, 'Delete Helper').click();
    await button(page, 'Delete agent').click();
    await page.getByText('No agent yet').waitFor();
    assert.equal((await admin.get(`/api/agents/${id}`)).status, 404);
  });
});

test('unsaved_changes_are_not_left_without_a_word', async () => {
  await inConsole({}, async ({ page, to, admin }) => {
    const { id } = await admin.agent({ name: 'Careful', provider: 'echo' });
    await to('/agents', 'Agents');
    await to(`/agents/${id}`, 'Careful');
    await page.getByLabel('Description').evaluate((field) => { // and back at once: no picture is drawn in between
      field.value = 'not saved yet';
      field.dispatchEvent(new InputEvent('input', { bubbles: true }));
      history.back();
    });
    await page.getByRole('dialog', { name: 'Leave without saving?' }).waitFor();
    await button(page, 'Stay here').click();
    assert.equal(await page.getByLabel('Description').inputValue(), 'not saved yet');
    assert.ok(page.url().endsWith(`#/agents/${id}`));
    await page.getByRole('link', { name: 'Overview' }).click();
    await button(page, 'Leave').click();
    await heading(page, 'First steps').waitFor();
    assert.equal((await admin.get(`/api/agents/${id}`)).json.description, null);
  });
});

test('the_n8n_helper_says_what_to_set_and_what_came_back', async () => {
  await inConsole({}, async ({ page, admin, to }) => {
    await to('/agents/new', 'New agent');
    await page.getByLabel('Name', { exact: true }).fill('Shop assistant');
    await page.getByText('How to set up the workflow').click();
    await page.getByText('{{ $json.body.chatInput }}').waitFor();
    await page.getByText('shop-assistant', { exact: true }).waitFor();
    await page.getByLabel('Chat Trigger').check();
    await page.getByText('{{ $json.chatInput }}').waitFor();
    await page.getByLabel('Webhook URL').fill(upstream.url({ tokens: 12, delay: 20 }));
    await button(page, 'Create agent').click();
    await heading(page, 'Shop assistant').waitFor();

    const result = page.locator('.test-result');
    const ask = async (url) => {
      if (url) {
        await page.getByLabel('Webhook URL').fill(url);
        await button(page, 'Save changes').click();
        await saved(page);
      }
      await button(page, 'Send a test message').click();
      await page.locator('.test-result').getByText('HTTP status').waitFor();
      return result.innerText();
    };
    assert.match(await ask(), /it streams[^]*tok0 tok1[^]*tok11[^]*First words after\s+\d[^]*12, streamed[^]*200/);
    assert.equal(upstream.requests.at(-1).json.chatInput, 'Hello, are you there?');
    assert.match(await ask(upstream.url({ format: 'json', text: 'All at once.' })), /in one piece[^]*All at once\./);
    assert.match(await ask(upstream.url({ status: 401 })), /provider_auth[^]*Header Auth[^]*401/);
    assert.match(await ask(upstream.url({ format: 'html' })), /provider_malformed[^]*production/);
    assert.match(await ask('http://127.0.0.1:9/webhook/none'), /provider_unreachable[^]*no answer/);
    await page.getByLabel('Webhook URL').fill('https://n8n.example.com/webhook-test/shop');
    await page.getByText('This is the test URL').waitFor();
    await button(page, 'Discard changes').click();

    await button(page, 'Make a new token').click();
    const value = await page.locator('code', { hasText: 'Bearer ' }).first().textContent();
    await button(page, 'Save changes').click();
    await page.getByText('Stored, encrypted.').waitFor();
    await page.getByLabel('Webhook URL').fill(upstream.url());
    await button(page, 'Save changes').click();
    await saved(page);
    await ask();
    assert.equal(upstream.requests.at(-1).headers.authorization, value);
    assert.equal((await admin.get('/api/chats')).json.length, 0);
  });
});

test('a_widgets_looks_are_seen_before_they_are_saved_and_its_line_is_there_to_copy', async () => {
  await inConsole({ expected: [422], permissions: ['clipboard-read', 'clipboard-write'] }, async ({ page, admin, to }) => {
    const { id } = await admin.agent({ name: 'Shop assistant', provider: 'echo', config: { delay_ms: 1 } });
    await to(`/agents/${id}/widget`, 'Shop assistant');
    const preview = page.getByRole('region', { name: 'Preview of the widget' });
    await preview.getByText('Shop assistant').first().waitFor();
    await page.getByText('No page may show it yet').waitFor();
    await page.getByLabel('Title').fill('Ask the shop');
    await page.getByLabel('Greeting').fill('Hello **there**');
    await page.getByLabel('Suggested questions').fill('Do you ship to Norway?\n\n  Where is my order? ');
    await page.getByLabel('Language of its own words').selectOption('de');
    await preview.getByText('Ask the shop').first().waitFor();
    await preview.getByText('Do you ship to Norway?').waitFor();
    await page.getByLabel('Colour', { exact: false }).first().fill('red');
    await button(page, 'Save changes').click();
    await page.locator('.field.wrong', { hasText: 'Colour' }).waitFor();
    await page.getByLabel('Colour', { exact: false }).first().fill('#7a1fa2');
    await page.getByLabel('Pages that may show it').fill('https://shop.example');
    await button(page, 'Add this console, to chat in the preview').click();
    await button(page, 'Save changes').click();
    await page.getByText('Saved. Pages that show').waitFor();
    const agent = (await admin.get(`/api/agents/${id}`)).json;
    assert.deepEqual(agent.config, {
      delay_ms: 1,
      widget: { title: 'Ask the shop', greeting: 'Hello **there**', color: '#7a1fa2', language: 'de', suggestions: ['Do you ship to Norway?', 'Where is my order?'] },
    });
    assert.deepEqual(agent.allowed_origins, ['https://shop.example', aerie.base]);
    await preview.getByText('Do you ship to Norway?').click();
    await preview.getByText('Echo: Do you ship to Norway?', { exact: true }).waitFor();

    await page.getByLabel('Address of this server').fill('https://chat.example.com/');
    await button(page, 'Copy the HTML').click();
    assert.equal(await page.evaluate(() => navigator.clipboard.readText()), `<script src="https://chat.example.com/widget.js" data-chatbot-id="${id}" async></script>`);
    await button(page, 'Copy for WordPress').click();
    assert.match(await page.evaluate(() => navigator.clipboard.readText()), /^add_action\( 'wp_footer'[^]*chat\.example\.com\/widget\.js/);
  });
});

test('everyone_can_read_and_use_each_page_in_each_look', async () => {
  await inConsole({}, async ({ page, admin, to, checkLooks }) => {
    await checkLooks('the overview of an empty team');
    await to('/agents', 'Agents');
    await page.getByText('No agent yet').waitFor();
    await checkLooks('no agents');
    const title = unique('A name as long as it gets ');
    const { id } = await admin.agent({ name: title, description: 'x'.repeat(200), webhook_url: upstream.url({ status: 401 }) });
    await to('/agents/new', 'New agent');
    await page.getByText('How to set up the workflow').click();
    await checkLooks('a new agent');
    await to('/', /Welcome/);
    await page.getByText('This server').waitFor();
    await checkLooks('the overview');
    await to('/agents', 'Agents');
    await page.getByRole('table').waitFor();
    await checkLooks('the agents');
    await button(page, `Delete ${title}`).click();
    await checkLooks('a question');
    await page.keyboard.press('Escape');
    await to(`/agents/${id}`, title);
    await page.getByLabel('Your message').fill('hello');
    await page.keyboard.press('Enter');
    await page.getByText('provider_auth').waitFor();
    await checkLooks('an agent and its failure');
    await to(`/agents/${id}/n8n`, title);
    await button(page, 'Send a test message').click();
    await page.getByText('HTTP status').waitFor();
    await checkLooks('the n8n helper');
    await to(`/agents/${id}/widget`, title);
    await page.getByText('Put it on your site').waitFor();
    await checkLooks('the widget');
    await to('/account', 'Your account');
    await checkLooks('the account');
    await to('/nowhere', 'There is no such page');
    await checkLooks('no page');
    await button(page, 'Sign out').click();
    await page.getByText('You are signed out.').waitFor();
    await checkLooks('the door');
  });
});

test('the_overview_says_whether_replies_stream_to_this_browser', async () => {
  await inConsole({}, async ({ page }) => {
    await button(page, 'Check that replies stream to here').click();
    await page.getByText('Replies come to this browser while they are written.').waitFor();
    await page.route('**/health/stream', async (route) => route.fulfill({ response: await route.fetch() })); // as a proxy that collects
    await button(page, 'Check that replies stream to here').click();
    await page.getByText('a proxy that buffers').waitFor();
  });
});

test('the_keyboard_alone_is_enough', async () => {
  await inConsole({ viewport: { width: 360, height: 740 } }, async ({ page }) => {
    await page.evaluate(() => document.activeElement.blur());
    await page.keyboard.press('Tab');
    assert.equal(await page.evaluate(() => document.activeElement.textContent), 'Skip to the page');
    await page.keyboard.press('Enter');
    assert.equal(await page.evaluate(() => document.activeElement.id), 'main');
    await button(page, 'Menu').focus();
    await page.keyboard.press('Enter');
    await page.keyboard.press('Tab');
    await page.keyboard.press('Tab');
    assert.equal(await page.evaluate(() => document.activeElement.textContent), 'Agents');
    await page.keyboard.press('Enter');
    await heading(page, 'Agents').waitFor();
    assert.equal(await page.evaluate(() => document.activeElement.id), 'main', 'a reader hears the new page');
    assert.equal(await button(page, 'Menu').getAttribute('aria-expanded'), 'false');
  });
});
