// shape.mjs '<json>': does the JSON on stdin look like that? Prints it again, or says where it differs and ends with 1. More fields are
// fine, as they are to the clients. In the expected JSON "<uuid>", "<time>", "<text>", "<number>" and "<any>" stand for values of the kind; a list of
// one item is the shape of each item of a list that is not empty; all else must be equal.
import { readFileSync } from 'node:fs';

const kinds = {
  '<uuid>': (v) => /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(v),
  '<time>': (v) => typeof v === 'string' && /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d/.test(v),
  '<text>': (v) => typeof v === 'string' && v.length > 0,
  '<number>': (v) => typeof v === 'number',
  '<any>': () => true,
};

function differs(expected, got, at) {
  if (typeof expected === 'string' && kinds[expected]) return kinds[expected](got) ? null : `${at}: ${JSON.stringify(got)} is no ${expected}`;
  if (Array.isArray(expected)) {
    if (!Array.isArray(got)) return `${at}: ${JSON.stringify(got)} is no list`;
    if (expected.length > 0 && got.length === 0) return `${at}: the list is empty`;
    return got.map((item, i) => differs(expected[0], item, `${at}[${i}]`)).find(Boolean) ?? null;
  }
  if (expected !== null && typeof expected === 'object') {
    if (got === null || typeof got !== 'object') return `${at}: ${JSON.stringify(got)} is no object`;
    return Object.entries(expected).map(([name, value]) => (name in got ? differs(value, got[name], `${at}.${name}`) : `${at}.${name} is missing`)).find(Boolean) ?? null;
  }
  return expected === got ? null : `${at}: ${JSON.stringify(got)} instead of ${JSON.stringify(expected)}`;
}

const text = readFileSync(0, 'utf8');
let problem;
try {
  problem = differs(JSON.parse(process.argv[2]), JSON.parse(text), '$');
} catch (error) {
  problem = error.message;
}
if (problem) {
  console.error(`shape: ${problem}\n${text.slice(0, 1000)}`);
  process.exit(1);
}
process.stdout.write(text);
