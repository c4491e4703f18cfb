// What growth costs, part by part: rows for docs/scaling.md. On PostgreSQL, with nodes of one loop unless said.
import { setTimeout as sleep } from 'node:timers/promises';
import { startProxy } from '../fault/proxy.mjs';
import { EventStream, openStream } from '../tools/http.mjs';
import { figure } from './figures.mjs';
import { cpuOf, memoryOf } from './machine.mjs';
import { PgCounts } from './pg_counts.mjs';
import { inTurns } from './stand.mjs';

const count = (number) => number.toLocaleString('en-US');
const GROUP = 32; // clients of a load
const CHUNKS = 10;
const BYTES = 100;
/** PostgreSQL's processes tell what they did within that, when they have gone idle. */
const FLUSHED_MS = 11000;
const asked = (chunks, gap = 1) => `chunks=${chunks}&bytes=${BYTES}&gap_ms=${gap}`;
const closed = (chunks, messages, clients = GROUP) => ({ mode: 'closed', clients, messages, chunks, bytes: BYTES });

const countsOf = (stand, system) => new PgCounts(stand.cluster.port, system.database.name);

/** Another node of a system: what a load needs of it. */
async function beside(system) {
  const node = await system.aerie.beside();
  return { aerie: node, name: 'another node', port: node.port, roots: [node.child.pid], read: system.read };
}

async function fed(counts) {
  for (let i = 0; i < 300 && !counts.isFed(); i++) await sleep(200);
}

/** What nodes do each second when nobody asks them anything. */
async function idleRate(counts, seconds) {
  await sleep(2000);
  const before = counts.now();
  await sleep(seconds * 1000);
  const { statements, wal, seconds: took } = counts.since(before);
  return { statements: statements / took, wal: wal / took };
}

