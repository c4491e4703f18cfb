// etc/systemd: the unit is one that systemd takes and finds little to say about, and the server does under it what it promises to systemd. There is no
// systemd to start it in tests: its system call filter is put on by test/tools/confined.py, its words are heard at a socket.
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { startUpstream } from '../fake/upstream.mjs';
import { Aerie, binaryPath, makeFolder } from '../tools/aerie.mjs';
import { multipart } from '../tools/http.mjs';
import { pdfOf } from '../tools/pdf.mjs';
import { until } from '../tools/until.mjs';
import { upgrade } from '../tools/upgrade.mjs';

const folder = fileURLToPath(new URL('../../etc/systemd/', import.meta.url));
const unitPath = join(folder, 'aerie.service');
const unit = readFileSync(unitPath, 'utf8');
const MOST_EXPOSURE = 1.5; // of 10, by systemd-analyze security
const seconds = (name) => Number(new RegExp(`^${name}=(\\d+)`, 'm').exec(unit)[1]);

/** Runs a program on the unit as it is once installed, changed by change. */
function analyze(args, change = (text) => text) {
  const at = makeFolder();
  try {
    const path = join(at, 'aerie.service');
    writeFileSync(path, change(unit.replace('/usr/bin/aerie', binaryPath())));
    return spawnSync('systemd-analyze', [...args, path], { encoding: 'utf8', env: { PATH: process.env.PATH, SYSTEMD_COLORS: '0' } });
  } finally {
    rmSync(at, { recursive: true });
  }
}

