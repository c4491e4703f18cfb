// Nodes that share one database: who is there, whose reply it is, and what one does that the others must know of.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { startUpstream } from '../fake/upstream.mjs';
import { Aerie, isUuid, withinASecond } from '../tools/aerie.mjs';
import { kind } from '../tools/database.mjs';
import { until } from '../tools/until.mjs';

const skip = kind === 'sqlite' && 'SQLite has one server';

let upstream;
before(async () => (upstream = await startUpstream()));
after(() => upstream?.close());

/** So many nodes on one database; the first is prepared, and ends last. */
async function withNodes(n, run, env = {}) {
  const nodes = [await Aerie.start({ env: { SERVER__DRAIN_SECONDS: 2, ...env } })];
  try {
    while (nodes.length < n) nodes.push(await nodes[0].beside());
    await run(nodes, await nodes[0].admin.agent({ webhook_url: upstream.url() }));
    for (const node of [...nodes].reverse()) await (node.isKilled ? node.drop() : node.stop());
  } finally {
    for (const node of [...nodes].reverse()) if (node.child && !node.isKilled) node.drop();
  }
}

/** As another node sees who writes to the same database. */
const on = (node, client) => node.client(client.token);
const rows = (node, columns = 'id') => node.database.query(`select ${columns} from nodes order by started_at`).split('\n').filter(Boolean);
const statusOf = (node, chat) => node.database.query(`select status from messages where chat_id = '${chat.id}' and role = 'assistant' order by seq desc limit 1`);

async function begin(client, chat, content = '!tokens=2000&delay=20') {
  const stream = await client.send(chat, content);
  await stream.until((s) => s.of('message').length > 5);
  return stream;
}

test('a_server_has_a_row_from_its_start_to_its_clean_end', async () => {
  await withNodes(1, async ([node], agent) => {
    const [row, ...others] = rows(node, 'id, name, address, version, is_draining');
    assert.deepEqual(others, []);
    const [id, name, address, version, isDraining] = row.split('|');
    assert.ok(isUuid(id), id);
    assert.ok(name.endsWith(`:${node.child.pid}`), name);
    assert.ok(address.startsWith(`unix:${node.env.DATA_DIR}/peer-`) && address.endsWith('.sock'), address);
    assert.match(version, /^\d+\.\d+/);
    assert.match(isDraining, /^(0|f)$/);
    const stream = await begin(node.admin, await node.admin.chat(agent), '!tokens=40&delay=20');
    node.child.isToDie = true;
    node.child.kill('SIGTERM');
    await until(() => /^(1|t)$/.test(rows(node, 'is_draining')[0]), 'the row says that it drains', 2000);
    await stream.whole();
    assert.ok(stream.done);
    assert.deepEqual(await node.child.exit, { code: 0, signal: null });
    assert.deepEqual(rows(node), []);
  });
});

test('a_node_that_is_killed_and_starts_again_marks_its_replies_at_once', async () => {
  await withNodes(1, async ([node], agent) => {
    const chat = await node.admin.chat(agent);
    await begin(node.admin, chat);
    const [killed] = rows(node);
    await node.kill();
    await node.listen();
    assert.equal(statusOf(node, chat), 'interrupted');
    assert.equal(rows(node).length, 1);
    assert.notEqual(rows(node)[0], killed);
  });
});

test('a_killed_node_s_replies_are_marked_by_another_within_five_seconds', { skip }, async () => {
  await withNodes(2, async ([first, second], agent) => {
    await sleep(4000); // a node judges others once it has itself been there for nodes.dead_seconds
    const [own, other] = [await first.admin.chat(agent), await first.admin.chat(agent)];
    await begin(on(second, first.admin), other);
    const stream = await begin(first.admin, own);
    await second.kill();
    second.isKilled = true;
    await until(() => statusOf(first, other) === 'interrupted', 'the reply is marked', 5000);
    assert.equal(rows(first).length, 1);
    await until(() => /1 nodes were not seen for 3 s and are taken for dead; 1 of their replies are marked interrupted/.test(first.log), 'a line of the log', 500);
    assert.equal(statusOf(first, own), 'streaming', 'its own goes on');
    stream.close();
    const next = await first.admin.ask(other, '!tokens=2');
    assert.ok(next.done, 'the chat goes on, on another node');
  });
});

