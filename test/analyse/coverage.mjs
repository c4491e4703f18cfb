// Makes a table a room of gcovr's summary, and fails below what is asked for. Usage: coverage.mjs SUMMARY.json
import { readFileSync } from 'node:fs';

const wanted = { all: 85, parser: 95 };

/** Whatever reads bytes that a client, an upstream or an operator wrote. */
const parsers = [
  'account/token', 'base/cidr', 'base/encoding', 'base/id', 'base/json_read', 'base/rfc3339', 'base/utf8',
  'config/env_file', 'config/formats', 'config/json_file', 'config/load',
  'document/html', 'document/html_bare', 'document/kind',
  'http/accept', 'http/address', 'http/cookies', 'http/form', 'http/frames', 'http/multipart', 'http/parser', 'http/target', 'http/websocket',
  'upstream/anthropic', 'upstream/egress', 'upstream/event_stream', 'upstream/gemini', 'upstream/json_lines', 'upstream/line_pattern',
  'upstream/n8n', 'upstream/n8n_shape', 'upstream/openai', 'upstream/urls',
];

const { files } = JSON.parse(readFileSync(process.argv[2], 'utf8'));
const found = new Map(files.map((file) => [file.filename.replace(/^src\/(.*?)(\.c)?$/, '$1'), file]));
const sums = new Map();
const add = (name, { line_covered: covered, line_total: total }) => {
  const sum = sums.get(name) ?? { covered: 0, total: 0 };
  sums.set(name, { covered: sum.covered + covered, total: sum.total + total });
};
const percent = ({ covered, total }) => (100 * covered) / total;

for (const [name, file] of found) {
  add(name.includes('/') ? name.split('/')[0] : 'main', file);
  add('all', file);
}
const failures = [];
for (const name of parsers) {
  const file = found.get(name);
  if (!file) {
    failures.push(`src/${name}.c: not there, or never built; mend the list of ${import.meta.filename ?? 'test/analyse/coverage.mjs'}`);
    continue;
  }
  add('parsers', file);
  const share = (100 * file.line_covered) / file.line_total;
  if (share < wanted.parser) failures.push(`src/${name}.c: ${share.toFixed(1)} %, a parser wants ${wanted.parser}`);
}
const last = ['parsers', 'all'];
for (const [name, sum] of [...sums].sort(([a], [b]) => last.indexOf(a) - last.indexOf(b) || a.localeCompare(b))) {
  console.log(`${name.padEnd(10)} ${String(sum.covered).padStart(6)} of ${String(sum.total).padStart(6)} lines ${percent(sum).toFixed(1).padStart(6)} %`);
  if (percent(sum) < (wanted[name] ?? 0)) failures.push(`${name}: ${percent(sum).toFixed(1)} %, wanted are ${wanted[name]}`);
}
for (const failure of failures) console.log(`coverage: ${failure}`);
process.exit(failures.length > 0 ? 1 : 0);
