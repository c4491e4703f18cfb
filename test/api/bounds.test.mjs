// What a client may send, and how slowly: each bound at its default, where exactly as much is taken and one more is refused.
import assert from 'node:assert/strict';
import net from 'node:net';
import { after, before, describe, test } from 'node:test';
import { Aerie, PASSWORD, runCommand, unique } from '../tools/aerie.mjs';
import { multipart, raw } from '../tools/http.mjs';
import { connectionsTo } from '../tools/kernel.mjs';
import { openSocket } from '../tools/socket.mjs';
import { until } from '../tools/until.mjs';

/** The page that operators are promised; a default that changes is a promise that changes. */
const DEFAULTS = {
  'limits.request_line_bytes': 8 * 1024, 'limits.head_bytes': 16 * 1024, 'limits.header_lines': 100, 'limits.body_bytes': 1024 * 1024,
  'limits.upload_bytes': 2 * 1024 * 1024, 'limits.head_seconds': 10, 'limits.body_min_bytes_per_second': 1024, 'limits.idle_seconds': 75,
  'limits.write_seconds': 30, 'limits.json_depth': 64, 'limits.message_chars': 32000, 'limits.websocket_message_bytes': 64 * 1024,
  'limits.websocket_ping_seconds': 30, 'limits.websocket_pong_seconds': 10, 'limits.login_per_minute': 5, 'limits.login_per_account': 10,
  'limits.register_per_minute': 5, 'limits.messages_per_minute': 60, 'limits.visitor_messages_per_minute': 20,
  'limits.agent_messages_per_minute': 600, 'limits.connections_per_address': 0, 'limits.streams_per_team': 0,
  'upstream.connect_seconds': 5, 'upstream.first_byte_seconds': 120, 'upstream.idle_seconds': 120, 'upstream.total_seconds': 600,
  'upstream.event_bytes': 256 * 1024, 'upstream.reply_bytes': 1024 * 1024, 'database.wait_ms': 2000, 'database.statement_ms': 5000,
};
/** Rates and counts, which 0 switches off. */
const RATES = ['limits.login_per_minute', 'limits.login_per_account', 'limits.register_per_minute', 'limits.messages_per_minute',
  'limits.visitor_messages_per_minute', 'limits.agent_messages_per_minute', 'limits.connections_per_address', 'limits.streams_per_team'];

const nameOf = (key) => key.toUpperCase().replace('.', '__');
function settings(env) {
  const ran = runCommand(['config', '--json'], { env });
  assert.equal(ran.status, 0, ran.stderr);
  return JSON.parse(ran.stdout);
}
const valueOf = (config, key) => key.split('.').reduce((at, part) => at[part], config);

test('the_defaults_are_those_that_operators_are_promised', () => {
  const config = settings(Object.fromEntries(Object.keys(DEFAULTS).map((key) => [nameOf(key), null])));
  for (const [key, value] of Object.entries(DEFAULTS)) assert.equal(valueOf(config, key), value, key);
});

test('zero_is_understood_by_every_rate_and_count', () => {
  const config = settings(Object.fromEntries(RATES.map((key) => [nameOf(key), '0'])));
  for (const key of RATES) assert.equal(valueOf(config, key), 0, key);
});

let aerie;
let user;
before(async () => {
  aerie = await Aerie.start();
  user = await aerie.user();
});
after(() => aerie?.stop());

const host = 'Host: 127.0.0.1\r\n';
const json = (body) => ({ body, headers: { 'Content-Type': 'application/json' } });

/** A row takes n of something: {status, closed}. */
async function answerTo(port, bytes) {
  const { answers, closed } = await raw(port, bytes, { quiet: 1000 });
  assert.equal(answers.length, 1, `${answers.map((a) => a.status)}`);
  return { status: answers[0].status, closed };
}

/** [what, limit, status past it, n → the bytes of a request that has n of it]. */
const heads = [
  ['request_line', 8192, 414, (n) => `GET /health?${'x'.repeat(n - 'GET /health? HTTP/1.1'.length)} HTTP/1.1\r\n${host}\r\n`],
  ['head', 16384, 431, (n) => {
    const without = `GET /health HTTP/1.1\r\n${host}X-Long: \r\n\r\n`.length;
    return `GET /health HTTP/1.1\r\n${host}X-Long: ${'x'.repeat(n - without)}\r\n\r\n`;
  }],
  ['header_lines', 100, 431, (n) => `GET /health HTTP/1.1\r\n${host}${'A: b\r\n'.repeat(n - 1)}\r\n`],
];

