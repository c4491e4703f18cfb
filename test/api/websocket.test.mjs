import assert from 'node:assert/strict';
import { randomBytes, randomUUID } from 'node:crypto';
import net from 'node:net';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { startUpstream } from '../fake/upstream.mjs';
import { Aerie, isUuid, unique } from '../tools/aerie.mjs';
import { ChatSocket, openSocket } from '../tools/socket.mjs';

let aerie;
let strict; // short pings, short tokens, few messages a minute, and everything in the log
let upstream;
let agent;
let user;
let strictUser;
const OTHER_PAGE = 'https://shop.example';
before(async () => {
  upstream = await startUpstream();
  aerie = await Aerie.start({ env: { ALLOWED_ORIGINS: OTHER_PAGE } });
  agent = await aerie.admin.agent({ webhook_url: upstream.url() });
  user = await aerie.user();
  strict = await Aerie.start({
    env: { LIMITS__WEBSOCKET_PING_SECONDS: 1, LIMITS__WEBSOCKET_PONG_SECONDS: 1, LIMITS__MESSAGES_PER_MINUTE: 3, SECURITY__ACCESS_SECONDS: 60, LOG__LEVEL: 'trace' },
  });
  await strict.admin.agent({ webhook_url: upstream.url() });
  strictUser = await strict.user();
});
after(async () => {
  await aerie?.stop();
  await strict?.stop();
  await upstream?.close();
});

async function open(options = {}) {
  const socket = await openSocket(aerie.port, { token: user.token, ...options });
  assert.ok(socket instanceof ChatSocket, `no socket but ${socket.status} ${JSON.stringify(socket.json)}`);
  return socket;
}

// ---- talking ----

test('a_message_starts_a_chat_and_its_reply_comes_as_the_events_of_a_stream', async () => {
  const socket = await open();
  const turn = await socket.ask({ message: '!tokens=5&delay=10', agent_id: agent.id });
  assert.equal(turn.first.type, 'status');
  assert.match(turn.first.id, /:1$/);
  assert.deepEqual(turn.first.data, { description: 'Sending request to n8n webhook...', level: 'info', done: false, session_id: turn.session });
  assert.ok(isUuid(turn.session));
  assert.equal(turn.text, 'tok0 tok1 tok2 tok3 tok4');
  assert.equal(turn.last.type, 'done');
  const messages = await user.messages({ id: turn.session });
  assert.deepEqual(messages.map((m) => [m.role, m.content, m.status]), [['user', '!tokens=5&delay=10', 'complete'], ['assistant', turn.text, 'complete']]);
  assert.equal(messages[1].id, turn.last.data.message_id);
  await socket.close();
});

test('one_socket_takes_one_turn_after_the_other_in_one_chat_and_in_others', async () => {
  const socket = await open();
  const first = await socket.ask({ message: '!tokens=2', agent_id: agent.id });
  const second = await socket.ask({ message: '!tokens=3', session_id: first.session });
  assert.equal(second.session, first.session);
  assert.equal(second.text, 'tok0 tok1 tok2');
  assert.equal((await user.messages({ id: first.session })).length, 4);
  const other = await socket.ask({ message: '!tokens=1', session_id: null, agent_id: agent.id });
  assert.notEqual(other.session, first.session);
  assert.deepEqual(await socket.close(), { code: 1000, reason: '' });
});

test('a_socket_and_a_stream_number_the_same_events_alike', async () => {
  const chat = await user.chat(agent);
  const socket = await open();
  socket.send({ message: '!tokens=6&delay=30', session_id: chat.id });
  await socket.until((s) => s.of('message').length > 0);
  const stream = await user.follow(chat);
  await stream.whole();
  await socket.until((s) => s.of('done').length > 0);
  assert.equal(stream.text, socket.text);
  assert.equal(stream.lastId, socket.events.at(-1).id);
  assert.deepEqual(stream.events.at(-1).data, socket.events.at(-1).data);
  await socket.close();
});

test('text_comes_through_byte_for_byte', async () => {
  const echo = await aerie.admin.agent({ provider: 'echo' });
  const socket = await open();
  const text = 'Grüße 🎉 "quoted" \\ back\n\ttab   \u{10ffff} ' + 'ä'.repeat(3000);
  const turn = await socket.ask({ message: text, agent_id: echo.id });
  assert.ok(turn.text.includes(text));
  assert.equal((await user.messages({ id: turn.session }))[0].content, text);
  await socket.close();
});

