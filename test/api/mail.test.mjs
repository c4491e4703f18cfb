// Forgotten passwords and addresses to confirm, with a real SMTP server behind STARTTLS and a login.
import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { linksOf, SECRET, startMail, USER } from '../fake/smtp.mjs';
import { TOKEN, verifies, WordPress } from '../fake/wordpress.mjs';
import { Aerie, makeFolder, PASSWORD, unique } from '../tools/aerie.mjs';

const BASE = 'https://chat.example.com';
let folder;
let mail;
let aerie;
before(async () => {
  folder = makeFolder();
  const started = await startMail(folder);
  mail = started.mail;
  aerie = await Aerie.start({
    env: {
      ...started.env, EMAIL__FROM_NAME: 'Ærie "Support"', EMAIL__RETRY_SECONDS: 1, SERVER__PUBLIC_URL: BASE,
      SITES__PROVIDER: 'echo', LIMITS__MAIL_PER_MINUTE: 0, LIMITS__MAIL_PER_ACCOUNT: 0, LOG__LEVEL: 'debug',
    },
  });
});
after(async () => {
  await aerie?.stop();
  await mail?.close();
  if (folder) rmSync(folder, { recursive: true, force: true });
});

const forgot = (email, extra = {}) => aerie.request('POST', '/api/auth/password/forgot', { json: { email, ...extra } });
const reset = (token, password) => aerie.request('POST', '/api/auth/password/reset', { json: { token, password } });
const verify = (token) => aerie.request('POST', '/api/auth/verify-email', { json: { token } });
const login = (email, password = PASSWORD) => aerie.request('POST', '/api/auth/login', { json: { email, password } });

test('a_forgotten_password_is_reset_by_mail_once_and_every_login_ends', async () => {
  const user = await aerie.user();
  const other = await aerie.login(user.email);
  const asked = await forgot(user.email);
  assert.equal(asked.status, 202, asked.text);
  assert.equal(asked.text, '');
  const sent = await mail.mailTo(user.email);
  assert.equal(sent.isSecure, true, 'over STARTTLS');
  assert.equal(sent.user, USER, 'logged in');
  assert.equal(sent.envelope.mailFrom.address, 'noreply@aerie.test');
  assert.deepEqual(sent.envelope.rcptTo.map((to) => to.address), [user.email]);
  assert.deepEqual([sent.from.address, sent.from.name], ['noreply@aerie.test', 'Ærie "Support"']);
  assert.equal(sent.subject, 'Your password at Aerie');
  assert.equal(sent.headers.get('auto-submitted'), 'auto-generated');
  assert.match(sent.messageId, /^<[0-9a-f-]{36}@aerie\.test>$/);
  assert.ok(Math.abs(sent.date - Date.now()) < 60000, String(sent.date));
  assert.match(sent.text, /within 1 hour/);
  const [link, ...more] = linksOf(sent);
  assert.deepEqual([link.base, link.kind, more.length], [BASE, 'reset', 0]);

  const short = await reset(link.token, 'short');
  assert.equal(short.status, 422, short.text);
  const done = await reset(link.token, 'a new password');
  assert.equal(done.status, 200, done.text);
  for (const client of [user, other]) {
    assert.equal((await client.get('/api/auth/me')).status, 401, 'its access token');
    const refreshed = await aerie.request('POST', '/api/auth/refresh', { json: { refresh_token: client.refreshToken } });
    assert.equal(refreshed.status, 401, 'its refresh token');
  }
  assert.equal((await login(user.email)).status, 401, 'the old password');
  const back = await aerie.login(user.email, { password: 'a new password' });
  assert.equal(back.me.email_verified, true, 'who reads the mail has the address');

  const again = await reset(link.token, 'yet another one');
  assert.equal(again.status, 400, again.text);
  assert.equal(again.json.detail, 'This link is not valid any more: ask for a new mail');
  assert.equal((await back.get('/api/auth/me')).status, 200, 'the refused try changed nothing');
  assert.ok(!aerie.log.includes(link.token) && !aerie.log.includes(user.email) && !aerie.log.includes(SECRET), 'nothing of it is logged');
});

