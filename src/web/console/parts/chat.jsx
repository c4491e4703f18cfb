// A chat with an agent, to try it. It is a chat of the signed-in admin like any other, and begins with the first message.
import { useEffect, useRef, useState } from 'preact/hooks';
import { explain, open, post, randomText } from '../api.js';
import { Turn } from '../../home/turn.js';
import { Button } from './button.jsx';
import { Icon } from './icon.jsx';

const ENDS = { stopped: 'Stopped. What came is kept.', error: 'Failed' };
const seconds = (ms) => (ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`);

function Message({ message }) {
  const { role, text, state, note } = message;
  return (
    <li class={`said ${role} ${state === 'streaming' ? 'streaming' : ''}`} aria-busy={state === 'streaming'}>
      <span class="unseen">{role === 'user' ? 'You:' : 'Agent:'}</span>
      {(text || state === 'streaming') && <p class="said-text">{text}</p>}
      {(ENDS[state] || note) && <p class={`said-foot ${state === 'error' ? 'problem' : ''}`}>{[ENDS[state], note].filter(Boolean).join(': ')}</p>}
    </li>
  );
}

export function Chat({ agent }) {
  const [messages, setMessages] = useState([]);
  const [text, setText] = useState('');
  const [status, setStatus] = useState('');
  const [problem, setProblem] = useState('');
  const [isRunning, setRunning] = useState(false);
  const chat = useRef(null);
  const log = useRef(null);

  useEffect(() => {
    log.current.scrollTop = log.current.scrollHeight;
  }, [messages]);

  const change = (id, fields) => setMessages((was) => was.map((message) => (message.id === id ? { ...message, ...fields } : message)));

  /** Shows a turn from its first event to its last. */
  const follow = async (begin) => {
    const id = randomText(12);
    const begun = performance.now();
    let first = null;
    setProblem('');
    setMessages((was) => [...was, { id, role: 'assistant', text: '', state: 'streaming' }]);
    setRunning(true);
    const turn = new Turn(chat.current, {
      onText(whole) {
        first ??= performance.now() - begun;
        setStatus('');
        change(id, { text: whole });
      },
      onStatus: setStatus,
    });
    try {
      const end = await turn.follow(begin);
      const time = first === null ? '' : `first word after ${seconds(first)}, ${seconds(performance.now() - begun)} in all`;
      if (end?.type === 'error') change(id, { state: 'error', note: `${end.data.message} (${end.data.code})` });
      else change(id, { state: end?.data.stopped ? 'stopped' : 'complete', note: end?.data.stopped ? '' : time });
      return true;
    } catch (error) {
      setMessages((was) => was.filter((message) => message.id !== id));
      setProblem(explain(error));
      return turn.lastId !== '';
    } finally {
      setStatus('');
      setRunning(false);
    }
  };

  const send = async (event) => {
    event?.preventDefault();
    const content = text.trim();
    if (content === '' || isRunning) return;
    const id = randomText(12);
    const key = randomText(32); // the same for every try, so that a lost answer does not double the message
    setText('');
    setProblem('');
    setMessages((was) => [...was, { id, role: 'user', text: content, state: 'complete' }]);
    let hasBegun = false;
    try {
      chat.current ??= (await post('/api/chats', { agent_id: agent.id, title: Array.from(content).slice(0, 60).join('') })).id;
      hasBegun = await follow(() => open('POST', `/api/chats/${chat.current}/messages`, { body: { content }, headers: { Accept: 'text/event-stream', 'Idempotency-Key': key } }));
    } catch (error) {
      setProblem(explain(error));
    }
    if (hasBegun) return;
    setMessages((was) => was.filter((message) => message.id !== id));
    setText(content);
  };
  const again = () => {
    setMessages((was) => (was.at(-1)?.role === 'assistant' ? was.slice(0, -1) : was));
    follow(() => open('POST', `/api/chats/${chat.current}/regenerate`, { headers: { Accept: 'text/event-stream' } }));
  };
  const stop = () => post(`/api/chats/${chat.current}/stop`).catch((error) => setProblem(explain(error)));
  const startAnew = () => {
    chat.current = null;
    setMessages([]);
    setProblem('');
  };
  const onKeyDown = (event) => {
    if (event.key === 'Enter' && !event.shiftKey && !event.isComposing) send(event);
  };
  const isOver = !isRunning && messages.length > 0;

  return (
    <section class="panel chat-panel">
      <div class="panel-head">
        <h2>Try it</h2>
        {isOver && <Button kind="quiet" icon="plus" onClick={startAnew}>New chat</Button>}
      </div>
      <div class="chat-log" ref={log} tabIndex={0} role="region" aria-label="Messages">
        {messages.length === 0 && <p class="faint chat-empty">Say something to {agent.name}. Your chat is kept, as a visitor’s would be.</p>}
        <div role="log" aria-live="polite"><ol>{messages.map((message) => <Message key={message.id} message={message} />)}</ol></div>
      </div>
      <p class="hint" role="status">{status}</p>
      {isOver && <div><Button kind="quiet" icon="again" onClick={again}>Answer again</Button></div>}
      <p class="problem" role="alert">{problem}</p>
      {agent.is_active ? (
        <form class="chat-write" onSubmit={send}>
          <label class="unseen" for="chat-text">Your message</label>
          <textarea id="chat-text" rows={2} maxLength={32000} placeholder="Write a message" value={text} onInput={(event) => setText(event.currentTarget.value)} onKeyDown={onKeyDown} />
          {isRunning
            ? <Button icon="stop" onClick={stop}>Stop</Button>
            : <button type="submit" class="main"><Icon name="send" />Send</button>}
        </form>
      ) : <p class="faint">It is switched off. Switch it on to try it.</p>}
    </section>
  );
}
