import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { startUpstream } from '../fake/upstream.mjs';
import { Aerie, isTime, isUuid, unique } from '../tools/aerie.mjs';

let aerie;
let upstream;
let agent;
let user;
before(async () => {
  upstream = await startUpstream();
  aerie = await Aerie.start({ env: { TURN__HEARTBEAT_SECONDS: 1, UPSTREAM__FIRST_BYTE_SECONDS: 6, UPSTREAM__IDLE_SECONDS: 3 } });
  agent = await aerie.admin.agent({ webhook_url: upstream.url() });
  user = await aerie.user();
});
after(async () => {
  await aerie?.stop();
  await upstream?.close();
});

const tag = () => unique('tag');
const newChat = () => user.chat(agent);

test('a_message_is_answered_by_a_stream_of_the_promised_shape', async () => {
  const chat = await newChat();
  const stream = await user.ask(chat, '!tokens=5&delay=10');
  assert.match(stream.headers['content-type'], /^text\/event-stream/);
  assert.equal(stream.headers['cache-control'], 'no-cache, no-transform');
  assert.equal(stream.headers['x-accel-buffering'], 'no');
  assert.ok(stream.headers['x-request-id']);
  const [first] = stream.events;
  assert.equal(first.type, 'status');
  assert.deepEqual(first.data, { description: 'Sending request to n8n webhook...', level: 'info', done: false });
  assert.match(first.id, /:1$/);
  assert.equal(stream.text, 'tok0 tok1 tok2 tok3 tok4');
  assert.equal(stream.events.at(-1).type, 'done');
  assert.equal(stream.done.message, 'Stream completed');
  assert.ok(isUuid(stream.done.message_id));
  assert.equal(stream.of('done').length, 1);
  const messages = await user.messages(chat);
  assert.equal(messages.length, 2);
  assert.deepEqual([messages[0].role, messages[0].content, messages[0].status], ['user', '!tokens=5&delay=10', 'complete']);
  assert.deepEqual([messages[1].role, messages[1].content, messages[1].status], ['assistant', 'tok0 tok1 tok2 tok3 tok4', 'complete']);
  assert.equal(messages[1].id, stream.done.message_id);
  assert.ok(messages.every((m) => isTime(m.timestamp)));
});

test('tokens_arrive_one_by_one_and_not_at_the_end', async () => {
  const stream = await user.ask(await newChat(), '!tokens=6&delay=120');
  const times = stream.of('message').map((e) => e.at);
  assert.ok(times.length >= 5, `${times.length} events`);
  assert.ok(times.at(-1) - times[0] > 400, `within ${times.at(-1) - times[0]} ms`);
});

test('the_echo_agent_streams_without_any_network', async () => {
  const echo = await aerie.admin.agent({ provider: 'echo' });
  const chat = await user.chat(echo);
  const stream = await user.ask(chat, 'Hello 🎉 there');
  assert.ok(stream.done);
  assert.match(stream.text, /Hello 🎉 there/);
  assert.equal((await user.messages(chat)).at(-1).content, stream.text);
});

test('the_users_message_is_stored_before_the_first_event_and_before_the_upstream_is_called', async () => {
  const chat = await newChat();
  const mark = tag();
  let rows;
  upstream.once('request', () => (rows = aerie.database.query(`select count(*) from messages where chat_id = '${chat.id}' and role = 'user'`)));
  const stream = await user.send(chat, `!tokens=2&first=300&tag=${mark}`);
  await stream.until((s) => s.events.length > 0);
  assert.equal((await user.messages(chat))[0].role, 'user');
  await stream.whole();
  assert.equal(rows, '1');
});

test('done_is_true_its_reply_can_be_read_at_once', async () => {
  const chat = await newChat();
  for (let i = 0; i < 10; i++) {
    const stream = await user.send(chat, '!tokens=3');
    await stream.until((s) => s.done);
    const last = (await user.messages(chat)).at(-1);
    assert.deepEqual([last.id, last.status, last.content], [stream.done.message_id, 'complete', 'tok0 tok1 tok2']);
  }
});

test('a_stream_is_also_given_to_those_who_accept_anything', async () => {
  for (const headers of [{ Accept: '*/*' }, { Accept: 'text/event-stream' }, { Accept: undefined }, { Accept: 'text/event-stream, application/json;q=0.5' }]) {
    const stream = await user.send(await newChat(), '!tokens=1', { headers: headers.Accept ? headers : { Accept: '*/*' } });
    await stream.whole();
    assert.ok(stream.done);
  }
});

