// The Debian package: built from this checkout, looked at by lintian, installed, used, upgraded, removed and purged in a copy of this machine's root.
// etc/test --all runs it.
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { copyFileSync, existsSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { startUpstream } from '../fake/upstream.mjs';
import { Client, makeFolder, PASSWORD } from '../tools/aerie.mjs';
import { request } from '../tools/http.mjs';
import { freePort } from '../tools/postgres.mjs';

const root = fileURLToPath(new URL('../../', import.meta.url));
const run = (program, args, options = {}) => spawnSync(program, args, { encoding: 'utf8', cwd: root, ...options });
let folder;
let deb;
before(() => {
  folder = makeFolder();
  const { status, stdout, stderr } = run('etc/deb', [folder]);
  assert.equal(status, 0, stderr);
  deb = stdout.trim();
});
after(() => rmSync(folder, { recursive: true }));

test('lintian_finds_no_error_in_the_package', () => {
  const { stdout } = run('lintian', ['--allow-root', '--fail-on', 'none', '--tag-display-limit', '0', deb]);
  assert.deepEqual(stdout.split('\n').filter((line) => /^[EW]: /.test(line)), []);
});

test('the_package_depends_on_what_the_program_is_linked_with', () => {
  const depends = run('dpkg-deb', ['-f', deb, 'Depends']).stdout;
  for (const name of ['libc6', 'libuv1', 'libcurl4', 'libpq5', 'libsqlite3-0', 'libllhttp', 'libyyjson']) assert.ok(depends.includes(name), `${name} in ${depends}`);
});

test('it_installs_serves_upgrades_and_leaves_nothing_but_the_data', (t) => {
  const script = `set -e
cp /dev/null /tmp/log
dpkg -i /tmp/aerie.deb >>/tmp/log 2>&1 || { cat /tmp/log; exit 1; }
grep -o 'not started' /tmp/log
stat -c '%a %U:%G %n' /etc/aerie /etc/aerie/config.json /etc/aerie/.env /var/lib/aerie
grep -cE '^SECRET_KEY=[0-9a-f]{64}$' /etc/aerie/.env
pgrep -u aerie -x aerie >/dev/null && echo RUNNING
cd /etc/aerie
runuser -u aerie -- aerie init >/tmp/init 2>&1 || { cat /tmp/init; exit 1; }
ls /var/lib/aerie/aerie.db
echo '{"environment":"production","data_dir":"/var/lib/aerie","server":{"port":18377}}' >config.json
runuser -u aerie -- aerie serve >/tmp/serve 2>&1 &
for i in $(seq 100); do curl -sf http://127.0.0.1:18377/health >/dev/null && break; sleep 0.1; done
curl -sf http://127.0.0.1:18377/health | grep -o '"status":"[a-z]*"'
kill $!
wait $! || true
sha256sum .env >/tmp/env.sum
dpkg -i --force-confold /tmp/aerie.deb >/tmp/log 2>&1 || { cat /tmp/log; exit 1; }
grep -c 18377 config.json
sha256sum -c --quiet /tmp/env.sum && echo secret kept
dpkg -r aerie >/tmp/log 2>&1 || { cat /tmp/log; exit 1; }
test ! -e /usr/bin/aerie && echo removed
dpkg -P aerie 2>&1 | grep -o 'data in /var/lib/aerie'
ls -A /etc/aerie
rm -rf /var/lib/aerie/* /var/lib/aerie/.[!.]* /etc/aerie
dpkg -i /tmp/aerie.deb >/tmp/log 2>&1
dpkg -P aerie >/tmp/log 2>&1
ls -d /etc/aerie /var/lib/aerie /usr/share/doc/aerie 2>/dev/null || echo nothing left
`;
  const { status, stdout, stderr } = run('test/tools/overlay-root', ['sh', '-c', `cat >/tmp/aerie.deb && ${script}`], { input: run('cat', [deb], { encoding: 'buffer', maxBuffer: 1 << 26 }).stdout });
  if (status === 77) return t.skip('no overlay can be mounted here');
  assert.equal(status, 0, stdout + stderr);
  assert.deepEqual(stdout.trim().split('\n'), [
    'not started', '750 root:aerie /etc/aerie', '640 root:aerie /etc/aerie/config.json', '640 root:aerie /etc/aerie/.env', '700 aerie:aerie /var/lib/aerie', '1',
    '/var/lib/aerie/aerie.db', '"status":"healthy"', '1', 'secret kept', 'removed', 'data in /var/lib/aerie', '.env', 'nothing left',
  ]);
});

/** The system that systemd-root boots: runs a line there, and hears what it says. */
class Booted {
  constructor(folder) {
    this.folder = folder;
    writeFileSync(join(folder, 'script'), `cd /given
while [ ! -e over ]; do
    for line in line-*; do
        [ -e "$line" ] || continue
        sh -euc "$(cat "$line")" </dev/null >said 2>&1 && echo 0 >code || echo 1 >code
        rm "$line"
        mv said "said-$line" && mv code "code-$line"
    done
    sleep 0.05
done
`);
    const child = spawn(join(root, 'test/tools/systemd-root'), [folder], { stdio: ['ignore', 'ignore', 'inherit'] });
    this.exit = new Promise((resolve) => child.once('exit', resolve)).then((code) => (this.code = code));
  }

  #n = 0;
  /** {code, said}; null where no such system can be. */
  async try(line) {
    const name = `line-${this.#n++}`;
    writeFileSync(join(this.folder, 'new'), line);
    renameSync(join(this.folder, 'new'), join(this.folder, name));
    while (!existsSync(join(this.folder, `code-${name}`))) {
      if (this.code === 77) return null;
      assert.equal(this.code, undefined, `systemd ended while it did: ${line}`);
      await sleep(20);
    }
    const read = (what) => readFileSync(join(this.folder, `${what}-${name}`), 'utf8').trim();
    return { code: Number(read('code')), said: read('said') };
  }

  async run(line) {
    const { code, said } = await this.try(line);
    assert.equal(code, 0, `${line}\n${said}`);
    return said;
  }

  async end() {
    writeFileSync(join(this.folder, 'over'), '');
    await this.exit;
  }
}

test('under_systemd_an_upgrade_of_the_package_cuts_no_stream', async (t) => {
  const given = makeFolder();
  const port = await freePort();
  const upstream = await startUpstream();
  copyFileSync(deb, join(given, 'aerie.deb'));
  const system = new Booted(given);
  try {
    if (!(await system.try('true'))) return t.skip('systemd cannot be booted here');
    await system.run('dpkg --no-triggers -i aerie.deb');
    const config = (more = {}) => writeFileSync(join(given, 'config.json'), JSON.stringify({ environment: 'production', data_dir: '/var/lib/aerie', server: { port, ...more }, egress: { allow: ['127.0.0.0/8'] } }));
    config();
    await system.run(`cp config.json /etc/aerie/
      cd /etc/aerie && runuser -u aerie -- aerie init
      echo '${PASSWORD}' | runuser -u aerie -- aerie user create --email a@aerie.test --team default --role admin --password-stdin
      systemctl enable --now aerie`);
    const call = (method, path, options) => request(port, method, path, options);
    const { access_token: token } = (await call('POST', '/api/auth/login', { json: { email: 'a@aerie.test', password: PASSWORD } })).json;
    const admin = new Client({ port, request: call }, token);
    const agent = await admin.agent({ webhook_url: upstream.url() });
    const mainPid = () => system.run('systemctl show -P MainPID aerie');
    const upgrade = () => system.run('dpkg --no-triggers -i aerie.deb');

    const first = await mainPid();
    const stream = await admin.send(await admin.chat(agent), '!tokens=200&delay=150');
    await stream.until((s) => s.text.length > 0);
    await upgrade();
    const second = await mainPid();
    assert.notEqual(second, first, 'systemd follows the new process');
    assert.equal(await system.run(`ps -o comm= -p ${first}`), 'aerie', 'and the old one stays for its stream');
    assert.equal((await call('GET', '/health')).status, 200);
    await system.run('systemctl reload aerie');
    assert.equal((await stream.whole()).text, Array.from({ length: 200 }, (_, i) => `tok${i}`).join(' '));
    assert.ok(stream.done);
    await system.run(`while [ -e /proc/${first} ]; do sleep 0.1; done`);
    assert.equal(await system.run('for name in ActiveState NRestarts ExecMainPID; do systemctl show -P $name aerie; done'), `active\n0\n${second}`);

    config({ prot: 1 });
    assert.match(await system.run('cp config.json /etc/aerie/ && dpkg --no-triggers -i aerie.deb'), /unknown key server\.prot[^]*still that of the old package/);
    assert.equal(await mainPid(), second, 'what cannot start takes nothing over');
    config();
    assert.match(await system.run(`cp config.json /etc/aerie/ && printf '#!/bin/sh\\nexit 101\\n' >/usr/sbin/policy-rc.d && chmod 755 /usr/sbin/policy-rc.d && dpkg --no-triggers -i aerie.deb`), /policy-rc\.d forbids a restart/);
    assert.equal(await mainPid(), second);
    await system.run('rm /usr/sbin/policy-rc.d /var/lib/aerie/aerie.pid && dpkg --no-triggers -i aerie.deb');
    const third = await mainPid();
    assert.notEqual(third, second, 'one that cannot be asked is restarted');
    await system.run('systemctl stop aerie');
    await upgrade();
    assert.equal(await mainPid(), '0', 'one that was stopped stays stopped');
  } finally {
    await system.end();
    await upstream.close();
    rmSync(given, { recursive: true });
  }
});
