// The element <aerie-chat chatbot-id="…" server="https://…">: a launcher with a panel, or with `inline` the panel alone.
// It lives in a shadow root with its own style sheet, which a page's Content-Security-Policy needs no word for.
import { Api } from './api.js';
import { Chat } from './chat.js';
import { readableOn, textOn } from './color.js';
import { el, icon } from './dom.js';
import { Panel } from './panel.js';
import { NAMES, settingsOf } from './settings.js';
import { Visit } from './visit.js';
import css from './widget.css?inline';
import { wordsIn } from './words.js';

const COLOR = '#0b6b69';
/** Of our grounds the one on which the site's colour is hardest to read. */
const GROUNDS = { light: '#eef3f2', dark: '#152020' };
const DARK = matchMedia('(prefers-color-scheme: dark)');
const PHONE = matchMedia('(max-width: 480px), (max-height: 420px)');
const FOCUSABLE = 'button:not([hidden]):not(:disabled), textarea, a[href], [tabindex="0"]';
/** Two widgets on one side stand beside each other. */
const ROW_PX = 76;

let sheet;
function styleSheet() {
  if (!sheet) {
    sheet = new CSSStyleSheet();
    sheet.replaceSync(css);
  }
  return sheet;
}

/** Events come up to the document: on it, of every widget of the page; detail.widget is which. */
export function listen(node, name, listener) {
  const hear = (event) => listener(event.detail);
  node.addEventListener(`aerie:${name}`, hear);
  return () => node.removeEventListener(`aerie:${name}`, hear);
}

export class AerieChat extends HTMLElement {
  static observedAttributes = ['chatbot-id', 'server', 'inline', ...NAMES.flatMap((name) => (name === 'title' ? ['data-title'] : [name, `data-${name}`]))];

  #config = {};
  #loaded = null; // the server and the chatbot that it belongs to
  #end = null;
  #isOpen = false;
  #drawn = false;

  constructor() {
    super();
    this.attachShadow({ mode: 'open' }).adoptedStyleSheets = [styleSheet()];
  }

