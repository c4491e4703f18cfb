// What agents may do to us: the protocol towards n8n and OpenAI-compatible models, and every way to fail.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import http2 from 'node:http2';
import https from 'node:https';
import net from 'node:net';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { startUpstream } from '../fake/upstream.mjs';
import { Aerie, inParallel, isTime, makeFolder, unique } from '../tools/aerie.mjs';
import { freePort } from '../tools/postgres.mjs';
import { makeCertificate } from '../tools/tls.mjs';

let aerie;
let upstream;
let agent;
let user;
before(async () => {
  upstream = await startUpstream();
  aerie = await Aerie.start({ env: {
    UPSTREAM__CONNECT_SECONDS: 2, UPSTREAM__FIRST_BYTE_SECONDS: 2, UPSTREAM__IDLE_SECONDS: 1, UPSTREAM__TOTAL_SECONDS: 8,
    UPSTREAM__ERROR_WAIT_MS: 300, TURN__HEARTBEAT_SECONDS: 1,
  } });
  agent = await aerie.admin.agent({ webhook_url: upstream.url() });
  user = await aerie.user();
});
after(async () => {
  await aerie?.stop();
  await upstream?.close();
});

const tag = () => unique('tag');

async function ask(query, of = agent) {
  const chat = await user.chat(of);
  const stream = await user.ask(chat, `!${query}`);
  return { chat, stream, last: (await user.messages(chat)).at(-1) };
}

test('n8n_gets_the_payload_that_webhooks_and_chat_triggers_read', async () => {
  const made = await aerie.admin.agent({ webhook_url: upstream.url(), webhook_token: 'relay-token', system_prompt: 'Be kind.', config: { model: 'gpt-4', temperature: 0.7 } });
  const chat = await user.chat(made);
  await user.ask(chat, '!tokens=1');
  const mark = tag();
  await user.ask(chat, `!tokens=1&tag=${mark}`);
  const [request] = upstream.tagged(mark);
  assert.equal(request.method, 'POST');
  assert.match(request.headers['content-type'], /^application\/json/);
  assert.equal(request.headers.authorization, 'Bearer relay-token');
  assert.equal(request.headers['accept-encoding'], undefined, 'compression would break streaming');
  assert.equal(request.headers.expect, undefined);
  const { json } = request;
  assert.deepEqual(json.messages.map((m) => [m.role, m.content]), [['user', '!tokens=1'], ['assistant', 'tok0'], ['user', `!tokens=1&tag=${mark}`]]);
  assert.ok(json.messages.every((m) => isTime(m.timestamp)));
  assert.equal(json.system_prompt, 'Be kind.');
  assert.equal(json.config.model, 'gpt-4');
  assert.equal(json.config.temperature, 0.7);
  assert.equal(json.action, 'sendMessage');
  assert.equal(json.sessionId, chat.id);
  assert.equal(json.chatInput, `!tokens=1&tag=${mark}`);
});

const raw = (text, more = '') => `format=raw&raw=${encodeURIComponent(text)}${more}`;
const item = (content) => `${JSON.stringify({ type: 'item', content })}\n`;