/** A node that was last seen a minute ago, and its replies, all in that chat. It is there for others to find once `before` is done. */
async function addDead(node, chat, n, before) {
  const id = randomUUID();
  node.database.query(`insert into messages (id, team_id, chat_id, seq, role, content, status, created_at, node_id)
    select gen_random_uuid(), '${node.team.id}', '${chat.id}', n, 'assistant', 'some words', 'streaming', now(), '${id}' from generate_series(1, ${n}) n`);
  await before?.();
  node.database.query(`insert into nodes (id, name, version, started_at, seen_at, is_draining)
    values ('${id}', 'dead:1', '0', now(), now() - interval '1 minute', false)`);
}
const marked = (node, chat) => Number(node.database.query(`select count(*) from messages where chat_id = '${chat.id}' and status = 'interrupted'`));

/** For so long, each of the nodes is seen at least every so often, and is never taken for dead. */
async function allBeat(nodes, ms, ids = rows(nodes[0])) {
  const ages = `select count(*), coalesce(max(extract(epoch from clock_timestamp() - seen_at)), 0) from nodes where id in (${ids.map((id) => `'${id}'`)})`;
  for (const end = Date.now() + ms; Date.now() < end; await sleep(100)) {
    const [n, oldest] = nodes[0].database.query(ages).split('|').map(Number);
    assert.ok(n === ids.length && oldest < 2.9, `${n} of ${ids.length} nodes, the one that is silent for longest ${oldest} s`);
  }
}

test('thousands_of_replies_of_a_dead_node_are_marked_in_portions_each_counted_once', { skip }, async () => {
  await withNodes(2, async (nodes, agent) => {
    const [{ database, admin }] = nodes;
    const living = rows(nodes[0]);
    const chat = await admin.chat(agent);
    // All of them in one statement would take longer than it may.
    database.query(`create function slow() returns trigger language plpgsql as 'begin perform pg_sleep(0.001); return new; end';
      create trigger slow before update on messages for each row when (new.status = 'interrupted') execute function slow()`);
    await addDead(nodes[0], chat, 3000);
    await until(() => marked(nodes[0], chat) > 0, 'some are marked', 6000);
    await addDead(nodes[0], chat, 0); // the other node, which finds this one, marks beside the first
    await allBeat(nodes, 2500, living);
    await until(() => marked(nodes[0], chat) === 3000, 'all are marked', 8000);
    assert.deepEqual(rows(nodes[0]), living);
    assert.equal(database.query('select sum(messages), sum(completion_tokens), sum(errors) from usage_days'), '3000|9000|3000');
    await until(async () => {
      const texts = await Promise.all(nodes.map(async (node) => (await node.request('GET', '/metrics')).text));
      const sum = (name) => texts.reduce((n, text) => n + Number(new RegExp(`^${name} (\\d+)$`, 'm').exec(text)[1]), 0);
      assert.equal(sum('aerie_nodes_buried_total'), 2);
      return sum('aerie_nodes_replies_marked_total') === 3000;
    }, 'each is marked once', 2000);
    for (const node of nodes) assert.doesNotMatch(node.log, /row was gone|connection for \w+ is lost/);
  }, { DATABASE__STATEMENT_MS: 2000 });
});

test('a_node_that_marks_the_replies_of_another_goes_on_beating_and_storing_while_one_is_held', { skip }, async () => {
  await withNodes(2, async (nodes, agent) => {
    const [first, second] = nodes;
    const living = rows(first);
    const [dead, ...own] = await Promise.all(Array.from({ length: 5 }, () => first.admin.chat(agent)));
    await sleep(3200);
    const streams = await Promise.all(own.map((chat, i) => begin(i % 2 ? first.admin : on(second, first.admin), chat, '!tokens=100&delay=20')));
    let held;
    await addDead(first, dead, 250, async () => {
      held = first.database.hold(`begin; select 1 from messages where chat_id = '${dead.id}' and seq = 7 for update; select pg_sleep(5); commit`);
      await sleep(300);
    });
    await allBeat(nodes, 4200, living);
    assert.equal(marked(first, dead), 249, 'all but the one that is held');
    for (const stream of streams) assert.ok((await stream.whole()).done);
    for (const chat of own) assert.equal(statusOf(first, chat), 'complete');
    await held;
    await until(() => marked(first, dead) === 250, 'the one that was held', 3000);
    assert.equal(first.database.query('select sum(errors) from usage_days'), '250');
  });
});

