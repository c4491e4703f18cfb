// Rows that are older than they are.
const DAY_US = 24 * 3600 * 1e6;

/** SQL for the time so many days ago. */
export function daysAgo(database, days) {
  return database.kind === 'sqlite' ? `${Date.now() * 1000 - days * DAY_US}` : `now() - interval '${days * 24} hours'`;
}

/** Nothing has happened in the chats for so many days. */
export function grewOld(database, chats, days) {
  const ids = chats.map(({ id }) => `'${id}'`).join(', ');
  database.query(`update chats set updated_at = ${daysAgo(database, days)} where id in (${ids}) returning id`);
}

/** Puts n messages into a chat, without a turn for each. */
export function fill(database, chat, n, text = 'words') {
  const id = database.kind === 'sqlite' ? "lower(hex(randomblob(4)) || '-' || hex(randomblob(2)) || '-4' || substr(hex(randomblob(2)), 2) || '-8' || substr(hex(randomblob(2)), 2) || '-' || hex(randomblob(6)))" : 'gen_random_uuid()';
  const numbers = database.kind === 'sqlite' ? `with recursive s (n) as (select 1 union all select n + 1 from s where n < ${n}) ` : '';
  const from = database.kind === 'sqlite' ? 's' : `generate_series(1, ${n}) s (n)`;
  database.query(`insert into messages (id, team_id, chat_id, seq, role, content, status, created_at)
    ${numbers}select ${id}, c.team_id, c.id, 1000 + s.n, 'user', '${text} ' || s.n, 'complete', c.updated_at from chats c, ${from} where c.id = '${chat.id}' returning id`);
}
