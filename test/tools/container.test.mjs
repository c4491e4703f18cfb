// etc/container, as far as can be told without an image: compose.yaml has keys that compose knows and settings that Aerie takes, the Containerfile installs what
// etc/setup does, and its health check tells a server that answers from one that does not.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Aerie, binaryPath, makeFolder } from './aerie.mjs';

const root = fileURLToPath(new URL('../../', import.meta.url));
const containerfile = readFileSync(join(root, 'etc/container/Containerfile'), 'utf8');
const compose = JSON.parse(spawnSync('/usr/bin/python3', ['-c', 'import json, sys, yaml; print(json.dumps(yaml.safe_load(sys.stdin)))'], { input: readFileSync(join(root, 'etc/container/compose.yaml')), encoding: 'utf8' }).stdout);

/** By the Compose Specification: of its keys those that are used here, and what a value must be. */
const service = {
  image: 'string', build: 'object', restart: 'string', depends_on: 'object', environment: 'object', secrets: 'array', volumes: 'array', ports: 'array', read_only: 'boolean', tmpfs: 'array',
  cap_drop: 'array', security_opt: 'array', stop_grace_period: 'string', ulimits: 'object', healthcheck: 'object', profiles: 'array',
};
const kindOf = (value) => (Array.isArray(value) ? 'array' : typeof value);

test('compose_yaml_has_keys_that_compose_knows_and_names_that_it_defines', () => {
  assert.deepEqual(Object.keys(compose).sort(), ['name', 'secrets', 'services', 'volumes']);
  for (const [name, given] of Object.entries(compose.services)) {
    for (const [key, value] of Object.entries(given)) assert.equal(kindOf(value), service[key], `${name}.${key}`);
    for (const secret of given.secrets ?? []) assert.ok(compose.secrets[secret]?.file, `${name}: secret ${secret}`);
    for (const volume of given.volumes ?? []) assert.ok(volume.split(':')[0] in compose.volumes, `${name}: volume ${volume}`);
    for (const port of given.ports ?? []) assert.match(port, /^127\.0\.0\.1:\d+:\d+$/, `${name}: nginx, and nobody else, reaches it`);
    for (const [other, { condition }] of Object.entries(given.depends_on ?? {})) {
      assert.equal(condition, 'service_healthy');
      assert.ok(compose.services[other].healthcheck.test, `${other} has a health check`);
    }
  }
  assert.deepEqual(compose.services.n8n.profiles, ['n8n'], 'n8n only where it is asked for');
});

test('compose_yamls_settings_are_taken_by_the_server', () => {
  const folder = makeFolder();
  try {
    const env = { ...compose.services.aerie.environment };
    mkdirSync(join(folder, 'secrets'));
    for (const [name, text] of [['secret_key', 'b'.repeat(3) + 'a secret of forty letters, and some more'], ['database_url', 'postgresql://aerie:hidden@postgres/aerie']]) {
      writeFileSync(join(folder, 'secrets', name), `${text}\n`);
      for (const [key, value] of Object.entries(env)) if (value === `/run/secrets/${name}`) env[key] = join(folder, 'secrets', name);
    }
    assert.doesNotMatch(JSON.stringify(env), /\/run\/secrets/);
    const { status, stdout, stderr } = spawnSync(binaryPath(), ['config', '--json'], { cwd: folder, env, encoding: 'utf8' });
    assert.equal(status, 0, stderr);
    const config = JSON.parse(stdout);
    assert.match(config.database.url, /^postgresql:\/\/aerie:.*@postgres/);
    assert.deepEqual([config.environment, config.egress.allow, config.trusted_proxies], ['production', ['n8n'], ['172.16.0.0/12']]);
    assert.ok(parseInt(compose.services.aerie.stop_grace_period, 10) > config.server.drain_seconds + 16);
    const image = Object.fromEntries([.../^ENV (.*)$/m.exec(containerfile)[1].matchAll(/(\w+)=(\S+)/g)].map(([, name, value]) => [name, value]));
    const taken = JSON.parse(spawnSync(binaryPath(), ['config', '--json'], { cwd: folder, env: image, encoding: 'utf8' }).stdout);
    assert.deepEqual([taken.data_dir, taken.server.host, taken.server.port], ['/data', '0.0.0.0', 8000]);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test('the_containerfile_builds_with_the_packages_of_etc_setup', () => {
  const wanted = /build_packages="([^"]*)"/.exec(readFileSync(join(root, 'etc/setup'), 'utf8'))[1].split(/\s+/).sort();
  const [, listed] = /--no-install-recommends ([^&]*)&&/.exec(containerfile);
  assert.deepEqual(listed.split(/[\s\\]+/).filter(Boolean).sort(), [...wanted, 'ca-certificates', 'npm'].sort());
});

test('the_health_check_tells_a_server_that_answers_from_one_that_does_not', async () => {
  const [program, ...args] = JSON.parse(/^HEALTHCHECK [^]*?CMD (\[.*\])$/m.exec(containerfile)[1]);
  const check = (port) => spawnSync(program, args, { env: { PATH: process.env.PATH, SERVER__PORT: String(port) }, encoding: 'utf8', timeout: 20000 }).status;
  const aerie = await Aerie.start();
  try {
    assert.equal(check(aerie.port), 0);
  } finally {
    await aerie.stop();
  }
  assert.notEqual(check(aerie.port), 0);
});
