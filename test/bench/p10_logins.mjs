// P10: 200 logins at once, while streams run: how much later do their chunks come? The same streams are held through windows with logins
// and without.
import { PASSWORD } from '../tools/aerie.mjs';
import { request } from '../tools/http.mjs';
import { figure } from './figures.mjs';

const STREAMS = 500;
const GAP_MS = 100;

export async function run(stand, amounts) {
  const aerie = await stand.aerieWith('logins', 'sqlite', { env: { SECURITY__BCRYPT_ROUNDS: '12' }, users: 1 });
  const { logins, loginSeconds: seconds } = amounts;
  const windows = amounts.slowRuns * 2;
  const chunks = stand.windowsChunks({ streams: STREAMS, gapMs: GAP_MS, seconds, windows });
  const talk = await aerie.talk({ query: `chunks=${chunks}&bytes=100&gap_ms=${GAP_MS}`, chats: STREAMS });
  /** {status: how often}; those past security.bcrypt_queue get 503. */
  const login = async () => {
    const answers = await Promise.all(Array.from({ length: logins }, () =>
      request(aerie.aerie.port, 'POST', '/api/auth/login', { json: { email: aerie.aerie.adminEmail, password: PASSWORD }, timeout: 120000 })));
    const counts = {};
    for (const { status } of answers) counts[status] = (counts[status] ?? 0) + 1;
    return counts;
  };
  const held = await stand.holdThrough('P10', aerie, { talk, streams: STREAMS, gapMs: GAP_MS, seconds, windows: Array.from({ length: windows }, (_, i) => (i % 2 === 1 ? login : null)) });
  const [without, during] = [0, 1].map((odd) => held.windows.filter((_, i) => i % 2 === odd));
  const isAnswered = during.every(({ done }) => Object.keys(done).every((status) => ['200', '503'].includes(status)) && done['200'] > 0);
  const gap = ({ gap_us }) => gap_us.p99 / 1000;
  return [figure({
    id: 'P10', what: `gap of ${STREAMS} streams, p99, while ${logins} log in`, unit: 'ms', note: `${during[0].done['200'] ?? 0} were let in, ${during[0].done['503'] ?? 0} told to come back`,
    aerie: during.map(gap), peer: without.map(gap), peerName: 'without logins', limit: { most: 1.1 }, isValid: isAnswered && held.isRight,
  })];
}
