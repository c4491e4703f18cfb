// No page of the server has a serious accessibility finding: light and dark, on a desk and on a phone.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { Aerie } from '../tools/aerie.mjs';
import { assertAccessible } from './axe.mjs';
import { openBrowser } from './browser.mjs';

let aerie;
let browser;
before(async () => {
  aerie = await Aerie.start();
  browser = await openBrowser();
});
after(async () => {
  await browser?.close();
  await aerie?.stop();
});

const looks = [
  ['light', { colorScheme: 'light', viewport: { width: 1024, height: 768 } }],
  ['dark', { colorScheme: 'dark', viewport: { width: 1024, height: 768 } }],
  ['on_a_phone', { colorScheme: 'light', viewport: { width: 360, height: 720 }, hasTouch: true, isMobile: true }],
  ['on_a_phone_dark', { colorScheme: 'dark', viewport: { width: 360, height: 720 }, hasTouch: true, isMobile: true }],
];

for (const [look, options] of looks) {
  /** A new browser's page, given to run. */
  const visit = async (run) => {
    const context = await browser.newContext({ ...options, reducedMotion: 'reduce' });
    const page = await context.newPage();
    page.setDefaultTimeout(30000);
    await run(page);
    await context.close();
  };
  describe(look, () => {
    test(`the_front_is_accessible_${look}`, () => visit(async (page) => {
      await page.goto(aerie.base);
      await page.getByText('is ready').waitFor();
      await page.getByRole('button', { name: 'Start chatting' }).waitFor();
      await assertAccessible(page, 'the front');
      await page.getByText('Sign in with an account').click();
      await assertAccessible(page, 'its sign-in form');
      await page.getByLabel('E-mail').fill('nobody@example.com');
      await page.getByLabel('Password').fill('not the password');
      await page.getByRole('button', { name: 'Sign in', exact: true }).click();
      await page.getByText('Incorrect email or password').waitFor();
      await assertAccessible(page, 'a refusal');
    }));

    test(`a_chat_is_accessible_${look}`, () => visit(async (page) => {
      await page.goto(aerie.base);
      await page.getByRole('button', { name: 'Start chatting' }).click();
      await page.getByLabel('Your message').waitFor();
      await assertAccessible(page, 'an empty chat');
      await page.getByLabel('Your message').fill('word '.repeat(200));
      await page.keyboard.press('Enter');
      await page.locator('.message.streaming').waitFor();
      await assertAccessible(page, 'a reply that streams');
      await page.getByRole('button', { name: 'Answer again' }).waitFor();
      await assertAccessible(page, 'a reply that is whole');
    }));

    test(`what_mails_link_to_is_accessible_${look}`, () => visit(async (page) => {
      for (const [path, name] of [['/account/reset#token=x', 'Change the password'], ['/account/verify#token=x', 'Confirm the address'], ['/account/reset', null]]) {
        await page.goto('about:blank'); // the same page with another # would not load again
        await page.goto(aerie.base + path);
        await (name ? page.getByRole('button', { name }) : page.getByText('This link is not whole')).waitFor();
        await assertAccessible(page, path);
      }
    }));
  });
}

// Swagger UI and ReDoc themselves are others' work and not judged; what we put around them is, and looks the same everywhere.
test('our_part_of_the_pages_of_the_api_is_accessible', async () => {
  const page = await browser.newPage();
  page.setDefaultTimeout(30000);
  for (const [path, shown] of [['/docs', '.opblock'], ['/redoc', '[data-section-id^="tag/"]']]) {
    await page.goto(aerie.base + path);
    await page.locator(shown).first().waitFor();
    assert.equal(await page.locator('#docs').count(), 1, path);
    await assertAccessible(page, path, { exclude: ['#docs'] });
  }
});
