// An agent as a model of OpenAI's protocol: with the official client, and byte by byte with fetch.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import OpenAI from 'openai';
import { startUpstream } from '../fake/upstream.mjs';
import { Aerie, isUuid, unique, withinASecond } from '../tools/aerie.mjs';

let aerie;
let upstream;
let n8n; // {agent, key, id, api}
let model;

before(async () => {
  upstream = await startUpstream();
  aerie = await Aerie.start({ env: { TURN__HEARTBEAT_SECONDS: 1, LIMITS__MESSAGE_CHARS: 2000 } });
  n8n = await agentWithKey({ webhook_url: upstream.url() });
  model = await agentWithKey({ provider: 'openai_compatible', webhook_url: upstream.url({}, '/v1'), model: 'fake-7b', webhook_token: 'sk-inner', system_prompt: 'Be brief.' });
});
after(async () => {
  await upstream?.close();
  await aerie?.stop();
});

/** An agent, a key of its own, and the official client that holds the key. */
async function agentWithKey(fields, keyFields = {}, admin = aerie.admin) {
  const agent = await admin.agent(fields);
  const made = await admin.post(`/api/agents/${agent.id}/api-keys`, keyFields);
  assert.equal(made.status, 201, made.text);
  return { agent, key: made.json.api_key, id: made.json.id, api: clientOf(made.json.api_key) };
}

function clientOf(apiKey, options = {}) {
  return new OpenAI({ apiKey, baseURL: `${aerie.base}/v1`, maxRetries: 0, ...options });
}

const said = (content) => [{ role: 'user', content }];

const get = (path, headers) => fetch(aerie.base + path, { headers });

function post(key, body) {
  return fetch(aerie.base + '/v1/chat/completions', {
    method: 'POST',
    headers: { 'Content-Type': 'application/json', Authorization: `Bearer ${key}` },
    body: typeof body === 'string' ? body : JSON.stringify(body),
  });
}

/** The answer must be an error in OpenAI's shape. */
async function checkError(answer, status, code, { type, param = null } = {}) {
  const { error } = await answer.json();
  assert.equal(answer.status, status, JSON.stringify(error));
  assert.deepEqual(Object.keys(error).sort(), ['code', 'message', 'param', 'type']);
  assert.equal(error.code, code);
  assert.equal(error.param, param);
  if (type) assert.equal(error.type, type);
  assert.ok(error.message.length > 5);
  return error;
}

async function waitForAbort(call, since) {
  while (!call.aborted_at && Date.now() - since < 3000) await sleep(5);
  assert.ok(call.aborted_at - since <= 1000, `the upstream was closed after ${call.aborted_at - since} ms`);
}

test('the_official_client_gets_a_whole_answer_of_an_n8n_agent', async () => {
  const answer = await n8n.api.chat.completions.create({ model: n8n.agent.id, messages: said('!tokens=4&tag=whole') });
  assert.equal(answer.object, 'chat.completion');
  assert.match(answer.id, /^chatcmpl-[0-9a-f-]{36}$/);
  assert.equal(answer.model, n8n.agent.id);
  assert.ok(Math.abs(answer.created - Date.now() / 1000) < 60);
  assert.deepEqual(answer.choices, [{ index: 0, message: { role: 'assistant', content: 'tok0 tok1 tok2 tok3', refusal: null }, logprobs: null, finish_reason: 'stop' }]);
  assert.deepEqual(answer.usage, { prompt_tokens: 5, completion_tokens: 5, total_tokens: 10 }, 'n8n tells no usage: four characters a token');
  const [call] = upstream.tagged('whole');
  assert.equal(call.json.chatInput, '!tokens=4&tag=whole');
  assert.ok(isUuid(call.json.sessionId));
});

test('the_official_client_streams_an_n8n_agent', async () => {
  const stream = await n8n.api.chat.completions.create({ model: n8n.agent.id, messages: said('!tokens=5&delay=5'), stream: true });
  const chunks = [];
  for await (const chunk of stream) chunks.push(chunk);
  assert.deepEqual(chunks[0].choices[0].delta, { role: 'assistant', content: '' });
  assert.equal(chunks.map((c) => c.choices[0].delta.content ?? '').join(''), 'tok0 tok1 tok2 tok3 tok4');
  assert.ok(chunks.length >= 5, `it came bit by bit: ${chunks.length} chunks`);
  assert.deepEqual(chunks.map((c) => c.choices[0].finish_reason).filter(Boolean), ['stop']);
  assert.deepEqual(chunks.at(-1).choices[0].delta, {});
  assert.equal(new Set(chunks.map((c) => c.id)).size, 1);
  assert.ok(chunks.every((c) => c.object === 'chat.completion.chunk' && !('usage' in c)));
});

