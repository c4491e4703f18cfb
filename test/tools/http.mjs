// Clients: one request and its whole answer; one stream of events, read strictly; bytes over a raw socket. What a server under
// test answers to the first two is held to its openapi.json; over a raw socket come requests that no description has room for.
import { contractOf } from './contract.mjs';
import { noteGiven, noteSent } from './secrets.mjs';
import { SseParser } from './sse.mjs';
import { connectTo, requestTo } from './tls.mjs';

function buildRequest(port, method, path, options = {}) {
  const { token, cookie, json, form, body, headers = {}, agent = false, localAddress } = options;
  noteSent(options);
  const all = { ...headers };
  let payload = body;
  if (json !== undefined) {
    payload = JSON.stringify(json);
    all['Content-Type'] ??= 'application/json';
  } else if (form !== undefined) {
    payload = new URLSearchParams(form).toString();
    all['Content-Type'] ??= 'application/x-www-form-urlencoded';
  }
  if (token) all.Authorization ??= `Bearer ${token}`;
  if (cookie) all.Cookie ??= cookie;
  if (payload !== undefined) all['Content-Length'] ??= Buffer.byteLength(payload);
  const req = requestTo({ host: '127.0.0.1', port, method, path, headers: all, agent, localAddress });
  req.setNoDelay(true);
  req.end(payload);
  return req;
}

/** {status, headers, bytes, text, json}. Every call has a connection of its own, so that it lands on any loop. */
export function request(port, method, path, options = {}) {
  return new Promise((resolve, reject) => {
    const req = buildRequest(port, method, path, options);
    const timeout = options.timeout ?? 30000;
    req.setTimeout(timeout, () => req.destroy(new Error(`${method} ${path}: nothing for ${timeout} ms`)));
    req.on('error', reject);
    req.on('response', (res) => {
      const parts = [];
      res.on('data', (part) => parts.push(part));
      res.on('error', reject);
      res.on('end', () => {
        const bytes = Buffer.concat(parts);
        const text = bytes.toString('utf8');
        let json;
        if (/json/.test(res.headers['content-type'] ?? '') && text) {
          try {
            json = JSON.parse(text);
          } catch (error) {
            reject(new Error(`${method} ${path}: not JSON (${error.message}): ${text.slice(0, 200)}`));
          }
        }
        noteGiven(json);
        try {
          contractOf(port)?.check(method, path, { status: res.statusCode, headers: res.headers, text, sent: options.json });
        } catch (error) {
          reject(error);
        }
        resolve({ status: res.statusCode, headers: res.headers, bytes, text, json });
      });
    });
  });
}

/** A stream of server-sent events: each one is kept in .events as {id, type, data, at}, comments are counted. */
export class EventStream {
  events = [];
  comments = 0;
  bytes = 0;
  #waiters = [];

  /** check: throws at an event's data that is not as it should be. */
  constructor(req, res, check) {
    this.req = req;
    this.status = res.statusCode;
    this.headers = res.headers;
    this.res = res;
    this.closed = false;
    this.failure = null;
    const parser = new SseParser({
      onEvent: (event) => {
        check?.(event.data);
        this.events.push({ id: event.id, at: Date.now(), ...JSON.parse(event.data) });
        this.#wake();
      },
      onComment: () => {
        this.comments++;
        this.#wake();
      },
    });
    res.on('data', (part) => {
      this.bytes += part.length;
      try {
        parser.push(part);
      } catch (error) {
        this.failure ??= error;
        req.destroy();
      }
    });
    this.ended = new Promise((resolve) => {
      const finish = (error) => {
        if (!this.closed) {
          this.closed = true;
          if (error) this.failure ??= error;
          else if (!parser.isAtRest()) this.failure ??= new Error('the stream ended inside an event');
        }
        this.#wake();
        resolve(this);
      };
      res.on('end', () => finish(null));
      res.on('error', finish);
      res.on('close', () => finish(new Error('the connection was lost')));
    });
  }

  #wake() {
    for (const waiter of this.#waiters.splice(0)) waiter();
  }

