// The widget in a real browser, on pages of another origin than the server's.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, afterEach, before, beforeEach, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Aerie } from '../tools/aerie.mjs';
import { startProxy } from '../fault/proxy.mjs';
import { textOf } from '../fake/replies.mjs';
import { startUpstream } from '../fake/upstream.mjs';
import { assertAccessible } from './axe.mjs';
import { openBrowser } from './browser.mjs';
import { Site } from './site.mjs';

const UNBOUND = { LIMITS__VISITOR_MESSAGES_PER_MINUTE: '0', LIMITS__VISITOR_SESSIONS_PER_MINUTE: '0' };

let aerie;
let upstream;
let browser;
let site;
let agent;
let context;
let page;
let complaints;

before(async () => {
  upstream = await startUpstream();
  site = await Site.start();
  aerie = await Aerie.start({ env: UNBOUND });
  agent = await newAgent();
  browser = await openBrowser();
});
after(async () => {
  await browser?.close();
  site?.close();
  await aerie?.stop();
  await upstream?.close();
});
beforeEach(() => openContext());
afterEach(async () => {
  await context.close();
  assert.deepEqual(complaints, []);
});

const newAgent = (more = {}) => aerie.admin.agent({ name: 'Shop assistant', webhook_url: upstream.url(), allowed_origins: [site.origin], ...more });

async function openContext(options = {}) {
  await context?.close();
  context = await browser.newContext(options);
  complaints = [];
  page = await newTab();
}

async function newTab() {
  const tab = await context.newPage();
  tab.setDefaultTimeout(20000);
  tab.on('pageerror', (error) => complaints.push(error.message));
  tab.on('console', (message) => {
    if (/Content.Security.Policy|Refused to|Trusted/i.test(message.text())) complaints.push(message.text());
  });
  return tab;
}

const snippet = ({ chatbot = agent, attributes = '', base = aerie.base } = {}) =>
  `<script src="${base}/widget.js" data-chatbot-id="${chatbot.id}" ${attributes} async></script>`;

const launcher = (tab = page) => tab.locator('.launcher');
const field = (tab = page) => tab.locator('textarea');
const replies = (tab = page) => tab.locator('.message.assistant .text');
const whole = (tab = page) => tab.locator('.message.assistant:not(.streaming) .text');
/** The reply, which stands below the greeting. */
const lastReply = (tab = page) => replies(tab).last().textContent();

async function openWidget(url = site.page(snippet()), tab = page) {
  await tab.goto(url);
  await launcher(tab).click();
  await field(tab).waitFor();
}

async function say(text, tab = page) {
  await field(tab).fill(text);
  await field(tab).press('Enter');
}

/** Until the reply has this many characters. */
const grown = (length, tab = page) =>
  tab.waitForFunction((n) => (document.querySelector('aerie-chat')?.shadowRoot.querySelector('.message.streaming .text')?.textContent.length ?? 0) >= n, length);

async function ended(n = 1, tab = page) {
  await whole(tab).nth(n).waitFor();
  return lastReply(tab);
}

test('one_script_element_puts_a_chat_on_a_page_and_the_reply_streams', async () => {
  await openWidget();
  await page.evaluate(() => {
    const { shadowRoot } = document.querySelector('aerie-chat');
    window.seen = new Set();
    new MutationObserver(() => window.seen.add(shadowRoot.querySelector('.message.streaming .text')?.textContent.length ?? 0))
      .observe(shadowRoot, { subtree: true, childList: true, characterData: true });
  });
  await say('!tokens=20&delay=20');
  assert.equal(await ended(), textOf({ tokens: 20 }));
  assert.ok((await page.evaluate(() => window.seen.size)) > 5, 'the text grew in steps');
  assert.equal(await page.locator('.message.user .text').textContent(), '!tokens=20&delay=20');
});

