// Charts by day, drawn as SVG: stacked bars, or lines. Each has its numbers as a table under it, to be read aloud and copied.
import { useEffect, useRef, useState } from 'preact/hooks';
import { CopyButton } from './button.jsx';
import { Card } from './page.jsx';
import { Table } from './table.jsx';
import './chart.css';

const HEIGHT = 220;
const EDGE = { top: 12, right: 8, bottom: 26, left: 56 };
const LABEL_WIDTH = 76;

const DAY = new Intl.DateTimeFormat('en-GB', { day: 'numeric', month: 'short', timeZone: 'UTC' });
export const dayName = (day) => DAY.format(new Date(`${day}T00:00:00Z`));
const SHORT = new Intl.NumberFormat('en-GB', { notation: 'compact', maximumFractionDigits: 1 });

/** The axis' top: four steps of a round number, not below the value. */
export function niceTop(value) {
  if (!(value > 0)) return 4;
  const raw = Math.max(1, value / 4);
  const power = 10 ** Math.floor(Math.log10(raw));
  return 4 * power * [1, 2, 3, 4, 5, 6, 8, 10].find((step) => step * power >= raw - 1e-9);
}

const sum = (values) => values.reduce((total, value) => total + (value ?? 0), 0);

function useWidth() {
  const element = useRef(null);
  const [width, setWidth] = useState(0);
  useEffect(() => {
    const observer = new ResizeObserver(([{ contentRect }]) => setWidth(Math.floor(contentRect.width)));
    observer.observe(element.current);
    return () => observer.disconnect();
  }, []);
  return [element, width];
}

function Axes({ days, top, width, x, y }) {
  const steps = [0, 1, 2, 3, 4].map((i) => (top * i) / 4);
  const every = Math.max(1, Math.ceil((days.length * LABEL_WIDTH) / (width - EDGE.left - EDGE.right)));
  return (
    <>
      {steps.map((step) => (
        <g key={step}>
          <line class="grid" x1={EDGE.left} x2={width - EDGE.right} y1={y(step)} y2={y(step)} />
          <text class="tick" x={EDGE.left - 8} y={y(step) + 4} text-anchor="end">{SHORT.format(step)}</text>
        </g>
      ))}
      {days.map((day, i) => i % every === 0 && <text key={day} class="tick" x={x(i)} y={HEIGHT - 6} text-anchor="middle">{dayName(day)}</text>)}
    </>
  );
}

function Bars({ days, series, x, y, slot, format }) {
  const width = Math.max(1, Math.min(36, slot * 0.7));
  return days.map((day, i) => {
    let below = 0;
    return (
      <g key={day}>
        <title>{[dayName(day), ...series.filter(({ values }) => values[i]).map(({ name, values }) => `${name}: ${format(values[i])}`)].join('\n')}</title>
        <rect class="reach" x={x(i) - slot / 2} y={EDGE.top} width={slot} height={HEIGHT - EDGE.top - EDGE.bottom} />
        {series.map(({ key, color, values }) => {
          const value = values[i] ?? 0;
          if (value === 0) return null;
          below += value;
          return <rect key={key} class={`ink-${color}`} x={x(i) - width / 2} y={y(below)} width={width} height={Math.max(1, y(below - value) - y(below))} rx={Math.min(2, width / 4)} />;
        })}
      </g>
    );
  });
}

/** The runs of days with a value: a day without one breaks the line. */
function runsOf(values) {
  const runs = [];
  values.forEach((value, i) => {
    if (value === null) return;
    if (i === 0 || values[i - 1] === null) runs.push([]);
    runs.at(-1).push(i);
  });
  return runs;
}

function Lines({ days, series, x, y, format }) {
  return series.map(({ key, color, name, values }) => (
    <g key={key}>
      {runsOf(values).map((run) => <polyline key={run[0]} class={`line-${color}`} points={run.map((i) => `${x(i)},${y(values[i])}`).join(' ')} />)}
      {values.map((value, i) => value !== null && (
        <circle key={days[i]} class={`ink-${color}`} cx={x(i)} cy={y(value)} r={4}><title>{`${dayName(days[i])}\n${name}: ${format(value)}`}</title></circle>
      ))}
    </g>
  ));
}

/**
 * kind: bars | lines. days: 'YYYY-MM-DD', without gaps. series: [{key, name, color: 0…6, values: a number or null for each day}].
 * summary: what the drawing shows, in a sentence. format: a number for people. extra: below the legend.
 */
export function Chart({ title, lead, kind = 'bars', days, series, summary, format = (value) => value.toLocaleString('en-GB'), extra }) {
  const [box, width] = useWidth();
  const top = niceTop(Math.max(0, ...days.map((_, i) => (kind === 'bars' ? sum(series.map(({ values }) => values[i])) : Math.max(0, ...series.map(({ values }) => values[i] ?? 0))))));
  const slot = (width - EDGE.left - EDGE.right) / days.length;
  const x = (i) => EDGE.left + slot * (i + 0.5);
  const y = (value) => HEIGHT - EDGE.bottom - (value / top) * (HEIGHT - EDGE.top - EDGE.bottom);
  const Marks = kind === 'bars' ? Bars : Lines;
  return (
    <Card title={title} lead={lead}>
      <div ref={box} class="chart">
        {width > 0 && (
          <svg role="img" aria-label={summary} width={width} height={HEIGHT} viewBox={`0 0 ${width} ${HEIGHT}`}>
            <Axes days={days} top={top} width={width} x={x} y={y} />
            <Marks days={days} series={series} x={x} y={y} slot={slot} format={format} />
          </svg>
        )}
      </div>
      <ul class="legend" aria-label={`Colours of ${title}`}>
        {series.map(({ key, name, color }) => <li key={key}><span class={`swatch swatch-${color}`} aria-hidden="true" />{name}</li>)}
      </ul>
      {extra}
      <Numbers title={title} kind={kind} days={days} series={series} format={format} />
    </Card>
  );
}

/** The chart's numbers: only the days that have some, so that it can be read. A mean of 0 is one, a sum of 0 is none. */
function Numbers({ title, kind, days, series, format }) {
  const isThere = (value) => (kind === 'lines' ? value !== null : value > 0);
  const rows = days.map((day, i) => ({ id: day, i })).filter(({ i }) => series.some(({ values }) => isThere(values[i])));
  const text = [['Day', ...series.map(({ name }) => name)], ...rows.map(({ id, i }) => [id, ...series.map(({ values }) => values[i] ?? '')])].map((row) => row.join('\t')).join('\n');
  const columns = [
    { title: 'Day', cell: ({ id }) => <time dateTime={id}>{id}</time> },
    ...series.map(({ name, values }) => ({ title: name, class: 'number', cell: ({ i }) => (values[i] === null ? '–' : format(values[i])) })),
  ];
  return (
    <details class="numbers">
      <summary>Numbers: {title}</summary>
      {rows.length === 0 ? <p class="faint">None in these days.</p> : (
        <>
          <Table caption={title} columns={columns} rows={rows} />
          <CopyButton text={text} label="Copy for a spreadsheet" />
        </>
      )}
    </details>
  );
}
