// The table of routes, as src/api/routes.c has it.
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/** [{method, path, who}] of the API, from the rows of the table: HTTP_GET, "/path", WHO_USER in either form of row. What nodes ask each other is no part of it. */
export function routes() {
  const text = readFileSync(fileURLToPath(new URL('../../src/api/routes.c', import.meta.url)), 'utf8');
  return [...text.matchAll(/\bHTTP_(GET|POST|PUT|PATCH|DELETE)\b[^"{}]*"(\/[^"]*)",?\s*(WHO_\w+)?/g)]
    .map(([, method, path, who]) => ({ method, path, who }))
    .filter(({ who }) => who !== 'WHO_PEER');
}
