// Keys of model providers: pools that take turns and rest, a team's own, and the lists of models they open.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { planReply } from '../fake/replies.mjs';
import { startUpstream } from '../fake/upstream.mjs';
import { Aerie, inParallel, isTime, isUuid, unique } from '../tools/aerie.mjs';
import { until } from '../tools/until.mjs';

const K1 = 'sk-first-secret-of-the-pool-0001';
const K2 = 'sk-second-secret-of-the-pool-0002';
const TEAM = 'sk-secret-of-the-default-team-0003';

let aerie;
let upstream;
before(async () => {
  upstream = await startUpstream();
  aerie = await Aerie.start({ env: {
    AI_SERVICES__GROQ_API_KEY_1: K1, AI_SERVICES__GROQ_API_KEY_2: K2, AI_SERVICES__GROQ_BASE_URL: upstream.url({}, '/groq/v1'),
    AI_SERVICES__ANTHROPIC_API_KEY: K1, AI_SERVICES__ANTHROPIC_BASE_URL: upstream.url({}, '/anthropic/v1'),
    AI_SERVICES__GEMINI_API_KEY: K2, AI_SERVICES__GEMINI_BASE_URL: upstream.url({}, '/gemini/v1beta/'),
    AI_SERVICES__OPENROUTER_BASE_URL: upstream.url({}, '/openrouter/v1'),
    LIMITS__AGENT_MESSAGES_PER_MINUTE: 0, UPSTREAM__BACKOFF_MS: 20, UPSTREAM__BACKOFF_MAX_MS: 2000, UPSTREAM__FIRST_BYTE_SECONDS: 2,
  } });
});
after(async () => {
  try {
    for (const secret of [K1, K2, TEAM, 'Bearer']) assert.ok(!aerie.log.includes(secret), `the log tells ${secret}`);
  } finally {
    await aerie?.stop();
    await upstream?.close();
  }
});

const keyOf = (request) => request.headers.authorization?.replace('Bearer ', '');
const answerWith = (status, more = '') => `HTTP/1.1 ${status} Whatever\r\nContent-Length: 0\r\n${more}\r\n`;
const wholeReply = (request, text = 'Hi') => Buffer.concat(planReply({ format: 'openai', text }, request).writes);
const good = (request, socket) => socket.write(wholeReply(request));

/** What the server says on its pipe comes when it likes. */
const logged = (pattern) => until(() => pattern.test(aerie.log), `${pattern} in the log`);

/** A provider of its own: {url, requests}; each request is answered by answer(request, socket, how many there were before). */
function fake(answer, path = `/${unique('provider')}/v1`, resource = '/chat/completions') {
  const requests = [];
  upstream.handle(path + resource, (request, socket) => {
    requests.push(request);
    return answer(request, socket, requests.length - 1);
  });
  return { url: upstream.url({}, path), requests, keys: () => requests.map(keyOf) };
}

/** A team whose keys for openai_compatible are K1 and K2. */
async function teamWithTwoKeys() {
  const { admin } = await aerie.otherTeam();
  for (const key of [K1, K2]) assert.equal((await admin.post('/api/team/provider-keys', { provider: 'openai_compatible', key })).status, 201);
  return admin;
}

/** An agent, and a call of it in OpenAI's protocol, which stores nothing and so is fast. */
async function asker(admin, fields) {
  const agent = await admin.agent({ provider: 'openai_compatible', model: 'm', ...fields });
  const { api_key: key } = (await admin.post(`/api/agents/${agent.id}/api-keys`, {})).json;
  return async (content = 'Hello') => {
    const answer = await aerie.request('POST', '/v1/chat/completions', { token: key, json: { model: agent.id, messages: [{ role: 'user', content }] } });
    return { ...answer, text: answer.json?.choices?.[0]?.message?.content, code: answer.json?.error?.code };
  };
}

