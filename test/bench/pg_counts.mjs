// What a PostgreSQL did for one database: counts that a busy machine does not change.
import { sql } from '../tools/postgres.mjs';

/** What the cluster needs to count statements. */
export const COUNTING = { shared_preload_libraries: 'pg_stat_statements' };

/** statements: as sent, one of a pipeline each; wal: bytes, of the whole cluster; at: when, in seconds. */
export class PgCounts {
  constructor(port, name) {
    Object.assign(this, { port, name });
    this.#ask('create extension if not exists pg_stat_statements');
  }
  #ask(statement, database = 'postgres') {
    return sql(this.port, database, statement);
  }
  #number(statement, database) {
    return Number(this.#ask(statement, database));
  }

  now() {
    return {
      statements: this.#number(`select coalesce(sum(calls), 0) from pg_stat_statements where dbid = (select oid from pg_database where datname = '${this.name}')`),
      wal: this.#number("select pg_current_wal_lsn() - '0/0'"),
      at: performance.now() / 1000,
    };
  }

  /** Since before; each second of it cost `idle` anyway. */
  since(before, idle = { statements: 0, wal: 0 }) {
    const now = this.now();
    const seconds = now.at - before.at;
    return { statements: now.statements - before.statements - idle.statements * seconds, wal: now.wal - before.wal - idle.wal * seconds, seconds };
  }

  /** Row versions that vacuum has to take away, since the cluster began; those that were replaced in place are not among them. */
  dead() {
    return this.#number('select coalesce(sum(n_tup_upd - n_tup_hot_upd + n_tup_del), 0) from pg_stat_user_tables', this.name);
  }

  connections() {
    return this.#number(`select count(*) from pg_stat_activity where datname = '${this.name}' and application_name = 'aerie'`);
  }

  /** {table: {bytes, rows}}, bytes with indexes and what is stored apart; dead rows are taken away before. */
  tables() {
    this.#ask('vacuum analyze', this.name);
    const rows = this.#ask("select c.relname, pg_total_relation_size(c.oid), c.reltuples::bigint from pg_class c join pg_namespace n on n.oid = c.relnamespace where n.nspname = 'public' and c.relkind = 'r'", this.name);
    return Object.fromEntries(rows.split('\n').map((row) => row.split('|')).map(([table, bytes, n]) => [table, { bytes: Number(bytes), rows: Number(n) }]));
  }

  /** The words of all messages are in the index. */
  isFed() {
    return this.#number("select count(*) from messages where not is_indexed and status <> 'streaming'", this.name) === 0;
  }
}
