// The page at /, in a real browser against the real server.
import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach, test } from 'node:test';
import { Aerie, PASSWORD } from '../tools/aerie.mjs';
import { openBrowser } from './browser.mjs';

const WORDS = Array.from({ length: 120 }, (_, i) => `word${i}`).join(' ');

let aerie;
let browser;
let context;
let page;
let complaints;

before(async () => {
  aerie = await Aerie.start();
  browser = await openBrowser();
});
after(async () => {
  await browser?.close();
  await aerie?.stop();
});

beforeEach(async () => {
  context = await browser.newContext();
  page = await context.newPage();
  page.setDefaultTimeout(15000);
  complaints = [];
  page.on('pageerror', (error) => complaints.push(error.message));
  page.on('console', (message) => {
    if (/Content.Security.Policy|Refused to/i.test(message.text())) complaints.push(message.text());
  });
});
afterEach(async () => {
  await context.close();
  assert.deepEqual(complaints, []);
});

const replies = () => page.locator('.message.assistant .text');
const whole = () => page.locator('.message.assistant:not(.streaming) .text');

async function startChatting() {
  await page.goto(aerie.base);
  await page.getByRole('button', { name: 'Start chatting' }).click();
  await page.getByLabel('Your message').waitFor();
}

async function say(text) {
  await page.getByLabel('Your message').fill(text);
  await page.keyboard.press('Enter');
}

test('one_click_signs_in_and_the_reply_streams', async () => {
  await startChatting();
  await page.evaluate(() => {
    window.seen = new Set();
    new MutationObserver(() => window.seen.add(document.querySelector('.message.assistant .text')?.textContent.length ?? 0))
      .observe(document.getElementById('messages'), { subtree: true, childList: true, characterData: true });
  });
  await say(`one two three ${WORDS.slice(0, 200)}`);
  await whole().waitFor();
  assert.equal(await replies().textContent(), `Echo: one two three ${WORDS.slice(0, 200)}`);
  assert.ok((await page.evaluate(() => window.seen.size)) > 4, 'the text grew in steps');
  assert.match(await page.locator('#service').textContent(), /\S/);
});

test('a_reload_keeps_the_chat', async () => {
  await startChatting();
  await say('remember me');
  await whole().waitFor();
  await page.reload();
  await whole().waitFor();
  assert.deepEqual(await page.locator('.message .text').allTextContents(), ['remember me', 'Echo: remember me']);
  await say('and me');
  await whole().nth(1).waitFor();
  assert.equal(await replies().nth(1).textContent(), 'Echo: and me');
});

test('a_reload_in_mid_reply_goes_on_after_the_last_event', async () => {
  const resumed = [];
  page.on('request', (request) => request.url().endsWith('/stream') && resumed.push(request.headers()['last-event-id']));
  await startChatting();
  await say(WORDS);
  await page.waitForFunction(() => (document.querySelector('.message.streaming .text')?.textContent.length ?? 0) > 100);
  await page.reload();
  await page.locator('.message.streaming').waitFor();
  await whole().waitFor();
  assert.equal(await replies().textContent(), `Echo: ${WORDS}`);
  assert.match(resumed.at(-1) ?? '', /^[0-9a-f-]{36}:\d+$/);
});

test('a_server_that_died_in_mid_reply_comes_back_with_what_it_had_stored', async () => {
  const own = await Aerie.start({ env: { TURN__CHECKPOINT_MS: '100' } });
  try {
    own.env.SERVER__PORT = String(own.port);
    await page.goto(own.base);
    await page.getByRole('button', { name: 'Start chatting' }).click();
    await say(WORDS);
    await page.waitForFunction(() => (document.querySelector('.message.streaming .text')?.textContent.length ?? 0) > 200);
    await own.kill();
    await page.getByText('The connection broke').waitFor();
    await own.listen();
    await page.getByText('Cut short').waitFor();
    const text = await replies().textContent();
    assert.ok(text.length > 50 && text.length < WORDS.length && `Echo: ${WORDS}`.startsWith(text), text);
    await page.getByRole('button', { name: 'Answer again' }).click();
    await page.waitForFunction((length) => document.querySelector('.message.assistant:not(.streaming) .text')?.textContent.length > length, WORDS.length);
    assert.equal(await replies().textContent(), `Echo: ${WORDS}`);
  } finally {
    await own.stop();
  }
});

