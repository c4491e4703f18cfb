// What the bench makes of its options and numbers; the measuring itself is no test.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { cells, figure, isRight, median, missing, tell } from './figures.mjs';
import { parseOptions, usage, UsageError } from './options.mjs';
import { picture, stepFor } from './picture.mjs';
import { markdownTable, plainTable, replaceBetween } from './report.mjs';
import { scenarios } from './scenarios.mjs';

const names = ['P1', 'P2', 'P10', 'growth'];

test('options_say_what_runs_and_how_much', () => {
  const full = parseOptions([], names);
  assert.deepEqual([full.quick, full.only, full.json, full.runs, full.write], [false, null, null, 5, false]);
  const some = parseOptions(['--quick', '--only', 'p10, Growth', '--json', 'x.json', '--runs', '3'], names);
  assert.deepEqual([some.quick, [...some.only], some.json, some.runs], [true, ['P10', 'growth'], 'x.json', 3]);
  assert.ok(some.messages < full.messages && some.longSeconds === 4 && full.longSeconds === 60);
  assert.equal(parseOptions(['--runs', '1'], names).slowRuns, 1);
  for (const wrong of [['--only', 'P99'], ['--runs', '0'], ['--runs', 'many'], ['--fast'], ['P2'], ['--json'], ['--write', '--quick'], ['--write', '--only', 'P2']])
    assert.throws(() => parseOptions(wrong, names), UsageError, wrong.join(' '));
});

test('usage_names_every_option_and_the_script_prints_it', () => {
  for (const option of ['--quick', '--only', '--runs', '--json', '--write', '--dry-run']) assert.ok(usage().includes(option), option);
  const bench = (...args) => spawnSync(process.execPath, [fileURLToPath(new URL('bench.mjs', import.meta.url)), ...args], { encoding: 'utf8' });
  const script = spawnSync(fileURLToPath(new URL('../../etc/bench', import.meta.url)), ['--quick', '--help'], { encoding: 'utf8' });
  assert.deepEqual([script.status, script.stdout.trim()], [0, usage().trim()]);
  const wrong = bench('--only', 'P0');
  assert.equal(wrong.status, 2);
  assert.match(wrong.stderr, /there is no P0, only P1, P2/);
  assert.match(bench('--dry-run', '--only', 'p4').stdout, /^P4 +memory per held stream\n$/);
});

test('every_scenario_is_named_once_and_can_run', () => {
  assert.deepEqual(scenarios.map(({ name }) => name), [...Array.from({ length: 11 }, (_, i) => `P${i + 1}`), 'growth']);
  assert.ok(scenarios.every(({ run, title }) => typeof run === 'function' && title));
});

test('a_figure_is_judged_by_medians_of_ratio_value_or_difference', () => {
  assert.deepEqual([median([3, 1, 2]), median([4, 1, 2, 3])], [2, 2.5]);
  const ratio = figure({ id: 'P2', what: 'w', unit: 'µs', aerie: [11, 30, 12], peer: [10, 10, 12], limit: { most: 1.2 } });
  assert.deepEqual([ratio.aerie, ratio.peer, ratio.ratio, ratio.met, ratio.asked], [12, 10, 1.2, true, '≤ 1.2 ×']);
  assert.deepEqual([ratio.spread.least, ratio.spread.most, ratio.spread.of], [1, 3, '×']);
  assert.equal(figure({ id: 'P3', what: 'w', aerie: [7], peer: [10], limit: { least: 0.8 } }).met, false);
  assert.equal(figure({ id: 'P3', what: 'w', aerie: [8], peer: [10], limit: { least: 0.8 } }).met, true);
  const value = figure({ id: 'P4', what: 'w', unit: 'kB', aerie: [19], peer: [30], limit: { most: 18, of: 'value' } });
  assert.deepEqual([value.met, value.asked, value.ratio], [false, '≤ 18 kB', 19 / 30]);
  const more = figure({ id: 'P6', what: 'w', unit: 'ms', aerie: [1.0], peer: [0.5], limit: { most: 0.6, of: 'difference' } });
  assert.deepEqual([more.met, more.asked], [true, '≤ 0.6 ms more']);
  assert.equal(figure({ id: 'P0', what: 'w', aerie: [1], peer: [1] }).met, null);
});

