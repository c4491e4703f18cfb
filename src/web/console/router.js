// Addresses behind the #, so that back, forward, reload and bookmarks work. A page with unsaved changes is not left without a word.
import { useLayoutEffect } from 'preact/hooks';
import { makeStore, useStore } from './store.js';

const here = () => location.hash.slice(1) || '/';
const place = makeStore(here());
const guards = new Set();

/** Where somebody wants to go who has unsaved changes here; null: nowhere. */
export const leaving = makeStore(null);

addEventListener('hashchange', () => {
  const next = here();
  if (next === place.get()) leaving.set(null);
  else if ([...guards].some((isDirty) => isDirty())) leaving.set(next);
  else place.set(next);
});

addEventListener('beforeunload', (event) => {
  if ([...guards].some((isDirty) => isDirty())) event.preventDefault();
});

export function answerLeaving(isToLeave) {
  const next = leaving.get();
  leaving.set(null);
  if (isToLeave) place.set(next);
  else history.pushState(null, '', `#${place.get()}`);
}

/** Goes to a path of the console, without asking. */
export function go(path, { replace = false } = {}) {
  history[replace ? 'replaceState' : 'pushState'](null, '', `#${path}`);
  place.set(path);
}

/** {path, query}: query is a URLSearchParams. */
export function usePlace() {
  const [path, query = ''] = useStore(place).split('?');
  return { path, query: new URLSearchParams(query) };
}

/** Changes the query of the present address, for filters and pages of lists; empty values go. */
export function setQuery(change, { replace = true } = {}) {
  const [path, old = ''] = place.get().split('?');
  const query = new URLSearchParams(old);
  for (const [name, value] of Object.entries(change)) {
    if (value === undefined || value === null || value === '') query.delete(name);
    else query.set(name, value);
  }
  go(query.size > 0 ? `${path}?${query}` : path, { replace });
}

/** Asks before this page is left, while isDirty. A layout effect: an effect waits for the next picture, and who is quick is gone by then. */
export function useGuard(isDirty) {
  useLayoutEffect(() => {
    if (!isDirty) return undefined;
    const guard = () => true;
    guards.add(guard);
    return () => guards.delete(guard);
  }, [isDirty]);
}

/** The params of a path that the pattern fits ('/agents/:id'), or null. */
export function match(pattern, path) {
  const wanted = pattern.split('/');
  const given = path.split('/');
  if (wanted.length !== given.length) return null;
  const params = {};
  for (const [i, part] of wanted.entries()) {
    if (part.startsWith(':')) params[part.slice(1)] = decodeURIComponent(given[i]);
    else if (part !== given[i]) return null;
  }
  return params;
}
