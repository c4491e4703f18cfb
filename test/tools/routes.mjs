// The table of routes, as src/api/routes.c has it.
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/** [{method, path}] from the rows of the table: HTTP_GET, "/path" in either form of row. */
export function routes() {
  const text = readFileSync(fileURLToPath(new URL('../../src/api/routes.c', import.meta.url)), 'utf8');
  return [...text.matchAll(/\bHTTP_(GET|POST|PUT|PATCH|DELETE)\b[^"{}]*"(\/[^"]*)"/g)].map(([, method, path]) => ({ method, path }));
}
