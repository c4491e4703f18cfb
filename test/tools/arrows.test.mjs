// The house has floors: an #include may only look down. design.md's arrows, kept by reading every #include line.
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../../', import.meta.url));

/** room → rooms that it may include, besides itself. Rooms side by side do not know each other. */
const below = {
  base: [],
  config: ['base'],
  loop: ['config', 'base'],
  trace: ['loop', 'config', 'base'],
  db: ['trace', 'loop', 'config', 'base'],
  http: ['trace', 'loop', 'config', 'base'],
  upstream: ['trace', 'loop', 'config', 'base'],
  cluster: ['http', 'db', 'upstream', 'trace', 'loop', 'config', 'base'],
  document: ['cluster', 'db', 'upstream', 'trace', 'loop', 'config', 'base'],
  webhook: ['cluster', 'db', 'upstream', 'trace', 'loop', 'config', 'base'],
  account: ['cluster', 'http', 'db', 'upstream', 'trace', 'loop', 'config', 'base'],
  chat: ['document', 'webhook', 'cluster', 'http', 'db', 'upstream', 'trace', 'loop', 'config', 'base'],
  api: ['account', 'chat', 'document', 'webhook', 'cluster', 'http', 'db', 'upstream', 'trace', 'loop', 'config', 'base', 'web'],
  command: ['api', 'account', 'chat', 'document', 'webhook', 'cluster', 'http', 'db', 'upstream', 'trace', 'loop', 'config', 'base'],
  web: [],
  main: ['command', 'api', 'account', 'chat', 'document', 'webhook', 'cluster', 'http', 'db', 'upstream', 'trace', 'loop', 'config', 'base'],
};

function* sources(folder) {
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) yield* sources(path);
    else if (/\.[ch]$/.test(entry.name)) yield path;
  }
}

/** The room of a path like "db/pool.h" or "src/db/pool.c"; files that lie beside the rooms are main's. */
function roomOf(path) {
  const parts = path.split('/');
  return parts.length > 1 ? parts[0] : 'main';
}

export function wrongArrows(files) {
  const wrong = [];
  for (const [path, text] of files) {
    const room = roomOf(path.replace(/^(src|include)\//, ''));
    for (const [, target] of text.matchAll(/^\s*#\s*include\s+"([^"]+)"/gm)) {
      if (target.startsWith('../')) wrong.push(`${path}: "${target}" climbs out of its room`);
      if (!target.includes('/')) continue; // its own folder
      const other = roomOf(target);
      if (!(room in below)) wrong.push(`${path}: ${room} is no room of the house`);
      else if (other !== room && !below[room].includes(other)) wrong.push(`${path}: ${room} may not include ${target}`);
    }
  }
  return wrong;
}

test('includes_point_one_way', () => {
  const files = ['src', 'include'].flatMap((folder) => [...sources(join(root, folder))].map((path) => [relative(root, path), readFileSync(path, 'utf8')]));
  assert.ok(files.length > 20);
  assert.deepEqual(wrongArrows(files), []);
});

test('an_arrow_that_points_back_or_sideways_is_found', () => {
  assert.equal(wrongArrows([['src/loop/flow.c', '#include "http/http.h"\n']]).length, 1);
  assert.equal(wrongArrows([['src/db/pool.c', '#include "upstream/upstream.h"\n']]).length, 1);
  assert.equal(wrongArrows([['src/base/arena.c', '#include "../loop/loop.h"\n']]).length, 2);
  assert.equal(wrongArrows([['src/api/chats.c', '#include "chat/turn.h"\n#include "internal.h"\n#include <stdio.h>\n']]).length, 0);
});
