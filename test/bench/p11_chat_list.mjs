// P11: the list of 20 chats with their 4 messages each, beside a raw C loop that reads the same rows, CPU of the database counted in both.
import { figure } from './figures.mjs';
import { runRaw } from './raw.mjs';
import { inTurns } from './stand.mjs';

const CHATS = 20;
const MESSAGES = 4;
const CLIENTS = 16;
/** Lists a second of the FastAPI service of section "Whole servers", on two shared cores with two workers. */
const FASTAPI = 298;

async function listsOn(stand, amounts, kind) {
  const system = await stand.aerieWith(`lists-${kind}`, kind);
  const agent = await system.agent('chunks=1');
  system.chats({ agent, count: CHATS * system.users.length, messages: MESSAGES });
  const talk = { requests: system.users.map((user) => ({ method: 'GET', path: `/api/chats?limit=${CHATS}`, headers: { Authorization: `Bearer ${user.token}` } })), read: 'body' };
  const list = (messages) => stand.load('P11', system, talk, { mode: 'closed', expect: 'All of this was said before', clients: CLIENTS, messages });
  const server = kind === 'postgres' ? [stand.cluster.pid] : [];
  const raw = async () => {
    const args = ['--database', system.database.url, '--team', system.aerie.admin.me.team_id, '--owner', system.users[1].me.id, '--lists', String(amounts.lists)];
    const result = await runRaw('raw_list', args, server);
    const measured = { ...result, cpu_us: result.cpu_us + result.server_cpu_us, isRight: result.wrong === 0 && result.rows >= amounts.lists * CHATS * (1 + MESSAGES) };
    stand.record('P11', `raw_list on ${kind}`, measured);
    return measured;
  };
  await list(200);
  const results = await inTurns(amounts.runs, { aerie: () => list(amounts.lists), raw });
  const isValid = [...results.aerie, ...results.raw].every((result) => result.isRight);
  return [
    figure({
      id: 'P11', what: `CPU per list of ${CHATS} chats, ${system.name}`, unit: 'µs', peerName: 'raw C', limit: { most: 3 }, isValid,
      aerie: results.aerie.map(({ cpu_us, messages }) => cpu_us / messages), peer: results.raw.map(({ cpu_us, lists }) => cpu_us / lists),
    }),
    figure({
      id: 'P11', what: `lists a second, one worker, ${system.name}`, aerie: results.aerie.map(({ messages, seconds }) => messages / seconds),
      limit: { least: 15 * FASTAPI, of: 'value' }, isValid: results.aerie.every((result) => result.isRight),
    }),
  ];
}

export async function run(stand, amounts) {
  const rows = [];
  for (const kind of amounts.kinds) rows.push(...(await listsOn(stand, amounts, kind)));
  return rows;
}
