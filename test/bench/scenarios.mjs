// What is measured, in the order in which it runs. Each is a function of the stand and the amounts that hands back rows of the table.
import * as p01 from './p01_instructions.mjs';
import * as p02 from './p02_chunks.mjs';
import * as p03 from './p03_messages.mjs';
import * as p04 from './p04_memory.mjs';
import * as p05 from './p05_held.mjs';
import * as p06 from './p06_first_token.mjs';
import * as p07 from './p07_validate.mjs';
import * as p08 from './p08_rows.mjs';
import * as p09 from './p09_start.mjs';
import * as p10 from './p10_logins.mjs';
import * as p11 from './p11_chat_list.mjs';
import * as growth from './growth.mjs';

export const scenarios = [
  { name: 'P1', title: 'instructions per chunk', run: p01.run },
  { name: 'P2', title: 'CPU per chunk', run: p02.run },
  { name: 'P3', title: 'messages per CPU second', run: p03.run },
  { name: 'P4', title: 'memory per held stream', run: p04.run },
  { name: 'P5', title: 'many streams for long', run: p05.run },
  { name: 'P6', title: 'time to the first token', run: p06.run },
  { name: 'P7', title: 'validating a key', run: p07.run },
  { name: 'P8', title: 'durable rows', run: p08.run },
  { name: 'P9', title: 'start and idle', run: p09.run },
  { name: 'P10', title: 'logins while streams run', run: p10.run },
  { name: 'P11', title: 'the list of chats', run: p11.run },
  { name: 'growth', title: 'more of everything', run: growth.run },
];
