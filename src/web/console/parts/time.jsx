// A time for people, in their own zone; the exact one on hover and for machines.
const FORMAT = new Intl.DateTimeFormat('en-GB', { dateStyle: 'medium', timeStyle: 'short' });

export function Time({ at, none = 'never' }) {
  if (!at) return <span class="faint">{none}</span>;
  return <time dateTime={at} title={at}>{FORMAT.format(new Date(at))}</time>;
}
