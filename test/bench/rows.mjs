// Chats and messages put into a database by SQL, around the server: for scenarios that need thousands of them.
import { randomBytes } from 'node:crypto';

/** What differs between the two: an id of a number, a series 0…n-1, a time some µs ago. */
const DIALECTS = {
  sqlite: {
    id: (prefix, n) => `printf('${prefix}-%012x', ${n})`,
    series: (name, n) => `${name}(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM ${name} WHERE i < ${n} - 1)`,
    ago: (us) => `unixepoch() * 1000000 - ${us}`,
    text: (n) => `CAST(${n} AS TEXT)`,
    messages: { columns: ', is_indexed', values: ', 1' },
    settle: null,
  },
  postgres: {
    id: (prefix, n) => `('${prefix}-' || lpad(to_hex(${n}), 12, '0'))::uuid`,
    series: (name, n) => `${name}(i) AS (SELECT generate_series(0, ${n} - 1))`,
    ago: (us) => `now() - (${us}) * interval '1 microsecond'`,
    text: (n) => `(${n})::text`,
    messages: { columns: '', values: '' },
    settle: 'ANALYZE',
  },
};

/**
 * Adds count chats of the team with an agent, owned by the users in turn, each with so many messages of `chars` characters (user and
 * assistant in turn); hands back their ids. Nothing of it is searched for, so SQLite's index is not fed with it.
 */
export function addChats(database, { teamId, userIds, agentId, count, messages = 0, chars = 100 }) {
  const sql = DIALECTS[database.kind];
  const prefix = `${randomBytes(4).toString('hex')}-${randomBytes(2).toString('hex')}-4000-8000`;
  const uuid = (id) => (database.kind === 'postgres' ? `'${id}'::uuid` : `'${id}'`);
  const owners = userIds.map((id, k) => `(${k}, ${uuid(id)})`).join(', ');
  const column = (id) => `(SELECT id FROM owners WHERE k = n.i % ${userIds.length}) AS ${id}`;
  database.query(`WITH RECURSIVE owners(k, id) AS (VALUES ${owners}), ${sql.series('n', count)}
    INSERT INTO chats (id, team_id, user_id, owner_id, agent_id, title, created_at, updated_at)
    SELECT ${sql.id(prefix, 'n.i')}, ${uuid(teamId)}, ${column('user_id')}, ${column('owner_id')}, ${uuid(agentId)}, 'Chat number ' || ${sql.text('n.i')},
      ${sql.ago(`(n.i + 1) * 1000`)}, ${sql.ago('n.i * 1000')} FROM n`);
  if (messages > 0) {
    const piece = 'All of this was said before. '.repeat(Math.ceil(chars / 29)).slice(0, chars);
    const prefixOfMessages = `${randomBytes(4).toString('hex')}-${randomBytes(2).toString('hex')}-4000-8000`;
    database.query(`WITH RECURSIVE ${sql.series('n', count)}, ${sql.series('m', messages)}
      INSERT INTO messages (id, team_id, chat_id, seq, role, content, status, created_at${sql.messages.columns})
      SELECT ${sql.id(prefixOfMessages, `n.i * ${messages} + m.i`)}, ${uuid(teamId)}, ${sql.id(prefix, 'n.i')}, m.i + 1,
        CASE m.i % 2 WHEN 0 THEN 'user' ELSE 'assistant' END, '${piece}', 'complete', ${sql.ago(`(${messages} - m.i) * 1000`)}${sql.messages.values}
      FROM n CROSS JOIN m`);
  }
  if (sql.settle) database.query(sql.settle);
  return Array.from({ length: count }, (_, i) => `${prefix}-${i.toString(16).padStart(12, '0')}`);
}
