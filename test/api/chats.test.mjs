import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { startUpstream } from '../fake/upstream.mjs';
import { Aerie, isTime, isUuid } from '../tools/aerie.mjs';
import { until } from '../tools/until.mjs';

let aerie;
let agent;
let upstream;
before(async () => {
  upstream = await startUpstream();
  aerie = await Aerie.start();
  agent = await aerie.admin.agent({ webhook_url: upstream.url({ echo: '1' }) });
});
after(async () => {
  await aerie?.stop();
  await upstream?.close();
});

const missing = '00000000-0000-7000-8000-000000000000';

test('a_chat_is_made_read_changed_and_deleted', async () => {
  const user = await aerie.user();
  const made = await user.post('/api/chats', { agent_id: agent.id, title: 'Support', metadata: { tags: ['a', 'ü'] } });
  assert.equal(made.status, 201, made.text);
  const chat = made.json;
  assert.ok(isUuid(chat.id) && chat.id[14] === '7');
  assert.equal(chat.team_id, aerie.team.id);
  assert.equal(chat.user_id, user.me.id);
  assert.equal(chat.agent_id, agent.id);
  assert.deepEqual(chat.metadata, { tags: ['a', 'ü'] });
  assert.equal(chat.is_archived, false);
  assert.deepEqual(chat.messages, []);
  assert.equal(chat.message_count, 0);
  assert.ok(isTime(chat.created_at) && isTime(chat.updated_at));
  const changed = await user.put(`/api/chats/${chat.id}`, { title: 'New', is_archived: true });
  assert.equal(changed.status, 200, changed.text);
  assert.equal(changed.json.title, 'New');
  assert.equal(changed.json.is_archived, true);
  assert.deepEqual(changed.json.metadata, { tags: ['a', 'ü'] });
  assert.equal((await user.get(`/api/chats/${chat.id}`)).json.title, 'New');
  assert.equal((await user.delete(`/api/chats/${chat.id}`)).status, 204);
  for (const answer of [await user.get(`/api/chats/${chat.id}`), await user.put(`/api/chats/${chat.id}`, { title: 'x' }), await user.delete(`/api/chats/${chat.id}`), await user.get(`/api/chats/${chat.id}/messages`)])
    assert.equal(answer.status, 404);
});

test('a_chat_needs_an_agent_of_the_team', async () => {
  const user = await aerie.user();
  const other = await aerie.otherTeam();
  const foreign = await other.admin.agent({ provider: 'echo' });
  const [none, unknown, theirs] = [
    await user.post('/api/chats', {}),
    await user.post('/api/chats', { agent_id: missing }),
    await user.post('/api/chats', { agent_id: foreign.id }),
  ];
  assert.equal(none.status, 422);
  assert.equal(unknown.status, theirs.status);
  assert.equal(unknown.text, theirs.text);
  assert.ok([404, 422].includes(theirs.status), String(theirs.status));
});

test('chats_of_one_moment_have_an_order_too_and_bring_their_last_messages', async () => {
  const user = await aerie.user();
  const chats = [];
  for (let i = 0; i < 7; i++) chats.push(await user.chat(agent, { title: `chat ${i}` }));
  for (const i of [1, 4]) for (const word of ['one', 'two', 'three']) await user.ask(chats[i], word);
  aerie.database.query(`update chats set updated_at = (select max(updated_at) from chats where owner_id = '${user.me.id}') where owner_id = '${user.me.id}'`);
  const expected = chats.map((c) => c.id).sort().reverse();
  const paged = [];
  for (let offset = 0; offset < 8; offset += 2) paged.push(...(await user.get(`/api/chats?limit=2&offset=${offset}&messages=3`)).json);
  assert.deepEqual(paged.map((c) => c.id), expected);
  for (const chat of paged) {
    const whole = (await user.get(`/api/chats/${chat.id}`)).json;
    assert.equal(chat.message_count, [1, 4].some((i) => chats[i].id === chat.id) ? 6 : 0);
    assert.deepEqual(chat.messages, whole.messages.slice(-3));
  }
});

