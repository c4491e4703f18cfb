// A full disk and a broken one: under SQLite's file, under PostgreSQL's, and under the journal of replies. The disk is made to fail by
// test/fault/io_faults.c, preloaded, which needs no privileges and gives what a real one gives.
import assert from 'node:assert/strict';
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { startUpstream } from '../fake/upstream.mjs';
import { Aerie, binaryPath } from '../tools/aerie.mjs';
import { kind } from '../tools/database.mjs';
import { EventStream } from '../tools/http.mjs';
import { ROLE, sql, startPostgres } from '../tools/postgres.mjs';

const onlySqlite = kind !== 'sqlite' && 'PostgreSQL\'s disk is its own';
const onlyPostgres = kind !== 'postgres' && 'a full disk of PostgreSQL looks the same through PgBouncer, and SQLite has its own tests';
const library = join(dirname(binaryPath()), 'test/fault/libio_faults.so');
const isSanitized = readFileSync(binaryPath()).includes('__sanitizer');

let upstream;
before(async () => {
  assert.ok(existsSync(library), `${library} is built with the program`);
  upstream = await startUpstream();
});
after(() => upstream?.close());

/** A server whose disk fails as break() says: lines of io_faults.c; without any it is well again. */
async function withServer(run, env = {}) {
  const aerie = new Aerie();
  const control = join(aerie.folder, 'faults');
  Object.assign(aerie.env, env);
  try {
    aerie.prepare();
    Object.assign(aerie.env, { LD_PRELOAD: library, AERIE_IO_FAULTS: control });
    if (isSanitized) aerie.env.ASAN_OPTIONS = 'detect_leaks=1:exitcode=99:detect_stack_use_after_return=0:allocator_may_return_null=1:verify_asan_link_order=0';
    await aerie.listen();
    await aerie.makeAdmin();
    const agent = await aerie.admin.agent({ webhook_url: upstream.url() });
    await run({ aerie, agent, fail: (...lines) => writeFileSync(control, lines.join('\n')), heal: () => rmSync(control, { force: true }) });
    await aerie.stop();
  } finally {
    if (aerie.child) aerie.drop();
  }
}

/** Is what a message gets 507 or 503, without its agent being asked, while reads go on? And is all well after the disk is? */
async function writesFailAndResume({ aerie, agent, fail, heal }, lines, status) {
  const chat = await aerie.admin.chat(agent);
  assert.ok((await aerie.admin.ask(chat, 'before')).done);
  const asked = upstream.requests.length;
  const headers = { 'Idempotency-Key': `disk-${status}-${asked}` };
  fail(...lines);
  try {
    for (let i = 0; i < 3; i++) {
      const refused = await aerie.admin.send(chat, 'during', { headers });
      assert.equal(refused.status, status, `${lines}: ${refused.text}`);
      assert.equal((await aerie.admin.post('/api/chats', { agent_id: agent.id })).status, status);
      assert.deepEqual((await aerie.admin.messages(chat)).filter((m) => m.role === 'user').map((m) => m.content), ['before'], 'reads go on');
    }
    assert.equal(upstream.requests.length, asked, 'nothing is sent');
  } finally {
    heal();
  }
  assert.ok((await aerie.admin.ask(chat, 'during', { headers })).done, 'writes resume by themselves');
  assert.deepEqual((await aerie.admin.messages(chat)).filter((m) => m.role === 'user').map((m) => m.content), ['before', 'during']);
}

test('a_full_disk_under_sqlite_is_507_reads_go_on_and_writes_resume', { skip: onlySqlite }, () =>
  withServer(async (server) => {
    await writesFailAndResume(server, ['ENOSPC write *.db*'], 507);
    await writesFailAndResume(server, ['ENOSPC any *.db*'], 507);
  }));

test('a_broken_disk_under_sqlite_is_503_reads_go_on_and_writes_resume', { skip: onlySqlite }, () =>
  withServer(async (server) => {
    for (const call of ['write', 'sync', 'any']) await writesFailAndResume(server, [`EIO ${call} *.db*`], 503);
  }));

test('a_quota_that_is_used_up_under_sqlite_is_507_and_writes_resume', { skip: onlySqlite }, () =>
  withServer(async (server) => {
    for (const call of ['write', 'any']) await writesFailAndResume(server, [`EDQUOT ${call} *.db*`], 507);
    await writesFailAndResume(server, ['EIO write *.db*'], 503); // the quota is not remembered
  }));

test('a_file_that_may_not_grow_any_more_is_503_and_writes_resume', { skip: onlySqlite }, () =>
  withServer((server) => writesFailAndResume(server, ['EFBIG write *.db*'], 503)));

