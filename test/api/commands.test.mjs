// What operators do by the command line: accounts, teams, the schema, and passwords from a terminal or from stdin.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Aerie, PASSWORD, binaryPath, serverEnv, unique, withinASecond } from '../tools/aerie.mjs';
import { Terminal } from '../tools/terminal.mjs';

let aerie;
let slug;
before(async () => {
  aerie = await Aerie.start();
  slug = aerie.team.slug;
});
after(() => aerie.stop());

const lines = (text) => text.trim().split('\n');
const users = () => lines(aerie.command(['user', 'list', '--team', slug, '--json'])).map((line) => JSON.parse(line));
const fresh = () => `${unique('c')}@aerie.test`;
const create = (email, ...more) => ['user', 'create', '--email', email, '--team', slug, ...more];
const login = (email, password) => aerie.request('POST', '/api/auth/login', { json: { email, password } });

/** Fails with the status and the words, and says nothing on stdout. */
function refuses(args, words, { input, status = 1 } = {}) {
  const ran = aerie.tryCommand(args, { input });
  assert.equal(ran.status, status, `${args.join(' ')}: ${ran.stderr}`);
  assert.match(ran.stderr, words);
  assert.equal(ran.stdout, '');
}

/** Runs a command at a terminal of its own; each answer is typed when its prompt has come. */
async function atTerminal(args, answers, env = {}) {
  const terminal = new Terminal(aerie, args, { env });
  for (const answer of answers) {
    await terminal.until(/Password: |Again: /);
    terminal.type(`${answer}\n`);
  }
  return { status: await terminal.ended, said: terminal.said };
}

test('users_are_made_listed_changed_and_put_out', async () => {
  const email = fresh();
  const made = JSON.parse(aerie.command(create(email.toUpperCase(), '--name', 'Jane Doe', '--generate', '--json')));
  assert.deepEqual([made.email, made.role, made.team_id], [email, 'user', aerie.team.id]);
  assert.equal((await login(email, made.password)).status, 200);

  assert.equal(aerie.command(['user', 'role', `--email=${email}`, '--team', slug, '--role', 'admin']), '');
  const { refreshToken } = await aerie.login(email, made);
  assert.deepEqual(users().find((user) => user.email === email), { id: made.id, team_id: aerie.team.id, email, full_name: 'Jane Doe', role: 'admin', is_active: true });

  aerie.command(['user', 'disable', '--email', email, '--team', slug]);
  assert.equal((await login(email, made.password)).status, 401);
  assert.match(lines(aerie.command(['user', 'list', '--team', slug])).find((line) => line.endsWith(email)), new RegExp(`^${made.id}  admin  disabled  `));
  assert.equal((await aerie.request('POST', '/api/auth/refresh', { json: { refresh_token: refreshToken } })).status, 401, 'put out of what was open');
  aerie.command(['user', 'enable', '--email', email, '--team', slug]);
  assert.equal((await login(email, made.password)).status, 200);

  const another = aerie.command(['user', 'password', '--email', email, '--team', slug, '--generate']).trim();
  assert.equal((await login(email, made.password)).status, 401);
  assert.equal((await login(email, another)).status, 200);
});

