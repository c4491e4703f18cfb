// Pictures of all that people see, from the running product: light, dark, and on a phone. A page that is not there is a failure.
// Usage: node screenshots.mjs FOLDER [NAME…]
import { mkdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Aerie, PASSWORD } from '../tools/aerie.mjs';
import { openBrowser } from './browser.mjs';
import { TODAY, arabicTalk, openShop, talk, widgetTalk } from './shop.mjs';

const MAX_BYTES = 150_000;
const looks = [
  ['light', { colorScheme: 'light', viewport: { width: 1080, height: 680 } }],
  ['dark', { colorScheme: 'dark', viewport: { width: 1080, height: 680 } }],
  ['phone', { colorScheme: 'light', viewport: { width: 360, height: 720 }, hasTouch: true, isMobile: true }],
];

const heading = (page, name) => page.getByRole('heading', { level: 1, name }).waitFor();

// ---- how each page is reached ----

async function openFront({ page, aerie }) {
  await page.goto(aerie.base);
  await page.getByText('and is ready').waitFor();
  await page.getByLabel('Ask Shop assistant').waitFor();
}

async function chatOnFront(shot) {
  const { page } = shot;
  await openFront(shot);
  await page.getByRole('button', { name: 'Start chatting' }).click();
  for (const [n, [question, answer]] of talk.entries()) {
    await page.getByLabel('Your message').fill(question);
    await page.keyboard.press('Enter');
    if (n === talk.length - 1) await page.waitForFunction((half) => (document.querySelector('.streaming .text')?.textContent.length ?? 0) > half, answer.length / 2);
    else await page.locator('.message.assistant:not(.streaming) .text').nth(n).waitFor();
  }
}

async function openSite({ page, shop }, lang) {
  await page.goto(`${shop.origin}/${lang}`);
  await page.locator('aerie-chat .launcher').waitFor();
}

async function openWidget(shot, lang = 'en') {
  await openSite(shot, lang);
  await shot.page.locator('aerie-chat .launcher').click();
  await shot.page.locator('aerie-chat textarea').waitFor();
}

/** until: the word of the answer that has to be there. */
async function askWidget(shot, lang, [question], until) {
  await openWidget(shot, lang);
  await shot.page.locator('aerie-chat textarea').fill(question);
  await shot.page.keyboard.press('Enter');
  await shot.page.locator('aerie-chat').getByText(until).waitFor();
}

async function signIn({ page, aerie, shop }, path, name) {
  await page.goto(`${aerie.base}/console`);
  await page.getByLabel('E-mail').fill(aerie.adminEmail);
  await page.getByLabel('Password').fill(PASSWORD);
  await page.getByRole('button', { name: 'Sign in' }).click();
  await heading(page, /Welcome/);
  shop.setDates(); // of this very login, too
  if (path !== '/') await page.goto(`${aerie.base}/console#${path}`);
  await heading(page, name);
  await page.waitForLoadState('networkidle');
}

async function failAtN8n(shot) {
  const { page, shop } = shot;
  await signIn(shot, `/agents/${shop.broken.id}/n8n`, 'Returns desk');
  await page.getByRole('button', { name: 'Send a test message' }).click();
  await page.locator('.test-result').getByText('HTTP status').waitFor();
  await page.locator('.test-result').evaluate((node) => node.scrollIntoView({ block: 'end' }));
}

/** Periods are those of the real clock; the pictures' today is another. */
async function openBudgets(shot) {
  const renews = { day: TODAY.getTime() + 86_400_000, month: Date.UTC(TODAY.getUTCFullYear(), TODAY.getUTCMonth() + 1) };
  await shot.page.route('**/api/budgets', async (route) => {
    const response = await route.fetch();
    const json = (await response.json()).map((budget) => ({ ...budget, period_end: `${new Date(renews[budget.period]).toISOString().slice(0, 10)}T00:00:00Z` }));
    await route.fulfill({ response, json });
  });
  await signIn(shot, '/budgets', 'Budgets');
  await shot.page.getByText('the whole team').waitFor();
}

async function openDeliveries(shot) {
  await signIn(shot, `/webhooks/${shot.shop.webhook.id}`, /^hooks/);
  await shot.page.getByRole('heading', { name: 'Deliveries' }).evaluate((node) => node.scrollIntoView({ block: 'start' }));
}

