// What the kernel knows of the connections to a port, and of a process.
import { readFileSync } from 'node:fs';

const LISTEN = '0A';
const TIME_WAIT = '06';

/** The server's ends of the connections to that port over IPv4, whoever still owns them: {state, unsent, unread} in bytes. */
export function connectionsTo(port) {
  const local = `:${port.toString(16).toUpperCase().padStart(4, '0')}`;
  return readFileSync('/proc/net/tcp', 'utf8').trim().split('\n').slice(1).map((line) => line.trim().split(/\s+/))
    .filter(([, address, , state]) => address.endsWith(local) && state !== LISTEN && state !== TIME_WAIT)
    .map(([, , , state, queues]) => {
      const [unsent, unread] = queues.split(':').map((hex) => parseInt(hex, 16));
      return { state, unsent, unread };
    });
}

/** Private memory of a process in bytes: what it would give back if it ended. */
export function privateMemory(pid) {
  const text = readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8');
  return [...text.matchAll(/^Private_(?:Clean|Dirty):\s+(\d+) kB$/gm)].reduce((sum, [, kb]) => sum + Number(kb) * 1024, 0);
}
