// The proxy must do the harm that it is asked for, and no other, before anything is judged by it.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import net from 'node:net';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { readFaults, startProxy } from './proxy.mjs';
import { until } from '../tools/until.mjs';

const TEXT = Array.from({ length: 200 }, (_, i) => `byte ${i} `).join('');

let server; // sends back what it gets, and closes after the other side did
const served = [];
before(async () => {
  server = net.createServer({ allowHalfOpen: true }, (socket) => {
    const seen = { parts: [] };
    served.push(seen);
    socket.on('error', (error) => (seen.error = error.code));
    socket.on('data', (part) => {
      seen.parts.push(part);
      socket.write(part);
    });
    socket.on('end', () => {
      seen.ended = true;
      socket.end();
    });
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
});
after(() => server.close());

/** Sends through a proxy with these faults, reads until the end: {text, parts, error}; hold: does not close its side. */
async function pass(proxy, text, { hold = false } = {}) {
  const socket = net.connect({ port: proxy.port, noDelay: true });
  const seen = { parts: [], socket };
  socket.on('error', (error) => (seen.error = error.code));
  socket.on('data', (part) => seen.parts.push(part));
  seen.closed = new Promise((resolve) => socket.once('close', resolve));
  socket[hold ? 'write' : 'end'](text);
  if (!hold) await seen.closed;
  return seen;
}
const textOf = ({ parts }) => Buffer.concat(parts).toString('latin1');

async function using(faults, run) {
  const proxy = await startProxy({ port: server.address().port }, faults);
  try {
    return await run(proxy);
  } finally {
    await proxy.close();
    assert.equal(proxy.connections.size, 0);
  }
}

test('proxy_passes_everything_and_half_closes', () => using({}, async (proxy) => {
  const big = 'x'.repeat(3_000_000);
  assert.equal(textOf(await pass(proxy, TEXT)), TEXT);
  assert.equal(textOf(await pass(proxy, big)).length, big.length);
  assert.equal(served.at(-1).ended, true);
}));

test('proxy_cuts_after_n_bytes_either_way', async () => {
  for (const n of [0, 1, 100, TEXT.length - 1]) {
    const down = await using({ down: { cut: n } }, (proxy) => pass(proxy, TEXT));
    assert.equal(textOf(down), TEXT.slice(0, n));
    assert.equal(down.error, undefined, 'closed, not reset');
    await using({ up: { cut: n } }, (proxy) => pass(proxy, TEXT));
    await until(() => served.at(-1).ended);
    assert.equal(textOf(served.at(-1)), TEXT.slice(0, n));
  }
});

test('proxy_resets_both_sides_after_n_bytes', () => using({ down: { reset: 50 } }, async (proxy) => {
  let seen;
  // Now and then the socket of the test is told of its end and not of the reset.
  for (let tries = 3; tries > 0 && !seen?.error; tries--) {
    seen = await pass(proxy, TEXT, { hold: true });
    await seen.closed;
  }
  assert.equal(seen.error, 'ECONNRESET');
  assert.equal(textOf(seen), TEXT.slice(0, 50));
  await until(() => served.at(-1).error === 'ECONNRESET');
}));

test('proxy_stalls_until_it_is_healed', () => using({ down: { stall: 30 } }, async (proxy) => {
  const seen = await pass(proxy, TEXT, { hold: true });
  await until(() => textOf(seen).length === 30);
  await sleep(50);
  assert.equal(textOf(seen).length, 30);
  proxy.set({ down: { stall: 60 } });
  await until(() => textOf(seen).length === 60);
  proxy.set();
  await until(() => textOf(seen) === TEXT);
  seen.socket.end();
  await seen.closed;
}));

test('proxy_stalled_reads_nothing_more', () => using({ up: { stall: 10 } }, async (proxy) => {
  const seen = await pass(proxy, Buffer.alloc(30_000_000), { hold: true });
  await sleep(200);
  assert.ok(seen.socket.writableLength > 0, 'the sender is held up');
  proxy.cut();
  await seen.closed;
}));

test('proxy_turns_one_byte_over', async () => {
  const seen = await using({ down: { corrupt: 7, piece: 3 } }, (proxy) => pass(proxy, TEXT));
  const bytes = Buffer.concat(seen.parts);
  assert.equal(bytes[7], 0xff - TEXT.charCodeAt(7));
  bytes[7] ^= 0xff;
  assert.equal(bytes.toString(), TEXT);
});

test('proxy_writes_single_bytes_and_waits', async () => {
  const seen = await using({ down: { piece: 1, delay: 2 } }, (proxy) => pass(proxy, TEXT.slice(0, 40)));
  assert.equal(textOf(seen), TEXT.slice(0, 40));
  assert.ok(seen.parts.length >= 20, `${seen.parts.length} reads`);
  const began = Date.now();
  await using({ up: { delay: 100 } }, (proxy) => pass(proxy, 'x'));
  assert.ok(Date.now() - began >= 95);
});

test('proxy_refuses_and_listens_again_and_a_connection_has_faults_of_its_own', () => using({}, async (proxy) => {
  const running = await pass(proxy, TEXT, { hold: true });
  await until(() => textOf(running) === TEXT);
  await proxy.refuse();
  assert.equal((await pass(proxy, TEXT)).error, 'ECONNREFUSED');
  await proxy.listen();
  proxy.once('connection', (connection) => (connection.faults = { down: { cut: 5 } }));
  assert.equal(textOf(await pass(proxy, TEXT)), TEXT.slice(0, 5));
  assert.equal(textOf(await pass(proxy, TEXT)), TEXT);
  proxy.reset();
  await running.closed;
  assert.equal(running.error, 'ECONNRESET');
}));

test('proxy_with_nobody_behind_it_resets', async () => {
  const gone = net.createServer();
  await once(gone.listen(0, '127.0.0.1'), 'listening');
  const { port } = gone.address();
  gone.close();
  const proxy = await startProxy({ port });
  assert.equal((await pass(proxy, 'x')).error, 'ECONNRESET');
  await proxy.close();
});

test('proxy_as_a_program_takes_its_faults_from_lines', async () => {
  assert.deepEqual(readFaults(['up.cut=3', 'up.delay=1', 'down.piece=1']), { up: { cut: 3, delay: 1 }, down: { piece: 1 } });
  for (const word of ['cut=3', 'left.cut=3', 'up.eat=3', 'up.cut=-1']) assert.throws(() => readFaults([word]), /no /);
  const child = spawn(process.execPath, [fileURLToPath(new URL('proxy.mjs', import.meta.url)), `127.0.0.1:${server.address().port}`, 'down.cut=4'], { stdio: ['pipe', 'pipe', 'inherit'] });
  const port = Number(await once(child.stdout, 'data'));
  assert.equal(textOf(await pass({ port }, TEXT)), TEXT.slice(0, 4));
  child.stdin.write('down.cut=9\n');
  let length;
  await until(() => (pass({ port }, TEXT).then((seen) => (length = textOf(seen).length)), length === 9));
  child.stdin.end();
  assert.equal((await once(child, 'exit'))[0], 0);
});
