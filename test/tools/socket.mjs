// A client of /api/chat/ws: the official `ws` package, read strictly. Every frame is an event, kept in .events with the time it came.
import { WebSocket } from 'ws';
import { textOf } from './http.mjs';
import { noteSent } from './secrets.mjs';
import { trustFor } from './tls.mjs';

export class ChatSocket {
  events = [];
  closed = null; // {code, reason}
  #waiters = [];
  #lastNumbers = new Map();

  constructor(ws) {
    this.ws = ws;
    ws.on('message', (bytes, isBinary) => {
      try {
        this.#take(bytes, isBinary);
      } catch (error) {
        this.failure ??= error;
        ws.terminate();
      }
      this.#wake();
    });
    ws.on('error', (error) => (this.failure ??= error));
    ws.on('close', (code, reason) => {
      this.closed = { code, reason: reason.toString() };
      this.#wake();
    });
  }

  #take(bytes, isBinary) {
    if (isBinary) throw new Error('a binary frame');
    const event = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
    if (typeof event.type !== 'string' || typeof event.data !== 'object') throw new Error(`no event: ${bytes}`);
    if (event.id !== undefined) {
      const [, turn, n] = /^([0-9a-f-]{36}):(\d+)$/.exec(event.id) ?? [];
      if (!turn) throw new Error(`no id of an event: ${event.id}`);
      if (!(Number(n) > (this.#lastNumbers.get(turn) ?? 0))) throw new Error(`${event.id} after ${this.#lastNumbers.get(turn)}`);
      this.#lastNumbers.set(turn, Number(n));
    }
    this.events.push({ at: Date.now(), ...event });
  }

  #wake() {
    for (const waiter of this.#waiters.splice(0)) waiter();
  }

  send(message) {
    if (typeof message === 'object') noteSent({ json: message });
    this.ws.send(typeof message === 'string' ? message : JSON.stringify(message));
  }

  /** Waits until condition(this) holds; fails when the socket closes first. */
  async until(condition, timeout = 20000) {
    const deadline = Date.now() + timeout;
    while (!condition(this)) {
      if (this.closed) throw this.failure ?? new Error(`the socket closed with ${this.closed.code} ${this.closed.reason}: ${JSON.stringify(this.events.slice(-3))}`);
      const left = deadline - Date.now();
      if (left <= 0) throw new Error(`waited ${timeout} ms in vain; last events ${JSON.stringify(this.events.slice(-3))}`);
      let timer;
      await Promise.race([
        new Promise((resolve) => this.#waiters.push(resolve)),
        new Promise((resolve) => (timer = setTimeout(resolve, left))),
      ]);
      clearTimeout(timer);
    }
    return this;
  }

  /** Sends and waits for the terminal event: the turn's events, with text, first and last. */
  async ask(message) {
    const from = this.events.length;
    const isOver = () => this.events.slice(from).some((e) => e.type === 'done' || e.type === 'error');
    this.send(message);
    await this.until(isOver);
    const events = this.events.slice(from);
    return { events, text: textOf(events), first: events[0], last: events.at(-1), session: events[0].data.session_id };
  }

  /** Waits for the other side's Close. */
  async ended(timeout = 10000) {
    await this.until((s) => s.closed, timeout);
    return this.closed;
  }

  of(type) {
    return this.events.filter((event) => event.type === type);
  }
  get text() {
    return textOf(this.events);
  }
  close(code = 1000) {
    this.ws.close(code);
    return this.ended();
  }
  /** As a client does whose cable is pulled. */
  vanish() {
    this.ws._socket.resetAndDestroy();
  }
}

/** A ChatSocket, or {status, headers, json} where the upgrade is refused. */
export function openSocket(port, { token, query = '', path = `/api/chat/ws${query}`, headers = {}, ...options } = {}) {
  const all = token ? { Authorization: `Bearer ${token}`, ...headers } : headers;
  const trust = trustFor(port);
  const ws = new WebSocket(`${trust ? 'wss' : 'ws'}://127.0.0.1:${port}${path}`, { headers: all, perMessageDeflate: false, ...trust, ...options });
  return new Promise((resolve, reject) => {
    const socket = new ChatSocket(ws);
    ws.once('open', () => resolve(socket));
    ws.once('error', reject);
    ws.once('unexpected-response', (req, res) => {
      const parts = [];
      res.on('data', (part) => parts.push(part));
      res.on('end', () => {
        ws.removeAllListeners('error');
        ws.on('error', () => {});
        resolve({ status: res.statusCode, headers: res.headers, json: JSON.parse(Buffer.concat(parts).toString()) });
        req.destroy();
      });
    });
  });
}
