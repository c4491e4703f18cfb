// The Debian package: built from this checkout, looked at by lintian, installed, used, upgraded, removed and purged in a copy of this machine's root.
// etc/test --all runs it.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { rmSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { makeFolder } from '../tools/aerie.mjs';

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
