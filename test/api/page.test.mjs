// The page at / and its files, as a browser fetches them. What it does is test/e2e's.
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { gunzipSync } from 'node:zlib';
import { Aerie } from '../tools/aerie.mjs';

const BROWSER = { Accept: 'text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8' };

let aerie;
before(async () => (aerie = await Aerie.start()));
after(() => aerie?.stop());

test('the_page_says_that_its_address_gives_others_something_else', async () => {
  const page = await aerie.request('GET', '/', { headers: BROWSER });
  assert.equal(page.headers.vary, 'Accept, Accept-Encoding');
  assert.match(page.headers['content-type'], /^text\/html/);
});

test('the_page_may_load_nothing_from_elsewhere_and_may_not_be_framed', async () => {
  for (const path of ['/', '/assets/home.js']) {
    const policy = (await aerie.request('GET', path, { headers: BROWSER })).headers['content-security-policy'];
    for (const rule of ["default-src 'none'", "script-src 'self'", "style-src 'self'", "connect-src 'self'", "base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'"])
      assert.ok(policy.split(/;\s*/).includes(rule), `${path}: ${rule}`);
  }
});

test('the_pages_write_text_nodes_only_and_have_no_inline_script_or_style', () => {
  const folder = new URL('../../src/web/home/', import.meta.url);
  for (const name of readdirSync(folder)) {
    const text = readFileSync(new URL(name, folder), 'utf8');
    if (name.endsWith('.js')) assert.doesNotMatch(text, /innerHTML|outerHTML|insertAdjacentHTML|createContextualFragment|document\.write|DOMParser|srcdoc|setHTML|\beval\(|new Function|javascript:|cssText|setAttribute\(\s*['"`](on|style|href|src)/, name);
    if (name.endsWith('.html')) assert.doesNotMatch(text, /<script(?![^>]*\bsrc=)|<style|\sstyle=|\son\w+=|javascript:|https?:\/\//, name);
    if (name.endsWith('.svg')) assert.doesNotMatch(text, /<script|\son\w+=|href=/, name);
  }
});

test('a_file_is_sent_again_only_when_it_has_changed', async () => {
  for (const [path, headers] of [['/', BROWSER], ['/assets/home.css', {}]]) {
    const first = await aerie.request('GET', path, { headers });
    const again = await aerie.request('GET', path, { headers: { ...headers, 'If-None-Match': first.headers.etag } });
    const other = await aerie.request('GET', path, { headers: { ...headers, 'If-None-Match': '"another"' } });
    assert.equal(first.headers['cache-control'], 'no-cache');
    assert.deepEqual([again.status, again.text, again.headers.etag], [304, '', first.headers.etag]);
    assert.deepEqual([other.status, other.text], [200, first.text]);
  }
});

test('files_have_their_types_and_others_are_not_there', async () => {
  for (const [name, type] of [['home.js', 'text/javascript'], ['client.js', 'text/javascript'], ['home.css', 'text/css'], ['icon.svg', 'image/svg+xml']]) {
    const file = await aerie.request('GET', `/assets/${name}`);
    assert.equal(file.status, 200, name);
    assert.ok(file.headers['content-type'].startsWith(type), name);
  }
  for (const name of ['nope.js', '..%2Fhome.js', 'home.js/', 'HOME.JS', '%00'])
    assert.ok([400, 404].includes((await aerie.request('GET', `/assets/${name}`)).status), name);
});

test('what_is_large_travels_compressed_for_those_who_take_it', async () => {
  const plain = await aerie.request('GET', '/assets/home.js', { headers: { 'Accept-Encoding': 'identity' } });
  const packed = await aerie.request('GET', '/assets/home.js', { headers: { 'Accept-Encoding': 'br, gzip' } });
  assert.equal(plain.headers['content-encoding'], undefined);
  assert.equal(packed.headers['content-encoding'], 'gzip');
  for (const file of [plain, packed]) assert.equal(file.headers.vary, 'Accept-Encoding');
  assert.equal(gunzipSync(packed.bytes).toString(), plain.text);
  assert.equal(packed.headers.etag, plain.headers.etag);
});

test('the_widget_is_for_pages_of_any_origin_and_small', async () => {
  for (const path of ['/widget.js', '/widget.mjs']) {
    const file = await aerie.request('GET', path, { headers: { 'Accept-Encoding': 'gzip', Origin: 'https://shop.example' } });
    assert.equal(file.status, 200, `${path}: built without what npm brings: run etc/setup, then meson setup --reconfigure`);
    assert.match(file.headers['content-type'], /^text\/javascript/);
    assert.equal(file.headers['access-control-allow-origin'], 'https://shop.example');
    assert.equal(file.headers['access-control-allow-credentials'], undefined);
    assert.equal(file.headers['cross-origin-resource-policy'], 'cross-origin');
    assert.ok(file.bytes.length <= 20000, `${path}: ${file.bytes.length} bytes`);
  }
});

test('pages_that_embed_the_widget_do_not_wait_for_it_and_have_a_new_one_soon', async () => {
  for (const path of ['/widget.js', '/widget.mjs']) {
    const file = await aerie.request('GET', path);
    assert.equal(file.headers['cache-control'], 'public, max-age=600, stale-while-revalidate=86400');
    const again = await aerie.request('GET', path, { headers: { 'If-None-Match': file.headers.etag } });
    assert.deepEqual([again.status, again.text, again.headers['cache-control']], [304, '', file.headers['cache-control']]);
  }
});

test('the_console_is_a_page_of_the_server_alone', async () => {
  const page = await aerie.request('GET', '/console', { headers: BROWSER });
  assert.equal(page.status, 200);
  assert.ok(page.text.includes('"/assets/console.js"'), 'built without what npm brings: run etc/setup, then meson setup --reconfigure');
  assert.doesNotMatch(page.text, /(src|href)="(https?:)?\/\//, 'nothing from elsewhere');
  assert.match(page.headers['content-security-policy'], /default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; /);
});

test('the_api_is_shown_by_swagger_ui_and_redoc_from_here_alone', async () => {
  for (const [path, bundle] of [['/docs', 'swagger-ui-bundle.js'], ['/redoc', 'redoc.standalone.js']]) {
    const page = await aerie.request('GET', path, { headers: BROWSER });
    assert.equal(page.status, 200);
    assert.ok(page.text.includes(`"/assets/${bundle}"`), `${path}: built without what npm brings: run etc/setup, then meson setup --reconfigure`);
    assert.doesNotMatch(page.text, /(src|href)="(https?:)?\/\//, 'nothing from elsewhere');
    assert.doesNotMatch(page.text, /<script(?![^>]*\bsrc=)[^>]*>\s*\S/, 'no inline script');
    const policy = page.headers['content-security-policy'];
    assert.match(policy, /default-src 'none'; script-src 'self'; connect-src 'self';/);
    assert.doesNotMatch(policy, /unsafe/);
    const file = await aerie.request('GET', `/assets/${bundle}`, { headers: { 'Accept-Encoding': 'gzip' } });
    assert.equal(file.headers['content-encoding'], 'gzip');
    assert.ok(gunzipSync(file.bytes).length > 500000);
    const again = await aerie.request('GET', `/assets/${bundle}`, { headers: { 'If-None-Match': file.headers.etag } });
    assert.deepEqual([again.status, again.text], [304, '']);
  }
});

test('the_page_learns_before_a_sign_in_with_whom_a_visitor_chats_and_whether_he_may', async () => {
  const read = async () => (await aerie.request('GET', '/api/welcome')).json;
  const settings = async (given) => assert.equal((await aerie.admin.put('/api/team', { settings: given })).status, 200);
  const [first] = (await aerie.admin.get('/api/agents')).json;
  const named = { id: first.id, name: first.name, description: first.description };
  assert.deepEqual(await read(), { demo: true, agent: named });
  const shop = await aerie.admin.agent({ name: 'Shop', description: null, provider: 'echo' });
  assert.deepEqual((await read()).agent, named, 'the oldest one');
  await aerie.otherTeam();
  assert.deepEqual((await read()).agent, named, 'of the default team');
  try {
    await settings({ default_agent_id: shop.id.toUpperCase() });
    assert.deepEqual(await read(), { demo: true, agent: { id: shop.id, name: 'Shop', description: null } });
    await aerie.admin.put(`/api/agents/${shop.id}`, { is_active: false });
    assert.deepEqual((await read()).agent, named, 'one that is switched off is not offered');
    await aerie.admin.put(`/api/agents/${first.id}`, { is_active: false });
    assert.deepEqual(await read(), { demo: true, agent: null });
    await aerie.admin.put(`/api/agents/${first.id}`, { is_active: true });
    await settings({ open_registration: false });
    assert.deepEqual(await read(), { demo: false, agent: null }, 'names of agents are for those who may come in');
    await settings({ open_registration: true, require_verified_email: true });
    assert.deepEqual(await read(), { demo: false, agent: null });
  } finally {
    await settings({ open_registration: true, require_verified_email: false });
  }
});