test('chats_are_listed_by_their_last_change_in_pages', async () => {
  const user = await aerie.user();
  const chats = [];
  for (let i = 0; i < 5; i++) chats.push(await user.chat(agent, { title: `chat ${i}` }));
  await user.ask(chats[1], 'now the newest');
  await user.put(`/api/chats/${chats[3].id}`, { is_archived: true });
  const list = await user.get('/api/chats');
  assert.equal(list.status, 200);
  assert.equal(list.headers['x-total-count'], '4');
  assert.deepEqual(list.json.map((c) => c.title), ['chat 1', 'chat 4', 'chat 2', 'chat 0']);
  assert.equal(list.json[0].message_count, 2);
  assert.equal(list.json[0].messages.length, 2);
  const all = await user.get('/api/chats?include_archived=true');
  assert.equal(all.headers['x-total-count'], '5');
  const page = await user.get('/api/chats?limit=2&offset=1');
  assert.deepEqual(page.json.map((c) => c.title), ['chat 4', 'chat 2']);
  assert.equal(page.headers['x-total-count'], '4');
  assert.deepEqual((await user.get('/api/chats?offset=100')).json, []);
  for (const query of ['limit=0', 'limit=201', 'limit=1e2', 'offset=-1', 'messages=201', 'messages=-1', 'include_archived=perhaps', 'limit=99999999999999999999'])
    assert.equal((await user.get(`/api/chats?${query}`)).status, 422, query);
});

test('a_chat_shows_its_latest_messages_and_counts_the_rest', async () => {
  const user = await aerie.user();
  const chat = await user.chat(agent);
  for (let i = 0; i < 4; i++) await user.ask(chat, `message ${i}`);
  const shown = (await user.get(`/api/chats/${chat.id}?messages=3`)).json;
  assert.equal(shown.message_count, 8);
  assert.deepEqual(shown.messages.map((m) => m.role), ['assistant', 'user', 'assistant']);
  assert.equal(shown.messages[1].content, 'message 3');
  assert.equal((await user.get(`/api/chats/${chat.id}`)).json.messages.length, 8);
  assert.deepEqual((await user.get('/api/chats?messages=0')).json[0].messages, []);
  assert.equal((await user.get('/api/chats?messages=2')).json[0].messages.length, 2);
});

test('messages_come_in_pages_before_a_message', async () => {
  const user = await aerie.user();
  const chat = await user.chat(agent);
  for (let i = 0; i < 5; i++) await user.ask(chat, `m${i}`);
  const all = await user.messages(chat);
  assert.equal(all.length, 10);
  for (const message of all) {
    assert.ok(isUuid(message.id) && isTime(message.timestamp), JSON.stringify(message));
    assert.equal(message.status, 'complete');
    assert.equal(typeof message.metadata, 'object');
  }
  const seen = [];
  let before = '';
  for (;;) {
    const page = await user.messages(chat, `?limit=3${before}`);
    if (page.length === 0) break;
    seen.unshift(...page);
    before = `&before=${page[0].id}`;
  }
  assert.deepEqual(seen.map((m) => m.id), all.map((m) => m.id));
  assert.ok([404, 422].includes((await user.get(`/api/chats/${chat.id}/messages?before=nonsense`)).status));
  assert.equal((await user.get(`/api/chats/${chat.id}/messages?limit=0`)).status, 422);
});

test('words_come_into_the_index_without_a_search_too', async () => {
  const user = await aerie.user();
  const chat = await user.chat(agent);
  await user.ask(chat, 'an aardvark');
  const waiting = `select count(*) from messages where ${aerie.database.kind === 'sqlite' ? 'is_indexed = 0' : 'not is_indexed'}`;
  await until(() => aerie.database.query(waiting) === '0', 'the index is fed');
});

