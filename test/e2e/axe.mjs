// What axe-core finds wrong on a page, shadow roots that are open included.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const source = readFileSync(fileURLToPath(import.meta.resolve('axe-core/axe.min.js')), 'utf8');
const GRAVE = ['serious', 'critical'];

/** Fails at a serious or critical finding. where: told with it. exclude: selectors of parts that are not ours to judge. */
export async function assertAccessible(page, where, { exclude = [] } = {}) {
  await page.evaluate(source); // not as an element: a page's policy lets no script in
  const { violations, passes } = await page.evaluate(
    (without) => window.axe.run({ exclude: without.map((selector) => [selector]) }, { resultTypes: ['violations'] }), exclude);
  const grave = violations.filter(({ impact }) => GRAVE.includes(impact))
    .flatMap(({ id, impact, help, nodes }) => nodes.map(({ target, failureSummary }) => `${impact} ${id}: ${help}: ${target.flat().join(' ')}\n${failureSummary}`));
  assert.deepEqual(grave, [], where);
  assert.ok(passes.length > 0, `${where}: nothing was looked at`);
}

const LOOKS = [
  ['light', 'light', { width: 1280, height: 800 }], ['dark', 'dark', { width: 1280, height: 800 }],
  ['light, on a phone', 'light', { width: 320, height: 640 }], ['dark, on a phone', 'dark', { width: 320, height: 640 }],
];

/** Nothing serious for axe, and no sideways scrolling. */
export async function assertFit(page, where) {
  await assertAccessible(page, where);
  const tooWide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
  assert.ok(tooWide <= 0, `${where} is ${tooWide} px too wide`);
}

/** The same, light and dark, on a desk and on a phone. */
export async function assertFitInEachLook(page, where) {
  const before = page.viewportSize();
  for (const [look, colorScheme, viewport] of LOOKS) {
    await page.emulateMedia({ colorScheme });
    await page.setViewportSize(viewport);
    await assertFit(page, `${where}, ${look}`);
  }
  await page.emulateMedia({ colorScheme: null });
  await page.setViewportSize(before);
}
