// P4: memory for each held stream, on plain HTTP, and to agents behind TLS and HTTP/2.
import { figure } from './figures.mjs';
import { areRight, heldStreams, kbPerStream } from './held.mjs';
import { inTurns } from './stand.mjs';

const GAP_MS = 1000;

async function overTls(stand, amounts, streams) {
  const { hook, ca } = await stand.tls();
  const aerie = await stand.aerieWith('tls-client', 'sqlite', { env: { UPSTREAM__CA_FILE: ca }, hook, users: 1 });
  const chunks = stand.heldChunks({ streams, gapMs: GAP_MS, seconds: amounts.heldSeconds });
  const talk = await aerie.talk({ query: `chunks=${chunks}&bytes=100&gap_ms=${GAP_MS}`, chats: streams });
  const results = await inTurns(1, {
    aerie: async () => {
      await aerie.restart();
      await stand.warm(aerie);
      return stand.hold(`${streams} streams over TLS`, aerie, { talk, streams, gapMs: GAP_MS, seconds: amounts.heldSeconds });
    },
  });
  return figure({
    id: 'P4', what: `memory per held stream, ${streams.toLocaleString('en-US')} streams, TLS and HTTP/2`, unit: 'kB',
    aerie: results.aerie.map((result) => kbPerStream(result, streams)), limit: { most: 26 }, isValid: areRight(results),
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
  for (const streams of amounts.tlsStreams) rows.push(await overTls(stand, amounts, streams));
  return rows;
}
