// A fresh database for each test file, of the kind that AERIE_TEST_DB names: sqlite (default), postgres or pgbouncer.
// For the latter two tools/run.mjs has started the servers and says where in AERIE_TEST_PG_PORT and AERIE_TEST_BOUNCER_PORT.
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { dump, ROLE, sql, sqlBeside } from './postgres.mjs';

export const kind = process.env.AERIE_TEST_DB ?? 'sqlite';

function portOf(name) {
  const port = process.env[name];
  if (!port) throw new Error(`${name} is not set: start the tests by etc/test or test/tools/run.mjs`);
  return Number(port);
}

/** {kind, env, url, query(sql), dump(), drop(), and for PostgreSQL hold(sql): statements of one transaction, run beside}. query speaks SQL to the database itself, around the server; dump is what someone reads who has its files or a backup. */
export function freshDatabase(folder, of = kind) {
  if (of === 'sqlite') {
    const file = join(folder, 'test.db');
    return {
      kind: of,
      url: `sqlite:///${file}`,
      env: { DATABASE_URL: `sqlite:///${file}` },
      query: (statement) =>
        execFileSync('python3', ['-c', `import sqlite3, sys
c = sqlite3.connect(sys.argv[1], timeout=10)
rows = c.execute(sys.argv[2]).fetchall()
c.commit()
print("\\n".join("|".join("" if v is None else str(v) for v in r) for r in rows))`, file, statement], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] }).trim(),
      dump: () => [file, `${file}-wal`].filter(existsSync).map((name) => readFileSync(name, 'latin1')).join(''),
      drop() {},
    };
  }
  const pgPort = portOf('AERIE_TEST_PG_PORT');
  const name = `t_${randomBytes(6).toString('hex')}`;
  sql(pgPort, 'postgres', `create database ${name}`);
  const port = of === 'pgbouncer' ? portOf('AERIE_TEST_BOUNCER_PORT') : pgPort;
  const url = `postgresql://${ROLE}@127.0.0.1:${port}/${name}`;
  return {
    kind: of,
    url,
    name,
    env: { DATABASE_URL: url, ...(of === 'pgbouncer' ? { DATABASE__PREPARED_STATEMENTS: 'false' } : {}) },
    query: (statement) => sql(pgPort, name, statement),
    dump: () => dump(pgPort, name),
    hold: (statements) => sqlBeside(pgPort, name, statements),
    drop() {
      sql(pgPort, 'postgres', `drop database if exists ${name} with (force)`);
    },
  };
}
