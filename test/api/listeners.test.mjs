// server.listen: several places at once, files, and sockets of systemd.
import assert from 'node:assert/strict';
import { chmodSync, existsSync, statSync } from 'node:fs';
import http from 'node:http';
import net from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Aerie, runCommand, serverEnv } from '../tools/aerie.mjs';
import { upgrade } from '../tools/upgrade.mjs';

async function withServer(env, run, { prepare = () => {}, port } = {}) {
  const aerie = new Aerie();
  chmodSync(aerie.folder, 0o700);
  const file = join(aerie.folder, 'aerie.sock');
  Object.assign(aerie.env, env(file));
  try {
    prepare(aerie);
    await aerie.listen({ port });
    await run(aerie, file);
    await aerie.stop();
  } finally {
    if (aerie.child) aerie.drop();
  }
}

/** GET by a file: {status, text}. */
const get = (socketPath, path, headers = {}) => new Promise((resolve, reject) => {
  http.get({ socketPath, path, headers, agent: false }, (res) => {
    let text = '';
    res.on('data', (bytes) => (text += bytes)).on('end', () => resolve({ status: res.statusCode, text }));
  }).on('error', reject);
});

const freePort = () => new Promise((resolve) => {
  const server = net.createServer().listen(0, '127.0.0.1', () => {
    const { port } = server.address();
    server.close(() => resolve(port));
  });
});

test('a_port_and_a_file_are_served_by_all_loops_and_the_file_goes_with_the_server', () =>
  withServer((file) => ({ SERVER__LISTEN: `127.0.0.1:0,unix:${file}` }), async (aerie, file) => {
    assert.match(aerie.log, new RegExp(`listening on http://127.0.0.1:${aerie.port}, unix:${file} with 2 loops`));
    assert.equal((statSync(file).mode & 0o7777).toString(8), '660');
    assert.equal((await aerie.request('GET', '/health')).status, 200);
    const answers = await Promise.all(Array.from({ length: 30 }, () => get(file, '/health')));
    assert.ok(answers.every(({ status }) => status === 200));
    await (await upgrade(aerie)).exit;
    assert.equal((await get(file, '/health')).status, 200, 'the new server has the file');
    const { child } = aerie;
    await aerie.halt();
    assert.ok(child && !existsSync(file));
  }));

/** Whom the trial stream takes a client for. */
const toldAddress = async (file, headers) => /"proxy":"(\w+)"/.exec((await get(file, '/health/stream?ticks=1', headers)).text)?.[1];

test('a_proxy_at_a_file_is_believed_when_the_list_says_unix', async () => {
  const forwarded = { 'X-Forwarded-For': '203.0.113.9' };
  for (const [proxies, metrics] of [['unix', 404], ['127.0.0.1', 404], ['', 404]])
    await withServer((file) => ({ SERVER__LISTEN: `127.0.0.1:0,unix:${file}`, TRUSTED_PROXIES: proxies }), async (aerie, file) => {
      assert.equal(await toldAddress(file, forwarded), proxies === 'unix' ? 'believed' : 'ignored', `trusted_proxies: ${proxies}`);
      assert.equal((await get(file, '/metrics', forwarded)).status, metrics, 'another address may not read them');
      assert.equal((await get(file, '/metrics')).status, 200, 'this machine may');
    });
});

test('what_cannot_be_listened_at_stops_the_start', () => {
  for (const [listen, words] of [
    ['8000', /SERVER__LISTEN: "8000" is not accepted, expected an address with a port/],
    ['unix:aerie.sock', /"unix:aerie.sock" is not accepted/],
    ['tls://unix:/a', /"tls:\/\/unix:\/a" is not accepted/],
    ['192.0.2.1:80', /cannot listen on 192\.0\.2\.1:80: Cannot assign requested address \(key server\.listen\)/],
    ['unix:/nowhere/aerie.sock', /cannot listen on unix:\/nowhere\/aerie\.sock: No such file or directory \(key server\.listen\)/],
    ['systemd', /systemd gave no socket to listen on: start aerie\.socket/],
  ]) {
    const aerie = new Aerie({ env: { SERVER__LISTEN: listen }, database: 'sqlite' });
    const { status, stderr } = runCommand(['serve'], { env: aerie.env, cwd: aerie.folder });
    aerie.drop();
    assert.equal(status, 1, listen);
    assert.match(stderr, words);
  }
});

test('sockets_of_systemd_are_served_and_handed_on', async () => {
  const port = await freePort();
  const activate = (aerie) => {
    aerie.under = ['systemd-socket-activate', '-l', `127.0.0.1:${port}`, '--fdname=http', ...Object.keys(serverEnv(aerie.env)).flatMap((name) => ['-E', name])];
  };
  await withServer(() => ({ SERVER__LISTEN: 'systemd' }), async (aerie) => {
    assert.equal((await aerie.request('GET', '/health')).status, 200);
    const said = new RegExp(`listening on http://127.0.0.1:${port} with 2 loops`);
    while (!said.test(aerie.log)) await sleep(20);
    for (let i = 0; i < 2; i++) {
      const answers = await Promise.all(Array.from({ length: 20 }, () => aerie.request('GET', '/health')));
      assert.ok(answers.every(({ status }) => status === 200));
      if (i === 0) await (await upgrade(aerie)).exit;
    }
  }, { prepare: activate, port });
});

test('sockets_of_systemd_that_no_entry_names_stop_the_start', async () => {
  const port = await freePort();
  const aerie = new Aerie({ database: 'sqlite' });
  aerie.under = ['systemd-socket-activate', '-l', `127.0.0.1:${port}`, ...Object.keys(serverEnv(aerie.env)).flatMap((name) => ['-E', name])];
  await assert.rejects(aerie.listen({ port, timeout: 20000 }), /systemd gave sockets to listen on \(aerie\.socket\), but server\.listen does not name systemd/);
  aerie.drop();
});
