// Who is signed in. The tokens are HttpOnly cookies; here is only what the server says of their owner.
import { ApiError, get, onSessionLost, post } from './api.js';
import { makeStore } from './store.js';

const SIGNED_IN = 'aerie.signed-in'; // the page at / keeps it too: without it nobody is asked for

/** state: starting | in | out. note: why one is out. */
export const session = makeStore({ state: 'starting', user: null, team: null, note: '' });

function remember(isIn) {
  try {
    if (isIn) localStorage.setItem(SIGNED_IN, 'true');
    else localStorage.removeItem(SIGNED_IN);
  } catch {
    // Without storage one signs in again after a reload.
  }
}

function isRemembered() {
  try {
    return localStorage.getItem(SIGNED_IN) !== null;
  } catch {
    return false;
  }
}

function leave(note) {
  session.set({ state: 'out', user: null, team: null, note });
}

/** Shows the console to whom the cookies belong, if they are an admin. */
async function enter() {
  const user = await get('/api/auth/me', { isLogin: false });
  if (user.role !== 'admin') {
    leave(`${user.email} is not an admin of this team. Sign in with an admin’s account, or ask an admin to make you one.`);
    return;
  }
  remember(true);
  session.set({ state: 'in', user, team: await get('/api/team'), note: '' });
}

export async function restore() {
  if (!isRemembered()) return leave('');
  try {
    await enter();
  } catch (error) {
    leave(error.status === 401 ? '' : error.message);
  }
}

export async function signIn(email, password, team_id) {
  await post('/api/auth/login', { email, password, ...(team_id ? { team_id } : {}) }, { isLogin: true });
  await enter();
}

export async function signOut() {
  try {
    await post('/api/auth/logout');
  } catch (error) {
    if (!(error instanceof ApiError) || error.status !== 401) throw error; // else it had ended already
  }
  remember(false);
  leave('You are signed out.');
}

/** What has changed of the signed-in user or the team. */
export function update(change) {
  session.set({ ...session.get(), ...change });
}

onSessionLost(() => {
  remember(false);
  if (session.get().state === 'in') leave('Your session has ended. Sign in again to go on where you were.');
});
