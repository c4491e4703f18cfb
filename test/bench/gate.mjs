// The gate: what a message and a relayed chunk cost the server, in instructions and heap allocations, which a busy machine changes
// little: what the clock costs, whatever is asked, is counted apart, and rounds that were past a ceiling are tried again. Fails past a ceiling of ceilings.json. The server runs as released, on SQLite with one worker, under callgrind.
//   node test/bench/gate.mjs [--json] [--write] [--profile] [--messages N] [--tries N]
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

const { values: options } = parseArgs({ options: { json: { type: 'boolean' }, write: { type: 'boolean' }, profile: { type: 'boolean' }, messages: { type: 'string', default: '48' }, tries: { type: 'string', default: '4' } } });
const ceilingsFile = new URL('ceilings.json', import.meta.url);
/** Of a ceiling above what was counted. A busy machine makes more turns of the loop of a message, and feeds the search index more often. */
const margins = [[/^database_/, 1.15], [/_second$/, 1.5], [/_message$/, 1.08], [/_chunk$/, 1.05]];

const messages = Number(options.messages); // of each round
const tries = Number(options.tries); // at most, while a figure has less than this room below its ceiling
const room = 0.02;
const few = 4; // chunks of a short reply
const more = 100; // and what a long one has above
const gathered = 8; // chunks that come in one write
const quietMs = 1000; // in which the search index is fed, before the counts are taken
const idleMs = 3000; // in which nothing is asked

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

  /** Counts since the last call, of the loop and of the database's threads: {instructions, allocations, file}; and the seconds between. */
  async counts() {
    const threads = await takeCounts(this.aerie.child.pid, this.folder);
    const now = performance.now();
    const seconds = (now - this.countedAt) / 1000;
    this.countedAt = now;
    const sum = (those) => ({
      instructions: those.reduce((total, thread) => total + thread.instructions, 0),
      allocations: those.reduce((total, thread) => total + thread.allocations, 0),
      file: those.sort((a, b) => b.instructions - a.instructions)[0].file,
    });
    return {
      seconds,
      loop: sum(threads.filter(({ names }) => names.has('loop_main'))),
      database: sum(threads.filter(({ names }) => names.has('writer_main') || names.has('reader_main'))),
    };
  }

  /** What a second costs the loop in which nothing is asked. */
  async idle() {
    await sleep(quietMs);
    await this.counts();
    await sleep(idleMs);
    const { seconds, loop } = await this.counts();
    this.aSecond = { loop: loop.instructions / seconds, file: loop.file };
  }

  /** Counts of one message in each chat, without what their time costs the loop whatever is asked. */
  async round(chunks, atOnce) {
    for (const chat of this.chats) await this.message(chat, chunks, atOnce);
    await sleep(quietMs);
    const { seconds, loop, database } = await this.counts();
    loop.instructions -= seconds * this.aSecond.loop;
    return { loop, database };
  }

  async stop() {
    this.connection?.destroy();
    await this.aerie?.stop();
    await this.upstream?.close();
  }
}

/**
 * The less of two rounds of a kind. What they would cost alone is below both: a busy machine makes more turns of the loop of the same
 * bytes, lets more timers fire in between, and feeds the index of words in more pieces.
 */
function less(one, other) {
  if (!one) return other;
  const of = (a, b) => ({ ...(b.instructions < a.instructions ? b : a), allocations: Math.min(a.allocations, b.allocations) });
  return { loop: of(one.loop, other.loop), database: of(one.database, other.database) };
}

const kinds = { short: [few, 1], long: [few + more, 1], inOne: [few + more, gathered] };

/** [{name, value, file}]: a figure, and the profile in which it shows. */
function figuresOf({ short, long, inOne }, aSecond) {
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
    { name: 'instructions_per_idle_second', value: aSecond.loop, file: aSecond.file },
  ];
}

/** Measures until isEnough(figures), or as often as may be tried. */
async function measure(folder, isEnough) {
  const scenario = new Scenario();
  try {
    await scenario.start(folder);
    await scenario.idle();
    await scenario.round(few, 1);
    const least = {};
    for (let i = 1; ; i++) {
      for (const kind of Object.keys(kinds)) least[kind] = less(least[kind], await scenario.round(...kinds[kind]));
      const figures = figuresOf(least, scenario.aSecond);
      if (i >= tries || isEnough(figures)) return figures;
    }
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
  let ceilings = JSON.parse(readFileSync(ceilingsFile, 'utf8'));
  const past = (figures, share = 1) => figures.filter(({ name, value }) => !(value <= share * ceilings[name]));
  const figures = await measure(folder, (those) => !options.write && past(those, 1 - room).length === 0);
  if (options.write) {
    ceilings = Object.fromEntries(figures.map((figure) => [figure.name, ceilingOf(figure)]));
    writeFileSync(ceilingsFile, `${JSON.stringify(ceilings, null, 2)}\n`);
  }
  const over = past(figures);
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
