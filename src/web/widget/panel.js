// The chat's box: header, messages, suggestions, the field. It draws what chat.js says, and tells it what the visitor does.
import { copyButton, el, icon, smallButton } from './dom.js';
import { Markdown } from './markdown.js';

const NEAR_END_PX = 60;

export class Panel {
  #drawn = new Map(); // message → {item, body, foot, markdown}
  #isAtEnd = true;

  /** does: {send(text), stop(), retry(message), reset(), close()} */
  constructor({ settings, words, isInline, does }) {
    Object.assign(this, { settings, words, does });
    this.log = el('div', { class: 'log', role: 'log', 'aria-live': 'off', 'aria-label': words.log, tabindex: 0 });
    this.end = el('button', { type: 'button', class: 'toend', 'aria-label': words.log, hidden: true, onclick: () => this.#toEnd(true) }, icon('down'));
    this.notice = el('p', { class: 'note', hidden: true });
    this.live = el('div', { class: 'unseen', role: 'status', 'aria-live': 'polite' });
    this.field = el('textarea', { rows: 1, dir: 'auto', enterkeyhint: 'send', 'aria-label': settings.placeholder, placeholder: settings.placeholder });
    this.button = el('button', { type: 'submit', class: 'round send', 'aria-label': words.send }, icon('send'));
    this.fresh = el('button', { type: 'button', class: 'tool', 'aria-label': words.fresh, title: words.fresh, hidden: true, onclick: () => does.reset() }, icon('fresh'));
    this.node = el('section', { class: 'panel', part: 'panel', role: isInline ? 'region' : 'dialog', 'aria-labelledby': 'title', tabindex: -1 },
      el('header', { part: 'header' },
        el('span', { class: 'mark' }, icon('chat')),
        el('h2', { id: 'title' }, el('bdi', {}, settings.title)),
        this.fresh,
        isInline ? null : el('button', { type: 'button', class: 'tool', 'aria-label': words.close, title: words.close, onclick: () => does.close() }, icon('close'))),
      el('div', { class: 'middle' }, this.log, this.end),
      this.notice,
      el('form', { onsubmit: (event) => this.#submit(event) }, this.field, this.button),
      this.live);
    this.log.onscroll = () => this.#scrolled();
    this.field.oninput = () => this.#typed();
    this.field.onkeydown = (event) => {
      if (event.key === 'Enter' && !event.shiftKey && !event.isComposing) this.#submit(event);
    };
    this.#greet();
    this.#typed();
  }

  // ---- what the visitor does ----

  #submit(event) {
    event.preventDefault();
    if (this.isBusy) {
      if (event.type === 'submit') this.does.stop();
      return;
    }
    const text = this.field.value.trim();
    if (!text) return;
    this.draft = '';
    this.#toEnd(true);
    this.does.send(text);
  }

  #typed() {
    this.field.style.height = 'auto';
    if (this.field.scrollHeight) this.field.style.height = `${Math.min(this.field.scrollHeight, 132)}px`;
    this.#showButton();
    this.does.type?.(this.field.value);
  }

  get draft() {
    return this.field.value;
  }
  set draft(text) {
    this.field.value = text;
    this.#typed();
  }

  #showButton() {
    const kind = this.isBusy ? 'stop' : 'send';
    if (!this.button.classList.contains(kind)) {
      this.button.className = `round ${kind}`;
      this.button.setAttribute('aria-label', this.words[kind]);
      this.button.replaceChildren(icon(kind));
    }
    this.button.disabled = !this.isBusy && !this.field.value.trim();
  }

  #scrolled() {
    const { scrollHeight, scrollTop, clientHeight } = this.log;
    this.#isAtEnd = scrollHeight - scrollTop - clientHeight < NEAR_END_PX;
    this.end.hidden = this.#isAtEnd;
  }

  #toEnd(isForced) {
    if (!isForced && !this.#isAtEnd) return;
    this.log.scrollTop = this.log.scrollHeight;
    this.#isAtEnd = true;
    this.end.hidden = true;
  }