test('search_finds_whole_words_in_titles_and_messages_alike_on_both_databases', async () => {
  const user = await aerie.user();
  const [one, two, three] = [await user.chat(agent, { title: 'Zebra crossing' }), await user.chat(agent, { title: 'Plain' }), await user.chat(agent, { title: 'Straße nach Süden' })];
  await user.ask(two, 'my giraffe and the running man');
  await user.ask(one, "it's 100% sure; don't");
  const find = async (q) => (await user.get(`/api/chats?q=${encodeURIComponent(q)}`)).json.map((c) => c.title).sort();
  assert.deepEqual(await find('zebra'), ['Zebra crossing']);
  assert.deepEqual(await find('GIRAFFE'), ['Plain']);
  assert.deepEqual(await find('giraff'), [], 'whole words');
  assert.deepEqual(await find('run'), [], 'no stemming');
  assert.deepEqual(await find('the'), ['Plain'], 'no stop words');
  assert.deepEqual(await find('giraffe man'), ['Plain'], 'all of the words');
  assert.deepEqual(await find('giraffe zebra'), []);
  assert.deepEqual(await find('süden'), ['Straße nach Süden']);
  assert.deepEqual(await find('sure'), ['Zebra crossing']);
  for (const q of ['"', "'", '*', 'a"b', 'AND', 'NEAR(', ':', '-', '%', '\\', '()', 'zebra & ! |', '^x', 'title:zebra', '😀'])
    assert.ok(Array.isArray((await user.get(`/api/chats?q=${encodeURIComponent(q)}`)).json), q);
  const total = await user.get('/api/chats?q=zebra&limit=1');
  assert.equal(total.headers['x-total-count'], '1');
  await user.delete(`/api/chats/${one.id}`);
  assert.deepEqual(await find('zebra'), []);
  await user.put(`/api/chats/${three.id}`, { title: 'Renamed' });
  assert.deepEqual(await find('süden'), []);
  assert.deepEqual(await find('renamed'), ['Renamed']);
  const stranger = await aerie.user();
  assert.deepEqual((await stranger.get('/api/chats?q=giraffe')).json, []);
});

test('a_message_is_stored_though_another_server_adds_one_to_the_chat_meanwhile', async () => {
  if (aerie.database.kind === 'sqlite') return; // it has one server
  const user = await aerie.user();
  const chat = await user.chat(agent);
  await user.ask(chat, 'one');
  const held = aerie.database.hold(`insert into messages (id, team_id, chat_id, seq, role, content, status, created_at)
    select gen_random_uuid(), team_id, chat_id, seq + 1, 'user', 'beside', 'complete', now() from messages where chat_id = '${chat.id}' and seq = 2; select pg_sleep(1)`);
  await sleep(400);
  await user.ask(chat, 'two');
  await held;
  assert.deepEqual((await user.messages(chat)).filter((m) => m.role === 'user').map((m) => m.content), ['one', 'beside', 'two']);
});

test('a_search_finds_what_another_server_is_putting_into_the_index', async () => {
  if (aerie.database.kind === 'sqlite') return; // it has one writer
  const user = await aerie.user();
  const chat = await user.chat(agent, { title: 'Plain' });
  await user.ask(chat, 'an okapi');
  const held = aerie.database.hold(`begin; update messages set is_indexed = false where content = 'an okapi'; commit;
    begin; select id from messages where content = 'an okapi' for update; select pg_sleep(2); commit`);
  await sleep(700);
  assert.deepEqual((await user.get('/api/chats?q=okapi')).json.map((c) => c.title), ['Plain']);
  await held;
});