test('systemd_finds_nothing_wrong_with_the_unit', () => {
  for (const change of [undefined, (text) => text.replace(/^#(LoadCredential|Environment)=/gm, '$1=')]) {
    const { status, stdout, stderr } = analyze(['verify', '--man=no'], change);
    assert.deepEqual([status, stdout, stderr], [0, '', '']);
  }
  assert.notEqual(analyze(['verify', '--man=no'], (text) => text.replace('ProtectSystem=strict', 'ProtectSystm=strict')).stderr, '', 'it looks');
});

test('the_unit_leaves_little_exposed', () => {
  const { stdout } = analyze(['security', '--offline=yes', '--no-pager']);
  const [, exposure] = /Overall exposure level for aerie\.service: ([\d.]+)/.exec(stdout) ?? assert.fail(stdout);
  assert.ok(Number(exposure) <= MOST_EXPOSURE, stdout);
});

test('the_units_patience_is_longer_than_the_servers_own', () => {
  const { drain_seconds: drain } = JSON.parse(spawnSync(binaryPath(), ['config', '--json'], { encoding: 'utf8', cwd: '/', env: {} }).stdout).server;
  assert.ok(seconds('TimeoutStopSec') >= drain + 17, 'SIGTERM lets replies end, then tells the others, then sends what mail and webhooks are under way');
});

test('the_account_and_the_folders_are_made_by_systemds_own_programs', { skip: process.getuid() !== 0 && 'not root' }, () => {
  const root = makeFolder();
  try {
    mkdirSync(join(root, 'etc/aerie'), { recursive: true });
    writeFileSync(join(root, 'etc/aerie/.env'), 'SECRET_KEY=x\n', { mode: 0o644 });
    for (const [program, file] of [['systemd-sysusers', 'sysusers.conf'], ['systemd-tmpfiles', 'tmpfiles.conf']]) {
      const { status, stderr } = spawnSync(program, [`--root=${root}`, ...(program.endsWith('tmpfiles') ? ['--create'] : []), join(folder, file)], { encoding: 'utf8' });
      assert.equal(status, 0, stderr);
    }
    const [, uid, gid] = /^aerie:[^:]*:(\d+):(\d+):Aerie chat back end:\/var\/lib\/aerie:\/usr\/sbin\/nologin$/m.exec(readFileSync(join(root, 'etc/passwd'), 'utf8'));
    const of = (path) => {
      const { mode, uid: owner, gid: group } = statSync(join(root, path));
      return [(mode & 0o7777).toString(8), owner, group];
    };
    assert.deepEqual(of('etc/aerie'), ['750', 0, Number(gid)]);
    assert.deepEqual(of('etc/aerie/.env'), ['640', 0, Number(gid)]);
    assert.deepEqual(of('var/lib/aerie'), ['700', Number(uid), Number(gid)]);
  } finally {
    rmSync(root, { recursive: true });
  }
});

test('the_settings_for_production_are_taken', () => {
  const ran = spawnSync(binaryPath(), ['--config', join(folder, 'config.json'), 'config', '--json'], { encoding: 'utf8', cwd: '/', env: {} });
  assert.equal(ran.status, 0, ran.stderr);
  const config = JSON.parse(ran.stdout);
  assert.deepEqual([config.environment, config.data_dir, config.trusted_proxies], ['production', '/var/lib/aerie', ['127.0.0.1/32', '::1/128']]);
});

/** What a server says to a socket, file or abstract, as systemd would hear it. */
async function hearing(address, during) {
  const script = `import socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind(sys.argv[1].replace('@', '\\0'))
print('bound', flush=True)
while True: print(s.recv(4096).decode().replace('\\n', ' '), flush=True)`;
  const ear = spawn('/usr/bin/python3', ['-c', script, address], { stdio: ['ignore', 'pipe', 'inherit'] });
  let heard = '';
  ear.stdout.on('data', (bytes) => (heard += bytes));
  const hears = (words) => until(() => words.test(heard), () => `not heard: ${words}; but ${heard}`, 20000);
  try {
    await hears(/bound/);
    await during(hears);
    return heard.trim().split('\n').slice(1);
  } finally {
    ear.kill();
  }
}

for (const kind of ['file', 'abstract'])
  test(`the_server_says_that_it_is_ready_reloads_and_ends_to_a_socket_of_the_${kind}_kind`, async () => {
    const at = makeFolder();
    const address = kind === 'file' ? join(at, 'notify') : `@aerie-test-${process.pid}`;
    try {
      const heard = await hearing(address, async (hears) => {
        const aerie = await Aerie.start({ env: { NOTIFY_SOCKET: address, SERVER__DRAIN_SECONDS: '7' } });
        try {
          await hears(/READY=1\n/);
          process.kill(aerie.child.pid, 'SIGHUP');
          await hears(/RELOADING=1[^]*READY=1\n/);
        } finally {
          await aerie.stop();
        }
        await hears(/STOPPING=1/);
      });
      assert.match(heard.join('|'), /^READY=1\|RELOADING=1 MONOTONIC_USEC=\d+\|READY=1\|STOPPING=1 EXTEND_TIMEOUT_USEC=24000000$/);
    } finally {
      rmSync(at, { recursive: true });
    }
  });

test('after_an_upgrade_systemd_is_told_of_the_new_process_and_hears_only_that', async () => {
  const at = makeFolder();
  const address = join(at, 'notify');
  try {
    let pid;
    const heard = await hearing(address, async (hears) => {
      const aerie = await Aerie.start({ env: { NOTIFY_SOCKET: address, SERVER__DRAIN_SECONDS: '7' } });
      try {
        await (await upgrade(aerie)).exit;
        ({ pid } = aerie.child);
        await hears(/MAINPID=/);
      } finally {
        await aerie.stop();
      }
      await hears(/STOPPING=1/);
    });
    assert.deepEqual(heard, ['READY=1', `MAINPID=${pid}`, 'STOPPING=1 EXTEND_TIMEOUT_USEC=24000000']);
  } finally {
    rmSync(at, { recursive: true });
  }
});

test('a_server_that_cannot_start_does_not_say_that_it_is_ready', async () => {
  const at = makeFolder();
  try {
    const heard = await hearing(join(at, 'notify'), async () => {
      const { status } = spawnSync(binaryPath(), ['serve'], { encoding: 'utf8', cwd: at, env: { ENVIRONMENT: 'production', SECRET_KEY: 'a secret that is long enough for production', DATABASE_URL: 'sqlite:////proc/none/aerie.db', NOTIFY_SOCKET: join(at, 'notify') } });
      assert.equal(status, 1);
    });
    assert.deepEqual(heard.filter((line) => /READY/.test(line)), []);
  } finally {
    rmSync(at, { recursive: true });
  }
});

test('chats_uploads_and_their_readers_work_under_the_units_system_call_filter', async () => {
  let upstream;
  const aerie = await Aerie.start({
    under: ['/usr/bin/python3', fileURLToPath(new URL('../tools/confined.py', import.meta.url)), unitPath],
    env: { CONFINED_ALSO: 'ptrace' }, // a sanitizer's search for leaks takes it
  });
  try {
    upstream = await startUpstream();
    assert.match(readFileSync(`/proc/${aerie.child.pid}/status`, 'utf8'), /^NoNewPrivs:\t1\nSeccomp:\t2\n/m);
    const agent = await aerie.admin.agent({ webhook_url: upstream.url() });
    assert.equal((await aerie.admin.ask(await aerie.admin.chat(agent), '!tokens=3')).text, 'tok0 tok1 tok2');
    const named = await aerie.admin.agent({ webhook_url: upstream.url().replace('127.0.0.1', 'localhost') });
    assert.equal((await aerie.admin.ask(await aerie.admin.chat(named), '!tokens=3')).text, 'tok0 tok1 tok2');
    for (const [name, type, data] of [['a.html', 'text/html', '<title>A page</title><p>Words of a page'], ['a.pdf', 'application/pdf', pdfOf('Words of a PDF')]]) {
      const answer = await aerie.request('POST', '/api/v1/documents', { token: aerie.admin.token, ...multipart('file', name, type, Buffer.from(data)) });
      assert.equal(answer.status, 201, `${name}: ${answer.text}\n${aerie.log.slice(-1000)}`);
    }
  } finally {
    await aerie.stop();
    await upstream?.close();
  }
});
