// The team's agents, for pages that let one be chosen.
import { list } from './api.js';

/** All of them, those that are switched off too. */
export async function allAgents() {
  const all = [];
  for (;;) {
    const { items, total } = await list('/api/agents', { include_inactive: true, limit: 200, offset: all.length });
    all.push(...items);
    if (items.length === 0 || all.length >= total) return all;
  }
}

/** The options of a select. */
export const agentOptions = (agents) => agents.map(({ id, name, is_active }) => [id, is_active ? name : `${name} (switched off)`]);