/** [name, query, text] of replies that are right. */
const good = [
  ['json_lines', 'tokens=3', 'tok0 tok1 tok2'],
  ['json_lines_without_an_end_but_a_proper_end_of_the_body', 'tokens=3&done=0', 'tok0 tok1 tok2'],
  ['json_lines_with_blank_lines_as_heartbeats', raw(`\n\n${item('a')}\n\r\n\n${item('b')}\n`), 'ab'],
  ['json_lines_with_unknown_types', raw(`{"type":"begin"}\n{"type":"tool-call","content":"no"}\n${item('a')}{"type":"end"}\n`), 'a'],
  ['json_lines_with_empty_items', raw(`{"type":"begin"}\n${item('')}${item('a')}${item('')}{"type":"end"}\n`), 'a'],
  ['json_lines_with_several_pairs', raw(`{"type":"begin"}\n{"type":"end"}\n{"type":"begin"}\n${item('a')}{"type":"end"}\n{"type":"begin"}\n${item('b')}{"type":"end"}\n`), 'ab'],
  ['json_lines_without_the_last_newline', raw(`{"type":"begin"}\n{"type":"item","content":"a"}`), 'a'],
  ['json_in_an_item_is_literal_text', raw(item('{"output":"x"}')), '{"output":"x"}'],
  ['json_lines_with_crlf', raw(`{"type":"begin"}\r\n{"type":"item","content":"a"}\r\n{"type":"end"}\r\n`), 'a'],
  ['sse', 'format=sse&tokens=3', 'tok0 tok1 tok2'],
  ['sse_without_done', 'format=sse&tokens=3&done=0', 'tok0 tok1 tok2'],
  ['sse_told_as_json', 'format=sse&tokens=3&type=application/json', 'tok0 tok1 tok2'],
  ['sse_with_crlf_comments_and_event_names', raw(': hi\r\n\r\nevent: message\r\nid: 7\r\ndata: {"content":"a"}\r\n\r\nretry: 5\r\n\r\ndata:{"content":"b"}\r\n\r\ndata: [DONE]\r\n\r\n'), 'ab'],
  ['sse_with_a_split_json_over_two_data_lines', raw('data: {"content":\ndata: "a"}\n\ndata: [DONE]\n\n'), 'a'],
  ['sse_with_data_after_done', raw('data: {"content":"a"}\n\ndata: [DONE]\n\ndata: {"content":"b"}\n\n'), 'a'],
  ['one_object_content', 'format=json', 'tok0 tok1 tok2'],
  ['one_object_output', 'format=json&shape=output', 'tok0 tok1 tok2'],
  ['one_object_text', 'format=json&shape=text', 'tok0 tok1 tok2'],
  ['one_object_response', 'format=json&shape=response', 'tok0 tok1 tok2'],
  ['one_object_message', 'format=json&shape=message', 'tok0 tok1 tok2'],
  ['one_array', 'format=array', 'tok0 tok1 tok2'],
  ['one_pretty_object', raw('{\n  "output": "a\\nb"\n}\n'), 'a\nb'],
  ['plain_text', 'format=text', 'tok0 tok1 tok2'],
  ['plain_text_under_html', 'format=text&type=text/html', 'tok0 tok1 tok2'],
  ['plain_text_with_a_length', 'format=text&framing=length', 'tok0 tok1 tok2'],
  ['plain_text_until_the_end', 'format=text&framing=close', 'tok0 tok1 tok2'],
  ['single_bytes', `bytes=1&text=${encodeURIComponent('Grüße 🎉 日本語')}`, 'Grüße 🎉 日本語'],
  ['escaped_surrogates', raw(item('x').replace('x', '\\ud83c\\udf89')), '🎉'],
];

describe('replies', { concurrency: 8 }, () => {
  for (const [name, query, text] of good)
    test(`reply_${name}`, async () => {
      const { stream, last } = await ask(query);
      assert.equal(stream.text, text, JSON.stringify(stream.error));
      assert.ok(stream.done, JSON.stringify(stream.error));
      assert.deepEqual([last.status, last.content], ['complete', text]);
    });
});

