// A MariaDB of its own, in a folder, behind a socket, gone without a trace afterwards.
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

/** MariaDB runs as root only where it is told to. */
const asUser = () => (process.getuid() === 0 ? ['--user=root'] : []);

/** {socket, sql(statement), stop()} */
export async function startMariadb(folder) {
  const data = join(folder, 'data');
  const socket = join(folder, 'sock');
  mkdirSync(data, { recursive: true });
  const made = spawnSync('mariadb-install-db', ['--no-defaults', `--datadir=${data}`, ...asUser(), '--auth-root-authentication-method=normal', '--skip-test-db'], { encoding: 'utf8' });
  if (made.error || made.status !== 0) throw new Error(`mariadb-install-db failed (run etc/setup all): ${made.error ?? made.stdout + made.stderr}`);
  const child = spawn('/usr/sbin/mariadbd',
    ['--no-defaults', ...asUser(), `--datadir=${data}`, `--socket=${socket}`, `--pid-file=${join(folder, 'pid')}`, '--skip-networking', '--innodb-flush-log-at-trx-commit=0', '--innodb-buffer-pool-size=32M', '--skip-log-bin'],
    { stdio: ['ignore', 'ignore', 'pipe'] });
  let told = '';
  child.stderr.on('data', (bytes) => (told += bytes));
  const gone = new Promise((resolve) => child.once('exit', resolve));
  const sql = (statement, database = '') => {
    const ran = spawnSync('mariadb', ['--no-defaults', `--socket=${socket}`, '--user=root', '--batch', '--skip-column-names', `--execute=${statement}`, ...(database ? [database] : [])], { encoding: 'utf8' });
    if (ran.status !== 0) throw new Error(`${statement}: ${ran.stderr}`);
    return ran.stdout.trim();
  };
  for (let tries = 0; ; tries++) {
    if (existsSync(socket)) {
      try {
        sql('select 1');
        break;
      } catch (error) {
        if (tries > 600) throw error;
      }
    }
    if (child.exitCode !== null || tries > 1200) throw new Error(`mariadbd does not listen: ${told}`);
    await sleep(50);
  }
  return {
    socket,
    sql,
    async stop() {
      child.kill('SIGTERM');
      await gone;
    },
  };
}
