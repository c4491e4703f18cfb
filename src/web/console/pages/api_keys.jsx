// Keys of agents, for programs: made, shown once, revoked.
import { useEffect, useRef, useState } from 'preact/hooks';
import { agentOptions, allAgents } from '../agents.js';
import { list, post, remove } from '../api.js';
import { useForm, useLoad } from '../hooks.js';
import { linesOf } from '../lines.js';
import { Button, ConfirmButton } from '../parts/button.jsx';
import { FormDialog } from '../parts/dialog.jsx';
import { Check, Field } from '../parts/field.jsx';
import { NeedAgent } from '../parts/need_agent.jsx';
import { Badge, Card, Page } from '../parts/page.jsx';
import { Pager } from '../parts/pager.jsx';
import { Sample } from '../parts/sample.jsx';
import { Secret } from '../parts/secret.jsx';
import { EmptyState, Loaded } from '../parts/state.jsx';
import { Table } from '../parts/table.jsx';
import { Time } from '../parts/time.jsx';
import { toast, toastError } from '../parts/toast.jsx';
import { setQuery, usePlace } from '../router.js';
import { samplesOf } from './key_samples.js';

const LIMIT = 50;
const DAY_MS = 86400000;
const LIVES = [['', 'Never'], ['30', 'In 30 days'], ['90', 'In 90 days'], ['365', 'In a year']];
const SCOPES = [
  ['chat', 'Chat', 'Talk to this agent: sessions, and OpenAI’s protocol.'],
  ['documents', 'Documents', 'Add, search and delete the team’s documents.'],
  ['admin:read', 'Read as an admin', 'Read agents, team and users. Changes nothing.'],
];
const ALL_OFF = Object.fromEntries(SCOPES.map(([scope]) => [scope, false]));

function NewKey({ agents, agentId, onDone, onClose }) {
  const form = useForm({ agent: agentId, name: '', days: '', origins: '', ...ALL_OFF, chat: true }, { isGuarded: false });
  const send = async (event) => {
    event.preventDefault();
    const key = await form.submit(({ agent, name, days, origins, ...given }) => post(`/api/agents/${agent}/api-keys`, {
      name: name.trim(),
      scopes: SCOPES.map(([scope]) => scope).filter((scope) => given[scope]),
      allowed_origins: linesOf(origins),
      ...(days ? { expires_at: new Date(Date.now() + days * DAY_MS).toISOString() } : {}),
    }));
    if (key) onDone(key);
  };
  return (
    <FormDialog title="Make an API key" form={form} action="Make key" onSend={send} onClose={onClose}>
      <Field label="Agent" as="select" options={agentOptions(agents)} hint="The key speaks to this agent." {...form.bind('agent')} />
      <Field label="Name" isOptional maxLength={100} hint="What it is for, so that you know which one to revoke." {...form.bind('name')} />
      <fieldset class={`choices ${form.errors.scopes ? 'wrong' : ''}`}>
        <legend>What it may do</legend>
        {SCOPES.map(([scope, label, hint]) => <Check key={scope} label={label} hint={hint} {...form.bind(scope)} />)}
        {form.errors.scopes && <p class="error" role="alert">Choose at least one: the list {form.errors.scopes}.</p>}
      </fieldset>
      <Field label="Expires" as="select" options={LIVES} {...form.bind('days')} error={form.errors.expires_at} />
      <details open={Boolean(form.errors.allowed_origins)}>
        <summary>For a web page’s own script?</summary>
        <Field label="Only for these web pages" isOptional as="textarea" rows={2} placeholder="https://shop.example" hint="One origin a line. Empty: for programs, and for no page of another site." {...form.bind('origins')} error={form.errors.allowed_origins} />
      </details>
    </FormDialog>
  );
}

/** The key as it is shown once, and what to do with it. */
function Made({ made, onDone }) {
  const box = useRef(null);
  useEffect(() => {
    box.current.focus();
    box.current.scrollIntoView({ block: 'start' });
  }, []);
  return (
    <div ref={box} tabIndex={-1} class="made">
      <Card title={made.name ? `Your new key: ${made.name}` : 'Your new key'} actions={<Button onClick={onDone}>I have it</Button>}>
        <Secret what="the key" value={made.api_key} />
        <h3>Try it</h3>
        {samplesOf(made, location.origin).map(([title, text]) => <Sample key={title} title={title}>{text}</Sample>)}
      </Card>
    </div>
  );
}