test('a_page_whose_policy_grants_a_script_and_a_connection_has_all_of_it', async () => {
  const policy = `default-src 'none'; script-src ${aerie.base}; connect-src ${aerie.base}; require-trusted-types-for 'script'`;
  await openWidget(site.page(snippet({ attributes: 'data-color="#7a1fa2"' }), { headers: { 'Content-Security-Policy': policy } }));
  await say(`!${new URLSearchParams({ text: '**strong** and `code`' })}`);
  assert.equal(await ended(), 'strong and code');
  const look = await launcher().evaluate((node) => ({ color: getComputedStyle(node).backgroundColor, width: node.offsetWidth }));
  assert.deepEqual(look, { color: 'rgb(122, 31, 162)', width: 60 });
});

test('a_reload_in_mid_reply_goes_on_after_the_last_event', async () => {
  const resumed = [];
  page.on('request', (request) => request.url().includes('/widget/stream') && resumed.push(request.headers()['last-event-id']));
  await openWidget();
  await say('!tokens=80&delay=30');
  await grown(60);
  await page.reload();
  await page.locator('.message.streaming').waitFor();
  assert.equal(await ended(), textOf({ tokens: 80 }));
  assert.match(resumed.at(-1) ?? '', /^[0-9a-f-]{36}:\d+$/);
  assert.equal(await page.locator('.message.user').count(), 1);
});

test('twenty_seconds_offline_in_mid_reply_lose_nothing_and_the_visitor_is_told', async () => {
  await openWidget();
  await say('!tokens=400&delay=70');
  await grown(100);
  await context.setOffline(true);
  await page.getByText('You are offline.').first().waitFor();
  const before = await lastReply();
  await sleep(20_000);
  assert.equal(await lastReply(), before, 'nothing came meanwhile');
  await context.setOffline(false);
  await page.waitForFunction(() => document.querySelector('aerie-chat').shadowRoot.querySelector('.note').hidden);
  assert.equal(await ended(), textOf({ tokens: 400 }));
});

test('a_line_that_breaks_again_and_again_is_taken_up_again', async () => {
  const proxy = await startProxy({ port: aerie.port });
  try {
    await openWidget(site.page(snippet({ base: `http://127.0.0.1:${proxy.port}` })));
    await say('!tokens=120&delay=20');
    for (const length of [50, 250, 450]) {
      await grown(length);
      proxy.reset();
    }
    assert.equal(await ended(), textOf({ tokens: 120 }));
  } finally {
    await proxy.close();
  }
});

test('a_message_that_the_network_ate_is_asked_once_when_it_is_back', async () => {
  await openWidget();
  await page.evaluate(() => document.querySelector('aerie-chat').isReady);
  await context.setOffline(true);
  await say('!tokens=4&tag=eaten');
  await page.getByText('You are offline.').first().waitFor();
  await context.setOffline(false);
  assert.equal(await ended(), textOf({ tokens: 4 }));
  assert.equal(upstream.requests.filter(({ options }) => options.tag === 'eaten').length, 1);
});

