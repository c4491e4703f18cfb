// openapi.json: told by the server and by the command line alike, and right in the eyes of a linter.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Aerie, runCommand } from '../tools/aerie.mjs';

const redocly = fileURLToPath(new URL('../node_modules/.bin/redocly', import.meta.url));

let aerie;
let document;
before(async () => {
  aerie = await Aerie.start();
  document = (await aerie.request('GET', '/openapi.json')).json;
});
after(() => aerie.stop());

const operations = () => Object.entries(document.paths).flatMap(([path, item]) =>
  Object.entries(item).map(([method, operation]) => ({ name: `${method.toUpperCase()} ${path}`, path, ...operation })));

test('the_server_and_the_command_line_tell_the_same', () => {
  const printed = runCommand(['openapi'], { env: { SERVER__PORT: '8000' } });
  assert.equal(printed.status, 0, printed.stderr);
  assert.deepEqual(document, { ...JSON.parse(printed.stdout), servers: [{ url: '/' }] });
  assert.deepEqual(JSON.parse(printed.stdout).servers, [{ url: 'http://127.0.0.1:8000' }]);
  assert.equal(runCommand(['openapi'], { env: { SERVER__PORT: '8000' } }).stdout, printed.stdout);
});

test('who_has_it_already_is_not_sent_it_again', async () => {
  const first = await aerie.request('GET', '/openapi.json');
  assert.match(first.headers.etag, /^"[0-9a-f]{32}"$/);
  const again = await aerie.request('GET', '/openapi.json', { headers: { 'if-none-match': `W/${first.headers.etag}` } });
  assert.deepEqual([again.status, again.text, again.headers.etag], [304, '', first.headers.etag]);
  const other = await aerie.request('GET', '/openapi.json', { headers: { 'if-none-match': '"other"' } });
  assert.deepEqual([other.status, other.text.length], [200, first.text.length]);
});

test('its_title_is_the_operators', () => {
  const printed = runCommand(['openapi'], { env: { API__TITLE: 'Caf\u00e9 "Chat"' } });
  assert.equal(JSON.parse(printed.stdout).info.title, 'Caf\u00e9 "Chat"');
});

test('a_linter_finds_nothing_to_say', () => {
  const folder = mkdtempSync(join(tmpdir(), 'aerie-openapi-'));
  try {
    writeFileSync(join(folder, 'openapi.json'), JSON.stringify(document));
    const ran = spawnSync(process.execPath, [redocly, 'lint', '--extends=recommended', '--format=json', join(folder, 'openapi.json')], {
      encoding: 'utf8', cwd: folder, env: { PATH: process.env.PATH, HOME: folder, REDOCLY_TELEMETRY: 'off', REDOCLY_SUPPRESS_UPDATE_NOTICE: 'true' },
    });
    const { totals, problems } = JSON.parse(ran.stdout.slice(ran.stdout.indexOf('{')));
    assert.deepEqual(problems.map(({ ruleId, message, location }) => `${ruleId}: ${message} ${location?.[0]?.pointer}`), []);
    assert.deepEqual(totals, { errors: 0, warnings: 0, ignored: 0 });
    assert.equal(ran.status, 0, ran.stderr);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});

test('operations_have_names_of_their_own', () => {
  const ids = operations().map((operation) => operation.operationId);
  assert.ok(ids.length >= 55, `${ids.length} operations`);
  assert.equal(new Set(ids).size, ids.length);
});

test('what_needs_a_caller_says_so', () => {
  const security = (name) => operations().find((operation) => operation.name === name).security.flatMap((scheme) => Object.keys(scheme));
  assert.deepEqual(security('GET /health'), []);
  assert.deepEqual(security('GET /api/chats'), ['access_token', 'access_token_cookie']);
  assert.deepEqual(security('POST /v1/chat/completions'), ['api_key', 'api_key_header']);
  assert.deepEqual(security('GET /api/v1/documents'), ['api_key', 'api_key_header', 'access_token', 'access_token_cookie']);
});

test('bodies_are_told_by_the_tables_that_read_them', () => {
  const body = document.paths['/api/auth/register'].post.requestBody;
  assert.equal(body.required, true);
  const { schema } = body.content['application/json'];
  assert.deepEqual(schema.required, ['email', 'password']);
  assert.deepEqual(schema.properties.password, { type: 'string', format: 'password', minLength: 8, maxLength: 128 });
  assert.deepEqual(schema.properties.team_id, { type: ['string', 'null'], format: 'uuid' });
  const form = document.paths['/api/auth/login'].post.requestBody.content['application/x-www-form-urlencoded'].schema;
  assert.deepEqual(form.required, ['username', 'password']);
});
