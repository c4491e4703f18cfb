// Clients of the five programs that Aerie takes the place of: their documents' own examples, as scripts in test/seeds, run against
// it with nothing but the address changed.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { startUpstream } from '../fake/upstream.mjs';
import { TOKEN, verifies, WordPress } from '../fake/wordpress.mjs';
import { Aerie, binaryPath } from '../tools/aerie.mjs';

const seeds = fileURLToPath(new URL('../seeds/', import.meta.url));

let aerie, folder, upstream, wordpress;
before(async () => {
  folder = mkdtempSync(join(tmpdir(), 'aerie-seeds-'));
  upstream = await startUpstream();
  wordpress = await WordPress.start();
  aerie = await Aerie.start({ env: { CALLBACK__RETRY_DELAY_SECONDS: '0', CALLBACK__TIMEOUT_SECONDS: '1' } });
});
after(async () => {
  await aerie?.stop();
  wordpress?.stop();
  await upstream?.close();
  if (folder) rmSync(folder, { recursive: true, force: true });
});

/** Runs the script of a seed to its end; each step that it says it did is one. */
function run(name, env) {
  return new Promise((resolve) => {
    const child = spawn('bash', [join(seeds, name)], { cwd: folder, env: { PATH: process.env.PATH, HOME: folder, base: aerie.base, ...env } });
    let output = '';
    child.stdout.on('data', (part) => (output += part));
    child.stderr.on('data', (part) => (output += part));
    child.on('close', (status) => resolve({ status, output, steps: output.split('\n').filter((line) => line.startsWith('step:')).length }));
  });
}

async function passes(name, env = {}) {
  const steps = readFileSync(join(seeds, name), 'utf8').split('\n').filter((line) => line.startsWith('step ')).length;
  const ran = await run(name, env);
  assert.equal(ran.status, 0, ran.output);
  assert.ok(steps > 3);
  assert.equal(ran.steps, steps, ran.output);
}

test('clients_of_wordpress_tenants_work', () =>
  passes('1-wordpress-tenants.sh', { site_url: wordpress.site(verifies).url, other_site_url: wordpress.site(verifies).url, callback_token: TOKEN }));

test('clients_of_chat_with_providers_work', async () => {
  await aerie.admin.agent({ webhook_url: upstream.url() });
  await passes('2-chat-with-providers.sh');
});

test('clients_of_streaming_for_n8n_teams_work', () =>
  passes('3-streaming-n8n-teams.sh', { ...aerie.env, aerie: binaryPath(), webhook_url: upstream.url({}, '/webhook/test'), SECRET_KEY: 'a-secret-of-the-tests-long-enough-for-production' }));

test('clients_of_chatbots_and_keys_work', async () => {
  await aerie.admin.agent({ provider: 'echo' });
  await passes('4-chatbots-and-keys.sh', { admin: aerie.admin.token });
});

test('clients_of_widget_sessions_work', async () => {
  const agent = await aerie.admin.agent({ webhook_url: upstream.url() });
  const key = await aerie.admin.post(`/api/agents/${agent.id}/api-keys`, {});
  await passes('5-widget-sessions.sh', { api_key: key.json.api_key, assistant_id: agent.id });
});