test('markup_in_a_reply_is_text_and_other_addresses_than_of_the_web_and_mail_are_no_links', async () => {
  const evil = [
    '<img src=x onerror="window.hacked=1"><script>window.hacked=2</script> <b>bold</b>',
    '[run](javascript:window.hacked=3) [data](data:text/html,x) ![pic](javascript:window.hacked=4) [tab](java\tscript:window.hacked=5)',
    '[good](https://shop.example/a?b=c) [mail](mailto:a@shop.example) ![photo](https://shop.example/p.png) [title](https://shop.example/t "onclick=1")',
    '<a href="javascript:1" onclick="1">x</a> https://shop.example/end. `<i>code</i>`',
  ].join('\n\n');
  await openWidget();
  await say(`!${new URLSearchParams({ text: evil })}`);
  const text = await ended();
  assert.ok(text.includes('<img src=x onerror="window.hacked=1"><script>window.hacked=2</script> <b>bold</b>'), text);
  const look = () => replies().last().evaluate((node) => ({
    tags: [...new Set([...node.querySelectorAll('*')].map((child) => child.localName))].sort(),
    links: [...node.querySelectorAll('a')].map((a) => [a.textContent, a.getAttribute('href'), a.target, a.rel]),
    on: [...node.querySelectorAll('*')].flatMap((child) => child.getAttributeNames()).filter((name) => name.startsWith('on')),
  }));
  const safe = (name, href) => [name, href, '_blank', 'noopener noreferrer nofollow'];
  const expected = {
    tags: ['a', 'code', 'p'],
    links: [safe('good', 'https://shop.example/a?b=c'), safe('mail', 'mailto:a@shop.example'), safe('photo', 'https://shop.example/p.png'),
      safe('title', 'https://shop.example/t'), safe('https://shop.example/end', 'https://shop.example/end')],
    on: [],
  };
  assert.deepEqual(await look(), expected);
  await page.reload();
  await whole().nth(1).waitFor();
  assert.deepEqual(await look(), expected);
  assert.equal(await page.evaluate(() => window.hacked), undefined);
});

test('a_message_of_the_visitor_is_text_as_well', async () => {
  await openWidget();
  await say('<img src=x onerror="window.hacked=1"> **not bold**');
  await ended();
  assert.equal(await page.locator('.message.user .text').innerHTML(), '&lt;img src=x onerror="window.hacked=1"&gt; **not bold**');
  assert.equal(await page.evaluate(() => window.hacked), undefined);
});

test('stop_keeps_what_came', async () => {
  await openWidget();
  await say('!tokens=400&delay=30');
  await grown(40);
  await page.getByRole('button', { name: 'Stop' }).click();
  await page.getByText('Stopped').waitFor();
  const text = await lastReply();
  assert.ok(text.length >= 40 && textOf({ tokens: 400 }).startsWith(text), text);
  await say('!tokens=2');
  assert.equal(await ended(2), textOf({ tokens: 2 }));
});

test('a_reply_that_failed_says_so_and_is_asked_again', async () => {
  let isBroken = true;
  upstream.handle('/webhook/flaky', (_, socket) => {
    const body = isBroken ? '{"message":"secret of the workflow"}' : '{"output":"Second time lucky"}';
    socket.write(`HTTP/1.1 ${isBroken ? '500 Oops' : '200 OK'}\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`);
  });
  const flaky = await newAgent({ webhook_url: upstream.url({}, '/webhook/flaky') });
  await openWidget(site.page(snippet({ chatbot: flaky })));
  await say('Please');
  await page.getByText('No answer came. Please try again.').first().waitFor();
  assert.ok(!(await page.locator('.log').textContent()).includes('secret'));
  isBroken = false;
  await page.getByRole('button', { name: 'Try again' }).click();
  assert.equal(await ended(1), 'Second time lucky');
  const said = ['Please', 'Second time lucky'];
  assert.deepEqual((await page.locator('.message .text').allTextContents()).slice(1), said);
  await page.reload();
  await whole().nth(1).waitFor();
  assert.deepEqual((await page.locator('.message .text').allTextContents()).slice(1), said, 'the try that failed is not told again');
});

test('too_many_messages_are_answered_with_the_time_to_wait_and_sent_later', async () => {
  const own = await Aerie.start({ env: { LIMITS__VISITOR_MESSAGES_PER_MINUTE: '1' } });
  try {
    const echo = await own.admin.agent({ provider: 'echo', allowed_origins: [site.origin] });
    await openWidget(site.page(snippet({ chatbot: echo, base: own.base })));
    await say('one');
    await ended();
    await say('two');
    await page.locator('.problem').waitFor();
    assert.match(await page.locator('.problem').textContent(), /^Too many messages\. Please wait \d+ s\.$/);
    assert.ok(await page.getByRole('button', { name: 'Try again' }).isVisible());
  } finally {
    await own.stop();
  }
});

