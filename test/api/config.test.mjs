// The command line, and starts that must not succeed: each says what and where, and ends non-zero.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { Aerie, makeFolder, runCommand } from '../tools/aerie.mjs';
import { kind } from '../tools/database.mjs';
import { freePort } from '../tools/postgres.mjs';

let folder;
before(() => (folder = makeFolder()));
after(() => rmSync(folder, { recursive: true, force: true }));

let count = 0;
/** Runs `aerie serve` in a folder of its own; it is expected to end by itself. */
function serve(env = {}, files = {}) {
  const cwd = join(folder, String(count++));
  mkdirSync(cwd);
  for (const [name, text] of Object.entries(files)) writeFileSync(join(cwd, name), text);
  return { cwd, ...runCommand(['serve'], { env: { DATA_DIR: join(cwd, 'data'), ...env }, cwd, timeout: 20000 }) };
}

function refuses(ran, ...patterns) {
  assert.equal(ran.signal, null, `it did not end by itself:\n${ran.stderr}`);
  assert.ok(ran.status === 1 || ran.status === 2, `ended with ${ran.status}:\n${ran.stderr}`);
  for (const pattern of patterns) assert.match(ran.stderr, pattern);
  assert.ok(!/Sanitizer|runtime error/.test(ran.stderr), ran.stderr);
}

describe('starts_that_must_fail', { concurrency: 4 }, () => {
  test('an_unknown_key_in_the_file', () => refuses(serve({}, { 'config.json': '{\n  "server": {"portt": 1}\n}' }), /config\.json/, /server\.portt/));
  test('an_unknown_section', () => refuses(serve({}, { 'config.json': '{"sever": {"port": 1}}' }), /config\.json/, /sever/));
  test('a_wrong_type', () => refuses(serve({}, { 'config.json': '{\n\n"server": {"port": "many"}}' }), /config\.json/, /server\.port/));
  test('no_json', () => refuses(serve({}, { 'config.json': '{\n"server": {"port": 80,}\n}' }), /config\.json/, /2/));
  test('an_unknown_key_in_dotenv', () => refuses(serve({}, { '.env': '# comment\n\nSERVER__PORTT=80\n' }), /\.env/, /3/, /SERVER__PORTT/));
  test('an_unknown_key_in_the_environment', () => refuses(serve({ SERVER__PORTT: '80' }), /SERVER__PORTT/));
  test('a_number_out_of_range', () => refuses(serve({ SERVER__PORT: '70000' }), /port/i));
  test('a_number_that_is_none', () => refuses(serve({ LIMITS__BODY_BYTES: 'lots' }), /LIMITS__BODY_BYTES|limits\.body_bytes/));
  test('a_bad_database_url', () => refuses(serve({ DATABASE_URL: 'mongodb://x/y' }), /DATABASE_URL|database\.url/));
  test('an_unreachable_postgres', async () => refuses(serve({ DATABASE_URL: `postgresql://x@127.0.0.1:${await freePort()}/none` }), /database|postgres|connect/i));
  test('an_impossible_sqlite_path', () => refuses(serve({ DATABASE_URL: 'sqlite:////proc/none/x.db' }), /\/proc\/none/));
  test('another_algorithm', () => refuses(serve({ ALGORITHM: 'RS256' }), /HS256/));
  test('a_missing_secret_in_production', () => refuses(serve({ ENVIRONMENT: 'production', SECRET_KEY: null }), /SECRET_KEY|secret/i));
  test('a_short_secret_in_production', () => refuses(serve({ ENVIRONMENT: 'production', SECRET_KEY: 'too-short' }), /32/));
  test('a_well_known_secret_in_production', () => refuses(serve({ ENVIRONMENT: 'production', SECRET_KEY: 'your-secret-key-change-this-in-production' }), /secret/i));
  test('a_weak_previous_secret_in_production', () => refuses(serve({ ENVIRONMENT: 'production', SECURITY__PREVIOUS_SECRET: 'changeme' }), /SECURITY__PREVIOUS_SECRET.*32/));
  test('an_unknown_environment', () => refuses(serve({ ENVIRONMENT: 'staging' }), /development|production/));
  test('a_host_that_is_not_ours', () => refuses(serve({ SERVER__HOST: '203.0.113.7' }), /203\.0\.113\.7/));
  test('a_secret_is_never_told', () => {
    const ran = serve({ ENVIRONMENT: 'production', SECRET_KEY: 'hush-hush-13' });
    assert.ok(!ran.stderr.includes('hush-hush-13'), ran.stderr);
  });
});

