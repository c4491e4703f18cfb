// No page of the server has a serious accessibility finding: light and dark, on a desk and on a phone.
import { after, before, test } from 'node:test';
import { Aerie } from '../tools/aerie.mjs';
import { assertFitInEachLook } from './axe.mjs';
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

/** A new browser's page, given to run. */
async function visit(run) {
  const context = await browser.newContext({ reducedMotion: 'reduce' });
  const page = await context.newPage();
  page.setDefaultTimeout(30000);
  await run(page);
  await context.close();
}

test('the_front_is_accessible_in_each_look', () => visit(async (page) => {
  await page.goto(aerie.base);
  await page.getByText('is ready').waitFor();
  await page.getByRole('button', { name: 'Start chatting' }).waitFor();
  await assertFitInEachLook(page, 'the front');
  await page.getByText('Sign in with an account').click();
  await assertFitInEachLook(page, 'its sign-in form');
  await page.getByLabel('E-mail').fill('nobody@example.com');
  await page.getByLabel('Password').fill('not the password');
  await page.getByRole('button', { name: 'Sign in', exact: true }).click();
  await page.getByText('Incorrect email or password').waitFor();
  await assertFitInEachLook(page, 'a refusal');
}));

test('a_chat_is_accessible_in_each_look', () => visit(async (page) => {
  await page.goto(aerie.base);
  await page.getByRole('button', { name: 'Start chatting' }).click();
  await page.getByLabel('Your message').waitFor();
  await assertFitInEachLook(page, 'an empty chat');
  await page.getByLabel('Your message').fill('word '.repeat(200));
  await page.keyboard.press('Enter');
  await page.locator('.message.streaming').waitFor();
  await assertFitInEachLook(page, 'a reply that streams');
  await page.getByRole('button', { name: 'Answer again' }).waitFor();
  await assertFitInEachLook(page, 'a reply that is whole');
}));

test('what_mails_link_to_is_accessible_in_each_look', () => visit(async (page) => {
  for (const [path, name] of [['/account/reset#token=x', 'Change the password'], ['/account/verify#token=x', 'Confirm the address'], ['/account/reset', null]]) {
    await page.goto('about:blank'); // the same page with another # would not load again
    await page.goto(aerie.base + path);
    await (name ? page.getByRole('button', { name }) : page.getByText('This link is not whole')).waitFor();
    await assertFitInEachLook(page, path);
  }
}));
