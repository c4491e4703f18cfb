// What a page shows that has nothing to do before the team has an agent.
import { EmptyState } from './state.jsx';

export function NeedAgent({ children }) {
  return <EmptyState title="Make an agent first" action={<a class="button main" href="#/agents/new">Make an agent</a>}>{children}</EmptyState>;
}