test('a_port_in_use_is_named', async () => {
  const server = net.createServer();
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address();
  try {
    refuses(serve({ SERVER__PORT: String(port) }), new RegExp(String(port)));
  } finally {
    server.close();
  }
});

test('a_second_server_on_one_sqlite_file_is_refused', { skip: kind !== 'sqlite' }, async () => {
  const aerie = await Aerie.start();
  try {
    const second = aerie.tryCommand(['serve']);
    assert.notEqual(second.status, 0);
    assert.match(second.stderr, /in use|lock|another|already/i);
    assert.equal((await aerie.request('GET', '/health')).status, 200);
  } finally {
    await aerie.stop();
  }
});

test('a_schema_of_the_future_is_refused_and_left_alone', async () => {
  const aerie = new Aerie();
  try {
    aerie.command(['migrate', 'up']);
    const table = aerie.database.query(kind === 'sqlite'
      ? "select name from sqlite_master where type = 'table' and name like '%migration%'"
      : "select table_name from information_schema.tables where table_schema = 'public' and table_name like '%migration%'").split('\n')[0];
    assert.ok(table, 'a table of migrations');
    const columns = aerie.database.query(kind === 'sqlite' ? `select name from pragma_table_info('${table}')` : `select column_name from information_schema.columns where table_name = '${table}' order by ordinal_position`).split('\n');
    const number = columns.find((c) => /version|number|id/.test(c)) ?? columns[0];
    const others = columns.filter((c) => c !== number);
    aerie.database.query(`insert into ${table} (${[number, ...others].join(', ')}) select 9999${others.map((c) => `, ${c}`).join('')} from ${table} limit 1`);
    const ran = aerie.tryCommand(['serve']);
    assert.notEqual(ran.status, 0);
    assert.match(ran.stderr, /9999|newer/i);
    assert.ok(aerie.database.query('select count(*) from teams') !== '');
  } finally {
    aerie.drop();
  }
});

test('migrations_go_up_and_down_and_say_where_they_are', () => {
  const aerie = new Aerie();
  try {
    const before = aerie.command(['migrate', 'status']);
    assert.match(before, /1/);
    aerie.command(['migrate', 'up']);
    aerie.command(['migrate', 'up']);
    assert.equal(aerie.database.query('select count(*) from teams').length > 0, true);
    aerie.command(['init']);
    const steps = before.trim().split('\n').length;
    const team = aerie.database.query('select id from teams');
    const user = aerie.database.query('select id from users');
    const id = '01a00000-0000-7000-8000-0000000000';
    const at = aerie.database.kind === 'sqlite' ? '1' : "'2026-01-01'";
    aerie.database.query(`insert into chats (id, team_id, user_id, owner_id, title, created_at, updated_at) values ('${id}01', '${team}', '${user}', '${user}', 'kept', ${at}, ${at})`);
    aerie.database.query(`insert into messages (id, team_id, chat_id, seq, role, content, status, created_at) values ('${id}02', '${team}', '${id}01', 1, 'user', 'kept as well', 'complete', ${at})`);
    aerie.database.query(`insert into chats (id, team_id, owner_id, title, created_at, updated_at) values ('${id}03', '${team}', '${id}03', 'a session', ${at}, ${at})`);
    // something in every table that came later, so that going back meets rows
    const add = (table, row) => aerie.database.query(`insert into ${table} (${Object.keys(row).join(', ')}) values (${Object.values(row).map((v) => (typeof v === 'number' || v === at ? v : `'${v}'`)).join(', ')})`);
    add('messages', { id: `${id}04`, team_id: team, chat_id: `${id}03`, seq: 1, role: 'user', content: 'walrus', status: 'complete', created_at: at });
    if (aerie.database.kind === 'sqlite') {
      aerie.database.query('insert into search_index (rowid, content) select pos, content from messages');
      aerie.database.query('update messages set is_indexed = 1');
    }
    for (const [owner, chat] of [[user, '01'], [`${id}03`, '03']])
      add('idempotency', { team_id: team, owner_id: owner, key: 'k', chat_id: `${id}${chat}`, body_hash: 'h', user_message_id: `${id}02`, reply_id: `${id}05`, created_at: at });
    add('sites', { team_id: team, url: 'http://a.test', site: 'http://a.test', admin_email: 'a@a.test', created_at: at });
    add('usage_days', { team_id: team, day: at, owner_id: user, agent_id: `${id}06`, provider: 'echo', model: '', messages: 1, prompt_tokens: 1, completion_tokens: 1, total_tokens: 2, estimated_tokens: 2 });
    add('mail_tokens', { token_hash: 'h', team_id: team, user_id: user, kind: 'reset', expires_at: at });
    add('mails', { id: `${id}07`, kind: 'verify', email: 'a@a.test', due_at: at, expires_at: at });
    aerie.database.query('update users set email_verified_at = created_at');
    add('provider_keys', { id: `${id}08`, team_id: team, provider: 'openai', slot: 1, sealed_key: 's', hint: 'h', created_by: user, created_at: at });
    add('documents', { id: `${id}09`, team_id: team, title: 't', content_type: 'text/plain', content_hash: 'h', status: 'ready', n_bytes: 1, n_chars: 1, n_chunks: 1, created_at: at, updated_at: at });
    add('document_chunks', { id: `${id}10`, team_id: team, document_id: `${id}09`, seq: 0, content: 'walrus' });
    for (let step = steps; step > 1; step--) aerie.command(['migrate', 'down']);
    assert.equal(aerie.database.query('select count(*) from idempotency'), '1');
    assert.equal(aerie.database.query('select count(*) from users'), '1', 'tables that are made anew take nobody along');
    if (aerie.database.kind === 'sqlite') {
      assert.equal(aerie.database.query('pragma foreign_key_check'), '');
      assert.equal(aerie.database.query("select count(*) from search_index where search_index match 'walrus'"), '0');
      assert.equal(aerie.database.query("select count(*) from search_index where search_index match 'kept'"), '2');
    }
    assert.equal(aerie.database.query('select count(*) from chats'), '1', 'the first schema has no sessions without a user');
    aerie.command(['migrate', 'up']);
    assert.equal(aerie.database.query('select title from chats where owner_id = user_id'), 'kept');
    assert.equal(aerie.database.query('select content from messages'), 'kept as well');
    for (let step = steps; step > 0; step--) aerie.command(['migrate', 'down']);
    assert.throws(() => aerie.database.query('select count(*) from teams'));
    aerie.command(['migrate', 'up']);
    aerie.command(['init']);
  } finally {
    aerie.drop();
  }
});

