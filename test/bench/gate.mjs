// The gate: what a message and a relayed chunk cost the server, in instructions and heap allocations, which no busy machine
// changes; fails past a ceiling of ceilings.json. The server runs as released, on SQLite with one worker, under callgrind.
//   node test/bench/gate.mjs [--json] [--write] [--profile] [--messages N] [--rounds N]
// --json: one JSON object; --write: the ceilings anew, a little above what was counted; --profile: keeps callgrind's files and
// tells what costs most, calls included. AERIE_BINARY names the server; build-release/aerie unless said.
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { startUpstream } from '../fake/upstream.mjs';
import { callgrind, costliest, takeCounts } from './callgrind.mjs';

process.env.AERIE_BINARY ??= fileURLToPath(new URL('../../build-release/aerie', import.meta.url));
delete process.env.AERIE_TEST_DB; // SQLite: all that is counted is in one process
const { Aerie } = await import('../tools/aerie.mjs');

const { values: options } = parseArgs({ options: { json: { type: 'boolean' }, write: { type: 'boolean' }, profile: { type: 'boolean' }, messages: { type: 'string', default: '48' }, rounds: { type: 'string', default: '3' } } });
const ceilingsFile = new URL('ceilings.json', import.meta.url);
/** Of a ceiling above what was counted. A busy machine makes more turns of the loop of a message, and feeds the search index more often. */
const margins = [[/^database_/, 1.15], [/_message$/, 1.08], [/_chunk$/, 1.05]];

const messages = Number(options.messages); // of each round
const rounds = Number(options.rounds); // of each kind
const few = 4; // chunks of a short reply
const more = 100; // and what a long one has above
const gathered = 8; // chunks that come in one write
const quietMs = 1000; // in which the search index is fed, before the counts are taken

const metadata = { nodeId: '033a1d56-8b0e-4f0f-9a53-7f8e2d2a9c11', nodeName: 'AI Agent', itemIndex: 0, runIndex: 0 };
const framed = (object) => {
  const line = `${JSON.stringify(object)}\n`;
  return `${line.length.toString(16)}\r\n${line}\r\n`;
};
const piece = (i) => `${i}:`.padEnd(100, 'abcdefghi ');

/** The server under callgrind, an agent whose every chunk is sent by say(), and a chat of one earlier message for each to come. */
class Scenario {
  async start(folder) {
    this.folder = folder;
    this.upstream = await startUpstream({ keep: false });
    this.upstream.handle('/hook', (request, socket) => new Promise((resolve) => this.asked({ socket, resolve })));
    this.aerie = await Aerie.start({ under: callgrind(folder), env: { SERVER__WORKERS: '1' } });
    this.client = this.aerie.admin;
    this.connection = new http.Agent({ keepAlive: true, maxSockets: 1 });
    const agent = await this.client.agent({ webhook_url: `http://127.0.0.1:${this.upstream.port}/hook`, config: { context_messages: 1 } });
    this.chats = [];
    for (let i = 0; i < messages; i++) {
      this.chats.push(await this.client.chat(agent));
      await this.message(this.chats[i], few, 1);
    }
  }

  /** One message and its reply. The next write goes out when the client has read all before it, so that no two are ever read as one. */
  async message(chat, chunks, atOnce) {
    const asked = new Promise((resolve) => (this.asked = resolve));
    const answer = this.client.send(chat, 'What does a chunk cost?', { agent: this.connection });
    const { socket, resolve } = await asked;
    let expected = '';
    let stream;
    socket.write(`HTTP/1.1 200 OK\r\nContent-Type: application/json; charset=utf-8\r\nTransfer-Encoding: chunked\r\n\r\n${framed({ type: 'begin', metadata })}`);
    for (let i = 0; i < chunks; i += atOnce) {
      let bytes = '';
      for (let k = i; k < i + atOnce; k++) {
        expected += piece(k);
        bytes += framed({ type: 'item', content: piece(k), metadata });
      }
      socket.write(bytes);
      stream ??= await answer;
      await stream.until(() => stream.text === expected);
    }
    socket.write(`${framed({ type: 'end', metadata })}0\r\n\r\n`);
    resolve();
    await stream.whole();
    assert.equal(stream.text, expected);
  }