  /** Waits until condition(this) holds; fails when the stream ends first. */
  async until(condition, timeout = 20000) {
    const deadline = Date.now() + timeout;
    while (!condition(this)) {
      if (this.closed) throw new Error(`the stream ended early: ${this.failure?.message ?? JSON.stringify(this.events.slice(-3))}`);
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

  /** Waits for the end and hands back itself; a cut or an event that is no event throws. */
  async whole(timeout = 60000) {
    let timer;
    await Promise.race([
      this.ended,
      new Promise((resolve, reject) => (timer = setTimeout(() => reject(new Error(`the stream did not end in ${timeout} ms: ${JSON.stringify(this.events.slice(-3))}`)), timeout))),
    ]).finally(() => clearTimeout(timer));
    if (this.failure) throw this.failure;
    return this;
  }

  of(type) {
    return this.events.filter((event) => event.type === type);
  }
  get text() {
    return textOf(this.events);
  }
  get done() {
    return this.of('done')[0]?.data;
  }
  get error() {
    return this.of('error')[0]?.data;
  }
  get lastId() {
    return this.events.at(-1)?.id;
  }
  close() {
    this.req.destroy();
  }
}

export function textOf(events) {
  return events.filter((event) => event.type === 'message').map((event) => event.data.content).join('');
}

/** Begins a request whose answer may be a stream: an EventStream, or a plain answer when it is none. */
export function openStream(port, method, path, options = {}) {
  return new Promise((resolve, reject) => {
    const headers = { Accept: 'text/event-stream', ...options.headers };
    const req = buildRequest(port, method, path, { ...options, headers });
    const timer = setTimeout(() => req.destroy(new Error(`${method} ${path}: no answer in 30 s`)), 30000);
    req.on('error', reject);
    req.on('close', () => clearTimeout(timer));
    req.on('response', (res) => {
      clearTimeout(timer);
      if (res.statusCode === 200 && /^text\/event-stream/.test(res.headers['content-type'] ?? '')) {
        const contract = contractOf(port);
        try {
          contract?.check(method, path, { status: 200, headers: res.headers, sent: options.json });
          resolve(new EventStream(req, res, contract?.eventCheck(method, path)));
        } catch (error) {
          reject(error);
        }
        return;
      }
      const parts = [];
      res.on('data', (part) => parts.push(part));
      res.on('end', () => {
        const text = Buffer.concat(parts).toString();
        let json;
        try {
          json = text ? JSON.parse(text) : undefined;
        } catch {
          json = undefined;
        }
        try {
          contractOf(port)?.check(method, path, { status: res.statusCode, headers: res.headers, text, sent: options.json });
        } catch (error) {
          reject(error);
        }
        resolve({ status: res.statusCode, headers: res.headers, text, json });
      });
      res.on('error', reject);
    });
  });
}

/** Splits raw bytes of answers into [{status, headers, body}]; heads tells which had no body (HEAD). */
export function parseResponses(bytes, { heads = [] } = {}) {
  const answers = [];
  let rest = bytes;
  while (rest.length > 0) {
    const headEnd = rest.indexOf('\r\n\r\n');
    if (headEnd < 0) throw new Error(`half a response head: ${JSON.stringify(rest.toString().slice(0, 200))}`);
    const [statusLine, ...lines] = rest.subarray(0, headEnd).toString('latin1').split('\r\n');
    const match = /^HTTP\/1\.1 (\d{3}) ?/.exec(statusLine);
    if (!match) throw new Error(`no status line: ${JSON.stringify(statusLine)}`);
    const headers = {};
    for (const line of lines) {
      const colon = line.indexOf(':');
      headers[line.slice(0, colon).toLowerCase()] = line.slice(colon + 1).trim();
    }
    rest = rest.subarray(headEnd + 4);
    const status = Number(match[1]);
    let body = Buffer.alloc(0);
    if (status < 200 || status === 204 || status === 304 || heads.includes(answers.filter((a) => a.status >= 200).length)) {
      // no body
    } else if (/chunked/i.test(headers['transfer-encoding'] ?? '')) {
      const parts = [];
      for (;;) {
        const eol = rest.indexOf('\r\n');
        const size = parseInt(rest.subarray(0, eol).toString(), 16);
        if (eol < 0 || Number.isNaN(size)) throw new Error('a broken chunk');
        parts.push(rest.subarray(eol + 2, eol + 2 + size));
        rest = rest.subarray(eol + 2 + size + 2);
        if (size === 0) break;
      }
      body = Buffer.concat(parts);
    } else if (headers['content-length'] !== undefined) {
      const length = Number(headers['content-length']);
      if (rest.length < length) throw new Error(`a body of ${rest.length} bytes where ${length} were told`);
      body = rest.subarray(0, length);
      rest = rest.subarray(length);
    } else {
      body = rest;
      rest = Buffer.alloc(0);
    }
    answers.push({ status, headers, body: body.toString() });
  }
  return answers;
}

/**
 * Writes the parts (strings, buffers, or numbers: ms to wait) to a fresh socket and reads until the server closes it or is
 * quiet for `quiet` ms: {bytes, answers, closed}. least: so many answers are waited for, however quiet it is.
 */
export function raw(port, parts, { quiet = 400, timeout = 20000, least = 0, heads } = {}) {
  return new Promise((resolve, reject) => {
    const got = [];
    let closed = false;
    let quietTimer;
    let sent = false;
    const socket = connectTo({ port, host: '127.0.0.1', noDelay: true }, send);
    const deadline = setTimeout(() => finish(), timeout);
    function finish() {
      clearTimeout(deadline);
      clearTimeout(quietTimer);
      socket.destroy();
      const bytes = Buffer.concat(got);
      try {
        resolve({ bytes, text: bytes.toString(), answers: parseResponses(bytes, { heads }), closed });
      } catch (error) {
        reject(error);
      }
    }
    function settle() {
      clearTimeout(quietTimer);
      if (sent && begun() >= least) quietTimer = setTimeout(finish, quiet);
    }
    function begun() {
      return least === 0 ? 0 : Buffer.concat(got).toString('latin1').split(/HTTP\/1\.1 [2-5]/).length - 1;
    }
    socket.on('data', (bytes) => {
      got.push(bytes);
      settle();
    });
    socket.on('error', () => {});
    socket.on('close', () => {
      closed = true;
      finish();
    });
    async function send() {
      for (const part of [parts].flat()) {
        if (typeof part === 'number') await new Promise((r) => setTimeout(r, part));
        else if (!socket.destroyed) socket.write(part);
      }
      sent = true;
      if (quiet < timeout) settle();
    }
  });
}

/** multipart/form-data with one file: {body, headers}. */
export function multipart(name, filename, type, data, extra = {}) {
  const boundary = '----aerie-test-boundary';
  const parts = [];
  for (const [key, value] of Object.entries(extra))
    parts.push(Buffer.from(`--${boundary}\r\nContent-Disposition: form-data; name="${key}"\r\n\r\n${value}\r\n`));
  parts.push(
    Buffer.from(`--${boundary}\r\nContent-Disposition: form-data; name="${name}"; filename="${filename}"\r\nContent-Type: ${type}\r\n\r\n`),
    Buffer.from(data),
    Buffer.from(`\r\n--${boundary}--\r\n`),
  );
  return { body: Buffer.concat(parts), headers: { 'Content-Type': `multipart/form-data; boundary=${boundary}` } };
}
