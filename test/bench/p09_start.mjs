// P9: from the start of the program to its first answer, on a database that is there; and what it takes while idle.
import net from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { freePort } from '../tools/postgres.mjs';
import { figure } from './figures.mjs';
import { memoryOf } from './machine.mjs';

/** One try of GET /health: true when 200 came. */
function isHealthy(port) {
  return new Promise((resolve) => {
    const socket = net.connect(port, '127.0.0.1', () => socket.write('GET /health HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n'));
    socket.once('data', (bytes) => (socket.destroy(), resolve(bytes.toString('latin1').startsWith('HTTP/1.1 200'))));
    socket.once('error', () => resolve(false));
  });
}

export async function run(stand, amounts) {
  const port = await freePort();
  const system = await stand.aerieWith('start', 'sqlite', { env: { SERVER__PORT: String(port) }, users: 1 });
  system.chats({ agent: await system.agent('chunks=1'), count: 1000, messages: 4 });
  const times = [];
  const idle = [];
  for (let run = 0; run < amounts.runs; run++) {
    await system.aerie.halt();
    const began = performance.now();
    const listening = system.aerie.listen();
    while (!(await isHealthy(port))) await sleep(0.5);
    times.push(performance.now() - began);
    await listening;
    await sleep(1000);
    idle.push(memoryOf([system.aerie.child.pid]) / 1e6);
  }
  return [
    figure({ id: 'P9', what: 'cold start on an existing database', unit: 'ms', aerie: times, limit: { most: 50 } }),
    figure({ id: 'P9', what: 'idle process', unit: 'MB', aerie: idle, limit: { most: 12 } }),
  ];
}
