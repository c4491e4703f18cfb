// One visitor's chat with one agent: what was said, what is being said, and what to do when that fails. It draws nothing: the
// view is told {clear(), put(message), drop(message), note(kind), say(message), busy(isRunning), wordsOf(problem)}.
// A message: {role: 'user' | 'assistant', text, round, status, problem, key}. status is the server's, or 'unsent'.
import { randomText } from '../home/client.js';
import { Problem } from './api.js';
import { followReply } from './reply.js';

const KEEP_EVERY_MS = 300;

export class Chat {
  messages = [];
  #running = null; // {reply, abort, place, key, text}
  #keptAt = 0;
  #channel = null;
  #end = new AbortController();

  constructor({ api, visit, view, emit }) {
    Object.assign(this, { api, visit, view, emit });
    try {
      this.#channel = new BroadcastChannel(visit.key);
      this.#channel.onmessage = () => this.#running || this.load();
    } catch {
      // A page without an origin has no other tabs.
    }
    addEventListener('pagehide', () => this.#keep(true), { signal: this.#end.signal });
  }

  get isRunning() {
    return this.#running !== null;
  }

  close() {
    this.#keep(true);
    this.#running?.abort.abort();
    this.#end.abort();
    this.#channel?.close();
  }

  #keep(isNow) {
    if (!this.#running || (!isNow && performance.now() - this.#keptAt < KEEP_EVERY_MS)) return;
    const { key, text, place } = this.#running;
    this.#keptAt = performance.now();
    this.visit.keep({ turn: { key, text, place } });
  }

  #put(message) {
    if (!this.messages.includes(message)) this.messages.push(message);
    this.view.put(message);
  }