function Keys({ agent, made, onMake }) {
  const { query } = usePlace();
  const offset = Number(query.get('offset')) || 0;
  const keys = useLoad(() => list(`/api/agents/${agent.id}/api-keys`, { limit: LIMIT, offset }), [agent.id, offset, made?.id]);
  const revoke = async (key) => {
    try {
      await remove(`/api/agents/${agent.id}/api-keys/${key.id}`);
      toast('The key is revoked. It opens nothing any more.');
    } catch (error) {
      toastError(error);
    }
    keys.reload();
  };
  const columns = [
    { title: 'Name', cell: ({ name }) => name || <span class="faint">no name</span> },
    { title: 'Begins with', cell: ({ prefix }) => <code>{prefix}…</code> },
    { title: 'May', cell: ({ scopes }) => <span class="badges">{scopes.map((scope) => <Badge key={scope}>{scope}</Badge>)}</span> },
    { title: 'Last used', cell: ({ last_used_at: at }) => <Time at={at} /> },
    { title: 'Expires', cell: ({ expires_at: at }) => (at && new Date(at) < new Date() ? <Badge kind="bad">expired</Badge> : <Time at={at} />) },
    {
      title: 'Actions', isHidden: true,
      cell: (key) => (
        <div class="actions">
          <ConfirmButton question={`Revoke the key ${key.name || `${key.prefix}…`}?`} consequence="Programs that use it are refused from now on. This cannot be undone." confirmLabel="Revoke" aria-label={`Revoke ${key.name || key.prefix}`} onConfirm={() => revoke(key)}>Revoke</ConfirmButton>
        </div>
      ),
    },
  ];
  return (
    <Loaded from={keys} what="the keys">
      {({ items, total }) => (total === 0 ? (
        <EmptyState title={`${agent.name} has no keys`} action={<Button kind="main" icon="plus" onClick={onMake}>Make the first key</Button>}>
          A key lets your own program talk to this agent: with curl, with the OpenAI SDKs, or with sessions of your own users.
        </EmptyState>
      ) : (
        <>
          <Table caption={`API keys of ${agent.name}`} columns={columns} rows={items} />
          <Pager offset={offset} limit={LIMIT} total={total} what="keys" onMove={(next) => setQuery({ offset: next || '' }, { replace: false })} />
        </>
      ))}
    </Loaded>
  );
}

export function ApiKeys() {
  const { query } = usePlace();
  const agents = useLoad(allAgents, []);
  const [isMaking, setMaking] = useState(false);
  const [made, setMade] = useState(null);
  const chosen = agents.data?.find(({ id }) => id === query.get('agent')) ?? agents.data?.[0];
  const make = () => setMaking(true);
  const done = (key) => {
    setMaking(false);
    setMade(key);
    setQuery({ agent: key.agent_id, offset: '' });
  };
  return (
    <Page title="API keys" lead="For programs that talk to an agent. A key belongs to one agent, and is shown once." actions={chosen && <Button kind="main" icon="plus" onClick={make}>Make a key</Button>}>
      {made && <Made key={made.id} made={made} onDone={() => setMade(null)} />}
      <Loaded from={agents} what="the agents">
        {(all) => (!chosen ? <NeedAgent>A key belongs to an agent, and this team has none yet.</NeedAgent> : (
          <>
            <div class="filters">
              <Field label="Agent" as="select" value={chosen.id} options={agentOptions(all)} onInput={(agent) => setQuery({ agent, offset: '' }, { replace: false })} />
            </div>
            {!chosen.is_active && <p class="notice warn">This agent is switched off: every key of it is refused until it is switched on.</p>}
            <Keys key={chosen.id} agent={chosen} made={made} onMake={make} />
            {isMaking && <NewKey agents={all} agentId={chosen.id} onDone={done} onClose={() => setMaking(false)} />}
          </>
        ))}
      </Loaded>
    </Page>
  );
}
