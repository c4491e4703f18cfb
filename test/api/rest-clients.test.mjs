// docs/api.http and the Postman collection: as openapi.json has it, and the collection runs against a real server.
// AERIE_REWRITE=1 writes them anew.
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Aerie, PASSWORD, runCommand } from '../tools/aerie.mjs';
import { httpFile, postmanCollection, postmanEnvironment } from '../tools/clients.mjs';

const docs = fileURLToPath(new URL('../../docs/', import.meta.url));
const document = JSON.parse(runCommand(['openapi'], { env: { SERVER__PORT: '8000' } }).stdout);
const json = (value) => `${JSON.stringify(value, null, 2)}\n`;
const FILES = {
  'api.http': httpFile(document),
  'postman/aerie.postman_collection.json': json(postmanCollection(document)),
  'postman/aerie.postman_environment.json': json(postmanEnvironment(document)),
};

test('the_files_for_clients_are_up_to_date', () => {
  for (const [name, text] of Object.entries(FILES)) {
    if (process.env.AERIE_REWRITE) writeFileSync(join(docs, name), text);
    assert.ok(readFileSync(join(docs, name), 'utf8') === text, `docs/${name} is not what openapi.json makes: AERIE_REWRITE=1 writes it anew`);
  }
});

/** What the examples would call out there is not called. */
const ENV = { CALLBACK__RETRY_ATTEMPTS: '1', AI_SERVICES__OPENAI_BASE_URL: 'http://127.0.0.1:1/v1' };
const CALLS = Object.values(document.paths).flatMap((item) => Object.values(item)).filter(({ responses }) => !responses['101']).length;

/** What cannot go well on a server that has just been set up. */
const REFUSED = [
  'POST /api/auth/password/forgot 503', 'POST /api/auth/password/reset 503', 'POST /api/auth/verify-email 503', 'POST /api/auth/verify-email/resend 503', // no mail is configured
  'GET /api/providers/openai/models 502', // there is no key for it
  'POST /api/v1/register 400', // no such site confirms it
  'POST /api/webhooks/', // the call of a test is no delivery that was given up
  'DELETE /api/users/', 'DELETE /users/', // it was erased already
  'POST /api/auth/me/erase 422', // the password is one's own
];

/** {name, method, path, headers, body} of each call, as the REST Client of VS Code reads them; variables: those of the file. */
function readHttpFile(text) {
  const variables = Object.fromEntries([...text.matchAll(/^@(\w+) = (.*)$/gm)].map(([, name, value]) => [name, value]));
  const calls = text.split(/^###.*$/m).slice(1).map((block) => {
    const [head, ...rest] = block.replace(/^# ---- .*$/gm, '').trim().split(/\n\n/);
    const lines = head.split('\n');
    const [method, path] = lines.find((line) => /^[A-Z]+ /.test(line)).split(' ');
    const headers = Object.fromEntries(lines.filter((line) => /^[\w-]+: /.test(line)).map((line) => line.split(': ')));
    return { name: /# @name (\w+)/.exec(head)[1], method, path: path.replace('{{baseUrl}}', ''), headers, body: rest.join('\n\n') || undefined };
  });
  return { calls, variables };
}

test('api_http_runs_from_top_to_bottom', async () => {
  const aerie = await Aerie.start({ env: ENV });
  try {
    const { calls, variables } = readHttpFile(FILES['api.http']);
    Object.assign(variables, { email: aerie.adminEmail, password: PASSWORD });
    const answers = {};
    const fill = (text) => text?.replace(/\{\{(?:(\w+)\.response\.body\.(\w+)|(\w+))\}\}/g, (whole, name, member, variable) => {
      const value = variable ? variables[variable] : answers[name]?.[member];
      assert.equal(typeof value, 'string', `${whole} is not known yet`);
      return value;
    });
    const failures = [];
    let cookie;
    for (const { name, method, path, headers, body } of calls) {
      const eol = /^multipart/.test(headers['Content-Type']) ? '\r\n' : '\n';
      const parts = fill(body)?.split(/^< (.*)$/m).map((part, i) => (i % 2 ? readFileSync(join(docs, part)) : Buffer.from(part.replaceAll('\n', eol))));
      const answer = await aerie.request(method, fill(path), {
        headers: Object.fromEntries(Object.entries(headers).map(([key, value]) => [key, fill(value)])),
        cookie: path.includes('/refresh') ? cookie : undefined, // such clients keep cookies; the others name their token
        body: parts && Buffer.concat(parts),
      });
      answers[name] = answer.json;
      if (name === 'login') cookie = answer.headers['set-cookie'].map((one) => one.split(';')[0]).join('; ');
      if (answer.status >= 400) failures.push(`${method} ${path.replace(/\{\{.*/, '')} ${answer.status}`.replace(/(DELETE \/api\/users\/|DELETE \/users\/|POST \/api\/webhooks\/).*/, '$1'));
    }
    assert.deepEqual(failures.sort(), [...REFUSED].sort());
    assert.equal(calls.length, CALLS);
  } finally {
    await aerie.stop();
  }
});

test('the_postman_collection_runs_from_top_to_bottom', { skip: process.env.AERIE_TEST_DB && process.env.AERIE_TEST_DB !== 'sqlite' && 'as on SQLite' }, async () => {
  const newman = createRequire(import.meta.url)('newman');
  const aerie = await Aerie.start({ env: ENV });
  try {
    const environment = postmanEnvironment(document);
    for (const [key, value] of Object.entries({ base_url: aerie.base, email: aerie.adminEmail, password: PASSWORD })) environment.values.find((one) => one.key === key).value = value;
    const summary = await new Promise((resolve, reject) => {
      newman.run({ collection: postmanCollection(document), environment, workingDir: join(docs, 'postman'), reporters: [], timeoutRequest: 20000 }, (error, result) => (error ? reject(error) : resolve(result)));
    });
    const failures = summary.run.executions
      .filter(({ assertions, requestError }) => requestError || !assertions || assertions.some(({ error }) => error))
      .map(({ item, response, request }) => `${request.method} /${request.url.path.join('/')} ${response?.code} ${item.name}: ${response?.stream}`.slice(0, 200));
    assert.deepEqual(failures.filter((failure) => !REFUSED.some((refused) => failure.startsWith(refused))), []);
    assert.equal(failures.length, REFUSED.length, failures.join('\n'));
    assert.equal(summary.run.stats.requests.total, CALLS);
  } finally {
    await aerie.stop();
  }
});