  #drop(message) {
    this.messages = this.messages.filter((other) => other !== message);
    this.view.drop(message);
  }

  #clear() {
    this.messages = [];
    this.view.clear();
  }

  /** Shows what was said in this session, and goes on with the reply that runs. */
  async load() {
    const { session } = this.visit;
    const { turn } = this.visit.tab;
    if (!session && !turn) return this.#clear();
    let said = [];
    try {
      if (session) said = await this.api.messages(session);
    } catch (problem) {
      if (problem.kind !== 'gone') return this.#fail(problem);
      this.visit.session = null; // The server knows it no longer: the next message begins anew.
      this.visit.keep({ turn: null });
      return this.#clear();
    }
    if (this.isRunning) return undefined;
    this.view.note(null);
    this.#clear();
    for (const [i, { role, content, status }] of said.entries()) {
      const isAskedAgain = role === 'user' && said[i + 1]?.status === 'error' && said[i + 2]?.content === content;
      if (!isAskedAgain && !(status === 'error' && said[i - 1]?.content === said[i + 1]?.content)) this.messages.push({ role, text: content, status });
    }
    const last = this.messages.at(-1);
    const isOpen = last?.role === 'user' || last?.status === 'streaming';
    if (last?.status === 'streaming') this.messages.pop();
    for (const message of this.messages) this.view.put(message);
    return turn || isOpen ? this.#goOn(turn, isOpen) : undefined;
  }

  #goOn(turn, isOpen) {
    if (!turn) return this.#run({ key: '', text: '', place: { id: '', text: '' } }, null);
    if (turn.place.id) return this.#run(turn, null);
    const last = this.messages.at(-1);
    const isThere = isOpen && last?.role === 'user' && last.text === turn.text;
    return this.#ask(isThere ? last : { role: 'user', text: turn.text, status: 'complete' }, turn.key);
  }

  async send(text) {
    const said = String(text).trim();
    if (!said || this.isRunning) return false;
    this.emit('message', { text: said });
    await this.#ask({ role: 'user', text: said, status: 'complete' }, randomText(24));
    return true;
  }

  /** A message that did not go out goes out again under its key; one that was answered with an error is asked anew. */
  retry(message) {
    if (this.isRunning) return undefined;
    const at = this.messages.indexOf(message);
    const asked = message.role === 'user' ? message : this.messages.slice(0, at).findLast(({ role }) => role === 'user');
    if (!asked) return undefined;
    for (const old of [message, asked]) this.#drop(old);
    return this.#ask({ role: 'user', text: asked.text, status: 'complete' }, message.key ?? randomText(24));
  }

  #ask(message, key) {
    this.view.note(null);
    this.#put(message);
    return this.#run({ key, text: message.text, place: { id: '', text: '' }, message }, (options) => this.#begin(message.text, key, options));
  }

  async #begin(text, key, options, isAgain = false) {
    const had = this.visit.session;
    const session = had ?? (this.visit.session = await this.api.begin());
    try {
      const response = await this.api.ask(session, text, key, options);
      this.#channel?.postMessage('asked');
      return response;
    } catch (problem) {
      if (problem.kind !== 'gone' || !had || isAgain) throw problem;
      this.visit.session = null;
      return this.#begin(text, key, options, true);
    }
  }

  async #run(turn, begin) {
    const reply = { role: 'assistant', text: turn.place.text, status: 'streaming' };
    const abort = new AbortController();
    this.#running = { ...turn, reply, abort };
    this.#keep(true);
    this.view.busy(true);
    this.#put(reply);
    try {
      const end = await followReply({
        begin,
        attach: (lastId, options) => this.api.attach(this.visit.session, lastId, options),
        place: turn.place,
        signal: abort.signal,
        onEvent: (data) => this.#take(reply, turn, data),
        onLost: (isLost) => this.view.note(isLost ? (navigator.onLine ? 'lost' : 'offline') : null),
      });
      this.#ended(reply, end);
    } catch (problem) {
      if (abort.signal.aborted) return;
      this.#ended(reply, null);
      this.#drop(reply);
      if (turn.message) {
        Object.assign(turn.message, { status: 'unsent', key: turn.key });
        this.view.put(turn.message);
      }
      this.#fail(problem instanceof Problem ? problem : new Problem('failed'), turn.message);
    }
  }

  #take(reply, turn, data) {
    reply.text = turn.place.text;
    reply.round = turn.place.round;
    this.#keep(false);
    if (data.type === 'message') this.view.put(reply); // a status is for who runs the agent
  }

  /** end: the last event; null: the history has what there is, if anything. */
  #ended(reply, end) {
    this.#running = null;
    this.visit.keep({ turn: null });
    this.view.busy(false);
    if (end === undefined) return;
    this.view.note(null);
    if (!end) return;
    if (end.type === 'error') {
      const kind = end.data.code === 'provider_rate_limited' && end.data.retry_after ? 'often' : 'failed';
      reply.status = 'error';
      reply.problem = { kind, wait: end.data.retry_after };
      this.emit('error', { code: end.data.code, message: end.data.message });
    } else {
      reply.status = end.data.stopped ? 'stopped' : 'complete';
      this.emit('reply', { text: reply.text, status: reply.status });
    }
    this.#put(reply);
    this.view.say(reply);
    this.#channel?.postMessage('answered');
  }

  async #fail(problem, message) {
    if (problem.kind === 'refused')
      console.warn(`Aerie: ${this.api.server} does not let this page talk to chatbot ${this.api.chatbot}. Add "${location.origin}" to the agent's allowed_origins: in ${this.api.server}/console, or with PUT /api/agents/${this.api.chatbot}.`);
    this.emit('error', { code: problem.kind, message: this.view.wordsOf(problem) });
    if (message) {
      message.problem = problem;
      this.view.put(message);
    } else {
      this.view.note(problem.kind);
    }
  }

  async stop() {
    try {
      if (this.visit.session) await this.api.stop(this.visit.session);
    } catch (problem) {
      this.view.note(problem.kind);
    }
  }

  /** Forgets the session: the next message begins another. */
  async reset() {
    if (this.isRunning) {
      const { session } = this.visit;
      this.#running.abort.abort();
      this.#ended(this.#running.reply, undefined);
      if (session) this.api.stop(session).catch(() => {});
    }
    this.visit.session = null;
    this.visit.keep({ turn: null });
    this.#clear();
    this.view.note(null);
    this.#channel?.postMessage('reset');
  }
}