test('what_the_command_line_refuses_it_names', () => {
  const stdin = { input: `${PASSWORD}\n` };
  const taken = fresh();
  assert.match(aerie.command(create(taken, '--password-stdin'), stdin), /^[0-9a-f-]{36}\n$/);
  refuses(create(taken, '--password-stdin'), /there is a user of this address already/, stdin);
  refuses(create(fresh(), '--password-stdin', '--name', 'a\nb'), /--name must be text without control characters/, stdin);
  refuses(create('nonsense', '--password-stdin'), /--email must be an e-mail address/, { status: 2 });
  refuses(create(`${'x'.repeat(300)}@x.test`, '--password-stdin'), /--email must be an e-mail address/, { status: 2 });
  refuses(create(fresh(), '--role', 'owner'), /--role must be user or admin/, { status: 2 });
  refuses(['user', 'role', '--email', taken, '--team', slug], /--role is missing/, { status: 2 });
  refuses(['user', 'sing'], /usage: aerie user create/, { status: 2 });
  refuses(['user', 'create', '--emails', taken], /--emails is not understood here/, { status: 2 });
  refuses(['user', 'disable', '--email', aerie.adminEmail, '--team', slug, '--password-stdin', '--json', '--generate', '--team'], /--team needs a value/, { status: 2 });
  refuses(['user', 'disable', '--email', fresh(), '--team', slug], /no/);
  refuses(['user', 'list', '--team', 'nowhere'], /team/);
  refuses(['team', 'create', '--name', 'A', '--slug', 'Not One'], /--slug must be small letters, digits and single hyphens/);
  refuses(['team', 'create', '--name', 'a\tb', '--slug', unique('t')], /--name must be text without control characters/);
});

