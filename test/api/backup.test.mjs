// Backups: made while people write, checked, restored into an empty place, and refused when something is wrong with them or with the place.
import assert from 'node:assert/strict';
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, copyFileSync, existsSync, readdirSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { after, before, test } from 'node:test';
import { Aerie, binaryPath, serverEnv } from '../tools/aerie.mjs';
import { answers, counts, digests, emptyPlace, filled, printedCounts, somePostgres } from '../tools/moving.mjs';
import { Terminal } from '../tools/terminal.mjs';

let cluster;
before(async () => (cluster = await somePostgres()));
after(() => cluster.stop());

const WRITERS = 50;
const own = { SECRET_KEY: null }; // the server makes its secret itself

function refuses(aerie, args, words, options = {}) {
  const ran = aerie.tryCommand(args, options);
  assert.equal(ran.status, 1, `${args.join(' ')}: ${ran.status} ${ran.stdout}${ran.stderr}`);
  assert.match(ran.stderr, words);
  return ran;
}

const beside = (aerie, command) => new Promise((resolve) => {
  const child = spawn(binaryPath(), command, { env: serverEnv(aerie.env), cwd: aerie.folder, stdio: ['ignore', 'pipe', 'pipe'] });
  let text = '';
  child.stdout.on('data', (bytes) => (text += bytes));
  child.stderr.on('data', (bytes) => (text += bytes));
  child.once('close', (status) => resolve({ status, text }));
});

/** Writers that send messages one after the other until they are told to stop; each notes what was acknowledged. */
function writing(aerie, chats) {
  const acknowledged = [];
  let isOver = false;
  const writers = chats.map(async (chat, writer) => {
    for (let i = 0; !isOver; i++) {
      const content = `writer ${writer} message ${i}`;
      await aerie.admin.ask(chat, content);
      acknowledged.push({ chat: chat.id, content });
    }
  });
  return { acknowledged, stop: () => ((isOver = true), Promise.all(writers)) };
}

