// What a widget looks like and says: from the agent's config.widget, over that window.AerieSettings, over that attributes.
import { readColor } from './color.js';

export const NAMES = ['title', 'greeting', 'suggestions', 'color', 'theme', 'position', 'language', 'placeholder'];
const CHOICES = { theme: ['light', 'dark', 'auto'], position: ['right', 'left'] };
const MAX_SUGGESTIONS = 6;

/** A list, JSON of one, or texts between |. */
function listOf(value) {
  let list = value;
  if (typeof value === 'string') {
    try {
      list = JSON.parse(value);
    } catch {
      list = value.split('|');
    }
  }
  return Array.isArray(list) ? list.map((text) => String(text).trim()).filter(Boolean).slice(0, MAX_SUGGESTIONS) : [];
}

const READERS = {
  suggestions: listOf,
  color: readColor,
  theme: (value) => (CHOICES.theme.includes(value) ? value : null),
  position: (value) => (CHOICES.position.includes(value) ? value : null),
};

/** What is no value counts as not said. */
function readable(from) {
  const known = {};
  for (const name of NAMES) {
    const value = from?.[name];
    const read = value === undefined || value === null || value === '' ? null : (READERS[name] ?? String)(value);
    if (read !== null) known[name] = read;
  }
  return known;
}

/** data-NAME; NAME as well, but for title, which a browser shows as a hint. */
export function attributesOf(node) {
  const said = (name) => node.getAttribute(`data-${name}`) ?? (name === 'title' ? null : node.getAttribute(name));
  return Object.fromEntries(NAMES.map((name) => [name, said(name)]));
}

export function settingsOf({ name, widget } = {}, element) {
  return { title: name || 'Chat', suggestions: [], theme: 'auto', ...readable(widget), ...readable(window.AerieSettings), ...readable(attributesOf(element)) };
}