test('a_long_reply_reaches_a_slow_reader_whole', async () => {
  const socket = await open();
  socket.send({ message: '!tokens=20000', agent_id: agent.id });
  socket.ws.pause();
  await sleep(500);
  socket.ws.resume();
  await socket.until((s) => s.of('done').length > 0);
  assert.equal(socket.text.length, (await user.messages({ id: socket.events[0].data.session_id })).at(-1).content.length);
  assert.ok(socket.text.endsWith('tok19999'));
  await socket.close();
});

test('a_second_message_is_a_conflict_while_a_reply_streams_and_the_socket_stays', async () => {
  const socket = await open();
  const stranger = await open();
  socket.send({ message: '!tokens=8&delay=60', agent_id: agent.id });
  await socket.until((s) => s.of('message').length > 0);
  const [{ data: { session_id } }] = socket.events;
  socket.send({ message: 'me too' });
  socket.send({ message: 'me too', session_id });
  assert.equal((await stranger.ask({ message: 'me too', session_id })).last.data.code, 'conflict'); // another socket, maybe another loop
  await socket.until((s) => s.of('done').length > 0);
  assert.deepEqual(socket.of('error').map((e) => [e.id, e.data.code]), [[undefined, 'conflict'], [undefined, 'conflict']]);
  assert.equal(socket.text, 'tok0 tok1 tok2 tok3 tok4 tok5 tok6 tok7');
  assert.equal((await user.messages({ id: session_id })).length, 2);
  assert.equal((await socket.ask({ message: '!tokens=1', session_id })).text, 'tok0');
  await Promise.all([socket.close(), stranger.close()]);
});

test('what_cannot_be_done_is_told_in_an_event_and_the_socket_stays', async () => {
  const socket = await open();
  const foreign = await (await aerie.user()).chat(agent);
  const elsewhere = await aerie.otherTeam();
  const foreignAgent = await elsewhere.admin.agent({ provider: 'echo' });
  const rows = [
    ['{"message":', 'bad_request'],
    ['', 'bad_request', /^message is required$/],
    ['[1]', 'bad_request'],
    ['"text"', 'bad_request'],
    ['['.repeat(2000), 'bad_request'],
    ['{"message":"a\\u0000b"}', 'bad_request'],
    [{}, 'bad_request', /^message is required$/],
    [{ message: '' }, 'bad_request', /^message /],
    [{ message: 7 }, 'bad_request', /^message must be a string$/],
    [{ message: 'x'.repeat(32001) }, 'bad_request', /^message /],
    [{ message: 'hi', session_id: 'x' }, 'bad_request', /^session_id /],
    [{ message: 'hi', agent_id: 'x' }, 'bad_request', /^agent_id /],
    [{ type: 'dance' }, 'bad_request', /^type /],
    [{ type: 'resume' }, 'bad_request', /^session_id is required$/],
    [{ message: 'hi', session_id: randomUUID() }, 'not_found'],
    [{ message: 'hi', session_id: foreign.id }, 'not_found'],
    [{ message: 'hi', agent_id: randomUUID() }, 'not_found'],
    [{ message: 'hi', agent_id: foreignAgent.id }, 'not_found'],
  ];
  const details = new Map();
  for (const [message, code, detail = /^[A-Z]/] of rows) {
    const { events: [event, ...more] } = await socket.ask(message);
    assert.deepEqual([event.type, event.data.code, event.id, more.length], ['error', code, undefined, 0], `${JSON.stringify(message)}: ${JSON.stringify(event)}`);
    assert.match(event.data.message, detail);
    details.set(message, event.data.message);
  }
  assert.equal(new Set(rows.filter(([, code]) => code === 'not_found').map(([message]) => details.get(message))).size, 2); // one for chats, one for agents
  assert.equal((await socket.ask({ message: '!tokens=1', agent_id: agent.id })).text, 'tok0');
  await socket.close();
});

test('a_failed_turn_ends_with_its_error_and_the_socket_stays', async () => {
  const socket = await open();
  const failed = await socket.ask({ message: '!status=500&format=raw', agent_id: agent.id });
  assert.deepEqual([failed.last.type, failed.last.data.code], ['error', 'provider_error']);
  assert.ok(failed.last.id);
  assert.equal((await socket.ask({ message: '!tokens=2', session_id: failed.session })).text, 'tok0 tok1');
  await socket.close();
});

