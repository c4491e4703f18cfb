// What the fake upstream answers: builds the bytes of one reply from its options.
import { gzipSync } from 'node:zlib';
import { readCapture } from './captures.mjs';
import { modelReply, openaiReply } from './models.mjs';

const n8nMetadata = { nodeId: '033a1d56', nodeName: 'AI Agent', itemIndex: 0, runIndex: 0 };

/** The pieces of text that a reply is made of; joined they are what a reader must get. */
export function tokensOf(options) {
  if (options.text !== undefined) return options.text.match(/\s*\S+\s*$|\s*\S+|\s+$/gu) ?? [];
  const count = Number(options.tokens ?? 3);
  const size = Number(options.size ?? 0);
  return Array.from({ length: count }, (_, i) => `${i ? ' ' : ''}tok${i}`.padEnd(size, '.'));
}

export function textOf(options) {
  return tokensOf(options).join('');
}

const line = (object) => `${JSON.stringify(object)}\n`;
const event = (object) => `data: ${JSON.stringify(object)}\n\n`;

/**
 * What should not come after the reply: extra: more of the same; error: its words of failure; endless: so many bytes of a part
 * that does not end.
 */
function strayOf(options, write) {
  return [
    ...(options.extra ? [write({ type: 'item', content: ' extra' })] : []),
    ...(options.error ? [write({ type: 'error', error: { message: 'secret of the workflow' } })] : []),
    ...(options.endless ? [write({ type: 'item', content: 'x'.repeat(Number(options.endless)) }).trimEnd().slice(0, -2)] : []),
  ];
}

/** format → [content type, pieces of the body]. */
function bodyOf(options, request) {
  const tokens = tokensOf(options);
  const text = tokens.join('');
  switch (options.format ?? 'items') {
    case 'items':
      return ['application/json; charset=utf-8', [
        line({ type: 'begin', metadata: n8nMetadata }),
        ...tokens.map((content) => line({ type: 'item', content, metadata: n8nMetadata })),
        ...(options.done === '0' ? [] : [line({ type: 'end', metadata: n8nMetadata })]),
        ...strayOf(options, line),
      ]];
    case 'sse':
      return ['text/event-stream', [
        ...tokens.map((content) => event({ content })),
        ...(options.done === '0' ? [] : ['data: [DONE]\n\n']),
        ...strayOf(options, event),
      ]];
    case 'json':
      return ['application/json', [...(text ? [JSON.stringify({ [options.shape ?? 'content']: text })] : []), ...strayOf(options, JSON.stringify)]];
    case 'array':
      return ['application/json', [JSON.stringify([{ [options.shape ?? 'output']: text }])]];
    case 'text':
      return ['text/plain; charset=utf-8', tokens];
    case 'openai':
      return openaiReply(tokens, options, request);
    case 'raw':
      return ['application/json', [options.raw ?? '']];
    case 'hex':
      return ['application/json', [Buffer.from(options.hex, 'hex')]];
    case 'html':
      return ['text/html', ['<!DOCTYPE html>\n<html><body>It works</body></html>']];
    case 'empty':
      return ['application/json', []];
    case 'huge': // one line that does not end soon
      return ['application/json', [`{"type":"item","content":"${'x'.repeat(Number(options.bytes_total ?? 400000))}`]];
    default:
      throw new Error(`fake upstream: unknown format ${options.format}`);
  }
}

const reasons = { 200: 'OK', 204: 'No Content', 302: 'Found', 401: 'Unauthorized', 403: 'Forbidden', 404: 'Not Found', 429: 'Too Many Requests', 500: 'Internal Server Error', 502: 'Bad Gateway', 503: 'Service Unavailable', 529: 'Overloaded' };

let bomb; // made once: it takes a while

/** {head, pieces, end} of a made-up reply, framed as asked: chunked (default), length, or close. */
function buildReply(options, request) {
  const model = modelReply(tokensOf(options), options, request);
  const [type, parts] = model ? [model.type, model.parts] : bodyOf(options, request);
  const status = model?.status ?? Number(options.status ?? 200);
  let body = parts.map((part) => Buffer.from(part)).filter((part) => part.length > 0); // an empty chunk would end the body
  const headers = [`HTTP/1.1 ${status} ${reasons[status] ?? 'Whatever'}`, `Content-Type: ${options.type ?? type}`];
  if (options.retry_after) headers.push(`Retry-After: ${options.retry_after}`);
  if (options.location) headers.push(`Location: ${options.location}`);
  if (options.header_bytes)
    for (let left = Number(options.header_bytes), i = 0; left > 0; left -= 1000, i++) headers.push(`X-Filler-${i}: ${'h'.repeat(980)}`);
  if (options.gzip) {
    headers.push('Content-Encoding: gzip');
    body = [options.gzip === 'bomb' ? (bomb ??= gzipSync(Buffer.alloc(50_000_000, 'x'))) : gzipSync(Buffer.concat(body))];
  }
  if (options.chunk) body = cutInto(Buffer.concat(body), Number(options.chunk));
  const framing = options.framing ?? 'chunked';
  let end = options.once ? 'close' : 'keep';
  if (options.once) headers.push('Connection: close');
  if (status === 204) body = [];
  else if (framing === 'length') headers.push(`Content-Length: ${Number(options.claim ?? 0) || Buffer.concat(body).length}`);
  else if (framing === 'close') {
    headers.push('Connection: close');
    end = 'close';
  } else {
    headers.push('Transfer-Encoding: chunked');
    body = body.map((part) => Buffer.concat([Buffer.from(`${part.length.toString(16)}\r\n`), part, Buffer.from('\r\n')]));
    body.push(Buffer.from('0\r\n\r\n'));
  }
  return { head: Buffer.from(`${headers.join('\r\n')}\r\n\r\n`), pieces: body, end };
}

function cutInto(bytes, size) {
  return Array.from({ length: Math.ceil(bytes.length / size) }, (_, i) => bytes.subarray(i * size, (i + 1) * size));
}

function splitAt(buffer, at) {
  return [buffer.subarray(0, at), buffer.subarray(at)].filter((part) => part.length > 0);
}

/** What is left of the pieces when only the first n bytes go out. */
function keepBytes(pieces, n) {
  const kept = [];
  for (const piece of pieces) {
    if (n <= 0) break;
    kept.push(piece.subarray(0, n));
    n -= piece.length;
  }
  return kept;
}

/**
 * Everything that will be written for a request: {writes: Buffer[], end}. end: keep (the connection stays usable),
 * close, reset, or hang (open and silent).
 */
export function planReply(options, request) {
  const { head, pieces, end } = options.capture ? readCapture(options.capture) : buildReply(options, request);
  let writes = [head, ...pieces];
  let how = options.end ?? end;
  const whole = () => Buffer.concat(writes);

  if (options.garbage) writes = [head, ...pieces.slice(0, Number(options.garbage)), Buffer.from([0xff, 0xfe, 0x00, 0x7b, 0x7b, 0x0a])];
  for (const [name, ending] of [['cut', 'close'], ['reset', 'reset'], ['stall', 'hang']]) {
    if (options[name] !== undefined) {
      writes = keepBytes(writes, head.length + Number(options[name]));
      how = ending;
    }
    if (options[`${name}_piece`] !== undefined) {
      writes = writes.slice(0, 1 + Number(options[`${name}_piece`]));
      how = ending;
    }
  }
  if (options.split !== undefined) writes = splitAt(whole(), Number(options.split));
  if (options.bytes !== undefined) writes = cutInto(whole(), Number(options.bytes));
  if (options.silent !== undefined) [writes, how] = [[], 'hang'];
  return { writes, end: how };
}
