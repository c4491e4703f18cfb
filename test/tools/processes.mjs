// Processes, as the kernel lists them.
import { readdirSync, readFileSync } from 'node:fs';

function parentOf(pid) {
  try {
    return Number(readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1).split(' ')[1]);
  } catch {
    return 0; // it has ended meanwhile
  }
}

/** The children of a process that live. */
export function childrenOf(parent) {
  return readdirSync('/proc').filter((name) => /^\d+$/.test(name)).map(Number).filter((pid) => parentOf(pid) === parent);
}
