// A strict reader of Prometheus's text format, 0.0.4: what the format or its conventions forbid throws.
import assert from 'node:assert/strict';
import { until } from './until.mjs';

const NAME = /^[a-zA-Z_:][a-zA-Z0-9_:]*$/;
const suffixes = { histogram: ['_bucket', '_sum', '_count'], counter: [''], gauge: [''] };

function parseLabels(text, line) {
  const labels = {};
  let rest = text;
  while (rest) {
    const match = /^([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"(,(?=.)|$)/.exec(rest);
    assert.ok(match, `labels of: ${line}`);
    assert.ok(!(match[1] in labels), `a label twice: ${line}`);
    labels[match[1]] = match[2];
    rest = rest.slice(match[0].length);
  }
  return labels;
}

/** Buckets rise, their bounds too; the last is +Inf and the same as the count. */
function checkHistogram(name, samples) {
  const series = new Map();
  for (const { suffix, labels, value } of samples) {
    const { le, ...others } = labels;
    const key = JSON.stringify(others);
    const one = series.get(key) ?? series.set(key, { buckets: [] }).get(key);
    if (suffix === '_bucket') one.buckets.push([le === '+Inf' ? Infinity : Number(le), value]);
    else one[suffix] = value;
  }
  for (const [key, { buckets, _sum, _count }] of series) {
    assert.ok(buckets.length > 1 && _sum !== undefined && _count !== undefined, `${name}${key} is not whole`);
    buckets.forEach(([bound, value], i) => {
      assert.ok(i === 0 || (bound > buckets[i - 1][0] && value >= buckets[i - 1][1]), `${name}${key}: bucket ${bound}`);
    });
    assert.deepEqual(buckets.at(-1), [Infinity, _count], `${name}${key}`);
  }
}

/** name{labels} → value, as written; .types: name of a family → type. */
export function parseMetrics(text) {
  const values = new Map();
  values.types = new Map();
  const helped = new Set();
  let family;
  const end = () => family?.type === 'histogram' && checkHistogram(family.name, family.samples);

  assert.ok(text.endsWith('\n'), 'the last line ends');
  for (const line of text.slice(0, -1).split('\n')) {
    const about = /^# (HELP|TYPE) (\S+) (.+)$/.exec(line);
    if (about?.[1] === 'HELP') {
      end();
      assert.match(about[2], NAME);
      assert.ok(!helped.has(about[2]), `a family twice: ${about[2]}`);
      assert.match(about[3], /^[A-Z].*\.$/, `a sentence: ${line}`);
      helped.add(about[2]);
      family = { name: about[2], samples: [] };
      continue;
    }
    if (about) {
      assert.ok(about[2] === family.name && !family.type, line);
      assert.ok(about[3] in suffixes, line);
      assert.equal(about[3] === 'counter', /_total$/.test(about[2]), `counters, and no others, end in _total: ${line}`);
      family.type = about[3];
      values.types.set(about[2], about[3]);
      continue;
    }
    const match = /^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\d+(?:\.\d+)?)$/.exec(line);
    assert.ok(match, `no sample: ${line}`);
    assert.ok(family?.type, `no type before: ${line}`);
    const suffix = suffixes[family.type].find((end) => match[1] === family.name + end);
    assert.ok(suffix !== undefined, `${line} stands in the family ${family.name}`);
    const key = match[2] ? `${match[1]}{${match[2]}}` : match[1];
    assert.ok(!values.has(key), `a sample twice: ${key}`);
    values.set(key, Number(match[3]));
    family.samples.push({ suffix, labels: parseLabels(match[2] ?? '', line), value: Number(match[3]) });
  }
  end();
  return values;
}

/** The server's numbers now. */
export async function readMetrics(aerie) {
  const answer = await aerie.request('GET', '/metrics');
  assert.equal(answer.status, 200, answer.text);
  return parseMetrics(answer.text);
}

/** Waits until a number is as wished. */
export async function awaitMetric(aerie, name, isRight, timeout = 10000) {
  let value;
  const holds = async () => isRight((value = (await readMetrics(aerie)).get(name)));
  await until(holds, () => `${name} is ${value}`, timeout);
  return value;
}
