// The packages that browsers read event streams with, over a line that breaks: eventsource and @microsoft/fetch-event-source.
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import net from 'node:net';
import { after, before, test } from 'node:test';
import { EventSource } from 'eventsource';
import { startUpstream } from '../fake/upstream.mjs';
import { Aerie, unique } from '../tools/aerie.mjs';

// The few things of a browser that the package reaches for beside fetch.
globalThis.window = globalThis;
globalThis.document = { hidden: false, addEventListener() {}, removeEventListener() {} };
const { fetchEventSource } = createRequire(import.meta.url)('@microsoft/fetch-event-source');

const WORDS = Array.from({ length: 40 }, (_, i) => `tok${i}`).join(' ');

let aerie, upstream, agent, user, line;
before(async () => {
  upstream = await startUpstream();
  aerie = await Aerie.start();
  agent = await aerie.admin.agent({ webhook_url: upstream.url() });
  user = await aerie.user();
  line = await startLine(aerie.port);
});
after(async () => {
  line?.close();
  await aerie?.stop();
  await upstream?.close();
});

/** Between a client and the server: the answer to each request is torn after so many bytes, or, whole, with the piece that they
 * end in, until there are no more cuts. */
async function startLine(port) {
  const state = { cuts: [], whole: false, torn: 0 };
  const server = net.createServer((client) => {
    const far = net.connect(port, '127.0.0.1');
    let room = Infinity;
    client.on('data', (bytes) => {
      if (/^(GET|POST) /.test(bytes.toString('latin1'))) room = state.cuts.shift() ?? Infinity;
      far.write(bytes);
    });
    far.on('data', (bytes) => {
      client.write(state.whole ? bytes : bytes.subarray(0, room));
      room -= bytes.length;
      if (room > 0) return;
      state.torn++;
      far.destroy();
      client.destroySoon();
    });
    far.on('close', () => client.destroySoon());
    client.on('close', () => far.destroy());
    for (const end of [client, far]) end.on('error', () => {});
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  state.base = `http://127.0.0.1:${server.address().port}`;
  state.close = () => server.close();
  return state;
}

test('eventsource_resumes_a_turn_without_a_gap_or_a_repeat', async () => {
  const chat = await user.chat(agent);
  const stream = await user.send(chat, '!tokens=40&delay=100');
  Object.assign(line, { cuts: [1321], whole: false, torn: 0 });
  const answers = [];
  const source = new EventSource(`${line.base}/api/chats/${chat.id}/stream`, {
    fetch: async (url, init) => {
      const answer = await fetch(url, { ...init, headers: { ...init.headers, Authorization: `Bearer ${user.token}` } });
      answers.push([answer.status, init.headers['Last-Event-ID']]);
      return answer;
    },
  });
  const events = [];
  await new Promise((resolve) => {
    source.onmessage = ({ data }) => {
      events.push(JSON.parse(data));
      if (events.at(-1).type === 'done') resolve();
    };
  });
  // It comes back once more, as such clients do when a stream ends, and is told that there is nothing.
  while (source.readyState !== EventSource.CLOSED) await new Promise((resolve) => setTimeout(resolve, 20));
  const text = events.filter((e) => e.type === 'message').map((e) => e.data.content).join('');
  assert.equal(text, WORDS);
  assert.equal(events.filter((e) => e.type === 'status').length, 1);
  assert.equal(line.torn, 1);
  assert.deepEqual(answers.map(([status]) => status), [200, 200, 204]);
  assert.equal(answers[0][1], undefined);
  assert.ok(answers.slice(1).every(([, id]) => id));
  await stream.whole();
});

/** One message through fetch-event-source, which sends its POST again when the line breaks. It notes an event's id before it
 * has the event, so that only a line that breaks between events loses it none. */
async function post(path, body, { key, cuts = [], patience = 0 }) {
  const events = [];
  let tries = 0;
  Object.assign(line, { cuts, whole: true, torn: 0 });
  await fetchEventSource(`${line.base}${path}`, {
    method: 'POST',
    headers: { Authorization: `Bearer ${user.token}`, 'Content-Type': 'application/json', 'Idempotency-Key': key },
    body: JSON.stringify(body),
    openWhenHidden: true,
    fetch: (...args) => (tries++, fetch(...args)),
    async onopen(answer) {
      assert.equal(answer.status, 200);
      assert.match(answer.headers.get('content-type'), /^text\/event-stream/);
    },
    onmessage: ({ data }) => events.push(JSON.parse(data)),
    onerror(error) {
      if (error.code === 'ERR_ASSERTION') throw error;
      return patience;
    },
  });
  return { events, tries, text: events.filter((e) => e.type === 'message').map((e) => e.data.content).join('') };
}

test('fetch_event_source_sends_again_and_goes_on_where_it_was', async () => {
  for (const [path, body] of [['/api/chat/stream', { message: '!tokens=40&delay=30', agent_id: agent.id }], [`/api/chats/${(await user.chat(agent)).id}/messages`, { content: '!tokens=40&delay=30' }]]) {
    const before = upstream.requests.length;
    const said = await post(path, body, { key: unique('key'), cuts: [1000, 900] });
    assert.equal(said.text, WORDS, path);
    assert.equal(said.tries, 3);
    assert.equal(line.torn, 2);
    assert.deepEqual(said.events.filter((e) => e.type !== 'message').map((e) => e.type), ['status', 'done']);
    assert.equal(upstream.requests.length, before + 1);
  }
});

test('fetch_event_source_gets_the_rest_of_a_reply_that_ended_meanwhile', async () => {
  const said = await post('/api/chat/stream', { message: '!tokens=40&delay=10', agent_id: agent.id }, { key: unique('key'), cuts: [1200], patience: 1500 });
  assert.equal(said.text, WORDS);
  assert.equal(said.tries, 2);
  assert.deepEqual(said.events.filter((e) => e.type !== 'message').map((e) => e.type), ['status', 'done']);
});
