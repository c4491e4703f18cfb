// The picture: what held streams cost, drawn without a library. It has a ground of its own and follows the reader's light or
// dark, so that it can be read wherever it is shown.

const STYLE = `
  .ground { fill: #ffffff } .text { fill: #24292f } .dim { fill: #57606a } .line { stroke: #d0d7de } .aerie { stroke: #0a7d4f; fill: #0a7d4f } .nginx { stroke: #b35900; fill: #b35900 }
  @media (prefers-color-scheme: dark) {
    .ground { fill: #0d1117 } .text { fill: #e6edf3 } .dim { fill: #9da7b3 } .line { stroke: #3d444d } .aerie { stroke: #3fd093; fill: #3fd093 } .nginx { stroke: #f0a04b; fill: #f0a04b }
  }
  text { font: 13px system-ui, sans-serif } .title { font-weight: 600 } .name { stroke: none } path { fill: none !important; stroke-width: 2.5 } .nginx.path { stroke-dasharray: 7 4 }`;

const escape = (text) => String(text).replace(/[&<>"]/g, (c) => ({ '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' })[c]);

/** A round step so that about four of them reach the value: 1, 2 or 5 times a power of ten. */
export function stepFor(most) {
  const rough = most / 4;
  const power = 10 ** Math.floor(Math.log10(rough));
  return [1, 2, 5, 10].map((factor) => factor * power).find((step) => step >= rough);
}

/** One panel: lines of points {x, y} in a frame at (left, 0). */
function panel({ left, width, height, title, lines }) {
  const top = 46;
  const plot = { x: left + 52, y: top, w: width - 122, h: height - top - 44 };
  const all = lines.flatMap(({ points }) => points);
  const xMost = Math.max(...all.map(({ x }) => x));
  const yStep = stepFor(Math.max(...all.map(({ y }) => y)) * 1.05);
  const yMost = yStep * Math.ceil((Math.max(...all.map(({ y }) => y)) * 1.02) / yStep);
  const at = ({ x, y }) => [plot.x + (x / xMost) * plot.w, plot.y + plot.h - (y / yMost) * plot.h].map((n) => n.toFixed(1));
  const out = [`<text class="text title" x="${left + 14}" y="24">${escape(title)}</text>`];
  for (let y = 0; y <= yMost + yStep / 2; y += yStep) {
    const [, py] = at({ x: 0, y });
    out.push(`<line class="line" x1="${plot.x}" y1="${py}" x2="${plot.x + plot.w}" y2="${py}"/>`,
      `<text class="dim" x="${plot.x - 7}" y="${Number(py) + 4}" text-anchor="end">${escape(Number(y.toPrecision(3)))}</text>`);
  }
  for (const x of [...new Set(all.map((point) => point.x))].sort((a, b) => a - b)) {
    const [px] = at({ x, y: 0 });
    out.push(`<text class="dim" x="${px}" y="${plot.y + plot.h + 18}" text-anchor="middle">${x.toLocaleString('en-US')}</text>`);
  }
  out.push(`<text class="dim" x="${plot.x + plot.w}" y="${plot.y + plot.h + 36}" text-anchor="end">streams held</text>`);
  const ends = lines.map(({ points }) => Number(at(points.at(-1))[1]));
  const apart = Math.max(0, 16 - Math.abs(ends[0] - ends[1])) / 2; // so that two names do not meet
  lines.forEach(({ name, label, points }, i) => {
    const places = points.map(at);
    const isUpper = ends[i] < ends[1 - i] || (ends[i] === ends[1 - i] && i === 0);
    out.push(`<path class="${name} path" d="M${places.map((place) => place.join(' ')).join('L')}"/>`,
      ...places.map(([x, y]) => `<circle class="${name}" cx="${x}" cy="${y}" r="3"/>`),
      `<text class="${name} name" x="${plot.x + plot.w + 10}" y="${(ends[i] + 4 + (isUpper ? -apart : apart)).toFixed(1)}">${escape(label)}</text>`);
  });
  return out.join('\n');
}

/** points: [{streams, aerie: {mb, cpu}, nginx: {mb, cpu}}], cpu in percent of one core; the whole SVG. */
export function picture(points) {
  const width = 860;
  const height = 300;
  const lines = (of) => [['aerie', 'Aerie'], ['nginx', 'nginx']].map(([name, label]) => ({ name, label, points: points.map((point) => ({ x: point.streams, y: point[name][of] })) }));
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" role="img" aria-label="Memory and CPU of Aerie and nginx against the number of held streams">
<style>${STYLE}
</style>
<rect class="ground" width="${width}" height="${height}" rx="8"/>
${panel({ left: 0, width: width / 2, height, title: 'Memory of the server, MB', lines: lines('mb') })}
${panel({ left: width / 2, width: width / 2, height, title: 'CPU, % of a core (each stream: a chunk a second)', lines: lines('cpu') })}
</svg>
`;
}