  /** Once it can be seen, it has a size. */
  shown() {
    this.#typed();
    this.#toEnd(true);
  }

  // ---- what the chat says ----

  #greet() {
    const { greeting, suggestions } = this.settings;
    const body = el('div', { class: 'text', dir: 'auto' });
    const markdown = new Markdown(body, this.words);
    markdown.update(greeting);
    markdown.end();
    this.chips = el('ul', { class: 'chips' },
      ...suggestions.map((text) => el('li', {}, el('button', { type: 'button', dir: 'auto', onclick: () => this.does.send(text) }, text))));
    this.chips.hidden = suggestions.length === 0;
    this.log.replaceChildren(el('div', { class: 'message assistant' }, body), this.chips);
  }

  clear() {
    this.#drawn.clear();
    this.#greet();
    this.fresh.hidden = true;
  }

  #item(message) {
    const { words } = this;
    const body = el('div', { class: 'text', dir: 'auto' });
    const foot = el('div', { class: 'foot' });
    const who = el('span', { class: 'unseen' }, `${message.role === 'user' ? words.you : this.settings.title}: `);
    const drawn = { body, foot, item: el('div', { class: `message ${message.role}` }, who, body, foot) };
    if (message.role === 'assistant') drawn.markdown = new Markdown(body, words);
    this.#drawn.set(message, drawn);
    this.log.append(drawn.item);
    this.chips.hidden = true;
    this.fresh.hidden = false;
    return drawn;
  }

  put(message) {
    const drawn = this.#drawn.get(message) ?? this.#item(message);
    const { item, body, foot, markdown } = drawn;
    const isStreaming = message.status === 'streaming';
    item.classList.toggle('streaming', isStreaming);
    item.classList.toggle('waiting', isStreaming && !message.text);
    item.classList.toggle('wrong', message.status === 'error' || message.status === 'unsent');
    if (!markdown) body.textContent = message.text;
    else markdown.update(message.text, message.round);
    if (!isStreaming) markdown?.end();
    body.hidden = !message.text && !isStreaming;
    foot.replaceChildren(...(isStreaming ? [] : this.#foot(message)));
    this.#toEnd(false);
  }

  #foot(message) {
    const { words } = this;
    const parts = [];
    if (message.problem || message.status === 'error') parts.push(el('span', { class: 'problem' }, this.wordsOf(message.problem ?? { kind: 'failed' })));
    else if (words[message.status]) parts.push(el('span', {}, words[message.status]));
    if (message.status === 'error' || message.status === 'unsent') parts.push(smallButton('retry', words.retry, () => this.does.retry(message)));
    if (message.role === 'assistant' && message.text) parts.push(copyButton(words.copy, () => message.text));
    return parts;
  }

  drop(message) {
    this.#drawn.get(message)?.item.remove();
    this.#drawn.delete(message);
  }

  wordsOf({ kind, wait }) {
    return (this.words[kind] ?? this.words.failed).replace('{0}', wait ?? 60);
  }

  /** A line above the field. kind: a row of the words; null takes it away. */
  note(kind) {
    const text = kind ? this.wordsOf({ kind }) : '';
    if (this.notice.textContent === text) return;
    this.notice.textContent = text;
    this.notice.hidden = !text;
    if (text) this.tell(text);
    this.#toEnd(false);
  }

  /** To those who listen instead of looking: a reply is told once, when it is whole. */
  say(message) {
    const { body } = this.#drawn.get(message) ?? {};
    this.tell(`${this.settings.title}: ${message.problem ? this.wordsOf(message.problem) : body?.textContent ?? ''}`);
  }

  tell(text) {
    this.live.replaceChildren(el('p', {}, text));
  }

  busy(isBusy) {
    this.isBusy = isBusy;
    this.log.setAttribute('aria-busy', String(isBusy));
    this.#showButton();
    if (isBusy) this.tell(this.words.writing);
  }
}
