// The console in a browser, watched: nothing may be asked from another host, be refused by the page's policy, or go wrong unseen.
import assert from 'node:assert/strict';
import { PASSWORD } from '../tools/aerie.mjs';
import { assertFit, assertFitInEachLook } from './axe.mjs';

/** An admin's page: {page, to(path), check(what), checkLooks(what), close()}. expected: statuses of answers that the test provokes. */
export async function openConsole(browser, aerie, email, { expected = [], ...options } = {}) {
  const context = await browser.newContext({ acceptDownloads: true, reducedMotion: 'reduce', ...options });
  const page = await context.newPage();
  page.setDefaultTimeout(15000);
  const complaints = [];
  page.on('pageerror', (error) => complaints.push(error.message));
  page.on('console', (message) => {
    const status = /server responded with a status of (\d+)/.exec(message.text())?.[1];
    if (['error', 'warning'].includes(message.type()) && !expected.includes(Number(status))) complaints.push(message.text());
  });
  page.on('request', (request) => {
    if (!/^(data|blob):/.test(request.url()) && new URL(request.url()).host !== new URL(aerie.base).host) complaints.push(`asked ${request.url()}`);
  });
  await page.goto(`${aerie.base}/console`);
  await page.getByLabel('E-mail').fill(email);
  await page.getByLabel('Password').fill(PASSWORD);
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.getByRole('heading', { level: 1, name: /Welcome/ }).waitFor();
  return {
    page,
    context,
    async to(path, heading) {
      await page.goto(`${aerie.base}/console#${path}`);
      await page.getByRole('heading', { level: 1, name: heading }).waitFor();
    },
    check: (what) => assertFit(page, what),
    checkLooks: (what) => assertFitInEachLook(page, what),
    async close() {
      await context.close();
      assert.deepEqual(complaints, []);
    },
  };
}

/** An empty team's admin in the console: run({admin, page, to, check}); whatever happens, the page is closed and asked what went wrong in it. */
export async function inConsole(browser, aerie, run, options) {
  const { admin } = await aerie.otherTeam();
  const its = await openConsole(browser, aerie, admin.email, options);
  await run({ ...its, admin });
  await its.close();
}

export const button = (where, name) => where.getByRole('button', { name, exact: true });
export const dialog = (page) => page.getByRole('dialog');
