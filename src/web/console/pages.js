// The pages of the console: a file and a row each. icon: those with one stand in the menu, under their group.
import { Account } from './pages/account.jsx';
import { Agent } from './pages/agent.jsx';
import { AgentNew } from './pages/agent_new.jsx';
import { Agents } from './pages/agents.jsx';
import { ApiKeys } from './pages/api_keys.jsx';
import { Audit } from './pages/audit.jsx';
import { Budgets } from './pages/budgets.jsx';
import { Chat } from './pages/chat.jsx';
import { Chats } from './pages/chats.jsx';
import { Documents } from './pages/documents.jsx';
import { N8n } from './pages/n8n.jsx';
import { Overview } from './pages/overview.jsx';
import { ProviderKeys } from './pages/provider_keys.jsx';
import { Team } from './pages/team.jsx';
import { Usage } from './pages/usage.jsx';
import { User } from './pages/user.jsx';
import { Users } from './pages/users.jsx';
import { Webhook } from './pages/webhook.jsx';
import { Webhooks } from './pages/webhooks.jsx';
import { Widget } from './pages/widget.jsx';

export const pages = [
  { path: '/', title: 'Overview', component: Overview, icon: 'home', group: '' },
  { path: '/agents', title: 'Agents', component: Agents, icon: 'agent', group: 'Answers' },
  { path: '/agents/new', title: 'New agent', component: AgentNew },
  { path: '/agents/:id', title: 'Agent', component: Agent },
  { path: '/agents/:id/n8n', title: 'n8n set-up', component: N8n },
  { path: '/agents/:id/widget', title: 'Widget', component: Widget },
  { path: '/documents', title: 'Documents', component: Documents, icon: 'document', group: 'Answers' },
  { path: '/chats', title: 'Your chats', component: Chats, icon: 'chats', group: 'Activity' },
  { path: '/chats/:id', title: 'Chat', component: Chat },
  { path: '/usage', title: 'Usage', component: Usage, icon: 'chart', group: 'Activity' },
  { path: '/budgets', title: 'Budgets', component: Budgets, icon: 'gauge', group: 'Activity' },
  { path: '/webhooks', title: 'Webhooks', component: Webhooks, icon: 'bell', group: 'Activity' },
  { path: '/webhooks/:id', title: 'Webhook', component: Webhook },
  { path: '/api-keys', title: 'API keys', component: ApiKeys, icon: 'key', group: 'Access' },
  { path: '/provider-keys', title: 'Provider keys', component: ProviderKeys, icon: 'plug', group: 'Access' },
  { path: '/users', title: 'Users', component: Users, icon: 'users', group: 'Access' },
  { path: '/users/:id', title: 'User', component: User },
  { path: '/team', title: 'Team settings', component: Team, icon: 'team', group: 'Access' },
  { path: '/audit', title: 'Audit trail', component: Audit, icon: 'clock', group: 'Access' },
  { path: '/account', title: 'Your account', component: Account },
];
