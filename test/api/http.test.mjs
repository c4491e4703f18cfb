// HTTP/1.1 as it comes over the wire: what is understood, what is refused, and that refusals are clean.
import assert from 'node:assert/strict';
import net from 'node:net';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Aerie } from '../tools/aerie.mjs';
import { raw } from '../tools/http.mjs';

let aerie;
let token;
before(async () => {
  aerie = await Aerie.start({ env: { LIMITS__HEAD_SECONDS: 2 } });
  token = aerie.admin.token;
});
after(() => aerie?.stop());

const host = 'Host: 127.0.0.1\r\n';
const get = (path, more = '') => `GET ${path} HTTP/1.1\r\n${host}${more}\r\n`;
const login = (body, more = '') => `POST /api/auth/login HTTP/1.1\r\n${host}Content-Type: application/json\r\nContent-Length: ${Buffer.byteLength(body)}\r\n${more}\r\n${body}`;
const wrongLogin = JSON.stringify({ email: 'nobody@aerie.test', password: 'wrong password' });

/** Everything that every response carries. */
function checkHeaders(answer) {
  assert.ok(answer.headers['x-request-id'], JSON.stringify(answer));
  assert.equal(answer.headers['x-content-type-options'], 'nosniff');
  assert.equal(answer.headers['referrer-policy'], 'no-referrer');
  if (answer.status >= 400 && answer.body) {
    const json = JSON.parse(answer.body);
    assert.equal(typeof json.detail, 'string');
    assert.match(answer.headers['content-type'], /^application\/json/);
  }
}

test('keep_alive_and_pipelining_answer_in_order', async () => {
  const many = get('/health', 'X-Request-Id: r1\r\n') + get('/nope', 'X-Request-Id: r2\r\n') + login(wrongLogin, 'X-Request-Id: r3\r\n') + get('/health', 'X-Request-Id: r4\r\n');
  const { answers, closed } = await raw(aerie.port, many);
  assert.deepEqual(answers.map((a) => a.status), [200, 404, 401, 200]);
  assert.deepEqual(answers.map((a) => a.headers['x-request-id']), ['r1', 'r2', 'r3', 'r4']);
  assert.equal(closed, false);
  answers.forEach(checkHeaders);
});

test('a_request_in_single_bytes_is_understood', async () => {
  const bytes = login(wrongLogin);
  const { answers } = await raw(aerie.port, [...bytes].flatMap((c) => [c, 0]));
  assert.deepEqual(answers.map((a) => a.status), [401]);
});

test('chunked_bodies_are_read', async () => {
  const head = `POST /api/auth/login HTTP/1.1\r\n${host}Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n`;
  const chunks = [...wrongLogin].map((c) => `1\r\n${c}\r\n`).join('');
  const { answers } = await raw(aerie.port, [`${head}${chunks}0\r\n\r\n${get('/health')}`]);
  assert.deepEqual(answers.map((a) => a.status), [401, 200]);
  const { answers: withTrailer } = await raw(aerie.port, `${head}5;ext=1\r\n{"a":\r\n2\r\n1}\r\n0\r\nX-Trailer: yes\r\n\r\n`);
  assert.deepEqual(withTrailer.map((a) => a.status), [422]);
});

test('connection_close_and_http_1_0_close', async () => {
  const { answers, closed } = await raw(aerie.port, get('/health', 'Connection: close\r\n'));
  assert.deepEqual([answers[0].status, closed], [200, true]);
  assert.match(answers[0].headers.connection, /close/i);
  const old = await raw(aerie.port, `GET /health HTTP/1.0\r\n${host}\r\n`);
  assert.deepEqual([old.answers[0].status, old.closed], [200, true]);
});

test('head_is_get_without_a_body', async () => {
  const { answers } = await raw(aerie.port, `HEAD /health HTTP/1.1\r\n${host}\r\n${get('/health')}`, { heads: [0] });
  assert.deepEqual(answers.map((a) => a.status), [200, 200]);
  assert.equal(answers[0].body, '');
  assert.equal(answers[0].headers['content-length'], answers[1].headers['content-length']);
});

test('a_wrong_method_is_405_with_allow_and_options_is_answered', async () => {
  const { answers } = await raw(aerie.port, `DELETE /api/auth/login HTTP/1.1\r\n${host}\r\n`);
  assert.equal(answers[0].status, 405);
  assert.match(answers[0].headers.allow, /POST/);
  checkHeaders(answers[0]);
  const options = await raw(aerie.port, `OPTIONS /api/chats HTTP/1.1\r\n${host}\r\n`);
  assert.ok([200, 204].includes(options.answers[0].status));
  assert.match(options.answers[0].headers.allow, /GET/);
  assert.match(options.answers[0].headers.allow, /POST/);
  const none = await raw(aerie.port, `OPTIONS /nope HTTP/1.1\r\n${host}\r\n`);
  assert.equal(none.answers[0].status, 404);
});

