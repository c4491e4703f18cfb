import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Aerie } from '../tools/aerie.mjs';

let aerie;
before(async () => (aerie = await Aerie.start()));
after(() => aerie?.stop());

test('health_is_answered_to_anyone', async () => {
  for (const path of ['/', '/health']) {
    const answer = await aerie.request('GET', path, { headers: { Accept: 'application/json' } });
    assert.equal(answer.status, 200, path);
    assert.equal(answer.json.status, 'healthy');
    assert.equal(typeof answer.json.service, 'string');
    assert.match(answer.json.version, /^\d+\.\d+\.\d+/);
  }
  assert.equal((await aerie.request('GET', '/')).json?.status, 'healthy', 'without Accept, too');
  assert.equal((await aerie.request('GET', '/health/ready')).status, 200);
});

test('a_browser_gets_a_self_contained_page_at_the_root', async () => {
  const answer = await aerie.request('GET', '/', { headers: { Accept: 'text/html,application/xhtml+xml,*/*;q=0.8' } });
  assert.equal(answer.status, 200);
  assert.match(answer.headers['content-type'], /^text\/html/);
  assert.match(answer.text, /<!doctype html>/i);
  const policy = answer.headers['content-security-policy'];
  assert.ok(policy, 'a Content-Security-Policy');
  assert.doesNotMatch(policy, /unsafe-inline|unsafe-eval/);
  assert.doesNotMatch(answer.text, /(src|href)="https?:\/\//, 'nothing from elsewhere');
  assert.doesNotMatch(answer.text, /<script(?![^>]*\bsrc=)[^>]*>\s*\S/, 'no inline script');
  assert.doesNotMatch(answer.text, / on(click|load|submit|error)=/);
  for (const [, path] of answer.text.matchAll(/<(?:script|link)[^>]*(?:src|href)="(\/?[^":]+)"/g)) {
    const asset = await aerie.request('GET', path.startsWith('/') ? path : `/${path}`);
    assert.equal(asset.status, 200, path);
  }
});

test('what_is_not_there_is_404_as_json', async () => {
  const answer = await aerie.request('GET', '/nope', { headers: { Accept: 'text/html' } });
  assert.equal(answer.status, 404);
  assert.equal(typeof answer.json.detail, 'string');
});
