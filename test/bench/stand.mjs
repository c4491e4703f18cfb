// The stand: what takes part in a run, started when it is first asked for. A fast agent, nginx as plain proxy before it, Aerie
// on SQLite and on PostgreSQL. Each is a system: {name, port, roots, talk, restart}; roots are the processes whose CPU and memory count.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Aerie } from '../tools/aerie.mjs';
import { runNginx } from '../tools/nginx.mjs';
import { startPostgres } from '../tools/postgres.mjs';
import { isRight } from './figures.mjs';
import { cpuOf, memoryOf, openFiles, place } from './machine.mjs';
import { startBenchUpstream, startLoad } from './programs.mjs';
import { addChats } from './rows.mjs';

/** nginx closes connections that wait for a request once less than a sixteenth of worker_connections is free: it gets more than it needs. */
const NGINX_MAIN = `worker_processes 1; worker_rlimit_nofile ${openFiles}; events { worker_connections ${Math.ceil(openFiles * 1.1)}; }`;
const USERS = 16;
/** Streams that are held are opened at this rate, which both servers take without effort. */
const RAMP_PER_SECOND = 1000;
/** A server that takes less than this share of a core for so long has nothing left to do. */
const REST_MS = 200;
const REST_SHARE = 0.02;
/** What is done in a window may take so much longer than it. */
const LATE_SECONDS = 30;
/** %n is the stream's seed; the agent's text depends on it. */
const QUESTION = 'Tell me more of ~%n~';

/** One worker, as nginx has one; no limit that a load from one address would meet; tokens that outlive the run. */
const AERIE_ENV = {
  SERVER__WORKERS: '1',
  EGRESS__ALLOW: '127.0.0.0/8',
  SECURITY__ACCESS_SECONDS: '86400',
  LIMITS__AGENT_MESSAGES_PER_MINUTE: '0',
  LIMITS__AGENT_SESSIONS_PER_MINUTE: '0',
  LIMITS__CONNECTIONS_PER_ADDRESS: '0',
  LIMITS__STREAMS_PER_TEAM: '0',
  LIMITS__WRONG_KEYS_PER_MINUTE: '0',
};

/** What n8n is sent, so that nginx's agent reads as much as Aerie's. */
const PLAIN_BODY = JSON.stringify({
  messages: [{ role: 'user', content: QUESTION, timestamp: '2026-01-31T12:00:00.000000Z' }], system_prompt: '', config: {},
  sessionId: '01a1fa9f-0000-4000-8000-000000000000', chatInput: QUESTION, action: 'sendMessage',
});

class PlainSystem {
  kind = 'nginx';
  read = 'lines';
  constructor(stand, name, start) {
    Object.assign(this, { stand, name, start });
  }
  async restart() {
    this.stand.goOn();
    await this.stop();
    this.server = await this.start();
    place(this.server.pid, 'server');
    this.port = this.server.port;
    this.roots = [this.server.pid];
  }
  talk({ query }) {
    return { requests: [{ path: `/hook?${query}`, headers: { 'Content-Type': 'application/json' }, body: PLAIN_BODY }], read: this.read };
  }
  async stop() {
    await this.server?.close();
    this.server = null;
  }
}

