// Short words about what was just done. They go by themselves; errors stay until they are closed.
import { explain } from '../api.js';
import { makeStore, useStore } from '../store.js';
import { Icon } from './icon.jsx';

const SHOWN_MS = 6000;
const toasts = makeStore([]);
let counter = 0;

const close = (id) => toasts.set(toasts.get().filter((toast) => toast.id !== id));

function add(text, isError) {
  const id = counter++;
  toasts.set([...toasts.get().filter((toast) => toast.text !== text), { id, text, isError }].slice(-4));
  if (!isError) setTimeout(() => close(id), SHOWN_MS);
}

export const toast = (text) => add(text, false);
export const toastError = (error) => error.status !== 401 && add(explain(error), true);

export function Toasts() {
  const shown = useStore(toasts);
  const row = ({ id, text, isError }) => (
    <div key={id} class={`toast ${isError ? 'bad' : 'good'}`}>
      <Icon name={isError ? 'warn' : 'check'} />
      <span>{text}</span>
      <button type="button" class="quiet" aria-label="Close" onClick={() => close(id)}><Icon name="close" /></button>
    </div>
  );
  return (
    <div class="toasts">
      <div role="status">{shown.filter(({ isError }) => !isError).map(row)}</div>
      <div role="alert">{shown.filter(({ isError }) => isError).map(row)}</div>
    </div>
  );
}
