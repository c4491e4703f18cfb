// P3: messages for each second of CPU, with sign-in and two durable writes, the database's processes counted; nginx passes the same streams on.
// How pieces meet in a read decides what they cost. Judged is what agents do: each piece comes by itself, a ms apart, which costs nginx about
// 4.5 µs a piece. Told beside it: as fast as the agent can, each reply in turn piece by piece, and a flood, a whole reply in a turn.
import { figure } from './figures.mjs';
import { inTurns } from './stand.mjs';

const CHUNKS = 32;
const CLIENTS = 64;
const PACES = [
  { what: 'messages per CPU second', query: 'gap_ms=1', limit: { least: 0.8 } },
  { what: 'the same, as fast as can be, piece by piece', query: 'gap_ms=0&turn=1', limit: null },
  { what: 'the same, flood', query: 'gap_ms=0', limit: null },
];

export async function run(stand, amounts) {
  const systems = { nginx: await stand.nginx() };
  for (const kind of amounts.kinds) systems[kind] = await stand.aerie(kind);
  const options = { mode: 'closed', clients: CLIENTS, chunks: CHUNKS, bytes: 100 };
  const rate = ({ messages, cpu_us }) => messages / (cpu_us / 1e6);
  const rows = [];
  for (const { what, query, limit } of PACES.slice(0, amounts.quick ? 2 : PACES.length)) {
    const parts = {};
    for (const [name, system] of Object.entries(systems)) {
      const ask = async (what, messages) => // chats of its own for each run: none is longer than in the run before
        stand.load(what, system, await system.talk({ query: `chunks=${CHUNKS}&bytes=100&${query}`, chats: CLIENTS }), { ...options, messages });
      await ask('P3 warming up', CLIENTS * 2);
      parts[name] = () => ask(`P3 ${query}`, amounts.messages);
    }
    const results = await inTurns(limit ? amounts.runs : 1, parts);
    for (const name of amounts.kinds)
      rows.push(figure({
        id: 'P3', what: `${what}, ${systems[name].name}`, aerie: results[name].map(rate), peer: results.nginx.map(rate), limit,
        isValid: [...results[name], ...results.nginx].every((result) => result.isRight),
      }));
  }
  return rows;
}
