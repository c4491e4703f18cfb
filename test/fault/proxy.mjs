// A TCP proxy that does harm: between client and server, server and upstream, server and database.
// Directions: up is towards the target, down is back. Each has its faults, which may change while connections run:
//   delay: ms before what came goes on     piece: bytes a write, e.g. 1
//   corrupt: the byte at this place is turned over (each of its bits)
//   stall: after so many bytes nothing passes and nothing more is read, until this is taken away
//   cut: after so many bytes both sides are closed    reset: after so many bytes both sides get an RST
// Places count the bytes of one connection and direction from 0; a connection with .faults of its own ignores the proxy's.
// Also a program: `node proxy.mjs [--port N] [HOST:]PORT [down.stall=100 …]` prints its port and takes lines of the same words
// (each line replaces all faults), or `cut`, `reset`, `refuse`, `accept`.
import { EventEmitter, once } from 'node:events';
import net from 'node:net';
import { createInterface } from 'node:readline';
import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';

const DIRECTIONS = ['up', 'down'];
const FAULTS = ['delay', 'piece', 'corrupt', 'stall', 'cut', 'reset'];
/** What was written before an RST should have reached the other side. */
const FLUSH_MS = 5;
/** Who does not close its side after a cut loses it. */
const LINGER_MS = 1000;

function checked(faults) {
  for (const [direction, of] of Object.entries(faults)) {
    if (!DIRECTIONS.includes(direction)) throw new Error(`no direction: ${direction}`);
    for (const [name, n] of Object.entries(of))
      if (!FAULTS.includes(name) || !(Number.isInteger(n) && n >= 0)) throw new Error(`no fault: ${direction}.${name}=${n}`);
  }
  return faults;
}

class Connection {
  passed = { up: 0, down: 0 };
  #faults = null;
  #isOver = false;
  #changed = withResolvers();

  constructor(proxy, client, target) {
    this.proxy = proxy;
    this.client = client;
    this.target = target;
    this.sockets = [client, target];
    for (const socket of this.sockets) socket.on('error', () => {});
    this.ended = Promise.all(this.sockets.map((socket) => new Promise((resolve) => socket.once('close', resolve))));
    this.#pump('up', client, target);
    this.#pump('down', target, client);
  }

  get faults() {
    return this.#faults ?? this.proxy.faults;
  }
  set faults(faults) {
    this.#faults = checked(faults);
    this.wake();
  }

  /** Looks at the faults again. */
  wake() {
    this.#changed.resolve();
    this.#changed = withResolvers();
  }

  /** Closes both sides, after what was written to them. */
  cut() {
    if (this.#isOver) return;
    this.#isOver = true;
    for (const socket of this.sockets) {
      socket.end();
      socket.resume();
      setTimeout(() => socket.destroy(), LINGER_MS).unref();
    }
    this.wake();
  }

  /** RST to both sides; one whose side was closed in order before, for good, has that. */
  reset() {
    this.#isOver = true;
    for (const socket of this.sockets) {
      if (socket.connecting || socket.writableEnded) socket.destroy();
      else socket.resetAndDestroy();
    }
    this.wake();
  }

  async #pump(direction, from, to) {
    try {
      for await (const bytes of from.iterator({ destroyOnReturn: false })) {
        for (let rest = bytes; rest.length > 0 && !this.#isOver; ) rest = await this.#pass(direction, rest, to);
        if (this.#isOver) return;
      }
      to.end();
    } catch {
      this.reset(); // as the other side did, or worse
    }
  }

  /** Lets the first of these bytes go; what is left. */
  async #pass(direction, bytes, to) {
    const { delay = 0, piece = Infinity, stall = Infinity, cut = Infinity, reset = Infinity } = this.faults[direction] ?? {};
    const at = this.passed[direction];
    const end = Math.min(bytes.length, piece, Math.max(0, Math.min(stall, cut, reset) - at));
    if (end > 0) {
      if (delay) await sleep(delay);
      else if (piece < Infinity) await nextTurn();
      await this.#write(to, this.#corrupted(direction, bytes.subarray(0, end), at));
      this.passed[direction] += end;
    }
    const passed = at + end;
    if (passed >= reset) {
      await sleep(FLUSH_MS);
      this.reset();
    } else if (passed >= cut) {
      this.cut();
    } else if (passed >= stall) {
      const { promise } = this.#changed;
      if ((this.faults[direction]?.stall ?? Infinity) <= passed && !this.#isOver) await promise;
    }
    return bytes.subarray(end);
  }

  #corrupted(direction, bytes, at) {
    const place = (this.faults[direction]?.corrupt ?? -1) - at;
    if (place < 0 || place >= bytes.length) return bytes;
    const bad = Buffer.from(bytes);
    bad[place] ^= 0xff;
    return bad;
  }

  async #write(to, bytes) {
    if (this.#isOver || to.destroyed || to.write(bytes)) return;
    const drained = withResolvers();
    for (const event of ['drain', 'close']) to.once(event, drained.resolve);
    await drained.promise;
    for (const event of ['drain', 'close']) to.off(event, drained.resolve);
  }
}

function withResolvers() {
  const made = {};
  made.promise = new Promise((resolve) => (made.resolve = resolve));
  return made;
}

/** Emits 'connection' with each Connection before any byte passes: the place to give it faults of its own. */
export class FaultProxy extends EventEmitter {
  connections = new Set();
  accepted = 0;
  faults = {};

