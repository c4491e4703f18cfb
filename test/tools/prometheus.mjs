// A real Prometheus with the files of etc/prometheus, its promtool, and the queries of the dashboard as Grafana would ask them.
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { freePort } from './postgres.mjs';

const etc = fileURLToPath(new URL('../../etc/', import.meta.url));
export const alertsPath = join(etc, 'prometheus/alerts.yml');
const read = (name) => readFileSync(join(etc, name), 'utf8');

/** Runs promtool to its end: {status, output}. */
export function promtool(args, { input = '', cwd } = {}) {
  const { status, stdout, stderr, error } = spawnSync('promtool', args, { input, cwd, encoding: 'utf8', timeout: 20000 });
  if (error) throw error.code === 'ENOENT' ? new Error('promtool is not installed: run etc/setup test') : error;
  return { status, output: stdout + stderr };
}

/** What stands in the place of `from`, which must be there. */
function replace(text, from, to) {
  if (text.search(from) < 0) throw new Error(`nothing fits ${from}`);
  return text.replaceAll(from, to);
}

/** The operators' files, with these targets, and nothing to wait for: {folder, config}. */
export function layOut(targets, token) {
  const folder = mkdtempSync(join(tmpdir(), 'aerie-prometheus-'));
  let config = replace(read('prometheus/prometheus.yml'), /: 15s$/gm, ': 1s');
  config = replace(config, /(?:^ *- 10\.0\.0\.\d+:9090\n)+/gm, targets.map((target) => `          - ${target}\n`).join(''));
  writeFileSync(join(folder, 'prometheus.yml'), config);
  writeFileSync(join(folder, 'alerts.yml'), replace(read('prometheus/alerts.yml'), / for: \d+[smh]$/gm, ' for: 0s'));
  writeFileSync(join(folder, 'aerie.token'), `${token}\n`, { mode: 0o600 });
  return { folder, config: join(folder, 'prometheus.yml') };
}

/** {ask, query, close}: a Prometheus that reads these targets ("127.0.0.1:9090") each second. */
export async function startPrometheus(targets, token) {
  const { folder, config } = layOut(targets, token);
  const port = await freePort();
  const child = spawn('prometheus', [`--config.file=${config}`, `--storage.tsdb.path=${folder}/data`, `--web.listen-address=127.0.0.1:${port}`, '--log.level=warn'], { cwd: folder, stdio: ['ignore', 'ignore', 'pipe'] });
  let told = '';
  child.on('error', (error) => (told += error.code === 'ENOENT' ? 'it is not installed: run etc/setup test' : error.message));
  child.stderr.on('data', (bytes) => (told += bytes));
  const gone = once(child, 'close');
  const fetchJson = async (path) => {
    const answer = await fetch(`http://127.0.0.1:${port}/api/v1/${path}`);
    const { status, data, error } = await answer.json();
    if (status !== 'success') throw new Error(`${decodeURIComponent(path)}: ${error}`);
    return data;
  };
  for (let i = 0; !(await fetch(`http://127.0.0.1:${port}/-/ready`).then(({ ok }) => ok, () => false)); i++) {
    if (i > 400 || child.exitCode !== null || child.pid === undefined) throw new Error(`prometheus does not come up: ${told}`);
    await sleep(25);
  }
  return {
    ask: fetchJson,
    /** The series of an instant: [{metric, value}], its value a number. */
    async query(expr) {
      const { result } = await fetchJson(`query?query=${encodeURIComponent(expr)}`);
      return result.map(({ metric, value: [, value] }) => ({ metric, value: Number(value) }));
    },
    async close() {
      child.kill('SIGKILL');
      await gone;
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

const substitutes = { $__rate_interval: '5s', $job: 'aerie', $instance: '.+' };
const substitute = (expr) => expr.replace(/\$\w+/g, (name) => substitutes[name] ?? name);

export const dashboard = JSON.parse(read('grafana/aerie.json'));

/** [{panel, expr}] of every panel, as they reach Prometheus. */
export const panelQueries = dashboard.panels.flatMap(({ title, targets = [] }) => targets.map(({ expr }) => ({ panel: title, expr: substitute(expr) })));

/** [{name, label, series}] of the variables that Grafana fills from the labels of series. */
export const variableQueries = dashboard.templating.list.filter(({ type }) => type === 'query').map(({ name, definition }) => {
  const [, series, label] = /^label_values\((.+), (\w+)\)$/.exec(definition);
  return { name, label, series: substitute(series) };
});

/** The names of our metrics in an expression, without what a histogram puts behind them. */
export const metricsIn = (expr) => [...expr.matchAll(/\b(?:aerie|process)_[a-z_]+\b(?!")/g)].map(([name]) => name.replace(/_(?:bucket|sum|count)$/, ''));
