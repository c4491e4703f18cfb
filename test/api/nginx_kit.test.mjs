// etc/nginx/aerie.conf, the file that operators copy, in a real nginx with a certificate of its own: what Aerie does for its clients, it does through it.
import assert from 'node:assert/strict';
import { chmodSync, rmSync, statSync, writeFileSync } from 'node:fs';
import http2 from 'node:http2';
import https from 'node:https';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { WebSocket } from 'ws';
import { startUpstream } from '../fake/upstream.mjs';
import { Aerie, PASSWORD, makeFolder, unique } from '../tools/aerie.mjs';
import { multipart, request } from '../tools/http.mjs';
import { kit, shards, startKit } from '../tools/nginx.mjs';
import { ChatSocket } from '../tools/socket.mjs';
import { SseParser } from '../tools/sse.mjs';
import { until } from '../tools/until.mjs';
import { isRunning, upgrade } from '../tools/upgrade.mjs';

const LOGINS = 3;
let upstream;
let aerie;
let agent;
let user;
let nginx; // of an operator who has it compress all there is
before(async () => {
  upstream = await startUpstream();
  aerie = await Aerie.start({ env: { ENVIRONMENT: 'production', TRUSTED_PROXIES: '127.0.0.1/32', METRICS__ALLOW: '0.0.0.0/0', LIMITS__LOGIN_PER_MINUTE: LOGINS } });
  agent = await aerie.admin.agent({ webhook_url: upstream.url() });
  user = await aerie.user();
  nginx = await startKit(aerie.port, { http: 'gzip on; gzip_types *; gzip_proxied any; gzip_min_length 1;\n' });
});
after(async () => {
  await nginx?.close();
  await aerie?.stop();
  await upstream?.close();
});

/** A request over TLS and HTTP/1.1: {status, headers, pieces: [{at, text}], text}. */
function ask(method, path, { port = nginx.port, ca = nginx.certificate, json, body = json && JSON.stringify(json), token, headers = {}, localAddress, agent: kept = false } = {}) {
  return new Promise((resolve, reject) => {
    const all = { ...(json ? { 'Content-Type': 'application/json' } : {}), ...(token ? { Authorization: `Bearer ${token}` } : {}), ...headers };
    const req = https.request({ host: '127.0.0.1', port, ca, method, path, headers: all, localAddress, agent: kept }, (res) => {
      const pieces = [];
      res.on('data', (bytes) => pieces.push({ at: Date.now(), text: bytes.toString() }));
      res.on('error', reject);
      res.on('end', () => resolve({ status: res.statusCode, headers: res.headers, pieces, text: pieces.map((piece) => piece.text).join('') }));
    });
    req.on('error', reject);
    req.end(body);
  });
}

/** The same over HTTP/2. */
async function ask2(method, path, { json, token, headers = {} } = {}) {
  const session = http2.connect(`https://127.0.0.1:${nginx.port}`, { ca: nginx.certificate });
  try {
    const stream = session.request({ ':method': method, ':path': path, 'content-type': 'application/json', authorization: `Bearer ${token}`, ...headers });
    stream.end(json && JSON.stringify(json));
    const pieces = [];
    stream.on('data', (bytes) => pieces.push({ at: Date.now(), text: bytes.toString() }));
    let head;
    stream.on('response', (all) => (head = all));
    await new Promise((resolve, reject) => stream.on('end', resolve).on('error', reject));
    return { status: head[':status'], headers: head, pieces, text: pieces.map((piece) => piece.text).join('') };
  } finally {
    session.close();
  }
}

/** The reply of a stream, and how many of its pieces came by themselves. */
function readStream({ text, pieces }) {
  let reply = '';
  let end;
  const parser = new SseParser({
    onEvent: ({ data }) => {
      const event = JSON.parse(data);
      if (event.type === 'message') reply += event.data.content;
      else end = event.type;
    },
    onComment: () => {},
  });
  parser.push(Buffer.from(text));
  return { reply, end, alone: pieces.filter((piece) => /"type":"message"/.test(piece.text)).length };
}

const path = async () => `/api/chats/${(await user.chat(agent)).id}/messages`;
const login = (options) => ask('POST', '/api/auth/login', { json: { email: `${unique('nobody')}@aerie.test`, password: PASSWORD }, ...options });

test('nginx_finds_nothing_to_say_of_the_site', () => {
  const { status, stderr } = nginx.check();
  assert.equal(status, 0, stderr);
  assert.doesNotMatch(stderr, /warn|error|emerg/);
});