describe('pools', () => {
  let admin;
  before(async () => (admin = await teamWithTwoKeys()));

  test('keys_take_turns', async () => {
    const { url, keys } = fake(good);
    const ask = await asker(admin, { webhook_url: url });
    for (let i = 0; i < 4; i++) assert.equal((await ask()).text, 'Hi');
    assert.deepEqual(keys().toSorted(), [K1, K1, K2, K2]);
    assert.notEqual(keys()[0], keys()[1]);
    assert.equal(keys()[0], keys()[2]);
  });

  test('a_storm_of_429_on_one_key_of_two_fails_no_request', async () => {
    const { url, keys } = fake((request, socket) => (keyOf(request) === K1 ? socket.write(answerWith(429, 'Retry-After: 30\r\n')) : good(request, socket)));
    const ask = await asker(admin, { webhook_url: url });
    const answers = await Promise.all(Array.from({ length: 200 }, () => ask()));
    assert.deepEqual([...new Set(answers.map((a) => `${a.status} ${a.text}`))], ['200 Hi']);
    assert.equal(keys().filter((key) => key === K2).length, 200);
    const refused = keys().length - 200;
    assert.ok(refused >= 1 && refused <= 200, `${refused}`);
    for (let i = 0; i < 5; i++) assert.equal((await ask()).text, 'Hi');
    assert.equal(keys().filter((key) => key === K1).length, refused, 'a key that rests was used');
  });

  test('all_keys_limited_is_one_error_with_the_shortest_wait', async () => {
    const { url, requests } = fake((request, socket) => socket.write(answerWith(429, `Retry-After: ${keyOf(request) === K1 ? 90 : 40}\r\n`)));
    const agent = await admin.agent({ provider: 'openai_compatible', model: 'm', webhook_url: url });
    const chat = await admin.chat(agent);
    const answer = await admin.post(`/api/chats/${chat.id}/messages`, { content: 'Hello' }, { headers: { Accept: 'application/json' } });
    assert.equal(answer.status, 503, answer.text);
    assert.ok(Number(answer.headers['retry-after']) >= 35 && Number(answer.headers['retry-after']) <= 40, answer.headers['retry-after']);
    assert.equal(requests.length, 2);
    const stream = await admin.ask(await admin.chat(agent), 'Hello');
    assert.equal(stream.events.filter((event) => event.type === 'error').length, 1);
    assert.equal(stream.error.code, 'provider_rate_limited');
    assert.ok(stream.error.retry_after >= 35 && stream.error.retry_after <= 40, JSON.stringify(stream.error));
    assert.equal(requests.length, 2, 'the second message asked nobody');
  });

  test('a_short_rest_is_waited_for_and_people_are_told', async () => {
    const { url, keys } = fake((request, socket, n) => (n < 2 ? socket.write(answerWith(429, 'Retry-After: 1\r\n')) : good(request, socket)));
    const stream = await admin.ask(await admin.chat(await admin.agent({ provider: 'openai_compatible', model: 'm', webhook_url: url })), 'Hello');
    assert.equal(stream.text, 'Hi', JSON.stringify(stream.error));
    assert.equal(keys().length, 3);
    assert.notEqual(keys()[0], keys()[1]);
    const told = stream.events.filter((event) => event.type === 'status').map((event) => event.data.description);
    assert.ok(told.some((text) => /another key/.test(text)) && told.some((text) => /Trying again/.test(text)), told.join());
  });

  test('a_refused_key_leaves_the_work_to_the_other', async () => {
    const { url, keys } = fake((request, socket) => (keyOf(request) === K1 ? socket.write(answerWith(401)) : good(request, socket)));
    const ask = await asker(admin, { webhook_url: url });
    for (let i = 0; i < 6; i++) assert.equal((await ask()).text, 'Hi');
    assert.equal(keys().filter((key) => key === K1).length, 1);
  });

  test('when_all_keys_are_refused_it_says_so', async () => {
    const { url, requests } = fake((request, socket) => socket.write(answerWith(403)));
    const ask = await asker(admin, { webhook_url: url });
    const answer = await ask();
    assert.deepEqual([answer.status, answer.code], [502, 'provider_auth']);
    assert.equal(requests.length, 2);
  });

  for (const status of [500, 502, 503, 529])
    test(`status_${status}_is_met_with_another_key_then_with_patience`, async () => {
      const { url, keys } = fake((request, socket, n) => (n < 3 ? socket.write(answerWith(status)) : good(request, socket)));
      const ask = await asker(admin, { webhook_url: url });
      assert.equal((await ask()).text, 'Hi');
      assert.equal(keys().length, 4);
      assert.notEqual(keys()[0], keys()[1]);
    });

  test('patience_ends', async () => {
    const { url, requests } = fake((request, socket) => socket.write(answerWith(500)));
    const answer = await (await asker(admin, { webhook_url: url }))();
    assert.deepEqual([answer.status, answer.code], [502, 'provider_error']);
    assert.equal(requests.length, 2 * 3, 'two keys, and twice more after a wait');
  });

  for (const status of [400, 404, 422])
    test(`status_${status}_is_not_asked_again`, async () => {
      const { url, requests } = fake((request, socket) => socket.write(answerWith(status)));
      assert.equal((await (await asker(admin, { webhook_url: url }))()).status, 502);
      assert.equal(requests.length, 1);
    });

  // Every place where a provider can die: before the first token it is asked again, after that never.
  test('a_provider_that_dies_after_n_bytes_is_asked_again_only_before_the_first_token', async () => {
    const reply = wholeReply({ json: { stream: true, model: 'm' } });
    const firstToken = reply.indexOf('\n\n', reply.indexOf('"content":"Hi"')) + 2;
    const done = reply.indexOf('\n\n', reply.indexOf('[DONE]')) + 2;
    assert.ok(firstToken > 300 && done > firstToken && done < reply.length);
    const seen = new Map();
    const { url } = fake((request, socket) => {
      const n = Number(request.json.messages.at(-1).content);
      seen.set(n, (seen.get(n) ?? 0) + 1);
      if (seen.get(n) === 1) socket.end(reply.subarray(0, n));
      else socket.write(reply);
    });
    const ask = await asker(admin, { webhook_url: url });
    await inParallel(24, Array.from({ length: reply.length }, (_, n) => n), async (n) => {
      const answer = await ask(String(n));
      const [times, status, code] = n < firstToken ? [2, 200, undefined] : n < done ? [1, 502, 'interrupted'] : [1, 200, undefined];
      assert.deepEqual([n, seen.get(n), answer.status, answer.code], [n, times, status, code]);
      if (status === 200) assert.equal(answer.text, 'Hi');
    });
    assert.equal(seen.size, reply.length);
  });

  test('n8n_is_never_asked_twice_whatever_it_does', async () => {
    const ways = [(r, s) => s.write(answerWith(429, 'Retry-After: 1\r\n')), (r, s) => s.write(answerWith(500)), (r, s) => s.write(answerWith(401)),
      (r, s) => s.destroy(), (r, s) => s.end('HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n{"output"')];
    for (const way of ways) {
      const { url, requests } = fake(way);
      const stream = await admin.ask(await admin.chat(await admin.agent({ webhook_url: `${url}/chat/completions` })), 'Hello');
      assert.ok(stream.error);
      assert.equal(requests.length, 1);
    }
  });
});

