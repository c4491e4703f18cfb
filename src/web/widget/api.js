// The server's routes for visitors. No cookie goes along, and the visitor's token is in no address.

/** An answer that is no success, or none. kind: of words.js, or gone, or unreachable; wait: seconds, when the server says how long. */
export class Problem extends Error {
  constructor(kind, { status = 0, wait = null } = {}) {
    super(kind);
    Object.assign(this, { kind, status, wait });
  }
}

const KINDS = { 401: 'gone', 403: 'refused', 404: 'gone', 413: 'long', 422: 'long', 429: 'often' };

function problemOf(response) {
  const wait = Number(response.headers.get('Retry-After')) || null;
  return new Problem(KINDS[response.status] ?? 'failed', { status: response.status, wait });
}

export class Api {
  constructor(server, chatbot) {
    Object.assign(this, { server, chatbot });
  }

  async open(method, path, { body, token, headers = {}, ...more } = {}) {
    const init = { method, headers: { ...headers }, credentials: 'omit', ...more };
    if (token) init.headers.Authorization = `Bearer ${token}`;
    if (body) {
      init.headers['Content-Type'] = 'application/json';
      init.body = JSON.stringify(body);
    }
    let response;
    try {
      response = await fetch(this.server + path, init);
    } catch {
      throw new Problem('unreachable');
    }
    if (!response.ok) throw problemOf(response);
    return response;
  }

  /** What the site's agent says of its widget; nothing where the server knows no such thing. */
  async settings() {
    try {
      return await (await this.open('GET', `/api/chat/widget/config?chatbot_id=${encodeURIComponent(this.chatbot)}`)).json();
    } catch {
      return {};
    }
  }

  async begin() {
    return (await this.#known(() => this.open('POST', '/api/chat/widget/session', { body: { chatbot_id: this.chatbot } }))).json();
  }

  /** Sent again with the same key it is asked once, and answered the same. */
  ask(session, message, key, options) {
    const headers = { Accept: 'text/event-stream', 'Idempotency-Key': key };
    return this.#known(() => this.open('POST', '/api/chat/widget', { body: { session_id: session.session_id, message }, headers, ...options }));
  }

  /** The running reply, after the event that one has; 204 when nothing runs. */
  attach(session, lastId, options) {
    const headers = { Accept: 'text/event-stream', ...(lastId ? { 'Last-Event-ID': lastId } : {}) };
    return this.open('GET', `/api/chat/widget/stream?session_id=${session.session_id}`, { token: session.visitor_token, headers, cache: 'no-store', ...options });
  }

  async messages(session) {
    const path = `/api/chat/widget/messages?session_id=${session.session_id}&limit=200`;
    return (await this.#known(() => this.open('GET', path, { token: session.visitor_token, cache: 'no-store' }))).json();
  }

  stop(session) {
    return this.open('POST', '/api/chat/widget/stop', { token: session.visitor_token, body: { session_id: session.session_id } });
  }

  async #isThere() {
    try {
      return (await fetch(`${this.server}/widget.js`, { method: 'HEAD', credentials: 'omit', cache: 'no-store' })).ok;
    } catch {
      return false;
    }
  }

  /**
   * A browser does not say why a call failed. When it fails twice, and this script itself can be fetched meanwhile, it is not
   * the network: the server does not let this page in.
   */
  async #known(call, isAgain = false) {
    try {
      return await call();
    } catch (problem) {
      if (problem.kind !== 'unreachable' || !navigator.onLine || !(await this.#isThere())) throw problem;
      if (isAgain) throw new Problem('refused');
      return this.#known(call, true);
    }
  }
}