test('of_two_that_use_a_link_at_once_one_wins', async () => {
  const user = await aerie.user();
  await forgot(user.email);
  const [{ token }] = linksOf(await mail.mailTo(user.email));
  const words = Array.from({ length: 8 }, (_, i) => `new password ${i}`);
  const answers = await Promise.all(words.map((word) => reset(token, word)));
  assert.deepEqual(answers.map((a) => a.status).sort(), [200, ...Array(7).fill(400)]);
  await aerie.login(user.email, { password: words[answers.findIndex((a) => a.status === 200)] });
});

test('a_new_password_spends_the_links_that_were_mailed', async () => {
  const user = await aerie.user();
  await forgot(user.email);
  const [first] = linksOf(await mail.mailTo(user.email));
  await forgot(user.email);
  const [second] = linksOf(await mail.mailTo(user.email, 2));
  assert.notEqual(first.token, second.token);
  assert.equal((await reset(second.token, 'a new password')).status, 200);
  assert.equal((await reset(first.token, 'an older link')).status, 400);
  const back = await aerie.login(user.email, { password: 'a new password' });
  await forgot(user.email);
  const [third] = linksOf(await mail.mailTo(user.email, 3));
  assert.equal((await back.put('/api/auth/me', { password: PASSWORD, current_password: 'a new password' })).status, 200);
  assert.equal((await reset(third.token, 'from the mail')).status, 400);
  await forgot(user.email);
  const [fourth] = linksOf(await mail.mailTo(user.email, 4));
  aerie.command(['user', 'password', '--email', user.email, '--team', aerie.team.slug, '--password-stdin'], { input: `${PASSWORD}\n` });
  assert.equal((await reset(fourth.token, 'from the mail')).status, 400, 'the operator has set another');
});

test('the_admin_of_a_site_that_registered_itself_sets_a_first_password_by_mail', async () => {
  const wordpress = await WordPress.start();
  try {
    const site = wordpress.site(verifies);
    const registered = await aerie.request('POST', '/api/v1/register', { json: { site_url: site.url, admin_email: site.email, callback_token: TOKEN } });
    assert.equal(registered.status, 200, registered.text);
    await forgot(site.email.toUpperCase());
    const [link] = linksOf(await mail.mailTo(site.email));
    assert.equal((await reset(link.token, 'a first password')).status, 200);
    const admin = await aerie.login(site.email, { password: 'a first password' });
    assert.deepEqual([admin.me.role, admin.me.team_id], ['admin', registered.json.tenant_id]);
    assert.equal((await admin.get(`/api/agents/${registered.json.chatbot_id}`)).status, 200);
  } finally {
    wordpress.stop();
  }
});

test('an_unknown_address_gets_the_same_answer_and_no_mail', async () => {
  const user = await aerie.user();
  const nobody = `${unique('nobody')}@aerie.test`;
  const known = await forgot(user.email);
  const unknown = await forgot(nobody);
  const elsewhere = await forgot(user.email, { team_id: '00000000-0000-4000-8000-000000000000' });
  for (const answer of [unknown, elsewhere]) {
    assert.deepEqual([answer.status, answer.text], [known.status, known.text]);
    assert.deepEqual(Object.keys(answer.headers), Object.keys(known.headers));
  }
  await mail.mailTo(user.email);
  await forgot(user.email); // behind the others in the outbox
  await mail.mailTo(user.email, 2);
  await sleep(1200);
  assert.equal(mail.mails.filter((m) => m.to.address === nobody).length, 0);
  assert.equal(mail.mails.filter((m) => m.to.address === user.email).length, 2, 'none for the team that is not theirs');
});

