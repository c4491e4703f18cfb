// /docs and /redoc in a real browser: they show every route, call the server, and ask nobody else for anything.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Aerie } from '../tools/aerie.mjs';
import { assertAccessible } from './axe.mjs';
import { openBrowser } from './browser.mjs';

let aerie;
let browser;
let operations;
before(async () => {
  aerie = await Aerie.start();
  browser = await openBrowser();
  const { paths } = (await aerie.request('GET', '/openapi.json')).json;
  operations = Object.values(paths).flatMap((item) => Object.values(item));
});
after(async () => {
  await browser?.close();
  await aerie?.stop();
});

/** Opens the page, hands it to run, and fails at any complaint of the browser or request to elsewhere. */
async function open(path, run) {
  const context = await browser.newContext();
  const page = await context.newPage();
  const complaints = [];
  page.setDefaultTimeout(30000);
  page.on('pageerror', (error) => complaints.push(error.message));
  page.on('console', (message) => message.type() === 'error' && complaints.push(message.text()));
  page.on('request', (request) => {
    const { origin, protocol } = new URL(request.url());
    if (protocol !== 'data:' && origin !== aerie.base) complaints.push(`asked ${request.url()}`);
  });
  await page.goto(`${aerie.base}${path}`);
  await run(page);
  // Swagger UI and ReDoc themselves are others' work and not judged; what we put around them is.
  assert.equal(await page.locator('#docs').count(), 1, path);
  await assertAccessible(page, path, { exclude: ['#docs'] });
  await context.close();
  assert.deepEqual(complaints, []);
}

test('swagger_ui_lists_the_routes_tries_one_out_and_signs_in_with_a_token', () =>
  open('/docs', async (page) => {
    await page.locator('.opblock').first().waitFor();
    assert.equal(await page.locator('.opblock').count(), operations.length);
    /** What came of a route without parameters. */
    const tryOut = async (path) => {
      const block = page.locator('.opblock', { has: page.locator(`[data-path="${path}"]`) }).first();
      await block.locator('.opblock-summary-control').click();
      await block.getByRole('button', { name: 'Try it out' }).click();
      await block.getByRole('button', { name: 'Execute' }).click();
      const row = block.locator('.live-responses-table tbody');
      await row.locator('.response-col_description').first().waitFor();
      assert.match(await row.locator('.response-col_status').first().textContent(), /200/);
      return row.locator('.response-col_description').first().textContent();
    };
    assert.match(await tryOut('/health'), /"status": "healthy"/);
    await page.getByRole('button', { name: 'Authorize' }).first().click();
    await page.locator('.auth-container', { hasText: 'access_token (http, Bearer)' }).locator('input').fill(aerie.admin.token);
    await page.locator('.auth-container', { hasText: 'access_token (http, Bearer)' }).getByRole('button', { name: 'Apply credentials' }).click();
    await page.locator('.btn-done').first().click();
    assert.match(await tryOut('/api/team'), /"slug": "default"/);
  }));

test('redoc_shows_the_routes_and_searches', () =>
  open('/redoc', async (page) => {
    await page.locator('[data-section-id^="tag/"]').first().waitFor();
    const shown = new Set(await page.locator('[data-section-id*="operation/"]').evaluateAll((all) => all.map((one) => one.dataset.sectionId.split('operation/')[1])));
    assert.deepEqual([...shown].sort(), operations.map(({ operationId }) => operationId).sort());
    await page.getByPlaceholder('Search...').fill('regenerate');
    await page.locator('[data-role="search:results"] [role="menuitem"]').first().waitFor();
    assert.match(await page.locator('[data-role="search:results"]').textContent(), /Replace the last reply/);
  }));
