// What the widget makes of Markdown, in a real browser's document.
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { openBrowser } from './browser.mjs';

const web = fileURLToPath(new URL('../../src/web/', import.meta.url));
const { buildSync } = createRequire(`${web}package.json`)('esbuild');

let browser;
let page;
before(async () => {
  browser = await openBrowser();
  page = await browser.newPage();
  await page.route('**', (route) => route.fulfill({ contentType: 'text/html', body: '<!doctype html>' }));
  await page.goto('http://site.test/');
  const { outputFiles } = buildSync({ entryPoints: [`${web}widget/markdown.js`], bundle: true, format: 'iife', globalName: 'aerie', write: false });
  await page.addScriptTag({ content: outputFiles[0].text });
  await page.evaluate(() => {
    /** The nodes that text becomes when it comes in pieces that end at these places. */
    window.write = (text, ends = [text.length]) => {
      const root = document.createElement('div');
      const markdown = new window.aerie.Markdown(root, { copy: 'Copy', tab: 'tab' });
      for (const end of ends) markdown.update(text.slice(0, end));
      markdown.update(text);
      markdown.end();
      return root;
    };
  });
});
after(() => browser?.close());

const html = (text) => page.evaluate((source) => window.write(source).innerHTML.replace(/ target="_blank" rel="noopener noreferrer nofollow" title="tab"/g, ''), text);

const CASES = {
  'plain text': ['Hello, you.', '<p>Hello, you.</p>'],
  'emphasis': ['*a* **b** _c_ __d__ ~~e~~', '<p><em>a</em> <strong>b</strong> <em>c</em> <strong>d</strong> <s>e</s></p>'],
  'what is left open is text': ['2 * 3, **never closed\n\nand *this', '<p>2 * 3, **never closed</p><p>and *this</p>'],
  'names with underscores': ['see my_file_name.txt and __init__ and _a_b_', '<p>see my_file_name.txt and <strong>init</strong> and <em>a_b</em></p>'],
  'money and shells': ['$5 or $HOME/x and $a$', '<p>$5 or $HOME/x and $a$</p>'],
  'code keeps its marks': ['`a_b_c $x *y*`', '<p><code>a_b_c $x *y*</code></p>'],
  'code left open': ['run `rm -rf', '<p>run `rm -rf</p>'],
  'brackets that are no link': ['[1] and [note] and [x](', '<p>[1] and [note] and [x](</p>'],
  'a link cut in its address': ['see [docs](https://a.example/b', '<p>see [docs](https://a.example/b</p>'],
  'an address in the text': ['at https://a.example/b_c_d?e=$1. (https://a.example/x)', '<p>at <a href="https://a.example/b_c_d?e=$1">https://a.example/b_c_d?e=$1</a>. (https://a.example/x)</p>'],
  'an address within a link': ['[a_b](https://a.example/a_b_c)', '<p><a href="https://a.example/a_b_c">a_b</a></p>'],
  'an address of the page\'s site': ['[x](/y?z)', '<p><a href="http://site.test/y?z">x</a></p>'],
  'an address that is none': ['[x](y z) [a](javascript:1) ![b](data:text/html,x)', '<p>[x](y z) [a](javascript:1) ![b](data:text/html,x)</p>'],
  'lists': ['- a\n- b\n  - c\n\n1. d\n2. e', '<ul><li>a</li><li>b<ul><li>c</li></ul></li></ul><ol><li>d</li><li>e</li></ol>'],
  'a list from three': ['3. a\n4. b', '<ol start="3"><li>a</li><li>b</li></ol>'],
  'headings below the page\'s own': ['# a\n## b\n', '<h3>a</h3><h4>b</h4>'],
  'a table': ['| a | b |\n|---|---|\n| 1 | 2 |\n', '<div class="table" tabindex="0" role="group"><table><tr><th> a </th><th> b </th></tr><tr><td> 1 </td><td> 2 </td></tr></table></div>'],
  'markup': ['<img src=x onerror=alert(1)> &lt; <br> x', '<p>&lt;img src=x onerror=alert(1)&gt; &amp;lt; <br> x</p>'],
  'lines': ['a\nb', '<p>a<br>b</p>'],
};
for (const [name, [text, expected]] of Object.entries(CASES))
  test(`markdown_${name.replace(/\W+/g, '_')}`, async () => {
    assert.equal(await html(text), expected);
  });

