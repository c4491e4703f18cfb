// Every way in which an agent's server fails, in every format that it may answer in: what the reader must get, and what must be
// kept. For test/api/faults.test.mjs and test/fault/upstream.mjs.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import net from 'node:net';
import { fileURLToPath } from 'node:url';
import { freePort } from '../tools/postgres.mjs';

/** The limits that the expectations below rest upon. */
const PATIENCE = process.env.AERIE_SLOW ? 12 : 3; // seconds; a build under TSan takes that long for a megabyte beside others
export const ENV = {
  UPSTREAM__CONNECT_SECONDS: PATIENCE, UPSTREAM__FIRST_BYTE_SECONDS: PATIENCE, UPSTREAM__IDLE_SECONDS: PATIENCE, UPSTREAM__TOTAL_SECONDS: 20 + PATIENCE,
  UPSTREAM__ERROR_WAIT_MS: 50,
};
/** No call may take longer than its deadlines together; a busy machine gets some more. */
export const MAX_MS = 9000 + 5000;

export const FORMATS = ['sse', 'items', 'json'];
const TYPES = { sse: 'text/event-stream', items: 'application/json; charset=utf-8', json: 'application/json' };

const WIDE = 'Grüße 🎉 日本語';
const all = (value) => ({ sse: value, items: value, json: value });
const whole = all('tok0 tok1 tok2 tok3 tok4');
const nothing = all('');
const begun = { sse: 'tok0 tok1 tok2', items: 'tok0 tok1 tok2', json: '' };
/** After three of five tokens, and inside the one object of JSON. */
const inTheMiddle = (verb) => ({ sse: `${verb}_piece=3`, items: `${verb}_piece=4`, json: `${verb}=20` });
const done = undefined;

/** [name, query, code, text]: each the same in all formats, or by format; a code that is undefined: the reply is whole. */
const rows = [
  ['status_401', 'status=401', 'provider_auth', nothing],
  ['status_404', 'status=404', 'provider_error', nothing],
  ['status_500', 'status=500', 'provider_error', nothing],
  ['status_503', 'status=503', 'provider_error', nothing],
  ['status_429', 'status=429&retry_after=7', 'provider_rate_limited', nothing],
  ['status_302', 'status=302&location=/webhook/elsewhere', 'provider_error', nothing],
  ['status_204', 'status=204', 'empty_reply', nothing],
  ['html_with_200', { sse: `format=html&type=${TYPES.sse}`, items: `format=html&type=${TYPES.items}`, json: `format=html&type=${TYPES.json}` }, 'provider_malformed', nothing],
  ['silence_from_the_start', 'silent=1', 'provider_timeout', nothing],
  ['silence_after_the_head', 'stall=0', 'provider_timeout', nothing],
  ['silence_in_the_middle', inTheMiddle('stall'), 'provider_timeout', begun],
  ['close_after_the_head', 'cut=0', 'interrupted', nothing],
  ['close_in_the_middle', inTheMiddle('cut'), 'interrupted', begun],
  ['reset_in_the_middle', inTheMiddle('reset'), 'interrupted', begun],
  ['no_end_told', 'done=0', done, whole],
  ['a_length_that_is_not_reached', 'framing=length&claim=5000&end=close', { sse: done, items: 'interrupted', json: 'interrupted' }, { ...whole, json: '' }],
  ['an_endless_line', 'done=0&endless=400000&end=hang', 'upstream_limit', { ...whole, json: '' }],
  ['an_event_that_is_just_short_enough', 'tokens=1&size=261900', done, all(261900)],
  ['an_event_that_is_too_long', 'tokens=1&size=262144', 'upstream_limit', nothing],
  ['a_megabyte_of_headers', 'header_bytes=1000000', 'upstream_limit', nothing],
  ['single_bytes_and_split_characters', `bytes=1&text=${encodeURIComponent(WIDE)}`, done, all(WIDE)],
  ['chunks_of_one_byte', `chunk=1&text=${encodeURIComponent(WIDE)}`, done, all(WIDE)],
  ['more_after_the_end', 'extra=1', done, { sse: whole.sse, items: `${whole.items} extra`, json: `${whole.json} extra` }],
  ['an_error_object_after_text', 'done=0&error=1', 'provider_error', whole],
  ['an_error_object_alone', 'done=0&tokens=0&error=1', 'provider_error', nothing],
  ['broken_framing', { sse: 'garbage=3', items: 'garbage=4', json: 'garbage=1' }, 'interrupted', begun],
  ['gzip_that_nobody_asked_for', 'gzip=plain', 'provider_malformed', nothing],
  ['a_gzip_bomb', 'gzip=bomb', 'provider_malformed', nothing],
  ['more_text_than_a_reply_may_have', 'tokens=30&size=60000', 'upstream_limit', { sse: 1 << 20, items: 1 << 20, json: '' }],
  ['all_is_well', '', done, whole],
];

