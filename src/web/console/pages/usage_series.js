// The rows of GET /api/usage as series for charts: one for each of the busiest agents, and one for all others.
const MOST = 6;
const DAY_MS = 86400000;

export const isoDay = (ms) => new Date(ms).toISOString().slice(0, 10);
export const nameOf = ({ agent_id, agent_name }) => agent_name ?? (agent_id ? 'Deleted agent' : 'No agent');

export function daysBetween(from, to) {
  const days = [];
  for (let at = Date.parse(from); at <= Date.parse(to); at += DAY_MS) days.push(isoDay(at));
  return days;
}

const SUMS = ['messages', 'errors', 'prompt_tokens', 'completion_tokens'];

/** [{key, name, messages, …, first_token_ms, days: Map day → row}], the busiest first. */
export function byAgent(rows) {
  const agents = new Map();
  for (const row of rows) {
    const key = row.agent_id ?? 'none';
    if (!agents.has(key)) agents.set(key, { key, name: nameOf(row), messages: 0, errors: 0, prompt_tokens: 0, completion_tokens: 0, days: new Map() });
    const agent = agents.get(key);
    for (const what of SUMS) agent[what] += row[what];
    agent.days.set(row.day, row);
  }
  return [...agents.values()].sort((one, other) => other.messages - one.messages || one.name.localeCompare(other.name));
}

/** Sums of value(row) for each day: the busiest agents, and together the others. */
export function stacked(agents, days, value) {
  const of = (agent) => days.map((day) => (agent.days.has(day) ? value(agent.days.get(day)) : 0));
  const series = agents.slice(0, MOST).map((agent, color) => ({ key: agent.key, name: agent.name, color, values: of(agent) }));
  const others = agents.slice(MOST).map(of);
  if (others.length > 0) series.push({ key: 'others', name: `${others.length} others`, color: MOST, values: days.map((_, i) => others.reduce((total, values) => total + values[i], 0)) });
  return series;
}

/** The mean for each day of the busiest agents; null where there was none. */
export const means = (agents, days, value) =>
  agents.slice(0, MOST).map((agent, color) => ({ key: agent.key, name: agent.name, color, values: days.map((day) => (agent.days.has(day) ? value(agent.days.get(day)) : null)) }));