for (const kind of ['sqlite', 'postgres']) {
  test(`a_backup_while_50_write_is_whole_and_answers_as_before_on_${kind}`, async () => {
    const aerie = kind === 'sqlite' ? filled(500, { env: own }) : emptyPlace(kind, { env: own });
    const elsewhere = emptyPlace(kind, { env: own });
    const file = join(aerie.folder, 'copy');
    try {
      if (kind !== 'sqlite') aerie.prepare();
      await aerie.listen();
      await aerie.makeAdmin();
      const agent = (await aerie.admin.get('/api/agents')).json.find(({ provider }) => provider === 'echo');
      const sealed = await aerie.admin.agent({ webhook_url: 'http://127.0.0.1:9/hook', webhook_token: 'a token that is sealed' });
      const chats = await Promise.all(Array.from({ length: WRITERS }, () => aerie.admin.chat(agent)));
      const writers = writing(aerie, chats);
      while (writers.acknowledged.length < WRITERS) await new Promise((resolve) => setTimeout(resolve, 20));
      const sure = [...writers.acknowledged];
      const made = await beside(aerie, ['backup', file, '--with-secret']);
      while (writers.acknowledged.length === sure.length) await new Promise((resolve) => setTimeout(resolve, 20)); // they go on writing
      await writers.stop();
      assert.equal(made.status, 0, made.text);
      assert.match(made.text, /copy\.secret is the secret: whoever has both can open what is sealed/);
      for (const suffix of ['', '.secret', '.json']) assert.equal(statSync(file + suffix).mode & 0o077, 0, `copy${suffix}`);
      assert.deepEqual(readdirSync(dirname(file)).filter((name) => /part|-wal|-shm/.test(name) && name.startsWith('copy')), []);

      elsewhere.command(['restore', file, '--with-secret']);
      assert.equal(elsewhere.database.query('select count(*) from nodes'), '0', 'the servers of the old place are not of this one');
      elsewhere.team = aerie.team;
      elsewhere.adminEmail = aerie.adminEmail;
      await elsewhere.listen();
      await elsewhere.makeAdmin();
      for (const { chat, content } of sure) {
        const history = await elsewhere.admin.messages({ id: chat }, '?limit=200');
        assert.ok(history.some((message) => message.content === content), `${content} was acknowledged before`);
        for (const [i, message] of history.entries()) assert.equal(message.role, i % 2 ? 'assistant' : 'user', 'nothing is torn');
      }
      assert.equal((await elsewhere.admin.get(`/api/agents/${sealed.id}`)).json.has_webhook_token ?? true, true);
      await elsewhere.admin.ask(chats[0], 'and on it goes');
    } finally {
      await Promise.all([aerie.halt(), elsewhere.halt()]);
      aerie.drop();
      elsewhere.drop();
    }
  });

  test(`a_backup_restored_answers_the_same_on_${kind}`, async () => {
    const source = filled(300);
    const aerie = kind === 'sqlite' ? source : emptyPlace(kind);
    const elsewhere = emptyPlace(kind);
    const file = join(elsewhere.folder, 'copy');
    try {
      if (kind !== 'sqlite') source.command(['migrate-to', aerie.database.url]);
      const had = { counts: counts(aerie.database), digests: digests(aerie.database) };
      const printed = printedCounts(aerie.command(['backup', file, '--json']));
      assert.deepEqual(printed, had.counts);
      Object.assign(aerie, { team: source.team, adminEmail: source.adminEmail });
      await aerie.listen();
      await aerie.makeAdmin();
      const before = await answers(aerie);
      await aerie.halt();
      assert.deepEqual(printedCounts(elsewhere.command(['restore', file, '--json'])), had.counts);
      assert.deepEqual({ counts: counts(elsewhere.database), digests: digests(elsewhere.database) }, had);
      Object.assign(elsewhere, { team: source.team, adminEmail: source.adminEmail });
      await elsewhere.listen();
      await elsewhere.makeAdmin();
      assert.deepEqual(await answers(elsewhere), before);

      refuses(elsewhere, ['restore', file, '--replace', '--yes'], kind === 'sqlite' ? /stop the server first/ : /stop the servers first: \d+ connections/);
      await elsewhere.halt();
      refuses(elsewhere, ['restore', file], /the database is not empty: --replace deletes/);
      refuses(elsewhere, ['restore', file, '--replace'], /--replace wants --yes where nobody can be asked/);
      elsewhere.database.query('delete from messages');
      const refused = new Terminal(elsewhere, ['restore', file, '--replace']);
      await refused.until(/Type "replace" to go on: /);
      refused.type('no\n');
      assert.equal(await refused.ended, 1);
      assert.match(refused.said, /nothing was changed/);
      assert.equal(counts(elsewhere.database).messages, 0);
      const sure = new Terminal(elsewhere, ['restore', file, '--replace']);
      await sure.until(/Type "replace" to go on: /);
      sure.type('replace\n');
      assert.equal(await sure.ended, 0, sure.said);
      assert.deepEqual({ counts: counts(elsewhere.database), digests: digests(elsewhere.database) }, { ...had, counts: { ...had.counts } });
    } finally {
      await Promise.all([aerie.halt(), elsewhere.halt()]);
      source.drop();
      aerie.drop();
      elsewhere.drop();
    }
  });

  test(`a_backup_that_is_damaged_or_newer_changes_nothing_on_${kind}`, () => {
    const aerie = emptyPlace(kind);
    const file = join(aerie.folder, 'copy');
    try {
      aerie.prepare();
      const had = counts(aerie.database);
      aerie.command(['backup', file]);
      refuses(aerie, ['backup', file], /cannot write .*copy: File exists/);
      const manifest = JSON.parse(readFileSync(`${file}.json`, 'utf8'));
      copyFileSync(file, `${file}2`);
      truncateSync(`${file}2`, statSync(file).size - 4096);
      copyFileSync(`${file}.json`, `${file}2.json`);
      const replace = (name, words) => refuses(aerie, ['restore', name, '--replace', '--yes'], words);
      replace(`${file}2`, /the backup is damaged: it has \d+ bytes of \d+/);
      writeFileSync(`${file}.json`, JSON.stringify({ ...manifest, migration: 9999 }));
      replace(file, /the backup's schema is at migration 9999, and this program knows \d+: restore it with the version that made it/);
      writeFileSync(`${file}.json`, '{"what": "ever"}');
      replace(file, /copy\.json is not what `aerie backup` writes/);
      writeFileSync(`${file}3`, 'something else');
      replace(`${file}3`, /no backup of SQLite, and none of PostgreSQL/);
      replace(`${file}4`, /cannot read .*copy4: No such file/);
      assert.deepEqual(counts(aerie.database), had);
      if (kind === 'sqlite') {
        writeFileSync(`${file}.json`, JSON.stringify({ ...manifest, tables: { ...manifest.tables, users: 77 } }));
        replace(file, /users has 2 rows, and the backup was made of 77/);
        assert.deepEqual(counts(aerie.database), had);
        rmSync(`${file}2.json`);
        replace(`${file}2`, /damaged|malformed/);
        assert.deepEqual(counts(aerie.database), had);
        assert.deepEqual(readdirSync(aerie.folder).filter((name) => name.includes('restoring')), []);
      }
      rmSync(`${file}.json`);
      const ran = aerie.tryCommand(['restore', file, '--replace', '--yes']);
      assert.equal(ran.status, 0, ran.stderr);
      assert.match(ran.stderr, /there is no .*copy\.json, so nothing can be compared/);
      assert.deepEqual(counts(aerie.database), had);
    } finally {
      aerie.drop();
    }
  });
}

test('an_older_backup_is_brought_up_to_date', () => {
  const aerie = filled(50);
  const file = join(aerie.folder, 'copy');
  try {
    aerie.command(['migrate', 'down']);
    const had = counts(aerie.database);
    aerie.command(['backup', file]);
    aerie.command(['restore', file, '--replace', '--yes']);
    assert.deepEqual(counts(aerie.database), had);
    assert.doesNotMatch(aerie.command(['migrate', 'status']), /missing/);
  } finally {
    aerie.drop();
  }
});

/** What a kill in mid-transaction leaves beside a database: pages that SQLite would roll back. */
function leaveJournal(file, journal) {
  execFileSync('python3', ['-c', `import shutil, sqlite3, sys
c = sqlite3.connect(sys.argv[1], isolation_level=None)
c.execute('pragma cache_size = 1')
c.execute('create table t (x)')
c.executemany('insert into t values (?)', [('x' * 500,)] * 500)
c.execute('begin')
c.execute('update t set x = x || x')
shutil.copy(sys.argv[1] + '-journal', sys.argv[2])`, file, journal]);
}

test('what_a_killed_server_left_beside_a_ruined_database_does_not_come_back', async () => {
  const aerie = filled(50);
  const file = join(aerie.folder, 'copy');
  const path = join(aerie.folder, 'test.db');
  try {
    aerie.command(['backup', file]);
    const had = { counts: counts(aerie.database), digests: digests(aerie.database) };
    await aerie.listen();
    await aerie.makeAdmin();
    await aerie.admin.chat(await aerie.admin.agent({ provider: 'echo' }));
    await aerie.kill();
    assert.ok(statSync(`${path}-wal`).size > 0, 'its last writes are in the log of the database');
    writeFileSync(path, 'no database any more');
    leaveJournal(join(aerie.folder, 'other.db'), `${path}.restoring-journal`); // of a restore that was killed, too
    aerie.command(['restore', file, '--replace', '--yes']);
    assert.deepEqual({ counts: counts(aerie.database), digests: digests(aerie.database) }, had);
  } finally {
    aerie.drop();
  }
});

test('a_full_disk_leaves_no_half_backup_and_says_so', () => {
  const aerie = filled(400);
  try {
    const file = join(aerie.folder, 'copy');
    const ran = spawnSync('sh', ['-c', `ulimit -f 64; exec '${binaryPath()}' backup '${file}'`], { env: serverEnv(aerie.env), cwd: aerie.folder, encoding: 'utf8' });
    assert.equal(ran.status, 1, ran.stderr);
    assert.match(ran.stderr, /copy\.part: no room is left for it/);
    assert.deepEqual(readdirSync(aerie.folder).filter((name) => name.startsWith('copy')), []);
  } finally {
    aerie.drop();
  }
});

test('what_another_process_is_writing_is_left_to_it_and_what_was_left_behind_is_not', async () => {
  const aerie = filled(5);
  const file = join(aerie.folder, 'copy');
  writeFileSync(`${file}.part`, 'half of it');
  const other = spawn('python3', ['-c', 'import fcntl, sys; f = open(sys.argv[1]); fcntl.flock(f, fcntl.LOCK_EX); print(flush=True); sys.stdin.read()', `${file}.part`]);
  try {
    await once(other.stdout, 'data');
    refuses(aerie, ['backup', file], /another process is writing a file of that name/);
    assert.equal(readFileSync(`${file}.part`, 'utf8'), 'half of it');
    const gone = once(other, 'close');
    other.kill();
    await gone;
    aerie.command(['backup', file]);
    assert.ok(existsSync(file) && !existsSync(`${file}.part`));
  } finally {
    other.kill();
    aerie.drop();
  }
});

test('what_the_tools_of_postgresql_say_is_explained', () => {
  const aerie = emptyPlace('postgres');
  const tool = join(aerie.folder, 'pg_dump');
  const file = join(aerie.folder, 'copy');
  try {
    aerie.prepare();
    refuses(aerie, ['backup', file], /cannot run \/none\/pg_dump: No such file or directory\. Install PostgreSQL's client programs .* BACKUP__PG_DUMP/, { env: { BACKUP__PG_DUMP: '/none/pg_dump' } });
    writeFileSync(tool, '#!/bin/sh\necho "pg_dump: error: aborting because of server version mismatch" >&2\necho "pg_dump: detail: server version: 17.1; pg_dump version: 15.4" >&2\nexit 1\n');
    chmodSync(tool, 0o755);
    refuses(aerie, ['backup', file], /pg_dump is older than the PostgreSQL server[^]*postgresql-client[^]*server version: 17\.1/, { env: { BACKUP__PG_DUMP: tool } });
    writeFileSync(tool, '#!/bin/sh\ntr "\\0" " " </proc/$$/cmdline >"$0.args"; env >"$0.env"; kill -9 $$\n');
    const url = aerie.database.url.replace('postgresql://aerie@', 'postgresql://aerie:pass-word-of-it@');
    refuses(aerie, ['backup', file], /was ended by signal 9/, { env: { BACKUP__PG_DUMP: tool, DATABASE_URL: url } });
    assert.match(readFileSync(`${tool}.env`, 'utf8'), /^PGPASSWORD=pass-word-of-it$/m);
    assert.doesNotMatch(readFileSync(`${tool}.args`, 'utf8'), /pass-word-of-it/, 'the command line shows no password');
    refuses(aerie, ['backup', file], /database\.url is a pooler's[^]*BACKUP__URL/, { env: { DATABASE__PREPARED_STATEMENTS: 'false' } });
    aerie.command(['backup', file], { env: { DATABASE__PREPARED_STATEMENTS: 'false', BACKUP__URL: aerie.database.url } });
    assert.ok(existsSync(file));
    const had = counts(aerie.database);
    refuses(aerie, ['restore', file, '--replace', '--yes'], /cannot run \/none\/pg_restore: [^]* BACKUP__PG_RESTORE/, { env: { BACKUP__PG_RESTORE: '/none/pg_restore' } });
    assert.deepEqual(counts(aerie.database), had, 'nothing was deleted before it was known that the backup can be read');
  } finally {
    aerie.drop();
  }
});

test('the_secret_is_put_beside_or_its_keeping_is_asked_for', () => {
  const aerie = new Aerie({ database: 'sqlite', env: own });
  const elsewhere = new Aerie({ database: 'sqlite', env: own });
  const file = join(aerie.folder, 'copy');
  try {
    aerie.prepare();
    const secret = () => readFileSync(join(aerie.folder, 'data/secret'), 'utf8');
    assert.match(aerie.tryCommand(['backup', file]).stderr, /keep .*data\/secret, too \(--with-secret puts it beside\)/);
    assert.ok(!existsSync(`${file}.secret`));
    aerie.command(['backup', `${file}2`, '--with-secret']);
    assert.equal(readFileSync(`${file}2.secret`, 'utf8'), secret());
    assert.match(aerie.tryCommand(['backup', `${file}3`, '--with-secret'], { env: { SECRET_KEY: 'one of the configuration, which is long enough' } }).stderr, /keep SECRET_KEY of your configuration/);
    elsewhere.command(['init']);
    refuses(elsewhere, ['restore', `${file}2`, '--with-secret', '--replace', '--yes'], /data\/secret holds another secret than .*copy2\.secret: move it away/);
    rmSync(join(elsewhere.folder, 'data/secret'));
    elsewhere.command(['restore', `${file}2`, '--with-secret', '--replace', '--yes']);
    assert.equal(readFileSync(join(elsewhere.folder, 'data/secret'), 'utf8'), secret());
    assert.equal(statSync(join(elsewhere.folder, 'data/secret')).mode & 0o777, 0o600);
  } finally {
    aerie.drop();
    elsewhere.drop();
  }
});
