// The table: for a terminal, and for docs/performance.md.
import { cells } from './figures.mjs';

const HEAD = ['', 'what', 'Aerie', 'peer', 'ratio', 'asked', 'met', 'spread'];

const ALL = HEAD.map((_, column) => column);

/** Columns one under the other: those that are asked for. */
export function plainTable(rows, columns = ALL) {
  const lines = [HEAD, ...rows.map(cells)].map((line) => columns.map((column) => line[column]));
  const widths = columns.map((_, column) => Math.max(...lines.map((line) => line[column].length)));
  return lines.map((line) => line.map((cell, column) => cell.padEnd(widths[column])).join('  ').trimEnd()).join('\n');
}

export function markdownTable(rows, columns = ALL) {
  const chosen = (all) => columns.map((column) => all[column]);
  const line = (parts) => `| ${parts.map((part) => part.replaceAll('|', '\\|')).join(' | ')} |`.replaceAll('|  |', '| |').replaceAll('|  |', '| |');
  return [line(chosen(HEAD)), `|${'---|'.repeat(columns.length)}`, ...rows.map((row) => line(chosen(cells(row))))].join('\n');
}

/** The text with what stands between <!-- NAME --> and <!-- /NAME --> replaced. */
export function replaceBetween(text, name, inner) {
  const begin = `<!-- ${name} -->`;
  const end = `<!-- /${name} -->`;
  const from = text.indexOf(begin);
  const to = text.indexOf(end);
  if (from < 0 || to < from) throw new Error(`there is no ${begin} … ${end} to write between`);
  return `${text.slice(0, from + begin.length)}\n${inner.trim()}\n${text.slice(to)}`;
}

/** One sentence about where the figures come from. */
export function origin(machine) {
  return `Measured on ${machine.date} at commit ${machine.commit}: ${machine.cores} cores (${machine.cpu}), ${machine.memory_gb} GB, Linux ${machine.kernel}, ` +
    `${Object.entries(machine.versions).map(([name, version]) => `${name} ${version}`).join(', ')}; ${machine.runs} runs, ${machine.is_pinned ? 'server and load on cores of their own' : 'server and load on the same cores'}.`;
}
