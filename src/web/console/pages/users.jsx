// The team's users: who there is, and a new one.
import { useState } from 'preact/hooks';
import { list, post, randomText } from '../api.js';
import { useForm, useLoad } from '../hooks.js';
import { Button } from '../parts/button.jsx';
import { Dialog, FormDialog } from '../parts/dialog.jsx';
import { Field } from '../parts/field.jsx';
import { Badge, Page } from '../parts/page.jsx';
import { Pager } from '../parts/pager.jsx';
import { Secret } from '../parts/secret.jsx';
import { Loaded, Notice } from '../parts/state.jsx';
import { Table } from '../parts/table.jsx';
import { Time } from '../parts/time.jsx';
import { toast } from '../parts/toast.jsx';
import { setQuery, usePlace } from '../router.js';
import { session } from '../session.js';
import { useStore } from '../store.js';
import { EraseVisitor } from './erasure.jsx';

const LIMIT = 50;
export const ROLES = [['user', 'User: chats with the agents'], ['admin', 'Admin: also this console']];

function NewUser({ onDone, onClose }) {
  const form = useForm({ email: '', full_name: '', role: 'user', password: randomText(16) }, { isGuarded: false });
  const send = async (event) => {
    event.preventDefault();
    const user = await form.submit(({ email, full_name, role, password }) => post('/api/users', { email: email.trim(), full_name: full_name.trim(), role, password }));
    if (user) onDone({ ...user, password: form.values.password });
  };
  return (
    <FormDialog title="Add a user" form={form} action="Add user" onSend={send} onClose={onClose}>
      <Field label="E-mail" type="email" autocomplete="off" required {...form.bind('email')} />
      <Field label="Name" isOptional autocomplete="off" maxLength={200} {...form.bind('full_name')} />
      <Field label="Role" as="select" options={ROLES} {...form.bind('role')} />
      <Field label="First password" autocomplete="off" spellcheck={false} required minLength={8} maxLength={128} hint="Made by chance; 8 to 128 characters. You see it once more, to hand it over; the user changes it after signing in." {...form.bind('password')} />
    </FormDialog>
  );
}

function Added({ user, onClose }) {
  return (
    <Dialog title="The user is added" onClose={onClose} actions={<Button onClick={onClose}>Done</Button>}>
      <p>{user.email} signs in {user.role === 'admin' ? 'here, at ' : 'at '}<code>{location.origin}/{user.role === 'admin' ? 'console' : ''}</code> with this password:</p>
      <Secret what="the password" value={user.password} />
    </Dialog>
  );
}

export function Users() {
  const { query } = usePlace();
  const { user: me } = useStore(session);
  const offset = Number(query.get('offset')) || 0;
  const users = useLoad(() => list('/api/users', { limit: LIMIT, offset }), [offset]);
  const [isAdding, setAdding] = useState(false);
  const [added, setAdded] = useState(null);
  const done = (user) => {
    setAdding(false);
    setAdded(user);
    toast(`${user.email} is added.`);
    users.reload();
  };
  const columns = [
    {
      title: 'User',
      cell: ({ id, email, full_name: name }) => (
        <span class="two-lines"><a href={`#/users/${id}`}>{name || email}</a>{name && <span class="faint small">{email}</span>}</span>
      ),
    },
    { title: 'Role', cell: ({ role, id }) => <span class="badges"><Badge kind={role === 'admin' ? 'info' : 'faint'}>{role}</Badge>{id === me.id && <Badge>you</Badge>}</span> },
    { title: 'May sign in', cell: ({ is_active: isActive }) => (isActive ? <Badge kind="good">yes</Badge> : <Badge kind="bad">switched off</Badge>) },
    { title: 'Last signed in', cell: ({ last_login_at: at }) => <Time at={at} /> },
    { title: 'Since', cell: ({ created_at: at }) => <Time at={at} /> },
  ];
  return (
    <Page title="Users" lead="People of this team. Users chat with its agents; admins also see this console." actions={<Button kind="main" icon="plus" onClick={() => setAdding(true)}>Add a user</Button>}>
      <Loaded from={users} what="the users">
        {({ items, total }) => (
          <>
            <Table caption="Users of the team" columns={columns} rows={items} />
            {total === 1 && <Notice>You are the only one here. Add the people who are to chat, or let them make accounts themselves: see the <a href="#/team">team’s settings</a>.</Notice>}
            <Pager offset={offset} limit={LIMIT} total={total} what="users" onMove={(next) => setQuery({ offset: next || '' }, { replace: false })} />
            <EraseVisitor />
          </>
        )}
      </Loaded>
      {isAdding && <NewUser onDone={done} onClose={() => setAdding(false)} />}
      {added && <Added user={added} onClose={() => setAdded(null)} />}
    </Page>
  );
}