test('the_same_idempotency_key_gives_the_same_reply_and_no_second_message', async () => {
  const socket = await open();
  const idempotency_key = unique('key');
  const message = { message: '!tokens=3', agent_id: agent.id, idempotency_key };
  const once = await socket.ask(message);
  const n = upstream.requests.length;
  const again = await socket.ask(message);
  assert.deepEqual([again.text, again.last.type, again.last.data.message_id], [once.text, 'done', once.last.data.message_id]);
  assert.equal(upstream.requests.length, n);
  assert.equal((await user.messages({ id: once.session })).length, 2);
  const { last } = await socket.ask({ ...message, message: 'something else' });
  assert.deepEqual([last.type, last.data.code], ['error', 'bad_request']);
  await socket.close();
});

// ---- stop, resume, and readers that go ----

test('stop_ends_the_reply_and_keeps_what_came', async () => {
  const socket = await open();
  socket.send({ type: 'stop' }); // nothing runs: nothing happens
  socket.send({ message: '!tokens=50&delay=50', agent_id: agent.id });
  await socket.until((s) => s.of('message').length > 1);
  socket.send({ type: 'stop' });
  await socket.until((s) => s.of('done').length > 0, 1000);
  assert.equal(socket.of('done')[0].data.stopped, true);
  const last = (await user.messages({ id: socket.events[0].data.session_id })).at(-1);
  assert.deepEqual([last.status, last.content], ['stopped', socket.text]);
  assert.deepEqual(socket.of('error'), []);
  await socket.close();
});

test('a_client_that_comes_back_gets_the_rest_once_and_in_order', async () => {
  const chat = await user.chat(agent);
  const lost = await open();
  lost.send({ message: '!tokens=12&delay=40', session_id: chat.id });
  await lost.until((s) => s.of('message').length > 2);
  lost.vanish();
  const back = await open();
  back.send({ type: 'resume', session_id: chat.id, last_event_id: lost.events.at(-1).id });
  await back.until((s) => s.of('done').length > 0);
  assert.equal(lost.text + back.text, 'tok0 tok1 tok2 tok3 tok4 tok5 tok6 tok7 tok8 tok9 tok10 tok11');
  assert.equal(back.of('status').length, 0);
  // From the start; and after the end.
  const whole = await back.ask({ type: 'resume', session_id: chat.id }).catch((error) => error);
  assert.match(String(whole), /after \d+/); // this reader insists on rising numbers, and got the first event again
  const late = await open();
  late.send({ type: 'resume', session_id: chat.id, last_event_id: back.events.at(-1).id });
  late.send({ type: 'resume', session_id: randomUUID() });
  await late.until((s) => s.events.length === 2);
  assert.deepEqual(late.events.map((e) => [e.type, e.data.done, e.id]), [['status', true, undefined], ['status', true, undefined]]);
  await late.close();
});

test('a_reply_that_was_resumed_can_be_stopped', async () => {
  const chat = await user.chat(agent);
  const lost = await open();
  lost.send({ message: '!tokens=60&delay=50', session_id: chat.id });
  await lost.until((s) => s.of('message').length > 0);
  const back = await open();
  back.send({ type: 'resume', session_id: chat.id });
  await back.until((s) => s.of('message').length > 0);
  back.send({ type: 'stop' });
  await Promise.all([lost, back].map((socket) => socket.until((s) => s.of('done').length > 0, 2000)));
  assert.equal(lost.text, back.text);
  assert.equal((await user.messages(chat)).at(-1).status, 'stopped');
  await Promise.all([lost.close(), back.close()]);
});

test('a_lost_socket_leaves_its_turn_to_on_disconnect', async () => {
  for (const [config, status] of [[{ on_disconnect: 'abort' }, 'stopped'], [{ on_disconnect: 'continue' }, 'complete']]) {
    const mine = await aerie.admin.agent({ webhook_url: upstream.url(), config });
    const chat = await user.chat(mine);
    const mark = unique('tag');
    const socket = await open();
    socket.send({ message: `!tokens=10&delay=60&tag=${mark}`, session_id: chat.id });
    await socket.until((s) => s.of('message').length > 1);
    const at = Date.now();
    socket.vanish();
    const reply = await user.settledReply(chat);
    assert.equal(reply.status, status);
    const request = upstream.requests.find((r) => r.options.tag === mark);
    if (status === 'stopped') assert.ok(request.aborted_at - at < 1000, `${request.aborted_at - at} ms`);
    else assert.equal(reply.content.split(' ').length, 10);
  }
});

