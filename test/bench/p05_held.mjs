// P5: as many streams as the machine's descriptors allow, for a minute: every text right, gaps as even as nginx's, memory given back.
import { figure } from './figures.mjs';
import { areRight, heldStreams, kbPerStreamLate } from './held.mjs';

export async function run(stand, amounts) {
  const streams = amounts.streams.at(-1);
  const results = await heldStreams(stand, streams);
  const isValid = areRight(results);
  const name = `${streams.toLocaleString('en-US')} streams for ${amounts.longSeconds} s`;
  const seconds = amounts.longSeconds + (2 * (streams / 1000)) / 2; // a chunk of 100 bytes a second; the mean stream began half a ramp before
  const gap = ({ gap_us }) => gap_us.p99 / 1000;
  const wrong = ({ wrong: texts, errors }) => texts + errors;
  return [
    figure({ id: 'P5', what: `${name}: wrong or missing texts`, aerie: results.aerie.map(wrong), peer: results.nginx.map(wrong), limit: { most: 0, of: 'value' }, isValid }),
    figure({ id: 'P5', what: `${name}: gap between chunks, p99`, unit: 'ms', aerie: results.aerie.map(gap), peer: results.nginx.map(gap), limit: { most: 1.25 }, isValid }),
    figure({
      id: 'P5', what: `${name}: memory per stream after half of it, of which the reply's text is ${(seconds / 20).toFixed(1)} kB`, unit: 'kB', isValid,
      aerie: results.aerie.map((result) => kbPerStreamLate(result, streams)), peer: results.nginx.map((result) => kbPerStreamLate(result, streams)),
    }),
    figure({
      id: 'P5', what: `${name}: memory afterwards, of idle`, unit: '×', limit: amounts.quick ? null : { most: 1.3, of: 'value' }, isValid, // it is given back within ten seconds
      aerie: results.aerie.map(({ memory }) => memory.after / memory.idle), peer: results.nginx.map(({ memory }) => memory.after / memory.idle),
    }),
  ];
}
