// The fake must be right before anything is judged by it.
import assert from 'node:assert/strict';
import http from 'node:http';
import { after, before, test } from 'node:test';
import { captureNames, readCapture } from './captures.mjs';
import { KEYS } from './models.mjs';
import { startUpstream } from './upstream.mjs';

let upstream;
before(async () => (upstream = await startUpstream()));
after(() => upstream.close());

function post(url, body = {}, more = {}) {
  return new Promise((resolve, reject) => {
    const req = http.request(url, { method: 'POST', agent: false, headers: { 'Content-Type': 'application/json', ...more } }, (res) => {
      const parts = [];
      res.on('data', (part) => parts.push(part));
      res.on('end', () => resolve({ status: res.statusCode, headers: res.headers, text: Buffer.concat(parts).toString() }));
      res.on('error', reject);
    });
    req.on('error', reject);
    req.end(JSON.stringify(body));
  });
}

test('captures_are_read_with_their_framing', () => {
  assert.equal(captureNames().length, 30);
  const capture = readCapture('c1-stream-agent');
  assert.equal(capture.pieces.length, 11);
  assert.equal(capture.end, 'keep');
  assert.equal(readCapture('a1-respond-json').end, 'close');
  assert.equal(readCapture('k2-server-sigkill-mid-stream').end, 'close');
  assert.equal(readCapture('i1-client-disconnect-mid-stream').end, 'hang');
  assert.match(capture.pieces[0].toString(), /^99\r\n\{"type":"begin"/);
});

test('a_capture_comes_back_byte_for_byte_whole_split_and_in_single_bytes', async () => {
  const whole = await post(upstream.url({ capture: 'c1b-stream-agent-unicode' }));
  const split = await post(upstream.url({ capture: 'c1b-stream-agent-unicode', split: 251 }));
  const bytes = await post(upstream.url({ capture: 'c1b-stream-agent-unicode', bytes: 1 }));
  assert.match(whole.text, /Grüße.*日本語/s);
  assert.equal(split.text, whole.text);
  assert.equal(bytes.text, whole.text);
});

test('made_up_replies_have_the_asked_text', async () => {
  const items = await post(upstream.url({ tokens: 4 }));
  assert.equal(items.text.trim().split('\n').map((l) => JSON.parse(l).content ?? '').join(''), 'tok0 tok1 tok2 tok3');
  const sse = await post(upstream.url({ format: 'sse', text: 'one two' }));
  assert.equal(sse.text, 'data: {"content":"one"}\n\ndata: {"content":" two"}\n\ndata: [DONE]\n\n');
  const openai = await post(upstream.url({ format: 'openai' }), { stream: false, model: 'm' });
  assert.equal(JSON.parse(openai.text).choices[0].message.content, 'tok0 tok1 tok2');
});

test('the_message_can_choose_and_is_recorded', async () => {
  const answer = await post(upstream.url({ tag: 'chosen' }), { chatInput: '!format=json&shape=output&text=hi' });
  assert.deepEqual(JSON.parse(answer.text), { output: 'hi' });
  assert.equal(upstream.tagged('chosen').length, 1);
  assert.ok(upstream.tagged('chosen')[0].ended_at);
});

test('a_cut_answer_fails_at_the_reader_and_a_hang_up_is_noticed', async () => {
  await assert.rejects(post(upstream.url({ cut: 100 })));
  await assert.rejects(post(upstream.url({ reset_piece: 2 })));
  const req = http.request(upstream.url({ stall_piece: 1, tag: 'left' }), { method: 'POST', agent: false });
  req.on('error', () => {});
  req.end('{}');
  const seen = await upstream.waitFor((r) => r.options.tag === 'left' && r.sent > 0);
  req.destroy();
  while (!seen.aborted_at) await new Promise((resolve) => setTimeout(resolve, 2));
});

test('openai_refuses_what_the_real_one_refuses', async () => {
  const good = { model: 'gpt', stream: true, stream_options: { include_usage: true }, messages: [{ role: 'user', content: 'Hi' }] };
  const ask = (body, key = `Bearer ${KEYS.openai}`) => post(upstream.url({ tokens: 2, tools: 1 }, '/openai/v1/chat/completions'), body, key ? { Authorization: key } : {});
  const answer = await ask(good);
  const events = answer.text.split('\n\n').filter(Boolean).map((e) => e.slice('data: '.length));
  assert.equal(events.pop(), '[DONE]');
  assert.deepEqual(JSON.parse(events.at(-1)).choices, []);
  assert.equal(JSON.parse(events.at(-1)).usage.completion_tokens, 2);
  assert.ok(events.some((e) => JSON.parse(e).choices[0]?.delta.tool_calls));
  assert.equal((await ask(good, '')).status, 401);
  assert.equal(JSON.parse((await ask(good, 'Bearer wrong')).text).error.code, 'invalid_api_key');
  for (const bad of [{ model: undefined }, { messages: [] }, { top_k: 1 }, { messages: [{ role: 'model', content: 'Hi' }] }, { stream: false }])
    assert.equal((await ask({ ...good, ...bad })).status, 400, JSON.stringify(bad));
});

test('anthropic_refuses_what_the_real_one_refuses', async () => {
  const said = (role, text = 'Hi') => ({ role, content: [{ type: 'text', text }] });
  const good = { model: 'claude', max_tokens: 9, stream: true, messages: [said('user')] };
  const headers = { 'x-api-key': KEYS.anthropic, 'anthropic-version': '2023-06-01' };
  const ask = (body, more = headers) => post(upstream.url({ tokens: 2, thinking: 1, tools: 1 }, '/anthropic/v1/messages'), body, more);
  const events = (await ask(good)).text.split('\n\n').filter(Boolean).map((e) => /^event: (\w+)\ndata: (.+)$/.exec(e));
  const types = events.map((e) => e[1]);
  assert.deepEqual(types, events.map((e) => JSON.parse(e[2]).type), 'the name is in the data too');
  const block = (...inside) => ['content_block_start', ...inside, 'content_block_stop'];
  const delta = 'content_block_delta';
  assert.deepEqual(types, ['message_start', ...block(delta, delta), ...block('ping', delta, delta), ...block(delta, delta, delta, 'ping'), 'message_delta', 'message_stop']);
  assert.equal((await ask(good, { ...headers, 'x-api-key': '' })).status, 401);
  assert.equal((await ask(good, { Authorization: `Bearer ${KEYS.anthropic}` })).status, 401);
  assert.equal((await ask(good, { 'x-api-key': KEYS.anthropic })).status, 400);
  for (const bad of [{ max_tokens: undefined }, { model: '' }, { messages: [] }, { messages: [said('assistant')] }, { messages: [said('user'), said('user')] },
    { messages: [said('system')] }, { messages: [said('user', ' ')] }, { seed: 1 }, { stop_sequences: 'END' }, { temperature: 1.5 }]) {
    const answer = await ask({ ...good, ...bad });
    assert.equal(answer.status, 400, JSON.stringify(bad));
    assert.equal(JSON.parse(answer.text).error.type, 'invalid_request_error');
  }
});

test('gemini_refuses_what_the_real_one_refuses', async () => {
  const said = (role, text = 'Hi') => ({ role, parts: [{ text }] });
  const good = { contents: [said('user')], generationConfig: { topP: 1 } };
  const ask = (body, { key = KEYS.gemini, model = 'gemini-x', ...options } = {}) =>
    post(upstream.url({ alt: 'sse', tokens: 2, ...options }, `/gemini/v1beta/models/${model}:streamGenerateContent`), body, key ? { 'x-goog-api-key': key } : {});
  const answer = await ask(good, { text: "it's <b>" });
  assert.match(answer.text, /^data: \{"candidates": \[/);
  assert.match(answer.text, /it\\u0027s/);
  const events = answer.text.split('\r\n\r\n').filter(Boolean).map((e) => JSON.parse(e.slice('data: '.length)));
  assert.equal(events.map((e) => e.candidates[0].content.parts[0].text).join(''), "it's <b>");
  assert.deepEqual(events.map((e) => e.candidates[0].finishReason).filter(Boolean), ['STOP']);
  assert.equal(JSON.parse((await ask(good, { alt: 'json' })).text).length, 3, 'an array, unless events are asked for');
  assert.match((await ask(good, { fail: 503, stray: 1 })).text, /\r\n\r\n\{\n {2}"error": \{/);
  assert.equal((await ask(good, { key: '' })).status, 403);
  assert.equal(JSON.parse((await ask(good, { key: 'wrong' })).text).error.details[0].reason, 'API_KEY_INVALID');
  assert.equal((await ask(good, { model: 'gpt-4' })).status, 404);
  for (const bad of [{ contents: [] }, { contents: [said('assistant')] }, { contents: [said('model')] }, { contents: [said('user'), said('user')] },
    { contents: [said('user', '')] }, { generationConfig: { max_tokens: 1 } }, { generationConfig: { stopSequences: 'END' } }, { system: 'x' }])
    assert.equal((await ask({ ...good, ...bad })).status, 400, JSON.stringify(bad));
});
