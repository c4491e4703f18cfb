import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Aerie } from '../tools/aerie.mjs';
import { openStream } from '../tools/http.mjs';

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

test('the_trial_stream_comes_bit_by_bit_and_says_what_became_of_the_address', async () => {
  const stream = await openStream(aerie.port, 'GET', '/health/stream');
  await stream.ended;
  assert.equal(stream.failure, null);
  assert.match(stream.headers['content-type'], /^text\/event-stream/);
  assert.equal(stream.headers['x-accel-buffering'], 'no', 'sent as replies are');
  assert.deepEqual(stream.events.map(({ tick, of }) => [tick, of]), [1, 2, 3, 4, 5].map((n) => [n, 5]));
  assert.ok(stream.events.at(-1).at - stream.events[0].at >= 600, 'not all at once');
  assert.deepEqual([stream.events[0].proxy, stream.events[0].address, stream.events[0].is_secure], ['none', null, false]);
  const upgrade = await openStream(aerie.port, 'GET', '/health/stream', { headers: { Connection: 'Upgrade', Upgrade: 'websocket' } });
  await upgrade.ended;
  assert.deepEqual([stream.events[0].is_upgrade, upgrade.events[0].is_upgrade], [false, true]);
  const forged = await openStream(aerie.port, 'GET', '/health/stream', { headers: { 'X-Forwarded-For': '9.9.9.9', 'X-Forwarded-Proto': 'https' } });
  await forged.ended;
  assert.deepEqual([forged.events[0].proxy, forged.events[0].address, forged.events[0].is_secure], ['ignored', null, false], 'our own address is not told either');
});

test('the_trial_stream_says_whom_a_trusted_proxy_names', async () => {
  const behind = await Aerie.start({ env: { TRUSTED_PROXIES: '127.0.0.1', TURN__HEARTBEAT_SECONDS: '1' } });
  try {
    const first = async (path, headers) => {
      const stream = await openStream(behind.port, 'GET', path, { headers });
      await stream.ended;
      return stream.events;
    };
    const [told] = await first('/health/stream', { 'X-Forwarded-For': '1.2.3.4, 192.0.2.7', 'X-Forwarded-Proto': 'https' });
    assert.deepEqual([told.proxy, told.address, told.is_secure], ['believed', '192.0.2.7', true]);
    const [silent] = await first('/health/stream', {});
    assert.deepEqual([silent.proxy, silent.address], ['silent', null]);
    const long = await first('/health/stream?long=true', {});
    assert.equal(long.length, 2);
    assert.ok(long[1].at - long[0].at >= 900, 'as silent as a stream may be');
  } finally {
    await behind.stop();
  }
});

test('trial_streams_are_rationed_by_address', async () => {
  const answers = await Promise.all(Array.from({ length: 34 }, () => aerie.request('HEAD', '/health/stream', { localAddress: '127.0.0.9' })));
  const refused = answers.filter(({ status }) => status === 429);
  assert.ok(refused.length >= 3, `${refused.length} refused`);
  for (const { headers } of refused) assert.match(headers['retry-after'], /^\d+$/);
  assert.equal((await aerie.request('HEAD', '/health/stream', { localAddress: '127.0.0.10' })).status, 200);
});
