// Reads the recorded conversations in captures/: what a real n8n sent, byte for byte, one entry per socket read.
import { readFileSync, readdirSync } from 'node:fs';

const folder = new URL('./captures/', import.meta.url);

/** What becomes of the connection after the last byte: n8n closes it, keeps it, or just goes silent. */
function endOf(text) {
  if (/client destroys the socket/.test(text)) return 'hang';
  if (/still open/.test(text)) return 'keep';
  return 'close';
}

export function captureNames() {
  return readdirSync(folder)
    .filter((name) => name.endsWith('.txt'))
    .map((name) => name.slice(0, -4))
    .filter((name) => readCapture(name).pieces.length > 0);
}

const known = new Map();

/** {head, pieces, end}: the response's head and the reads after it, as buffers. */
export function readCapture(name) {
  if (known.has(name)) return known.get(name);
  const text = readFileSync(new URL(`${name}.txt`, folder), 'utf8');
  const response = text.slice(Math.max(0, text.indexOf('## Response')));
  const reads = [];
  for (const line of response.split('\n')) { // no /m and no dot: a reply may hold U+2028, which both take for a line's end
    const match = /^\+\s*\d+\s+(\d+)\s+("[^]*")$/.exec(line);
    if (!match) continue;
    const bytes = Buffer.from(JSON.parse(match[2]), 'utf8');
    if (bytes.length !== Number(match[1])) throw new Error(`${name}: ${bytes.length} bytes where ${match[1]} were read`);
    reads.push(bytes);
  }
  const all = Buffer.concat(reads);
  const bodyAt = all.indexOf('\r\n\r\n') + 4;
  const capture = { head: all.subarray(0, bodyAt), pieces: [], end: endOf(response), length: all.length };
  let skip = bodyAt;
  for (const read of reads) {
    if (read.length > skip) capture.pieces.push(read.subarray(skip));
    skip = Math.max(0, skip - read.length);
  }
  // n8n keeps such a connection for six seconds more; who closes it at once races with its next request.
  const isWhole = all.subarray(-5).toString() === '0\r\n\r\n' && /\r\nConnection: keep-alive\r\n/.test(capture.head.toString());
  if (isWhole && capture.end === 'close') capture.end = 'keep';
  known.set(name, capture);
  return capture;
}
