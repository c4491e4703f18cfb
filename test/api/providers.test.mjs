// Agents of OpenAI, Anthropic and Gemini, against fakes that speak those protocols and refuse what the real ones refuse.
// AERIE_TEST_SPLITS=all splits the answers at every byte, otherwise at some sixty of each.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import OpenAI from 'openai';
import { KEYS } from '../fake/models.mjs';
import { startUpstream } from '../fake/upstream.mjs';
import { Aerie, inParallel, unique } from '../tools/aerie.mjs';

const everywhere = process.env.AERIE_TEST_SPLITS === 'all';
const WORKERS = everywhere ? 64 : 24;
const WIDE = 'Grüße 🎉 <b>日本語</b> & \u2028 "end"\\n';

/** What is particular to each: its model, its words, and the request that it must get for the common agent below. */
const providers = {
  openai: {
    model: 'gpt-fake',
    base: '/openai/v1',
    path: '/openai/v1/chat/completions',
    key: ['authorization', `Bearer ${KEYS.openai}`],
    usage: (n) => ({ prompt_tokens: 7, completion_tokens: n, total_tokens: 7 + n }),
    length: 'length',
    filter: ['finish=content_filter'],
    turns: (json) => json.messages.filter((m) => m.role !== 'system').map((m) => [m.role, m.content]),
    body: (text) => ({
      model: 'gpt-fake', stream: true, stream_options: { include_usage: true }, temperature: 0.5, top_p: 0.9, max_tokens: 50, stop: 'END',
      messages: [{ role: 'system', content: 'Be kind.' }, { role: 'user', content: text }],
    }),
  },
  anthropic: {
    model: 'claude-fake',
    base: '/anthropic/v1/',
    path: '/anthropic/v1/messages',
    key: ['x-api-key', KEYS.anthropic],
    usage: (n) => ({ prompt_tokens: 7, completion_tokens: n, total_tokens: 7 + n }),
    length: 'max_tokens',
    filter: ['finish=refusal'],
    turns: (json) => json.messages.map((m) => [m.role, ...m.content.map((part) => part.text)]),
    body: (text) => ({
      model: 'claude-fake', stream: true, system: 'Be kind.', temperature: 0.5, top_p: 0.9, max_tokens: 50, stop_sequences: ['END'],
      messages: [{ role: 'user', content: [{ type: 'text', text }] }],
    }),
  },
  gemini: {
    model: 'gemini-fake',
    base: '/gemini/v1beta',
    path: '/gemini/v1beta/models/gemini-fake:streamGenerateContent',
    key: ['x-goog-api-key', KEYS.gemini],
    usage: (n) => ({ prompt_tokens: 7, completion_tokens: n + 3, total_tokens: 10 + n }),
    length: 'MAX_TOKENS',
    filter: ['finish=SAFETY', 'finish=RECITATION', 'blocked=PROHIBITED_CONTENT'],
    turns: (json) => json.contents.map((m) => [m.role.replace('model', 'assistant'), ...m.parts.map((part) => part.text)]),
    body: (text) => ({
      systemInstruction: { parts: [{ text: 'Be kind.' }] },
      contents: [{ role: 'user', parts: [{ text }] }],
      generationConfig: { temperature: 0.5, topP: 0.9, maxOutputTokens: 50, stopSequences: ['END'] },
    }),
  },
};

let aerie;
let upstream;
let user;
before(async () => {
  upstream = await startUpstream();
  aerie = await Aerie.start({ env: { LIMITS__AGENT_MESSAGES_PER_MINUTE: 100000 } });
  user = await aerie.user();
  for (const [provider, p] of Object.entries(providers)) p.agent = await agentOf(provider);
});
after(async () => {
  await aerie?.stop();
  await upstream?.close();
});

const config = { temperature: 0.5, top_p: 0.9, max_tokens: 50, stop: 'END' };

function agentOf(provider, fields = {}) {
  const p = providers[provider];
  return aerie.admin.agent({ provider, webhook_url: `http://127.0.0.1:${upstream.port}${p.base}`, webhook_token: KEYS[provider], model: p.model, system_prompt: 'Be kind.', config, ...fields });
}

