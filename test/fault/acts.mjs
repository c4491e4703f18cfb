// What a client does to a server whose calls fail (torture.mjs): small acts, each of one use of the API. An act throws
// Refused when the server said that it cannot now, Cut when the connection went, and anything else only when the server is wrong.
// check() runs after it, when nothing fails any more: what was acknowledged must be there, once; what was not may be done again.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { WebSocket } from 'ws';
import { PASSWORD, unique } from '../tools/aerie.mjs';
import { EventStream, multipart, openStream } from '../tools/http.mjs';
import { ChatSocket } from '../tools/socket.mjs';
import { trustFor } from '../tools/tls.mjs';

export class Refused extends Error {}
export class Cut extends Error {}

const PARAGRAPH = '<p>The bakery opens at seven and closes at noon.';
/** Of twenty, with an empty line between them. */
const PAGE_CHARS = 20 * (PARAGRAPH.length - '<p>'.length + 2) - 2;
const LOST = /ECONNRESET|EPIPE|socket hang up|connection was lost|ended inside an event|the socket closed|aborted|other side closed|Parse Error|SSL routines|before secure TLS connection/;

/** The answer, when it has this status. */
function wanted(answer, status) {
  if ([502, 503, 504, 507].includes(answer.status)) throw new Refused(`${answer.status}`);
  assert.equal(answer.status, status, `${answer.status} ${answer.text ?? ''}`);
  return answer;
}

/** Runs the act: {did: its result} or {refused} or {cut}. */
export async function outcomeOf(run) {
  try {
    return { did: await run() };
  } catch (error) {
    if (error instanceof Refused) return { refused: error.message };
    if (error instanceof Cut || LOST.test(`${error.code} ${error.message}`)) return { cut: error.message };
    throw error;
  }
}

/** Reads a turn's events to their end. */
async function reply(stream) {
  if (!(stream instanceof EventStream)) return wanted(stream, 'a stream');
  await stream.whole(15000);
  return ended(stream);
}
function ended(stream) {
  if (stream.error) throw new Refused(`error event ${stream.error.code}`);
  assert.ok(stream.done, `the stream ended without done or error: ${JSON.stringify(stream.events)}`);
  return { text: stream.text, id: stream.done.message_id };
}

const SAID = 'tok0 tok1 tok2';

