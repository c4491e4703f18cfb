// What the README and the documents link to is there: files, headings, pictures. No picture lies about unused.
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../../', import.meta.url));
const pages = ['README.md', ...readdirSync(join(root, 'docs')).filter((name) => name.endsWith('.md')).map((name) => `docs/${name}`)];
const MAX_PICTURE_BYTES = 150_000;

/** Without what is shown as code: brackets there are no links. */
const prose = (path) => readFileSync(join(root, path), 'utf8').replace(/^```.*?^```/gms, '').replace(/`[^`\n]*`/g, (code) => code.replace(/[[\]()<>]/g, '·'));

/** The anchors of a page's headings, as GitHub makes them. */
function anchorsOf(path) {
  const anchors = new Set();
  const text = readFileSync(join(root, path), 'utf8').replace(/^```.*?^```/gms, '');
  for (const [, heading] of text.matchAll(/^#{1,6} +(.+?) *$/gm)) {
    const slug = heading.replace(/\[([^\]]*)\]\([^)]*\)/g, '$1').toLowerCase().replace(/[^\p{L}\p{N}\p{M}_ -]/gu, '').replaceAll(' ', '-');
    let anchor = slug;
    for (let n = 1; anchors.has(anchor); n++) anchor = `${slug}-${n}`;
    anchors.add(anchor);
  }
  return anchors;
}

/** [{page, target}] of all links and pictures of a page that lead into this repository. */
function linksOf(page) {
  const text = prose(page);
  const found = [...text.matchAll(/\]\(([^)\s]+)(?: "[^"]*")?\)/g), ...text.matchAll(/<(?:img|source|a)\b[^>]*?\b(?:src|srcset|href)="([^"]+)"/g)];
  return found.map(([, target]) => ({ page, target })).filter(({ target }) => !/^(?:[a-z]+:|\/\/)/.test(target));
}

const links = pages.flatMap(linksOf);
const fileOf = ({ page, target }) => (target.startsWith('#') ? page : relative(root, join(root, dirname(page), target.split('#')[0])));

test('every_link_of_the_documents_leads_somewhere', () => {
  assert.ok(links.length > 100, `${links.length} links`);
  const dead = links.filter((link) => {
    const anchor = link.target.split('#')[1];
    const file = fileOf(link);
    return !existsSync(join(root, file)) || (anchor && file.endsWith('.md') && !anchorsOf(file).has(anchor));
  });
  assert.deepEqual(dead.map(({ page, target }) => `${page}: ${target}`), []);
});

test('every_document_is_in_the_index', () => {
  const indexed = new Set(linksOf('docs/README.md').map(fileOf));
  assert.deepEqual(pages.filter((page) => page.startsWith('docs/') && page !== 'docs/README.md' && !indexed.has(page)), []);
});

test('every_picture_is_used_and_small', () => {
  const used = new Set(links.map(fileOf));
  const pictures = readdirSync(join(root, 'docs/images')).map((name) => `docs/images/${name}`);
  assert.ok(pictures.length > 0);
  assert.deepEqual(pictures.filter((path) => !used.has(path)), []);
  assert.deepEqual(pictures.filter((path) => statSync(join(root, path)).size > MAX_PICTURE_BYTES), []);
});
