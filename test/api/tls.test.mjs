// TLS that the server speaks itself: openssl, curl, Node's https and `ws` as clients.
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { copyFileSync, writeFileSync } from 'node:fs';
import https from 'node:https';
import net from 'node:net';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import tls from 'node:tls';
import { startUpstream } from '../fake/upstream.mjs';
import { Aerie, Client, PASSWORD, inParallel, makeFolder, runCommand } from '../tools/aerie.mjs';
import { multipart, openStream, raw, request } from '../tools/http.mjs';
import { openSocket } from '../tools/socket.mjs';
import { makeCertificate } from '../tools/tls.mjs';
import { isRunning, upgrade } from '../tools/upgrade.mjs';

const GET = (path, lines = '') => `GET ${path} HTTP/1.1\r\nHost: localhost\r\n${lines}\r\n`;

let aerie;
let upstream;
let port;
before(async () => {
  upstream = await startUpstream();
  aerie = await Aerie.start({ tls: true });
  port = aerie.tlsPort;
});
after(async () => {
  upstream?.close();
  await aerie?.stop();
});

/** The admin, or another, at the port with TLS. */
const overTls = ({ token } = aerie.admin, server = aerie) =>
  new Client({ port: server.tlsPort, request: (method, path, options) => request(server.tlsPort, method, path, options) }, token);

/** What `openssl s_client` says and gets. */
function sClient(args, input = '') {
  const { status, stdout, stderr } = spawnSync('openssl', ['s_client', '-connect', `127.0.0.1:${port}`, '-CAfile', aerie.certificate.path, ...args],
    { input, encoding: 'utf8', timeout: 20000 });
  return { status, said: stdout + stderr };
}

/** A client of TLS that has agreed, or why not. */
async function connect(options = {}) {
  const socket = tls.connect({ port, host: '127.0.0.1', ca: aerie.certificate.cert, ...options });
  socket.on('error', () => {}).on('session', (session) => (socket.lastSession = session));
  const [event] = await Promise.race([once(socket, 'secureConnect').then(() => ['agreed']), new Promise((resolve) => socket.once('error', (error) => resolve([error])))]);
  if (event instanceof Error) throw event;
  return socket;
}

async function numbers(server = aerie) {
  const { text } = await server.request('GET', '/metrics');
  return (name) => Number(new RegExp(`^${name.replace(/[{}"]/g, '\\$&')} (\\S+)$`, 'm').exec(text)?.[1]);
}

test('openssl_agrees_on_1_2_and_1_3_and_is_refused_below', () => {
  for (const version of ['1.2', '1.3']) {
    const { said } = sClient([`-tls${version.replace('.', '_')}`, '-alpn', 'h2,http/1.1', '-servername', 'localhost']);
    assert.match(said, new RegExp(`New, TLSv${version}, Cipher is (TLS_|ECDHE-ECDSA-)`));
    assert.match(said, /Verify return code: 0 \(ok\)/);
    assert.match(said, /ALPN protocol: http\/1\.1/);
    assert.match(said, /Compression: NONE/);
    assert.doesNotMatch(said, /Max Early Data: [1-9]/);
  }
  const old = sClient(['-tls1_1', '-cipher', 'ALL:@SECLEVEL=0']);
  assert.match(old.said, /alert protocol version/);
  assert.match(sClient(['-alpn', 'h2']).said, /alert no application protocol/);
});

test('of_the_ciphers_of_1_2_only_those_that_keep_what_was_said_secret_are_spoken', async () => {
  const spoken = [];
  const names = tls.getCiphers().map((name) => name.toUpperCase()).filter((name) => !name.startsWith('TLS_'));
  await inParallel(8, names, async (name) => {
    const socket = await connect({ ciphers: `${name}:@SECLEVEL=0`, maxVersion: 'TLSv1.2' }).catch(() => null);
    if (socket) spoken.push(socket.getCipher().name);
    socket?.destroy();
  });
  assert.deepEqual(spoken.sort(), ['ECDHE-ECDSA-AES128-GCM-SHA256', 'ECDHE-ECDSA-AES256-GCM-SHA384', 'ECDHE-ECDSA-CHACHA20-POLY1305']);
});

test('nobody_negotiates_anew_on_a_connection_that_stands', async () => {
  const socket = await connect({ maxVersion: 'TLSv1.2' });
  const refused = new Promise((resolve) => {
    socket.once('error', resolve);
    socket.renegotiate({}, (error) => error && resolve(error));
  });
  socket.write(GET('/health'));
  assert.ok((await refused) instanceof Error);
  socket.destroy();
});

