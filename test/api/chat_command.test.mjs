// aerie chat: an agent at the terminal. One message or many, by account or by key, through a connection that breaks, from a server that
// sends what would command the terminal.
import assert from 'node:assert/strict';
import { chmodSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { startUpstream } from '../fake/upstream.mjs';
import { textOf } from '../fake/replies.mjs';
import { startProxy } from '../fault/proxy.mjs';
import { Aerie, PASSWORD, unique } from '../tools/aerie.mjs';
import { Terminal, runBeside } from '../tools/terminal.mjs';

let aerie, upstream, admin, agent, key;
before(async () => {
  upstream = await startUpstream();
  aerie = await Aerie.start({ env: { TURN__HEARTBEAT_SECONDS: '1' } });
  admin = aerie.admin;
  agent = await admin.agent({ name: 'Support', webhook_url: upstream.url() });
  key = (await admin.post(`/api/agents/${agent.id}/api-keys`, {})).json.api_key;
});
after(async () => {
  await aerie?.stop();
  await upstream?.close();
});

const where = (base = aerie.base) => ['--url', base];
const asAdmin = () => ['--email', aerie.adminEmail, '--password-stdin'];
const say = (args, { base, input = '', ...options } = {}) => runBeside(aerie, ['chat', ...where(base), ...asAdmin(), ...args], { input: `${PASSWORD}\n${input}`, ...options });
const toSupport = (...words) => say(['--agent', 'Support', ...words]);
/** What the fake agent says when it is told to say n tokens. */
const reply = (n) => textOf({ tokens: n });

test('one_message_is_answered_and_the_agent_named', async () => {
  const { status, stdout, stderr } = await say(['Hello there']);
  assert.deepEqual([status, stdout, stderr], [0, 'Echo: Hello there\n', 'aerie: asking Echo\n']);
  const other = await toSupport('!tokens=5');
  assert.deepEqual([other.status, other.stdout, other.stderr], [0, `${reply(5)}\n`, '']);
  assert.equal((await say(['--agent', agent.id, '!tokens=2'])).stdout, `${reply(2)}\n`);
});

test('what_stdin_has_is_the_message', async () => {
  const { status, stdout } = await say(['--agent', 'echo'], { input: 'two lines\nof one message\n\n' });
  assert.deepEqual([status, stdout], [0, 'Echo: two lines\nof one message\n']);
  const none = await say(['--agent', 'echo'], { input: '\n' });
  assert.deepEqual([none.status, none.stdout], [1, '']);
  assert.match(none.stderr, /there is no message: give it as a word, or on stdin/);
});

test('events_come_as_json_for_programs', async () => {
  const { status, stdout } = await toSupport('--json', '!tokens=3');
  const events = stdout.trim().split('\n').map((line) => JSON.parse(line));
  assert.equal(status, 0);
  assert.ok(events.every(({ id, type, data }) => id && type && data));
  assert.equal(events.filter(({ type }) => type === 'message').map(({ data }) => data.content).join(''), reply(3));
  assert.equal(events.at(-1).type, 'done');
});

test('an_api_key_talks_to_its_agent_in_one_session', async () => {
  const file = join(aerie.folder, 'key');
  writeFileSync(file, `${key}\n`);
  chmodSync(file, 0o600);
  const byFile = await runBeside(aerie, ['chat', ...where(), '--key-file', file, '!tokens=4']);
  assert.deepEqual([byFile.status, byFile.stdout, byFile.stderr], [0, `${reply(4)}\n`, '']);
  chmodSync(file, 0o644);
  assert.match((await runBeside(aerie, ['chat', ...where(), '--key-file', file, '!tokens=1'])).stderr, /can be read by others; chmod 600 it/);
  const byStdin = await runBeside(aerie, ['chat', ...where(), '--token-stdin'], { input: `${key}\n!tokens=2\n` });
  assert.deepEqual([byStdin.status, byStdin.stdout], [0, `${reply(2)}\n`]);
  const byEnvironment = await runBeside(aerie, ['chat', ...where(), '!tokens=2'], { env: { AERIE_TOKEN: key } });
  assert.deepEqual([byEnvironment.status, byEnvironment.stdout], [0, `${reply(2)}\n`]);
  const byToken = await runBeside(aerie, ['chat', ...where(), '--agent', 'Support', '!tokens=2'], { env: { AERIE_TOKEN: admin.token } });
  assert.deepEqual([byToken.status, byToken.stdout], [0, `${reply(2)}\n`]);
  const [echo] = (await admin.get('/api/agents')).json.filter(({ provider }) => provider === 'echo');
  const other = await runBeside(aerie, ['chat', ...where(), '--agent', echo.id, 'x'], { env: { AERIE_TOKEN: key } });
  assert.match(other.stderr, new RegExp(`the API key is of agent ${agent.id}: leave out --agent`));
  assert.equal(other.status, 1);
});

test('who_is_not_let_in_is_told_and_exits_with_3', async () => {
  const wrong = await runBeside(aerie, ['chat', ...where(), ...asAdmin(), 'x'], { input: 'not the password\n' });
  assert.deepEqual([wrong.status, wrong.stdout, wrong.stderr], [3, '', 'aerie: Incorrect email or password\n']);
  for (const AERIE_TOKEN of ['eck_wrong', 'no.token.atall']) {
    const refused = await runBeside(aerie, ['chat', ...where(), 'x'], { env: { AERIE_TOKEN } });
    assert.deepEqual([refused.status, refused.stdout], [3, ''], refused.stderr);
  }
});

test('what_is_wrong_is_one_line_that_says_what_to_do', async () => {
  const fails = async (args, words, status = 1, options = {}) => {
    const ran = await runBeside(aerie, ['chat', ...args], options);
    assert.deepEqual([ran.status, ran.stdout], [status, ''], ran.stderr);
    assert.match(ran.stderr, words);
  };
  const AERIE_TOKEN = key;
  await fails([...where(), 'x'], /^aerie: no terminal to ask: use --key-file, --token-stdin, or --email with --password-stdin\n$/);
  await fails(['--url', 'http://127.0.0.1:1', 'x'], /^aerie: nothing answers at http:\/\/127\.0\.0\.1:1: is the server running, and the port right\?\n$/, 1, { env: { AERIE_TOKEN } });
  await fails(['--url', 'ftp://x', 'x'], /--url must begin with http:\/\/ or https:\/\//, 2);
  await fails(['--url', 'http://me:secret@127.0.0.1', 'x'], /no user, password or query/, 2);
  await fails([...where(), '--token-stdin', '--key-file', 'x', 'x'], /one of --key-file/, 2);
  await fails([...where(), '--password-stdin', 'x'], /--email with --password-stdin/, 2);
  await fails([...where(), '--token', 'x'], /--token is not understood here; did you mean --agent\?|--token is not understood here/, 2);
  await fails([...where(), '--key-file', '/nowhere', 'x'], /\/nowhere cannot be read/);
  const unknown = await say(['--agent', 'Suport', 'x']);
  assert.deepEqual([unknown.status, unknown.stderr], [1, 'aerie: there is no active agent of this name or id; did you mean Support?\n']);
  assert.match((await say(['--agent', 'Nobody at all', 'x'])).stderr, /There are:\n {2}Echo\n {2}Support\n/);
  const failed = await toSupport('!status=500');
  assert.deepEqual([failed.status, failed.stdout], [1, '']);
  assert.match(failed.stderr, /^aerie: .+ \(provider_error\)\n$/);
});

test('what_would_command_the_terminal_is_made_harmless', async () => {
  const evil = await admin.agent({ name: 'Evil \u202enimdA', provider: 'echo', config: { text: 'a\u001b]0;owned\u0007b \u001b[2Jc \u009b31md \u202ee \u2066f \u007fg\ttab\nline \u0000'.replace('\u0000', ''), delay_ms: 0 } });
  const { status, stdout } = await say(['--agent', evil.id, 'x']);
  assert.equal(status, 0);
  assert.doesNotMatch(stdout, /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/);
  assert.equal(stdout, 'a\u241b]0;owned\u2407b \u241b[2Jc \ufffd31md \ufffde \ufffdf \ufffdg\ttab\nline \n');
  const json = await say(['--agent', evil.id, '--json', 'x']);
  assert.doesNotMatch(json.stdout, /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/);
  const told = json.stdout.trim().split('\n').map((line) => JSON.parse(line)).filter(({ type }) => type === 'message').map(({ data }) => data.content).join('');
  assert.equal(told, evil.config.text, 'the JSON means what was sent');
  const named = await say(['--agent', 'Nobody', 'x']);
  assert.doesNotMatch(named.stderr, /[\u001b\u202e]/);
  await admin.delete(`/api/agents/${evil.id}`);
});

test('a_connection_that_breaks_is_taken_up_again_without_a_word_lost_or_doubled', async () => {
  for (const who of ['account', 'key']) {
    const proxy = await startProxy({ port: aerie.port });
    // Once the agent is asked, what streams is cut a little later, and the next two connections as well.
    upstream.once('request', () => {
      for (const connection of proxy.connections) connection.faults = { down: { cut: connection.passed.down + 900 } };
      let more = 2;
      proxy.on('connection', (connection) => (connection.faults = more-- > 0 ? { down: { cut: 1500 } } : {}));
    });
    const base = `http://127.0.0.1:${proxy.port}`;
    const { status, stdout, stderr } = who === 'key'
      ? await runBeside(aerie, ['chat', ...where(base), '!tokens=60&delay=40'], { env: { AERIE_TOKEN: key } })
      : await say(['--agent', 'Support', '!tokens=60&delay=40'], { base });
    const { accepted } = proxy;
    await proxy.close();
    assert.deepEqual([status, stdout], [0, `${reply(60)}\n`], `${who}: ${stderr}`);
    assert.equal(stderr, 'aerie: the connection was lost; taking it up again\n');
    assert.ok(accepted >= 4, `${accepted} connections`);
  }
});

test('a_talk_at_a_terminal_goes_on_until_ctrl_d', async () => {
  const terminal = new Terminal(aerie, ['chat', ...where(), '--agent', 'Support']);
  await terminal.until(/E-mail address: /);
  terminal.type(`${aerie.adminEmail}\n`);
  await terminal.until(/Password: /);
  terminal.type(`${PASSWORD}\n`);
  await terminal.until(/> /);
  for (const count of [3, 6]) {
    terminal.type(`!tokens=${count}\n`);
    await terminal.until(new RegExp(reply(count)));
    await terminal.until(/> /);
  }
  terminal.type('\x04');
  assert.equal(await terminal.ended, 0);
  assert.doesNotMatch(terminal.said, new RegExp(PASSWORD), 'the password is not shown');
  const [chat] = (await admin.get('/api/chats')).json;
  assert.equal((await admin.messages(chat)).length, 4, 'one chat has both messages');
});

test('ctrl_c_stops_the_reply_and_a_second_one_leaves', async () => {
  const terminal = new Terminal(aerie, ['chat', ...where(), '--agent', 'Support'], { env: { AERIE_TOKEN: admin.token } });
  await terminal.until(/> /);
  terminal.type('!tokens=500&delay=20\n');
  await terminal.until(/tok3/);
  terminal.interrupt();
  await terminal.until(/> /);
  const [chat] = (await admin.get('/api/chats')).json;
  const stopped = await admin.settledReply(chat);
  assert.equal(stopped.status, 'stopped', 'the server was told');
  terminal.type('!tokens=2\n');
  await terminal.until(/tok0 tok1/);
  await terminal.until(/> /);
  terminal.interrupt();
  assert.equal(await terminal.ended, 130);

  const once = new Terminal(aerie, ['chat', ...where(), '--agent', 'Support', `!tokens=500&delay=20&${unique()}`], { env: { AERIE_TOKEN: admin.token } });
  await once.until(/tok3/);
  once.interrupt();
  assert.equal(await once.ended, 130);
});

test('without_url_the_configured_server_is_asked', async () => {
  const { status, stdout } = await runBeside(aerie, ['chat', '!tokens=2'], { env: { AERIE_TOKEN: key, SERVER__PORT: String(aerie.port), SERVER__HOST: '0.0.0.0' } });
  assert.deepEqual([status, stdout], [0, `${reply(2)}\n`]);
});
