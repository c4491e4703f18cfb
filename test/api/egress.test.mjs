// Where this server calls, and where it does not: no proxy of the environment, no redirect, no control characters, no inner
// address; and nothing tells a caller what is behind an address that is refused.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import net from 'node:net';
import { after, before, test } from 'node:test';
import { startUpstream } from '../fake/upstream.mjs';
import { Aerie } from '../tools/aerie.mjs';
import { freePort } from '../tools/postgres.mjs';

let upstream;
before(async () => (upstream = await startUpstream()));
after(() => upstream.close());

const openaiAgent = (port, path = '/openai/v1') => ({ provider: 'openai_compatible', model: 'm', webhook_url: `http://127.0.0.1:${port}${path}` });

async function serving(options, run) {
  const aerie = await Aerie.start(options);
  try {
    await run(aerie);
    await aerie.stop();
  } finally {
    aerie.drop();
  }
}

test('no_proxy_of_the_environment_is_asked', async () => {
  let asked = 0;
  const proxy = net.createServer((socket) => (asked++, socket.destroy()));
  await once(proxy.listen(0, '127.0.0.1').unref(), 'listening');
  const env = { NO_PROXY: 'nothing.test', no_proxy: 'nothing.test' };
  for (const name of ['http_proxy', 'https_proxy', 'all_proxy', 'HTTP_PROXY', 'HTTPS_PROXY', 'ALL_PROXY']) env[name] = `http://127.0.0.1:${proxy.address().port}`;
  await serving({ env }, async ({ admin }) => {
    const webhook = await admin.agent({ webhook_url: upstream.url() });
    assert.equal((await admin.ask(await admin.chat(webhook), '!tokens=3')).text, 'tok0 tok1 tok2');
    const closed = await admin.agent({ webhook_url: `https://127.0.0.1:${await freePort()}/x` });
    assert.equal((await admin.ask(await admin.chat(closed), 'Hello')).error.code, 'provider_unreachable');
    const model = await admin.agent(openaiAgent(upstream.port));
    await admin.get(`/api/providers/openai_compatible/models?agent_id=${model.id}`);
    assert.ok(upstream.requests.some(({ path }) => path === '/openai/v1/models'));
  });
  assert.equal(asked, 0);
});

test('no_redirect_is_followed', () => serving({}, async ({ admin }) => {
  let led = 0;
  const elsewhere = net.createServer((socket) => (led++, socket.destroy()));
  await once(elsewhere.listen(0, '127.0.0.1').unref(), 'listening');
  const places = ['/elsewhere', ...['http', 'https'].map((scheme) => `${scheme}://127.0.0.1:${elsewhere.address().port}/elsewhere`)];
  const agent = await admin.agent({ webhook_url: upstream.url(), webhook_token: 'relay-token' });
  const model = await admin.agent(openaiAgent(upstream.port, '/led/v1'));
  for (const status of [301, 302, 303, 307, 308])
    for (const location of places) {
      const stream = await admin.ask(await admin.chat(agent), `!status=${status}&location=${encodeURIComponent(location)}`);
      assert.equal(stream.error?.code, 'provider_error', `${status} ${location}`);
      // A small answer is read to its end, whatever its status.
      upstream.handle('/led/v1/models', (_, socket) => socket.write(`HTTP/1.1 ${status} Elsewhere\r\nLocation: ${location}\r\nContent-Length: 0\r\n\r\n`));
      const models = await admin.get(`/api/providers/openai_compatible/models?agent_id=${model.id}`);
      assert.equal(models.status, 502, `${status} ${location}`);
    }
  assert.equal(led + upstream.requests.filter(({ path }) => path === '/elsewhere').length, 0);
}));

