// What someone tries who means ill and has an account, or none.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import net from 'node:net';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Aerie, inParallel, PASSWORD, runCommand, unique } from '../tools/aerie.mjs';
import { multipart, raw } from '../tools/http.mjs';
import { parseMetrics } from '../tools/metrics.mjs';
import { routes } from '../tools/routes.mjs';
import { requestOf, twoWorlds } from '../tools/worlds.mjs';

let aerie;
let mine;
let others;
before(async () => {
  aerie = await Aerie.start({ env: { LIMITS__VISITOR_SESSIONS_PER_MINUTE: '0' } });
  ({ mine, others } = await twoWorlds(aerie));
});
after(() => aerie?.stop());

const TABLES = ['teams', 'users', 'agents', 'chats', 'messages', 'api_keys', 'provider_keys', 'documents'];
/** Every row of a team, as text. */
/** Of a message not whether the index of words has it by now, on PostgreSQL. */
const columnsOf = (table) => (table === 'messages' ? 'id, team_id, chat_id, role, content, status, metadata, created_at' : '*');
const rowsOf = (team) => TABLES.map((table) => aerie.database.query(`select ${columnsOf(table)} from ${table} where ${table === 'teams' ? 'id' : 'team_id'} = '${team}' order by 1`));

test('members_that_a_body_does_not_have_bind_nowhere', async () => {
  const victim = others.admin.me;
  const forged = {
    id: victim.id, team_id: others.team.id, tenant_id: others.team.id, owner_id: victim.id, created_by: victim.id, role: 'admin', is_admin: true,
    password_hash: '$2b$04$......................', email_verified: true, email_verified_at: '2020-01-01T00:00:00Z', created_at: '2000-01-01T00:00:00Z', key_hash: '0', prefix: 'eck_', is_superuser: true,
    __proto__x: 1, 'constructor.prototype': {}, visitor_hash: '0', status: 'complete', usage: { total_tokens: -1000000 },
  };
  // Where a member is the body's own, and anyone's right or an admin's.
  const mayBe = { role: /^(\/api)?\/users\/\{id\}$/, team_id: /^\/api\/auth\/(register|login|password|verify-email)/, id: /^\/v1\// };
  const one = await aerie.user();
  const before = rowsOf(others.team.id);
  const self = () => aerie.database.query(`select id, team_id, email, role, is_active, password_hash, email_verified_at, created_at from users where id = '${one.me.id}'`);
  const was = self();
  const description = JSON.parse(runCommand(['openapi']).stdout);
  let n = 0;
  for (const [path, operations] of Object.entries(description.paths))
    for (const [verb, operation] of Object.entries(operations)) {
      // A site that registers is called back first: it waits for a name that nobody has. sites.test.mjs has its fields.
      if (!operation.requestBody?.content['application/json'] || path === '/api/v1/register') continue;
      const ask = async (token) => {
        const [method, url, { json }] = requestOf({ method: verb.toUpperCase(), path, place: 'none', operation }, '', mine);
        const sent = { ...Object.fromEntries(Object.entries(forged).filter(([name]) => !mayBe[name]?.test(path))), ...json };
        n++;
        return aerie.request(method, url, { json: sent, token }).catch((error) => {
          // The contract of the tests has nothing to say about members that no description has.
          if (!/against openapi.json/.test(error.message)) throw error;
        });
      };
      await ask(one.token);
      if (!/^\/api\/auth|\/team$/.test(path)) await ask(aerie.admin.token);
    }
  assert.equal(self(), was);
  assert.deepEqual(rowsOf(others.team.id), before, "another team's rows");
  assert.equal(aerie.database.query("select count(*) from users where role = 'admin' and email like 'new%'"), '0');
  assert.equal((await one.get('/api/users')).status, 403);
  console.log(`    ${n} bodies`);
});

test('what_waits_for_slow_readers_is_bounded_in_all_and_who_reads_gets_his_answer', async () => {
  const MIB = 1024 * 1024;
  const server = await Aerie.start({ env: { SERVER__WORKERS: '1', LIMITS__OUTPUT_TOTAL_BYTES: 8 * MIB, METRICS__ALLOW: '127.0.0.1' } });
  const sockets = [];
  try {
    const picture = (bytes) => multipart('file', 'me.png', 'image/png', Buffer.concat([Buffer.from('89504e470d0a1a0a', 'hex'), Buffer.alloc(bytes)]));
    const [greedy, modest] = [await server.user(), await server.user()];
    for (const [one, bytes] of [[greedy, 2 * MIB - 8], [modest, MIB / 4]]) assert.equal((await server.request('POST', '/api/auth/me/avatar', { token: one.token, ...picture(bytes) })).status, 200);
    /** Asks for a large answer and does not take it; told when it is cut. */
    const stopReading = async (one) => {
      const socket = net.connect(server.port, '127.0.0.1').on('error', () => (socket.isCut = true)).on('close', () => (socket.isCut = true));
      socket.pause();
      sockets.push(socket);
      socket.write(`GET /api/auth/me HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${one.token}\r\n\r\n`);
      await sleep(100);
      return socket;
    };
    const waiting = async () => Number(parseMetrics((await server.request('GET', '/metrics')).text).get('aerie_output_bytes'));
    const small = await stopReading(modest);
    for (let i = 0; i < 12; i++) await stopReading(greedy);
    const held = await waiting();
    assert.ok(held > 4 * MIB && held <= 8 * MIB + sockets.length * 65536, `${held} bytes wait`);
    for (let i = 0; i < 4; i++) assert.equal((await greedy.get('/api/auth/me')).json.email, greedy.me.email, 'who reads is not cut');
    assert.ok(await waiting() <= 8 * MIB + sockets.length * 65536);
    small.resume();
    await once(small, 'data');
    assert.match(server.log, /cut, as too much waits/);
    for (const socket of sockets) socket.destroy();
    await server.stop();
  } finally {
    for (const socket of sockets) socket.destroy();
    server.drop();
  }
});

test('names_of_files_are_no_paths_and_no_header_lines', async () => {
  for (const name of ['../../etc/passwd', '..\\..\\boot.ini', '/etc/passwd', 'a\\"b.txt', '<img src=x onerror=alert(1)>.txt', 'x.txt\u202egnp', 'C:\\x.txt']) {
    const form = multipart('file', name, 'text/plain', unique('some words '));
    const answer = await aerie.request('POST', '/api/v1/documents', { token: aerie.admin.token, ...form });
    assert.equal(answer.status, 201, `${name}: ${answer.text}`);
    assert.doesNotMatch(answer.json.title, /[\u0000-\u001f/]/, name);
    assert.ok(!JSON.stringify(answer.headers).includes('passwd'));
  }
  for (const name of ['x\r\nSet-Cookie: a=b', 'x\u0000.txt']) {
    const answer = await aerie.request('POST', '/api/v1/documents', { token: aerie.admin.token, ...multipart('file', name, 'text/plain', unique('some words ')) });
    assert.ok(answer.status < 500);
    assert.equal(answer.headers['set-cookie'], undefined);
  }
});

test('no_route_redirects_and_none_believes_the_host', async () => {
  await inParallel(4, routes().filter(({ path }) => !path.includes('{')), async ({ method, path }) => {
    for (const target of [path, `/${path}`, `${path}?next=https://evil.example&redirect=//evil.example`]) {
      const { answers } = await raw(aerie.port, `${method} ${target} HTTP/1.1\r\nHost: evil.example\r\nX-Forwarded-Host: evil.example\r\nContent-Length: 0\r\nConnection: close\r\n\r\n`, { quiet: 5000 });
      for (const { status, headers, body } of answers) {
        assert.ok(!(status >= 300 && status < 400) && headers.location === undefined, `${method} ${target}: ${status}`);
        assert.ok(!/evil\.example/.test(body + JSON.stringify(headers)), `${method} ${target} repeats the host`);
      }
    }
  });
});

test('words_of_a_search_are_words_whatever_they_mean_elsewhere', async () => {
  const chat = await mine.user.chat(mine.agent, { title: 'giraffe 100% _ \\ end' });
  await aerie.admin.chat(mine.agent, { title: 'giraffe of another' });
  for (const q of ['%', '_', '\\', '"', '""', '*', 'NEAR(', 'a AND', '(', "';--", "' OR 1=1 --", '{x}:a', '-', 'NOT', '\u0301', '\ud83d\ude42', ':', '<->', '&', '|', '!', "\\'", '$1', '%s%n', 'x'.repeat(2000)]) {
    const answer = await mine.user.get(`/api/chats?q=${encodeURIComponent(q)}`);
    assert.ok([200, 422].includes(answer.status), `${q}: ${answer.status} ${answer.text}`);
    if (answer.status === 200) assert.deepEqual(answer.json, [], q);
    const documents = await aerie.admin.post('/api/v1/documents/search', { query: q });
    assert.ok([200, 422].includes(documents.status), `${q}: ${documents.status} ${documents.text}`);
  }
  assert.deepEqual((await mine.user.get('/api/chats?q=giraffe')).json.map(({ id }) => id), [chat.id]);
});

test('of_many_that_use_one_token_at_once_one_wins', async () => {
  const one = await aerie.user();
  const answers = await Promise.all(Array.from({ length: 12 }, () => aerie.request('POST', '/api/auth/refresh', { json: { refresh_token: one.refreshToken } })));
  const pairs = new Set(answers.filter(({ status }) => status === 200).map(({ json }) => json.refresh_token));
  assert.equal(pairs.size, 1, 'two tabs get the same pair, and never two pairs');
  const slug = unique('taken');
  const claims = await Promise.all([aerie.admin, others.admin].flatMap((admin) => Array.from({ length: 4 }, () => admin.put('/api/team', { slug }))));
  assert.equal(new Set(claims.filter(({ status }) => status === 200).map(({ json }) => json.id)).size, 1, 'a slug is one team\'s');
});

test('a_stranger_learns_nothing_of_whose_an_address_is_but_by_registering', async () => {
  const known = mine.user.email;
  const unknown = `${unique('nobody')}@aerie.test`;
  for (const [path, json] of [['/api/auth/login', { password: 'not the password' }], ['/api/auth/password/forgot', {}], ['/api/auth/verify-email/resend', {}]]) {
    const [one, two] = [known, unknown].map((email) => aerie.request('POST', path, { json: { email, ...json } }));
    assert.deepEqual([(await one).status, (await one).text], [(await two).status, (await two).text], path);
  }
  // Registering says it, as people must know why they cannot: a team that does not want that closes its registration.
  const register = (email, team_id) => aerie.request('POST', '/api/auth/register', { json: { email, password: PASSWORD, team_id } });
  assert.equal((await others.admin.put('/api/team', { settings: { open_registration: false } })).status, 200);
  const [taken, free, none] = [await register(others.user.email, others.team.id), await register(`${unique('nobody')}@aerie.test`, others.team.id), await register(known, randomUUID())];
  assert.deepEqual([taken.status, taken.text], [free.status, free.text]);
  assert.equal(taken.status, 403);
  assert.equal(none.status, 400);
});
