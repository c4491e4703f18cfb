// The wall clock jumps by an hour while the server runs (test/fault/clock.c): what waits goes on waiting as long as it was to, nothing
// spins, and who holds a token that is now past or not yet valid gets a new one.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { startUpstream } from '../fake/upstream.mjs';
import { Aerie, makeFolder } from '../tools/aerie.mjs';
import { until } from '../tools/until.mjs';

const HOUR = 3600;
let upstream, folder, library;
before(async () => {
  upstream = await startUpstream();
  folder = makeFolder();
  library = join(folder, 'clock.so');
  execFileSync('cc', ['-std=gnu17', '-Wall', '-Wextra', '-Werror', '-O1', '-shared', '-fPIC', '-o', library, fileURLToPath(new URL('../fault/clock.c', import.meta.url))]);
});
after(() => upstream?.close());

async function withClock(env, run) {
  const file = join(makeFolder(), 'offset');
  const set = (seconds) => writeFileSync(file, new BigInt64Array([BigInt(seconds)]), { flag: 'r+' });
  writeFileSync(file, new BigInt64Array([0n]));
  const aerie = new Aerie({
    env,
    // The library must not be in the programs that env and the command line run.
    under: ['env', `LD_PRELOAD=${library}`, `CLOCK_OFFSET_FILE=${file}`, 'ASAN_OPTIONS=detect_leaks=1:exitcode=99:detect_stack_use_after_return=0:verify_asan_link_order=0'],
  });
  try {
    aerie.prepare();
    await aerie.listen();
    await aerie.makeAdmin();
    await run(aerie, set);
    await aerie.stop();
  } finally {
    if (aerie.child) aerie.drop();
  }
}

const dateOf = async (aerie) => Date.parse((await aerie.request('GET', '/health')).headers.date);

function cpuSeconds(pid) {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1].split(' ');
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

for (const [name, jump] of [['forward', HOUR], ['back', -HOUR]])
  test(`the_clock_jumps_an_hour_${name}`, () =>
    withClock({ LIMITS__MESSAGES_PER_MINUTE: '3', TURN__HEARTBEAT_SECONDS: '1' }, async (aerie, set) => {
      const agent = await aerie.admin.agent({ webhook_url: upstream.url() });
      const user = await aerie.user();
      const chats = [await user.chat(agent), await user.chat(agent), await user.chat(agent)];
      const running = await user.send(chats[0], '!tokens=40&delay=100');
      const silent = await user.send(chats[1], '!first=5000&tokens=1');
      assert.ok((await user.ask(chats[2], '!tokens=1')).done);
      await running.until((s) => s.of('message').length > 0);
      const idle = net.connect(aerie.port, '127.0.0.1');
      let answers = '';
      idle.on('data', (bytes) => (answers += bytes));
      idle.write('GET /health HTTP/1.1\r\nHost: x\r\n\r\n');
      while (!answers) await sleep(10);

      set(jump);
      await sleep(50);
      assert.ok(Math.abs((await dateOf(aerie)) - Date.now() - jump * 1000) < 5000, 'the clock of the server has jumped');
      const began = cpuSeconds(aerie.child.pid);
      await sleep(1500);
      assert.ok(cpuSeconds(aerie.child.pid) - began < 0.6, `${cpuSeconds(aerie.child.pid) - began} s of processor time in 1.5 s`);
      idle.write('GET /health HTTP/1.1\r\nHost: x\r\n\r\n');
      await until(() => answers.match(/200 OK/g).length >= 2, 'an idle connection is kept', 5000);
      idle.destroy();

      // Its token is past now, or not yet valid: the refresh token is good, and the rate has not begun anew.
      assert.equal((await user.get('/api/auth/me')).status, 401);
      const refreshed = await aerie.request('POST', '/api/auth/refresh', { json: { refresh_token: user.refreshToken } });
      assert.equal(refreshed.status, 200, refreshed.text);
      const again = aerie.client(refreshed.json.access_token);
      assert.equal((await again.get('/api/auth/me')).status, 200);
      assert.equal((await again.send(chats[2], '!tokens=1')).status, 429);

      assert.ok((await running.whole()).done, JSON.stringify(running.events.at(-1)));
      assert.equal(running.text.split(' ').length, 40);
      assert.ok((await silent.whole()).done, 'a wait of five seconds is one');
      assert.deepEqual((await again.messages(chats[0])).map((m) => [m.role, m.status]), [['user', 'complete'], ['assistant', 'complete']]);
      const fresh = await aerie.login(aerie.adminEmail);
      const chat = await fresh.chat(agent);
      assert.ok((await fresh.ask(chat, '!tokens=1')).done);
      set(0);
      const back = await aerie.login(aerie.adminEmail);
      assert.ok((await back.ask(chat, '!tokens=1')).done);
      assert.deepEqual((await back.messages(chat)).map((m) => m.role), ['user', 'assistant', 'user', 'assistant'], 'in the order they came');
    }));