test('what_was_acknowledged_survives_a_disk_that_fails_and_a_kill', { skip: onlySqlite }, () =>
  withServer(async ({ aerie, agent, fail, heal }) => {
    const chats = await Promise.all(Array.from({ length: 10 }, () => aerie.admin.chat(agent)));
    const faults = ['ENOSPC write *.db-wal', 'EIO sync *.db-wal', 'EIO write *.db', 'ENOSPC any *'];
    const sure = chats.map(() => []);
    let isOver = false;
    const writers = chats.map(async (chat, i) => {
      for (let n = 0; !isOver; n++) {
        const answer = await aerie.admin.send(chat, `n${n}`).catch(() => null);
        if (answer instanceof EventStream) {
          await answer.ended;
          if (answer.done) sure[i].push(`n${n}`);
        } else {
          await sleep(10);
        }
      }
    });
    for (let i = 0; i < 12; i++) {
      fail(faults[i % faults.length]);
      await sleep(60);
      heal();
      await sleep(100);
    }
    await aerie.kill();
    isOver = true;
    await Promise.all(writers);
    await aerie.listen();
    assert.equal(aerie.database.query('pragma integrity_check'), 'ok');
    for (const [i, chat] of chats.entries()) {
      const there = (await aerie.admin.messages(chat)).filter((m) => m.role === 'user').map((m) => m.content);
      assert.ok(sure[i].length > 0);
      for (const content of sure[i]) assert.equal(there.filter((text) => text === content).length, 1, `chat ${i}: ${content}`);
    }
  }));

test('a_reply_whose_disk_is_full_at_its_end_is_not_saved_and_is_stored_when_there_is_room', { skip: onlySqlite }, () =>
  withServer(async ({ aerie, agent, fail, heal }) => {
    const chat = await aerie.admin.chat(agent);
    const stream = await aerie.admin.send(chat, '!tokens=20&delay=20');
    await stream.until((s) => s.of('message').length > 2);
    fail('ENOSPC write *.db*');
    await stream.whole();
    assert.equal(stream.of('error')[0]?.data.code, 'not_saved', JSON.stringify(stream.events.at(-1)));
    assert.equal(stream.text.split(' ').length, 20, 'text flows on');
    heal();
    const isThere = async () => (await aerie.admin.messages(chat)).at(-1).status === 'complete';
    for (let tries = 0; tries < 50 && !(await isThere()); tries++) await sleep(100);
    const reply = (await aerie.admin.messages(chat)).at(-1);
    assert.deepEqual([reply.status, reply.content], ['complete', stream.text]);
  }, { TURN__SAVE_SECONDS: 1 }));

for (const [name, line] of [['full', 'ENOSPC any */replies/*'], ['broken', 'EIO any */replies/*'], ['read-only', 'EROFS open */replies/*']])
  test(`a_journal_on_a_${name}_disk_costs_no_reply_and_is_written_again_when_it_is_well`, { skip: kind === 'pgbouncer' && 'as on PostgreSQL' }, () =>
    withServer(async ({ aerie, agent, fail, heal }) => {
      fail(line);
      const chat = await aerie.admin.chat(agent);
      const first = await aerie.admin.ask(chat, '!tokens=300&delay=1');
      assert.ok(first.done);
      assert.match(aerie.log, /the journal of replies cannot be (written|brought to the disk)/);
      const running = await aerie.admin.send(chat, '!tokens=20000&delay=1');
      await running.until((s) => s.text.length > 3000);
      heal();
      await running.until((s) => s.text.length > 9000);
      await aerie.kill();
      await aerie.listen();
      const reply = (await aerie.admin.messages(chat)).at(-1);
      assert.equal(reply.status, 'interrupted');
      assert.ok(reply.content.length > 4000 && running.text.startsWith(reply.content), `${reply.content.length} characters of ${running.text.length}`);
    }, { TURN__CHECKPOINT_MS: 100 }));

test('a_full_disk_of_postgresql_is_507_reads_go_on_and_writes_resume', { skip: onlyPostgres }, async () => {
  const postgres = await startPostgres({ isQuiet: true, preload: library });
  try {
    sql(postgres.port, 'postgres', 'create database crowded');
    await withServer(async ({ aerie, agent }) => {
      const chat = await aerie.admin.chat(agent);
      const text = Array.from({ length: 3500 }, (_, i) => (i * 7919 % 100003).toString(36)).join(' ');
      assert.ok((await aerie.admin.ask(chat, 'before')).done);
      postgres.fail('ENOSPC write */base/*');
      let refused;
      for (let i = 0; i < 200 && !refused; i++) {
        const asked = upstream.requests.length;
        const answer = await aerie.admin.send(chat, `${i} ${text}`);
        if (answer instanceof EventStream) await answer.ended;
        else assert.equal(upstream.requests.length, asked, 'nothing is sent');
        if (!(answer instanceof EventStream)) refused = answer;
      }
      assert.equal(refused?.status, 507, refused?.text);
      assert.ok((await aerie.admin.messages(chat)).length > 0, 'reads go on');
      postgres.heal();
      assert.ok((await aerie.admin.ask(chat, 'there is room again')).done, 'writes resume by themselves');
    }, { DATABASE_URL: `postgresql://${ROLE}@127.0.0.1:${postgres.port}/crowded` });
  } finally {
    await postgres.stop();
  }
});
