// aerie upgrade: a new process takes the running server's sockets over, and the old one stays until its streams have ended; or nothing changes.
import assert from 'node:assert/strict';
import { chmodSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { startUpstream } from '../fake/upstream.mjs';
import { Aerie, binaryPath, inParallel } from '../tools/aerie.mjs';
import { awaitMetric } from '../tools/metrics.mjs';
import { until } from '../tools/until.mjs';
import { isRunning, streamOverUpgrade, tryUpgrade, upgrade } from '../tools/upgrade.mjs';

let upstream;
before(async () => (upstream = await startUpstream()));
after(() => upstream?.close());

/** program: what the server believes to be started as, so that a test may put another in its place. */
async function withServer(run, { env = {}, program } = {}) {
  const aerie = new Aerie({ env });
  if (program) {
    aerie.program = join(aerie.folder, 'aerie');
    symlinkSync(binaryPath(), aerie.program);
    aerie.under = ['bash', '-c', `exec -a '${aerie.program}' "$@"`, 'bash'];
  }
  try {
    aerie.prepare();
    await aerie.listen();
    await aerie.makeAdmin();
    await run(aerie);
    await aerie.stop();
  } finally {
    if (aerie.child) aerie.drop();
  }
}

test('streams_run_over_an_upgrade_and_nobody_is_refused', () =>
  withServer(async (aerie) => {
    const agent = await aerie.admin.agent({ webhook_url: upstream.url() });
    const { isKept, wrong, unstored, knocks } = await streamOverUpgrade(aerie, agent, { n: 200, seconds: 6, inParallel });
    assert.deepEqual(wrong, []);
    assert.equal(unstored, 0);
    assert.ok(isKept, 'the old server stayed for its streams');
    assert.ok(knocks > 50, `${knocks} connections`);
    assert.match(aerie.log, /serve: SIGUSR2: starting .*\n(.*\n)*.*listening on .*\n(.*\n)*.*has taken over; \d+ streams may end here, for at most 900 s/);
  }));

test('two_upgrades_one_after_the_other_leave_two_old_servers_to_their_streams', () =>
  withServer(async (aerie) => {
    const agent = await aerie.admin.agent({ webhook_url: upstream.url() });
    const streams = [];
    const olds = [];
    for (let i = 0; i < 3; i++) {
      streams.push(await aerie.admin.send(await aerie.admin.chat(agent), '!tokens=30&delay=200'));
      if (i < 2) olds.push(await upgrade(aerie));
    }
    assert.ok(olds.every((old) => isRunning(old.pid)));
    await awaitMetric(aerie, 'aerie_nodes', (n) => n === 3, 3000);
    for (const stream of streams) assert.ok((await stream.whole()).done);
    assert.deepEqual((await Promise.all(olds.map((old) => old.exit))).map(({ code }) => code), [0, 0]);
    assert.ok(isRunning(aerie.child.pid));
    await awaitMetric(aerie, 'aerie_nodes', (n) => n === 1, 3000); // it is known that nobody else is there any more
  }));

test('a_program_that_does_not_come_up_changes_nothing', () =>
  withServer(async (aerie) => {
    const agent = await aerie.admin.agent({ webhook_url: upstream.url() });
    const stream = await aerie.admin.send(await aerie.admin.chat(agent), '!tokens=40&delay=200');
    const { pid } = aerie.child;
    const put = (script) => {
      rmSync(aerie.program);
      writeFileSync(aerie.program, script);
      chmodSync(aerie.program, 0o755);
    };
    const expectFailure = async (reason) => {
      const { status, stdout, stderr } = await tryUpgrade(aerie);
      assert.deepEqual([status, stdout], [1, ''], stderr);
      assert.match(stderr, new RegExp(`the new server did not come up: .*${reason}.*; ${pid} goes on as before`));
      assert.match(aerie.log, new RegExp(`ERROR serve: the upgrade failed: .*${reason}`));
      assert.equal((await aerie.request('GET', '/health')).status, 200);
    };
    put('#!/bin/sh\nexit 3\n');
    await expectFailure('exit code 3');
    put('#!/bin/sh\nkill -SEGV $$\n');
    await expectFailure('signal 11');
    put('#!/bin/sh\nexec sleep 600\n');
    await expectFailure('server.upgrade_start_seconds');
    put('no program at all');
    await expectFailure('(exit code|cannot be started)');
    rmSync(aerie.program);
    await expectFailure('No such file or directory');
    symlinkSync(binaryPath(), aerie.program);
    writeFileSync(join(aerie.folder, 'config.json'), '{"server": {"prot": 1}}');
    assert.match((await tryUpgrade(aerie)).stderr, /unknown key server.prot/, 'the command reads it too');
    aerie.child.kill('SIGUSR2');
    await until(() => /ERROR serve: the upgrade failed: config.json:1: unknown key server.prot/.test(aerie.log), 'the new server says why');
    writeFileSync(join(aerie.folder, 'config.json'), '{"server": {"listen": ["192.0.2.1:1"]}}');
    await expectFailure('cannot listen on 192.0.2.1:1');
    rmSync(join(aerie.folder, 'config.json'));
    const old = await upgrade(aerie);
    assert.ok((await stream.whole()).done, 'the stream ran through it all');
    await old.exit;
  }, { program: true, env: { SERVER__UPGRADE_START_SECONDS: 2 } }));

test('during_an_upgrade_a_second_one_is_refused_and_sigterm_ends_the_server_as_ever', () =>
  withServer(async (aerie) => {
    rmSync(aerie.program);
    writeFileSync(aerie.program, `#!/bin/sh\necho $$ >'${aerie.folder}/starting'\nexec sleep 600\n`, { mode: 0o755 });
    const first = tryUpgrade(aerie);
    await until(() => /starting .*which is to take over/.test(aerie.log), 'it starts');
    const second = await tryUpgrade(aerie);
    assert.deepEqual([second.status, second.stderr], [1, 'aerie: an upgrade is under way already\n']);
    aerie.child.kill('SIGUSR2');
    await until(() => /SIGUSR2 is refused: an upgrade is under way/.test(aerie.log), 'a refusal');
    await until(() => { try { return readFileSync(join(aerie.folder, 'starting'), 'utf8').trim(); } catch { return false; } }, 'it runs');
    const starting = Number(readFileSync(join(aerie.folder, 'starting'), 'utf8'));
    assert.ok(isRunning(starting));
    await aerie.halt();
    assert.equal((await first).status, 1);
    assert.ok(!isRunning(starting), 'the new process went with it');
  }, { program: true }));

test('sigterm_to_the_old_server_leaves_its_streams_the_usual_time', () =>
  withServer(async (aerie) => {
    const agent = await aerie.admin.agent({ webhook_url: upstream.url() });
    const chat = await aerie.admin.chat(agent);
    const stream = await aerie.admin.send(chat, '!tokens=500&delay=200');
    await stream.until((s) => s.of('message').length > 2);
    const old = await upgrade(aerie);
    await sleep(1500);
    assert.ok(isRunning(old.pid) && !stream.closed, 'it has 900 s');
    old.kill('SIGTERM');
    assert.equal((await old.exit).code, 0);
    await stream.ended;
    assert.equal((await aerie.admin.settledReply(chat)).status, 'interrupted');
    assert.equal((await aerie.request('GET', '/health')).status, 200);
  }, { env: { SERVER__DRAIN_SECONDS: 1 } }));

test('with_fewer_loops_or_more_every_socket_is_served', () =>
  withServer(async (aerie) => {
    for (const workers of [1, 3, 2]) {
      writeFileSync(join(aerie.folder, 'config.json'), JSON.stringify({ server: { workers } }));
      await (await upgrade(aerie)).exit;
      const answers = await Promise.all(Array.from({ length: 40 }, () => aerie.request('GET', '/health', { timeout: 5000 })));
      assert.ok(answers.every(({ status }) => status === 200));
      assert.match(aerie.log.slice(aerie.log.lastIndexOf('listening on')), new RegExp(`with ${workers} loops`));
    }
  }, { env: { SERVER__WORKERS: null } }));

test('without_a_living_server_it_says_so', () =>
  withServer(async (aerie) => {
    const path = join(aerie.env.DATA_DIR, 'aerie.pid');
    assert.equal(Number(readFileSync(path, 'utf8').split(' ')[0]), aerie.child.pid);
    await aerie.kill();
    const killed = await tryUpgrade(aerie);
    assert.deepEqual([killed.status, killed.stderr], [3, 'aerie: no server runs on this data_dir: there is no aerie.pid of a living one\n']);
    writeFileSync(path, `${process.pid} 1\n`);
    assert.equal((await tryUpgrade(aerie)).status, 3, 'the number is used again');
    await aerie.listen();
    await aerie.halt();
    assert.throws(() => readFileSync(path), 'it goes with the server');
  }));
