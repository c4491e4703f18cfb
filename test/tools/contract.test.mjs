// The check that all other tests go through must itself be able to fail.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Contract } from './contract.mjs';

const json = (schema, more = {}) => ({ description: 'x', content: { 'application/json': { schema } }, ...more });
const thing = { type: 'object', properties: { id: { type: 'string', format: 'uuid' }, name: { type: ['string', 'null'] } }, required: ['id', 'name'] };
const contract = new Contract({
  paths: {
    '/things/{id}': {
      get: { responses: { 200: json({ $ref: '#/components/schemas/Thing' }, { headers: { 'X-Total-Count': { required: true } } }), 404: { $ref: '#/components/responses/NotFound' } } },
      put: { requestBody: { content: { 'application/json': { schema: { $ref: '#/components/schemas/Thing' } } } }, responses: { 204: { description: 'ok' }, 404: { $ref: '#/components/responses/NotFound' } } },
      delete: { responses: { 204: { description: 'gone' } } },
    },
    '/things/stream': { get: { responses: { 200: { content: { 'text/event-stream': { schema: { type: 'string', contentSchema: { $ref: '#/components/schemas/Thing' } } } } } } } },
  },
  components: {
    schemas: { Thing: thing, Error: { type: 'object', properties: { detail: { type: 'string' } }, required: ['detail'] } },
    responses: { NotFound: json({ $ref: '#/components/schemas/Error' }), Failed: json({ $ref: '#/components/schemas/Error' }) },
  },
});

const id = '0198c0de-0000-7000-8000-000000000000';
const headers = { 'content-type': 'application/json', 'x-total-count': '1' };
const get = (body, more = {}) => contract.check('GET', '/things/1?x=y', { status: 200, headers, text: typeof body === 'string' ? body : JSON.stringify(body), ...more });

test('what_is_as_described_passes', () => {
  get({ id, name: 'a' });
  get({ id, name: null });
  get({ detail: 'gone' }, { status: 404 });
  contract.check('HEAD', '/things/1', { status: 200, headers, text: '' });
  contract.check('DELETE', '/things/1', { status: 204, headers: {}, text: '' });
  contract.check('POST', '/things/1', { status: 405, headers, text: '{"detail":"no"}' });
  contract.check('GET', '/elsewhere', { status: 404, headers, text: '{"detail":"no"}' });
});

test('a_member_that_is_missing_unknown_or_of_another_type_fails', () => {
  assert.throws(() => get({ id }), /required property 'name'/);
  assert.throws(() => get({ id, name: 'a', secret: 1 }), /secret/);
  assert.throws(() => get({ id, name: 3 }), /string,null/);
  assert.throws(() => get({ id: 'x', name: 'a' }), /uuid/);
  assert.throws(() => get({ detail: 'gone', stack: '…' }, { status: 404 }), /stack/);
});

test('a_status_a_type_a_header_or_a_body_that_is_not_described_fails', () => {
  assert.throws(() => get({ detail: 'x' }, { status: 409 }), /does not list this status/);
  assert.throws(() => get({ detail: 'x' }, { status: 500 }), /does not list this status/);
  assert.throws(() => get('hi', { headers: { ...headers, 'content-type': 'text/plain' } }), /text\/plain/);
  assert.throws(() => get({ id, name: 'a' }, { headers: { 'content-type': 'application/json' } }), /X-Total-Count/);
  assert.throws(() => contract.check('DELETE', '/things/1', { status: 204, headers: {}, text: 'x' }), /has a body/);
  assert.throws(() => contract.check('GET', '/elsewhere', { status: 200, headers, text: '{}' }), /not described/);
  assert.throws(() => contract.check('GET', '/elsewhere', { status: 404, headers, text: '{"detail":1}' }), /string/);
});

test('a_body_that_is_taken_must_be_one_that_is_described', () => {
  const put = (sent, status = 204) => contract.check('PUT', '/things/1', { status, headers: status === 204 ? {} : headers, text: status === 204 ? '' : '{"detail":"no"}', sent });
  put({ id, name: 'a' });
  put({ id, name: 'a', more: 'is ignored' });
  put({ id: 'x' }, 404);
  assert.throws(() => put({ id }), /it took .* required property 'name'/);
  assert.throws(() => put({ id, name: 7 }), /it took/);
});

test('each_event_of_a_stream_is_looked_at', () => {
  const check = contract.eventCheck('GET', '/things/stream');
  check(JSON.stringify({ id, name: 'a' }));
  assert.throws(() => check(JSON.stringify({ id, name: 'a', more: 1 })), /more/);
  assert.throws(() => check('no json'), /no JSON/);
  const stream = (text) => contract.check('GET', '/things/stream', { status: 200, headers: { 'content-type': 'text/event-stream' }, text });
  stream(`id: 1\ndata: ${JSON.stringify({ id, name: 'a' })}\n\n: keep-alive\n\ndata: [DONE]\n\n`);
  assert.throws(() => stream('data: {"id":1}\n\n'), /event-stream|required|string/);
});
