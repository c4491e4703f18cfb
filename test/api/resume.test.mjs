import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { startUpstream } from '../fake/upstream.mjs';
import { Aerie, inParallel } from '../tools/aerie.mjs';
import { textOf } from '../tools/http.mjs';

const KEEP_MS = 1500;
const cuts = Number(process.env.AERIE_TEST_CUTS ?? 100);

let aerie;
let upstream;
let agent;
let user;
before(async () => {
  upstream = await startUpstream();
  aerie = await Aerie.start();
  agent = await aerie.admin.agent({ webhook_url: upstream.url() });
  user = await aerie.user();
});
after(async () => {
  await aerie?.stop();
  await upstream?.close();
});

const n = (id) => Number(id.split(':')[1]);
const words = Array.from({ length: 24 }, (_, i) => `wörd${i}🎉`).join(' ');
const said = (text, delay) => `!delay=${delay}&text=${encodeURIComponent(text)}`;

/** A pseudo-random stream of numbers, the same in every run. */
function random(seed) {
  return () => {
    seed = (seed * 1664525 + 1013904223) >>> 0;
    return seed / 2 ** 32;
  };
}

test(`${cuts}_random_cuts_are_resumed_without_a_gap_or_a_repeat`, async () => {
  const draw = random(42);
  const jobs = Array.from({ length: cuts }, (_, i) => ({ i, cutAfter: Math.floor(draw() * 26), pause: Math.floor(draw() * 30), query: draw() < 0.5, again: draw() < 0.3 }));
  await inParallel(20, jobs, async ({ i, cutAfter, pause, query, again }) => {
    const chat = await user.chat(agent);
    const stream = await user.send(chat, said(words, 4));
    assert.equal(stream.status, 200, stream.text);
    await stream.until((s) => s.events.length > cutAfter || s.closed).catch(() => {});
    let events = [...stream.events];
    stream.close();
    for (let round = 0; round < (again ? 3 : 1); round++) {
      if (events.at(-1)?.type === 'done') break;
      if (pause) await sleep(pause);
      const back = await user.follow(chat, { lastId: events.at(-1)?.id, query });
      assert.equal(back.status, 200, `cut ${i} after ${events.length} events: ${back.status} ${back.text}`);
      if (round === 0 && again) await back.until((s) => s.events.length > 2 || s.closed).catch(() => {});
      else await back.whole();
      const part = [...back.events];
      back.close();
      assert.ok(part.length === 0 || events.length === 0 || n(part[0].id) > n(events.at(-1).id), 'no event twice');
      events = [...events, ...part];
    }
    if (events.at(-1)?.type !== 'done') {
      const rest = await user.follow(chat, { lastId: events.at(-1)?.id });
      if (rest.status === 200) events = [...events, ...(await rest.whole()).events];
    }
    assert.equal(textOf(events), words, `cut ${i} after ${cutAfter}`);
    assert.equal(events.filter((e) => e.type === 'done').length, 1);
    for (let k = 1; k < events.length; k++) assert.ok(n(events[k].id) > n(events[k - 1].id));
  });
});

test('followers_on_any_loop_see_the_same_text', async () => {
  const chat = await user.chat(agent);
  const stream = await user.send(chat, said(words, 15));
  await stream.until((s) => s.of('message').length > 2);
  const followers = await Promise.all(Array.from({ length: 40 }, (_, i) => sleep(i * 5).then(() => user.follow(chat))));
  for (const follower of [stream, ...followers]) {
    assert.equal(follower.status, 200, follower.text);
    await follower.whole();
    assert.equal(follower.text, words);
    assert.equal(follower.done.message_id, stream.done?.message_id ?? follower.done.message_id);
    assert.equal(follower.events[0].type, 'status');
  }
});

test('without_an_id_the_whole_turn_is_replayed_while_it_runs_and_after', async () => {
  const chat = await user.chat(agent);
  const first = await user.ask(chat, said(words, 1));
  const replay = await user.follow(chat);
  assert.equal(replay.status, 200);
  await replay.whole();
  assert.equal(replay.text, words);
  assert.equal(replay.lastId, first.lastId);
  assert.deepEqual(replay.done, first.done);
});