test('the_sites_times_and_sizes_fit_what_aerie_is_set_to', () => {
  const config = JSON.parse(aerie.command(['config', '--json'], { env: { LIMITS__LOGIN_PER_MINUTE: null } }));
  const of = (name) => name.split('.').reduce((at, key) => at[key], config);
  const seconds = (name) => Number(new RegExp(`^ +${name} (\\d+)s;`, 'm').exec(kit)[1]);
  assert.ok(seconds('proxy_read_timeout') > of('upstream.total_seconds') + of('upstream.slot_wait_seconds'));
  for (const name of ['turn.heartbeat_seconds', 'limits.websocket_ping_seconds']) assert.ok(seconds('proxy_read_timeout') > 2 * of(name), name);
  assert.ok(seconds('keepalive_timeout') < of('limits.idle_seconds'), 'else Aerie closes a connection at the moment it is used');
  const most = Number(/client_max_body_size (\d+)m;/.exec(kit)[1]) << 20;
  assert.ok(most > of('limits.upload_bytes') && most > of('limits.body_bytes'), `${most}`);
  assert.ok(most < of('limits.upload_bytes') + (2 << 20), 'no more than Aerie would take');
});

test('http_leads_to_https_with_the_whole_address', async () => {
  const answer = await request(nginx.plainPort, 'POST', '/api/chats?limit=3&q=%20', { json: {} });
  assert.deepEqual([answer.status, answer.headers.location], [308, 'https://127.0.0.1/api/chats?limit=3&q=%20']);
});

for (const [name, way] of [['http_1', ask], ['http_2', ask2]])
  test(`a_stream_comes_piece_by_piece_and_uncompressed_over_${name}`, async () => {
    const answer = await way('POST', await path(), { token: user.token, json: { content: '!tokens=8&delay=150' }, headers: { 'accept-encoding': 'gzip, br' } });
    assert.equal(answer.status, 200, answer.text);
    assert.equal(answer.headers['content-encoding'], undefined);
    const { reply, end, alone } = readStream(answer);
    assert.deepEqual([reply, end], ['tok0 tok1 tok2 tok3 tok4 tok5 tok6 tok7', 'done']);
    assert.ok(alone >= 6, `${alone} of 8 pieces came by themselves`);
    const times = answer.pieces.filter((piece) => /"type":"message"/.test(piece.text)).map((piece) => piece.at);
    assert.ok(times.at(-1) - times[0] > 700, `eight pieces, 150 ms apart when they were sent, came within ${times.at(-1) - times[0]} ms`);
  });

test('a_websocket_goes_through', async () => {
  const ws = new WebSocket(`wss://127.0.0.1:${nginx.port}/api/chat/ws?token=${user.token}`, { ca: nginx.certificate, perMessageDeflate: false, headers: { Origin: `https://127.0.0.1:${nginx.port}` } });
  const socket = new ChatSocket(ws);
  await new Promise((resolve, reject) => ws.once('open', resolve).once('error', reject));
  const turn = await socket.ask({ message: '!tokens=8&delay=150', agent_id: agent.id });
  assert.equal(turn.text, 'tok0 tok1 tok2 tok3 tok4 tok5 tok6 tok7');
  const times = turn.events.filter((e) => e.type === 'message').map((e) => e.at);
  assert.ok(times.at(-1) - times[0] > 700, `within ${times.at(-1) - times[0]} ms`);
  assert.deepEqual(await socket.close(), { code: 1000, reason: '' });
  assert.match(nginx.read('access.log'), /"GET \/api\/chat\/ws" 101 /);
  assert.ok(!nginx.read('access.log').includes(user.token), 'the token is in the log');
});

test('a_page_of_the_same_site_may_open_a_socket_and_another_may_not', async () => {
  const open = (origin) => new Promise((resolve) => {
    const ws = new WebSocket(`wss://127.0.0.1:${nginx.port}/api/chat/ws?token=${user.token}`, { ca: nginx.certificate, headers: { Origin: origin } });
    ws.on('open', () => (ws.close(), resolve(101))).on('unexpected-response', (req, res) => (req.destroy(), resolve(res.statusCode))).on('error', () => {});
  });
  assert.equal(await open(`https://127.0.0.1:${nginx.port}`), 101);
  assert.equal(await open('https://evil.test'), 403);
});

