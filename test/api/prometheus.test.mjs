// What is in etc/grafana and etc/prometheus, on a real Prometheus that reads real servers: every query answers, every alert can fire and need not.
import assert from 'node:assert/strict';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Receiver } from '../fake/receiver.mjs';
import { startUpstream } from '../fake/upstream.mjs';
import { Aerie, makeFolder } from '../tools/aerie.mjs';
import { kind } from '../tools/database.mjs';
import { request } from '../tools/http.mjs';
import { parseMetrics } from '../tools/metrics.mjs';
import { freePort } from '../tools/postgres.mjs';
import { alertsPath, dashboard, layOut, metricsIn, panelQueries, promtool, startPrometheus, variableQueries } from '../tools/prometheus.mjs';
import { until } from '../tools/until.mjs';

const TOKEN = 'a-token-for-those-who-watch';
const env = {
  METRICS__TOKEN: TOKEN,
  METRICS__ALLOW: '192.0.2.1', // nobody: the token alone opens
  UPSTREAM__SLOTS: 2,
};

let upstream;
let receiver;
let prometheus;
const nodes = [];
let agents;
let targets;
const place = async () => `127.0.0.1:${await freePort()}`;

const readPage = async (node) => (await request(Number(node.env.METRICS__LISTEN.split(':')[1]), 'GET', '/metrics', { token: TOKEN })).text;

async function startNodes(places) {
  nodes.push(await Aerie.start({ env: { ...env, METRICS__LISTEN: places[0] }, tls: true }));
  for (const place of places.slice(1)) nodes.push(await nodes[0].beside({ env: { METRICS__LISTEN: place } }));
}

before(async () => {
  targets = await Promise.all(kind === 'sqlite' ? [place()] : [place(), place()]);
  const starting = startPrometheus(targets, TOKEN).then((one) => (prometheus = one)); // it takes 5 s until it looks for the first time
  [upstream, receiver] = await Promise.all([startUpstream(), Receiver.start()]);
  await startNodes(targets).finally(() => starting);
  const { admin } = nodes[0];
  agents = { good: await admin.agent({ webhook_url: upstream.url() }), bad: await admin.agent({ webhook_url: upstream.url({ status: 500 }) }), spent: await admin.agent({ webhook_url: upstream.url() }) };
  assert.equal((await admin.put('/api/budgets', { period: 'day', scope: 'agent', subject_id: agents.spent.id, requests: 1 })).status, 200);
  assert.equal((await admin.post('/api/webhooks', { url: `${receiver.url}/hook`, events: ['message.completed'] })).status, 201);
  await until(async () => (await prometheus.query('up{job="aerie"} == 1')).length === nodes.length, 'every node is read', 20000);
});
after(async () => {
  await prometheus?.close();
  for (const node of [...nodes].reverse()) await (node.isKilled ? node.drop() : node.stop());
  await Promise.all([upstream?.close(), receiver?.close()]);
});

/** What people do in a moment: messages that are answered, wait for a slot, fail, find a budget spent; a call without a token; one over TLS. */
async function useThem() {
  await Promise.all(nodes.map(async (node) => {
    const { admin } = node;
    const say = async (agent, words) => (await admin.send(await admin.chat(agent), words)).whole?.();
    await Promise.all([...[1, 2, 3].map(() => say(agents.good, '!tokens=3&delay=30')), say(agents.bad, 'well?'), say(agents.bad, 'well?'), say(agents.spent, 'one more')]);
    assert.equal((await node.request('GET', '/api/chats')).status, 401);
  }));
  assert.equal((await request(nodes[0].tlsPort, 'GET', '/health')).status, 200);
}

/** Why a panel shows nothing while all is well. */
const rightlyEmpty = { 'Alerts that fire': 'no alert fires' };

/** SQLite has one server, which says to nobody that it lives. */
const hasNone = (metric) => kind === 'sqlite' && metric.use === 'node';

