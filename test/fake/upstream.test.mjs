// The fake must be right before anything is judged by it.
import assert from 'node:assert/strict';
import http from 'node:http';
import { after, before, test } from 'node:test';
import { captureNames, readCapture } from './captures.mjs';
import { startUpstream } from './upstream.mjs';

let upstream;
before(async () => (upstream = await startUpstream()));
after(() => upstream.close());

function post(url, body = {}) {
  return new Promise((resolve, reject) => {
    const req = http.request(url, { method: 'POST', agent: false, headers: { 'Content-Type': 'application/json' } }, (res) => {
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