test('a_session_is_resumed_on_either_loop', async () => {
  for (const maxVersion of ['TLSv1.2', 'TLSv1.3']) {
    let session;
    for (let i = 0; i < 12; i++) {
      const socket = await connect({ maxVersion, session });
      assert.equal(socket.isSessionReused(), i > 0, `${maxVersion}, connection ${i}`);
      socket.end(GET('/health', 'Connection: close\r\n'));
      socket.resume();
      await once(socket, 'close');
      session = socket.lastSession ?? session;
    }
  }
});

test('curl_is_answered_with_hsts_and_in_clear_without', () => {
  const ask = (url, ...args) => spawnSync('curl', ['-si', '--cacert', aerie.certificate.path, ...args, url], { encoding: 'utf8' }).stdout;
  for (const version of ['--tlsv1.3', '--tls-max=1.2']) {
    const answer = ask(`https://localhost:${port}/health`, ...version.split('='));
    assert.match(answer, /^HTTP\/1\.1 200 /);
    assert.match(answer, /^Strict-Transport-Security: max-age=31536000\r$/m);
  }
  assert.doesNotMatch(ask(`http://127.0.0.1:${aerie.port}/health`), /Strict-Transport-Security/);
});

test('cookies_given_over_tls_are_secure', async () => {
  const body = { json: { email: aerie.adminEmail, password: PASSWORD } };
  const lines = async (at) => (await request(at, 'POST', '/api/auth/login', body)).headers['set-cookie'];
  for (const line of await lines(port)) assert.match(line, /; Secure$/);
  for (const line of await lines(aerie.port)) assert.doesNotMatch(line, /Secure/);
});

test('a_proxy_that_is_trusted_says_what_the_client_spoke_over_tls_too', async () => {
  const own = await Aerie.start({ tls: true, env: { TRUSTED_PROXIES: '127.0.0.1' } });
  try {
    const hsts = async (at, headers) => (await request(at, 'GET', '/health', { headers })).headers['strict-transport-security'] !== undefined;
    assert.equal(await hsts(own.tlsPort, {}), true);
    assert.equal(await hsts(own.tlsPort, { 'X-Forwarded-Proto': 'http' }), false);
    assert.equal(await hsts(own.port, { 'X-Forwarded-Proto': 'https' }), true);
    assert.equal(await hsts(own.port, {}), false);
    await own.stop();
  } finally {
    own.drop();
  }
});

test('requests_follow_one_another_on_a_connection_and_may_be_sent_ahead', async () => {
  const { answers } = await raw(port, [GET('/health') + GET('/nothing') + GET('/health', 'Connection: close\r\n')], { least: 3 });
  assert.deepEqual(answers.map(({ status }) => status), [200, 404, 200]);
  const many = Array.from({ length: 500 }, () => GET('/health')).join('');
  assert.equal((await raw(port, [many + GET('/health', 'Connection: close\r\n')], { least: 501 })).answers.length, 501);
  const agent = new https.Agent({ keepAlive: true, maxSockets: 1 });
  try {
    const sockets = new Set();
    for (let i = 0; i < 20; i++) {
      const req = https.get({ port, host: '127.0.0.1', ca: aerie.certificate.cert, path: '/health', agent });
      const [res] = await once(req, 'response');
      sockets.add(res.socket.localPort);
      res.resume();
      await once(res, 'end');
    }
    assert.equal(sockets.size, 1);
  } finally {
    agent.destroy();
  }
});

test('requests_come_whole_in_records_of_any_size', async () => {
  const text = GET('/health') + GET('/health', 'Connection: close\r\n');
  for (const size of [1, 3, 50]) {
    const socket = await connect();
    let got = '';
    socket.on('data', (bytes) => (got += bytes));
    for (let at = 0; at < text.length; at += size) socket.write(text.slice(at, at + size));
    await once(socket, 'close');
    assert.equal(got.split('HTTP/1.1 200').length, 3, got);
  }
});

test('an_upload_of_two_megabytes_comes_and_goes_whole', async () => {
  const png = Buffer.alloc(2 * 1024 * 1024 - 10, 'aerie over tls ');
  Buffer.from('89504e470d0a1a0a', 'hex').copy(png);
  const sent = await overTls().post('/api/auth/me/avatar', undefined, multipart('file', 'a.png', 'image/png', png));
  assert.equal(sent.status, 200, sent.text.slice(0, 300));
  const me = (await overTls().get('/api/auth/me')).json;
  assert.equal(me.avatar, `data:image/png;base64,${png.toString('base64')}`);
});

