// The server's HTTP interface, as the console uses it. Calls throw an ApiError whose message is for people.
import * as client from '../home/client.js';

export { ApiError, readEvents, randomText } from '../home/client.js';

const lost = new Set();
/** read() is called when the session has ended and cannot be renewed. */
export const onSessionLost = (read) => lost.add(read);

async function guarded(ask, options) {
  try {
    return await ask();
  } catch (error) {
    if (error.status === 401 && !options?.isLogin) for (const read of lost) read();
    throw error;
  }
}

/** The raw answer, for streams and files. options: {body, headers, signal, isLogin}; body: an object, or FormData. */
export const open = (method, path, options) => guarded(() => client.open(method, path, options), options);
/** The answer as JSON; null where it has no body. */
export const call = (method, path, options) => guarded(() => client.call(method, path, options), options);

export const get = (path, options) => call('GET', path, options);
export const post = (path, body, options) => call('POST', path, { ...options, body });
export const put = (path, body, options) => call('PUT', path, { ...options, body });
export const remove = (path, options) => call('DELETE', path, options);

/** A page of a list: {items, total}. */
export async function list(path, { limit = 50, offset = 0, ...filters } = {}) {
  const query = new URLSearchParams({ limit, offset });
  for (const [name, value] of Object.entries(filters)) if (value !== undefined && value !== '') query.set(name, value);
  const response = await open('GET', `${path}?${query}`);
  const items = await response.json();
  return { items, total: Number(response.headers.get('X-Total-Count') ?? items.length) };
}

/** The whole of a list, page by page. */
export async function listAll(path, filters) {
  const all = [];
  for (;;) {
    const { items, total } = await list(path, { ...filters, limit: 200, offset: all.length });
    all.push(...items);
    if (items.length === 0 || all.length >= total) return all;
  }
}

const REMEDIES = {
  0: 'Look whether the server runs and this computer is online, then try again.',
  404: 'Somebody may have deleted it. Go back and look at the list.',
  413: 'Choose something smaller.',
  500: 'Try again. If it stays, the server’s log says why.',
  502: 'Try again in a moment.',
  503: 'Try again in a moment.',
  504: 'Try again in a moment.',
  507: 'The operator has to make room on the disk.',
};

/** What to show of an error: what happened, and what to do. */
export function explain(error) {
  const said = error.message.replace(/\.?$/, '.');
  const remedy = REMEDIES[error.status];
  return remedy ? `${said} ${remedy}` : said;
}
