// The driver's side of libtorture.so: arms one call of a running server to fail (torture.h has the layout).
import { spawnSync } from 'node:child_process';
import { closeSync, openSync, readSync, writeFileSync, writeSync } from 'node:fs';
import { constants } from 'node:os';
import { dirname, join } from 'node:path';
import { binaryPath } from '../tools/aerie.mjs';

const { EAGAIN, ECONNRESET, EINTR, EIO, EMFILE, ENOMEM, ENOSPC } = constants.errno;
const KINDS = ['nothing', 'memory', 'recv', 'send', 'read', 'write', 'sync', 'open', 'log'];
const SHORT = -1;

/** What can fail, and how; harmless: nobody may notice. */
export const faults = [
  ['memory', 'ENOMEM', ENOMEM],
  ['recv', 'ECONNRESET', ECONNRESET], ['recv', 'EAGAIN', EAGAIN, true], ['recv', 'EINTR', EINTR, true], ['recv', 'short', SHORT, true],
  ['send', 'ECONNRESET', ECONNRESET], ['send', 'EAGAIN', EAGAIN, true], ['send', 'EINTR', EINTR, true], ['send', 'short', SHORT, true],
  ['read', 'EIO', EIO], ['read', 'EINTR', EINTR, true], ['read', 'short', SHORT, true],
  ['write', 'EIO', EIO], ['write', 'ENOSPC', ENOSPC], ['write', 'EINTR', EINTR, true], ['write', 'short', SHORT, true],
  ['sync', 'EIO', EIO],
  ['open', 'EMFILE', EMFILE],
  ['log', 'EIO', EIO, true], ['log', 'short', SHORT, true],
].map(([kind, name, error, isHarmless = false]) => ({ kind, name, error, isHarmless }));

const BYTES = 4096;
const AT = { kind: 0, n: 4, error: 8, seen: 12, failed: 16, stack: 20 };

export class Control {
  constructor(folder) {
    this.path = join(folder, 'torture.control');
    writeFileSync(this.path, Buffer.alloc(BYTES));
    this.fd = openSync(this.path, 'r+');
  }

  /** What a server under control runs with. */
  get env() {
    return {
      LD_PRELOAD: join(dirname(binaryPath()), 'test/fault/libtorture.so'),
      TORTURE_CONTROL: this.path,
      ASAN_OPTIONS: 'detect_leaks=1:exitcode=99:handle_abort=1:allocator_may_return_null=1:verify_asan_link_order=0:detect_stack_use_after_return=0',
    };
  }

  #set(word, at) {
    const bytes = Buffer.alloc(4);
    bytes.writeInt32LE(word);
    writeSync(this.fd, bytes, 0, 4, at);
  }
  #get(at) {
    const bytes = Buffer.alloc(4);
    readSync(this.fd, bytes, 0, 4, at);
    return bytes.readInt32LE();
  }

  /** n: 0 only counts. */
  arm(fault, n) {
    writeSync(this.fd, Buffer.alloc(BYTES), 0, BYTES, 0);
    this.#set(n, AT.n);
    this.#set(fault.error, AT.error);
    this.#set(KINDS.indexOf(fault.kind), AT.kind);
  }
  disarm() {
    this.#set(0, AT.kind);
  }
  get seen() {
    return this.#get(AT.seen);
  }
  get hasFailed() {
    return this.#get(AT.failed) === 1;
  }

  /** Who made the call that failed, innermost first: our functions with file and line, libraries by name. */
  get stack() {
    const bytes = Buffer.alloc(BYTES - AT.stack);
    readSync(this.fd, bytes, 0, bytes.length, AT.stack);
    return bytes.toString('latin1').split('\0')[0].split('\n').filter(Boolean).map((line) => {
      const [, object, offset] = /^(.*)\+(0x[0-9a-f]+)$/.exec(line);
      if (/libtorture/.test(object)) return null;
      const name = object.split('/').at(-1);
      if (!/aerie/.test(name)) return name;
      // A return address: the call is just before it.
      const found = spawnSync('addr2line', ['-f', '-s', '-e', object, `0x${(Number(offset) - 1).toString(16)}`], { encoding: 'utf8' });
      return found.stdout?.trim().replace('\n', ' ') || line;
    }).filter((frame, i, all) => frame && frame !== all[i - 1]);
  }

  close() {
    closeSync(this.fd);
  }
}