class AerieSystem {
  read = 'sse';
  givesBack = true;
  /** speaksTls: its clients are an nginx's, which speaks TLS to it and is spoken to in clear. */
  constructor(stand, kind, { env = {}, hook, users = USERS, speaksTls = false } = {}) {
    Object.assign(this, { stand, kind, env, hook, speaksTls, wantedUsers: users, name: kind === 'sqlite' ? 'Aerie on SQLite' : 'Aerie on PostgreSQL' });
  }
  async start() {
    this.aerie = await Aerie.start({ database: this.kind, env: { ...AERIE_ENV, ...this.env }, tls: this.speaksTls });
    this.users = [this.aerie.admin];
    while (this.users.length < this.wantedUsers) this.users.push(await this.aerie.user());
    await this.#listens();
  }
  async #listens() {
    place(this.aerie.child.pid, 'server');
    this.port = this.speaksTls ? await this.#openDoor() : this.aerie.port;
    this.roots = [this.aerie.child.pid, ...(this.kind === 'postgres' ? [this.stand.cluster.pid] : [])];
  }
  async restart() {
    this.stand.goOn();
    await this.aerie.halt();
    await this.aerie.listen();
    await this.#listens();
  }
  /** Each of its clients is a connection of its own, and a whole handshake. */
  async #openDoor() {
    await this.door?.close();
    this.door = await runNginx((port) => `server {
        listen 127.0.0.1:${port} backlog=4096;
        keepalive_requests 10000000;
        location / {
          proxy_pass https://127.0.0.1:${this.aerie.tlsPort}; proxy_ssl_session_reuse off; proxy_http_version 1.1; proxy_buffering off; proxy_read_timeout 600s;
        }
      }`, { main: NGINX_MAIN });
    place(this.door.pid, 'load');
    return this.door.port;
  }
  get database() {
    return this.aerie.database;
  }
  headers(i, more = {}) {
    return { Authorization: `Bearer ${this.users[i % this.users.length].token}`, 'Content-Type': 'application/json', ...more };
  }
  /** An agent that is the fast one, asked with that query; the turn ends with its reader unless config says otherwise. */
  agent(query, config = {}) {
    return this.aerie.admin.agent({ webhook_url: `${this.hook ?? this.stand.hook}?${query}`, config: { on_disconnect: 'abort', ...config } });
  }
  chats({ agent, count, users = this.users, ...rest }) {
    return addChats(this.database, { teamId: this.aerie.admin.me.team_id, userIds: users.map((user) => user.me.id), agentId: agent.id, count, ...rest });
  }
  /** Requests that each send a message to a chat of its own. context: how many messages go to the agent; 1 is what nginx's gets. */
  async talk({ query, chats = 64, context = 1, messages = 0 }) {
    const agent = await this.agent(query, { context_messages: context });
    const ids = this.chats({ agent, count: chats, messages });
    const body = JSON.stringify({ content: QUESTION });
    return { requests: ids.map((id, i) => ({ path: `/api/chats/${id}/messages`, headers: this.headers(i, { Accept: 'text/event-stream' }), body })), read: this.read };
  }
  async stop() {
    await this.door?.close();
    await this.aerie?.stop();
    this.aerie = this.door = null;
  }
}

export class Stand {
  #systems = new Map();
  #opened = [];
  #loads = new Set();
  #tlsAgent = null;
  #interruption = new AbortController();
  /** Every load of the run, with its raw numbers. */
  loads = [];
  isValid = true;

  /** say(text): a line for people. progress(text): what runs now, for whom watches. */
  constructor(amounts, { say, progress = () => {} }) {
    Object.assign(this, { amounts, say, progress, folder: mkdtempSync(join(tmpdir(), 'aerie-bench-')) });
  }

  async open() {
    this.upstream = await startBenchUpstream();
    this.#opened.push(() => this.upstream.stop());
    place(this.upstream.pid, 'load');
    this.hook = `http://127.0.0.1:${this.upstream.port}/hook`;
    this.direct = new PlainSystem(this, 'the agent itself', null);
    Object.assign(this.direct, { port: this.upstream.port, roots: [] });
  }

