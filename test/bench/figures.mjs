// From what was measured in turns to a row of the table: medians, a ratio, and whether it is what was asked.

export function median(values) {
  if (values.length === 0) return NaN;
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/** Three digits that mean something: 1234, 123, 12.3, 1.23, 0.123. */
export function tell(number) {
  if (number === null || number === undefined || !Number.isFinite(number)) return '–';
  if (number === 0) return '0';
  const digits = Math.max(0, Math.min(3, 2 - Math.floor(Math.log10(Math.abs(number)))));
  return number.toFixed(digits);
}

/** How a limit may be judged: what is compared, for one run and for the medians, and how it is written. */
const KINDS = {
  ratio: { value: (a, p) => a / p, suffix: () => ' ×' },
  value: { value: (a) => a, suffix: (unit) => (unit ? ` ${unit}` : '') },
  difference: { value: (a, p) => a - p, suffix: (unit) => ` ${unit} more` },
};

/**
 * A row. aerie, peer: numbers of the runs, in the order in which they took turns; peer null: nobody to compare with.
 * limit: {most or least, of: 'ratio' (unless said) | 'value' | 'difference'} or null, when nothing is asked.
 * isValid: false when a text was wrong; such a figure is never met.
 */
export function figure({ id, what, unit = '', aerie, peer = null, peerName = peer ? 'nginx' : null, limit = null, isValid = true, note = null }) {
  const kind = KINDS[limit?.of ?? (peer ? 'ratio' : 'value')];
  const judged = kind.value(median(aerie), peer ? median(peer) : null);
  const each = aerie.slice(0, peer ? Math.min(aerie.length, peer.length) : undefined).map((a, i) => kind.value(a, peer?.[i]));
  const sign = limit?.most !== undefined ? '≤' : '≥';
  const bound = limit?.most ?? limit?.least;
  let met = null;
  if (limit) met = isValid && Number.isFinite(judged) && (sign === '≤' ? judged <= bound : judged >= bound);
  return {
    id, what, unit,
    aerie: median(aerie), peer: peer ? median(peer) : null, peerName, ratio: peer ? median(aerie) / median(peer) : null,
    asked: limit ? `${sign} ${bound}${kind.suffix(unit)}` : null,
    met, isValid, note,
    spread: { least: Math.min(...each), most: Math.max(...each), of: kind === KINDS.ratio ? '×' : unit },
    runs: { aerie, peer },
  };
}

/** Nothing of what bench_load tells was lost, mixed up or refused. */
export const isRight = (result) => result.wrong === 0 && result.errors === 0 && result.status_other === 0 && result.messages > 0;

/** A row of what could not be measured: neither met nor hidden. */
export function missing({ id, what, reason }) {
  return { id, what, unit: '', aerie: null, peer: null, peerName: null, ratio: null, asked: null, met: false, isValid: false, note: reason, spread: null, runs: null };
}

const withUnit = (number, unit) => `${tell(number)}${unit && Number.isFinite(number ?? NaN) ? ` ${unit}` : ''}`;

/** The cells of a row, as people read them. */
export function cells(row) {
  const peer = row.peerName ? `${withUnit(row.peer, row.unit)} (${row.peerName})` : '';
  const spread = row.spread && (row.runs.aerie.length > 1) ? `${tell(row.spread.least)}–${tell(row.spread.most)}${row.spread.of ? ` ${row.spread.of}` : ''}` : '';
  let verdict = '';
  if (!row.isValid) verdict = 'INVALID';
  else if (row.met !== null) verdict = row.met ? 'yes' : 'no';
  return [row.id, row.note ? `${row.what} (${row.note})` : row.what, row.aerie === null ? '' : withUnit(row.aerie, row.unit), peer, row.ratio === null ? '' : tell(row.ratio), row.asked ?? '', verdict, spread];
}
