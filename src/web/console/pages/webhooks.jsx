// Who is told by a call what happens in the team.
import { useState } from 'preact/hooks';
import { get, post, put, remove } from '../api.js';
import { useForm, useLoad } from '../hooks.js';
import { countText } from '../money.js';
import { Button, ConfirmButton } from '../parts/button.jsx';
import { Dialog, FormDialog } from '../parts/dialog.jsx';
import { Badge, Page } from '../parts/page.jsx';
import { Secret } from '../parts/secret.jsx';
import { EmptyState, Loaded } from '../parts/state.jsx';
import { Table } from '../parts/table.jsx';
import { Time } from '../parts/time.jsx';
import { toast, toastError } from '../parts/toast.jsx';
import { WebhookFields } from './webhook_fields.jsx';
import { EMPTY, bodyOf, placeOf } from './webhook_values.js';

/** A secret that was just made. */
export function WebhookSecret({ webhook, title, onClose }) {
  return (
    <Dialog title={title} onClose={onClose} actions={<Button onClick={onClose}>Done</Button>}>
      <p>The receiver checks the header <code>X-Aerie-Signature</code> of each call with this secret.</p>
      <Secret what="the secret" value={webhook.secret} afterwards="only the server knows it, and your receiver" />
    </Dialog>
  );
}

/** Off: what waits is given up, so that is asked first where something does. */
export function SwitchWebhook({ webhook, onChanged }) {
  const { id, url, is_active: isActive, pending } = webhook;
  const place = placeOf(url);
  const change = async () => {
    try {
      await put(`/api/webhooks/${id}`, { is_active: !isActive });
      toast(`${place} is ${isActive ? 'told nothing any more' : 'told what happens from now on'}.`);
    } catch (error) {
      toastError(error);
    }
    onChanged();
  };
  const label = `Switch ${isActive ? 'off' : 'on'}`;
  if (!isActive || pending === 0) return <Button aria-label={`${label} ${place}`} onClick={change}>{label}</Button>;
  return <ConfirmButton kind="plain" question={`Switch off ${place}?`} consequence={`${countText(pending)} that ${pending === 1 ? 'waits is' : 'wait are'} given up. You can send ${pending === 1 ? 'it' : 'them'} again once it is switched on.`} aria-label={`${label} ${place}`} confirmLabel={label} onConfirm={change}>{label}</ConfirmButton>;
}

export function DeleteWebhook({ webhook: { id, url }, onGone, children = 'Delete' }) {
  const place = placeOf(url);
  const drop = async () => {
    try {
      await remove(`/api/webhooks/${id}`);
      toast(`The webhook to ${place} is deleted.`);
      onGone();
    } catch (error) {
      toastError(error);
    }
  };
  return <ConfirmButton question={`Delete the webhook to ${place}?`} consequence="It is told nothing any more, and the list of its deliveries goes with it. This cannot be undone: to stop it for a while, switch it off instead." confirmLabel="Delete webhook" aria-label={`${children} ${place}`} onConfirm={drop}>{children}</ConfirmButton>;
}

/** On, off, and what came of its calls. */
export function WebhookState({ webhook: { is_active: isActive, pending, dead } }) {
  return (
    <span class="badges">
      {isActive ? <Badge kind="good">on</Badge> : <Badge>off</Badge>}
      {pending > 0 && <Badge kind="info">{countText(pending)} waiting</Badge>}
      {dead > 0 && <Badge kind="bad">{countText(dead)} dead</Badge>}
    </span>
  );
}

/** The same, with when it last took a call, and what was wrong since. */
function State({ webhook }) {
  const { last_success_at: at, last_failure: failure } = webhook;
  const isFailing = failure && (!at || new Date(failure.at) > new Date(at));
  return (
    <span class="two-lines">
      <WebhookState webhook={webhook} />
      <span class="faint small">last taken: <Time at={at} /></span>
      {isFailing && <span class="small problem">{failure.message}</span>}
    </span>
  );
}

function NewWebhook({ onDone, onClose }) {
  const form = useForm(EMPTY, { isGuarded: false });
  const send = async (event) => {
    event.preventDefault();
    const made = await form.submit((values) => post('/api/webhooks', bodyOf(values)));
    if (made) onDone(made);
  };
  return <FormDialog title="Add a webhook" form={form} action="Add webhook" onSend={send} onClose={onClose}><WebhookFields form={form} /></FormDialog>;
}

export function Webhooks() {
  const webhooks = useLoad(() => get('/api/webhooks'), []);
  const [isAdding, setAdding] = useState(false);
  const [made, setMade] = useState(null);
  const add = () => setAdding(true);
  const done = (webhook) => {
    setAdding(false);
    setMade(webhook);
    webhooks.reload();
  };
  const columns = [
    { title: 'Where to', cell: ({ id, url, events }) => <span class="two-lines"><a href={`#/webhooks/${id}`}>{placeOf(url)}</a><span class="faint small">{events.join(', ')}</span></span> },
    { title: 'State', cell: (webhook) => <State webhook={webhook} /> },
    {
      title: 'Actions', isHidden: true,
      cell: (webhook) => <div class="actions"><SwitchWebhook webhook={webhook} onChanged={webhooks.reload} /><DeleteWebhook webhook={webhook} onGone={webhooks.reload} /></div>,
    },
  ];
  return (
    <Page title="Webhooks" lead="URLs of yours that are told by a signed call what happens: a reply has ended, an agent fails, a budget is nearly spent." actions={<Button kind="main" icon="plus" onClick={add}>Add a webhook</Button>}>
      <Loaded from={webhooks} what="the webhooks">
        {(all) => (all.length > 0 ? <Table caption="Webhooks of the team" columns={columns} rows={all} /> : (
          <EmptyState title="No webhook yet" action={<Button kind="main" icon="plus" onClick={add}>Add the first webhook</Button>}>
            A webhook calls a program of yours, or an n8n workflow, when something happens here. Each call is signed, and repeated until it is taken.
          </EmptyState>
        ))}
      </Loaded>
      {isAdding && <NewWebhook onDone={done} onClose={() => setAdding(false)} />}
      {made && <WebhookSecret webhook={made} title="The webhook is added" onClose={() => setMade(null)} />}
    </Page>
  );
}
