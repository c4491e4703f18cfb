// The page at /: signs in to the demo and chats. Everything that came from elsewhere goes in as text, never as markup.
import { ApiError, call, login, open, randomText, register } from './client.js';
import { Turn, keptTurn } from './turn.js';
import { describeServer, offerDemo } from './welcome.js';

const DEMO = 'aerie.demo'; // the throw-away account of this browser
const SIGNED_IN = 'aerie.signed-in';
const CHAT = 'aerie.chat';
const STATES = { stopped: 'Stopped', interrupted: 'Cut short', error: 'Failed' };

const $ = (id) => document.getElementById(id);
const state = { agents: [], defaultAgent: null, chat: null, running: false };

// ---- what is kept in the browser ----

function kept(key) {
  try {
    return JSON.parse(localStorage.getItem(key));
  } catch {
    return null;
  }
}

function keep(key, value) {
  if (value === null) localStorage.removeItem(key);
  else localStorage.setItem(key, JSON.stringify(value));
}

// ---- messages on the page ----

function scrollDown(force) {
  const box = $('scroll');
  if (force || box.dataset.follows !== 'no') box.scrollTop = box.scrollHeight;
}

/** Adds a message and returns the handle that changes it. */
function addMessage(role, content, status = 'complete', reason = '') {
  const item = document.createElement('li');
  const who = document.createElement('span');
  const text = document.createElement('p');
  const foot = document.createElement('p');
  item.className = `message ${role}`;
  who.className = 'unseen';
  who.textContent = role === 'user' ? 'You:' : 'Agent:';
  text.className = 'text';
  foot.className = 'foot';
  item.append(who, text, foot);
  $('messages').append(item);

  const message = {
    item,
    setText(value) {
      text.textContent = value;
    },
    setStatus(value, why = '') {
      const isRunning = value === 'streaming';
      item.classList.toggle('streaming', isRunning);
      item.setAttribute('aria-busy', String(isRunning)); // read out when it is whole
      foot.replaceChildren();
      if (STATES[value]) foot.append(why ? `${STATES[value]}: ${why}` : STATES[value]);
    },
    offer(label, action) {
      const button = document.createElement('button');
      button.type = 'button';
      button.className = 'link';
      button.textContent = label;
      button.addEventListener('click', action);
      foot.append(button);
    },
    remove() {
      item.remove();
    },
  };
  message.setText(content);
  message.setStatus(status, reason);
  return message;
}

function addGreeting() {
  const item = document.createElement('li');
  item.className = 'greeting';
  const agent = state.agents.find(({ id }) => id === $('agent').value);
  item.textContent = agent?.description || `Say something to ${agent?.name ?? 'the agent'}.`;
  $('messages').replaceChildren(item);
}

function note(text) {
  $('note').textContent = text;
}

function setRunning(running) {
  state.running = running;
  $('send').hidden = running;
  $('stop').hidden = !running;
  $('agent').disabled = running;
  $('new-chat').disabled = running;
  if (!running) note('');
}

function fail(error) {
  if (error instanceof ApiError && error.status === 401) {
    keep(SIGNED_IN, null);
    showWelcome('You were signed out. Sign in again to go on.');
  } else {
    $('chat-problem').textContent = error.message;
  }
}

// ---- turns ----

/**
 * Follows a turn to its end and shows it. begin: opens the first stream; null: attach to the one that runs.
 * False: it never began, so nothing was stored.
 */
async function runTurn(chat, begin, saved = null) {
  $('chat-problem').textContent = '';
  $('messages').querySelector('.greeting')?.remove();
  for (const button of $('messages').querySelectorAll('.foot .link')) button.remove();
  const reply = addMessage('assistant', saved?.text ?? '', 'streaming');
  setRunning(true);
  scrollDown(true);
  const turn = new Turn(chat, {
    onText(text) {
      note('');
      reply.setText(text);
      scrollDown(false);
    },
    onStatus: note,
  }, saved);
  try {
    const end = await turn.follow(begin);
    if (end === null) {
      await showHistory(chat);
      return true;
    }
    const isFailed = end.type === 'error';
    if (turn.text === '' && isFailed) reply.remove();
    reply.setStatus(isFailed ? 'error' : end.data.stopped ? 'stopped' : 'complete');
    if (isFailed) fail(new ApiError(502, `${end.data.message} (${end.data.code})`));
    offerAgain(chat, reply.item.isConnected ? reply : null);
  } catch (error) {
    reply.remove();
    fail(error);
  } finally {
    setRunning(false);
    scrollDown(false);
    $('text').focus();
  }
  return turn.lastId !== '';
}

