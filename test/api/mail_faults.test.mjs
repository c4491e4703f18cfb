// Mail servers that fail in every way, and a server that is killed between its promise and the mail.
import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { linksOf, MailServer, SECRET, startScript, USER } from '../fake/smtp.mjs';
import { Aerie, makeFolder, PASSWORD, runCommand, unique } from '../tools/aerie.mjs';
import { makeCertificate } from '../tools/tls.mjs';
import { until } from '../tools/until.mjs';

let folder;
let certificate;
let aerie; // of the running test
before(() => {
  folder = makeFolder();
  certificate = makeCertificate(folder);
});
after(() => rmSync(folder, { recursive: true, force: true }));

const forgot = (email) => aerie.request('POST', '/api/auth/password/forgot', { json: { email } });
const logged = (pattern) => until(() => pattern.test(aerie.log), () => `${pattern} in ${aerie.log}`, 15000);

const usual = {
  EMAIL__USER: USER, EMAIL__PASSWORD: SECRET, EMAIL__FROM: 'noreply@aerie.test', EMAIL__RETRY_SECONDS: 1, EMAIL__TIMEOUT_SECONDS: 2,
  SERVER__PUBLIC_URL: 'https://chat.example.com/', LIMITS__MAIL_PER_MINUTE: 0, LIMITS__MAIL_PER_ACCOUNT: 0,
};

/** A server with these settings; a fresh user is handed to run. */
async function withMail(env, run) {
  aerie = await Aerie.start({ env: { ...usual, EMAIL__CA_FILE: certificate.path, ...env } });
  try {
    const user = await aerie.user();
    await run(user);
    await aerie.stop();
    assert.ok(!aerie.log.includes(user.email) && !aerie.log.includes(SECRET), 'neither addresses nor secrets are logged');
  } finally {
    if (aerie.child) aerie.drop();
  }
}

async function withServer(options, env, run) {
  const mail = await MailServer.start({ cert: certificate.cert, key: certificate.key, ...options });
  try {
    await withMail({ EMAIL__URL: `smtp://localhost:${mail.port}`, ...env(mail) }, (user) => run(user, mail));
  } finally {
    await mail.close();
  }
}

test('smtps_speaks_tls_from_the_first_byte', () =>
  withServer({ secure: true }, (mail) => ({ EMAIL__URL: `smtps://localhost:${mail.port}` }), async (user, mail) => {
    assert.equal((await forgot(user.email)).status, 202);
    const sent = await mail.mailTo(user.email);
    assert.deepEqual([sent.isSecure, sent.user], [true, USER]);
    assert.equal(linksOf(sent)[0].base, 'https://chat.example.com');
  }));

test('a_server_without_tls_gets_mail_only_where_that_is_allowed', async () => {
  const options = { hideSTARTTLS: true, authOptional: true, allowInsecureAuth: true };
  await withServer(options, () => ({}), async (user, mail) => {
    await forgot(user.email);
    await logged(/not sent: the mail server offers no TLS, which email.starttls requires/);
    assert.equal(mail.tries, 0);
  });
  await withServer(options, () => ({ EMAIL__STARTTLS: 'optional', EMAIL__USER: null, EMAIL__PASSWORD: null }), async (user, mail) => {
    await forgot(user.email);
    assert.equal((await mail.mailTo(user.email)).isSecure, false);
  });
  await withServer({ authOptional: true }, () => ({ EMAIL__STARTTLS: 'optional', EMAIL__USER: null, EMAIL__PASSWORD: null }), async (user, mail) => {
    await forgot(user.email);
    assert.equal((await mail.mailTo(user.email)).isSecure, true, 'where it is offered it is used');
  });
});

