// One webhook: where it sends and of what, a test, its secret, its deliveries, its end.
import { useState } from 'preact/hooks';
import { explain, get, post, put } from '../api.js';
import { useForm, useLoad } from '../hooks.js';
import { Button, ConfirmButton } from '../parts/button.jsx';
import { FormProblem } from '../parts/field.jsx';
import { Card, Code, Page } from '../parts/page.jsx';
import { Loaded, Notice } from '../parts/state.jsx';
import { Time } from '../parts/time.jsx';
import { toast, toastError } from '../parts/toast.jsx';
import { go } from '../router.js';
import { Deliveries } from './deliveries.jsx';
import { WebhookFields } from './webhook_fields.jsx';
import { bodyOf, placeOf, valuesOf } from './webhook_values.js';
import { DeleteWebhook, SwitchWebhook, WebhookSecret, WebhookState } from './webhooks.jsx';

/** When it last took a call, and what was wrong last. */
function Facts({ webhook: { last_success_at: at, last_failure: failure, created_at: since } }) {
  return (
    <dl class="facts-row">
      <div><dt>Last taken</dt><dd><Time at={at} /></dd></div>
      <div><dt>Last failure</dt><dd>{failure ? <><Time at={failure.at} /><span class="small faint block">{failure.message}</span></> : <Time at={null} />}</dd></div>
      <div><dt>Since</dt><dd><Time at={since} /></dd></div>
    </dl>
  );
}

function Settings({ webhook, onSaved }) {
  const form = useForm(valuesOf(webhook));
  const send = (event) => {
    event.preventDefault();
    form.submit(async (values) => {
      const saved = await put(`/api/webhooks/${webhook.id}`, bodyOf(values));
      form.reset(valuesOf(saved));
      onSaved(saved);
      toast('Saved. It counts from the next event.');
    });
  };
  return (
    <Card title="What it is told" actions={<WebhookState webhook={webhook} />}>
      <Facts webhook={webhook} />
      <form onSubmit={send}>
        <WebhookFields form={form} />
        <FormProblem form={form} />
        <div class="actions">
          <Button kind="main" type="submit" isBusy={form.isBusy} disabled={!form.isDirty}>Save</Button>
          {form.isDirty && <Button onClick={form.undo}>Discard changes</Button>}
        </div>
      </form>
    </Card>
  );
}

function TestAnswer({ result: { ok, http_status: status, answer, error, total_ms: ms } }) {
  return (
    <>
      <Notice kind={ok ? 'good' : 'bad'}>
        <p><strong>{ok ? `It took the call: ${status}, after ${ms} ms.` : error.message}</strong></p>
        {!ok && <p>{status ? `It answered ${status} after ${ms} ms. ` : ''}{error.hint}</p>}
      </Notice>
      {answer && <><p class="hint">What it said:</p><Code>{answer}</Code></>}
    </>
  );
}

function Test({ webhook }) {
  const [state, setState] = useState({ isBusy: false, problem: '', result: null });
  const send = async () => {
    setState({ isBusy: true, problem: '', result: null });
    try {
      setState({ isBusy: false, problem: '', result: await post(`/api/webhooks/${webhook.id}/test`) });
    } catch (error) {
      setState({ isBusy: false, problem: explain(error), result: null });
    }

  };
  return (
    <Card title="Try it" lead="Calls the saved URL now, with an event ping. Nothing of it is kept.">
      <div class="stack">
        <Button icon="send" isBusy={state.isBusy} onClick={send}>Send a test</Button>
        <p class="problem" role="alert">{state.problem}</p>
        <div class="stack" role="status">{state.result && <TestAnswer result={state.result} />}</div>
      </div>
    </Card>
  );
}

function SecretCard({ webhook }) {
  const [made, setMade] = useState(null);
  const rotate = async () => {
    try {
      setMade(await post(`/api/webhooks/${webhook.id}/secret`));
    } catch (error) {
      toastError(error);
    }
  };
  return (
    <Card title="Secret" lead="Each call is signed with it, so that the receiver knows who calls. It was shown when the webhook was made.">
      <ConfirmButton kind="plain" icon="again" question="Make a new secret?" consequence="For a day calls are signed with the old one, too, so that the receiver misses none while you change it there; unless the operator has set another time." confirmLabel="Make a new secret" onConfirm={rotate}>Make a new secret</ConfirmButton>
      {made && <WebhookSecret webhook={made} title="The new secret" onClose={() => setMade(null)} />}
    </Card>
  );
}

export function Webhook({ id }) {
  const loaded = useLoad(() => get(`/api/webhooks/${id}`), [id]);
  return (
    <Page title={loaded.data ? placeOf(loaded.data.url) : 'Webhook'} back={{ href: '#/webhooks', label: 'Webhooks' }} actions={loaded.data && <SwitchWebhook webhook={loaded.data} onChanged={loaded.reload} />}>
      <Loaded from={loaded} what="the webhook">
        {(webhook) => (
          <>
            <Settings key={webhook.id} webhook={webhook} onSaved={loaded.setData} />
            <Test webhook={webhook} />
            <Deliveries webhook={webhook} onReplayed={loaded.reload} />
            <SecretCard webhook={webhook} />
            <Card title="Delete" lead="The webhook and the list of its deliveries go, at once and for good."><DeleteWebhook webhook={webhook} onGone={() => go('/webhooks')}>Delete webhook</DeleteWebhook></Card>
          </>
        )}
      </Loaded>
    </Page>
  );
}