function offerAgain(chat, reply) {
  const target = reply ?? addMessage('assistant', '', 'error');
  target.offer('Answer again', () => {
    if (state.running) return;
    target.remove();
    runTurn(chat, () => open('POST', `/api/chats/${chat}/regenerate`, { headers: { Accept: 'text/event-stream' } }));
  });
}

async function sendMessage(content) {
  const agent = $('agent').value;
  if (!state.chat) {
    const title = Array.from(content.trim().replace(/\s+/g, ' ')).slice(0, 60).join('');
    const chat = await call('POST', '/api/chats', { body: { agent_id: agent, title } });
    state.chat = chat.id;
    keep(CHAT, chat.id);
    $('messages').replaceChildren();
  }
  const chat = state.chat;
  const key = randomText(32); // the same for every try, so that a lost answer does not double the message
  const message = addMessage('user', content);
  const hasBegun = await runTurn(chat, () =>
    open('POST', `/api/chats/${chat}/messages`, {
      body: { content },
      headers: { Accept: 'text/event-stream', 'Idempotency-Key': key },
    }));
  if (hasBegun) return;
  message.remove();
  $('text').value = content;
  fitText();
}

async function submit() {
  const content = $('text').value;
  if (state.running || content.trim() === '') return;
  $('chat-problem').textContent = '';
  if ($('agent').value === '') {
    fail(new ApiError(0, 'There is no agent yet. An admin of this team adds one.'));
    return;
  }
  $('text').value = '';
  fitText();
  setRunning(true);
  try {
    await sendMessage(content);
  } catch (error) {
    $('text').value = content;
    fail(error);
    setRunning(false);
  }
}

async function stop() {
  note('Stopping …');
  try {
    await call('POST', `/api/chats/${state.chat}/stop`);
  } catch (error) {
    fail(error);
  }
}

// ---- chats ----

async function showHistory(id) {
  const chat = await call('GET', `/api/chats/${id}?messages=200`);
  let last = null;
  $('messages').replaceChildren();
  for (const { role, content, status, metadata } of chat.messages) last = addMessage(role, content, status, metadata.error?.message);
  if (chat.agent_id && state.agents.some((agent) => agent.id === chat.agent_id)) $('agent').value = chat.agent_id;
  scrollDown(true);
  const tail = chat.messages.at(-1);
  if (tail && tail.status !== 'streaming') offerAgain(id, tail.role === 'assistant' ? last : null);
  return chat;
}

/** The chat of the last visit, and its turn when one still runs. */
async function resume(id) {
  const chat = await showHistory(id);
  const tail = chat.messages.at(-1);
  const saved = keptTurn(id);
  state.chat = id;
  if (!tail) {
    addGreeting();
    return;
  }
  if (tail.role === 'assistant' && tail.status !== 'streaming' && !saved) return;
  $('messages').lastElementChild.classList.contains('assistant') && $('messages').lastElementChild.remove();
  runTurn(id, null, saved);
}

function startNewChat() {
  state.chat = null;
  keep(CHAT, null);
  $('chat-problem').textContent = '';
  addGreeting();
  $('text').focus();
}

async function loadAgents() {
  state.agents = await call('GET', '/api/agents');
  state.defaultAgent ??= await offerDemo();
  $('agent').replaceChildren(...state.agents.map(({ id, name }) => new Option(name, id)));
  $('agent-field').hidden = state.agents.length === 0;
  if (state.agents.some(({ id }) => id === state.defaultAgent?.id)) $('agent').value = state.defaultAgent.id;
}