test('the_last_admin_stays', () => {
  const other = unique('t');
  const team = JSON.parse(aerie.command(['team', 'create', '--name', 'Another', '--slug', other, '--json']));
  assert.deepEqual([team.name, team.slug], ['Another', other]);
  const email = fresh();
  aerie.command(['user', 'create', '--email', email, '--team', other, '--role', 'admin', '--generate']);
  for (const args of [['disable'], ['role', '--role', 'user']]) refuses(['user', ...args, '--email', email, '--team', other], /the team's last active admin/);
});

test('a_password_from_stdin_is_a_whole_line_without_a_nul', async () => {
  const email = fresh();
  for (const [input, words] of [
    ['long enough\0 and more\n', /a password has no NUL character/],
    ['\0\n', /a password has no NUL character/],
    ['long enough\0', /a password has no NUL character/],
    ['', /no password was given/],
    ['\n', /a password has 8 to 128 characters/],
    [`${'x'.repeat(129)}\n`, /a password has 8 to 128 characters/],
    [`${'x'.repeat(5000)}\n`, /a password has 8 to 128 characters/],
    [Buffer.from([...Buffer.from('long enough'), 0xff, 0x0a]), /a password has 8 to 128 characters/],
  ]) refuses(create(email, '--password-stdin'), words, { input });
  const longest = '\u{1f511}'.repeat(128); // 512 bytes
  aerie.command(create(email, '--password-stdin'), { input: `${longest}\r\nnot this\n` });
  assert.equal((await login(email, longest)).status, 200);
  aerie.command(['user', 'password', '--email', email, '--team', slug, '--password-stdin'], { input: 'without an end' });
  assert.equal((await login(email, 'without an end')).status, 200);
});

test('a_password_is_asked_for_twice_and_not_shown', async () => {
  const email = fresh();
  refuses(create(email), /no terminal to ask: use --password-stdin or --generate/);
  const differ = await atTerminal(create(email), ['one long enough', 'another long enough']);
  assert.equal(differ.status, 1);
  assert.match(differ.said, /the two passwords differ/);
  const short = await atTerminal(create(email), ['short', 'short']);
  assert.match(short.said, /a password has 8 to 128 characters/);
  const made = await atTerminal(create(email), ['typed at a terminal', 'typed at a terminal']);
  assert.equal(made.status, 0, made.said);
  for (const { said } of [differ, short, made]) assert.doesNotMatch(said, /long enough|short|typed/);
  assert.equal((await login(email, 'typed at a terminal')).status, 200);
});

test('a_token_made_while_a_new_password_is_typed_counts_no_more_afterwards', async () => {
  const user = await aerie.user();
  const terminal = new Terminal(aerie, ['user', 'password', '--email', user.email, '--team', slug]);
  await terminal.until(/Password: /);
  const thief = await aerie.login(user.email);
  terminal.type('only the owner knows\n');
  await terminal.until(/Again: /);
  const refreshed = await aerie.request('POST', '/api/auth/refresh', { json: { refresh_token: thief.refreshToken } });
  terminal.type('only the owner knows\n');
  assert.equal(await terminal.ended, 0, terminal.said);
  for (const token of [thief.token, refreshed.json.access_token])
    await withinASecond(async () => (await aerie.request('GET', '/api/auth/me', { token })).status === 401, 'the token is refused');
  assert.equal((await login(user.email, 'only the owner knows')).status, 200);
});

test('the_schema_goes_up_and_down_and_tells_how_it_stands', () => {
  const other = new Aerie();
  try {
    const status = () => lines(other.command(['migrate', 'status', '--json'])).map((line) => JSON.parse(line));
    assert.ok(status().every((row) => !row.is_applied));
    const said = (verb) => other.tryCommand(['migrate', verb]).stderr;
    const { length } = status();
    assert.equal(said('down'), 'aerie: nothing to take back\n');
    assert.equal(said('up'), `aerie: ${length} applied\n`);
    assert.equal(said('up'), 'aerie: 0 applied\n');
    assert.ok(status().every((row, i) => row.is_applied && row.number === i + 1));
    assert.match(said('down'), new RegExp(`^aerie: ${String(length).padStart(4, '0')} taken back\n$`));
    assert.match(lines(other.command(['migrate', 'status'])).at(-1), new RegExp(`^${String(length).padStart(4, '0')}  missing  `));
    for (const verb of ['up', 'down', 'status']) {
      const ran = other.tryCommand(['migrate', verb], { env: { DATABASE_URL: 'postgresql://nobody@127.0.0.1:1/none' } });
      assert.equal(ran.status, 1, `${verb} without its database`);
    }
  } finally {
    other.drop();
  }
});

test('help_is_on_stdout_and_what_is_not_understood_on_stderr', () => {
  for (const option of ['--help', '-h']) {
    assert.match(aerie.command([option]), /^usage: aerie \[--config FILE\] \[COMMAND\]/);
    assert.match(aerie.command(['migrate', option]), /^usage: aerie migrate up\n {7}aerie migrate down\n/);
  }
  assert.equal(aerie.command(['help']), aerie.command(['--help']));
  assert.equal(aerie.command(['help', 'user']), aerie.command(['user', '--help']));
  assert.equal(aerie.command(['--version']), aerie.command(['version']));
  refuses(['--nonsense'], /^aerie: --nonsense is not understood\n`aerie --help`/, { status: 2 });
  refuses(['--config'], /--config is not understood/, { status: 2 });
  refuses(['version', 'now'], /^aerie version: now is not understood here\nusage: aerie version/, { status: 2 });
  refuses(['config', '--nonsense'], /--nonsense is not understood here/, { status: 2 });
  refuses(['openapi', '--nonsense'], /^aerie openapi: --nonsense .*\nusage: aerie openapi\n$/, { status: 2 });
  for (const args of [['--config', '/nowhere/aerie.json'], ['--config=/nowhere/aerie.json']]) refuses([...args, 'config'], /\/nowhere\/aerie\.json/);
});

test('what_is_mistyped_is_answered_with_the_nearest_name', () => {
  for (const [typed, meant] of [['serv', 'serve'], ['docter', 'doctor'], ['migrat', 'migrate'], ['usr', 'user']])
    refuses([typed], new RegExp(`^aerie: there is no command ${typed}; did you mean ${meant}\\?\n`), { status: 2 });
  refuses(['help', 'chta'], /did you mean chat\?/, { status: 2 });
  refuses(['frobnicate'], /^aerie: there is no command frobnicate\n`aerie --help`/, { status: 2 });
  refuses(['user', 'list', '--taem', slug], /--taem is not understood here; did you mean --team\?/, { status: 2 });
});

/** Every command that people are told of. */
const told = () => [...aerie.command(['--help', '--color=never']).matchAll(/^ {2}([a-z-]+) {2,}\S/gm)].map(([, name]) => name);

test('every_command_tells_its_usage_options_and_exit_status', () => {
  const names = told();
  assert.deepEqual(names.toSorted(), ['audit', 'backup', 'budget', 'chat', 'config', 'doctor', 'erase', 'export', 'import', 'init', 'key', 'migrate', 'migrate-to', 'node', 'openapi', 'restore', 'seed', 'serve', 'team', 'upgrade', 'user', 'version', 'webhook']);
  for (const name of names) {
    const help = aerie.command([name, '--help']);
    assert.match(help, new RegExp(`^usage: aerie ${name}\\b`));
    assert.match(help, /\nExit status\n {2}0 {5}\S[^]*\n {2}2 {5}wrong usage\n/, name);
    const usage = help.split('\n\n')[0];
    for (const [option] of usage.matchAll(/--[a-z-]+/g)) assert.ok(help.split('\nOptions\n')[1]?.includes(`  ${option}`), `${name} does not tell ${option}`);
  }
});

test('help_wraps_to_the_width_of_the_terminal', () => {
  for (const columns of [40, 60, 80, 120]) {
    for (const args of [['--help'], ...told().map((name) => [name, '--help'])]) {
      const text = aerie.command(args, { env: { COLUMNS: columns } });
      for (const line of lines(text)) assert.ok([...line].length <= columns || !line.trim().includes(' ') || /^ {2}\S/.test(line), `${columns}: ${line}`);
    }
  }
  assert.ok(lines(aerie.command(['doctor', '--help'], { env: { COLUMNS: 40 } })).length > lines(aerie.command(['doctor', '--help'], { env: { COLUMNS: 120 } })).length);
});

test('colours_are_for_terminals_only', async () => {
  const escape = /\x1b\[/;
  assert.doesNotMatch(aerie.command(['--help']), escape);
  assert.match(aerie.command(['--color=always', '--help']), escape);
  assert.match(aerie.command(['user', '--help', '--color=always'], { env: { NO_COLOR: '1' } }), escape, 'who asks for it gets it');
  const shown = async (args, env = {}) => (await atTerminal(args, [], env)).said;
  assert.match(await shown(['--help']), escape);
  for (const [args, env] of [[['--help', '--color=never']], [['--color', 'never', '--help']], [['--help'], { NO_COLOR: '1' }], [['--help'], { TERM: 'dumb' }]])
    assert.doesNotMatch(await shown(args, env), escape, JSON.stringify([args, env]));
  refuses(['--color=pink', '--help'], /--color=pink is not understood: auto, always or never/, { status: 2 });
  refuses(['--color', 'pink', '--help'], /--color takes auto, always or never/, { status: 2 });
});

test('the_versions_of_the_libraries_are_told', () => {
  assert.equal(lines(aerie.command(['version'])).length, 1);
  for (const args of [['version', '-v'], ['--version', '-v']]) {
    const text = aerie.command(args);
    for (const name of ['aerie', 'libcurl', 'libpq', 'libuv', 'llhttp', 'OpenSSL', 'SQLite', 'yyjson']) assert.match(text, new RegExp(`^${name} \\d+\\.\\d+`, 'm'));
  }
});

test('the_page_of_the_command_line_is_that_of_the_table', () => {
  const path = fileURLToPath(new URL('../../docs/command-line.md', import.meta.url));
  const page = readFileSync(path, 'utf8');
  const mark = '<!-- from here on: `aerie help --markdown` -->\n\n';
  const wanted = page.split(mark)[0] + mark + aerie.command(['help', '--markdown']);
  if (process.env.AERIE_REWRITE) writeFileSync(path, wanted);
  else assert.equal(page, wanted, 'AERIE_REWRITE=1 writes it anew');
});

test('an_answer_that_cannot_be_written_is_a_failure', async () => {
  const child = spawn('sh', ['-c', `'${binaryPath()}' team list >/dev/full`], { env: serverEnv(aerie.env), cwd: aerie.folder, stdio: ['ignore', 'ignore', 'pipe'] });
  let said = '';
  child.stderr.on('data', (bytes) => (said += bytes));
  const status = await new Promise((resolve) => child.once('close', resolve));
  assert.deepEqual([status, said], [1, 'aerie: the answer could not be written\n']);
});