/** [name, query, code, text that is kept]; more of them, in every format, are in ../fault/faults.mjs. */
const bad = [
  ['status_401', 'status=401&format=raw', 'provider_auth', ''],
  ['status_403', 'status=403&format=raw', 'provider_auth', ''],
  ['status_404', 'status=404&format=html', 'provider_error', ''],
  ['status_429', 'status=429&format=raw&retry_after=7', 'provider_rate_limited', ''],
  ['status_500', 'status=500&format=raw', 'provider_error', ''],
  ['status_500_with_an_answer_in_it', 'status=500&format=json', 'provider_error', ''],
  ['status_302', 'status=302&location=/elsewhere&format=raw', 'provider_error', ''],
  ['status_204', 'status=204', 'empty_reply', ''],
  ['empty_body', 'format=empty', 'empty_reply', ''],
  ['empty_body_with_a_length', 'format=empty&framing=length', 'empty_reply', ''],
  ['only_begin_and_end', 'tokens=0', 'empty_reply', ''],
  ['only_done', 'format=sse&tokens=0', 'empty_reply', ''],
  ['empty_content', raw('{"content":""}'), 'empty_reply', ''],
  ['an_empty_array', raw('[]'), undefined, ''],
  ['html', 'format=html', 'provider_malformed', ''],
  ['n8n_starting_up', raw('n8n is starting up. Please wait', '&type=text/html'), 'provider_unreachable', ''],
  ['workflow_was_started', raw('{"message":"Workflow was started"}'), 'provider_malformed', ''],
  ['an_echo_of_the_request', raw('[{"headers":{"authorization":"Bearer x"},"params":{},"query":{},"body":{"messages":[]}}]'), 'provider_malformed', ''],
  ['an_object_without_an_answer', raw('{"foo":"bar"}'), 'provider_malformed', ''],
  ['broken_json', raw('{"content":"abc'), undefined, ''],
  ['cut_in_the_stream', 'tokens=5&cut_piece=4', 'interrupted', 'tok0 tok1 tok2'],
  ['cut_before_the_first_token', 'tokens=5&cut_piece=1', 'interrupted', ''],
  ['cut_before_any_byte_of_the_body', 'tokens=5&cut=0', 'interrupted', ''],
  ['reset_in_the_stream', 'tokens=5&reset_piece=3', 'interrupted', 'tok0 tok1'],
  ['a_length_that_is_not_reached', 'format=json&framing=length&claim=5000&end=close', 'interrupted', ''],
  ['sse_cut', 'format=sse&tokens=5&cut_piece=2', 'interrupted', 'tok0 tok1'],
  ['error_object_first', raw('{"type":"error","content":"no"}\n'), 'provider_error', ''],
  ['error_object_after_text', raw(`${item('a')}{"type":"error"}\n`), 'provider_error', 'a'],
  ['error_object_after_end', raw(`{"type":"begin"}\n${item('a')}{"type":"end"}\n{"type":"error","content":"late"}\n`), 'provider_error', 'a'],
  ['error_in_sse', raw('data: {"content":"a"}\n\ndata: {"error":{"message":"quota"}}\n\n'), 'provider_error', 'a'],
  ['silence_from_the_start', 'silent=1', 'provider_timeout', ''],
  ['silence_after_the_head', 'stall=0', 'provider_timeout', ''],
  ['silence_in_the_middle', 'tokens=5&stall_piece=3', 'provider_timeout', 'tok0 tok1'],
];

describe('failures', { concurrency: 8 }, () => {
  for (const [name, query, code, text] of bad)
    test(`failure_${name}`, async () => {
      const { stream, last } = await ask(query);
      assert.equal(stream.of('error').length, 1, JSON.stringify(stream.events.slice(-3)));
      assert.equal(stream.of('done').length, 0);
      if (code) assert.equal(stream.error.code, code, JSON.stringify(stream.error));
      assert.ok(stream.error.message.length > 5);
      assert.ok(!stream.error.message.includes('127.0.0.1'), stream.error.message);
      assert.equal(stream.text, text);
      if (stream.text) {
        assert.equal(last.content, stream.text);
        assert.ok(['error', 'interrupted'].includes(last.status), last.status);
      } else {
        assert.ok(last.role === 'user' || last.status !== 'complete', JSON.stringify(last).slice(0, 200));
      }
    });
});

test('protocol_garbage_gives_one_error', async () => {
  const replies = {
    '/no-http': 'HELLO\r\n\r\n',
    '/half-head': 'HTTP/1.1 200 OK\r\nContent-',
    '/bad-chunk': 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nhello\r\n',
    '/nothing': '',
    '/http09': 'just text without any head',
  };
  for (const [path, bytes] of Object.entries(replies)) {
    upstream.handle(path, async (_, socket) => socket.end(bytes));
    const made = await aerie.admin.agent({ webhook_url: upstream.url({}, path) });
    const stream = await user.ask(await user.chat(made), 'hello');
    assert.equal(stream.of('error').length, 1, path);
    assert.equal(stream.of('done').length, 0, path);
  }
});

test('invalid_utf8_becomes_replacement_characters', async () => {
  const bytes = Buffer.concat([Buffer.from('{"type":"item","content":"a'), Buffer.from([0xff, 0xc3]), Buffer.from('b"}\n')]);
  const { stream } = await ask(`format=hex&hex=${bytes.toString('hex')}`);
  if (stream.done) {
    assert.match(stream.text, /^a\ufffd+b$/);
  } else {
    assert.equal(stream.error.code, 'provider_malformed');
  }
  const text = await ask(`format=hex&hex=${Buffer.from([0x61, 0x80, 0xe2, 0x82, 0x62, 0xf0, 0x9f]).toString('hex')}&type=text/plain`);
  assert.ok(text.stream.done, JSON.stringify(text.stream.error));
  assert.match(text.stream.text, /^a\ufffd+b\ufffd+$/);
});

