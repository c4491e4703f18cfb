// The team's agents.
import { list, put, remove } from '../api.js';
import { useLoad } from '../hooks.js';
import { Button, ConfirmButton } from '../parts/button.jsx';
import { Badge, Page } from '../parts/page.jsx';
import { Pager } from '../parts/pager.jsx';
import { EmptyState, Loaded } from '../parts/state.jsx';
import { Table } from '../parts/table.jsx';
import { Time } from '../parts/time.jsx';
import { toast, toastError } from '../parts/toast.jsx';
import { setQuery, usePlace } from '../router.js';
import { labelOf } from './providers.js';

const LIMIT = 50;

export function Face({ agent }) {
  return agent.avatar ? <img class="face" src={agent.avatar} alt="" /> : <span class="face" aria-hidden="true">{Array.from(agent.name)[0]?.toUpperCase()}</span>;
}

export function DeleteAgent({ agent, onGone }) {
  const gone = async () => {
    try {
      await remove(`/api/agents/${agent.id}`);
      toast(`${agent.name} is deleted.`);
      onGone();
    } catch (error) {
      toastError(error);
    }
  };
  return (
    <ConfirmButton question={`Delete ${agent.name}?`} confirmLabel="Delete agent" aria-label={`Delete ${agent.name}`} onConfirm={gone}
      consequence="Its API keys and its widgets stop working at once. Its chats stay, but cannot be continued. This cannot be undone: to stop it for a while, switch it off instead.">
      Delete
    </ConfirmButton>
  );
}

function columns(reload) {
  const toggle = async (agent) => {
    try {
      await put(`/api/agents/${agent.id}`, { is_active: !agent.is_active });
      toast(`${agent.name} is switched ${agent.is_active ? 'off' : 'on'}.`);
      reload();
    } catch (error) {
      toastError(error);
    }
  };
  return [
    { title: 'Agent', cell: (agent) => (
      <a class="who-cell" href={`#/agents/${agent.id}`}><Face agent={agent} /><span><strong>{agent.name}</strong>{agent.description && <span class="faint small">{agent.description}</span>}</span></a>
    ) },
    { title: 'Who answers', cell: (agent) => <span>{labelOf(agent.provider)}{agent.model && <span class="faint small block">{agent.model}</span>}</span> },
    { title: 'State', cell: (agent) => (agent.is_active ? <Badge kind="good">on</Badge> : <Badge>off</Badge>) },
    { title: 'Changed', cell: (agent) => <Time at={agent.updated_at} /> },
    { title: 'Actions', isHidden: true, cell: (agent) => (
      <div class="actions">
        <Button aria-label={`Switch ${agent.is_active ? 'off' : 'on'} ${agent.name}`} onClick={() => toggle(agent)}>Switch {agent.is_active ? 'off' : 'on'}</Button>
        <DeleteAgent agent={agent} onGone={reload} />
      </div>
    ) },
  ];
}

export function Agents() {
  const { query } = usePlace();
  const offset = Number(query.get('offset') ?? 0);
  const agents = useLoad(() => list('/api/agents', { include_inactive: true, limit: LIMIT, offset }), [offset]);
  const create = <a class="button main" href="#/agents/new">New agent</a>;
  return (
    <Page title="Agents" lead="An agent is who answers: an n8n workflow, a model, or the built-in echo." actions={create}>
      <Loaded from={agents} what="the agents">
        {({ items, total }) => (total === 0 ? (
          <EmptyState title="No agent yet" action={create}>Make the first one. The echo agent needs nothing but a name.</EmptyState>
        ) : (
          <>
            <Table caption="Agents" columns={columns(agents.reload)} rows={items} />
            <Pager what="agents" offset={offset} limit={LIMIT} total={total} onMove={(next) => setQuery({ offset: next || '' }, { replace: false })} />
          </>
        ))}
      </Loaded>
    </Page>
  );
}
