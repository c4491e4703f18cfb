// P2: CPU of the whole server for each relayed chunk. Flood: replies of many chunks, as fast as they go, so that many are read at once.
// Brisk: a chunk each ms on each stream, most read by themselves. Paced: a chunk each 50 ms on many streams.
import { figure } from './figures.mjs';
import { inTurns } from './stand.mjs';

const CHUNKS = 500;
const GAP_MS = 50;
const STREAMS = 1000;

export async function run(stand, amounts) {
  const aerie = await stand.aerie('sqlite');
  const nginx = await stand.nginx();

  const inReplies = async (name, clients, query) => {
    const part = async (system) => {
      const talk = await system.talk({ query: `chunks=${CHUNKS}&bytes=100&${query}`, chats: clients });
      return () => stand.load(`P2 ${name}`, system, talk, { mode: 'closed', clients, messages: amounts.chunkMessages, chunks: CHUNKS, bytes: 100 });
    };
    return inTurns(amounts.runs, { aerie: await part(aerie), nginx: await part(nginx) });
  };
  const flooded = await inReplies('flood', 16, 'gap_ms=0&turn=1');
  const brisk = await inReplies('brisk', 64, 'gap_ms=1');
  const perChunk = ({ cpu_us, messages }) => cpu_us / (messages * CHUNKS);

  const chunks = stand.heldChunks({ streams: STREAMS, gapMs: GAP_MS, seconds: amounts.pacedSeconds });
  const slow = `chunks=${chunks}&bytes=100&gap_ms=${GAP_MS}`;
  const paces = { aerie: await aerie.talk({ query: slow, chats: STREAMS }), nginx: nginx.talk({ query: slow }) };
  const pace = (system, talk) => () => stand.hold('P2 paced', system, { talk, streams: STREAMS, gapMs: GAP_MS, seconds: amounts.pacedSeconds });
  const paced = await inTurns(amounts.runs, { aerie: pace(aerie, paces.aerie), nginx: pace(nginx, paces.nginx) });
  const perPacedChunk = ({ cpu_us, relayed }) => cpu_us / relayed;

  const row = (what, results, per, most) => figure({
    id: 'P2', what, unit: 'µs', aerie: results.aerie.map(per), peer: results.nginx.map(per), limit: { most },
    isValid: [...results.aerie, ...results.nginx].every((result) => result.isRight),
  });
  return [
    row('CPU per relayed chunk, flood', flooded, perChunk, 1.15),
    row('CPU per relayed chunk, brisk (64 streams, 1 ms)', brisk, perChunk, 1.15),
    row(`CPU per relayed chunk, paced (${STREAMS} streams, ${GAP_MS} ms)`, paced, perPacedChunk, 1.05),
  ];
}
