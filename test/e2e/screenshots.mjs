// Pictures of the page: light, dark, on a phone. Usage: node screenshots.mjs FOLDER
import { createServer } from 'node:http';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Aerie } from '../tools/aerie.mjs';
import { openBrowser } from './browser.mjs';

const folder = process.argv[2];
if (!folder) {
  console.error('usage: node screenshots.mjs FOLDER');
  process.exit(2);
}

const talk = [
  ['Do you ship to Norway, and how long does it take?',
    'Yes. Parcels to Norway leave every weekday and take three to five days.\n\nCustoms are included in the price you see, so nothing is due at the door.'],
  ['And if the jacket does not fit?',
    'Send it back within 30 days:\n\n1. Print the label from your order page.\n2. Drop the parcel at any post office.\n3. The money is back two days after it reaches us.'],
];

/** A webhook that streams as n8n does. */
async function startWebhook() {
  const server = createServer(async (req, res) => {
    let body = '';
    for await (const part of req) body += part;
    const asked = JSON.parse(body).chatInput;
    const answer = talk.find(([question]) => question === asked)?.[1] ?? 'Let me look.';
    res.writeHead(200, { 'Content-Type': 'application/json; charset=utf-8' });
    res.write('{"type":"begin","metadata":{}}\n');
    for (const content of answer.match(/\S*\s*/g)) {
      res.write(`${JSON.stringify({ type: 'item', content, metadata: {} })}\n`);
      await sleep(20);
    }
    res.end('{"type":"end","metadata":{}}\n');
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  return server;
}

const webhook = await startWebhook();
const aerie = await Aerie.start();
const browser = await openBrowser();
try {
  await aerie.admin.agent({ name: 'Shop assistant', description: 'Ask about orders, shipping and returns.', webhook_url: `http://127.0.0.1:${webhook.address().port}/webhook/shop` });
  for (const [name, colorScheme, viewport] of [
    ['light', 'light', { width: 960, height: 640 }],
    ['dark', 'dark', { width: 960, height: 640 }],
    ['phone', 'light', { width: 360, height: 720 }],
    ['phone-dark', 'dark', { width: 360, height: 720 }],
  ]) {
    const context = await browser.newContext({ colorScheme, viewport });
    const page = await context.newPage();
    const shoot = (what) => page.screenshot({ path: join(folder, `${what}-${name}.png`) });
    await page.goto(aerie.base);
    await page.getByText('This server is running').waitFor();
    await shoot('welcome');
    await page.getByRole('button', { name: 'Start chatting' }).click();
    await page.getByLabel('Agent').selectOption({ label: 'Shop assistant' });
    await shoot('empty');
    for (const [n, [question, answer]] of talk.entries()) {
      await page.getByLabel('Your message').fill(question);
      await page.keyboard.press('Enter');
      if (n === talk.length - 1) {
        await page.waitForFunction((half) => (document.querySelector('.streaming .text')?.textContent.length ?? 0) > half, answer.length / 2);
        await shoot('streaming');
      }
      await page.locator('.message.assistant:not(.streaming) .text').nth(n).waitFor();
    }
    await page.getByRole('button', { name: 'Answer again' }).waitFor();
    await shoot('chat');
    await context.close();
  }
} finally {
  await browser.close();
  await aerie.stop();
  webhook.close();
}