test('expect_100_continue_is_answered_before_the_body_and_refused_when_too_large', async () => {
  const head = `POST /api/auth/login HTTP/1.1\r\n${host}Content-Type: application/json\r\nExpect: 100-continue\r\nContent-Length: `;
  const { answers } = await raw(aerie.port, [`${head}${wrongLogin.length}\r\n\r\n`, 200, wrongLogin]);
  assert.deepEqual(answers.map((a) => a.status), [100, 401]);
  const large = await raw(aerie.port, `${head}99999999\r\n\r\n`);
  assert.deepEqual(large.answers.map((a) => a.status), [413]);
  assert.equal(large.closed, true);
});

test('a_sane_request_id_is_kept_and_another_is_replaced', async () => {
  const kept = await aerie.request('GET', '/health', { headers: { 'X-Request-Id': 'abc-123' } });
  assert.equal(kept.headers['x-request-id'], 'abc-123');
  for (const id of ['with space', 'x'.repeat(300), '<script>', 'a"b'])
    assert.notEqual((await aerie.request('GET', '/health', { headers: { 'X-Request-Id': id } })).headers['x-request-id'], id);
});

/** [name, bytes, statuses]: one answer, then the connection closes. */
const refused = [
  ['no_host', 'GET /health HTTP/1.1\r\n\r\n', [400]],
  ['two_hosts', `GET /health HTTP/1.1\r\n${host}Host: other\r\n\r\n`, [400]],
  ['an_empty_method', ` /health HTTP/1.1\r\n${host}\r\n`, [400]],
  ['an_unknown_method', `BREW /health HTTP/1.1\r\n${host}\r\n`, [400, 405, 501]],
  ['get_star', `GET * HTTP/1.1\r\n${host}\r\n`, [400]],
  ['http_2_in_the_line', `GET /health HTTP/2.0\r\n${host}\r\n`, [400, 505]],
  ['http_1_0_with_transfer_encoding', `POST /api/auth/login HTTP/1.0\r\n${host}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n`, [400]],
  ['a_space_before_the_colon', `GET /health HTTP/1.1\r\nHost : x\r\n\r\n`, [400]],
  ['a_folded_line', `GET /health HTTP/1.1\r\n${host}X-A: 1\r\n 2\r\n\r\n`, [400]],
  ['a_bare_carriage_return', `GET /health HTTP/1.1\r\n${host}X-A: 1\rX-B: 2\r\n\r\n`, [400]],
  ['a_bare_line_feed', `GET /health HTTP/1.1\nHost: x\n\n`, [400]],
  ['a_nul_in_a_header', `GET /health HTTP/1.1\r\n${host}X-A: a\0b\r\n\r\n`, [400]],
  ['two_content_lengths', `POST /api/auth/login HTTP/1.1\r\n${host}Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd`, [400]],
  ['a_negative_length', `POST /api/auth/login HTTP/1.1\r\n${host}Content-Length: -1\r\n\r\n`, [400]],
  ['a_plus_length', `POST /api/auth/login HTTP/1.1\r\n${host}Content-Length: +3\r\n\r\nabc`, [400]],
  ['an_endless_length', `POST /api/auth/login HTTP/1.1\r\n${host}Content-Length: 99999999999999999999999\r\n\r\n`, [400, 413]],
  ['length_and_chunked', `POST /api/auth/login HTTP/1.1\r\n${host}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`, [400]],
  ['chunked_not_last', `POST /api/auth/login HTTP/1.1\r\n${host}Transfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n`, [400, 501]],
  ['chunked_twice', `POST /api/auth/login HTTP/1.1\r\n${host}Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`, [400, 501]],
  ['an_unknown_transfer_encoding', `POST /api/auth/login HTTP/1.1\r\n${host}Transfer-Encoding: gzip\r\n\r\n`, [400, 501]],
  ['a_broken_chunk', `POST /api/auth/login HTTP/1.1\r\n${host}Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n`, [400]],
  ['a_host_in_the_trailer', `POST /api/auth/login HTTP/1.1\r\n${host}Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\nHost: evil\r\n\r\n`, [400]],
  ['framing_in_the_trailer', `POST /api/auth/login HTTP/1.1\r\n${host}Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\nContent-Length: 3\r\n\r\n`, [400]],
  ['a_long_request_line', `GET /${'x'.repeat(9000)} HTTP/1.1\r\n${host}\r\n`, [414]],
  ['a_long_head', `GET /health HTTP/1.1\r\n${host}${'X-Filler: y\r\n'.repeat(20)}X-Long: ${'x'.repeat(17000)}\r\n\r\n`, [431]],
  ['too_many_lines', `GET /health HTTP/1.1\r\n${host}${'A: b\r\n'.repeat(120)}\r\n`, [431]],
  ['a_body_too_large', `POST /api/auth/login HTTP/1.1\r\n${host}Content-Type: application/json\r\nContent-Length: 1048577\r\n\r\n`, [413]],
  ['tls_on_a_plain_port', Buffer.from('160301020001000001fc0303', 'hex'), [400]],
  ['nonsense', 'nonsense\r\n\r\n', [400]],
];