  async #postgres() {
    if (this.cluster) return;
    this.say('starting PostgreSQL');
    this.cluster = await startPostgres({ isDurable: true, settings: this.amounts.postgres });
    place(this.cluster.pid, 'server');
    process.env.AERIE_TEST_PG_PORT = String(this.cluster.port);
    this.#opened.push(() => this.cluster.stop());
  }

  goOn() {
    this.#interruption.signal.throwIfAborted();
  }

  #pause(ms) {
    return sleep(ms, undefined, { signal: this.#interruption.signal });
  }

  /** Keeps raw numbers for --json. */
  record(scenario, system, numbers) {
    this.loads.push({ scenario, system, ...numbers });
  }

  async #once(name, make) {
    this.goOn();
    if (!this.#systems.has(name)) {
      const system = make();
      this.#opened.push(() => system.stop());
      this.#systems.set(name, system);
      if (system instanceof PlainSystem) await system.restart();
      else await system.start();
    }
    return this.#systems.get(name);
  }

  nginx() {
    return this.#once('nginx', () => new PlainSystem(this, 'nginx', () => runNginx((port) => `
      upstream agent { server 127.0.0.1:${this.upstream.port}; keepalive 128; keepalive_requests 10000000; }
      server {
        listen 127.0.0.1:${port} backlog=4096;
        keepalive_requests 10000000;
        location / { proxy_pass http://agent; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_buffering off; proxy_read_timeout 600s; }
        location /ok { default_type application/json; return 200 '{"valid":true,"message":"Credentials are valid"}'; }
      }`, { main: NGINX_MAIN })));
  }

  aerie(kind) {
    return this.aerieWith(kind, kind);
  }

  /** One of a scenario's own, with a database of its own. */
  async aerieWith(name, kind, options) {
    if (kind === 'postgres') await this.#postgres();
    return this.#once(name, () => new AerieSystem(this, kind, options));
  }

  /** The agent behind TLS and HTTP/2: {hook, ca}. */
  tls() {
    return (this.#tlsAgent ??= this.#startTls()); // once: its certificate stays
  }

  async #startTls() {
    const key = join(this.folder, 'agent.key');
    const ca = join(this.folder, 'agent.pem');
    execFileSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2', '-subj', '/CN=127.0.0.1',
      '-addext', 'subjectAltName=IP:127.0.0.1', '-keyout', key, '-out', ca], { stdio: 'ignore' });
    const system = await this.#once('tls', () => new PlainSystem(this, 'the agent behind TLS', () => runNginx((port) => `
      upstream agent { server 127.0.0.1:${this.upstream.port}; keepalive 128; keepalive_requests 10000000; }
      server {
        listen 127.0.0.1:${port} ssl http2 backlog=4096;
        ssl_certificate ${ca}; ssl_certificate_key ${key};
        keepalive_requests 10000000;
        location / { proxy_pass http://agent; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_buffering off; proxy_read_timeout 600s; }
      }`, { main: NGINX_MAIN })));
    return { hook: `https://127.0.0.1:${system.port}/hook`, ca };
  }

  /** Waits until no stream is asked for any more: no chunk within a time in which each would have one. */
  async agentIsIdle(gapMs) {
    for (let before = NaN, tries = 0; ; tries++) {
      const { chunks } = await this.upstream.stats();
      if (chunks === before) return;
      if (tries > 20) throw new Error('the agent still streams, though its readers have left');
      before = chunks;
      await this.#pause(gapMs * 1.2 + 100);
    }
  }

  #note(scenario, system, options, result) {
    this.record(scenario, system.name, { options, ...result });
    if (isRight(result)) return;
    this.isValid = false;
    this.say(`${scenario}, ${system.name}: ${result.wrong} wrong, ${result.errors} errors, ${result.status_other ?? 0} other answers, of ${result.messages}: INVALID\n${result.told}`);
  }

  #startLoad(scenario, system, talk, options) {
    this.goOn();
    this.progress(`${scenario}: ${system.name}`);
    const load = startLoad(system.port, talk.requests, { read: talk.read, ...options });
    place(load.child.pid, 'load');
    this.#loads.add(load);
    load.result.catch(() => {}).finally(() => this.#loads.delete(load));
    return load;
  }

  /** What the processes ran, once they do next to nothing for a while. */
  async #whenAtRest(each) {
    const sum = (parts) => parts.reduce((total, part) => total + part, 0);
    for (let before = each(), tries = 0; ; tries++) {
      await this.#pause(REST_MS);
      const now = each();
      if (sum(now) - sum(before) < REST_MS * 1000 * REST_SHARE || tries === 25) return now;
      before = now;
    }
  }

  /** Runs bench_load against a system to its end: its figures, and the system's CPU time meanwhile in cpu_us. */
  async load(scenario, system, talk, options) {
    const each = () => system.roots.map((root) => cpuOf([root]));
    const before = each();
    const { result: ended } = this.#startLoad(scenario, system, talk, options);
    const result = await ended;
    const after = await this.#whenAtRest(each); // what a reply leaves to do, as for the search index, is its cost, too
    const parts = after.map((cpu, i) => cpu - before[i]); // of Aerie, and of the database's server where there is one
    const measured = { ...result, cpu_us: parts.reduce((sum, part) => sum + part, 0), cpu_parts_us: parts, load_cpu_us: result.cpu_us, isRight: isRight(result) };
    this.#note(scenario, system, options, measured);
    return measured;
  }

  /**
   * Holds so many streams, with a chunk on each every gap_ms, for so many seconds: bench_load's figures, and the system's
   * own while all were open: cpu_us and chunks relayed in a window, memory in bytes before, then and after.
   * toEnd: the streams end by themselves, else their readers leave.
   */
  async hold(scenario, system, { talk, streams, gapMs, seconds, bytes = 100, toEnd = false, rampPerSecond = RAMP_PER_SECOND }) {
    const chunks = this.heldChunks({ streams, gapMs, seconds, rampPerSecond });
    const options = { mode: 'held', clients: streams, seconds, gap_ms: gapMs, ramp_per_second: rampPerSecond, chunks, bytes, ...(toEnd ? { to_end: true } : {}) };
    const idle = memoryOf(system.roots);
    const program = this.#startLoad(scenario, system, talk, options);
    await program.held();
    const began = { at: performance.now(), cpu: cpuOf(system.roots), chunks: (await this.upstream.stats()).chunks };
    await this.#pause(Math.min(seconds, this.amounts.heldSeconds) * 500); // as old in each run: a reply's text grows, and Aerie keeps it
    const held = memoryOf(system.roots);
    await this.#pause(Math.max(0, seconds * 500 - (performance.now() - began.at)));
    const late = memoryOf(system.roots);
    await this.#pause(Math.max(0, seconds * 1000 - 300 - (performance.now() - began.at)));
    const cpu = cpuOf(system.roots) - began.cpu;
    const relayed = (await this.upstream.stats()).chunks - began.chunks;
    const elapsed_us = (performance.now() - began.at) * 1000;
    const result = await program.result;
    if (!toEnd) await this.agentIsIdle(gapMs);
    const after = toEnd && system.givesBack ? await this.#memoryWhenBack(system, idle) : memoryOf(system.roots);
    const measured = {
      ...result, load_cpu_us: result.cpu_us, cpu_us: cpu, relayed, elapsed_us, isRight: isRight(result),
      memory: { idle, held, late, after },
    };
    this.#note(scenario, system, options, measured);
    return measured;
  }

  /** Memory once it is near what it was before the crowd came, or when Aerie, which looks every 10 s whether there is some to give back, would
   * have done so. */
  async #memoryWhenBack(system, idle) {
    for (const deadline = performance.now() + this.amounts.settleSeconds * 1000; ; await this.#pause(500)) {
      const now = memoryOf(system.roots);
      if (now <= idle * 1.25 || performance.now() > deadline) return now;
    }
  }

  /**
   * Holds so many streams through windows of so many seconds, one after the other, of which each has something to do meanwhile, or null:
   * what the streams' gaps were in each, and bench_load's figures: {windows: [{gap_us, done}], ...}.
   */
  async holdThrough(scenario, system, { talk, streams, gapMs, seconds, windows, bytes = 100, rampPerSecond = RAMP_PER_SECOND }) {
    const chunks = this.windowsChunks({ streams, gapMs, seconds, windows: windows.length, rampPerSecond });
    const options = { mode: 'held', clients: streams, seconds, gap_ms: gapMs, ramp_per_second: rampPerSecond, control: true, chunks, bytes };
    const program = this.#startLoad(scenario, system, talk, options);
    await program.held();
    const told = [];
    for (const during of windows) {
      program.command('go');
      const done = during?.();
      told.push({ gap_us: await program.gaps(), done: await done });
    }
    program.command('end');
    const result = await program.result;
    await this.agentIsIdle(gapMs);
    const measured = { ...result, windows: told, isRight: isRight(result) };
    this.#note(scenario, system, options, measured);
    return measured;
  }

  /** How many chunks a stream needs so that the first one opened still runs when the window ends. */
  heldChunks({ streams, gapMs, seconds, rampPerSecond = RAMP_PER_SECOND }) {
    return Math.ceil(((streams / rampPerSecond + seconds + 1) * 1000) / gapMs) + 1;
  }

  /** The same for streams that are held through windows; what is done in one may take longer than it. */
  windowsChunks({ streams, gapMs, seconds, windows, rampPerSecond }) {
    return this.heldChunks({ streams, gapMs, seconds: windows * (seconds + LATE_SECONDS), rampPerSecond });
  }

  /** A few messages, so that what is made once is not counted as memory of the streams. */
  async warm(system) {
    const talk = await system.talk({ query: 'chunks=4&bytes=100', chats: 16 });
    await this.load('warming up', system, talk, { mode: 'closed', clients: 16, messages: 64, chunks: 4, bytes: 100 });
  }

  /** What runs ends soon, by an exception; nothing new is started. close() is still to be called. */
  interrupt() {
    this.#interruption.abort(new Error('interrupted'));
    for (const load of this.#loads) load.child.kill();
  }

  async close() {
    for (const load of [...this.#loads]) {
      load.child.kill();
      await load.result.catch(() => {});
    }
    for (const close of this.#opened.reverse()) {
      try {
        await close();
      } catch (error) {
        this.say(`ending: ${error.message}`);
        this.isValid = false;
      }
    }
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** Each of the parts once, then each once more, and so on: {name: [what its runs handed back]}. */
export async function inTurns(runs, parts) {
  const results = Object.fromEntries(Object.keys(parts).map((name) => [name, []]));
  for (let run = 0; run < runs; run++)
    for (const [name, part] of Object.entries(parts)) results[name].push(await part(run));
  return results;
}
