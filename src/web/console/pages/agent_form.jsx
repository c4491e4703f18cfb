// The fields of an agent: those that its provider needs.
import { useState } from 'preact/hooks';
import { get, explain } from '../api.js';
import { Button } from '../parts/button.jsx';
import { Check, Field } from '../parts/field.jsx';
import { Card } from '../parts/page.jsx';
import { STORED } from './agent_values.js';
import { labelOf, needsOf, PROVIDERS } from './providers.js';

export function ProviderChoice({ form, providers }) {
  return (
    <fieldset class="choices">
      <legend>Who answers?</legend>
      {providers.map(({ name }) => (
        <label key={name} class="choice">
          <input type="radio" name="provider" value={name} checked={form.values.provider === name} onInput={() => form.set('provider', name)} />
          <span><strong>{labelOf(name)}</strong><span class="hint">{PROVIDERS[name]?.about}</span></span>
        </label>
      ))}
    </fieldset>
  );
}

/** A secret that is stored is not shown: it is kept, replaced or removed. */
function TokenField({ form, label, hint, isRequired }) {
  const { value, ...bound } = form.bind('webhook_token');
  const [wasStored] = useState(value === STORED);
  if (value === STORED) {
    return (
      <div class="field">
        <span class="label">{label}</span>
        <div class="stored">
          <span>Stored, encrypted. It is never shown again.</span>
          <Button onClick={() => form.set('webhook_token', '')}>Replace or remove</Button>
        </div>
      </div>
    );
  }
  return (
    <div class="stored-field">
      <Field label={label} type="password" autocomplete="off" spellcheck={false} hint={wasStored ? `Saving it empty removes the stored one. ${hint}` : hint} isOptional={!isRequired} value={value} {...bound} />
      {wasStored && <Button kind="quiet" onClick={() => form.set('webhook_token', STORED)}>Keep the stored one</Button>}
    </div>
  );
}

/** The name of a model, with the provider's own list to choose from. agentId: whose key is asked with; undefined for a new one. */
function ModelField({ form, agentId }) {
  const [models, setModels] = useState([]);
  const [said, setSaid] = useState('');
  const [isBusy, setBusy] = useState(false);
  const ask = async () => {
    setBusy(true);
    setSaid('');
    try {
      const { models: found } = await get(`/api/providers/${form.values.provider}/models${agentId ? `?agent_id=${agentId}` : ''}`);
      setModels(found);
      setSaid(`${found.length} models: type in the field to choose.`);
    } catch (error) {
      setSaid(explain(error));
    } finally {
      setBusy(false);
    }
  };
  return (
    <div class="stored-field">
      <Field label="Model" list="models" spellcheck={false} hint="As the provider calls it." {...form.bind('model')} />
      <datalist id="models">{models.map(({ id }) => <option key={id} value={id} />)}</datalist>
      <Button isBusy={isBusy} onClick={ask}>List its models</Button>
      <p class="hint" role="status">{said}</p>
    </div>
  );
}

function keyHint(provider) {
  return provider?.has_key
    ? 'The team or the server has a key already: leave this empty to use it. What you enter is for this agent only.'
    : 'What you enter is stored encrypted and never shown again.';
}

/** How the provider is reached. */
export function ConnectionFields({ form, providers, agentId }) {
  const { provider } = form.values;
  const needs = needsOf(provider);
  const known = providers.find(({ name }) => name === provider);
  return (
    <>
      {needs.url && (provider === 'n8n'
        ? <Field label="Webhook URL" type="url" required spellcheck={false} placeholder="https://n8n.example.com/webhook/support" hint="The production URL of the workflow’s Webhook or Chat Trigger." {...form.bind('webhook_url')} />
        : <Field label="Base URL" type="url" required spellcheck={false} placeholder="https://models.example.com/v1" hint="What stands before /chat/completions." {...form.bind('webhook_url')} />)}
      {needs.token && (provider === 'n8n'
        ? <TokenField form={form} label="Webhook token" hint="What the workflow’s Header Auth expects after “Bearer”. Stored encrypted, never shown again." />
        : <TokenField key={provider} form={form} label="API key" hint={keyHint(known)} isRequired={known?.needs_key && !known.has_key} />)}
      {needs.model && <ModelField form={form} agentId={agentId} />}
    </>
  );
}

export function WordsFields({ form }) {
  return (
    <>
      <Field label="Name" required maxLength={200} hint="Visitors see it too." {...form.bind('name')} />
      <Field label="Description" isOptional maxLength={4000} hint="For people: what it can be asked." {...form.bind('description')} />
      {needsOf(form.values.provider).prompt && (
        <Field label="System prompt" as="textarea" rows={6} isOptional hint="Goes along with each message. Say who it is, what it knows, what it must not do." {...form.bind('system_prompt')} />
      )}
    </>
  );
}

const KEYS = [
  ['context_messages', '20', 'at most so many of the chat’s last messages go along'],
  ['context_chars', '48000', 'and at most so many characters'],
  ['knowledge', 'false', 'true: what the team’s documents say goes along'],
  ['fallback_agent_id', '', 'another agent of the team, asked when this one fails'],
  ['temperature, max_tokens, top_p', '', 'go to model providers'],
  ['models', '', 'a list: the only models that a message may ask for'],
  ['on_disconnect', '"continue"', 'when the last reader leaves: continue, grace or abort'],
  ['delay_ms, text', '', 'of Echo: the pause between words, and what to say instead'],
];

export function MoreFields({ form }) {
  const error = form.errors.config ?? Object.entries(form.errors).filter(([name]) => name.startsWith('config.')).map(([name, said]) => `${name.slice(7)} ${said}`).join('; ');
  return (
    <Card title="Where it may appear, and the rest">
      <div class="fields">
        <OriginsField form={form} />
        <Field as="textarea" label="More settings" rows={5} spellcheck={false} isOptional class="mono" hint="A JSON object, such as {&quot;context_messages&quot;: 10}." {...form.bind('config')} error={error} />
        <details>
          <summary>What may stand there</summary>
          <dl class="keys">
            {KEYS.map(([name, usual, about]) => <div key={name}><dt><code>{name}</code></dt><dd>{about}{usual && <span class="faint"> (usually {usual})</span>}</dd></div>)}
          </dl>
          <p class="hint">Whatever else you put there goes to an n8n workflow as it is.</p>
        </details>
        <Check label="Switched on" hint="An agent that is switched off answers nobody." {...form.bind('is_active')} />
      </div>
    </Card>
  );
}

export function OriginsField({ form }) {
  return (
    <Field as="textarea" label="Pages that may show it" rows={3} spellcheck={false} isOptional class="mono" placeholder="https://shop.example"
      hint="One origin a line: scheme, host and, if need be, port. Empty: no page. * lets every page in, at your cost." {...form.bind('allowed_origins')} />
  );
}
