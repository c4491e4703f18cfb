// What the links in mails lead to, in a real browser: from the mail to the new password.
import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { linksOf, startMail } from '../fake/smtp.mjs';
import { Aerie, makeFolder, PASSWORD } from '../tools/aerie.mjs';
import { openBrowser } from './browser.mjs';

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
      ...started.env, LIMITS__MAIL_PER_MINUTE: 0, LOG__LEVEL: 'debug', SERVER__PUBLIC_URL: 'http://links.test',
    },
  });
  browser = await openBrowser();
});
after(async () => {
  await browser?.close();
  await aerie?.stop();
  await mail?.close();
  rmSync(folder, { recursive: true, force: true });
});

/** The page behind a mail's link, at this server. */
async function openLink({ kind, token }, run) {
  const context = await browser.newContext();
  const page = await context.newPage();
  const complaints = [];
  page.setDefaultTimeout(15000);
  page.on('pageerror', (error) => complaints.push(error.message));
  page.on('console', (message) => {
    if (/Content.Security.Policy|Refused to/i.test(message.text())) complaints.push(message.text());
  });
  await page.goto(`${aerie.base}/account/${kind}${token ? `#token=${token}` : ''}`);
  await run(page);
  await context.close();
  assert.deepEqual(complaints, []);
}

test('a_forgotten_password_is_changed_on_the_page', async () => {
  const user = await aerie.user();
  await aerie.request('POST', '/api/auth/password/forgot', { json: { email: user.email } });
  const [link] = linksOf(await mail.mailTo(user.email));
  await openLink(link, async (page) => {
    await page.getByLabel('New password').fill('chosen in a browser');
    assert.ok(!page.url().includes(link.token), 'the address bar and the history forget it');
    await page.getByRole('button', { name: 'Change the password' }).click();
    await page.getByText('Your password is changed: sign in with it.').waitFor();
    assert.equal(await page.getByLabel('New password').isVisible(), false);
  });
  await aerie.login(user.email, { password: 'chosen in a browser' });
  assert.equal((await aerie.request('POST', '/api/auth/login', { json: { email: user.email, password: PASSWORD } })).status, 401);
  assert.ok(!aerie.log.includes(link.token));
  await openLink(link, async (page) => {
    await page.getByLabel('New password').fill('a second time');
    await page.getByRole('button', { name: 'Change the password' }).click();
    await page.getByText('This link is not valid any more: ask for a new mail').waitFor();
  });
});

test('an_address_is_confirmed_by_a_press_and_not_by_looking', async () => {
  const user = await aerie.user();
  await user.post('/api/auth/verify-email/resend');
  const [link] = linksOf(await mail.mailTo(user.email));
  await openLink(link, (page) => page.getByRole('button', { name: 'Confirm the address' }).waitFor());
  assert.equal((await user.get('/api/auth/me')).json.email_verified, false, 'a scanner of mails only opens it');
  await openLink(link, async (page) => {
    await page.getByRole('button', { name: 'Confirm the address' }).click();
    await page.getByText('Your e-mail address is confirmed.').waitFor();
  });
  assert.equal((await user.get('/api/auth/me')).json.email_verified, true);
});

test('a_link_without_its_end_says_so', () =>
  openLink({ kind: 'reset' }, async (page) => {
    await page.getByText('This link is not whole: copy all of it from the mail.').waitFor();
    assert.equal(await page.getByRole('button').count(), 0);
  }));
