// Every route of the table is in the API's docs, and some test calls it.
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { routes } from './routes.mjs';

const root = fileURLToPath(new URL('../../', import.meta.url));
const suite = join(root, 'test/api');

/** Paths as the tests write them: `/api/chats/${chat.id}/stop` becomes /api/chats/{}/stop. */
function callsOfTheSuite() {
  const calls = new Set();
  for (const name of [...readdirSync(suite).map((n) => join(suite, n)), join(root, 'test/tools/aerie.mjs')]) {
    const text = readFileSync(name, 'utf8')
      .replaceAll('${base}', '/users')
      .replaceAll('${suffix}', '')
      .replaceAll('${query}', '');
    for (const [path] of text.matchAll(/(?<=["'`(\s])\/(?:[\w.{}-]|\$\{[^}]*\}|\/)*/g)) calls.add(path.replace(/\$\{[^}]*\}/g, '{}').replace(/\/$/, '') || '/');
  }
  return calls;
}

test('the_table_of_routes_is_read', () => {
  assert.ok(routes().length >= 40, `${routes().length} routes`);
});

test('every_route_is_in_the_docs', () => {
  const docs = readFileSync(join(root, 'docs/http-api.md'), 'utf8');
  const undocumented = routes().filter(({ method, path }) => !docs.includes(`${method} ${path}`) && !(docs.includes(path) && docs.includes(method)));
  assert.deepEqual(undocumented, []);
});

test('every_route_has_a_test', () => {
  const calls = [...callsOfTheSuite()];
  const untested = routes().filter(({ path }) => {
    const wanted = new RegExp(`^${path.replace(/[.]/g, '\\.').replace(/\{[^}]*\}/g, '[^/]+')}$`);
    return !calls.some((call) => wanted.test(call));
  });
  assert.deepEqual(untested, []);
});
