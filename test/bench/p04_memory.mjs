// P4: memory for each held stream, on plain HTTP, to agents behind TLS and HTTP/2, and to clients that speak TLS.
import { figure } from './figures.mjs';
import { areRight, heldStreams, kbPerStream } from './held.mjs';
import { inTurns } from './stand.mjs';

const GAP_MS = 1000;

/** To agents, or to clients. */
const sides = {
  agents: {
    words: 'TLS and HTTP/2', most: 26,
    async aerie(stand) {
      const { hook, ca } = await stand.tls();
      return stand.aerieWith('tls-client', 'sqlite', { env: { UPSTREAM__CA_FILE: ca }, hook, users: 1 });
    },
  },
  clients: { words: 'clients over TLS', most: 38, aerie: (stand) => stand.aerieWith('tls-server', 'sqlite', { speaksTls: true, users: 1 }) },
};

async function overTls(stand, amounts, streams, side) {
  const aerie = await side.aerie(stand);
  const chunks = stand.heldChunks({ streams, gapMs: GAP_MS, seconds: amounts.heldSeconds });
  const talk = await aerie.talk({ query: `chunks=${chunks}&bytes=100&gap_ms=${GAP_MS}`, chats: streams });
  const results = await inTurns(1, {
    aerie: async () => {
      await aerie.restart();
      await stand.warm(aerie);
      return stand.hold(`${streams} streams, ${side.words}`, aerie, { talk, streams, gapMs: GAP_MS, seconds: amounts.heldSeconds });
    },
  });
  return figure({
    id: 'P4', what: `memory per held stream, ${streams.toLocaleString('en-US')} streams, ${side.words}`, unit: 'kB',
    aerie: results.aerie.map((result) => kbPerStream(result, streams)), limit: { most: side.most }, isValid: areRight(results),
  });
}

export async function run(stand, amounts) {
  const rows = [];
  for (const streams of amounts.streams) {
    const results = await heldStreams(stand, streams);
    rows.push(figure({
      id: 'P4', what: `memory per held stream, ${streams.toLocaleString('en-US')} streams`, unit: 'kB',
      aerie: results.aerie.map((result) => kbPerStream(result, streams)), peer: results.nginx.map((result) => kbPerStream(result, streams)),
      limit: { most: 18, of: 'value' }, isValid: areRight(results),
    }));
  }
  for (const side of Object.values(sides)) for (const streams of amounts.tlsStreams) rows.push(await overTls(stand, amounts, streams, side));
  return rows;
}
