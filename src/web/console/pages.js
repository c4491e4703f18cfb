// The pages of the console: a file and a row each. icon: those with one stand in the menu, under their group.
import { Agent } from './pages/agent.jsx';
import { AgentNew } from './pages/agent_new.jsx';
import { Agents } from './pages/agents.jsx';
import { N8n } from './pages/n8n.jsx';
import { Widget } from './pages/widget.jsx';
import { Overview } from './pages/overview.jsx';
import { Account } from './pages/account.jsx';

export const pages = [
  { path: '/', title: 'Overview', component: Overview, icon: 'home', group: '' },
  { path: '/agents', title: 'Agents', component: Agents, icon: 'agent', group: 'Answers' },
  { path: '/agents/new', title: 'New agent', component: AgentNew },
  { path: '/agents/:id', title: 'Agent', component: Agent },
  { path: '/agents/:id/n8n', title: 'n8n set-up', component: N8n },
  { path: '/agents/:id/widget', title: 'Widget', component: Widget },
  { path: '/account', title: 'Your account', component: Account },
];