test('usage_is_the_providers_own_when_it_tells', async () => {
  const whole = await model.api.chat.completions.create({ model: model.agent.id, messages: said('!format=openai&tokens=3') });
  assert.deepEqual(whole.usage, { prompt_tokens: 7, completion_tokens: 3, total_tokens: 10 });
  const stream = await model.api.chat.completions.create({ model: model.agent.id, messages: said('!format=openai&tokens=3'), stream: true, stream_options: { include_usage: true } });
  const chunks = [];
  for await (const chunk of stream) chunks.push(chunk);
  assert.deepEqual(chunks.at(-1).choices, []);
  assert.deepEqual(chunks.at(-1).usage, whole.usage);
  assert.ok(chunks.slice(0, -1).every((c) => c.usage === null));
});

test('the_helper_of_the_official_client_collects_the_final_message', async () => {
  const runner = model.api.chat.completions.stream({ model: model.agent.id, messages: said('!format=openai&tokens=3') });
  assert.equal(await runner.finalContent(), 'tok0 tok1 tok2');
});

test('the_bytes_of_a_stream_are_events_and_end_with_done', async () => {
  const answer = await post(n8n.key, { model: n8n.agent.id, messages: said('!tokens=2'), stream: true });
  assert.equal(answer.status, 200);
  assert.equal(answer.headers.get('content-type'), 'text/event-stream');
  const events = (await answer.text()).split('\n\n');
  assert.equal(events.pop(), '');
  assert.equal(events.pop(), 'data: [DONE]');
  for (const event of events) assert.ok(JSON.parse(event.slice('data: '.length)).choices);
});

test('the_agents_words_come_first_and_parts_of_text_are_lines', async () => {
  await model.api.chat.completions.create({
    model: model.agent.id,
    temperature: 0.1,
    messages: [
      { role: 'system', content: 'You are a pirate.' },
      { role: 'user', content: 'Hello' },
      { role: 'assistant', content: null, tool_calls: [] },
      { role: 'assistant', content: 'Ahoy' },
      { role: 'developer', content: [{ type: 'text', text: 'Rhyme.' }] },
      { role: 'user', content: [{ type: 'text', text: '!format=openai&tag=parts&x=' }, { type: 'text', text: 'grüße 🙂' }] },
    ],
  });
  const call = await upstream.waitFor((r) => r.json?.messages?.at(-1)?.content?.startsWith('!format=openai&tag=parts&x='));
  assert.equal(call.headers.authorization, 'Bearer sk-inner');
  assert.equal(call.json.model, 'fake-7b');
  assert.ok(!('temperature' in call.json), 'how the agent is asked is its admin\'s to say');
  assert.deepEqual(call.json.messages, [
    { role: 'system', content: 'Be brief.\n\nYou are a pirate.\n\nRhyme.' },
    { role: 'user', content: 'Hello' },
    { role: 'assistant', content: 'Ahoy' },
    { role: 'user', content: '!format=openai&tag=parts&x=\ngrüße 🙂' },
  ]);
});

for (const stream of [true, false]) {
  test(`a_client_that_aborts_${stream ? 'a_stream' : 'the_wait_for_a_whole_answer'}_closes_the_upstream_within_a_second`, async () => {
    const tag = unique('abort');
    const controller = new AbortController();
    const asking = n8n.api.chat.completions.create({ model: n8n.agent.id, messages: said(`!tokens=1000&delay=20&tag=${tag}`), stream }, { signal: controller.signal });
    const call = await upstream.waitFor((r) => r.options.tag === tag);
    if (stream) {
      for await (const chunk of await asking) if (chunk.choices[0].delta.content) break; // leaving the loop aborts
    } else {
      asking.catch(() => {});
      await sleep(50);
      controller.abort();
      await assert.rejects(asking, OpenAI.APIUserAbortError);
    }
    await waitForAbort(call, Date.now());
  });

  test(`a_client_that_aborts_before_the_first_token_closes_the_upstream_too_${stream}`, async () => {
    const tag = unique('early');
    const controller = new AbortController();
    const asking = n8n.api.chat.completions.create({ model: n8n.agent.id, messages: said(`!silent=1&tag=${tag}`), stream }, { signal: controller.signal });
    asking.catch(() => {});
    const call = await upstream.waitFor((r) => r.options.tag === tag);
    controller.abort();
    await assert.rejects(asking, OpenAI.APIUserAbortError);
    await waitForAbort(call, Date.now());
  });
}