/** No answer comes, so there is no format: [name, code]. */
const unreached = [['nobody_listens', 'provider_unreachable'], ['no_such_name', 'provider_unreachable'], ['no_tls_there', 'provider_unreachable'], ['tls_that_stalls', 'provider_timeout']];

const of = (value, format) => (value !== null && typeof value === 'object' ? value[format] : value);

/** [{name, query, agent, code, text}]; text: the whole of it, or how long it is. */
export const cases = [
  ...rows.flatMap(([name, query, code, text]) => FORMATS.map((format) => (
    { name: `${name}_${format}`, agent: 'fake', query: `!format=${format}&tokens=5&${of(query, format)}`, code: of(code, format), text: of(text, format) }))),
  ...unreached.map(([name, code]) => ({ name, agent: name, query: 'Hello', code, text: '' })),
];

const listening = async (onConnection) => {
  const server = net.createServer(onConnection);
  await once(server.listen(0, '127.0.0.1'), 'listening');
  return server;
};

/** What fails, and an agent for each: {port, agents, close}; the fake has a process of its own, so that it is not late. */
export async function startFaults(admin) {
  const fake = spawn(process.execPath, [fileURLToPath(new URL('../fake/upstream.mjs', import.meta.url))], { stdio: ['ignore', 'pipe', 'inherit'] });
  const port = Number(await once(fake.stdout, 'data'));
  const closing = await listening((socket) => socket.on('error', () => {}).end());
  const silent = await listening((socket) => socket.on('error', () => {}).resume());
  const urls = {
    fake: `http://127.0.0.1:${port}/webhook/fake`,
    nobody_listens: `http://127.0.0.1:${await freePort()}/x`,
    no_such_name: `http://${'x'.repeat(64)}.invalid/x`, // too long a label: it fails at once, whoever answers for DNS
    no_tls_there: `https://127.0.0.1:${closing.address().port}/x`,
    tls_that_stalls: `https://127.0.0.1:${silent.address().port}/x`,
  };
  const agents = {};
  for (const [name, webhook_url] of Object.entries(urls)) agents[name] = await admin.agent({ webhook_url, config: { context_messages: 1 } });
  return {
    port,
    agents,
    close() {
      for (const server of [closing, silent]) server.close();
      fake.kill();
    },
  };
}

/** What holds whatever the upstream did: one terminal event, the last; the message and the text that came are in the history. */
export async function checkTurn(user, chat, stream, content, where) {
  assert.equal(stream.of('done').length + stream.of('error').length, 1, `${where}: ${JSON.stringify(stream.events.slice(-3))}`);
  assert.ok(['done', 'error'].includes(stream.events.at(-1).type), where);
  assert.doesNotMatch(JSON.stringify(stream.error ?? ''), /127\.0\.0\.1|localhost|\.invalid|secret/, where);
  const messages = await user.messages(chat, '?limit=2');
  const reply = messages.at(-1).role === 'assistant' ? messages.pop() : null;
  assert.deepEqual([messages.at(-1).role, messages.at(-1).content], ['user', content], where);
  const status = !stream.error ? 'complete' : stream.error.code === 'interrupted' ? 'interrupted' : 'error';
  if (stream.text) assert.deepEqual([reply?.content, reply?.status], [stream.text, status], where);
  else assert.notEqual(reply?.status, 'complete', where);
}

/** Asks in this chat and looks at everything. */
export async function checkFault(user, chat, { name, query, code, text }) {
  const began = Date.now();
  const stream = await user.ask(chat, query);
  assert.equal(stream.error?.code, code, `${name}: ${JSON.stringify(stream.events.slice(-2)).slice(0, 1000)}`);
  assert.equal(typeof text === 'number' ? Buffer.byteLength(stream.text) : stream.text, text, name);
  assert.ok(Date.now() - began < MAX_MS, `${name}: ${Date.now() - began} ms`);
  await checkTurn(user, chat, stream, query, name);
}
