// A widget's calls, made by a real browser from a page of another origin: what CORS lets it send and read.
import assert from 'node:assert/strict';
import http from 'node:http';
import { after, before, test } from 'node:test';
import { Aerie } from '../tools/aerie.mjs';
import { openBrowser } from './browser.mjs';

let aerie;
let browser;
let site;
let agent;
let page;
before(async () => {
  site = http.createServer((req, res) => res.setHeader('Content-Type', 'text/html').end('<!doctype html><title>A shop</title>')).listen(0, '127.0.0.1');
  await new Promise((resolve) => site.once('listening', resolve));
  aerie = await Aerie.start({ env: { LIMITS__VISITOR_MESSAGES_PER_MINUTE: 2 } });
  const origin = `http://127.0.0.1:${site.address().port}`;
  agent = await aerie.admin.agent({ provider: 'echo', allowed_origins: [origin] });
  browser = await openBrowser();
  page = await browser.newPage();
  await page.goto(origin);
});
after(async () => {
  await browser?.close();
  site?.close();
  await aerie?.stop();
});

const call = (path, options) => page.evaluate(async ([url, init]) => {
  try {
    const answer = await fetch(url, init);
    return { status: answer.status, text: await answer.text(), retryAfter: answer.headers.get('retry-after') };
  } catch (error) {
    return { failure: error.name };
  }
}, [aerie.base + path, options]);
const post = (path, body, headers = {}, more = {}) => call(path, { method: 'POST', headers: { 'Content-Type': 'application/json', ...headers }, body: JSON.stringify(body), ...more });

test('a_page_of_the_agents_origins_begins_writes_reads_and_sees_its_429', async () => {
  const begun = await post('/api/chat/widget/session', { chatbot_id: agent.id });
  assert.equal(begun.status, 200, JSON.stringify(begun));
  const { session_id, visitor_token } = JSON.parse(begun.text);
  const said = await post('/api/chat/widget', { session_id, message: 'hello' }, { 'Idempotency-Key': 'one' });
  assert.equal(JSON.parse(said.text).response, 'Echo: hello');
  const stream = await post('/api/chat/widget', { session_id, message: 'again' }, { Accept: 'text/event-stream' });
  assert.match(stream.text, /"type":"done"/);
  const late = await post('/api/chat/widget', { session_id, message: 'too much' });
  assert.equal(late.status, 429);
  assert.ok(Number(late.retryAfter) > 0, 'the page can read when to come back');
  const headers = { Authorization: `Bearer ${visitor_token}` };
  const read = await call(`/api/chat/widget/messages?session_id=${session_id}`, { headers });
  assert.deepEqual(JSON.parse(read.text).map((m) => m.content), ['hello', 'Echo: hello', 'again', 'Echo: again']);
  const id = [...stream.text.matchAll(/^id: (.*)$/gm)][0][1];
  const back = await call(`/api/chat/widget/stream?session_id=${session_id}`, { headers: { ...headers, 'Last-Event-ID': id } });
  assert.match(back.text, /"type":"done"/);
  assert.equal((await post('/api/chat/widget/stop', { session_id }, headers)).status, 202);
});

test('credentials_are_never_granted_and_other_pages_read_nothing', async () => {
  assert.deepEqual(await post('/api/chat/widget/session', { chatbot_id: agent.id }, {}, { credentials: 'include' }), { failure: 'TypeError' });
  const closed = await aerie.admin.agent({ provider: 'echo', allowed_origins: ['https://shop.test'] });
  assert.deepEqual(await post('/api/chat/widget/session', { chatbot_id: closed.id }), { failure: 'TypeError' });
  assert.deepEqual(await call('/api/agents', { headers: { Authorization: `Bearer ${aerie.admin.token}` } }), { failure: 'TypeError' });
});
