// A run of the API under valgrind's memcheck: sign-in, agents, chats, streams read and left, uploads, errors, SIGTERM. Fails when
// memcheck reports, or memory is lost at the end. node test/tools/run.mjs --script test/analyse/memcheck.mjs
import assert from 'node:assert/strict';
import { Aerie, unique } from '../tools/aerie.mjs';
import { startUpstream } from '../fake/upstream.mjs';

const memcheck = ['valgrind', '--quiet', '--leak-check=full', '--show-leak-kinds=definite', '--errors-for-leak-kinds=definite', '--error-exitcode=99', '--num-callers=20'];
const upstream = await startUpstream({ keep: false });
const aerie = new Aerie({ under: memcheck, env: { SERVER__WORKERS: '2' } });
try {
  aerie.prepare();
  await aerie.listen({ timeout: 300000 });
  await aerie.makeAdmin();
  const { admin } = aerie;
  const user = await aerie.user();
  const agent = await admin.agent({ webhook_url: `http://127.0.0.1:${upstream.port}/webhook/fake` });
  const chat = await user.chat(agent);
  for (let i = 0; i < 3; i++) await user.ask(chat, '!tokens=20');
  const left = await user.send(await user.chat(agent), '!tokens=50&delay=20');
  left.close?.();
  for (const path of ['/api/auth/me', '/api/chats', `/api/chats/${chat.id}/messages`, '/api/agents', '/api/health', '/metrics', '/openapi.json', '/api/nothing']) await user.get(path);
  await user.post('/api/chats', { agent_id: 'no id', title: 7 });
  await aerie.request('POST', '/api/auth/login', { json: { email: `${unique('n')}@x.test`, password: 'wrong password' } });
  await admin.settledReply(chat).catch(() => {}); // another user's: only that it answers
  await aerie.halt({ timeout: 120000 });
  assert.doesNotMatch(aerie.log, /^==\d+== /m, aerie.log.slice(-6000));
  console.log('memcheck: no invalid reads or writes, nothing unset was used, nothing lost');
} finally {
  aerie.drop();
  await upstream.close?.();
}
process.exit(0);
