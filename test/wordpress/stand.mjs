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

/** {aerie, browser, site, owner: the owner's page} once it is started, and what one does with them. */
export class Stand {
  async start({ title } = {}) {
    [this.aerie, this.site, this.browser] = await Promise.all([Aerie.start({ env: { CALLBACK__RETRY_ATTEMPTS: '1' } }), Site.start({ title }), openBrowser()]);
    this.owner = await this.newPage();
    await this.site.signIn(this.owner);
    const zip = join(this.site.folder, 'aerie-chat.zip');
    execFileSync(join(root, 'etc/wordpress/zip'), [zip]);
    await installPlugin(this.site, this.owner, zip);
  }

  async stop() {
    await this.browser?.close();
    await this.site?.stop();
    await this.aerie?.stop();
  }

  async newPage() {
    const page = await (await this.browser.newContext()).newPage();
    page.setDefaultTimeout(20000);
    return page;
  }

  /** What the plugin keeps under that name. */
  get(name) {
    return this.site.option(`aerie_chat_${name}`);
  }

  async settingsPage() {
    await this.owner.goto(this.site.base + PAGE);
    return this.owner.locator('.wrap').innerText();
  }

  /** Fills the form and presses the button, where nothing is kept; what the page says then. */
  async register({ server = this.aerie.base, email = `${unique('owner')}@site.test` } = {}) {
    const { owner } = this;
    this.site.forget();
    await this.settingsPage();
    await owner.getByLabel('Address of the server').first().fill(server);
    await owner.getByLabel('Your e-mail address').fill(email);
    await owner.getByRole('button', { name: 'Register this site' }).click();
    await owner.locator('.wrap > .notice').first().waitFor();
    const text = await owner.locator('.wrap').innerText();
    if (server === this.aerie.base && /This site is registered/.test(text)) this.connection = { site: this.get('site'), key: this.get('key') };
    return text;
  }

  /** The site as its registration left it, with these choices and no others. */
  async connect(settings = {}) {
    if (!this.connection) assert.match(await this.register(), /This site is registered/);
    this.site.forget();
    this.site.keep('aerie_chat_site', serialize(this.connection.site));
    this.site.keep('aerie_chat_key', this.connection.key, 'no');
    this.site.keep('aerie_chat_settings', serialize({ enabled: true, ...settings }));
  }
}

/** One for the tests of a file. */
export function makeStand() {
  const stand = new Stand();
  before(() => stand.start());
  after(() => stand.stop());
  afterEach(() => {
    for (const state of ['no-rewriting', 'password']) stand.site.set(state, false);
    assert.deepEqual(stand.site.complaints(), [], 'PHP has nothing to say of the plugin');
  });
  return stand;
}