describe('whose_key', () => {
  test('the_agents_own_then_the_teams_then_the_configurations', async () => {
    const { keys } = fake(good, '/groq/v1');
    const { admin } = await aerie.otherTeam();
    const ask = await asker(admin, { provider: 'groq' });
    assert.equal((await ask()).text, 'Hi');
    assert.equal((await ask()).text, 'Hi');
    assert.deepEqual(keys().splice(0).toSorted(), [K1, K2]);
    const made = await admin.post('/api/team/provider-keys', { provider: 'groq', key: TEAM });
    assert.equal((await ask()).text, 'Hi');
    const own = await asker(admin, { provider: 'groq', webhook_token: 'sk-own' });
    assert.equal((await own()).text, 'Hi');
    assert.deepEqual(keys().slice(2), [TEAM, 'sk-own']);
    await ask(); // so that what its row says is remembered
    assert.equal(keys().at(-1), TEAM);
    assert.equal((await admin.delete(`/api/team/provider-keys/${made.json.id}`)).status, 204);
    await ask();
    assert.ok([K1, K2].includes(keys().at(-1)));
  });

  test('an_agent_that_stands_in_is_asked_with_the_teams_keys', async () => {
    const admin = await teamWithTwoKeys();
    const { url, keys } = fake(good);
    const down = fake((request, socket) => socket.write(answerWith(500)));
    const instead = await admin.agent({ provider: 'openai_compatible', model: 'm', webhook_url: url });
    const first = await admin.agent({ webhook_url: `${down.url}/chat/completions`, config: { fallback_agent_id: instead.id } });
    const stream = await admin.ask(await admin.chat(first), 'Hello');
    assert.equal(stream.text, 'Hi', JSON.stringify(stream.error));
    assert.ok([K1, K2].includes(keys()[0]), keys().join());
    assert.equal(down.requests.length, 1);
  });

  test('the_configurations_keys_do_not_go_to_an_agents_own_url', async () => {
    const { url, requests } = fake(good);
    const { admin } = await aerie.otherTeam();
    const answer = await (await asker(admin, { provider: 'groq', webhook_url: url }))();
    assert.deepEqual([answer.status, answer.code], [502, 'provider_auth']);
    assert.equal(requests.length, 0);
    await logged(/no key for groq: .*the configuration's keys are not sent to an agent's own URL/);
  });

  test('without_any_key_the_log_says_what_to_set', async () => {
    const { admin } = await aerie.otherTeam();
    const answer = await (await asker(admin, { provider: 'openai' }))();
    assert.deepEqual([answer.status, answer.code], [502, 'provider_auth']);
    await logged(/no key for openai: .*webhook_token.*provider-keys.*ai_services/);
  });

  test('the_configuration_shows_its_keys_masked', () => {
    for (const args of [['config'], ['config', '--json']]) {
      const shown = aerie.command(args);
      assert.ok(!shown.includes('sk-') && shown.includes('********'), shown);
    }
  });
});

