// Money and counts, as people write them. The server counts money in millionths of its one currency.
const MICROS = 1_000_000;
const CENT = MICROS / 100;
const MOST_MICROS = 1e15; // as the server has it

export const countText = (count) => count.toLocaleString('en-GB');

/** "$12.50"; small parts of a cent too. A currency without a code of ISO 4217: "12.5 credits". */
export function moneyText(micros, currency) {
  try {
    return (micros / MICROS).toLocaleString('en-GB', { style: 'currency', currency, currencyDisplay: 'narrowSymbol', maximumFractionDigits: 6 });
  } catch {
    return `${(micros / MICROS).toLocaleString('en-GB', { maximumFractionDigits: 6 })} ${currency}`;
  }
}

/** Rounded down to whole cents, where there are any: what is not spent is not shown as spent. */
export const spentText = (micros, currency) => moneyText(micros < CENT ? micros : Math.floor(micros / CENT) * CENT, currency);

/** What stands in a field: "12.50". */
export const moneyValue = (micros) => (micros === null ? '' : (micros / MICROS).toLocaleString('en-GB', { useGrouping: false, minimumFractionDigits: micros % MICROS === 0 ? 0 : 2, maximumFractionDigits: 6 }));

const bare = (text) => text.trim().replace(/[\s\u00a0\u202f]+/g, ' ');
const GROUPED = /^[1-9]\d{0,2}(?:[, ]\d{3})+(?![\d, ])/;

/** "1,000,000" or "1 000 000" without its marks; other text as it is. */
const ungrouped = (text) => text.replace(GROUPED, (part) => part.replace(/[, ]/g, ''));

/** A whole number, or null where nothing is written, or NaN. */
export function readCount(text) {
  const digits = ungrouped(bare(text));
  if (digits === '') return null;
  return /^\d{1,15}$/.test(digits) ? Number(digits) : NaN;
}

/** Millionths, or null, or NaN: "20", "12.50", "$1,000", "12,50", "20 USD". Nothing that could be two amounts. */
export function readMoney(text) {
  const amount = bare(bare(text).replace(/^(?:\p{Sc}|\p{L}{2,3}\p{Sc}?)|(?:\p{Sc}|\p{L}{3})$/gu, ''));
  if (amount === '') return bare(text) === '' ? null : NaN;
  const found = /^(\d{1,10})(?:\.(\d{1,6})|,(\d{1,2}))?$/.exec(ungrouped(amount));
  if (!found) return NaN;
  const micros = Number(found[1]) * MICROS + Number((found[2] ?? found[3] ?? '').padEnd(6, '0'));
  return micros <= MOST_MICROS ? micros : NaN;
}