test('the_settings_in_force_are_printed_with_secrets_masked', () => {
  const cwd = makeFolder();
  writeFileSync(join(cwd, 'config.json'), '{"server": {"port": 8100, "host": "0.0.0.0"}, "limits": {"body_bytes": 2000000}}');
  writeFileSync(join(cwd, '.env'), 'SERVER__PORT=8200\nexport API__TITLE="My chat"\n');
  const ran = runCommand(['config', '--json'], { cwd, env: { SERVER__PORT: '8300', SECRET_KEY: 'a-very-secret-secret-of-32-characters' } });
  assert.equal(ran.status, 0, ran.stderr);
  const settings = JSON.parse(ran.stdout);
  const value = (name) => settings[name] ?? name.split('.').reduce((at, part) => at?.[part], settings);
  assert.equal(Number(value('server.port')), 8300, 'the environment wins');
  assert.equal(value('server.host'), '0.0.0.0');
  assert.equal(Number(value('limits.body_bytes')), 2000000);
  assert.ok(!ran.stdout.includes('a-very-secret-secret'));
  const people = runCommand(['config'], { cwd, env: { SECRET_KEY: 'a-very-secret-secret-of-32-characters' } });
  assert.match(people.stdout, /server\.port/);
  assert.ok(!people.stdout.includes('a-very-secret-secret'));
  rmSync(cwd, { recursive: true });
});

test('the_seeds_names_are_understood', () => {
  const cwd = makeFolder();
  const env = { JWT_SECRET_KEY: 'x'.repeat(40), SECRET_KEY: null, ACCESS_TOKEN_EXPIRE_MINUTES: '60', ALGORITHM: 'HS256', PORT: '8123', SERVER__PORT: null, DATABASE_URL: 'sqlite:///./chatbot.db', ALLOWED_ORIGINS: 'http://a.test,http://b.test' };
  const ran = runCommand(['config', '--json'], { cwd, env });
  assert.equal(ran.status, 0, ran.stderr);
  assert.match(ran.stdout, /8123/);
  assert.match(ran.stdout, /http:\/\/b\.test/);
  const pg = runCommand(['config'], { cwd, env: { DATABASE_URL: 'postgresql+asyncpg://user:hidden@127.0.0.1:5432/app_db' } });
  assert.equal(pg.status, 0, pg.stderr);
  assert.ok(!pg.stdout.includes('hidden'), 'the password of the database is a secret');
  const strange = runCommand(['config'], { cwd, env: { MONGO_URI: 'mongodb://x', SUPABASE_URL: 'https://x' } });
  assert.equal(strange.status, 0, strange.stderr);
  assert.match(strange.stderr, /MONGO_URI/);
  rmSync(cwd, { recursive: true });
});