test('every_query_of_the_dashboard_answers', async () => {
  assert.ok(panelQueries.length > 60);
  let open = panelQueries.filter(({ panel }) => !(panel in rightlyEmpty));
  await until(async () => {
    await useThem();
    const still = await Promise.all(open.map(async (query) => {
      const found = await prometheus.query(query.expr);
      return found.length === 0 || found.some(({ metric, value }) => Number.isNaN(value) && !hasNone(metric));
    }));
    open = open.filter((_, i) => still[i]);
    return open.length === 0;
  }, () => `an answer to ${JSON.stringify(open, null, 1)}`, 30000);
  for (const panel of Object.keys(rightlyEmpty)) {
    const [query] = panelQueries.filter((one) => one.panel === panel);
    await prometheus.query(query.expr); // it is understood
  }
  for (const { name, label, series } of variableQueries) {
    const values = await prometheus.ask(`label/${label}/values?match[]=${encodeURIComponent(series)}`);
    assert.deepEqual(values, name === 'job' ? ['aerie'] : [...targets].sort(), name);
  }
});

test('the_dashboard_shows_every_metric_and_no_other', async () => {
  const there = [...parseMetrics(await readPage(nodes[0])).types.keys()].sort();
  const shown = new Set(panelQueries.flatMap(({ expr }) => metricsIn(expr)));
  assert.deepEqual([...shown].sort(), there);
  const ids = dashboard.panels.map(({ id }) => id);
  assert.equal(new Set(ids).size, ids.length);
  const places = new Set(dashboard.panels.flatMap(({ gridPos: { x, y, w, h } }) => Array.from({ length: w * h }, (_, i) => `${x + (i % w)},${y + Math.floor(i / w)}`)));
  assert.equal(places.size, dashboard.panels.reduce((n, { gridPos: { w, h } }) => n + w * h, 0), 'no panel lies on another');
  for (const { type, title, description } of dashboard.panels) assert.ok(type === 'row' || description, `${title} says what it shows`);
});

/** [{name, query, ...}] as Prometheus has read them. */
const rulesRead = async () => (await prometheus.ask('rules?type=alert')).groups.flatMap(({ rules }) => rules);