test('a_page_that_is_not_let_in_is_told_so_and_its_owner_where_to_change_it', async () => {
  const closed = await newAgent({ allowed_origins: ['https://shop.test'] });
  const warnings = [];
  page.on('console', (message) => message.type() === 'warning' && warnings.push(message.text()));
  await openWidget(site.page(snippet({ chatbot: closed })));
  await say('hello?');
  await page.getByText('This chat is not available here.').first().waitFor();
  assert.ok(warnings.some((text) => text.includes(`"${site.origin}"`) && text.includes('allowed_origins') && text.includes(`${aerie.base}/console`)), warnings.join('\n'));
});

test('a_session_that_the_server_no_longer_knows_begins_anew', async () => {
  const url = site.page(snippet());
  await page.goto(url);
  await launcher().waitFor();
  await page.evaluate(([key, id]) => localStorage.setItem(key, JSON.stringify({ session_id: id, visitor_token: 'x'.repeat(43) })), [`aerie ${aerie.base} ${agent.id}`, randomUUID()]);
  await page.reload();
  await launcher().click();
  await say('!tokens=3');
  assert.equal(await ended(), textOf({ tokens: 3 }));
});

test('a_reload_keeps_the_chat_the_draft_and_whether_it_is_open', async () => {
  await openWidget();
  await say('!tokens=3');
  await ended();
  await field().fill('half a thou');
  await page.reload();
  assert.equal(await ended(), textOf({ tokens: 3 }));
  assert.equal(await field().inputValue(), 'half a thou');
  await page.getByRole('button', { name: 'New chat' }).click();
  assert.equal(await replies().count(), 1, 'the greeting alone');
  await page.reload();
  await field().waitFor();
  assert.equal(await replies().count(), 1);
});

test('another_tab_has_the_same_chat_and_sees_the_reply_come', async () => {
  const url = site.page(snippet());
  await openWidget(url);
  const other = await newTab();
  await openWidget(url, other);
  await say('!tokens=60&delay=30');
  await other.locator('.message.streaming').waitFor();
  assert.equal(await ended(1, other), textOf({ tokens: 60 }));
  assert.equal(await ended(), textOf({ tokens: 60 }));
});

test('where_storage_is_denied_it_chats_for_as_long_as_the_page_is_there', async () => {
  const open = await newAgent({ allowed_origins: ['*'] });
  await openWidget(site.page(snippet({ chatbot: open }), { headers: { 'Content-Security-Policy': 'sandbox allow-scripts allow-forms' } }));
  assert.equal(await page.evaluate(() => { try { return Boolean(localStorage); } catch (error) { return error.name; } }), 'SecurityError');
  for (const n of [1, 2]) {
    await say(`!tokens=${n}`);
    assert.equal(await ended(n), textOf({ tokens: n }));
  }
});

test('the_keyboard_is_enough_and_the_focus_goes_where_it_belongs', async () => {
  const focused = () => page.evaluate(() => document.activeElement.shadowRoot?.activeElement?.className || document.activeElement.shadowRoot?.activeElement?.localName || document.activeElement.localName);
  await page.goto(site.page(snippet()));
  await launcher().waitFor();
  for (const expected of ['a', 'launcher']) {
    await page.keyboard.press('Tab');
    assert.equal(await focused(), expected);
  }
  await page.keyboard.press('Enter');
  assert.equal(await focused(), 'textarea');
  await page.keyboard.type('!tokens=2');
  await page.keyboard.press('Enter');
  await ended();
  await page.keyboard.type('one');
  await page.keyboard.press('Shift+Enter');
  await page.keyboard.type('two');
  assert.equal(await field().inputValue(), 'one\ntwo');
  await page.keyboard.press('Tab');
  assert.equal(await focused(), 'round send');
  await page.keyboard.press('Escape');
  assert.equal(await focused(), 'launcher');
  assert.equal(await launcher().getAttribute('aria-expanded'), 'false');
  assert.equal(await page.getByRole('dialog').count(), 0);
});

