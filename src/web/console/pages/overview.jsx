// What runs here, and the first steps of a new team.
import { get, list } from '../api.js';
import { useLoad } from '../hooks.js';
import { Icon } from '../parts/icon.jsx';
import { Badge, Card, Page } from '../parts/page.jsx';
import { Loaded, Notice } from '../parts/state.jsx';
import { session } from '../session.js';
import { useStore } from '../store.js';
import { Face } from './agents.jsx';
import { labelOf } from './providers.js';
import { StreamCheck } from './stream_check.jsx';

async function load() {
  const [health, ready, status, agents] = await Promise.all([
    get('/health'),
    get('/health/ready').catch((error) => ({ status: error.message })),
    get('/db-status'),
    list('/api/agents', { include_inactive: true, limit: 200 }),
  ]);
  return { health, ready, status, agents };
}

/** {title, about, href, isDone}: what a new team does, in this order. */
function stepsOf({ status: { counts }, agents: { items } }) {
  const first = items.find(({ is_active }) => is_active) ?? items[0];
  const at = (path) => (first ? `#/agents/${first.id}${path}` : '#/agents/new');
  return [
    { title: 'Make an agent', about: 'The echo agent needs nothing but a name.', href: '#/agents/new?provider=echo', isDone: items.length > 0 },
    { title: 'Try it', about: 'Open it and write a message: the reply streams in beside its settings.', href: at(''), isDone: counts.messages > 0 },
    { title: 'Connect n8n or a model', about: 'The set-up helper tells what to set in n8n and tests it.', href: '#/agents/new', isDone: items.some(({ provider }) => provider !== 'echo') },
    { title: 'Put it on a web page', about: 'Choose how the widget looks, name the page, and copy one line of HTML.', href: at('/widget'), isDone: items.some(({ allowed_origins }) => allowed_origins.length > 0) },
  ];
}

function FirstSteps({ data }) {
  const steps = stepsOf(data);
  const n = steps.filter(({ isDone }) => isDone).length;
  if (n === steps.length) return null;
  return (
    <Card title="First steps" actions={<Badge kind="info">{n} of {steps.length} done</Badge>}>
      <ol class="checklist">
        {steps.map(({ title, about, href, isDone }) => (
          <li key={title} class={isDone ? 'done' : ''}>
            <span class="tick">{isDone && <Icon name="check" />}</span>
            <span>
              <a href={href}>{title}</a>{isDone && <span class="unseen"> (done)</span>}
              <span class="hint block">{about}</span>
            </span>
          </li>
        ))}
      </ol>
    </Card>
  );
}

const DATABASES = { sqlite: 'SQLite', postgres: 'PostgreSQL', postgresql: 'PostgreSQL' };

function Server({ data: { health, ready, status } }) {
  const isReady = ready.status === 'ready' && status.status === 'connected';
  return (
    <Card title="This server" actions={isReady ? <Badge kind="good">ready</Badge> : <Badge kind="bad">not ready</Badge>}>
      {!isReady && <Notice kind="bad"><p>It cannot serve now: {ready.status}. The server’s log says why; aerie doctor finds the usual causes.</p></Notice>}
      <dl class="facts-row">
        <div><dt>Version</dt><dd>{health.service} {health.version}</dd></div>
        <div><dt>Database</dt><dd>{DATABASES[status.database] ?? status.database}</dd></div>
        <div><dt>Messages kept</dt><dd>{status.counts.messages.toLocaleString('en')}</dd></div>
        <div><dt>Chats</dt><dd>{(status.counts.chats + status.counts.sessions).toLocaleString('en')}</dd></div>
      </dl>
      <p class="links">
        <a href="/" target="_blank" rel="noreferrer">Live demo</a>
        <a href="/docs" target="_blank" rel="noreferrer">API, to try out</a>
        <a href="/redoc" target="_blank" rel="noreferrer">API, to read</a>
      </p>
      <StreamCheck />
    </Card>
  );
}

function AgentCards({ agents: { items, total } }) {
  if (total === 0) return null;
  return (
    <Card title="Agents" actions={<a href="#/agents">All {total}</a>}>
      <ul class="tiles">
        {items.slice(0, 6).map((agent) => (
          <li key={agent.id}>
            <a class="who-cell tile" href={`#/agents/${agent.id}`}>
              <Face agent={agent} /><span><strong>{agent.name}</strong><span class="faint small">{labelOf(agent.provider)}</span></span>
              {agent.is_active ? <Badge kind="good">on</Badge> : <Badge>off</Badge>}
            </a>
          </li>
        ))}
      </ul>
    </Card>
  );
}

export function Overview() {
  const { user, team } = useStore(session);
  const loaded = useLoad(load, []);
  return (
    <Page title={`Welcome${user.full_name ? `, ${user.full_name}` : ''}`} lead={`You look after the team ${team.name}.`}>
      <Loaded from={loaded} what="the overview">
        {(data) => (
          <>
            <FirstSteps data={data} />
            <AgentCards agents={data.agents} />
            <Server data={data} />
          </>
        )}
      </Loaded>
    </Page>
  );
}