test('a_json_client_waits_for_the_whole_reply', async () => {
  const chat = await newChat();
  const answer = await user.post(`/api/chats/${chat.id}/messages`, { content: '!tokens=4&delay=20' }, { headers: { Accept: 'application/json' } });
  assert.equal(answer.status, 200, answer.text);
  assert.equal(answer.json.content, 'tok0 tok1 tok2 tok3');
  assert.equal((await user.messages(chat)).at(-1).id, answer.json.message_id);
});

test('a_json_client_learns_failures_by_their_status', async () => {
  const ask = async (query) => user.post(`/api/chats/${(await newChat()).id}/messages`, { content: `!${query}` }, { headers: { Accept: 'application/json' } });
  assert.equal((await ask('status=500&format=raw')).status, 502);
  assert.equal((await ask('status=403&format=raw')).status, 502);
  assert.equal((await ask('status=429&format=raw')).status, 503);
  assert.equal((await ask('format=empty')).status, 502);
  assert.equal((await ask('stall_piece=2')).status, 504);
  const failed = await ask('format=html');
  assert.equal(failed.status, 502);
  assert.equal(typeof failed.json.detail, 'string');
});

test('a_second_message_while_a_turn_runs_is_a_conflict_on_any_loop', async () => {
  const chat = await newChat();
  const stream = await user.send(chat, '!tokens=10&delay=80');
  await stream.until((s) => s.of('message').length > 0);
  const answers = await Promise.all(Array.from({ length: 16 }, () => user.send(chat, 'me too')));
  assert.ok(answers.every((a) => a.status === 409), answers.map((a) => a.status).join());
  assert.equal(typeof answers[0].json.detail, 'string');
  await stream.whole();
  assert.equal((await user.messages(chat)).length, 2);
  assert.ok((await user.ask(chat, '!tokens=1')).done, 'free again');
});

test('of_many_messages_at_once_exactly_one_runs', async () => {
  const chat = await newChat();
  const mark = tag();
  const answers = await Promise.all(Array.from({ length: 20 }, () => user.send(chat, `!tokens=3&delay=60&tag=${mark}`)));
  assert.equal(answers.filter((a) => a.status === 200).length, 1, answers.map((a) => a.status).join());
  await answers.find((a) => a.status === 200).whole();
  assert.equal(upstream.tagged(mark).length, 1);
  assert.equal((await user.messages(chat)).length, 2);
});

test('the_chat_is_free_the_moment_the_terminal_event_is_read', async () => {
  const chat = await newChat();
  for (let i = 0; i < 25; i++) {
    const stream = await user.send(chat, '!tokens=2');
    assert.equal(stream.status, 200, `round ${i}: ${stream.text}`);
    await stream.until((s) => s.done);
  }
});

test('stop_ends_the_upstream_within_100_ms_and_keeps_the_part', async () => {
  const took = [];
  for (let i = 0; i < 5; i++) {
    const chat = await newChat();
    const mark = tag();
    const stream = await user.send(chat, `!tokens=500&delay=20&tag=${mark}`);
    await stream.until((s) => s.of('message').length >= 3);
    const asked = Date.now();
    const stop = await user.post(`/api/chats/${chat.id}/stop`);
    assert.equal(stop.status, 202, stop.text);
    await stream.whole();
    const [call] = upstream.tagged(mark);
    for (let k = 0; k < 400 && !call.aborted_at; k++) await sleep(5);
    took.push(call.aborted_at - asked);
    assert.equal(stream.done.stopped, true);
    assert.ok(isUuid(stream.done.message_id));
    assert.equal(stream.of('done').length + stream.of('error').length, 1);
    const last = (await user.messages(chat)).at(-1);
    assert.equal(last.status, 'stopped');
    assert.equal(last.content, stream.text);
    assert.ok(stream.text.startsWith('tok0 tok1'));
    assert.equal((await user.post(`/api/chats/${chat.id}/stop`)).status, 202, 'once and again');
    assert.ok((await user.ask(chat, '!tokens=1')).done, 'free again');
  }
  took.sort((a, b) => a - b);
  assert.ok(took[2] <= (process.env.AERIE_SLOW ? 1000 : 100), `${took.join()} ms`);
});

test('stop_before_the_first_token_works_too', async () => {
  const chat = await newChat();
  const mark = tag();
  const stream = await user.send(chat, `!first=5000&tag=${mark}`);
  await stream.until((s) => s.events.length > 0);
  await upstream.waitFor((r) => r.options.tag === mark);
  assert.equal((await user.post(`/api/chats/${chat.id}/stop`)).status, 202);
  await stream.whole(3000);
  assert.equal(stream.done.stopped, true);
  assert.equal(stream.text, '');
});

