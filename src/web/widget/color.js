// Colours that can be read: what stands on the site's colour, and the site's colour on our ground, with the contrast of WCAG 2.2 AA.

const AA = 4.5;

const parse = (color) => [1, 3, 5].map((at) => parseInt(color.slice(at, at + 2), 16));
const format = (rgb) => `#${rgb.map((part) => Math.round(part).toString(16).padStart(2, '0')).join('')}`;
const mix = (a, b, share) => a.map((part, i) => part + (b[i] - part) * share);

/** https://www.w3.org/TR/WCAG22/#dfn-relative-luminance */
function luminance(rgb) {
  const [r, g, b] = rgb.map((part) => (part / 255 <= 0.04045 ? part / 255 / 12.92 : ((part / 255 + 0.055) / 1.055) ** 2.4));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}

function contrast(a, b) {
  const [dark, light] = [luminance(a), luminance(b)].sort((x, y) => x - y);
  return (light + 0.05) / (dark + 0.05);
}

/** "#0b6b69" of "#0B6B69" or "#abc"; null for what is no colour. */
export function readColor(text) {
  const found = /^#([0-9a-f]{6}|[0-9a-f]{3})$/i.exec(text ?? '')?.[1].toLowerCase();
  if (!found) return null;
  return `#${found.length === 3 ? [...found].map((digit) => digit + digit).join('') : found}`;
}

/** Black or white, whichever is read better on it. */
export function textOn(color) {
  const rgb = parse(color);
  return contrast(rgb, [255, 255, 255]) >= contrast(rgb, [0, 0, 0]) ? '#ffffff' : '#000000';
}

/** The colour, darker or lighter until it can be read on that ground. */
export function readableOn(color, ground) {
  const [from, on] = [parse(color), parse(ground)];
  const to = luminance(on) > 0.18 ? [0, 0, 0] : [255, 255, 255];
  for (let share = 0; share < 1; share += 0.05) {
    const rgb = parse(format(mix(from, to, share)));
    if (contrast(rgb, on) >= AA) return format(rgb);
  }
  return format(to);
}