  constructor({ port, host = '127.0.0.1' }, faults = {}) {
    super();
    this.target = { port, host };
    this.faults = checked(faults);
  }

  async listen(port = this.port ?? 0) {
    this.server = net.createServer({ noDelay: true, allowHalfOpen: true }, (client) => {
      const target = net.connect({ ...this.target, noDelay: true, allowHalfOpen: true });
      const connection = new Connection(this, client, target);
      this.accepted++;
      this.connections.add(connection);
      connection.ended.finally(() => this.connections.delete(connection));
      this.emit('connection', connection);
    });
    this.server.listen(port, '127.0.0.1', 4096);
    await once(this.server, 'listening');
    this.port = this.server.address().port;
    return this;
  }

  /** From now on these are the faults, and no others: set({down: {stall: 100}}); set() heals. */
  set(faults = {}) {
    this.faults = checked(faults);
    for (const connection of this.connections) connection.wake();
  }

  cut() {
    for (const connection of this.connections) connection.cut();
  }
  reset() {
    for (const connection of this.connections) connection.reset();
  }

  /** New connections are refused, until listen(); those that are go on. */
  async refuse() {
    this.server.close();
  }

  async close() {
    this.server.close();
    this.reset();
    await Promise.all([...this.connections].map((connection) => connection.ended));
  }
}

export async function startProxy(target, faults) {
  return new FaultProxy(target, faults).listen();
}

/** "down.stall=100 up.delay=5" → {down: {stall: 100}, up: {delay: 5}} */
export function readFaults(words) {
  const faults = {};
  for (const word of words) {
    const [, direction, name, n] = /^(\w+)\.(\w+)=(\d+)$/.exec(word) ?? [];
    if (!direction) throw new Error(`no fault: ${word}`);
    (faults[direction] ??= {})[name] = Number(n);
  }
  return checked(faults);
}

if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href) {
  const words = process.argv.slice(2);
  const port = words[0] === '--port' ? Number(words.splice(0, 2)[1]) : 0;
  const [, host, target] = /^(?:(.+):)?(\d+)$/.exec(words.shift() ?? '') ?? [];
  if (!target) {
    console.error('usage: node proxy.mjs [--port N] [HOST:]PORT [down.stall=100 …]');
    process.exit(2);
  }
  const proxy = await new FaultProxy({ host, port: Number(target) }, readFaults(words)).listen(port);
  console.log(proxy.port);
  for await (const line of createInterface(process.stdin)) {
    const verb = { cut: 'cut', reset: 'reset', refuse: 'refuse', accept: 'listen' }[line.trim()];
    try {
      if (verb) await proxy[verb]();
      else proxy.set(readFaults(line.split(/\s+/).filter(Boolean)));
    } catch (error) {
      console.error(error.message);
    }
  }
  await proxy.close();
}
