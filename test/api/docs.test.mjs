// The examples of the documents are run as they stand there, in order, in one shell: whoever copies them gets an answer.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, existsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { startUpstream } from '../fake/upstream.mjs';
import { Aerie, PASSWORD, binaryPath } from '../tools/aerie.mjs';

const docs = fileURLToPath(new URL('../../docs/', import.meta.url));
const readme = fileURLToPath(new URL('../../README.md', import.meta.url));

let aerie;
let folder;
before(async () => {
  aerie = await Aerie.start();
  folder = mkdtempSync(join(tmpdir(), 'aerie-docs-'));
});
after(async () => {
  if (folder) rmSync(folder, { recursive: true, force: true });
  await aerie?.stop();
});

/** The ```sh blocks: those are meant to be run; others show a dialogue or a file. */
function examples(text) {
  return [...text.matchAll(/^```sh\n(.*?)^```$/gms)].map(([, code]) => code);
}

/** Runs one script; an answer of 400 or more ends it. */
function runShell(script, env) {
  const strict = 'set -eu -o pipefail\ncurl() { command curl --fail-with-body --show-error "$@"; }\n';
  return new Promise((resolve) => {
    const child = spawn('bash', ['-c', strict + script], { cwd: folder, env: { PATH: process.env.PATH, HOME: folder, ...env } });
    let output = '';
    child.stdout.on('data', (part) => (output += part));
    child.stderr.on('data', (part) => (output += part));
    child.on('close', (status) => resolve({ status, output }));
  });
}

test('the_examples_of_http_api_run_in_order', async () => {
  const text = readFileSync(join(docs, 'http-api.md'), 'utf8').replaceAll('admin@example.com', aerie.adminEmail);
  const blocks = examples(text);
  assert.ok(blocks.length > 15);
  const { status, output } = await runShell(blocks.join('\n'), { base: aerie.base, admin_password: PASSWORD });
  assert.equal(status, 0, output.slice(-3000));
  assert.match(output, /"type":"done"/);
  const twice = [...output.matchAll(/([0-9a-f-]{36})\n/g)].map(([, id]) => id);
  assert.equal(twice.length, 2, 'the message with a key, sent twice');
  assert.equal(twice[0], twice[1]);
});

test('the_first_steps_of_getting_started_lead_to_a_streamed_reply', async () => {
  const blocks = examples(readFileSync(join(docs, 'getting-started.md'), 'utf8'));
  const { status, output } = await runShell(blocks.join('\n'), { base: aerie.base });
  assert.equal(status, 0, output.slice(-3000));
  assert.match(output, /"content":" there\?"/);
  assert.match(output, /"type":"done"/);
});

test('the_first_agent_with_n8n_of_the_readme_streams', async () => {
  const upstream = await startUpstream();
  try {
    const [block] = examples(readFileSync(readme, 'utf8'));
    const script = block
      .replace('http://127.0.0.1:8000', aerie.base)
      .replace('http://127.0.0.1:5678/webhook/support', upstream.url({}, '/webhook/support'))
      .replace('build/aerie', binaryPath())
      .replace('--team default', `--team ${aerie.team.slug}`);
    const { status, output } = await runShell(script, aerie.env);
    assert.equal(status, 0, output.slice(-3000));
    assert.match(output, /Sending request to n8n webhook/);
    assert.match(output, /"type":"done"/);
    assert.equal(upstream.requests.at(-1).json.chatInput, 'Hello!');
  } finally {
    await upstream.close();
  }
});

test('links_between_the_documents_lead_somewhere', () => {
  const files = [readme, ...readdirSync(docs).filter((name) => name.endsWith('.md')).map((name) => join(docs, name))];
  const broken = [];
  for (const file of files) {
    const text = readFileSync(file, 'utf8').replace(/^```.*?^```$/gms, '');
    for (const [, target] of text.matchAll(/\]\(([^)\s]+)\)/g)) {
      if (/^https?:|^mailto:/.test(target)) continue;
      const [path, anchor] = target.split('#');
      const goal = path ? join(dirname(file), path) : file;
      if (!existsSync(goal)) {
        broken.push(`${file}: ${target}`);
      } else if (anchor && goal.endsWith('.md')) {
        const anchors = [...readFileSync(goal, 'utf8').matchAll(/^#+ (.*)$/gm)].map(([, title]) =>
          title.toLowerCase().replace(/[^\w\- ]/g, '').replaceAll(' ', '-'));
        if (!anchors.includes(anchor)) broken.push(`${file}: ${target}`);
      }
    }
  }
  assert.deepEqual(broken, []);
});