test('a_reply_is_announced_once_and_whole', async () => {
  await openWidget();
  await page.evaluate(() => {
    const live = document.querySelector('aerie-chat').shadowRoot.querySelector('[role=status]');
    window.told = [];
    new MutationObserver(() => window.told.push(live.textContent)).observe(live, { childList: true, subtree: true });
  });
  await say('!tokens=20&delay=10');
  await ended();
  assert.deepEqual(await page.evaluate(() => window.told), ['Writing…', `Shop assistant: ${textOf({ tokens: 20 })}`]);
});

test('two_widgets_stand_beside_each_other_and_each_has_its_own_chat', async () => {
  const second = await newAgent({ name: 'Other', webhook_url: upstream.url({ text: 'from the other' }) });
  await page.goto(site.page(snippet() + snippet({ chatbot: second })));
  await launcher().nth(1).waitFor();
  const areBeside = async () => {
    const [a, b] = [await launcher().nth(0).boundingBox(), await launcher().nth(1).boundingBox()];
    return a.x + a.width <= b.x || b.x + b.width <= a.x;
  };
  for (let tries = 0; tries < 50 && !(await areBeside()); tries++) await sleep(100); // each finds its place once its settings are there
  assert.ok(await areBeside());
  await page.locator(`aerie-chat[chatbot-id="${second.id}"] .launcher`).click();
  const own = page.locator(`aerie-chat[chatbot-id="${second.id}"]`);
  await own.locator('textarea').fill('hello');
  await own.locator('textarea').press('Enter');
  await own.locator('.message.assistant:not(.streaming) .text').nth(1).waitFor();
  assert.equal(await own.locator('.message.assistant .text').nth(1).textContent(), 'from the other');
  assert.equal(await page.locator(`aerie-chat[chatbot-id="${agent.id}"] .message.user`).count(), 0);
});

test('an_element_of_ones_own_shows_the_chat_in_its_box', async () => {
  const body = `<div id="box" style="width: 500px; height: 600px"><aerie-chat inline chatbot-id="${agent.id}" server="${aerie.base}" greeting="Hi **there**"></aerie-chat></div><script type="module">import { define } from '${aerie.base}/widget.mjs'; define();</script>`;
  await page.goto(site.page(body));
  await field().waitFor();
  const [box, panel] = [await page.locator('#box').boundingBox(), await page.locator('.panel').boundingBox()];
  assert.deepEqual(panel, box);
  assert.equal(await replies().first().innerHTML(), '<p>Hi <strong>there</strong></p>');
  await say('!tokens=2');
  assert.equal(await ended(), textOf({ tokens: 2 }));
  assert.equal(await launcher().count(), 0);
});

test('nothing_of_the_pages_style_comes_in_and_nothing_goes_out', async () => {
  const style = '<style>* { color: red !important; font: 40px serif !important; letter-spacing: 9px !important; box-sizing: content-box !important } :root { --surface: red; --line: red } button, textarea { display: none !important }</style>';
  const look = async (head) => {
    await openWidget(site.page(snippet(), { head }));
    return page.evaluate(() => {
      const { shadowRoot } = document.querySelector('aerie-chat');
      const names = ['color', 'font', 'letterSpacing', 'boxSizing', 'display', 'backgroundColor', 'borderColor', 'width'];
      const of = (node) => names.map((name) => getComputedStyle(node)[name]);
      return ['textarea', '.launcher', 'h2', '.message .text', '.panel'].map((selector) => of(shadowRoot.querySelector(selector)));
    });
  };
  const plain = await look('');
  const before = await page.evaluate(() => [document.styleSheets.length, document.adoptedStyleSheets.length, getComputedStyle(document.querySelector('h1')).font]);
  assert.deepEqual(before.slice(0, 2), [0, 0]);
  await openContext();
  assert.deepEqual(await look(style), plain);
});