test('a_long_silence_is_no_end_by_the_heartbeats', async () => {
  const patient = await Aerie.start({ env: { TURN__HEARTBEAT_SECONDS: 1, LIMITS__WEBSOCKET_PING_SECONDS: 1 } });
  const hasty = await startKit(patient.port, { more: [['proxy_read_timeout 660s', 'proxy_read_timeout 3s'], ['send_timeout 75s', 'send_timeout 3s']] });
  try {
    const slow = await patient.admin.agent({ webhook_url: upstream.url({ first: 7000 }) });
    const options = { port: hasty.port, ca: hasty.certificate, token: patient.admin.token };
    const streamed = ask('POST', `/api/chats/${(await patient.admin.chat(slow)).id}/messages`, { ...options, json: { content: 'hello' } });
    const ws = new WebSocket(`wss://127.0.0.1:${hasty.port}/api/chat/ws?token=${patient.admin.token}`, { ca: hasty.certificate });
    const socket = new ChatSocket(ws);
    await new Promise((resolve, reject) => ws.once('open', resolve).once('error', reject));
    assert.equal((await socket.ask({ message: 'hello', agent_id: slow.id })).last.type, 'done');
    await socket.close();
    const answer = await streamed;
    assert.equal(readStream(answer).end, 'done');
    assert.match(answer.text, /: keep-alive/);
  } finally {
    await hasty.close();
    await patient.stop();
  }
});

test('the_clients_address_reaches_the_limits_and_cannot_be_written_by_the_client', async () => {
  const from = (localAddress, headers) => login({ localAddress, headers });
  for (let i = 0; i < LOGINS; i++) assert.equal((await from('127.0.0.11')).status, 401);
  const refused = await from('127.0.0.11');
  assert.equal(refused.status, 429);
  assert.doesNotMatch(refused.text, /from this address/, 'that is nginx, not Aerie');
  assert.equal((await from('127.0.0.12')).status, 401, 'another address');
  assert.equal((await from('127.0.0.11', { 'X-Forwarded-For': '203.0.113.9' })).status, 429);
});

test('the_servers_numbers_are_closed_from_outside', async () => {
  assert.equal((await ask('GET', '/metrics')).status, 404);
  assert.equal((await aerie.request('GET', '/metrics')).status, 200);
});

test('uploads_pass_and_what_is_larger_is_refused_in_aeries_manner', async () => {
  const upload = (size) => {
    const { body, headers } = multipart('file', 'a.txt', 'text/plain', Buffer.alloc(size, 'words and words '));
    return ask('POST', '/api/v1/documents', { token: user.token, body, headers });
  };
  const passed = await upload(2 << 20);
  assert.doesNotMatch(passed.text, /larger than the server takes/);
  assert.notEqual(passed.status, 413, passed.text);
  const { status, headers, text } = await upload(4 << 20);
  assert.deepEqual([status, headers['content-type'], JSON.parse(text)], [413, 'application/json', { detail: 'This is larger than the server takes' }]);
});

const refusal = { detail: 'Too many requests from this address' };

test('a_flood_of_requests_from_one_address_is_refused_and_others_are_served', async () => {
  const agent = new https.Agent({ keepAlive: true, maxSockets: 20 });
  const began = performance.now();
  const answers = await Promise.all(Array.from({ length: 600 }, () => ask('GET', '/health', { localAddress: '127.0.0.21', agent })));
  const took = (performance.now() - began) / 1000;
  agent.destroy();
  const served = answers.filter((a) => a.status === 200).length;
  const refused = answers.filter((a) => a.status === 429);
  assert.equal(served + refused.length, 600);
  assert.ok(served >= 200 && served <= 202 + 50 * took, `${served} served in ${took} s`);
  if (took < 7) assert.deepEqual([JSON.parse(refused[0].text), refused[0].headers['retry-after']], [refusal, '1']);
  assert.equal((await ask('GET', '/health', { localAddress: '127.0.0.22' })).status, 200);
});

test('one_address_has_128_requests_at_once', async () => {
  const sessions = [0, 1].map(() => http2.connect(`https://127.0.0.1:${nginx.port}`, { ca: nginx.certificate, localAddress: '127.0.0.31' }));
  try {
    for (const session of sessions) {
      await new Promise((resolve, reject) => session.once('remoteSettings', resolve).once('error', reject));
      for (let i = 0; i < 64; i++) session.request({ ':method': 'POST', ':path': '/api/chats', 'content-length': 10 }).on('error', () => {}).write('{');
    }
    await sleep(500);
    const more = await ask('GET', '/health', { localAddress: '127.0.0.31' });
    assert.deepEqual([more.status, JSON.parse(more.text)], [429, refusal]);
    assert.equal((await ask('GET', '/health', { localAddress: '127.0.0.32' })).status, 200);
  } finally {
    for (const session of sessions) session.destroy();
  }
  await until(async () => (await ask('GET', '/health', { localAddress: '127.0.0.31' })).status === 200, 'taken again, with all of them gone');
});

