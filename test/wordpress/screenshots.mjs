// The pictures of docs/wordpress.md, of a real WordPress. Usage: AERIE_BINARY=… node test/wordpress/screenshots.mjs docs/images
import { join } from 'node:path';
import { Stand } from './stand.mjs';

const folder = process.argv[2];
if (!folder) {
  console.error('usage: node screenshots.mjs FOLDER');
  process.exit(2);
}

const stand = new Stand();
try {
  await stand.start({ title: 'The Bicycle Shop' });
  const { owner, site } = stand;
  await stand.settingsPage();
  await owner.setViewportSize({ width: 960, height: 560 });
  await owner.screenshot({ path: join(folder, 'wordpress-connect.png') });
  await stand.register({ email: 'owner@bicycles.example' });
  await owner.setViewportSize({ width: 960, height: 760 });
  await owner.screenshot({ path: join(folder, 'wordpress-settings.png') });
  await stand.connect({ title: 'Ask the shop', color: '#2456a6' });
  const visitor = await stand.newPage();
  await visitor.setViewportSize({ width: 960, height: 640 });
  await visitor.goto(site.base);
  const chat = visitor.locator('aerie-chat');
  await chat.getByRole('button', { name: /Ask the shop/ }).click();
  await chat.getByRole('textbox').fill('Is the blue one there in size M?');
  await chat.getByRole('textbox').press('Enter');
  await chat.getByText('Echo: Is the blue one there in size M?', { exact: true }).waitFor();
  await visitor.screenshot({ path: join(folder, 'wordpress-widget.png') });
} finally {
  await stand.stop();
}