test('an_error_that_never_ends_is_ended_by_us', async () => {
  const began = Date.now();
  const { stream, last } = await ask(`${raw(`${item('part')}{"type":"error","content":"timeout"}\n`)}&stall_piece=1`);
  assert.equal(stream.error.code, 'provider_error');
  assert.ok(Date.now() - began < 5000);
  assert.deepEqual([last.status, last.content], ['error', 'part']);
});

test('nobody_there_is_unreachable_and_tells_no_address', async () => {
  const port = await freePort();
  const silent = net.createServer((socket) => socket.destroy());
  await new Promise((resolve) => silent.listen(0, '127.0.0.1', resolve));
  const urls = [`http://127.0.0.1:${port}/x`, 'http://no-such-host.invalid/x', `https://127.0.0.1:${silent.address().port}/x`];
  const told = new Set();
  try {
    for (const webhook_url of urls) {
      const made = await aerie.admin.agent({ webhook_url });
      const chat = await user.chat(made);
      const stream = await user.ask(chat, 'hello');
      assert.equal(stream.error.code, 'provider_unreachable', webhook_url);
      assert.ok(!/127\.0\.0\.1|invalid/.test(JSON.stringify(stream.events)));
      told.add(stream.error.message);
      assert.equal((await user.messages(chat))[0].content, 'hello');
    }
  } finally {
    silent.close();
  }
  assert.equal(told.size, 1, 'a closed, an unknown and a refused address look the same');
});

test('n8n_is_never_asked_twice', async () => {
  for (const query of ['status=500&format=raw', 'status=503&format=raw', 'status=429&format=raw', 'cut=0', 'tokens=3&cut_piece=2']) {
    const mark = tag();
    await ask(`${query}&tag=${mark}`);
    assert.equal(upstream.tagged(mark).length, 1, query);
  }
});

test('a_kept_connection_that_died_does_not_run_a_workflow_twice', async () => {
  upstream.handle('/once', async (request, socket) => {
    if (socket.served) return socket.resetAndDestroy();
    socket.served = true;
    return socket.write('HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 14\r\n\r\n{"output":"a"}');
  });
  const made = await aerie.admin.agent({ webhook_url: upstream.url({}, '/once') });
  let asked = 0;
  for (let i = 0; i < 12; i++) {
    const chat = await user.chat(made);
    const stream = await user.ask(chat, `round ${i}`);
    asked += upstream.requests.filter((r) => r.path === '/once' && r.json.sessionId === chat.id).length;
    assert.ok(stream.done || ['interrupted', 'provider_unreachable', 'provider_error'].includes(stream.error.code), JSON.stringify(stream.error));
  }
  assert.equal(asked, 12, 'each message was sent once');
});

test('the_egress_guard_refuses_inner_addresses_and_looks_like_a_closed_port', async () => {
  const guarded = await Aerie.start({ env: { UPSTREAM__CONNECT_SECONDS: 2 } });
  try {
    const urls = [upstream.url(), `http://localhost:${upstream.port}/webhook/fake`, `http://[::ffff:127.0.0.1]:${upstream.port}/webhook/fake`];
    const chats = [];
    for (const webhook_url of urls) chats.push(await guarded.admin.chat(await guarded.admin.agent({ webhook_url })));
    assert.ok((await guarded.admin.ask(chats[0], 'hello')).done, 'listed, it may be called');
    await guarded.halt();
    guarded.env.EGRESS__ALLOW = null;
    await guarded.listen();
    for (const webhook_url of urls) {
      const answer = await guarded.admin.post('/api/agents', { name: 'x', webhook_url });
      assert.equal(answer.status, 422, answer.text);
      assert.equal(answer.json.errors[0].field, 'webhook_url');
    }
    const before = upstream.connections;
    for (const chat of chats) {
      const stream = await guarded.admin.ask(chat, 'hello');
      assert.equal(stream.error.code, 'provider_unreachable');
    }
    assert.equal(upstream.connections, before, 'not even connected');
    await guarded.stop();
  } finally {
    guarded.drop();
  }
});