describe('heads', { concurrency: true }, () => {
  for (const [what, limit, status, bytes] of heads)
    test(`${what}_may_have_${limit}_and_no_more`, async () => {
      assert.deepEqual(await answerTo(aerie.port, bytes(limit)), { status: 200, closed: false });
      assert.deepEqual(await answerTo(aerie.port, bytes(limit + 1)), { status, closed: true });
    });
});

test('a_body_may_have_1048576_bytes_and_no_more', async () => {
  const body = (n) => `{"a":"${'x'.repeat(n - '{"a":""}'.length)}"}`;
  const send = (text, framing) => raw(aerie.port, `POST /api/auth/login HTTP/1.1\r\n${host}Content-Type: application/json\r\n${framing}\r\n\r\n${text}`, { quiet: 1000 });
  const whole = (n) => send(body(n), `Content-Length: ${n}`);
  const chunked = (n) => send(`${n.toString(16)}\r\n${body(n)}\r\n0\r\n\r\n`, 'Transfer-Encoding: chunked');
  for (const by of [whole, chunked]) {
    const taken = await by(1048576);
    assert.deepEqual([taken.answers.map((a) => a.status), taken.closed], [[422], false], by.name);
    const refused = await by(1048577);
    assert.deepEqual([refused.answers.map((a) => a.status), refused.closed], [[413], true], by.name);
  }
});

test('an_upload_may_have_2_mib_and_no_more_with_the_form_on_top', async () => {
  const png = (n) => Buffer.concat([Buffer.from('89504e470d0a1a0a', 'hex'), Buffer.alloc(n - 8)]);
  const send = (n, filename = 'me.png') => aerie.request('POST', '/api/auth/me/avatar', { token: user.token, ...multipart('file', filename, 'image/png', png(n)) });
  assert.equal((await send(2097152, `${'n'.repeat(4000)}.png`)).status, 200);
  assert.equal((await send(2097153)).status, 413);
  const form = await raw(aerie.port, `POST /api/auth/me/avatar HTTP/1.1\r\n${host}Authorization: Bearer ${user.token}\r\nContent-Type: multipart/form-data; boundary=x\r\nContent-Length: ${2097152 + 65536 + 1}\r\n\r\n`);
  assert.deepEqual([form.answers[0].status, form.closed], [413, true], 'before it has come');
});

test('json_may_be_64_deep_and_no_deeper', async () => {
  const put = (depth) => user.put('/api/auth/me', undefined, json(`{"preferences":{"a":${'['.repeat(depth - 2)}${']'.repeat(depth - 2)}}}`));
  assert.equal((await put(64)).status, 200);
  const refused = await put(65);
  assert.equal(refused.status, 400, refused.text);
});

test('a_password_has_8_to_128_characters_wherever_one_is_set', async () => {
  const register = (password) => aerie.request('POST', '/api/auth/register', { json: { email: `${unique('p')}@aerie.test`, password } });
  for (const [password, status] of [['x'.repeat(7), 422], ['x'.repeat(8), 201], ['x'.repeat(128), 201], ['x'.repeat(129), 422], ['é'.repeat(8), 201], ['🎉'.repeat(128), 201], ['🎉'.repeat(129), 422]]) {
    const answer = await register(password);
    assert.equal(answer.status, status, `${password.length} ${password[0]}: ${answer.text}`);
    if (status === 422) assert.deepEqual(answer.json.errors.map((e) => e.field), ['password']);
  }
  const own = await aerie.user();
  for (const [password, status] of [['x'.repeat(7), 422], ['x'.repeat(129), 422], ['x'.repeat(128), 200]])
    assert.equal((await own.put('/api/auth/me', { password, current_password: PASSWORD })).status, status, `${password.length} by PUT`);
});

