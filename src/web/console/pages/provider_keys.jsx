// The team's keys at model providers, shared by its agents.
import { useState } from 'preact/hooks';
import { get, list, post, remove } from '../api.js';
import { useForm, useLoad } from '../hooks.js';
import { Button, ConfirmButton } from '../parts/button.jsx';
import { FormDialog } from '../parts/dialog.jsx';
import { Field } from '../parts/field.jsx';
import { Page } from '../parts/page.jsx';
import { EmptyState, Loaded } from '../parts/state.jsx';
import { Table } from '../parts/table.jsx';
import { Time } from '../parts/time.jsx';
import { toast, toastError } from '../parts/toast.jsx';
import { labelOf } from './providers.js';

const KEYLESS = ['n8n', 'echo'];

async function loadAll() {
  const [keys, { providers }] = await Promise.all([list('/api/team/provider-keys', { limit: 200 }), get('/api/providers')]);
  return { keys: keys.items, providers: providers.map(({ name }) => name).filter((name) => !KEYLESS.includes(name)) };
}

function NewKey({ providers, onDone, onClose }) {
  const form = useForm({ provider: providers[0], key: '', name: '' }, { isGuarded: false });
  const send = async (event) => {
    event.preventDefault();
    const key = await form.submit(({ provider, key, name }) => post('/api/team/provider-keys', { provider, key: key.trim(), name: name.trim() }));
    if (key) onDone();
  };
  return (
    <FormDialog title="Add a provider’s key" form={form} action="Add key" onSend={send} onClose={onClose}>
      <Field label="Provider" as="select" options={providers.map((name) => [name, labelOf(name)])} {...form.bind('provider')} />
      <Field label="Key" type="password" autocomplete="off" spellcheck={false} required hint="From the provider’s own page. It is stored encrypted; only its last four characters are shown again." {...form.bind('key')} />
      <Field label="Name" isOptional maxLength={100} hint="Such as whose bill it is on." {...form.bind('name')} />
    </FormDialog>
  );
}

export function ProviderKeys() {
  const loaded = useLoad(loadAll, []);
  const [isAdding, setAdding] = useState(false);
  const add = () => setAdding(true);
  const added = () => {
    setAdding(false);
    toast('The key is stored. Agents of this provider use it from the next message.');
    loaded.reload();
  };
  const drop = async (key) => {
    try {
      await remove(`/api/team/provider-keys/${key.id}`);
      toast('The key is deleted.');
    } catch (error) {
      toastError(error);
    }
    loaded.reload();
  };
  const columns = [
    { title: 'Provider', cell: ({ provider }) => <strong>{labelOf(provider)}</strong> },
    { title: 'Name', cell: ({ name }) => name || <span class="faint">no name</span> },
    { title: 'Key', cell: ({ key }) => <code>{key}</code> },
    { title: 'Added', cell: ({ created_at: at }) => <Time at={at} /> },
    {
      title: 'Actions', isHidden: true,
      cell: (key) => (
        <div class="actions">
          <ConfirmButton question={`Delete this key of ${labelOf(key.provider)}?`} consequence="Agents without a key of their own use the others of this provider, or fail. The key itself stays good at the provider: revoke it there too." aria-label={`Delete ${key.name || key.key} of ${labelOf(key.provider)}`} onConfirm={() => drop(key)}>Delete</ConfirmButton>
        </div>
      ),
    },
  ];
  return (
    <Page title="Provider keys" lead="Keys of OpenAI, Anthropic and others, which all agents of the team share that have none of their own. Several of one provider take turns." actions={<Button kind="main" icon="plus" disabled={!loaded.data} onClick={add}>Add a key</Button>}>
      <Loaded from={loaded} what="the keys">
        {({ keys, providers }) => (
          <>
            {keys.length > 0 ? <Table caption="The team’s keys at model providers" columns={columns} rows={keys} /> : (
              <EmptyState title="No provider’s key yet" action={<Button kind="main" icon="plus" onClick={add}>Add the first key</Button>}>
                Agents that ask a model provider need its key. Those that ask n8n do not: their token stands in the agent.
              </EmptyState>
            )}
            {isAdding && <NewKey providers={providers} onDone={added} onClose={() => setAdding(false)} />}
          </>
        )}
      </Loaded>
    </Page>
  );
}