test('asking_costs_the_same_whether_the_account_exists_or_not', async () => {
  const user = await aerie.user();
  const median = (list) => list.sort((a, b) => a - b)[list.length >> 1];
  const measure = async () => {
    const times = { known: [], unknown: [] };
    for (let i = 0; i < 30; i++)
      for (const kind of ['known', 'unknown']) {
        const began = performance.now();
        await forgot(kind === 'known' ? user.email : `${unique('nobody')}@aerie.test`);
        times[kind].push(performance.now() - began);
      }
    return [median(times.known), median(times.unknown)];
  };
  // A busy machine may spoil one measurement, and hardly three.
  const seen = [];
  for (let tries = 0; tries < 3; tries++) {
    const [known, unknown] = await measure();
    seen.push(`${known} ms and ${unknown} ms`);
    if (Math.abs(known - unknown) < Math.max(3, 0.5 * Math.max(known, unknown))) return;
  }
  assert.fail(seen.join('; '));
});

test('one_address_in_two_teams_gets_one_mail_that_names_each', async () => {
  const other = await aerie.otherTeam();
  // A team's name is its admin's to choose: it is no way to write to people in our name.
  assert.equal((await other.admin.put('/api/team', { name: 'You have won: https://evil.example' })).status, 200);
  const user = await aerie.user();
  await aerie.user({ email: user.email, team_id: other.id });
  await forgot(user.email);
  const sent = await mail.mailTo(user.email);
  const links = linksOf(sent);
  assert.equal(links.length, 2);
  for (const slug of [aerie.team.slug, other.slug]) assert.ok(sent.text.includes(`In the team ${slug}:`), sent.text);
  assert.ok(!sent.text.includes('evil'), sent.text);
  assert.equal((await reset(links[1].token, 'only in the second')).status, 200);
  assert.equal((await aerie.login(user.email, { team_id: other.id, password: 'only in the second' })).me.team_id, other.id);
  await aerie.login(user.email, { team_id: aerie.team.id });
  await forgot(user.email, { team_id: other.id });
  assert.equal(linksOf(await mail.mailTo(user.email, 2)).length, 1, 'with a team: that one alone');
});

test('a_team_that_insists_lets_in_who_has_confirmed_the_address', async () => {
  const team = await aerie.otherTeam();
  const settings = { require_verified_email: true };
  assert.equal((await team.admin.put('/api/team', { settings: { require_verified_email: 'yes' } })).status, 422);
  assert.equal((await team.admin.put('/api/team', { settings })).status, 200);
  const email = `${unique('new')}@aerie.test`;
  const made = await aerie.request('POST', '/api/auth/register', { json: { email, password: PASSWORD, full_name: 'Buy now', team_id: team.id } });
  assert.equal(made.status, 201, made.text);
  assert.deepEqual(Object.keys(made.json), ['id', 'team_id', 'email', 'full_name', 'role', 'is_active', 'created_at']);
  const refused = await login(email);
  assert.equal(refused.status, 403, refused.text);
  assert.deepEqual(refused.json, { detail: 'Confirm your e-mail address first' });
  assert.equal((await login(email, 'not the password')).status, 401, 'only who knows the password hears of it');
  const sent = await mail.mailTo(email);
  assert.match(sent.text, /within 24 hours/);
  assert.ok(!sent.raw.includes('Buy now'), 'what people type about themselves is not sent to others');
  const [link] = linksOf(sent);
  assert.equal(link.kind, 'verify');
  assert.equal((await reset(link.token, 'not for this')).status, 400, 'a token is for its purpose only');
  const resent = await aerie.request('POST', '/api/auth/verify-email/resend', { json: { email, team_id: team.id } });
  assert.equal(resent.status, 202, resent.text);
  const [newer] = linksOf(await mail.mailTo(email, 2));
  const done = await verify(newer.token);
  assert.equal(done.status, 200, done.text);
  assert.equal(done.json.message, 'Your e-mail address is confirmed');
  assert.equal((await verify(newer.token)).status, 400);
  assert.equal((await verify(link.token)).status, 400, 'the older link is spent with it');
  const user = await aerie.login(email);
  assert.equal(user.me.email_verified, true);
  assert.equal((await aerie.login(team.admin.email)).me.email_verified, true, 'the operator vouches for whom he adds');
  // again, for one who has confirmed: the answer is the same, and no mail comes
  assert.equal((await aerie.request('POST', '/api/auth/verify-email/resend', { json: { email } })).status, 202);
  await sleep(1200);
  assert.equal(mail.mails.filter((m) => m.to.address === email).length, 2);
});

