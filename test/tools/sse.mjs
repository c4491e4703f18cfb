// A strict reader of the stream that the contract promises: `id: <turn>:<n>`, one `data:` line of JSON, a blank line; and comments.
// Anything else, which a lenient reader would swallow, is an error.
export class SseParser {
  #pending = Buffer.alloc(0);
  #id = null;
  #data = null;
  #turn = null;
  #n = -1;

  constructor({ onEvent, onComment }) {
    this.onEvent = onEvent;
    this.onComment = onComment;
    this.decoder = new TextDecoder('utf-8', { fatal: true });
  }

  push(bytes) {
    this.#pending = this.#pending.length ? Buffer.concat([this.#pending, bytes]) : bytes;
    for (;;) {
      const eol = this.#pending.indexOf(10);
      if (eol < 0) return;
      const line = this.decoder.decode(this.#pending.subarray(0, eol));
      this.#pending = this.#pending.subarray(eol + 1);
      this.#take(line);
    }
  }

  /** True between events: nothing half-read is left. */
  isAtRest() {
    return this.#pending.length === 0 && this.#id === null && this.#data === null;
  }

  #take(line) {
    if (line.includes('\r')) throw new Error(`a carriage return in ${JSON.stringify(line)}`);
    if (line === '') {
      if (this.#id === null && this.#data === null) return; // the blank line after a comment
      if (this.#id === null || this.#data === null) throw new Error(`an event without id or data (${this.#id}, ${this.#data})`);
      const event = { id: this.#id, data: this.#data };
      this.#id = this.#data = null;
      this.#checkId(event.id);
      this.onEvent(event);
    } else if (line.startsWith(':')) {
      this.onComment(line.slice(1).trim());
    } else if (line.startsWith('id: ') && this.#id === null) {
      this.#id = line.slice(4);
    } else if (line.startsWith('data: ') && this.#data === null) {
      this.#data = line.slice(6);
    } else {
      throw new Error(`no line of an event: ${JSON.stringify(line.slice(0, 200))}`);
    }
  }

  #checkId(id) {
    const match = /^([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}):(\d+)$/.exec(id);
    if (!match) throw new Error(`no <turn>:<n> in ${JSON.stringify(id)}`);
    const n = Number(match[2]);
    if (this.#turn !== null && this.#turn !== match[1]) throw new Error(`the turn changed in mid-stream: ${id}`);
    if (n <= this.#n) throw new Error(`event ids do not rise: ${this.#n}, then ${n}`);
    this.#turn = match[1];
    this.#n = n;
  }
}
