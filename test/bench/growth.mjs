// Growth: does a chunk, a stream, a message or a list cost more when there are more of them? Nothing is asked; a ratio of 1 is good.
import { figure } from './figures.mjs';
import { areRight, cpuPerChunk, heldStreams, kbPerStream } from './held.mjs';
import { inTurns } from './stand.mjs';

const count = (number) => number.toLocaleString('en-US');

/** A chunk and a stream among many streams, beside the same among few. */
async function byStreams(stand, amounts) {
  const rows = [];
  const [few] = amounts.streams;
  for (const many of amounts.streams.slice(1)) {
    const [at, beside] = [await heldStreams(stand, many), await heldStreams(stand, few)];
    const isValid = areRight(at) && areRight(beside);
    const peerName = `${count(few)} streams`;
    rows.push(
      figure({ id: 'growth', what: `CPU per chunk, ${count(many)} streams`, unit: 'µs', aerie: at.aerie.map(cpuPerChunk), peer: beside.aerie.map(cpuPerChunk), peerName, isValid }),
      figure({ id: 'growth', what: `the same, nginx`, unit: 'µs', aerie: at.nginx.map(cpuPerChunk), peer: beside.nginx.map(cpuPerChunk), peerName, isValid }),
      figure({ id: 'growth', what: `memory per stream, ${count(many)} streams`, unit: 'kB', aerie: at.aerie.map((result) => kbPerStream(result, many)), peer: beside.aerie.map((result) => kbPerStream(result, few)), peerName, isValid }),
    );
  }
  return rows;
}

/** A message in a chat where ten were said before, and in one where thousands were; the agent is sent the last ten in both. */
async function byMessages(stand, amounts, kind) {
  const aerie = await stand.aerie(kind);
  const messages = Math.max(200, amounts.messages >> 2);
  const query = 'chunks=8&bytes=100&gap_ms=0';
  const [few, many] = [10, amounts.longChat];
  const ask = async (length) => {
    const talk = await aerie.talk({ query, chats: 8, context: 10, messages: length });
    return () => stand.load('growth by messages', aerie, talk, { mode: 'closed', clients: 8, messages, chunks: 8, bytes: 100 });
  };
  const results = await inTurns(amounts.slowRuns, { few: await ask(few), many: await ask(many) });
  const per = (result) => result.cpu_us / result.messages;
  return figure({
    id: 'growth', what: `CPU per message in a chat of ${count(many)}, ${aerie.name}`, unit: 'µs', aerie: results.many.map(per), peer: results.few.map(per), peerName: `chat of ${few}`,
    isValid: Object.values(results).flat().every((result) => result.isRight),
  });
}

/** The list of twenty chats: of a user with ten chats in a small team, in a team with many, and of a user who has them all. */
async function byChats(stand, amounts, kind) {
  const aerie = await stand.aerieWith(`chats-${kind}`, kind, { users: 4 });
  const agent = await aerie.agent('chunks=1');
  const [, few, other, many] = aerie.users;
  const lists = Math.max(200, amounts.lists >> 2);
  aerie.chats({ agent, count: 10, users: [few], messages: 4 });
  const list = (user, n) => {
    const talk = { requests: [{ method: 'GET', path: '/api/chats?limit=20', headers: { Authorization: `Bearer ${user.token}` } }], read: 'body' };
    return () => stand.load('growth by chats', aerie, talk, { mode: 'closed', expect: 'Chat number', clients: 4, messages: n });
  };
  const small = await inTurns(amounts.slowRuns, { few: list(few, lists) });
  aerie.chats({ agent, count: amounts.manyChats / 2, users: [other], messages: 1 });
  aerie.chats({ agent, count: amounts.manyChats / 2, users: [many], messages: 1 });
  // who has them all is asked less often: it may take long
  const large = await inTurns(amounts.slowRuns, { few: list(few, lists), many: list(many, Math.max(40, lists >> 4)) });
  const per = (result) => result.cpu_us / result.messages;
  const isValid = [...small.few, ...large.few, ...large.many].every((result) => result.isRight);
  const row = (what, results) => figure({ id: 'growth', what: `${what}, ${aerie.name}`, unit: 'µs', aerie: results.map(per), peer: small.few.map(per), peerName: 'team of 10 chats', isValid });
  return [
    row(`CPU of a list of chats, team of ${count(amounts.manyChats)}`, large.few),
    row(`CPU of a list of chats, of whom ${count(amounts.manyChats / 2)} belong to`, large.many),
  ];
}

export async function run(stand, amounts) {
  const rows = await byStreams(stand, amounts);
  for (const kind of amounts.kinds) rows.push(await byMessages(stand, amounts, kind), ...(await byChats(stand, amounts, kind)));
  return rows;
}
