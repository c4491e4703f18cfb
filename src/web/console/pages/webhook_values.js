// A webhook as the forms have it, and as the server takes it.
export const EVENTS = [
  ['message.completed', 'A reply has ended', 'Also one that was stopped or failed.'],
  ['chat.created', 'A chat begins', 'A visitor’s session, too.'],
  ['agent.failing', 'An agent fails', 'Several replies of it failed in a row.'],
  ['agent.recovered', 'It answers again', 'The first good reply after that.'],
  ['budget.warning', 'A budget is nearly spent', 'Four fifths of it.'],
  ['budget.spent', 'A budget is spent', 'Messages are refused until it renews.'],
];

export const EMPTY = { url: '', include_text: false, ...Object.fromEntries(EVENTS.map(([type]) => [type, type === 'message.completed'])) };

export const valuesOf = ({ url, events, include_text }) => ({ url, include_text, ...Object.fromEntries(EVENTS.map(([type]) => [type, events.includes(type)])) });

export const bodyOf = ({ url, include_text, ...given }) => ({ url: url.trim(), events: EVENTS.map(([type]) => type).filter((type) => given[type]), include_text });

/** Where it is, for people: without scheme and query. */
export function placeOf(url) {
  try {
    const { host, pathname } = new URL(url);
    return host + (pathname === '/' ? '' : pathname);
  } catch {
    return url;
  }
}
