// The plugin in a real WordPress beside a real server: what its owner does in a browser, what a visitor sees, what a stranger may not.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import http from 'node:http';
import { join } from 'node:path';
import { after, afterEach, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Aerie, unique } from '../tools/aerie.mjs';
import { openBrowser } from '../e2e/browser.mjs';
import { installPlugin, OWNER, Site } from './site.mjs';

const root = fileURLToPath(new URL('../../', import.meta.url));
const PAGE = '/wp-admin/options-general.php?page=aerie-chat';
const VERIFY = '/wp-json/eaglechat-plugin/v1/verify';

let aerie, browser, site, owner;
before(async () => {
  [aerie, site, browser] = await Promise.all([Aerie.start({ env: { CALLBACK__RETRY_ATTEMPTS: '1' } }), Site.start(), openBrowser()]);
  owner = await newPage();
  await site.signIn(owner);
  const zip = join(site.folder, 'aerie-chat.zip');
  execFileSync(join(root, 'etc/wordpress/zip'), [zip]);
  await installPlugin(site, owner, zip);
});
after(async () => {
  await browser?.close();
  await site?.stop();
  await aerie?.stop();
});
afterEach(() => {
  for (const state of ['no-rewriting', 'password']) site.set(state, false);
  assert.deepEqual(site.complaints(), []);
});

async function newPage() {
  const page = await (await browser.newContext()).newPage();
  page.setDefaultTimeout(20000);
  return page;
}

/** Leaves the site as it was before anything was connected. */
function forget() {
  site.ask("array( delete_option( 'aerie_chat_key' ), delete_option( 'aerie_chat_site' ), delete_option( 'aerie_chat_settings' ), delete_transient( 'aerie_chat_status' ) )");
}

/** A new address of the same WordPress: a server knows each site once. */
function moveSite() {
  const name = unique('s').toLowerCase();
  site.moveTo(`http://${name}.localhost:${site.port}`);
}

/** Fills the form and presses the button; what the page says then. */
async function register({ server = aerie.base, email = `${unique('owner')}@site.test`, page = owner } = {}) {
  forget();
  await page.goto(site.base + PAGE);
  await page.getByLabel('Address of the server').first().fill(server);
  await page.getByLabel('Your e-mail address').fill(email);
  await page.getByRole('button', { name: 'Register this site' }).click();
  await page.locator('.wrap > .notice').first().waitFor();
  return page.locator('.wrap').innerText();
}

/** One call of the server to the site. */
const call = (token, path = VERIFY) => fetch(site.base + path, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ callback_token: token }) })
  .then(async (answer) => ({ status: answer.status, json: await answer.json().catch(() => null) }));

/** A server that answers a registration as it likes. */
async function standIn(answer) {
  const server = http.createServer(async (req, res) => {
    let body = '';
    for await (const piece of req) body += piece;
    const { status, json, headers } = await answer(req, body ? JSON.parse(body) : null);
    res.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(json));
  });
  await new Promise((listening) => server.listen(0, '127.0.0.1', listening));
  return { base: `http://127.0.0.1:${server.address().port}`, stop: () => (server.close(), server.closeAllConnections()) };
}

const frontPage = async () => (await fetch(`${site.base}/`)).text();
const scriptOf = (html) => /<script[^>]*widget\.js[^>]*>/.exec(html)?.[0] ?? '';

test('a_site_with_pretty_permalinks_registers_through_the_settings_page', async () => {
  const text = await register();
  assert.match(text, /This site is registered/);
  assert.match(text, /Connected: the server accepts this site/);
  const { server, tenant_id: tenant, chatbot_id: chatbot, key_start: start } = site.option('aerie_chat_site');
  const key = site.option('aerie_chat_key');
  assert.equal(server, aerie.base);
  assert.match(key, /^eck_[\w-]{44}$/);
  assert.ok(text.includes(tenant) && text.includes(chatbot) && text.includes(`${start}…`));
  assert.ok(!(await owner.content()).includes(key), 'the key is not shown whole');
  const validated = await aerie.request('POST', '/api/v1/validate', { json: { tenant_id: tenant, api_key: key } });
  assert.equal(validated.status, 200);
  assert.match(site.database.sql("select autoload from wp_options where option_name = 'aerie_chat_key'", 'wordpress'), /^(no|off)$/);
  assert.deepEqual(site.kept().filter((name) => /callback|stranger/.test(name)), [], 'the token is gone');
  await owner.reload();
  assert.doesNotMatch(await owner.locator('.wrap').innerText(), /This site is registered/, 'it is told once');
});
