// Where a webhook sends, and of what it tells.
import { Check, Field } from '../parts/field.jsx';
import { EVENTS } from './webhook_values.js';

export function WebhookFields({ form: { bind, errors, values } }) {
  return (
    <>
      <Field label="URL" type="url" required maxLength={2048} spellcheck={false} placeholder="https://hooks.example.com/aerie" hint="It gets a POST for each event, signed, and again until it answers with 2xx." {...bind('url')} />
      <fieldset class={`choices ${errors.events ? 'wrong' : ''}`}>
        <legend>Tell it when</legend>
        {EVENTS.map(([type, label, hint]) => <Check key={type} label={label} hint={hint} {...bind(type)} />)}
        {errors.events && <p class="error" role="alert">Choose at least one.</p>}
      </fieldset>
      {values['message.completed'] && <Check label="With the text of the reply" hint="Otherwise only its id and its numbers go out." {...bind('include_text')} />}
    </>
  );
}