test('every_rule_looks_at_what_is_there', async () => {
  const there = new Set([...parseMetrics(await readPage(nodes[0])).types.keys()]);
  const rules = await rulesRead();
  assert.ok(rules.length >= 20);
  for (const { name, query } of rules) {
    assert.deepEqual(metricsIn(query).filter((metric) => !there.has(metric)), [], name);
    // With its bound asked for by `bool`, an expression has an answer whether it fires or not.
    const asked = query.replace(/ (==|<|>) (?=[\d(])/g, ' $1 bool ');
    assert.notEqual(asked, query, name);
    const found = await prometheus.query(asked);
    assert.ok(found.length > 0 && found.every(({ value }) => value === 0 || value === 1), `${name}: ${JSON.stringify(found)}`);
  }
});

test('promtool_has_nothing_to_say', async () => {
  const { folder, config } = layOut(['127.0.0.1:9090'], TOKEN);
  try {
    for (const [args, input] of [[['check', 'config', config]], [['check', 'rules', alertsPath]], [['check', 'metrics'], await readPage(nodes[0])]]) {
      const { status, output } = promtool(args, { input });
      assert.equal(status, 0, output);
      assert.doesNotMatch(output, /warn|should|FAILED/i, output);
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test('every_alert_leads_to_a_heading_that_says_what_to_do', async () => {
  const guide = readFileSync(fileURLToPath(new URL('../../docs/troubleshooting.md', import.meta.url)), 'utf8');
  const headings = new Set([...guide.matchAll(/^#+ (.+)$/gm)].map(([, text]) => text.toLowerCase().replace(/[^\p{L}\p{N} -]/gu, '').replaceAll(' ', '-')));
  for (const { name, labels, annotations: { summary, description, runbook } } of await rulesRead()) {
    assert.match(labels.severity, /^(critical|warning)$/, name);
    assert.match(summary, /\.$/, name);
    assert.match(description, /\S.*[.'?]$/, name);
    const [file, anchor] = runbook.split('#');
    assert.equal(file, 'docs/troubleshooting.md');
    assert.ok(headings.has(anchor), `${name}: ${runbook}`);
    assert.ok(guide.includes(`\`${name}\``), `${name} is named there`);
  }
});

// Each alert: series, a value a minute, in which it is silent at one time and fires at another.
const node = 'job="aerie",instance="a"';
const histogram = (name, labels, quick, slow, le) => ({ [`${name}_bucket{${labels},le="${le}"}`]: quick, [`${name}_bucket{${labels},le="60"}`]: slow, [`${name}_bucket{${labels},le="+Inf"}`]: slow });
const scenes = {
  AerieDown: { series: { [`up{${node}}`]: '1 1 1 0 0 0' }, silent: 2, fires: 5 },
  AerieRestarts: { series: { [`process_start_time_seconds{${node}}`]: '1 1 2 2 3 3 4 4' }, silent: 4, fires: 6 },
  AerieServerErrors: { series: { [`aerie_http_errors_total{${node},code="503"}`]: '0x9 0+5x15', [`aerie_http_errors_total{${node},code="404"}`]: '0+50x30', [`aerie_http_requests_total{${node},status="4xx"}`]: '0+100x30' }, silent: 9, fires: 22 },
  AerieLoopLag: { series: histogram('aerie_loop_lag_seconds', `${node},loop="0"`, '0+1000x9 9000+500x20', '0+1000x30', '0.05'), silent: 9, fires: 22 },
  AerieNoRoomForConnections: { series: { [`aerie_accept_pauses_total{${node}}`]: '0x5 1x5' }, silent: 5, fires: 7 },
  AerieDescriptorsLow: { series: { [`process_open_fds{${node}}`]: '700x5 900x10', [`process_max_fds{${node}}`]: '1000x20' }, silent: 8, fires: 12 },
  AerieAgentsFail: {
    series: {
      [`aerie_upstream_calls_total{${node},provider="n8n"}`]: '0+60x30',
      [`aerie_upstream_errors_total{${node},provider="n8n",kind="canceled"}`]: '0+60x30',
      [`aerie_upstream_errors_total{${node},provider="n8n",kind="provider_error"}`]: '0x9 0+30x20',
    },
    silent: 9, fires: 22,
  },
  AerieFirstTokenLate: { series: histogram('aerie_first_token_seconds', node, '0+10x9 90x30', '0+10x39', '10'), silent: 9, fires: 32 },
  AerieSlotsTaken: { series: { [`aerie_slots_waiting{${node}}`]: '0 5 0 5 5 5 5 5 5 5' }, silent: 7, fires: 9 },
  AerieMessagesRefused: { series: { [`aerie_messages_total{${node},outcome="complete"}`]: '0+50x40', [`aerie_messages_total{${node},outcome="refused"}`]: '0+1x9 9+10x30' }, silent: 9, fires: 30 },
  AerieDatabaseFails: { series: { [`aerie_db_errors_total{${node}}`]: '0+1x9 9+60x20' }, silent: 9, fires: 20 },
  AerieDatabaseSlow: { series: { ...histogram('aerie_db_operation_seconds', `${node},use="write"`, '0+100x9 900x30', '0+100x39', '0.25'), ...histogram('aerie_db_operation_seconds', `${node},use="slow"`, '0x39', '0+100x39', '0.25') }, silent: 9, fires: 32 },
  AerieDiskFull: { series: { [`aerie_http_errors_total{${node},code="507"}`]: '0x5 3x5' }, silent: 5, fires: 7 },
  AerieJournalFails: { series: { [`aerie_journal_failures_total{${node}}`]: '0x5 3x5' }, silent: 5, fires: 7 },
  AerieLogDropped: { series: { [`aerie_log_dropped_total{${node}}`]: '0x5 3x5' }, silent: 5, fires: 7 },
  AerieSpansLost: { series: { [`aerie_spans_dropped_total{${node},reason="not_sent"}`]: '0x9 0+5x30' }, silent: 20, fires: 30 },
  AerieNodeDied: { series: { [`aerie_nodes_buried_total{${node}}`]: '0x5 1x5' }, silent: 5, fires: 7 },
  AerieNodeCutOff: { series: { [`aerie_node_seen_seconds{${node}}`]: '4.9x5 30x5' }, silent: 5, fires: 8 },
  AerieNewsNotTold: { series: { [`aerie_news_told{${node}}`]: '1x5 0x10', ['aerie_news_told{job="aerie",instance="pooled"}']: '0x15' }, silent: 10, fires: 12 },
  AerieWebhooksLate: { series: { [`aerie_webhook_oldest_pending_seconds{${node}}`]: '3500+60x20' }, silent: 6, fires: 8 },
  AerieWebhooksLost: { series: { [`aerie_webhook_deliveries_total{${node},outcome="delivered"}`]: '0+5x20', [`aerie_webhook_deliveries_total{${node},outcome="dead"}`]: '0x9 1x10' }, silent: 9, fires: 11 },
  AerieCertificateEnds: { series: { [`aerie_tls_certificate_end_timestamp_seconds{${node}}`]: `${14 * 86400 + 600}x90` }, silent: 69, fires: 72 },
};

test('every_alert_fires_and_is_silent_when_it_should', async () => {
  assert.deepEqual((await rulesRead()).map(({ name }) => name).sort(), Object.keys(scenes).sort());
  const folder = makeFolder();
  try {
    const expected = (name, at, n) => ({ expr: `count(ALERTS{alertname="${name}",alertstate="firing"}) or vector(0)`, eval_time: `${at}m`, exp_samples: [{ labels: '{}', value: n }] });
    const tests = Object.entries(scenes).map(([name, { series, silent, fires }]) => ({
      name, interval: '1m',
      input_series: Object.entries(series).map(([one, values]) => ({ series: one, values })),
      promql_expr_test: [expected(name, silent, 0), expected(name, fires, 1)],
    }));
    writeFileSync(join(folder, 'tests.json'), JSON.stringify({ rule_files: [alertsPath], evaluation_interval: '1m', tests })); // JSON is YAML
    const { status, output } = promtool(['test', 'rules', join(folder, 'tests.json')]);
    assert.equal(status, 0, output);
    assert.match(output, /SUCCESS/);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test('an_alert_is_seen_when_agents_fail_and_when_a_server_is_killed', async () => {
  const fired = async (name) => (await prometheus.ask('alerts')).alerts.filter(({ labels, state }) => labels.alertname === name && state === 'firing');
  assert.deepEqual(await fired('AerieDown'), []);
  await until(async () => (await fired('AerieAgentsFail')).length === 1, 'agents fail');
  const [{ labels, annotations }] = await fired('AerieAgentsFail');
  assert.equal(labels.provider, 'n8n');
  assert.match(annotations.summary, /^\d\d(\.\d+)?% of the calls to n8n fail\.$/);
  const killed = nodes.at(-1);
  await killed.kill();
  killed.isKilled = true;
  await until(async () => (await fired('AerieDown')).length === 1, 'the server is down');
  const [down] = await fired('AerieDown');
  assert.equal(down.labels.instance, killed.env.METRICS__LISTEN);
  assert.equal(down.annotations.summary, `Aerie on ${killed.env.METRICS__LISTEN} does not answer.`);
  const panel = panelQueries.find((query) => query.panel in rightlyEmpty);
  assert.ok((await prometheus.query(panel.expr)).some(({ metric }) => metric.alertname === 'AerieDown'), 'and the dashboard shows it');
  if (nodes.length > 1) await until(async () => (await fired('AerieNodeDied')).length === 1, 'another node found it dead', 15000);
  for (const alert of (await prometheus.ask('alerts')).alerts) assert.doesNotMatch(JSON.stringify(alert.annotations), /error expanding|no value/, alert.labels.alertname);
});
