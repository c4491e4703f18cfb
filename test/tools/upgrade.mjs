// `aerie upgrade`, with the new process in the place of the old one: nobody's child, it is told by its number alone.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { binaryPath, serverEnv } from './aerie.mjs';

/** Does the process run? One that nobody has buried does not. */
export function isRunning(pid) {
  try {
    return !/\) [ZX] /.test(readFileSync(`/proc/${pid}/stat`, 'latin1'));
  } catch {
    return false;
  }
}

/** A process like a child, as far as class Aerie has to do with one. What it ended with cannot be known. */
function foster(pid) {
  const end = async () => {
    while (isRunning(pid)) await sleep(20);
    return { code: 0, signal: null };
  };
  return { pid, exit: end(), kill: (signal) => isRunning(pid) && process.kill(pid, signal) };
}

/** Runs the command beside the server, which goes on to be heard: {status, stdout, stderr}. */
export async function tryUpgrade(aerie) {
  const child = spawn(binaryPath(), ['upgrade'], { env: serverEnv(aerie.env), cwd: aerie.folder, stdio: ['ignore', 'pipe', 'pipe'] });
  const ran = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr']) child[name].on('data', (bytes) => (ran[name] += bytes));
  ran.status = await new Promise((resolve) => child.once('close', resolve));
  return ran;
}

/** Upgrades it; from then on aerie.child is the new process. Hands back the old one. */
export async function upgrade(aerie) {
  const old = aerie.child;
  old.isToDie = true;
  const { status, stdout, stderr } = await tryUpgrade(aerie);
  assert.equal(status, 0, `aerie upgrade: ${stderr}\n${aerie.log.slice(-3000)}`);
  const [, fresh, left] = /^(\d+) serves; (\d+) takes no more clients/.exec(stdout) ?? assert.fail(stdout);
  assert.equal(Number(left), old.pid, stdout);
  aerie.child = foster(Number(fresh));
  return old;
}

/** Connections all the time, a new one for each request, until stopped: none may be refused, cut or answered with anything but 200. */
export class Knocker {
  #isOver = false;
  n = 0;
  failures = [];

  constructor(aerie, atOnce = 4) {
    this.runs = Promise.all(Array.from({ length: atOnce }, () => this.#run(aerie)));
  }

  async #run(aerie) {
    while (!this.#isOver) {
      const answer = await aerie.request('GET', '/health').catch((error) => ({ status: error.message }));
      this.n++;
      if (answer.status !== 200) this.failures.push(answer.status);
      await sleep(5);
    }
  }

  async stop() {
    this.#isOver = true;
    await this.runs;
    assert.deepEqual(this.failures, [], `${this.failures.length} of ${this.n} connections`);
    return this.n;
  }
}

/**
 * n streams of so many seconds, with a word each delay ms, over an upgrade, with new connections and new messages all the time: each stream ends with its whole text, nobody
 * is refused, and each reply is stored once. Tells what there was.
 */
export async function streamOverUpgrade(aerie, agent, { n, seconds, inParallel, delay = 250 }) {
  const chats = [];
  await inParallel(32, Array.from({ length: n }, (_, i) => i), async (i) => (chats[i] = await aerie.admin.chat(agent)));
  const texts = chats.map((_, i) => Array.from({ length: (1000 * seconds) / delay }, (__, k) => `${i}.${k}`).join(' '));
  const streams = [];
  const knocker = new Knocker(aerie);
  const open = async (i) => {
    streams[i] = await aerie.admin.send(chats[i], `!delay=${delay}&text=${encodeURIComponent(texts[i])}`);
    assert.equal(streams[i].status, 200, `${i}: ${streams[i].text}`);
  };
  const first = Math.ceil(n * 0.8); // the rest begins while it is handed over
  await inParallel(64, [...Array(first).keys()], open);
  const held = streams.filter((stream) => !stream.closed).length;
  const late = inParallel(8, [...Array(n - first).keys()], async (i) => {
    await open(first + i);
    await sleep(20);
  });
  const old = await upgrade(aerie);
  await late;
  const isKept = isRunning(old.pid);
  const wrong = [];
  for (const [i, stream] of streams.entries()) {
    await stream.whole(seconds * 10000 + 60000).catch((error) => wrong.push([i, error.message]));
    if (stream.text !== texts[i] || !stream.done) wrong.push([i, stream.text.length, texts[i].length, stream.failure?.message]);
  }
  const knocks = await knocker.stop();
  await old.exit;
  let unstored = 0;
  await inParallel(16, [...chats.keys()], async (i) => {
    const messages = await aerie.admin.messages(chats[i]);
    if (messages.length !== 2 || messages[1].status !== 'complete' || messages[1].content !== texts[i]) unstored++;
  });
  return { held, isKept, knocks, wrong, unstored };
}