describe('a_teams_keys', () => {
  test('are_added_listed_masked_and_deleted', async () => {
    const { admin } = await aerie.otherTeam();
    const made = await admin.post('/api/team/provider-keys', { provider: 'openai', key: ` ${TEAM}\t`, name: 'billing' });
    assert.equal(made.status, 201, made.text);
    assert.ok(isUuid(made.json.id) && isTime(made.json.created_at));
    assert.deepEqual(made.json, { id: made.json.id, provider: 'openai', name: 'billing', key: '********0003', created_by: admin.me.id, created_at: made.json.created_at });
    const short = await admin.post('/api/team/provider-keys', { provider: 'openrouter', key: 'short-key' });
    assert.equal(short.json.key, '********', 'of a short key nothing is shown');
    assert.equal(short.json.name, null);
    const list = await admin.get('/api/team/provider-keys');
    assert.deepEqual(list.json, [made.json, short.json]);
    assert.equal(list.headers['x-total-count'], '2');
    assert.ok(!aerie.database.query('select sealed_key from provider_keys').includes(TEAM));
    assert.equal((await admin.delete(`/api/team/provider-keys/${made.json.id}`)).status, 204);
    assert.equal((await admin.delete(`/api/team/provider-keys/${made.json.id}`)).status, 404);
    assert.deepEqual((await admin.get('/api/team/provider-keys')).json, [short.json]);
  });

  test('are_for_its_admins_alone', async () => {
    const [one, other] = [await aerie.otherTeam(), await aerie.otherTeam()];
    const made = (await one.admin.post('/api/team/provider-keys', { provider: 'openai', key: TEAM })).json;
    const foreign = await other.admin.delete(`/api/team/provider-keys/${made.id}`);
    const missing = await other.admin.delete(`/api/team/provider-keys/${randomUUID()}`);
    assert.deepEqual([foreign.status, foreign.text], [missing.status, missing.text]);
    assert.equal(foreign.status, 404);
    assert.deepEqual((await other.admin.get('/api/team/provider-keys')).json, []);
    assert.equal((await one.admin.get('/api/team/provider-keys')).json.length, 1);
    const user = await aerie.user();
    for (const answer of [await user.get('/api/team/provider-keys'), await user.post('/api/team/provider-keys', { provider: 'openai', key: TEAM }),
      await user.delete(`/api/team/provider-keys/${made.id}`)]) assert.equal(answer.status, 403);
  });

  test('are_nine_at_most_also_when_they_come_at_once', async () => {
    const { admin } = await aerie.otherTeam();
    const add = (i, provider = 'openai') => admin.post('/api/team/provider-keys', { provider, key: `sk-number-${i}-of-many-more` });
    const answers = await Promise.all(Array.from({ length: 20 }, (_, i) => add(i)));
    for (const { status, text } of answers) assert.ok([201, 409, 503].includes(status), `${status} ${text}`);
    for (let i = 0; (await admin.get('/api/team/provider-keys')).json.length < 9; i++) assert.ok(i < 9 && (await add(i)).status === 201);
    const tenth = await add(10);
    assert.equal(tenth.status, 409);
    assert.match(tenth.json.detail, /at most nine/);
    assert.equal((await admin.get('/api/team/provider-keys')).json.length, 9);
    assert.equal((await add(1, 'groq')).status, 201, 'each provider has its own nine');
  });

  test('are_checked', async () => {
    const wrong = [[{ provider: 'nobody', key: TEAM }, 'provider'], [{ provider: 'n8n', key: TEAM }, 'provider'], [{ provider: 'echo', key: TEAM }, 'provider'],
      [{ key: TEAM }, 'provider'], [{ provider: 'openai' }, 'key'], [{ provider: 'openai', key: '' }, 'key'], [{ provider: 'openai', key: 'a b' }, 'key'],
      [{ provider: 'openai', key: 'a\r\nX: b' }, 'key'], [{ provider: 'openai', key: 'schlüssel' }, 'key'], [{ provider: 'openai', key: 7 }, 'key'],
      [{ provider: 'openai', key: 'k'.repeat(4097) }, 'key']];
    for (const [json, field] of wrong) {
      const answer = await aerie.admin.post('/api/team/provider-keys', json);
      assert.equal(answer.status, 422, `${JSON.stringify(json).slice(0, 80)}: ${answer.text}`);
      assert.deepEqual(answer.json.errors.map((error) => error.field), [field]);
    }
  });
});