/** The acts against a server with an admin, an n8n workflow and embeddings. */
export async function makeActs(aerie, upstream) {
  const { admin } = aerie;
  const agent = await admin.agent({ webhook_url: upstream.url(), config: { context_messages: 2 } });
  const key = wanted(await admin.post(`/api/agents/${agent.id}/api-keys`, {}), 201).json.api_key;
  const get = async (path) => wanted(await admin.get(path), 200).json;
  const visit = async () => wanted(await aerie.request('POST', '/api/chat/widget/session', { json: { chatbot_id: agent.id } }), 200).json;

  /** A read says the same under failures, or nothing. */
  const reading = (name, path, prepare = () => {}) => {
    let whole;
    return {
      name,
      prepare: async () => {
        await prepare();
        whole = await get(path());
      },
      run: async () => assert.deepEqual(await get(path()), whole),
    };
  };

  /** PostgreSQL's connections may be found broken by whatever is asked next, one after the other. */
  const patiently = async (ask) => {
    for (let tries = 0; ; tries++) {
      try {
        return await ask();
      } catch (error) {
        if (!(error instanceof Refused) || aerie.database.kind === 'sqlite' || tries === 8) throw error;
        await new Promise((resolve) => setTimeout(resolve, 50 << tries));
      }
    }
  };

  /** Something made is there if it was acknowledged; made again anyhow; and goes. */
  const making = (name, make, find, remove) => ({
    name,
    run: make,
    check: async ({ did }) => {
      const made = did ?? (await patiently(make));
      await patiently(() => find(made));
      if (!remove) return;
      await patiently(async () => {
        const answer = await remove(made);
        if (answer.status !== 404) wanted(answer, 204);
      });
    },
  });

  /** A message, by whichever door: its chat has it once, and its reply if that was acknowledged. */
  const asking = (name, open, ask, messages) => ({
    name,
    fresh: async () => ({ at: await open(), key: randomUUID(), content: `!tokens=3&delay=1&of=${randomUUID()}` }),
    run: (turn) => ask(turn),
    check: async ({ did }, turn) => {
      const find = async () => {
        const all = await patiently(() => messages(turn.at));
        const at = all.findIndex((m) => m.role === 'user' && m.content === turn.content);
        assert.ok(all.filter((m) => m.content === turn.content).length <= 1, 'the message was stored twice');
        return { all, at, reply: all[at + 1] };
      };
      if (did) {
        const found = await find();
        assert.ok(found.at >= 0, 'an acknowledged message is not stored');
        assert.deepEqual([did.text, found.reply?.content, found.reply?.status], [SAID, SAID, 'complete'], 'an acknowledged reply is not stored');
      } else {
        // The turn outlives its client: it may be running yet.
        let answer;
        for (let i = 0; i < 200; i++) {
          answer = await outcomeOf(() => ask(turn)).catch((error) => ({ error }));
          if (!/409/.test(answer.error?.message ?? '') && !(answer.refused && aerie.database.kind !== 'sqlite')) break;
          await new Promise((resolve) => setTimeout(resolve, 20));
        }
        if (answer.error) throw answer.error;
        const found = await find();
        assert.ok(found.at >= 0, `the same key again stored nothing: ${JSON.stringify(answer)}`);
        assert.equal(found.all.filter((m) => m.role === 'assistant').length, 1, `replies to one message: ${JSON.stringify(found.all)}`);
      }
    },
  });

  let chat = await admin.chat(agent, { title: 'kept' });
  await admin.ask(chat, '!tokens=3');
  const inChat = async (at) => (await admin.messages(at)).map(({ role, content, status }) => ({ role, content, status }));
  const upload = () => aerie.request('POST', '/api/v1/documents', {
    token: admin.token, ...multipart('file', 'page.html', 'text/html', `<html><title>${unique('d')}</title>${PARAGRAPH.repeat(20)}<!-- ${randomUUID()} -->`),
  });

  return [
    reading('list agents', () => '/api/agents'),
    reading('list chats', () => '/api/chats?limit=3'),
    reading('history', () => `/api/chats/${chat.id}/messages`),
    reading('search chats', () => '/api/chats?q=tok1&limit=2'),
    reading('export', () => `/api/chats/${chat.id}/export`),
    reading('models', () => '/api/providers'),
    { name: 'page', run: async () => wanted(await aerie.request('GET', '/'), 200) && wanted(await aerie.request('GET', '/openapi.json'), 200) && wanted(await aerie.request('GET', '/metrics'), 200) },
    making('register',
      async () => {
        const email = `${unique('t')}@aerie.test`;
        return wanted(await aerie.request('POST', '/api/auth/register', { json: { email, password: PASSWORD, full_name: 'T' } }), 201) && email;
      },
      async (email) => wanted(await aerie.request('POST', '/api/auth/login', { json: { email, password: PASSWORD } }), 200)),
    making('login and refresh',
      async () => {
        const first = wanted(await aerie.request('POST', '/api/auth/login', { json: { email: aerie.adminEmail, password: PASSWORD } }), 200).json;
        return wanted(await aerie.request('POST', '/api/auth/refresh', { json: { refresh_token: first.refresh_token } }), 200).json;
      },
      async ({ access_token: token }) => wanted(await aerie.request('GET', '/api/auth/me', { token }), 200)),
    making('agent', async () => wanted(await admin.post('/api/agents', { name: unique('a-'), provider: 'echo', webhook_token: 'secret' }), 201).json,
      async ({ id }) => wanted(await admin.put(`/api/agents/${id}`, { name: 'renamed' }), 200),
      ({ id }) => admin.delete(`/api/agents/${id}`)),
    making('agent key', async () => wanted(await admin.post(`/api/agents/${agent.id}/api-keys`, {}), 201).json,
      async ({ id }) => assert.ok((await get(`/api/agents/${agent.id}/api-keys`)).some((one) => one.id === id), 'an acknowledged key is not stored'),
      ({ id }) => admin.delete(`/api/agents/${agent.id}/api-keys/${id}`)),
    making('chat', async () => wanted(await admin.post('/api/chats', { agent_id: agent.id, title: 'a chat' }), 201).json,
      async ({ id }) => assert.equal((await get(`/api/chats/${id}`)).title, 'a chat'),
      ({ id }) => admin.delete(`/api/chats/${id}`)),
    {
      name: 'rename and delete a chat',
      fresh: () => admin.chat(agent),
      run: async ({ id }) => {
        wanted(await admin.put(`/api/chats/${id}`, { title: 'new' }), 200);
        wanted(await admin.delete(`/api/chats/${id}`), 204);
      },
      check: async ({ did }, { id }) => {
        const { status } = await patiently(async () => {
          const answer = await admin.get(`/api/chats/${id}`);
          return answer.status === 404 ? answer : wanted(answer, 200);
        });
        assert.ok(status === 404 || (status === 200 && did === undefined), `the chat answers ${status}`);
      },
    },
    asking('message by SSE', () => admin.chat(agent),
      async (turn) => reply(await admin.send(turn.at, turn.content, { headers: { 'Idempotency-Key': turn.key } })), inChat),
    asking('message by WebSocket', () => admin.chat(agent),
      async (turn) => {
        const trust = trustFor(aerie.port);
        const ws = new WebSocket(`${trust ? 'wss' : 'ws'}://127.0.0.1:${aerie.port}/api/chat/ws?token=${admin.token}`, { perMessageDeflate: false, ...trust });
        const status = await new Promise((resolve, reject) => {
          ws.once('open', () => resolve(101));
          ws.once('unexpected-response', (req, res) => resolve(res.statusCode));
          ws.once('error', reject);
        });
        wanted({ status }, 101);
        const socket = new ChatSocket(ws);
        try {
          socket.send({ message: turn.content, session_id: turn.at.id, idempotency_key: turn.key });
          await socket.until((s) => s.events.some((e) => e.type === 'done' || e.type === 'error'), 15000);
        } finally {
          ws.terminate();
        }
        const last = socket.events.find((e) => e.type === 'done' || e.type === 'error');
        if (last.type === 'error') {
          if (last.data.code === 'conflict') throw new Error('409');
          throw new Refused(`error event ${last.data.code}`);
        }
        return { text: socket.text ?? socket.events.filter((e) => e.type === 'message').map((e) => e.data.content).join('') };
      }, inChat),
    asking('message of a visitor', visit,
      async (turn) => reply(await openStream(aerie.port, 'POST', '/api/chat/widget', { json: { session_id: turn.at.session_id, message: turn.content }, headers: { Authorization: `Bearer ${turn.at.visitor_token}`, 'Idempotency-Key': turn.key } })),
      async (at) => wanted(await aerie.request('GET', `/api/chat/widget/messages?session_id=${at.session_id}`, { headers: { Authorization: `Bearer ${at.visitor_token}` } }), 200).json),
    {
      name: 'completion',
      run: async () => {
        const body = { model: agent.name, messages: [{ role: 'user', content: '!tokens=3' }] };
        const answer = wanted(await aerie.request('POST', '/v1/chat/completions', { json: body, token: key }), 200);
        assert.equal(answer.json.choices[0].message.content, SAID);
      },
    },
    making('document', async () => wanted(await upload(), 201).json,
      async ({ id }) => assert.equal((await get(`/api/v1/documents/${id}`)).char_count, PAGE_CHARS, 'a document was cut'),
      ({ id }) => admin.delete(`/api/v1/documents/${id}`)),
    {
      name: 'document search',
      prepare: async () => wanted(await upload(), 201),
      run: async () => assert.ok(wanted(await admin.post('/api/v1/documents/search', { query: 'bakery' }), 200).text.includes('bakery')),
    },
    making('provider key', async () => wanted(await admin.post('/api/team/provider-keys', { provider: 'groq', name: unique('k'), key: 'gsk_secret' }), 201).json,
      async ({ id }) => {
        const keys = await get('/api/team/provider-keys');
        assert.ok(keys.some((one) => one.id === id), 'an acknowledged key is not stored');
        for (const one of keys) if (one.id !== id) await admin.delete(`/api/team/provider-keys/${one.id}`);
      },
      ({ id }) => admin.delete(`/api/team/provider-keys/${id}`)),
  ];
}
