// Whatever is wrong in a request, on every operation that openapi.json knows: an answer of the contract in bounded time, and never a 5xx.
import assert from 'node:assert/strict';
import http from 'node:http';
import { after, before, describe, test } from 'node:test';
import { Aerie, inParallel, PASSWORD, runCommand } from '../tools/aerie.mjs';
import { badRequests } from '../tools/bad_inputs.mjs';

const document = JSON.parse(runCommand(['openapi']).stdout);
const operations = Object.entries(document.paths).flatMap(([path, methods]) => Object.keys(methods).map((method) => [path, method]));
const missing = '00000000-0000-7000-8000-000000000000';
/** Of one answer, on a busy machine, under a sanitizer. */
const TIMEOUT_MS = 15000;

let aerie;
let agent; // spare: its fields may be changed at will
let known;
let callers; // by the name of a security scheme
const sockets = new http.Agent({ keepAlive: true, maxSockets: 8 });
let n = 0;

before(async () => {
  aerie = await Aerie.start({
    env: {
      EMAIL__URL: 'smtp://127.0.0.1:1', EMAIL__FROM: 'noreply@aerie.test', EMAIL__TRIES: 1, EMAIL__OUTBOX: 1000000, CALLBACK__RETRY_ATTEMPTS: 1, CALLBACK__RETRY_DELAY_SECONDS: 0, CALLBACK__TIMEOUT_SECONDS: 1,
      LIMITS__MAIL_PER_MINUTE: 0, LIMITS__MAIL_PER_ACCOUNT: 0, LIMITS__WRONG_KEYS_PER_MINUTE: 0, LIMITS__VISITOR_MESSAGES_PER_MINUTE: 0, LIMITS__VISITOR_SESSIONS_PER_MINUTE: 0,
      LIMITS__AGENT_MESSAGES_PER_MINUTE: 0, LIMITS__AGENT_SESSIONS_PER_MINUTE: 0, UPSTREAM__CONNECT_SECONDS: 1, TURN__HEARTBEAT_SECONDS: 1,
    },
  });
  const echo = await aerie.admin.agent({ provider: 'echo', allowed_origins: ['*'] });
  agent = await aerie.admin.agent({ provider: 'echo' });
  const chat = await aerie.admin.chat(echo);
  const key = (await aerie.admin.post(`/api/agents/${echo.id}/api-keys`, { scopes: ['chat', 'documents', 'admin:read'] })).json.api_key;
  const visit = (await aerie.request('POST', '/api/chat/widget/session', { json: { chatbot_id: echo.id }, headers: { Origin: 'https://shop.test' } })).json;
  const user = await aerie.user();
  known = { agent_id: echo.id, chatbot_id: echo.id, assistant_id: echo.id, model: echo.id, api_key: key, provider: 'echo', chat: chat.id, user: user.me.id };
  callers = { access_token: aerie.admin.token, api_key: key, visitor_token: visit.visitor_token, spare: user.token };
  known.session_id = visit.session_id;
});
after(async () => {
  sockets.destroy();
  await aerie?.stop();
  console.log(`  ${n} bad requests on ${operations.length} operations`);
});

/** Good values for the places in a path. What is deleted is not there. */
function idsOf(path, method) {
  const id = method === 'delete' ? missing : /chats/.test(path) ? known.chat : /users/.test(path) ? known.user : /agents|chatbots/.test(path) ? agent.id : missing;
  return { id, key_id: missing, name: /assets/.test(path) ? 'site.css' : 'echo' };
}

function tokenOf(path, method) {
  if (path === '/api/auth/logout') return callers.spare;
  const names = (document.paths[path][method].security ?? []).map((one) => Object.keys(one)[0]);
  return callers[['access_token', 'api_key', 'visitor_token'].find((name) => names.includes(name))];
}

/** A chat's session is the caller's own. */
const membersOf = (path) => (/widget/.test(path) ? known : { ...known, session_id: known.chat });

describe('bad_input', () => {
  for (const [path, method] of operations)
    test(`no_bad_input_brings_a_5xx_${method.toUpperCase()}_${path}`, async () => {
      const token = tokenOf(path, method);
      const jobs = [...badRequests(document, path, method, idsOf(path, method), membersOf(path))];
      await inParallel(8, jobs, async ({ what, path: target, body, headers }) => {
        n++;
        const answer = await aerie.request(method.toUpperCase(), target, {
          token: 'Authorization' in headers || 'X-API-Key' in headers ? undefined : token, body, agent: sockets, timeout: TIMEOUT_MS, headers: { Accept: 'application/json', ...headers },
        });
        const shown = `${what}: ${answer.status} ${answer.text.slice(0, 200)}`;
        assert.ok(answer.status < 500, shown);
        if (answer.status >= 400 && answer.text) assert.ok(typeof (answer.json.detail ?? answer.json.error?.message) === 'string', shown);
        if (answer.status === 422 && !/avatar|documents/.test(path) && !/Idempotency-Key/.test(answer.json.detail)) assert.ok(Array.isArray(answer.json.errors), shown);
        if (answer.status >= 400) assert.ok(!/sqlite|postgres|syntax error at|src\/|\.c:/i.test(answer.text), shown);
      });
    });
});

test('the_server_is_as_well_as_before', async () => {
  assert.equal((await aerie.request('GET', '/health')).status, 200);
  assert.equal((await aerie.request('POST', '/api/auth/login', { json: { email: aerie.adminEmail, password: PASSWORD } })).status, 200);
  const said = await aerie.admin.post(`/api/chats/${known.chat}/messages`, { content: 'still here' }, { headers: { Accept: 'application/json' } });
  assert.deepEqual([said.status, said.json.content], [200, 'Echo: still here']);
});
