// Another team's things, and another user's chats, answer exactly like missing ones: status, body, headers and cost.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import http from 'node:http';
import { after, before, test } from 'node:test';
import { Aerie, inParallel, runCommand, unique } from '../tools/aerie.mjs';
import { openStream } from '../tools/http.mjs';
import { readMetrics } from '../tools/metrics.mjs';
import { routes } from '../tools/routes.mjs';
import { ChatSocket, openSocket } from '../tools/socket.mjs';
import { callersOf, comparable, foreignIds, isOpen, isSilent, requestOf, slotsOf, twoWorlds } from '../tools/worlds.mjs';

let aerie;
let theirs; // the other team's admin
let mine;
let others;
let callers;

before(async () => {
  // Mail is on, and goes nowhere: what asks for mails then answers as in earnest.
  aerie = await Aerie.start({ env: { EMAIL__URL: 'smtp://127.0.0.1:1', EMAIL__FROM: 'noreply@aerie.test', LIMITS__MAIL_PER_MINUTE: '0', LIMITS__MAIL_PER_ACCOUNT: '0', LIMITS__WRONG_KEYS_PER_MINUTE: '0', LIMITS__VISITOR_SESSIONS_PER_MINUTE: '0', LIMITS__VISITOR_MESSAGES_PER_MINUTE: '0' } });
  ({ mine, others } = await twoWorlds(aerie));
  theirs = others.admin;
  callers = callersOf({ mine, others });
});
after(() => aerie?.stop());

// ---- every route that takes an id, from what the server says of itself ----

const description = JSON.parse(runCommand(['openapi']).stdout);
const slots = slotsOf(description);
const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'];

test('the_description_has_every_route_of_the_table', async () => {
  const described = Object.entries(description.paths).flatMap(([path, operations]) => Object.keys(operations).map((verb) => `${verb.toUpperCase()} ${path}`));
  assert.deepEqual(described.sort(), routes().map(({ method, path }) => `${method} ${path}`).sort());
  const told = (await aerie.request('GET', '/openapi.json')).json;
  assert.equal(slotsOf(told).length, slots.length, 'the server describes the same routes');
});

/** Calls one after the other: of two turns of the same user in a chat, even in none, one is told of the other. */
function caller(who) {
  const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
  const ask = (method, url, options) => aerie.request(method, url, { ...options, ...who.as, agent, headers: { ...options.headers, ...who.as.headers } });
  return { ask, end: () => agent.destroy() };
}

test('no_id_of_another_is_told_from_a_missing_one_on_any_route', async () => {
  let pairs = 0;
  const one = async (who, slot, askAs) => {
    const ask = (id) => askAs(...requestOf(slot, id, who.own));
    const what = (id) => `${who.who}: ${slot.method} ${slot.path} ${slot.name}=${id}`;
    const random = randomUUID();
    const missing = await ask(random);
    const foreign = foreignIds(slot.kind, who);
    for (const id of [...foreign, mine.messages[1].id]) {
      const answer = await ask(id);
      pairs++;
      if (isOpen(slot) && foreign.includes(id)) continue;
      assert.ok(answer.status >= 400 || isSilent(slot, answer), `${what(id)}: ${answer.status} ${answer.text}`);
      // Who knows a session's id may write to it: that it is there is no secret, what was said in it is.
      if (slot.kind === 'session' && [mine.session.id, others.session.id].includes(id)) assert.equal(answer.status, 401, what(id));
      else assert.deepEqual(comparable(answer, id), comparable(missing, random), what(id));
    }
    for (const id of ['%00', `${random}x`]) {
      const answer = await ask(slot.place === 'body' ? id : encodeURIComponent(id));
      assert.ok(answer.status >= 400 && answer.status < 500, `${what(id)}: ${answer.status} ${answer.text}`);
    }
  };
  await inParallel(callers.length, callers, async (who) => {
    const { ask, end } = caller(who);
    for (const slot of slots) await one(who, slot, ask);
    end();
  });
  console.log(`    ${slots.length} places for ids, ${callers.length} callers, ${pairs} pairs`);
  assert.ok(pairs >= 2000, `${pairs} pairs`);
});

