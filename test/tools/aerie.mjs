// Starts the real binary as an operator would, on a free port with two loops and a fresh database, and stops it so that
// nothing it did wrong goes unnoticed: SIGTERM must end it with 0, and its log must hold no sanitizer report.
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Contract, holdToContract, releaseFromContract } from './contract.mjs';
import { freshDatabase } from './database.mjs';
import { EventStream, openStream, request } from './http.mjs';
import { findSecret } from './secrets.mjs';
import { holdToTls, makeCertificate, releaseFromTls } from './tls.mjs';
import { until } from './until.mjs';

const root = fileURLToPath(new URL('../../', import.meta.url));
export const reports = /ERROR: \w*Sanitizer|WARNING: \w*Sanitizer|runtime error:|LeakSanitizer|ThreadSanitizer|Assertion .* failed|AddressSanitizer/;

export const PASSWORD = 'correct horse battery';

export function binaryPath() {
  const named = process.env.AERIE_BINARY;
  if (named) return resolve(named);
  return join(root, 'build/aerie');
}

/** What every server and command of the tests gets: a small clean environment. Limits per minute are off; tests of them set them. */
export function serverEnv(extra) {
  const env = {
    PATH: process.env.PATH,
    HOME: tmpdir(),
    ASAN_OPTIONS: 'detect_leaks=1:exitcode=99:detect_stack_use_after_return=0:allocator_may_return_null=1',
    UBSAN_OPTIONS: 'print_stacktrace=1:halt_on_error=1:exitcode=99',
    // A second SIGTERM ends the process at once, threads and all: that is no leak.
    TSAN_OPTIONS: `halt_on_error=0:exitcode=99:second_deadlock_stack=1:report_thread_leaks=0${process.env.AERIE_TSAN_SUPPRESSIONS ? `:suppressions=${process.env.AERIE_TSAN_SUPPRESSIONS}` : ''}`,
    SERVER__WORKERS: '2',
    SERVER__PORT: '0',
    SECURITY__BCRYPT_ROUNDS: '4',
    SECRET_KEY: 'a-secret-of-the-tests-long-enough-for-production',
    EGRESS__ALLOW: '127.0.0.0/8,::1,localhost',
    LIMITS__LOGIN_PER_MINUTE: '0',
    LIMITS__LOGIN_PER_ACCOUNT: '0',
    LIMITS__REGISTER_PER_MINUTE: '0',
    LIMITS__MESSAGES_PER_MINUTE: '0',
    ...(process.env.AERIE_TEST_LOG ? { LOG__LEVEL: process.env.AERIE_TEST_LOG } : {}),
  };
  for (const [key, value] of Object.entries(extra)) {
    if (value === undefined || value === null) delete env[key];
    else env[key] = String(value);
  }
  return env;
}

/** Runs a command to its end: {status, stdout, stderr}. */
export function runCommand(args, { env = {}, cwd, input, timeout = 20000 } = {}) {
  const ran = spawnSync(binaryPath(), args, { env: serverEnv(env), cwd, input: input ?? '', encoding: 'utf8', timeout });
  if (ran.error && ran.error.code !== 'ETIMEDOUT') throw ran.error;
  return { status: ran.status, signal: ran.signal, stdout: ran.stdout, stderr: ran.stderr };
}

export function makeFolder() {
  return mkdtempSync(join(tmpdir(), 'aerie-test-'));
}

/** With AERIE_TEST_TLS=1 every server speaks TLS alone, where a test does not say where it listens. */
const overTls = process.env.AERIE_TEST_TLS === '1';

let contract;
/** What the binary says of its API, read once. */
function theContract() {
  contract ??= new Contract(JSON.parse(runCommand(['openapi']).stdout));
  return contract;
}

let counter = 0;
/** A name that is new in this process. */
export function unique(prefix = 'x') {
  return `${prefix}${process.pid.toString(36)}-${(counter++).toString(36)}`;
}

export class Aerie {
  log = '';