test('passwords_that_differ_past_72_bytes_differ', async () => {
  const email = `${unique('long')}@aerie.test`;
  const password = 'p'.repeat(72) + 'a';
  assert.equal((await aerie.request('POST', '/api/auth/register', { json: { email, password } })).status, 201);
  const login = (text) => aerie.request('POST', '/api/auth/login', { json: { email, password: text } });
  assert.equal((await login('p'.repeat(72))).status, 401);
  assert.equal((await login('p'.repeat(72) + 'b')).status, 401);
  assert.equal((await login(password)).status, 200);
});

test('a_socket_takes_65536_bytes_and_no_more', async () => {
  const socket = await openSocket(aerie.port, { token: user.token });
  const frame = (n) => JSON.stringify({ padding: 'x'.repeat(n - JSON.stringify({ padding: '' }).length) });
  socket.send(frame(65536));
  await socket.until((s) => s.events.length === 1); // told what it lacks, in an event
  assert.equal(socket.events[0].data.code, 'bad_request');
  socket.send(frame(65537));
  assert.equal((await socket.ended()).code, 1009);
});

/** Writes piece every ms until the socket is closed or for_ms are over: {text, after}: what came, and after how long it closed. */
function trickle(port, head, piece, every, forMs) {
  return new Promise((resolve) => {
    const began = Date.now();
    let text = '';
    const socket = net.connect({ port, host: '127.0.0.1', noDelay: true }, () => socket.write(head));
    const timer = setInterval(() => (Date.now() - began < forMs ? piece && socket.write(piece) : socket.destroy()), every);
    socket.on('data', (bytes) => (text += bytes));
    socket.on('error', () => {});
    socket.on('close', () => {
      clearInterval(timer);
      resolve({ text, after: Date.now() - began, wasCut: Date.now() - began < forMs });
    });
  });
}

describe('times', () => {
  let quick;
  before(async () => {
    quick = await Aerie.start({ env: { LIMITS__HEAD_SECONDS: 1, LIMITS__IDLE_SECONDS: 2, LIMITS__WRITE_SECONDS: 1 } });
  });
  after(() => quick?.stop());

  const head = `POST /api/auth/login HTTP/1.1\r\n${host}Content-Type: application/json\r\nContent-Length: 1000000\r\n\r\n`;
  const between = ({ after: ms }, least, most) => assert.ok(ms >= least && ms <= most, `${ms} ms`);

  test('what_is_slow_is_cut_and_what_is_not_is_left_alone', async () => {
    const [slowHead, stalledHead, slowBody, stalledBody, body, idle, silent] = await Promise.all([
      trickle(quick.port, `GET /health HTTP/1.1\r\n`, 'X-A: b\r\n', 100, 8000),
      trickle(quick.port, 'G', '', 100, 8000),
      trickle(quick.port, head, 'x'.repeat(80), 100, 8000),
      trickle(quick.port, head, '', 100, 8000),
      trickle(quick.port, head, 'x'.repeat(250), 100, 8000),
      trickle(quick.port, `GET /health HTTP/1.1\r\n${host}\r\n`, '', 100, 8000),
      trickle(quick.port, '', '', 100, 8000),
    ]);
    for (const cut of [slowHead, stalledHead, slowBody, stalledBody]) {
      assert.match(cut.text, /^HTTP\/1\.1 408 [\s\S]*\r\nConnection: close\r\n/i);
      between(cut, 950, 5000);
    }
    assert.deepEqual([body.wasCut, body.text], [false, ''], 'at more than 1 KiB a second a body may take as long as it likes');
    assert.match(idle.text, /^HTTP\/1\.1 200 /);
    assert.equal(idle.text.match(/HTTP\/1\.1 /g).length, 1, 'without a word');
    between(idle, 1950, 6000);
    assert.equal(silent.text, '');
    between(silent, 1950, 6000);
  });

  test('a_reader_that_stops_is_reset_and_the_kernel_keeps_nothing_for_it', async () => {
    const socket = net.connect({ port: quick.port, host: '127.0.0.1' }, () => socket.write(`GET /openapi.json HTTP/1.1\r\n${host}\r\n`.repeat(400)));
    socket.on('error', () => {});
    socket.pause();
    const held = () => connectionsTo(quick.port);
    const seen = (what) => () => `${what}: ${JSON.stringify(held())}`;
    await until(() => held().length === 1 && held()[0]?.unsent > 4096, seen('more waits than the client takes'));
    await until(() => held().length === 0, seen('gone, and not as one that still waits for its reader'));
    socket.destroy();
  });
});

