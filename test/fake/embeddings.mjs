// A fake embedding provider: OpenAI's POST /v1/embeddings, exactly. Vectors are made of the words of a text, so that texts
// with the same words are near each other; the same text always has the same vector. Faults are queued: each answers one request.
import http from 'node:http';

/** mulberry32: the same numbers for the same seed. */
function random(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t = (t + Math.imul(t ^ (t >>> 7), t | 61)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

function hash(text) {
  let h = 2166136261;
  for (const byte of Buffer.from(text)) h = Math.imul(h ^ byte, 16777619);
  return h >>> 0;
}

const words = new Map();
function vectorOfWord(word, dimensions) {
  const key = `${dimensions}:${word}`;
  let v = words.get(key);
  if (!v) {
    const next = random(hash(key));
    words.set(key, (v = Float32Array.from({ length: dimensions }, () => next() * 2 - 1)));
  }
  return v;
}

/** Not of length 1: that is the asker's business. */
export function vectorOf(text, dimensions = 32) {
  const sum = new Float32Array(dimensions);
  for (const word of text.toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? ['']) vectorOfWord(word, dimensions).forEach((x, i) => (sum[i] += x));
  return sum;
}

export function cosine(a, b) {
  let dot = 0;
  let aa = 0;
  let bb = 0;
  for (let i = 0; i < a.length; i++) {
    dot += a[i] * b[i];
    aa += a[i] * a[i];
    bb += b[i] * b[i];
  }
  return dot / Math.sqrt(aa * bb);
}

export class EmbeddingProvider {
  /** {headers, json} of each request. */
  requests = [];
  /** What to do with the next requests: (request, answer, response) → true when it has answered, or may change the answer. */
  faults = [];

  constructor({ dimensions = 32, key } = {}) {
    this.dimensions = dimensions;
    this.key = key;
    this.server = http.createServer((request, response) => this.#serve(request, response));
  }

  async listen() {
    await new Promise((resolve) => this.server.listen(0, '127.0.0.1', resolve));
    this.baseUrl = `http://127.0.0.1:${this.server.address().port}/v1`;
    return this;
  }

  async close() {
    this.server.closeAllConnections();
    await new Promise((resolve) => this.server.close(resolve));
  }

  static send(response, status, json, headers = {}) {
    const body = JSON.stringify(json);
    response.writeHead(status, { 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(body), ...headers });
    response.end(body);
  }

  static refuse(response, status, message, headers) {
    EmbeddingProvider.send(response, status, { error: { message, type: 'invalid_request_error', param: null, code: null } }, headers);
  }

  async #serve(request, response) {
    const parts = [];
    for await (const part of request) parts.push(part);
    let json;
    try {
      json = JSON.parse(Buffer.concat(parts));
    } catch {
      json = null;
    }
    this.requests.push({ headers: request.headers, json });
    const refuse = (status, message) => EmbeddingProvider.refuse(response, status, message);
    if (request.method !== 'POST' || request.url !== '/v1/embeddings') return refuse(404, `Unknown request URL: ${request.method} ${request.url}`);
    if (this.key && request.headers.authorization !== `Bearer ${this.key}`) return refuse(401, 'Incorrect API key provided');
    if (!json || typeof json.model !== 'string') return refuse(400, 'you must provide a model parameter');
    const inputs = typeof json.input === 'string' ? [json.input] : json.input;
    if (!Array.isArray(inputs) || inputs.length < 1 || inputs.length > 2048 || inputs.some((i) => typeof i !== 'string' || i === ''))
      return refuse(400, "'$.input' is invalid");
    if (json.encoding_format !== undefined && !['float', 'base64'].includes(json.encoding_format)) return refuse(400, "'$.encoding_format' is invalid");
    if (json.dimensions !== undefined && !(Number.isInteger(json.dimensions) && json.dimensions > 0)) return refuse(400, "'$.dimensions' is invalid");
    const dimensions = json.dimensions ?? this.dimensions;
    const data = inputs.map((text, index) => {
      const vector = vectorOf(text, dimensions);
      return { object: 'embedding', index, embedding: json.encoding_format === 'base64' ? Buffer.from(vector.buffer).toString('base64') : Array.from(vector) };
    });
    data.reverse(); // the index counts, not the order
    const tokens = inputs.reduce((n, text) => n + Math.ceil(text.length / 4), 0);
    const answer = { object: 'list', data, model: json.model, usage: { prompt_tokens: tokens, total_tokens: tokens } };
    const fault = this.faults.shift();
    if (fault && (await fault(answer, response))) return;
    EmbeddingProvider.send(response, 200, answer);
  }
}
