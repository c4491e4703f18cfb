// Replies are Markdown. What streaming-markdown finds in them becomes nodes of the tags below and no others; all else is text,
// HTML as well. Addresses are http, https or mailto, or there is no link.
import * as md from 'streaming-markdown';
import { copyButton, el } from './dom.js';

const TAGS = {
  [md.PARAGRAPH]: 'p', [md.BLOCKQUOTE]: 'blockquote', [md.LINE_BREAK]: 'br', [md.RULE]: 'hr',
  [md.HEADING_1]: 'h3', [md.HEADING_2]: 'h4', [md.HEADING_3]: 'h5', [md.HEADING_4]: 'h6', [md.HEADING_5]: 'h6', [md.HEADING_6]: 'h6',
  [md.ITALIC_AST]: 'em', [md.ITALIC_UND]: 'em', [md.STRONG_AST]: 'strong', [md.STRONG_UND]: 'strong', [md.STRIKE]: 's',
  [md.CODE_INLINE]: 'code', [md.CODE_BLOCK]: 'code', [md.CODE_FENCE]: 'code', [md.EQUATION_BLOCK]: 'code', [md.EQUATION_INLINE]: 'code',
  [md.LINK]: 'a', [md.RAW_URL]: 'a', [md.IMAGE]: 'a',
  [md.LIST_UNORDERED]: 'ul', [md.LIST_ORDERED]: 'ol', [md.LIST_ITEM]: 'li', [md.CHECKBOX]: 'span',
  [md.TABLE]: 'table', [md.TABLE_ROW]: 'tr', [md.TABLE_CELL]: 'td',
};
/** What begins and ends them: put back as text where no end came. */
const MARKS = {
  [md.ITALIC_AST]: '*', [md.ITALIC_UND]: '_', [md.STRONG_AST]: '**', [md.STRONG_UND]: '__', [md.STRIKE]: '~~', [md.CODE_INLINE]: '`',
};
const VERBATIM = new Set([md.CODE_INLINE, md.CODE_BLOCK, md.CODE_FENCE, md.EQUATION_BLOCK, md.EQUATION_INLINE, md.RAW_URL, md.MAYBE_URL]);
const SCHEMES = new Set(['http:', 'https:', 'mailto:']);
const MAX_DEPTH = 20; // of the parser's own table, 24
const isWord = (char) => /[\p{L}\p{N}]/u.test(char);