test('a_block_of_code_is_copied_whole_and_is_text', async () => {
  const found = await page.evaluate(() => {
    const root = window.write('```js\nif (a < b) {\n  x_y = `$z`;\n}\n```\nafter');
    return [root.querySelector('pre code').textContent, root.querySelector('.codebar span').textContent, root.lastChild.textContent];
  });
  assert.deepEqual(found, ['if (a < b) {\n  x_y = `$z`;\n}', 'js', 'after']);
});

test('however_a_reply_is_cut_into_pieces_it_looks_the_same', async () => {
  const text = Object.values(CASES).map(([source]) => source).join('\n\n');
  const different = await page.evaluate((source) => {
    const whole = window.write(source).innerHTML;
    const wrong = [];
    for (let size = 1; size < 12; size++) {
      const ends = Array.from({ length: Math.floor(source.length / size) }, (_, i) => (i + 1) * size);
      if (window.write(source, ends).innerHTML !== whole) wrong.push(size);
    }
    return wrong;
  }, text);
  assert.deepEqual(different, []);
});

test('whatever_comes_no_word_is_lost_and_nothing_but_the_known_tags_is_made', async () => {
  const wrong = await page.evaluate(() => {
    const marks = ['*', '**', '_', '__', '`', '```', '```\n', '~~', '[', ']', '(', ')', '](', '![', '<', '>', '> ', '\n', '\n\n', '\n- ', '\n1. ', '\n# ', '|', '\n|', '|---|\n', ' ', '    ', '\t', '\\', '\\(', '\\)', '\\[\n', '$', '$$\n', 'https://', '<br>', '- [ ] ', '---\n', '&amp;', '!', '.', 'é', '😀'];
    const tags = new Set('P H3 H4 H5 H6 EM STRONG S CODE PRE A UL OL LI TABLE TR TH TD BLOCKQUOTE BR HR SPAN DIV BUTTON svg path'.split(' '));
    let seed = 7;
    const random = (n) => (seed = (Math.imul(seed, 1103515245) + 12345) >>> 0) % 65521 % n;
    const found = [];
    for (let round = 0; round < 10000; round++) {
      let text = '';
      for (let i = random(40); i >= 0; i--) text += random(3) ? marks[random(marks.length)] : `w${i}w`;
      const root = window.write(text, [random(text.length + 1)].sort());
      for (const node of root.querySelectorAll('.codebar button')) node.remove();
      const shown = root.textContent + [...root.querySelectorAll('a')].map((a) => a.getAttribute('href')).join('');
      const lost = (text.match(/w\d+w/g) ?? []).filter((word) => !shown.includes(word));
      const strange = [...root.querySelectorAll('*')].filter((node) => !tags.has(node.tagName) && !tags.has(node.localName)).map((node) => node.tagName);
      if (lost.length || strange.length) found.push({ text, lost, strange, shown: root.innerHTML });
    }
    return found.slice(0, 5).concat(found.length ? [found.length] : []);
  });
  assert.deepEqual(wrong, []);
});

test('a_reply_of_any_depth_is_shown', async () => {
  const length = await page.evaluate(() => window.write(`${'> '.repeat(500)}deep ${'*_'.repeat(500)} end`).textContent.includes('deep'));
  assert.equal(length, true);
});

test('a_long_reply_is_written_in_time_that_grows_as_it_does', async () => {
  const [short, long] = await page.evaluate(() => {
    const time = (n) => {
      const text = 'Some **words** and `code` with a_name, [a link](https://a.example/).\n\n'.repeat(n);
      const ends = Array.from({ length: Math.floor(text.length / 20) }, (_, i) => (i + 1) * 20);
      const from = performance.now();
      window.write(text, ends);
      return performance.now() - from;
    };
    time(50);
    return [time(100), time(1600)];
  });
  assert.ok(long < Math.max(short, 5) * 16 * 8, `${short} ms, ${long} ms`);
});