test('control_characters_are_refused_wherever_they_could_be_sent', () => serving({}, async ({ admin }) => {
  const url = 'https://agent.test/x';
  const places = [
    ['POST', '/api/agents', (bad) => ({ name: 'x', webhook_url: `${url}${bad}y` }), 'webhook_url'],
    ['POST', '/api/agents', (bad) => ({ name: 'x', webhook_url: `https://agent${bad}.test/` }), 'webhook_url'],
    ['POST', '/api/agents', (bad) => ({ name: 'x', webhook_url: url, webhook_token: `key${bad}X-Evil: 1` }), 'webhook_token'],
    ['POST', '/api/agents', (bad) => ({ name: 'x', provider: 'gemini', model: `m${bad}x` }), 'model'],
    ['POST', '/api/team/provider-keys', (bad) => ({ provider: 'openai', key: `sk-1234567890${bad}X-Evil: 1` }), 'key'],
    ['PUT', '/api/team', (bad) => ({ settings: { embeddings: { base_url: `${url}${bad}y`, model: 'm', dimensions: 3 } } }), 'settings.embeddings.base_url'],
    ['PUT', '/api/team', (bad) => ({ settings: { embeddings: { base_url: url, model: `m${bad}x`, dimensions: 3 } } }), 'settings.embeddings.model'],
  ];
  for (const [method, path, body, field] of places)
    for (const bad of ['\r\n', '\n', '\r', '\0', '\t', '\x1b', '\x7f']) {
      const answer = await admin[method.toLowerCase()](path, body(bad));
      const where = `${method} ${path} ${field} ${JSON.stringify(bad)}: ${answer.status} ${answer.text}`;
      assert.ok([400, 422].includes(answer.status), where); // NUL is refused in any text
      if (answer.status === 422) assert.equal(answer.json.errors[0].field, field, where);
    }
}));

/** The middle of many. */
const median = (numbers) => numbers.toSorted((a, b) => a - b)[numbers.length >> 1];

/** What a caller can tell of an answer, without ids and times. */
const plain = (value) => JSON.stringify(value).replaceAll(/[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|"at":\d+|\d{4}-\d\d-\d\dT[^"]+Z/g, '…');

test('a_refused_address_and_a_closed_one_look_the_same', async () => {
  const port = await freePort();
  await serving({}, async (aerie) => {
    // A name, an address where somebody listens and one where nobody does, which will be refused; and a closed one, which may be called.
    const inner = [`http://localhost:${upstream.port}`, `http://127.0.0.1:${upstream.port}`, `http://127.0.0.1:${port}`];
    const places = [...inner, `http://127.0.0.2:${port}`];
    const chats = [];
    const models = [];
    for (const place of places) {
      chats.push(await aerie.admin.chat(await aerie.admin.agent({ webhook_url: `${place}/webhook/fake` })));
      models.push(await aerie.admin.agent({ provider: 'openai_compatible', model: 'm', webhook_url: `${place}/openai/v1` }));
    }
    await aerie.halt();
    aerie.env.EGRESS__ALLOW = '127.0.0.2';
    await aerie.listen();
    const connections = upstream.connections;
    const { admin } = aerie;
    const ways = {
      stream: async (i) => plain((await admin.ask(chats[i], 'Hello')).events),
      json: async (i) => {
        const { status, headers, json } = await admin.post(`/api/chats/${chats[i].id}/messages`, { content: 'Hello' }, { headers: { Accept: 'application/json' } });
        assert.equal(status, 502);
        return plain([status, Object.keys(headers), json]);
      },
      models: async (i) => {
        const { status, headers, json } = await admin.get(`/api/providers/openai_compatible/models?agent_id=${models[i].id}`);
        assert.equal(status, 502);
        return plain([status, Object.keys(headers), json]);
      },
    };
    for (const [way, ask] of Object.entries(ways)) {
      const times = places.map(() => []);
      const told = new Set();
      for (let round = 0; round < 15; round++)
        for (const i of places.keys()) {
          const began = performance.now();
          told.add(await ask(i));
          times[i].push(performance.now() - began);
        }
      assert.equal(told.size, 1, `${way}: ${[...told].join('\n')}`);
      const [closed, ...others] = times.map(median).reverse();
      for (const other of others) assert.ok(Math.abs(other - closed) < 10 + closed / 2, `${way}: ${times.map(median).map((ms) => ms.toFixed(1))} ms`);
    }
    assert.equal(upstream.connections, connections, 'nobody was called');
    const log = aerie.log.slice(aerie.log.lastIndexOf('listening on'));
    assert.match(log, /has an inner address, which egress\.allow does not list/, 'the operator is told');
  });
});