test('a_client_may_vanish_at_any_moment', async () => {
  const jobs = Array.from({ length: 40 }, async (_, i) => {
    const socket = await open();
    const chat = await user.chat(agent);
    socket.send({ message: '!tokens=4&delay=10', session_id: chat.id });
    await sleep(i * 3);
    if (i % 3 === 0) socket.ws.close();
    else if (i % 3 === 1) socket.ws.terminate();
    else socket.vanish();
    return chat;
  });
  for (const chat of await Promise.all(jobs)) {
    const messages = await user.messages(chat);
    if (messages.length > 0) assert.equal((await user.settledReply(chat)).content, 'tok0 tok1 tok2 tok3');
  }
});

// ---- who may ----

test('the_token_comes_in_a_header_the_query_or_a_cookie', async () => {
  const cookie = `access_token=${user.token}`;
  const own = `http://127.0.0.1:${aerie.port}`;
  const rows = [
    [{}, 101],
    [{ token: null, query: `?token=${user.token}` }, 101],
    [{ token: null, headers: { Cookie: cookie } }, 101], // no Origin: no browser
    [{ token: null, headers: { Cookie: cookie, Origin: own } }, 101],
    [{ token: null, headers: { Cookie: cookie, Origin: OTHER_PAGE } }, 101],
    [{ headers: { Origin: OTHER_PAGE } }, 101],
    [{ token: null }, 401],
    [{ token: 'nonsense' }, 401],
    [{ token: null, query: '?token=nonsense' }, 401],
    [{ token: null, query: '?token=' }, 401],
    [{ token: 'nonsense', query: `?token=${user.token}` }, 401],
    [{ token: null, query: '?token=nonsense', headers: { Cookie: cookie } }, 401],
    [{ token: null, headers: { Cookie: cookie, Origin: 'https://evil.example' } }, 403],
    [{ token: null, headers: { Cookie: cookie, Origin: 'null' } }, 403],
    [{ headers: { Origin: 'https://evil.example' } }, 403],
    [{ token: null, query: `?token=${user.token}`, headers: { Origin: `http://127.0.0.1:${aerie.port + 1}` } }, 403],
  ];
  for (const [options, status] of rows) {
    const answer = await openSocket(aerie.port, { token: user.token, ...options });
    assert.equal(answer.status ?? 101, status, JSON.stringify(options));
    if (answer instanceof ChatSocket) await answer.close();
    else assert.equal(typeof answer.json.detail, 'string');
    if (status === 401) assert.equal(answer.headers['www-authenticate'], 'Bearer');
  }
  // No other route takes a token from its address.
  assert.equal((await aerie.request('GET', `/api/chats?token=${user.token}`)).status, 401);
});

test('what_is_no_upgrade_is_told_how_to_ask', async () => {
  const plain = await user.get('/api/chat/ws');
  assert.deepEqual([plain.status, plain.headers.upgrade, plain.headers['sec-websocket-version']], [426, 'websocket', '13']);
  const old = await openSocket(aerie.port, { token: user.token, protocolVersion: 8 });
  assert.deepEqual([old.status, old.headers['sec-websocket-version']], [426, '13']);
  assert.equal((await aerie.request('HEAD', '/api/chat/ws', { token: user.token })).status, 426);
  assert.equal((await user.post('/api/chat/ws', {})).status, 405);
});

test('a_logout_ends_the_socket_at_its_next_message', async () => {
  const leaver = await aerie.user();
  const socket = await openSocket(aerie.port, { token: leaver.token });
  const chat = await leaver.chat(agent);
  socket.send({ message: '!tokens=6&delay=60', session_id: chat.id });
  await socket.until((s) => s.of('message').length > 0);
  assert.equal((await leaver.post('/api/auth/logout')).status, 204);
  socket.send({ message: 'still me', session_id: chat.id });
  assert.equal((await socket.ended()).code, 1008);
});

