// docs/limits.md names the tests that hold each row: every one of them exists, and no row is without.
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../../', import.meta.url));
const read = (path) => readFileSync(join(root, path), 'utf8');
const NAMES = /\b(?:test|it|suite|describe)(?:\.\w+)?\(\s*(['"`])((?:\\.|(?!\1).)*)\1/g;

/** [{what, proof}] of every row of every table: its first and its last cell. */
function rows() {
  return read('docs/limits.md').split('\n')
    .filter((line) => line.startsWith('|') && !/^\|[\s|:-]+\|$/.test(line))
    .map((line) => line.slice(1, -1).split(/(?<!\\)\|/).map((cell) => cell.trim()))
    .map((cells) => ({ what: cells[0], proof: cells.at(-1) }))
    .filter(({ proof }) => proof !== 'shown by');
}

/** [{file, names}] of a cell: `file`: `test`, `test`; `file`. */
function proofs(cell) {
  return cell.split(/;|<br>/).map((part) => [...part.matchAll(/`([^`]+)`/g)].map(([, name]) => name))
    .filter((names) => names.length > 0)
    .map(([file, ...names]) => ({ file, names }));
}

/** Whether a file has that test: a function of C, or a name in JavaScript whose ${} stand for anything. */
function hasTest(file, name) {
  const text = read(file);
  if (file.endsWith('.c')) return new RegExp(`\\b${name}\\(void \\*\\*`).test(text);
  return [...text.matchAll(NAMES)].some(([, , found]) =>
    new RegExp(`^${found.split(/\$\{[^}]*\}/).map((part) => part.replace(/[.*+?^$()[\]{}|\\]/g, '\\$&')).join('.+')}$`).test(name));
}

test('every_limit_rule_and_fault_names_what_shows_it', () => {
  assert.ok(rows().length > 60, `${rows().length} rows`);
  assert.deepEqual(rows().filter(({ proof }) => proofs(proof).length === 0).map(({ what }) => what), []);
});

test('what_is_named_exists', () => {
  const missing = rows().flatMap(({ proof }) => proofs(proof)).flatMap(({ file, names }) =>
    !existsSync(join(root, file)) ? [file] : names.filter((name) => !hasTest(file, name)).map((name) => `${file}: ${name}`));
  assert.deepEqual([...new Set(missing)], []);
});