test('a_certificate_that_nobody_vouches_for_gets_neither_password_nor_mail', async () => {
  const other = makeCertificate(folder, 'other');
  let logins = 0;
  await withServer({ onAuth: (auth, session, done) => (logins++, done(null, { user: 'x' })) }, () => ({ EMAIL__CA_FILE: other.path }), async (user, mail) => {
    await forgot(user.email);
    await logged(/not sent: the mail server's certificate is not trusted/);
    assert.deepEqual([logins, mail.tries], [0, 0]);
  });
});

test('a_wrong_password_is_tried_as_often_as_configured', () =>
  withServer({}, () => ({ EMAIL__PASSWORD: 'not it', EMAIL__TRIES: 2 }), async (user, mail) => {
    await forgot(user.email);
    await logged(/given up after 2 tries: the mail server refuses email.user or its password \(535\)/);
    assert.equal(mail.tries, 0);
  }));

test('a_server_that_is_full_or_shuts_its_door_gets_the_mail_later', async () => {
  let open = false;
  const onConnect = (session, done) => (open ? done() : done(Object.assign(new Error('4.3.2 closing'), { responseCode: 421 })));
  await withServer({ onConnect }, () => ({}), async (user, mail) => {
    await forgot(user.email);
    await logged(/not sent: the mail server does not want us \(421\); trying again in 1 s/);
    open = true;
    await mail.mailTo(user.email);
  });
});

test('a_connection_cut_in_data_is_tried_again', async () => {
  let cuts = 0;
  const sessions = new Set();
  const onData = function (stream, session, done) {
    if (cuts++ === 0) {
      for (const connection of this.connections) connection._socket.destroy();
      return;
    }
    sessions.add(session.id);
    stream.resume();
    stream.on('end', done);
  };
  await withServer({ onData }, () => ({}), async (user) => {
    await forgot(user.email);
    await logged(/not sent: the mail server broke off/);
    while (sessions.size === 0) await sleep(20);
    assert.equal(cuts, 2);
  });
});

test('a_silent_server_holds_nobody_up_and_lets_the_process_end', async () => {
  for (const greeting of ['', '220 here ESMTP\r\n']) {
    const silent = await startScript(greeting, () => {});
    try {
      await withMail({ EMAIL__URL: `smtp://localhost:${silent.port}` }, async (user) => {
        await forgot(user.email);
        await sleep(600);
        const began = performance.now();
        for (let i = 0; i < 50; i++) assert.equal((await user.get('/api/auth/me')).status, 200);
        assert.ok(performance.now() - began < 1500, `${performance.now() - began} ms for 50 calls while it waits`);
        await logged(/not sent: the mail server did not answer in time/);
        await sleep(1200); // in the second try
        const ending = performance.now();
        await aerie.halt();
        assert.ok(performance.now() - ending < 3000, `${performance.now() - ending} ms to end`);
        await aerie.listen();
      });
    } finally {
      await silent.close();
    }
  }
});

/** A gate: the server has the whole text and says nothing until it opens. */
function gate() {
  let open;
  let entered;
  const opened = new Promise((resolve) => (open = resolve));
  const inside = new Promise((resolve) => (entered = resolve));
  return { open, inside, wait: () => (entered(), opened.then(() => null)) };
}

test('a_mail_that_was_promised_comes_after_a_kill', () =>
  withServer({}, () => ({ EMAIL__TIMEOUT_SECONDS: 1 }), async (user, mail) => {
    const door = gate();
    mail.onText = door.wait;
    assert.equal((await forgot(user.email)).status, 202);
    await door.inside; // the server has all of it, and has not said so
    await aerie.kill();
    mail.onText = () => null;
    await aerie.listen();
    const sent = await mail.mailTo(user.email); // when the dead process's lease is over
    door.open();
    await sleep(1500);
    const all = mail.mails.filter((m) => m.to.address === user.email);
    assert.ok(all.length <= 2, `${all.length} mails`);
    for (const one of all) assert.equal(one.messageId, sent.messageId, 'a mail program shows the doubled one once');
    const answer = await aerie.request('POST', '/api/auth/password/reset', { json: { token: linksOf(sent)[0].token, password: 'after the kill' } });
    assert.equal(answer.status, 200, answer.text);
    await aerie.kill();
    await aerie.listen();
    assert.equal((await user.get('/api/auth/me')).status, 401, 'what the new password revoked outlives a kill too');
  }));

test('a_kill_right_after_the_promise_loses_nothing', () =>
  withServer({}, () => ({}), async (user, mail) => {
    const asked = Array.from({ length: 10 }, () => `${unique('k')}@aerie.test`);
    for (const email of asked) await aerie.user({ email });
    const answers = await Promise.all(asked.map(forgot));
    await aerie.kill();
    assert.ok(answers.every((a) => a.status === 202));
    await aerie.listen();
    for (const email of asked) await mail.mailTo(email);
    for (const email of asked) assert.ok(mail.mails.filter((m) => m.to.address === email).length <= 2);
  }));

test('a_server_that_is_told_to_end_hears_the_last_word_on_a_mail', () =>
  withServer({}, () => ({ EMAIL__TIMEOUT_SECONDS: 10 }), async (user, mail) => {
    const door = gate();
    mail.onText = door.wait;
    await forgot(user.email);
    await door.inside;
    const ended = aerie.halt();
    await sleep(700);
    door.open();
    await ended;
    mail.onText = () => null;
    await aerie.listen();
    await sleep(1500);
    assert.equal(mail.mails.filter((m) => m.to.address === user.email).length, 1, 'sent once');
  }));

test('links_and_mails_have_an_end', () =>
  withServer({}, () => ({ EMAIL__RESET_SECONDS: 1 }), async (user, mail) => {
    await forgot(user.email);
    const [{ token }] = linksOf(await mail.mailTo(user.email));
    await sleep(1100);
    const late = await aerie.request('POST', '/api/auth/password/reset', { json: { token, password: PASSWORD } });
    assert.equal(late.status, 400, late.text);
    mail.onRecipient = () => [451, 'later'];
    await forgot(user.email);
    await sleep(1300);
    mail.onRecipient = () => null;
    await sleep(1500);
    assert.equal(mail.mails.length, 1, 'a mail whose link is over is not sent');
  }));

test('asking_too_often_is_refused_by_address_and_by_account', () =>
  withServer({}, () => ({ LIMITS__MAIL_PER_MINUTE: 6, LIMITS__MAIL_PER_ACCOUNT: 2 }), async (user, mail) => {
    mail.onRecipient = () => [451, 'later'];
    const nobody = `${unique('nobody')}@aerie.test`;
    for (const email of [user.email, nobody]) {
      assert.deepEqual([(await forgot(email)).status, (await forgot(email)).status], [202, 202]);
      const third = await forgot(email);
      assert.equal(third.status, 429, third.text);
      assert.ok(Number(third.headers['retry-after']) > 60);
    }
    const seventh = await forgot(`${unique()}@aerie.test`);
    assert.equal(seventh.status, 429, 'from one address');
    assert.equal((await aerie.request('POST', '/api/auth/verify-email', { json: { token: 'x'.repeat(43) } })).status, 429, 'nor may tokens be guessed');
    mail.onRecipient = () => null;
  }));

test('past_the_outbox_bound_asking_is_refused', () =>
  withServer({}, () => ({ EMAIL__OUTBOX: 1, EMAIL__RETRY_SECONDS: 600 }), async (user, mail) => {
    mail.onRecipient = () => [451, 'later'];
    assert.equal((await forgot(user.email)).status, 202);
    await logged(/trying again in 600 s/);
    const refused = await forgot(user.email);
    assert.equal(refused.status, 503, refused.text);
      assert.equal((await forgot(`${unique('nobody')}@aerie.test`)).status, 503, 'whoever it is for');
  }));

test('gmails_two_names_are_enough', () => {
  const config = (env) => runCommand(['config', '--json'], { env, cwd: folder });
  const said = JSON.parse(config({ EMAIL__GMAIL_FROM_EMAIL: 'shop@gmail.com', EMAIL__GMAIL_APP_PASSWORD: 'abcd efgh' }).stdout);
  const { url, user, from, password } = said.email;
  assert.deepEqual({ url, user, from }, { url: 'smtps://smtp.gmail.com:465', user: 'shop@gmail.com', from: 'shop@gmail.com' });
  assert.match(password, /^\*+$/);
  const lonely = config({ EMAIL__URL: 'smtp://mail.test' });
  assert.equal(lonely.status, 1);
  assert.match(lonely.stderr, /email\.url is set, and email\.from is not/);
});

test('a_team_that_insists_takes_nobody_without_mail', () =>
  withMail({ EMAIL__FROM: null, EMAIL__PASSWORD: null }, async () => {
    assert.equal((await aerie.admin.put('/api/team', { settings: { require_verified_email: true } })).status, 200);
    const email = `${unique('new')}@aerie.test`;
    const answer = await aerie.request('POST', '/api/auth/register', { json: { email, password: PASSWORD } });
    assert.equal(answer.status, 503, answer.text);
    assert.deepEqual(answer.json, { detail: 'Mail is not configured' });
    assert.equal((await aerie.request('POST', '/api/auth/verify-email/resend', { json: { email } })).status, 503);
  }));