  /**
   * under: a program and its arguments that the server runs under, such as valgrind. database: its kind, AERIE_TEST_DB's unless said.
   * beside: the server whose database is this one's as well. tls: it has a port with TLS too, .tlsPort; its certificate is .certificate.
   */
  constructor({ env = {}, under = [], database, beside, tls = overTls } = {}) {
    this.under = under;
    this.folder = makeFolder();
    this.isGuest = Boolean(beside);
    this.database = beside?.database ?? freshDatabase(this.folder, database);
    this.env = { DATA_DIR: join(this.folder, 'data'), ...this.database.env, ...(tls && this.#tlsEnv(env)), ...env };
  }

  #tlsEnv({ SERVER__HOST: host = '127.0.0.1', SERVER__PORT: port = 0 }) {
    this.certificate = makeCertificate(this.folder, 'server');
    const { path, keyPath } = this.certificate;
    return { SERVER__LISTEN: `${overTls ? '' : `${host}:${port},`}tls://${host}:${overTls ? port : 0}`, TLS__CERTIFICATE: path, TLS__KEY: keyPath };
  }

  /** A server with a default team and its admin, listening. */
  static async start(options = {}) {
    const aerie = new Aerie(options);
    try {
      aerie.prepare();
      await aerie.listen();
      await aerie.makeAdmin();
    } catch (error) {
      aerie.drop();
      throw error;
    }
    return aerie;
  }

  /** Another node, on the same database and with the same settings: listening, with the same admin. */
  async beside({ env = {} } = {}) {
    const { DATA_DIR: _, ...same } = this.env;
    const node = new Aerie({ beside: this, env: { ...same, ...env } });
    try {
      await node.listen();
    } catch (error) {
      node.drop();
      throw error;
    }
    const { team, adminEmail } = this;
    Object.assign(node, { team, adminEmail, admin: node.client(this.admin.token, { email: adminEmail, me: this.admin.me }) });
    return node;
  }

  /** Runs `aerie ARGS` beside the server, on the same database; fails unless it ends with 0. */
  command(args, options) {
    const ran = this.tryCommand(args, options);
    assert.equal(ran.status, 0, `aerie ${args.join(' ')}: ${ran.stderr}${ran.stdout}`);
    return ran.stdout;
  }

  tryCommand(args, { input, env = {}, timeout } = {}) {
    const ran = runCommand(args, { env: { ...this.env, ...env }, cwd: this.folder, input, timeout });
    assert.doesNotMatch(ran.stderr, reports, `aerie ${args.join(' ')} had a sanitizer report`);
    return ran;
  }

  /** What an operator does first: `aerie init`, and an admin of the default team. */
  prepare() {
    this.command(['init']);
    const [team] = this.command(['team', 'list', '--json']).trim().split('\n').map((line) => JSON.parse(line));
    this.team = team;
    this.adminEmail = 'root@aerie.test';
    this.command(['user', 'create', '--email', this.adminEmail, '--team', team.slug, '--role', 'admin', '--password-stdin'], { input: `${PASSWORD}\n` });
  }

  async makeAdmin() {
    this.admin = await this.login(this.adminEmail);
  }

  /** Starts the server and waits until it says where it listens; or, where nobody hears what it says, until it does on that port. */
  async listen({ timeout = 60000, port: silentPort } = {}) {
    const [program, ...args] = [...this.under, binaryPath(), 'serve'];
    this.child = spawn(program, args, { env: serverEnv(this.env), cwd: this.folder, stdio: ['ignore', 'pipe', 'pipe'] });
    const { child } = this;
    child.exit = new Promise((resolveExit) => child.once('exit', (code, signal) => resolveExit({ code, signal })));
    child.once('exit', (code, signal) => {
      if (child.isToDie) return;
      const at = Math.max(0, (reports.exec(this.log)?.index ?? this.log.length - 3000) - 300);
      console.error(`    aerie serve ended by itself with ${code ?? signal}:\n${this.log.slice(at, at + 6000)}`);
    });
    let ready;
    const listening = new Promise((resolveReady) => (ready = resolveReady));
    let tail = '';
    const take = (bytes) => {
      const text = bytes.toString();
      this.log += text;
      tail = (tail + text).slice(-4096);
      const said = /listening on (https?:.*)/.exec(tail)?.[1];
      if (!said || !tail.includes('\n', tail.indexOf(said))) return;
      const ports = [...said.matchAll(/(https?):\/\/[^\s,]*:(\d+)/g)].map(([, scheme, number]) => [scheme, Number(number)]);
      this.tlsPort = ports.find(([scheme]) => scheme === 'https')?.[1];
      ready(ports[0][1]);
    };
    child.stdout.on('data', take);
    child.stderr.on('data', take);
    let timer;
    const probe = silentPort && setInterval(() => this.#isOn(silentPort).then((isOn) => isOn && ready(silentPort)), 50);
    const port = await Promise.race([
      listening,
      child.exit.then(({ code, signal }) => Promise.reject(new Error(`aerie serve ended with ${code ?? signal}:\n${this.log}`))),
      new Promise((_, reject) => (timer = setTimeout(() => reject(new Error(`aerie serve did not listen within ${timeout} ms:\n${this.log}`)), timeout))),
    ]).finally(() => {
      clearTimeout(timer);
      clearInterval(probe);
    });
    holdToContract(port, theContract());
    child.exit.then(() => releaseFromContract(port, theContract()));
    if (this.certificate) {
      const tlsPort = (this.tlsPort ??= port);
      holdToTls(tlsPort, this.certificate.cert);
      child.exit.then(() => releaseFromTls(tlsPort));
    }
    this.port = port;
    this.base = `${this.tlsPort === port ? 'https' : 'http'}://127.0.0.1:${port}`;
    return this;
  }

  #isOn(port) {
    return request(port, 'GET', '/health').then(() => true, () => false);
  }

  async kill(signal = 'SIGKILL') {
    this.child.isToDie = true;
    this.child.kill(signal);
    return this.child.exit;
  }

  /** SIGTERM, wait, look at what it leaves behind. */
  async halt({ timeout = 40000 } = {}) {
    if (!this.child) return;
    const { child } = this;
    this.child = null;
    child.isToDie = true;
    child.kill('SIGTERM');
    const timer = setTimeout(() => child.kill('SIGKILL'), timeout);
    const { code, signal } = await child.exit;
    clearTimeout(timer);
    const found = reports.exec(this.log);
    assert.equal(found, null, found && `sanitizer report:\n${this.log.slice(Math.max(0, found.index - 500), found.index + 6000)}`);
    assert.equal(code, 0, `aerie serve ended with ${code ?? signal} after SIGTERM:\n${this.log.slice(-3000)}`);
    assert.equal(findSecret(this.log), null, 'a secret, an address or a message is in the log');
  }

  /** Ends the server; its database and folder go too. */
  async stop() {
    try {
      await this.halt();
    } finally {
      this.drop();
    }
  }

  drop() {
    if (this.child) this.kill();
    if (!this.isGuest) this.database.drop();
    rmSync(this.folder, { recursive: true, force: true });
  }

  request(method, path, options) {
    return request(this.port, method, path, options);
  }

  /** A client that speaks as the holder of the token. */
  client(token, extra = {}) {
    return new Client(this, token, extra);
  }

  async login(email, { password = PASSWORD, team_id } = {}) {
    const answer = await this.request('POST', '/api/auth/login', { json: { email, password, team_id } });
    assert.equal(answer.status, 200, `login of ${email}: ${answer.status} ${answer.text}`);
    const client = this.client(answer.json.access_token, { refreshToken: answer.json.refresh_token, email });
    client.me = (await client.get('/api/auth/me')).json;
    return client;
  }

  /** A new user of the default team (or the one named), signed in. */
  async user({ team_id, email = `${unique('u')}@aerie.test` } = {}) {
    const answer = await this.request('POST', '/api/auth/register', { json: { email, password: PASSWORD, full_name: 'Test User', team_id } });
    assert.equal(answer.status, 201, `registration: ${answer.status} ${answer.text}`);
    return this.login(email, { team_id: answer.json.team_id });
  }

  /** Another team with an admin, made by the command line while the server runs. */
  async otherTeam() {
    const slug = unique('team-');
    const id = this.command(['team', 'create', '--name', `Team ${slug}`, '--slug', slug]).trim().split(/\s+/).at(-1);
    const email = `admin@${slug}.test`;
    this.command(['user', 'create', '--email', email, '--team', slug, '--role', 'admin', '--password-stdin'], { input: `${PASSWORD}\n` });
    return { id, slug, admin: await this.login(email) };
  }
}

/** One user's view of the server. */
export class Client {
  constructor(aerie, token, extra) {
    this.aerie = aerie;
    this.token = token;
    Object.assign(this, extra);
  }
  #call(method, path, options = {}) {
    return this.aerie.request(method, path, { token: this.token, ...options });
  }
  get(path, options) {
    return this.#call('GET', path, options);
  }
  post(path, json, options) {
    return this.#call('POST', path, { json, ...options });
  }
  put(path, json, options) {
    return this.#call('PUT', path, { json, ...options });
  }
  delete(path, options) {
    return this.#call('DELETE', path, options);
  }