test('a_secret_is_made_and_kept_for_its_owner_alone', async () => {
  const aerie = await Aerie.start({ env: { SECRET_KEY: null } });
  try {
    const files = execFileSync('find', [aerie.env.DATA_DIR, '-type', 'f', '-iname', '*secret*'], { encoding: 'utf8' }).trim().split('\n');
    assert.equal(files.length, 1, files.join());
    assert.equal(statSync(files[0]).mode & 0o777, 0o600);
    assert.ok(readFileSync(files[0]).length >= 32);
    await aerie.halt();
    await aerie.listen();
    assert.equal((await aerie.admin.get('/api/auth/me')).status, 200, 'the same after a restart');
  } finally {
    await aerie.stop();
  }
});

test('init_tells_the_admins_password_once_and_can_be_repeated', async () => {
  const aerie = new Aerie();
  try {
    const first = aerie.tryCommand(['init']);
    assert.equal(first.status, 0, first.stderr);
    const said = first.stdout + first.stderr;
    const email = /[\w.+-]+@[\w.-]+/.exec(said)?.[0];
    assert.ok(email, said);
    const second = aerie.tryCommand(['init']);
    assert.equal(second.status, 0, second.stderr);
    await aerie.listen();
    const password = said.split(/\s+/).map((word) => word.replace(/^["']|["',.]$/g, '')).filter((word) => word.length >= 8 && !word.includes('@'));
    const answers = await Promise.all(password.map((word) => aerie.request('POST', '/api/auth/login', { json: { email, password: word } })));
    const found = answers.findIndex((a) => a.status === 200);
    assert.ok(found >= 0, `no word of it signs in: ${said}`);
    assert.ok(!(second.stdout + second.stderr).includes(password[found]), 'not told again');
    const { json: agents } = await aerie.request('GET', '/api/agents', { token: answers[found].json.access_token });
    assert.ok(agents.some((a) => a.provider === 'echo'));
  } finally {
    await aerie.stop();
  }
});

test('the_command_line_has_its_exit_codes', () => {
  const aerie = new Aerie();
  try {
    aerie.command(['init']);
    assert.match(aerie.command(['version']), /\d+\.\d+\.\d+/);
    for (const args of [['nonsense'], ['team'], ['team', 'create'], ['user', 'create', '--email'], ['serve', '--nonsense'], ['migrate', 'sideways']]) {
      const ran = aerie.tryCommand(args);
      assert.equal(ran.status, 2, `${args.join(' ')}: ${ran.status} ${ran.stderr}`);
      assert.ok(ran.stderr.length > 0);
    }
    assert.equal(aerie.tryCommand(['user', 'password', '--email', 'nobody@x.test', '--team', 'none', '--password-stdin'], { input: 'long enough\n' }).status, 1);
    const id = aerie.command(['team', 'create', '--name', 'A team', '--slug', 'a-team']).trim();
    assert.match(id, /[0-9a-f-]{36}$/);
    assert.equal(aerie.tryCommand(['team', 'create', '--name', 'A team', '--slug', 'a-team']).status, 1, 'taken');
    const user = aerie.tryCommand(['user', 'create', '--email', 'a@a.test', '--team', 'a-team', '--password-stdin'], { input: 'short\n' });
    assert.equal(user.status, 1, 'a password too short');
    aerie.command(['seed']);
    assert.ok(aerie.command(['team', 'list']).includes('a-team'));
  } finally {
    aerie.drop();
  }
});

test('servers_that_start_together_on_an_old_schema_migrate_it_once', { skip: kind === 'sqlite' && 'one server holds an SQLite file; the commands are in migrate_test.c' }, async () => {
  const first = new Aerie();
  const all = [first];
  try {
    first.prepare();
    const migrations = () => first.database.query('select count(*), count(distinct number), max(number) from schema_migrations');
    const newest = migrations();
    first.command(['migrate', 'down']);
    first.command(['migrate', 'down']);
    assert.notEqual(migrations(), newest);
    for (let i = 0; i < 2; i++) all.push(new Aerie({ env: first.env }));
    await Promise.all(all.map((server) => server.listen()));
    assert.equal(migrations(), newest);
    for (const server of all) assert.equal((await server.request('GET', '/health/ready')).status, 200);
    for (const server of all) await server.halt();
  } finally {
    for (const server of all.reverse()) server.drop();
  }
});