/** The address, or null where it may not be one; /this is of the page's site. A title behind it, and the brackets around it, fall away. */
function addressOf(text) {
  const [, address] = /^<?(\S+?)>?(\s+["'].*)?$/s.exec(text.trim()) ?? [];
  try {
    const url = new URL(address, address.startsWith('/') ? document.baseURI : undefined);
    return SCHEMES.has(url.protocol) ? url.href : null;
  } catch {
    return null;
  }
}

function link(node, address, words) {
  for (const [name, value] of [['href', address], ['target', '_blank'], ['rel', 'noopener noreferrer nofollow'], ['title', words.tab]]) node.setAttribute(name, value);
}

/** Writes one reply into a node, piece by piece; what stands there is not touched again. */
export class Markdown {
  #text = '';
  #round = 0;
  #held = '';
  #before = '';
  #isBroken = false;
  #isOver = false;

  constructor(root, words) {
    this.root = root;
    this.words = words;
    this.#begin();
  }

  #begin() {
    this.open = [{ node: this.root }];
    this.parser = md.parser({
      data: null,
      add_token: (_, type) => this.#add(type),
      end_token: () => this.#end(),
      add_text: (_, text) => this.#addText(text),
      set_attr: (_, type, value) => this.#set(type, value),
    });
  }

  /** The whole text so far; what is new in it is written. round: another number, and it is a new text. */
  update(text, round = this.#round) {
    if (round !== this.#round || text.length < this.#text.length) {
      this.#round = round;
      this.root.replaceChildren();
      this.#text = this.#held = this.#before = '';
      this.#isBroken = this.#isOver = false;
      this.#begin();
    }
    const piece = text.slice(this.#text.length);
    this.#text = text;
    this.#guarded(() => {
      for (const char of piece) this.#write(char);
    });
  }

  end() {
    if (this.#isOver) return;
    this.#guarded(() => {
      const { pending } = this.parser;
      const { type } = this.open.at(-1);
      if ((type === md.LINK || type === md.IMAGE) && pending[0] === ']') this.open.at(-1).rest = pending;
      else if (pending || this.#held) this.#write('\n');
      this.#isOver = true;
      while (this.open.length > 1) this.#end();
    });
  }

  /** A reply is shown, whatever is the matter with its marks. */
  #guarded(work) {
    try {
      if (!this.#isBroken) return work();
    } catch {
      this.#isBroken = true;
    }
    this.root.replaceChildren(el('p', { class: 'plain' }, this.#text));
  }

  /** Before the parser sees them: no mark is an underscore between letters (a_file_name), nor a dollar sign ($5, $HOME). */
  #write(char) {
    const { parser } = this;
    const isVerbatim = VERBATIM.has(parser.token) || VERBATIM.has(parser.tokens[parser.len]) || /^(`|\\|\]\()/.test(parser.pending);
    if (this.#held) {
      md.parser_write(parser, isWord(char) ? '\\_' : '_');
      this.#held = '';
    }
    if (char === '\r') return;
    // A fence closes code at the beginning of a line alone.
    if (char === '\n' && parser.token === md.CODE_FENCE && /^[^\n`]/.test(parser.pending)) {
      parser.text += parser.pending;
      parser.pending = '';
    }
    if (char === '_' && !isVerbatim && isWord(this.#before)) this.#held = char;
    else md.parser_write(parser, char === '$' && !isVerbatim ? '\\$' : char);
    this.#before = char;
  }

  #add(type) {
    const parent = this.open.at(-1);
    if (this.open.length > MAX_DEPTH) throw new Error('too deep');
    const node = el(TAGS[type] ?? 'span');
    let place = parent.node;
    if (type === md.CODE_FENCE || type === md.CODE_BLOCK) place = this.#codeBox(node, parent.node);
    else if (type === md.TABLE) place = parent.node.appendChild(el('div', { class: 'table', tabindex: 0, role: 'group' }));
    else if (type === md.TABLE_CELL && !parent.node.previousSibling) return this.#push(type, parent.node.appendChild(el('th')));
    else if (type === md.CHECKBOX) node.textContent = '☐';
    return this.#push(type, place.appendChild(node));
  }

  #push(type, node) {
    this.open.push({ type, node, mark: type === md.CODE_INLINE ? '`'.repeat(this.parser.fence_start || 1) : MARKS[type] });
  }

  #codeBox(code, parent) {
    const button = copyButton(this.words.copy, () => code.textContent);
    const pre = el('pre', { tabindex: 0, role: 'group', 'aria-label': 'Code', dir: 'ltr' });
    parent.append(el('div', { class: 'code' }, el('div', { class: 'codebar' }, el('span'), button), pre));
    return pre;
  }

  #addText(text) {
    const { node } = this.open.at(-1);
    if (node.lastChild?.nodeType === Node.TEXT_NODE) node.lastChild.appendData(text);
    else node.append(text);
  }

  #set(type, value) {
    const { node } = this.open.at(-1);
    if (type === md.START) node.setAttribute('start', String(parseInt(value, 10)));
    else if (type === md.CHECKED) node.textContent = '☑';
    else if (type === md.LANG) node.closest('.code').querySelector('span').textContent = value.trim();
    else this.#setAddress(this.open.at(-1), value);
  }

  #setAddress(item, value) {
    item.tail = item.type === md.RAW_URL ? /[.,;:!?'"*_)\]}>]*$/.exec(value)[0] : '';
    item.address = addressOf(value.slice(0, value.length - item.tail.length));
    if (item.address) link(item.node, item.address, this.words);
    else item.rest = `](${value})`;
  }

  #end() {
    const item = this.open.pop();
    const { node, type } = item;
    if (type === md.LINK || type === md.IMAGE || type === md.RAW_URL) this.#endLink(item);
    else if (item.mark && !this.#isClosed(item)) unwrap(node, item.mark, '');
  }

  /** By its mark, which the parser is about to take; or because the paragraph ended. */
  #isClosed({ type, mark }) {
    const { pending } = this.parser;
    if (this.#isOver) return false;
    return type === md.CODE_INLINE ? /^ ?`*$/.test(pending) : pending === mark[0] || pending === mark[0] + mark[0];
  }

  /** What is no link is the text that it was. */
  #endLink({ type, node, address, tail, rest = ']' }) {
    if (tail && node.lastChild) {
      node.lastChild.data = node.lastChild.data.slice(0, -tail.length);
      node.after(tail);
    }
    if (address) {
      if (!node.textContent) node.textContent = address;
    } else if (type === md.RAW_URL) {
      unwrap(node, '', '');
    } else {
      unwrap(node, type === md.IMAGE ? '![' : '[', rest);
    }
  }
}

/** What is in the node takes its place, between these texts. */
function unwrap(node, before, after) {
  node.replaceWith(...[before, ...node.childNodes, after].filter((part) => part !== ''));
}