test('after_the_last_event_there_is_nothing_204', async () => {
  const chat = await user.chat(agent);
  const idle = await user.follow(chat);
  assert.equal(idle.status, 204, 'a chat without a turn');
  const first = await user.ask(chat, '!tokens=3');
  for (let i = 0; i < 6; i++) assert.equal((await user.follow(chat, { lastId: first.lastId, query: i % 2 === 1 })).status, 204);
});

test('an_id_of_another_turn_replays_and_a_senseless_one_does_no_harm', async () => {
  const chat = await user.chat(agent);
  const old = await user.ask(chat, '!tokens=3');
  const current = await user.ask(chat, '!tokens=4');
  const back = await user.follow(chat, { lastId: old.events[1].id });
  assert.equal(back.status, 200);
  assert.equal((await back.whole()).text, current.text);
  for (const lastId of ['x', ':', '1', `${current.lastId.split(':')[0]}:x`, `${current.lastId.split(':')[0]}:-1`, `${current.lastId.split(':')[0]}:99999999999999999999`, 'ü:1', `${'a'.repeat(500)}:1`]) {
    const answer = await user.follow(chat, { lastId: encodeURIComponent(lastId) });
    assert.ok([200, 204, 400, 422].includes(answer.status), `${lastId}: ${answer.status} ${answer.text}`);
    if (answer.status === 200) assert.equal((await answer.whole()).text, current.text);
  }
});

test('a_resume_anywhere_inside_a_finished_turn_gives_exactly_the_rest', async () => {
  const chat = await user.chat(agent);
  const first = await user.ask(chat, said(words, 3));
  for (const [i, event] of first.events.entries()) {
    const back = await user.follow(chat, { lastId: event.id });
    const rest = textOf(first.events.slice(i + 1));
    if (i === first.events.length - 1) {
      assert.equal(back.status, 204);
      continue;
    }
    await back.whole();
    assert.equal(back.text, rest, `after event ${i}`);
    assert.equal(back.lastId, first.lastId);
  }
});

test('a_log_that_is_gone_leaves_204_and_the_history', async () => {
  const brief = await Aerie.start({ env: { TURN__KEEP_MS: KEEP_MS } });
  try {
    const quick = await brief.admin.agent({ webhook_url: upstream.url() });
    const chat = await brief.admin.chat(quick);
    const stream = await brief.admin.ask(chat, '!tokens=3');
    assert.equal((await brief.admin.follow(chat)).status, 200);
    await sleep(KEEP_MS + 1500);
    const gone = await brief.admin.follow(chat);
    assert.equal(gone.status, 204, gone.text);
    assert.equal((await brief.admin.messages(chat)).at(-1).content, stream.text);
  } finally {
    await brief.stop();
  }
});

test('a_reader_that_stops_reading_gets_everything_when_it_goes_on', async () => {
  const chat = await user.chat(agent);
  const stream = await user.send(chat, '!tokens=400&size=2000');
  stream.res.pause();
  const reply = await user.settledReply(chat, { timeout: 30000 });
  assert.equal(reply.status, 'complete');
  stream.res.resume();
  await stream.whole();
  assert.equal(stream.text, reply.content);
});

test('only_the_owner_may_follow', async () => {
  const chat = await user.chat(agent);
  const stream = await user.send(chat, '!tokens=10&delay=50');
  const stranger = await aerie.user();
  assert.equal((await stranger.follow(chat)).status, 404);
  assert.equal((await aerie.admin.follow(chat)).status, 404, 'a chat is its owner\'s alone');
  assert.equal((await aerie.request('GET', `/api/chats/${chat.id}/stream`)).status, 401);
  await stream.whole();
});

test('the_history_of_a_running_reply_has_what_its_reader_has', async () => {
  const chat = await user.chat(agent);
  const stream = await user.send(chat, said(words, 100));
  await stream.until((s) => s.text.length >= 30);
  const seen = stream.text;
  const reply = (await user.messages(chat)).at(-1);
  assert.equal(reply.status, 'streaming');
  assert.ok(seen.length >= 30 && reply.content.startsWith(seen), `${reply.content.length} of ${seen.length}`);
  assert.ok(words.startsWith(reply.content), reply.content);
  stream.close();
});