test('a_write_that_is_held_up_makes_no_node_silent', { skip }, async () => {
  await withNodes(2, async (nodes, agent) => {
    await sleep(3200);
    const held = nodes[0].database.hold('begin; lock table agents in share mode; select pg_sleep(4); commit');
    await sleep(300);
    const writes = nodes.flatMap((node) => Array.from({ length: 8 }, () => on(node, nodes[0].admin).put(`/api/agents/${agent.id}`, { name: 'other' })));
    await allBeat(nodes, 3500);
    await held;
    await Promise.all(writes);
  });
});

test('the_start_of_a_node_leaves_the_replies_of_another_alone', { skip }, async () => {
  await withNodes(1, async ([first], agent) => {
    const chat = await first.admin.chat(agent);
    const stream = await begin(first.admin, chat, '!tokens=150&delay=20');
    const second = await first.beside();
    assert.equal(statusOf(first, chat), 'streaming');
    await sleep(200);
    assert.equal(rows(first).length, 2);
    const ended = await stream.whole();
    assert.ok(ended.done);
    assert.equal(statusOf(first, chat), 'complete');
    await second.stop();
    assert.equal(rows(first).length, 1);
  });
});

test('a_node_that_finds_its_row_gone_puts_it_back', { skip }, async () => {
  await withNodes(1, async ([node]) => {
    const before = rows(node, 'id, name');
    node.database.query('delete from nodes');
    await until(() => rows(node).length === 1, 'the row is back', 3000);
    assert.deepEqual(rows(node, 'id, name'), before);
    await until(() => /this node's row was gone/.test(node.log), 'a line of the log', 500);
  });
});

test('a_database_that_stood_still_makes_no_node_dead', { skip }, async () => {
  await withNodes(2, async ([first, second], agent) => {
    await sleep(4000);
    const chat = await first.admin.chat(agent);
    const stream = await begin(on(second, first.admin), chat);
    second.child.kill('SIGSTOP'); // the last to be heard again
    await first.database.hold('begin; lock table nodes; select pg_sleep(4.5); commit');
    await sleep(1200);
    second.child.kill('SIGCONT');
    await sleep(500);
    assert.equal(rows(first).length, 2);
    assert.equal(statusOf(first, chat), 'streaming');
    stream.close();
  });
});

test('a_chat_has_one_turn_on_all_nodes', { skip }, async () => {
  await withNodes(2, async ([first, second], agent) => {
    const chat = await first.admin.chat(agent);
    const stream = await begin(first.admin, chat, '!tokens=100&delay=20');
    const there = on(second, first.admin);
    const refused = await there.send(chat, 'and this?');
    assert.equal(refused.status, 409, refused.text);
    assert.match(refused.text, /already running/);
    const anew = await there.post(`/api/chats/${chat.id}/regenerate`, {});
    assert.equal(anew.status, 409, anew.text);
    await stream.whole();
    assert.equal((await first.admin.messages(chat)).length, 2);
    assert.ok((await there.ask(chat, '!tokens=2')).done);
    assert.equal((await first.admin.messages(chat)).length, 4);
  });
});

test('of_messages_to_all_nodes_at_the_same_moment_one_is_taken', { skip }, async () => {
  await withNodes(3, async (nodes, agent) => {
    const { admin } = nodes[0];
    for (let i = 0; i < 10; i++) {
      const chat = await admin.chat(agent);
      const answers = await Promise.all(nodes.map((node) => on(node, admin).send(chat, '!tokens=20&delay=10')));
      assert.deepEqual(answers.map(({ status }) => status).sort(), [200, 409, 409]);
      await Promise.all(answers.map((answer) => answer.whole?.()));
      assert.deepEqual((await admin.messages(chat)).map((m) => m.role), ['user', 'assistant']);
    }
  });
});

const told = async (node) => {
  const { text } = await node.request('GET', '/metrics');
  return Number(/^aerie_news_told (\d)$/m.exec(text)[1]);
};

test('what_is_revoked_on_one_node_is_refused_by_all_within_a_second', { skip }, async () => {
  await withNodes(3, async (nodes, agent) => {
    const [first] = nodes;
    const key = first.command(['key', 'create', '--agent', agent.id]).trim().split(/\s+/).at(-1);
    const ask = (node) => node.request('GET', '/v1/models', { token: key });
    for (let i = 0; i < 6; i++) {
      const user = await first.user();
      const isRefused = async (node) => (await on(node, user).get('/api/auth/me')).status === 401;
      for (const node of nodes) assert.equal(await isRefused(node), false);
      assert.equal((await on(nodes[i % 3], user).post('/api/auth/logout')).status, 204);
      await withinASecond(async () => (await Promise.all(nodes.map(isRefused))).every(Boolean), 'a token that was revoked is refused');
    }
    for (const node of nodes) assert.equal((await ask(node)).status, 200);
    const [{ id }] = (await first.admin.get(`/api/agents/${agent.id}/api-keys`)).json;
    assert.equal((await on(nodes[1], first.admin).delete(`/api/agents/${agent.id}/api-keys/${id}`)).status, 204);
    await withinASecond(async () => (await Promise.all(nodes.map(ask))).every(({ status }) => status === 401), 'an API key that was revoked is refused');
  });
});

test('a_webhook_and_a_budget_count_on_all_nodes_within_a_second', { skip }, async () => {
  await withNodes(2, async ([first, second], agent) => {
    const there = on(second, first.admin);
    const hook = (await first.admin.post('/api/webhooks', { url: `${upstream.url()}/nobody`, events: ['chat.created'] })).json;
    const told = async () => (await first.admin.get(`/api/webhooks/${hook.id}/deliveries`)).json.length;
    await withinASecond(async () => (await there.chat(agent)) && (await told()) > 0, 'a chat on another node is told');
    assert.equal((await first.admin.put(`/api/webhooks/${hook.id}`, { is_active: false })).status, 200);
    assert.equal((await first.admin.put('/api/budgets', { scope: 'team', period: 'day', requests: 0 })).status, 200);
    await withinASecond(async () => (await there.send(await there.chat(agent), '!tokens=1')).status === 429, 'a budget is in force on another node');
    const [budget] = (await first.admin.get('/api/budgets')).json;
    assert.equal((await first.admin.delete(`/api/budgets/${budget.id}`)).status, 204);
    await withinASecond(async () => (await there.send(await there.chat(agent), '!tokens=1')).status === 200, 'one that was removed is not');
    const n = await told();
    await there.chat(agent);
    assert.equal(await told(), n, 'nor is anybody told by one that was switched off');
  });
});

test('what_the_command_line_revokes_is_refused_by_all_nodes_within_a_second', { skip }, async () => {
  await withNodes(2, async (nodes) => {
    const [first] = nodes;
    const user = await first.user();
    const isRefused = async (node) => (await on(node, user).get('/api/auth/me')).status === 401;
    for (const node of nodes) assert.equal(await isRefused(node), false);
    first.command(['user', 'disable', '--email', user.email, '--team', first.team.slug]);
    await withinASecond(async () => (await Promise.all(nodes.map(isRefused))).every(Boolean), 'the token of a disabled user is refused');
  });
});

test('a_token_that_one_node_makes_while_another_changes_its_user_counts_on_none_afterwards', { skip }, async () => {
  await withNodes(2, async (nodes) => {
    const [first, second] = nodes;
    for (const [act, status] of [
      [(path) => first.admin.put(path, { role: 'user' }), 200],
      [(path) => first.admin.put(path, { is_active: false }), 200],
      [(path) => first.admin.delete(path), 204],
    ]) {
      const user = await first.user();
      const path = `/api/users/${user.me.id}`;
      assert.equal((await first.admin.put(path, { role: 'admin' })).status, 200);
      const { refreshToken } = await first.login(user.email);
      const refresh = () => second.request('POST', '/api/auth/refresh', { json: { refresh_token: refreshToken } });
      assert.equal((await refresh()).status, 200);
      const held = first.database.hold(`begin; select id from users where id = '${user.me.id}' for no key update; select pg_sleep(1); commit`);
      await sleep(200);
      const change = act(path);
      await sleep(300); // it waits for the row
      const stale = await refresh(); // the other tab's: it only reads
      await held;
      assert.equal((await change).status, status);
      assert.equal(stale.status, 200, stale.text);
      const isRefused = async (node) => (await node.request('GET', '/api/auth/me', { token: stale.json.access_token })).status === 401;
      await withinASecond(async () => (await Promise.all(nodes.map(isRefused))).every(Boolean), 'the token is refused');
      if (status === 200 && (await first.admin.put(path, { is_active: true })).status === 200) // and one that is made now is good on all
        for (const node of nodes) assert.equal((await on(node, await first.login(user.email)).get('/api/auth/me')).status, 200);
    }
  });
});

test('what_is_revoked_elsewhere_counts_while_an_erasure_waits_for_the_database', { skip: skip || (kind === 'pgbouncer' && 'a lock held beside a pool of few takes what is not meant, too') }, async () => {
  await withNodes(1, async ([first], agent) => {
    const [user, erased] = [await first.user(), await first.user()];
    await erased.ask(await erased.chat(agent), '!tokens=1');
    await sleep(1000); // this one has looked for erasures, and looks again in a minute
    const held = first.database.hold('begin; select id from messages for update; select pg_sleep(4); commit');
    first.database.query(`insert into erasures (id, team_id, kind, subject_id, actor, counts, created_at, touched_at)
      values ('${randomUUID()}', '${first.team.id}', 'user', '${erased.me.id}', 'operator', '{}', '2020-01-01', '2020-01-01')`);
    const second = await first.beside();
    try {
      const waits = () => first.database.query("select count(*) from pg_stat_activity where wait_event_type = 'Lock' and query like 'DELETE FROM messages%'");
      await until(() => waits() === '1', 'the erasure that was broken off waits', 3000);
      const ask = () => on(second, user).get('/api/auth/me');
      assert.equal((await ask()).status, 200);
      assert.equal((await user.post('/api/auth/logout')).status, 204);
      await withinASecond(async () => (await ask()).status === 401, 'the token is refused');
      assert.equal(waits(), '1', 'it waits still');
      await second.stop();
    } finally {
      second.drop();
      await held;
    }
  });
});

test('the_database_tells_of_changes_where_no_pooler_stands_between', { skip }, async () => {
  await withNodes(1, async ([node]) => {
    if (kind === 'pgbouncer') {
      await sleep(500);
      assert.equal(await told(node), 0);
      return;
    }
    await until(async () => (await told(node)) === 1, 'the server listens', 2000);
    // Cut off, it asks; back, it listens again, and what was revoked meanwhile counts.
    const user = await node.user();
    node.database.query("select pg_terminate_backend(pid) from pg_stat_activity where query = 'LISTEN aerie' or query = 'SELECT 1'");
    await until(() => /the connection that listens is lost/.test(node.log), 'a line of the log', 2000);
    await until(async () => (await told(node)) === 1, 'the server listens again', 5000);
    node.command(['user', 'disable', '--email', user.email, '--team', node.team.slug]);
    await withinASecond(async () => (await user.get('/api/auth/me')).status === 401, 'the token of a disabled user is refused');
  });
});

test('servers_that_start_at_the_same_moment_migrate_once', { skip }, async () => {
  const nodes = [new Aerie()];
  const { DATA_DIR: _, ...same } = nodes[0].env;
  while (nodes.length < 4) nodes.push(new Aerie({ beside: nodes[0], env: same }));
  const applied = (node) => node.log.match(/db: (\d+) migrations applied/)?.[1] ?? 0;
  const all = Number(nodes[0].command(['migrate', 'status']).trim().split('\n').length);
  try {
    for (const missing of [all, 6]) {
      for (const node of nodes) node.log = '';
      await Promise.all(nodes.map((node) => node.listen()));
      assert.equal(nodes.reduce((n, node) => n + Number(applied(node)), 0), missing, 'each migration once');
      assert.equal(rows(nodes[0]).length, 4);
      assert.equal(nodes[0].database.query('select count(*) from teams'), '1');
      await Promise.all(nodes.map((node) => node.halt()));
      assert.equal(rows(nodes[0]).length, 0);
      for (let i = 0; i < 6; i++) nodes[0].command(['migrate', 'down']);
    }
  } finally {
    for (const node of [...nodes].reverse()) node.drop();
  }
});

test('the_command_line_lists_the_nodes', async () => {
  await withNodes(skip ? 1 : 2, async (nodes) => {
    const list = nodes[0].command(['node', 'list', '--json']).trim().split('\n').map((line) => JSON.parse(line));
    assert.deepEqual(list.map(({ id }) => id), rows(nodes[0]));
    for (const [i, node] of list.entries()) {
      assert.ok(node.name.endsWith(`:${nodes[i].child.pid}`), node.name);
      assert.equal(node.state, 'serving');
      assert.ok(node.address.startsWith(`unix:${nodes[i].env.DATA_DIR}/peer-`), node.address);
      assert.equal(node.version, nodes[0].command(['version']).trim().split(' ')[1]);
      if (skip) assert.equal(node.seen_ms, null);
      else assert.ok(node.seen_ms >= 0 && node.seen_ms < 3000 && Math.abs(node.clock_ms) < 2000, JSON.stringify(node));
    }
    const lines = nodes[0].command(['node', 'list']).trim().split('\n');
    assert.equal(lines.length, list.length);
    lines.forEach((line, i) => assert.match(line, new RegExp(`^${list[i].id} +serving +`)));
    assert.equal(nodes[0].tryCommand(['node', 'forget']).status, 2);
    if (skip) return;
    await sleep(1100);
    nodes[1].child.kill('SIGSTOP');
    await until(() => /silent/.test(nodes[0].command(['node', 'list'])) || rows(nodes[0]).length === 1, 'a node that stands still is silent', 6000);
    nodes[1].child.kill('SIGCONT');
    await until(() => rows(nodes[0]).length === 2 && !/silent/.test(nodes[0].command(['node', 'list'])), 'it is back', 3000);
  });
});

test('a_document_that_a_killed_node_was_embedding_has_failed', { skip }, async () => {
  await withNodes(2, async ([first, second]) => {
    const add = (node, id, nodeId) => node.database.query(`insert into documents (id, team_id, title, content_type, content_hash, status, n_bytes, n_chars, n_chunks, created_at, updated_at, node_id)
      values ('${id}', '${first.team.id}', 't', 'text/plain', '${id}', 'processing', 1, 1, 1, now(), now(), '${nodeId}')`);
    const [own, other] = rows(first);
    add(first, '00000000-0000-7000-8000-000000000001', own);
    add(first, '00000000-0000-7000-8000-000000000002', other);
    const third = await first.beside();
    const states = () => first.database.query('select status from documents order by id');
    assert.equal(states(), 'processing\nprocessing', 'a start leaves those of living nodes alone');
    await third.stop();
    await sleep(3500);
    await second.kill();
    second.isKilled = true;
    await until(() => states() === 'processing\nfailed', 'it has failed', 5000);
  });
});

test('metrics_tell_of_the_nodes', async () => {
  await withNodes(skip ? 1 : 2, async (nodes) => {
    const value = async (name) => Number(new RegExp(`^${name} (\\S+)$`, 'm').exec((await nodes[0].request('GET', '/metrics')).text)?.[1]);
    await until(async () => (await value('aerie_nodes')) === nodes.length, 'the number of nodes', 3000);
    assert.ok((await value('aerie_node_seen_seconds')) < (skip ? 0.001 : 3));
    assert.equal(await value('aerie_nodes_buried_total'), 0);
    assert.equal(await value('aerie_node_beats_failed_total'), 0);
    const before = await value('aerie_news_total');
    await nodes.at(-1).admin.agent({ provider: 'echo' });
    if (kind === 'postgres') await until(async () => (await value('aerie_news_total')) > before, 'the database told of an agent', 2000);
    else assert.equal(before, 0);
  });
});

test('an_address_for_nodes_that_nobody_could_dial_stops_the_start', async () => {
  const node = new Aerie({ env: { NODES__LISTEN: '0.0.0.0:9000' } });
  const says = (env) => node.tryCommand(['serve'], { env });
  try {
    for (const listen of ['0.0.0.0:9000', '[::]:9000', '*:9000']) {
      const { status, stderr } = says({ NODES__LISTEN: listen });
      assert.equal(status, 1);
      assert.match(stderr, /set nodes.address/);
    }
    for (const listen of ['somewhere', '10.0.0.11', '10.0.0.11:0']) assert.match(says({ NODES__LISTEN: listen }).stderr, /nodes.listen must be an address and a port/);
  } finally {
    node.drop();
  }
});