test('a_long_reply_reaches_a_slow_reader_whole', async () => {
  const agent = await aerie.admin.agent({ webhook_url: upstream.url({ tokens: 4000, bytes: 100 }) });
  const chat = await aerie.admin.chat(agent);
  const stream = await overTls().send(chat, 'much');
  stream.res.pause();
  await aerie.admin.settledReply(chat, { timeout: 30000 });
  await sleep(200);
  stream.res.resume();
  await stream.whole();
  assert.equal(stream.text, (await aerie.admin.messages(chat)).at(-1).content);
  assert.ok(stream.text.length > 4000);
});

test('a_websocket_talks_over_tls', async () => {
  const agent = await aerie.admin.agent({ webhook_url: upstream.url({ tokens: 20 }) });
  const socket = await openSocket(port, { token: aerie.admin.token });
  for (let i = 0; i < 3; i++) {
    const turn = await socket.ask({ message: `hello ${i}`, agent_id: agent.id });
    assert.equal(turn.last.type, 'done');
    assert.ok(turn.text.length > 0);
  }
  await socket.close();
});

test('new_certificates_are_read_at_sighup_while_streams_go_on_with_the_old_one', async () => {
  const own = await Aerie.start({ tls: true });
  const reload = async (until) => {
    const from = own.log.length;
    own.child.kill('SIGHUP');
    for (const end = Date.now() + 10000; !until.test(own.log.slice(from)); await sleep(10)) assert.ok(Date.now() < end, `${until} is not in ${own.log.slice(from)}`);
  };
  const shown = async () => {
    const socket = await connect({ port: own.tlsPort, rejectUnauthorized: false });
    const { fingerprint256 } = socket.getPeerX509Certificate();
    socket.destroy();
    return fingerprint256;
  };
  const nameOf = ({ cert }) => new X509Certificate(cert).fingerprint256;
  try {
    const agent = await own.admin.agent({ webhook_url: upstream.url({ tokens: 200, delay: 20 }) });
    const chat = await own.admin.chat(agent);
    const stream = await overTls(own.admin, own).send(chat, 'on and on');
    await stream.until((s) => s.text.length > 0);
    assert.equal(await shown(), nameOf(own.certificate));

    const next = makeCertificate(own.folder, 'next', { days: 90 });
    copyFileSync(next.path, own.certificate.path);
    await reload(/the certificates stay as they were: tls\.key: \S+server\.key (is not the key|must hold the key) of/);
    assert.equal(await shown(), nameOf(own.certificate));

    copyFileSync(next.keyPath, own.certificate.keyPath);
    await reload(/reading the settings again/);
    for (const end = Date.now() + 5000; (await shown()) !== nameOf(next); await sleep(20)) assert.ok(Date.now() < end);
    await stream.whole();
    assert.equal(stream.text, (await own.admin.messages(chat)).at(-1).content);
    await own.stop();
  } finally {
    own.drop();
  }
});

test('an_upgrade_cuts_no_stream_over_tls_and_sessions_go_on_in_the_new_process', async () => {
  const own = await Aerie.start({ tls: true });
  const visit = async (maxVersion, session) => {
    const socket = await connect({ port: own.tlsPort, ca: own.certificate.cert, maxVersion, session });
    const isResumed = socket.isSessionReused();
    socket.end(GET('/health', 'Connection: close\r\n'));
    socket.resume();
    await once(socket, 'close');
    return { isResumed, session: socket.lastSession ?? session };
  };
  try {
    const agent = await own.admin.agent({ webhook_url: upstream.url({ tokens: 60, delay: 50 }) });
    const chats = await Promise.all(Array.from({ length: 6 }, () => own.admin.chat(agent)));
    const streams = await Promise.all(chats.map((chat) => overTls(own.admin, own).send(chat, 'on and on')));
    await Promise.all(streams.map((stream) => stream.until((s) => s.text.length > 0)));
    const versions = ['TLSv1.2', 'TLSv1.3'];
    const before = await Promise.all(versions.map((version) => visit(version)));
    const old = await upgrade(own);
    for (const [i, version] of versions.entries()) {
      const after = await visit(version, before[i].session);
      assert.deepEqual([before[i].isResumed, after.isResumed], [false, true], version);
      assert.equal((await visit(version, after.session)).isResumed, true, version);
    }
    assert.ok(isRunning(old.pid) && streams.every((stream) => !stream.closed), 'the streams are the old one\'s still');
    for (const [i, stream] of streams.entries()) {
      await stream.whole();
      assert.equal(stream.text, (await own.admin.messages(chats[i])).at(-1).content);
    }
    await old.exit;
    await own.stop();
  } finally {
    own.drop();
  }
});

