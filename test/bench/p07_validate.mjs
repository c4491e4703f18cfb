// P7: POST /api/v1/validate with an API key beside nginx's `return 200`; a key that was revoked is refused within a second.
import { setTimeout as sleep } from 'node:timers/promises';
import { figure } from './figures.mjs';
import { inTurns } from './stand.mjs';

const CLIENTS = 32;
const KEYS = 16;

/** How long a revoked key is still good, in ms. */
async function revocation(aerie, agent, key, credentials) {
  const { admin } = aerie.aerie;
  const began = performance.now();
  const answer = await admin.delete(`/api/agents/${agent.id}/api-keys/${key.id}`);
  if (answer.status !== 204) throw new Error(`revoking: ${answer.status} ${answer.text}`);
  for (;;) {
    const { status } = await aerie.aerie.request('POST', '/api/v1/validate', { json: credentials });
    const ms = performance.now() - began;
    if (status === 401 || ms > 5000) return ms;
    await sleep(5);
  }
}

export async function run(stand, amounts) {
  const aerie = await stand.aerie('sqlite');
  const nginx = await stand.nginx();
  const agent = await aerie.agent('chunks=1');
  const keys = [];
  for (let i = 0; i < KEYS; i++) keys.push((await aerie.aerie.admin.post(`/api/agents/${agent.id}/api-keys`, { name: `bench ${i}` })).json);
  const credentials = (key) => ({ tenant_id: aerie.aerie.admin.me.team_id, api_key: key.api_key });
  const headers = { 'Content-Type': 'application/json' };
  const asking = (path) => ({ requests: keys.map((key) => ({ path, headers, body: JSON.stringify(credentials(key)) })), read: 'body' });
  const validate = (system, path, messages) => stand.load('P7', system, asking(path), { mode: 'closed', expect: '"valid":true', clients: CLIENTS, messages });
  await validate(aerie, '/api/v1/validate', KEYS * 8);
  const results = await inTurns(amounts.runs, {
    aerie: () => validate(aerie, '/api/v1/validate', amounts.requests),
    nginx: () => validate(nginx, '/ok', amounts.requests),
  });
  const perCall = ({ cpu_us, messages }) => cpu_us / messages;
  const isValid = [...results.aerie, ...results.nginx].every((result) => result.isRight);
  return [
    figure({ id: 'P7', what: 'CPU per POST /api/v1/validate', unit: 'µs', aerie: results.aerie.map(perCall), peer: results.nginx.map(perCall), peerName: 'nginx, return 200', limit: { most: 3 }, isValid }),
    figure({ id: 'P7', what: 'a revoked key is refused after', unit: 'ms', aerie: [await revocation(aerie, agent, keys[0], credentials(keys[0]))], limit: { most: 1000, of: 'value' } }),
  ];
}
