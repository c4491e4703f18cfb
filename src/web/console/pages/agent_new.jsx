// A new agent: who answers, how it is reached, what it is called.
import { get, post } from '../api.js';
import { useForm, useLoad } from '../hooks.js';
import { Button } from '../parts/button.jsx';
import { FormProblem } from '../parts/field.jsx';
import { Card, Page } from '../parts/page.jsx';
import { Loaded } from '../parts/state.jsx';
import { toast } from '../parts/toast.jsx';
import { go, usePlace } from '../router.js';
import { ConnectionFields, ProviderChoice, WordsFields } from './agent_form.jsx';
import { bodyOf, EMPTY } from './agent_values.js';
import { N8nSteps } from './n8n_steps.jsx';
import { PROVIDERS } from './providers.js';

function Form({ providers }) {
  const { query } = usePlace();
  const form = useForm({ ...EMPTY, provider: PROVIDERS[query.get('provider')] ? query.get('provider') : 'n8n' });
  const { provider } = form.values;
  const send = (event) => {
    event.preventDefault();
    form.submit(async (values) => {
      const agent = await post('/api/agents', bodyOf(values));
      toast(`${agent.name} is made.`);
      go(provider === 'n8n' ? `/agents/${agent.id}/n8n` : `/agents/${agent.id}`);
    });
  };
  return (
    <form class="narrow" onSubmit={send}>
      <Card><ProviderChoice form={form} providers={providers} /></Card>
      {provider === 'n8n' && (
        <Card>
          <details class="steps-box">
            <summary>How to set up the workflow in n8n</summary>
            <N8nSteps name={form.values.name || 'support'} />
          </details>
        </Card>
      )}
      <Card>
        <div class="fields">
          <ConnectionFields form={form} providers={providers} />
          <WordsFields form={form} />
        </div>
      </Card>
      <FormProblem form={form} />
      <div class="actions">
        <Button kind="main" type="submit" isBusy={form.isBusy}>Create agent</Button>
        <a class="button" href="#/agents">Cancel</a>
      </div>
    </form>
  );
}

/** The usual ones first. */
const ORDER = Object.keys(PROVIDERS);
export const inOrder = (providers) => [...providers].sort((a, b) => ORDER.indexOf(a.name) - ORDER.indexOf(b.name));

export function AgentNew() {
  const providers = useLoad(async () => inOrder((await get('/api/providers')).providers), []);
  return (
    <Page title="New agent" back={{ href: '#/agents', label: 'Agents' }}>
      <Loaded from={providers} what="the providers">{(data) => <Form providers={data} />}</Loaded>
    </Page>
  );
}
