// A proxy that keeps its connections to us: what a client sends through it must never be answered twice, nor answer somebody else's request. Each
// request carries an id, which its answer brings back and our log tells: nginx itself hides an answer too many from its client.
import assert from 'node:assert/strict';
import net from 'node:net';
import { after, afterEach, before, describe, test } from 'node:test';
import { Aerie, inParallel, unique } from '../tools/aerie.mjs';
import { raw } from '../tools/http.mjs';
import { runNginx } from '../tools/nginx.mjs';

let aerie;
before(async () => {
  aerie = await Aerie.start({ env: { TRUSTED_PROXIES: '127.0.0.1', LOG__LEVEL: 'debug' } });
});
after(() => aerie?.stop());

const site = (buffering) => (port) => `upstream aerie { server 127.0.0.1:${aerie.port}; keepalive 4; }
  map $http_upgrade $connection_upgrade { default upgrade; "" ""; }
  server { listen 127.0.0.1:${port}; client_max_body_size 3m; client_body_buffer_size 3m; location / {
    proxy_pass http://aerie; proxy_http_version 1.1; proxy_set_header Connection $connection_upgrade; proxy_set_header Upgrade $http_upgrade;
    proxy_set_header Host $http_host; proxy_buffering on; proxy_next_upstream off; proxy_request_buffering ${buffering}; } }`;

const host = 'Host: 127.0.0.1\r\n';
const hidden = 'GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Request-Id: smuggled\r\n\r\n';
const sized = (line, more, body) => (id) => `${line} HTTP/1.1\r\n${host}X-Request-Id: ${id}\r\n${more}Content-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`;
const chunked = (line, more, body, size = body.length) => (id) => `${line} HTTP/1.1\r\n${host}X-Request-Id: ${id}\r\n${more}Transfer-Encoding: chunked\r\n\r\n${body.match(new RegExp(`[^]{1,${size}}`, 'g')).map((piece) => `${piece.length.toString(16)}\r\n${piece}\r\n`).join('')}0\r\n\r\n`;
const json = 'Content-Type: application/json\r\n';
const get = (id) => `GET /health HTTP/1.1\r\n${host}X-Request-Id: ${id}\r\n\r\n`;
const big = hidden.repeat(Math.ceil((1200 * 1024) / hidden.length));
const login = 'POST /api/auth/login';

/** Requests, each answered once: most of them before, or without, a look at their body. */
const shapes = {
  a_body_too_large: sized(login, json, big),
  a_chunked_body_too_large: chunked(login, json, big, 16384),
  a_body_of_no_route: sized('POST /nope', json, hidden),
  a_large_body_of_no_route: sized('POST /nope', json, big),
  a_chunked_body_of_no_route: chunked('POST /nope', json, hidden),
  a_body_of_a_wrong_type: sized(login, 'Content-Type: text/plain\r\n', hidden),
  a_large_body_of_a_wrong_type: sized(login, 'Content-Type: text/plain\r\n', big),
  a_compressed_body: sized(login, `${json}Content-Encoding: gzip\r\n`, hidden),
  a_body_that_is_no_json: sized(login, json, hidden),
  a_chunked_body_that_is_no_json: chunked(login, json, hidden, 7),
  a_body_without_a_token: sized('POST /api/chats', json, hidden),
  a_body_from_a_foreign_page: sized('POST /api/chats', `${json}Cookie: access_token=x\r\nOrigin: https://evil.test\r\n`, hidden),
  a_body_of_a_wrong_method: sized('PATCH /api/auth/login', json, hidden),
  a_body_of_a_get: sized('GET /health', '', hidden),
  a_large_body_of_a_get: sized('GET /health', '', big),
  a_body_of_a_delete: sized('DELETE /api/chats/x', '', hidden),
  a_body_of_options: sized('OPTIONS /api/chats', '', hidden),
  an_expectation: sized(login, `${json}Expect: 100-continue\r\n`, hidden),
  an_expectation_of_too_much: sized(login, `${json}Expect: 100-continue\r\n`, big),
  an_unknown_expectation: sized(login, `${json}Expect: wonders\r\n`, hidden),
  an_upgrade_that_is_refused: sized('GET /api/chat/ws', 'Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n', hidden),
  an_upgrade_to_nothing: sized(login, `${json}Upgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\n`, hidden),
  a_length_named_as_a_hop: sized(login, `${json}Connection: keep-alive, Content-Length\r\n`, hidden),
  a_path_that_is_no_text: sized('POST /api/%C3%28', json, hidden),
};
/** Framing that two readers could take differently; a proxy that answers itself is as good. */
const doubts = {
  length_and_chunked: (id) => `${login} HTTP/1.1\r\n${host}X-Request-Id: ${id}\r\n${json}Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${hidden}`,
  two_lengths: (id) => `${login} HTTP/1.1\r\n${host}X-Request-Id: ${id}\r\n${json}Content-Length: 0\r\nContent-Length: ${hidden.length}\r\n\r\n${hidden}`,
  an_odd_coding: (id) => `${login} HTTP/1.1\r\n${host}X-Request-Id: ${id}\r\n${json}Transfer-Encoding: xchunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n${hidden}`,
  a_spaced_coding: (id) => `${login} HTTP/1.1\r\n${host}X-Request-Id: ${id}\r\n${json}Transfer-Encoding : chunked\r\nContent-Length: ${hidden.length}\r\n\r\n${hidden}`,
  a_length_in_the_trailer: (id) => `${login} HTTP/1.1\r\n${host}X-Request-Id: ${id}\r\n${json}Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\nContent-Length: ${hidden.length}\r\n\r\n`,
  chunks_too_short: (id) => `${login} HTTP/1.1\r\n${host}X-Request-Id: ${id}\r\n${json}Transfer-Encoding: chunked\r\n\r\n1\r\n{}\r\n0\r\n\r\n${hidden}`,
};

