// One agent: its settings, with a chat beside them to try it.
import { ApiError, get, put } from '../api.js';
import { useForm, useLoad } from '../hooks.js';
import { Button } from '../parts/button.jsx';
import { Chat } from '../parts/chat.jsx';
import { Field, FormProblem } from '../parts/field.jsx';
import { Badge, Card, Page } from '../parts/page.jsx';
import { Loaded, Notice } from '../parts/state.jsx';
import { toast } from '../parts/toast.jsx';
import { go } from '../router.js';
import { ConnectionFields, MoreFields, WordsFields } from './agent_form.jsx';
import { bodyOf, valuesOf } from './agent_values.js';
import { DeleteAgent } from './agents.jsx';
import { inOrder } from './agent_new.jsx';
import { labelOf } from './providers.js';

/** The pages of one agent, beside each other. */
export function AgentPage({ agent, tab, lead, children }) {
  const tabs = [['', 'Settings'], ...(agent.provider === 'n8n' ? [['/n8n', 'n8n set-up']] : []), ['/widget', 'Widget']];
  return (
    <Page title={agent.name} lead={lead ?? labelOf(agent.provider)} back={{ href: '#/agents', label: 'Agents' }}
      actions={agent.is_active ? <Badge kind="good">on</Badge> : <Badge>off</Badge>}>
      <nav class="tabs" aria-label="This agent">
        {tabs.map(([path, title]) => <a key={path} href={`#/agents/${agent.id}${path}`} aria-current={path === tab ? 'page' : undefined}>{title}</a>)}
      </nav>
      {children}
    </Page>
  );
}

/** Saves what of the form was changed; the agent as it is now, or undefined. */
export function saveAgent(form, agent) {
  return form.submit(async (values) => {
    let body;
    try {
      body = bodyOf(values, agent);
    } catch (error) {
      if (error instanceof SyntaxError) throw new ApiError(422, 'Not saved', { config: 'is no JSON object: look for a missing quote, comma or brace' });
      throw error;
    }
    const saved = await put(`/api/agents/${agent.id}`, body);
    form.reset(valuesOf(saved));
    toast('Saved.');
    return saved;
  });
}

export function SaveBar({ form }) {
  return (
    <div class={`save-bar ${form.isDirty ? 'dirty' : ''}`}>
      <FormProblem form={form} />
      <div class="actions">
        <Button kind="main" type="submit" isBusy={form.isBusy} disabled={!form.isDirty}>Save changes</Button>
        {form.isDirty && <Button kind="quiet" onClick={form.undo}>Discard changes</Button>}
      </div>
    </div>
  );
}

function Settings({ agent, providers, onSaved }) {
  const form = useForm(valuesOf(agent));
  const send = async (event) => {
    event.preventDefault();
    const saved = await saveAgent(form, agent);
    if (saved) onSaved(saved);
  };
  return (
    <div class="beside">
      <form onSubmit={send}>
        <Card title="Who it is"><div class="fields"><WordsFields form={form} /></div></Card>
        <Card title="Who answers">
          <div class="fields">
            <Field label="Provider" as="select" options={providers.map(({ name }) => [name, labelOf(name)])} {...form.bind('provider')} />
            <ConnectionFields form={form} providers={providers} agentId={agent.provider === form.values.provider ? agent.id : undefined} />
            {form.values.provider === 'n8n' && agent.provider === 'n8n' && <p class="hint">Does the workflow not answer? <a href={`#/agents/${agent.id}/n8n`}>The set-up helper</a> finds out why.</p>}
          </div>
        </Card>
        <MoreFields form={form} />
        <SaveBar form={form} />
        <Card title="Delete this agent" lead="Its API keys and widgets stop working at once; its chats stay.">
          <DeleteAgent agent={agent} onGone={() => go('/agents')} />
        </Card>
      </form>
      <aside class="beside-panel" aria-label="Try it">
        {form.isDirty && <Notice kind="warn"><p>You try the agent as it is saved. Save your changes to try them.</p></Notice>}
        <Chat agent={agent} />
      </aside>
    </div>
  );
}

export function Agent({ id }) {
  const loaded = useLoad(async () => {
    const [agent, { providers }] = await Promise.all([get(`/api/agents/${id}`), get('/api/providers')]);
    return { agent, providers: inOrder(providers) };
  }, [id]);
  return (
    <Loaded from={loaded} what="the agent">
      {({ agent, providers }) => (
        <AgentPage agent={agent} tab="">
          <Settings agent={agent} providers={providers} onSaved={(saved) => loaded.setData({ agent: saved, providers })} />
        </AgentPage>
      )}
    </Loaded>
  );
}