test('connections_to_aerie_are_kept', async () => {
  const opened = async () => Number(/aerie_connections_accepted_total (\d+)/.exec((await aerie.request('GET', '/metrics')).text)?.[1]);
  const before = await opened();
  for (let i = 0; i < 20; i++) await ask('GET', '/health', { localAddress: '127.0.0.41' });
  assert.ok((await opened()) - before <= 3, `${(await opened()) - before} connections for 20 requests`);
});

test('a_file_does_as_well_as_a_port_its_mode_says_for_whom_and_an_upgrade_cuts_nothing_there', async () => {
  const folder = makeFolder();
  chmodSync(folder, 0o755);
  const file = join(folder, 'aerie.sock');
  const own = await Aerie.start({ env: { SERVER__LISTEN: `127.0.0.1:0,unix:${file}`, TRUSTED_PROXIES: 'unix', LIMITS__LOGIN_PER_MINUTE: LOGINS } });
  const near = await startKit(`unix:${file}`);
  const at = { port: near.port, ca: near.certificate };
  const mode = () => (statSync(file).mode & 0o7777).toString(8);
  try {
    assert.equal(mode(), '660');
    if (process.getuid() === 0) assert.equal((await ask('GET', '/health', at)).status, 503, 'nginx serves by an account of its own, which is not in the group');
    writeFileSync(join(own.folder, 'config.json'), '{"server": {"unix_mode": "0666"}}');
    await (await upgrade(own)).exit;
    assert.equal(mode(), '666');
    const slow = await own.admin.agent({ webhook_url: upstream.url() });
    const chat = await own.admin.chat(slow);
    const streamed = ask('POST', `/api/chats/${chat.id}/messages`, { ...at, token: own.admin.token, json: { content: '!tokens=30&delay=100' } });
    while ((await own.admin.messages(chat)).length < 1) await sleep(20);
    const old = await upgrade(own);
    assert.ok(isRunning(old.pid), 'with its stream');
    for (let i = 0; i < 20; i++) assert.equal((await ask('GET', '/health', at)).status, 200);
    const from = (localAddress) => login({ ...at, localAddress });
    for (let i = 0; i < LOGINS; i++) assert.equal((await from('127.0.0.51')).status, 401);
    assert.equal((await from('127.0.0.51')).status, 429);
    assert.equal((await from('127.0.0.52')).status, 401, 'another address');
    assert.deepEqual(readStream(await streamed).reply, Array.from({ length: 30 }, (_, i) => `tok${i}`).join(' '));
    await near.close(); // with the connections that it keeps
    await old.exit;
    await own.stop();
  } finally {
    await near.close();
    own.drop();
    rmSync(folder, { recursive: true });
  }
});

test('while_aerie_is_away_the_answer_is_a_503_that_says_so', async () => {
  const lonely = await startKit(9);
  try {
    const { status, headers, text } = await ask('GET', '/health', { port: lonely.port, ca: lonely.certificate });
    assert.deepEqual([status, headers['retry-after'], JSON.parse(text)], [503, '5', { detail: 'The server is starting, or away' }]);
  } finally {
    await lonely.close();
  }
});

test('several_installations_stand_behind_one_site_and_one_team_of_them_waits', async () => {
  const http = shards.replaceAll(/10\.0\.1\.1[12]:8000/g, `127.0.0.1:${aerie.port}`).replace('10.0.2.11:8000', '127.0.0.1:9').replace('# shop.example.com  yes;', 'moves.example.com yes;');
  const sharded = await startKit(aerie.port, { http, more: [['proxy_pass http://aerie;', 'if ($aerie_waits) { return 503; }\n        proxy_pass http://$aerie_shard;']] });
  try {
    const { status, stderr } = sharded.check();
    assert.equal(status, 0, stderr);
    assert.doesNotMatch(stderr, /warn|error|emerg/);
    const asked = (method, host) => new Promise((resolve, reject) => {
      https.request({ host: '127.0.0.1', port: sharded.port, ca: sharded.certificate, checkServerIdentity: () => undefined, method, path: '/health', headers: { Host: host }, agent: false },
        (res) => res.resume().on('end', () => resolve([res.statusCode, res.headers['retry-after']]))).on('error', reject).end();
    });
    assert.deepEqual(await asked('GET', 'chat.example.com'), [200, undefined]);
    assert.deepEqual(await asked('GET', 'shop.example.com'), [503, '5'], 'its shard is away');
    assert.deepEqual(await asked('GET', 'moves.example.com'), [200, undefined]);
    assert.deepEqual(await asked('POST', 'moves.example.com'), [503, '5']);
  } finally {
    await sharded.close();
  }
});