const pictures = [
  ['front', openFront],
  ['chat', chatOnFront],
  ['widget-closed', (shot) => openSite(shot, 'en')],
  ['widget-open', (shot) => openWidget(shot)],
  ['widget-streaming', (shot) => askWidget(shot, 'en', widgetTalk, 'you see')],
  ['widget-rtl', (shot) => askWidget(shot, 'ar', arabicTalk, '100')],
  ['console-sign-in', ({ page, aerie }) => page.goto(`${aerie.base}/console`).then(() => page.getByRole('button', { name: 'Sign in' }).waitFor())],
  ['console-overview', (shot) => signIn(shot, '/', /Welcome/)],
  ['console-agents', (shot) => signIn(shot, '/agents', 'Agents')],
  ['console-n8n', failAtN8n],
  ['console-widget', (shot) => signIn(shot, `/agents/${shot.shop.agent.id}/widget`, 'Shop assistant')],
  ['console-documents', (shot) => signIn(shot, '/documents', 'Documents')],
  ['console-chats', (shot) => signIn(shot, '/chats', 'Your chats')],
  ['console-usage', (shot) => signIn(shot, '/usage', 'Usage')],
  ['console-budgets', openBudgets],
  ['console-webhooks', (shot) => signIn(shot, '/webhooks', 'Webhooks')],
  ['console-deliveries', openDeliveries],
  ['console-keys', (shot) => signIn(shot, '/api-keys', 'API keys')],
  ['console-users', (shot) => signIn(shot, '/users', 'Users')],
  ['console-team', (shot) => signIn(shot, '/team', 'Team settings')],
  ['api', ({ page, aerie }) => page.goto(`${aerie.base}/docs`).then(() => page.locator('.opblock').first().waitFor())],
];

// ---- taking them ----

/** A picture that is too large for a repository is one of fewer details: photos there are none. */
async function take(browser, given, name, steps, look, options) {
  const context = await browser.newContext({ ...options, reducedMotion: 'reduce', locale: 'en-GB', timezoneId: 'UTC' });
  const path = join(folder, `${name}-${look}.png`);
  try {
    const page = await context.newPage();
    page.setDefaultTimeout(20000);
    await page.clock.setFixedTime(TODAY);
    await steps({ page, ...given });
    await page.screenshot({ path, animations: 'disabled', caret: 'hide' });
  } finally {
    await context.close();
  }
  const { size } = statSync(path);
  if (size > MAX_BYTES) throw new Error(`${path} has ${size} bytes, more than ${MAX_BYTES}`);
}

const [folder, ...names] = process.argv.slice(2);
const unknown = names.filter((name) => !pictures.some(([known]) => known === name));
if (!folder || unknown.length > 0) {
  console.error(`usage: node screenshots.mjs FOLDER [NAME…]\nnames: ${pictures.map(([name]) => name).join(' ')}`);
  process.exit(2);
}
mkdirSync(folder, { recursive: true });
const env = {
  LIMITS__VISITOR_MESSAGES_PER_MINUTE: 0, LIMITS__VISITOR_SESSIONS_PER_MINUTE: 0, WEBHOOKS__KEEP_DAYS: 3650, WEBHOOKS__KEEP_DEAD_DAYS: 3650,
  BUDGETS__PRICES: fileURLToPath(new URL('../../etc/prices.json', import.meta.url)),
};
const aerie = await Aerie.start({ database: 'sqlite', env });
const browser = await openBrowser();
let shop;
try {
  shop = await openShop(aerie);
  for (const [name, steps] of pictures) {
    if (names.length > 0 && !names.includes(name)) continue;
    for (const [look, options] of looks) {
      try {
        await take(browser, { aerie, shop }, name, steps, look, options);
      } catch (error) {
        console.error(`${name}-${look}: ${error.message.slice(0, 300)} … ${error.stderr?.trim().split('\n').at(-1) ?? ''}`);
        process.exitCode = 1;
      }
    }
    console.log(name);
  }
} finally {
  await browser.close();
  shop?.close();
  await aerie.stop();
}