  connectedCallback() {
    this.#end = new AbortController();
    const { signal } = this.#end;
    DARK.addEventListener('change', () => this.#paint(), { signal });
    PHONE.addEventListener('change', () => this.#fit(), { signal });
    for (const name of ['resize', 'scroll']) window.visualViewport?.addEventListener(name, () => this.#fit(), { signal });
    addEventListener('online', () => this.chat && !this.chat.isRunning && this.#isSeen && this.chat.load(), { signal });
    this.#start();
  }

  disconnectedCallback() {
    this.#end.abort();
    this.chat?.close();
    this.chat = this.#loaded = null;
    this.#drawn = false;
  }

  attributeChangedCallback(name, before, now) {
    if (before === now || !this.isConnected) return;
    if (name === 'chatbot-id' || name === 'server') this.#start();
    else if (this.#drawn) this.#draw();
  }

  get server() {
    return (this.getAttribute('server') || AerieChat.server || location.origin).replace(/\/+$/, '');
  }
  get chatbotId() {
    return this.getAttribute('chatbot-id') ?? this.getAttribute('data-chatbot-id') ?? '';
  }
  get isInline() {
    return this.hasAttribute('inline');
  }
  get isOpen() {
    return this.isInline || this.#isOpen;
  }
  get #isSeen() {
    return this.isOpen && this.#drawn;
  }

  async #start() {
    const { server, chatbotId } = this;
    const loading = `${server} ${chatbotId}`;
    if (!chatbotId || this.#loaded === loading) return;
    this.#loaded = loading;
    this.chat?.close();
    this.chat = null;
    const api = new Api(server, chatbotId);
    this.visit = new Visit(server, chatbotId);
    this.#config = await api.settings();
    if (this.#loaded !== loading || !this.isConnected) return;
    this.chat = new Chat({ api, visit: this.visit, view: this.#view(), emit: (name, detail) => this.#emit(name, detail) });
    const { tab } = this.visit;
    this.#isOpen = this.#isOpen || Boolean(tab.open) || this.hasAttribute('open');
    this.#draw();
    this.panel.draft = tab.draft ?? '';
    if (this.isOpen || tab.turn) await this.chat.load();
    this.isReady = true;
    this.#emit('ready', {});
  }

  /** What the chat sees of the panel; the panel may be drawn anew, the chat goes on. */
  #view() {
    const view = {};
    for (const name of ['clear', 'put', 'drop', 'note', 'say', 'busy', 'wordsOf']) view[name] = (...given) => this.panel[name](...given);
    return view;
  }

  // ---- how it looks ----

  #draw() {
    const settings = settingsOf(this.#config, this);
    const { lang, dir, words } = wordsIn(settings.language);
    const draft = this.panel?.draft ?? '';
    settings.greeting ||= words.greeting;
    settings.placeholder ||= words.placeholder;
    Object.assign(this, { settings, words });
    this.panel = new Panel({
      settings, words, isInline: this.isInline,
      does: {
        send: (text) => this.send(text), stop: () => this.chat.stop(), retry: (message) => this.chat.retry(message), reset: () => this.reset(),
        close: () => this.close(), type: (text) => this.visit.keep({ draft: text }),
      },
    });
    this.launcher = el('button', { type: 'button', class: 'launcher', part: 'launcher', 'aria-haspopup': 'dialog', onclick: () => this.toggle() }, icon('chat'), icon('down'));
    this.root = el('div', { class: `root ${this.isInline ? 'inline' : 'floating'}`, lang, dir }, this.panel.node, this.isInline ? null : this.launcher);
    this.root.dataset.side = settings.position ?? (dir === 'rtl' ? 'left' : 'right');
    this.root.onkeydown = (event) => this.#onKey(event);
    this.shadowRoot.replaceChildren(this.root);
    this.#drawn = true;
    this.panel.draft = draft;
    for (const message of this.chat?.messages ?? []) this.panel.put(message);
    if (this.chat?.isRunning) this.panel.busy(true);
    this.#paint();
    this.#show();
  }

  #paint() {
    if (!this.#drawn) return;
    const { color = null, theme } = this.settings;
    const mode = theme === 'auto' ? (DARK.matches ? 'dark' : 'light') : theme;
    const accent = color ?? COLOR;
    this.root.dataset.theme = mode;
    for (const [name, value] of [['accent', accent], ['on-accent', textOn(accent)], ['link', readableOn(accent, GROUNDS[mode])]])
      this.root.style.setProperty(`--aerie-${name}`, value);
    const same = [...document.querySelectorAll('aerie-chat:not([inline])')].filter((other) => other.root?.dataset.side === this.root.dataset.side);
    this.root.style.setProperty('--aerie-shift', `${Math.max(0, same.indexOf(this)) * ROW_PX}px`);
  }

  /** On a phone the panel is the screen, or what the keyboard leaves of it. */
  #fit() {
    if (!this.#drawn || this.isInline) return;
    const isFull = PHONE.matches && this.#isOpen;
    const { height, offsetTop } = window.visualViewport ?? { height: innerHeight, offsetTop: 0 };
    this.root.classList.toggle('full', isFull);
    this.root.style.setProperty('--aerie-height', `${height}px`);
    this.root.style.setProperty('--aerie-top', `${offsetTop}px`);
    if (isFull) this.panel.node.setAttribute('aria-modal', 'true');
    else this.panel.node.removeAttribute('aria-modal');
  }

  #show() {
    const { launcher, panel, words } = this;
    panel.node.hidden = !this.isOpen;
    launcher.setAttribute('aria-expanded', String(this.isOpen));
    launcher.setAttribute('aria-label', this.isOpen ? words.close : `${words.open}: ${this.settings.title}`);
    this.root.classList.toggle('open', this.isOpen);
    if (this.isOpen) this.root.classList.remove('unread');
    this.#fit();
    if (this.isOpen) panel.shown();
  }

  #onKey(event) {
    if (event.key === 'Escape' && this.#isOpen && !this.isInline && !event.isComposing) {
      event.stopPropagation();
      this.close();
    }
    if (event.key !== 'Tab' || !this.root.classList.contains('full')) return;
    const stops = [...this.panel.node.querySelectorAll(FOCUSABLE)].filter((node) => node.getClientRects().length > 0);
    const [from, to] = event.shiftKey ? [stops[0], stops.at(-1)] : [stops.at(-1), stops[0]];
    if (this.shadowRoot.activeElement !== from) return;
    event.preventDefault();
    to.focus();
  }

  // ---- what scripts may ask for ----

  open() {
    if (this.isOpen || !this.#drawn) {
      this.#isOpen = true; // shown when it is drawn
      return;
    }
    this.#isOpen = true;
    this.visit.keep({ open: true });
    this.#show();
    // A finger has not asked for the keyboard.
    if (matchMedia('(pointer: coarse)').matches) this.panel.node.focus();
    else this.panel.field.focus();
    if (this.chat.messages.length === 0) this.chat.load();
    this.#emit('open', {});
  }

  close() {
    if (this.isInline || !this.#isOpen) return;
    const hadFocus = this.shadowRoot.activeElement !== null;
    this.#isOpen = false;
    if (!this.#drawn) return;
    this.visit.keep({ open: false });
    this.#show();
    if (hadFocus) this.launcher.focus();
    this.#emit('close', {});
  }

  toggle() {
    if (this.#isOpen) this.close();
    else this.open();
  }

  /** As the visitor would; false when a reply is on its way or there is nothing to say. */
  async send(text) {
    if (!this.isReady) await new Promise((resolve) => this.addEventListener('aerie:ready', resolve, { once: true }));
    return this.chat.send(text);
  }

  async reset() {
    await this.chat?.reset();
    if (this.isOpen) this.panel.field.focus();
  }

  /** on('reply', ({text}) => …) gives the function that ends it. Names: ready, open, close, message, reply, error. */
  on(name, listener) {
    return listen(this, name, listener);
  }

  #emit(name, detail) {
    if (name === 'reply' && !this.isOpen) this.root.classList.add('unread');
    this.dispatchEvent(new CustomEvent(`aerie:${name}`, { detail: { widget: this, ...detail }, bubbles: true, composed: true }));
  }
}

/** Makes <aerie-chat> known; a second script on the page finds it there. */
export function define() {
  if (!customElements.get('aerie-chat')) customElements.define('aerie-chat', AerieChat);
  return customElements.get('aerie-chat');
}

/** Puts a widget on the page and gives it: mount({ chatbotId, server, inline, target, title, greeting … }). */
export function mount({ chatbotId, server, inline = false, target = document.body, ...settings } = {}) {
  define();
  const widget = document.createElement('aerie-chat');
  widget.setAttribute('chatbot-id', chatbotId);
  if (server) widget.setAttribute('server', server);
  if (inline) widget.setAttribute('inline', '');
  for (const name of NAMES) {
    const value = settings[name];
    if (value !== undefined && value !== null) widget.setAttribute(`data-${name}`, Array.isArray(value) ? JSON.stringify(value) : value);
  }
  target.append(widget);
  return widget;
}