  /** An agent that asks the given URL; needs an admin. */
  async agent(fields = {}) {
    const answer = await this.post('/api/agents', { name: unique('agent-'), provider: 'n8n', ...fields });
    assert.equal(answer.status, 201, `agent: ${answer.status} ${answer.text}`);
    return answer.json;
  }
  async chat(agent, fields = {}) {
    const answer = await this.post('/api/chats', { agent_id: agent.id, ...fields });
    assert.equal(answer.status, 201, `chat: ${answer.status} ${answer.text}`);
    return answer.json;
  }
  /** Sends a message and hands back the stream as soon as its head is there (or the plain answer, when it is none). */
  send(chat, content, options = {}) {
    return openStream(this.aerie.port, 'POST', `/api/chats/${chat.id}/messages`, { token: this.token, json: { content }, ...options });
  }
  /** Sends a message and waits for the whole stream. */
  async ask(chat, content, options) {
    const stream = await this.send(chat, content, options);
    assert.ok(stream instanceof EventStream, `no stream but ${stream.status} ${stream.text}`);
    return stream.whole();
  }
  /** Attaches to the chat's turn. */
  follow(chat, { lastId, query, ...options } = {}) {
    const headers = lastId && !query ? { 'Last-Event-ID': lastId } : {};
    const suffix = lastId && query ? `?last_event_id=${encodeURIComponent(lastId)}` : '';
    return openStream(this.aerie.port, 'GET', `/api/chats/${chat.id}/stream${suffix}`, { token: this.token, headers, ...options });
  }
  async messages(chat, query = '?limit=200') {
    const answer = await this.get(`/api/chats/${chat.id}/messages${query}`);
    assert.equal(answer.status, 200, answer.text);
    return answer.json;
  }
  /** The chat's last message once it is not streaming any more. */
  async settledReply(chat, { timeout = 10000 } = {}) {
    let last;
    const settled = async () => {
      last = (await this.messages(chat)).at(-1);
      return last?.role === 'assistant' && last.status !== 'streaming' && last;
    };
    return until(settled, () => `the reply settles: ${JSON.stringify(last)}`, timeout);
  }
}

/** What another process changes counts within a second; a busy machine gets half a second more. */
export const withinASecond = (holds, what) => until(holds, what, 1500);

/** Runs the jobs with at most n at a time; the first failure is thrown after the others have ended. */
export async function inParallel(n, jobs, run) {
  let next = 0;
  const failures = [];
  await Promise.all(Array.from({ length: Math.min(n, jobs.length) }, async (_, worker) => {
    while (next < jobs.length && failures.length < 5) {
      const job = jobs[next++];
      try {
        await run(job, worker);
      } catch (error) {
        failures.push(error);
      }
    }
  }));
  if (failures.length > 0) throw failures[0];
}

export const isUuid = (text) => /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/.test(text);
export const isTime = (text) => /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$/.test(text);
