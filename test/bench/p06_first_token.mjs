// P6: what a proxy adds to the time until the first token. Messages come at a fixed rate, whatever became of those before, to the
// agent itself, to nginx before it and to Aerie, which reads the chat and commits the message first.
import { figure } from './figures.mjs';
import { inTurns } from './stand.mjs';

const RATE = 200;
const CHUNKS = 8;

export async function run(stand, amounts) {
  const query = `chunks=${CHUNKS}&bytes=100&gap_ms=0`;
  const systems = { direct: stand.direct, nginx: await stand.nginx(), aerie: await stand.aerie('sqlite'), ...(amounts.quick ? {} : { postgres: await stand.aerie('postgres') }) };
  const parts = {};
  for (const [name, system] of Object.entries(systems)) {
    const talk = await system.talk({ query, chats: RATE });
    const options = { mode: 'open', rate: RATE, seconds: amounts.openSeconds, chunks: CHUNKS, bytes: 100 };
    await stand.load('P6 warming up', system, talk, { ...options, messages: RATE / 2 });
    parts[name] = () => stand.load('P6', system, talk, options);
  }
  const results = await inTurns(amounts.runs, parts);
  const added = (name) => results[name].map(({ first_us }, i) => (first_us.p50 - results.direct[i].first_us.p50) / 1000);
  const late = (name) => results[name].map(({ first_us }) => first_us.p99 / 1000);
  const isValid = Object.values(results).flat().every((result) => result.isRight);
  return ['aerie', 'postgres'].filter((name) => systems[name]).flatMap((name) => [
    figure({ id: 'P6', what: `added to the first token, p50, ${systems[name].name}`, unit: 'ms', aerie: added(name), peer: added('nginx'), limit: { most: 0.6, of: 'difference' }, isValid }),
    figure({ id: 'P6', what: `time to the first token, p99, ${systems[name].name}`, unit: 'ms', aerie: late(name), peer: late('nginx'), limit: { most: 2 }, isValid }),
  ]);
}
