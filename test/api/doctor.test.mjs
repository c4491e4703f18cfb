// aerie doctor finds what is wrong, and says what to do: on the machine, in the database, and on the way from people to the server, with a
// real nginx there that is set up wrong in one place after the other.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { MailServer, SECRET, USER } from '../fake/smtp.mjs';
import { startUpstream } from '../fake/upstream.mjs';
import { Aerie, binaryPath, makeFolder } from '../tools/aerie.mjs';
import { kind } from '../tools/database.mjs';
import { runNginx } from '../tools/nginx.mjs';
import { runBeside } from '../tools/terminal.mjs';
import { makeCertificate } from '../tools/tls.mjs';

let aerie;
before(async () => {
  // The trial stream is rationed by address, and a proxy's clients are told apart: each look comes from an address of its own.
  aerie = await Aerie.start({ env: { TRUSTED_PROXIES: '127.0.0.1', TURN__HEARTBEAT_SECONDS: '2' } });
  aerie.env.SERVER__PORT = String(aerie.port);
});
after(() => aerie?.stop());

/** What `aerie doctor --json ARGS` found: {status, findings, stderr, marks of the others}. */
async function examine(args = [], { of = aerie, ...options } = {}) {
  const { status, stdout, stderr } = await runBeside(of, ['doctor', '--json', ...args], options);
  const findings = stdout.trim().split('\n').filter(Boolean).map((line) => JSON.parse(line));
  return { status, findings, stderr, all: (check) => findings.filter((f) => f.check === check), said: stdout };
}

/** Only these checks warn or find a problem, and the words fit. */
function holds(found, { problems = {}, warnings = {} }) {
  for (const [mark, wanted] of [['problem', problems], ['warning', warnings]]) {
    const marked = found.findings.filter((f) => f.mark === mark);
    for (const [check, words] of Object.entries(wanted)) {
      const finding = marked.find((f) => f.check === check);
      assert.ok(finding, `no ${mark} of ${check}:\n${found.said}`);
      assert.match(`${finding.message}\n${finding.remedy}`, words);
    }
    if (mark === 'problem') assert.deepEqual(marked.map(({ check }) => check).filter((check) => !(check in wanted)), [], found.said);
  }
  assert.equal(found.status, Object.keys(problems).length > 0 ? 1 : 0, found.said);
}

let visitor = 1;
const GOOD = `proxy_http_version 1.1; proxy_set_header Host $http_host; proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection $connection_upgrade;
  proxy_set_header X-Forwarded-For VISITOR; proxy_set_header X-Forwarded-Proto $scheme; proxy_buffering off; client_max_body_size 3m; client_body_buffer_size 3m; proxy_read_timeout 75s;`;
/** Runs the doctor through an nginx whose location has these lines; each change takes away what it replaces. */
async function through(changes, { args = [], server = '', env, listen = '' } = {}) {
  let lines = GOOD.replace('VISITOR', `192.0.2.${visitor++}`);
  for (const [from, to] of changes) {
    assert.match(lines, from);
    lines = lines.replace(from, to);
  }
  const nginx = await runNginx((port) => `map $http_upgrade $connection_upgrade { default upgrade; "" ""; }
    server { listen 127.0.0.1:${port} ${listen}; ${server} location / { proxy_pass http://127.0.0.1:${aerie.port}; ${lines} } }`);
  try {
    return await examine(['--url', `${listen ? 'https' : 'http'}://127.0.0.1:${nginx.port}`, ...args], { env });
  } finally {
    await nginx.close();
  }
}

const buffers = [/proxy_buffering off;/, 'proxy_buffering on; proxy_ignore_headers X-Accel-Buffering;'];
/** To a server of HTTP/1.0, nginx's default, it collects what is small; over 1.1 it passes each chunk on, unless it compresses. */
const old = [/proxy_http_version 1\.1;/, 'proxy_http_version 1.0;'];

test('a_well_set_up_machine_and_proxy_have_no_problem', async () => {
  const found = await through([]);
  holds(found, {});
  const ok = found.findings.filter(({ mark }) => mark === 'ok').map(({ check }) => check);
  for (const check of ['configuration', 'secret', 'disk', 'database', 'schema', 'memory', 'certificates', 'mail', 'server', 'address', 'clock', 'streams', 'client address', 'websockets', 'keep-alive', 'uploads'])
    assert.ok(ok.includes(check), `${check}: ${found.said}`);
  assert.match(found.all('client address')[0].message, /you are 192\.0\.2\.\d+/);
});