test('attributes_and_the_pages_settings_say_how_it_looks', async () => {
  const head = '<script>window.AerieSettings = { title: "From the page", placeholder: "Ask…", position: "left" }</script>';
  const attributes = 'data-title="From the tag" data-suggestions="One?|Two?" data-theme="dark" data-color="#ffd400" data-language="de"';
  await openWidget(site.page(snippet({ attributes }), { head }));
  assert.equal(await page.locator('h2').textContent(), 'From the tag');
  assert.equal(await field().getAttribute('placeholder'), 'Ask…');
  assert.ok((await launcher().boundingBox()).x < 100);
  assert.deepEqual(await page.locator('.chips button').allTextContents(), ['One?', 'Two?']);
  const colors = await launcher().evaluate((node) => [getComputedStyle(node).backgroundColor, getComputedStyle(node).color]);
  assert.deepEqual(colors, ['rgb(255, 212, 0)', 'rgb(0, 0, 0)'], 'a light colour has black on it');
  assert.equal(await page.locator('.root').getAttribute('data-theme'), 'dark');
  assert.ok(await page.getByRole('button', { name: 'Senden' }).isVisible());
  await page.getByRole('button', { name: 'Two?' }).click();
  await ended();
  assert.equal(await page.locator('.message.user .text').textContent(), 'Two?');
});

test('the_agents_own_settings_show_and_the_pages_win', async () => {
  const widget = { title: 'Of the agent', greeting: 'Ask **me**', suggestions: ['Really?'], color: '#123456', position: 'left', placeholder: 'Say' };
  const own = await newAgent({ config: { widget } });
  await openWidget(site.page(snippet({ chatbot: own, attributes: 'data-placeholder="Tell"' })));
  assert.equal(await page.locator('h2').textContent(), 'Of the agent');
  assert.equal(await replies().first().innerHTML(), '<p>Ask <strong>me</strong></p>');
  assert.deepEqual(await page.locator('.chips button').allTextContents(), ['Really?']);
  assert.equal(await launcher().evaluate((node) => getComputedStyle(node).backgroundColor), 'rgb(18, 52, 86)');
  assert.ok((await launcher().boundingBox()).x < 100);
  assert.equal(await field().getAttribute('placeholder'), 'Tell');
  await openContext();
  await openWidget();
  assert.equal(await page.locator('h2').textContent(), 'Shop assistant', "the agent's name, where nothing is set");
});

test('the_pages_scripts_drive_it_and_calls_before_it_is_loaded_are_kept', async () => {
  const head = '<script>window.told = []; window.Aerie = window.Aerie || []; Aerie.push(["on", "reply", (detail) => told.push(["reply", detail.text, detail.status])], ["open"], (aerie) => aerie.on("message", ({ text }) => told.push(["message", text])));' +
    'for (const name of ["open", "close", "ready"]) document.addEventListener("aerie:" + name, (event) => told.push([name, event.target.localName]))</script>';
  await page.goto(site.page(snippet(), { head }));
  await field().waitFor();
  assert.equal(await page.evaluate(() => Aerie.send('!tokens=2')), true);
  await ended();
  await page.evaluate(() => Aerie.close());
  await launcher().waitFor();
  assert.equal(await page.locator('.panel').isVisible(), false);
  assert.deepEqual(await page.evaluate(() => told), [['ready', 'aerie-chat'], ['message', '!tokens=2'], ['reply', textOf({ tokens: 2 }), 'complete'], ['close', 'aerie-chat']]);
  await page.evaluate(() => Aerie.toggle());
  assert.equal(await page.locator('.panel').isVisible(), true);
  await page.evaluate(() => Aerie.reset());
  assert.equal(await page.locator('.message.user').count(), 0);
});