// ---- signing in ----

async function showWelcome(problem = '') {
  $('chat').hidden = true;
  $('tools').hidden = true;
  $('welcome').hidden = false;
  $('welcome-problem').textContent = problem;
  $('start').disabled = false;
  if (problem) $('sign-in-box').open = true;
  state.defaultAgent = await offerDemo();
  // Typing begins at once; on a phone this would open the keyboard over the page.
  if (document.activeElement === document.body && matchMedia('(pointer: fine)').matches) $('first').focus({ preventScroll: true });
}

async function showChat() {
  await loadAgents();
  keep(SIGNED_IN, true);
  $('welcome').hidden = true;
  $('chat').hidden = false;
  $('tools').hidden = false;
  addGreeting();
  $('text').focus();
  const last = kept(CHAT);
  if (!last) return;
  try {
    await resume(last);
  } catch (error) {
    if (error.status !== 404) throw error;
    startNewChat(); // it was deleted, or is another account's
  }
}

/** Logs in as this browser's demo account, made on the first visit. */
async function signInToDemo() {
  let demo = kept(DEMO);
  if (!demo) {
    demo = { email: `demo-${randomText(12)}@example.com`, password: randomText(24) };
    try {
      await register(demo.email, demo.password);
    } catch (error) {
      if (error.status === 403) throw new ApiError(403, 'This server takes no new accounts. Sign in with yours.');
      throw error;
    }
    keep(DEMO, demo);
  }
  try {
    await login(demo.email, demo.password);
  } catch (error) {
    if (error.status !== 401) throw error;
    keep(DEMO, null);
    throw new ApiError(401, 'The demo account of this browser is gone. Start again for a new one, or sign in.');
  }
}

/** Sends what was typed on the front, in a chat of its own. */
function takeFirst() {
  const content = $('first').value;
  $('first').value = '';
  if (content.trim() === '') return;
  if (state.running) {
    $('text').value = content; // a reply of the last visit still comes
    fitText();
    return;
  }
  startNewChat();
  $('text').value = content;
  submit();
}

async function enter(signIn) {
  $('welcome-problem').textContent = '';
  $('start').disabled = true;
  try {
    await signIn();
    await showChat();
    takeFirst();
  } catch (error) {
    showWelcome(error.message);
  }
}

async function signOut() {
  try {
    await call('POST', '/api/auth/logout');
  } catch {
    // The session had ended already.
  }
  keep(SIGNED_IN, null);
  keep(CHAT, null);
  location.reload();
}

// ---- the page's own events ----

function fitText() {
  const text = $('text');
  text.style.height = 'auto';
  text.style.height = `${Math.min(text.scrollHeight + 2, innerHeight / 3)}px`;
}

function listen() {
  $('first-form').addEventListener('submit', (event) => {
    event.preventDefault();
    enter(signInToDemo);
  });
  $('sign-in').addEventListener('submit', (event) => {
    event.preventDefault();
    enter(() => login($('email').value, $('password').value));
  });
  $('composer').addEventListener('submit', (event) => {
    event.preventDefault();
    submit();
  });
  for (const id of ['first', 'text'])
    $(id).addEventListener('keydown', (event) => {
      if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return;
      event.preventDefault();
      event.target.form.requestSubmit();
    });
  $('text').addEventListener('input', fitText);
  $('stop').addEventListener('click', stop);
  $('new-chat').addEventListener('click', startNewChat);
  $('agent').addEventListener('change', startNewChat);
  $('sign-out').addEventListener('click', signOut);
  $('scroll').addEventListener('scroll', ({ target }) => {
    const below = target.scrollHeight - target.scrollTop - target.clientHeight;
    target.dataset.follows = below < 60 ? 'yes' : 'no';
  });
}

async function begin() {
  listen();
  describeServer();
  if (!kept(SIGNED_IN)) {
    showWelcome();
    return;
  }
  try {
    await showChat();
  } catch (error) {
    if (error.status === 401) keep(SIGNED_IN, null);
    showWelcome(error.status === 401 ? '' : error.message);
  }
}

begin();
