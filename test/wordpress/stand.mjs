// A WordPress with the plugin, an Aerie and a browser in which the owner is signed in, for the tests of one file.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { after, afterEach, before } from 'node:test';
import { fileURLToPath } from 'node:url';
import { openBrowser } from '../e2e/browser.mjs';
import { Aerie, unique } from '../tools/aerie.mjs';
import { installPlugin, Site } from './site.mjs';

export const root = fileURLToPath(new URL('../../', import.meta.url));
export const PAGE = '/wp-admin/options-general.php?page=aerie-chat';

/** A value as PHP's serialize() writes it. */
function serialize(value) {
  if (typeof value === 'boolean') return `b:${Number(value)};`;
  if (typeof value === 'string') return `s:${Buffer.byteLength(value)}:"${value}";`;
  const entries = Object.entries(value);
  return `a:${entries.length}:{${entries.map(([name, of]) => (Array.isArray(value) ? `i:${name};` : serialize(name)) + serialize(of)).join('')}}`;
}

/** {aerie, browser, site, owner: the owner's page} once the tests begin, and what tests do with them. */
export function makeStand() {
  const stand = {
    async newPage() {
      const page = await (await stand.browser.newContext()).newPage();
      page.setDefaultTimeout(20000);
      return page;
    },

    /** What the plugin keeps under that name. */
    get: (name) => stand.site.option(`aerie_chat_${name}`),

    async settingsPage() {
      await stand.owner.goto(stand.site.base + PAGE);
      return stand.owner.locator('.wrap').innerText();
    },

    /** Fills the form and presses the button, where nothing is kept; what the page says then. */
    async register({ server = stand.aerie.base, email = `${unique('owner')}@site.test` } = {}) {
      const { owner } = stand;
      stand.site.forget();
      await stand.settingsPage();
      await owner.getByLabel('Address of the server').first().fill(server);
      await owner.getByLabel('Your e-mail address').fill(email);
      await owner.getByRole('button', { name: 'Register this site' }).click();
      await owner.locator('.wrap > .notice').first().waitFor();
      return owner.locator('.wrap').innerText();
    },

    /** The site as its registration left it, with these choices and no others. */
    async connect(settings = {}) {
      if (!stand.connection) {
        assert.match(await stand.register(), /This site is registered/);
        stand.connection = { site: stand.get('site'), key: stand.get('key') };
      }
      stand.site.forget();
      stand.site.keep('aerie_chat_site', serialize(stand.connection.site));
      stand.site.keep('aerie_chat_key', stand.connection.key, 'no');
      stand.site.keep('aerie_chat_settings', serialize({ enabled: true, ...settings }));
    },
  };

  before(async () => {
    [stand.aerie, stand.site, stand.browser] = await Promise.all([Aerie.start({ env: { CALLBACK__RETRY_ATTEMPTS: '1' } }), Site.start(), openBrowser()]);
    stand.owner = await stand.newPage();
    await stand.site.signIn(stand.owner);
    const zip = join(stand.site.folder, 'aerie-chat.zip');
    execFileSync(join(root, 'etc/wordpress/zip'), [zip]);
    await installPlugin(stand.site, stand.owner, zip);
  });
  after(async () => {
    await stand.browser?.close();
    await stand.site?.stop();
    await stand.aerie?.stop();
  });
  afterEach(() => {
    for (const state of ['no-rewriting', 'password']) stand.site.set(state, false);
    assert.deepEqual(stand.site.complaints(), [], 'PHP has nothing to say of the plugin');
  });
  return stand;
}