describe('refusals', { concurrency: 8 }, () => {
  for (const [name, bytes, statuses] of refused)
    test(`refused_${name}`, async () => {
      // What follows must never be taken for a second request: that would be smuggling.
      const { answers, closed } = await raw(aerie.port, bytes, { quiet: 1500 });
      assert.equal(answers.length, 1, `${answers.map((a) => a.status)}`);
      assert.ok(statuses.includes(answers[0].status), `${answers[0].status} ${answers[0].body}`);
      assert.equal(closed, true, 'the connection closes');
      checkHeaders(answers[0]);
    });
});

test('a_chunked_body_too_large_is_413', async () => {
  const chunk = `10000\r\n${'x'.repeat(65536)}\r\n`;
  const { answers } = await raw(aerie.port, [`POST /api/auth/login HTTP/1.1\r\n${host}Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n`, ...Array(20).fill(chunk)], { quiet: 1000 });
  assert.equal(answers[0]?.status, 413);
});

test('broken_escapes_and_traversals_harm_nobody', async () => {
  for (const path of ['/%', '/%zz', '/api/chats/%00', '/api/chats/..%2f..%2fetc', '/../../etc/passwd', '//', '/api//chats', '/api/chats/', '/api/chats?q=%ff', '/api/chats?limit=%', '/?' + 'a=b&'.repeat(500)]) {
    const { answers } = await raw(aerie.port, get(path, `Authorization: Bearer ${token}\r\n`));
    assert.ok(answers[0].status < 500, `${path}: ${answers[0].status}`);
  }
});

test('an_absolute_target_is_understood', async () => {
  const { answers } = await raw(aerie.port, `GET http://127.0.0.1/health HTTP/1.1\r\n${host}\r\n`);
  assert.ok([200, 400].includes(answers[0].status));
});

test('media_types_are_checked', async () => {
  const send = (type, body, more = '') => raw(aerie.port, `POST /api/auth/login HTTP/1.1\r\n${host}${type ? `Content-Type: ${type}\r\n` : ''}${more}Content-Length: ${body.length}\r\n\r\n${body}`);
  assert.equal((await send('text/plain', wrongLogin)).answers[0].status, 415);
  assert.equal((await send('application/json; charset=utf-8', wrongLogin)).answers[0].status, 401);
  assert.equal((await send('application/json', wrongLogin, 'Content-Encoding: gzip\r\n')).answers[0].status, 415);
  assert.equal((await send('application/xml', '<a/>')).answers[0].status, 415);
});

test('a_slow_head_is_cut_with_408', async () => {
  const began = Date.now();
  const { answers, closed } = await raw(aerie.port, ['GET /health HTTP/1.1\r\n', 200, 'Host: x\r\n', 3500], { quiet: 200, timeout: 8000 });
  assert.ok(closed, 'cut');
  if (answers.length > 0) assert.equal(answers[0].status, 408);
  assert.ok(Date.now() - began < 7000);
});

test('half_closed_clients_still_get_their_answer', async () => {
  const bytes = await new Promise((resolve) => {
    const parts = [];
    const socket = net.connect({ port: aerie.port, host: '127.0.0.1', allowHalfOpen: true }, () => socket.end(get('/health', 'Connection: close\r\n')));
    socket.on('data', (b) => parts.push(b));
    socket.on('close', () => resolve(Buffer.concat(parts).toString()));
    socket.on('error', () => {});
  });
  assert.match(bytes, /^HTTP\/1\.1 200/);
});

test('clients_that_vanish_at_every_byte_do_no_harm', async () => {
  const bytes = login(wrongLogin) + get('/health');
  for (let at = 0; at < bytes.length; at += 3) {
    await new Promise((resolve) => {
      const socket = net.connect(aerie.port, '127.0.0.1', () => {
        socket.write(bytes.slice(0, at), () => (at % 2 ? socket.destroy() : socket.resetAndDestroy()));
      });
      socket.on('error', () => {});
      socket.on('close', resolve);
    });
  }
  assert.equal((await aerie.request('GET', '/health')).status, 200);
});

test('many_idle_connections_cost_no_service', async () => {
  const sockets = await Promise.all(Array.from({ length: 300 }, () => new Promise((resolve) => {
    const socket = net.connect(aerie.port, '127.0.0.1', () => resolve(socket));
    socket.on('error', () => {});
  })));
  assert.equal((await aerie.request('GET', '/health')).status, 200);
  for (const socket of sockets) socket.destroy();
  await sleep(50);
});

test('random_bytes_never_bring_a_5xx', async () => {
  let seed = 7;
  const draw = () => (seed = (seed * 1103515245 + 12345) & 0x7fffffff) / 0x7fffffff;
  const valid = login(wrongLogin);
  for (let i = 0; i < 150; i++) {
    const bytes = Buffer.from(valid);
    for (let k = 0; k < 1 + draw() * 6; k++) bytes[Math.floor(draw() * bytes.length)] = Math.floor(draw() * 256);
    const { text } = await raw(aerie.port, bytes, { quiet: 25, timeout: 1000 }).catch((error) => ({ text: String(error) }));
    assert.doesNotMatch(text, /^HTTP\/1\.1 5(?!0[15] )/, bytes.toString('latin1'));
  }
});