test('no_method_tells_an_id_of_another_from_a_missing_one', async () => {
  let pairs = 0;
  const paths = slots.filter((slot, i) => slot.place === 'path' && slots.findIndex(({ path, name }) => path === slot.path && name === slot.name) === i);
  await inParallel(callers.length, callers, async (who) => {
    const { ask, end } = caller(who);
    for (const slot of paths)
      for (const method of METHODS.filter((method) => !description.paths[slot.path][method.toLowerCase()])) {
        const send = (id) => ask(method, requestOf(slot, id, who.own)[1], { headers: { Origin: 'https://evil.test', 'Access-Control-Request-Method': 'DELETE' } });
        const random = randomUUID();
        const missing = comparable(await send(random), random);
        for (const id of foreignIds(slot.kind, who)) {
          pairs++;
          assert.deepEqual(comparable(await send(id), id), missing, `${who.who}: ${method} ${slot.path} ${slot.name}=${id}`);
        }
      }
    end();
  });
  console.log(`    ${pairs} pairs`);
});

// ---- ids in header lines and in frames ----

/** Ids and times are the caller's own or new: only what else differs may tell. */
const shapeOf = (text) => text.replace(/[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/g, 'ID').replace(/\d{4}-\d\d-\d\dT[\d:.]+Z/g, 'TIME');

/** The doors to a turn: how one of the world sends the same words in a chat of his own. */
const doors = {
  'POST /api/chats/{id}/messages': async (world, who, send) => send(`/api/chats/${(await who.chat(world.agent)).id}/messages`, { content: 'my own words' }, who.token),
  'POST /api/chat': (world, who, send) => send('/api/chat', { message: 'my own words', agent_id: world.agent.id }, who.token),
  'POST /api/chat/stream': (world, who, send) => send('/api/chat/stream', { message: 'my own words', agent_id: world.agent.id }, who.token),
  'POST /api/chat/widget': (world, who, send) => send('/api/chat/widget', { message: 'my own words', session_id: world.session.id }),
};

test('an_idempotency_key_of_another_is_new_to_everyone_else', async () => {
  const keyed = Object.entries(description.paths).flatMap(([path, operations]) =>
    Object.entries(operations).filter(([, operation]) => operation.parameters?.some(({ name }) => name === 'Idempotency-Key')).map(([verb]) => `${verb.toUpperCase()} ${path}`));
  assert.deepEqual(keyed.sort(), Object.keys(doors).sort(), 'say above how each door is asked');
  const asOf = (key) => (path, json, token) => aerie.request('POST', path, { json, token, headers: { 'Idempotency-Key': key, Accept: 'application/json' } });
  for (const [door, ask] of Object.entries(doors)) {
    const used = randomUUID();
    const first = await ask(mine, aerie.admin, asOf(used));
    assert.ok(first.status < 300, `${door}: ${first.text}`);
    const own = first.text.match(/[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/g);
    // A visitor is one with the session: another session's.
    const sessions = { ...mine, session: mine.otherSession };
    for (const [world, who] of [[sessions, mine.user], [sessions, mine.colleague], [others, theirs], [others, others.user]]) {
      const answer = await ask(world, who, asOf(used));
      const fresh = await ask(world, who, asOf(randomUUID()));
      assert.deepEqual([answer.status, shapeOf(answer.text)], [fresh.status, shapeOf(fresh.text)], door);
      for (const id of own.filter((id) => id !== mine.agent.id)) assert.ok(!answer.text.includes(id), `${door}: ${answer.text}`);
    }
  }
});

test('an_event_of_anothers_turn_is_none_to_resume_from', async () => {
  const chat = await theirs.chat(others.agent);
  await theirs.ask(chat, 'my own words');
  const { session } = others;
  await aerie.request('POST', '/api/chat/widget', { json: { session_id: session.id, message: 'my own words' }, headers: { Accept: 'application/json' } });
  const resume = [
    (id) => theirs.get(`/api/chats/${chat.id}/stream`, { headers: { 'Last-Event-ID': `${id}:1` } }),
    (id) => theirs.get(`/api/chats/${chat.id}/stream?last_event_id=${id}:1`),
    (id) => aerie.request('GET', `/api/chat/widget/stream?session_id=${session.id}`, { token: session.visitor_token, headers: { 'Last-Event-ID': `${id}:1` } }),
    (id) => aerie.request('GET', `/api/chat/widget/stream?session_id=${session.id}&last_event_id=${id}:1`, { token: session.visitor_token }),
  ];
  for (const ask of resume) {
    const random = randomUUID();
    const answer = await ask(mine.turn.id);
    assert.deepEqual(comparable(answer, mine.turn.id), comparable(await ask(random), random));
    assert.ok(!answer.text.includes('secret'), answer.text);
  }
});

test('no_frame_of_a_socket_tells_an_id_of_another_from_a_missing_one', async () => {
  const frames = [
    (id) => ({ session_id: id, message: 'hello' }),
    (id) => ({ session_id: id, type: 'resume' }),
    (id) => ({ session_id: id, type: 'resume', last_event_id: `${mine.turn.id}:1` }),
    (id) => ({ agent_id: id, message: 'hello' }),
  ];
  for (const who of callers) {
    const socket = await openSocket(aerie.port, { headers: who.as.headers, token: who.as.token });
    const isUser = !who.isNobody && [mine, others].some((w) => [w.admin.token, w.user.token, w.colleague.token].includes(who.as.token));
    assert.equal(socket instanceof ChatSocket, isUser, who.who);
    if (!isUser) {
      assert.equal(socket.status, 401, who.who);
      continue;
    }
    for (const frame of frames) {
      const kind = frame('').agent_id === undefined ? 'chat' : 'agent';
      const tell = async (id) => {
        const from = socket.events.length;
        socket.send(frame(id));
        await socket.until(() => socket.events.slice(from).some(({ type, data }) => type === 'error' || data.done));
        return socket.events.slice(from).map(({ at, ...event }) => shapeOf(JSON.stringify(event)));
      };
      const missing = await tell(randomUUID());
      for (const id of foreignIds(kind, who)) assert.deepEqual(await tell(id), missing, `${who.who}: ${JSON.stringify(frame(id))}`);
    }
    await socket.close();
  }
});

// ---- what it costs ----

const doneBy = async () => {
  const metrics = await readMetrics(aerie);
  return ['read', 'slow', 'write'].map((use) => metrics.get(`aerie_db_statements_total{use="${use}"}`));
};

/** A missing thing and another's are looked for with the same statements: a second look, which only what is there gets, would show. */
test('no_id_of_another_costs_more_statements_than_a_missing_one', async () => {
  const cost = async (run, least) => {
    const before = await doneBy();
    await run();
    return (await doneBy()).map((n, i) => Math.min(n - before[i], least?.[i] ?? Infinity));
  };
  // The outbox and housekeeping have statements of their own now and then; what a request costs it costs each time.
  const compare = async (runMissing, runFound, tries) => {
    let missing;
    let found;
    while (tries-- > 0 && (!found || String(found) !== String(missing))) {
      missing = await cost(runMissing, missing);
      found = await cost(runFound, found);
    }
    return { missing, found };
  };
  let n = 0;
  for (const who of callers.filter(({ isNobody }) => !isNobody)) {
    const { ask, end } = caller(who);
    // What asks for a mail sets the outbox to work, at a time of its own: mail.test.mjs compares what that costs.
    const pairs = slots.filter((slot) => !isOpen(slot) && slot.kind !== 'session' && !/password|verify-email/.test(slot.path))
      .flatMap((slot) => foreignIds(slot.kind, who).slice(0, 1).map((id) => ({ slot, id })));
    const send = ({ slot }, id) => ask(...requestOf(slot, id, who.own));
    n += pairs.length;
    const all = async (idOf) => {
      for (const pair of pairs) await send(pair, idOf(pair));
    };
    await all(randomUUID); // a key is warm from here on
    const { missing, found } = await compare(() => all(randomUUID), () => all(({ id }) => id), 2);
    if (String(found) !== String(missing))
      for (const pair of pairs) {
        const alone = await compare(() => send(pair, randomUUID()), () => send(pair, pair.id), 5);
        assert.deepEqual(alone.found, alone.missing, `${who.who}: ${pair.slot.method} ${pair.slot.path} ${pair.slot.name}=${pair.id}: reads, slow ones, writes`);
      }
    end();
  }
  console.log(`    ${n} pairs`);
});

/** Processor time of the server so far, all threads, in ns: another's load does not count. */
function processorTime() {
  const tasks = `/proc/${aerie.child.pid}/task`;
  return readdirSync(tasks).reduce((total, task) => {
    try {
      return total + Number(readFileSync(`${tasks}/${task}/schedstat`, 'utf8').split(' ')[0]);
    } catch {
      return total; // it has ended
    }
  }, 0);
}

/** The median of what each kind of call costs the processor, in turns; told as a ratio of the first to the second. */
async function costRatio(rounds, perRound, first, second) {
  const spent = [[], []];
  for (let round = 0; round < rounds; round++)
    for (const [i, run] of [first, second].entries()) {
      const began = processorTime();
      for (let n = 0; n < perRound; n++) await run();
      spent[i].push(processorTime() - began);
    }
  const [a, b] = spent.map((list) => list.sort((x, y) => x - y)[list.length >> 1]);
  return a / b;
}

/** A busy machine may spoil one measurement, and hardly three. */
async function costsTheSame(what, within, rounds, perRound, first, second) {
  const ratios = [];
  for (let tries = 0; tries < 3; tries++) {
    const ratio = await costRatio(rounds, perRound, first, second);
    ratios.push(ratio.toFixed(3));
    if (Math.abs(Math.log(ratio)) < Math.log(1 + within)) return ratio;
  }
  assert.fail(`${what}: ${ratios.join(', ')} times as much`);
}

test('no_id_of_another_costs_more_time_than_a_missing_one', async () => {
  const lookups = { agents: 'agent', chats: 'chat', users: 'user', 'v1/documents': 'document', chatbots: 'agent' };
  const told = [];
  const { ask, end } = caller(callers[0]);
  for (const [path, kind] of Object.entries(lookups)) {
    const get = (id) => ask('GET', `${path === 'chatbots' ? '' : '/api'}/${path}/${id}`, {});
    for (let i = 0; i < 20; i++) await get(randomUUID()); // warm
    const ratio = await costsTheSame(path, 0.2, 15, 12, () => get(mine[kind].id), () => get(randomUUID()));
    told.push(`${kind} ${ratio.toFixed(2)}`);
  }
  end();
  console.log(`    processor time, another's to a missing one's: ${told.join(', ')}`);
});

test('an_unknown_address_costs_a_login_the_same_time', async () => {
  const slow = await Aerie.start({ env: { SECURITY__BCRYPT_ROUNDS: '8' } });
  const before = aerie;
  try {
    const login = (email) => slow.request('POST', '/api/auth/login', { json: { email, password: 'not the password' } });
    aerie = slow;
    await costsTheSame('a known address', 0.2, 7, 2, () => login(slow.adminEmail), () => login(`${unique('nobody')}@aerie.test`));
  } finally {
    aerie = before;
    await slow.stop();
  }
});

test('lists_show_only_ones_own', async () => {
  assert.ok(!(await theirs.get('/api/agents?limit=200&include_inactive=true')).text.includes(mine.agent.id));
  assert.ok(!(await theirs.get('/chatbots?limit=200')).text.includes(mine.agent.id));
  assert.deepEqual((await theirs.get('/api/chats?q=zebra')).json, []);
  assert.ok(!(await theirs.get('/api/chats?include_archived=true')).text.includes(mine.chat.id));
  assert.ok(!(await theirs.get('/api/history?per_page=100')).text.includes('secret words of'));
  const users = (await theirs.get('/api/users?limit=200')).text;
  for (const client of [aerie.admin, mine.user, mine.colleague]) assert.ok(!users.includes(client.me.id) && !users.includes(client.email));
  assert.deepEqual((await theirs.get('/api/v1/documents')).json.map((document) => document.id), [others.document.id]);
  const own = await theirs.chat(await theirs.agent({ provider: 'echo' }));
  const before = await theirs.get(`/api/chats/${own.id}/messages?before=${mine.messages[1].id}`);
  const unknown = await theirs.get(`/api/chats/${own.id}/messages?before=${randomUUID()}`);
  assert.deepEqual([before.status, before.text], [unknown.status, unknown.text]);
});

test('another_users_idempotency_key_is_not_joined', async () => {
  const key = { 'Idempotency-Key': randomUUID() };
  await aerie.admin.ask(await aerie.admin.chat(mine.agent), 'first', { headers: key });
  const chat = await theirs.chat(await theirs.agent({ provider: 'echo' }));
  const stream = await theirs.ask(chat, 'second', { headers: key });
  assert.match(stream.text, /second/);
});

test('nothing_was_changed_by_all_that', async () => {
  assert.equal((await aerie.admin.get(`/api/agents/${mine.agent.id}`)).json.name, mine.agent.name);
  assert.deepEqual(await aerie.admin.messages(mine.chat), mine.messages);
  assert.equal((await aerie.admin.get(`/api/users/${mine.user.me.id}`)).json.role, 'user');
  assert.equal((await mine.user.get('/api/auth/me')).status, 200);
});

/** What the requests above are worth: with an id of one's own each is taken. */
test('the_same_requests_are_taken_from_the_owner', async () => {
  const fresh = {
    user: async () => ({ id: (await aerie.user()).me.id }),
    visitor: async () => ({ id: (await aerie.request('POST', '/api/chat/widget/session', { json: { chatbot_id: mine.agent.id } })).json.session_id }),
    agent: () => aerie.admin.agent({ provider: 'echo' }),
    chat: async () => aerie.admin.chat(mine.agent),
    key: async () => (await aerie.admin.post(`/api/agents/${mine.agent.id}/api-keys`, {})).json,
    providerKey: async () => (await aerie.admin.post('/api/team/provider-keys', { provider: 'openai', key: 'sk-0123456789' })).json,
    budget: async () => (await aerie.admin.put('/api/budgets', { scope: 'team', period: 'day', requests: 1000000 })).json,
    webhook: async () => (await aerie.admin.post('/api/webhooks', { url: 'http://127.0.0.1:1/hook', events: ['chat.created'] })).json,
    document: async () => (await aerie.admin.post('/api/v1/documents', { title: 'x', content: unique('more words ') })).json,
  };
  for (const slot of slots) {
    if (slot.kind === 'team') continue; // with someone else's password or key
    const isFirst = slot.path.includes(`{${slot.name}}/`);
    const own = { ...mine };
    if (slot.method === 'DELETE' && slot.path.includes('{key_id}')) own.key = await fresh.key();
    if (slot.place === 'body' && slot.path.includes('{id}')) own.agent = mine.otherAgent; // not its own fallback
    const takesAway = (slot.method === 'DELETE' && !isFirst) || slot.path.endsWith('/erase');
    const id = takesAway ? (await fresh[slot.kind]()).id : mine[slot.kind].id;
    const [method, url, options] = requestOf(slot, id, own);
    const as = slot.kind === 'session' || slot.name === 'before' && slot.path.includes('widget') ? mine.session.visitor_token : slot.path.startsWith('/v1/') || slot.name === 'assistant_id' ? mine.key.api_key : aerie.admin.token;
    const answer = await openStream(aerie.port, method, url, { ...options, token: as });
    answer.close?.();
    const status = answer.status ?? 200;
    const isTaken = status < 300 || status === 409 || (status === 422 && /another provider/.test(answer.text)) || (status === 404 && !/not found|model_not_found/i.test(answer.text));
    assert.ok(isTaken, `${slot.method} ${slot.path} ${slot.name}: ${status} ${answer.text}`);
  }
});
