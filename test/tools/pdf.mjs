// PDFs made by hand: small, locked, and ones that swell.
import { deflateSync } from 'node:zlib';

/** A file of these objects (strings or buffers), with its table of places. */
function build(objects, trailer = '') {
  const parts = [Buffer.from('%PDF-1.4\n')];
  const places = [];
  let at = parts[0].length;
  const add = (part) => {
    const bytes = Buffer.from(part);
    parts.push(bytes);
    at += bytes.length;
  };
  objects.forEach((object, i) => {
    places.push(at);
    add(`${i + 1} 0 obj\n`);
    add(object);
    add('\nendobj\n');
  });
  const table = at;
  add(`xref\n0 ${objects.length + 1}\n0000000000 65535 f \n${places.map((p) => `${String(p).padStart(10, '0')} 00000 n \n`).join('')}`);
  add(`trailer\n<< /Size ${objects.length + 1} /Root 1 0 R ${trailer}>>\nstartxref\n${table}\n%%EOF\n`);
  return Buffer.concat(parts);
}

/** One page with this content stream; compressed when that is wanted. */
export function pdfWithContent(content, { deflate = false, trailer, more = [] } = {}) {
  const stream = deflate ? deflateSync(content, { level: 9 }) : Buffer.from(content);
  return build(
    [
      '<< /Type /Catalog /Pages 2 0 R >>',
      '<< /Type /Pages /Kids [3 0 R] /Count 1 >>',
      '<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents 4 0 R /Resources << /Font << /F1 5 0 R >> >> >>',
      Buffer.concat([Buffer.from(`<< /Length ${stream.length} ${deflate ? '/Filter /FlateDecode ' : ''}>>\nstream\n`), stream, Buffer.from('\nendstream')]),
      '<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>',
      ...more,
    ],
    trailer,
  );
}

export function pdfOf(text, options) {
  return pdfWithContent(`BT /F1 12 Tf 72 700 Td (${text.replace(/[()\\]/g, '\\$&')}) Tj ET`, options);
}

/** Locked with a password that is not the empty one. */
export function encryptedPdf(text) {
  const id = '<000102030405060708090a0b0c0d0e0f>';
  const key = `<${'5a'.repeat(32)}>`;
  return pdfOf(text, {
    more: [`<< /Filter /Standard /V 1 /R 2 /O ${key} /U ${key} /P -4 >>`],
    trailer: `/Encrypt 6 0 R /ID [${id} ${id}] `,
  });
}
