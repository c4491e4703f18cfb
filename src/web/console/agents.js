// The team's agents, for pages that let one be chosen.
import { listAll } from './api.js';

/** All of them, those that are switched off too. */
export const allAgents = () => listAll('/api/agents', { include_inactive: true });

/** The options of a select. */
export const agentOptions = (agents) => agents.map(({ id, name, is_active }) => [id, is_active ? name : `${name} (switched off)`]);
