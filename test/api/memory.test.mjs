// What a held stream keeps in the server. Of a build without sanitizers, whose allocator is another.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { startUpstream } from '../fake/upstream.mjs';
import { Aerie, binaryPath, inParallel } from '../tools/aerie.mjs';

const FEW = 100;
const MANY = 600;
/** Of private memory for each one more, in kB, of which libcurl has 11: 18 on a quiet machine, where etc/bench measures it. */
const CEILING_KB = 20;

const isSanitized = /__[at]san_init/.test(readFileSync(binaryPath(), 'latin1'));

function privateKb(pid) {
  const text = readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8');
  return [...text.matchAll(/^Private_(?:Clean|Dirty):\s+(\d+) kB$/gm)].reduce((sum, [, kb]) => sum + Number(kb), 0);
}

test('a_held_stream_keeps_little_memory', { skip: isSanitized && 'a sanitizer keeps books of memory' }, async () => {
  const upstream = await startUpstream();
  const line = '{"type":"item","content":"Hello, this goes on."}\n';
  upstream.handle('/webhook/held', (request, socket) =>
    socket.write(`HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n${line.length.toString(16)}\r\n${line}\r\n`));
  const aerie = await Aerie.start({ env: { SERVER__WORKERS: '1', LIMITS__STREAMS_PER_TEAM: '0' } });
  try {
    const agent = await aerie.admin.agent({ webhook_url: upstream.url({}, '/webhook/held'), config: { context_messages: 1, on_disconnect: 'abort' } });
    const chats = [];
    await inParallel(16, Array.from({ length: MANY }), async () => chats.push(await aerie.admin.chat(agent)));
    const streams = [];
    const holdUpTo = (n) => inParallel(16, chats.slice(streams.length, n), async (chat) => {
      const stream = await aerie.admin.send(chat, 'Hello');
      streams.push(stream);
      await stream.until(() => stream.text.length > 0);
    });
    const kb = [];
    for (const n of [FEW, MANY]) {
      await holdUpTo(n);
      await sleep(300);
      kb.push(privateKb(aerie.child.pid));
    }
    const each = (kb[1] - kb[0]) / (MANY - FEW);
    for (const stream of streams) stream.close();
    assert.ok(each <= CEILING_KB, `a held stream keeps ${each.toFixed(1)} kB`);
    assert.ok(each > 5, `${each.toFixed(1)} kB cannot be`);
    await aerie.stop();
  } finally {
    aerie.drop();
    await upstream.close();
  }
});