async function exchange(port, bytes, ids) {
  const { answers, text } = await raw(port, bytes, { quiet: 200, least: ids.length });
  const final = answers.filter((answer) => answer.status >= 200);
  assert.deepEqual(final.map((answer) => answer.headers['x-request-id']), ids, text.slice(0, 2000));
  return final;
}

/** The ids of the requests that we answered so far. */
const answered = () => [...aerie.log.matchAll(/ request=(\S+)/g)].map(([, id]) => id);

function checkLog() {
  const counts = new Map();
  for (const id of answered()) counts.set(id, (counts.get(id) ?? 0) + 1);
  assert.equal(counts.get('smuggled'), undefined, 'a body was taken for a request');
  assert.deepEqual([...counts].filter(([, times]) => times > 1), [], 'answered twice');
  assert.ok(counts.size > 0);
}

/** What others ask meanwhile, over the same connections to us. */
async function askAsOthers(port, n) {
  await Promise.all(Array.from({ length: n }, async () => {
    const id = unique('other-');
    const [answer] = await exchange(port, get(id).replace('\r\n\r\n', '\r\nConnection: close\r\n\r\n'), [id]);
    assert.equal(answer.status, 200);
  }));
}

for (const buffering of ['on', 'off'])
  describe(`nginx_request_buffering_${buffering}`, () => {
    let nginx;
    before(async () => {
      nginx = await runNginx(site(buffering));
    });
    after(() => nginx?.close());
    afterEach(checkLog);

    test(`no_request_yields_two_answers_${buffering}`, async () => {
      await inParallel(6, Object.entries(shapes), async ([name, shape]) => {
        for (let i = 0; i < 2; i++) {
          const id = unique(`${name}-`).slice(-36);
          await exchange(nginx.port, shape(id), [id]).catch((error) => Promise.reject(new Error(`${name}: ${error.message}`)));
          await askAsOthers(nginx.port, 3);
        }
      });
    });

    test(`pipelined_requests_have_their_own_answers_${buffering}`, async () => {
      const small = Object.entries(shapes).filter(([name]) => !/expect|large|upgrade|broken|nul/.test(name));
      const ids = small.map(([name]) => unique(`${name}-`).slice(-36));
      const bytes = small.map(([, shape], i) => shape(ids[i]) + get(`after-${buffering}-${i}`)).join('');
      const { answers } = await raw(nginx.port, bytes, { quiet: 1000 });
      const wanted = ids.flatMap((id, i) => [id, `after-${buffering}-${i}`]);
      // nginx ends a connection whose body it could not pass on; what was answered until then is in order.
      assert.ok(answers.length > 0);
      assert.deepEqual(answers.map((a) => a.headers['x-request-id']), wanted.slice(0, answers.length));
      await askAsOthers(nginx.port, 8);
    });

    test(`doubtful_framing_hides_no_request_${buffering}`, async () => {
      await inParallel(6, Object.entries(doubts), async ([name, shape]) => {
        const id = unique('doubt-');
        const { answers } = await raw(nginx.port, shape(id), { quiet: 400 });
        assert.ok(answers.every((a) => a.headers['x-request-id'] !== 'smuggled'), name);
        await askAsOthers(nginx.port, 3);
      });
    });

    test(`a_client_that_leaves_in_mid_body_leaves_nothing_behind_${buffering}`, async () => {
      await inParallel(6, Array.from({ length: 24 }), async (_, worker) => {
        await new Promise((resolve) => {
          const body = `{"email":"${hidden}`;
          const socket = net.connect(nginx.port, '127.0.0.1', () => {
            socket.write(`${login} HTTP/1.1\r\n${host}${json}Content-Length: 5000\r\n\r\n${body}`);
            setTimeout(() => (worker % 2 ? socket.destroy() : socket.resetAndDestroy()), 20);
          });
          socket.on('error', () => {});
          socket.on('close', resolve);
        });
        await askAsOthers(nginx.port, 2);
      });
    });
  });
