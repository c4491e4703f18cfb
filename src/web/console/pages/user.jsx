// One user: name, role, whether they may sign in; a mail for a new password; the end.
import { useState } from 'preact/hooks';
import { explain, get, post, put, remove } from '../api.js';
import { useForm, useLoad } from '../hooks.js';
import { Button, ConfirmButton } from '../parts/button.jsx';
import { Check, Field, FormProblem } from '../parts/field.jsx';
import { Card, Code, Page } from '../parts/page.jsx';
import { Loaded } from '../parts/state.jsx';
import { Time } from '../parts/time.jsx';
import { toast, toastError } from '../parts/toast.jsx';
import { go } from '../router.js';
import { session, update } from '../session.js';
import { useStore } from '../store.js';
import { EraseUser } from './erasure.jsx';
import { ROLES } from './users.jsx';

const valuesOf = ({ full_name, role, is_active }) => ({ full_name: full_name ?? '', role, is_active });

function Access({ user, onSaved }) {
  const { user: me } = useStore(session);
  const form = useForm(valuesOf(user));
  const isMe = user.id === me.id;
  const send = (event) => {
    event.preventDefault();
    form.submit(async ({ full_name, role, is_active }) => {
      const saved = await put(`/api/users/${user.id}`, { full_name: full_name.trim(), role, is_active });
      form.reset(valuesOf(saved));
      onSaved(saved);
      toast('Saved. It counts from the user’s next request.');
      if (isMe) update({ user: await get('/api/auth/me') });
    });
  };
  return (
    <Card title="Account">
      <form onSubmit={send}>
        <p>{user.email}. Last signed in: <Time at={user.last_login_at} />. Address {user.email_verified ? 'confirmed' : 'not confirmed'}.</p>
        <Field label="Name" isOptional maxLength={200} {...form.bind('full_name')} />
        <Field label="Role" as="select" options={ROLES} hint={isMe ? 'This is you: as a user you could not come back to this console.' : undefined} {...form.bind('role')} />
        <Check label="May sign in" hint="Switched off, the user is out with the next request; the chats stay." {...form.bind('is_active')} />
        <FormProblem form={form} />
        <Button kind="main" type="submit" isBusy={form.isBusy} disabled={!form.isDirty}>Save</Button>
      </form>
    </Card>
  );
}

/** Without mail only the operator can help. */
function Password({ user }) {
  const { team } = useStore(session);
  const [state, setState] = useState({ isBusy: false, problem: '', isMailMissing: false });
  const send = async () => {
    setState({ isBusy: true, problem: '', isMailMissing: false });
    try {
      await post('/api/auth/password/forgot', { email: user.email, team_id: user.team_id });
      setState({ isBusy: false, problem: '', isMailMissing: false });
      toast(`A mail with a link goes to ${user.email}. The link is good for an hour.`);
    } catch (error) {
      const isMailMissing = error.message.startsWith('Mail is not configured');
      setState({ isBusy: false, problem: isMailMissing ? `${error.message}. Ask the operator to set a new password with the command below.` : explain(error), isMailMissing });
    }
  };
  return (
    <Card title="Forgotten password" lead="The user gets a mail with a link to choose a new one. You never learn it.">
      <div class="stack">
        <p class="problem" role="alert">{state.problem}</p>
        <Button isBusy={state.isBusy} icon="send" onClick={send}>Mail a link</Button>
        <details open={state.isMailMissing}>
          <summary>The server sends no mail?</summary>
          <p>Then the operator sets a new password at the server’s command line:</p>
          <Code>{`aerie user password --email ${user.email} --team ${team.slug}`}</Code>
        </details>
      </div>
    </Card>
  );
}

function Removal({ user }) {
  const drop = async () => {
    try {
      await remove(`/api/users/${user.id}`);
      toast(`${user.email} is deleted.`);
      go('/users');
    } catch (error) {
      toastError(error);
    }
  };
  return (
    <Card title="Delete" lead="The account and all its chats go, at once and for good. To keep the chats, switch the account off instead.">
      <ConfirmButton icon="trash" question={`Delete ${user.email}?`} consequence="The account and all its chats are deleted. This cannot be undone." confirmLabel="Delete user" onConfirm={drop}>Delete user</ConfirmButton>
    </Card>
  );
}

export function User({ id }) {
  const loaded = useLoad(() => get(`/api/users/${id}`), [id]);
  return (
    <Page title={loaded.data?.full_name || loaded.data?.email || 'User'} back={{ href: '#/users', label: 'Users' }}>
      <Loaded from={loaded} what="the user">
        {(user) => (
          <>
            <Access key={user.id} user={user} onSaved={loaded.setData} />
            <Password user={user} />
            <Removal user={user} />
            <EraseUser user={user} onDone={() => go('/users')} />
          </>
        )}
      </Loaded>
    </Page>
  );
}
