// What links in mails lead to: /account/reset#token=… and /account/verify#token=…
// What stands behind the # is never sent to a server, so the token is in no log. It is used when someone presses the
// button, not when a mail scanner opens the page.
import { call } from './client.js';

const element = (id) => document.getElementById(id);
const isReset = location.pathname.endsWith('/reset');
const section = element(isReset ? 'reset' : 'verify');
const token = new URLSearchParams(location.hash.slice(1)).get('token') ?? '';
history.replaceState(null, '', location.pathname); // nor does it stay in the history

async function use(event) {
  event.preventDefault();
  const button = section.querySelector('button');
  const path = isReset ? '/api/auth/password/reset' : '/api/auth/verify-email';
  const body = isReset ? { token, password: element('password').value } : { token };
  button.disabled = true;
  element('problem').textContent = '';
  try {
    const answer = await call('POST', path, { body, isLogin: true });
    section.hidden = true;
    element('note').textContent = `${answer.message}.`;
  } catch (error) {
    element('problem').textContent = error.message;
    button.disabled = false;
  }
}

if (token) {
  section.hidden = false;
  section.querySelector('form').addEventListener('submit', use);
} else {
  element('problem').textContent = 'This link is not whole: copy all of it from the mail.';
}