test('a_search_finds_the_latest_however_much_waits_for_the_index', async () => {
  const user = await aerie.user();
  const [old, chat] = [await user.chat(agent, { title: 'Old' }), await user.chat(agent, { title: 'New' })];
  const [rows, number, time] = aerie.database.kind === 'sqlite'
    ? ['with recursive n (i) as (select 1 union all select i + 1 from n where i < 6000)', "printf('%012d', i)", '1']
    : ['with n as (select generate_series(1, 6000) i)', "lpad(i::text, 12, '0')", 'now()'];
  const id = `'0191d3c5-7b1a-7c00-8000-' || ${number}`;
  aerie.database.query(`${rows} insert into messages (id, team_id, chat_id, seq, role, content, status, created_at)
    select ${aerie.database.kind === 'sqlite' ? id : `(${id})::uuid`}, c.team_id, c.id, i, 'user', 'long ago', 'complete', ${time} from n, chats c where c.id = '${old.id}'`);
  await user.ask(chat, 'a quokka');
  assert.deepEqual((await user.get('/api/chats?q=quokka')).json.map((c) => c.title), ['New']);
});

test('a_chat_is_exported_in_three_formats', async () => {
  const user = await aerie.user();
  const chat = await user.chat(agent, { title: 'Export / me "now"' });
  await user.ask(chat, 'Grüße\n# no heading');
  const json = await user.get(`/api/chats/${chat.id}/export?format=json`);
  assert.equal(json.status, 200);
  assert.match(json.headers['content-type'], /^application\/json/);
  assert.match(json.headers['content-disposition'] ?? '', /attachment/);
  assert.doesNotMatch(json.headers['content-disposition'], /[\r\n]/);
  assert.equal(json.json.title, 'Export / me "now"');
  assert.equal(json.json.messages[0].content, 'Grüße\n# no heading');
  assert.equal(json.json.messages.length, 2);
  const markdown = await user.get(`/api/chats/${chat.id}/export?format=markdown`);
  assert.match(markdown.headers['content-type'], /^text\/markdown/);
  assert.match(markdown.text, /Grüße/);
  const txt = await user.get(`/api/chats/${chat.id}/export?format=txt`);
  assert.match(txt.headers['content-type'], /^text\/plain/);
  assert.match(txt.text, /Grüße/);
  assert.equal((await user.get(`/api/chats/${chat.id}/export?format=pdf`)).status, 422);
  assert.equal((await user.get(`/api/chats/${missing}/export?format=json`)).status, 404);
});

test('a_long_chat_is_exported_whole', async () => {
  const user = await aerie.user();
  const chat = await user.chat(agent);
  const said = [];
  for (let i = 0; i < 60; i++) {
    said.push(`${i} ${'lorem ipsum '.repeat(400)}`.trim());
    await user.ask(chat, said.at(-1));
  }
  const json = (await user.get(`/api/chats/${chat.id}/export?format=json`)).json;
  assert.equal(json.messages.length, 120);
  assert.deepEqual(json.messages.filter((m) => m.role === 'user').map((m) => m.content), said);
});

test('bad_fields_are_named_and_change_nothing', async () => {
  const user = await aerie.user();
  const chat = await user.chat(agent, { title: 'Stays' });
  const cases = [{ title: 5 }, { title: 'x'.repeat(100000) }, { is_archived: 'yes' }, { metadata: [] }, { metadata: 'x' }];
  for (const json of cases) {
    const answer = await user.put(`/api/chats/${chat.id}`, json);
    assert.equal(answer.status, 422, JSON.stringify(json).slice(0, 60));
    assert.equal(answer.json.errors[0].field, Object.keys(json)[0]);
  }
  const after = (await user.get(`/api/chats/${chat.id}`)).json;
  assert.equal(after.title, 'Stays');
  const bound = await user.put(`/api/chats/${chat.id}`, { user_id: missing, team_id: missing, id: missing, created_at: '2000-01-01T00:00:00Z' });
  assert.ok(bound.status < 500);
  assert.equal((await user.get(`/api/chats/${chat.id}`)).json.user_id, user.me.id);
});