test('a_reply_is_copied_as_it_was_written', async () => {
  await openContext({ permissions: ['clipboard-read', 'clipboard-write'] });
  await openWidget();
  await say(`!${new URLSearchParams({ text: '**bold** and `code`' })}`);
  await ended();
  await page.getByRole('button', { name: 'Copy' }).click();
  await page.locator('.small .done').waitFor();
  assert.equal(await page.evaluate(() => navigator.clipboard.readText()), '**bold** and `code`');
});

test('a_reply_that_comes_while_it_is_closed_is_marked_on_the_launcher', async () => {
  await openWidget();
  await say('!tokens=20&delay=30');
  await field().press('Escape');
  await page.locator('.root.unread').waitFor();
  await launcher().click();
  assert.equal(await page.locator('.root.unread').count(), 0);
});

test('arabic_is_written_from_the_right', async () => {
  await openWidget(site.page(snippet(), { lang: 'ar' }));
  assert.equal(await page.locator('.root').getAttribute('dir'), 'rtl');
  assert.ok((await launcher().boundingBox()).x < 100, 'and stands at the left');
  await say(`!${new URLSearchParams({ text: 'نعم، نشحن إلى النرويج.\n\nOrder ABC-123' })}`);
  await ended();
  const box = async (locator) => locator.boundingBox();
  const [asked, reply, panel] = [await box(page.locator('.message.user .text')), await box(replies().last()), await box(page.locator('.panel'))];
  assert.ok(asked.x - panel.x < 40 && panel.x + panel.width - reply.x - reply.width < 40, 'the visitor is left, the agent right');
  assert.ok(await page.getByRole('button', { name: 'إرسال' }).isVisible());
});

test('on_a_phone_it_is_the_screen', async () => {
  await openContext({ viewport: { width: 375, height: 667 }, hasTouch: true, isMobile: true });
  await page.goto(site.page(snippet()));
  await launcher().tap();
  await field().waitFor();
  await page.waitForFunction(() => document.querySelector('aerie-chat').shadowRoot.getAnimations().length === 0);
  assert.deepEqual(await page.locator('.panel').boundingBox(), { x: 0, y: 0, width: 375, height: 667 });
  assert.equal(await page.locator('.panel').getAttribute('aria-modal'), 'true');
  await say('!tokens=2');
  await ended();
  const small = await page.locator('.panel button:visible').evaluateAll((nodes) => nodes.filter((node) => node.offsetWidth < 44 || node.offsetHeight < 44).map((node) => node.className));
  assert.deepEqual(small, []);
  await page.getByRole('button', { name: 'Close chat' }).tap();
  await launcher().waitFor();
});

for (const colorScheme of ['light', 'dark'])
  test(`axe_finds_nothing_serious_in_the_${colorScheme}`, async () => {
    await openContext({ colorScheme });
    const text = '# Title\n\nSome **bold** text with a [link](https://shop.example) and `code`.\n\n- [x] done\n- open\n\n> A quote\n\n```js\nconst a = 1;\n```\n\n| A | B |\n|---|---|\n| 1 | 2 |\n';
    const look = async (what) => {
      await page.waitForFunction(() => document.querySelector('aerie-chat').shadowRoot.getAnimations().length === 0);
      await assertAccessible(page, what);
    };
    await page.goto(site.page(snippet({ attributes: 'data-suggestions="One?|Two?" data-color="#e91e63"' })));
    await launcher().waitFor();
    await look('closed');
    await launcher().click();
    await look('open');
    await say(`!${new URLSearchParams({ text })}`);
    await ended();
    await look('a reply');
    await say('!status=500');
    await page.locator('.problem').waitFor();
    await look('an error');
  });

test('it_is_not_printed', async () => {
  await openWidget();
  await page.emulateMedia({ media: 'print' });
  assert.equal(await page.locator('.panel').isVisible(), false);
  assert.equal(await launcher().isVisible(), false);
});
