// One reply on its way: read from the server, kept across a reload, taken up again after a break.
import { ApiError, open, readEvents } from './client.js';

const KEPT = 'aerie.turn';
const KEEP_EVERY_MS = 300;
const MAX_ATTEMPTS = 8;

const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

function place(id) {
  const [turn, n] = id.split(':');
  return { turn, n: Number(n) };
}

/** What this tab knew of a chat's running turn when it was left: {chat, id, text}, or null. */
export function keptTurn(chat) {
  try {
    const kept = JSON.parse(sessionStorage.getItem(KEPT));
    return kept?.chat === chat ? kept : null;
  } catch {
    return null;
  }
}

export function forgetTurn() {
  sessionStorage.removeItem(KEPT);
}

/** Reads one turn to its end. view: {onText(text), onStatus(description)}; text is the whole reply so far. */
export class Turn {
  lastId = '';
  text = '';
  #keptAt = 0;

  constructor(chat, view, kept = null) {
    this.chat = chat;
    this.view = view;
    if (kept) {
      this.lastId = kept.id;
      this.text = kept.text;
    }
    this.keep = this.keep.bind(this);
  }

  /** Written on the way out too, so that a reload goes on at the very event. */
  keep() {
    if (!this.lastId) return;
    this.#keptAt = performance.now();
    try {
      sessionStorage.setItem(KEPT, JSON.stringify({ chat: this.chat, id: this.lastId, text: this.text }));
    } catch {
      forgetTurn(); // No room: after a reload the server tells the turn from its start.
    }
  }

  #attach() {
    const headers = { Accept: 'text/event-stream', ...(this.lastId ? { 'Last-Event-ID': this.lastId } : {}) };
    return open('GET', `/api/chats/${this.chat}/stream`, { headers });
  }

  /** Another turn, or one told from its start again because our place in it is not known there. */
  #isNewStart(id) {
    if (!this.lastId) return false;
    const was = place(this.lastId);
    const is = place(id);
    return was.turn !== is.turn || is.n <= was.n;
  }

  /** The terminal event, or null for the others. */
  #take({ id, data }) {
    if (this.#isNewStart(id)) this.text = '';
    this.lastId = id;
    switch (data.type) {
      case 'message':
        this.text += data.data.content;
        this.view.onText(this.text);
        break;
      case 'status':
        this.view.onStatus(data.data.description);
        break;
      case 'done':
      case 'error':
        return data;
    }
    if (performance.now() - this.#keptAt > KEEP_EVERY_MS) this.keep();
    return null;
  }

  /**
   * begin: opens the first stream; null attaches to the turn that runs. Returns the terminal event, or null when no turn
   * runs any more: then the history has what there is. Throws an ApiError when the server refuses.
   */
  async follow(begin) {
    let start = begin ?? (() => this.#attach());
    addEventListener('pagehide', this.keep);
    try {
      for (let attempt = 0; ; attempt++) {
        if (attempt > 0) {
          this.view.onStatus('The connection broke. Going on where it stopped …');
          await wait(Math.min(250 * 2 ** attempt, 8000));
        }
        const before = this.lastId;
        try {
          const response = await start();
          start = () => this.#attach();
          if (response.status === 204) return null;
          for await (const event of readEvents(response)) {
            const end = this.#take(event);
            if (end) return end;
          }
        } catch (error) {
          const isBroken = !(error instanceof ApiError) || error.status === 0 || error.status === 503;
          if (!isBroken || (error.status === 503 && start === begin)) throw error;
        }
        if (this.lastId !== before) attempt = 0;
        if (attempt >= MAX_ATTEMPTS) throw new ApiError(0, 'The server cannot be reached. Reload the page to look again.');
      }
    } finally {
      removeEventListener('pagehide', this.keep);
      forgetTurn();
    }
  }
}