describe('providers', () => {
  test('are_listed_with_what_they_need_and_what_is_there', async () => {
    const { admin } = await aerie.otherTeam();
    const of = (list) => Object.fromEntries(list.json.providers.map(({ name, ...rest }) => [name, rest]));
    const first = of(await admin.get('/api/providers'));
    assert.deepEqual(Object.keys(first), Object.keys(first).toSorted());
    assert.deepEqual(first.n8n, { needs_url: true, needs_key: false, has_key: false, has_models: false });
    assert.deepEqual(first.openai, { needs_url: false, needs_key: true, has_key: false, has_models: true });
    assert.deepEqual(first.openai_compatible, { needs_url: true, needs_key: false, has_key: false, has_models: true });
    assert.equal(first.groq.has_key, true, 'the configuration has one');
    await admin.post('/api/team/provider-keys', { provider: 'openai', key: TEAM });
    assert.equal(of(await admin.get('/api/providers')).openai.has_key, true);
    assert.equal(of(await (await aerie.user()).get('/api/providers')).openai.has_key, false, "another team's is not ours");
  });

  const modelsJson = (ids) => JSON.stringify({ object: 'list', data: ids.map((id) => ({ id, object: 'model', created: 1, owned_by: 'fake', more: { a: ['b'] } })) });
  const withJson = (text, status = 200, more = '') => `HTTP/1.1 ${status} OK\r\nContent-Type: application/json\r\nContent-Length: ${Buffer.byteLength(text)}\r\n${more}\r\n${text}`;

  test('tell_their_models_sorted', async () => {
    const { keys, requests } = fake((request, socket) => socket.write(withJson(modelsJson(['zeta', 'alpha', 'alpha-2', 'Beta', '', 'x'.repeat(201)]))), '/groq/v1', '/models');
    const answer = await aerie.admin.get('/api/providers/groq/models');
    assert.equal(answer.status, 200, answer.text);
    assert.deepEqual(answer.json, { models: [{ id: 'Beta' }, { id: 'alpha' }, { id: 'alpha-2' }, { id: 'zeta' }] });
    assert.ok([K1, K2].includes(keys()[0]));
    assert.deepEqual([requests[0].method, requests[0].body.length, requests[0].headers['content-type']], ['GET', 0, undefined]);
    const user = await aerie.user();
    assert.equal((await user.get('/api/providers/groq/models')).status, 403);
  });

  test('tell_their_models_in_the_shapes_of_anthropic_and_gemini', async () => {
    const anthropic = fake((request, socket) => socket.write(withJson(JSON.stringify({ data: [{ type: 'model', id: 'claude-b', display_name: 'B' }, { type: 'model', id: 'claude-a' }], has_more: false }))), '/anthropic/v1', '/models');
    assert.deepEqual((await aerie.admin.get('/api/providers/anthropic/models')).json, { models: [{ id: 'claude-a' }, { id: 'claude-b' }] });
    assert.deepEqual([anthropic.requests[0].headers['x-api-key'], anthropic.requests[0].headers['anthropic-version'], anthropic.requests[0].options.limit], [K1, '2023-06-01', '1000']);
    let isRefused = false;
    const gemini = fake((request, socket) => socket.write(isRefused
      ? withJson(JSON.stringify({ error: { code: 400, message: 'API key not valid.', status: 'INVALID_ARGUMENT' } }), 400)
      : withJson(JSON.stringify({ models: [{ name: 'models/gemini-b', supportedGenerationMethods: ['generateContent', 'countTokens'] },
        { name: 'models/embedding-1', supportedGenerationMethods: ['embedContent'] }, { name: 'models/gemini-a', supportedGenerationMethods: ['generateContent'] }] }))), '/gemini/v1beta', '/models');
    assert.deepEqual((await aerie.admin.get('/api/providers/gemini/models')).json, { models: [{ id: 'gemini-a' }, { id: 'gemini-b' }] });
    assert.deepEqual([gemini.requests[0].headers['x-goog-api-key'], gemini.requests[0].options.pageSize], [K2, '1000']);
    isRefused = true;
    assert.equal((await aerie.admin.get('/api/providers/gemini/models')).status, 502);
    await logged(/key 1 of 1 for gemini was refused/);
  });

  test('tell_those_of_an_agents_own_server', async () => {
    const { url, keys } = fake((request, socket) => socket.write(withJson(modelsJson(['llama']))), undefined, '/models');
    for (const [end, token] of [['', null], ['/', 'sk-own'], ['/chat/completions', 'sk-own']]) {
      const agent = await aerie.admin.agent({ provider: 'openai_compatible', model: 'm', webhook_url: url + end, webhook_token: token });
      assert.deepEqual((await aerie.admin.get(`/api/providers/openai_compatible/models?agent_id=${agent.id}`)).json, { models: [{ id: 'llama' }] });
      const { admin } = await aerie.otherTeam();
      const foreign = await admin.get(`/api/providers/openai_compatible/models?agent_id=${agent.id}`);
      const missing = await admin.get(`/api/providers/openai_compatible/models?agent_id=${randomUUID()}`);
      assert.deepEqual([foreign.status, foreign.text], [404, missing.text]);
      const other = await aerie.admin.get(`/api/providers/openai/models?agent_id=${agent.id}`);
      assert.deepEqual([other.status, other.json.errors[0].field], [422, 'agent_id']);
    }
    assert.deepEqual(keys(), [undefined, 'sk-own', 'sk-own']);
    assert.equal((await aerie.admin.get('/api/providers/openai_compatible/models')).status, 422);
    assert.equal((await aerie.admin.get('/api/providers/openai_compatible/models?agent_id=x')).status, 404);
    for (const name of ['n8n', 'echo', 'nobody']) assert.equal((await aerie.admin.get(`/api/providers/${name}/models`)).status, 404);
  });

  test('may_be_many', async () => {
    const ids = Array.from({ length: 2500 }, (_, i) => `maker/model-${String(i).padStart(5, '0')}`);
    const filler = { description: 'd'.repeat(400) };
    const text = JSON.stringify({ data: ids.map((id) => ({ id, ...filler })) });
    fake((request, socket) => socket.write(withJson(text)), '/openrouter/v1', '/models');
    const { admin } = await aerie.otherTeam();
    await admin.post('/api/team/provider-keys', { provider: 'openrouter', key: TEAM });
    const answer = await admin.get('/api/providers/openrouter/models');
    assert.equal(answer.status, 200, answer.text);
    assert.deepEqual(answer.json.models.map(({ id }) => id), ids.slice(0, 2000));
  });

  test('that_fail_have_their_status', async () => {
    const admin = await teamWithTwoKeys();
    const ways = [
      [(r, s) => s.write(answerWith(401)), 502, 2],
      [(r, s) => s.write(answerWith(429, 'Retry-After: 40\r\n')), 503, 2],
      [(r, s) => s.write(answerWith(500)), 502, 2],
      [(r, s) => s.write(answerWith(404)), 502, 1],
      [(r, s) => s.write(answerWith(302, 'Location: /elsewhere\r\n')), 502, 1],
      [(r, s) => s.write(withJson('<html>')), 502, 1],
      [(r, s) => s.write(withJson('{"data":{}}')), 502, 1],
      [(r, s) => s.write(withJson('[]')), 502, 1],
      [(r, s) => s.destroy(), 502, 1],
      [(r, s) => s.end('HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n{"data"'), 502, 1],
      [(r, s) => s.write(`HTTP/1.1 200 OK\r\nContent-Length: 5000000\r\n\r\n${' '.repeat(4300000)}`), 502, 1],
      [() => new Promise(() => {}), 504, 1],
    ];
    await Promise.all(ways.map(async ([way, status, times], i) => {
      const { url, requests } = fake(way, undefined, '/models');
      const agent = await admin.agent({ provider: 'openai_compatible', model: 'm', webhook_url: url });
      const answer = await admin.get(`/api/providers/openai_compatible/models?agent_id=${agent.id}`);
      assert.deepEqual([i, answer.status, requests.length], [i, status, times], answer.text);
      if (status === 503) assert.ok(Number(answer.headers['retry-after']) > 35, answer.headers['retry-after']);
    }));
  });

  test('a_refused_key_leaves_the_list_to_the_other', async () => {
    const admin = await teamWithTwoKeys();
    const { url } = fake((request, socket) => socket.write(keyOf(request) === K1 ? answerWith(401) : withJson(modelsJson(['m']))), undefined, '/models');
    const agent = await admin.agent({ provider: 'openai_compatible', model: 'm', webhook_url: url });
    for (let i = 0; i < 3; i++) assert.deepEqual((await admin.get(`/api/providers/openai_compatible/models?agent_id=${agent.id}`)).json, { models: [{ id: 'm' }] });
  });
});
