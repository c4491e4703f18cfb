// What a real n8n sent, whole, split at every byte and in single bytes: always the same text or the same error.
// AERIE_TEST_SPLITS=all splits at every byte; otherwise every byte of the body where it is short or has wide characters, and
// every 5th elsewhere.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { captureNames, readCapture } from '../fake/captures.mjs';
import { startUpstream } from '../fake/upstream.mjs';
import { Aerie, inParallel } from '../tools/aerie.mjs';

const said = (n) => Array.from({ length: n }, (_, i) => `tok${i}`).join(' ');
const mock = 'Hello from the mock model. You said: Hello';

/** name → what the reader must get: text and, where it fails, the code. */
const expected = {
  'a1-respond-json': { text: 'Echo: Hello' },
  'a2-respond-text': { text: 'Echo: Hello' },
  'a4-respond-all-items': { text: 'Echo: Hello' },
  'a5-respond-no-data': { text: '', code: 'empty_reply' },
  'a6-respond-node-never-reached': { text: '', code: 'provider_error' },
  'b3-last-node-agent': { text: mock },
  'b4-immediately': { text: '', code: 'provider_malformed' },
  'b6b-echo-leaks-request-authorization': { text: '', code: 'provider_malformed' },
  'b7-last-node-agent-all-entries': { text: mock },
  'c1-stream-agent': { text: mock },
  'c1b-stream-agent-unicode': { text: 'Grüße 🎉 日本語 \u2028 end' },
  'c3-stream-agent-tool-call': { text: `Hello from the mock model. You said: [[tool=any]] compute` },
  'c6-stream-no-streaming-node': { text: '', code: 'empty_reply' },
  'c8-stream-session-turn1': { text: said(2) },
  'c8-stream-session-turn2': { text: said(2) },
  'd1-auth-ok': { text: 'authorized' },
  'd1b-auth-wrong-token': { text: '', code: 'provider_auth' },
  'd2-auth-stream-ok': { text: said(2) },
  'e1-chat-trigger-stream': { text: mock },
  'e1c-chat-trigger-our-payload': { text: '', code: 'provider_error' },
  'e1d-chat-trigger-load-previous': { text: '', code: 'provider_malformed' },
  'f1-error-last-node': { text: '', code: 'provider_error' },
  'f12-workflow-timeout-2s-stream': { text: said(14), code: 'provider_error' },
  'f4-error-after-agent-streamed': { text: said(3), code: 'provider_error' },
  'f9-stream-model-dies-mid-stream': { text: said(3), code: 'provider_error' },
  'h1-wrong-path': { text: '', code: 'provider_error' },
  'h2-wrong-method': { text: '', code: 'provider_error' },
  'h4-invalid-json': { text: '', code: 'provider_error' },
  'i1-client-disconnect-mid-stream': { text: said(15), code: 'provider_timeout' },
  'k2-server-sigkill-mid-stream': { text: said(15), code: 'interrupted' },
};

const all = process.env.AERIE_TEST_SPLITS === 'all';
const workers = all ? 64 : 24;

let aerie;
let upstream;
let agent;
let user;
const chats = [];
before(async () => {
  upstream = await startUpstream({ keep: false });
  aerie = await Aerie.start({ env: { UPSTREAM__ERROR_WAIT_MS: 50, UPSTREAM__IDLE_SECONDS: 2 } });
  agent = await aerie.admin.agent({ webhook_url: upstream.url(), config: { context_messages: 1 } });
  user = await aerie.user();
  for (let i = 0; i < workers; i++) chats.push(await user.chat(agent));
});
after(async () => {
  await aerie?.stop();
  await upstream?.close();
});

async function check(name, query, chat) {
  const want = expected[name];
  const where = `${name} ${query}`;
  const stream = await user.send(chat, `!capture=${name}${query}`);
  assert.equal(stream.status, 200, `${where}: ${stream.text}`);
  await stream.whole();
  assert.equal(stream.text, want.text, where);
  assert.equal(stream.of('done').length + stream.of('error').length, 1, where);
  if (want.code) assert.equal(stream.error?.code, want.code, where);
  else assert.ok(stream.done, `${where}: ${JSON.stringify(stream.error)}`);
  return stream;
}

/** Only what may be known of a failure is told: nothing of n8n's words, of a stack, of the token. */
function checkWords(stream, name) {
  const told = JSON.stringify(stream.events.filter((e) => e.type !== 'message'));
  for (const secret of ['secret-from-relay', 'stacktrace', 'webhook \\"POST', '127.0.0.1', 'TypeError', 'AbortError', 'Respond to Webhook node'])
    assert.ok(!told.includes(secret), `${name} tells ${secret}: ${told}`);
}

test('every_capture_has_an_expectation', () => {
  assert.deepEqual(captureNames().sort(), Object.keys(expected).sort());
});

describe('whole', { concurrency: 8 }, () => {
  for (const [i, name] of captureNames().entries())
    test(`capture_whole_${name}`, async () => {
      const chat = await user.chat(agent);
      const stream = await check(name, '', chat);
      checkWords(stream, name);
      const last = (await user.messages(chat)).at(-1);
      if (expected[name].text) {
        assert.equal(last.content, expected[name].text);
        const status = { undefined: 'complete', interrupted: 'interrupted' }[expected[name].code] ?? 'error';
        assert.equal(last.status, status);
      } else if (last.role === 'assistant') {
        assert.notEqual(last.status, 'complete');
      }
      assert.equal((await user.messages(chat))[0].role, 'user', `${i}`);
    });
});

test('in_single_bytes', async () => {
  await inParallel(workers, captureNames(), (name, worker) => check(name, '&bytes=1', chats[worker]));
});

test(all ? 'split_at_every_byte' : 'split_at_many_bytes', { timeout: 3_000_000 }, async () => {
  const jobs = [];
  for (const name of captureNames()) {
    if (!all && expected[name].code === 'provider_timeout') continue; // each waits for its deadline
    const { head, length } = readCapture(name);
    const bodyLength = length - head.length;
    const step = all || bodyLength < 130 || name.startsWith('c1b') ? 1 : Math.ceil(bodyLength / 60) | 1;
    for (let at = all ? 1 : head.length - 4; at < length; at += at < head.length ? 1 : step) jobs.push({ name, at });
  }
  // Those that wait for a deadline go first and spread out, so that the others fill the time.
  jobs.sort((a, b) => (expected[b.name].code === 'provider_timeout') - (expected[a.name].code === 'provider_timeout'));
  await inParallel(workers, jobs, ({ name, at }, worker) => check(name, `&split=${at}`, chats[worker]));
  console.log(`    ${jobs.length} splits`);
});
