// A real nginx: in front of a server by etc/nginx/aerie.conf, or of a configuration of its own.
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { childrenOf } from './processes.mjs';
import { until } from './until.mjs';

async function freePort() {
  const server = net.createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  server.close();
  return port;
}

function answers(port) {
  return new Promise((resolve) => {
    const socket = net.connect(port, '127.0.0.1');
    socket.on('connect', () => (socket.destroy(), resolve(true)));
    socket.on('error', () => resolve(false));
  });
}

/** An nginx of that configuration: {port, pid, read, check, reload, drained, close}. site(port, folder): what stands in `http`; main: what stands before it. */
export async function runNginx(site, { main = 'events {}' } = {}) {
  const folder = mkdtempSync(join(tmpdir(), 'aerie-nginx-'));
  const port = await freePort();
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((name) => `${name}_temp_path ${folder}/${name};`).join(' ');
  const configure = (of) =>
    writeFileSync(join(folder, 'nginx.conf'), `daemon off; pid ${folder}/pid; error_log ${folder}/error.log;\n${main}\nhttp { access_log off; ${temporary}\n${of(port, folder)}}\n`);
  configure(site);
  const args = ['-p', folder, '-e', join(folder, 'error.log'), '-c', join(folder, 'nginx.conf')];
  const child = spawn('/usr/sbin/nginx', args, { stdio: ['ignore', 'ignore', 'pipe'] });
  let told = '';
  child.stderr.on('data', (bytes) => (told += bytes));
  const gone = once(child, 'exit');
  let former = [];
  for (let i = 0; !(await answers(port)); i++) {
    if (i > 200 || child.exitCode !== null) throw new Error(`nginx does not listen: ${told}`);
    await sleep(25);
  }
  return {
    port,
    pid: child.pid,
    /** A file of its folder, such as a log. */
    read: (name) => readFileSync(join(folder, name), 'utf8'),
    /** What `nginx -t` says of the configuration. */
    check: () => spawnSync('/usr/sbin/nginx', ['-t', ...args], { encoding: 'utf8' }),
    /** Takes another site, as `nginx -s reload`: new workers take who comes, those of before go on with what they have. */
    async reload(other) {
      former = childrenOf(child.pid);
      configure(other);
      child.kill('SIGHUP');
      await until(() => childrenOf(child.pid).some((pid) => !former.includes(pid)), 'a new worker');
    },
    /** The workers of before have gone. */
    drained: () => until(() => !childrenOf(child.pid).some((pid) => former.includes(pid)), 'the former workers have gone'),
    async close() {
      child.kill('SIGTERM');
      await gone;
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

const sample = (name) => readFileSync(fileURLToPath(new URL(`../../etc/nginx/${name}`, import.meta.url)), 'utf8');
/** The site that operators copy, and what they have beside it for several installations. */
export const kit = sample('aerie.conf');
export const shards = sample('shards.conf');

/** Each of [from, to] must be there. */
function substitute(text, pairs) {
  for (const [from, to] of pairs) {
    if (!text.includes(from)) throw new Error(`etc/nginx/aerie.conf has no ${from}`);
    text = text.replaceAll(from, to);
  }
  return text;
}

/**
 * The kit's site in front of a server, its addresses and paths changed and nothing else: also {plainPort, certificate}. at: the server's port, or
 * unix: and a file; more: further changes; http: what the operator has beside it.
 */
export async function startKit(at, { more = [], http = '' } = {}) {
  const plainPort = await freePort();
  const name = '127.0.0.1';
  let certificate;
  const nginx = await runNginx((port, folder) => {
    const made = spawnSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2', '-subj', `/CN=${name}`,
      '-addext', `subjectAltName=IP:${name}`, '-keyout', join(folder, 'key.pem'), '-out', join(folder, 'certificate.pem')], { encoding: 'utf8' });
    if (made.status !== 0) throw new Error(`no certificate: ${made.stderr}`);
    certificate = readFileSync(join(folder, 'certificate.pem'));
    return http + substitute(kit, [
      ['server 127.0.0.1:8000;', `server ${typeof at === 'number' ? `127.0.0.1:${at}` : at};`],
      ['listen 80;', `listen 127.0.0.1:${plainPort};`],
      ['    listen [::]:80;\n', ''],
      ['listen 443 ssl http2;', `listen 127.0.0.1:${port} ssl http2;`],
      ['    listen [::]:443 ssl http2;\n', ''],
      ['server_name chat.example.com;', `server_name ${name};`],
      ['/etc/letsencrypt/live/chat.example.com/fullchain.pem', join(folder, 'certificate.pem')],
      ['/etc/letsencrypt/live/chat.example.com/privkey.pem', join(folder, 'key.pem')],
      ['/var/log/nginx/aerie.log', join(folder, 'access.log')],
      ...more,
    ]);
  });
  return Object.assign(nginx, { plainPort, certificate });
}