test('another_tab_shows_the_running_reply_from_its_start', async () => {
  await startChatting();
  await say(WORDS);
  await page.locator('.message.streaming').waitFor();
  const tab = await context.newPage();
  await tab.goto(aerie.base);
  await tab.locator('.message.assistant:not(.streaming) .text').waitFor();
  assert.equal(await tab.locator('.message.assistant .text').textContent(), `Echo: ${WORDS}`);
});

test('markup_in_messages_is_text', async () => {
  const evil = '<img src=x onerror="window.hacked=1"><script>window.hacked=2</script> **bold** </p>';
  await startChatting();
  await say(evil);
  await whole().waitFor();
  await page.reload();
  await whole().waitFor();
  assert.deepEqual(await page.locator('.message .text').allTextContents(), [evil, `Echo: ${evil}`]);
  assert.equal(await page.locator('#messages img, #messages script').count(), 0);
  assert.equal(await page.evaluate(() => window.hacked), undefined);
});

test('stop_keeps_what_came', async () => {
  await startChatting();
  await say(WORDS);
  await page.waitForFunction(() => (document.querySelector('.message.streaming .text')?.textContent.length ?? 0) > 50);
  await page.getByRole('button', { name: 'Stop' }).click();
  await page.getByText('Stopped').waitFor();
  const text = await replies().textContent();
  assert.ok(text.length > 50 && text.length < WORDS.length && `Echo: ${WORDS}`.startsWith(text), text);
  await page.getByRole('button', { name: 'Answer again' }).click();
  await page.locator('.message.streaming').waitFor();
  await whole().waitFor();
  assert.equal(await replies().textContent(), `Echo: ${WORDS}`);
});

test('a_spent_access_token_is_renewed_without_a_word', async () => {
  await startChatting();
  await context.clearCookies({ name: 'access_token' });
  await say('still here');
  await whole().waitFor();
  assert.equal(await replies().textContent(), 'Echo: still here');
});

test('a_lost_session_leads_to_the_front_and_the_same_demo_account_comes_back', async () => {
  await startChatting();
  await say('mine');
  await whole().waitFor();
  await context.clearCookies();
  await page.reload();
  await page.getByRole('button', { name: 'Start chatting' }).click();
  await whole().waitFor();
  assert.equal(await replies().textContent(), 'Echo: mine');
});

test('a_failing_agent_is_told_plainly', async () => {
  const agent = await aerie.admin.agent({ name: 'Broken', webhook_url: 'http://127.0.0.1:9/webhook/none' });
  try {
    await startChatting();
    await page.getByLabel('Agent').selectOption({ label: 'Broken' });
    await say('hello?');
    await page.getByText('provider_unreachable').waitFor();
    assert.equal(await page.getByRole('alert').filter({ hasText: 'provider_unreachable' }).count(), 1);
    await page.getByRole('button', { name: 'Answer again' }).waitFor();
    assert.equal(await page.locator('.message.user .text').textContent(), 'hello?');
    await page.reload();
    await page.getByText(/^Failed: /).waitFor();
  } finally {
    await aerie.admin.delete(`/api/agents/${agent.id}`);
  }
});

test('a_message_that_was_refused_is_handed_back', async () => {
  await startChatting();
  await say(WORDS);
  await page.locator('.message.streaming').waitFor();
  const tab = await context.newPage();
  await tab.goto(aerie.base);
  await tab.locator('.message.streaming').waitFor();
  await tab.getByRole('button', { name: 'Stop' }).click();
  await tab.getByText('Stopped').waitFor();
  await page.getByText('Stopped').waitFor();
  await tab.getByLabel('Your message').fill(WORDS);
  await tab.keyboard.press('Enter');
  await tab.locator('.message.streaming').waitFor();
  await say('me too');
  await page.getByRole('alert').filter({ hasText: 'already running' }).waitFor();
  assert.equal(await page.getByLabel('Your message').inputValue(), 'me too');
  assert.equal(await page.locator('.message.user .text').count(), 1);
});

