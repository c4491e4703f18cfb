// The n8n set-up helper of one agent: what to set in n8n, the address, and a test message that tells what went wrong.
import { useState } from 'preact/hooks';
import { explain, get, post, randomText } from '../api.js';
import { useForm, useLoad } from '../hooks.js';
import { Button } from '../parts/button.jsx';
import { Field } from '../parts/field.jsx';
import { Card } from '../parts/page.jsx';
import { Loaded, Notice } from '../parts/state.jsx';
import { AgentPage, saveAgent, SaveBar } from './agent.jsx';
import { ConnectionFields } from './agent_form.jsx';
import { valuesOf } from './agent_values.js';
import { N8nSteps } from './n8n_steps.jsx';
import { TestResult } from './test_result.jsx';

/** What is likely wrong with an address before anything is sent to it. */
export function doubtOf(url) {
  if (url.includes('/webhook-test/')) return 'This is the test URL: it answers only while you watch the workflow in n8n. Take the production URL, with /webhook/ in it.';
  if (/\/workflow\//.test(url)) return 'This is the editor’s address. Open the start node and copy its production URL.';
  if (/^http:/.test(url) && !/^http:\/\/(localhost|127\.|\[::1\]|10\.|192\.168\.|172\.(1[6-9]|2\d|3[01])\.|[^./]+[:/])/.test(url)) return 'Over http the token and all messages can be read on the way. Use https if n8n has it.';
  return '';
}

function Address({ agent, onSaved, onToken }) {
  const form = useForm(valuesOf(agent));
  const doubt = doubtOf(form.values.webhook_url);
  const send = async (event) => {
    event.preventDefault();
    const saved = await saveAgent(form, agent);
    if (saved) onSaved(saved);
  };
  const makeToken = () => {
    const token = randomText(40);
    form.set('webhook_token', token);
    onToken(token);
  };
  return (
    <Card title="2. Tell Aerie where it is">
      <form onSubmit={send}>
        <ConnectionFields form={form} providers={[]} agentId={agent.id} />
        <div><Button icon="key" onClick={makeToken}>Make a new token</Button></div>
        {doubt && <Notice kind="warn"><p>{doubt}</p></Notice>}
        <SaveBar form={form} />
      </form>
    </Card>
  );
}

function Test({ agent }) {
  const [message, setMessage] = useState('Hello, are you there?');
  const [state, setState] = useState({ isBusy: false, result: null, problem: '' });
  const send = async (event) => {
    event.preventDefault();
    setState({ isBusy: true, result: null, problem: '' });
    try {
      setState({ isBusy: false, result: await post(`/api/agents/${agent.id}/test`, message.trim() ? { message } : {}), problem: '' });
    } catch (error) {
      setState({ isBusy: false, result: null, problem: explain(error) });
    }
  };
  return (
    <Card title="3. Send a test message" lead="The workflow runs once, as for a visitor. Nothing is kept as a chat.">
      <form onSubmit={send}>
        <Field label="Message" value={message} maxLength={2000} onInput={setMessage} />
        <Button kind="main" icon="send" type="submit" isBusy={state.isBusy}>{state.isBusy ? 'Waiting for the workflow …' : 'Send a test message'}</Button>
      </form>
      <div role="status" class="test-result">
        {state.result && <TestResult result={state.result} />}
        {state.problem && <Notice kind="bad"><p>{state.problem}</p></Notice>}
      </div>
    </Card>
  );
}

export function N8n({ id }) {
  const [token, setToken] = useState('');
  const loaded = useLoad(() => get(`/api/agents/${id}`), [id]);
  return (
    <Loaded from={loaded} what="the agent">
      {(agent) => (
        <AgentPage agent={agent} tab="/n8n">
          <Card title="1. Build the workflow in n8n"><N8nSteps name={agent.name} token={token} /></Card>
          <Address agent={agent} onSaved={loaded.setData} onToken={setToken} />
          <Test agent={agent} />
        </AgentPage>
      )}
    </Loaded>
  );
}