async function clientOf(agent) {
  const made = await aerie.admin.post(`/api/agents/${agent.id}/api-keys`, {});
  assert.equal(made.status, 201, made.text);
  return new OpenAI({ apiKey: made.json.api_key, baseURL: `${aerie.base}/v1`, maxRetries: 0 });
}

const one = (agent, query, rest = {}) => ({ model: agent.id, messages: [{ role: 'user', content: `!${query}` }], ...rest });

/** Asks in a chat of its own: {stream, requests, last}. */
async function ask(agent, query) {
  const chat = await user.chat(agent);
  const tag = unique('p');
  const stream = await user.ask(chat, `!${query}&tag=${tag}`);
  return { stream, requests: upstream.tagged(tag), last: (await user.messages(chat)).at(-1), chat };
}

for (const [provider, p] of Object.entries(providers)) {
  describe(provider, () => {
    test(`${provider}_is_asked_in_its_own_words_and_the_text_its_usage_and_its_model_are_kept`, async () => {
      const { stream, requests, last } = await ask(p.agent, 'tokens=4');
      assert.equal(stream.text, 'tok0 tok1 tok2 tok3', JSON.stringify([stream.error, requests[0]?.refused]));
      assert.ok(stream.done);
      assert.equal(requests.length, 1);
      const [{ path, headers, json }] = requests;
      assert.equal(path, p.path);
      assert.equal(headers[p.key[0]], p.key[1]);
      assert.equal(headers['content-type'], 'application/json');
      assert.deepEqual(json, p.body(`!tokens=4&tag=${requests[0].options.tag}`));
      assert.equal(last.content, stream.text);
      assert.equal(last.status, 'complete');
      assert.deepEqual(last.usage, p.usage(4));
      assert.equal(last.model, p.model);
    });

    test(`${provider}_through_the_protocol_of_openai`, async () => {
      const api = await clientOf(p.agent);
      const whole = await api.chat.completions.create(one(p.agent, 'tokens=3'));
      assert.equal(whole.choices[0].message.content, 'tok0 tok1 tok2');
      assert.equal(whole.choices[0].finish_reason, 'stop');
      assert.deepEqual(whole.usage, p.usage(3));
      const chunks = [];
      for await (const chunk of await api.chat.completions.create(one(p.agent, 'tokens=3&delay=5', { stream: true, stream_options: { include_usage: true } }))) chunks.push(chunk);
      assert.equal(chunks.map((c) => c.choices[0]?.delta.content ?? '').join(''), 'tok0 tok1 tok2');
      assert.ok(chunks.filter((c) => c.choices[0]?.delta.content).length >= 2, 'it came bit by bit');
      assert.deepEqual(chunks.at(-1).usage, p.usage(3));
    });

    test(`${provider}_says_why_it_ended`, async () => {
      const api = await clientOf(p.agent);
      for (const stream of [false, true]) {
        const ends = async (query) => {
          const answer = await api.chat.completions.create(one(p.agent, query, { stream }));
          if (!stream) return [answer.choices[0].message.content, answer.choices[0].finish_reason];
          let [text, reason] = ['', null];
          for await (const { choices } of answer) [text, reason] = [text + (choices[0].delta.content ?? ''), choices[0].finish_reason ?? reason];
          return [text, reason];
        };
        assert.deepEqual(await ends(`tokens=2&finish=${p.length}`), ['tok0 tok1', 'length']);
        for (const query of p.filter) assert.deepEqual(await ends(`tokens=2&${query}`), [query.startsWith('blocked') ? '' : 'tok0 tok1', 'content_filter'], query);
      }
      const { stream, last } = await ask(p.agent, `tokens=2&finish=${p.length}`);
      assert.ok(stream.done);
      assert.equal(last.status, 'complete');
      for (const query of p.filter) {
        const filtered = await ask(p.agent, `tokens=2&${query}`);
        assert.equal(filtered.stream.error?.code, 'provider_error', query);
        assert.match(filtered.stream.error.message, /filter/);
        assert.equal(filtered.requests.length, 1, 'asking again would not help');
      }
      const spent = await ask(p.agent, `tokens=0&thinking=1&finish=${p.length}`);
      assert.equal(spent.stream.error?.code, 'empty_reply');
      assert.match(spent.stream.error.message, /used up its tokens/);
    });

    test(`${provider}_thoughts_and_calls_of_tools_are_no_text`, async () => {
      for (const query of ['thinking=1&tools=1', 'thinking=1&tools=1&whole=1', 'whole=1', ...(provider === 'gemini' ? ['array=1&thinking=1'] : [])]) {
        const { stream, last } = await ask(p.agent, `tokens=3&${query}`);
        assert.equal(stream.text, 'tok0 tok1 tok2', query);
        assert.ok(stream.done, `${query}: ${JSON.stringify(stream.error)}`);
        assert.deepEqual(last.usage, p.usage(3), query);
      }
    });

    test(`${provider}_gets_turns_that_alternate_and_begin_with_the_user`, async () => {
      const agent = await agentOf(provider, { config: { ...config, context_messages: 3 } });
      const chat = await user.chat(agent);
      const tag = unique('turns');
      // The second gets no reply. Of what the third may bring along, the oldest is a reply.
      const said = ['tokens=1', `tokens=0&finish=${p.length}`, 'tokens=2', 'tokens=1'].map((query, i) => `!${query}&n=${i}&tag=${tag}`);
      for (const text of said) await user.ask(chat, text);
      const requests = upstream.tagged(tag);
      assert.deepEqual(requests.map((r) => r.refused), [undefined, undefined, undefined, undefined]);
      const turns = requests.map((r) => p.turns(r.json));
      assert.deepEqual(turns[0], [['user', said[0]]]);
      assert.deepEqual(turns[1], [['user', said[0]], ['assistant', 'tok0'], ['user', said[1]]]);
      if (provider === 'openai') return; // takes them as they come
      assert.deepEqual(turns[2], [['user', said[1], said[2]]], 'what got no reply goes along with the next message');
      assert.deepEqual(turns[3], [['user', said[2]], ['assistant', 'tok0 tok1'], ['user', said[3]]]);
    });

    test(`${provider}_failures_have_their_codes`, async () => {
      const wrong = await agentOf(provider, { webhook_token: 'wrong' });
      const keyless = await agentOf(provider, { webhook_token: null });
      const modelless = await agentOf(provider, { model: null });
      const overloaded = provider === 'anthropic' ? 529 : 503;
      // agent, query, code, requests, text
      const cases = [
        [wrong, 'tokens=1', 'provider_auth', 1, ''],
        [keyless, 'tokens=1', 'provider_auth', 0, ''],
        [modelless, 'tokens=1', 'provider_error', 0, ''],
        [p.agent, 'status=403', 'provider_auth', 1, ''],
        [p.agent, 'status=404', 'provider_error', 1, ''],
        [p.agent, 'status=400', 'provider_error', 1, ''],
        [p.agent, 'status=429', 'provider_rate_limited', 3, ''],
        [p.agent, `status=${overloaded}`, 'provider_error', 3, ''],
        [p.agent, `fail=${overloaded}&fail_after=0`, 'provider_error', 3, ''],
        [p.agent, `fail=${overloaded}&fail_after=2`, 'provider_error', 1, 'tok0 tok1'],
        [p.agent, 'fail=429&fail_after=0', 'provider_rate_limited', 3, ''],
        [p.agent, 'fail=429&fail_after=1', 'provider_rate_limited', 1, 'tok0'],
        [p.agent, 'fail=401&fail_after=0', 'provider_auth', 1, ''],
        [p.agent, 'fail=400&fail_after=0', 'provider_error', 1, ''],
        [p.agent, 'tokens=5&delay=5&cut_piece=4', 'interrupted', 1],
        [p.agent, 'tokens=0', 'empty_reply', 1, ''],
        [p.agent, 'done=0', undefined, 1, 'tok0 tok1 tok2'],
        [p.agent, 'framing=close', undefined, 1, 'tok0 tok1 tok2'],
        ...(provider === 'openai' ? [] : [[p.agent, 'done=0&framing=close', 'interrupted', 1, 'tok0 tok1 tok2']]),
        ...(provider === 'gemini' ? [
          [p.agent, 'fail=503&fail_after=2&stray=1', 'provider_error', 1, 'tok0 tok1'],
          [p.agent, 'fail=429&fail_after=0&stray=1', 'provider_rate_limited', 3, ''],
          [p.agent, 'fail=429&fail_after=1&array=1', 'provider_rate_limited', 1, 'tok0'],
          [p.agent, 'finish=OTHER', 'provider_error', 1, 'tok0 tok1 tok2'],
        ] : []),
      ];
      // A key that is limited at one URL rests there: each case has a spelling of its own.
      for (const [i, row] of cases.entries()) if (row[0] === p.agent) row[0] = await agentOf(provider, { webhook_url: upstream.url({}, p.base + '/'.repeat(i)) });
      await inParallel(12, cases, async ([agent, query, code, n, text]) => {
        const { stream, requests } = await ask(agent, query);
        const where = `${query}: ${JSON.stringify(stream.events.at(-1))}`;
        assert.equal(stream.error?.code, code, where);
        assert.equal(requests.length, n, where);
        if (text !== undefined) assert.equal(stream.text, text, where);
        assert.doesNotMatch(JSON.stringify(stream.error ?? ''), /overloaded_error|sk-|AIza|Incorrect API key|API key not valid/, 'not the provider\'s own words');
      });
    });

    test(`${provider}_reads_alike_however_it_is_cut`, { timeout: 600_000 }, async () => {
      const query = `text=${encodeURIComponent(WIDE)}&thinking=1&tools=1`;
      const chats = await Promise.all(Array.from({ length: WORKERS }, () => user.chat(p.agent)));
      const whole = await user.ask(chats[0], `!${query}&tag=whole-${provider}`);
      assert.equal(whole.text, WIDE);
      const { sent } = upstream.tagged(`whole-${provider}`)[0];
      const step = everywhere ? 1 : Math.ceil(sent / 60) | 1;
      const jobs = [1, 2, 3, 7].map((n) => `bytes=${n}`);
      for (let at = 1; at < sent; at += step) jobs.push(`split=${at}`);
      await inParallel(WORKERS, jobs, async (job, worker) => {
        const stream = await user.ask(chats[worker], `!${query}&${job}`);
        assert.equal(stream.text, WIDE, `${job}: ${JSON.stringify(stream.error)}`);
        assert.ok(stream.done, job);
      });
    });
  });
}