test('an_agent_that_thinks_for_long_is_waited_for_with_comments', async () => {
  const answer = await post(n8n.key, { model: n8n.agent.id, messages: said('!first=2300&tokens=1'), stream: true });
  const text = await answer.text();
  assert.match(text, /^data: \{[^\n]*"role":"assistant"[^\n]*\}\n\n: keep-alive\n\ndata: /);
  assert.match(text, /"content":"tok0"/);
});

test('a_failure_before_the_first_token_is_a_status_and_is_not_sent_again', async () => {
  for (const stream of [true, false]) {
    const tag = unique('broken');
    const api = clientOf(n8n.key, { maxRetries: 2 });
    await assert.rejects(api.chat.completions.create({ model: n8n.agent.id, messages: said(`!status=500&tag=${tag}`), stream }), (error) => {
      assert.ok(error instanceof OpenAI.InternalServerError);
      assert.equal(error.status, 502);
      assert.equal(error.type, 'api_error');
      assert.equal(error.code, 'provider_error');
      return true;
    });
    assert.equal(upstream.tagged(tag).length, 1, 'a workflow runs once');
  }
});

test('a_failure_in_mid_stream_is_an_error_after_the_text', async () => {
  let text = '';
  const stream = await n8n.api.chat.completions.create({ model: n8n.agent.id, messages: said('!tokens=9&delay=10&cut_piece=4'), stream: true });
  await assert.rejects(async () => {
    for await (const chunk of stream) text += chunk.choices[0].delta.content ?? '';
  }, (error) => error instanceof OpenAI.APIError && error.code === 'interrupted');
  assert.match(text, /^tok0 tok1/);

  const raw = await (await post(n8n.key, { model: n8n.agent.id, messages: said('!tokens=9&delay=10&cut_piece=4'), stream: true })).text();
  assert.match(raw, /data: \{"error":\{"message":"[^"]+","type":"api_error","param":null,"code":"interrupted"\}\}\n\n$/);
  assert.doesNotMatch(raw, /\[DONE\]/);
});

test('a_slow_reader_gets_the_whole_text', { timeout: 30000 }, async () => {
  const answer = await post(n8n.key, { model: n8n.agent.id, messages: said('!tokens=900&size=1000'), stream: true });
  const reader = answer.body.getReader();
  const parts = [];
  await sleep(400);
  for (let part = await reader.read(), n = 0; !part.done; part = await reader.read(), n++) {
    parts.push(part.value);
    if (n % 10 === 0) await sleep(5);
  }
  const events = Buffer.concat(parts).toString().split('\n\n').filter((e) => e.startsWith('data: {')).map((e) => JSON.parse(e.slice(6)));
  const text = events.map((e) => e.choices[0].delta.content ?? '').join('');
  assert.equal(text.length, 900_000);
  assert.equal(events.at(-1).choices[0].finish_reason, 'stop');
});

test('a_key_is_sent_as_bearer_or_as_x_api_key', async () => {
  const list = (headers) => get('/v1/models', headers);
  assert.equal((await list({ Authorization: `bearer ${n8n.key}` })).status, 200);
  assert.equal((await list({ 'X-API-Key': n8n.key })).status, 200);
  for (const headers of [{}, { Authorization: 'Basic abc' }, { 'X-API-Key': '' }, { Authorization: `Bearer ${aerie.admin.token}` },
    { Authorization: `Bearer ${n8n.key.slice(0, 47)}` }, { Authorization: `Bearer ${n8n.key.slice(0, 12)}${'A'.repeat(36)}` }, { Authorization: `Bearer eck_${'A'.repeat(44)}` }]) {
    const answer = await list(headers);
    assert.equal(answer.headers.get('www-authenticate'), 'Bearer');
    await checkError(answer, 401, 'invalid_api_key');
  }
  await assert.rejects(clientOf('eck_wrong').models.list(), OpenAI.AuthenticationError);
});

test('the_models_of_a_key_are_its_own_agent', async () => {
  const page = await n8n.api.models.list();
  assert.deepEqual(page.data.map((m) => m.id), [n8n.agent.id]);
  const raw = await (await get('/v1/models', { 'X-API-Key': n8n.key })).json();
  const created = Math.floor(Date.parse(n8n.agent.created_at) / 1000);
  assert.deepEqual(raw, { object: 'list', data: [{ id: n8n.agent.id, object: 'model', created, owned_by: 'aerie' }] });
  assert.deepEqual({ ...(await n8n.api.models.retrieve(n8n.agent.id)) }, raw.data[0]);
  assert.equal((await n8n.api.models.retrieve(n8n.agent.name)).id, n8n.agent.id);
  await assert.rejects(n8n.api.models.retrieve(model.agent.id), OpenAI.NotFoundError);
  const answer = await get(`/v1/models/${model.agent.id}`, { 'X-API-Key': n8n.key });
  await checkError(answer, 404, 'model_not_found', { param: 'model' });
});

test('another_agent_is_no_model_of_the_key_whoever_has_it', async () => {
  const other = await aerie.otherTeam();
  const theirs = await agentWithKey({ name: n8n.agent.name, webhook_url: upstream.url() }, {}, other.admin);
  const missing = await (await post(n8n.key, { model: '0198c0de-0000-7000-8000-000000000000', messages: said('Hi') })).json();
  for (const wanted of [theirs.agent.id, model.agent.id, model.agent.name, 'gpt-4o', '']) {
    const answer = await post(n8n.key, { model: wanted, messages: said('Hi') });
    assert.deepEqual(await checkError(answer, 404, 'model_not_found', { param: 'model' }), missing.error);
  }
  assert.equal((await post(n8n.key, { model: n8n.agent.name, messages: said('!tokens=1') })).status, 200, 'the same name in another team does not count');
});

test('a_name_that_two_agents_share_is_no_model', async () => {
  const name = unique('twin');
  const twin = await agentWithKey({ name, webhook_url: upstream.url() });
  assert.equal((await post(twin.key, { model: name, messages: said('!tokens=1') })).status, 200);
  await aerie.admin.agent({ name, webhook_url: upstream.url() });
  await checkError(await post(twin.key, { model: name, messages: said('!tokens=1') }), 404, 'model_not_found', { param: 'model' });
  assert.equal((await post(twin.key, { model: twin.agent.id.toUpperCase(), messages: said('!tokens=1') })).status, 200);
});

test('bad_bodies_are_400_and_name_the_field', async () => {
  const ask = (fields) => post(n8n.key, { model: n8n.agent.id, messages: said('Hi'), ...fields });
  const bad = (answer, param) => checkError(answer, 400, null, { type: 'invalid_request_error', param });
  await bad(await post(n8n.key, '{'), null);
  await bad(await post(n8n.key, ''), null);
  await bad(await post(n8n.key, '[]'), null);
  await bad(await ask({ model: undefined }), 'model');
  await bad(await ask({ n: 2 }), 'n');
  await bad(await ask({ stream: 'yes' }), 'stream');
  await bad(await ask({ messages: [] }), 'messages');
  await bad(await ask({ messages: 'Hi' }), 'messages');
  await bad(await ask({ messages: ['Hi'] }), 'messages[0]');
  await bad(await ask({ messages: said('') }), 'messages[0]');
  await bad(await ask({ messages: said(7) }), 'messages[0]');
  await bad(await ask({ messages: said([]) }), 'messages[0]');
  await bad(await ask({ messages: said([{ type: 'image_url', image_url: { url: 'https://x.test/a.png' } }]) }), 'messages[0]');
  await bad(await ask({ messages: said('x'.repeat(2001)) }), 'messages[0]');
  await bad(await ask({ messages: [...said('Hi'), { role: 'tool', content: '4', tool_call_id: 'a' }] }), 'messages[1]');
  await bad(await ask({ messages: [{ role: 'robot', content: 'Hi' }] }), 'messages[0]');
  await bad(await ask({ messages: [{ role: 'system', content: 'Hi' }] }), 'messages');
  await bad(await ask({ messages: [...said('Hi'), { role: 'assistant', content: 'Ho' }] }), 'messages');
  assert.equal((await ask({ messages: [{ role: 'assistant', content: 'x'.repeat(5000) }, ...said('ü'.repeat(2000))] })).status, 200, 'a long reply may be sent back');
});

test('a_key_without_the_scope_chat_is_refused', async () => {
  const documents = await agentWithKey({ webhook_url: upstream.url() }, { scopes: ['documents'] });
  await assert.rejects(documents.api.chat.completions.create({ model: documents.agent.id, messages: said('Hi') }), OpenAI.PermissionDeniedError);
  await checkError(await post(documents.key, {}), 403, 'insufficient_permissions');
  await checkError(await get('/v1/models', { 'X-API-Key': documents.key }), 403, 'insufficient_permissions');
});

test('keys_that_are_revoked_or_expired_and_agents_that_are_off_are_refused', async () => {
  const brief = await agentWithKey({ webhook_url: upstream.url() }, { expires_at: new Date(Date.now() + 1500).toISOString() });
  const spare = await aerie.admin.post(`/api/agents/${brief.agent.id}/api-keys`, {});
  await brief.api.models.list();
  await sleep(1600);
  await assert.rejects(brief.api.models.list(), OpenAI.AuthenticationError);

  const api = clientOf(spare.json.api_key);
  await aerie.admin.put(`/api/agents/${brief.agent.id}`, { is_active: false });
  await assert.rejects(api.models.list(), OpenAI.PermissionDeniedError);
  await aerie.admin.put(`/api/agents/${brief.agent.id}`, { is_active: true });
  await api.models.list();
  assert.equal((await aerie.admin.delete(`/api/agents/${brief.agent.id}/api-keys/${spare.json.id}`)).status, 204);
  await assert.rejects(api.models.list(), OpenAI.AuthenticationError);
});

test('a_team_that_is_switched_off_takes_its_keys_along', async () => {
  const other = await aerie.otherTeam();
  const theirs = await agentWithKey({ webhook_url: upstream.url() }, {}, other.admin);
  await theirs.api.models.list();
  const isOff = () => theirs.api.models.list().then(() => false, (error) => error instanceof OpenAI.AuthenticationError);
  aerie.command(['team', 'disable', '--slug', other.slug]);
  await withinASecond(isOff, 'the team is off');
  aerie.command(['team', 'enable', '--slug', other.slug]);
  assert.equal(await isOff(), false, 'what is wrong is not remembered');
});

test('the_last_use_of_a_key_is_noted_once_a_minute', async () => {
  const used = await agentWithKey({ webhook_url: upstream.url() });
  const lastUse = async () => (await aerie.admin.get(`/api/agents/${used.agent.id}/api-keys`)).json.find((k) => k.id === used.id).last_used_at;
  assert.equal(await lastUse(), null);
  await used.api.models.list();
  let first;
  for (let i = 0; i < 400 && !first; i++) {
    first = await lastUse();
    await sleep(5);
  }
  assert.ok(Math.abs(Date.parse(first) - Date.now()) < 10000, first);
  await used.api.models.list();
  await sleep(100);
  assert.equal(await lastUse(), first);
});

test('an_agents_messages_are_limited_and_nothing_is_stored', async () => {
  const small = new Aerie({ env: { LIMITS__AGENT_MESSAGES_PER_MINUTE: '2', LIMITS__STREAMS: '1' } });
  try {
    small.prepare();
    await small.listen();
    await small.makeAdmin();
    const agent = await small.admin.agent({ webhook_url: upstream.url() });
    const quick = await small.admin.agent({ webhook_url: upstream.url() });
    const keyOf = async (a) => (await small.admin.post(`/api/agents/${a.id}/api-keys`, {})).json.api_key;
    const api = new OpenAI({ apiKey: await keyOf(agent), baseURL: `${small.base}/v1`, maxRetries: 0 });
    const ask = (content, options) => api.chat.completions.create({ model: agent.id, messages: said(content), stream: true }, options);

    const long = await ask('!tokens=1000&delay=20&tag=limited');
    const iterator = long[Symbol.asyncIterator]();
    await iterator.next();
    const second = new OpenAI({ apiKey: await keyOf(quick), baseURL: `${small.base}/v1`, maxRetries: 0 });
    await assert.rejects(second.chat.completions.create({ model: quick.id, messages: said('Hi') }), (e) => e.status === 503 && Number(e.headers.get('retry-after')) >= 1);
    await iterator.return();
    const [call] = upstream.tagged('limited');
    await waitForAbort(call, Date.now()); // its place is free again
    for await (const chunk of await ask('!tokens=1')) assert.ok(chunk.id);
    await assert.rejects(ask('!tokens=1'), (e) => e instanceof OpenAI.RateLimitError && e.code === 'rate_limit_exceeded' && Number(e.headers.get('retry-after')) >= 1);
    assert.deepEqual((await small.admin.get('/api/chats')).json, []);
    await small.stop();
  } finally {
    if (small.child) small.drop();
  }
});