test('a_figure_whose_texts_were_wrong_is_never_met', () => {
  const row = figure({ id: 'P2', what: 'w', aerie: [1], peer: [10], limit: { most: 1 }, isValid: false });
  assert.equal(row.met, false);
  assert.equal(cells(row)[6], 'INVALID');
  assert.equal(figure({ id: 'P2', what: 'w', aerie: [NaN], limit: { most: 1 } }).met, false);
  assert.equal(cells(missing({ id: 'P8', what: 'rows', reason: 'it broke' }))[6], 'INVALID');
  const right = { messages: 3, wrong: 0, errors: 0, status_other: 0 };
  assert.ok(isRight(right));
  for (const wrong of [{ wrong: 1 }, { errors: 1 }, { status_other: 1 }, { messages: 0 }]) assert.ok(!isRight({ ...right, ...wrong }), JSON.stringify(wrong));
});

test('numbers_have_three_digits', () => {
  assert.deepEqual([1234.5, 123.4, 12.34, 1.234, 0.1234, 0.01234, 0, NaN, null].map(tell), ['1235', '123', '12.3', '1.23', '0.123', '0.012', '0', '–', '–']);
});

test('the_table_reads_alike_on_a_terminal_and_in_markdown', () => {
  const rows = [
    figure({ id: 'P2', what: 'CPU | chunk', unit: 'µs', aerie: [5, 6, 7], peer: [5, 5, 5], limit: { most: 1.15 } }),
    figure({ id: 'P9', what: 'idle process', unit: 'MB', aerie: [5.29], limit: { most: 12 } }),
  ];
  assert.equal(markdownTable(rows).split('\n').at(-1), '| P9 | idle process | 5.29 MB | | | ≤ 12 MB | yes | |');
  assert.match(markdownTable(rows), /\| P2 \| CPU \\\| chunk \| 6\.00 µs \| 5\.00 µs \(nginx\) \| 1\.20 \| ≤ 1\.15 × \| no \| 1\.00–1\.40 × \|/);
  const [head, first] = plainTable(rows).split('\n');
  assert.equal(head.indexOf('asked'), first.indexOf('≤ 1.15'));
});

test('only_what_stands_between_the_markers_is_replaced', () => {
  assert.equal(replaceBetween('a\n<!-- bench -->\nold\n<!-- /bench -->\nz', 'bench', 'new\n'), 'a\n<!-- bench -->\nnew\n<!-- /bench -->\nz');
  assert.throws(() => replaceBetween('a', 'bench', 'new'), /no <!-- bench -->/);
  const page = readFileSync(new URL('../../docs/performance.md', import.meta.url), 'utf8');
  assert.ok(replaceBetween(page, 'bench', 'the table').includes('-->\nthe table\n<!--'));
});

test('the_picture_has_a_point_for_each_size_and_follows_light_and_dark', () => {
  const points = [0, 1000, 9900].map((streams) => ({ streams, aerie: { mb: 7 + streams * 0.018, cpu: streams / 100 }, nginx: { mb: 11 + streams * 0.0175, cpu: streams / 90 } }));
  const svg = picture(points);
  assert.equal([...svg.matchAll(/<circle/g)].length, 2 * 2 * points.length);
  assert.equal([...svg.matchAll(/<path/g)].length, 4);
  assert.ok(svg.includes('prefers-color-scheme: dark') && svg.includes('>9,900<') && !/NaN|undefined|Infinity/.test(svg));
  const highest = Math.min(...[...svg.matchAll(/<circle[^>]* cy="([\d.]+)"/g)].map(([, y]) => Number(y)));
  assert.ok(highest > 40 && highest < 120, `the highest point is at ${highest}`);
  assert.deepEqual([1, 10, 90, 180, 450].map(stepFor), [0.5, 5, 50, 50, 200]);
});
