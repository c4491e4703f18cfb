// Streams held with a chunk a second each, for every scenario that asks: what so many cost in memory and CPU, and how even they come.
// Each size is measured once, the smallest more often; the largest for long, to its end.
import { inTurns } from './stand.mjs';

const GAP_MS = 1000;
/** Ended replies can be followed for so long, and are memory until then; a minute unless said. */
const KEEP_MS = 2000;

const measured = new WeakMap();

async function measure(stand, streams) {
  const { amounts } = stand;
  const isLargest = streams === amounts.streams.at(-1);
  const seconds = isLargest ? amounts.longSeconds : amounts.heldSeconds;
  const systems = {
    aerie: await stand.aerieWith('held', 'sqlite', { env: { TURN__KEEP_MS: String(KEEP_MS) } }),
    nginx: await stand.nginx(),
  };
  const query = `chunks=${stand.heldChunks({ streams, gapMs: GAP_MS, seconds })}&bytes=100&gap_ms=${GAP_MS}`;
  const hold = (system) => async () => {
    const talk = await system.talk({ query, chats: streams });
    await system.restart();
    await stand.warm(system);
    return stand.hold(`${streams} streams`, system, { talk, streams, gapMs: GAP_MS, seconds, toEnd: isLargest });
  };
  return inTurns(streams === amounts.streams[0] ? amounts.slowRuns : 1, { aerie: hold(systems.aerie), nginx: hold(systems.nginx) });
}

/** {aerie: [result of hold], nginx: [...]} for so many streams. */
export async function heldStreams(stand, streams) {
  if (!measured.has(stand)) measured.set(stand, new Map());
  const sizes = measured.get(stand);
  if (!sizes.has(streams)) sizes.set(streams, await measure(stand, streams));
  return sizes.get(streams);
}

/** The same in the middle of the window, when more text has come. */
export const kbPerStreamLate = ({ memory }, streams) => (memory.late - memory.idle) / 1024 / streams;
export const kbPerStream = ({ memory }, streams) => (memory.held - memory.idle) / 1024 / streams;
export const cpuPerChunk = ({ cpu_us, relayed }) => cpu_us / relayed;
export const areRight = (results) => Object.values(results).flat().every((result) => result.isRight);

/** What the picture shows: [{streams, aerie: {mb, cpu}, nginx}], beginning with the idle servers; empty when nothing was held. */
export function heldPoints(stand) {
  const sizes = [...(measured.get(stand) ?? new Map())].sort(([a], [b]) => a - b);
  const point = (results) => ({ mb: results[0].memory.held / 2 ** 20, cpu: (100 * results[0].cpu_us) / results[0].elapsed_us });
  const idle = (results) => ({ mb: results[0].memory.idle / 2 ** 20, cpu: 0 });
  return sizes.flatMap(([streams, { aerie, nginx }], i) => [
    ...(i === 0 ? [{ streams: 0, aerie: idle(aerie), nginx: idle(nginx) }] : []),
    { streams, aerie: point(aerie), nginx: point(nginx) },
  ]);
}
