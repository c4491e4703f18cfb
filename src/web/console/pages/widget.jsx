import { get } from '../api.js';
import { useLoad } from '../hooks.js';
import { Loaded } from '../parts/state.jsx';
import { AgentPage } from './agent.jsx';

export function Widget({ id }) {
  const loaded = useLoad(() => get(`/api/agents/${id}`), [id]);
  return <Loaded from={loaded} what="the agent">{(agent) => <AgentPage agent={agent} tab="/widget" />}</Loaded>;
}
