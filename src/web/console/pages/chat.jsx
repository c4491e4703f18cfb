// One chat: all its messages as text, to read, to take along and to delete.
import { useState } from 'preact/hooks';
import { get, put, remove } from '../api.js';
import { download } from '../download.js';
import { useLoad } from '../hooks.js';
import { Button, ConfirmButton } from '../parts/button.jsx';
import { Badge, Card, Page } from '../parts/page.jsx';
import { EmptyState, Loaded } from '../parts/state.jsx';
import { Time } from '../parts/time.jsx';
import { toast, toastError } from '../parts/toast.jsx';
import { go } from '../router.js';
import './chats.css';

const PAGE = 100;
const FORMATS = [['json', 'JSON', 'json'], ['markdown', 'Markdown', 'md'], ['txt', 'Text', 'txt']];
const WHO = { user: 'You', assistant: 'Agent', system: 'System' };
const STATES = { stopped: 'stopped', interrupted: 'cut short', error: 'failed', streaming: 'still being written' };

async function loadChat(id) {
  const [chat, messages] = await Promise.all([get(`/api/chats/${id}?messages=0`), get(`/api/chats/${id}/messages?limit=${PAGE}`)]);
  return { ...chat, messages };
}

function Message({ message: { role, content, status, timestamp, usage } }) {
  return (
    <li class={`entry ${role}`}>
      <p class="entry-head">
        <strong>{WHO[role]}</strong>
        <span class="faint small"><Time at={timestamp} />{usage ? `, ${usage.total_tokens} tokens` : ''}</span>
        {STATES[status] && <Badge kind={status === 'error' ? 'bad' : 'faint'}>{STATES[status]}</Badge>}
      </p>
      <p class="entry-text">{content || <span class="faint">No text.</span>}</p>
    </li>
  );
}

function Messages({ chat, onEarlier }) {
  const [isBusy, setBusy] = useState(false);
  const missing = chat.message_count - chat.messages.length;
  const load = async () => {
    setBusy(true);
    try {
      onEarlier(await get(`/api/chats/${chat.id}/messages?limit=${PAGE}&before=${chat.messages[0].id}`));
    } catch (error) {
      toastError(error);
    }
    setBusy(false);
  };
  if (chat.message_count === 0) return <EmptyState title="Nothing was said here">The chat was made, but no message was sent.</EmptyState>;
  return (
    <Card>
      {missing > 0 && <Button isBusy={isBusy} onClick={load}>Show earlier messages ({missing} more)</Button>}
      <ol class="dialogue" aria-label="Messages">{chat.messages.map((message) => <Message key={message.id} message={message} />)}</ol>
    </Card>
  );
}

function Tools({ chat, onChange }) {
  const [busy, setBusy] = useState('');
  const save = async (format, extension) => {
    setBusy(format);
    try {
      await download(`/api/chats/${chat.id}/export?format=${format}`, `chat-${chat.id}.${extension}`);
    } catch (error) {
      toastError(error);
    }
    setBusy('');
  };
  const archive = async () => {
    try {
      const { is_archived } = await put(`/api/chats/${chat.id}`, { is_archived: !chat.is_archived });
      onChange({ is_archived });
      toast(is_archived ? 'The chat is archived: it stands no more in the list, unless asked for.' : 'The chat is back in the list.');
    } catch (error) {
      toastError(error);
    }
  };
  const drop = async () => {
    try {
      await remove(`/api/chats/${chat.id}`);
      toast('The chat is deleted.');
      go('/chats', { replace: true });
    } catch (error) {
      toastError(error);
    }
  };
  return (
    <>
      <div class="export" role="group" aria-label="Export">
        <span class="faint">Export as</span>
        {FORMATS.map(([format, label, extension]) => <Button key={format} isBusy={busy === format} aria-label={`Export as ${label}`} onClick={() => save(format, extension)}>{label}</Button>)}
      </div>
      <Button onClick={archive}>{chat.is_archived ? 'Take out of the archive' : 'Archive'}</Button>
      <ConfirmButton icon="trash" question="Delete this chat?" consequence="All its messages go, for good. Export it first if you want to keep them." onConfirm={drop}>Delete</ConfirmButton>
    </>
  );
}

export function Chat({ id }) {
  const loaded = useLoad(() => loadChat(id), [id]);
  const { data: chat, setData } = loaded;
  return (
    <Page title={chat ? chat.title || 'Without a title' : 'Chat'} back={{ href: '#/chats', label: 'Your chats' }}
      lead={chat && <>{chat.message_count} messages, begun <Time at={chat.created_at} /></>}
      actions={chat && <Tools chat={chat} onChange={(change) => setData({ ...chat, ...change })} />}>
      <Loaded from={loaded} what="the chat">
        {() => <Messages chat={chat} onEarlier={(earlier) => setData({ ...chat, messages: [...earlier, ...chat.messages] })} />}
      </Loaded>
    </Page>
  );
}
