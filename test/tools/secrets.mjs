// What must not be in a log: each secret, e-mail address and message that the tests sent or were given. The clients note them as they
// go by; a server's log is looked through when it has ended.
const SECRET = /^(password|current_password|new_password|webhook_token|key|api_key|access_token|refresh_token|visitor_token|token|signature|secret)$/;
const TEXT = /^(message|content|query|system_prompt|text|email|username|admin_email)$/;

const seen = new Set();

/** Short ones, and one letter again and again, stand in a log by chance; of a long one its beginning is enough, because a line has an end. */
function note(value, least) {
  if (typeof value === 'string' && value.length >= least && new Set(value).size > 4) seen.add(value.slice(0, 60));
}

function walk(value, isSent) {
  if (value === null || typeof value !== 'object') return;
  for (const [name, inner] of Object.entries(value)) {
    if (SECRET.test(name)) note(inner, 8);
    else if (isSent && TEXT.test(name)) note(inner, 12);
    walk(inner, isSent);
  }
}

/** What a client sends: {json, form, token, cookie, headers}. */
export function noteSent({ json, form, token, cookie, headers = {} }) {
  walk(json, true);
  walk(form, true);
  note(token, 8);
  for (const [, value] of `${cookie ?? ''}; ${headers.Cookie ?? ''}`.matchAll(/_token=([^;]*)/g)) note(value, 8);
  for (const [name, value] of Object.entries(headers))
    if (/^(authorization|x-api-key)$/i.test(name)) note(String(value).replace(/^Bearer +/i, ''), 8);
}

/** What it is given. */
export function noteGiven(json) {
  walk(json, false);
}

/** The line of the log that says what it should not, or null. */
export function findSecret(log) {
  for (const one of seen)
    if (log.includes(one)) {
      const at = log.indexOf(one);
      return log.slice(log.lastIndexOf('\n', at) + 1, at + one.length);
    }
  return null;
}
