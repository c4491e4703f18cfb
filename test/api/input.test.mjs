// Bad input gets the status of the contract and changes nothing (bad_input.test.mjs has all that is bad); good text comes back byte for byte.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { startUpstream } from '../fake/upstream.mjs';
import { Aerie, inParallel, PASSWORD, unique } from '../tools/aerie.mjs';

let aerie;
let upstream;
let echo;
let user;
let chat;
before(async () => {
  upstream = await startUpstream();
  aerie = await Aerie.start();
  echo = await aerie.admin.agent({ webhook_url: upstream.url({ echo: '1' }) });
  user = await aerie.user();
  chat = await user.chat(echo);
});
after(async () => {
  await aerie?.stop();
  await upstream?.close();
});

const id = '00000000-0000-7000-8000-000000000000';
const deep = (n) => '['.repeat(n) + ']'.repeat(n);

test('what_is_no_json_is_400_and_what_is_wrong_is_422_with_the_field', async () => {
  const post = (body) => aerie.request('POST', '/api/auth/login', { body, headers: { 'Content-Type': 'application/json' } });
  for (const body of ['{', '{"a":1,}', 'nonsense', '{"a":1}x', `{"a":${deep(65)}}`]) assert.equal((await post(body)).status, 400, body.slice(0, 40));
  const wrong = await post('{"email":5,"password":"x"}');
  assert.equal(wrong.status, 422);
  assert.equal(wrong.json.errors[0].field, 'email');
  const invalid = await post(Buffer.from('{"email":"\xff@b.test","password":"x"}', 'latin1'));
  assert.equal(invalid.status, 400, 'invalid UTF-8');
});

test('ids_that_are_none_look_missing', async () => {
  for (const bad of ['x', '1', `${id}0`, id.slice(1), id.toUpperCase().replaceAll('0', 'G'), '%27', 'null', '../x', '%F0%9F%8E%89', 'x'.repeat(2000)])
    for (const path of [`/api/chats/${bad}`, `/api/chats/${bad}/messages`, `/api/agents/${bad}`, `/api/users/${bad}`, `/chatbots/${bad}`, `/api/chats/${bad}/stream`])
      assert.equal((await aerie.admin.get(path)).status, 404, path.slice(0, 100));
});

test('message_content_has_its_bounds_in_characters', async () => {
  const send = (content) => user.post(`/api/chats/${chat.id}/messages`, { content }, { headers: { Accept: 'application/json' } });
  for (const content of ['', null, 5, [], {}, true, 'x'.repeat(32001), '🎉'.repeat(32001)]) {
    const answer = await send(content);
    assert.equal(answer.status, 422, `${JSON.stringify(content)?.slice(0, 40)}: ${answer.status} ${answer.text.slice(0, 100)}`);
    assert.equal(answer.json.errors[0].field, 'content');
  }
  assert.equal((await send('🎉'.repeat(32000))).json.content, '🎉'.repeat(32000));
  assert.equal((await send('x')).status, 200);
});

const texts = {
  plain: 'Hello', umlauts: 'Grüße aus Köln', emoji: '🎉👩‍👩‍👧‍👦🏳️‍🌈', cjk: '日本語 한국어 中文', rtl: 'שלום עולם مرحبا', quotes: `"double" 'single' \`back\``, backslashes: '\\n \\u0041 \\\\', newlines: 'a\nb\r\nc\n\n\nd',
  tabs: 'a\tb', html: '<script>alert("x")</script>&amp;', sse: 'data: x\n\nid: 5\n: comment\nevent: y', json: '{"content":"x"}', sql: "'; DROP TABLE messages;--", percent: '%s %d %n %%', wide: '\u{10FFFF}\u{1F600}\uFFFD\uFEFF', spaces: '  two  spaces  ', controls: 'a\u0007b\u001bc', format: '\u202Eevil\u200B\u2028\u2029',
  combining: 'e\u0301 \u00e9 a\u0300\u0301\u0302', long: 'wörd '.repeat(4000).trim(),
};

test('text_comes_back_byte_for_byte_through_the_agent_the_stream_and_the_database', async () => {
  await inParallel(4, Object.entries(texts), async ([name, content]) => {
    const own = await user.chat(echo);
    const stream = await user.send(own, content);
    if (name === 'controls' && stream.status === 422) return; // other control characters may be refused, but not mangled
    assert.equal(stream.status, 200, `${name}: ${stream.text}`);
    await stream.whole();
    assert.equal(stream.text, content, name);
    const messages = await user.messages(own);
    assert.equal(messages[0].content, content, `${name}: the message`);
    assert.equal(messages[1].content, content, `${name}: the reply`);
    const sent = upstream.requests.find((r) => r.json?.sessionId === own.id);
    assert.equal(sent.json.chatInput, content, `${name}: what the agent got`);
    const exported = (await user.get(`/api/chats/${own.id}/export?format=json`)).json;
    assert.equal(exported.messages[1].content, content, `${name}: the export`);
  });
});

test('titles_names_and_metadata_come_back_as_they_were', async () => {
  for (const [name, text] of Object.entries(texts)) {
    if (['newlines', 'tabs', 'controls', 'sse', 'spaces', 'long', 'wide', 'format'].includes(name)) continue;
    const made = await user.post('/api/chats', { agent_id: echo.id, title: text, metadata: { [text]: [text, { deep: text }] } });
    assert.equal(made.status, 201, `${name}: ${made.text}`);
    const read = (await user.get(`/api/chats/${made.json.id}`)).json;
    assert.equal(read.title, text);
    assert.deepEqual(read.metadata, { [text]: [text, { deep: text }] });
  }
  const named = await aerie.request('POST', '/api/auth/register', { json: { email: `${unique()}@aerie.test`, password: PASSWORD, full_name: texts.rtl } });
  assert.equal(named.json.full_name, texts.rtl);
});

test('nul_is_refused_wherever_text_goes', async () => {
  const cases = [
    ['POST', '/api/chats', { agent_id: echo.id, title: 'a\u0000b' }], ['POST', '/api/agents', { name: 'a\u0000b', provider: 'echo' }],
    ['POST', '/api/agents', { name: 'x', provider: 'echo', system_prompt: 'a\u0000b' }], ['PUT', '/api/auth/me', { full_name: 'a\u0000b' }],
    ['POST', '/api/chats', { agent_id: echo.id, metadata: { a: 'x\u0000y' } }], ['PUT', '/api/team', { name: 'a\u0000b' }],
  ];
  for (const [method, path, json] of cases) {
    const answer = await aerie.request(method, path, { token: aerie.admin.token, json });
    assert.ok([400, 422].includes(answer.status), `${method} ${path} ${JSON.stringify(json)}: ${answer.status} ${answer.text.slice(0, 150)}`);
  }
});

test('what_was_stored_before_is_still_there', async () => {
  const messages = await user.messages(chat);
  assert.deepEqual(messages.map((m) => m.content.length), [64000, 64000, 1, 1]);
  assert.equal((await aerie.request('GET', '/health')).status, 200);
});
