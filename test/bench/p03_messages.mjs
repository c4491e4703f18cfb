// P3: messages for each second of CPU, with sign-in and two durable writes, the database's processes counted; nginx passes the same streams on.
// Chunks come a ms apart: a flood would be read in heaps, as no agent's reply is.
import { figure } from './figures.mjs';
import { inTurns } from './stand.mjs';

const CHUNKS = 32;
const CLIENTS = 64;

export async function run(stand, amounts) {
  const query = `chunks=${CHUNKS}&bytes=100&gap_ms=1`;
  const systems = { sqlite: await stand.aerie('sqlite'), postgres: await stand.aerie('postgres'), nginx: await stand.nginx() };
  const parts = {};
  for (const [name, system] of Object.entries(systems)) {
    const talk = await system.talk({ query, chats: CLIENTS });
    const options = { mode: 'closed', clients: CLIENTS, chunks: CHUNKS, bytes: 100 };
    await stand.load('P3 warming up', system, talk, { ...options, messages: CLIENTS * 2 });
    parts[name] = () => stand.load('P3', system, talk, { ...options, messages: amounts.messages });
  }
  const results = await inTurns(amounts.runs, parts);
  const rate = ({ messages, cpu_us }) => messages / (cpu_us / 1e6);
  return ['sqlite', 'postgres'].map((name) => figure({
    id: 'P3', what: `messages per CPU second, ${systems[name].name}`, aerie: results[name].map(rate), peer: results.nginx.map(rate), limit: { least: 0.8 },
    isValid: [...results[name], ...results.nginx].every((result) => result.isRight),
  }));
}
