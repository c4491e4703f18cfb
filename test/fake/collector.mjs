// A collector of OTLP over HTTP in JSON, strict about what it is sent: each thing that the protocol does not allow is kept in .wrong.
import { once } from 'node:events';
import http from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';

/** What it answers with. Spans count as arrived where it takes them. */
export const manners = {
  take: (res) => answer(res, 200, {}),
  'reject one': (res) => answer(res, 200, { partialSuccess: { rejectedSpans: '1', errorMessage: 'one of them is too old' } }),
  'be busy': (res) => answer(res, 429, { code: 8, message: 'later' }, { 'Retry-After': '1' }),
  'be away': (res) => answer(res, 503, {}),
  refuse: (res) => answer(res, 400, { code: 3, message: 'no' }),
  hang: () => {},
};
const takes = [manners.take, manners['reject one']];

function answer(res, status, json, headers = {}) {
  res.writeHead(status, { 'Content-Type': 'application/json', ...headers });
  res.end(JSON.stringify(json));
}

const isHex = (text, digits) => typeof text === 'string' && new RegExp(`^[0-9a-f]{${digits}}$`).test(text) && !/^0+$/.test(text);
const isNano = (text) => typeof text === 'string' && /^[1-9]\d{15,19}$/.test(text);
const isText = (value) => typeof value === 'string';
const isFlags = (value) => Number.isInteger(value) && (value & 0x100) !== 0 && value < 0x400;
const isStatus = (value) => Object.keys(value).every((key) => key === 'code') && [undefined, 2].includes(value.code);
const isValue = (value) => Object.keys(value).length === 1 && (isText(value.stringValue) || /^-?\d+$/.test(value.intValue ?? '') || typeof value.boolValue === 'boolean');

/** The members of an object: what each must be; "?" behind a name says that it may be missing. */
function* faults(where, object, members) {
  if (object === null || typeof object !== 'object') return yield `${where} is no object`;
  const known = new Map(Object.entries(members).map(([name, fits]) => [name.replace('?', ''), [name.endsWith('?'), fits]]));
  for (const name of Object.keys(object)) if (!known.has(name)) yield `${where} has ${name}`;
  for (const [name, [isOptional, fits]] of known) {
    if (object[name] === undefined) {
      if (!isOptional) yield `${where} has no ${name}`;
    } else if (typeof fits === 'function' && !fits(object[name])) yield `${where}.${name} is ${JSON.stringify(object[name])}`;
  }
}

function* attributeFaults(where, attributes) {
  const keys = attributes.map(({ key }) => key);
  if (new Set(keys).size !== keys.length) yield `${where} has an attribute twice: ${keys}`;
  for (const attribute of attributes) yield* faults(`${where}.${attribute.key}`, attribute, { key: isText, value: isValue });
}

function* spanFaults(span) {
  yield* faults('span', span, {
    traceId: (id) => isHex(id, 32), spanId: (id) => isHex(id, 16), 'parentSpanId?': (id) => isHex(id, 16), 'traceState?': isText, flags: isFlags,
    name: (name) => isText(name) && name.length > 0, kind: (kind) => [1, 2, 3].includes(kind), startTimeUnixNano: isNano, endTimeUnixNano: isNano,
    attributes: Array.isArray, 'events?': Array.isArray, status: isStatus,
  });
  yield* attributeFaults('span', span.attributes);
  if (BigInt(span.startTimeUnixNano) > BigInt(span.endTimeUnixNano)) yield 'a span ends before it begins';
  for (const event of span.events ?? []) {
    yield* faults('event', event, { timeUnixNano: isNano, name: isText });
    if (BigInt(event.timeUnixNano) < BigInt(span.startTimeUnixNano) || BigInt(event.timeUnixNano) > BigInt(span.endTimeUnixNano)) yield 'an event is not within its span';
  }
}

function* requestFaults(json) {
  yield* faults('request', json, { resourceSpans: (list) => Array.isArray(list) && list.length === 1 });
  for (const group of json.resourceSpans) {
    yield* faults('resourceSpans', group, { resource: undefined, scopeSpans: (list) => Array.isArray(list) && list.length === 1 });
    yield* faults('resource', group.resource, { attributes: Array.isArray });
    yield* attributeFaults('resource', group.resource.attributes);
    for (const { scope, spans, ...more } of group.scopeSpans) {
      yield* faults('scope', scope, { name: isText, version: isText });
      if (Object.keys(more).length > 0 || spans.length === 0) yield `scopeSpans has ${Object.keys(more)} and ${spans.length} spans`;
      for (const span of spans) yield* spanFaults(span);
    }
  }
}

const plain = (attributes) => Object.fromEntries(attributes.map(({ key, value }) => [key, value.stringValue ?? value.boolValue ?? Number(value.intValue)]));

export class Collector {
  spans = []; // that arrived: each with .facts (its attributes), .resource and .request
  requests = []; // all: {headers, text, n, at}
  wrong = [];
  manner = manners.take;

  static async start() {
    const collector = new Collector();
    await collector.open();
    return collector;
  }

  get endpoint() {
    return `http://127.0.0.1:${this.port}/v1/traces`;
  }

  /** On the port that it had. */
  async open() {
    this.server = http.createServer((req, res) => this.#serve(req, res));
    await once(this.server.listen(this.port ?? 0, '127.0.0.1'), 'listening');
    this.port = this.server.address().port;
  }

  /** Nobody is there any more. */
  async close() {
    const closed = once(this.server.close(), 'close');
    this.server.closeAllConnections();
    await closed;
  }

  async #serve(req, res) {
    const parts = [];
    res.on('error', () => {});
    try {
      for await (const part of req) parts.push(part);
      const text = Buffer.concat(parts).toString();
      if (req.method !== 'POST' || req.url !== '/v1/traces' || req.headers['content-type'] !== 'application/json') this.wrong.push(`${req.method} ${req.url} ${req.headers['content-type']}`);
      const json = JSON.parse(text);
      this.wrong.push(...requestFaults(json));
      const [{ resource, scopeSpans: [{ spans }] }] = json.resourceSpans;
      const request = { headers: req.headers, text, n: spans.length, at: performance.now() };
      this.requests.push(request);
      if (takes.includes(this.manner)) for (const span of spans) this.spans.push({ ...span, facts: plain(span.attributes), resource: plain(resource.attributes), request });
    } catch (error) {
      if (error.code !== 'ECONNRESET') this.wrong.push(error.stack);
    }
    this.manner(res);
  }

  /** Waits until there are n spans that fit. */
  async wait(n = 1, fits = () => true, timeout = 20000) {
    for (const deadline = performance.now() + timeout; ; await sleep(10)) {
      const found = this.spans.filter(fits);
      if (found.length >= n) return found;
      if (performance.now() > deadline) throw new Error(`${found.length} of ${n} spans came: ${JSON.stringify(this.spans.map(({ name, facts }) => [name, facts]))}`);
    }
  }

  async waitRequests(n, timeout = 20000) {
    for (const deadline = performance.now() + timeout; this.requests.length < n; await sleep(10)) if (performance.now() > deadline) throw new Error(`${this.requests.length} of ${n} requests came`);
  }

  of(traceId) {
    return this.spans.filter((span) => span.traceId === traceId);
  }
}
