// P2: CPU of the whole server for each relayed chunk. Flood: what a reply of many chunks costs above one of few, by the chunks that it has
// more, so that what a message costs is not in it; as fast as they go, and most of them meet in a read. Brisk: the same, with a chunk each ms on
// each stream, most read by themselves. Paced: streams that are held, with a chunk a second.
import { figure, median } from './figures.mjs';
import { areRight, cpuPerChunk, heldStreams } from './held.mjs';
import { inTurns } from './stand.mjs';

const FEW = 20;
const MANY = 520;

export async function run(stand, amounts) {
  const systems = { aerie: await stand.aerie('sqlite'), nginx: await stand.nginx() };

  /** What MANY chunks cost above FEW, each: the short replies' median is taken from each long run. */
  const above = async (name, clients, query, runs) => {
    const parts = {};
    for (const [which, system] of Object.entries(systems))
      for (const chunks of [FEW, MANY]) {
        const talk = await system.talk({ query: `chunks=${chunks}&bytes=100&${query}`, chats: clients });
        parts[`${which} ${chunks}`] = () => stand.load(`P2 ${name}`, system, talk, { mode: 'closed', clients, messages: amounts.chunkMessages, chunks, bytes: 100 });
      }
    const results = await inTurns(runs, parts);
    const perMessage = ({ cpu_us, messages }) => cpu_us / messages;
    const perChunk = (which) => {
      const short = median(results[`${which} ${FEW}`].map(perMessage));
      return results[`${which} ${MANY}`].map((result) => (perMessage(result) - short) / (MANY - FEW));
    };
    return { aerie: perChunk('aerie'), nginx: perChunk('nginx'), isValid: areRight(results) };
  };
  const flood = await above('flood', 16, 'gap_ms=0&turn=1', amounts.runs);
  const brisk = await above('brisk', 64, 'gap_ms=1', amounts.slowRuns);

  const streams = amounts.streams[amounts.streams.length >> 1];
  const held = await heldStreams(stand, streams);
  const paced = { aerie: held.aerie.map(cpuPerChunk), nginx: held.nginx.map(cpuPerChunk), isValid: areRight(held) };

  const row = (what, { aerie, nginx, isValid }, limit) => figure({ id: 'P2', what, unit: 'µs', aerie, peer: nginx, limit, isValid });
  return [
    row('CPU per relayed chunk, flood', flood, { most: 1.15 }),
    row(`CPU per relayed chunk, paced (${streams.toLocaleString('en-US')} streams, a chunk a second)`, paced, { most: 1.05 }),
    row('CPU per relayed chunk, brisk (64 streams, 1 ms)', brisk, null),
  ];
}