test('a_token_that_expires_ends_the_socket_at_its_next_message', async () => {
  const short = await Aerie.start({ env: { SECURITY__ACCESS_SECONDS: 2 } });
  try {
    await short.admin.agent({ provider: 'echo' });
    const socket = await openSocket(short.port, { token: (await short.user()).token });
    assert.equal((await socket.ask({ message: 'in time' })).last.type, 'done');
    await sleep(2300);
    socket.send({ message: 'too late' });
    assert.equal((await socket.ended()).code, 1008);
  } finally {
    await short.stop();
  }
});

test('messages_a_minute_are_limited_as_everywhere', async () => {
  const socket = await openSocket(strict.port, { token: strictUser.token });
  const [first] = (await socket.ask({ message: '!tokens=1' })).events;
  for (let i = 0; i < 2; i++) await socket.ask({ message: '!tokens=1', session_id: first.data.session_id });
  const { last } = await socket.ask({ message: '!tokens=1', session_id: first.data.session_id });
  assert.deepEqual([last.type, last.data.code], ['error', 'rate_limited']);
  assert.ok(last.data.retry_after >= 1);
  assert.equal((await strictUser.post(`/api/chats/${first.data.session_id}/messages`, { content: 'x' })).status, 429);
  await socket.close();
});

test('a_token_in_the_address_is_in_no_log', async () => {
  const { token } = strictUser;
  for (const query of [`?token=${token}`, `?a=b&token=${token}x`]) {
    const socket = await openSocket(strict.port, { query });
    if (socket instanceof ChatSocket) {
      socket.send({ message: unique('the words of a user ') });
      await socket.until((s) => s.events.length > 0);
      await socket.close();
    }
  }
  assert.match(strict.log, /\/api\/chat\/ws 101/);
  assert.ok(!strict.log.includes(token) && !strict.log.includes(token.slice(-40)), 'the token is in the log');
  assert.doesNotMatch(strict.log, /the words of a user/);
});

// ---- the wire ----

const MASK = Buffer.from([0x37, 0xfa, 0x21, 0x3d]);
function frame(first, payload = '', { isMasked = true, length = Buffer.byteLength(payload) } = {}) {
  const bytes = Buffer.from(payload);
  const mask = isMasked ? 0x80 : 0;
  const head = length < 126 ? [first, mask | length] : length < 65536 ? [first, mask | 126, length >> 8, length & 255] : [first, mask | 127, 0, 0, 0, 0, ...new Uint8Array(new Uint32Array([length]).buffer).reverse()];
  if (isMasked) bytes.forEach((byte, i) => (bytes[i] = byte ^ MASK[i % 4]));
  return Buffer.concat([Buffer.from(head), isMasked ? MASK : Buffer.alloc(0), bytes]);
}

/** Upgrades by hand and sends the bytes in pieces: all that came back after the head, once the server has closed or `enough` says so. */
function speak(bytes, { step = Infinity, enough = () => false, together = false } = {}) {
  return new Promise((resolve, reject) => {
    const socket = net.connect({ host: '127.0.0.1', port: aerie.port, noDelay: true });
    const head = `GET /api/chat/ws?token=${user.token} HTTP/1.1\r\nHost: 127.0.0.1:${aerie.port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${randomBytes(16).toString('base64')}\r\n\r\n`;
    let got = Buffer.alloc(0);
    let at = -1;
    const timer = setTimeout(() => socket.destroy(new Error(`nothing more after ${JSON.stringify(got.toString('latin1').slice(-200))}`)), 10000);
    socket.on('error', (error) => (clearTimeout(timer), reject(error)));
    socket.on('data', async (part) => {
      got = Buffer.concat([got, part]);
      if (at < 0 && got.includes('\r\n\r\n')) {
        at = got.indexOf('\r\n\r\n') + 4;
        assert.match(got.toString('latin1'), /^HTTP\/1\.1 101 /);
        for (let i = 0; !together && i < bytes.length; i += step) {
          socket.write(bytes.subarray(i, i + step));
          if (step < bytes.length) await new Promise((next) => setImmediate(next));
        }
      }
      if (at >= 0 && enough(got.subarray(at))) socket.end();
    });
    socket.on('close', () => (clearTimeout(timer), resolve(got.subarray(at))));
    socket.write(together ? Buffer.concat([Buffer.from(head), bytes]) : head);
  });
}

