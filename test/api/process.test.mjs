// The process as a whole: its log, its descriptors, its data directory, and how it ends.
import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { startUpstream } from '../fake/upstream.mjs';
import { Aerie, PASSWORD } from '../tools/aerie.mjs';
import { EventStream } from '../tools/http.mjs';
import { freePort } from '../tools/postgres.mjs';
import { until } from '../tools/until.mjs';

let upstream;
before(async () => (upstream = await startUpstream()));
after(() => upstream?.close());

async function withServer(options, run, { listen } = {}) {
  const aerie = new Aerie(options);
  try {
    aerie.prepare();
    await aerie.listen(listen);
    await aerie.makeAdmin();
    await run(aerie);
    await aerie.stop();
  } finally {
    if (aerie.child) aerie.drop();
  }
}

const metric = async (aerie, name) => Number(new RegExp(`^${name} (\\S+)$`, 'm').exec((await aerie.request('GET', '/metrics')).text)?.[1]);

/** Seconds of processor time that the server took so far. */
function cpuSeconds(aerie) {
  const fields = readFileSync(`/proc/${aerie.child.pid}/stat`, 'utf8').split(') ')[1].split(' ');
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

async function idleCpu(aerie, ms) {
  const began = cpuSeconds(aerie);
  await sleep(ms);
  return ((cpuSeconds(aerie) - began) * 1000) / ms;
}

/* ---- the log ---- */

test('a_log_that_nobody_reads_is_dropped_and_counted_and_holds_nobody_up', () =>
  withServer({ env: { LOG__LEVEL: 'trace' } }, async (aerie) => {
    aerie.child.stderr.pause();
    aerie.child.stdout.pause();
    const chat = await aerie.admin.chat(await aerie.admin.agent({ webhook_url: upstream.url() }));
    for (let round = 0; round < 2000 && !(await metric(aerie, 'aerie_log_dropped_total')); round += 100)
      await Promise.all(Array.from({ length: 100 }, () => aerie.request('GET', '/health')));
    assert.ok((await metric(aerie, 'aerie_log_dropped_total')) > 0);
    assert.ok((await aerie.admin.ask(chat, '!tokens=50')).done);
    aerie.child.stderr.resume();
    aerie.child.stdout.resume();
  }));

test('a_log_on_a_full_disk_is_dropped_and_counted', () =>
  withServer({ env: { LOG__FILE: '/dev/full', LOG__LEVEL: 'debug' } }, async (aerie) => {
    const chat = await aerie.admin.chat(await aerie.admin.agent({ webhook_url: upstream.url() }));
    assert.ok((await aerie.admin.ask(chat, '!tokens=5')).done);
    assert.ok((await metric(aerie, 'aerie_log_dropped_total')) > 3);
  }));

test('a_closed_stderr_gets_no_record_and_no_database_does', async () => {
  const port = await freePort();
  // Standard input and output are closed as well: three numbers to be given to files that the server opens.
  await withServer({ env: { SERVER__PORT: port, LOG__LEVEL: 'trace' }, under: ['sh', '-c', 'exec "$@" <&- >&- 2>&-', 'sh'] }, async (aerie) => {
    const chat = await aerie.admin.chat(await aerie.admin.agent({ webhook_url: upstream.url() }));
    assert.ok((await aerie.admin.ask(chat, '!tokens=5')).done);
    const names = ['0', '1', '2'].map((fd) => readFileSync(`/proc/${aerie.child.pid}/fdinfo/${fd}`, 'utf8'));
    assert.ok(names.every((text) => /flags:\s+01?0*2$/m.test(text)), names.join());
    await aerie.halt();
    await aerie.listen({ port });
    assert.equal((await aerie.admin.messages(chat)).length, 2);
  }, { listen: { port } });
});

test('a_reader_of_the_log_that_goes_away_ends_nothing', () =>
  withServer({ env: { LOG__LEVEL: 'debug' } }, async (aerie) => {
    aerie.child.stderr.destroy();
    const chat = await aerie.admin.chat(await aerie.admin.agent({ webhook_url: upstream.url() }));
    assert.ok((await aerie.admin.ask(chat, '!tokens=5')).done);
    assert.ok((await metric(aerie, 'aerie_log_dropped_total')) > 0);
  }));

test('words_keys_and_addresses_of_people_are_in_no_line_of_the_log', () =>
  withServer({ env: { LOG__LEVEL: 'trace' } }, async (aerie) => {
    const said = 'Xylophonquartett', token = 'a-webhook-token-of-this-test';
    const agent = await aerie.admin.agent({ webhook_url: upstream.url(), webhook_token: token });
    const chat = await aerie.admin.chat(agent, { title: `${said} title` });
    await aerie.admin.ask(chat, said);
    await aerie.admin.ask(chat, '!status=500');
    await aerie.admin.get(`/api/chats?search=${said}`);
    await aerie.request('POST', '/api/auth/login', { json: { email: `${said}@aerie.test`, password: `wrong ${said}` } });
    await aerie.request('GET', `/api/chat/ws?token=${aerie.admin.token}`);
    await aerie.request('GET', '/api/auth/me', { headers: { Authorization: `Bearer ${said}.${said}.${said}` } });
    await aerie.halt();
    for (const secret of [said, token, aerie.admin.token, aerie.admin.refreshToken, PASSWORD, aerie.adminEmail, 'long-enough-for-production'])
      assert.ok(!aerie.log.includes(secret), aerie.log.split('\n').find((line) => line.includes(secret)));
    for (const line of aerie.log.trimEnd().split('\n')) assert.match(line, /^\d{4}-\d\d-\d\dT[\d:.]+Z (ERROR|WARN|INFO|DEBUG|TRACE) [\x20-\x7e]/);
    await aerie.listen();
  }));

/* ---- descriptors ---- */

test('when_descriptors_are_used_up_accepting_pauses_streams_live_and_all_recovers', () =>
  withServer({ under: ['prlimit', '--nofile=110:110'] }, async (aerie) => {
    const agent = await aerie.admin.agent({ webhook_url: upstream.url() });
    const chat = await aerie.admin.chat(agent);
    const later = await aerie.admin.chat(agent);
    const stream = await aerie.admin.send(chat, '!tokens=60&delay=100');
    await stream.until((s) => s.of('message').length > 0);
    // Kept alive, for the call to an agent that has no descriptor.
    const kept = net.connect(aerie.port, '127.0.0.1');
    let answer = '';
    kept.on('data', (bytes) => (answer += bytes));
    const ask = () => {
      const body = JSON.stringify({ content: 'hello' });
      kept.write(`POST /api/chats/${later.id}/messages HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${aerie.admin.token}\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`);
    };
    kept.write('GET /health HTTP/1.1\r\nHost: x\r\n\r\n');
    while (!/200 OK/.test(answer)) await sleep(10);
    const crowd = Array.from({ length: 200 }, () => net.connect(aerie.port, '127.0.0.1').on('error', () => {}));
    await until(() => /accepting pauses/.test(aerie.log), () => aerie.log);
    assert.ok((await idleCpu(aerie, 1500)) < 0.3, 'no busy loop');
    ask();
    await until(() => /"type":"(error|done)"/.test(answer), () => answer);
    assert.equal(answer.match(/"type":"(error|done)"/g).length, 1, answer);
    const before = stream.of('message').length;
    await sleep(300);
    assert.ok(stream.of('message').length > before, 'the stream goes on');
    if (aerie.database.kind === 'postgres') aerie.database.query('select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()');
    for (const socket of crowd) socket.destroy();
    kept.destroy();
    assert.ok((await stream.whole()).done);
    await until(async () => (await aerie.request('GET', '/health/ready')).status === 200, 'ready', 6000);
    assert.ok((await aerie.admin.ask(await aerie.admin.chat(agent), '!tokens=1')).done);
  }));

/* ---- the end ---- */

test('sigterm_answers_what_was_accepted_at_every_door', () =>
  withServer({ env: { SECURITY__BCRYPT_ROUNDS: '11' } }, async (aerie) => {
    const agent = await aerie.admin.agent({ webhook_url: upstream.url() });
    const [one, two] = [await aerie.admin.chat(agent), await aerie.admin.chat(agent)];
    const stream = await aerie.admin.send(one, '!tokens=20&delay=100');
    await stream.until((s) => s.of('message').length > 0);
    const waiter = aerie.admin.post(`/api/chats/${two.id}/messages`, { content: '!tokens=20&delay=100' }, { headers: { Accept: 'application/json' } });
    // A body of which half is there.
    const half = net.connect(aerie.port, '127.0.0.1');
    let answer = '';
    half.on('data', (bytes) => (answer += bytes));
    const body = JSON.stringify({ agent_id: agent.id });
    half.write(`POST /api/chats HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${aerie.admin.token}\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body.slice(0, 9)}`);
    await sleep(100);
    const login = aerie.request('POST', '/api/auth/login', { json: { email: aerie.adminEmail, password: PASSWORD } });
    await sleep(30);
    const { child } = aerie;
    aerie.child.isToDie = true;
    child.kill('SIGTERM');
    await sleep(100);
    half.write(body.slice(9));
    assert.equal((await login).status, 200);
    assert.ok((await stream.whole()).done, JSON.stringify(stream.events.at(-1)));
    const waited = await waiter;
    assert.equal(waited.status, 200, waited.text);
    assert.equal((await child.exit).code, 0);
    assert.match(answer, /^HTTP\/1\.1 201 /);
    aerie.child = null;
    await aerie.listen();
    assert.equal((await aerie.admin.messages(two)).at(-1).status, 'complete');
  }));

test('whoever_holds_on_does_not_hold_up_the_end', () =>
  withServer({ env: { SERVER__DRAIN_SECONDS: 1 } }, async (aerie) => {
    const agent = await aerie.admin.agent({ webhook_url: upstream.url() });
    const stuck = [];
    for (const bytes of ['GET /hea', `POST /api/chats HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${aerie.admin.token}\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{`, '']) {
      const socket = net.connect(aerie.port, '127.0.0.1').on('error', () => {});
      socket.pause();
      socket.write(bytes);
      stuck.push(socket);
    }
    const deaf = net.connect(aerie.port, '127.0.0.1').on('error', () => {});
    deaf.pause();
    const body = JSON.stringify({ content: '!tokens=100000&size=1000' });
    deaf.write(`POST /api/chats/${(await aerie.admin.chat(agent)).id}/messages HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${aerie.admin.token}\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`);
    const never = await aerie.admin.send(await aerie.admin.chat(agent), '!first=60000');
    await sleep(500);
    const began = Date.now();
    const { child } = aerie;
    child.isToDie = true;
    child.kill('SIGTERM');
    await never.ended;
    assert.equal(never.events.filter((e) => ['error', 'done'].includes(e.type)).length, 1, JSON.stringify(never.events));
    assert.equal((await child.exit).code, 0, aerie.log.slice(-2000));
    assert.ok(Date.now() - began < 10000, `${Date.now() - began} ms`);
    for (const socket of [...stuck, deaf]) socket.destroy();
    aerie.child = null;
    await aerie.listen();
  }));

/* ---- the data directory ---- */

test('a_data_directory_that_cannot_be_used_is_named', async () => {
  for (const [spoil, pattern] of [
    [(data) => writeFileSync(data, 'a file'), /data/],
    [(data) => mkdirSync(join(data, 'aerie.db'), { recursive: true }), /aerie\.db/],
    [(data) => (mkdirSync(data), writeFileSync(join(data, 'aerie.db'), 'this is no database '.repeat(500))), /aerie\.db is not a SQLite database/],
    [(data) => (mkdirSync(data), writeFileSync(join(data, 'replies'), 'a file')), /replies/],
    [(data) => (mkdirSync(data), writeFileSync(join(data, 'secret'), 'cut')), /secret/],
  ]) {
    const aerie = new Aerie({ env: { SECRET_KEY: null, DATABASE_URL: null }, database: 'sqlite' });
    try {
      spoil(aerie.env.DATA_DIR);
      const ran = aerie.tryCommand(['serve']);
      assert.equal(ran.status, 1, ran.stderr);
      assert.match(ran.stderr, pattern);
      assert.match(ran.stderr.trimEnd().split('\n').at(-1), /^aerie: /, 'the last line says why');
    } finally {
      aerie.drop();
    }
  }
});

test('rubbish_among_the_journals_is_no_hindrance', () =>
  withServer({}, async (aerie) => {
    const chat = await aerie.admin.chat(await aerie.admin.agent({ webhook_url: upstream.url() }));
    const stream = await aerie.admin.send(chat, '!tokens=1000&delay=5');
    assert.ok(stream instanceof EventStream);
    await stream.until((s) => s.text.length > 500);
    await sleep(1200);
    await aerie.kill();
    const replies = join(aerie.env.DATA_DIR, 'replies');
    writeFileSync(join(replies, 'noise.journal'), Buffer.from(Array.from({ length: 5000 }, (_, i) => (i * 7919) % 256)));
    writeFileSync(join(replies, 'empty.journal'), '');
    writeFileSync(join(replies, 'short.journal'), 'x');
    await aerie.listen();
    const [, reply] = await aerie.admin.messages(chat);
    assert.equal(reply.status, 'interrupted');
    assert.ok(reply.content.startsWith('tok0 tok1'));
  }));
