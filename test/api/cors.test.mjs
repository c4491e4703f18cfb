import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Aerie } from '../tools/aerie.mjs';

const allowed = 'https://app.test';
let aerie;
before(async () => (aerie = await Aerie.start({ env: { ALLOWED_ORIGINS: `${allowed},http://localhost:3000` } })));
after(() => aerie?.stop());

const names = ['access-control-allow-origin', 'access-control-allow-credentials', 'access-control-allow-methods'];

test('an_allowed_origin_is_named_and_may_send_credentials', async () => {
  for (const origin of [allowed, 'http://localhost:3000']) {
    const answer = await aerie.admin.get('/api/agents', { headers: { Origin: origin } });
    assert.equal(answer.headers['access-control-allow-origin'], origin);
    assert.equal(answer.headers['access-control-allow-credentials'], 'true');
    assert.match(answer.headers.vary ?? '', /origin/i);
    assert.match(answer.headers['access-control-expose-headers'] ?? '', /x-total-count/i);
  }
});

test('other_origins_get_no_cors_header_at_all', async () => {
  for (const origin of ['https://evil.test', 'https://app.test.evil.test', 'https://app.test:8443', 'http://app.test', 'null', 'https://app.tes', 'HTTPS://APP.TESTX']) {
    const answer = await aerie.admin.get('/api/agents', { headers: { Origin: origin } });
    for (const name of names) assert.equal(answer.headers[name], undefined, `${origin}: ${name}`);
  }
});

test('a_preflight_is_answered_from_the_route_table', async () => {
  const preflight = (origin, method = 'PUT', path = '/api/agents/00000000-0000-4000-8000-000000000000') =>
    aerie.request('OPTIONS', path, { headers: { Origin: origin, 'Access-Control-Request-Method': method, 'Access-Control-Request-Headers': 'authorization,content-type,idempotency-key,last-event-id,x-api-key' } });
  const good = await preflight(allowed);
  assert.ok([200, 204].includes(good.status));
  assert.equal(good.headers['access-control-allow-origin'], allowed);
  assert.match(good.headers['access-control-allow-methods'], /PUT/);
  assert.match(good.headers['access-control-allow-methods'], /DELETE/);
  for (const header of ['authorization', 'content-type', 'idempotency-key', 'last-event-id', 'x-api-key'])
    assert.ok(good.headers['access-control-allow-headers'].toLowerCase().includes(header), header);
  assert.ok(Number(good.headers['access-control-max-age']) > 0);
  const bad = await preflight('https://evil.test');
  assert.equal(bad.headers['access-control-allow-origin'], undefined);
});

test('errors_and_streams_carry_the_headers_too', async () => {
  const error = await aerie.request('GET', '/api/chats', { headers: { Origin: allowed } });
  assert.equal(error.status, 401);
  assert.equal(error.headers['access-control-allow-origin'], allowed);
  const agent = await aerie.admin.agent({ provider: 'echo' });
  const stream = await aerie.admin.ask(await aerie.admin.chat(agent), 'hi', { headers: { Origin: allowed } });
  assert.equal(stream.headers['access-control-allow-origin'], allowed);
});

test('the_star_is_never_sent_with_credentials', async () => {
  const answer = await aerie.request('GET', '/health', { headers: { Origin: 'https://anyone.test' } });
  assert.ok(!(answer.headers['access-control-allow-origin'] === '*' && answer.headers['access-control-allow-credentials']));
});
