// The two ends of the load tests must be right before anything is measured with them.
import assert from 'node:assert/strict';
import http from 'node:http';
import { after, before, test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { Aerie } from '../tools/aerie.mjs';
import { runLoad, startBenchUpstream, startLoad } from './programs.mjs';

let upstream;
before(async () => (upstream = await startBenchUpstream()));
after(async () => assert.equal(await upstream?.stop(), 0));

const asking = (query) => ({ path: `/hook?${query}`, headers: { 'Content-Type': 'application/json' }, body: '{"content":"a ~1~ and then ~%n~"}' });

function assertRight(result, messages, chunks) {
  assert.deepEqual([result.messages, result.wrong, result.errors, result.status_other], [messages, 0, 0, 0], result.told);
  assert.equal(result.chunks, messages * chunks);
}

async function bodyOf(seed, query) {
  const answer = await fetch(upstream.url(query), { method: 'POST', body: `~${seed}~` });
  return answer.text();
}

/** A server that fetches what the upstream would say and hands it on by answer(seed, body, res), as many as come. */
async function startRelay(query, answer, seedOf = (seed) => seed) {
  const server = http.createServer({ keepAlive: true }, async (req, res) => {
    let said = '';
    for await (const part of req) said += part;
    const seed = Number(/~(\d+)~[^~]*$/.exec(said)[1]);
    await answer(seed, await bodyOf(seedOf(seed), query), res);
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  return { port: server.address().port, close: () => (server.closeAllConnections(), server.close()) };
}

test('closed_reads_every_text_in_each_format', async () => {
  assertRight(await runLoad(upstream.port, [asking('chunks=32&bytes=100')], { mode: 'closed', clients: 8, messages: 200, read: 'lines' }), 200, 32);
  assertRight(await runLoad(upstream.port, [asking('chunks=300&bytes=7&burst=40'), asking('chunks=300&bytes=7')],
    { mode: 'closed', clients: 4, messages: 40, read: 'lines', chunks: 300, bytes: 7 }), 40, 300);
  assertRight(await runLoad(upstream.port, [asking('chunks=4&bytes=30000&format=openai')],
    { mode: 'closed', clients: 8, messages: 60, read: 'openai', chunks: 4, bytes: 30000 }), 60, 4);
  const timed = await runLoad(upstream.port, [asking('chunks=1')], { mode: 'closed', clients: 2, seconds: 1, read: 'lines', chunks: 1 });
  assert.ok(timed.wrong === 0 && timed.messages > 2 && timed.seconds < 10, JSON.stringify(timed));
});

test('open_keeps_its_schedule_and_counts_times_from_it', async () => {
  const result = await runLoad(upstream.port, [asking('chunks=3&first_ms=20')], { mode: 'open', rate: 200, messages: 100, clients: 32, read: 'lines', chunks: 3 });
  assertRight(result, 100, 3);
  assert.ok(result.seconds > 0.45 && result.first_us.p50 >= 18000, JSON.stringify(result));
  // One client for what two would need: those that wait are told as late.
  const late = await runLoad(upstream.port, [asking('chunks=1&first_ms=20')], { mode: 'open', rate: 100, messages: 50, clients: 1, read: 'lines', chunks: 1 });
  assertRight(late, 50, 1);
  assert.ok(late.first_us.p50 > 150_000 && late.first_us.max > 400_000, JSON.stringify(late));
});

test('held_streams_are_told_and_their_gaps_recorded', async () => {
  const held = { mode: 'held', clients: 200, ramp_per_second: 2000, gap_ms: 50, seconds: 1, read: 'openai', chunks: 30 };
  const requests = [asking('chunks=30&gap_ms=50&format=openai')];
  const before = await upstream.stats();
  let runs = 0;
  let cut;
  for (let i = 0; i < 3 && !(cut?.gap_us.p50 > 45_000 && cut.gap_us.p50 < 55_000); i++) { // a machine may pause
    cut = await runLoad(upstream.port, requests, held);
    runs++;
    assert.deepEqual([cut.messages, cut.wrong, cut.errors], [200, 0, 0], cut.told);
  }
  assert.ok(cut.gap_us.p50 > 45_000 && cut.gap_us.p50 < 55_000, JSON.stringify(cut));
  let { aborted } = before;
  for (let i = 0; aborted < before.aborted + 200 * runs && i < 100; i++) ({ aborted } = await upstream.stats());
  assert.equal(aborted, before.aborted + 200 * runs);

  const load = startLoad(upstream.port, requests, { ...held, control: true, to_end: true });
  assert.equal(await load.held(), 200);
  load.command('go');
  assert.ok((await load.gaps()).n >= 200);
  load.command('end');
  assertRight(await load.result, 200, 30);
});

test('a_silent_stream_is_a_gap', async () => {
  const requests = [...Array(9).fill(asking('chunks=200&gap_ms=20')), asking('chunks=200&gap_ms=60000')];
  const result = await runLoad(upstream.port, requests, { mode: 'held', clients: 10, seconds: 1, gap_ms: 20, read: 'lines', chunks: 200 });
  assert.ok(result.gap_us.max > 950_000, JSON.stringify(result.gap_us));
});

test('a_plain_answer_is_held_to_what_is_expected', async () => {
  const requests = [{ method: 'GET', path: '/stats' }];
  assertRight(await runLoad(upstream.port, requests, { mode: 'closed', messages: 20, clients: 2, read: 'body', expect: '"open":' }), 20, 0);
  const other = await runLoad(upstream.port, requests, { mode: 'closed', messages: 20, clients: 2, read: 'body', expect: '"closed":' });
  assert.equal(other.wrong, 20);
});

test('each_kind_of_wrong_text_counts_exactly_once', async () => {
  const pieces = (body) => body.split('\n');
  const faults = new Map([
    [1003, (body) => body.replace(/(content":".{20})(.)/, (all, begin, byte) => begin + (byte === 'A' ? 'B' : 'A'))], // one byte changed
    [1010, (body) => pieces(body).toSpliced(8, 1).join('\n')], // a piece too few, at the end
    [1014, (body) => pieces(body).toSpliced(3, 1).join('\n')], // in the middle
    [1030, (body) => pieces(body).toSpliced(3, 0, pieces(body)[3]).join('\n')], // one twice
    [1031, (body) => pieces(body).toSpliced(3, 2, pieces(body)[4], pieces(body)[3]).join('\n')], // two in the wrong order
    [1032, (body) => body.replace(/(content":"[^"]*)/, '$1x')], // a byte too many
    [1033, (body) => pieces(body).slice(0, -2).join('\n')], // without its end
    [1034, () => ''],
  ]);
  const answer = (seed, body, res) => {
    if (seed === 1050) res.writeHead(500).end(body);
    else if (seed === 1051) { // cut off in mid-stream
      res.write(body.slice(0, body.length / 2));
      setTimeout(() => res.destroy(), 10);
    } else if (seed === 1052) res.end(body.replace('{"type":"end"', '{"type":"error","content":"no"}\n{"type":"end"'));
    else res.end(faults.get(seed)?.(body) ?? body);
  };
  const swapped = new Map([[1020, 1021], [1021, 1020]]);
  const relay = await startRelay({ chunks: 8, bytes: 60 }, answer, (seed) => swapped.get(seed) ?? seed);
  const result = await runLoad(relay.port, [asking('x=1')], { mode: 'closed', clients: 4, messages: 80, first_seed: 1000, read: 'lines', chunks: 8, bytes: 60 });
  assert.deepEqual([result.messages, result.wrong, result.errors, result.status_other], [80, faults.size + 2 + 3, 2, 1], result.told);
  relay.close();
});

/** The upstream's lines as Aerie tells them: events whose borders are not the pieces'. */
function asEvents(body) {
  const text = body.trim().split('\n').map((line) => JSON.parse(line).content ?? '').join('');
  const event = (n, object) => `id: 0a:${n}\ndata: ${JSON.stringify(object)}\n\n`;
  const parts = text.match(/.{1,37}/g);
  return [
    event(1, { type: 'status', data: { description: 'Thinking', level: 'info', done: false } }),
    ...parts.map((content, i) => event(i + 2, { type: 'message', data: { content } })),
    ': keep-alive\n\n',
    event(999, { type: 'done', data: { message: 'Stream completed', message_id: '1' } }),
  ].join('');
}

test('borders_fall_anywhere', async () => {
  const answer = async (seed, body, res) => {
    const bytes = Buffer.from(asEvents(body));
    res.socket.setNoDelay(true);
    if (seed % 3 === 0) res.setHeader('Content-Length', bytes.length);
    if (seed % 3 === 1) res.setHeader('Connection', 'close');
    if (seed % 3 === 1) res.useChunkedEncodingByDefault = res.shouldKeepAlive = false;
    for (let at = 0, n = 1 + (seed % 7); at < bytes.length; at += n) {
      res.write(bytes.subarray(at, at + n));
      await nextTurn();
    }
    res.end();
  };
  const relay = await startRelay({ chunks: 3, bytes: 50 }, answer);
  assertRight(await runLoad(relay.port, [asking('x=1')], { mode: 'closed', clients: 6, messages: 42, read: 'sse', chunks: 3, bytes: 50 }), 42, 3);
  relay.close();
});

test('the_upstream_takes_long_requests_and_several_on_a_connection', async () => {
  const long = { ...asking('chunks=2'), body: `${' '.repeat(1_000_000)}~%n~` };
  assertRight(await runLoad(upstream.port, [long], { mode: 'closed', clients: 2, messages: 10, read: 'lines', chunks: 2 }), 10, 2);
  const refused = await fetch(upstream.url({ format: 'none' }), { method: 'POST', body: '~1~' });
  assert.equal(refused.status, 400);
});

test('bad_options_and_an_unreachable_target_are_told_by_the_exit_code', async () => {
  await assert.rejects(runLoad(upstream.port, [asking('')], { mode: 'neither' }), { code: 2 });
  await assert.rejects(runLoad(upstream.port, [asking('')], { mode: 'closed', clients: 'x' }), { code: 2 });
  await assert.rejects(runLoad(1, [asking('')], { mode: 'closed' }), { code: 1 });
});

test('texts_come_right_through_the_server', async () => {
  const aerie = await Aerie.start();
  try {
    for (const [provider, options] of [['n8n', { webhook_url: upstream.url({ chunks: 32 }) }],
      ['openai_compatible', { webhook_url: upstream.url({ chunks: 32, format: 'openai' }), webhook_token: 'x', model: 'm' }]]) {
      const agent = await aerie.admin.agent({ provider, ...options });
      const chats = await Promise.all(Array.from({ length: 4 }, () => aerie.admin.chat(agent)));
      const requests = chats.map((chat) => ({
        path: `/api/chats/${chat.id}/messages`,
        headers: { Authorization: `Bearer ${aerie.admin.token}`, 'Content-Type': 'application/json' },
        body: '{"content":"tell ~%n~"}',
      }));
      assertRight(await runLoad(aerie.port, requests, { mode: 'closed', clients: 4, messages: 40, read: 'sse' }), 40, 32);
    }
  } finally {
    await aerie.stop();
  }
});
