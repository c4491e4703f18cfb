// The front of the page, before anyone has signed in: what runs here, and whether a visitor may chat at once, with whom.
import { call } from './client.js';

const $ = (id) => document.getElementById(id);

/** {service, version} of the server and whether it can serve, in words and as a colour that says no more than the words. */
export async function describeServer() {
  const [health, ready] = await Promise.allSettled([call('GET', '/health'), call('GET', '/health/ready')]);
  const isReady = ready.status === 'fulfilled';
  $('dot').classList.toggle('bad', !isReady);
  if (health.status === 'rejected') {
    $('state').textContent = health.reason.message;
    return;
  }
  const { service, version } = health.value;
  document.title = service;
  $('service').textContent = service;
  $('state').textContent = `This server is running ${service} ${version}${isReady ? ' and is ready' : `, but cannot serve now: ${ready.reason.message}`}`;
}

/** Offers the demo where the default team takes whoever comes; only the sign-in elsewhere. Answers whom it would ask. */
export async function offerDemo() {
  let { demo, agent } = { demo: true, agent: null };
  try {
    ({ demo, agent } = await call('GET', '/api/welcome'));
  } catch {
    // The server has trouble: what is pressed will say which.
  }
  $('first-form').hidden = !demo;
  $('closed-note').textContent = demo ? '' : 'This server takes no new accounts. Sign in with yours.';
  $('sign-in-box').open ||= !demo;
  if (agent) {
    $('first-label').textContent = `Ask ${agent.name}`;
    $('first').placeholder = agent.description ?? 'Ask something, or just start';
  }
  return agent;
}