test('who_types_at_once_gets_an_answer_of_the_default_agent', async () => {
  const agent = await aerie.admin.agent({ name: 'Shop assistant', description: 'Orders and returns', provider: 'echo' });
  await aerie.admin.put('/api/team', { settings: { default_agent_id: agent.id } });
  try {
    await page.goto(aerie.base);
    const field = page.getByLabel('Ask Shop assistant');
    await field.waitFor();
    assert.equal(await field.getAttribute('placeholder'), 'Orders and returns');
    await page.waitForFunction(() => document.activeElement.id === 'first');
    await page.keyboard.type('do you ship?');
    await page.keyboard.press('Enter');
    await whole().waitFor();
    assert.deepEqual(await page.locator('.message .text').allTextContents(), ['do you ship?', 'Echo: do you ship?']);
    assert.equal(await page.getByLabel('Agent').locator('option:checked').textContent(), 'Shop assistant');
  } finally {
    await aerie.admin.put('/api/team', { settings: { default_agent_id: null } });
    await aerie.admin.delete(`/api/agents/${agent.id}`);
  }
});

test('the_front_says_what_runs_here_and_where_the_rest_is', async () => {
  const { service, version } = (await aerie.request('GET', '/health')).json;
  await page.goto(aerie.base);
  await page.getByText(`This server is running ${service} ${version} and is ready`).waitFor();
  assert.equal(await page.title(), service);
  for (const [name, path] of [['Console', '/console'], ['API Every', '/docs'], ['API reference', '/redoc']]) {
    const link = page.getByRole('link', { name });
    assert.equal(await link.getAttribute('href'), path);
    assert.equal((await page.request.get(aerie.base + path)).status(), 200);
  }
  await page.route('**/health/ready', (route) => route.fulfill({ status: 503, json: { detail: 'The database does not answer' } }));
  await page.reload();
  await page.getByText('cannot serve now: The database does not answer').waitFor();
});

test('closed_registration_offers_the_sign_in_form_which_works', async () => {
  const user = await aerie.user();
  await page.goto(aerie.base);
  await page.getByRole('button', { name: 'Start chatting' }).waitFor();
  await aerie.admin.put('/api/team', { settings: { open_registration: false } });
  try {
    await page.getByRole('button', { name: 'Start chatting' }).click(); // it closed after the page had come
    await page.getByRole('alert').filter({ hasText: 'takes no new accounts' }).waitFor();
    await page.reload();
    await page.getByRole('status').filter({ hasText: 'takes no new accounts' }).waitFor();
    assert.equal(await page.getByRole('button', { name: 'Start chatting' }).isVisible(), false);
    await page.getByLabel('E-mail').fill(user.email);
    await page.getByLabel('Password').fill('not the password');
    await page.getByRole('button', { name: 'Sign in', exact: true }).click();
    await page.getByText('Incorrect email or password').waitFor();
    await page.getByLabel('Password').fill(PASSWORD);
    await page.keyboard.press('Enter');
    await say('signed in');
    await whole().waitFor();
    assert.equal(await replies().textContent(), 'Echo: signed in');
    await page.getByRole('button', { name: 'Sign out' }).click();
    await page.getByRole('status').filter({ hasText: 'takes no new accounts' }).waitFor();
  } finally {
    await aerie.admin.put('/api/team', { settings: { open_registration: true } });
  }
});

test('the_keyboard_alone_is_enough', async () => {
  await page.goto(aerie.base);
  await page.getByRole('button', { name: 'Start chatting' }).waitFor();
  await page.keyboard.press('Tab');
  assert.equal(await page.evaluate(() => document.activeElement.id), 'start');
  await page.keyboard.press('Enter');
  await page.waitForFunction(() => document.activeElement.id === 'text');
  await page.keyboard.type('first line');
  await page.keyboard.press('Shift+Enter');
  await page.keyboard.type('second');
  await page.keyboard.press('Enter');
  await whole().waitFor();
  assert.equal(await replies().textContent(), 'Echo: first line\nsecond');
});

test('nothing_overflows_a_phone', async () => {
  await page.setViewportSize({ width: 320, height: 640 });
  await startChatting();
  await say('x'.repeat(400));
  await whole().waitFor();
  const { wide, width } = await page.evaluate(() => ({ wide: document.documentElement.scrollWidth, width: innerWidth }));
  assert.ok(wide <= width, `${wide} > ${width}`);
  const box = await page.locator('#composer').boundingBox();
  assert.ok(box.y + box.height <= 640, 'the composer is in sight');
});
