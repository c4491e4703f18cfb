// What a page shows when it has nothing else to show: loading, failed, empty.
import { Button } from './button.jsx';

export function Loading({ what }) {
  return <p class="loading" role="status"><span class="spinner" aria-hidden="true" />Loading {what} …</p>;
}

export function Problem({ children, onRetry }) {
  return (
    <div class="notice bad" role="alert">
      <p>{children}</p>
      {onRetry && <Button icon="again" onClick={onRetry}>Try again</Button>}
    </div>
  );
}

/** kind: info | good | warn | bad. */
export function Notice({ kind = 'info', children }) {
  return <div class={`notice ${kind}`}>{children}</div>;
}

export function EmptyState({ title, action, children }) {
  return (
    <div class="empty">
      <h2>{title}</h2>
      <p>{children}</p>
      {action}
    </div>
  );
}

/** What a useLoad gave: its data go to children(data), once they are there. */
export function Loaded({ from, what, children }) {
  if (from.data === null) return from.problem ? <Problem onRetry={from.reload}>{from.problem}</Problem> : <Loading what={what} />;
  return (
    <>
      {from.problem && <Problem onRetry={from.reload}>{from.problem}</Problem>}
      {children(from.data)}
    </>
  );
}