test('openai_compatible_models_stream_and_do_not_and_tell_their_usage', async () => {
  const made = await aerie.admin.agent({ provider: 'openai_compatible', webhook_url: `http://127.0.0.1:${upstream.port}/v1`, webhook_token: 'sk-test', model: 'small-1', system_prompt: 'Be kind.', config: { temperature: 0.2, max_tokens: 50 } });
  const chat = await user.chat(made);
  const mark = tag();
  const stream = await user.ask(chat, `!format=openai&tokens=4&tag=${mark}`);
  assert.equal(stream.text, 'tok0 tok1 tok2 tok3', JSON.stringify(stream.error));
  assert.ok(stream.done);
  const [request] = upstream.tagged(mark);
  assert.equal(request.path, '/v1/chat/completions');
  assert.equal(request.headers.authorization, 'Bearer sk-test');
  assert.equal(request.json.model, 'small-1');
  assert.equal(request.json.stream, true);
  assert.equal(request.json.temperature, 0.2);
  assert.equal(request.json.max_tokens, 50);
  assert.deepEqual(request.json.messages.map((m) => [m.role, m.content]), [['system', 'Be kind.'], ['user', `!format=openai&tokens=4&tag=${mark}`]]);
  assert.ok(request.json.messages.every((m) => Object.keys(m).sort().join() === 'content,role'));
  const last = (await user.messages(chat)).at(-1);
  assert.equal(last.model, 'small-1');
  assert.equal(last.usage.total_tokens ?? last.usage.tokens, 11);
});

test('openai_compatible_failures_have_their_codes', async () => {
  const made = await aerie.admin.agent({ provider: 'openai_compatible', webhook_url: `http://127.0.0.1:${upstream.port}/v1`, webhook_token: 'sk-test', model: 'm' });
  const cases = [
    ['status=401&format=raw&raw={"error":{"message":"bad key"}}', 'provider_auth'],
    ['status=400&format=raw&raw={"error":{"message":"context too long"}}', 'provider_error'],
    ['format=openai&tokens=5&cut_piece=4', 'interrupted'],
    ['format=openai&tokens=0', 'empty_reply'],
    [`format=raw&raw=${encodeURIComponent('data: {"error":{"message":"overloaded"}}\n\n')}`, 'provider_error'],
    ['format=html', 'provider_malformed'],
    ['format=openai&tokens=3&done=0', undefined],
  ];
  await inParallel(6, cases, async ([query, code]) => {
    const stream = await user.ask(await user.chat(made), `!${query}`);
    if (code) assert.equal(stream.error?.code, code, `${query}: ${JSON.stringify(stream.events.at(-1))}`);
    else assert.ok(stream.done, JSON.stringify(stream.error));
    assert.ok(!JSON.stringify(stream.error ?? '').includes('bad key'));
  });
});

test('a_long_message_goes_whole_over_tls_by_either_version_of_http', async () => {
  const folder = makeFolder();
  const { key, cert, path } = makeCertificate(folder, 'agent');
  const hashOf = (text) => createHash('sha256').update(text).digest('hex');
  const options = { key, cert };
  const answer = async (request, response) => {
    const said = JSON.parse(Buffer.concat(await request.toArray())).chatInput;
    response.end(JSON.stringify({ output: `${request.httpVersion} ${hashOf(said)}` }));
  };
  const servers = { '1.1': https.createServer(options, answer), '2.0': http2.createSecureServer(options, answer) };
  const own = await Aerie.start({ env: { UPSTREAM__CA_FILE: path } });
  try {
    for (const [version, server] of Object.entries(servers)) {
      await once(server.listen(0, '127.0.0.1'), 'listening');
      const agent = await own.admin.agent({ webhook_url: `https://127.0.0.1:${server.address().port}/x` });
      const content = Array.from({ length: 3000 }, (_, i) => `wörd ${i}`).join(' ');
      const stream = await own.admin.ask(await own.admin.chat(agent), content);
      assert.equal(stream.text, `${version} ${hashOf(content)}`);
    }
    await own.stop();
  } finally {
    own.drop();
    for (const server of Object.values(servers)) server.close();
  }
});