test('many_stops_at_once_give_one_terminal_event', async () => {
  const chat = await newChat();
  const stream = await user.send(chat, '!tokens=500&delay=10');
  await stream.until((s) => s.of('message').length >= 1);
  const stops = await Promise.all(Array.from({ length: 20 }, () => user.post(`/api/chats/${chat.id}/stop`)));
  assert.ok(stops.every((s) => s.status === 202));
  await stream.whole();
  assert.equal(stream.of('done').length, 1);
});

test('stop_of_an_idle_chat_is_202_and_of_a_missing_one_404', async () => {
  const chat = await newChat();
  assert.equal((await user.post(`/api/chats/${chat.id}/stop`)).status, 202);
  assert.equal((await user.post(`/api/chats/${randomUUID()}/stop`)).status, 404);
});

test('regenerate_replaces_the_last_reply', async () => {
  const chat = await newChat();
  await user.ask(chat, '!tokens=1');
  const first = await user.ask(chat, '!tokens=2');
  const { openStream } = await import('../tools/http.mjs');
  const again = await openStream(aerie.port, 'POST', `/api/chats/${chat.id}/regenerate`, { token: user.token });
  assert.equal(again.status, 200, again.text);
  await again.whole();
  assert.equal(again.text, 'tok0 tok1');
  const messages = await user.messages(chat);
  assert.equal(messages.length, 4);
  assert.equal(messages.at(-1).id, again.done.message_id);
  assert.ok(!messages.some((m) => m.id === first.done.message_id) || again.done.message_id === first.done.message_id);
  const sent = upstream.requests.at(-1).json.messages;
  assert.deepEqual(sent.map((m) => m.role), ['user', 'assistant', 'user'], 'the old reply does not go along');
  const empty = await newChat();
  const refused = await openStream(aerie.port, 'POST', `/api/chats/${empty.id}/regenerate`, { token: user.token });
  assert.ok(refused.status >= 400 && refused.status < 500, String(refused.status));
});

test('an_idempotency_key_joins_the_running_turn', async () => {
  const chat = await newChat();
  const mark = tag();
  const headers = { 'Idempotency-Key': randomUUID() };
  const streams = await Promise.all(Array.from({ length: 12 }, () => user.send(chat, `!tokens=6&delay=50&tag=${mark}`, { headers })));
  for (const stream of streams) {
    assert.equal(stream.status, 200, stream.text);
    await stream.whole();
    assert.equal(stream.text, 'tok0 tok1 tok2 tok3 tok4 tok5');
    assert.equal(stream.done.message_id, streams[0].done.message_id);
  }
  assert.equal(upstream.tagged(mark).length, 1, 'one call');
  assert.equal((await user.messages(chat)).length, 2, 'one message');
});

test('the_same_key_later_gives_the_same_reply_and_another_body_is_422', async () => {
  const chat = await newChat();
  const mark = tag();
  const headers = { 'Idempotency-Key': randomUUID() };
  const first = await user.ask(chat, `!tokens=3&tag=${mark}`, { headers });
  const again = await user.send(chat, `!tokens=3&tag=${mark}`, { headers });
  assert.equal(again.status, 200);
  await again.whole?.();
  assert.equal(again.done.message_id, first.done.message_id);
  assert.equal(again.text, first.text);
  const json = await user.post(`/api/chats/${chat.id}/messages`, { content: `!tokens=3&tag=${mark}` }, { headers: { ...headers, Accept: 'application/json' } });
  assert.equal(json.status, 200);
  assert.equal(json.json.message_id, first.done.message_id);
  assert.equal(json.json.content, first.text);
  const other = await user.send(chat, 'something else', { headers });
  assert.equal(other.status, 422, other.text);
  assert.equal(upstream.tagged(mark).length, 1);
  assert.equal((await user.messages(chat)).length, 2);
  const colleague = await aerie.user();
  const theirs = await colleague.ask(await colleague.chat(agent), '!tokens=1', { headers });
  assert.ok(theirs.done, 'keys are per user');
});