test('who_is_signed_in_confirms_the_address_without_naming_it', async () => {
  const user = await aerie.user();
  assert.equal(user.me.email_verified, false);
  assert.equal((await aerie.request('POST', '/api/auth/verify-email/resend', { json: {} })).status, 422);
  assert.equal((await user.post('/api/auth/verify-email/resend')).status, 202);
  const [link] = linksOf(await mail.mailTo(user.email));
  assert.equal((await verify(link.token)).status, 200);
  assert.equal((await user.get('/api/auth/me')).json.email_verified, true);
});

test('tokens_that_are_none_get_one_answer', async () => {
  const spent = { detail: 'This link is not valid any more: ask for a new mail' };
  for (const token of ['x', 'x'.repeat(43), 'é'.repeat(20), '../../..'])
    for (const answer of [await verify(token), await reset(token, PASSWORD)]) {
      assert.equal(answer.status, 400, answer.text);
      assert.deepEqual(answer.json, spent);
    }
  assert.equal((await verify('')).status, 422);
  assert.equal((await verify('x'.repeat(513))).status, 422);
});

test('an_expired_token_or_a_disabled_user_changes_nothing', async () => {
  const user = await aerie.user();
  await forgot(user.email);
  const [link] = linksOf(await mail.mailTo(user.email));
  assert.equal((await aerie.admin.put(`/api/users/${user.me.id}`, { is_active: false })).status, 200);
  assert.equal((await reset(link.token, 'a new password')).status, 400);
  await forgot(user.email);
  await sleep(1200);
  assert.equal(mail.mails.filter((m) => m.to.address === user.email).length, 1);
});

test('no_header_can_be_smuggled_into_a_mail', async () => {
  for (const email of ['a@b.test\r\nBcc: c@d.test', 'a@b.test\nBcc: x', 'a@b.test>\r\nRCPT TO:<c@d.test', 'a b@c.test', '<a@b.test>'])
    assert.equal((await forgot(email)).status, 422, email);
});

test('a_page_for_the_links_sends_no_token_anywhere', async () => {
  for (const path of ['/account/reset', '/account/verify']) {
    const page = await aerie.request('GET', path);
    assert.equal(page.status, 200);
    assert.match(page.headers['content-type'], /text\/html/);
    assert.match(page.headers['content-security-policy'], /default-src 'none'.*frame-ancestors 'none'/);
    assert.equal(page.headers['referrer-policy'], 'no-referrer');
    assert.doesNotMatch(page.text, /<script(?! src="\/assets\/)|\son\w+=|style=/);
  }
});

test('greylisting_is_waited_out', async () => {
  const user = await aerie.user();
  let n = 0;
  mail.onRecipient = (address) => (address === user.email && n++ < 2 ? [451, `4.7.1 <${user.email}>: greylisted`] : null);
  await forgot(user.email);
  const sent = await mail.mailTo(user.email);
  assert.equal(n, 3);
  assert.equal((await reset(linksOf(sent)[0].token, 'a new password')).status, 200);
  assert.match(aerie.log, /a reset mail was not sent: the mail server takes no mail for now \(451\); trying again in 1 s/);
  mail.onRecipient = () => null;
});

test('a_refused_recipient_or_text_is_given_up_at_once', async () => {
  for (const [where, code] of [['onRecipient', 550], ['onText', 554]]) {
    const user = await aerie.user();
    let n = 0;
    mail[where] = () => (n++, [code, `<${user.email}>: no such user`]);
    await forgot(user.email);
    while (n === 0) await sleep(20);
    await sleep(2000);
    assert.equal(n, 1, 'no second try');
    assert.match(aerie.log, new RegExp(`a reset mail is given up after 1 tries: the mail server refuses the mail \\(${code}\\)`));
    assert.ok(!aerie.log.includes(user.email));
    mail[where] = () => null;
  }
});
