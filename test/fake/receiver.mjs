// A receiver of webhooks that does as it is told: takes calls, refuses them, hangs, cuts, says nonsense, is away.
import { createHmac } from 'node:crypto';
import { once } from 'node:events';
import net from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

/** What it answers with; each is asked with the socket and the call. */
export const manners = {
  take: (socket) => socket.end('HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n'),
  fail: (socket) => socket.end('HTTP/1.1 500 Oops\r\nContent-Length: 4\r\nConnection: close\r\n\r\nOops'),
  hang: () => {},
  'say nonsense': (socket) => socket.end('what is it?\r\n\r\n'),
  'cut the head': (socket) => socket.end('HTTP/1.1 200 O'),
  'reset it': (socket) => socket.resetAndDestroy(),
  'send elsewhere': (socket, { receiver }) => socket.end(`HTTP/1.1 307 There\r\nLocation: ${receiver.url}/elsewhere\r\nContent-Length: 0\r\nConnection: close\r\n\r\n`),
  'want no more': (socket) => socket.end('HTTP/1.1 410 Gone\r\nContent-Length: 0\r\nConnection: close\r\n\r\n'),
};

export class Receiver {
  calls = []; // all that came whole: {path, headers, body, json, wasTaken}
  connections = 0;
  manner = manners.take;

  static async start({ host = '127.0.0.1' } = {}) {
    const receiver = new Receiver();
    receiver.host = host;
    receiver.port = 0;
    await receiver.open();
    return receiver;
  }

  get url() {
    return `http://127.0.0.1:${this.port}`;
  }

  /** On the port that it had. */
  async open() {
    this.sockets = new Set();
    this.server = net.createServer((socket) => this.#serve(socket));
    await once(this.server.listen(this.port, this.host), 'listening');
    this.port = this.server.address().port;
  }

  /** Nobody is there any more: connections are refused. */
  async close() {
    const closed = once(this.server.close(), 'close');
    for (const socket of this.sockets) socket.destroy();
    await closed;
  }

  #serve(socket) {
    this.connections++;
    this.sockets.add(socket);
    let bytes = Buffer.alloc(0);
    socket.on('error', () => {});
    socket.on('close', () => this.sockets.delete(socket));
    socket.on('data', (more) => {
      bytes = Buffer.concat([bytes, more]);
      const end = bytes.indexOf('\r\n\r\n');
      if (end < 0) return;
      const [line, ...lines] = bytes.subarray(0, end).toString().split('\r\n');
      const headers = Object.fromEntries(lines.map((one) => [one.slice(0, one.indexOf(':')).toLowerCase(), one.slice(one.indexOf(':') + 1).trim()]));
      const body = bytes.subarray(end + 4);
      if (body.length < Number(headers['content-length'] ?? 0)) return;
      bytes = Buffer.alloc(0);
      const call = { receiver: this, method: line.split(' ')[0], path: line.split(' ')[1], headers, body, json: JSON.parse(body || '{}'), manner: this.manner, at: performance.now() };
      call.delivery = headers['x-aerie-delivery'];
      call.wasTaken = this.manner === manners.take;
      this.calls.push(call);
      this.manner(socket, call);
    });
  }

  /** How often each delivery was taken, by its id. */
  taken() {
    const times = new Map();
    for (const call of this.calls) if (call.wasTaken) times.set(call.delivery, (times.get(call.delivery) ?? 0) + 1);
    return times;
  }

  /** Waits until there are n calls that fit. */
  async wait(n = 1, fits = () => true, timeout = 20000) {
    for (const deadline = performance.now() + timeout; ; await sleep(10)) {
      const found = this.calls.filter(fits);
      if (found.length >= n) return found;
      if (performance.now() > deadline) throw new Error(`${found.length} of ${n} calls came: ${JSON.stringify(this.calls.map(({ path, json, wasTaken }) => [path, json.type, wasTaken]))}`);
    }
  }
}

/** The header's parts, and whether each of its sums is the secret's. */
export function readSignature(header, body, secret) {
  const parts = header.split(',').map((part) => part.split('='));
  const time = parts.find(([name]) => name === 't')[1];
  const sum = createHmac('sha256', secret).update(`${time}.`).update(body).digest('hex');
  return { time: Number(time), fits: parts.filter(([name]) => name === 'v1').map(([, hex]) => hex === sum) };
}
