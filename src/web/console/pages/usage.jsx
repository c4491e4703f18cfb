// What the agents did, day by day: messages, tokens, how long the first token took, errors.
import { agentOptions, allAgents } from '../agents.js';
import { get } from '../api.js';
import { useLoad } from '../hooks.js';
import { Chart, dayName } from '../parts/chart.jsx';
import { Field } from '../parts/field.jsx';
import { Card, Page } from '../parts/page.jsx';
import { EmptyState, Loaded } from '../parts/state.jsx';
import { Table } from '../parts/table.jsx';
import { setQuery, usePlace } from '../router.js';
import { byAgent, daysBetween, isoDay, means, stacked } from './usage_series.js';
import './usage.css';

const DAY_MS = 86400000;
const RANGES = [['7', 'Last 7 days'], ['30', 'Last 30 days'], ['90', 'Last 90 days'], ['own', 'From and to …']];
const number = (value) => value.toLocaleString('en-GB');
const milliseconds = (value) => `${number(Math.round(value))} ms`;

/** The address says it as days=30, or as from and to. */
function rangeOf(query) {
  if (query.get('from') && query.get('to')) return { range: 'own', from: query.get('from'), to: query.get('to') };
  const range = RANGES.some(([days]) => days === query.get('days')) ? query.get('days') : '30';
  const now = Date.now();
  return { range, from: isoDay(now - (range - 1) * DAY_MS), to: isoDay(now) };
}

function Filters({ range, from, to, agentId, agents }) {
  const change = (what) => setQuery(what, { replace: false });
  const choose = (days) => change(days === 'own' ? { days: '', from, to } : { days, from: '', to: '' });
  return (
    <div class="filters">
      <Field label="Days" as="select" value={range} options={RANGES} onInput={choose} />
      {range === 'own' && (
        <>
          <Field label="From" type="date" value={from} max={to} onInput={(day) => day && change({ from: day })} />
          <Field label="To" type="date" value={to} min={from} onInput={(day) => day && change({ to: day })} />
        </>
      )}
      <Field label="Agent" as="select" value={agentId} options={[['', 'All agents'], ...agentOptions(agents)]} onInput={(agent) => change({ agent })} />
    </div>
  );
}

function Totals({ totals }) {
  const tiles = [
    ['Messages', number(totals.messages)],
    ['Tokens', number(totals.prompt_tokens + totals.completion_tokens)],
    ['Mean time to the first token', totals.first_token_ms === null ? '–' : milliseconds(totals.first_token_ms)],
    ['Errors', number(totals.errors)],
  ];
  return <dl class="figures">{tiles.map(([name, value]) => <div key={name}><dt>{name}</dt><dd>{value}</dd></div>)}</dl>;
}

/** "Messages by day: 42 in all, most on 3 May (12)." */
function summaryOf(what, days, series) {
  const sums = days.map((_, i) => series.reduce((total, { values }) => total + values[i], 0));
  const all = sums.reduce((total, value) => total + value, 0);
  const best = sums.indexOf(Math.max(...sums));
  return all === 0 ? `${what} by day: none.` : `${what} by day: ${number(all)} in all, most on ${dayName(days[best])} (${number(sums[best])}). The numbers are in the table below.`;
}

function SumChart({ title, lead, days, agents, value }) {
  const series = stacked(agents, days, value);
  return <Chart title={title} lead={lead} days={days} series={series} format={number} summary={summaryOf(title, days, series)} />;
}

function Agents({ agents }) {
  const columns = [
    { title: 'Agent', cell: ({ name }) => <strong>{name}</strong> },
    { title: 'Messages', class: 'number', cell: ({ messages }) => number(messages) },
    { title: 'Prompt tokens', class: 'number', cell: ({ prompt_tokens: n }) => number(n) },
    { title: 'Reply tokens', class: 'number', cell: ({ completion_tokens: n }) => number(n) },
    { title: 'Errors', class: 'number', cell: ({ errors }) => number(errors) },
    { title: 'Days with messages', class: 'number', cell: ({ days }) => number(days.size) },
  ];
  return <Card title="By agent" lead="Tokens that an agent does not tell are counted at four characters each."><Table caption="Usage by agent" columns={columns} rows={agents} keyOf={({ key }) => key} /></Card>;
}

function Charts({ usage }) {
  const days = daysBetween(usage.from, usage.to);
  const agents = byAgent(usage.days);
  if (usage.days.length === 0)
    return <EmptyState title="Nothing happened in these days" action={<a class="button main" href="#/agents">Go to the agents</a>}>Numbers come as soon as somebody talks to an agent: test one, put its widget on a page, or give a program a key. Or choose other days above.</EmptyState>;
  const first = means(agents, days, ({ first_token_ms: ms }) => ms);
  return (
    <>
      <Totals totals={usage.totals} />
      <div class="charts">
        <SumChart title="Messages" lead="Answers of the agents, the failed ones too." days={days} agents={agents} value={({ messages }) => messages} />
        <SumChart title="Tokens" lead="Of prompts and replies together." days={days} agents={agents} value={(row) => row.prompt_tokens + row.completion_tokens} />
        <Chart title="Time to the first token" lead="The mean of each day, in milliseconds." kind="lines" days={days} series={first} format={milliseconds}
          summary={`Mean time to the first token by day and agent${usage.totals.first_token_ms === null ? ': none.' : `: ${milliseconds(usage.totals.first_token_ms)} in all. The numbers are in the table below.`}`}
          extra={agents.length > first.length && <p class="faint">The {first.length} busiest agents are drawn; choose another above to see it.</p>} />
        <SumChart title="Errors" lead="Replies that failed." days={days} agents={agents} value={({ errors }) => errors} />
      </div>
      <Agents agents={agents} />
    </>
  );
}

export function Usage() {
  const { query } = usePlace();
  const { range, from, to } = rangeOf(query);
  const agentId = query.get('agent') ?? '';
  const agents = useLoad(allAgents, []);
  const usage = useLoad(() => get(`/api/usage?${new URLSearchParams({ from, to, ...(agentId ? { agent_id: agentId } : {}) })}`), [from, to, agentId]);
  return (
    <Page title="Usage" lead="What the team’s agents did, in days of UTC.">
      <Filters range={range} from={from} to={to} agentId={agentId} agents={agents.data ?? []} />
      <Loaded from={usage} what="the numbers">{(data) => <Charts usage={data} />}</Loaded>
    </Page>
  );
}