/** A turn, as PostgreSQL sees it: statements, bytes on the way, WAL, and what stays on the disk. */
export async function turn(stand, amounts) {
  const system = await stand.aerieWith('turn', 'postgres');
  const counts = countsOf(stand, system);
  const proxy = await startProxy({ port: stand.cluster.port });
  const { aerie } = system;
  const straight = aerie.env.DATABASE_URL;
  try {
    aerie.env.DATABASE_URL = straight.replace(/:\d+\//, `:${proxy.port}/`);
    await system.restart();
    const ask = async (messages) => stand.load('turns', system, await system.talk({ query: asked(CHUNKS), chats: GROUP }), closed(CHUNKS, messages));
    await ask(GROUP * 2);
    await fed(counts);
    const idle = await idleRate(counts, amounts.idleSeconds);
    const tables = counts.tables();
    const passed = () => [...proxy.connections].reduce((sum, { passed: { up, down } }) => sum + up + down, 0);
    const [before, bytes, dead] = [counts.now(), passed(), counts.dead()];
    const result = await ask(amounts.turns);
    const one = counts.since(before, idle);
    const perTurn = (number) => number / amounts.turns;
    await fed(counts);
    const all = counts.since(before, idle);
    await sleep(FLUSHED_MS);
    const left = counts.dead() - dead;
    const after = counts.tables();
    const grown = (of) => perTurn(Object.keys(after).reduce((sum, table) => sum + after[table][of] - (tables[table]?.[of] ?? 0), 0));
    const row = (what, value, unit = '') => figure({ id: 'turn', what, unit, aerie: [value], isValid: result.isRight });
    const text = 20 + CHUNKS * BYTES;
    return [
      row('statements', perTurn(one.statements)),
      row('bytes to and from PostgreSQL', perTurn(passed() - bytes) / 1024, 'kB'),
      row('WAL, with the words in the index', perTurn(all.wal) / 1024, 'kB'),
      row('rows that stay', grown('rows')),
      row('dead rows for vacuum', perTurn(left)),
      row(`disk, for ${count(text)} bytes of text`, grown('bytes') / 1024, 'kB'),
    ];
  } finally {
    aerie.env.DATABASE_URL = straight;
    await system.restart();
    await proxy.close();
  }
}

/** CPU of a turn and of a chunk more, on one core, beside nginx that passes the same streams on. */
export async function cpu(stand, amounts) {
  const systems = { nginx: await stand.nginx(), aerie: await stand.aerieWith('cpu', 'postgres') };
  const [few, many] = [4, 104];
  const parts = {};
  for (const [name, system] of Object.entries(systems))
    for (const [chunks, messages] of [[few, amounts.messages], [many, amounts.messages >> 2]]) {
      await stand.load('warming up', system, await system.talk({ query: asked(chunks), chats: GROUP }), closed(chunks, GROUP));
      parts[`${name} ${chunks}`] = async () => stand.load(`CPU, ${chunks} chunks`, system, await system.talk({ query: asked(chunks), chats: GROUP }), closed(chunks, messages));
    }
  const results = await inTurns(amounts.runs, parts);
  const isValid = Object.values(results).flat().every((result) => result.isRight);
  const per = (name, part) => results[name].map(({ cpu_parts_us, cpu_us, messages }) => (part === undefined ? cpu_us : cpu_parts_us[part]) / messages);
  const chunk = (name) => per(`${name} ${many}`, 0).map((cost, i) => (cost - per(`${name} ${few}`, 0)[i]) / (many - few));
  const row = (what, aerie, peer) => figure({ id: 'CPU', what, unit: 'µs', aerie, peer, isValid });
  return [
    row(`a turn of ${few} chunks, Aerie's process`, per(`aerie ${few}`, 0), per(`nginx ${few}`)),
    row('the same, PostgreSQL\'s processes', per(`aerie ${few}`, 1)),
    row(`a chunk more (${GROUP} streams, one each ms)`, chunk('aerie'), chunk('nginx')),
  ];
}

/** The same turns through one, two and three nodes, and through one node of two loops. */
export async function nodes(stand, amounts) {
  const system = await stand.aerieWith('nodes', 'postgres');
  const counts = countsOf(stand, system);
  const all = [{ aerie: system.aerie, name: 'the first node', port: system.port, roots: [system.aerie.child.pid], read: system.read }];
  const measured = [];
  const connections = [];
  try {
    for (let n = 1; n <= 3; n++) {
      if (n > 1) all.push(await beside(system));
      const idle = await idleRate(counts, amounts.idleSeconds);
      connections.push(counts.connections());
      const talks = [];
      for (const node of all) talks.push([node, await system.talk({ query: asked(CHUNKS), chats: GROUP })]);
      const through = (messages) => Promise.all(talks.map(([node, talk]) =>
        stand.load(`${n} nodes`, { ...node, roots: [] }, talk, closed(CHUNKS, Math.ceil(messages / n), Math.ceil(GROUP / n)))));
      await through(GROUP * n);
      const roots = [...all.flatMap((node) => node.roots), stand.cluster.pid];
      const runs = [];
      for (let run = 0; run < amounts.runs; run++) {
        const [before, cpuBefore] = [counts.now(), cpuOf(roots)];
        const results = await through(amounts.messages);
        await sleep(1500); // what is left to do, as for the index of words
        const messages = results.reduce((sum, result) => sum + result.messages, 0);
        runs.push({ cpu: (cpuOf(roots) - cpuBefore) / messages, statements: counts.since(before, idle).statements / messages, isRight: results.every((result) => result.isRight) });
      }
      measured.push({ n, idle, runs });
    }
  } finally {
    for (const node of all.slice(1)) await node.aerie.stop();
  }
  const [alone] = measured;
  const rows = measured.slice(1).map(({ n, runs }) => figure({
    id: 'nodes', what: `CPU of a turn, ${n} nodes and PostgreSQL`, unit: 'µs', aerie: runs.map(({ cpu: cost }) => cost), peer: alone.runs.map(({ cpu: cost }) => cost), peerName: 'one node',
    isValid: [...runs, ...alone.runs].every(({ isRight }) => isRight),
  }));
  rows.push(...measured.slice(1).map(({ n, runs }) => figure({
    id: 'nodes', what: `statements of a turn, ${n} nodes`, aerie: runs.map(({ statements }) => statements), peer: alone.runs.map(({ statements }) => statements), peerName: 'one node',
  })));
  rows.push(...measured.map(({ n, idle }) => figure({ id: 'idle', what: `statements a second, ${n} ${n === 1 ? 'node' : 'nodes'}`, aerie: [idle.statements] })));
  rows.push(...connections.map((value, i) => figure({ id: 'connections', what: `${i + 1} ${i === 0 ? 'node' : 'nodes'} of one loop`, aerie: [value] })));
  return rows;
}

/** What differs behind a transaction pooler: nobody is told, all ask. */
export async function pooled(stand, amounts) {
  const system = await stand.aerieWith('pooled', 'postgres', { env: { DATABASE__PREPARED_STATEMENTS: 'false' } });
  const idle = await idleRate(countsOf(stand, system), amounts.idleSeconds);
  return [figure({ id: 'idle', what: 'statements a second, one node behind a transaction pooler', aerie: [idle.statements] })];
}

/** Memory of a process, of one more loop, of a stream. */
export async function memory(stand, amounts) {
  const idle = [];
  const connections = [];
  for (const workers of [1, 2, 3]) {
    const system = await stand.aerieWith(`loops ${workers}`, 'postgres', { env: { SERVER__WORKERS: String(workers) }, users: 1 });
    await system.restart();
    await sleep(1500);
    idle.push(memoryOf([system.aerie.child.pid]));
    connections.push(countsOf(stand, system).connections());
  }
  const mb = (bytes) => bytes / 2 ** 20;
  return [
    figure({ id: 'memory', what: 'an idle node of one loop', unit: 'MB', aerie: [mb(idle[0])] }),
    figure({ id: 'memory', what: 'an idle node of three loops', unit: 'MB', aerie: [mb(idle[2])] }),
    figure({ id: 'connections', what: 'each loop more', aerie: [(connections[2] - connections[0]) / 2] }),
  ];
}

/** Opens a follower of each chat at a node; they read on until closed. */
async function follow(system, node, paths) {
  const streams = [];
  for (const [i, path] of paths.entries()) {
    const stream = await openStream(node.port, 'GET', path.replace(/messages$/, 'stream'), { token: system.users[i % system.users.length].token });
    if (!(stream instanceof EventStream)) throw new Error(`no stream but ${stream.status} ${stream.text}`);
    stream.res.removeAllListeners('data'); // what it reads is not kept here
    stream.res.resume();
    streams.push(stream);
  }
  return streams;
}

/** A stream, and what it costs to be read at a node that does not run it. */
export async function mirrors(stand, amounts) {
  const system = await stand.aerieWith('mirrors', 'postgres', { env: { TURN__KEEP_MS: '2000' } });
  const own = { ...system, roots: [system.aerie.child.pid], port: system.port, name: system.name, read: system.read };
  const other = await beside(system);
  const gapMs = 250;
  const streams = amounts.mirrors;
  const seconds = amounts.windowSeconds;
  const followers = [];
  try {
    await stand.load('warming up', other, await system.talk({ query: asked(4), chats: 16 }), closed(4, 64, 16));
    await stand.warm(system);
    const chunks = stand.windowsChunks({ streams, gapMs, seconds, windows: 4, rampPerSecond: 500 });
    const talk = await system.talk({ query: asked(chunks, gapMs), chats: streams });
    const paths = talk.requests.map(({ path }) => path);
    const idle = memoryOf(own.roots);
    const relayed = async () => (await stand.upstream.stats()).chunks;
    const window = async () => {
      const before = { chunks: await relayed(), own: cpuOf(own.roots), other: cpuOf(other.roots) };
      await sleep(seconds * 1000);
      const n = (await relayed()) - before.chunks;
      return { own: (cpuOf(own.roots) - before.own) / n, other: (cpuOf(other.roots) - before.other) / n, ownBytes: memoryOf(own.roots), otherBytes: memoryOf(other.roots) };
    };
    const windows = [
      window,
      async () => {
        followers.push(...(await follow(system, other, paths)));
        return window();
      },
      async () => {
        followers.push(...(await follow(system, other, paths)));
        return window();
      },
      async () => followers.forEach((stream) => stream.close()), // else the turns would have readers when the load's have left
    ];
    const result = await stand.holdThrough(`${streams} streams and mirrors`, own, { talk, streams, gapMs, seconds: 1, windows, rampPerSecond: 500 });
    const [direct, one, two] = result.windows.map(({ done }) => done);
    const row = (rest) => figure({ isValid: result.isRight, ...rest });
    const kb = (bytes) => bytes / 1024 / streams;
    return [
      row({ id: 'CPU', what: `a chunk, ${count(streams)} streams with one each ${gapMs} ms`, unit: 'µs', aerie: [direct.own] }),
      row({ id: 'memory', what: `a stream, of ${count(streams)}`, unit: 'kB', aerie: [kb(direct.ownBytes - idle)] }),
      row({ id: 'memory', what: 'what its first reader at another node adds, on both nodes', unit: 'kB', aerie: [kb(one.ownBytes - direct.ownBytes + one.otherBytes - direct.otherBytes)] }),
      row({ id: 'memory', what: 'each reader more there', unit: 'kB', aerie: [kb(two.otherBytes - one.otherBytes)] }),
      row({ id: 'CPU', what: 'a chunk that is read at another node as well, both nodes', unit: 'µs', aerie: [one.own + one.other], peer: [direct.own], peerName: 'one reader, here' }),
      row({ id: 'CPU', what: 'and by one reader more there', unit: 'µs', aerie: [two.own + two.other], peer: [direct.own], peerName: 'one reader, here' }),
    ];
  } finally {
    for (const stream of followers) stream.close();
    await other.aerie.stop();
  }
}

export const parts = { turn, cpu, nodes, pooled, memory, mirrors };
