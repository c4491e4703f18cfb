// What to set in n8n, field by field, with the values to copy.
import { useState } from 'preact/hooks';
import { CopyButton } from '../parts/button.jsx';

const slug = (name) => name.toLowerCase().normalize('NFKD').replace(/[^a-z0-9]+/g, '-').replace(/^-+|-+$/g, '') || 'support';

const STARTS = {
  webhook: {
    label: 'Webhook',
    about: 'for a workflow that only Aerie calls',
    rows: (name) => [
      ['HTTP Method', 'POST'],
      ['Path', slug(name), true],
      ['Authentication', 'Header Auth (with a token), or None'],
      ['Respond', 'Streaming'],
    ],
    prompt: '{{ $json.body.chatInput }}',
    session: '{{ $json.body.sessionId }}',
  },
  chat: {
    label: 'Chat Trigger',
    about: 'for a workflow that you also try in n8n’s own chat',
    rows: () => [
      ['Make Chat Publicly Available', 'on'],
      ['Mode', 'Embedded Chat'],
      ['Authentication', 'None: a Chat Trigger knows no bearer token'],
      ['Options › Response Mode', 'Streaming'],
    ],
    prompt: '{{ $json.chatInput }}',
    session: '{{ $json.sessionId }}',
  },
};

function Settings({ caption, rows }) {
  return (
    <table class="settings">
      <caption>{caption}</caption>
      <tbody>
        {rows.map(([field, value, isToCopy]) => (
          <tr key={field}>
            <th scope="row">{field}</th>
            <td>{isToCopy ? <><code>{value}</code> <CopyButton kind="quiet" text={value} label={`Copy`} /></> : value}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

/** name: the agent's. token: a new webhook token to put into n8n, when one was made. */
export function N8nSteps({ name, token }) {
  const [start, setStart] = useState('webhook');
  const { rows, prompt, session } = STARTS[start];
  return (
    <div class="steps">
      <fieldset class="choices">
        <legend>The workflow begins with a</legend>
        {Object.entries(STARTS).map(([key, { label, about }]) => (
          <label key={key} class="choice">
            <input type="radio" name="start" value={key} checked={start === key} onInput={() => setStart(key)} />
            <span><strong>{label}</strong><span class="hint">{about}</span></span>
          </label>
        ))}
      </fieldset>
      <ol class="step-list">
        <li>Add a <strong>{STARTS[start].label}</strong> node as the start.<Settings caption={`${STARTS[start].label} node`} rows={rows(name)} /></li>
        {start === 'webhook' && (
          <li>
            With <strong>Header Auth</strong>, make a credential whose name and value are these, and give the agent the same token.
            <Settings caption="Header Auth credential" rows={[['Name', 'Authorization', true], token ? ['Value', `Bearer ${token}`, true] : ['Value', 'Bearer, a space, and your token']]} />
          </li>
        )}
        <li>
          Connect an <strong>AI Agent</strong> node, version 3 or later: older ones hold the whole reply back.
          <Settings caption="AI Agent node" rows={[['Source for Prompt', 'Define below'], ['Prompt', prompt, true], ['Options › Enable Streaming', 'on'], ['Memory › Session key, if it has one', session, true]]} />
        </li>
        <li><strong>Activate</strong> the workflow, and copy the <strong>production</strong> URL: it has <code>/webhook/</code> in it, not <code>/webhook-test/</code>.</li>
      </ol>
      <p class="hint">A workflow that cannot stream works too: let the start respond when the last node finishes, and that node return <code>output</code> or <code>text</code>. The reply then comes in one piece.</p>
    </div>
  );
}
