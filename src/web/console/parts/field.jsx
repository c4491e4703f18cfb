// A control with its label, its hint and what is wrong with it. Bound to a form: <Field label="Name" {...form.bind('name')} />.
import { useId } from 'preact/hooks';

/** as: input | textarea | select (options: [[value, label], …]). onInput gets the value. */
export function Field({ label, hint, error, as: Control = 'input', value, onInput, options, isOptional, class: className = '', ...rest }) {
  const id = useId();
  const describedBy = [hint && `${id}-hint`, error && `${id}-error`].filter(Boolean).join(' ') || undefined;
  return (
    <div class={`field ${error ? 'wrong' : ''} ${className}`}>
      <label for={id}>{label}{isOptional && <span class="faint"> (optional)</span>}</label>
      <Control {...rest} id={id} value={value ?? ''} aria-describedby={describedBy} aria-invalid={error ? true : undefined} onInput={(event) => onInput?.(event.currentTarget.value)}>
        {options?.map(([key, text]) => <option key={key} value={key}>{text}</option>)}
      </Control>
      {hint && <p class="hint" id={`${id}-hint`}>{hint}</p>}
      <p class="error" id={`${id}-error`} role="alert">{error ? sentence(error) : ''}</p>
    </div>
  );
}

/** On or off. onInput gets a boolean. */
export function Check({ label, hint, error, value, onInput, ...rest }) {
  const id = useId();
  return (
    <div class={`field check ${error ? 'wrong' : ''}`}>
      <input {...rest} type="checkbox" id={id} checked={Boolean(value)} aria-describedby={hint ? `${id}-hint` : undefined} onInput={(event) => onInput?.(event.currentTarget.checked)} />
      <label for={id}>{label}</label>
      {hint && <p class="hint" id={`${id}-hint`}>{hint}</p>}
      <p class="error" role="alert">{error ? sentence(error) : ''}</p>
    </div>
  );
}

/** The server says "must be a whole number": as a sentence beside the field. */
const sentence = (text) => `${text[0].toUpperCase()}${text.slice(1)}${/[.!?]$/.test(text) ? '' : '.'}`;

/** A form's own problem, over its buttons, heard when it comes. */
export function FormProblem({ form }) {
  return <p class="problem" role="alert">{form.problem}</p>;
}
