// Who may ask an agent when all of upstream.slots are taken: teams in turn, bounded queues, and nothing lost on the way.
import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import { startUpstream } from '../fake/upstream.mjs';
import { Aerie } from '../tools/aerie.mjs';
import { awaitMetric, readMetrics } from '../tools/metrics.mjs';
import { until } from '../tools/until.mjs';

const SLOTS = 4;
const QUEUE = 200;

let aerie;
let upstream;
let greedy;
let modest;
let asked = []; // what the agent was asked and has not answered, in order
const started = [];

const waiting = (n) => awaitMetric(aerie, 'aerie_slots_waiting', (now) => now === n);

/** An agent that answers when it is told to. */
function hold(request, socket) {
  return new Promise((resolve) => {
    const call = {
      said: request.json.chatInput,
      answer() {
        const body = '{"output":"done"}';
        socket.write(`HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`);
        socket.off('close', resolve);
        resolve();
      },
    };
    socket.once('close', resolve);
    asked.push(call);
    started.push(call.said);
  });
}

/** The oldest call ends, and the next that waits begins. */
async function answerOne() {
  const before = started.length;
  asked.shift().answer();
  await until(() => started.length > before, 'the next call');
}

async function answerAll() {
  while (asked.length > 0 || (await readMetrics(aerie)).get('aerie_streams') > 0) {
    for (const call of asked.splice(0)) call.answer();
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

before(async () => {
  upstream = await startUpstream();
  upstream.handle('/webhook/held', hold);
  aerie = await Aerie.start({
    env: { UPSTREAM__SLOTS: SLOTS, UPSTREAM__SLOT_QUEUE_PER_TEAM: QUEUE, UPSTREAM__SLOT_QUEUE: 2 * QUEUE, LIMITS__MESSAGES_PER_MINUTE: 0 },
  });
  const webhook_url = upstream.url({}, '/webhook/held');
  greedy = { user: aerie.admin, agent: await aerie.admin.agent({ webhook_url }) };
  const other = await aerie.otherTeam();
  modest = { user: other.admin, agent: await other.admin.agent({ webhook_url }) };
});
after(async () => {
  await aerie?.stop();
  await upstream?.close();
});
afterEach(async () => {
  await answerAll();
  started.length = 0;
});

/** Sends a message in a chat of its own. */
const say = (who, message) => who.user.post('/api/chat', { message, agent_id: who.agent.id }, { timeout: 60000 });
const fill = async (who, n) => {
  const answers = Array.from({ length: SLOTS + n }, (_, i) => say(who, `g${i}`));
  await until(() => started.length === SLOTS, 'the first calls');
  await waiting(n);
  return answers;
};

test('a_team_with_one_message_waits_one_round_behind_a_team_with_two_hundred', async () => {
  const flood = await fill(greedy, QUEUE);
  const refused = await say(greedy, 'too many');
  assert.equal(refused.status, 429);
  // 201 before it would be served by 4 slots; until a call has ended, one is taken for a second.
  assert.equal(Number(refused.headers['retry-after']), Math.floor((QUEUE + 1) / SLOTS) + 1);
  assert.match(refused.json.detail, /waiting/);

  const one = say(modest, 'modest');
  await waiting(QUEUE + 1);
  const before = started.length;
  for (let i = 0; i < 2; i++) await answerOne();
  assert.ok(started.slice(before).includes('modest'), `served after ${started.slice(before)}`);
  await answerAll();
  assert.equal((await one).status, 200);
  for (const answer of await Promise.all(flood)) assert.equal(answer.status, 200, answer.text);
  assert.equal(started.length, SLOTS + QUEUE + 1, 'nobody was asked twice, and the refused message not at all');
});

test('a_message_that_is_stopped_while_it_waits_is_stored_and_asks_nobody', async () => {
  const flood = await fill(greedy, 2);
  const chat = await modest.user.chat(modest.agent);
  const sent = modest.user.send(chat, 'never mind');
  await waiting(3);
  assert.equal((await modest.user.post(`/api/chats/${chat.id}/stop`)).status, 202);
  const last = (await (await sent).whole()).events.at(-1);
  assert.deepEqual([last.type, last.data.stopped], ['done', true]);
  await waiting(2);
  assert.deepEqual((await modest.user.messages(chat)).map(({ role, content, status }) => [role, content, status]),
    [['user', 'never mind', 'complete'], ['assistant', '', 'stopped']]);
  await answerAll();
  await Promise.all(flood);
  assert.ok(!started.includes('never mind'));
});

test('a_client_that_leaves_while_it_waits_loses_nothing', async () => {
  const flood = await fill(greedy, 1);
  const chat = await modest.user.chat(modest.agent);
  const left = modest.user.post(`/api/chats/${chat.id}/messages`, { content: 'going home' }, { timeout: 300 }).catch(() => 'left');
  await waiting(2);
  assert.equal(await left, 'left');
  await answerAll();
  const reply = await modest.user.settledReply(chat);
  assert.deepEqual([reply.content, reply.status], ['done', 'complete']);
  await Promise.all(flood);
});

test('openai_clients_take_slots_as_well', async () => {
  const flood = await fill(greedy, 1);
  const { json } = await modest.user.post(`/api/agents/${modest.agent.id}/api-keys`, {});
  const body = { model: modest.agent.id, messages: [{ role: 'user', content: 'by key' }] };
  const answer = aerie.request('POST', '/v1/chat/completions', { token: json.api_key, json: body });
  await waiting(2);
  await answerAll();
  assert.equal((await answer).status, 200);
  assert.ok(started.includes('by key'));
  await Promise.all(flood);
});

test('a_wait_that_is_too_long_is_429_and_stores_nothing', async () => {
  const short = await Aerie.start({ env: { UPSTREAM__SLOTS: 1, UPSTREAM__SLOT_WAIT_SECONDS: 1 } });
  try {
    const agent = await short.admin.agent({ webhook_url: upstream.url({}, '/webhook/held') });
    const [busy, chat] = [await short.admin.chat(agent), await short.admin.chat(agent)];
    const running = short.admin.send(busy, 'first');
    await until(() => started.includes('first'), 'the first call');
    const refused = await short.admin.send(chat, 'late');
    assert.equal(refused.status, 429);
    assert.ok(Number(refused.headers['retry-after']) >= 1);
    assert.deepEqual(await short.admin.messages(chat), []);
    asked.splice(0).forEach((call) => call.answer());
    await (await running).whole();
    const again = short.admin.ask(chat, 'late');
    await until(() => asked.length === 1, 'the second call');
    asked.splice(0).forEach((call) => call.answer());
    await again;
  } finally {
    await short.stop();
  }
});

test('the_end_of_the_server_refuses_those_who_still_wait', async () => {
  const ending = await Aerie.start({ env: { UPSTREAM__SLOTS: 1, SERVER__DRAIN_SECONDS: 1, SERVER__WORKERS: 1 } });
  try {
    const agent = await ending.admin.agent({ webhook_url: upstream.url({}, '/webhook/held') });
    const [busy, chat] = [await ending.admin.chat(agent), await ending.admin.chat(agent)];
    const running = ending.admin.send(busy, 'running');
    await until(() => started.includes('running'), 'the call');
    const late = ending.admin.send(chat, 'waiting');
    await awaitMetric(ending, 'aerie_slots_waiting', (n) => n === 1);
    await ending.halt();
    assert.equal((await (await running).whole()).events.at(-1).data.code, 'interrupted');
    assert.ok((await late).status >= 500);
    await ending.listen();
    assert.deepEqual(await ending.admin.messages(chat), []);
  } finally {
    await ending.stop();
  }
});