test('violations_close_with_their_code', async () => {
  const rows = [
    ['not masked', frame(0x81, 'x', { isMasked: false }), 1002],
    ['a reserved bit', frame(0xc1, 'x'), 1002],
    ['a reserved opcode', frame(0x83, 'x'), 1002],
    ['a reserved control opcode', frame(0x8b, 'x'), 1002],
    ['a continuation of nothing', frame(0x80, 'x'), 1002],
    ['a message amid another', Buffer.concat([frame(0x01, 'x'), frame(0x81, 'y')]), 1002],
    ['a fragmented ping', frame(0x09, 'x'), 1002],
    ['a ping that is too long', frame(0x89, 'x'.repeat(126)), 1002],
    ['a Close with half a code', frame(0x88, Buffer.from([3])), 1002],
    ['a Close with a reserved code', frame(0x88, Buffer.from([3, 0xed])), 1002],
    ['binary', frame(0x82, 'x'), 1003],
    ['invalid UTF-8', frame(0x81, Buffer.from([0x61, 0xff])), 1007],
    ['a message that is too long', frame(0x81, 'x'.repeat(70000)), 1009],
    ['fragments that are too long together', Buffer.concat([frame(0x01, 'x'.repeat(40000)), frame(0x80, 'x'.repeat(40000))]), 1009],
  ];
  for (const [name, bytes, code] of rows) {
    const got = await speak(Buffer.concat([bytes, frame(0x81, '{"message":"after the end"}')]));
    assert.equal(got[0], 0x88, `${name}: ${got.toString('hex').slice(0, 80)}`);
    assert.equal(got.readUInt16BE(2), code, name);
    assert.equal(got.length, 2 + got[1], `${name}: more came after the Close`);
  }
});

test('fragments_with_control_frames_between_are_one_message_however_they_are_cut', async () => {
  const text = JSON.stringify({ message: 'Grüße', session_id: randomUUID() });
  const bytes = Buffer.from(text);
  const cut = bytes.indexOf(0xc3) + 1; // inside a character
  const all = Buffer.concat([frame(0x01, bytes.subarray(0, cut)), frame(0x89, 'hi'), frame(0x00, ''), frame(0x8a, ''), frame(0x80, bytes.subarray(cut))]);
  for (const step of [1, 2, 3, 7, Infinity]) {
    const got = await speak(all, { step, enough: (bytes) => bytes.includes('"code"') });
    assert.deepEqual([...got.subarray(0, 4)], [0x8a, 2, 0x68, 0x69]);
    const event = got.subarray(4 + (got[5] === 126 ? 4 : 2));
    assert.match(event.toString(), /^\{"type":"error","data":\{"message":"[^"]*","code":"not_found"\}\}$/);
  }
});

test('bytes_that_come_with_the_head_belong_to_the_socket', async () => {
  const got = await speak(Buffer.concat([frame(0x89, 'early'), frame(0x88, Buffer.from([3, 0xe9]))]), { together: true });
  assert.equal(got.toString('latin1'), '\x8a\x05early\x88\x02\x03\xe9');
});

test('a_silent_client_is_pinged_and_one_that_does_not_answer_is_closed', async () => {
  const alive = await openSocket(strict.port, { token: strictUser.token });
  const dead = await openSocket(strict.port, { token: strictUser.token, autoPong: false });
  let pings = 0;
  alive.ws.on('ping', () => pings++);
  assert.equal((await dead.ended()).code, 1008);
  await sleep(1500);
  assert.equal(alive.closed, null);
  assert.ok(pings >= 2, `${pings} pings`);
  await alive.close();
});

test('a_draining_server_ends_the_reply_and_says_goodbye', async () => {
  const leaving = await Aerie.start();
  try {
    const mine = await leaving.admin.agent({ webhook_url: upstream.url() });
    const someone = await leaving.user();
    const idle = await openSocket(leaving.port, { token: someone.token });
    const busy = await openSocket(leaving.port, { token: someone.token });
    busy.send({ message: '!tokens=10&delay=100', agent_id: mine.id });
    await busy.until((s) => s.of('message').length > 0);
    const halted = leaving.halt();
    assert.equal((await idle.ended()).code, 1001);
    assert.equal(busy.closed, null);
    assert.equal((await busy.ended()).code, 1001);
    assert.equal(busy.of('done').length, 1);
    assert.equal(busy.text.split(' ').length, 10);
    await halted;
  } finally {
    await leaving.stop();
  }
});
