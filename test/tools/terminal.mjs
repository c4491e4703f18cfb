// Commands beside a test: at a terminal of their own, or only not in the test's way (what they talk to may be this process).
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { binaryPath, reports, serverEnv } from './aerie.mjs';

/** Runs `aerie ARGS` to its end without stopping this process: {status, stdout, stderr}. input: ended behind it, unless keepOpen. */
export async function runBeside(aerie, args, { env = {}, input = '', under = [] } = {}) {
  const [program, ...words] = [...under, binaryPath(), ...args];
  const child = spawn(program, words, { env: serverEnv({ ...aerie.env, ...env }), cwd: aerie.folder, stdio: 'pipe' });
  const said = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr']) child[name].on('data', (bytes) => (said[name] += bytes));
  child.stdin.on('error', () => {});
  child.stdin.end(input);
  const status = await new Promise((resolve) => child.once('close', (code, signal) => resolve(code ?? signal)));
  assert.doesNotMatch(said.stderr, reports, `aerie ${args.join(' ')} had a sanitizer report`);
  return { status, ...said };
}

/** `aerie ARGS` at a terminal of its own. */
export class Terminal {
  said = '';
  #wake = () => {};

  constructor(aerie, args, { env = {} } = {}) {
    const quoted = [binaryPath(), ...args].map((word) => `'${word}'`).join(' ');
    this.child = spawn('script', ['--quiet', '--return', '--command', quoted, '/dev/null'], { env: serverEnv({ ...aerie.env, TERM: 'xterm', ...env }), cwd: aerie.folder, stdio: ['pipe', 'pipe', 'inherit'] });
    this.child.stdin.on('error', () => {});
    this.child.stdout.on('data', (bytes) => {
      this.said += bytes;
      this.#wake();
    });
    this.ended = new Promise((resolve) => this.child.once('close', (code) => {
      this.status = code;
      this.#wake();
      resolve(code);
    }));
  }

  /** Waits until what was said since the last time has this in it. */
  #read = 0;
  async until(words, timeout = 20000) {
    const deadline = Date.now() + timeout;
    for (;;) {
      const rest = this.said.slice(this.#read);
      const at = rest.search(words);
      if (at >= 0) {
        this.#read += at + words.exec(rest)[0].length;
        return;
      }
      const left = deadline - Date.now();
      assert.ok(left > 0 && this.status === undefined, `${words} was not said:\n${this.said}`);
      let timer;
      await new Promise((resolve) => {
        this.#wake = resolve;
        timer = setTimeout(resolve, left);
      });
      clearTimeout(timer);
    }
  }
  type(text) {
    this.child.stdin.write(text);
  }
  /** Ctrl-C, as the terminal makes a signal of it. */
  interrupt() {
    this.type('\x03');
  }
}
