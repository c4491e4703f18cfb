// DOM nodes in few words. Nothing here reads markup: text is text, attributes are set one by one.

/** el('button', { class: 'x', onclick: f, 'aria-label': 'Close' }, 'text', node …); what is null, undefined or false is left out. */
export function el(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === 'function') node[name] = value;
    else if (value === true) node.setAttribute(name, '');
    else if (value !== undefined && value !== null && value !== false) node.setAttribute(name, value);
  }
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}

const PATHS = {
  chat: 'M4 5.5A2.5 2.5 0 0 1 6.5 3h11A2.5 2.5 0 0 1 20 5.5v8a2.5 2.5 0 0 1-2.5 2.5H11l-4.6 4.1c-.5.4-1.2.1-1.2-.6V15.7A2.5 2.5 0 0 1 4 13.5z',
  down: 'm6 9 6 6 6-6',
  close: 'M6 6l12 12M18 6 6 18',
  fresh: 'M12 5v14M5 12h14',
  send: 'M12 19V5M5.5 11.5 12 5l6.5 6.5',
  stop: 'M8 8h8v8H8z',
  copy: 'M9 9h10v11H9zM5 15V4h10',
  done: 'm5 12.5 4.5 4.5L19 7.5',
  retry: 'M19 12a7 7 0 1 1-2-4.9M19 4v4h-4',
};
const SVG = 'http://www.w3.org/2000/svg';

export function icon(name) {
  const svg = document.createElementNS(SVG, 'svg');
  const path = document.createElementNS(SVG, 'path');
  for (const [key, value] of [['viewBox', '0 0 24 24'], ['aria-hidden', 'true'], ['class', `icon ${name}`]]) svg.setAttribute(key, value);
  path.setAttribute('d', PATHS[name]);
  svg.append(path);
  return svg;
}

/** Where the page may not use the clipboard (no TLS, a policy), as browsers did it before. */
async function copy(text, root) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    const field = el('textarea', { class: 'unseen' });
    const active = root.activeElement;
    field.value = text;
    root.append(field);
    field.select();
    document.execCommand('copy');
    field.remove();
    active?.focus();
  }
}

export const smallButton = (name, word, onclick) => el('button', { type: 'button', class: 'small', onclick }, icon(name), word);

export function copyButton(word, textOf) {
  const button = smallButton('copy', word, async () => {
    await copy(textOf(), button.getRootNode());
    button.firstChild.replaceWith(icon('done'));
  });
  return button;
}
