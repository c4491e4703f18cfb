// What the browser keeps of a visit: the session for all tabs, and for this tab what it was doing. Where storage is denied, both
// live as long as the page.

const memory = new Map();
const inMemory = { getItem: (key) => memory.get(key) ?? null, setItem: (key, value) => memory.set(key, value), removeItem: (key) => memory.delete(key) };

function storage(name) {
  try {
    const store = window[name];
    store.setItem('aerie', '1');
    store.removeItem('aerie');
    return store;
  } catch {
    return inMemory;
  }
}

function read(store, key) {
  try {
    return JSON.parse(store.getItem(key));
  } catch {
    return null;
  }
}

function write(store, key, value) {
  try {
    store.setItem(key, JSON.stringify(value));
  } catch {
    store.removeItem(key); // No room: after a reload the reply is told from its start.
  }
}

export class Visit {
  #forAll = storage('localStorage');
  #forTab = storage('sessionStorage');

  constructor(server, chatbot) {
    this.key = `aerie ${server} ${chatbot}`;
    this.tabKey = `${this.key} tab`;
  }

  /** {session_id, visitor_token}, or null. Read each time: another tab may have begun it. */
  get session() {
    const kept = read(this.#forAll, this.key);
    return kept?.session_id && kept.visitor_token ? kept : null;
  }
  set session(session) {
    if (session) write(this.#forAll, this.key, session);
    else this.#forAll.removeItem(this.key);
  }

  /** {open, draft, turn}: what a reload of this tab goes on with. */
  get tab() {
    return read(this.#forTab, this.tabKey) ?? {};
  }
  keep(change) {
    write(this.#forTab, this.tabKey, { ...this.tab, ...change });
  }
}
