// P8: durable message rows a second: Aerie's database room beside a raw C loop on the same library, each with 16 in flight.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { figure } from './figures.mjs';
import { runRaw } from './raw.mjs';
import { inTurns } from './stand.mjs';

const IN_FLIGHT = 16;

async function rowsOn(stand, amounts, kind) {
  const system = await stand.aerieWith(`rows-${kind}`, kind, { users: 1 });
  const ids = system.chats({ agent: await system.agent('chunks=1'), count: IN_FLIGHT });
  await system.aerie.halt(); // the programs have the database for themselves
  const chats = join(stand.folder, `chats-${kind}`);
  writeFileSync(chats, `${ids.join('\n')}\n`);
  const options = ['--database', system.database.url, '--team', system.aerie.admin.me.team_id, '--chats', chats, '--in-flight', String(IN_FLIGHT)];
  const server = kind === 'postgres' ? [stand.cluster.pid] : [];
  const write = (program, rows = amounts.rows) => async () => {
    const result = await runRaw(program, [...options, '--rows', String(rows)], server);
    const measured = { ...result, isRight: result.wrong === 0 && result.rows === rows };
    stand.record('P8', `${program} on ${kind}`, measured);
    return measured;
  };
  await write('aerie_rows', 2000)();
  await write('raw_rows', 2000)();
  const results = await inTurns(amounts.runs, { aerie: write('aerie_rows'), raw: write('raw_rows') });
  const rate = ({ rows, seconds }) => rows / seconds;
  return figure({
    id: 'P8', what: `durable rows a second, 16 in flight, ${system.name.replace('Aerie on ', '')}`, aerie: results.aerie.map(rate), peer: results.raw.map(rate), peerName: 'raw C', limit: { least: 0.8 },
    isValid: [...results.aerie, ...results.raw].every((result) => result.isRight),
  });
}

export async function run(stand, amounts) {
  const rows = [];
  for (const kind of amounts.kinds) rows.push(await rowsOn(stand, amounts, kind));
  return rows;
}
