// The server's HTTP interface, as this page uses it. The tokens are HttpOnly cookies: no script sees them.

/** An answer that is no success. The message is for people; status 0: no answer came; fields: what is wrong with each field. */
export class ApiError extends Error {
  constructor(status, message, fields = {}) {
    super(message);
    this.status = status;
    this.fields = fields;
  }
}

async function send(method, path, { body, headers = {}, signal } = {}) {
  const init = { method, headers: { ...headers }, signal, credentials: 'same-origin', cache: 'no-store' };
  if (body !== undefined) {
    init.headers['Content-Type'] = 'application/json';
    init.body = JSON.stringify(body);
  }
  try {
    return await fetch(path, init);
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new ApiError(0, 'The server cannot be reached.');
  }
}

async function errorOf(response) {
  let answer = {};
  try {
    answer = await response.json();
  } catch {
    // A proxy's own page: the status has to do.
  }
  const fields = (answer.errors ?? []).map(({ field, message }) => `${field} ${message}`).join('; ');
  const wait = response.status === 429 ? ` (wait ${response.headers.get('Retry-After') ?? 'some'} s)` : '';
  const text = answer.detail ?? `The server answered ${response.status}`;
  const byName = Object.fromEntries((answer.errors ?? []).map(({ field, message }) => [field, message]));
  return new ApiError(response.status, `${text}${fields ? `: ${fields}` : ''}${wait}`, byName);
}

let refreshing = null;
/** One refresh however many calls ran into the end of the token at once. */
function refresh() {
  refreshing ??= send('POST', '/api/auth/refresh').finally(() => (refreshing = null));
  return refreshing;
}

/** The raw answer of a call that succeeded; a spent access token is renewed once. */
export async function open(method, path, options = {}) {
  let response = await send(method, path, options);
  if (response.status === 401 && !options.isLogin && (await refresh()).ok) response = await send(method, path, options);
  if (!response.ok) throw await errorOf(response);
  return response;
}

/** The same, as JSON; null for an answer without a body. */
export async function call(method, path, options) {
  const text = await (await open(method, path, options)).text();
  return text === '' ? null : JSON.parse(text);
}

export const register = (email, password) =>
  call('POST', '/api/auth/register', { body: { email, password, full_name: 'Demo' }, isLogin: true });
export const login = (email, password) => call('POST', '/api/auth/login', { body: { email, password }, isLogin: true });

/**
 * The events of an SSE body: {id, data}. Ends with the body; throws when the connection breaks.
 * https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation
 */
export async function* readEvents(response) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = '';
  let id = '';
  let data = [];
  try {
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      const lines = (rest + value).split('\n');
      rest = lines.pop();
      for (const line of lines) {
        if (line === '') {
          if (data.length > 0) yield { id, data: JSON.parse(data.join('\n')) };
          data = [];
        } else if (line.startsWith('id:')) {
          id = line.slice(3).trim();
        } else if (line.startsWith('data:')) {
          data.push(line.slice(5).trimStart());
        }
      }
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}

/** A random string of url-safe characters, also where the page is not served over TLS. */
export function randomText(length) {
  const alphabet = 'abcdefghijklmnopqrstuvwxyz0123456789';
  const bytes = crypto.getRandomValues(new Uint8Array(length));
  return Array.from(bytes, (byte) => alphabet[byte % alphabet.length]).join('');
}