test('a_start_with_a_certificate_that_is_none_says_what_is_wrong', () => {
  const folder = makeFolder();
  const [one, two] = ['one', 'two'].map((name) => makeCertificate(folder, name));
  writeFileSync(join(folder, 'empty'), '');
  const rows = [
    [{}, /tls\.certificate must name the file of a certificate/],
    [{ TLS__CERTIFICATE: one.path }, /tls\.certificate names 1 files and tls\.key 0/],
    [{ TLS__CERTIFICATE: join(folder, 'missing'), TLS__KEY: one.keyPath }, /missing cannot be read: No such file/],
    [{ TLS__CERTIFICATE: join(folder, 'empty'), TLS__KEY: one.keyPath }, /empty must hold the certificate/],
    [{ TLS__CERTIFICATE: one.path, TLS__KEY: two.keyPath }, /two\.key (is not the key|must hold the key) of/],
    [{ TLS__CERTIFICATE: one.path, TLS__KEY: one.keyPath, TLS__MIN_VERSION: '1.1' }, /TLS__MIN_VERSION: "1\.1" is not accepted, expected 1\.2 or 1\.3/],
    [{ TLS__CERTIFICATE: one.path, TLS__KEY: one.keyPath, TLS__CIPHERS: 'NONE' }, /tls\.ciphers/],
  ];
  for (const [i, [env, words]] of rows.entries()) {
    const { status, stderr } = runCommand(['serve'], { cwd: folder, env: { DATA_DIR: join(folder, `data${i}`), SERVER__LISTEN: 'tls://127.0.0.1:0', ...env } });
    assert.equal(status, 1, stderr);
    assert.match(stderr, words);
  }
});

test('whoever_speaks_http_where_tls_is_spoken_is_told_and_the_other_way_round', async () => {
  for (const method of ['GET', 'POST', 'DELETE', 'OPTIONS']) {
    const socket = net.connect(port, '127.0.0.1', () => socket.write(`${method} /health HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n`));
    const text = Buffer.concat(await socket.toArray()).toString();
    assert.match(text, /^HTTP\/1\.1 400 Bad Request\r\n/);
    assert.match(text, /This port speaks TLS: the address begins with https/);
    assert.doesNotMatch(text, /Strict-Transport/);
  }
  await assert.rejects(connect({ port: aerie.port }));
  const { answers } = await raw(aerie.port, [Buffer.from('16030100f8010000f40303', 'hex')]);
  assert.deepEqual(answers.map(({ status }) => status), [400]);
});

/** A client's first flight. */
async function firstFlight() {
  const server = net.createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const client = tls.connect({ port: server.address().port, host: '127.0.0.1' }).on('error', () => {});
  const [socket] = await once(server, 'connection');
  const [bytes] = await once(socket, 'data');
  socket.destroy();
  client.destroy();
  server.close();
  return bytes;
}

test('who_does_not_agree_in_time_is_cut_and_counts_as_a_connection_until_then', async () => {
  const own = await Aerie.start({ tls: true, env: { TLS__HANDSHAKE_SECONDS: 3 } });
  const failures = 'aerie_tls_handshakes_total{outcome="failed"}';
  try {
    const bytes = await firstFlight();
    const before = await numbers(own);
    const started = performance.now();
    const sockets = [0, 1, 5, 100, bytes.length].map((n) => net.connect(own.tlsPort, '127.0.0.1', function () {
      if (n > 0) this.write(bytes.subarray(0, n));
    }).on('error', () => {}).resume());
    const closed = sockets.map((socket) => once(socket, 'close'));
    await Promise.all(sockets.map((socket) => once(socket, 'connect')));
    assert.ok((await numbers(own))('aerie_connections') >= before('aerie_connections') + sockets.length);
    await Promise.all(closed);
    const took = performance.now() - started;
    assert.ok(took > 2900 && took < 30000, `${took} ms`);
    assert.equal((await numbers(own))(failures), before(failures) + sockets.length);
    await own.stop();
  } finally {
    own.drop();
  }
});