test('the_same_key_after_a_stop_or_a_failure_tells_how_it_ended', async () => {
  const stopped = await newChat();
  const headers = { 'Idempotency-Key': randomUUID() };
  const first = await user.send(stopped, '!tokens=500&delay=20', { headers });
  await first.until((s) => s.of('message').length > 1);
  await user.post(`/api/chats/${stopped.id}/stop`);
  await first.whole();
  const again = await user.ask(stopped, '!tokens=500&delay=20', { headers });
  assert.equal(again.done.stopped, true);
  assert.equal(again.text, first.text);
  assert.equal(again.done.message_id, first.done.message_id);

  const failed = await newChat();
  const broken = await user.ask(failed, '!status=500', { headers: { 'Idempotency-Key': 'broken' } });
  const brokenAgain = await user.ask(failed, '!status=500', { headers: { 'Idempotency-Key': 'broken' } });
  assert.equal(brokenAgain.done, undefined);
  assert.deepEqual(brokenAgain.of('error').map((e) => e.data), broken.of('error').map((e) => e.data));
});

test('one_key_for_two_chats_at_once_is_answered_in_one_of_them', async () => {
  for (let round = 0; round < 5; round++) {
    const chats = [await newChat(), await newChat()];
    const mark = tag();
    const headers = { 'Idempotency-Key': randomUUID() };
    const streams = await Promise.all(chats.map((chat) => user.send(chat, `!tokens=2&tag=${mark}`, { headers })));
    for (const stream of streams) if (stream.status === 200) await stream.whole();
    assert.deepEqual(streams.map((s) => s.status).sort(), [200, 422], streams.map((s) => s.text).join());
    assert.equal(upstream.tagged(mark).length, 1);
    const counts = await Promise.all(chats.map(async (chat) => (await user.messages(chat)).length));
    assert.deepEqual(counts.sort(), [0, 2]);
  }
});

test('a_json_client_that_leaves_was_a_reader_too', async () => {
  const aborting = await aerie.admin.agent({ webhook_url: upstream.url(), config: { on_disconnect: 'abort' } });
  const chat = await user.chat(aborting);
  const mark = tag();
  const asked = user.post(`/api/chats/${chat.id}/messages`, { content: `!first=5000&tag=${mark}` }, { headers: { Accept: 'application/json' }, timeout: 500 });
  const call = await upstream.waitFor((r) => r.options.tag === mark);
  await assert.rejects(asked); // it waits no longer
  const left = Date.now();
  for (let i = 0; i < 300 && !call.aborted_at; i++) await sleep(5);
  assert.ok(call.aborted_at - left <= 1000, `${call.aborted_at - left} ms`);
});

test('silence_is_filled_with_comments_from_before_the_first_byte', async () => {
  const stream = await user.ask(await newChat(), '!first=2600&tokens=2');
  assert.ok(stream.comments >= 2, `${stream.comments} comments`);
  assert.equal(stream.text, 'tok0 tok1');
});

test('a_client_that_leaves_loses_nothing', async () => {
  const chat = await newChat();
  const stream = await user.send(chat, '!tokens=8&delay=40');
  await stream.until((s) => s.of('message').length > 0);
  stream.close();
  const reply = await user.settledReply(chat);
  assert.equal(reply.status, 'complete');
  assert.equal(reply.content, 'tok0 tok1 tok2 tok3 tok4 tok5 tok6 tok7');
});

test('on_disconnect_abort_closes_the_upstream_within_a_second_before_the_first_token_too', async () => {
  const aborting = await aerie.admin.agent({ webhook_url: upstream.url(), config: { on_disconnect: 'abort' } });
  for (const query of ['tokens=500&delay=20', 'first=5000']) {
    const chat = await user.chat(aborting);
    const mark = tag();
    const stream = await user.send(chat, `!${query}&tag=${mark}`);
    await stream.until((s) => s.events.length > (query.startsWith('tokens') ? 3 : 0));
    const call = await upstream.waitFor((r) => r.options.tag === mark);
    const left = Date.now();
    stream.close();
    for (let i = 0; i < 300 && !call.aborted_at; i++) await sleep(5);
    assert.ok(call.aborted_at - left <= 1000, `${query}: ${call.aborted_at - left} ms`);
    const messages = await user.messages(chat);
    if (query.startsWith('tokens')) assert.equal((await user.settledReply(chat)).status, 'stopped');
    assert.equal(messages[0].role, 'user');
  }
});

test('on_disconnect_abort_waits_for_the_last_reader', async () => {
  const aborting = await aerie.admin.agent({ webhook_url: upstream.url(), config: { on_disconnect: 'abort' } });
  const chat = await user.chat(aborting);
  const stream = await user.send(chat, '!tokens=30&delay=30');
  await stream.until((s) => s.of('message').length > 1);
  const follower = await user.follow(chat);
  await follower.until((s) => s.of('message').length > 1);
  stream.close();
  await follower.whole();
  assert.ok(follower.done && !follower.done.stopped);
});

