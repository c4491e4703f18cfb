// A fake upstream: n8n and model providers (models.mjs), well-behaved or not. What it answers is chosen by the query of its URL,
// or by the message itself when that begins with "!" and goes on as a query ("!tokens=9&delay=5").
// Options: see replies.mjs (chunk: bytes an HTTP chunk; once: the connection is for this answer only), and here first (ms before the first byte), delay (ms between writes), pause (ms at a split).
// Also a program: `node upstream.mjs [port]` prints its port.
import { EventEmitter } from 'node:events';
import net from 'node:net';
import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import { planReply } from './replies.mjs';

/** Takes one whole request off the front of the bytes, or null while it is not complete. */
function takeRequest(bytes) {
  const headEnd = bytes.indexOf('\r\n\r\n');
  if (headEnd < 0) return null;
  const [requestLine, ...lines] = bytes.subarray(0, headEnd).toString('latin1').split('\r\n');
  const [method, target] = requestLine.split(' ');
  const headers = {};
  for (const text of lines) {
    const colon = text.indexOf(':');
    headers[text.slice(0, colon).toLowerCase()] = text.slice(colon + 1).trim();
  }
  let at = headEnd + 4;
  const body = [];
  if (/chunked/i.test(headers['transfer-encoding'] ?? '')) {
    for (;;) {
      const eol = bytes.indexOf('\r\n', at);
      if (eol < 0) return null;
      const size = parseInt(bytes.subarray(at, eol).toString(), 16);
      if (bytes.length < eol + 2 + size + 2) return null;
      body.push(bytes.subarray(eol + 2, eol + 2 + size));
      at = eol + 2 + size + 2;
      if (size === 0) break;
    }
  } else {
    const length = Number(headers['content-length'] ?? 0);
    if (bytes.length < at + length) return null;
    body.push(bytes.subarray(at, at + length));
    at += length;
  }
  return { request: { method, target, headers, body: Buffer.concat(body) }, rest: bytes.subarray(at) };
}

/** What the user said last, by n8n's, OpenAI's, Anthropic's or Gemini's protocol. */
function lastMessage(json) {
  const said = json?.chatInput ?? json?.messages?.at?.(-1)?.content ?? json?.contents?.at?.(-1)?.parts;
  const text = Array.isArray(said) ? said.at(-1)?.text : said;
  return typeof text === 'string' ? text : '';
}

export class Upstream extends EventEmitter {
  /** Every request so far: {method, path, headers, body, json, options, at, sent, ended_at, aborted_at}. */
  requests = [];
  connections = 0;
  #sockets = new Set();
  #handlers = new Map();
  #keep;

  constructor({ keep = true } = {}) {
    super();
    this.setMaxListeners(0);
    this.#keep = keep;
    this.server = net.createServer({ noDelay: true }, (socket) => this.#serve(socket));
  }

  async listen(port = 0) {
    await new Promise((resolve, reject) => {
      this.server.once('error', reject);
      this.server.listen(port, '127.0.0.1', 4096, resolve);
    });
    this.port = this.server.address().port;
    return this;
  }

  url(options = {}, path = '/webhook/fake') {
    const query = new URLSearchParams(options).toString();
    return `http://127.0.0.1:${this.port}${path}${query ? `?${query}` : ''}`;
  }

  /** A path answered by code: handler(request, socket). */
  handle(path, handler) {
    this.#handlers.set(path, handler);
  }

  tagged(tag) {
    return this.requests.filter((request) => request.options.tag === tag);
  }

  /** Waits until a request fulfils the condition. */
  async waitFor(condition, timeout = 10000) {
    const deadline = Date.now() + timeout;
    for (;;) {
      const found = this.requests.find(condition);
      if (found) return found;
      if (Date.now() > deadline) throw new Error('fake upstream: the awaited request did not come');
      await sleep(2);
    }
  }

  async close() {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise((resolve) => this.server.close(resolve));
  }

  #serve(socket) {
    let pending = Buffer.alloc(0);
    let busy = Promise.resolve();
    this.connections++;
    this.#sockets.add(socket);
    socket.on('error', () => {});
    socket.on('close', () => {
      this.#sockets.delete(socket);
      if (socket.current && !socket.current.ended_at) {
        socket.current.aborted_at = Date.now();
        this.emit('aborted', socket.current);
      }
    });
    socket.on('data', (bytes) => {
      pending = pending.length ? Buffer.concat([pending, bytes]) : bytes;
      if (/\r\nexpect: 100-continue\r\n/i.test(pending.subarray(0, 16384).toString('latin1')) && !socket.continued) {
        socket.continued = true;
        socket.write('HTTP/1.1 100 Continue\r\n\r\n');
      }
      for (let taken = takeRequest(pending); taken; taken = takeRequest(pending)) {
        pending = taken.rest;
        const { request } = taken;
        busy = busy.then(() => this.#answer(socket, request)).catch((error) => socket.destroy(error));
      }
    });
  }

  async #answer(socket, request) {
    const at = request.target.indexOf('?');
    request.path = at < 0 ? request.target : request.target.slice(0, at);
    request.options = Object.fromEntries(new URLSearchParams(at < 0 ? '' : request.target.slice(at + 1)));
    try {
      request.json = JSON.parse(request.body);
    } catch {
      request.json = undefined;
    }
    const said = lastMessage(request.json);
    if (said.startsWith('!')) Object.assign(request.options, Object.fromEntries(new URLSearchParams(said.slice(1))));
    if (request.options.echo) request.options.text = said;
    Object.assign(request, { at: Date.now(), sent: 0 });
    socket.current = request;
    if (this.#keep) this.requests.push(request);
    this.emit('request', request);

    const handler = this.#handlers.get(request.path);
    if (handler) {
      await handler(request, socket);
      request.ended_at ??= Date.now();
      return;
    }
    await this.#send(socket, request);
  }

  async #send(socket, request) {
    const { options } = request;
    const { writes, end } = planReply(options, request);
    const delay = Number(options.delay ?? 0);
    const pause = Number(options.pause ?? 0);

    if (options.first) await sleep(Number(options.first));
    for (const [i, bytes] of writes.entries()) {
      if (i > 0 && delay) await sleep(delay);
      else if (i > 0 && (options.split !== undefined || options.bytes !== undefined)) await (pause ? sleep(pause) : nextTurn());
      if (socket.destroyed) return;
      if (!socket.write(bytes)) await new Promise((resolve) => socket.once('drain', resolve).once('close', resolve));
      request.sent += bytes.length;
    }
    if (end === 'hang') return; // stays current: the client's hanging up is noticed
    request.ended_at = Date.now();
    if (end === 'close') socket.end();
    if (end === 'reset') setTimeout(() => socket.resetAndDestroy(), 5); // the bytes go out first
  }
}

export async function startUpstream(options) {
  return new Upstream(options).listen();
}

if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href) {
  const upstream = await new Upstream({ keep: false }).listen(Number(process.argv[2] ?? 0));
  console.log(upstream.port);
}