test('garbage_and_clients_that_vanish_leave_nothing_behind', async () => {
  const bytes = await firstFlight();
  const before = (await numbers())('aerie_connections');
  await inParallel(16, Array.from({ length: 200 }, (_, i) => i), async (i) => {
    const at = (i * 7) % bytes.length;
    const bad = Buffer.from(bytes);
    if (i % 2) bad[at] ^= 0xff;
    const socket = net.connect(port, '127.0.0.1', () => socket.write(i % 2 ? bad : bytes.subarray(0, at)));
    socket.on('error', () => {});
    await Promise.race([once(socket.resume(), 'close'), sleep(i % 5)]);
    if (i % 3) socket.resetAndDestroy();
    else socket.destroy();
  });
  const agent = await aerie.admin.agent({ webhook_url: upstream.url({ tokens: 30, delay: 2 }) });
  await inParallel(8, Array.from({ length: 60 }, (_, i) => i), async (i) => {
    const beneath = net.connect(port, '127.0.0.1').on('error', () => {});
    const socket = await connect({ socket: beneath });
    const chat = await aerie.admin.chat(agent);
    const body = JSON.stringify({ content: 'leaving' });
    socket.write(`POST /api/chats/${chat.id}/messages HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${aerie.admin.token}\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`);
    socket.resume();
    await sleep(i);
    if (i % 2) beneath.resetAndDestroy();
    else beneath.destroy();
  });
  for (const end = Date.now() + 10000; (await numbers())('aerie_connections') > before + 1; await sleep(50)) assert.ok(Date.now() < end, 'connections stay');
  assert.equal((await request(port, 'GET', '/health')).status, 200);
});

test('a_crowd_that_shakes_hands_at_once_is_served_and_others_meanwhile', async () => {
  let isOver = false;
  const crowd = Promise.all(Array.from({ length: 300 }, async () => {
    const socket = await connect();
    socket.end(GET('/health', 'Connection: close\r\n'));
    return Buffer.concat(await socket.toArray()).toString();
  })).finally(() => (isOver = true));
  let n = 0;
  for (; !isOver; n++) assert.equal((await aerie.request('GET', '/health')).status, 200);
  for (const text of await crowd) assert.match(text, /^HTTP\/1\.1 200 /);
  assert.ok(n > 0);
});

test('the_end_of_an_answer_is_called_one', () => {
  const { said } = sClient(['-quiet', '-ign_eof'], GET('/health', 'Connection: close\r\n'));
  assert.match(said, /"status":"healthy"/);
  assert.doesNotMatch(said, /unexpected eof/);
});

test('a_request_that_is_cut_off_is_none', async () => {
  const child = spawn('openssl', ['s_client', '-quiet', '-connect', `127.0.0.1:${port}`, '-CAfile', aerie.certificate.path], { stdio: ['pipe', 'ignore', 'ignore'] });
  const before = (await numbers())('aerie_http_requests_total{status="2xx"}');
  child.stdin.write('GET /health HTTP/1.1\r\nHost: x\r\n');
  await sleep(300);
  child.kill('SIGKILL'); // the socket ends without a close_notify
  await once(child, 'close');
  child.stdin.destroy();
  assert.equal((await request(port, 'GET', '/health')).status, 200);
  assert.ok((await numbers())('aerie_http_requests_total{status="2xx"}') - before <= 3);
});

test('metrics_tell_of_handshakes_and_of_the_certificate_s_end', async () => {
  const socket = await connect();
  socket.destroy();
  const value = await numbers();
  const days = (value('aerie_tls_certificate_end_timestamp_seconds') * 1000 - Date.now()) / 86400000;
  assert.ok(days > 1.9 && days < 2.1, days);
  assert.ok(value('aerie_tls_handshakes_total{outcome="full"}') > 0);
  assert.ok(value('aerie_tls_handshakes_total{outcome="resumed"}') > 0);
  assert.match(aerie.log, /WARN http: the certificate of tls\.certificate ends in 1 day: renew it, then SIGHUP/);
});

test('a_server_that_drains_ends_its_streams_over_tls', async () => {
  const own = await Aerie.start({ tls: true });
  try {
    const agent = await own.admin.agent({ webhook_url: upstream.url({ tokens: 50, delay: 20 }) });
    const chat = await own.admin.chat(agent);
    const stream = await openStream(own.tlsPort, 'POST', `/api/chats/${chat.id}/messages`, { token: own.admin.token, json: { content: 'to the end' } });
    await stream.until((s) => s.text.length > 0);
    const idle = await connect({ port: own.tlsPort, ca: own.certificate.cert });
    const half = net.connect(own.tlsPort, '127.0.0.1');
    await once(half, 'connect');
    const [ended] = await Promise.all([stream.whole(), own.halt(), once(idle.resume(), 'close'), once(half.resume(), 'close')]);
    assert.equal(ended.events.at(-1).type, 'done');
  } finally {
    own.drop();
  }
});