  /** Counts of one message in each chat, of the loop and of the database's threads: {instructions, allocations, file}. */
  async round(chunks, atOnce) {
    for (const chat of this.chats) await this.message(chat, chunks, atOnce);
    await sleep(quietMs);
    const threads = await takeCounts(this.aerie.child.pid, this.folder);
    const sum = (those) => ({
      instructions: those.reduce((total, thread) => total + thread.instructions, 0),
      allocations: those.reduce((total, thread) => total + thread.allocations, 0),
      file: those.sort((a, b) => b.instructions - a.instructions)[0].file,
    });
    return {
      loop: sum(threads.filter(({ names }) => names.has('loop_main'))),
      database: sum(threads.filter(({ names }) => names.has('writer_main') || names.has('reader_main'))),
    };
  }

  /** The least of some rounds: a busy machine only adds, with more turns of the loop, timers that fire in between and an index fed in more pieces. */
  async least(chunks, atOnce) {
    const counts = [];
    for (let i = 0; i < rounds; i++) counts.push(await this.round(chunks, atOnce));
    const least = (who) => {
      const all = counts.map((count) => count[who]).sort((a, b) => a.instructions - b.instructions);
      return { ...all[0], allocations: Math.min(...all.map(({ allocations }) => allocations)) };
    };
    return { loop: least('loop'), database: least('database') };
  }

  async stop() {
    this.connection?.destroy();
    await this.aerie?.stop();
    await this.upstream?.close();
  }
}

/** [{name, value, file}]: a figure, and the profile in which it shows. */
async function measure(folder) {
  const scenario = new Scenario();
  try {
    await scenario.start(folder);
    await scenario.round(few, 1);
    const short = await scenario.least(few, 1);
    const long = await scenario.least(few + more, 1);
    const inOne = await scenario.least(few + more, gathered);
    const perChunk = (counts, of) => (counts.loop[of] - short.loop[of]) / (messages * more);
    return [
      { name: 'instructions_per_chunk', value: perChunk(long, 'instructions'), file: long.loop.file },
      { name: 'allocations_per_chunk', value: perChunk(long, 'allocations'), file: long.loop.file },
      { name: 'instructions_per_gathered_chunk', value: perChunk(inOne, 'instructions'), file: inOne.loop.file },
      { name: 'allocations_per_gathered_chunk', value: perChunk(inOne, 'allocations'), file: inOne.loop.file },
      { name: 'instructions_per_message', value: short.loop.instructions / messages, file: short.loop.file },
      { name: 'allocations_per_message', value: short.loop.allocations / messages, file: short.loop.file },
      { name: 'database_instructions_per_message', value: short.database.instructions / messages, file: short.database.file },
      { name: 'database_allocations_per_message', value: short.database.allocations / messages, file: short.database.file },
    ];
  } finally {
    await scenario.stop();
  }
}

function ceilingOf({ name, value }) {
  const ceiling = value * margins.find(([pattern]) => pattern.test(name))[1];
  return value < 10 ? Math.ceil(ceiling * 100 + 1) / 100 : Math.ceil(ceiling);
}

const folder = mkdtempSync(join(tmpdir(), 'aerie-gate-'));
try {
  const figures = await measure(folder);
  const ceilings = options.write
    ? Object.fromEntries(figures.map((figure) => [figure.name, ceilingOf(figure)]))
    : JSON.parse(readFileSync(ceilingsFile, 'utf8'));
  if (options.write) writeFileSync(ceilingsFile, `${JSON.stringify(ceilings, null, 2)}\n`);

  const over = figures.filter(({ name, value }) => !(value <= ceilings[name]));
  const say = options.json ? () => {} : console.log;
  for (const { name, value } of figures) {
    const tells = value > ceilings[name] ? `  PAST THE CEILING by ${(100 * (value / ceilings[name] - 1)).toFixed(1)} %` : '';
    say(`  ${name.padEnd(34)} ${value.toFixed(value < 10 ? 2 : 0).padStart(8)} of ${ceilings[name]}${tells}`);
  }
  if (options.json) console.log(JSON.stringify({ figures: Object.fromEntries(figures.map(({ name, value }) => [name, value])), ceilings, over: over.map(({ name }) => name) }));
  for (const file of new Set((options.profile ? figures : over).map((figure) => figure.file))) {
    const names = figures.filter((figure) => figure.file === file).map(({ name }) => name).join(', ');
    say(`\nwhat costs most, for ${names}:\n${(await costliest(file, { count: 15 })).join('\n')}`);
    if (options.profile) say(`\nwith what they call (${file}):\n${(await costliest(file, { count: 40, inclusive: true })).join('\n')}`);
  }
  if (over.length > 0) process.exitCode = 1;
} finally {
  if (!options.profile) rmSync(folder, { recursive: true, force: true });
}
