// What `meson install` lays out under a DESTDIR: complete, with the prefix's paths inside, a program that runs from there, a manual without mistakes.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { after, before, test } from 'node:test';
import { binaryPath, makeFolder } from './aerie.mjs';

const build = dirname(binaryPath());
const run = (program, args, options = {}) => spawnSync(program, args, { encoding: 'utf8', ...options });
let root;
let prefix;
before(() => {
  root = makeFolder();
  prefix = JSON.parse(run('meson', ['introspect', build, '--buildoptions']).stdout).find((option) => option.name === 'prefix').value;
  for (const [program, args] of [['ninja', ['-C', build, 'etc/aerie.1']], ['meson', ['install', '-C', build, '--no-rebuild', '--destdir', root]]]) {
    const { status, stdout, stderr } = run(program, args);
    assert.equal(status, 0, stdout + stderr);
  }
});
after(() => rmSync(root, { recursive: true }));

const path = (name) => join(root, prefix, name);
const read = (name) => readFileSync(path(name), 'utf8');

test('all_that_an_operator_needs_is_installed', () => {
  for (const name of ['bin/aerie', 'lib/systemd/system/aerie.service', 'lib/systemd/system/aerie.socket', 'lib/sysusers.d/aerie.conf', 'lib/tmpfiles.d/aerie.conf', 'share/bash-completion/completions/aerie', 'share/man/man1/aerie.1',
    'share/doc/aerie/LICENSE', 'share/doc/aerie/README.md', 'share/doc/aerie/docs/configuration.md', 'share/doc/aerie/examples/config.json', 'share/doc/aerie/examples/env.sample',
    'share/doc/aerie/examples/nginx/aerie.conf', 'share/doc/aerie/examples/grafana/aerie.json', 'share/doc/aerie/examples/prometheus/alerts.yml', 'share/doc/aerie/examples/n8n/first-try.json'])
    assert.ok(existsSync(path(name)), name);
  if (existsSync(new URL('../../etc/wordpress/aerie-chat', import.meta.url))) assert.ok(existsSync(path('share/aerie/wordpress/aerie-chat')), 'the WordPress plugin');
});

test('the_installed_program_runs_and_the_unit_starts_it', () => {
  const { status, stdout } = run(path('bin/aerie'), ['--version'], { env: {} });
  assert.equal(status, 0);
  assert.match(stdout, /\d+\.\d+\.\d+/);
  const pages = JSON.parse(run(path('bin/aerie'), ['config', '--json'], { env: {}, cwd: root }).stdout);
  assert.equal(pages.server.port, 8000);
  assert.match(read('lib/systemd/system/aerie.service'), new RegExp(`^ExecStart=${prefix}/bin/aerie serve$`, 'm'));
});

test('the_manual_names_every_command_and_has_no_mistakes', () => {
  const { stdout } = run(binaryPath(), ['--help'], { env: {} });
  const commands = [...stdout.matchAll(/^ {2,}([a-z][a-z-]+) {2,}\S/gm)].map(([, name]) => name);
  assert.ok(commands.length >= 9, commands.join());
  for (const name of commands) assert.match(read('share/man/man1/aerie.1'), new RegExp(`^\\.It Cm ${name}$`, 'm'));
  const lint = run('mandoc', ['-Tlint', '-Wwarning', path('share/man/man1/aerie.1')]);
  assert.deepEqual([lint.status, lint.stdout], [0, '']);
  assert.match(run('mandoc', ['-Tutf8', path('share/man/man1/aerie.1')]).stdout.replace(/.\x08/g, ''), /--config/);
});

test('bash_completes_commands_and_options', () => {
  const complete = (...words) => run('bash', ['-c', `source "$0"; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _aerie; echo "\${COMPREPLY[*]}"`, path('share/bash-completion/completions/aerie'), path('bin/aerie'), ...words], { env: { PATH: process.env.PATH } }).stdout.trim().split(' ');
  assert.deepEqual(complete('mig'), ['migrate', 'migrate-to']);
  assert.ok(complete('--').includes('--config'));
  assert.ok(complete('user', '--em').includes('--email'));
  assert.ok(complete('team', 'cr').includes('create'));
  assert.deepEqual(complete('webhook', 're'), ['replay', 'resume']);
  assert.deepEqual(complete('user', 'dis'), ['disable']);
});
