// Where the documents promise something and name what shows it, that test is there, and no promise of docs/limits.md is without.
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../../', import.meta.url));
const docs = readdirSync(join(root, 'docs')).filter((name) => name.endsWith('.md'));
const read = (path) => readFileSync(join(root, path), 'utf8');

/** [{file, names}] of a text that says `test/…`: `name`, `name`. */
function proofs(text) {
  return [...text.matchAll(/`(test\/[\w/.-]+\.(?:mjs|c))`(?::((?:,? `[\w…]+`)+))?/g)].map(([, file, names]) =>
    ({ file, names: [...(names ?? '').matchAll(/`([\w…]+)`/g)].map(([, name]) => name) }));
}

/** Names of the tests in a file: functions of C; in JavaScript what ${} stands for may be anything. */
const tests = new Map();
function testsOf(file) {
  if (!tests.has(file)) {
    const found = file.endsWith('.c') ? read(file).matchAll(/^static void (\w+)\((?:void \*\*|struct harness )/gm)
      : read(file).matchAll(/\b(?:test|describe)\((?:\w+ \? '\w+' : )?(?:'([^']+)'|`([^`]+)`)/g);
    tests.set(file, [...found].map(([, plain, template]) => (plain ?? template).split(/\$\{[^}]*\}/)));
  }
  return tests.get(file);
}

/** `fault_close_…` begins like some test; other names are one. */
function hasTest(file, name) {
  if (name.endsWith('…')) {
    const start = name.split('…')[0];
    return testsOf(file).some(([first]) => first.startsWith(start) || start.startsWith(first));
  }
  return testsOf(file).some((pieces) => new RegExp(`^${pieces.join('.+')}$`).test(name));
}

test('what_the_documents_name_as_shown_by_a_test_has_that_test', () => {
  let n = 0;
  const missing = docs.flatMap((doc) => proofs(read(join('docs', doc))).flatMap(({ file, names }) => {
    n += names.length;
    return existsSync(join(root, file)) ? names.filter((name) => !hasTest(file, name)).map((name) => `${doc}: ${file}: ${name}`) : [`${doc}: ${file}`];
  }));
  assert.deepEqual(missing, []);
  assert.ok(n > 200, `${n} names`);
});

test('no_limit_rule_or_fault_is_without_its_test', () => {
  const rows = read('docs/limits.md').split('\n## Figures')[0].split('\n').filter((line) => /^\| [^|-]/.test(line) && !line.endsWith('| shown by |'));
  assert.ok(rows.length > 90, `${rows.length} rows`);
  assert.deepEqual(rows.filter((row) => proofs(row.split('|').at(-2)).length === 0), []);
});