test('anthropic_gets_a_bound_of_tokens_where_the_agent_has_none', async () => {
  const agent = await agentOf('anthropic', { config: {}, system_prompt: null });
  const { stream, requests } = await ask(agent, 'tokens=1');
  assert.equal(stream.text, 'tok0', requests[0]?.refused);
  assert.deepEqual(Object.keys(requests[0].json).sort(), ['max_tokens', 'messages', 'model', 'stream']);
  assert.equal(requests[0].json.max_tokens, 4096);
  const newer = await agentOf('anthropic', { config: { max_completion_tokens: 77 } });
  assert.equal((await ask(newer, 'tokens=1')).requests[0].json.max_tokens, 77);
});

test('a_model_of_gemini_may_be_named_with_its_collection_and_cannot_change_the_path', async () => {
  const tuned = await ask(await agentOf('gemini', { model: 'tunedModels/gemini-mine' }), 'tokens=1');
  assert.equal(tuned.requests[0].path, '/gemini/v1beta/tunedModels/gemini-mine:streamGenerateContent');
  assert.equal(tuned.stream.text, 'tok0');
  const odd = await ask(await agentOf('gemini', { model: 'gemini-x?key=1#ü' }), 'tokens=1');
  assert.equal(odd.requests[0].path, '/gemini/v1beta/models/gemini-x%3Fkey%3D1%23%C3%BC:streamGenerateContent');
  const up = await ask(await agentOf('gemini', { model: '../../other/v1' }), 'tokens=1');
  assert.equal(up.requests[0].path, '/gemini/v1beta/models/..%2F..%2Fother%2Fv1:streamGenerateContent');
});