test('each_line_says_its_mark_in_words_and_below_it_what_to_do', async () => {
  const { status, stdout, stderr } = await runBeside(aerie, ['doctor', '--url', 'http://127.0.0.1:1'], { env: { COLUMNS: '100' } });
  assert.equal(status, 1, stderr);
  assert.match(stdout, /^ok {7}configuration: is understood \(development\)$/m);
  assert.match(stdout, /^problem {2}address: nothing answers at http:\/\/127\.0\.0\.1:1: .*\n(?: {9}\S.*\n)* {9}-> Is the proxy running, the port right, and the firewall open\?$/m);
  assert.match(stdout, /\n\n\d+ ok, \d+ warnings?, 1 problem\n$/);
  assert.doesNotMatch(stdout, /\x1b/);
  assert.match((await runBeside(aerie, ['doctor', '--color=always'])).stdout, /\x1b\[32mok\x1b\[0m/);
});

test('a_proxy_that_holds_streams_back_is_found_and_proxy_buffering_named', async () => {
  const websockets = /upgrade/;
  holds(await through([buffers, old]), { problems: { streams: /^a proxy between holds them back: a reply comes all at once\nnginx: `proxy_buffering off;`/, websockets } });
  // Aerie's own X-Accel-Buffering is enough for an nginx that heeds it.
  holds(await through([[/proxy_buffering off;/, 'proxy_buffering on;'], old]), { problems: { websockets } });
  holds(await through([buffers]), {});
});

test('a_proxy_that_compresses_streams_is_found_and_gzip_named', async () => {
  const gzip = 'gzip on; gzip_proxied any; gzip_types *; gzip_min_length 0;';
  // nginx compresses what it does not buffer piece by piece.
  const passed = await through([], { server: gzip });
  holds(passed, {});
  assert.match(passed.all('streams')[0].message, /though compressed: gzip/);
  const held = await through([buffers], { server: gzip });
  holds(held, { problems: { streams: /^a proxy between compresses them \(gzip\), and so holds them back.*\nnginx: leave text\/event-stream out of gzip_types/ } });
  holds(await through([buffers, old], { server: `${gzip} gzip_http_version 1.0;` }), { problems: { streams: /holds them back, and compresses them.*\nnginx: `proxy_buffering off;`/, websockets: /upgrade/ } });
});

test('a_proxy_that_says_nothing_or_is_not_believed_about_clients_is_found', async () => {
  const silent = [/proxy_set_header X-Forwarded-For \S+;/, ''];
  holds(await through([silent]), { problems: { 'client address': /the proxy is trusted, but does not tell it\nnginx: `proxy_set_header X-Forwarded-For/ } });
  const other = await Aerie.start();
  other.env.SERVER__PORT = String(other.port);
  const nginx = await runNginx((port) => `map $http_upgrade $connection_upgrade { default upgrade; "" ""; }
    server { listen 127.0.0.1:${port}; location /told/ { proxy_pass http://127.0.0.1:${other.port}/; ${GOOD.replace('VISITOR', '192.0.2.9')} }
      location /untold/ { proxy_pass http://127.0.0.1:${other.port}/; ${GOOD.replace(/proxy_set_header X-Forwarded-For \S+;/, '')} } }`);
  try {
    const at = (path) => examine(['--url', `http://127.0.0.1:${nginx.port}/${path}`], { of: other });
    holds(await at('told'), { problems: { 'client address': /is not in trusted_proxies\nPut the proxy's own address into TRUSTED_PROXIES/ } });
    holds(await at('untold/'), { problems: { 'client address': /there is a proxy, which does not tell it/ } });
    holds(await examine(['--url', other.base], { of: other }), {});
  } finally {
    await nginx.close();
    await other.stop();
  }
});

test('a_proxy_that_breaks_websockets_uploads_or_keep_alive_is_found', async () => {
  holds(await through([[/proxy_set_header Upgrade \S+;/, '']]), { problems: { websockets: /do not come through: the proxy takes their upgrade away.*\nnginx: `proxy_http_version 1.1;`/ } });
  holds(await through([[/client_max_body_size 3m;/, '']]), { problems: { uploads: /are refused by the proxy \(413\)\nnginx: `client_max_body_size 3m;`/ } });
  holds(await through([], { server: 'keepalive_timeout 0;' }), { warnings: { 'keep-alive': /each request needs a connection of its own/ } });
});

test('a_proxy_that_closes_silent_streams_is_found_when_asked_for', async () => {
  holds(await through([], { args: ['--long'] }), {});
  holds(await through([[/proxy_read_timeout 75s;/, 'proxy_read_timeout 1s;']], { args: ['--long'] }), { problems: { silence: /closes a stream that is silent.*\nnginx: `proxy_read_timeout 75s;`/ } });
  assert.equal((await runBeside(aerie, ['doctor', '--long'])).status, 2);
});

test('an_address_that_leads_elsewhere_is_told_from_one_that_leads_nowhere', async () => {
  const nginx = await runNginx((port) => `server { listen 127.0.0.1:${port}; location /down/ { proxy_pass http://127.0.0.1:1/; } location /moved/ { return 301 https://chat.example.com$request_uri; }
    location /other/ { return 200 "hello"; } }`);
  try {
    const at = (path) => examine(['--url', `http://127.0.0.1:${nginx.port}/${path}`]);
    holds(await at('down'), { problems: { address: /answered 502.*\nThe proxy does not reach Aerie: is it running/ } });
    holds(await at('moved'), { problems: { address: /it leads to https:\/\/chat\.example\.com\/.*\nGive the address that it leads to/ } });
    holds(await at('other'), { problems: { address: /is no word of Aerie's/ } });
    holds(await examine(['--url', 'http://name.invalid']), { problems: { address: /no address is known.*\nIts name is not in DNS/ } });
  } finally {
    await nginx.close();
  }
});

test('certificates_that_end_or_are_not_believed_are_found', async () => {
  const folder = makeFolder();
  const { path } = makeCertificate(folder, 'site'); // for two days
  const tls = `ssl_certificate ${path}; ssl_certificate_key ${join(folder, 'site.key')};`;
  const listen = 'ssl';
  const env = { UPSTREAM__CA_FILE: path };
  holds(await through([], { listen, server: tls, env }), { problems: { certificate: /ends in [12] days\nRenew it/ }, warnings: { environment: /Set ENVIRONMENT=production/ } });
  holds(await through([], { listen, server: tls }), { problems: { address: /is not to be trusted.*\nIs the certificate for this name/ } });
  const plain = await through([[/proxy_set_header X-Forwarded-Proto \S+;/, '']], { listen, server: tls, env });
  assert.match(plain.all('https')[0].remedy, /X-Forwarded-Proto \$scheme/);
});

test('a_server_that_is_not_there_or_not_itself_is_told', async () => {
  holds(await examine([], { env: { SERVER__PORT: '1' } }), { warnings: { server: /nothing answers at http:\/\/127\.0\.0\.1:1: it is not running, or on another port/ } });
  const nginx = await runNginx((port) => `server { listen 127.0.0.1:${port}; location / { return 200 "hello"; } }`);
  try {
    holds(await examine([], { env: { SERVER__PORT: String(nginx.port) } }), { problems: { server: /is no Aerie/ } });
  } finally {
    await nginx.close();
  }
});

test('a_database_that_is_stopped_empty_or_newer_is_told', async () => {
  holds(await examine([], { env: { DATABASE_URL: 'postgresql://nobody@127.0.0.1:1/none' } }), { problems: { database: /\nIs it running\? Is DATABASE_URL right/ } });
  const other = new Aerie();
  try {
    if (kind === 'sqlite') assert.match((await examine([], { of: other })).all('database')[0].message, /will be made by the first start/);
    else holds(await examine([], { of: other }), { warnings: { schema: /the database is empty/ } });
    other.command(['migrate', 'up']);
    other.command(['migrate', 'down']);
    holds(await examine([], { of: other }), { warnings: { schema: /the database is at migration \d+, this program at \d+/ } });
    other.command(['migrate', 'up']);
    other.database.query("insert into schema_migrations values (9999, 'future', 'now')");
    holds(await examine([], { of: other }), { problems: { schema: /is at migration 9999, this program knows/ } });
  } finally {
    other.drop();
  }
});

test('weak_secrets_and_bad_settings_are_told', async () => {
  holds(await examine([], { env: { SECRET_KEY: 'changeme' } }), { warnings: { secret: /SECRET_KEY is shorter than 32 bytes\nSet SECRET_KEY/ } });
  holds(await examine([], { env: { SECRET_KEY: 'a-very-long-change-me-that-everyone-knows', ENVIRONMENT: 'production' } }), { problems: { secret: /is a well-known example: the server will not start/ } });
  holds(await examine([], { env: { SECRET_KEY: undefined, ENVIRONMENT: 'production' } }), { problems: { secret: /SECRET_KEY is missing: the server will not start/ } });
  const broken = await examine([], { env: { SERVER__PROT: '1' } });
  holds(broken, { problems: { configuration: /unknown key SERVER__PROT; did you mean SERVER__PORT\?/ } });
  assert.equal(broken.findings.length, 1, 'nothing is guessed about what was not read');
});

test('disks_that_are_full_or_read_only_are_told', async () => {
  const library = join(dirname(binaryPath()), 'test/fault/libio_faults.so');
  const control = join(aerie.folder, 'faults');
  const sanitized = readFileSync(binaryPath()).includes('__sanitizer') ? { ASAN_OPTIONS: 'detect_leaks=1:exitcode=99:allocator_may_return_null=1:verify_asan_link_order=0' } : {};
  const data = join(aerie.folder, 'data');
  mkdirSync(data, { recursive: true });
  for (const [fault, words] of [['ENOSPC', /is full: nothing can be written/], ['EROFS', /is on a read-only disk\nMount it for writing/], ['EIO', /nothing can be written in/]]) {
    writeFileSync(control, `${fault} any ${data}/doctor-*\n`);
    holds(await examine([], { env: { LD_PRELOAD: library, AERIE_IO_FAULTS: control, ...sanitized } }), { problems: { disk: words } });
  }
  writeFileSync(join(aerie.folder, 'a-file'), '');
  holds(await examine([], { env: { DATA_DIR: join(aerie.folder, 'a-file') } }), { problems: { disk: /is no directory\nSet DATA_DIR/ } });
});

test('few_open_files_are_told', async () => {
  holds(await examine([], { under: ['prlimit', '--nofile=1024:1024'] }), { warnings: { 'open files': /1024 are allowed; 18000 clients .* need 36200\nRaise it/ } });
  holds(await examine([], { under: ['prlimit', '--nofile=256:256'] }), { problems: { 'open files': /256 are allowed/ } });
  assert.equal((await examine([], { env: { LIMITS__CONNECTIONS: '100' }, under: ['prlimit', '--nofile=1024:1024'] })).all('open files')[0].mark, 'ok');
});

test('a_clock_that_is_off_is_told', async () => {
  const folder = makeFolder();
  const library = join(folder, 'clock.so');
  execFileSync('cc', ['-std=gnu17', '-O1', '-shared', '-fPIC', '-o', library, fileURLToPath(new URL('../fault/clock.c', import.meta.url))]);
  const file = join(folder, 'offset');
  writeFileSync(file, new BigInt64Array([-3600n]));
  const env = { LD_PRELOAD: library, CLOCK_OFFSET_FILE: file, ASAN_OPTIONS: 'detect_leaks=1:exitcode=99:detect_stack_use_after_return=0:verify_asan_link_order=0' };
  holds(await examine(['--url', aerie.base], { env }), { problems: { clock: /is (3600|3599) s behind that of (the public address|PostgreSQL)\nKeep the time of all machines by NTP/ }, warnings: { 'client address': /though you come from one of trusted_proxies/ } });
});

test('mail_is_tried_without_sending_any', async () => {
  const folder = makeFolder();
  const { cert, key, path } = makeCertificate(folder);
  const server = await MailServer.start({ cert, key });
  const plain = await MailServer.start({ hideSTARTTLS: true, disabledCommands: ['STARTTLS'], authOptional: true });
  const env = { EMAIL__URL: `smtp://localhost:${server.port}`, EMAIL__FROM: 'chat@aerie.test', EMAIL__USER: USER, EMAIL__PASSWORD: SECRET, EMAIL__CA_FILE: path };
  try {
    const good = await examine([], { env });
    holds(good, {});
    assert.match(good.all('mail')[0].message, /takes us with email\.user; no mail was sent/);
    assert.equal(server.mails.length, 0);
    const wrong = await examine([], { env: { ...env, EMAIL__PASSWORD: 'wrong' } });
    holds(wrong, { problems: { mail: /See email\.user and email\.password/ } });
    assert.doesNotMatch(wrong.said, /app password/);
    holds(await examine([], { env: { ...env, EMAIL__CA_FILE: undefined } }), { problems: { mail: /certificate is not to be trusted/ } });
    holds(await examine([], { env: { ...env, EMAIL__URL: `smtp://localhost:${plain.port}` } }), { problems: { mail: /offers no STARTTLS/ } });
    holds(await examine([], { env: { ...env, EMAIL__URL: 'smtp://127.0.0.1:1' } }), { problems: { mail: /See email\.url's host and port/ } });
  } finally {
    await server.close();
    await plain.close();
  }
});

test('every_active_agent_is_asked_and_why_one_fails_is_told', async () => {
  const upstream = await startUpstream();
  try {
    const good = await aerie.admin.agent({ name: 'Good', webhook_url: upstream.url() });
    const bad = await aerie.admin.agent({ name: 'Gone', webhook_url: 'http://127.0.0.1:1/webhook/none' });
    const found = await examine(['--agents']);
    holds(found, { problems: { agent: /^Gone \(n8n\): .+ \(provider_unreachable\)\n\S/ } });
    const answering = found.all('agent').filter(({ mark }) => mark === 'ok').map(({ message }) => message.split(' ')[0]);
    assert.deepEqual(answering.toSorted(), ['Echo', 'Good']);
    assert.equal((await examine()).all('agent').length, 0, 'nobody is asked unless that is wanted');
    for (const { id } of [good, bad]) await aerie.admin.delete(`/api/agents/${id}`);
    holds(await examine(['--agents'], { env: { SERVER__PORT: '1' } }), { problems: { agents: /were not asked/ } });
  } finally {
    await upstream.close();
  }
});