test('on_disconnect_grace_lets_a_client_come_back', async () => {
  const graceful = await aerie.admin.agent({ webhook_url: upstream.url(), config: { on_disconnect: 'grace', grace_seconds: 1 } });
  const returning = await user.chat(graceful);
  const stream = await user.send(returning, '!tokens=40&delay=50');
  await stream.until((s) => s.of('message').length > 1);
  stream.close();
  await sleep(400);
  const back = await user.follow(returning, { lastId: stream.lastId });
  assert.equal(back.status, 200);
  await sleep(1200);
  await back.whole();
  assert.ok(back.done && !back.done.stopped, 'the return stopped the clock');

  const lost = await user.chat(graceful);
  const mark = tag();
  const second = await user.send(lost, `!tokens=500&delay=20&tag=${mark}`);
  await second.until((s) => s.of('message').length > 1);
  second.close();
  const [call] = upstream.tagged(mark);
  const left = Date.now();
  for (let i = 0; i < 600 && !call.aborted_at; i++) await sleep(5);
  assert.ok(call.aborted_at - left >= 700 && call.aborted_at - left < 2500, `${call.aborted_at - left} ms`);
  assert.equal((await user.settledReply(lost)).status, 'stopped');
});

test('deleting_a_chat_aborts_its_turn', async () => {
  const chat = await newChat();
  const mark = tag();
  const stream = await user.send(chat, `!tokens=500&delay=20&tag=${mark}`);
  await stream.until((s) => s.of('message').length > 0);
  assert.equal((await user.delete(`/api/chats/${chat.id}`)).status, 204);
  await stream.ended;
  const [call] = upstream.tagged(mark);
  for (let i = 0; i < 200 && !call.aborted_at; i++) await sleep(5);
  assert.ok(call.aborted_at, 'the upstream was left');
  assert.ok(stream.of('done').length + stream.of('error').length <= 1);
  assert.equal((await user.get(`/api/chats/${chat.id}`)).status, 404);
  assert.equal((await user.follow(chat)).status, 404, 'what was told is gone too');
});

test('a_deleted_chat_is_not_followed_any_more', async () => {
  const chat = await newChat();
  await user.ask(chat, '!tokens=3');
  assert.equal((await user.delete(`/api/chats/${chat.id}`)).status, 204);
  assert.equal((await user.follow(chat)).status, 404);
  const echoing = await newChat();
  const stranger = await aerie.user();
  await user.ask(echoing, '!tokens=3');
  assert.equal((await stranger.delete(`/api/chats/${echoing.id}`)).status, 404);
  assert.equal((await user.follow(echoing)).status, 200, 'a refused deletion changes nothing');
});

test('what_of_the_chat_goes_along_is_bounded', async () => {
  const bounded = await aerie.admin.agent({ webhook_url: upstream.url(), system_prompt: 'Be brief.', config: { context_messages: 3, context_chars: 60, temperature: 0.5 } });
  const chat = await user.chat(bounded);
  await user.ask(chat, '!tokens=1&n=1');
  await user.ask(chat, '!tokens=1&n=2');
  const mark = tag();
  await user.ask(chat, `!tokens=1&tag=${mark}`);
  const [{ json }] = upstream.tagged(mark);
  assert.equal(json.system_prompt, 'Be brief.');
  assert.equal(json.config.temperature, 0.5);
  assert.ok(json.messages.length <= 3, JSON.stringify(json.messages));
  assert.equal(json.messages.at(-1).content, `!tokens=1&tag=${mark}`);
  await user.ask(chat, `!tokens=1&tag=${mark}-long-${'x'.repeat(80)}`);
  const long = upstream.requests.at(-1).json;
  assert.deepEqual(long.messages.length, 1, 'the message itself goes whatever its size');
});

test('two_hundred_streams_at_once_are_all_right', async () => {
  const chats = await Promise.all(Array.from({ length: 200 }, () => newChat()));
  await Promise.all(chats.map(async (chat, i) => {
    const stream = await user.ask(chat, `!delay=15&text=${encodeURIComponent(`stream number ${i} says héllo to you`)}`);
    assert.equal(stream.text, `stream number ${i} says héllo to you`);
    assert.ok(stream.done);
  }));
});
