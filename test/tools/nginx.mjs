// A real nginx: in front of a server, set up as docs/operations.md says but for TLS, or of a configuration of its own.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

async function freePort() {
  const server = net.createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  server.close();
  return port;
}

/** The configuration that operators are shown. */
function documented() {
  const text = readFileSync(fileURLToPath(new URL('../../docs/operations.md', import.meta.url)), 'utf8');
  return /## nginx in front\n\n```nginx\n([\s\S]*?)```/.exec(text)[1];
}

function answers(port) {
  return new Promise((resolve) => {
    const socket = net.connect(port, '127.0.0.1');
    socket.on('connect', () => (socket.destroy(), resolve(true)));
    socket.on('error', () => resolve(false));
  });
}

/** An nginx of that configuration: {port, pid, close}. site(port, folder): what stands in `http`; main: what stands before it. */
export async function runNginx(site, { main = 'events {}' } = {}) {
  const folder = mkdtempSync(join(tmpdir(), 'aerie-nginx-'));
  const port = await freePort();
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((name) => `${name}_temp_path ${folder}/${name};`).join(' ');
  writeFileSync(join(folder, 'nginx.conf'), `daemon off; pid ${folder}/pid; error_log ${folder}/error.log;\n${main}\nhttp { access_log off; ${temporary}\n${site(port, folder)}}\n`);
  const child = spawn('/usr/sbin/nginx', ['-p', folder, '-e', join(folder, 'error.log'), '-c', join(folder, 'nginx.conf')], { stdio: ['ignore', 'ignore', 'pipe'] });
  let told = '';
  child.stderr.on('data', (bytes) => (told += bytes));
  const gone = once(child, 'exit');
  for (let i = 0; !(await answers(port)); i++) {
    if (i > 200 || child.exitCode !== null) throw new Error(`nginx does not listen: ${told}`);
    await sleep(25);
  }
  return {
    port,
    pid: child.pid,
    async close() {
      child.kill('SIGTERM');
      await gone;
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** The documented one in front of a server. */
export function startNginx(aeriePort) {
  return runNginx((port) => documented()
    .replace('127.0.0.1:8000', `127.0.0.1:${aeriePort}`)
    .replace('listen 443 ssl', `listen 127.0.0.1:${port}`)
    .replace(/^ *(http2|ssl_certificate|ssl_certificate_key) .*\n/gm, ''));
}
